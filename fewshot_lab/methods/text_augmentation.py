"""Text augmentation measured: copies of labelled glosses, a frozen encoder and a network from scratch, and labels that flip.

Copies change what a learner is shown, and neither how strongly it is regularised nor how frequent classes are: the loss of a
training set of n labelled glosses and m rows is weighted by n / m, and every class can count the same, since glosses with many
synonyms have more different copies than others.
"""

import random
import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from scipy.stats import binomtest
from torch import Tensor

from ..augment.text import EDITS, Edit, Synonyms, edit_text
from ..data import glosses
from ..models.text import TextNet, encode_words, vocabulary
from ..runtime import seed_everything
from ..training import accuracy, hits_by_picture, outputs, train

CLASSES = {"five": glosses.FIVE, "all": glosses.ALL}


def copy_maker(
    operation: str,
    *,
    alpha: float = 0.1,
    synonyms: Synonyms,
    round_trips: Mapping[str, str],
    edits: Mapping[str, Edit] = EDITS,
) -> Callable[[str, int], str]:
    """A function make_copy(text, r) that returns copy r of a text.

    Args:
        operation: one of `augment.text.NAMES`, "back-translation" (one copy, whatever r is), or "none" (the text itself).
        alpha: the strength of the operation, 0 to 1.
        synonyms: {word: its possible replacements}.
        round_trips: {text: its back-translation}.
        edits: the edits by the names of their functions.
    """

    def make_copy(text: str, r: int) -> str:
        if operation == "none":
            return text
        if operation == "back-translation":
            return round_trips[text]
        # Seeded by the copy's own name, not by a running generator: a text has the same copies in whatever training set.
        return edit_text(text, operation, alpha, synonyms, random.Random(f"{operation} {alpha} {r} {text}"), edits)

    return make_copy


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """A weight (classes,) for each class, such that all classes count the same and the mean over labels (m,) is 1.

    A class without a label gets the weight 0.
    """
    counts = torch.bincount(labels, minlength=classes)
    weights = len(labels) / ((counts > 0).sum() * counts)  # infinite for a class without a label
    return weights.where(counts > 0, torch.zeros(()))


def linear_head(
    z: Tensor, labels: Tensor, labelled: int, *, C: float = 30.0, balanced: bool = False
) -> Callable[[Tensor], Tensor]:
    """Multinomial logistic regression on frozen features z (m, d) of `labelled` glosses and their copies.

    Args:
        z: the features.
        labels: a class number for each row, (m,); or the share of each class, (m, classes), where people disagreed.
        labelled: how many of the rows are labelled glosses.
        C: how weakly it is regularised.
        balanced: whether every class counts the same, however many copies its glosses have; for class numbers alone.

    Returns a function, features (n, d) -> log-probabilities (n, classes).
    """
    from sklearn.linear_model import LogisticRegression

    # scikit-learn adds up the loss over rows, so twice the rows would halve the regularisation.
    weights = torch.full((len(z),), labelled / len(z))
    if labels.ndim == 2:
        # The cross-entropy with shares: each row once for every class, weighted by the class's share.
        weights = (weights[:, None] * labels).T.flatten()
        z, labels = z.repeat(labels.shape[1], 1), torch.arange(labels.shape[1]).repeat_interleave(len(z))
    if balanced:
        weights = weights * class_weights(labels, int(labels.max()) + 1)[labels]
    model = LogisticRegression(C=C, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        # With one label per class scikit-learn asks whether the labels are measurements.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model.fit(z.numpy(), labels.numpy(), sample_weight=weights.numpy())
    return lambda features: torch.from_numpy(model.predict_log_proba(features.numpy()))


def flip_rate(before: Tensor, after: Tensor, labels: Tensor) -> tuple[float, float, float]:
    """The share of copies that are no longer classified as their label, among the glosses that were classified correctly.

    before, after, labels: class numbers (n,) of gloss and copy by the evaluator, and the true ones; one copy for each gloss.
    Returns share, low, high (Wilson's 95 % interval); three NaNs when no gloss was classified correctly.
    """
    # A gloss that the evaluator misclassifies says nothing about its copy: the label was lost before the edit.
    correct = before == labels
    if not correct.any():
        return (float("nan"),) * 3
    flipped, n = int((after[correct] != labels[correct]).sum()), int(correct.sum())
    low, high = binomtest(flipped, n).proportion_ci(method="wilson")
    return flipped / n, low, high


def first_test_texts(classes: str, per_class: int) -> tuple[list[str], Tensor]:
    """The first `per_class` test glosses of each class, and their labels; classes: a name in CLASSES."""
    task = glosses.task(CLASSES[classes])
    rows = torch.cat([(task.test_labels == k).nonzero()[:per_class, 0] for k in range(len(task.classes))])
    return [task.test_texts[row] for row in rows], task.test_labels[rows]


def fit_from_scratch(
    classes: str,
    *,
    texts: Sequence[str],
    labels: Sequence[int],
    seed: int,
    steps: int = 120,
    per_class: int = 100,
    learning_rate: float = 1e-2,
) -> dict[str, object]:
    """Trains a small text network on these texts alone, with every class counting the same, and tests it.

    Args:
        classes: a name in CLASSES.
        texts: the training texts, copies included; the network's vocabulary is theirs.
        labels: a class number for each.
        seed: of the weights and the batches.
        steps: of training, the same number with and without copies.
        per_class: how many test glosses of each class.
        learning_rate: the largest one.

    Returns:
        test_accuracy, test_hits and test_sizes (one entry for each gloss), validation_accuracy and at_rest.
    """
    task = glosses.task(CLASSES[classes])
    test_texts, test_labels = first_test_texts(classes, per_class)
    words = vocabulary(texts)
    seed_everything(seed)
    model = TextNet(len(words), len(task.classes))
    x, y = encode_words(texts, words), torch.tensor(labels)
    weights = class_weights(y, len(task.classes))

    def loss(model, x, y):
        return (weights.to(y.device)[y] * F.cross_entropy(model(x), y, reduction="none")).mean()

    settings = {"batch_size": 32, "weight_decay": 1e-2}
    history = train(model, x, y, steps=steps, learning_rate=learning_rate, loss=loss, seed=seed, **settings)
    answers = outputs(model, encode_words(test_texts, words))
    validation = outputs(model, encode_words(task.validation_texts, words))
    return {
        "test_accuracy": accuracy(answers, test_labels),
        **hits_by_picture(answers, test_labels, torch.arange(len(test_labels))),
        "validation_accuracy": accuracy(validation, task.validation_labels),
        "at_rest": history.at_rest,
    }
