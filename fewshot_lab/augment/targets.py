"""Targets that move with the image: what geometry does to a segmentation mask and to the bounding boxes of a detector.

Matrices are those of `geometry`: pixels from the image's centre, x right, y up. Boxes are (x0, y0, x1, y1) as detection
libraries write them: pixels from the upper left corner, y down, pixel (row r, column c) covering c..c+1 and r..r+1.
"""

import torch
from torch import Tensor

from .geometry import apply_to_points, warp


def warp_mask(mask: Tensor, matrix: Tensor) -> Tensor:
    """Moves a mask (..., H, W) of class numbers with its image; what comes in from outside is background, class 0.

    Every pixel takes the class of the nearest pixel before: a mean of classes 1 and 3 would be class 2, which is not there.
    matrix: (2, 3) or (3, 3).
    """
    planes = mask.reshape(1, -1, *mask.shape[-2:]).double()
    return warp(planes, matrix.double(), mode="nearest").round().to(mask.dtype).reshape(mask.shape)


def warp_boxes(boxes: Tensor, matrix: Tensor, height: int, width: int) -> Tensor:
    """Moves boxes (n, 4) with their image: the smallest upright box around the four moved corners, cut at the image's edges.

    A box that has left the image has no area any more: drop it with its label.
    """
    x, y = boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]]  # (n, 4): the corners
    corners = torch.stack([x - width / 2, height / 2 - y], dim=-1)  # from the centre, y up
    moved = apply_to_points(matrix.to(corners), corners)
    x, y = moved[..., 0] + width / 2, height / 2 - moved[..., 1]
    x, y = x.clamp(0, width), y.clamp(0, height)
    return torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], dim=1)
