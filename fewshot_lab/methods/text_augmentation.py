"""Text augmentation measured: copies of labelled glosses, a frozen encoder and a network from scratch, and labels that flip.

A labelled gloss is worth the same with and without copies: the loss of a training set of n labelled glosses and m rows in all
is weighted by n / m, so that copies change what is shown and not how strongly the head is regularised.
"""

import random
from collections.abc import Callable, Mapping, Sequence

import torch
from scipy.stats import binomtest
from torch import Tensor

from ..augment.text import EDITS, Synonyms, changed
from ..data import glosses
from ..models.text import TextNet, encoded, vocabulary
from ..runtime import seed_everything
from ..training import accuracy, outputs, train

CLASSES = {"five": glosses.FIVE, "all": glosses.ALL}


def changer(
    operation: str,
    *,
    alpha: float = 0.1,
    synonyms: Synonyms,
    round_trips: Mapping[str, str],
    edits: Mapping[str, Callable] = EDITS,
) -> Callable[[str, int], str]:
    """change(text, r): copy r of a text. Its draws come from the text and r alone, so that equal texts have equal copies.

    operation: one of `augment.text.OPERATIONS`, "back-translation" (one copy, whatever r), or "none".
    """

    def change(text: str, r: int) -> str:
        if operation == "none":
            return text
        if operation == "back-translation":
            return round_trips[text]
        return changed(text, operation, alpha, synonyms, random.Random(f"{operation} {alpha} {r} {text}"), edits)

    return change


def linear_head(z: Tensor, labels: Tensor, labelled: int):
    """Multinomial logistic regression on frozen features z (m, d) of `labelled` glosses and their copies.

    Returns a function, features (n, d) -> log-probabilities (n, classes).
    """
    from sklearn.linear_model import LogisticRegression

    weights = torch.full((len(z),), labelled / len(z)).numpy()
    model = LogisticRegression(C=30.0, max_iter=300, tol=1e-3).fit(z.numpy(), labels.numpy(), sample_weight=weights)
    return lambda features: torch.from_numpy(model.predict_log_proba(features.numpy()))


def flip_rate(before: Tensor, after: Tensor, labels: Tensor) -> tuple[float, float, float]:
    """The share of copies whose class is not the label any more, among the glosses that the judge read rightly before.

    before, after, labels: class numbers (n,), one copy for each gloss. Returns share, low, high (Wilson's 95 % interval);
    with no gloss read rightly, NaN thrice.
    """
    right = before == labels
    if not right.any():
        return (float("nan"),) * 3
    flipped, n = int((after[right] != labels[right]).sum()), int(right.sum())
    low, high = binomtest(flipped, n).proportion_ci(method="wilson")
    return flipped / n, low, high


def first_tests(classes: str, per_class: int) -> tuple[list[str], Tensor]:
    """The first test glosses of each class, and their labels."""
    task = glosses.task(CLASSES[classes])
    rows = torch.cat([(task.test_labels == k).nonzero()[:per_class, 0] for k in range(len(task.classes))])
    return [task.test_texts[row] for row in rows], task.test_labels[rows]


def fit_from_scratch(
    classes: str, *, texts: Sequence[str], labels: Sequence[int], seed: int, steps: int = 120, per_class: int = 100
) -> dict[str, float]:
    """Trains a small text network on these texts alone and tests it; its vocabulary is theirs. Returns test_accuracy.

    texts may hold copies; every training takes the same number of steps.
    """
    test_texts, test_labels = first_tests(classes, per_class)
    words = vocabulary(texts)
    seed_everything(seed)
    model = TextNet(len(words), len(CLASSES[classes]))
    x, y = encoded(texts, words), torch.tensor(labels)
    train(model, x, y, steps=steps, batch_size=32, learning_rate=1e-2, weight_decay=1e-2, seed=seed)
    return {"test_accuracy": accuracy(outputs(model, encoded(test_texts, words)), test_labels)}
