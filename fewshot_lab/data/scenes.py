"""Scenes of several glyphs side by side, with the segmentation mask and the bounding boxes of each."""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import load


@dataclass(frozen=True)
class Scene:
    """An image with its targets.

    image: float (1, H, W) in 0..1. mask: whole numbers (H, W), n at the n-th glyph and 0 at the background. boxes: (n, 4), as
    in `augment.targets`. names: the characters.
    """

    image: Tensor
    mask: Tensor
    boxes: Tensor
    names: tuple[str, ...]


def scene(seed: int, count: int = 3) -> Scene:
    """A scene of `count` glyphs, each at a random height; a glyph's mask is where it is brighter than 0.5."""
    task, generator = load("glyphs"), torch.Generator().manual_seed(seed)
    height, width = 64, 24 + 32 * count  # glyphs are 28 pixels wide, and a turned scene needs some room at its edges
    image, mask = torch.zeros(1, height, width), torch.zeros(height, width, dtype=torch.long)
    rows = torch.randperm(len(task.test_labels), generator=generator)[:count]
    for n, row in enumerate(rows.tolist()):
        top, left = int(torch.randint(8, height - 36, (1,), generator=generator)), 14 + 32 * n
        glyph = task.test_images[row].float() / 255
        image[:, top : top + 28, left : left + 28] = glyph
        mask[top : top + 28, left : left + 28][glyph[0] > 0.5] = n + 1
    names = tuple(task.classes[int(task.test_labels[row])] for row in rows)
    return Scene(image, mask, tight_boxes(mask, count), names)


def tight_boxes(mask: Tensor, count: int) -> Tensor:
    """The smallest upright box around each of the objects 1..count of a mask, (count, 4); zeros for one that is not in it."""
    boxes = torch.zeros(count, 4)
    for n in range(count):
        rows, columns = (mask == n + 1).nonzero(as_tuple=True)
        if len(rows):
            boxes[n] = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
    return boxes


def polygons(mask: Tensor, count: int, corners: int = 8) -> Tensor:
    """A polygon around each of the objects 1..count of a mask: (count, corners, 2), points (x, y) as in a box.

    In each of so many directions the outermost corner of a pixel is one of its corners; zeros for an object that is not in it.
    """
    angles = torch.arange(corners) * 2 * torch.pi / corners
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)  # (corners, 2)
    found = torch.zeros(count, corners, 2)
    for n in range(count):
        pixels = (mask == n + 1).nonzero().flip(1).float()  # (pixels, 2): x and y of their upper left corners
        if len(pixels):
            points = (pixels[:, None] + torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).flatten(0, 1)
            found[n] = points[(points @ directions.T).argmax(dim=0)]
    return found


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes (n, 4) in pairs, (n,): 1 for equal boxes, 0 for boxes that do not overlap."""
    corner, end = torch.maximum(boxes[:, :2], others[:, :2]), torch.minimum(boxes[:, 2:], others[:, 2:])
    intersection = (end - corner).clamp(min=0).prod(dim=1)  # clamped: two negative sides would make an area
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(dim=1) for b in (boxes, others)]
    return intersection / (areas[0] + areas[1] - intersection).clamp_min(1e-9)
