"""Features of your own pictures and texts, each kind as an `ImageTask` with features (N, D) in place of images."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import ImageTask
from ..data.glosses import TextTask
from ..errors import CourseError
from ..languages import later, say
from ..methods.linear_probe import fit_probabilities
from ..methods.text_augmentation import linear_head
from ..training import progress_bar
from .measures import Fit, learning_curve, shots_for

PIXELS, LITE0 = later("pixels"), "EfficientNet-Lite0"
BAG, MINILM = later("bag of words"), "MiniLM"
PARTS = ("train", "validation", "test")
WORDS = 5000  # of a bag, the most frequent ones
NET_SIDE = 32  # pixels a side of the images that networks are trained on


@dataclass(frozen=True)
class Kinds:
    """Several kinds of features of the same examples, {kind: task}; the probe that suits them; what could not be had.

    embed: {kind: examples -> features (N, D)}, by which the tasks were made.
    """

    tasks: dict[str, ImageTask]
    fit: Fit
    embed: dict[str, Callable[..., Tensor]]
    missing: tuple[str, ...] = ()

    @property
    def any(self) -> ImageTask:
        """One of the tasks, for the labels and pictures, which all share."""
        return next(iter(self.tasks.values()))


def of_images(task: ImageTask, *, pretrained: bool = True) -> Kinds:
    """Pixels, and the features of EfficientNet-Lite0 unless its asset cannot be had, of a task with images (N, C, S, S)."""
    embed = {PIXELS: pixels} | ({LITE0: lite0} if pretrained else {})
    return _kinds(embed, task.with_images, fit_probabilities)


def _kinds(embed: dict[str, Callable[..., Tensor]], task_with: Callable[[Callable], ImageTask], fit: Fit) -> Kinds:
    """The kinds of features that can be had; task_with(features) is the task of one kind."""
    tasks, missing = {}, []
    for kind, features in embed.items():
        try:
            tasks[kind] = task_with(features)
        except CourseError as error:
            missing.append(say("Without {kind}: {error}", kind=kind, error=str(error)))
    return Kinds(tasks, fit, {kind: embed[kind] for kind in tasks}, tuple(missing))


def best_on_validation(kinds: Kinds, seeds: Sequence[int]) -> str:
    """The kind of features whose probe is best on validation with all labels per class; nothing is fitted where it is alone."""
    if len(kinds.tasks) == 1:
        return next(iter(kinds.tasks))
    [most] = shots_for(kinds.any)[-1:]
    on_validation = {kind: task.on_validation() for kind, task in kinds.tasks.items()}
    choosing = learning_curve(on_validation, shots=[most], seeds=seeds, fit=kinds.fit)
    return max(kinds.tasks, key=lambda kind: choosing.mean(kind, most))


def pixels(images: Tensor) -> Tensor:
    """Images uint8 (N, C, H, W) as features: their pixels at 16 x 16, (N, C 16 16)."""
    return F.interpolate(images.float() / 255, size=(16, 16), mode="area").flatten(1)


def lite0(images: Tensor) -> Tensor:
    """Images uint8 (N, C, H, W) as EfficientNet-Lite0's features (N, 1280)."""
    from ..models.efficientnet import lite0_features

    # Not more pixels than the pictures have: they would cost time and show nothing new. Below 64 the network sees little.
    side = min(128, max(64, images.shape[-1]))
    return lite0_features(images, side=side, progress=lambda batches: progress_bar(batches, later("batches of images")))


def shrunk(task: ImageTask, side: int = NET_SIDE) -> ImageTask:
    """The task with images of a size that a small network learns from in seconds."""
    return task.with_images(
        lambda images: F.interpolate(images.float(), size=(side, side), mode="area").round().clamp(0, 255).to(torch.uint8)
    )


def of_texts(task: TextTask, *, pretrained: bool = True) -> Kinds:
    """A bag of words, and MiniLM's embeddings unless its asset cannot be had."""
    embed = {BAG: bag_of_words(task.train_texts)} | ({MINILM: minilm} if pretrained else {})
    return _kinds(embed, functools.partial(as_features, task), text_probe)


def as_features(task: TextTask, features) -> ImageTask:
    """A text task with features(texts) (N, D), as an `ImageTask`."""
    # All at once: each call loads the model anew.
    texts = [text for part in PARTS for text in getattr(task, f"{part}_texts")]
    sizes = [len(getattr(task, f"{part}_texts")) for part in PARTS]
    columns = {f"{part}_labels": getattr(task, f"{part}_labels") for part in PARTS}
    columns |= {f"{part}_images": rows for part, rows in zip(PARTS, features(texts).split(sizes), strict=True)}
    return ImageTask(task.name, task.classes, **columns)


def bag_of_words(texts: Sequence[str]):
    """A function, texts -> features (N, words): how often each word occurs, weighted by how rare it is (tf-idf) in `texts`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # A word is a run of letters or digits, or one character of a script that is written without blanks.
    pattern = r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+"
    bag = TfidfVectorizer(token_pattern=pattern, sublinear_tf=True, max_features=WORDS)
    try:
        bag.fit(texts)
    except ValueError:  # no word in any text
        raise CourseError(say("The texts hold no words, only marks. Give texts with letters or digits.")) from None
    return lambda some: torch.from_numpy(bag.transform(some).toarray()).float()


def minilm(texts: Sequence[str]) -> Tensor:
    """Texts as MiniLM's embeddings (N, 384)."""
    from ..models.language import sentence_features

    return sentence_features(texts, progress=lambda batches: progress_bar(batches, later("batches of texts")))


def text_probe(features: Tensor, labels: Tensor, like: Tensor):
    """Logistic regression that suits text features of length 1: a function, features -> probabilities."""
    head = linear_head(features, labels, len(features))
    return lambda z: head(z).exp()


def everything(task: ImageTask) -> tuple[Tensor, Tensor, Tensor]:
    """Features, labels and pictures of all three parts, one after the other; pictures have different numbers in each."""
    offsets = (0, int(task.train_pictures.max()) + 1)
    offsets = (*offsets, offsets[1] + int(task.validation_pictures.max()) + 1)
    pictures = [getattr(task, f"{part}_pictures") + start for part, start in zip(PARTS, offsets, strict=True)]
    return (
        torch.cat([getattr(task, f"{part}_images") for part in PARTS]),
        torch.cat([getattr(task, f"{part}_labels") for part in PARTS]),
        torch.cat(pictures),
    )
