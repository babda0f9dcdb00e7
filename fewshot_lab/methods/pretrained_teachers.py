"""Pretrained teachers: a head on a frozen network, fitted on the student's K labels, answers for all of its images or texts.

The network has seen other data, never these labels, so that teacher and student know the same K labels per class. Images go
through EfficientNet-Lite0, texts through MiniLM; the students are the small convolutional net of `distillation.fit_student`
and, here, a small text network from scratch.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from .. import data
from ..data import glosses
from ..data.images import rows_of_each
from ..models.efficientnet import lite0_features
from ..models.language import sentence_features
from ..models.text import TextNet, encode_words, vocabulary
from ..runtime import seed_everything
from ..training import accuracy, hits_by_picture, outputs, train
from .distillation import cached_loss, packed

TEXTS = 500  # glosses in the student's pool


def head_logits(features: Tensor, rows: Tensor, labels: Tensor, C: float) -> Tensor:
    """The logits (n, classes) of a linear head on frozen features (n, d) for all of them, fitted on `rows` alone.

    Multinomial logistic regression. labels: (n,), of which only those of `rows` are used. C: how weakly it is regularised.
    """
    from sklearn.linear_model import LogisticRegression

    # Scaled by all features, labelled or not; divided by the root of d, so that one C suits networks of any width.
    scaled = ((features - features.mean(0)) / features.std(0).clamp_min(1e-6) / features.shape[1] ** 0.5).numpy()
    model = LogisticRegression(C=C, max_iter=1000).fit(scaled[rows], labels[rows].numpy())
    return torch.from_numpy(model.decision_function(scaled)).float()


def image_answers(dataset: str, *, shots: int, seed: int, C: float, side: int, device: str = "auto", progress=iter) -> Tensor:
    """The logits (1, n, classes) of a head on EfficientNet-Lite0 for the images of a student's half, unaugmented.

    They are a teacher for `distillation.fit_student`. Fetches the asset `efficientnet-lite0`; features are kept on disk.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class that the head is fitted on: those of the student with this seed.
        seed: of the labels.
        C: how weakly the head is regularised.
        side: pixels a side to which the images are enlarged.
        device: where EfficientNet-Lite0 runs.
        progress: progress(batches) is a bar around its loop.
    """
    _, task = data.load(dataset).halves()
    features = lite0_features(task.train_images, side=side, device=device, progress=progress)
    return head_logits(features, task.rows(shots, seed), task.train_labels, C)[None]


@functools.cache
def text_pool() -> tuple[tuple[str, ...], Tensor]:
    """The first TEXTS glosses of five classes in a fixed random order, and their labels (TEXTS,); the student's pool."""
    task = glosses.task()
    rows = torch.randperm(len(task.train_labels), generator=torch.Generator().manual_seed(0))[:TEXTS]
    return tuple(task.train_texts[row] for row in rows), task.train_labels[rows]


def text_rows(shots: int, seed: int) -> Tensor:
    """The rows of `text_pool` that have a label: `shots` of each class, nested for equal seeds."""
    labels = text_pool()[1]
    return rows_of_each(labels, int(labels.max()) + 1, shots, seed)


def text_answers(*, shots: int, seed: int, C: float, device: str = "auto", progress=iter) -> Tensor:
    """The logits (TEXTS, classes) of a head on MiniLM for `text_pool`, fitted on the K labels; fetches the asset `minilm`."""
    texts, labels = text_pool()
    features = sentence_features(texts, device=device, progress=progress)
    return head_logits(features, text_rows(shots, seed), labels, C)


def fit_text_student(
    *,
    shots: int,
    seed: int,
    teacher: Tensor | None = None,
    temperature: float = 1.0,
    alpha: float = 0.5,
    steps: int = 200,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a small text network from scratch on the K labels or, with a teacher, on `text_pool`, and tests it.

    Args:
        shots: labels per class, K.
        seed: of the labels, the first weights and the batches.
        teacher: its logits (TEXTS, classes) for the pool.
        temperature, alpha: of `distillation.mixed_loss`.
        steps: of the training, with batches of 32.
        device: where to train.

    Returns:
        pool_logits (TEXTS, classes), test_accuracy, test_hits and test_sizes, validation_accuracy, at_rest and seconds.
    """
    task = glosses.task()
    texts, labels = text_pool()
    labelled = text_rows(shots, seed)
    rows = labelled if teacher is None else torch.arange(TEXTS)
    # The words of the texts that it learns from: others have no vector.
    words = vocabulary([texts[row] for row in rows])

    def encoded(some: Sequence[str]) -> Tensor:
        return encode_words(some, words)

    x = encoded([texts[row] for row in rows])
    if teacher is None:
        y, options = labels[rows], {}
    else:
        known = torch.where(torch.isin(rows, labelled), labels, -1)
        y, options = packed(teacher, known), {"loss": cached_loss(temperature, alpha)}
    seed_everything(seed)
    model = TextNet(len(words), len(task.classes))
    options |= {"batch_size": 32, "weight_decay": 1e-2, "device": device}
    history = train(model, x, y, steps=steps, seed=seed, **options)
    test_logits = outputs(model, encoded(task.test_texts))
    return {
        "pool_logits": outputs(model, encoded(texts)),
        "test_accuracy": accuracy(test_logits, task.test_labels),
        **hits_by_picture(test_logits, task.test_labels, torch.arange(len(task.test_labels))),
        "validation_accuracy": accuracy(outputs(model, encoded(task.validation_texts)), task.validation_labels),
        "at_rest": history.at_rest,
        "seconds": history.seconds,
    }
