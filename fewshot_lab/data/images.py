"""What every image data set of the course looks like: a training and a test part, and draws of K labels per class."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

MOST_IMAGES = 2000  # of a part that an experiment uses, so that a large data set does not make a chapter long


@dataclass(frozen=True)
class ImageTask:
    """A classification task: uint8 images (N, 1, H, W) in 0..255, labels (N,) in 0..classes-1, and the classes' names."""

    name: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    def draw(self, shots: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draws `shots` training images of every class (a balanced few-shot training set), the same for equal seeds.

        Returns images (classes * shots, 1, H, W) and labels. Draws with the same seed are nested: the first K of a class
        are the same for every larger K, so learning curves are paired. Raises ValueError when a class has fewer images.
        """
        rows = self.rows(shots, seed)
        return self.train_images[rows], self.train_labels[rows]

    def rows(self, shots: int, seed: int) -> Tensor:
        """The row numbers of the images of `draw` in the training part: (classes * shots,)."""
        counts = torch.bincount(self.train_labels, minlength=len(self.classes)).tolist()
        for name, count in zip(self.classes, counts, strict=True):
            if shots > count:
                raise ValueError(f"{self.name} has {count} training images of {name!r}, not {shots}.")
        return rows_of_each(self.train_labels, len(self.classes), shots, seed)

    def capped(self, most: int = MOST_IMAGES) -> "ImageTask":
        """The task with the first `most` of its test images; the training images all stay."""
        return replace(self, test_images=self.test_images[:most], test_labels=self.test_labels[:most])

    def halves(self, most: int = MOST_IMAGES) -> tuple["ImageTask", "ImageTask"]:
        """Two tasks that share no training image, of at most `most` training images together, with the same test images.

        For a model that must not have seen the images of another: a teacher and its student, an evaluator and a generator.
        """
        # A fixed seed, not the experiment's: what was trained on one half in any run has not seen the other half of this one.
        order = torch.randperm(len(self.train_labels), generator=torch.Generator().manual_seed(0))[:most]
        first, second = (
            replace(self.capped(most), train_images=self.train_images[rows], train_labels=self.train_labels[rows])
            for rows in order.tensor_split(2)
        )
        return first, second


def rows_of_each(labels: Tensor, classes: int, shots: int, seed: int) -> Tensor:
    """Row numbers of `shots` items of every class, class after class; of a class that has fewer, all of it."""
    # One permutation of all items, of which each class takes its first ones: a larger K takes the same items and some more, so
    # learning curves over K are nested.
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    ordered = labels[order]
    return torch.cat([order[ordered == label][:shots] for label in range(classes)])
