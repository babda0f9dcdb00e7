"""Chapter 00: the accuracy of predictions, the 95 % interval of a mean, and how often such an interval holds the truth."""

import math

import torch
from scipy import stats

from ..languages import say
from .declare import exercise


def _random_logits(generator):
    rows, classes = 4 + int(torch.randint(4, (1,), generator=generator)), 3
    logits = torch.randn(rows, classes, generator=generator)
    return logits, torch.randint(classes, (rows,), generator=generator)


@exercise(
    "Accuracy",
    cases=[
        (torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), torch.tensor([0, 1, 1])),
        (torch.tensor([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]), torch.tensor([2, 0])),
        (torch.tensor([[-1.0, -2.0], [-4.0, -3.0], [-9.0, -8.0], [-1.0, -7.0]]), torch.tensor([1, 1, 1, 0])),
        (torch.tensor([[0.2, 0.5]]), torch.tensor([1])),
        (torch.tensor([[0.1, 0.2, 0.7], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1]]), torch.tensor([1, 1, 0])),
        (torch.tensor([[1.0, 0.0]]).repeat(400, 1), torch.cat([torch.zeros(300), torch.ones(100)]).long()),
    ],
    fresh=_random_logits,
    idea=(
        "A row's prediction is the class with its largest logit, so what counts is the position of that logit and not its "
        "value. Accuracy is the share of rows whose prediction is their label."
    ),
    steps=(
        (
            "For each row find the position of its largest logit, for example with argmax along dim 1: n class numbers. "
            "Without a dim, argmax gives one position for the whole table."
        ),
        "Compare the n predictions with the n labels, row by row. This gives n truth values.",
        (
            "Turn the truth values into numbers and take their mean over the rows: a share from 0 to 1, not a count and not a "
            "percentage."
        ),
        "Return an ordinary number; item() takes it out of a tensor with one entry. Do not round it.",
    ),
)
def accuracy(logits, labels):
    return (logits.argmax(dim=1) == labels).float().mean().item()


@accuracy.mistake("That is the number of hits. Accuracy is their share: divide by the number of rows.")
def counts(logits, labels):
    return (logits.argmax(1) == labels).sum().item()


@accuracy.mistake("That is a percentage. The course uses shares from 0 to 1: leave out the factor 100.")
def percent(logits, labels):
    return 100 * accuracy(logits, labels)


@accuracy.mistake("You take the smallest logit. The prediction is the class with the largest one: argmax.")
def smallest_logit(logits, labels):
    return accuracy(-logits, labels)


@accuracy.mistake("That is the error rate. Accuracy is the share of rows that are right: 1 minus it.")
def error_rate(logits, labels):
    return 1 - accuracy(logits, labels)


@accuracy.mistake("You take the best image of each class. Each row is an image, which has its best class: argmax(dim=1).")
def over_the_images(logits, labels):
    return (logits.argmax(dim=0) == labels).float().mean().item()


@accuracy.mistake("You compare largest logits with class numbers. The position of the largest is the class: argmax, not max.")
def values_for_classes(logits, labels):
    return (logits.max(dim=1).values == labels).float().mean().item()


@accuracy.mistake("Your argmax has no dim, so it gives one number for the whole table. Each row needs its own: argmax(dim=1).")
def one_argmax(logits, labels):
    return (logits.argmax() == labels).float().mean().item()


@accuracy.mistake("`//` rounds down to a whole number, here 0 or 1. Divide with `/`.")
def whole_division(logits, labels):
    return (logits.argmax(1) == labels).sum().item() // len(labels)


@accuracy.mistake("You round. The result is compared digit by digit, and others compute with it: return it as it is.")
def rounded(logits, labels):
    return round(accuracy(logits, labels), 1)


@accuracy.mistake("You divide by the number of classes. Accuracy is a share of the rows: divide by len(labels).")
def divided_by_classes(logits, labels):
    return (logits.argmax(1) == labels).sum().item() / logits.shape[1]


@accuracy.mistake(
    "You average over the classes, so that a rare class counts as much as a frequent one. Every row counts the same."
)
def mean_over_classes(logits, labels):
    predicted = logits.argmax(1)
    return torch.stack([(predicted[labels == c] == c).float().mean() for c in labels.unique()]).mean().item()


@accuracy.mistake(
    "That is the mean probability of the right class. A row counts 1 when its largest logit is the label's, else 0."
)
def mean_probability(logits, labels):
    return logits.softmax(1)[torch.arange(len(labels)), labels].mean().item()


@accuracy.mistake("A row counts as right when the label is among its two largest logits. Only the largest is the prediction.")
def top_two(logits, labels):
    return (logits.topk(2, dim=1).indices == labels[:, None]).any(1).float().mean().item()


@accuracy.mistake("Your counter is one byte, so it begins anew after 255 hits. Add up as floats or with .sum() alone.")
def byte_overflow(logits, labels):
    return (logits.argmax(1) == labels).to(torch.uint8).sum(dtype=torch.uint8).item() / len(labels)


@accuracy.mistake(
    "Your softmax runs over the images, which changes who is largest within a row. The largest logit needs no softmax; one "
    "over the classes, dim=1, would do no harm."
)
def softmax_over_the_images(logits, labels):
    return accuracy(logits.softmax(dim=0), labels)


@accuracy.mistake("You take the logit that is farthest from 0. A logit of -9 says no: take the largest with its sign.")
def largest_magnitude(logits, labels):
    return accuracy(logits.abs(), labels)


@accuracy.mistake("You ask whether the label's logit is above 0. Ask whether it is the largest of its row: all may be above 0.")
def above_zero(logits, labels):
    return (logits[torch.arange(len(labels)), labels] > 0).float().mean().item()


@accuracy.mistake(
    "You compare every prediction with every label: (n, 1) and (n,) broadcast to (n, n). Compare (n,) with (n,), row by row."
)
def all_pairs(logits, labels):
    return (logits.argmax(dim=1, keepdim=True) == labels).float().mean().item()


@accuracy.mistake("Rows of class 0 never count as right in your function. It is a class like the others.")
def class_0_left_out(logits, labels):
    return ((logits.argmax(1) == labels) & (labels > 0)).float().mean().item()


@accuracy.mistake("The last row is not looked at: range(n) ends at n - 1 by itself.")
def last_row_lost(logits, labels):
    return (logits.argmax(1) == labels)[:-1].sum().item() / len(labels)


@accuracy.mistake("You divide by n - 1, which is for standard deviations. A share of n rows divides by n.")
def divided_by_n_minus_1(logits, labels):
    return (logits.argmax(1) == labels).sum().item() / max(1, len(labels) - 1)


def _random_values(generator):
    return (0.5 + 0.1 * torch.randn(3 + int(torch.randint(6, (1,), generator=generator)), generator=generator),)


@exercise(
    "The 95 % interval of a mean",
    cases=[(torch.tensor([0.5, 0.7]),), (torch.tensor([0.81, 0.84, 0.78, 0.85, 0.82]),), (torch.linspace(-1, 1, 40) ** 3,)],
    fresh=_random_values,
    idea=(
        "A mean of n values varies less than a single value, by a factor of the square root of n. The interval reaches to each "
        "side of the mean by that spread times a quantile of Student's t, which allows for how uncertain s is when there are "
        "few values."
    ),
    steps=(
        (
            "Compute the mean of the values and their standard deviation s. It divides by n - 1, as a tensor's std does unless "
            "told otherwise."
        ),
        (
            "Get the quantile from scipy.stats.t.ppf with n - 1 degrees of freedom. Of the 5 % outside, half lie on each side, "
            "so ask for 0.975."
        ),
        (
            "The half width is the quantile times s, divided by the square root of n. Dividing by n itself would make it too "
            "small."
        ),
        (
            "Return three numbers in the order mean, low end, high end. The ends are the mean minus and plus the half width, "
            "even where they lie below 0 or above 1."
        ),
    ),
)
def interval(values):
    mean = values.mean().item()
    half = stats.t.ppf(0.975, len(values) - 1) * values.std().item() / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _interval_with(values, *, factor=None, spread=None, root=None):
    mean, n = values.mean().item(), len(values)
    half = (factor or stats.t.ppf(0.975, n - 1)) * (spread or values.std().item()) / (root or math.sqrt(n))
    return mean, mean - half, mean + half


@interval.mistake("You use the spread of single values. A mean of n values spreads less: divide by the square root of n.")
def standard_deviation(values):
    return _interval_with(values, root=1.0)


@interval.mistake(
    "1.96 is for very many values. With few, the quantile of Student's t with n - 1 degrees of freedom is larger."
)
def normal_quantile(values):
    return _interval_with(values, factor=1.96)


@interval.mistake(
    "From 30 values on you take 1.96. Student's quantile is larger there too, 2.05 for 30: the formula holds for every n."
)
def normal_from_30_on(values):
    return normal_quantile(values) if len(values) >= 30 else interval(values)


@interval.mistake("You divide the squared deviations by n. Estimated from a sample, the variance divides by n - 1.")
def biased_spread(values):
    return _interval_with(values, spread=values.std(correction=0).item())


@interval.mistake("You divide by n. The standard error divides by the square root of n.")
def divided_by_n(values):
    return _interval_with(values, root=len(values))


@interval.mistake("The quantile 0.95 leaves 5 % on each side, 10 % in all. Two sides of 2.5 % need the quantile 0.975.")
def one_sided(values):
    return _interval_with(values, factor=stats.t.ppf(0.95, len(values) - 1))


@interval.mistake("You use the variance. The standard error is made of its root, the standard deviation: values.std().")
def variance(values):
    return _interval_with(values, spread=values.var().item())


@interval.mistake(
    "You divide by the root of n - 1. The standard deviation has its n - 1 already; a mean of n divides by the root of n."
)
def root_of_n_minus_1(values):
    return _interval_with(values, root=math.sqrt(len(values) - 1))


@interval.mistake(
    "Your low end is the high one: the quantile 0.025 is negative, so minus and plus swap the ends. Take the quantile 0.975."
)
def ends_exchanged(values):
    mean, low, high = interval(values)
    return mean, high, low


@interval.mistake(
    "Your level is 97.5 % with both sides together. 0.975 is the quantile that leaves 2.5 % above it; the level is 0.95."
)
def level_for_quantile(values):
    return _interval_with(values, factor=stats.t.ppf(0.9875, len(values) - 1))


@interval.mistake("You return the half width twice. The ends of the interval are mean - half and mean + half.")
def half_twice(values):
    mean, low, high = interval(values)
    return mean, high - mean, high - mean


@interval.mistake("Those are the half widths. The ends of the interval are mean - half and mean + half.")
def halves_for_ends(values):
    mean, low, high = interval(values)
    return mean, low - mean, high - mean


@interval.mistake("You look where single values lie. The question is how far their mean would move with other values.")
def quantiles_of_values(values):
    return values.mean().item(), values.quantile(0.025).item(), values.quantile(0.975).item()


@interval.mistake("That is the interval around the median. It belongs around the mean.")
def around_the_median(values):
    mean, low, high = interval(values)
    return values.median().item(), low - mean + values.median().item(), high - mean + values.median().item()


@interval.mistake("You cut the interval at 0 and 1. Not every mean is one of shares; return the ends as they come out.")
def cut_at_0_and_1(values):
    mean, low, high = interval(values)
    return mean, max(low, 0), min(high, 1)


@interval.mistake("The quantile has n degrees of freedom; the mean has used up one: n - 1.")
def n_degrees_of_freedom(values):
    return _interval_with(values, factor=stats.t.ppf(0.975, len(values)))


@interval.mistake("The order is mean, low, high.")
def low_first(values):
    mean, low, high = interval(values)
    return low, mean, high


def _random_samples(generator):
    n = 2 + int(torch.randint(5, (1,), generator=generator))
    return 0.5 + 0.1 * torch.randn(40, n, generator=generator), 0.5, (1 + torch.rand(1, generator=generator)).item()


@exercise(
    "What 95 % promises",
    cases=[
        (torch.tensor([[1.0, 3.0], [4.0, 7.0]]), 2.5, 1.0),
        (torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.5, 3.0], [0.0, 1.0, 5.0], [3.0, 3.5, 7.0]]), 2.8, 1.5),
        (torch.tensor([[0.7, 0.9, 0.8, 0.8], [0.6, 0.7, 0.6, 0.7], [0.9, 0.8, 0.7, 1.0]]), 0.74, 2.0),
        (torch.tensor([[0.0, 1.0], [1.0, 2.0], [1.5, 2.5], [4.0, 6.0]]), 1.9, 1.0),  # one interval lies below, one above
        (torch.tensor([[1.0, 3.0], [2.0, 4.0]]), 2.6, 1.0),  # half of the width holds less than the width of a division by n
    ],
    fresh=_random_samples,
    idea=(
        "The promise is about the recipe: repeat the experiment many times and see how often the interval holds the true mean. "
        "An interval holds it when the sample's mean lies no farther from it than half the interval's width."
    ),
    steps=(
        (
            "Each row is one experiment. Take the mean of each row and its standard deviation, which divides by n - 1: along "
            "dim 1, so that both have one entry for each experiment."
        ),
        (
            "Divide the standard deviations by the square root of n and multiply by the quantile: the half widths. Here n is "
            "how many values a row has, not how many rows there are."
        ),
        (
            "For each experiment ask whether `truth` lies between the two ends of its interval. Both ends count, and it is the "
            "true mean that has to lie there, not the sample's values."
        ),
        "Return the share of experiments for which it does: a number from 0 to 1.",
    ),
)
def coverage(samples, truth, quantile):
    means, errors = samples.mean(dim=1), samples.std(dim=1) / math.sqrt(samples.shape[1])
    return ((means - truth).abs() <= quantile * errors).float().mean().item()


def _intervals(samples, quantile):
    """The ends of each sample's interval, (samples, 1) each."""
    means = samples.mean(dim=1, keepdim=True)
    halves = quantile * samples.std(dim=1, keepdim=True) / math.sqrt(samples.shape[1])
    return means - halves, means + halves


@coverage.mistake("That is a number of samples. Coverage is their share: divide by how many samples there are.")
def counts(samples, truth, quantile):
    return round(coverage(samples, truth, quantile) * len(samples))


@coverage.mistake(
    "That is the share of samples whose interval misses the true mean. Coverage is the share of those that hold it."
)
def misses(samples, truth, quantile):
    return 1 - coverage(samples, truth, quantile)


@coverage.mistake(
    "You count the values that lie in the interval. The promise is about the true mean: is `truth` between the two ends?"
)
def values_inside(samples, truth, quantile):
    low, high = _intervals(samples, quantile)
    return ((low <= samples) & (samples <= high)).float().mean().item()


@coverage.mistake("You use the spread of single values. A mean of n values spreads less: divide by the square root of n.")
def standard_deviation(samples, truth, quantile):
    return _share_within(samples, truth, quantile, root=1.0)


@coverage.mistake("You divide the squared deviations by n. Estimated from a sample, the variance divides by n - 1.")
def biased_spread(samples, truth, quantile):
    return _share_within(samples, truth, quantile, spreads=samples.std(dim=1, correction=0))


@coverage.mistake("You test one end only. An interval holds the true mean when it is above the low end and below the high one.")
def one_end(samples, truth, quantile):
    low, _ = _intervals(samples, quantile)
    return (low <= truth).float().mean().item()


@coverage.mistake("Each row is a sample. You compute down the columns: take mean and standard deviation over dim=1.")
def columns(samples, truth, quantile):
    return coverage(samples.T, truth, quantile)


def _share_within(samples, truth, quantile, *, means=None, spreads=None, root=None):
    """Coverage with another part of the recipe: the means, the standard deviations, or what these are divided by."""
    means = samples.mean(dim=1) if means is None else means
    errors = (samples.std(dim=1) if spreads is None else spreads) / (root or math.sqrt(samples.shape[1]))
    return ((means - truth).abs() <= quantile * errors).float().mean().item()


@coverage.mistake("You test one end only, the high one. The true mean must lie above the low end too: abs() asks for both.")
def high_end_only(samples, truth, quantile):
    _, high = _intervals(samples, quantile)
    return (truth <= high).float().mean().item()


@coverage.mistake("You divide by n. The standard error divides by the square root of n.")
def divided_by_n(samples, truth, quantile):
    return _share_within(samples, truth, quantile, root=samples.shape[1])


@coverage.mistake(
    "You divide by the root of n - 1. The standard deviation has its n - 1 already; a mean of n divides by the root of n."
)
def root_of_n_minus_1(samples, truth, quantile):
    return _share_within(samples, truth, quantile, root=math.sqrt(samples.shape[1] - 1))


@coverage.mistake("You divide by the root of the number of samples. n is how many values one sample has: samples.shape[1].")
def root_of_samples(samples, truth, quantile):
    return _share_within(samples, truth, quantile, root=math.sqrt(len(samples)))


@coverage.mistake("You take one standard deviation of all numbers. Each sample knows only its own values: std(dim=1).")
def one_spread_for_all(samples, truth, quantile):
    return _share_within(samples, truth, quantile, spreads=samples.std())


@coverage.mistake("You measure the deviations from the true mean. An experiment knows its own mean only: samples.std(dim=1).")
def spread_around_the_truth(samples, truth, quantile):
    spreads = ((samples - truth).square().sum(dim=1) / (samples.shape[1] - 1)).sqrt()
    return _share_within(samples, truth, quantile, spreads=spreads)


@coverage.mistake("Your factor is 1.96, whatever is asked for. Use the argument `quantile`.")
def always_1_96(samples, truth, quantile):
    return coverage(samples, truth, 1.96)


@coverage.mistake(
    "You compare with half of the quantile. It reaches from the mean to one end: the half width is quantile * error."
)
def half_the_quantile(samples, truth, quantile):
    return coverage(samples, truth, quantile / 2)


@coverage.mistake("You ask whether the intervals hold the mean of all samples. The promise is about the true mean, `truth`.")
def mean_of_all_for_truth(samples, truth, quantile):
    return coverage(samples, samples.mean().item(), quantile)


@coverage.mistake("You ask whether the intervals hold 0. The promise is about the true mean, `truth`.")
def truth_not_used(samples, truth, quantile):
    return coverage(samples, 0.0, quantile)


@coverage.mistake(
    "You compare single values with the true mean. What counts is the distance of a sample's mean: samples.mean(dim=1)."
)
def values_for_means(samples, truth, quantile):
    return _share_within(samples, truth, quantile, means=samples, spreads=samples.std(dim=1, keepdim=True))


@coverage.mistake(
    "You compare every mean with every standard error: (m,) and (m, 1) broadcast to (m, m). Give both the same shape."
)
def all_pairs(samples, truth, quantile):
    return _share_within(samples, truth, quantile, spreads=samples.std(dim=1, keepdim=True))


@coverage.property("A longer interval never holds the true mean less often.")
def _grows_with_the_quantile(function, generator):
    samples, truth, quantile = _random_samples(generator)
    if function(samples, truth, 2 * quantile) < function(samples, truth, quantile):
        return say("With intervals twice as long the share falls.")
