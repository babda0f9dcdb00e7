"""What a label and a second buy: the best of several noisy accuracies, Holm over two ledgers, the frontier, and a till."""

import functools
import time

import torch
from torch import Tensor

from .. import data
from ..augment import get_policy
from ..data import ImageTask
from ..training import hits_by_picture
from .supervised import fit_few_shot

PICKED_ON = 100  # test images on which the best setting is picked: as many queries as a few-shot episode may have
COPIES = 20  # of each labelled image, for the classifier that has no batches to augment


def expected_best(accuracy: float, images: int, tries: int) -> float:
    """The expected highest test accuracy of `tries` settings that are equally good, tested on images of their own.

    The hits of one setting are binomial, with the distribution function F; the highest of n has F^n. A mean of whole numbers is
    the sum of the probabilities to be larger than 0, 1, ..., so E[max] / m = sum over k < m of (1 - F(k)^n) / m.

    Args:
        accuracy: the true accuracy of every setting, 0..1.
        images: m, the test images.
        tries: n, at least 1.
    """
    from scipy.stats import binom  # its import takes most of a second, which chapters without prices save

    below = torch.from_numpy(binom.cdf(range(images), images, accuracy))  # F(0), ..., F(m - 1)
    return float((1 - below**tries).sum() / images)


def holm_adjusted(p_values: Tensor) -> Tensor:
    """Holm's adjusted p values (m,), in the order given (Holm 1979, Scandinavian Journal of Statistics).

    The smallest p value is multiplied by m, the next by m - 1 and so on, none above 1 and none below the one before. NaN is
    a test that decided nothing: it stays NaN and counts as a test.
    """
    asked = p_values.double().nan_to_num(nan=1.0)
    values, order = asked.sort()
    steps = torch.arange(len(values), 0, -1)  # m, m - 1, ..., 1
    adjusted = torch.empty_like(values)
    adjusted[order] = (steps * values).clamp(max=1).cummax(dim=0).values
    return torch.where(p_values.isnan(), p_values.double(), adjusted)


def frontier(labels: Tensor, seconds: Tensor, accuracy: Tensor) -> Tensor:
    """Which offers are worth considering (n,): those that no other one beats (Pareto).

    One offer beats another when it asks for no more labels and no more seconds, is no less accurate, and is better in at
    least one of the three.
    """
    prices = torch.stack([labels, seconds, -accuracy], dim=1).double()  # (n, 3), less is better
    no_worse = (prices[:, None] <= prices[None]).all(dim=2)  # [i, j]: i against j
    better = (prices[:, None] < prices[None]).any(dim=2)
    return ~(no_worse & better).any(dim=0)


def best_in_budget(labels: Tensor, seconds: Tensor, accuracy: Tensor, most_labels: float, most_seconds: float) -> int:
    """The number of the most accurate offer within both budgets; of equals the first, -1 where none is cheap enough."""
    affordable = (labels <= most_labels) & (seconds <= most_seconds)
    if not affordable.any():
        return -1
    return int(torch.where(affordable, accuracy, -torch.inf).argmax())


def pick_the_best(*, seed: int, settings: int = 32, shots: int = 5, images: int = PICKED_ON) -> dict:
    """Tries settings of a classifier of digits, picks the best on a few test images, and asks all others how good it is.

    A setting is a logistic regression of a random strength on a random three quarters of the pixels: settings as a random
    search draws them (Bergstra & Bengio 2012, JMLR). For n = 1..settings the first n of them are compared.

    Returns, each (settings,): "reported", the accuracy of the picked setting on the images it was picked on; "true", its
    accuracy on the other test images; "any", the mean accuracy of the first n settings there; and "flattery", the last n's
    reported - true.
    """
    from sklearn.linear_model import LogisticRegression

    task = data.load("digits")
    generator = torch.Generator().manual_seed(seed)
    train, labels = task.draw(shots, seed)
    train, test = (part.flatten(1).double() / 255 for part in (train, task.test_images))
    order = torch.randperm(len(test), generator=generator)
    few, others = order[:images], order[images:]
    hits = []
    for _ in range(settings):
        strength = 10 ** (4 * torch.rand(1, generator=generator, dtype=torch.float64).item() - 2)
        pixels = torch.randperm(test.shape[1], generator=generator)[: 3 * test.shape[1] // 4]
        fitted = LogisticRegression(C=strength, max_iter=200).fit(train[:, pixels].numpy(), labels.numpy())
        hits.append(torch.from_numpy(fitted.predict(test[:, pixels].numpy())) == task.test_labels)
    hits = torch.stack(hits).double()
    on_few, on_others = hits[:, few].mean(1), hits[:, others].mean(1)  # (settings,)
    best = [int(on_few[:n].argmax()) for n in range(1, settings + 1)]
    reported, true = on_few[best], on_others[best]
    counts = torch.arange(1, settings + 1)
    return {
        "seed": seed,
        "reported": reported.tolist(),
        "true": true.tolist(),
        "any": (on_others.cumsum(0) / counts).tolist(),
        "flattery": float(reported[-1] - true[-1]),
    }


def offer(method: str, *, seed: int, shots: int, steps: int, strength: float, device: str = "auto") -> dict:
    """One way to use K labels per class of scikit-learn's digits: how accurate it is on the test images, and its seconds.

    Args:
        method: "class means", "nearest neighbour", "logistic regression", "logistic regression + copies", which adds COPIES of
            each image by the policy, "network" or "network + policy" (chapter 02's training).
        seed: of the labels drawn and everything else that is random.
        shots: K.
        steps: of the networks.
        strength: of the policy affine.
        device: of the networks.

    Returns "test_accuracy" with the test images' answers, "seconds" (to train and to answer) and, for networks, "at_rest".
    """
    _warm_up(device)
    if method.startswith("network"):
        policy = {"policy": "affine", "strength": strength} if method.endswith("policy") else {}
        row = fit_few_shot("digits", seed=seed, shots=shots, steps=steps, device=device, **policy)
        kept = ("test_accuracy", "test_hits", "test_sizes", "at_rest", "seconds")
        return {"seed": seed, "shots": shots} | {name: row[name] for name in kept}
    task = data.load("digits").capped()
    started = time.perf_counter()
    images, labels = task.draw(shots, seed)
    images = images.float() / 255
    if method.endswith("copies"):
        generator = torch.Generator().manual_seed(seed)
        images, labels = images.repeat(COPIES + 1, 1, 1, 1), labels.repeat(COPIES + 1)
        images = torch.cat([images[: shots * 10], get_policy("affine")(images[shots * 10 :], strength, generator)])
    answers = _answers(method, images.flatten(1), labels, task)
    hits = hits_by_picture(answers, task.test_labels, task.test_pictures)
    share = float((answers.argmax(dim=1) == task.test_labels).float().mean())
    return {"seed": seed, "shots": shots, "test_accuracy": share, **hits, "seconds": time.perf_counter() - started}


@functools.cache
def _warm_up(device: str) -> None:
    """The first training and the first regression of a process read data and import libraries, which is no offer's price."""
    fit_few_shot("digits", seed=0, shots=1, steps=2, device=device)
    task = data.load("digits").capped()
    images, labels = task.draw(1, seed=0)
    _answers("logistic regression", images.flatten(1).float() / 255, labels, task)


def _answers(method: str, train: Tensor, labels: Tensor, task: ImageTask) -> Tensor:
    """Scores (test images, classes) of a classifier of pixels."""
    test = task.test_images.flatten(1).float() / 255
    if method == "class means":
        means = torch.stack([train[labels == label].mean(dim=0) for label in range(len(task.classes))])
        return -torch.cdist(test, means)
    if method == "nearest neighbour":
        nearest = torch.cdist(test, train).argmin(dim=1)
        return torch.nn.functional.one_hot(labels[nearest], len(task.classes)).float()
    if not method.startswith("logistic regression"):
        raise ValueError(f"There is no method {method!r} on sale.")
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=500).fit(train.numpy(), labels.numpy())
    return torch.from_numpy(fitted.predict_proba(test.numpy())).float()
