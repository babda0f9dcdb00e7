"""Chapter 11: do gains add up, masks and boxes that move with their image, a few-shot method judged by held-out episodes."""

import torch
import torch.nn.functional as F

from ..augment import targets
from ..augment.geometry import invert, rotation, scaling, shearing, square, translation, warp
from ..languages import say
from ..methods import pipeline
from ..methods.leaderboard import WAY, held_out, nearest_prototype, significantly_better
from .declare import exercise


def _random_accuracies(generator):
    nothing = 0.4 + 0.2 * torch.rand(4, generator=generator)
    gains = 0.2 * torch.rand(4, 3, generator=generator) - 0.05
    return nothing, nothing[:, None] + gains, nothing + 0.1 + 0.2 * torch.rand(4, generator=generator)


@exercise(
    "Do the gains add up?",
    cases=[
        (torch.tensor([0.5, 0.6]), torch.tensor([[0.6, 0.7], [0.65, 0.6]]), torch.tensor([0.8, 0.7])),
        (torch.tensor([0.4]), torch.tensor([[0.5, 0.3, 0.45]]), torch.tensor([0.45])),
        (torch.tensor([0.5]), torch.tensor([[0.6, 0.65]]), torch.tensor([0.7])),
    ],
    fresh=_random_accuracies,
    idea=(
        "If gains add up, all stages together gain the sum of what each gains alone, and the interaction is zero. Below zero "
        "they do the same work twice or harm each other, above zero they need each other."
    ),
    steps=(
        (
            "Every gain is an accuracy minus the accuracy with nothing: subtract that from `joint` once, and from each stage "
            "of `alone`."
        ),
        "`nothing` has the shape (n,) and `alone` (n, stages): give `nothing` a second axis, so that row meets row.",
        "Add the single gains up over the stages, dim 1, negative ones as well: one sum per seed, (n,).",
        "Subtract this sum from the joint gain, seed by seed, and keep the sign: (n,).",
    ),
)
def interaction(nothing, alone, joint):
    return pipeline.interaction(nothing, alone, joint)


@interaction.mistake("You add up accuracies. Add up gains: each stage's accuracy minus the accuracy with nothing.")
def baseline_once(nothing, alone, joint):
    return joint - alone.sum(1)


@interaction.mistake("You subtract the stages' accuracies, not their gains: the accuracy with nothing is in each of them.")
def accuracies_summed(nothing, alone, joint):
    return joint - nothing - alone.sum(1)


@interaction.mistake("You compare with the mean gain of a stage. Adding up means the sum.")
def mean_of_gains(nothing, alone, joint):
    return (joint - nothing) - (alone - nothing[:, None]).mean(1)


@interaction.mistake("The sign is the other way: above 0 when the stages together gain *more* than one by one.")
def sign(nothing, alone, joint):
    return -interaction(nothing, alone, joint)


@interaction.mistake("That is the gain over the best single stage. The question is about the sum of all gains.")
def best_stage(nothing, alone, joint):
    return joint - alone.amax(1)


@interaction.mistake("That is the joint gain. Subtract the sum of the single gains.")
def joint_gain_only(nothing, alone, joint):
    return joint - nothing


@interaction.mistake("You add up along the wrong axis: the stages stand side by side in a row of `alone`, dim 1.")
def wrong_axis(nothing, alone, joint):
    return (joint - nothing) - (alone - nothing[:, None]).sum(0)


@interaction.mistake(
    "You subtract the single gains from the joint *accuracy*. Subtract them from the joint gain, joint - nothing."
)
def joint_accuracy(nothing, alone, joint):
    return joint - (alone - nothing[:, None]).sum(1)


@interaction.mistake("That is the sum of the single gains alone. Subtract it from the joint gain.")
def sum_of_gains_only(nothing, alone, joint):
    return (alone - nothing[:, None]).sum(1)


@interaction.mistake("You divide the joint gain by the sum of the single gains. What is asked is their difference.")
def ratio(nothing, alone, joint):
    return (joint - nothing) / (alone - nothing[:, None]).sum(1)


@interaction.mistake("You lose the sign: below 0 the stages together gain less than one by one, and that must be seen.")
def sign_lost(nothing, alone, joint):
    return interaction(nothing, alone, joint).abs()


@interaction.mistake("A stage that harms counts as 0 in your sum. Its gain is negative; add it up as it is.")
def losses_left_out(nothing, alone, joint):
    return (joint - nothing) - (alone - nothing[:, None]).clamp(min=0).sum(1)


@interaction.mistake("You return the mean of all rows. Each row has its own interaction.")
def mean_over_rows(nothing, alone, joint):
    return interaction(nothing, alone, joint).mean()


@interaction.mistake("You subtract the mean of `nothing`. Each row has its own baseline: the same seed with nothing.")
def mean_baseline(nothing, alone, joint):
    return interaction(nothing.mean().expand(len(nothing)), alone, joint)


def _map(degrees, factor=1.0, lean=0.0, right=0.0, up=0.0):
    turned = rotation(torch.tensor(degrees).deg2rad())
    return translation(right, up) @ turned @ shearing(lean) @ scaling(factor)


def _random_map(generator):
    u = 2 * torch.rand(5, generator=generator) - 1
    sign = 1.0 if u[0] > 0 else -1.0
    lean, right, up = 0.2 + 0.2 * u[2].abs().item(), 1.2 + 0.3 * u[3].item(), 0.7 + 0.2 * u[4].item()
    return _map(sign * (20 + 20 * u[0].abs().item()), 1.25 + 0.15 * u[1].item(), lean, right, up)


def _random_mask(generator):
    blocks = torch.randint(0, 4, (3, 4), generator=generator)
    blocks[0, 0], blocks[2, 3], blocks[1, 1] = 3, 1, 2
    return blocks.repeat_interleave(3, 0).repeat_interleave(3, 1), _random_map(generator)


_MASK = torch.tensor([[0, 0, 0, 0, 0], [0, 1, 1, 3, 0], [0, 1, 1, 3, 0], [0, 0, 0, 0, 0]])


@exercise(
    "A mask moves with its image",
    cases=[
        (_MASK, _map(0.0, right=1.0)),
        (_MASK, _map(0.0, up=1.0)),
        (torch.full((4, 4), 2), _map(0.0, right=-1.0)),
        (torch.full((4, 4), 2), _map(0.0, up=-1.0)),
        (torch.full((3, 3), 200), _map(0.0)),
        (torch.full((3, 3), 300), _map(0.0)),
        (torch.tensor([[1, 1], [2, 2], [3, 3]]), _map(0.0, up=-1.0)),
        (_MASK, _map(35.0, 1.3, 0.2, 0.7, 0.4)),
    ],
    fresh=_random_mask,
    idea=(
        "A mask moves as its image does: each output pixel looks up, through the inverse matrix, where it came from. Class "
        "numbers cannot be averaged, so it takes the class of the nearest pixel there."
    ),
    steps=(
        (
            "Give each output pixel its coordinates from the image's centre, x to the right and y up: the centre of W columns, "
            "0 to W - 1, is (W - 1) / 2."
        ),
        (
            "Add a third coordinate, 1, for the shift, and multiply by the inverse of the matrix; the transpose is the inverse "
            "only of a pure rotation."
        ),
        (
            "Go back from x and y to columns and rows, with y turned round again, and round to the nearest whole number; "
            ".long() alone only cuts."
        ),
        "Ask which sources lie inside, on all four sides: a negative index would count from the other end.",
        "Read the mask there by row and column, put 0 everywhere else, and keep its shape and type.",
    ),
)
def warp_mask(mask, matrix):
    return targets.warp_mask(mask, matrix)


@warp_mask.mistake(
    "You interpolate between classes and round: halfway between classes 1 and 3 there is no class 2. Take the nearest pixel."
)
def interpolated(mask, matrix):
    return warp(mask[None].float(), matrix)[0].round().to(mask.dtype)


@warp_mask.mistake("You move the other way. What is at output pixel q came from matrix^-1 q: look up there (chapter 01).")
def forward(mask, matrix):
    return warp_mask(mask, invert(matrix))


def _y_down(matrix):
    """The same map where y points down."""
    mirror = scaling(1.0, -1.0).to(matrix)
    return mirror @ matrix @ mirror


@warp_mask.mistake("Your y points down. In this course y points up, and rows are counted downwards: y = (H - 1) / 2 - row.")
def y_down(mask, matrix):
    return warp_mask(mask, _y_down(matrix))


def _from_corner(matrix, height, width):
    """The matrix, about the centre, of the map that is `matrix` about the upper left corner."""
    to_corner = translation(width / 2, -height / 2).to(matrix)
    return invert(to_corner) @ matrix @ to_corner


@warp_mask.mistake("You turn about the corner. The origin is the centre of the image: x = column - (W - 1) / 2.")
def about_the_corner(mask, matrix):
    return warp_mask(mask, _from_corner(matrix, *mask.shape))


@warp_mask.mistake("What comes in from outside repeats the edge. Nothing is known about it: it is background, class 0.")
def edge_repeated(mask, matrix):
    return warp(mask[None].double(), matrix.double(), mode="nearest", padding="border")[0].round().to(mask.dtype)


def _around(right, up, matrix):
    """The matrix, about the centre, of the map that is `matrix` about the point (right, up)."""
    there = translation(right, up).to(matrix)
    return there @ matrix @ invert(there)


@warp_mask.mistake("The centre of W columns, 0 to W - 1, is (W - 1) / 2, and not W / 2. So it is for the rows.")
def centre_half_a_pixel_off(mask, matrix):
    return warp_mask(mask, _around(0.5, -0.5, matrix))


def _sources(mask, matrix):
    """The row and the column, not rounded, from which each output pixel comes: two tensors (H, W)."""
    height, width = mask.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    points = torch.stack([column - (width - 1) / 2, (height - 1) / 2 - row, torch.ones(height, width)]).double()
    x, y = torch.einsum("ij,jhw->ihw", invert(matrix.double())[:2], points)
    return (height - 1) / 2 - y, x + (width - 1) / 2


def _read(mask, row, column):
    """The mask at these whole rows and columns, 0 outside."""
    height, width = mask.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return torch.where(inside, mask[row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)], 0)


@warp_mask.mistake("You cut off the decimals, which reads the pixel to the left or above. The nearest one is found by round().")
def cut_off(mask, matrix):
    row, column = _sources(mask, matrix)
    return _read(mask, (row + 1e-4).floor(), (column + 1e-4).floor())


@warp_mask.mistake(
    ".long() cuts towards 0, so what comes from just outside the image is read from row or column 0. Round or floor first."
)
def cut_towards_0(mask, matrix):
    row, column = _sources(mask, matrix)
    return _read(mask, (row + 0.5).trunc(), (column + 0.5).trunc())


@warp_mask.mistake(".long() cuts off the decimals, towards 0. The nearest pixel is found by round() before it.")
def not_rounded(mask, matrix):
    row, column = _sources(mask, matrix)
    return _read(mask, row.trunc(), column.trunc())


@warp_mask.mistake("A source less than half a pixel outside still has its nearest pixel inside: round first, then ask.")
def rim_lost(mask, matrix):
    row, column = _sources(mask, matrix)
    height, width = mask.shape
    inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
    return torch.where(inside, warp_mask(mask, matrix), 0)


@warp_mask.mistake("The two indices have changed places: mask[row, column], and the row comes from y.")
def row_and_column_exchanged(mask, matrix):
    row, column = (points.round().long() for points in _sources(mask, matrix))
    height, width = mask.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return torch.where(inside, mask[column.clamp(0, height - 1), row.clamp(0, width - 1)], 0)


@warp_mask.mistake("x and y have changed places: x belongs to the column, y to the row.")
def x_and_y_exchanged(mask, matrix):
    exchange = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).to(matrix)
    return warp_mask(mask, exchange @ square(matrix) @ exchange)


@warp_mask.mistake(
    "You carry each pixel to its new place, so some places are met twice and others never: holes. Ask for every *output* pixel "
    "where it came from."
)
def pushed_forward(mask, matrix):
    moved = torch.zeros_like(mask)
    height, width = mask.shape
    rows, columns = (points.round().long().tolist() for points in _sources(mask, invert(matrix)))
    for i in range(height):
        for j in range(width):
            if 0 <= rows[i][j] < height and 0 <= columns[i][j] < width:
                moved[rows[i][j], columns[i][j]] = mask[i, j]
    return moved


@warp_mask.mistake(
    "You use the transpose. It is the inverse of a pure rotation alone; this map may stretch and shift: torch.linalg.inv."
)
def transposed(mask, matrix):
    rows = square(matrix).mT
    return _read_at(mask, rows, rows[2])


@warp_mask.mistake(
    "In place of the inverse you use the transpose, which fits a rotation without a shift alone: torch.linalg.inv."
)
def transposed_not_divided(mask, matrix):
    return _read_at(mask, square(matrix).mT, torch.tensor([0.0, 0.0, 1.0]))


def _read_at(mask, rows, divisor):
    """The mask read at the points (rows q) / (divisor q) of the output pixels q."""
    height, width = mask.shape
    row, column = _sources(mask, torch.eye(3))
    q = torch.stack([column - (width - 1) / 2, (height - 1) / 2 - row, torch.ones_like(row)])
    x, y = torch.einsum("ij,jhw->ihw", rows[:2].double(), q) / torch.einsum("j,jhw->hw", divisor.double(), q)
    return _read(mask, ((height - 1) / 2 - y).round(), (x + (width - 1) / 2).round())


@warp_mask.mistake("The map's shift is lost: its last column belongs to it. Give each point a third coordinate, 1.")
def shift_lost(mask, matrix):
    matrix = square(matrix).clone()
    matrix[:2, 2] = 0
    return warp_mask(mask, matrix)


@warp_mask.mistake(
    "align_corners=True stretches the coordinates: -1 and 1 are the edges of the image here, so it must be False."
)
def corners_aligned(mask, matrix):
    height, width = mask.shape
    row, column = _sources(mask, matrix)
    row, column = (row + 0.5) * (height - 1) / height, (column + 0.5) * (width - 1) / width
    return _read(mask, row.round(), column.round())


@warp_mask.mistake("Class numbers above 127 come out negative: they do not fit into int8. Keep the mask's own type.")
def one_byte(mask, matrix):
    return warp_mask(mask, matrix).to(torch.int8)


@warp_mask.mistake("Class numbers above 255 come out smaller: they do not fit into uint8. Keep the mask's own type.")
def one_unsigned_byte(mask, matrix):
    return warp_mask(mask, matrix).to(torch.uint8)


@warp_mask.mistake("Negative indices count from the other end in Python: ask for >= 0 too.")
def wrapped_around(mask, matrix):
    row, column = (points.round().long() for points in _sources(mask, matrix))
    height, width = mask.shape
    inside = (row >= -height) & (row < height) & (column >= -width) & (column < width)
    return torch.where(inside, mask[row.clamp(-height, height - 1), column.clamp(-width, width - 1)], 0)


def _random_boxes(generator):
    corner = torch.rand(3, 2, generator=generator) * torch.tensor([14.0, 8.0])  # so that no box is outside before
    size = 4 + 4 * torch.rand(3, 2, generator=generator)
    edge = torch.tensor([[0.0, 0.0, 9.0, 6.0]])  # one that leaves the image
    return torch.cat([torch.cat([corner, corner + size], dim=1), edge]), _random_map(generator), 16, 22


@exercise(
    "Boxes move with their image",
    cases=[
        (torch.tensor([[2.0, 1.0, 5.0, 3.0]]), _map(0.0, lean=0.5), 8, 8),  # a quarter turn's inverse is its transpose
        (torch.tensor([[2.0, 1.0, 5.0, 3.0]]), _map(90.0), 8, 8),
        (torch.tensor([[2.0, 1.0, 4.0, 3.0]]), _map(90.0), 5, 7),
        (torch.tensor([[2.0, 1.0, 5.0, 3.0], [0.0, 0.0, 6.0, 4.0]]), _map(30.0, 1.2, 0.2, 1.0, 0.5), 8, 12),
        (torch.tensor([[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]]), _map(0.0, right=4.0), 8, 8),
        (torch.tensor([[6.0, 1.0, 9.0, 3.0]]), _map(0.0, right=0.5), 6, 10),
        (torch.tensor([[6.0, 1.0, 8.0, 3.0], [1.0, 4.0, 3.0, 6.0]]), _map(0.0, right=4.0), 8, 8),
    ],
    fresh=_random_boxes,
    idea=(
        "A turned box is no longer upright, so its four corners are moved and the upright hull around them is the new box. "
        "Boxes are counted from the upper left corner with y down, the matrix from the centre with y up."
    ),
    steps=(
        "Write out the four corners of each box, each x with each y: x and y are (n, 4) then.",
        (
            "Count them from the centre, width / 2 and height / 2, with y pointing up. A box is measured from the image's "
            "edge, so no 1 is taken off width or height."
        ),
        (
            "Multiply the corners, with a third coordinate 1, by the matrix itself: the inverse is for looking up pixels. "
            "Points that stand in rows need its transpose."
        ),
        "Go back to the upper left corner with y down, and cut x at 0 and width, y at 0 and height.",
        "Take the smallest and the largest x and y over the corners, in the order x0, y0, x1, y1, and keep every box, (n, 4).",
    ),
)
def warp_boxes(boxes, matrix, height, width):
    return targets.warp_boxes(boxes, matrix, height, width)


def _moved_corners(boxes, matrix, height, width):
    """The upper left and lower right corners alone, moved: (n, 4)."""
    x, y = boxes[:, [0, 2]] - width / 2, height / 2 - boxes[:, [1, 3]]
    moved = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ matrix[:2].T
    return torch.stack([moved[..., 0] + width / 2, height / 2 - moved[..., 1]], dim=-1).flatten(1)


@warp_boxes.mistake(
    "You move two corners. After a turn the other two stick out: move all four, then take the smallest and the largest x and y."
)
def two_corners(boxes, matrix, height, width):
    x0, y0, x1, y1 = _moved_corners(boxes, matrix, height, width).unbind(1)
    moved = torch.stack([torch.minimum(x0, x1), torch.minimum(y0, y1), torch.maximum(x0, x1), torch.maximum(y0, y1)], dim=1)
    return moved.clamp(min=0).minimum(torch.tensor([width, height, width, height]).to(moved))


@warp_boxes.mistake("One of your boxes extends outside the image. Cut it: x between 0 and width, y between 0 and height.")
def not_cut(boxes, matrix, height, width):
    far = 10.0 * max(height, width)
    moved = boxes + far  # the same boxes inside a much larger image
    return warp_boxes(moved, matrix, int(height + 2 * far), int(width + 2 * far)) - far


@warp_boxes.mistake(
    "You hand y, counted downwards, to a matrix whose y points up. Turn it round, y = height / 2 - y0, and back."
)
def y_down(boxes, matrix, height, width):
    return warp_boxes(boxes, _y_down(matrix), height, width)


@warp_boxes.mistake("You turn about the corner of the image. Count from its centre first: x - width / 2.")
def about_the_corner(boxes, matrix, height, width):
    return warp_boxes(boxes, _from_corner(matrix, height, width), height, width)


@warp_boxes.mistake("You move the other way. Pixels are looked up with the inverse; points go with the matrix itself.")
def backwards(boxes, matrix, height, width):
    return warp_boxes(boxes, invert(matrix), height, width)


@warp_boxes.mistake("Your corners have changed places: (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1.")
def corners_swapped(boxes, matrix, height, width):
    return warp_boxes(boxes, matrix, height, width)[:, [2, 3, 0, 1]]


@warp_boxes.mistake("The limits have changed places: x ends at the width, y at the height.")
def limits_exchanged(boxes, matrix, height, width):
    return not_cut(boxes, matrix, height, width).clamp(min=0).minimum(torch.tensor([height, width, height, width]).to(boxes))


@warp_boxes.mistake("The order is x0, y0, x1, y1: a corner and then the other one. You return both x first.")
def both_x_first(boxes, matrix, height, width):
    return warp_boxes(boxes, matrix, height, width)[:, [0, 2, 1, 3]]


@warp_boxes.mistake(
    "You make one box around all. Each box moves on its own: smallest and largest over its four corners, dim=1."
)
def one_box_for_all(boxes, matrix, height, width):
    moved = warp_boxes(boxes, matrix, height, width)
    return torch.cat([moved[:, :2].amin(dim=0), moved[:, 2:].amax(dim=0)]).expand(len(boxes), 4)


@warp_boxes.mistake(
    "You cut at width - 1 and height - 1. Those are the last pixels' numbers; a box may reach to their far edges."
)
def cut_one_too_early(boxes, matrix, height, width):
    limits = torch.tensor([width - 1, height - 1, width - 1, height - 1]).to(boxes)
    return not_cut(boxes, matrix, height, width).clamp(min=0).minimum(limits)


@warp_boxes.mistake("You cut at 0 only. Cut at the right and the lower edge too: width and height.")
def cut_at_0_only(boxes, matrix, height, width):
    return not_cut(boxes, matrix, height, width).clamp(min=0)


@warp_boxes.mistake("You cut at 1. Boxes are in pixels: x ends at the width, y at the height.")
def cut_at_1(boxes, matrix, height, width):
    return not_cut(boxes, matrix, height, width).clamp(0, 1)


@warp_boxes.mistake(
    "Your origin is (W - 1) / 2, as for pixel numbers. Boxes are measured from the image's edge: its centre is width / 2."
)
def pixel_centres(boxes, matrix, height, width):
    return warp_boxes(boxes, _around(-0.5, 0.5, matrix), height, width)


@warp_boxes.mistake("y0 and y1 have changed places: y0 is the upper edge, the smaller number.")
def upper_and_lower_exchanged(boxes, matrix, height, width):
    return warp_boxes(boxes, matrix, height, width)[:, [0, 3, 2, 1]]


@warp_boxes.mistake("Your last two numbers are width and height of the box. They are its lower right corner, x1 and y1.")
def width_and_height(boxes, matrix, height, width):
    moved = warp_boxes(boxes, matrix, height, width)
    return torch.cat([moved[:, :2], moved[:, 2:] - moved[:, :2]], dim=1)


@warp_boxes.mistake("You round. A box may end between two pixels: return the numbers as they are.")
def rounded(boxes, matrix, height, width):
    return warp_boxes(boxes, matrix, height, width).round()


@warp_boxes.mistake(
    "Boxes that have left the image are gone, and the others no longer stand beside their labels. Return every box."
)
def empty_boxes_dropped(boxes, matrix, height, width):
    moved = warp_boxes(boxes, matrix, height, width)
    return moved[(moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])]


@warp_boxes.mistake("You move the box's centre and keep its size. A turn or a stretch changes the size: move all four corners.")
def size_kept(boxes, matrix, height, width):
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    centre = _moved_corners((boxes[:, :2] + half).repeat(1, 2), matrix, height, width)[:, :2]
    return torch.cat([centre - half, centre + half], dim=1).clamp(min=0).minimum(torch.tensor([width, height] * 2).to(boxes))


@warp_boxes.mistake("The map's shift is lost: its last column belongs to it. Give each corner a third coordinate, 1.")
def shift_lost(boxes, matrix, height, width):
    matrix = square(matrix).clone()
    matrix[:2, 2] = 0
    return warp_boxes(boxes, matrix, height, width)


@warp_boxes.mistake("You multiply by the transposed matrix. For points in rows it is points @ matrix.T.")
def transposed(boxes, matrix, height, width):
    matrix = square(matrix).mT.clone()
    matrix[:2, 2] = 0
    return warp_boxes(boxes, matrix, height, width)


@warp_boxes.mistake("Your matrix is transposed, and its shift becomes a divisor. For points in rows it is points @ matrix.T.")
def transposed_and_divided(boxes, matrix, height, width):
    x, y = boxes[:, [0, 2, 2, 0]] - width / 2, height / 2 - boxes[:, [1, 1, 3, 3]]
    moved = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ square(matrix)
    x, y = moved[..., 0] / moved[..., 2] + width / 2, height / 2 - moved[..., 1] / moved[..., 2]
    x, y = x.clamp(0, width), y.clamp(0, height)
    return torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], dim=1)


@exercise(
    "A box that turns like an ellipse",
    cases=[
        (torch.tensor([[2.0, 3.0, 6.0, 5.0]]), _map(0.0), 8, 8),
        (torch.tensor([[2.0, 3.0, 6.0, 5.0]]), _map(45.0), 8, 8),
        (torch.tensor([[1.0, 1.0, 3.0, 2.0]]), _map(90.0), 5, 7),
        (torch.tensor([[2.0, 1.0, 5.0, 3.0], [3.0, 0.0, 7.0, 4.0]]), _map(30.0, 1.2, 0.2, 1.0, 0.5), 8, 12),
        (torch.tensor([[2.0, 1.0, 5.0, 3.0]]), _map(0.0, lean=0.5), 8, 8),
        (torch.tensor([[6.0, 1.0, 8.0, 3.0], [1.0, 4.0, 3.0, 6.0]]), _map(0.0, right=4.0), 8, 8),
    ],
    fresh=_random_boxes,
    idea=(
        "An ellipse stays an ellipse under a linear map, and how far it reaches in x is the length of a vector, not a sum of "
        "two lengths: so its box is tighter than that of four corners."
    ),
    steps=(
        "Each box has a centre, (n, 2), and two half-axes, half its width and half its height.",
        (
            "Count the centre from the image's centre, with y up, and move it by the whole matrix, shift included; then count "
            "from the upper left corner again."
        ),
        (
            "The reach in x is sqrt((m00 * a)^2 + (m01 * b)^2) with the first row of the matrix, the reach in y the same with "
            "the second row."
        ),
        "The new box is the centre minus and plus the reaches, cut at 0 and at the width or height.",
    ),
)
def ellipse_boxes(boxes, matrix, height, width):
    return targets.ellipse_boxes(boxes, matrix, height, width)


def _box_of_reach(boxes, matrix, height, width, reach, cut=True):
    """The boxes around the moved centres that reach(m, a, b) says, for a row m of the matrix and half-axes a and b."""
    x0, y0, x1, y1 = boxes.unbind(1)
    a, b = (x1 - x0) / 2, (y1 - y0) / 2
    x, y = _moved_corners(torch.stack([x0 + a, y0 + b], dim=1).repeat(1, 2), matrix, height, width)[:, :2].unbind(1)
    to_x, to_y = (reach(row, a, b) for row in square(matrix)[:2, :2].to(boxes))
    moved = torch.stack([x - to_x, y - to_y, x + to_x, y + to_y], dim=1)
    return moved.clamp(min=0).minimum(torch.tensor([width, height] * 2).to(moved)) if cut else moved


def _ellipse(m, a, b):
    return ((m[0] * a) ** 2 + (m[1] * b) ** 2).sqrt()


@ellipse_boxes.mistake(
    "That is the hull of the four corners again: the absolute values are added up. An ellipse reaches the root of the sum of "
    "the squares."
)
def hull_of_the_corners(boxes, matrix, height, width):
    return warp_boxes(boxes, matrix, height, width)


@ellipse_boxes.mistake("The root is missing: the reach is the length of (m00 * a, m01 * b).")
def root_missing(boxes, matrix, height, width):
    return _box_of_reach(boxes, matrix, height, width, lambda m, a, b: _ellipse(m, a, b) ** 2)


@ellipse_boxes.mistake("You take the whole width and height for half-axes. The ellipse in a box has half of each.")
def not_halved(boxes, matrix, height, width):
    return _box_of_reach(boxes, matrix, height, width, lambda m, a, b: _ellipse(m, 2 * a, 2 * b))


@ellipse_boxes.mistake("Width and height have changed places: the first column of the matrix belongs to the width.")
def axes_exchanged(boxes, matrix, height, width):
    return _box_of_reach(boxes, matrix, height, width, lambda m, a, b: _ellipse(m, b, a))


@ellipse_boxes.mistake("You read the matrix by columns. The reach in x comes from its first row, m00 and m01.")
def columns_read(boxes, matrix, height, width):
    turned = iter(square(matrix)[:2, :2].mT.to(boxes))
    return _box_of_reach(boxes, matrix, height, width, lambda m, a, b: _ellipse(next(turned), a, b))


@ellipse_boxes.mistake("You take the larger of the two parts. Both count: the root of the sum of their squares.")
def larger_part(boxes, matrix, height, width):
    return _box_of_reach(boxes, matrix, height, width, lambda m, a, b: torch.maximum((m[0] * a).abs(), (m[1] * b).abs()))


@ellipse_boxes.mistake("The parts of the reach cancel out. Square them before you add them up.")
def signs_kept(boxes, matrix, height, width):
    return _box_of_reach(boxes, matrix, height, width, lambda m, a, b: (m[0] * a + m[1] * b).abs())


@ellipse_boxes.mistake("You move the box's centre and keep its size. The ellipse turns, so its reaches change.")
def ellipse_size_kept(boxes, matrix, height, width):
    return size_kept(boxes, matrix, height, width)


@ellipse_boxes.mistake("One of your boxes extends outside the image. Cut it: x between 0 and width, y between 0 and height.")
def ellipse_not_cut(boxes, matrix, height, width):
    return _box_of_reach(boxes, matrix, height, width, _ellipse, cut=False)


@ellipse_boxes.mistake("You move the other way. Pixels are looked up with the inverse; boxes go with the matrix itself.")
def ellipse_backwards(boxes, matrix, height, width):
    return ellipse_boxes(boxes, invert(matrix), height, width)


@ellipse_boxes.mistake(
    "You hand y, counted downwards, to a matrix whose y points up. Turn the centre's y round, height / 2 - y, and back."
)
def ellipse_y_down(boxes, matrix, height, width):
    return ellipse_boxes(boxes, _y_down(matrix), height, width)


@ellipse_boxes.mistake("You turn about the corner of the image. Count the box's centre from the image's centre first.")
def ellipse_about_the_corner(boxes, matrix, height, width):
    return ellipse_boxes(boxes, _from_corner(matrix, height, width), height, width)


@ellipse_boxes.mistake("The map's shift is lost. Its last column moves the centre.")
def ellipse_shift_lost(boxes, matrix, height, width):
    matrix = square(matrix).clone()
    matrix[:2, 2] = 0
    return ellipse_boxes(boxes, matrix, height, width)


@ellipse_boxes.mistake("The centre stays where it was. It moves with the image, by the whole matrix.")
def centre_kept(boxes, matrix, height, width):
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    a, b = (boxes[:, 2] - boxes[:, 0]) / 2, (boxes[:, 3] - boxes[:, 1]) / 2
    to_x, to_y = (_ellipse(row, a, b) for row in square(matrix)[:2, :2].to(boxes))
    moved = torch.stack([x - to_x, y - to_y, x + to_x, y + to_y], dim=1)
    return moved.clamp(min=0).minimum(torch.tensor([width, height] * 2).to(moved))


@ellipse_boxes.property("It lies inside the hull of the four moved corners.")
def _inside_the_corners(function, generator):
    boxes, matrix, height, width = _random_boxes(generator)
    boxes, matrix = boxes.double(), matrix.double()
    small, large = function(boxes, matrix, height, width), targets.warp_boxes(boxes, matrix, height, width)
    if (small[:, :2] < large[:, :2] - 1e-9).any() or (small[:, 2:] > large[:, 2:] + 1e-9).any():
        return say("One of the boxes reaches out of the hull of the four corners.")


@ellipse_boxes.property("A circle in a square box keeps its size in every turn.")
def _circles_keep_their_size(function, generator):
    turn = square(rotation(6 * torch.rand((), generator=generator).double()))
    moved = function(torch.tensor([[40.0, 40.0, 50.0, 50.0]]).double(), turn, 90, 90)
    if not torch.allclose(moved[:, 2:] - moved[:, :2], torch.full((1, 2), 10.0).double()):
        return say("A square box in the middle has another size after a turn.")


# What few_shot_method returns is judged on episodes that it never saw.

JUDGED = 24  # held-out episodes of a check
MARGIN = 0.1  # how far above the floor, nearest prototypes of pixels, the whole interval must lie

NO_LABELS = (
    "One class number for each query is needed, a tensor of whole numbers (M,). From scores, take the index of the "
    "largest: scores.argmax(dim=1)."
)
BLOCKS = (
    "When the classes are renumbered, your answers stay the same: you take the support images in blocks. They come in any "
    "order. Choose those of class k by `labels == k`."
)
GUESSES = "Your answers are no better than guessing. Do you choose the *smallest* distance, or the *largest* similarity?"
FLOOR = (
    "Your method recognises letters, but not significantly better than the mean image of each class, compared pixel by "
    "pixel. The letters are shifted: what could you do to every image so that it does not matter where in it the ink is?"
)


@exercise(
    "A few-shot method of your own",
    idea=(
        "Pixel by pixel, a letter that is shifted, turned or noisy looks like another one. Describe every image so that such "
        "differences matter less, or allow for them when you compare, and the most similar class is the right one more often."
    ),
    steps=(
        (
            "Begin with the floor: choose the images of each class by `labels == k`, since they come in any order, and give "
            "each query the class whose mean is nearest, (m,)."
        ),
        "Look at some support images of one class: what differs between them although the letter is the same?",
        (
            "Treat support and queries alike so that one of these differences goes: where in the image the ink lies is a good "
            "one to begin with."
        ),
        (
            "Noise goes by a threshold or a little blur, and cosine similarity compares shapes whatever the amount of ink; "
            "take the largest similarity or the smallest distance."
        ),
        "Change one thing at a time and run the check again: it judges by alphabets that you have not seen.",
    ),
)
def few_shot_method(support, labels, queries):
    def features(images):
        ink = (images - 0.3).clamp(min=0)
        share = ink / ink.sum((2, 3), keepdim=True).clamp_min(1e-6)
        position = torch.linspace(-1, 1, images.shape[-1])
        centre = torch.stack([(share * position).sum((1, 2, 3)), (share * position[:, None]).sum((1, 2, 3))], dim=1)  # (n, 2)
        theta = torch.cat([torch.eye(2).expand(len(images), 2, 2), centre[:, :, None]], dim=2)
        grid = F.affine_grid(theta, images.shape, align_corners=True)
        blurred = F.avg_pool2d(F.grid_sample(ink, grid, align_corners=True), 3, 1, 1).flatten(1)
        return F.normalize(blurred - blurred.mean(1, keepdim=True), dim=1)

    z, known = features(queries), features(support)
    c = torch.stack([known[labels == k].mean(0) for k in range(int(labels.max()) + 1)])
    return (z @ F.normalize(c, dim=1).T).argmax(1)


@few_shot_method.mistake(NO_LABELS)
def scores_returned(support, labels, queries):
    c = torch.stack([support[labels == k].mean(0).flatten() for k in range(WAY)])
    return -torch.cdist(queries.flatten(1), c)


@few_shot_method.mistake(BLOCKS)
def labels_ignored(support, labels, queries):
    return few_shot_method(support, torch.arange(WAY).repeat_interleave(len(support) // WAY), queries)


@few_shot_method.mistake(GUESSES)
def farthest(support, labels, queries):
    c = torch.stack([support[labels == k].mean(0).flatten() for k in range(WAY)])
    return torch.cdist(queries.flatten(1), c).argmax(1)


@few_shot_method.mistake(FLOOR)
def pixels(support, labels, queries):
    return nearest_prototype(support, labels, queries)


def _episodes(generator, count):
    return held_out(count, int(torch.randint(2**31 - 1, (1,), generator=generator)))


@few_shot_method.property("It returns one label for each query.", mistake="one_answer")
def _returns_labels(function, generator):
    [(support, labels, queries, answers)] = _episodes(generator, 1)
    predicted = function(support, labels, queries)
    if predicted is None:
        return "nothing_returned", say("Your function returns nothing (None). Does its last line begin with `return`?")
    if not isinstance(predicted, torch.Tensor):
        return "wrong_type", say(
            "Your function returns a value of type {kind}; {needed} is needed.",
            kind=type(predicted).__name__,
            needed=say("a torch tensor"),
        )
    if predicted.shape != answers.shape:
        return "scores_returned" if predicted.shape == (len(queries), WAY) else "wrong_shape", NO_LABELS
    if predicted.is_floating_point() or predicted.dtype == torch.bool:
        return "no_whole_numbers", NO_LABELS
    if predicted.min() < 0 or predicted.max() >= WAY:
        return "no_class_numbers", say(
            "Your answers go from {smallest} to {largest}; the classes are 0 to {last}. If they are the positions of support "
            "images, look up their labels: labels[position].",
            smallest=int(predicted.min()),
            largest=int(predicted.max()),
            last=WAY - 1,
        )
    if (predicted == predicted[0]).all():
        return say("Every query gets the same answer. Compare each one with the support images of each class.")
    return None


@few_shot_method.property("It uses the labels: when they are renumbered, so are the answers.", mistake="labels_ignored")
def _uses_the_labels(function, generator):
    [(support, labels, queries, _)] = _episodes(generator, 1)
    new = (torch.arange(WAY) + 1) % WAY
    before, after = function(support, labels, queries), function(support, new[labels], queries)
    return BLOCKS if torch.equal(before, after) else None


def _accuracies(function, episodes):
    """The accuracy in each episode. An error of the function is not caught here."""
    return [(function(*episode) == answers).float().mean().item() for *episode, answers in episodes]


@few_shot_method.property("Held-out episodes: better than guessing.", mistake="farthest")
def _beats_chance(function, generator):
    episodes = _episodes(generator, JUDGED)
    accuracies, guessed = _accuracies(function, episodes), [1 / WAY] * JUDGED
    if significantly_better(accuracies, guessed):
        return None
    support, labels, queries, _ = episodes[0]
    if not torch.equal(function(support, labels, queries), function(support, labels, queries)):
        return "random_answers", say(
            "Your answers are no better than guessing, and they change from call to call. Compare the query with the support "
            "images and choose the most similar class."
        )
    accuracies += _accuracies(function, _episodes(generator, 2 * JUDGED))  # it is not much worse than guessing
    if significantly_better(guessed * 3, accuracies):
        return "farthest", GUESSES
    return "no_better_than_guessing", GUESSES


@few_shot_method.property(
    f"Held-out episodes: significantly more than {MARGIN:g} above prototypes of pixels.", mistake="pixels"
)
def _beats_pixels(function, generator):
    episodes = _episodes(generator, JUDGED)
    yours, floor = _accuracies(function, episodes), _accuracies(nearest_prototype, episodes)
    return None if significantly_better(yours, floor, by=MARGIN) else FLOOR
