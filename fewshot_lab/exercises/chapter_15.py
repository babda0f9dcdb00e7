"""Chapter 15: the best of several noisy accuracies, Holm over two ledgers, offers that no other one beats, a budget."""

import math

import torch
from scipy import stats

from ..languages import say
from ..methods import price_list
from .declare import exercise

# Exercise 1: the best of n


def _random_tries(generator):
    images, tries = torch.randint(5, 40, (2,), generator=generator).tolist()
    return 0.3 + 0.5 * torch.rand(1, generator=generator).item(), images, tries


@exercise(
    "The expected best of n",
    cases=[
        (0.5, 1, 1),
        (0.5, 1, 2),
        (0.5, 2, 3),
        (0.8, 100, 1),
        (0.85, 100, 32),
        (0.3, 7, 3),
        (1.0, 20, 5),
        (0.6, 600, 10),
    ],
    fresh=_random_tries,
    tolerance=1e-6,
    idea=(
        "Each setting's number of hits is binomial. The highest of n is at most k when all n are, which has the probability "
        "F(k) to the power n."
    ),
    steps=(
        "Compute F(k), the probability of at most k hits, for k = 0, 1, ..., m - 1: stats.binom.cdf(k, m, accuracy).",
        "All n settings have at most k hits with the probability F(k) ** n, so the best has more with 1 - F(k) ** n.",
        (
            "The mean of a whole number is the sum of the probabilities that it is larger than 0, than 1, and so on: add up "
            "over k. Divide by m, to have an accuracy and not a number of hits."
        ),
    ),
)
def expected_best(accuracy, images, tries):
    return price_list.expected_best(accuracy, images, tries)


def _distribution(accuracy, images):
    return stats.binom.cdf(range(images), images, accuracy)


@expected_best.mistake("That is the true accuracy of one setting. The best of several looks better than each of them is.")
def no_selection(accuracy, images, tries):
    return accuracy


@expected_best.mistake("That is a number of hits. Divide by the number of images.")
def hits_for_accuracy(accuracy, images, tries):
    return images * expected_best(accuracy, images, tries)


@expected_best.mistake("That is the expected worst: all n have more than k with (1 - F) ** n. The best has with 1 - F ** n.")
def worst_of_n(accuracy, images, tries):
    return float(((1 - _distribution(accuracy, images)) ** tries).sum() / images)


@expected_best.mistake("You add up the probabilities of at most k. The mean is the sum of those of more than k: 1 - F ** n.")
def complement_forgotten(accuracy, images, tries):
    return float((_distribution(accuracy, images) ** tries).sum() / images)


@expected_best.mistake("Your sum begins at 1. The probability to have more than 0 hits belongs to it: k = 0, 1, ..., m - 1.")
def first_left_out(accuracy, images, tries):
    return float((1 - _distribution(accuracy, images)[1:] ** tries).sum() / images)


@expected_best.mistake("You multiply F by n. All n have at most k hits with F to the power n.")
def times_for_power(accuracy, images, tries):
    return float((1 - tries * _distribution(accuracy, images)).sum() / images)


@expected_best.mistake(
    "That is a limit for very many tries: the mean plus sqrt(2 ln n) standard deviations. With few tries it is too large."
)
def limit_of_many(accuracy, images, tries):
    return accuracy + math.sqrt(2 * math.log(tries)) * math.sqrt(accuracy * (1 - accuracy) / images)


@expected_best.mistake("You take the probability of exactly k hits. F(k) is that of at most k: cdf, not pmf.")
def density_for_distribution(accuracy, images, tries):
    return float((1 - stats.binom.pmf(range(images), images, accuracy) ** tries).sum() / images)


@expected_best.mistake("You take the probability of more than k hits for that of at most k: cdf, not sf.")
def tail_for_distribution(accuracy, images, tries):
    return float((1 - (1 - _distribution(accuracy, images)) ** tries).sum() / images)


@expected_best.mistake(
    "You divide by the number of tries. The sum counts hits among the images: divide by the number of images."
)
def divided_by_tries(accuracy, images, tries):
    return images * expected_best(accuracy, images, tries) / tries


@expected_best.mistake(
    "That is a quantile of the normal distribution. It comes near the mean of the highest of n; the sum of 1 - F ** n is exact."
)
def normal_quantile(accuracy, images, tries):
    return float(accuracy + math.sqrt(accuracy * (1 - accuracy) / images) * stats.norm.ppf(tries / (tries + 1)))


@expected_best.property("One try is expected at its true accuracy.")
def _one_try(function, generator):
    accuracy, images, _ = _random_tries(generator)
    if abs(function(accuracy, images, 1) - accuracy) > 1e-6:
        return say("With one try nothing is picked, yet yours is not the true accuracy.")


@expected_best.property("More tries never look worse.")
def _grows(function, generator):
    accuracy, images, tries = _random_tries(generator)
    if function(accuracy, images, tries + 1) < function(accuracy, images, tries) - 1e-9:
        return say("With one try more, yours falls.")


# Exercise 2: Holm


def _random_p_values(generator):
    values = torch.rand(6, generator=generator) ** 3
    values[int(torch.randint(6, (1,), generator=generator))] = math.nan
    return (values,)


@exercise(
    "Holm's correction over two ledgers",
    cases=[
        (torch.tensor([0.03]),),
        (torch.tensor([0.01, 0.04]),),
        (torch.tensor([0.04, 0.01, 0.03]),),
        (torch.tensor([0.5, 0.02, 0.4, 0.9]),),
        (torch.tensor([0.01, math.nan, 0.02]),),
        (torch.tensor([0.02, 0.02, 0.021, math.nan, 0.0]),),
        (torch.tensor([0.011, 0.012, 0.013, 0.014]),),
        (torch.tensor([math.nan, math.nan]),),
    ],
    fresh=_random_p_values,
    idea=(
        "The smallest of m p values means less than it looks, because m tests tried to be it: it is multiplied by m. The next "
        "one had one rival less, and so on."
    ),
    steps=(
        "A test that decided nothing, NaN, was a trial too: put 1 in its place while you count and sort.",
        "Sort the p values, and multiply the smallest by m, the next by m - 1, the last by 1. Cut at 1.",
        (
            "None may come out below the one before it: take the running maximum. Then put every value back where its p "
            "value stood, and NaN where there was NaN."
        ),
    ),
)
def holm_adjusted(p_values):
    return price_list.holm_adjusted(p_values)


def _holm_with(p_values, *, factors=None, running=True, cap=True, back=True):
    """`holm_adjusted` with one step changed."""
    values, order = p_values.double().nan_to_num(nan=1.0).sort()
    m = len(values)
    values = values * (torch.arange(m, 0, -1) if factors is None else factors(m))
    values = values.clamp(max=1) if cap else values
    values = values.cummax(dim=0).values if running else values
    placed = torch.empty_like(values)
    placed[order if back else torch.arange(m)] = values
    return torch.where(p_values.isnan(), math.nan, placed)


@holm_adjusted.mistake("You multiply all by m: that is Bonferroni. After the smallest one, m falls by 1 with each.")
def bonferroni(p_values):
    return _holm_with(p_values, factors=lambda m: torch.full((m,), m))


@holm_adjusted.mistake("An adjusted p value comes out below that of a smaller p value. Take the running maximum.")
def not_monotone(p_values):
    return _holm_with(p_values, running=False)


@holm_adjusted.mistake("A probability is at most 1. Cut there.")
def above_one(p_values):
    return _holm_with(p_values, cap=False)


@holm_adjusted.mistake("You return them sorted. Each adjusted value stands where its p value stood.")
def sorted_(p_values):
    return _holm_with(p_values, back=False)


@holm_adjusted.mistake("The factors run the wrong way: the smallest p value is multiplied by m, the largest by 1.")
def factors_exchanged(p_values):
    return _holm_with(p_values, factors=lambda m: torch.arange(1, m + 1))


@holm_adjusted.mistake("Your factors begin at m - 1. The smallest p value had all m tests as rivals.")
def one_test_lost(p_values):
    return _holm_with(p_values, factors=lambda m: torch.arange(m - 1, -1, -1).clamp(min=1))


@holm_adjusted.mistake(
    "You leave out the tests that decided nothing. They were tried like the others: each NaN counts, with the p value 1."
)
def undecided_not_counted(p_values):
    adjusted = p_values.double().clone()
    adjusted[~p_values.isnan()] = _holm_with(p_values[~p_values.isnan()])
    return adjusted


@holm_adjusted.mistake("What decided nothing has no p value: leave NaN where NaN was.")
def nan_filled(p_values):
    return _holm_with(p_values).nan_to_num(nan=1.0)


@holm_adjusted.mistake(
    "That is the procedure of Benjamini and Hochberg, which bounds the share of false discoveries, not Holm's."
)
def benjamini_hochberg(p_values):
    values, order = p_values.double().nan_to_num(nan=1.0).sort()
    m = len(values)
    values = (values * m / torch.arange(1, m + 1)).flip(0).cummin(dim=0).values.flip(0).clamp(max=1)
    placed = torch.empty_like(values)
    placed[order] = values
    return torch.where(p_values.isnan(), math.nan, placed)


@holm_adjusted.mistake("You return the p values as they are. Of many tests, the smallest is small by luck.")
def unadjusted(p_values):
    return p_values.double()


@holm_adjusted.mistake(
    "You use Sidak's 1 - (1 - p) ** m, which needs independent tests. Holm's steps multiply: m p, (m - 1) p, ..."
)
def sidak(p_values):
    values, order = p_values.double().nan_to_num(nan=1.0).sort()
    values = (1 - (1 - values) ** torch.arange(len(values), 0, -1)).cummax(dim=0).values
    placed = torch.empty_like(values)
    placed[order] = values
    return torch.where(p_values.isnan(), math.nan, placed)


@holm_adjusted.mistake(
    "You read the sorted values by the order that sorted them. To undo it, write into it: placed[order] = values."
)
def order_for_inverse(p_values):
    order = p_values.double().nan_to_num(nan=1.0).argsort()
    return torch.where(p_values.isnan(), math.nan, _holm_with(p_values, back=False).nan_to_num(nan=1.0)[order])


@holm_adjusted.property("The order of the tests does not count.", mistake="sorted")
def _any_order(function, generator):
    (values,) = _random_p_values(generator)
    order = torch.randperm(len(values), generator=generator)
    if not torch.allclose(function(values[order]), function(values)[order], equal_nan=True):
        return say("The same p values in another order get other adjusted values.")


@holm_adjusted.property("An adjusted p value is never smaller than the p value.")
def _never_smaller(function, generator):
    values = torch.rand(5, generator=generator).double()
    if (function(values) < values - 1e-9).any():
        return say("An adjusted value of yours is smaller than its p value.")


# Exercise 3: the frontier


def _random_offers(generator):
    labels = torch.randint(1, 6, (7,), generator=generator).float()
    seconds = torch.randint(1, 6, (7,), generator=generator).float()
    return labels, seconds, (0.4 + 0.1 * torch.randint(0, 6, (7,), generator=generator)).round(decimals=1)


@exercise(
    "Offers that no other one beats",
    cases=[
        (torch.tensor([10.0, 50.0]), torch.tensor([1.0, 2.0]), torch.tensor([0.7, 0.6])),
        (torch.tensor([10.0, 50.0]), torch.tensor([1.0, 2.0]), torch.tensor([0.7, 0.9])),
        (torch.tensor([10.0, 10.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.7, 0.7])),
        (torch.tensor([10.0, 10.0, 10.0]), torch.tensor([1.0, 1.0, 2.0]), torch.tensor([0.7, 0.8, 0.8])),
        (
            torch.tensor([10.0, 20.0, 50.0, 50.0, 100.0]),
            torch.tensor([0.1, 3.0, 0.2, 2.0, 9.0]),
            torch.tensor([0.6, 0.8, 0.8, 0.9, 0.85]),
        ),
        (torch.tensor([10.0, 20.0, 30.0]), torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.5, 0.5, 0.5])),
        (torch.tensor([5.0, 5.0, 4.0]), torch.tensor([2.0, 3.0, 9.0]), torch.tensor([0.6, 0.6, 0.6])),
        (torch.tensor([30.0]), torch.tensor([3.0]), torch.tensor([0.1])),
    ],
    fresh=_random_offers,
    idea=(
        "One offer beats another when it is nowhere worse and somewhere better. What is left when all beaten offers are "
        "gone is the frontier: on it, more accuracy costs more of something."
    ),
    steps=(
        "Compare all pairs: give one side the shape (n, 1) and the other (1, n), then offer i meets offer j at [i, j].",
        "i is nowhere worse: labels and seconds at most j's, accuracy at least j's. All three at once.",
        (
            "i is somewhere better: fewer labels, or fewer seconds, or a higher accuracy. Without this an offer would beat "
            "itself, and equal offers each other."
        ),
        "j is beaten when any i beats it. Return the opposite, True or False for each offer.",
    ),
)
def frontier(labels, seconds, accuracy):
    return price_list.frontier(labels, seconds, accuracy)


def _frontier_with(labels, seconds, accuracy, *, better=torch.any, worse=torch.all):
    """`frontier` with another rule for "somewhere better" or "nowhere worse"."""
    prices = torch.stack([labels, seconds, -accuracy], dim=1)
    no_worse, ahead = prices[:, None] <= prices[None], prices[:, None] < prices[None]
    return ~(worse(no_worse, dim=2) & better(ahead, dim=2)).any(dim=0)


@frontier.mistake("For you an offer must be better in everything to beat another. Better in one and nowhere worse is enough.")
def better_in_all(labels, seconds, accuracy):
    return _frontier_with(labels, seconds, accuracy, better=torch.all)


@frontier.mistake("Equal offers beat each other in your rule, so both are lost. To beat, one must be better somewhere.")
def equals_beat(labels, seconds, accuracy):
    prices = torch.stack([labels, seconds, -accuracy], dim=1)
    no_worse = (prices[:, None] <= prices[None]).all(dim=2) & ~torch.eye(len(labels), dtype=torch.bool)
    return ~no_worse.any(dim=0)


@frontier.mistake("An offer that is better in one thing beats all others in your rule. It must be nowhere worse, too.")
def better_in_one(labels, seconds, accuracy):
    return _frontier_with(labels, seconds, accuracy, worse=lambda table, dim: table.any(dim=dim))


@frontier.mistake("You compare labels and seconds alone. A dear offer may be worth it: compare the accuracy, too.")
def accuracy_forgotten(labels, seconds, accuracy):
    return frontier(labels, seconds, torch.zeros_like(accuracy))


@frontier.mistake("You leave the seconds out.")
def seconds_forgotten(labels, seconds, accuracy):
    return frontier(labels, torch.zeros_like(seconds), accuracy)


@frontier.mistake("You leave the labels out.")
def labels_forgotten(labels, seconds, accuracy):
    return frontier(torch.zeros_like(labels), seconds, accuracy)


@frontier.mistake("You prefer the lower accuracy. Labels and seconds should be small, the accuracy large.")
def lower_accuracy(labels, seconds, accuracy):
    return frontier(labels, seconds, -accuracy)


@frontier.mistake("That is the opposite: True for the offers that are beaten.")
def beaten(labels, seconds, accuracy):
    return ~frontier(labels, seconds, accuracy)


@frontier.mistake("You return the numbers of the offers. Return True or False for each of them.")
def numbers(labels, seconds, accuracy):
    return frontier(labels, seconds, accuracy).nonzero().flatten()


@frontier.mistake("You take the most accurate offer alone. A cheaper one may be on the frontier, too.")
def best_only(labels, seconds, accuracy):
    return accuracy == accuracy.max()


@frontier.mistake(
    "You weigh labels and seconds against each other. Nobody said what a label is worth in seconds: compare each by itself."
)
def sum_of_costs(labels, seconds, accuracy):
    return frontier(labels + seconds, labels + seconds, accuracy)


@frontier.mistake(
    "Your table is read along the wrong axis: you keep the offers that beat no other one, not those that no other one beats."
)
def beats_no_other(labels, seconds, accuracy):
    return frontier(-labels, -seconds, -accuracy)


@frontier.mistake("You compare each offer with the one before it in the list alone. Any other one may beat it.")
def only_the_one_before(labels, seconds, accuracy):
    prices = torch.stack([labels, seconds, -accuracy], dim=1)
    beaten = (prices[:-1] <= prices[1:]).all(dim=1) & (prices[:-1] < prices[1:]).any(dim=1)
    return torch.cat([torch.ones(1, dtype=torch.bool), ~beaten])


@frontier.mistake("You go along the labels and keep each new best accuracy. An offer that saves seconds is lost by that.")
def best_so_far(labels, seconds, accuracy):
    keep, best = torch.zeros(len(labels), dtype=torch.bool), -math.inf
    for position in labels.argsort(stable=True).tolist():
        if accuracy[position] > best:
            keep[position], best = True, accuracy[position]
    return keep


@frontier.property("The most accurate of the cheapest offers is never beaten.", mistake="better_in_one")
def _cheapest_stays(function, generator):
    labels, seconds, accuracy = _random_offers(generator)
    labels, seconds, accuracy = (
        torch.cat([part, torch.tensor([extra])]) for part, extra in _with_extremes(labels, seconds, accuracy)
    )
    if not bool(function(labels, seconds, accuracy)[-1]):
        return say("An offer that needs fewer labels than all others is beaten in yours.")


def _with_extremes(labels, seconds, accuracy):
    """The three lists, each with the value of one more offer: the fewest labels, the most seconds, the lowest accuracy."""
    return (labels, labels.min().item() - 0.5), (seconds, seconds.max().item() + 1), (accuracy, accuracy.min().item() - 0.1)


@frontier.property("The order of the offers does not count.")
def _order_of_offers(function, generator):
    offers = _random_offers(generator)
    order = torch.randperm(len(offers[0]), generator=generator)
    if not torch.equal(torch.as_tensor(function(*(part[order] for part in offers))), torch.as_tensor(function(*offers))[order]):
        return say("The same offers in another order give another frontier.")


# Exercise 4: a budget


def _random_budget(generator):
    labels, seconds, accuracy = _random_offers(generator)
    most = torch.randint(2, 6, (2,), generator=generator).tolist()
    return labels, seconds, accuracy + 0.001 * torch.arange(len(accuracy)), float(most[0]), float(most[1])


_OFFERS = (
    torch.tensor([10.0, 20.0, 50.0, 50.0, 100.0]),
    torch.tensor([0.1, 3.0, 0.2, 2.0, 9.0]),
    torch.tensor([0.6, 0.75, 0.8, 0.9, 0.95]),
)


@exercise(
    "The best that a budget buys",
    cases=[
        (*_OFFERS, 60.0, 5.0),
        (*_OFFERS, 60.0, 1.0),
        (*_OFFERS, 20.0, 3.0),
        (*_OFFERS, 1000.0, 1000.0),
        (*_OFFERS, 5.0, 100.0),
        (*_OFFERS, 100.0, 0.05),
        (torch.tensor([10.0, 10.0]), torch.tensor([1.0, 2.0]), torch.tensor([0.7, 0.7]), 10.0, 2.0),
        (torch.tensor([90.0, 10.0, 20.0]), torch.tensor([1.0, 1.0, 1.0]), torch.tensor([0.9, 0.2, 0.3]), 50.0, 5.0),
        (torch.tensor([90.0, 10.0]), torch.tensor([1.0, 1.0]), torch.tensor([-0.5, -0.9]), 50.0, 5.0),
    ],
    fresh=_random_budget,
    idea=(
        "There are two budgets, and neither can be exchanged for the other. Of the offers that fit into both, the most "
        "accurate wins."
    ),
    steps=(
        "An offer is affordable when its labels are at most those you have, and its seconds too. Exactly as many is allowed.",
        "If none is affordable, return -1.",
        "Give those that are not affordable an accuracy of minus infinity, and return the position of the largest.",
    ),
)
def best_in_budget(labels, seconds, accuracy, most_labels, most_seconds):
    return price_list.best_in_budget(labels, seconds, accuracy, most_labels, most_seconds)


@best_in_budget.mistake("You do not look at the labels. Both budgets hold.")
def labels_not_asked(labels, seconds, accuracy, most_labels, most_seconds):
    return best_in_budget(labels, seconds, accuracy, math.inf, most_seconds)


@best_in_budget.mistake("You do not look at the seconds. Both budgets hold.")
def seconds_not_asked(labels, seconds, accuracy, most_labels, most_seconds):
    return best_in_budget(labels, seconds, accuracy, most_labels, math.inf)


@best_in_budget.mistake("An offer that fits one of the budgets is not affordable yet. It must fit both: & and not |.")
def one_of_two(labels, seconds, accuracy, most_labels, most_seconds):
    affordable = (labels <= most_labels) | (seconds <= most_seconds)
    return int(torch.where(affordable, accuracy, -torch.inf).argmax()) if affordable.any() else -1


@best_in_budget.mistake("An offer that needs exactly what you have is affordable: <= and not <.")
def all_spent_refused(labels, seconds, accuracy, most_labels, most_seconds):
    affordable = (labels < most_labels) & (seconds < most_seconds)
    return int(torch.where(affordable, accuracy, -torch.inf).argmax()) if affordable.any() else -1


@best_in_budget.mistake("Where nothing is affordable, return -1: 0 is the first offer.")
def first_for_none(labels, seconds, accuracy, most_labels, most_seconds):
    return max(0, best_in_budget(labels, seconds, accuracy, most_labels, most_seconds))


@best_in_budget.mistake("That is the position among the affordable offers. Return the number in the whole list.")
def position_among_affordable(labels, seconds, accuracy, most_labels, most_seconds):
    affordable = (labels <= most_labels) & (seconds <= most_seconds)
    return int(accuracy[affordable].argmax()) if affordable.any() else -1


@best_in_budget.mistake("You return the accuracy. The number of the offer is asked.")
def accuracy_for_number(labels, seconds, accuracy, most_labels, most_seconds):
    best = best_in_budget(labels, seconds, accuracy, most_labels, most_seconds)
    return accuracy[best].item() if best >= 0 else -1


@best_in_budget.mistake("You take the affordable offer with the most labels. The most accurate one is asked.")
def most_labels_bought(labels, seconds, accuracy, most_labels, most_seconds):
    return best_in_budget(labels, seconds, labels.double(), most_labels, most_seconds)


@best_in_budget.mistake("That is the least accurate affordable offer.")
def least_accurate(labels, seconds, accuracy, most_labels, most_seconds):
    return best_in_budget(labels, seconds, -accuracy, most_labels, most_seconds)


@best_in_budget.mistake("What is not affordable must not win: an accuracy of 0 in its place wins over negative scores.")
def zero_for_dear(labels, seconds, accuracy, most_labels, most_seconds):
    affordable = (labels <= most_labels) & (seconds <= most_seconds)
    return int(torch.where(affordable, accuracy, 0.0).argmax()) if affordable.any() else -1


@best_in_budget.mistake("Of equally accurate offers yours takes the last. The first is asked.")
def last_of_equals(labels, seconds, accuracy, most_labels, most_seconds):
    best = best_in_budget(labels.flip(0), seconds.flip(0), accuracy.flip(0), most_labels, most_seconds)
    return len(labels) - 1 - best if best >= 0 else -1


@best_in_budget.mistake("You add labels and seconds up, though a label saved buys no second. Each budget holds by itself.")
def budgets_added(labels, seconds, accuracy, most_labels, most_seconds):
    return best_in_budget(labels + seconds, seconds, accuracy, most_labels + most_seconds, math.inf)


@best_in_budget.property("More money never buys less.")
def _richer(function, generator):
    labels, seconds, accuracy, most_labels, most_seconds = _random_budget(generator)
    before, after = (function(labels, seconds, accuracy, most_labels + more, most_seconds + more) for more in (0, 2))
    if before >= 0 and (after < 0 or accuracy[after] < accuracy[before]):
        return say("With larger budgets yours buys a less accurate offer.")


@best_in_budget.property("What is bought is affordable.")
def _affordable(function, generator):
    labels, seconds, accuracy, most_labels, most_seconds = _random_budget(generator)
    bought = function(labels, seconds, accuracy, most_labels, most_seconds)
    if bought >= 0 and (labels[bought] > most_labels or seconds[bought] > most_seconds):
        return say("Yours buys an offer that costs more than there is.")
