"""Scenes with several characters: an image with the mask of a segmenter and the boxes of a detector, made from glyphs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import load


@dataclass(frozen=True)
class Scene:
    """image: float (1, H, W) in 0..1. mask: whole numbers (H, W), n for the n-th thing, else 0. boxes: (n, 4). names."""

    image: Tensor
    mask: Tensor
    boxes: Tensor
    names: tuple[str, ...]


def scene(seed: int, things: int = 3) -> Scene:
    """Glyphs side by side, each at a random height, with room around them; a thing is where its ink is."""
    task, generator = load("glyphs"), torch.Generator().manual_seed(seed)
    height, width = 64, 24 + 32 * things
    image, mask = torch.zeros(1, height, width), torch.zeros(height, width, dtype=torch.long)
    rows = torch.randperm(len(task.test_labels), generator=generator)[:things]
    for n, row in enumerate(rows.tolist()):
        top, left = int(torch.randint(8, height - 36, (1,), generator=generator)), 14 + 32 * n
        part = task.test_images[row].float() / 255
        image[:, top : top + 28, left : left + 28] = part
        mask[top : top + 28, left : left + 28][part[0] > 0.5] = n + 1
    names = tuple(task.classes[int(task.test_labels[row])] for row in rows)
    return Scene(image, mask, tight_boxes(mask, things), names)


def tight_boxes(mask: Tensor, things: int) -> Tensor:
    """The smallest upright box around each thing of a mask, (things, 4); zeros for a thing that is not there."""
    boxes = torch.zeros(things, 4)
    for n in range(things):
        rows, columns = (mask == n + 1).nonzero(as_tuple=True)
        if len(rows):
            boxes[n] = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
    return boxes


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes (n, 4) in pairs, (n,): 1 for equal boxes, 0 for those that do not meet."""
    corner, end = torch.maximum(boxes[:, :2], others[:, :2]), torch.minimum(boxes[:, 2:], others[:, 2:])
    both = (end - corner).clamp(min=0).prod(dim=1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(dim=1) for b in (boxes, others)]
    return both / (areas[0] + areas[1] - both).clamp_min(1e-9)
