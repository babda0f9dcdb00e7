"""Measures on anyone's data: learning curve, what more labels bring, suspicious labels, how far a classifier can be trusted.

Data come as an `ImageTask` that holds features (N, D) in place of images, made of pictures or of texts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import ImageTask
from ..data.own import SHARES
from ..languages import say
from ..methods.linear_probe import fit_probabilities
from ..training import Arms, accuracy, hits_by_picture, share_interval
from ..training.metrics import Estimate

STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
FEWEST_TESTED = 20  # pictures of a test whose interval is not wider than half of all that is possible
FOLDS = 5

# fit(features (n, D), labels (n,), like (N, D)) -> a function, features -> probabilities, as `fit_probabilities`
Fit = Callable[[Tensor, Tensor, Tensor], Callable[[Tensor], Tensor]]


def smallest_class(labels: Tensor, pictures: Tensor, classes: int) -> int:
    """The different pictures of the class that has fewest of them."""
    return min(len(pictures[labels == label].unique()) for label in range(classes))


def share_of(right: Tensor) -> Estimate:
    """The share of a tensor of bool (N,) that is True, with Wilson's interval."""
    return share_interval(int(right.sum()), len(right))


def shots_for(task: ImageTask, most: int = 5) -> list[int]:
    """Labels per class at which a learning curve is measured: up to what the smallest class has, at most `most` points."""
    smallest = smallest_class(task.train_labels, task.train_pictures, len(task.classes))
    points = [k for k in STEPS if k <= smallest]
    if smallest >= 1.4 * points[-1]:
        points.append(smallest)
    return points[-most:]


def learning_curve(
    tasks: Mapping[str, ImageTask], *, shots: Sequence[int], seeds: Sequence[int], fit: Fit = fit_probabilities
) -> Arms:
    """The accuracy of a linear probe on each kind of features, by labels per class: arms by the kind's name.

    Args:
        tasks: with features, one task for each kind; all with the same rows.
        shots: labels per class.
        seeds: of the draws, which are nested and common to all kinds.
        fit: the probe.
    """
    rows: dict[str, list[dict]] = {}
    for name, task in tasks.items():
        for seed in seeds:
            for k in shots:
                probabilities = fit(*task.draw(k, seed), task.train_images)(task.test_images)
                rows.setdefault(name, []).append({"seed": seed, "shots": k} | tested(probabilities, task))
    return Arms(rows, axis="shots", unit="accuracy")


def tested(probabilities: Tensor, task: ImageTask) -> dict:
    """test_accuracy, and the correct answers by picture, of probabilities (N, classes) for the test."""
    hits = hits_by_picture(probabilities, task.test_labels, task.test_pictures)
    return {"test_accuracy": accuracy(probabilities, task.test_labels)} | hits


@dataclass(frozen=True)
class Growth:
    """What doubling the labels brought (from `before` to `after` labels per class) and, where that is honest, would bring.

    predicted: the accuracy at twice the labels, by the power law that also foretold the last measured point; None where it
    did not, or where there are too few points to try.
    """

    before: int
    after: int
    gain: Estimate
    predicted: float | None


def growth(curve: Arms, arm: str) -> Growth:
    """What more labels bring, from a learning curve of at least two points.

    Error falls like a K^-b over a range of K (Hestness et al. 2017, arXiv:1712.00409). The law is fitted to all points but the
    last: only where the last one then lies in its own interval is the law, fitted to all, carried on to twice the labels.
    """
    points, estimates = curve.curve(arm)
    gain = curve.gain(arm, points[-1], over=(arm, points[-2]))
    errors = [1 - estimate.mean for estimate in estimates]
    predicted = None
    if len(points) >= 4 and min(errors) > 0.005:
        *earlier, last = zip(np.log(points), np.log(errors), strict=True)
        foretold = 1 - math.exp(np.polyval(np.polyfit(*zip(*earlier, strict=True), 1), last[0]))
        law = np.polyfit(np.log(points), np.log(errors), 1)
        if estimates[-1].low <= foretold <= estimates[-1].high and law[0] < 0:
            predicted = 1 - math.exp(np.polyval(law, math.log(2 * points[-1])))
    return Growth(points[-2], points[-1], gain, predicted)


def out_of_fold(
    features: Tensor, labels: Tensor, pictures: Tensor, classes: int, *, fit: Fit = fit_probabilities, seed: int = 0
) -> Tensor:
    """The probabilities (N, classes) that classifiers give examples that they did not learn from, by cross-validation.

    Args:
        features: (N, D).
        labels: (N,).
        pictures: (N,); copies of a picture are in one fold.
        classes: how many.
        fit: the probe.
        seed: of the folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(FOLDS, smallest_class(labels, pictures, classes))
    found = torch.zeros(len(labels), classes, dtype=torch.float64)
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(features, labels, pictures)
    for learn, judge in cut:
        learn, judge = torch.from_numpy(learn), torch.from_numpy(judge)
        there = labels[learn].unique()  # grouped folds may leave a small class out of what is learned from
        place = torch.searchsorted(there, labels[learn])
        found[judge[:, None], there] = fit(features[learn], place, features)(features[judge]).double()
    return found


def suspects(probabilities: Tensor, labels: Tensor) -> Tensor:
    """The indices of examples whose label is probably wrong, the most suspicious first.

    Suspicious is what another class claims with a probability of at least that class's average probability on its own
    examples, and with more than the given class has (confident learning; Northcutt, Jiang & Chuang 2021, JAIR).

    Args:
        probabilities: (N, classes), out of fold.
        labels: (N,).
    """
    classes = probabilities.shape[1]
    usual = torch.stack([probabilities[labels == label, label].mean() for label in range(classes)])
    given = probabilities.gather(1, labels[:, None])[:, 0]
    claims = torch.where(probabilities >= usual, probabilities, 0.0)
    strongest, other = claims.max(1)
    suspicious = (strongest > given) & (other != labels)
    margin = torch.where(suspicious, strongest - given, -1.0)
    return margin.argsort(descending=True)[: int(suspicious.sum())]


def planted_found(
    features: Tensor, labels: Tensor, pictures: Tensor, classes: int, *, fit: Fit = fit_probabilities, share: float = 0.05
) -> tuple[Estimate, int]:
    """The share that `suspects` finds of labels that were made wrong on purpose, and how many examples it lists then.

    Args:
        features, labels, pictures, classes, fit: as `out_of_fold` takes them.
        share: of the labels that are made wrong.
    """
    generator = torch.Generator().manual_seed(0)
    wrong = torch.randperm(len(labels), generator=generator)[: max(1, round(share * len(labels)))]
    changed = labels.clone()
    changed[wrong] = (labels[wrong] + torch.randint(1, classes, (len(wrong),), generator=generator)) % classes
    if smallest_class(changed, pictures, classes) < 2:  # no two folds hold such a class
        return Estimate(math.nan, math.nan, math.nan, 0), 0
    listed = suspects(out_of_fold(features, changed, pictures, classes, fit=fit), changed)
    return share_of(torch.isin(wrong, listed)), len(listed)


@dataclass(frozen=True)
class Trust:
    """How far a classifier can be trusted: accuracy on the test, and among the answers it is surest of.

    accuracy: Wilson's interval over test pictures. sure: the same for the answers with at least `threshold` confidence, None
    where there are none; share: how many these are. confidence: the mean confidence of all answers.
    """

    accuracy: Estimate
    confidence: float
    threshold: float
    sure: Estimate | None
    share: float

    def __str__(self) -> str:
        words = say(
            "{accuracy} of {n} test examples are classified correctly, with a mean confidence of {confidence:.2f}.",
            accuracy=self.accuracy.short(),
            n=self.accuracy.n,
            confidence=self.confidence,
        )
        if self.sure is None:
            return words
        surest = say(
            "Where the confidence is at least {threshold:.2f} ({share:.0%} of the answers), {sure} are correct.",
            threshold=self.threshold,
            share=self.share,
            sure=self.sure.short(),
        )
        return f"{words} {surest}"


def reliability(probabilities: Tensor, labels: Tensor, pictures: Tensor, threshold: float = 0.9) -> Trust:
    """How far a classifier can be trusted, from its probabilities (N, classes) on test examples; copies count once."""
    first = np.unique(pictures.numpy(), return_index=True)[1]
    confidence, answer = probabilities[first].max(1)
    correct = answer == labels[first]
    sure = confidence >= threshold
    return Trust(
        share_of(correct),
        float(confidence.mean()),
        threshold,
        share_of(correct[sure]) if sure.any() else None,
        float(sure.float().mean()),
    )


def too_few(task: ImageTask) -> str:
    """Why nothing can be told from so few test pictures, or ""."""
    tested = len(task.test_pictures.unique())
    if tested >= FEWEST_TESTED:
        return ""
    return say(
        "Too few to tell: {n} test examples. With {needed} or more, about {total} in all, differences begin to show.",
        n=tested,
        needed=FEWEST_TESTED,
        total=math.ceil(FEWEST_TESTED / SHARES["test"]),
    )
