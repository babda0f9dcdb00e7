"""Chapter 00: the accuracy of predictions, and the 95 % interval of a mean."""

import math

import torch
from scipy import stats

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
        (torch.tensor([[-1.0, -2.0], [-4.0, -3.0], [-9.0, -8.0], [-1.0, -7.0]]), torch.tensor([1, 1, 0, 0])),
    ],
    fresh=_random_logits,
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


def _random_values(generator):
    return (0.5 + 0.1 * torch.randn(3 + int(torch.randint(6, (1,), generator=generator)), generator=generator),)


@exercise(
    "The 95 % interval of a mean",
    cases=[(torch.tensor([0.5, 0.7]),), (torch.tensor([0.81, 0.84, 0.78, 0.85, 0.82]),)],
    fresh=_random_values,
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


@interval.mistake("You divide the squared deviations by n. Estimated from a sample, the variance divides by n - 1.")
def biased_spread(values):
    return _interval_with(values, spread=values.std(correction=0).item())


@interval.mistake("You divide by n. The standard error divides by the square root of n.")
def divided_by_n(values):
    return _interval_with(values, root=len(values))


@interval.mistake("The quantile 0.95 leaves 5 % on each side, 10 % in all. Two sides of 2.5 % need the quantile 0.975.")
def one_sided(values):
    return _interval_with(values, factor=stats.t.ppf(0.95, len(values) - 1))
