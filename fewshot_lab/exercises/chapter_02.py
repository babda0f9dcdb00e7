"""Chapter 02: mixup, the label of a CutMix image, the exchange rate."""

import math

import torch

from .declare import exercise


def _random_batch(generator):
    images = torch.rand(3, 1, 2, 2, generator=generator)
    labels = torch.eye(4)[torch.randint(4, (3,), generator=generator)]
    return images, labels, torch.rand(1, generator=generator).item(), torch.randperm(3, generator=generator)


@exercise(
    "Mixup",
    cases=[
        (torch.arange(4.0).reshape(2, 1, 1, 2), torch.eye(2), 0.75, torch.tensor([1, 0])),
        (torch.ones(2, 1, 1, 1), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), 0.5, torch.tensor([1, 0])),
        (torch.arange(8.0).reshape(4, 1, 2, 1) ** 2, torch.eye(4), 0.25, torch.tensor([2, 0, 3, 1])),
    ],
    fresh=_random_batch,
    idea=(
        "Mixup adds an image and its partner in every pixel, weighted by shares that add up to one, and blends their labels "
        "with the same shares. An image that is 60 % cat has a label that is 60 % cat."
    ),
    steps=(
        (
            "Put the images in the order of their partners, so that image i stands beside image partner[i]: indexing with "
            "`partner` gives a tensor of the same shape."
        ),
        "Blend both: `share` is the weight of the image itself, and its partner has the rest, so that the two add up to one.",
        (
            "Blend the labels in the same order and with the same weights. They stay shares: no rounding, and no largest one "
            "alone."
        ),
        "Return both, the images first.",
    ),
)
def mixup_batch(images, labels, share, partner):
    mixed = share * images + (1 - share) * images[partner]
    return mixed, share * labels + (1 - share) * labels[partner]


@mixup_batch.mistake("The images are mixed, their labels are not. An image that is 30 % cat has a label that is 30 % cat.")
def labels_not_mixed(images, labels, share, partner):
    mixed, _ = mixup_batch(images, labels, share, partner)
    return mixed, labels


@mixup_batch.mistake("The shares are exchanged: `share` belongs to the image itself, 1 - share to its partner.")
def shares_exchanged(images, labels, share, partner):
    return mixup_batch(images, labels, 1 - share, partner)


@mixup_batch.mistake("Images and labels are mixed with opposite shares.")
def labels_exchanged(images, labels, share, partner):
    mixed, _ = mixup_batch(images, labels, share, partner)
    _, exchanged = mixup_batch(images, labels, 1 - share, partner)
    return mixed, exchanged


@mixup_batch.mistake("The two shares must add up to one: multiply the image itself by `share` as well.")
def shares_not_one(images, labels, share, partner):
    return images + (1 - share) * images[partner], labels + (1 - share) * labels[partner]


@mixup_batch.mistake("The labels are right, but the images have the shares exchanged: `share` belongs to the image itself.")
def images_exchanged(images, labels, share, partner):
    return mixup_batch(images, labels, 1 - share, partner)[0], mixup_batch(images, labels, share, partner)[1]


@mixup_batch.mistake("The labels are mixed, the images are not. Mix both with the same share.")
def images_not_mixed(images, labels, share, partner):
    return images, mixup_batch(images, labels, share, partner)[1]


@mixup_batch.mistake("You mix half and half, whatever `share` says. Weigh the image itself by `share`.")
def half_and_half(images, labels, share, partner):
    return mixup_batch(images, labels, 0.5, partner)


@mixup_batch.mistake(
    "The images have the wrong partners: you use the inverse order. Image i is mixed with image partner[i], so index with "
    "`partner` itself."
)
def inverse_order(images, labels, share, partner):
    return mixup_batch(images, labels, share, partner.argsort())


@mixup_batch.mistake("You mix with the images in reverse order. Which image is mixed with which is given: `partner`.")
def reversed_batch(images, labels, share, partner):
    return mixup_batch(images, labels, share, torch.arange(len(images)).flip(0))


@mixup_batch.mistake("You mix with the neighbour in the batch. Which image is mixed with which is given: `partner`.")
def neighbour_in_the_batch(images, labels, share, partner):
    return mixup_batch(images, labels, share, torch.arange(len(images)).roll(1))


@mixup_batch.mistake(
    "You paste a part of the partner into the image, as CutMix does. Mixup adds the two in every pixel, weighed by the shares."
)
def pasted(images, labels, share, partner):
    mixed, rows = images.clone(), int(images.shape[2] * (1 - share))
    mixed[:, :, :rows] = images[partner][:, :, :rows]
    return mixed, mixup_batch(images, labels, share, partner)[1]


@mixup_batch.mistake("You round the mixed labels to 0 and 1. An image that is 30 % cat has a label that is 30 % cat.")
def labels_rounded(images, labels, share, partner):
    mixed, mixed_labels = mixup_batch(images, labels, share, partner)
    return mixed, mixed_labels.round()


@mixup_batch.mistake("Your labels name the larger part alone. An image that is 30 % cat has a label that is 30 % cat.")
def labels_of_larger_part(images, labels, share, partner):
    mixed, mixed_labels = mixup_batch(images, labels, share, partner)
    return mixed, torch.eye(labels.shape[1])[mixed_labels.argmax(1)]


@mixup_batch.mistake("The images are mixed, but the labels are those of the partners alone. Mix the labels in the same way.")
def labels_of_the_partners(images, labels, share, partner):
    return mixup_batch(images, labels, share, partner)[0], labels[partner]


@mixup_batch.mistake("The two shares must add up to one: multiply the partner by 1 - share as well.")
def partner_not_weighed(images, labels, share, partner):
    return share * images + images[partner], share * labels + labels[partner]


@mixup_batch.mistake("The results have changed places: the images come first, then the labels.")
def labels_first(images, labels, share, partner):
    mixed, mixed_labels = mixup_batch(images, labels, share, partner)
    return mixed_labels, mixed


def _random_box(generator):
    top, left = (torch.randint(-4, 8, (2,), generator=generator)).tolist()
    return top, left, 1 + int(torch.randint(8, (1,), generator=generator)), 8, 10


@exercise(
    "The label of a CutMix image",
    cases=[
        (0, 0, 2, 4, 4),
        (-1, -1, 2, 4, 4),
        (1, 3, 4, 4, 4),
        (5, 5, 2, 4, 4),
        (1, 6, 2, 4, 4),
        (5, 1, 2, 4, 4),
        (0, 4, 3, 4, 10),
        (2, 0, 4, 4, 10),
    ],
    fresh=_random_box,
    idea=(
        "The label keeps the share of the area that is still the image's own. The square may reach over the border, and only "
        "the part of it that lies inside was really pasted."
    ),
    steps=(
        (
            "Look at the rows alone. Where does the part inside the image begin when `top` may be negative, and where does it "
            "end when the square may reach below the last row?"
        ),
        (
            "The end is the first row that no longer belongs to this part, so the number of rows is end minus beginning, "
            "without adding one. If the square lies outside it is negative: take 0."
        ),
        (
            "Do the same for the columns with `left` and `width`. Make each number at least 0 before you multiply, because two "
            "negative ones give a positive area."
        ),
        "Divide the pasted area by that of the whole image. That share of the label is lost; what is left up to one stays.",
    ),
)
def cutmix_share(top, left, side, height, width):
    rows = max(0, min(height, top + side) - max(0, top))
    columns = max(0, min(width, left + side) - max(0, left))
    return 1 - rows * columns / (height * width)


@cutmix_share.mistake("Part of the box may lie outside the image: only what was really pasted counts.")
def not_clipped(top, left, side, height, width):
    return 1 - side * side / (height * width)


@cutmix_share.mistake("That is the pasted share. The question is which share of the label stays: 1 minus it.")
def pasted_share(*box):
    return 1 - cutmix_share(*box)


@cutmix_share.mistake("That is a share of the height. Use the share of the area.")
def one_side_only(top, left, side, height, width):
    return 1 - max(0, min(height, top + side) - max(0, top)) / height


@cutmix_share.mistake("A box that begins above or left of the image is not clipped: its first row is max(0, top).")
def upper_left_not_clipped(top, left, side, height, width):
    return 1 - max(0, min(height, top + side) - top) * max(0, min(width, left + side) - left) / (height * width)


def _kept(rows, columns, height, width):
    return 1 - rows * columns / (height * width)


@cutmix_share.mistake("A box that ends below or right of the image is not clipped: it ends at min(height, top + side).")
def lower_right_not_clipped(top, left, side, height, width):
    return _kept(max(0, top + side - max(0, top)), max(0, left + side - max(0, left)), height, width)


@cutmix_share.mistake("Height and width have changed places. Rows go from 0 to the height, columns from 0 to the width.")
def height_and_width_exchanged(top, left, side, height, width):
    return cutmix_share(top, left, side, width, height)


@cutmix_share.mistake("You count one row and one column too many. From row 2 up to, but without, row 5 there are 5 - 2 rows.")
def one_too_many(top, left, side, height, width):
    rows = max(0, min(height - 1, top + side) - max(0, top) + 1)
    return _kept(rows, max(0, min(width - 1, left + side) - max(0, left) + 1), height, width)


@cutmix_share.mistake("You add one to the rows and columns. From row 2 up to, but without, row 5 there are 5 - 2 rows.")
def one_added(top, left, side, height, width):
    rows = max(0, min(height, top + side) - max(0, top) + 1)
    return _kept(rows, max(0, min(width, left + side) - max(0, left) + 1), height, width)


@cutmix_share.mistake(
    "The last row and column are lost, because you clip at height - 1 and width - 1. The end of a box is not part of it: clip "
    "at height and width."
)
def last_row_lost(top, left, side, height, width):
    return _kept(
        max(0, min(height - 1, top + side) - max(0, top)), max(0, min(width - 1, left + side) - max(0, left)), height, width
    )


@cutmix_share.mistake("You compare one side with the height. Use areas, and only of what lies inside the image.")
def side_over_height(top, left, side, height, width):
    return 1 - side / height


@cutmix_share.mistake("`//` rounds down to a whole number, here 0 or 1. Divide with `/`.")
def whole_division(top, left, side, height, width):
    return 1 - round((1 - cutmix_share(top, left, side, height, width)) * height * width) // (height * width)


@cutmix_share.mistake("You divide by the height squared, as if every image were a square. Its area is height * width.")
def square_assumed(top, left, side, height, width):
    return 1 - (1 - cutmix_share(top, left, side, height, width)) * width / height


@cutmix_share.mistake("You take (top, left) for the centre of the box. It is the upper left corner.")
def corner_as_centre(top, left, side, height, width):
    return cutmix_share(top - side // 2, left - side // 2, side, height, width)


@cutmix_share.mistake("Your slices begin at a negative index, which Python counts from the other end. Begin at max(0, top).")
def negative_slices(top, left, side, height, width):
    return _kept(len(range(height)[top : top + side]), len(range(width)[left : left + side]), height, width)


@cutmix_share.mistake("A box outside the image has a negative height or width in your function. Each is at least 0.")
def negative_sides(top, left, side, height, width):
    return _kept(min(height, top + side) - max(0, top), min(width, left + side) - max(0, left), height, width)


@cutmix_share.mistake(
    "You take the maximum with 0 after multiplying. Two negative sides make a positive area: each side must be at least 0."
)
def product_at_least_zero(top, left, side, height, width):
    area = (min(height, top + side) - max(0, top)) * (min(width, left + side) - max(0, left))
    return 1 - max(0, area) / (height * width)


@cutmix_share.mistake("That is the number of pixels that were pasted. The question is which share of the label stays, 0 to 1.")
def pasted_pixels(top, left, side, height, width):
    return (1 - cutmix_share(top, left, side, height, width)) * height * width


@cutmix_share.mistake("That is the number of pixels that stay. Divide it by the number of all pixels.")
def pixels_that_stay(top, left, side, height, width):
    return cutmix_share(top, left, side, height, width) * height * width


@cutmix_share.mistake("You take the mean of the two sides' shares. An area is their product.")
def mean_of_the_sides(top, left, side, height, width):
    rows = max(0, min(height, top + side) - max(0, top))
    columns = max(0, min(width, left + side) - max(0, left))
    return 1 - (rows / height + columns / width) / 2


def _interpolated(labels, accuracies, reached, scale, back):
    """The number of labels at `reached`, interpolated linearly on the axis `scale(labels)`; `back` undoes `scale`."""
    if reached <= accuracies[0]:
        return float(labels[0])
    for i in range(1, len(labels)):
        if reached <= accuracies[i]:
            part = (reached - accuracies[i - 1]) / (accuracies[i] - accuracies[i - 1])
            return float(back(scale(labels[i - 1]) + part * (scale(labels[i]) - scale(labels[i - 1]))))
    return float(labels[-1])


def _random_curve(generator):
    accuracies = (0.2 + 0.7 * torch.rand(4, generator=generator)).sort().values.tolist()
    return [1, 2, 5, 20], accuracies, 0.1 + 0.85 * torch.rand(1, generator=generator).item()


@exercise(
    "How many labels an accuracy is worth",
    cases=[
        ([1, 4], [0.2, 0.6], 0.4),
        ([1, 4], [0.2, 0.6], 0.3),
        ([1, 5, 20], [0.3, 0.5, 0.8], 0.5),
        ([1, 5, 20], [0.3, 0.5, 0.8], 0.9),
        ([2, 8], [0.3, 0.5], 0.1),
        ([1, 2, 4, 8, 32], [0.2, 0.3, 0.5, 0.6, 0.9], 0.55),
    ],
    fresh=_random_curve,
    idea=(
        "The learning curve is read the other way round here: from an accuracy back to a number of labels. Between two "
        "measured points accuracy grows about linearly in the logarithm of the number of labels, so interpolate there."
    ),
    steps=(
        (
            "Settle the ends first: up to the first accuracy the answer is the first number of labels, above the last accuracy "
            "it is the last one. The line does not go on there."
        ),
        "Find the two neighbouring points between whose accuracies `reached` lies.",
        (
            "Compute how far it has come from the lower to the upper accuracy, as a share of the way: 0 at the lower point, 1 "
            "at the upper. Accuracies need no logarithm."
        ),
        "Go the same share of the way from the logarithm of the smaller number of labels to that of the larger.",
        "The result is a logarithm. Turn it back into a number of labels with the same base, and do not round it.",
    ),
)
def labels_needed(labels, accuracies, reached):
    return _interpolated(labels, accuracies, reached, math.log2, lambda value: 2**value)


@labels_needed.mistake(
    "You interpolate in the number of labels. Accuracy grows with its logarithm: interpolate in log2(labels)."
)
def not_logarithmic(labels, accuracies, reached):
    return _interpolated(labels, accuracies, reached, float, float)


@labels_needed.mistake("You take the next measured point. Interpolate between it and the one before.")
def next_larger(labels, accuracies, reached):
    return float(next((n for n, a in zip(labels, accuracies, strict=True) if a >= reached), labels[-1]))


@labels_needed.mistake("Your result is log2 of the number of labels. Turn it back: 2 ** result.")
def exponent_forgotten(labels, accuracies, reached):
    return _interpolated(labels, accuracies, reached, math.log2, float)


@labels_needed.mistake("Your result is log2 of the number of labels, at both ends too. Turn it back: 2 ** result.")
def log2_returned(labels, accuracies, reached):
    return math.log2(labels_needed(labels, accuracies, reached))


@labels_needed.mistake("Your result is the natural logarithm of the number of labels. Turn it back: math.exp(result).")
def natural_log_returned(labels, accuracies, reached):
    return math.log(labels_needed(labels, accuracies, reached))


@labels_needed.mistake("You take log2 and turn it back with exp. The two must have the same base: 2 ** result.")
def log2_with_exp(labels, accuracies, reached):
    return math.exp(math.log2(labels_needed(labels, accuracies, reached)))


@labels_needed.mistake("You take the natural logarithm and turn it back with 2 ** result. The two must have the same base.")
def log_with_two(labels, accuracies, reached):
    return 2 ** math.log(labels_needed(labels, accuracies, reached))


@labels_needed.mistake(
    "You fit one line to all points, so that a measured accuracy no longer gives its own number of labels. Interpolate "
    "between the two points around it."
)
def one_line_for_all(labels, accuracies, reached):
    x = torch.tensor(labels, dtype=torch.double).log2()
    y = torch.tensor(accuracies, dtype=torch.double)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return min(max(2 ** ((reached - y.mean()) / slope + x.mean()).item(), labels[0]), labels[-1])


@labels_needed.mistake(
    "The two weights are exchanged: at a measured accuracy you return the labels of the other point. The nearer a point, the "
    "larger its weight."
)
def weights_exchanged(labels, accuracies, reached):
    for i in range(1, len(labels)):
        if accuracies[0] < reached <= accuracies[i]:
            low, high = accuracies[i - 1 : i + 1]
            return labels_needed(labels[i - 1 : i + 1], [low, high], low + high - reached)
    return labels_needed(labels, accuracies, reached)


@labels_needed.mistake("You round to a whole number. Return the number of labels as it comes out.")
def rounded(labels, accuracies, reached):
    return round(labels_needed(labels, accuracies, reached))


@labels_needed.mistake("You round down to a whole number. Return the number of labels as it comes out.")
def rounded_down(labels, accuracies, reached):
    return int(labels_needed(labels, accuracies, reached) + 1e-9)


@labels_needed.mistake("You round up to a whole number. Return the number of labels as it comes out.")
def rounded_up(labels, accuracies, reached):
    return math.ceil(labels_needed(labels, accuracies, reached) - 1e-9)


@labels_needed.mistake("You take the logarithm of the accuracies too. Only the labels stand on a logarithmic axis.")
def logarithm_of_accuracies(labels, accuracies, reached):
    return labels_needed(labels, [math.log2(accuracy) for accuracy in accuracies], math.log2(reached))


@labels_needed.mistake("The two axes are exchanged: you look `reached` up among the labels. It is an accuracy.")
def axes_exchanged(labels, accuracies, reached):
    return 2 ** _interpolated(accuracies, [math.log2(label) for label in labels], reached, float, float)


@labels_needed.mistake("You take the measured point before. Interpolate between it and the next one.")
def next_smaller(labels, accuracies, reached):
    return float(max((n for n, a in zip(labels, accuracies, strict=True) if a <= reached), default=labels[0]))


@labels_needed.mistake("You take the nearest measured point. Interpolate between the two around the accuracy.")
def nearest_point(labels, accuracies, reached):
    return float(labels[min(range(len(labels)), key=lambda i: abs(accuracies[i] - reached))])


@labels_needed.mistake(
    "Beyond the measured accuracies your line goes on. Nothing was measured there: return the first or the last number of "
    "labels."
)
def extrapolated(labels, accuracies, reached):
    i = next((i for i in range(1, len(labels)) if reached <= accuracies[i]), len(labels) - 1)
    part = (reached - accuracies[i - 1]) / (accuracies[i] - accuracies[i - 1])
    return labels[i - 1] * (labels[i] / labels[i - 1]) ** part


@labels_needed.mistake(
    "Outside the measured accuracies your function returns nothing. Return the first number of labels below them, the last "
    "above."
)
def nothing_outside(labels, accuracies, reached):
    if accuracies[0] <= reached <= accuracies[-1]:
        return labels_needed(labels, accuracies, reached)


@labels_needed.mistake("Above the measured accuracies your result is infinite. Return the last number of labels there.")
def infinite_above(labels, accuracies, reached):
    return math.inf if reached > accuracies[-1] else labels_needed(labels, accuracies, reached)
