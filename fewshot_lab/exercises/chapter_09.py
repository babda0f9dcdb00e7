"""Chapter 09: log-probability of a sequence, label words that compete, two calibrations, demonstrations, trigger candidates."""

import math

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import in_context, prompts, triggers
from .declare import exercise


def _random_sequence(generator):
    return 2 * torch.randn(6, 5, generator=generator), torch.randint(5, (6,), generator=generator), 3


@exercise(
    "Log-probability of a continuation",
    cases=[
        (torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 0]), 1),
        (torch.tensor([[0.0, 1.0, 0.5], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 4.0]]), torch.tensor([2, 1, 0, 2]), 2),
        (torch.tensor([[0.0, 200.0], [0.0, 300.0], [1.0, 0.0]]), torch.tensor([1, 0, 0]), 1),
        (torch.tensor([[0.0, 2.0], [1.0, 0.0], [3.0, 0.0], [0.0, 0.5], [1.0, 1.5]]), torch.tensor([1, 1, 0, 1, 0]), 3),
    ],
    fresh=_random_sequence,
    idea=(
        "The probability of a continuation is a product over its tokens, each given all tokens before it, so its logarithm is "
        "a sum. Row t of the logits speaks about token t + 1, and the prompt's own tokens do not count."
    ),
    steps=(
        "Turn each row of logits into log-probabilities over the vocabulary, dim 1: still (T, V).",
        (
            "Choose the rows that speak about the continuation: the first of them belongs to the prompt's last token, and the "
            "last row of all is not needed."
        ),
        "From each of these rows take one entry only, that of the token that really follows, as with gather along dim 1.",
        "Add these numbers up: no mean, and no change of sign, so the result is never above 0.",
    ),
)
def sequence_log_probability(logits, tokens, prompt_length):
    return prompts.sequence_log_probability(logits, tokens, prompt_length)


def _summed(logits, tokens, first, shift):
    """The sum of the log-probabilities of tokens[first:], each taken from the logits `shift` rows earlier."""
    log_p = logits.log_softmax(dim=-1)
    return sum(log_p[t - shift, tokens[t]] for t in range(first, len(tokens)))


@sequence_log_probability.mistake(
    "You read token t's probability from row t. Row t is what the model says after token t, about token t + 1: the "
    "probability of token t is in row t - 1."
)
def not_shifted(logits, tokens, prompt_length):
    return _summed(logits, tokens, prompt_length, 0)


@sequence_log_probability.mistake(
    "You count the prompt's own tokens too. Only the tokens from `prompt_length` on are the answer."
)
def prompt_counted(logits, tokens, prompt_length):
    return _summed(logits, tokens, 1, 1)


@sequence_log_probability.mistake(
    "The first token of the answer is missing. The prompt's last row, prompt_length - 1, predicts it."
)
def first_token_missed(logits, tokens, prompt_length):
    return torch.as_tensor(_summed(logits, tokens, prompt_length + 1, 1), dtype=torch.float32)


@sequence_log_probability.mistake(
    "You take the mean over the tokens. A probability of a sequence is a product, so logarithms are added up."
)
def mean(logits, tokens, prompt_length):
    return sequence_log_probability(logits, tokens, prompt_length) / (len(tokens) - prompt_length)


@sequence_log_probability.mistake(
    "You add up logits. Turn each row into log-probabilities first: log_softmax over the vocabulary."
)
def raw_logits(logits, tokens, prompt_length):
    return logits[prompt_length - 1 : -1].gather(1, tokens[prompt_length:, None]).sum()


@sequence_log_probability.mistake(
    "You count the prompt's last token too. Token number `prompt_length`, counted from 0, is the first one of the answer."
)
def one_too_early(logits, tokens, prompt_length):
    return _summed(logits, tokens, max(prompt_length - 1, 1), 1)


@sequence_log_probability.mistake("The last token of the answer is missing. Row T - 2 predicts it.")
def last_token_missed(logits, tokens, prompt_length):
    return torch.as_tensor(_summed(logits, tokens[:-1], prompt_length, 1), dtype=torch.float32)


@sequence_log_probability.mistake(
    "You return the probability. Its logarithm is asked for, which does not vanish for long answers."
)
def probability(*arguments):
    return sequence_log_probability(*arguments).exp()


@sequence_log_probability.mistake("You add up probabilities. Those of a sequence multiply: add up their logarithms.")
def probabilities_added(logits, tokens, prompt_length):
    return logits[prompt_length - 1 : -1].softmax(dim=-1).gather(1, tokens[prompt_length:, None]).sum()


@sequence_log_probability.mistake(
    "You take the logarithm of the sum of the probabilities. Those of a sequence multiply: add up their logarithms."
)
def logarithm_of_the_sum(*arguments):
    return probabilities_added(*arguments).log()


@sequence_log_probability.mistake("You take the softmax twice: cross_entropy does it itself. Give it the logits.")
def softmax_twice(logits, tokens, prompt_length):
    return sequence_log_probability(logits.softmax(dim=-1), tokens, prompt_length)


@sequence_log_probability.mistake("You count the answer's first token alone. All tokens from `prompt_length` on belong to it.")
def first_token_only(logits, tokens, prompt_length):
    return sequence_log_probability(logits, tokens[: prompt_length + 1], prompt_length)


@sequence_log_probability.mistake(
    "Your softmax runs over the places in the text. The probabilities of all words at one place sum to one: dim=-1."
)
def over_the_places(logits, tokens, prompt_length):
    return logits.log_softmax(dim=0)[prompt_length - 1 : -1].gather(1, tokens[prompt_length:, None]).sum()


@sequence_log_probability.mistake(
    "Your sign is the other one: a cross-entropy is minus the log-probability. A log-probability is never above 0."
)
def sign_turned(*arguments):
    return -sequence_log_probability(*arguments)


@sequence_log_probability.mistake(
    "That is the mean cross-entropy. The sum of the log-probabilities is asked for, with their sign."
)
def mean_cross_entropy(logits, tokens, prompt_length):
    return -mean(logits, tokens, prompt_length)


@sequence_log_probability.mistake("Your logarithm has the base 2. The natural one is asked for, which log_softmax gives.")
def base_two(*arguments):
    return sequence_log_probability(*arguments) / math.log(2)


@sequence_log_probability.mistake(
    "You take every token from every row and add all of that up. Each row predicts one token only: gather, or pair the rows "
    "with torch.arange."
)
def every_row_every_token(logits, tokens, prompt_length):
    return logits.log_softmax(dim=-1)[prompt_length - 1 : -1, tokens[prompt_length:]].sum()


def _random_words(generator):
    return (2 * torch.randn(4, 8, generator=generator)).log_softmax(dim=1), [[0, 3, 5], [1, 6], [2]]


@exercise(
    "Several words for a class",
    cases=[
        (torch.tensor([[0.5, 0.2, 0.3]]).log(), [[0, 2], [1]]),
        (torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]).log(), [[0], [1, 2, 3]]),
        (torch.tensor([[-3.0, -4.0, -1.0], [-0.5, -2.0, -3.0]]), [[0, 1], [2]]),
        (torch.tensor([[0.4, 0.2, 0.1, 0.2, 0.1]]).log(), [[0, 3], [1, 2]]),
        (torch.tensor([[-200.0, -201.0, -0.5]]), [[0, 1], [2]]),  # exp gives 0 in float32
    ],
    fresh=_random_words,
    idea=(
        "Words of the same meaning take probability from one another, so a class is credited with the probability of all its "
        "words. Words are alternatives: their probabilities are added, not their logarithms."
    ),
    steps=(
        (
            "Treat one class after the other, since they may have different numbers of words: its columns of the table are (n, "
            "number of its words)."
        ),
        "Along the words, dim 1, you need the logarithm of the sum of the probabilities: one number per text, (n,).",
        (
            "torch.logsumexp does this safely; by hand, exp underflows for very rare words, and a small number added against "
            "that outweighs them."
        ),
        (
            "Put the classes side by side as columns, (n, classes), and do not normalise over them: other words have "
            "probability too."
        ),
    ),
)
def class_log_probabilities(log_probabilities, words):
    return prompts.class_log_probabilities(log_probabilities, words)


@class_log_probabilities.mistake(
    "You add logarithms, which multiplies the probabilities. Words are alternatives: add the probabilities."
)
def logarithms_added(log_p, words):
    return torch.stack([log_p[:, ids].sum(dim=1) for ids in words], dim=1)


@class_log_probabilities.mistake(
    "You take the mean of the logarithms. One rare synonym then spoils a class. Add the probabilities."
)
def mean_of_logarithms(log_p, words):
    return torch.stack([log_p[:, ids].mean(dim=1) for ids in words], dim=1)


@class_log_probabilities.mistake(
    "You keep the best word only. The probability of the others belongs to the class too: add them up."
)
def best_word(log_p, words):
    return torch.stack([log_p[:, ids].max(dim=1).values for ids in words], dim=1)


@class_log_probabilities.mistake(
    "You use the first word of each class only, so its synonyms still take probability away from it."
)
def first_word(log_p, words):
    return torch.stack([log_p[:, ids[0]] for ids in words], dim=1)


@class_log_probabilities.mistake("You return probabilities. The logarithm is asked for.")
def no_logarithm(log_p, words):
    return class_log_probabilities(log_p, words).exp()


@class_log_probabilities.mistake(
    "You average the probabilities of a class's words. A class with several words then loses: add them up."
)
def mean_of_probabilities(log_p, words):
    return torch.stack([log_p[:, ids].exp().mean(dim=1).log() for ids in words], dim=1)


@class_log_probabilities.mistake(
    "You normalise over the classes. What is asked is how much probability each class's words have; other words have some too."
)
def normalised(log_p, words):
    return class_log_probabilities(log_p, words).log_softmax(dim=1)


@class_log_probabilities.mistake(
    "You normalise the rows first. They hold log-probabilities already, and need not hold the whole vocabulary: take them as "
    "they are."
)
def vocabulary_renormalised(log_p, words):
    return class_log_probabilities(log_p.log_softmax(dim=1), words)


@class_log_probabilities.mistake(
    "Your function needs the same number of words in each class. Their numbers may differ: treat one class after the other."
)
def equal_numbers_needed(log_p, words):
    return log_p[:, torch.tensor(words)].logsumexp(dim=-1)


@class_log_probabilities.mistake("You add up over the texts. Each text keeps its row; add up over the words of a class: dim=1.")
def over_the_texts(log_p, words):
    return torch.stack([log_p[:, ids].logsumexp(dim=0) for ids in words], dim=1)


@class_log_probabilities.mistake("You take the last word of each class only. The probability of the others belongs to it too.")
def last_word(log_p, words):
    return torch.stack([log_p[:, ids[-1]] for ids in words], dim=1)


@class_log_probabilities.mistake("You fill up short classes with word 0, whose probability then counts for them.")
def filled_up_with_word_0(log_p, words):
    longest = max(map(len, words))
    return torch.stack([log_p[:, [*ids, *[0] * (longest - len(ids))]].logsumexp(dim=1) for ids in words], dim=1)


@class_log_probabilities.mistake("You return minus the logarithm. A log-probability is never above 0.")
def sign_turned(log_p, words):
    return -class_log_probabilities(log_p, words)


@class_log_probabilities.property("Rare words keep their probability.")
def _rare_words_count(function, generator):
    log_p = torch.tensor([[-30.0, -40.0, 0.0]])
    found, right = float(function(log_p, [[0, 1], [2]])[0, 0]), float(class_log_probabilities(log_p, [[0, 1], [2]])[0, 0])
    if found > right + 0.01:
        return "small_number_added", say(
            "For words of log-probability -30 and -40 the result is {right:.2f}, yours {found:.2f}: a small number inside the "
            "logarithm, or a clamp, weighs more than rare words do. torch.logsumexp needs neither.",
            right=right,
            found=found,
        )
    if not abs(found - right) < 0.01:
        return say(
            "For words of log-probability -30 and -40 the result is {right:.2f}, yours {found:.2f}.", right=right, found=found
        )


def _random_scores(generator):
    return 3 * torch.randn(4, 3, generator=generator) - 6, 3 * torch.randn(5, 3, generator=generator) - 6


@exercise(
    "Contextual calibration",
    cases=[
        # In each the prompt prefers a word, and the answer to some text changes: but not where p_cf is multiplied, subtracted
        # without a logarithm, or the same for all classes, nor, in the second, where texts count by their mass.
        (torch.tensor([[0.01, 0.05]]).log(), torch.tensor([[0.001, 0.04]]).log()),
        (
            torch.tensor([[0.4, 0.1, 0.05], [0.4, 0.02, 0.3], [0.3, 0.25, 0.2]]).log(),
            torch.tensor([[0.4, 0.02, 0.001], [0.02, 0.005, 0.02], [0.001, 0.001, 0.02]]).log(),
        ),
        (torch.tensor([[-200.0, -210.0], [-300.0, -250.0]]), torch.tensor([[-220.0, -240.0]])),
    ],
    fresh=_random_scores,
    idea=(
        "What the model answers to texts that say nothing is its bias. Dividing by that answer, which is a subtraction of "
        "logarithms, and renormalising over the classes makes such texts come out about even."
    ),
    steps=(
        (
            "Turn the row of each content-free text into probabilities that sum to one over the classes, so that every text "
            "counts alike: (m, classes)."
        ),
        "Average these probabilities, not their logarithms, over the texts: p_cf has one number per class, (classes,).",
        (
            "The scores are logarithms, so dividing by p_cf is subtracting its logarithm from every row; exp of the scores "
            "could round to 0."
        ),
        "Renormalise at the end over the classes, dim 1, and stay with logarithms: (n, classes).",
    ),
)
def contextual_calibration(scores, content_free):
    return prompts.contextual_calibration(scores, content_free)


@contextual_calibration.mistake(
    "You multiply by the content-free answer, which doubles the bias. Divide by it: subtract its logarithm."
)
def multiplied(s, c):
    return (s + c.softmax(dim=1).mean(dim=0).log()).log_softmax(dim=1)


@contextual_calibration.mistake("Your probabilities no longer sum to one: renormalise over the labels after the division.")
def not_renormalised(s, c):
    return s.log_softmax(dim=1) - c.softmax(dim=1).mean(dim=0).log()


@contextual_calibration.mistake(
    "Each content-free text must count alike: renormalise its label probabilities first, then take the mean."
)
def content_free_as_it_is(s, c):
    return (s - c.exp().mean(dim=0).log()).log_softmax(dim=1)


@contextual_calibration.mistake(
    "You average the content-free logarithms. Zhao et al. average the probabilities, then take the logarithm."
)
def mean_of_logarithms(s, c):
    return (s - c.mean(dim=0)).log_softmax(dim=1)


@contextual_calibration.mistake(
    "Your content-free texts change nothing: they give every label the same share, as a softmax over the texts does. The "
    "probabilities of one text's labels sum to one: dim=1."
)
def no_effect(s, c):
    return (s - c.softmax(dim=0).mean(dim=0).log()).log_softmax(dim=1)


@contextual_calibration.mistake("You return probabilities. Log-probabilities are asked for.")
def probabilities(s, c):
    return contextual_calibration(s, c).exp()


@contextual_calibration.mistake(
    "You stop after the subtraction, so the probabilities do not sum to one. Renormalise over the labels: log_softmax."
)
def last_step_missing(s, c):
    return s - c.softmax(dim=1).mean(dim=0).log()


@contextual_calibration.mistake(
    "You put probabilities into the last softmax, which takes exp of them once more. It needs logarithms: subtract log p_cf."
)
def softmax_of_probabilities(s, c):
    return (s.softmax(dim=1) / c.softmax(dim=1).mean(dim=0)).log_softmax(dim=1)


@contextual_calibration.mistake(
    "You subtract the content-free probability from a logarithm. Dividing by it is subtracting its logarithm."
)
def logarithm_forgotten(s, c):
    return (s - c.softmax(dim=1).mean(dim=0)).log_softmax(dim=1)


@contextual_calibration.mistake(
    "You average the content-free probabilities over the labels, which gives the same number for each. Average over the texts: "
    "dim=0."
)
def mean_over_labels(s, c):
    return (s - c.softmax(dim=1).mean(dim=1, keepdim=True).log()).log_softmax(dim=1)


@contextual_calibration.mistake("You use the first content-free text only. Take the mean of all.")
def first_text_only(s, c):
    return contextual_calibration(s, c[:1])


@contextual_calibration.mistake(
    "Your last softmax runs over the texts. The probabilities of one text's labels must sum to one: dim=1."
)
def normalised_over_texts(s, c):
    return (s - c.softmax(dim=1).mean(dim=0).log()).log_softmax(dim=0)


@contextual_calibration.mistake(
    "You take p_cf from the scores that are to be calibrated. It comes from the content-free texts."
)
def scores_for_content_free(s, c):
    return contextual_calibration(s, s)


@contextual_calibration.property("A text that says nothing comes out even.")
def _content_free_becomes_even(function, generator):
    content_free = torch.randn(1, 4, generator=generator) - 5
    probabilities = function(content_free, content_free).exp()
    if not torch.allclose(probabilities, torch.full((1, 4), 0.25).double(), atol=1e-4):
        return say("A text that says nothing must come out with equal probabilities for all labels, and they must sum to one.")


def _answers_under_a_bias(function, generator, biased):
    """`fails` of a calibration: the answers to texts whose classes are plain, under a prompt that prefers one word.

    biased(bias): what the calibration learns the bias from. Without calibration every answer is that word.
    """
    y = torch.arange(3).repeat(4)
    bias = torch.zeros(3)
    bias[int(torch.randint(3, (1,), generator=generator))] = 5.0
    scores = (3 * torch.eye(3)[y] + bias).log_softmax(dim=1) - 2
    right = int((function(scores, biased(bias)).argmax(dim=1) == y).sum())
    if right < len(y):
        return "bias_left", say(
            "A prompt prefers one word: without a calibration it classifies 4 of 12 texts correctly, with yours {right}. All "
            "12 are possible.",
            right=right,
        )


@contextual_calibration.property("A prompt that prefers one word classifies correctly after it.")
def _contextual_changes_answers(function, generator):
    return _answers_under_a_bias(
        function, generator, lambda bias: bias + 0.3 * torch.randn(4, 3, generator=generator) - torch.arange(4.0)[:, None]
    )


@exercise(
    "Calibration by unlabelled texts",
    cases=[
        (torch.tensor([[-1.0, -4.0]]), torch.tensor([[-1.0, -6.0], [-2.0, -9.0], [-0.6, -8.0]])),
        (
            torch.tensor([[-1.0, -4.0, -2.0], [-3.0, -3.0, -5.0]]),
            torch.tensor([[-2.0, -6.0, -1.0], [-1.0, -2.0, -3.0], [-6.0, -3.0, -8.0]]),
        ),
    ],
    fresh=_random_scores,
    idea=(
        "Some words are likely whatever the text, and a class's mean score over unlabelled texts shows how likely. Subtracting "
        "each class's own mean removes this bias, as long as the classes are about equally frequent among those texts."
    ),
    steps=(
        "Take the mean of the unlabelled scores, as they are, over the texts and not over the classes: (classes,).",
        "Subtract it from every row of `scores`: each text keeps its row, (n, classes).",
        (
            "Stop there: no softmax, no division by the spread, and no mean of `scores`, which belong to the texts to be "
            "classified."
        ),
    ),
)
def mean_logit_calibration(scores, unlabelled):
    return prompts.mean_logit_calibration(scores, unlabelled)


@mean_logit_calibration.mistake(
    "You subtract each text's own mean, which changes no answer. Subtract each class's mean over other texts."
)
def mean_of_the_text(s, u):
    return s - s.mean(dim=1, keepdim=True)


@mean_logit_calibration.mistake(
    "You take the mean of the scores to be calibrated: that is the test set. Use the unlabelled texts."
)
def test_set_used(s, u):
    return s - s.mean(dim=0)


@mean_logit_calibration.mistake("You add the means. A word that is likely everywhere must lose: subtract them.")
def added(s, u):
    return s + u.mean(dim=0)


@mean_logit_calibration.mistake(
    "You also divide by the spread. Then a class that is hardly ever sure gets louder. Subtract the mean, no more."
)
def standardised(s, u):
    return (s - u.mean(dim=0)) / u.std(dim=0)


@mean_logit_calibration.mistake(
    "You average probabilities and take the logarithm of that. Here the mean is taken of the scores as they are."
)
def logarithm_of_the_mean(s, u):
    return s - u.logsumexp(dim=0) + math.log(len(u))


@mean_logit_calibration.mistake(
    "You subtract one number from all scores, which changes no answer. Each class has its own mean: mean(dim=0)."
)
def one_mean_for_all(s, u):
    return s - u.mean()


@mean_logit_calibration.mistake("You subtract the median. The mean is asked for.")
def median(s, u):
    return s - u.median(dim=0).values


@mean_logit_calibration.mistake(
    "Your mean takes in the scores to be calibrated, and those are the test set. Use the unlabelled texts alone."
)
def pooled(s, u):
    return s - torch.cat([s, u]).mean(dim=0)


@mean_logit_calibration.mistake("You average over the classes. Each class needs its mean over the unlabelled texts: dim=0.")
def mean_over_classes(s, u):
    return s - u.mean(dim=1, keepdim=True)


@mean_logit_calibration.mistake("You subtract the sum over the unlabelled texts. Take their mean, whatever their number.")
def summed(s, u):
    return s - u.sum(dim=0)


@mean_logit_calibration.mistake(
    "You divide by the number of texts to be calibrated. A mean divides by its own: len(unlabelled)."
)
def divided_by_the_scores(s, u):
    return s - u.sum(dim=0) / len(s)


@mean_logit_calibration.mistake("You divide by m - 1, which is for standard deviations. The mean of m texts divides by m.")
def divided_by_m_minus_1(s, u):
    return s - u.sum(dim=0) / max(len(u) - 1, 1)


@mean_logit_calibration.mistake(
    "You subtract the scores from the mean, so the worst class wins. Subtract the mean from the scores."
)
def other_way_round(s, u):
    return u.mean(dim=0) - s


@mean_logit_calibration.mistake("You use the first unlabelled text only. Take the mean of all.")
def first_text_only(s, u):
    return s - u[0]


@mean_logit_calibration.mistake("You renormalise at the end. The scores minus the means are asked for, no more.")
def renormalised(s, u):
    return (s - u.mean(dim=0)).log_softmax(dim=1)


@mean_logit_calibration.mistake("You divide by the mean. These are logarithms: subtract it.")
def divided(s, u):
    return s / u.mean(dim=0)


@mean_logit_calibration.mistake(
    "You turn the unlabelled scores into log-probabilities first. Take the mean of the scores as they are."
)
def unlabelled_normalised(s, u):
    return s - u.log_softmax(dim=1).mean(dim=0)


@mean_logit_calibration.mistake(
    "You also subtract each text's own mean. Subtract each class's mean over the unlabelled texts, no more."
)
def centred_twice(s, u):
    return (s - u.mean(dim=0)) - (s - u.mean(dim=0)).mean(dim=1, keepdim=True)


@mean_logit_calibration.property("A prompt that prefers one word classifies correctly after it.")
def _mean_logit_changes_answers(function, generator):
    return _answers_under_a_bias(
        function, generator, lambda bias: (3 * torch.eye(3).repeat(2, 1) + bias).log_softmax(dim=1) - torch.arange(6.0)[:, None]
    )


@mean_logit_calibration.property("Calibrated by itself every class has mean zero.")
def _unlabelled_mean_becomes_zero(function, generator):
    scores = torch.randn(5, 3, generator=generator) - 4
    if function(scores, scores).mean(dim=0).abs().max() > 1e-4:
        return say("Calibrated by itself, every class must have the mean score zero.")


def _random_demonstrations(generator):
    texts = ["a red fruit", "a small bird", "one who bakes", "a tall tree"]
    orders = [torch.tensor([2, 3, 1, 0]), torch.tensor([1, 3, 0, 2]), torch.tensor([3, 0, 2, 1])]
    order = orders[int(torch.randint(3, (1,), generator=generator))]
    return texts, torch.tensor([2, 0, 1, 3]), ["animal", "person", "food", "plant"], "{x} is a kind of", order


@exercise(
    "A prompt of demonstrations",
    cases=[
        (["a small bird"], torch.tensor([1]), ["food", "animal"], "{x} ->", torch.tensor([0])),
        (["a set {x} of {1}", "a bird"], torch.tensor([1, 0]), ["animal", "shape"], "{x} {is}", torch.tensor([0, 1])),
        (["one\\two"], torch.tensor([0]), ["path"], "Text:\n{x}\n", torch.tensor([0])),
        (["a bird"], torch.tensor([0]), ["animal"], "  {x}\n", torch.tensor([0])),
        (
            ["a red fruit", "a small bird", "one who bakes"],
            torch.tensor([2, 0, 1]),
            ["animal", "person", "food"],
            "{x} is a",
            torch.tensor([2, 0, 1]),
        ),
    ],
    fresh=_random_demonstrations,
    idea=(
        "Solved examples in the prompt show the model a pattern that it continues, without any change of its weights. So every "
        "demonstration must look like the question that will follow, with the answer written behind it."
    ),
    steps=(
        "Follow `order` from its beginning: each entry is the number of the text that comes next, and its label goes with it.",
        "Fill the template for one text at a time, by replacing the slot; str.format would stumble over any other brace in it.",
        "The answer is a word and not a number: look up the label in `words`, and put one space before it.",
        "Each demonstration ends with a single line end, the last one too; join them with nothing else between them.",
    ),
)
def demonstration_prompt(texts, labels, words, template, order):
    return in_context.demonstration_prompt(texts, labels, words, template, order)


def _demonstrations(texts, labels, words, template, order, *, joint=" ", end="\n", answer=None, filled=None):
    """`demonstration_prompt` with one step changed."""
    answer = answer or (lambda i: words[labels[i]])
    filled = filled or (lambda i: template.replace("{x}", texts[i]))
    return "".join(f"{filled(i)}{joint}{answer(i)}{end}" for i in order.tolist())


@demonstration_prompt.mistake("Your demonstrations are in the order of the list. Put them in the order that `order` gives.")
def order_ignored(texts, labels, words, template, order):
    return _demonstrations(texts, labels, words, template, torch.arange(len(texts)))


@demonstration_prompt.mistake(
    "You reorder the texts but not their labels, so most demonstrations are wrong. Take labels[i] with texts[i]."
)
def labels_not_moved(texts, labels, words, template, order):
    return "".join(f"{template.replace('{x}', texts[i])} {words[labels[k]]}\n" for k, i in enumerate(order.tolist()))


@demonstration_prompt.mistake("You write the label's number. The model reads words: words[labels[i]].")
def number_of_the_label(texts, labels, words, template, order):
    return _demonstrations(texts, labels, words, template, order, answer=lambda i: int(labels[i]))


@demonstration_prompt.mistake("The label's word needs a space before it; without it the tokens are different.")
def no_space(*arguments):
    return _demonstrations(*arguments, joint="")


@demonstration_prompt.mistake("End each demonstration with a new line, so that the model sees where the next one begins.")
def no_new_line(*arguments):
    return _demonstrations(*arguments, end=" ")


@demonstration_prompt.mistake("The template is missing. Demonstrations must look like the question that follows them.")
def template_left_out(texts, labels, words, template, order):
    return _demonstrations(texts, labels, words, template, order, filled=lambda i: texts[i])


@demonstration_prompt.mistake(
    "You read `order` the other way: as the place to which each text goes. It gives the text for each place: texts[i] for i in "
    "order."
)
def inverse_order(texts, labels, words, template, order):
    return demonstration_prompt(texts, labels, words, template, order.argsort())


@demonstration_prompt.mistake(
    "Your demonstrations come in the reverse of the order that is wanted. Read `order` from its beginning."
)
def reversed_(texts, labels, words, template, order):
    return demonstration_prompt(texts, labels, words, template, order.flip(0))


@demonstration_prompt.mistake(
    "You reorder the labels but not the texts, so most demonstrations are wrong. Take texts[i] with labels[i]."
)
def texts_not_moved(texts, labels, words, template, order):
    return "".join(f"{template.replace('{x}', texts[k])} {words[labels[i]]}\n" for k, i in enumerate(order.tolist()))


@demonstration_prompt.mistake("There is an empty line after each demonstration. One line end is enough.")
def empty_lines(*arguments):
    return _demonstrations(*arguments, end="\n\n")


@demonstration_prompt.mistake("A space stands between the word and the line end. The line end follows the word at once.")
def space_after_the_word(*arguments):
    return _demonstrations(*arguments, end=" \n")


@demonstration_prompt.mistake("The last demonstration has no line end. The question follows it, so it needs one too.")
def last_line_end_missing(*arguments):
    return demonstration_prompt(*arguments)[:-1]


@demonstration_prompt.mistake("The demonstrations follow each other without anything between. End each with a line end.")
def no_line_end(*arguments):
    return _demonstrations(*arguments, end="")


@demonstration_prompt.mistake("A line end stands between the question and its word. A space belongs there.")
def word_on_its_own_line(*arguments):
    return _demonstrations(*arguments, joint="\n")


@demonstration_prompt.mistake("Two spaces stand before the word. One is enough.")
def two_spaces(*arguments):
    return _demonstrations(*arguments, joint="  ")


@demonstration_prompt.mistake("str.format stumbles over every other brace of a template. Only {x} is to be filled: replace.")
def str_format(texts, labels, words, template, order):
    return _demonstrations(texts, labels, words, template, order, filled=lambda i: template.format(x=texts[i]))


@demonstration_prompt.mistake(
    "You fill the texts in when the templates are joined already, so a text that holds {x} is filled too. Fill each template "
    "on its own."
)
def filled_at_the_end(texts, labels, words, template, order):
    prompt = _demonstrations(texts, labels, words, template, order, filled=lambda i: template)
    for i in order.tolist():
        prompt = prompt.replace("{x}", texts[i], 1)
    return prompt


@demonstration_prompt.mistake("The template stays as it is, with {x} in it. Put the text in its place.")
def not_filled(texts, labels, words, template, order):
    return _demonstrations(texts, labels, words, template, order, filled=lambda i: template)


@demonstration_prompt.mistake("The words are missing: a demonstration is a question with its answer.")
def words_missing(*arguments):
    return _demonstrations(*arguments, joint="", answer=lambda i: "")


@demonstration_prompt.mistake("You take word number i for text number i. A text's word is that of its class: words[labels[i]].")
def words_in_turn(texts, labels, words, template, order):
    return _demonstrations(texts, labels, words, template, order, answer=lambda i: words[i])


@demonstration_prompt.mistake("You strip spaces or line ends from the filled template. They are part of it: leave it as it is.")
def stripped(texts, labels, words, template, order):
    return demonstration_prompt([text.strip() for text in texts], labels, words, template.strip(), order)


def _random_swaps(generator):
    current = torch.randperm(7, generator=generator)[:3]
    return torch.randn(3, 4, generator=generator), current, torch.randn(7, 4, generator=generator)


@exercise(
    "What another word would change",
    cases=[
        (torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.tensor([[1.0, 2.0], [3.0, 0.0], [-2.0, 1.0]])),
        (
            torch.tensor([[1.0, -1.0], [0.5, 2.0]]),
            torch.tensor([2, 0]),
            torch.tensor([[1.0, 2.0], [3.0, 0.0], [-2.0, 1.0], [0.0, 1.0]]),
        ),
    ],
    fresh=_random_swaps,
    idea=(
        "To first order, a swap changes the loss by a dot product: the step from the current word's vector to the new one's, "
        "times the gradient at that position. So a single gradient ranks all words at all positions."
    ),
    steps=(
        (
            "The product with a difference is a difference of products, so the new words and the current ones can be treated "
            "apart."
        ),
        "Every position's gradient meets the vector of every word: one matrix product, (m, V).",
        (
            "For the current words, position j meets the vector of its own word only, which `current` names: one number per "
            "position."
        ),
        "Subtract that number from the whole row of its position, so it needs the shape (m, 1); do not add up the positions.",
        (
            "Check two things: keeping the current word changes nothing, so its entry is 0, and a negative entry promises a "
            "lower loss."
        ),
    ),
)
def swap_estimates(gradient, current, embeddings):
    return triggers.swap_estimates(gradient, current, embeddings)


@swap_estimates.mistake(
    "Your sign is wrong. The change of the loss is plus the gradient times the step; negative values are good."
)
def uphill(g, t, e):
    return -swap_estimates(g, t, e)


@swap_estimates.mistake("You left out the current word. The step is e_w - e_t: keeping the word must change nothing.")
def current_left_out(g, t, e):
    return g @ e.T


@swap_estimates.mistake("That is how far a word is from the current one. The gradient says which direction helps: dot product.")
def distance(g, t, e):
    return torch.cdist(e[t], e)


@swap_estimates.mistake(
    "You normalise to a cosine. The first-order change is the plain dot product: a longer step changes more."
)
def cosine(g, t, e):
    return F.cosine_similarity(e - e[t][:, None], g[:, None], dim=2)


@swap_estimates.mistake("You add up the positions. One token is swapped at a time: every position keeps its own row.")
def summed_over_places(g, t, e):
    return swap_estimates(g, t, e).sum(dim=0, keepdim=True).expand(len(t), -1)


@swap_estimates.mistake("A dot product adds up the products over the features; you average them.")
def mean_over_features(g, t, e):
    return swap_estimates(g, t, e) / e.shape[1]


@swap_estimates.mistake(
    "You subtract the largest value of each row. Subtract that of the current word: keeping the word must change nothing."
)
def largest_subtracted(g, t, e):
    return g @ e.T - (g @ e.T).max(dim=1, keepdim=True).values


@swap_estimates.mistake(
    "You subtract the smallest value of each row. Subtract that of the current word: keeping the word must change nothing."
)
def smallest_subtracted(g, t, e):
    return g @ e.T - (g @ e.T).min(dim=1, keepdim=True).values


@swap_estimates.mistake(
    "You subtract the mean of each row. Subtract the value of the current word: keeping the word must change nothing."
)
def mean_subtracted(g, t, e):
    return g @ e.T - (g @ e.T).mean(dim=1, keepdim=True)


@swap_estimates.mistake(
    "You compare distances from the gradient to the words. The gradient is a direction and no place: take the dot product with "
    "the step."
)
def distance_from_the_gradient(g, t, e):
    return torch.cdist(g, e) - (g - e[t]).norm(dim=1, keepdim=True)


@swap_estimates.mistake(
    "You bring the gradient to length 1. Where it is longer, the same step changes the loss more: keep its length."
)
def gradient_normalised(g, t, e):
    return swap_estimates(F.normalize(g, dim=1), t, e)


@swap_estimates.mistake(
    "You take differences of cosines. The first-order change is the plain dot product with the step, lengths included."
)
def cosines_subtracted(g, t, e):
    return swap_estimates(F.normalize(g, dim=1), t, F.normalize(e, dim=1))


@swap_estimates.mistake("You add up the gradients of all places. Each place has its own gradient and its own row.")
def gradients_added(g, t, e):
    return swap_estimates(g.sum(dim=0).expand_as(g), t, e)


@swap_estimates.mistake("You average the gradients of all places. Each place has its own gradient and its own row.")
def gradients_averaged(g, t, e):
    return swap_estimates(g.mean(dim=0).expand_as(g), t, e)


@swap_estimates.mistake(
    "Place j gets row j of the embeddings for its current word. Its word is current[j]: embeddings[current]."
)
def rows_of_places(g, t, e):
    return swap_estimates(g, torch.arange(len(t)), e)


@swap_estimates.mistake("You take the size without the sign. The sign says whether the loss falls: negative is better.")
def sign_lost(g, t, e):
    return swap_estimates(g, t, e).abs()


@swap_estimates.mistake("You add the current word's value. The step goes from it to the other word: subtract.")
def current_added(g, t, e):
    return g @ e.T + (g * e[t]).sum(dim=1, keepdim=True)


@swap_estimates.mistake(
    "All places get the first one's current word. Each has its own: embeddings[current] has a row for each."
)
def word_of_the_first(g, t, e):
    return swap_estimates(g, t[:1].expand_as(t), e)


@swap_estimates.mistake(
    "You subtract the products of all places. Each place has its own current word: one number for each row."
)
def all_places_subtracted(g, t, e):
    return g @ e.T - (g * e[t]).sum()


@swap_estimates.mistake(
    "You divide by the length of the step. The first-order change is the plain dot product: a longer step changes more."
)
def step_normalised(g, t, e):
    return (F.normalize(e - e[t][:, None], dim=2) * g[:, None]).sum(dim=2)
