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
    ],
    fresh=_random_batch,
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
        ([1, 5, 20], [0.3, 0.5, 0.8], 0.5),
        ([1, 5, 20], [0.3, 0.5, 0.8], 0.9),
        ([2, 8], [0.3, 0.5], 0.1),
        ([1, 2, 4, 8, 32], [0.2, 0.3, 0.5, 0.6, 0.9], 0.55),
    ],
    fresh=_random_curve,
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
