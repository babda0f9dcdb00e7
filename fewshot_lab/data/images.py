"""What every image data set of the course looks like: a training pool, a test set, and draws of K labels per class."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
        """Where the images of `draw` stand in the training part: whole numbers (classes * shots,)."""
        counts = torch.bincount(self.train_labels, minlength=len(self.classes)).tolist()
        for name, count in zip(self.classes, counts, strict=True):
            if shots > count:
                raise ValueError(f"{self.name} has {count} training images of {name!r}, not {shots}.")
        return rows_of_each(self.train_labels, len(self.classes), shots, seed)


def rows_of_each(labels: Tensor, classes: int, shots: int, seed: int) -> Tensor:
    """Where `shots` items of every class stand, class after class, in an order drawn by `seed`: of a rarer class, all of it."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    ordered = labels[order]
    return torch.cat([order[ordered == label][:shots] for label in range(classes)])
