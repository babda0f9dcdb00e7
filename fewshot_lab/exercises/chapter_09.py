"""Chapter 09: log-probability of a sequence, label words that compete, two calibrations, demonstrations, trigger candidates."""

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
    ],
    fresh=_random_sequence,
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


def _random_words(generator):
    return (2 * torch.randn(4, 8, generator=generator)).log_softmax(dim=1), [[0, 3, 5], [1, 6], [2]]


@exercise(
    "Several words for a class",
    cases=[
        (torch.tensor([[0.5, 0.2, 0.3]]).log(), [[0, 2], [1]]),
        (torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]).log(), [[0], [1, 2, 3]]),
        (torch.tensor([[-30.0, -40.0, 0.0], [-0.5, -2.0, -3.0]]), [[0, 1], [2]]),
    ],
    fresh=_random_words,
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


def _random_scores(generator):
    return 3 * torch.randn(4, 3, generator=generator) - 6, 3 * torch.randn(5, 3, generator=generator) - 6


@exercise(
    "Contextual calibration",
    cases=[
        (torch.tensor([[0.4, 0.1]]).log(), torch.tensor([[0.3, 0.1]]).log()),
        (torch.tensor([[0.2, 0.1, 0.1], [0.1, 0.3, 0.1]]).log(), torch.tensor([[0.02, 0.01, 0.01], [0.1, 0.5, 0.2]]).log()),
        (torch.tensor([[-200.0, -210.0], [-300.0, -250.0]]), torch.tensor([[-220.0, -221.0]])),
    ],
    fresh=_random_scores,
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


@contextual_calibration.mistake("Your softmax runs over the texts. The probabilities of one text's labels sum to one: dim=1.")
def over_the_texts(s, c):
    return (s - c.softmax(dim=0).mean(dim=0).log()).log_softmax(dim=1)


@contextual_calibration.mistake("You return probabilities. Log-probabilities are asked for.")
def probabilities(s, c):
    return contextual_calibration(s, c).exp()


@contextual_calibration.property("A text that says nothing comes out even.")
def _content_free_becomes_even(function, generator):
    content_free = torch.randn(1, 4, generator=generator) - 5
    probabilities = function(content_free, content_free).exp()
    if not torch.allclose(probabilities, torch.full((1, 4), 0.25).double(), atol=1e-4):
        return say("A text that says nothing must come out with equal probabilities for all labels, and they must sum to one.")


@exercise(
    "Calibration by unlabelled texts",
    cases=[
        (torch.tensor([[-1.0, -4.0]]), torch.tensor([[-1.0, -6.0], [-2.0, -4.0]])),
        (torch.tensor([[-1.0, -4.0, -2.0], [-3.0, -3.0, -5.0]]), torch.tensor([[-2.0, -6.0, -1.0], [-1.0, -2.0, -3.0]])),
    ],
    fresh=_random_scores,
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
        (
            ["a red fruit", "a small bird", "one who bakes"],
            torch.tensor([2, 0, 1]),
            ["animal", "person", "food"],
            "{x} is a",
            torch.tensor([2, 0, 1]),
        ),
    ],
    fresh=_random_demonstrations,
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
