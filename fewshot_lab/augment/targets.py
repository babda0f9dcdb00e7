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
    return polygon_boxes(boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]], matrix, height, width)


def polygon_boxes(polygons: Tensor, matrix: Tensor, height: int, width: int) -> Tensor:
    """The boxes (n, 4) of moved polygons (n, k, 2): the smallest upright box around the k moved corners, cut at the edges.

    A corner is (x, y) from the image's upper left corner, y down, as in a box.
    """
    x, y = polygons.unbind(-1)
    corners = torch.stack([x - width / 2, height / 2 - y], dim=-1)  # from the centre, y up
    moved = apply_to_points(matrix.to(corners), corners)
    x, y = moved[..., 0] + width / 2, height / 2 - moved[..., 1]
    x, y = x.clamp(0, width), y.clamp(0, height)
    return torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], dim=1)


def ellipse_boxes(boxes: Tensor, matrix: Tensor, height: int, width: int) -> Tensor:
    """Moves boxes (n, 4) as if a thing filled its box's inscribed ellipse: the upright box of the moved ellipse, cut.

    An ellipse with half-axes a and b along x and y reaches, after a linear map M, sqrt((M_x1 a)^2 + (M_x2 b)^2) to both sides
    of its centre (Kalra et al. 2021, ICCV: most things turn more like an ellipse than like their box). matrix: as above.
    """
    x0, y0, x1, y1 = boxes.unbind(1)
    centre = torch.stack([(x0 + x1 - width) / 2, (height - y0 - y1) / 2], dim=1)  # from the image's centre, y up
    half = torch.stack([x1 - x0, y1 - y0], dim=1) / 2
    x, y = apply_to_points(matrix.to(boxes), centre).unbind(1)
    reach_x, reach_y = ((matrix[:2, :2].to(boxes) * half[:, None]) ** 2).sum(dim=2).sqrt().unbind(1)
    x, y = x + width / 2, height / 2 - y
    moved = torch.stack([x - reach_x, y - reach_y, x + reach_x, y + reach_y], dim=1)
    return moved.clamp(min=0).minimum(torch.tensor([width, height, width, height]).to(moved))
