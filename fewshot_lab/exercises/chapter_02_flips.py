"""Chapter 02: flips that alternate, so that no epoch shows an image as the one before did."""

import torch

from ..languages import say
from ..methods import alternating_flip as flips
from .declare import exercise


def _images(count, generator=None):
    if generator is None:
        return torch.arange(count * 6.0).reshape(count, 1, 2, 3) / (count * 6)
    return torch.rand(count, 1, 3, 4, generator=generator)


def _some_batch(generator):
    # 24 images of 40, in no order, after any number of epochs: every coin with every remainder.
    indices = torch.randperm(40, generator=generator)[:24]
    coins = torch.rand(40, generator=generator) < 0.5
    return _images(24, generator), indices, coins, torch.randint(0, 12, (24,), generator=generator)


_COINS = torch.tensor([True, False, False, True, True])


@exercise(
    "Flips that alternate",
    cases=[
        (_images(2), torch.tensor([0, 1]), torch.tensor([True, False]), torch.tensor([0, 0])),
        (_images(2), torch.tensor([0, 1]), torch.tensor([True, False]), torch.tensor([1, 1])),
        (_images(3), torch.tensor([4, 2, 1]), _COINS, torch.tensor([2, 2, 2])),
        (_images(4), torch.tensor([3, 0, 2, 1]), _COINS, torch.tensor([5, 6, 6, 5])),  # the end of an epoch and the next one
        (torch.cat([_images(2)] * 3, dim=1), torch.tensor([4, 1]), _COINS, torch.tensor([3, 3])),  # in colour
    ],
    fresh=_some_batch,
    idea=(
        "A coin tossed once says how the first epoch shows an image. From then on every epoch shows the other version, so "
        "that two epochs in a row always show both."
    ),
    steps=(
        "Look up the coin of each image by its index in the data set. Its place in the batch changes from epoch to epoch.",
        "In even epochs, counted from 0, the coin holds; in odd ones it is turned over. Two truths that differ: that is `^`.",
        "Mirror left to right those images, and only those: torch.where with a mask of the shape (n, 1, 1, 1).",
    ),
)
def alternating_flip(images, indices, flipped_first, epochs):
    return flips.alternating_flip(images, indices, flipped_first, epochs)


def _mirrored(images, chosen, axes=(-1,)):
    return torch.where(chosen[:, None, None, None], images.flip(*axes), images)


def _chosen(indices, flipped_first, epochs):
    return flipped_first[indices] ^ (epochs % 2 == 1)


@alternating_flip.mistake(
    "Your epochs are exchanged. Epoch 0 is the first one and even: there the coin holds, and odd epochs turn it over."
)
def exchanged(images, indices, flipped_first, epochs):
    return _mirrored(images, ~_chosen(indices, flipped_first, epochs))


@alternating_flip.mistake("Every epoch of yours shows an image as the first one did. In odd epochs the coin is turned over.")
def never_alternates(images, indices, flipped_first, epochs):
    return _mirrored(images, flipped_first[indices])


@alternating_flip.mistake(
    "You mirror all images in odd epochs and none in even ones. A coin for each image decides which half begins mirrored."
)
def without_coins(images, indices, flipped_first, epochs):
    return _mirrored(images, epochs % 2 == 1)


@alternating_flip.mistake(
    "You take the coin of an image's place in the batch. `flipped_first` belongs to the data set: look it up by `indices`."
)
def by_place(images, indices, flipped_first, epochs):
    return _mirrored(images, flipped_first[: len(images)] ^ (epochs % 2 == 1))


@alternating_flip.mistake(
    "You mirror where the coin says so or the epoch is odd. Where both are true the image stands as it was: one or the other."
)
def inclusive_or(images, indices, flipped_first, epochs):
    return _mirrored(images, flipped_first[indices] | (epochs % 2 == 1))


@alternating_flip.mistake(
    "You mirror only where the coin says so and the epoch is odd. In even epochs the coin alone decides, and images whose coin "
    "says no are mirrored in odd ones."
)
def both_true(images, indices, flipped_first, epochs):
    return _mirrored(images, flipped_first[indices] & (epochs % 2 == 1))


@alternating_flip.mistake("You turn the coin over once, in epoch 1, or for good from there on. It turns in every odd epoch.")
def turned_once(images, indices, flipped_first, epochs):
    return _mirrored(images, flipped_first[indices] ^ (epochs == 1))


@alternating_flip.mistake("You turn the coin over once, in epoch 1, or for good from there on. It turns in every odd epoch.")
def turned_for_good(images, indices, flipped_first, epochs):
    return _mirrored(images, flipped_first[indices] ^ (epochs > 0))


@alternating_flip.mistake("Your images stand on their heads. Left and right are the last axis, -1.")
def upside_down(images, indices, flipped_first, epochs):
    return _mirrored(images, _chosen(indices, flipped_first, epochs), (-2,))


@alternating_flip.mistake("You flip both axes: a half turn, and no mirror image. Left and right are the last axis, -1.")
def half_turned(images, indices, flipped_first, epochs):
    return _mirrored(images, _chosen(indices, flipped_first, epochs), (-2, -1))


@alternating_flip.mistake("You mirror every image of the batch. Only those whose turn it is are mirrored.")
def all_mirrored(images, indices, flipped_first, epochs):
    return images.flip(-1)


@alternating_flip.mistake("Your images stay as they are. Return the batch, with those mirrored whose turn it is.")
def none_mirrored(images, indices, flipped_first, epochs):
    return images.clone()


@alternating_flip.property("Two epochs in a row show both versions of every image.", mistake="drawn_anew")
def _both_versions(function, generator):
    images, indices, coins, epochs = _some_batch(generator)
    images = images.double()
    first, second = (function(images.clone(), indices, coins, at) for at in (epochs, epochs + 1))
    if not torch.equal(first.flip(-1), second):
        return say(
            "In two epochs in a row an image of yours was shown the same way twice. Toss no coin yourself: `flipped_first` "
            "holds them."
        )


@alternating_flip.property("How an image is shown does not depend on its place in the batch.", mistake="by_place")
def _in_any_order(function, generator):
    images, indices, coins, epochs = _some_batch(generator)
    images, order = images.double(), torch.randperm(len(images), generator=generator)
    shown = function(images.clone(), indices, coins, epochs)
    if not torch.equal(function(images[order], indices[order], coins, epochs[order]), shown[order]):
        return say("The same images in another order of the batch are shown otherwise by yours.")


@alternating_flip.property("The batch that it is given stays as it was.", mistake="changed_in_place")
def _keeps_the_batch(function, generator):
    images, indices, coins, epochs = _some_batch(generator)
    given = images.double()
    before = given.clone()
    function(given, indices, coins, epochs)
    if not torch.equal(given, before):
        return say("You change the images of the batch in place. Return new ones: the data set still holds these.")
