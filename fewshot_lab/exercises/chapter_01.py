"""Chapter 01: matrices of rotation and flip, composition, the inverse warp, D4, and which labels survive."""

import math

import torch
import torch.nn.functional as F

from ..augment import geometry
from ..languages import say
from .declare import exercise


@exercise(
    "The rotation matrix",
    cases=[(0.0,), (math.pi / 2,), (math.pi / 6,), (-1.0,), (4.0,)],
    fresh=lambda generator: ((6.28 * torch.rand(1, generator=generator)).item(),),
    idea=(
        "A linear map is known by what it does to the points (1, 0) and (0, 1): where they land are the columns of its matrix. "
        "Turn both counter-clockwise by theta, and their new coordinates are made of its cosine and its sine."
    ),
    steps=(
        (
            "Take the cosine and the sine of theta; the module math has both. The angle is in radians already, so do not "
            "convert it."
        ),
        (
            "The columns are the two turned points, so the first row holds their x. One entry has a minus, since (0, 1) is "
            "turned to the left: which of the four?"
        ),
        "The second row holds their y. For a small positive angle neither is negative.",
        "Build a float tensor of shape (2, 2) from the two rows. Test it at theta = 0, where it must be the identity.",
    ),
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


@rotation_matrix.mistake(
    "That is a mirror image: the determinant is -1. The two cosines have the same sign, the two sines have not."
)
def mirror_image(theta):
    return rotation_matrix(theta) @ torch.diag(torch.tensor([1.0, -1.0]))


@rotation_matrix.mistake("The sine from the root of 1 - cos^2 is never negative. Take math.sin(theta).")
def positive_sine(theta):
    cosine = math.cos(theta)
    sine = math.sqrt(max(0.0, 1 - cosine * cosine))
    return torch.tensor([[cosine, -sine], [sine, cosine]])


@rotation_matrix.mistake("You take the angle without its sign, so turns to the right become turns to the left.")
def sign_of_the_angle_lost(theta):
    return rotation_matrix(abs(theta))


@rotation_matrix.mistake("Both sines have the same sign. A rotation needs a minus before the one in the upper right corner.")
def reflection(theta):
    return rotation_matrix(theta) * torch.tensor([[1.0, -1.0], [1.0, 1.0]])


@rotation_matrix.mistake("The two columns have changed places: the first holds where (1, 0) lands, (cos, sin).")
def columns_exchanged(theta):
    return rotation_matrix(theta).flip(1)


@rotation_matrix.mistake("cos = 1 and sin = theta hold for small angles only. Take math.cos(theta) and math.sin(theta).")
def small_angle(theta):
    return torch.tensor([[1.0, -theta], [theta, 1.0]])


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
        (torch.tensor([[1.0, 2.0, 1.0], [0.0, 1.0, -1.0]]), torch.tensor([[0.0, -1.0, 3.0], [1.0, 0.0, 2.0]])),
    ],
    fresh=lambda generator: (_random_affine(generator), _random_affine(generator)),
    idea=(
        "Two affine maps, one after the other, are again one affine map with a linear part and a shift. The order goes from "
        "right to left, and the first shift is itself turned by the second map."
    ),
    steps=(
        "Split each map into its linear part, which is the first two columns, and its shift, the last column.",
        (
            "Multiply the two linear parts as matrices, not entry by entry. A matrix acts on what stands on its right, so the "
            "part of `first` stands there."
        ),
        "Send the first shift through the linear part of `then`, and only then add the second shift, which stays as it is.",
        (
            "Join both into a tensor of shape (2, 3). A shift of shape (2,) needs a second dimension before cat takes it as "
            "the last column."
        ),
    ),
)
def compose(first, then):
    linear = then[:, :2] @ first[:, :2]
    shift = then[:, :2] @ first[:, 2] + then[:, 2]
    return torch.cat([linear, shift[:, None]], dim=1)


@compose.mistake(
    "You do the second map first. Matrices act on what stands on their right: `then` belongs on the left of `first`."
)
def wrong_order(first, then):
    return compose(then, first)


@compose.mistake("You add the two shifts. The first shift is itself turned and scaled by the second map before they add up.")
def shifts_added(first, then):
    return torch.cat([then[:, :2] @ first[:, :2], (first[:, 2] + then[:, 2])[:, None]], 1)


@compose.mistake("You multiply entry by entry. Maps compose by the matrix product @ of the linear parts.")
def elementwise(first, then):
    return then * first


@compose.mistake("The linear parts are in the wrong order: the first map stands on the right, then[:, :2] @ first[:, :2].")
def linear_parts_exchanged(first, then):
    return torch.cat([first[:, :2] @ then[:, :2], compose(first, then)[:, 2:]], 1)


@compose.mistake("The shift is that of the other order. It is the first shift that the second map turns: A2 @ b1 + b2.")
def shift_of_the_other_order(first, then):
    return torch.cat([compose(first, then)[:, :2], compose(then, first)[:, 2:]], 1)


@compose.mistake("The shift of the second map is missing: add then[:, 2] at the end.")
def second_shift_forgotten(first, then):
    return compose(first, torch.cat([then[:, :2], torch.zeros(2, 1)], 1))


@compose.mistake("You multiply the linear parts entry by entry. Maps compose by the matrix product, @.")
def linear_parts_elementwise(first, then):
    return torch.cat([then[:, :2] * first[:, :2], compose(first, then)[:, 2:]], 1)


@compose.mistake("The shift of the first map is missing: the second one carries it along, then[:, :2] @ first[:, 2].")
def first_shift_forgotten(first, then):
    return torch.cat([then[:, :2] @ first[:, :2], then[:, 2:]], 1)


@compose.mistake(
    "The first shift stands on the left of the matrix, as a row. Points are columns here: then[:, :2] @ first[:, 2]."
)
def shift_as_a_row(first, then):
    return torch.cat([then[:, :2] @ first[:, :2], (first[:, 2] @ then[:, :2] + then[:, 2])[:, None]], 1)


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


def _read(image, row, column):
    """The image at the points nearest to these, which may have any shape of height * width; 0 outside."""
    height, width = image.shape
    row, column = row.round().long().reshape(image.shape), column.round().long().reshape(image.shape)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return torch.where(inside, image[row.clamp(0, height - 1), column.clamp(0, width - 1)], 0.0)


@exercise(
    "The inverse warp",
    cases=[
        (torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]), rotation_matrix(math.pi / 2).round()),
        (torch.eye(4), torch.tensor([[-1.0, 0.0], [0.0, 1.0]])),
        (torch.arange(25.0).reshape(5, 5), rotation_matrix(0.7) @ torch.diag(torch.tensor([0.8, 0.8]))),
        _random_warp(torch.Generator().manual_seed(1)),  # on which every two mistakes below differ
    ],
    fresh=_random_warp,
    idea=(
        "Pixels that are pushed to their new places leave holes. So ask for each output pixel where its value comes from: the "
        "inverse of the matrix leads there, and the nearest input pixel gives the value."
    ),
    steps=(
        (
            "Give each output pixel its x and y, counted from the centre of the image. Rows are counted downwards and y points "
            "up, so y changes its sign; torch.meshgrid lists all rows and columns."
        ),
        (
            "Stack x and y into a tensor (2, H * W) and multiply it from the left by the inverse of the matrix: "
            "torch.linalg.inv, because the transpose undoes rotations only."
        ),
        (
            "Turn the points back into rows and columns: add the centre again, and mind the sign of y. Then round to the "
            "nearest whole number; cutting off the decimals reads another pixel."
        ),
        (
            "Mark the points that lie inside: row from 0 to H - 1, column from 0 to W - 1. Without the test for 0, negative "
            "indices read from the other end."
        ),
        "Begin with zeros in the shape of the image, and give only the marked output pixels the values read at their points.",
    ),
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


@inverse_warp.mistake("The centre of W columns, 0 to W - 1, is (W - 1) / 2, and not W / 2. So it is for the rows.")
def centre_half_a_pixel_off(image, matrix):
    return _warp_around(image, matrix, image.shape[0] / 2, image.shape[1] / 2)


@inverse_warp.mistake(
    "You use the transpose. It is the inverse of a rotation alone; here the map may stretch too: torch.linalg.inv."
)
def transposed(image, matrix):
    return _nearest_warp(image, matrix.T)


@inverse_warp.mistake("What lies outside repeats the border. Nothing is known there: the value is 0.")
def border_repeated(image, matrix):
    row, column = (points.round().long() for points in _source_points(image, torch.linalg.inv(matrix)))
    height, width = image.shape
    return image[row.clamp(0, height - 1), column.clamp(0, width - 1)]


@inverse_warp.mistake(
    "You cut off the decimals, which reads the pixel to the left or above. The nearest one is found by round()."
)
def cut_off(image, matrix):
    row, column = (points.floor() for points in _source_points(image, torch.linalg.inv(matrix)))
    return _read(image, row, column)


@inverse_warp.mistake(
    "You cut off the decimals, which reads a pixel nearer to 0, and below 0 one that is inside. The nearest one is found by "
    "round()."
)
def cut_towards_0(image, matrix):
    row, column = (points.trunc() for points in _source_points(image, torch.linalg.inv(matrix)))
    return _read(image, row, column)


@inverse_warp.mistake(
    "Your centre is a whole number. That of an even number of columns lies between two of them: (W - 1) / 2, with `/`."
)
def whole_centre(image, matrix):
    return _warp_around(image, matrix, image.shape[0] // 2, image.shape[1] // 2)


@inverse_warp.mistake("The two centres have changed places: rows have (H - 1) / 2, columns (W - 1) / 2.")
def centres_exchanged(image, matrix):
    return _warp_around(image, matrix, (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2)


def _warp_around(image, matrix, middle_row, middle_column):
    height, width = image.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    points = torch.stack([column - middle_column, middle_row - row]).flatten(1).to(matrix.dtype)
    x, y = torch.linalg.inv(matrix) @ points
    return _read(image, middle_row - y, x + middle_column)


@inverse_warp.mistake(
    "Your inverse is not divided by the determinant, so a map that stretches is not undone. torch.linalg.inv does it all."
)
def determinant_forgotten(image, matrix):
    return _nearest_warp(image, torch.linalg.inv(matrix) * torch.linalg.det(matrix))


@inverse_warp.mistake("You blend neighbouring pixels. This warp takes the value of the nearest one alone.")
def interpolated(image, matrix):
    height, width = image.shape
    row, column = _source_points(image, torch.linalg.inv(matrix))
    grid = torch.stack([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1], dim=-1)
    return F.grid_sample(image[None, None], grid[None].to(image.dtype), align_corners=False)[0, 0]


@inverse_warp.mistake("x and y have changed places: x belongs to the column, y to the row.")
def x_and_y_exchanged(image, matrix):
    back = torch.linalg.inv(matrix)
    return _nearest_warp(image, back.flip(0).flip(1))


@inverse_warp.mistake("Row 0 and column 0 are lost: a point is inside from 0 on, >= and not >.")
def first_row_lost(image, matrix):
    row, column = (points.round() for points in _source_points(image, torch.linalg.inv(matrix)))
    return torch.where((row > 0) & (column > 0), inverse_warp(image, matrix), 0.0)


@inverse_warp.mistake("Negative indices count from the other end in Python: ask for >= 0 too.")
def wrapped_around(image, matrix):
    row, column = (points.round().long() for points in _source_points(image, torch.linalg.inv(matrix)))
    height, width = image.shape
    inside = (row >= -height) & (row < height) & (column >= -width) & (column < width)
    result = torch.zeros_like(image)
    result[inside] = image[row[inside], column[inside]]
    return result


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
    idea=(
        "Counted from 0, column c goes to column W - 1 - c, and the row stays. Mirroring alone would put the image to the left "
        "of column 0; a shift brings it back, and for this the points have a third coordinate, 1."
    ),
    steps=(
        (
            "Write the new column as a factor times the old column plus a shift. Both numbers belong in the first row: which "
            "of column, row and 1 does each of them multiply?"
        ),
        (
            "Find the shift from both ends: column 0 has to become the last one, and the last one column 0. With W columns the "
            "last is not column W."
        ),
        "The second row must give the old row back, and the third the 1.",
        (
            "Return a float tensor of shape (3, 3). Points are columns here, so the shift stands in the last column and not in "
            "the last row."
        ),
    ),
)
def flip_matrix(width):
    return torch.tensor([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@flip_matrix.mistake("Column 0 goes to column W, which is outside. Columns run from 0 to W - 1.")
def off_by_one(width):
    return flip_matrix(width + 1)


@flip_matrix.mistake("W + 1 fits columns that are counted from 1. Here they run from 0 to W - 1.")
def counted_from_1(width):
    return flip_matrix(width + 2)


@flip_matrix.mistake("x -> -x puts the image to the left of column 0. Move it back by W - 1.")
def shift_forgotten(width):
    return flip_matrix(1)


@flip_matrix.mistake("You wrote it for row vectors. Points are columns here, so the shift stands in the last column.")
def transposed(width):
    return flip_matrix(width).T


@flip_matrix.mistake("The image moves by half of its width only. Column 0 must come to W - 1.")
def half_the_shift(width):
    return torch.tensor([[-1.0, 0.0, (width - 1) / 2], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@flip_matrix.mistake("You mirror both ways, which is a half turn. A horizontal flip leaves the rows alone.")
def both_ways(width):
    return torch.tensor([[-1.0, 0.0, width - 1.0], [0.0, -1.0, width - 1.0], [0.0, 0.0, 1.0]])


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
    idea=(
        "Mirrored, every turn goes the other way round: a flip that is done after a turn may be done before it instead, if the "
        "turn changes its direction. Then the turns add up, and two flips undo each other."
    ),
    steps=(
        "Take both pairs apart into quarter turns and flip. Each map flips before it turns.",
        (
            "If the second map flips, the turns of the first count with a minus, otherwise as they are. Whether the first map "
            "flips does not matter here."
        ),
        (
            "Add the turns of the second map, which never change their sign, and take the sum modulo 4, so that it lies from 0 "
            "to 3."
        ),
        "The result is flipped when exactly one of the two maps is. Return a pair: the turns, then True or False.",
    ),
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


@d4_compose.mistake(
    "You look at the first map's flip. The turn that is done already changes its direction when the second map flips."
)
def sign_by_the_first_flip(first, then):
    return (then[0] + (-first[0] if first[1] else first[0])) % 4, first[1] != then[1]


@d4_compose.mistake("You turn the second turn around. It is the first turn that a flip after it changes: then + (-first).")
def sign_on_the_second_turn(first, then):
    return (first[0] + (-then[0] if then[1] else then[0])) % 4, first[1] != then[1]


@d4_compose.mistake("You turn the sum of both turns around. Only the first turn changes its direction.")
def sign_on_the_sum(first, then):
    return (-(first[0] + then[0]) if then[1] else first[0] + then[0]) % 4, first[1] != then[1]


@d4_compose.mistake(
    "The turn changes its direction in your function when either map flips. Only a flip that comes after it does that: then[1]."
)
def sign_by_either_flip(first, then):
    return (then[0] + (-first[0] if first[1] or then[1] else first[0])) % 4, first[1] != then[1]


@d4_compose.mistake("You take the difference of the turns without its sign. then - first may be negative; modulo 4 mends that.")
def sign_of_the_difference_lost(first, then):
    return (abs(then[0] - first[0]) if then[1] else then[0] + first[0]) % 4, first[1] != then[1]


@d4_compose.mistake("The result is flipped in your function when both maps flip or none does. It is when exactly one does: !=.")
def flips_equal(first, then):
    return d4_compose(first, then)[0], first[1] == then[1]


@d4_compose.mistake("The result is flipped in your function only when both are. It is when exactly one is.")
def flips_and(first, then):
    return d4_compose(first, then)[0], first[1] and then[1]


@d4_compose.mistake("In Python -1 ** g is -(1 ** g), always -1. Write (-1) ** g.")
def power_before_minus(first, then):
    return (then[0] - first[0]) % 4, first[1] != then[1]


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
    idea=(
        "For each class on its own: of the images that were given it before the change, which share is still given it? A mean "
        "over all images would hide a class that is lost entirely."
    ),
    steps=(
        "Begin with a float tensor of zeros, one for each class. A class without images then has its 0 already.",
        "For each class mark its images. Group by the class before the change, not by the one after it.",
        (
            "Of the marked images take the share whose class after the change is still the same: divide by their number, not "
            "by that of all images."
        ),
        "Skip a class without images: a mean of nothing is nan, and the task asks for 0.",
    ),
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


@label_kept.mistake("That is the share that changed. What is asked is the share that kept its class.")
def share_that_changed(before, after, classes):
    kept = label_kept(before, after, classes)
    return torch.where(torch.bincount(before, minlength=classes) > 0, 1 - kept, 0.0)


@label_kept.mistake("A class without images has 1 in your table. Nothing was kept there: the task asks for 0.")
def one_for_an_empty_class(before, after, classes):
    return torch.where(torch.bincount(before, minlength=classes) > 0, label_kept(before, after, classes), 1.0)


@label_kept.mistake("You divide by all images that had the class before or after. Only those before count.")
def divided_by_the_union(before, after, classes):
    both = [((before == c) & (after == c)).sum() / ((before == c) | (after == c)).sum().clamp(min=1) for c in range(classes)]
    return torch.stack(both)


@label_kept.mistake(
    "You add one to the number of images, which makes every share too small. Treat a class without images on its own."
)
def one_added(before, after, classes):
    return torch.stack([((before == c) & (after == c)).sum() / ((before == c).sum() + 1) for c in range(classes)])


@label_kept.mistake("The last class is missing: range(classes) ends at classes - 1 by itself.")
def last_class_missing(before, after, classes):
    kept = label_kept(before, after, classes)
    kept[-1] = 0
    return kept


@label_kept.mistake("Class 0 is missing: classes are counted from 0, so range(classes) begins with it.")
def class_0_missing(before, after, classes):
    kept = label_kept(before, after, classes)
    kept[0] = 0
    return kept
