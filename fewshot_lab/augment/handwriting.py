"""Handwriting made of print: thinning, and what moves and draws a skeleton so that it looks written.

A skeleton is what is left of a printed character when its strokes are thinned to one pixel. As points it is bent like a sheet
of rubber (`smooth_field`; Simard, Steinkraus & Platt 2003, ICDAR), its strokes wander, it leans, a round pen draws it (`pen`).
Quarter turns make new classes (`turned_classes`; Santoro et al. 2016, ICML). Points are (x, y) in -1..1 over the sheet with y
down, as torch's grid_sample takes them.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 28  # pixels a side of a drawing


def may_go(neighbours: Tensor, first: bool) -> Tensor:
    """Which pixels of ink thinning takes away in this half of a pass: booleans (n,).

    neighbours: booleans (n, 8), the ink around each pixel, clockwise from above: P2, P3, ... P9. A pixel goes when (a) 2 to 6
    of them are ink, (b) around it the ink begins exactly once, and (c, d) not all of P2, P4, P6 and not all of P4, P6, P8 are
    ink; in the second half not all of P2, P4, P8 and not all of P2, P6, P8. Zhang & Suen 1984, conditions (a) to (d).
    """
    up, right, down, left = (neighbours[:, place] for place in (0, 2, 4, 6))
    if first:
        edge = ~(up & right & down) & ~(right & down & left)
    else:
        edge = ~(up & right & left) & ~(up & down & left)
    count = neighbours.sum(1)
    return (count >= 2) & (count <= 6) & (begins(neighbours) == 1) & edge


def begins(neighbours: Tensor) -> Tensor:
    """How often the ink begins around a pixel, (n,): once at the end of a line, twice on it, three times where lines meet.

    neighbours: booleans (n, 8), clockwise.
    """
    return (~neighbours & neighbours.roll(-1, 1)).sum(1)


# The eight neighbours of a pixel are one byte, so that a table of 256 answers takes the place of the conditions.
_WAYS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
_EVERY = (torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1
_MAY_GO = [may_go(_EVERY, first).numpy() for first in (True, False)]
_MEET = (begins(_EVERY) >= 3).numpy()


def thin(images: np.ndarray) -> np.ndarray:
    """Skeletons of black and white images, bool (N, H, W): lines one pixel wide in the middle of the strokes.

    Passes of two halves until nothing changes; in each half all pixels that may go do so at once. Zhang & Suen 1984
    (Communications of the ACM).
    """
    images = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    active = np.arange(len(images))  # most are done after a few passes
    while len(active):
        before = images[active]
        after = before
        for table in _MAY_GO:
            after = after.copy()
            after[:, 1:-1, 1:-1] &= ~table[_neighbours(after)]
        images[active] = after
        active = active[(after != before).any((1, 2))]
    return images[:, 1:-1, 1:-1]


def _neighbours(images: np.ndarray) -> np.ndarray:
    """The neighbours of every pixel inside the border as bits of a byte: (N, H + 2, W + 2) -> (N, H, W)."""
    height, width = images.shape[1:]
    code = np.zeros((len(images), height - 2, width - 2), np.uint8)
    for bit, (down, right) in enumerate(_WAYS):
        part = images[:, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        code |= part.view(np.uint8) << bit
    return code


def pieces_of(skeletons: np.ndarray) -> np.ndarray:
    """The number of the stroke of each pixel of skeletons (N, H, W), counted from 1 over all of them; 0 where there is no ink.

    Strokes are what is left in one piece when the pixels at which three or more lines meet, and those around them, are taken
    out; these go to a stroke beside them.
    """
    from scipy import ndimage

    meet = skeletons & _MEET[_neighbours(np.pad(skeletons, ((0, 0), (1, 1), (1, 1))))]
    meet = ndimage.binary_dilation(meet, np.ones((3, 3, 3)) * [[[0]], [[1]], [[0]]])  # else lines touch at their corners
    # Neighbours within an image, none between images.
    number, count = ndimage.label(skeletons & ~meet, np.ones((3, 3, 3)) * [[[0]], [[1]], [[0]]])
    for _ in range(3):  # pixels where lines meet may lie side by side
        ring = np.pad(number, ((0, 0), (1, 1), (1, 1)))
        height, width = skeletons.shape[1:]
        beside = [ring[:, 1 + d : height + 1 + d, 1 + r : width + 1 + r] for d, r in _WAYS]
        number = np.where(skeletons & (number == 0), np.maximum.reduce(beside), number)
    return np.where(skeletons & (number == 0), count + 1, number)


@dataclass(frozen=True)
class Hand:
    """How far a drawing may differ from its skeleton; 0 leaves a change out.

    bend: the standard deviation of the sheet's field at its knots, in half sheets. knots: of the fields, on a side. wander: the
    standard deviation of a stroke's own shift, in half sheets; it turns and grows by as much. degrees, scale, shear, aspect,
    shift: the largest affine changes either way (scale and aspect as factors). pen: the range of its width in pixels.
    """

    bend: float = 0.05
    knots: tuple[int, ...] = (4, 7)
    wander: float = 0.02
    degrees: float = 16.0
    scale: tuple[float, float] = (1.0, 1.8)
    shear: float = 0.25
    aspect: float = 1.25
    shift: float = 0.12
    pen: tuple[float, float] = (0.8, 4.0)


HAND = Hand()


def smooth_field(knots: Tensor, points: Tensor) -> Tensor:
    """The displacement of points on a sheet whose k x k knots are displaced: smooth between them, by bicubic interpolation.

    knots: (B, 2, k, k), the displacement along x and along y; the outer ones lie on the sheet's edge. points: (B, P, 2).
    Returns (B, P, 2).
    """
    found = F.grid_sample(knots, points[:, :, None], mode="bicubic", padding_mode="border", align_corners=True)  # (B, 2, P, 1)
    return found[..., 0].transpose(1, 2)


def pen(distance: Tensor, width: Tensor) -> Tensor:
    """The ink, in 0..1, of pixels at a distance from the line of a round pen: both in pixels.

    Inside the stroke it is 1, outside 0, and falls along one pixel in between, half way at half the width.
    """
    return (width / 2 + 0.5 - distance).clamp(0, 1)


def draw(points: Tensor, width: Tensor, size: int = SIZE) -> Tensor:
    """Draws points (B, P, 2) with pens of these widths (B,), in pixels: images (B, 1, size, size) in 0..1.

    A pixel has the ink of the point that is nearest to it; only pixels within reach of the pen are asked.
    """
    batch, count, _ = points.shape
    place = (points + 1) * (size / 2) - 0.5  # in pixels; (0, 0) is the centre of the first one
    # Ink ends half a pixel behind the edge, and a point lies at most half a pixel beside its own.
    reach = math.ceil(float(width.max()) / 2)
    around = torch.arange(-reach, reach + 1, device=points.device)
    columns = place[..., 0].round().long()[..., None] + around  # (B, P, 2 reach + 1)
    rows = place[..., 1].round().long()[..., None] + around
    square = (rows - place[..., 1:]).square()[..., :, None] + (columns - place[..., :1]).square()[..., None, :]
    ink = pen(square.sqrt(), width[:, None, None, None])
    inside = ((rows >= 0) & (rows < size))[..., :, None] & ((columns >= 0) & (columns < size))[..., None, :]
    index = rows.clamp(0, size - 1)[..., :, None] * size + columns.clamp(0, size - 1)[..., None, :]
    sheet = points.new_zeros(batch, size * size)
    sheet.scatter_reduce_(1, index.flatten(1), (ink * inside).flatten(1), "amax")
    return sheet.view(batch, 1, size, size)


def turned_classes(points: Tensor, labels: Tensor, turns: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Characters turned counter-clockwise by 0 to 3 quarter turns, and their labels: a turned character is another class.

    points: (n, P, 2), y down. labels: (n,) below `classes`. turns: (n,) whole numbers. Returns points (n, P, 2) and labels
    (n,), those of one quarter turn behind those of none, and so on.
    """
    x, y = points.unbind(-1)
    every = torch.stack([torch.stack(one, -1) for one in ((x, y), (y, -x), (-x, -y), (-y, x))])  # (4, n, P, 2)
    return every[turns, torch.arange(len(turns), device=turns.device)], labels + classes * turns


def move(points: Tensor, pieces: Tensor, hand: Hand, generator: torch.Generator) -> Tensor:
    """Skeletons (B, P, 2) with strokes (B, P) as a hand might draw them: (B, P, 2), each by draws of its own."""
    batch = len(points)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator).to(points)

    def uniform(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(batch, generator=generator)).to(points)

    if hand.wander:
        count = int(pieces.max()) + 1
        own = pieces[..., None].expand(-1, -1, 2)
        sums = points.new_zeros(batch, count, 2).scatter_add(1, own, points)
        sizes = points.new_zeros(batch, count, 2).scatter_add(1, own, torch.ones_like(points))
        middle = (sums / sizes.clamp_min(1)).gather(1, own)
        shift, (turn, grow) = normal(count, 2) * hand.wander, (normal(2, count, 1) * 3 * hand.wander).unbind(1)
        arm = points - middle
        across = torch.stack([-arm[..., 1], arm[..., 0]], dim=-1)
        turn, grow = (one.expand(-1, -1, 2).gather(1, own) for one in (turn, grow))
        points = middle + arm * grow.exp() + across * turn + shift.gather(1, own)
    if hand.bend:
        for k in hand.knots:
            points = points + smooth_field(normal(2, k, k) * hand.bend, points)
    theta = uniform(-1, 1) * math.radians(hand.degrees)
    low, high = (math.log(factor) for factor in hand.scale)
    size, ratio = uniform(low, high).exp(), (uniform(-1, 1) * math.log(hand.aspect) / 2).exp()
    lean, cos, sin = uniform(-1, 1) * hand.shear, theta.cos(), theta.sin()
    wide, tall = size * ratio, size / ratio
    matrix = torch.stack([cos * wide, cos * lean - sin * tall, sin * wide, sin * lean + cos * tall], 1).view(batch, 1, 2, 2)
    centre = (points.amax(1, keepdim=True) + points.amin(1, keepdim=True)) / 2
    turned = (matrix @ (points - centre)[..., None])[..., 0]
    return turned + torch.stack([uniform(-1, 1), uniform(-1, 1)], 1)[:, None] * hand.shift


def handwritten(points: Tensor, pieces: Tensor, hand: Hand, generator: torch.Generator) -> Tensor:
    """Drawings (B, 1, 28, 28) of skeletons by this hand, float in 0..1."""
    low, high = map(math.log, hand.pen)  # thin pens are as frequent as thick ones: twice as wide is one step
    width = (low + (high - low) * torch.rand(len(points), generator=generator)).exp().to(points)
    return draw(move(points, pieces, hand, generator), width)
