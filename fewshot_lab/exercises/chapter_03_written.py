"""Chapter 03, texts written by a language model: the nucleus that tokens are drawn from, the filter that reads them back."""

import torch

from ..languages import say
from ..methods import written_texts
from .declare import exercise


def _random_distributions(generator):
    """Four rows of six probabilities, all different, and a p that no sum of theirs equals."""
    weights = 0.05 + torch.rand(4, 6, generator=generator) ** 3
    return weights / weights.sum(dim=1, keepdim=True), (0.35, 0.6, 0.85)[int(torch.randint(3, (), generator=generator))]


# Halves of halves, so that sums that equal p do so exactly.
_HALVES = torch.tensor([[0.125, 0.5, 0.25, 0.0625, 0.0625]])


@exercise(
    "The nucleus of a distribution",
    cases=[
        (torch.tensor([[0.5, 0.3, 0.2]]), 0.7),
        (_HALVES, 0.7),
        (_HALVES, 0.75),  # the two largest reach it exactly
        (torch.tensor([[0.1, 0.6, 0.3], [0.35, 0.25, 0.4]]), 0.55),  # one token is enough, then two
        (torch.tensor([[0.05, 0.9, 0.05]]), 0.2),  # the first one alone is more than p
        (_HALVES, 1.0),
        (torch.tensor([[0.0, 0.75, 0.25, 0.0]]), 1.0),
        (torch.tensor([[0.05, 0.2, 0.1, 0.4, 0.25], [0.02, 0.9, 0.03, 0.04, 0.01], [0.21, 0.19, 0.18, 0.2, 0.22]]), 0.8),
    ],
    fresh=_random_distributions,
    idea=(
        "The most probable tokens go into the set one by one until their sum is at least p; how many that takes differs from "
        "row to row. The others get 0, and what is left is made a distribution again."
    ),
    steps=(
        (
            "Sort every row from the most probable token to the least, and keep track of where each came from: `sort` "
            "returns both."
        ),
        (
            "For each token in this order find the sum of those before it. `cumsum` includes the token itself, so take its own "
            "probability off again."
        ),
        (
            "A token is in the set while the sum before it is still below p. So the one that crosses p is in, and the first "
            "one always is."
        ),
        "Put the kept probabilities back where their tokens stand, with 0 for the others: `scatter` undoes the sorting.",
        "Divide each row by its own sum.",
    ),
)
def nucleus(probabilities, p):
    return written_texts.nucleus(probabilities, p)


def _placed(probabilities, kept_of, descending=True):
    """Each row with what `kept_of(ordered, sums)` keeps of its sorted tokens, not renormalised."""
    ordered, tokens = probabilities.sort(dim=1, descending=descending)
    kept = kept_of(ordered, ordered.cumsum(dim=1))
    return torch.zeros_like(probabilities).scatter(1, tokens, ordered * kept)


def _renormalised(kept):
    return kept / kept.sum(dim=1, keepdim=True)


def _set(probabilities, p):
    return (nucleus(probabilities, p) > 0) * probabilities


@nucleus.mistake(
    "The token that crosses p is missing, so your set falls short of p. A token is in when the sum of those before it is "
    "below p."
)
def crossing_token_dropped(probabilities, p):
    return _renormalised(_placed(probabilities, lambda ordered, sums: sums <= p))


@nucleus.mistake(
    "The token that reaches p is missing, so your set falls short of p or holds nothing. A token is in when the sum of those "
    "before it is below p."
)
def reaching_token_dropped(probabilities, p):
    return _renormalised(_placed(probabilities, lambda ordered, sums: sums < p))


@nucleus.mistake("The token that crosses p is missing, and nothing but the first is left when that one alone is above p.")
def crossing_token_dropped_but_one(probabilities, p):
    first = torch.zeros(probabilities.shape[1])
    first[0] = 1
    return _renormalised(_placed(probabilities, lambda ordered, sums: (sums <= p) | (first > 0)))


@nucleus.mistake("Your set has one token too many where its sum is exactly p. It is the smallest set whose sum is at least p.")
def one_too_many(probabilities, p):
    return _renormalised(_placed(probabilities, lambda ordered, sums: sums - ordered <= p))


@nucleus.mistake("What is left no longer sums to 1. Divide each row by its sum.")
def not_renormalised(probabilities, p):
    return _set(probabilities, p)


@nucleus.mistake("You divide by p. The set may hold more than p: divide by its own sum.")
def divided_by_p(probabilities, p):
    return _set(probabilities, p) / p


@nucleus.mistake("You divide by the sum over all rows. Each row is a distribution of its own.")
def one_sum_for_all_rows(probabilities, p):
    kept = _set(probabilities, p)
    return kept / kept.sum()


@nucleus.mistake("The tokens stay in sorted order. Put each probability back where its token stands: scatter undoes the sort.")
def left_in_sorted_order(probabilities, p):
    return nucleus(probabilities, p).sort(dim=1, descending=True).values


@nucleus.mistake("You sort from the least probable token on, and keep the rare ones. The set holds the most probable.")
def least_probable_kept(probabilities, p):
    return _renormalised(_placed(probabilities, lambda ordered, sums: sums - ordered < p, descending=False))


@nucleus.mistake("You add up the tokens as they stand in the row. Sort each row first, the most probable in front.")
def not_sorted(probabilities, p):
    before = probabilities.cumsum(dim=1) - probabilities
    return _renormalised(probabilities * (before < p))


@nucleus.mistake("You keep the tokens whose own probability is at least p. It is the sum of the set that must reach p.")
def own_probability_against_p(probabilities, p):
    return _renormalised(probabilities * (probabilities >= p))


@nucleus.mistake(
    "You keep the tokens whose probability is at least 1 - p. It is the sum of the set that must reach p, however small "
    "each is."
)
def own_probability_against_the_rest(probabilities, p):
    return _renormalised(probabilities * (probabilities >= 1 - p))


@nucleus.mistake("That is min-p: tokens with at least p times the largest probability. Here the sum of the set must reach p.")
def min_p(probabilities, p):
    return _renormalised(probabilities * (probabilities >= p * probabilities.amax(dim=1, keepdim=True)))


@nucleus.mistake("You keep a share p of the tokens of each row. Count their probability, not their number.")
def share_of_the_tokens(probabilities, p):
    count = max(1, round(p * probabilities.shape[1]))
    return _renormalised(_placed(probabilities, lambda ordered, sums: torch.arange(ordered.shape[1]) < count))


@nucleus.mistake("Every row keeps as many tokens as the first one. That is top-k: let each row count for itself.")
def size_of_the_first_row(probabilities, p):
    count = int((nucleus(probabilities, p)[0] > 0).sum())
    return _renormalised(_placed(probabilities, lambda ordered, sums: torch.arange(ordered.shape[1]) < count))


@nucleus.mistake("You keep the most probable token alone. That is greedy decoding, which writes one text again and again.")
def greedy(probabilities, p):
    return _renormalised(_placed(probabilities, lambda ordered, sums: torch.arange(ordered.shape[1]) < 1))


@nucleus.mistake("You keep what the nucleus leaves out. Its tokens get their probability, the others 0.")
def the_others(probabilities, p):
    return _renormalised(probabilities - _set(probabilities, p))


@nucleus.mistake("The softmax is for logits, and gives the dropped tokens probability again. Divide by the sum instead.")
def softmax_of_the_rest(probabilities, p):
    return _set(probabilities, p).softmax(dim=1)


@nucleus.mistake("You return which tokens are in the set. The exercise asks for their probabilities, renormalised.")
def mask_alone(probabilities, p):
    return (nucleus(probabilities, p) > 0).float()


@nucleus.mistake("All tokens of the set are equally probable in your answer. Keep their probabilities in proportion.")
def uniform_in_the_set(probabilities, p):
    return _renormalised(mask_alone(probabilities, p))


@nucleus.property("Every row is a distribution: nothing below 0, and the sum is 1.", mistake="not_renormalised")
def _is_a_distribution(function, generator):
    probabilities, p = _random_distributions(generator)
    answer = function(probabilities.double(), p)
    if answer.min() < 0 or not torch.allclose(answer.sum(dim=1), torch.ones(4).double()):
        return say("A row has a number below 0, or does not sum to 1.")


@nucleus.property("No token outside of the set is more probable than one in it, and the set reaches p.")
def _holds_the_most_probable(function, generator):
    probabilities, p = _random_distributions(generator)
    inside = function(probabilities.double(), p) > 0
    for row, kept in zip(probabilities.double(), inside, strict=True):
        if not kept.any() or row[kept].sum() < p:
            return "crossing_token_dropped", say("The probabilities of your set sum to less than p.")
        if not kept.all() and row[~kept].max() > row[kept].min():
            return "not_sorted", say("A token that you left out is more probable than one that you kept.")


def _random_scores(generator):
    """Eight texts of four classes; half of them are read back as meant, by leads around the margin."""
    scores = 2 * torch.randn(8, 4, generator=generator) - 3
    meant = torch.randint(4, (8,), generator=generator)
    meant[:4] = scores[:4].argmax(dim=1)
    return scores, meant, (0.0, 0.5, 1.0)[int(torch.randint(3, (), generator=generator))]


_SCORES = torch.tensor([[-1.0, -3.0, -2.0], [-4.0, -1.5, -2.0], [-2.0, -5.0, -1.0], [-3.0, -2.5, -1.0]])


@exercise(
    "Texts that are read back as meant",
    cases=[
        (_SCORES[:2], torch.tensor([0, 0]), 0.0),
        (_SCORES, torch.tensor([0, 1, 0, 2]), 0.0),
        (_SCORES, torch.tensor([0, 1, 0, 2]), 1.0),  # leads of 1, 0.5, -1 and 1.5: the first equals the margin
        (_SCORES, torch.tensor([0, 1, 2, 2]), 1.25),
        (torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.5, 1.0, 3.0]]), torch.tensor([1, 0, 1]), 0.0),  # a tie
        (torch.tensor([[3.0, 2.5], [-3.0, -9.0], [5.0, 5.5]]), torch.tensor([0, 0, 0]), 1.0),
        (torch.tensor([[-8.0, -9.0, -30.0], [-1.0, -1.5, -30.0], [-9.0, -3.0, -2.0]]), torch.tensor([0, 0, 1]), 1.0),
        (torch.tensor([[0.25, 0.0, -0.25], [4.0, 1.0, 3.5], [0.0, 9.0, 0.0]]), torch.tensor([0, 0, 1]), 0.5),
        (torch.tensor([[0.0, -0.25, -5.0]]), torch.tensor([2]), 1.0),  # far behind, and no other class is sure either
    ],
    fresh=_random_scores,
    idea=(
        "A text stays when the class that it was written for has the best score, and leads the best of the others by the "
        "margin. How high the scores are does not matter, only the lead."
    ),
    steps=(
        "Pick each text's score for the class that was meant, (n,): `gather`, or indexing with rows and classes.",
        (
            "Find the best score among the other classes. In a copy of the scores put minus infinity in the place of the meant "
            "class, and take the largest of each row."
        ),
        "The lead is the first minus the second; it is negative where another class is read back.",
        "Keep a text when its lead is at least the margin, so a lead that equals it is enough. Return booleans, one a text.",
    ),
)
def keep_read_back(scores, meant, margin):
    return written_texts.keep_read_back(scores, meant, margin)


def _own(scores, meant):
    return scores.gather(1, meant[:, None])[:, 0]


def _best_other(scores, meant):
    return scores.scatter(1, meant[:, None], -torch.inf).amax(dim=1)


@keep_read_back.mistake("The margin does nothing. The meant class must lead the best other one by at least the margin.")
def margin_ignored(scores, meant, margin):
    return _own(scores, meant) >= _best_other(scores, meant)


@keep_read_back.mistake("The margin does nothing. The meant class must have the best score, and lead by at least the margin.")
def best_class_compared(scores, meant, margin):
    return scores.argmax(dim=1) == meant


@keep_read_back.mistake(
    "You keep every text that the model is sure of, whatever it names. The class that leads must be the one that was meant."
)
def sure_of_any_class(scores, meant, margin):
    first, second = scores.topk(2, dim=1).values.T
    return first - second >= margin


@keep_read_back.mistake(
    "The best score that you compare with includes the meant class itself, which never leads itself. Leave it out first."
)
def own_among_the_others(scores, meant, margin):
    return _own(scores, meant) - scores.amax(dim=1) >= margin


@keep_read_back.mistake("A lead that equals the margin is enough: at least the margin, >=.")
def more_than_the_margin(scores, meant, margin):
    return _own(scores, meant) - _best_other(scores, meant) > margin


@keep_read_back.mistake("You keep what should be dropped. True stands for a text that is read back as meant.")
def the_others_kept(scores, meant, margin):
    return ~keep_read_back(scores, meant, margin)


@keep_read_back.mistake(
    "You compare the meant class's own score with the margin. It is the lead over the other classes that counts."
)
def own_score_against_the_margin(scores, meant, margin):
    return _own(scores, meant) >= margin


@keep_read_back.mistake("You compare with the mean of the other classes. The best of them decides what is read back.")
def mean_of_the_others(scores, meant, margin):
    others = (scores.sum(dim=1) - _own(scores, meant)) / (scores.shape[1] - 1)
    return _own(scores, meant) - others >= margin


@keep_read_back.mistake("You compare with the mean of all classes. The best of the others decides what is read back.")
def mean_of_all(scores, meant, margin):
    return _own(scores, meant) - scores.mean(dim=1) >= margin


@keep_read_back.mistake("You compare with the weakest of the other classes. All of them must stay behind: take the best.")
def worst_of_the_others(scores, meant, margin):
    return _own(scores, meant) - scores.scatter(1, meant[:, None], torch.inf).amin(dim=1) >= margin


@keep_read_back.mistake("You take the lead's absolute value, so a text that is clearly of another class stays.")
def absolute_lead(scores, meant, margin):
    return (_own(scores, meant) - _best_other(scores, meant)).abs() >= margin


@keep_read_back.mistake("Your margin has the wrong sign: a class may now trail by as much. It must lead by the margin.")
def margin_forgives(scores, meant, margin):
    return _own(scores, meant) - _best_other(scores, meant) >= -margin


@keep_read_back.mistake("You subtract the wrong way round. The lead is the meant class's score minus the best other one.")
def lead_turned_round(scores, meant, margin):
    return _best_other(scores, meant) - _own(scores, meant) >= margin


@keep_read_back.mistake("You take the lead between probabilities. The margin is one of the scores as they are.")
def lead_in_probabilities(scores, meant, margin):
    p = scores.softmax(dim=1)
    return _own(p, meant) - _best_other(p, meant) >= margin


@keep_read_back.mistake("You return the numbers of the texts to keep. One True or False for each text is asked for.")
def numbers_returned(scores, meant, margin):
    return keep_read_back(scores, meant, margin).nonzero()[:, 0]


@keep_read_back.mistake("You return the leads. Compare them with the margin.")
def leads_returned(scores, meant, margin):
    return _own(scores, meant) - _best_other(scores, meant)


@keep_read_back.property("A larger margin keeps no text that a smaller one drops.", mistake="margin_forgives")
def _margin_is_strict(function, generator):
    scores, meant, _ = _random_scores(generator)
    loose, strict = function(scores.double(), meant, 0.25), function(scores.double(), meant, 0.75)
    if (strict & ~loose).any():
        return say("With a larger margin you keep a text that you dropped before.")


@keep_read_back.property("Only differences between a text's scores count.", mistake="own_score_against_the_margin")
def _only_differences_count(function, generator):
    scores, meant, margin = _random_scores(generator)
    moved = scores + torch.tensor([-9.0, 0.0, 9.0, 3.0]).repeat(2)[:, None]
    if not torch.equal(function(scores.double(), meant, margin), function(moved.double(), meant, margin)):
        return say("A number added to all scores of a text changes what you keep.")
