"""The laws of the geometry, and its agreement with torchvision and torch."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from fewshot_lab.augment import geometry as g

angles = st.floats(-7, 7)
numbers = st.floats(-3, 3)
factors = st.one_of(st.floats(0.3, 3), st.floats(-3, -0.3))
elements = st.sampled_from(g.D4)
close = {"atol": 1e-4, "rtol": 1e-4}
exact = torch.float64


@st.composite
def affine_maps(draw):
    parts = [
        g.rotation(torch.tensor(draw(angles), dtype=exact)),
        g.scaling(torch.tensor(draw(factors), dtype=exact), torch.tensor(draw(factors), dtype=exact)),
        g.shearing(torch.tensor(draw(numbers), dtype=exact)),
        g.translation(torch.tensor(draw(numbers), dtype=exact), torch.tensor(draw(numbers), dtype=exact)),
    ]
    return g.compose(*parts)


@given(angles, angles)
def test_two_turns_are_one_turn_by_the_sum(a, b):
    assert torch.allclose(g.compose(g.rotation(a), g.rotation(b)), g.rotation(a + b), atol=1e-5)


@given(angles)
def test_the_transpose_undoes_a_turn_and_areas_stay(a):
    turn = g.rotation(a)
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-5)
    assert math.isclose(torch.linalg.det(turn).item(), 1, abs_tol=1e-5)


@given(affine_maps())
def test_the_inverse_undoes_a_map_from_both_sides(matrix):
    assert torch.allclose(g.compose(matrix, g.invert(matrix)), torch.eye(3, dtype=exact), atol=1e-8)
    assert torch.allclose(g.compose(g.invert(matrix), matrix), torch.eye(3, dtype=exact), atol=1e-8)


@given(affine_maps(), affine_maps(), affine_maps())
def test_composition_is_associative_and_goes_from_first_to_last(a, b, c):
    assert torch.allclose(g.compose(g.compose(a, b), c), g.compose(a, g.compose(b, c)), atol=1e-7)
    points = torch.randn(5, 2, dtype=exact)
    step_by_step = g.apply_to_points(b, g.apply_to_points(a, points))
    assert torch.allclose(g.apply_to_points(g.compose(a, b), points), step_by_step, atol=1e-8)


def test_a_positive_angle_turns_counter_clockwise_as_seen():
    image = torch.zeros(1, 1, 5, 5)
    image[..., 2, 4] = 1  # right of the centre
    assert g.warp(image, g.rotation(math.pi / 2))[0, 0, 0, 2] == pytest.approx(1, abs=1e-5)  # above the centre


def test_a_shift_moves_right_and_up_by_whole_pixels_exactly():
    image = torch.rand(1, 1, 6, 7)
    moved = g.warp(image, g.translation(2.0, 1.0))
    assert torch.allclose(moved[..., :5, 2:], image[..., 1:, :5], atol=1e-6)


@given(elements, elements)
def test_d4_composes_as_its_pixels_and_its_matrices_do(first, then):
    image = torch.arange(2 * 3 * 5 * 5.0).reshape(2, 3, 5, 5)
    product = g.d4_compose(first, then)
    assert torch.equal(g.d4_apply(image, product), g.d4_apply(g.d4_apply(image, first), then))
    assert torch.equal(g.d4_matrix(product), g.d4_matrix(then) @ g.d4_matrix(first))
    assert torch.equal(g.d4_apply(g.d4_apply(image, first), g.d4_invert(first)), image)
    assert torch.allclose(g.warp(image, g.d4_matrix(first)), g.d4_apply(image, first), atol=1e-3)


def test_d4_turns_are_torchs_rot90_exactly_on_any_dtype():
    for image in (torch.rand(3, 4, 4), torch.randint(0, 255, (2, 1, 8, 8), dtype=torch.uint8)):
        for turns in range(4):
            assert torch.equal(g.d4_apply(image, (turns, False)), torch.rot90(image, turns, (-2, -1)))


def test_d4_each_gives_every_image_its_own_element():
    images = torch.rand(8, 1, 6, 6)
    laid = g.d4_each(images, torch.arange(8))
    assert all(torch.equal(laid[i], g.d4_apply(images[i], g.D4[i])) for i in range(8))


@settings(max_examples=40)
@given(
    st.floats(-180, 180),
    st.floats(0.6, 1.6),
    st.floats(-30, 30),
    st.integers(-3, 3),
    st.integers(-3, 3),
    st.sampled_from([(28, 28), (9, 14), (32, 20)]),
    st.booleans(),
)
def test_warp_agrees_with_torchvisions_affine(degrees, scale, shear, right, down, shape, nearest):
    """torchvision: clockwise degrees, shifts right and down, shear in degrees; M = T R(angle) Shear Scale about the centre."""
    image = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    mode = InterpolationMode.NEAREST if nearest else InterpolationMode.BILINEAR
    theirs = tv.affine(image, angle=degrees, translate=[right, down], scale=scale, shear=[shear, 0.0], interpolation=mode)
    matrix = g.compose(
        g.scaling(scale),
        g.shearing(math.tan(math.radians(shear))),
        g.rotation(-math.radians(degrees)),
        g.translation(float(right), float(-down)),
    )
    ours = g.warp(image, matrix, mode="nearest" if nearest else "bilinear")
    clear = torch.ones(shape, dtype=torch.bool)
    if nearest:  # a source point halfway between two pixels may be rounded either way
        row, column = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
        middle = torch.tensor([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
        points = torch.stack([column - middle[0], middle[1] - row], dim=-1).reshape(-1, 2)
        source = g.apply_to_points(g.invert(matrix), points) + middle
        clear = ((source - source.floor() - 0.5).abs() > 1e-3).all(-1).reshape(shape)
    assert ((ours - theirs).abs() * clear).max() < 1e-4


def test_the_identity_leaves_images_alone_and_differentiably():
    image = torch.rand(2, 1, 7, 9, requires_grad=True)
    moved = g.warp(image, torch.eye(3))
    assert torch.allclose(moved, image, atol=1e-5)
    moved.sum().backward()
    assert torch.allclose(image.grad, torch.ones_like(image), atol=1e-4)


def test_a_large_batch_is_warped_in_parts_with_the_same_result(monkeypatch):
    images, matrices = torch.rand(9, 2, 16, 16), g.random_affine(9, degrees=30, scale=(0.8, 1.2), flip=0.5)
    whole = g.warp(images, matrices)
    monkeypatch.setattr(g, "CACHE_VALUES", 1024)
    assert torch.equal(g.warp(images, matrices), whole)


def test_every_image_gets_its_own_matrix():
    images, matrices = torch.rand(4, 1, 8, 8), g.random_affine(4, degrees=90, shift=2)
    one_by_one = torch.stack([g.warp(image, matrix) for image, matrix in zip(images, matrices, strict=True)])
    assert torch.allclose(g.warp(images, matrices), one_by_one, atol=1e-5)


def test_uint8_images_come_back_as_rounded_uint8():
    images = torch.randint(0, 256, (3, 1, 12, 12), dtype=torch.uint8)
    matrix = g.rotation(0.4)
    assert torch.equal(g.warp(images, matrix), g.warp(images.float(), matrix).round().to(torch.uint8))


def test_random_affine_keeps_to_its_ranges_and_repeats_with_its_seed():
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return g.random_affine(2000, degrees=20, scale=(0.5, 2.0), shift=(3, 5), flip=0.5, generator=generator)

    matrices = draw(1)
    assert torch.equal(matrices, draw(1)) and not torch.equal(matrices, draw(2))
    determinants = torch.linalg.det(matrices[:, :2, :2])
    assert determinants.abs().min() >= 0.24 and determinants.abs().max() <= 4.01
    assert 0.45 < (determinants < 0).float().mean() < 0.55
    assert matrices[:, 0, 2].abs().max() <= 3 and 4 < matrices[:, 1, 2].abs().max() <= 5


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: g.invert(torch.zeros(2, 3)), "no inverse"),
        (lambda: g.scaling(0.0), "scale of 0"),
        (lambda: g.warp(torch.rand(8, 8), torch.eye(3)), "(B, C, H, W)"),
        (lambda: g.warp(torch.rand(4, 1, 8, 8), torch.eye(3).expand(3, 3, 3)), "3 matrices"),
        (lambda: g.square(torch.eye(2)), "2x3 or 3x3"),
        (lambda: g.d4_each(torch.rand(1, 1, 4, 5), torch.zeros(1)), "squares"),
    ],
)
def test_bad_input_is_refused_in_words(call, says):
    with pytest.raises(ValueError, match=says.replace("(", r"\(").replace(")", r"\)")):
        call()


@pytest.mark.gpu
def test_a_gpu_gives_the_same_images_as_the_cpu():
    images, matrices = torch.rand(16, 3, 32, 32), g.random_affine(16, degrees=40, scale=(0.8, 1.2), shift=3, flip=0.5)
    assert torch.allclose(g.warp(images.cuda(), matrices).cpu(), g.warp(images, matrices), atol=1e-4)
