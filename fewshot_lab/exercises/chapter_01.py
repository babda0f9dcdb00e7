"""Chapter 01: matrices of rotation and flip, composition, the inverse warp, D4, and which labels survive."""

import math

import torch

from ..augment import geometry
from ..languages import say
from .declare import exercise


@exercise(
    "The rotation matrix",
    cases=[(0.0,), (math.pi / 2,), (math.pi / 6,), (-1.0,)],
    fresh=lambda generator: ((6.28 * torch.rand(1, generator=generator)).item(),),
)
def rotation_matrix(theta):
    return torch.tensor([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])


@rotation_matrix.mistake("Your matrix turns clockwise: check the sign of sin. The minus belongs in the upper right corner.")
def clockwise(theta):
    return rotation_matrix(-theta)


@rotation_matrix.mistake("You treat theta as degrees. It is in radians already: take math.cos(theta) directly.")
def degrees(theta):
    return rotation_matrix(math.radians(theta))


@rotation_matrix.mistake("Cosine and sine have changed places: at theta = 0 the matrix must be the identity.")
def sin_and_cos_swapped(theta):
    return rotation_matrix(math.pi / 2 - theta)


@rotation_matrix.mistake("Both sines have the same sign. A rotation needs a minus before the one in the upper right corner.")
def reflection(theta):
    return rotation_matrix(theta) * torch.tensor([[1.0, -1.0], [1.0, 1.0]])


@rotation_matrix.property("Turning by a and then by b is turning by a + b.")
def _turns_add_up(function, generator):
    a, b = (6.28 * torch.rand(2, generator=generator)).tolist()
    if not torch.allclose(function(a) @ function(b), function(a + b), atol=1e-4):
        return say("R({a:.2f}) R({b:.2f}) is not R({both:.2f}).", a=a, b=b, both=a + b)


@rotation_matrix.property("The transpose of a rotation undoes it.")
def _undone_by_transpose(function, generator):
    a = (6.28 * torch.rand(1, generator=generator)).item()
    if not torch.allclose(function(a) @ function(a).T, torch.eye(2).double(), atol=1e-4):
        return say("R({a:.2f}) times its transpose is not the identity.", a=a)


def _random_affine(generator):
    return torch.randn(2, 3, generator=generator)


@exercise(
    "Two affine maps as one",
    cases=[
        (torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]), torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])),
        (torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]), torch.tensor([[1.0, 0.5, -1.0], [0.0, 1.0, 3.0]])),
    ],
    fresh=lambda generator: (_random_affine(generator), _random_affine(generator)),
)
def compose(first, then):
    linear = then[:, :2] @ first[:, :2]
    shift = then[:, :2] @ first[:, 2] + then[:, 2]
    return torch.cat([linear, shift[:, None]], dim=1)


@compose.mistake("You do the second map first. Matrices act from the right: `then` stands on the left of `first`.")
def wrong_order(first, then):
    return compose(then, first)


@compose.mistake("You add the two shifts. The first shift is itself turned and scaled by the second map before they add up.")
def shifts_added(first, then):
    return torch.cat([then[:, :2] @ first[:, :2], (first[:, 2] + then[:, 2])[:, None]], 1)


@compose.mistake("You multiply entry by entry. Maps compose by the matrix product @ of the linear parts.")
def elementwise(first, then):
    return then * first


@compose.mistake("The shift of the second map is missing: add then[:, 2] at the end.")
def second_shift_forgotten(first, then):
    return compose(first, torch.cat([then[:, :2], torch.zeros(2, 1)], 1))


def _source_points(image, back, *, centred=True, y_up=True):
    """Where each output pixel is read: float row and column indices (H, W)."""
    height, width = image.shape
    middle_row, middle_column = ((height - 1) / 2, (width - 1) / 2) if centred else (0.0, 0.0)
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    sign = -1 if y_up else 1
    x, y = column - middle_column, sign * (row - middle_row)
    source_x = back[0, 0] * x + back[0, 1] * y
    source_y = back[1, 0] * x + back[1, 1] * y
    return middle_row + sign * source_y, middle_column + source_x


def _nearest_warp(image, back, **choices):
    height, width = image.shape
    source_row, source_column = (points.round().long() for points in _source_points(image, back, **choices))
    inside = (source_row >= 0) & (source_row < height) & (source_column >= 0) & (source_column < width)
    result = torch.zeros_like(image)
    result[inside] = image[source_row[inside], source_column[inside]]
    return result


def _random_warp(generator):
    """An image and a map that leave no doubt: no source point is halfway between two pixels, or less than half of one outside.

    The latter still read the border pixel where outside is asked after rounding, and 0 where it is asked before.
    """
    while True:
        size = 4 + int(torch.randint(3, (1,), generator=generator))
        image = torch.rand(size, size + int(torch.randint(2, (1,), generator=generator)), generator=generator)
        stretch = torch.diag(0.7 + torch.rand(2, generator=generator))
        matrix = rotation_matrix(6.28 * torch.rand(1, generator=generator).item()) @ stretch
        points = torch.stack(_source_points(image, torch.linalg.inv(matrix)))
        last = torch.tensor(image.shape)[:, None, None] - 1
        beyond = torch.maximum(-points, points - last)  # how far outside of the image
        halfway = (points - points.floor() - 0.5).abs() < 1e-3
        if not (halfway | (beyond > 1e-3) & (beyond < 0.5)).any():
            return image, matrix


@exercise(
    "The inverse warp",
    cases=[
        (torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]), rotation_matrix(math.pi / 2).round()),
        (torch.eye(4), torch.tensor([[-1.0, 0.0], [0.0, 1.0]])),
        (torch.arange(25.0).reshape(5, 5), rotation_matrix(0.7) @ torch.diag(torch.tensor([0.8, 0.8]))),
    ],
    fresh=_random_warp,
)
def inverse_warp(image, matrix):
    return _nearest_warp(image, torch.linalg.inv(matrix))


@inverse_warp.mistake("You read at matrix @ q. The value at output pixel q comes from the inverse: matrix^-1 @ q.")
def matrix_not_inverted(image, matrix):
    return _nearest_warp(image, matrix)


@inverse_warp.mistake(
    "You turn around the upper left corner. Subtract the centre (H - 1) / 2, (W - 1) / 2 first, add it at the end."
)
def around_the_corner(image, matrix):
    return _nearest_warp(image, torch.linalg.inv(matrix), centred=False)


@inverse_warp.mistake("Rows are counted downwards but y points up: y = middle_row - row, and back again at the end.")
def y_down(image, matrix):
    return _nearest_warp(image, torch.linalg.inv(matrix), y_up=False)


@inverse_warp.mistake(
    "You push each input pixel to its new place. That leaves holes; go over the output pixels and read instead."
)
def pushed_forward(image, matrix):
    height, width = image.shape
    row, column = (points.round().long() for points in _source_points(image, matrix))
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    result = torch.zeros_like(image)
    result[row[inside], column[inside]] = image[inside]
    return result


@exercise(
    "The flip as a matrix",
    cases=[(2,), (28,), (300,)],
    fresh=lambda generator: (3 + int(torch.randint(60, (1,), generator=generator)),),
)
def flip_matrix(width):
    return torch.tensor([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@flip_matrix.mistake("Column 0 goes to column W, which is outside. Columns run from 0 to W - 1.")
def off_by_one(width):
    return flip_matrix(width + 1)


@flip_matrix.mistake("x -> -x puts the image to the left of column 0. Move it back by W - 1.")
def shift_forgotten(width):
    return flip_matrix(1)


@flip_matrix.mistake("You mirror top and bottom. A horizontal flip changes the column, x.")
def upside_down(width):
    return torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, width - 1.0], [0.0, 0.0, 1.0]])


@flip_matrix.property("Flipping twice gives the image back.")
def _flip_twice(function, generator):
    width = 2 + int(torch.randint(30, (1,), generator=generator))
    if not torch.allclose(function(width) @ function(width), torch.eye(3).double(), atol=1e-4):
        return say("Flipping an image of width {width} twice does not give it back.", width=width)


def _random_d4(generator):
    first, then = (geometry.D4[int(torch.randint(8, (1,), generator=generator))] for _ in range(2))
    return first, then


@exercise(
    "Composition in D4",
    cases=[
        ((1, False), (2, False)),
        ((1, False), (0, True)),
        ((3, True), (2, True)),
        ((0, True), (1, False)),
        ((1, False), (1, True)),
        ((0, False), (1, True)),
        ((1, True), (0, False)),
    ],
    fresh=_random_d4,
)
def d4_compose(first, then):
    return geometry.d4_compose(first, then)


@d4_compose.mistake(
    "You add the quarter turns as if there were no flip. A flip done after a turn changes the turn's direction."
)
def flip_ignored(first, then):
    return (first[0] + then[0]) % 4, first[1] != then[1]


@d4_compose.mistake("You do `then` first. D4 is not commutative: the order matters as soon as a flip is there.")
def wrong_order(first, then):
    return d4_compose(then, first)


@d4_compose.mistake("Four quarter turns are none: take the number of turns modulo 4.")
def not_modulo_4(first, then):
    return then[0] + (-first[0] if then[1] else first[0]), first[1] != then[1]


@d4_compose.mistake("Two flips undo each other: the result is flipped when exactly one of the two is.")
def flips_or(first, then):
    return d4_compose(first, then)[0], first[1] or then[1]


def _random_predictions(generator):
    return torch.randint(4, (12,), generator=generator), torch.randint(4, (12,), generator=generator), 4


@exercise(
    "Which transformations keep the label",
    cases=[
        (torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), 2),
        (torch.tensor([2, 2, 2, 0]), torch.tensor([2, 0, 1, 0]), 4),
    ],
    fresh=_random_predictions,
)
def label_kept(before, after, classes):
    kept = torch.zeros(classes)
    for label in range(classes):
        of_class = before == label
        if of_class.any():
            kept[label] = (after[of_class] == label).float().mean()
    return kept


@label_kept.mistake(
    "You average over all images. The question is for each class on its own: pick the images with before == class."
)
def one_number_for_all(before, after, classes):
    return torch.full((classes,), (before == after).float().mean().item())


@label_kept.mistake(
    "You group by the class after the change. Group by the class before it: which share of these b's is still a b?"
)
def classes_of_after(before, after, classes):
    return label_kept(after, before, classes)


@label_kept.mistake("Those are counts. Divide by the number of images that had the class before.")
def counts(before, after, classes):
    return torch.stack([((before == label) & (after == label)).sum() for label in range(classes)]).float()


@label_kept.mistake("You divide by the number of all images. Divide by the number that had this class before.")
def divided_by_all(before, after, classes):
    return torch.stack([((before == label) & (after == label)).float().mean() for label in range(classes)])
