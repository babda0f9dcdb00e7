"""Chapter 12: thinning, a sheet of rubber, a pen, and quarter turns as new classes."""

import torch
import torch.nn.functional as F

from ..augment import handwriting
from ..languages import say
from .declare import exercise

# Every way in which the eight neighbours of a pixel can be ink.
EVERY = (torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1


def _row(*ink):
    """Neighbours (1, 8) of which these are ink: 0 is P2, above; 2 is to the right."""
    return torch.tensor([[place in ink for place in range(8)]])


def _random_neighbours(generator):
    return torch.rand(12, 8, generator=generator) < 0.5, bool(torch.rand(1, generator=generator) < 0.5)


@exercise(
    "Which pixel may go",
    cases=[
        (_row(3, 4, 5), True),
        (torch.cat([_row(4), _row(0, 4), _row(*range(8)), _row(*range(7))]), True),
        (torch.cat([_row(7, 0, 1), _row(1, 2, 3), _row(5, 6, 7), _row(0, 1, 2, 3, 4)]), True),
        (torch.cat([_row(7, 0, 1), _row(1, 2, 3), _row(5, 6, 7), _row(0, 1, 2, 3, 4)]), False),
        (EVERY, True),
        (EVERY, False),
    ],
    fresh=_random_neighbours,
    idea=(
        "A pixel may go when the line does not get shorter, does not tear, and the pixel lies on the side that is peeled "
        "in this half. "
        "Each of these is a count or a condition about its eight neighbours."
    ),
    steps=(
        "Count the neighbours of ink of every row: 2 to 6 of them.",
        "The ink begins where a neighbour is empty and the next one, clockwise, is ink. `roll` by one place along the row "
        "brings the next one beside it, and the first one behind the last.",
        "Take the four straight neighbours by their columns: up 0, right 2, down 4, left 6.",
        "In the first half not all of up, right, down are ink, and not all of right, down, left; in the second half not all of "
        "up, right, left, and not all of up, down, left.",
    ),
)
def may_go(neighbours, first):
    return handwriting.may_go(neighbours, first)


def _parts(neighbours, first, straight=(0, 2, 4, 6)):
    up, right, down, left = (neighbours[:, place] for place in straight)
    if first:
        edge = ~(up & right & down) & ~(right & down & left)
    else:
        edge = ~(up & right & left) & ~(up & down & left)
    return neighbours.sum(1), handwriting.begins(neighbours), edge


@may_go.mistake("Your lines lose their ends: a pixel with a single neighbour is the end of a line. Ask for at least 2.")
def ends_go(neighbours, first):
    count, begins, edge = _parts(neighbours, first)
    return (count >= 1) & (count <= 6) & (begins == 1) & edge


@may_go.mistake("Your strokes get holes or notches: with 7 or 8 neighbours a pixel lies inside. At most 6 may be ink.")
def inside_goes(neighbours, first):
    count, begins, edge = _parts(neighbours, first)
    return (count >= 2) & (begins == 1) & edge


@may_go.mistake("Your lines tear: where the ink begins twice, the pixel joins two parts. The ink has to begin exactly once.")
def lines_tear(neighbours, first):
    count, _, edge = _parts(neighbours, first)
    return (count >= 2) & (count <= 6) & edge


@may_go.mistake(
    "You count where the ink begins from P2 to P9 only. The way around the pixel is closed: from P9 to P2 it goes on."
)
def way_not_closed(neighbours, first):
    count, _, edge = _parts(neighbours, first)
    begins = (~neighbours[:, :-1] & neighbours[:, 1:]).sum(1)
    return (count >= 2) & (count <= 6) & (begins == 1) & edge


@may_go.mistake("You count every change, from empty to ink and from ink to empty, which is even. Count the beginnings alone.")
def every_change(neighbours, first):
    count, _, edge = _parts(neighbours, first)
    changes = (neighbours ^ neighbours.roll(-1, 1)).sum(1)
    return (count >= 2) & (count <= 6) & (changes == 1) & edge


@may_go.mistake(
    "The two halves are exchanged: the first one peels the lower and the right side, the second one the upper and the left."
)
def halves_exchanged(neighbours, first):
    return may_go(neighbours, not first)


@may_go.mistake(
    "Both halves are alike in yours. If both peel the same side, the skeleton does not lie in the middle: the second half asks "
    "for other neighbours."
)
def one_half_only(neighbours, first):
    return may_go(neighbours, True)


@may_go.mistake(
    "The sides play no part in yours: pixels on both sides go at once, and a line two pixels wide disappears. Add the two "
    "conditions of this half."
)
def sides_forgotten(neighbours, first):
    count, begins, _ = _parts(neighbours, first)
    return (count >= 2) & (count <= 6) & (begins == 1)


@may_go.mistake("You return which pixels stay. The question is which ones go.")
def which_stay(neighbours, first):
    return ~may_go(neighbours, first)


@may_go.mistake(
    "You take the four straight neighbours from wrong columns. Clockwise they are 0, 2, 4 and 6: up, right, down, left."
)
def straight_in_wrong_columns(neighbours, first):
    count, begins, edge = _parts(neighbours, first, straight=range(4))
    return (count >= 2) & (count <= 6) & (begins == 1) & edge


@may_go.mistake("You roll along the pixels, not along a pixel's neighbours: roll(-1, 1) turns every row by one place.")
def rolled_along_the_pixels(neighbours, first):
    count, _, edge = _parts(neighbours, first)
    return (count >= 2) & (count <= 6) & ((~neighbours & neighbours.roll(-1, 0)).sum(1) == 1) & edge


@may_go.mistake("You ask for at least 3 neighbours. 2 are enough: a corner of an edge has no more and may go.")
def at_least_three(neighbours, first):
    count, begins, edge = _parts(neighbours, first)
    return (count >= 3) & (count <= 6) & (begins == 1) & edge


@may_go.property("The end of a line stays, and so does a pixel inside a stroke.")
def _ends_and_insides_stay(function, generator):
    for first in (True, False):
        for place in range(8):
            if bool(function(_row(place), first)[0]):
                return say("A pixel with one neighbour goes in yours: the line gets shorter.")
        if bool(function(_row(*range(8)), first)[0]):
            return say("A pixel with eight neighbours goes in yours: the stroke gets a hole.")


@may_go.property("What goes in one half, turned upside down, goes in the other.")
def _halves_mirror(function, generator):
    neighbours, _ = _random_neighbours(generator)
    if not torch.equal(function(neighbours.clone(), True), function(neighbours.roll(4, 1), False)):
        return say("Turned by half a turn, your first half is not your second one.")


def _random_sheet(generator):
    return torch.randn(2, 2, 4, 4, generator=generator), 1.6 * torch.rand(2, 5, 2, generator=generator) - 0.8


@exercise(
    "A sheet of rubber",
    cases=[
        (torch.tensor([1.0, -2.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4).clone(), torch.tensor([[[0.0, 0.0], [0.5, -0.25]]])),
        (torch.arange(32.0).reshape(1, 2, 4, 4) ** 1.5 / 50, torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]])),
        (
            torch.stack([torch.arange(16.0).reshape(4, 4).sin(), torch.arange(16.0).reshape(4, 4).cos()])[None],
            torch.tensor([[[0.1, -0.6], [0.7, 0.2], [-1.4, 0.3]]]),
        ),
        (torch.randn(2, 2, 7, 7, generator=torch.Generator().manual_seed(4)), torch.tensor([[[0.3, 0.9]], [[-0.5, 0.1]]])),
    ],
    fresh=_random_sheet,
    idea=(
        "`grid_sample` reads an image at any places, and a field of displacements is an image of two channels: the knots "
        "are its "
        "pixels. What is asked of it are the places of the points, and how it fills in between."
    ),
    steps=(
        "grid_sample wants a grid (B, H, W, 2) of places: give the points a W of 1.",
        "Between the knots: mode bicubic. The outer knots lie on the edge of the sheet, at -1 and 1: align_corners=True. "
        "Outside "
        "of it the value of the edge goes on.",
        "It returns (B, 2, P, 1). Take the last axis away, and bring the other two into the order of the points: (B, P, 2).",
    ),
)
def smooth_field(knots, points):
    return handwriting.smooth_field(knots, points)


def _sampled(knots, points, mode="bicubic", padding_mode="border", align_corners=True):
    found = F.grid_sample(knots, points[:, :, None], mode=mode, padding_mode=padding_mode, align_corners=align_corners)
    return found[..., 0].transpose(1, 2)


@smooth_field.mistake("Your outer knots lie half a knot inside the sheet. They lie on its edge: align_corners=True.")
def corners_not_aligned(knots, points):
    return _sampled(knots, points, align_corners=False)


@smooth_field.mistake(
    "You interpolate in straight lines, so the sheet has folds at its knots. A smooth one is bicubic: mode='bicubic'."
)
def bilinear(knots, points):
    return _sampled(knots, points, mode="bilinear")


@smooth_field.mistake("You take the nearest knot, which tears the sheet between two knots. Interpolate: mode='bicubic'.")
def nearest_knot(knots, points):
    return _sampled(knots, points, mode="nearest")


@smooth_field.mistake("Outside of the sheet your displacement falls to 0. The edge's goes on: padding_mode='border'.")
def zero_outside(knots, points):
    return _sampled(knots, points, padding_mode="zeros")


@smooth_field.mistake(
    "x and y are exchanged in the places. A point is (x, y) and grid_sample takes it so, although an image has its rows first."
)
def places_exchanged(knots, points):
    return _sampled(knots, points.flip(-1))


@smooth_field.mistake("The displacements along x and along y are exchanged. The first channel of the knots is x.")
def channels_exchanged(knots, points):
    return _sampled(knots, points).flip(-1)


@smooth_field.mistake(
    "You reshape (B, 2, P) to (B, P, 2), which mixes displacements of different points. Exchange the axes: transpose(1, 2)."
)
def reshaped(knots, points):
    return _sampled(knots, points).transpose(1, 2).reshape(points.shape)


@smooth_field.mistake("You return where the points end. Return the displacement alone: it is added afterwards.")
def moved_points(knots, points):
    return points + _sampled(knots, points)


@smooth_field.mistake("Every drawing gets the field of the first one. Each has knots of its own.")
def field_of_the_first(knots, points):
    return _sampled(knots[:1].expand_as(knots), points)


@smooth_field.mistake(
    "You leave grid_sample's arguments as they are: straight lines, outer knots inside the sheet, nothing outside. Name "
    "all three: "
    "mode='bicubic', align_corners=True, padding_mode='border'."
)
def all_defaults(knots, points):
    return _sampled(knots, points, mode="bilinear", padding_mode="zeros", align_corners=False)


@smooth_field.mistake("Your displacements have the other sign. Return what the knots say: it is added to the points.")
def other_sign(knots, points):
    return -_sampled(knots, points)


@smooth_field.mistake("You turn y over. Here y points down, as grid_sample takes it: leave the points as they are.")
def y_turned_over(knots, points):
    return _sampled(knots, points * torch.tensor([1.0, -1.0]).to(points))


@smooth_field.mistake("You return (B, 2, P), as grid_sample gives it. The points come last but one: transpose(1, 2).")
def not_transposed(knots, points):
    return _sampled(knots, points).transpose(1, 2)


@smooth_field.property("If all knots move alike, so does every point.")
def _all_alike(function, generator):
    shift = torch.randn(2, 2, 1, 1, generator=generator)
    _, points = _random_sheet(generator)
    found = function(shift.expand(2, 2, 5, 5).clone(), points)
    if found.shape != points.shape or (found - shift.flatten(1)[:, None]).abs().max() > 1e-4:
        return say("All knots have the same displacement, and a point has another one in yours.")


@smooth_field.property("A point at a knot has the knot's displacement.")
def _at_the_knots(function, generator):
    knots = torch.randn(1, 2, 4, 4, generator=generator)
    line = torch.linspace(-1, 1, 4)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([columns.flatten(), rows.flatten()], 1)[None]
    found = function(knots, points)
    if found.shape != points.shape or (found - knots.flatten(2).transpose(1, 2)).abs().max() > 1e-4:
        return say("At a knot your displacement is not that of the knot.")


def _random_distances(generator):
    return 3 * torch.rand(2, 5, generator=generator), 0.5 + 2 * torch.rand(2, 1, generator=generator)


@exercise(
    "A round pen",
    cases=[
        (torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0]), torch.tensor([2.0])),
        (torch.tensor([[0.0, 0.25, 1.0], [0.0, 1.75, 3.0]]), torch.tensor([[0.6], [3.0]])),
        (torch.tensor([0.1, 0.4, 0.9]), torch.tensor([1.0])),
    ],
    fresh=_random_distances,
    idea=(
        "The edge of the stroke lies at half the width from its line. A pixel is as dark as the share of it that the stroke "
        "covers, which falls from 1 to 0 while the edge goes across it: within one pixel."
    ),
    steps=(
        "How far inside the edge is the pixel's centre? Half the width less the distance.",
        "On the edge half of the pixel is covered: add one half.",
        "No pixel has less than no ink, or more than all: clamp to 0 and 1.",
    ),
)
def pen(distance, width):
    return handwriting.pen(distance, width)


@pen.mistake("Your stroke is twice as wide: the edge lies at half the width from the line, on both sides.")
def width_as_radius(distance, width):
    return (width + 0.5 - distance).clamp(0, 1)


@pen.mistake("On the edge your pixel is empty. Half of it is covered there: add one half.")
def half_forgotten(distance, width):
    return (width / 2 - distance).clamp(0, 1)


@pen.mistake("Your edge lies half a pixel too far out: where the distance is half the width, the ink is one half, not 1.")
def whole_added(distance, width):
    return (width / 2 + 1 - distance).clamp(0, 1)


@pen.mistake("Your edge is hard, so lines get steps. The ink falls from 1 to 0 along one pixel.")
def hard_edge(distance, width):
    return (distance <= width / 2).float()


@pen.mistake("Ink below 0 or above 1: clamp it.")
def not_clamped(distance, width):
    return width / 2 + 0.5 - distance


@pen.mistake("You return the paper: 0 on the line and 1 outside. Ink is 1 on the line.")
def paper(distance, width):
    return 1 - pen(distance, width)


@pen.mistake("You use the square of the distance. The edge is then a little off: take the distance itself.")
def squared(distance, width):
    return (width / 2 + 0.5 - distance.square()).clamp(0, 1)


@pen.mistake("Your edge is soft over two pixels. It falls along one: the slope is 1.")
def soft_edge(distance, width):
    return ((width / 2 + 1 - distance) / 2).clamp(0, 1)


@pen.mistake("Yours is a sigmoid, which never ends. The ink is all of it inside, none outside, and a straight line in between.")
def sigmoid_edge(distance, width):
    return torch.sigmoid(width / 2 - distance)


@pen.mistake("Your ink is clamped below only: inside the stroke it grows above 1. Clamp it to 0..1.")
def above_one(distance, width):
    return (width / 2 + 0.5 - distance).clamp(min=0)


@pen.mistake("Your ink is clamped above only: far from the line it is negative. Clamp it to 0..1.")
def below_zero(distance, width):
    return (width / 2 + 0.5 - distance).clamp(max=1)


@pen.mistake(
    "You use the width where half of it belongs, and leave out the half pixel of the edge: width / 2 + 1 / 2 - distance."
)
def whole_width_no_edge(distance, width):
    return (width - distance).clamp(0, 1)


@pen.mistake("Yours is a bell, thick in the middle and without an end. A pen leaves full ink inside and none outside.")
def bell(distance, width):
    return torch.exp(-((distance / width) ** 2))


@pen.property("Half way out the ink is one half, for every width above one pixel.")
def _half_on_the_edge(function, generator):
    width = 1.1 + 2 * torch.rand(4, generator=generator)
    if (function(width / 2, width) - 0.5).abs().max() > 1e-4:
        return say("At half the width your ink is not one half.")


@pen.property("A stroke has as much ink as it is wide.")
def _ink_is_the_width(function, generator):
    across = torch.linspace(-6, 6, 2401)
    for width in (1.5, 3.0):
        found = function(across.abs(), torch.tensor([width])).sum().item() * 12 / 2400
        if abs(found - width) > 0.02:
            return say("Across a pen of {width:g} pixels your ink adds up to {found:.2f}.", width=width, found=found)


def _random_turns(generator):
    points = 2 * torch.rand(4, 3, 2, generator=generator) - 1
    labels = torch.randint(7, (4,), generator=generator)
    return points, labels, torch.randperm(4, generator=generator), 7


@exercise(
    "Quarter turns are new classes",
    cases=[
        (torch.tensor([[[1.0, 0.0], [0.5, -0.5]]]), torch.tensor([2]), torch.tensor([1]), 10),
        (torch.tensor([[[0.75, 0.25]], [[0.75, 0.25]]]), torch.tensor([0, 3]), torch.tensor([2, 3]), 5),
        (torch.tensor([[[0.5, -1.0]], [[-0.25, 0.5]]]), torch.tensor([1, 1]), torch.tensor([0, 1]), 3),
    ],
    fresh=_random_turns,
    idea=(
        "A quarter turn exchanges the coordinates and changes one sign. To see which one, follow the point on the right: "
        "turned counter-clockwise it lies at the top, where y is -1 here."
    ),
    steps=(
        "One quarter turn counter-clockwise, with y down: (x, y) goes to (y, -x).",
        "Each drawing has its own number of turns, 0 to 3: turn all of them three times, and keep a turn only where it is "
        "asked for, by torch.where with turns > step, shaped to fit the points.",
        "The classes of one turn are numbered behind those of the turn before: label + classes * turns.",
        "Return the points, then the labels.",
    ),
)
def turned_classes(points, labels, turns, classes):
    return handwriting.turned_classes(points, labels, turns, classes)


@turned_classes.mistake(
    "You turn clockwise. y points down here, so a point on the right, (1, 0), goes to the top, (0, -1), by one turn."
)
def clockwise(points, labels, turns, classes):
    return turned_classes(points, labels, -turns % 4, classes)[0], labels + classes * turns


@turned_classes.mistake("The turned characters keep their classes: a turned n would be an n, and u and n one class.")
def labels_kept(points, labels, turns, classes):
    return turned_classes(points, labels, turns, classes)[0], labels.clone()


@turned_classes.mistake("Your labels turn, your points do not.")
def points_kept(points, labels, turns, classes):
    return points.clone(), labels + classes * turns


@turned_classes.mistake(
    "You number the four turns of a character one after the other. Here all unturned classes come first: label + classes "
    "* turns."
)
def turns_side_by_side(points, labels, turns, classes):
    return turned_classes(points, labels, turns, classes)[0], 4 * labels + turns


@turned_classes.mistake("You add the turns alone to the labels, so the turned A is the class of B. Add classes * turns.")
def turns_added(points, labels, turns, classes):
    return turned_classes(points, labels, turns, classes)[0], labels + turns


@turned_classes.mistake("You exchange x and y without a sign: that is a mirror image, not a turn.")
def mirrored(points, labels, turns, classes):
    odd = (turns % 2 == 1)[:, None, None]
    return torch.where(odd, points.flip(-1), points), labels + classes * turns


@turned_classes.mistake("All drawings are turned as far as the first one. Each has turns of its own.")
def turns_of_the_first(points, labels, turns, classes):
    return turned_classes(points, labels, turns[:1].expand_as(turns), classes)[0], labels + classes * turns


@turned_classes.mistake("You turn by so many radians. One turn is a quarter: pi / 2 radians.")
def radians(points, labels, turns, classes):
    cos, sin = turns.float().cos(), turns.float().sin()
    matrix = torch.stack([cos, sin, -sin, cos], 1).view(-1, 1, 2, 2)
    return (matrix @ points[..., None])[..., 0], labels + classes * turns


@turned_classes.mistake("You return the labels first. The points come first.")
def labels_first(points, labels, turns, classes):
    return turned_classes(points, labels, turns, classes)[::-1]


def _quarter(points):
    return torch.stack([points[..., 1], -points[..., 0]], -1)


@turned_classes.mistake("You turn by one quarter whatever the number says. Two are a half turn, three are three quarters.")
def one_turn_for_all(points, labels, turns, classes):
    return torch.where((turns > 0)[:, None, None], _quarter(points), points), labels + classes * turns


@turned_classes.mistake("You change signs only, which are half turns. A quarter turn exchanges x and y as well.")
def half_turns(points, labels, turns, classes):
    return points * (1 - 2 * (turns % 2))[:, None, None], labels + classes * turns


@turned_classes.mistake("You number the classes from the last turn. A character that is not turned keeps its label.")
def numbered_from_the_last(points, labels, turns, classes):
    return turned_classes(points, labels, turns, classes)[0], labels + classes * (3 - turns)


@turned_classes.mistake("You take 10 classes for granted. The number of classes is given: labels + classes * turns.")
def ten_classes(points, labels, turns, classes):
    return turned_classes(points, labels, turns, classes)[0], labels + 10 * turns


@turned_classes.property("Four turns one after the other lead back.")
def _four_lead_back(function, generator):
    points, labels, _, classes = _random_turns(generator)
    moved = points
    for _ in range(4):
        moved = function(moved.clone(), labels.clone(), torch.ones(4, dtype=torch.long), classes)[0]
    if (moved - points).abs().max() > 1e-4:
        return say("After four quarter turns your points are elsewhere.")


@turned_classes.property("No two classes with their turns have the same number.")
def _all_different(function, generator):
    labels, turns = torch.arange(3).repeat(4), torch.arange(4).repeat_interleave(3)
    found = function(torch.zeros(12, 1, 2), labels, turns, 3)[1]
    if sorted(found.tolist()) != list(range(12)):
        return say(
            "Three classes in four turns are numbered 0 to 11; yours have {count} numbers.", count=len(set(found.tolist()))
        )
