"""Chapter 09, SetFit: how many pairs a few labels make, and the loss of pairs."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import setfit
from .declare import exercise


def _labels(generator, n=9, classes=3):
    """Labels of n texts in which every class has two texts or more, in no order."""
    drawn = torch.cat([torch.arange(classes).repeat(2), torch.randint(classes, (n - 2 * classes,), generator=generator)])
    return drawn[torch.randperm(n, generator=generator)]


@exercise(
    "How many pairs a few labels make",
    cases=[
        (torch.tensor([0, 0, 1]),),
        (torch.arange(5).repeat_interleave(4),),
        (torch.arange(6),),  # one text of each class
        (torch.zeros(4, dtype=torch.long),),
        (torch.tensor([2, 0, 2, 5, 2, 0, 5, 5]),),  # classes that nobody has in between
        (torch.tensor([1]),),
    ],
    fresh=lambda generator: (_labels(generator, 12, 4),),
    idea=(
        "Among n things there are n (n - 1) / 2 pairs. Count the pairs within each class that way; all others are pairs of two "
        "classes."
    ),
    steps=(
        "n_c is the number of texts of class c; labels.bincount() counts them.",
        "Pairs of one class: the sum over the classes of n_c (n_c - 1) / 2.",
        "All pairs: n (n - 1) / 2. What is left of them are the pairs of two classes.",
    ),
)
def pair_counts(labels):
    return setfit.pair_counts(labels)


def _same(labels):
    return int((labels[:, None] == labels[None]).sum())  # with every text beside itself, and every pair twice


@pair_counts.mistake("You count every pair twice, (a, b) and (b, a). A pair has no order: divide by 2.")
def pairs_in_both_orders(labels):
    n = len(labels)
    return _same(labels) - n, n * n - _same(labels)


@pair_counts.mistake("You count a text with itself as a pair. A pair has two different texts: n (n - 1) / 2, not n² / 2.")
def pairs_with_itself(labels):
    n = len(labels)
    return _same(labels) // 2, (n * n - _same(labels)) // 2


@pair_counts.mistake(
    "You count a text with itself as a pair. A pair has two different texts: n (n - 1) / 2, not n (n + 1) / 2."
)
def pairs_with_the_diagonal(labels):
    n = len(labels)
    return (_same(labels) + n) // 2, (n * n - _same(labels)) // 2


@pair_counts.mistake("You count ordered pairs and each text with itself. There are n (n - 1) / 2 pairs among n texts.")
def all_cells(labels):
    n = len(labels)
    return _same(labels), n * n - _same(labels)


@pair_counts.mistake("Your second number counts all pairs. It is to count those of two classes: take those of one class away.")
def all_pairs_second(labels):
    same, different = setfit.pair_counts(labels)
    return same, same + different


@pair_counts.mistake("The two numbers are the other way round: pairs of one class come first.")
def counts_swapped(labels):
    return setfit.pair_counts(labels)[::-1]


@pair_counts.mistake("You take all classes to be as large as the mean. Count each class: some may have more texts than others.")
def classes_alike(labels):
    n, classes = len(labels), len(labels.unique())
    same = classes * (n / classes) * (n / classes - 1) / 2
    return same, n * (n - 1) / 2 - same


@pair_counts.mistake("You count the pairs of classes. Wanted are the pairs of texts whose classes differ.")
def pairs_of_classes(labels):
    classes = len(labels.unique())
    return setfit.pair_counts(labels)[0], classes * (classes - 1) // 2


@pair_counts.mistake(
    "You count the classes from 0 to their number. Labels may leave numbers out: ask labels.unique() or labels.bincount()."
)
def classes_without_gaps(labels):
    n, sizes = len(labels), [int((labels == c).sum()) for c in range(len(labels.unique()))]
    same = sum(size * (size - 1) // 2 for size in sizes)
    return same, n * (n - 1) // 2 - same


@pair_counts.mistake("You count neighbours in the list only. Every text makes a pair with every other one.")
def neighbours_only(labels):
    same = int((labels[1:] == labels[:-1]).sum())
    return same, len(labels) - 1 - same


@pair_counts.property("Together they are all pairs of n texts.")
def _all_pairs(function, generator):
    labels = _labels(generator, 11, 4)
    if sum(int(count) for count in function(labels)) != 55:
        return say("11 texts make 55 pairs; yours are {pairs}.", pairs=sum(int(count) for count in function(labels)))


# the loss


def _vectors(generator, n=9, d=4, classes=3):
    return torch.randn(n, d, generator=generator), _labels(generator, n, classes)


_Z = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0], [-3.0, 4.0], [1.0, 1.0]])


@exercise(
    "The loss of pairs",
    cases=[
        (torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])),
        (_Z, torch.tensor([0, 0, 1, 1, 0])),
        (_Z, torch.tensor([3, 1, 3, 3, 1])),
        (_Z[:3], torch.tensor([0, 1, 2])),  # no pair of one class
        (_Z[1:], torch.tensor([2, 2, 2, 2])),  # no pair of two classes
        (-_Z[:4], torch.tensor([0, 1, 1, 0])),
    ],
    fresh=_vectors,
    gradient=("vectors",),
    idea=(
        "Square how far the cosine of each pair is from what it should be, 1 within a class and 0 between two. There are many "
        "more pairs of two classes, so each kind gets a mean of its own, and both weigh the same."
    ),
    steps=(
        "Make every vector as long as 1: F.normalize(vectors, dim=1).",
        "All cosines are z @ z.T. Every pair once and no text with itself: torch.triu_indices(n, n, offset=1).",
        "Of the pairs of one class the mean of (cos - 1)², of the others the mean of cos²; a kind without pairs has 0.",
        "Return half of the sum of the two means.",
    ),
)
def pair_loss(vectors, labels):
    return setfit.pair_loss(vectors, labels)


def _kinds(vectors, labels, normalise=True, diagonal=False):
    """The cosines of the pairs of one class and of those of two."""
    z = F.normalize(vectors, dim=1) if normalise else vectors
    first, second = torch.triu_indices(len(z), len(z), offset=0 if diagonal else 1)
    cosine, same = (z[first] * z[second]).sum(1), labels[first] == labels[second]
    return cosine[same], cosine[~same]


def _mean(values):
    return values.sum() / max(1, len(values))


@pair_loss.mistake("The vectors are not made as long as 1, so z @ z.T is no cosine. Divide each vector by its length first.")
def not_normalised(vectors, labels):
    same, different = _kinds(vectors, labels, normalise=False)
    return (_mean((same - 1).square()) + _mean(different.square())) / 2


@pair_loss.mistake("You take one mean over all pairs. Pairs of two classes are many more: give each kind a mean of its own.")
def one_mean(vectors, labels):
    same, different = _kinds(vectors, labels)
    return _mean(torch.cat([(same - 1).square(), different.square()]))


@pair_loss.mistake("You count each text with itself. Its cosine is always 1: it adds nothing and makes the mean smaller.")
def with_itself(vectors, labels):
    same, different = _kinds(vectors, labels, diagonal=True)
    return (_mean((same - 1).square()) + _mean(different.square())) / 2


@pair_loss.mistake("You push pairs of two classes to opposite directions, cosine -1. They should be at right angles: cosine 0.")
def opposite(vectors, labels):
    same, different = _kinds(vectors, labels)
    return (_mean((same - 1).square()) + _mean((different + 1).square())) / 2


@pair_loss.mistake("The two kinds are swapped: you pull pairs of two classes together and push those of one class apart.")
def kinds_swapped(vectors, labels):
    same, different = _kinds(vectors, labels)
    return (_mean(same.square()) + _mean((different - 1).square())) / 2


@pair_loss.mistake("You take the difference as it is or its size. The loss squares it.")
def not_squared(vectors, labels):
    same, different = _kinds(vectors, labels)
    return (_mean((same - 1).abs()) + _mean(different.abs())) / 2


@pair_loss.mistake("You add the two means. The loss is half of their sum.")
def means_added(vectors, labels):
    return 2 * setfit.pair_loss(vectors, labels)


@pair_loss.mistake("Pairs of two classes are missing: all vectors the same would be perfect. Push those pairs to cosine 0.")
def only_same(vectors, labels):
    return _mean((_kinds(vectors, labels)[0] - 1).square())


@pair_loss.mistake("Pairs of one class are missing. Pull them to cosine 1.")
def only_different(vectors, labels):
    return _mean(_kinds(vectors, labels)[1].square())


@pair_loss.mistake("You sum over the pairs of each kind. Take the mean, or more texts would mean longer steps.")
def summed(vectors, labels):
    same, different = _kinds(vectors, labels)
    return ((same - 1).square().sum() + different.square().sum()) / 2


@pair_loss.mistake("You divide each kind by the number of all pairs. Each kind has a mean over its own pairs.")
def divided_by_all(vectors, labels):
    same, different = _kinds(vectors, labels)
    return ((same - 1).square().sum() + different.square().sum()) / (2 * max(1, len(same) + len(different)))


@pair_loss.mistake(
    "With no pair of a kind the mean over nothing is NaN, and so is every weight after one step. Let it count 0."
)
def mean_of_nothing(vectors, labels):
    same, different = _kinds(vectors, labels)
    return ((same - 1).square().mean() + different.square().mean()) / 2


@pair_loss.property("The lengths of the vectors do not matter.")
def _no_lengths(function, generator):
    vectors, labels = _vectors(generator)
    lengths = torch.rand(len(vectors), 1, generator=generator) + 0.5
    once, again = (float(function(z, labels)) for z in (vectors.double(), (vectors * lengths).double()))
    if abs(once - again) > 1e-5:
        return say(
            "With other lengths and the same directions the loss changes from {once} to {again}.", once=once, again=again
        )


@pair_loss.property("The order of the texts does not matter.")
def _no_order(function, generator):
    vectors, labels = _vectors(generator)
    order = torch.randperm(len(labels), generator=generator)
    once, again = (float(function(vectors[o].double(), labels[o])) for o in (torch.arange(len(labels)), order))
    if abs(once - again) > 1e-5:
        return say(
            "In another order of the texts the loss changes from {once} to {again}.", once=f"{once:.4f}", again=f"{again:.4f}"
        )
