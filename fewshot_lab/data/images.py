"""What every image data set of the course looks like: three parts, and draws of K labels per class."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

MOST_IMAGES = 2000  # of a part that an experiment uses, so that a large data set does not make a chapter long


@dataclass(frozen=True)
class ImageTask:
    """A classification task in three parts: to learn from, to choose settings on, and to test claims on.

    Images are uint8 (N, C, H, W) in 0..255, C = 1 (grey) or 3 (RGB), labels (N,) in 0..classes-1. Several images may show one
    *picture*, each jittered in its own way or by another artist: they are no independent examples, so draws take K different
    pictures and intervals draw pictures anew.

    Args:
        name: of the data set.
        classes: the classes' names.
        train_images, train_labels: what networks learn from.
        validation_images, validation_labels: what every setting is chosen on.
        test_images, test_labels: what claims are tested on.
        train_pictures, validation_pictures, test_pictures: which picture each image shows, (N,); by default each its own.
        train_groups: what a training image has in common with others, such as the typeface, (N,); by default the picture.
    """

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    train_pictures: Tensor | None = None
    validation_pictures: Tensor | None = None
    test_pictures: Tensor | None = None
    train_groups: Tensor | None = None

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            if getattr(self, f"{part}_pictures") is None:
                object.__setattr__(self, f"{part}_pictures", torch.arange(len(getattr(self, f"{part}_labels"))))
        if self.train_groups is None:
            object.__setattr__(self, "train_groups", self.train_pictures)

    def draw(self, shots: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draws `shots` training images of every class (a balanced few-shot training set), the same for equal seeds.

        Returns images (classes * shots, C, H, W) and labels. No picture is drawn twice. Draws with the same seed are nested:
        the first K of a class are the same for every larger K, so learning curves are paired. Raises ValueError when a class
        has fewer pictures, and for a number below 0.
        """
        rows = self.rows(shots, seed)
        return self.train_images[rows], self.train_labels[rows]

    def rows(self, shots: int, seed: int) -> Tensor:
        """The row numbers of the images of `draw` in the training part: (classes * shots,)."""
        if shots < 0:
            raise ValueError(f"{shots} images of every class are asked for; ask for a whole number from 0.")
        order = torch.randperm(len(self.train_labels), generator=torch.Generator().manual_seed(seed))
        order = _first_of_each(order, self.train_pictures)
        counts = torch.bincount(self.train_labels[order], minlength=len(self.classes)).tolist()
        for name, count in zip(self.classes, counts, strict=True):
            if shots > count:
                raise ValueError(f"{self.name} has {count} different training pictures of {name!r}, not {shots}.")
        return _first_of_classes(order, self.train_labels, len(self.classes), shots)

    def capped(self, most: int = MOST_IMAGES) -> "ImageTask":
        """The task with the first `most` of its validation and of its test images; the training images all stay."""
        parts = [f"{part}_{what}" for part in ("validation", "test") for what in ("images", "labels", "pictures")]
        return replace(self, **{name: getattr(self, name)[:most] for name in parts})

    def on_validation(self) -> "ImageTask":
        """The task with the validation part in place of the test part: what settings are chosen with."""
        parts = {f"test_{what}": getattr(self, f"validation_{what}") for what in ("images", "labels", "pictures")}
        return replace(self, **parts)

    def with_images(self, change: Callable[[Tensor], Tensor]) -> "ImageTask":
        """The task with change(images), such as features (N, D), in place of the images of all three parts."""
        parts = [f"{part}_images" for part in ("train", "validation", "test")]
        return replace(self, **{name: change(getattr(self, name)) for name in parts})

    def halves(self, most: int = MOST_IMAGES) -> tuple["ImageTask", "ImageTask"]:
        """Two tasks that share no training group (typeface or picture), of at most `most` training images together.

        Their validation and test images are the same, capped. For a model that must not have seen what another learned from: a
        teacher and its student, an evaluator and a generator.
        """
        # A fixed seed, not the experiment's: what was trained on one half in any run has not seen the other half of this one.
        generator = torch.Generator().manual_seed(0)
        names = self.train_groups.unique()
        in_first = torch.isin(self.train_groups, names[torch.randperm(len(names), generator=generator)[: len(names) // 2]])
        order = torch.randperm(len(self.train_labels), generator=generator)
        halves = (order[in_first[order]][: most // 2], order[~in_first[order]][: most // 2])
        parts = ("train_images", "train_labels", "train_pictures", "train_groups")
        first, second = (replace(self.capped(most), **{name: getattr(self, name)[rows] for name in parts}) for rows in halves)
        return first, second


def rows_of_each(labels: Tensor, classes: int, shots: int, seed: int) -> Tensor:
    """Row numbers of `shots` items of every class, class after class; of a class that has fewer, all of it."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return _first_of_classes(order, labels, classes, shots)


def _first_of_classes(order: Tensor, labels: Tensor, classes: int, shots: int) -> Tensor:
    # One permutation of all items, of which each class takes its first ones: a larger K takes the same items and some more, so
    # learning curves over K are nested.
    ordered = labels[order]
    return torch.cat([order[ordered == label][:shots] for label in range(classes)])


def _first_of_each(order: Tensor, pictures: Tensor) -> Tensor:
    """The rows of `order` without those whose picture a row before them shows."""
    shown = pictures[order]
    first = torch.full((int(pictures.max()) + 1,), len(order)).scatter_reduce(0, shown, torch.arange(len(order)), "amin")
    return order[first[first < len(order)].sort().values]
