"""Handwriting made of print: thinning by its laws, the field, the pen and turns against independent formulas."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fewshot_lab.augment import handwriting
from fewshot_lab.augment.handwriting import HAND, begins, draw, handwritten, may_go, move, pen, pieces_of, smooth_field, thin

seeds = st.integers(0, 10**6)
laws = settings(max_examples=20)
EIGHT = np.ones((3, 3))


def blob(seed):
    """A few thick strokes on a sheet of 40 pixels, bool (1, 40, 40)."""
    generator = np.random.default_rng(seed)
    sheet = np.zeros((40, 40), bool)
    for _ in range(3):
        (x, y), (right, down) = generator.uniform(8, 32, 2), generator.uniform(-8, 8, 2)
        for t in np.linspace(0, 1, 60):
            sheet[int(np.clip(y + t * down, 4, 35)), int(np.clip(x + t * right, 4, 35))] = True
    return ndimage.binary_dilation(sheet, EIGHT)[None]


@laws
@given(seeds)
def test_a_skeleton_lies_in_its_shape_keeps_its_parts_and_does_not_thin_again(seed):
    image = blob(seed)
    skeleton = thin(image)
    assert (skeleton <= image).all() and skeleton.any()
    assert ndimage.label(skeleton[0], EIGHT)[1] == ndimage.label(image[0], EIGHT)[1]
    assert np.array_equal(thin(skeleton), skeleton)


def test_a_bar_thins_to_a_line_one_pixel_wide():
    image = np.zeros((1, 15, 30), bool)
    image[0, 5:10, 4:26] = True
    skeleton = thin(image)[0]
    assert skeleton.sum(0).max() == 1 and 15 <= skeleton.sum() <= 22
    assert set(np.nonzero(skeleton)[0]) == {7}


def test_the_conditions_are_those_of_the_paper():
    every = (torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1
    for first in (True, False):
        for row, answer in zip(every.tolist(), may_go(every, first).tolist(), strict=True):
            p = {number: value for number, value in enumerate(row, 2)}
            around = [*range(2, 10), 2]
            a = sum(not p[one] and p[after] for one, after in zip(around, around[1:], strict=False))
            sides = [(2, 4, 6), (4, 6, 8)] if first else [(2, 4, 8), (2, 6, 8)]
            assert answer == (2 <= sum(row) <= 6 and a == 1 and not any(all(p[n] for n in side) for side in sides))
    assert begins(torch.tensor([[True, False] * 4])).tolist() == [4]


def test_a_cross_has_four_strokes_and_each_pixel_one():
    cross = np.zeros((2, 21, 21), bool)
    cross[0, 10, 3:18] = cross[0, 3:18, 10] = True
    cross[1, 4, 3:18] = True
    number = pieces_of(cross)
    assert len(set(number[0][cross[0]])) == 4 and len(set(number[1][cross[1]])) == 1
    assert (number > 0).tolist() == cross.tolist() and not set(number[0][cross[0]]) & set(number[1][cross[1]])


@laws
@given(seeds)
def test_a_field_of_equal_knots_moves_everything_alike_and_is_linear_in_them(seed):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.randn(2, 3, 2, 5, 5, generator=generator).double()
    points = 2 * torch.rand(3, 7, 2, generator=generator).double() - 1
    assert torch.allclose(smooth_field(one + 2 * other, points), smooth_field(one, points) + 2 * smooth_field(other, points))
    alike = smooth_field(one[:, :, :1, :1].expand(-1, -1, 5, 5), points)
    assert torch.allclose(alike, one[:, :, 0, 0][:, None].expand_as(alike))


def test_a_pen_covers_what_a_finer_grid_says():
    # A vertical line through a pixel's middle: the share of the pixel's width that lies within half the pen's width.
    for width in (1.0, 1.7, 3.0):
        for distance in (0.0, 0.4, 0.8, 1.3, 2.4):
            inside = (np.abs(distance + (np.arange(4000) + 0.5) / 4000 - 0.5) <= width / 2).mean()
            assert abs(pen(torch.tensor(distance), torch.tensor(width)).item() - inside) < 1e-3


def test_a_drawing_equals_the_distance_of_every_pixel_to_every_point():
    generator = torch.Generator().manual_seed(0)
    points, width = 2.2 * torch.rand(4, 30, 2, generator=generator) - 1.1, torch.tensor([0.8, 1.5, 2.7, 4.0])
    line = (torch.arange(28) + 0.5) * 2 / 28 - 1
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(1, -1, 2).expand(4, -1, -1)
    nearest = (pixels[:, :, None] - points[:, None]).norm(dim=3).amin(2) * 14
    assert torch.allclose(draw(points, width).flatten(1), pen(nearest, width[:, None]), atol=1e-5)


def test_a_hand_that_changes_nothing_only_centres_and_each_seed_draws_again_the_same():
    generator = torch.Generator().manual_seed(0)
    points, pieces = torch.rand(3, 20, 2, generator=generator), torch.zeros(3, 20, dtype=torch.long)
    still = replace(HAND, bend=0, wander=0, degrees=0, scale=(1, 1), shear=0, aspect=1, shift=0)
    centre = (points.amax(1, keepdim=True) + points.amin(1, keepdim=True)) / 2
    assert torch.allclose(move(points, pieces, still, generator), points - centre, atol=1e-6)
    again = [handwritten(points, pieces, HAND, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*again) and 0 <= again[0].min() and again[0].max() <= 1


def test_turned_points_draw_the_turned_picture():
    points = torch.tensor([[[-0.5, -0.5], [-0.5, 0.0], [-0.5, 0.5], [0.3, 0.5]]])
    for turns in range(4):
        turned, labels = handwriting.turned_classes(points, torch.tensor([3]), torch.tensor([turns]), 10)
        upright = draw(points, torch.tensor([1.5]))
        assert torch.allclose(draw(turned, torch.tensor([1.5])), torch.rot90(upright, turns, (-2, -1)), atol=1e-5)
        assert labels.tolist() == [3 + 10 * turns]
