"""Chapter 09: log-probability of a sequence, label words that compete, two calibrations, demonstrations, trigger candidates."""

import torch

from ..languages import say
from ..methods.in_context import demonstration_prompt
from ..methods.prompts import (
    class_log_probabilities,
    contextual_calibration,
    mean_logit_calibration,
    sequence_log_probability,
)
from ..methods.triggers import swap_estimates
from .declare import Exercise, Mistake, Property


def _summed(logits, tokens, first, shift):
    """The log-probabilities of tokens first.., read from the logits `shift` rows before, added up."""
    log_p = logits.log_softmax(dim=-1)
    return sum(log_p[t - shift, tokens[t]] for t in range(first, len(tokens)))


def _random_sequence(generator):
    return 2 * torch.randn(6, 5, generator=generator), torch.randint(5, (6,), generator=generator), 3


def _random_scores(generator):
    return (3 * torch.randn(4, 3, generator=generator) - 6, 3 * torch.randn(5, 3, generator=generator) - 6)


def _random_words(generator):
    return (2 * torch.randn(4, 8, generator=generator)).log_softmax(dim=1), [[0, 3, 5], [1, 6], [2]]


def _random_swaps(generator):
    current = torch.randperm(7, generator=generator)[:3]
    return torch.randn(3, 4, generator=generator), current, torch.randn(7, 4, generator=generator)


def _random_demonstrations(generator):
    texts = ["a red fruit", "a small bird", "one who bakes", "a tall tree"]
    order = [torch.tensor([2, 3, 1, 0]), torch.tensor([1, 3, 0, 2]), torch.tensor([3, 0, 2, 1])]
    pick = order[int(torch.randint(3, (1,), generator=generator))]
    return texts, torch.tensor([2, 0, 1, 3]), ["animal", "person", "food", "plant"], "{x} is a kind of", pick


def _demonstrations(texts, labels, words, template, order, *, joint=" ", end="\n", answer=None, filled=None):
    answer = answer or (lambda i: words[labels[i]])
    filled = filled or (lambda i: template.replace("{x}", texts[i]))
    return "".join(f"{filled(i)}{joint}{answer(i)}{end}" for i in order.tolist())


def _content_free_becomes_even(function, generator):
    content_free = torch.randn(1, 4, generator=generator) - 5
    found = function(content_free, content_free).exp()
    if not torch.allclose(found, torch.full((1, 4), 0.25), atol=1e-4):
        return say("A text that says nothing must come out with equal probabilities for all labels, and they must sum to one.")


def _unlabelled_mean_becomes_zero(function, generator):
    scores = torch.randn(5, 3, generator=generator) - 4
    if function(scores, scores).mean(dim=0).abs().max() > 1e-4:
        return say("Calibrated by itself, every class must have the mean score zero.")


EXERCISES = [
    Exercise(
        "sequence_log_probability",
        "09",
        "Log-probability of a continuation",
        sequence_log_probability,
        cases=(
            (torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 0]), 1),
            (torch.tensor([[0.0, 1.0, 0.5], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 4.0]]), torch.tensor([2, 1, 0, 2]), 2),
        ),
        fresh=_random_sequence,
        mistakes=(
            Mistake(
                "not_shifted",
                lambda logits, tokens, given: _summed(logits, tokens, given, 0),
                "You read token t's probability from row t. Row t is what the model says after token t, about token t + 1: "
                "token t stands in row t - 1.",
            ),
            Mistake(
                "prompt_counted",
                lambda logits, tokens, given: _summed(logits, tokens, 1, 1),
                "You count the prompt's own tokens too. Only the tokens from `given` on are the answer.",
            ),
            Mistake(
                "first_token_missed",
                lambda logits, tokens, given: torch.as_tensor(_summed(logits, tokens, given + 1, 1), dtype=torch.float32),
                "The first token of the answer is missing. The prompt's last row, given - 1, speaks about it.",
            ),
            Mistake(
                "mean",
                lambda logits, tokens, given: sequence_log_probability(logits, tokens, given) / (len(tokens) - given),
                "You take the mean over the tokens. A probability of a sequence is a product, so logarithms are added up.",
            ),
            Mistake(
                "raw_logits",
                lambda logits, tokens, given: logits[given - 1 : -1].gather(1, tokens[given:, None]).sum(),
                "You add up logits. Turn each row into log-probabilities first: log_softmax over the vocabulary.",
            ),
        ),
    ),
    Exercise(
        "class_log_probabilities",
        "09",
        "Several words for a class",
        class_log_probabilities,
        cases=(
            (torch.tensor([[0.5, 0.2, 0.3]]).log(), [[0, 2], [1]]),
            (torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]).log(), [[0], [1, 2, 3]]),
        ),
        fresh=_random_words,
        mistakes=(
            Mistake(
                "logarithms_added",
                lambda log_p, words: torch.stack([log_p[:, ids].sum(dim=1) for ids in words], dim=1),
                "You add logarithms, which multiplies the probabilities. Words are alternatives: add the probabilities.",
            ),
            Mistake(
                "mean_of_logarithms",
                lambda log_p, words: torch.stack([log_p[:, ids].mean(dim=1) for ids in words], dim=1),
                "You take the mean of the logarithms. One rare synonym then spoils a class. Add the probabilities.",
            ),
            Mistake(
                "best_word",
                lambda log_p, words: torch.stack([log_p[:, ids].max(dim=1).values for ids in words], dim=1),
                "You keep the best word only. The probability of the others belongs to the class too: add them up.",
            ),
            Mistake(
                "first_word",
                lambda log_p, words: torch.stack([log_p[:, ids[0]] for ids in words], dim=1),
                "You use the first word of each class only, so its synonyms still take probability away from it.",
            ),
            Mistake(
                "no_logarithm",
                lambda log_p, words: class_log_probabilities(log_p, words).exp(),
                "You return probabilities. The logarithm is asked for.",
            ),
        ),
    ),
    Exercise(
        "contextual_calibration",
        "09",
        "Contextual calibration",
        contextual_calibration,
        cases=(
            (torch.tensor([[0.4, 0.1]]).log(), torch.tensor([[0.3, 0.1]]).log()),
            (torch.tensor([[0.2, 0.1, 0.1], [0.1, 0.3, 0.1]]).log(), torch.tensor([[0.02, 0.01, 0.01], [0.1, 0.5, 0.2]]).log()),
        ),
        fresh=_random_scores,
        mistakes=(
            Mistake(
                "multiplied",
                lambda s, c: (s + c.softmax(dim=1).mean(dim=0).log()).log_softmax(dim=1),
                "You multiply by the content-free answer, which doubles the bias. Divide by it: subtract its logarithm.",
            ),
            Mistake(
                "not_renormalised",
                lambda s, c: s.log_softmax(dim=1) - c.softmax(dim=1).mean(dim=0).log(),
                "Your probabilities no longer sum to one: renormalise over the labels after the division.",
            ),
            Mistake(
                "content_free_as_it_is",
                lambda s, c: (s - c.exp().mean(dim=0).log()).log_softmax(dim=1),
                "Each content-free text must count alike: renormalise its label probabilities first, then take the mean.",
            ),
            Mistake(
                "mean_of_logarithms",
                lambda s, c: (s - c.mean(dim=0)).log_softmax(dim=1),
                "You average the content-free logarithms. Zhao et al. average the probabilities, then take the logarithm.",
            ),
            Mistake(
                "over_the_texts",
                lambda s, c: (s - c.softmax(dim=0).mean(dim=0).log()).log_softmax(dim=1),
                "Your softmax runs over the texts. The probabilities of one text's labels sum to one: dim=1.",
            ),
            Mistake(
                "probabilities",
                lambda s, c: contextual_calibration(s, c).exp(),
                "You return probabilities. Log-probabilities are asked for.",
            ),
        ),
        properties=(Property("A text that says nothing comes out even.", _content_free_becomes_even),),
    ),
    Exercise(
        "mean_logit_calibration",
        "09",
        "Calibration by unlabelled texts",
        mean_logit_calibration,
        cases=(
            (torch.tensor([[-1.0, -4.0]]), torch.tensor([[-1.0, -6.0], [-2.0, -4.0]])),
            (torch.tensor([[-1.0, -4.0, -2.0], [-3.0, -3.0, -5.0]]), torch.tensor([[-2.0, -6.0, -1.0], [-1.0, -2.0, -3.0]])),
        ),
        fresh=_random_scores,
        mistakes=(
            Mistake(
                "mean_of_the_text",
                lambda s, u: s - s.mean(dim=1, keepdim=True),
                "You subtract each text's own mean, which changes no answer. Subtract each class's mean over other texts.",
            ),
            Mistake(
                "test_set_used",
                lambda s, u: s - s.mean(dim=0),
                "You take the mean of the scores to be calibrated: that is the test set. Use the unlabelled texts.",
            ),
            Mistake(
                "added",
                lambda s, u: s + u.mean(dim=0),
                "You add the means. A word that is likely everywhere must lose: subtract them.",
            ),
            Mistake(
                "standardised",
                lambda s, u: (s - u.mean(dim=0)) / u.std(dim=0),
                "You also divide by the spread. Then a class that is hardly ever sure gets louder. Subtract the mean, no more.",
            ),
        ),
        properties=(Property("Calibrated by itself every class has mean zero.", _unlabelled_mean_becomes_zero),),
    ),
    Exercise(
        "demonstration_prompt",
        "09",
        "A prompt of demonstrations",
        demonstration_prompt,
        cases=(
            (["a small bird"], torch.tensor([1]), ["food", "animal"], "{x} ->", torch.tensor([0])),
            (
                ["a red fruit", "a small bird", "one who bakes"],
                torch.tensor([2, 0, 1]),
                ["animal", "person", "food"],
                "{x} is a",
                torch.tensor([2, 0, 1]),
            ),
        ),
        fresh=_random_demonstrations,
        mistakes=(
            Mistake(
                "order_ignored",
                lambda texts, labels, words, template, order: _demonstrations(
                    texts, labels, words, template, torch.arange(len(texts))
                ),
                "Your demonstrations stand in the order of the list. Place them as `order` says.",
            ),
            Mistake(
                "labels_not_moved",
                lambda texts, labels, words, template, order: "".join(
                    f"{template.replace('{x}', texts[i])} {words[labels[place]]}\n" for place, i in enumerate(order.tolist())
                ),
                "You reorder the texts but not their labels, so most demonstrations are wrong. Take labels[i] with texts[i].",
            ),
            Mistake(
                "number_of_the_label",
                lambda *given: _demonstrations(*given, answer=lambda i: int(given[1][i])),
                "You write the label's number. The model reads words: words[labels[i]].",
            ),
            Mistake(
                "no_space",
                lambda *given: _demonstrations(*given, joint=""),
                "The label's word needs a space before it; without it the tokens are others.",
            ),
            Mistake(
                "no_new_line",
                lambda *given: _demonstrations(*given, end=" "),
                "End each demonstration with a new line, so that the model sees where the next one begins.",
            ),
            Mistake(
                "template_left_out",
                lambda *given: _demonstrations(*given, filled=lambda i: given[0][i]),
                "The template is missing. Demonstrations must look like the question that follows them.",
            ),
        ),
    ),
    Exercise(
        "swap_estimates",
        "09",
        "What another word would change",
        swap_estimates,
        cases=(
            (torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.tensor([[1.0, 2.0], [3.0, 0.0], [-2.0, 1.0]])),
            (
                torch.tensor([[1.0, -1.0], [0.5, 2.0]]),
                torch.tensor([2, 0]),
                torch.tensor([[1.0, 2.0], [3.0, 0.0], [-2.0, 1.0], [0.0, 1.0]]),
            ),
        ),
        fresh=_random_swaps,
        mistakes=(
            Mistake(
                "uphill",
                lambda g, t, e: -swap_estimates(g, t, e),
                "Your sign is wrong. The change of the loss is plus the gradient times the step; negative values are good.",
            ),
            Mistake(
                "current_left_out",
                lambda g, t, e: g @ e.T,
                "You left out the word that stands there now. The step is e_w - e_t: keeping the word must change nothing.",
            ),
            Mistake(
                "distance",
                lambda g, t, e: torch.cdist(e[t], e),
                "That is how far a word is from the present one. The gradient says which direction helps: dot product.",
            ),
            Mistake(
                "cosine",
                lambda g, t, e: torch.nn.functional.cosine_similarity((e - e[t][:, None]), g[:, None], dim=2),
                "You normalise to a cosine. The first-order change is the plain dot product: a longer step changes more.",
            ),
            Mistake(
                "summed_over_places",
                lambda g, t, e: swap_estimates(g, t, e).sum(dim=0, keepdim=True).expand(len(t), -1),
                "You add up the places. One token is swapped at a time: every place keeps its own row.",
            ),
        ),
    ),
]
