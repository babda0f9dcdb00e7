"""Chapter 04: the rotation batch, pairs of views, cosine similarities, the NT-Xent loss, nearest neighbours on features."""

import math

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import contrastive, linear_probe
from . import inspectors, sources
from .declare import exercise
from .inspectors import said_by


def _random_images(generator):
    batch, channels, side = (1 + torch.randint(3, (3,), generator=generator)).tolist()
    return (torch.rand(batch + 1, channels, side + 1, side + 1, generator=generator),)


@exercise(
    "A batch for rotation prediction",
    cases=[
        (torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]),),
        (torch.arange(8.0).reshape(2, 1, 2, 2),),
        (torch.arange(36.0).reshape(2, 2, 3, 3),),
        (torch.arange(16.0).reshape(2, 2, 2, 2),),  # a cube: a turn about the wrong axes has the right shape
    ],
    fresh=_random_images,
    idea=(
        "The label is free: you turn every image yourself by 0, 1, 2 or 3 quarter turns, so you know the answer to the "
        "question by how much it was turned. These are turns of the group D4, and no pixel is resampled."
    ),
    steps=(
        (
            "Turn the whole batch by 0, 1, 2 and 3 quarter turns, each time from the original images. A positive k of "
            "torch.rot90 turns counter-clockwise, as is wanted here."
        ),
        (
            "Rows and columns, the last two axes, are the plane to turn in. Left to itself, rot90 takes the first two axes: "
            "images and channels."
        ),
        "Join the four batches along the first axis in the order of the turns: (4 n, C, S, S).",
        (
            "Write the labels in the order of the copies: n zeros first, then n ones, and so on. They are whole numbers, "
            "(4 n,), and not degrees."
        ),
    ),
)
def rotation_batch(images):
    return contrastive.rotation_batch(images)


def _rotated(images, turns, labels):
    return torch.cat([torch.rot90(images, turn, dims=(-2, -1)) for turn in turns]), labels


@rotation_batch.mistake(
    "Your copies turn clockwise. Label 1 is a quarter turn counter-clockwise, as in chapter 01: rot90 with k=1."
)
def clockwise(images):
    return _rotated(images, (0, -1, -2, -3), torch.arange(4).repeat_interleave(len(images)))


@rotation_batch.mistake(
    "The labels are in another order than the copies: first all copies of turn 0, so first all labels 0. "
    "torch.arange(4).repeat_interleave(n), not repeat(n)."
)
def labels_in_another_order(images):
    return _rotated(images, range(4), torch.arange(4).repeat(len(images)))


@rotation_batch.mistake(
    "The four copies of one image stand together, but the labels are in order of the turns. Put all copies of turn 0 first."
)
def copies_in_another_order(images):
    copies, _ = rotation_batch(images)
    mixed = copies.unflatten(0, (4, len(images))).transpose(0, 1).flatten(0, 1)
    return mixed, torch.arange(4).repeat_interleave(len(images))


@rotation_batch.mistake("The labels are degrees. Cross-entropy needs class numbers: 0, 1, 2, 3.")
def labels_in_degrees(images):
    return _rotated(images, range(4), 90 * torch.arange(4).repeat_interleave(len(images)))


@rotation_batch.mistake("These are flips. A quarter turn exchanges rows and columns: torch.rot90(images, k, dims=(-2, -1)).")
def wrong_axes(images):
    return (
        torch.cat([images, images.flip(-1), images.flip(-2), images.flip(-1, -2)]),
        torch.arange(4).repeat_interleave(len(images)),
    )


def _copies(images, one_copy):
    """The batch whose copy of each turn is `one_copy(images, turn)`."""
    return torch.cat([one_copy(images, turn) for turn in range(4)]), torch.arange(4).repeat_interleave(len(images))


@rotation_batch.mistake(
    "The four copies of one image stand side by side, and the labels with them. Put all copies of turn 0 first, then all of "
    "turn 1, and so on."
)
def image_by_image(images):
    copies, labels = rotation_batch(images)
    order = torch.arange(len(copies)).reshape(4, len(images)).T.flatten()
    return copies[order], labels[order]


@rotation_batch.mistake(
    "Your quarter turns are mirror images: to exchange rows and columns is not yet to turn. A flip must follow."
)
def transposed(images):
    return _copies(images, lambda x, turn: torch.rot90(x, turn, (-2, -1)) if turn in (0, 2) else x.mT.rot90(turn - 1, (-2, -1)))


@rotation_batch.mistake(
    "Your half turn mirrors left and right. A half turn exchanges top and bottom too: it is two quarter turns."
)
def half_turn_left_right(images):
    return _copies(images, lambda x, turn: x.flip(-1) if turn == 2 else torch.rot90(x, turn, (-2, -1)))


@rotation_batch.mistake(
    "Your half turn mirrors top and bottom. A half turn exchanges left and right too: it is two quarter turns."
)
def half_turn_upside_down(images):
    return _copies(images, lambda x, turn: x.flip(-2) if turn == 2 else torch.rot90(x, turn, (-2, -1)))


@rotation_batch.mistake(
    "You turn what is turned already, so the turns add up to 0, 1, 3 and 6 quarters. Turn the images as they came."
)
def turns_add_up(images):
    return _copies(images, lambda x, turn: torch.rot90(x, turn * (turn + 1) // 2, (-2, -1)))


@rotation_batch.mistake("Your labels begin at 1. A label is the number of quarter turns: 0 for the images as they are.")
def labels_from_one(images):
    copies, labels = rotation_batch(images)
    return copies, labels + 1


@rotation_batch.mistake(
    "You turn in the plane of images and channels, where rot90 turns by default. Rows and columns are the last two axes."
)
def images_and_channels_turned(images):
    return _copies(images, torch.rot90)


@rotation_batch.mistake("You turn in the plane of channels and rows. Of (B, C, S, S), rows and columns are the last two axes.")
def channels_and_rows_turned(images):
    return _copies(images, lambda x, turn: torch.rot90(x, turn, (1, 2)))


def _random_size(generator):
    return (3 + int(torch.randint(30, (1,), generator=generator)),)


@exercise(
    "Where the other view stands",
    cases=[(2,), (3,)],
    fresh=_random_size,
    idea=(
        "Both halves of the batch show the images in the same order, so the other view always stands B rows away. From the "
        "first half that is B rows on, from the second half B rows back."
    ),
    steps=(
        (
            "The result holds one whole number for each of the 2 B rows: at place i stands the number of the row that is the "
            "partner of row i."
        ),
        "Begin with the row numbers themselves, counted from 0; torch.arange gives them.",
        (
            "Move on by B rows. The first views then name their partners, but the second views point past the last row: they "
            "must come round to the first ones, as they do modulo 2 B."
        ),
        "Check with B = 2: rows 0 and 2 must name each other, and so must rows 1 and 3.",
    ),
)
def positive_pairs(batch):
    return contrastive.positive_pairs(batch)


@positive_pairs.mistake("That is each row itself. Row i of the first views belongs to row i + batch, and the other way round.")
def the_row_itself(batch):
    return torch.arange(2 * batch)


def _neighbours(count):
    """Each row's partner when rows 0 and 1, 2 and 3 and so on are pairs."""
    return torch.arange(count) ^ 1


@positive_pairs.mistake("You pair rows 0 and 1, 2 and 3. Here all first views come first, then all second views.")
def neighbours(batch):
    return _neighbours(2 * batch)


@positive_pairs.mistake(
    "You pair the first row with the last. Both halves are in the same order: row 0 belongs to row `batch`."
)
def mirrored(batch):
    return torch.arange(2 * batch).flip(0)


@positive_pairs.mistake("That is only for the first views. The second views need their partners too: 2 * batch numbers.")
def only_one_half(batch):
    return torch.arange(batch, 2 * batch)


@positive_pairs.mistake("The second half points beyond the last row. It must come back to the first views: modulo 2 * batch.")
def out_of_range(batch):
    return torch.arange(2 * batch) + batch


@positive_pairs.mistake("The second half gets negative numbers. Cross-entropy needs row numbers from 0 on: modulo 2 * batch.")
def negative_rows(batch):
    return torch.arange(2 * batch) - batch


@positive_pairs.mistake(
    "All rows point into the first views, and those to themselves. There are 2 * batch rows to come around in, not batch."
)
def only_first_views(batch):
    return torch.arange(batch).repeat(2)


@positive_pairs.mistake(
    "All rows point into the second views, and those to themselves. The second views belong to the first ones."
)
def only_second_views(batch):
    return torch.arange(batch, 2 * batch).repeat(2)


@positive_pairs.mistake("You go one row too far: row 0 belongs to row `batch`, not to the one after it.")
def one_too_far(batch):
    return (torch.arange(2 * batch) + batch + 1) % (2 * batch)


@positive_pairs.mistake("You stop one row too early: row 0 belongs to row `batch`, not to the one before it.")
def one_too_early(batch):
    return (torch.arange(2 * batch) + batch - 1) % (2 * batch)


@positive_pairs.mistake("Each row points to the next one. The other view stands `batch` rows away.")
def next_row(batch):
    return (torch.arange(2 * batch) + 1) % (2 * batch)


@positive_pairs.mistake("You count with a batch of 128 images, whatever comes. Use the argument `batch`.")
def always_128(batch):
    return (torch.arange(2 * batch) + 128) % (2 * batch)


@positive_pairs.property("The partner of the partner is the row itself.")
def _own_inverse(function, generator):
    batch = _random_size(generator)[0]
    pairs = function(batch)
    if not torch.equal(pairs[pairs], torch.arange(2 * batch)):
        return say("With {batch} images: the other view of the other view of a row must be the row itself.", batch=batch)


def _random_features(generator):
    return (2 * torch.randn(5, 3, generator=generator),)


@exercise(
    "Cosine similarities",
    cases=[
        (torch.tensor([[3.0, 0.0], [0.0, 2.0]]),),
        (torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, -3.0]]),),
        (torch.tensor([[1.0, 2.0], [3.0, 1.0]]),),  # square: a division by the wrong lengths runs
    ],
    fresh=_random_features,
    gradient=("z",),
    idea=(
        "A cosine compares directions, so once every row has length 1, a single matrix product compares all rows with all "
        "rows. Minus infinity on the diagonal takes each row out of its own sum, because its exponential is 0."
    ),
    steps=(
        (
            "Divide each row of z by its own Euclidean length. F.normalize does so along dim 1; by hand the lengths need the "
            "shape (n, 1) to go with the rows."
        ),
        (
            "Multiply these rows by their transpose: (n, n), where row i and column j hold the cosine of rows i and j. In the "
            "other order you would compare features."
        ),
        (
            "Replace the diagonal by minus infinity, for instance with masked_fill and a mask from torch.eye. Do not multiply "
            "a mask by infinity: 0 times infinity is nan."
        ),
        "Make the mask on z.device, and do not detach anything: the loss will need the gradient with respect to z.",
    ),
)
def similarity_matrix(z):
    return contrastive.similarity_matrix(z)


def _similarities(z, *, normalise=True, diagonal=-torch.inf):
    """`similarity_matrix` with one step changed."""
    z = F.normalize(z, dim=1) if normalise else z
    s = z @ z.T
    return s if diagonal is None else s.masked_fill(torch.eye(len(z), dtype=torch.bool), diagonal)


@similarity_matrix.mistake("These are inner products. The cosine divides by both lengths: normalise the rows first.")
def not_normalised(z):
    return _similarities(z, normalise=False)


@similarity_matrix.mistake("The diagonal is 1: every row would find itself. Set it to minus infinity.")
def diagonal_kept(z):
    return _similarities(z, diagonal=None)


@similarity_matrix.mistake(
    "You set the diagonal to 0, and exp(0) = 1 counts in the sum. exp(-inf) = 0 does not: take minus infinity."
)
def diagonal_zero(z):
    return _similarities(z, diagonal=0.0)


@similarity_matrix.mistake("You normalise columns, each feature over the batch. Normalise rows, each image's vector: dim=1.")
def normalised_along_the_batch(z):
    return _similarities(F.normalize(z, dim=0), normalise=False)


@similarity_matrix.mistake("You divide by the length of the whole matrix. Each row has a length of its own: dim=1.")
def one_length_for_all(z):
    return _similarities(z / z.norm(), normalise=False)


@similarity_matrix.mistake("Only the rows on the left have length 1. The cosine divides by both lengths.")
def left_normalised_only(z):
    return (F.normalize(z, dim=1) @ z.T).fill_diagonal_(-torch.inf)


@similarity_matrix.mistake("Only the rows on the right have length 1. The cosine divides by both lengths.")
def right_normalised_only(z):
    return (z @ F.normalize(z, dim=1).T).fill_diagonal_(-torch.inf)


@similarity_matrix.mistake("The diagonal is plus infinity: every row would find itself. It needs the other sign.")
def plus_infinity(z):
    return _similarities(z, diagonal=torch.inf)


@similarity_matrix.mistake("The diagonal is a large negative number. Minus infinity is asked for: -torch.inf or -math.inf.")
def large_negative_diagonal(z):
    return _similarities(z, diagonal=-1e9)


@similarity_matrix.mistake(
    "You divide by the sums of the absolute values. The length of a row is the root of the sum of its squares."
)
def absolute_values_for_length(z):
    return _similarities(F.normalize(z, p=1, dim=1), normalise=False)


@similarity_matrix.mistake("You divide by the squared length. The length is its root.")
def root_forgotten(z):
    return _similarities(z / z.square().sum(1, keepdim=True), normalise=False)


@similarity_matrix.mistake(
    "You divide the columns by the lengths of the rows. The lengths need the shape (rows, 1) to divide the rows: keepdim=True."
)
def keepdim_forgotten(z):
    return _similarities(z / z.norm(dim=1), normalise=False)


@similarity_matrix.mistake("You compare the features with one another. Compare the rows: z @ z.T, not z.T @ z.")
def columns_compared(z):
    z = F.normalize(z, dim=1)
    return (z.T @ z).masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf)


def _random_views(generator):
    batch = 2 + int(torch.randint(3, (1,), generator=generator))
    return torch.randn(2 * batch, 4, generator=generator), 0.2 + 0.5 * torch.rand(1, generator=generator).item()


@exercise(
    "The loss of SimCLR",
    cases=[
        (torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), 1.0),
        (torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]]), 0.5),
        (torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0], [1.0, 2.0], [-1.0, 3.0]]), 0.5),
    ],
    fresh=_random_views,
    gradient=("z",),
    idea=(
        "Finding the other view is a classification: every one of the 2 B rows is asked which row is its partner, and its "
        "similarities, divided by the temperature, are the logits. The mask on the diagonal leaves 2 B - 1 candidates."
    ),
    steps=(
        (
            "Get the similarities of all rows from similarities_of, (2 B, 2 B), and divide them by the temperature. The "
            "diagonal is minus infinity already and stays so."
        ),
        (
            "The right answers are the row numbers from pairs_of. It takes the number of images, B, which is half the number "
            "of rows of z."
        ),
        "Move these numbers to z.device: where z is on a GPU and they are on the CPU, the loss stops with an error.",
        (
            "Take the mean cross-entropy over all 2 B rows. F.cross_entropy does the softmax, the logarithm and the mean "
            "itself, so give it logits."
        ),
    ),
)
def nt_xent(z, temperature):
    return contrastive.nt_xent(z, temperature)


def _loss(z, temperature, *, pairs=None, reduction="mean", **choices):
    """`nt_xent` with one step changed."""
    pairs = positive_pairs(len(z) // 2) if pairs is None else pairs
    return F.cross_entropy(_similarities(z, **choices) / temperature, pairs, reduction=reduction)


@nt_xent.mistake("The temperature is not used: divide the similarities by it.")
def temperature_forgotten(z, temperature):
    return _loss(z, 1.0)


@nt_xent.mistake("You multiply by the temperature. Divide: a small temperature makes the differences larger.")
def temperature_multiplied(z, temperature):
    return _loss(z, 1 / temperature)


@nt_xent.mistake("The sum in the denominator holds the row itself (k = i). Mask the diagonal of the similarities.")
def own_row_in_the_sum(z, temperature):
    return _loss(z, temperature, diagonal=None)


@nt_xent.mistake("These are inner products, which grow with the vectors' lengths. Use cosine similarities.")
def not_normalised(z, temperature):
    return _loss(z, temperature, normalise=False)


@nt_xent.mistake("You take rows 0 and 1 as a pair. The rows are first all first views, then all second views.")
def wrong_pairs(z, temperature):
    return _loss(z, temperature, pairs=_neighbours(len(z)))


@nt_xent.mistake(
    "Only the similarity of the pairs counts here. Without the sum over all other rows, the same vector for every "
    "image is a perfect answer."
)
def no_negatives(z, temperature):
    s = similarity_matrix(z) / temperature
    return -s[torch.arange(len(z)), positive_pairs(len(z) // 2)].mean()


@nt_xent.mistake("Only the first views ask for their partner. Average over all 2 B rows.")
def first_views_only(z, temperature):
    half = len(z) // 2
    return F.cross_entropy(similarity_matrix(z)[:half] / temperature, positive_pairs(half)[:half])


@nt_xent.mistake("You add the losses of the rows. Average them, or the learning rate depends on the size of the batch.")
def sum_instead_of_mean(z, temperature):
    return _loss(z, temperature, reduction="sum")


@nt_xent.mistake("You add up all 2 B rows and divide by B. Each of the two views asks for its partner: divide by 2 B.")
def divided_by_images(z, temperature):
    return 2 * nt_xent(z, temperature)


@nt_xent.mistake("The sign is wrong: the more probable the partner, the smaller the loss must be.")
def sign(z, temperature):
    return -nt_xent(z, temperature)


@nt_xent.mistake("The partner is missing from the sum below. It runs over all rows but i, the partner among them.")
def partner_not_in_sum(z, temperature):
    s = similarity_matrix(z) / temperature
    rows, pairs = torch.arange(len(z)), positive_pairs(len(z) // 2)
    others = s.index_put((rows, pairs), torch.tensor(-torch.inf, dtype=s.dtype))
    return (others.logsumexp(1) - s[rows, pairs]).mean()


@nt_xent.mistake("You divide by the mean of the other rows' exponentials. The loss has their sum there.")
def mean_below(z, temperature):
    return nt_xent(z, temperature) - math.log(len(z) - 1)


def _probabilities(z, temperature):
    """Of each row's partner."""
    s = similarity_matrix(z) / temperature
    return s.softmax(1)[torch.arange(len(z)), positive_pairs(len(z) // 2)]


@nt_xent.mistake("You take the softmax twice: cross_entropy does it itself. Give it the similarities over the temperature.")
def softmax_twice(z, temperature):
    return F.cross_entropy((similarity_matrix(z) / temperature).softmax(1), positive_pairs(len(z) // 2))


@nt_xent.mistake("You average the probabilities and take the logarithm then. Take each row's logarithm first, then average.")
def log_of_the_mean(z, temperature):
    return -_probabilities(z, temperature).mean().log()


@nt_xent.mistake("The logarithm is missing: the loss of a row is minus the logarithm of its partner's probability.")
def log_forgotten(z, temperature):
    return -_probabilities(z, temperature).mean()


@nt_xent.mistake("You set the similarity of a row with itself to 0, and exp(0) = 1 counts in the sum. Minus infinity does not.")
def diagonal_zero(z, temperature):
    return _loss(z, temperature, diagonal=0.0)


def _across(z, temperature):
    """The similarities of the first views with the second ones, and the pairs among them."""
    half = len(z) // 2
    return similarity_matrix(z)[:half, half:] / temperature, torch.arange(half)


@nt_xent.mistake(
    "You compare first views with second views only. The other images' views of the same half belong in the sum too."
)
def only_across_views(z, temperature):
    s, pairs = _across(z, temperature)
    return (F.cross_entropy(s, pairs) + F.cross_entropy(s.T, pairs)) / 2


@nt_xent.mistake("Only the first views ask, and only among the second ones. All 2 B rows ask, each among all rows but itself.")
def first_among_second(z, temperature):
    return F.cross_entropy(*_across(z, temperature))


@nt_xent.mistake("Only the second views ask for their partner. Average over all 2 B rows.")
def second_views_only(z, temperature):
    half = len(z) // 2
    return F.cross_entropy(similarity_matrix(z)[half:] / temperature, positive_pairs(half)[half:])


@nt_xent.property("Only the directions of the vectors count.")
def _scale_free(function, generator):
    z, temperature = _random_views(generator)
    if not torch.allclose(function(z, temperature), function(7 * z, temperature), atol=1e-4):
        return say("Seven times longer vectors give another loss. Only their directions may count.")


@similarity_matrix.property(
    "It runs on any device.",
    mistake="device",
    inspector=said_by(inspectors.similarities_elsewhere),
    shown=sources.new_tensors_follow,
)
@nt_xent.property(
    "It runs on any device.", mistake="device", inspector=said_by(inspectors.loss_elsewhere), shown=sources.new_tensors_follow
)
def _on_its_device(words, generator):
    if words:
        return say(
            "On another device it stops ({words}). Make new tensors on the device of z: device=z.device, or .to(z.device).",
            words=words,
        )


def _cosines(features, queries):
    return F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T


def _count(nearest, rows, labels, classes, weight):
    """The classes with the most votes, of neighbours with these similarities and row numbers."""
    return (F.one_hot(labels[rows], classes) * weight(nearest)[:, :, None]).sum(1).argmax(1)


def _weight(similarities, temperature=0.1):
    return (similarities / temperature).exp()


def _vote(features, labels, queries, k, classes, *, compare=_cosines, largest=True, weight=_weight):
    """`nearest_labels` with one step changed."""
    return _count(*compare(features, queries).topk(k, dim=1, largest=largest), labels, classes, weight)


def _vote_at(temperature, *arguments):
    return _vote(*arguments, weight=lambda similarities: _weight(similarities, temperature))


def _random_search(generator, asked=20, k=None):
    """Labelled features and queries that tell temperatures and numbers of neighbours apart.

    Without near ties, which rounding would decide.
    """
    k = 3 + int(torch.randint(5, (1,), generator=generator)) if k is None else k  # two vote as one does: the nearer wins
    while True:
        features, queries = (_cone(count, generator) for count in (12, 4 * asked))
        labels = torch.arange(12) % 3
        ranked = _cosines(features, queries).sort(dim=1).values
        clear = (ranked[:, 1:] - ranked[:, :-1]).amin(dim=1) > 1e-3
        votes = [_vote_at(0.1 + by, features, labels, queries, k, 3) for by in (0.0, 1e-4, -1e-4)]
        queries = queries[clear & (votes[0] == votes[1]) & (votes[0] == votes[2])][:asked]
        arguments = features, labels, queries, k, 3
        voted = _vote(*arguments)
        same = [torch.equal(voted, _vote(features, labels, queries, other, 3)) for other in {1, 3, 5, k - 1, k + 1, 12} - {k}]
        far = [torch.equal(voted, _vote_at(0.1 + by, *arguments)) for by in (0.02, -0.02)]
        if not any(same) and not all(far):
            return arguments


def _cone(count, generator):
    """Vectors of many lengths whose directions differ so little that far neighbours have a voice."""
    directions = torch.tensor([2.0, 0.0, 0.0]) + torch.randn(count, 3, generator=generator)
    return directions * (0.2 + 3 * torch.rand(count, 1, generator=generator))


# Two fans, one on each side, in which majorities come and go: asked in both directions, one neighbour answers (1, 0), three
# (2, 1), five (2, 0) and six (0, 0).
_FANS = torch.tensor([[side, 0.05 * n] for side in (1.0, -1.0) for n in range(1, 7)])
_FAN_LABELS = torch.tensor([1, 2, 2, 0, 0, 0, 0, 1, 1, 0, 0, 2])
_SIDES = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
_CLUSTERS = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.1, 1.0], [-0.2, 1.0], [0.7, 0.7]])


@exercise(
    "Nearest neighbours on features",
    cases=[
        (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 0]), torch.tensor([[0.9, 0.2], [0.1, 0.5]]), 1, 2),
        (_CLUSTERS, torch.tensor([0, 0, 1, 1, 1]), torch.tensor([[1.0, 0.1], [0.0, 1.0], [-1.0, 0.2]]), 3, 2),
        (torch.tensor([[1.0, 0.1], [1.0, 0.2], [1.0, -0.2]]), torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]]), 3, 2),
        (torch.tensor([[1.0, 0.0], [9.0, 9.0]]), torch.tensor([0, 1]), torch.tensor([[1.0, 0.2]]), 1, 2),
        (torch.tensor([[1.0, 0.0], [0.0, 1.0], [-0.1, 1.0]]), torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]]), 3, 2),
        (torch.tensor([[1.0, 0.0], [1.0, 0.2], [1.0, -0.2]]), torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]]), 1, 2),
        *((_FANS, _FAN_LABELS, _SIDES, k, 3) for k in (1, 3, 5, 6)),
        (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([2, 0]), torch.tensor([[0.9, 0.2], [0.1, 0.5]]), 1, 4),
        _random_search(torch.Generator().manual_seed(118), asked=30, k=5),  # so many that no two mistakes below coincide
    ],
    fresh=_random_search,
    idea=(
        "The k labelled images that are most similar to a query decide on its class: each votes for its own class with the "
        "weight exp(s / 0.1). So a near neighbour can outweigh several that are less similar."
    ),
    steps=(
        (
            "Compare every query with every labelled image by cosine similarity: (m, n). The cosine divides by both lengths; "
            "without that, long vectors win."
        ),
        "Keep the k largest of each row. topk along dim 1 gives them and their places, both (m, k).",
        (
            "A place is a row of the labelled images and not yet a class: look up its label. From the similarities make the "
            "weights exp(s / 0.1)."
        ),
        (
            "Add the weights up by class, (m, classes), with one-hot votes and a sum, or scatter_add. An assignment by index "
            "keeps only one of two neighbours of a class."
        ),
        "For each query the class with the largest sum wins: whole numbers, (m,).",
    ),
)
def nearest_labels(features, labels, queries, k, classes):
    return linear_probe.nearest_labels(features, labels, queries, k, classes)


@nearest_labels.mistake("Only the nearest image decides. Let the k nearest vote.")
def one_neighbour(features, labels, queries, k, classes):
    return _vote(features, labels, queries, 1, classes)


@nearest_labels.mistake(
    "All k votes weigh the same here. Weight each by exp(s / 0.1): a near neighbour counts more than a far one."
)
def votes_weigh_the_same(*arguments):
    return _vote(*arguments, weight=torch.ones_like)


@nearest_labels.mistake("You compare inner products, so long vectors win. Normalise features and queries: cosine similarity.")
def not_normalised(*arguments):
    return _vote(*arguments, compare=lambda features, queries: queries @ features.T)


@nearest_labels.mistake("You take the k least similar images. The similarity of near images is large.")
def farthest(*arguments):
    return _vote(*arguments, largest=False)


@nearest_labels.mistake("These are row numbers of the labelled images. Look up their labels: labels[rows].")
def rows_for_labels(features, labels, queries, k, classes):
    return (F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T).argmax(1)


@nearest_labels.mistake("All labelled images vote. Let only the k nearest.")
def everybody_votes(features, labels, queries, k, classes):
    return _vote(features, labels, queries, len(features), classes)


@nearest_labels.mistake(
    "Of several neighbours of one class only one counts: where an index stands twice, the last value replaces the others. "
    "Their weights must be added, as with scatter_add_, or one-hot votes and a sum."
)
def class_counted_once(features, labels, queries, k, classes):
    nearest, rows = _cosines(features, queries).topk(k, dim=1)
    votes = torch.zeros(len(queries), classes)
    return votes.scatter_reduce(1, labels[rows], _weight(nearest), "amin", include_self=False).argmax(1)


@nearest_labels.mistake("You average the weights of a class's neighbours. Add them: two near neighbours count twice.")
def mean_weight(features, labels, queries, k, classes):
    nearest, rows = _cosines(features, queries).topk(k, dim=1)
    votes = F.one_hot(labels[rows], classes)
    return ((votes * _weight(nearest)[:, :, None]).sum(1) / votes.sum(1).clamp(min=1)).argmax(1)


@nearest_labels.mistake(
    "You compare distances, in which the vectors' lengths count. Give features and queries length 1: cosine similarities."
)
def distances(*arguments):
    return _vote(*arguments, compare=lambda features, queries: -torch.cdist(queries, features))


@nearest_labels.mistake("Only the queries have length 1, so long features win. Normalise the features too.")
def features_not_normalised(*arguments):
    return _vote(*arguments, compare=lambda features, queries: F.normalize(queries, dim=1) @ features.T)


@nearest_labels.mistake("Only the features have length 1, so a query's length changes the weights. Normalise the queries too.")
def queries_not_normalised(*arguments):
    return _vote(*arguments, compare=lambda features, queries: queries @ F.normalize(features, dim=1).T)


@nearest_labels.mistake("You normalise columns, each feature over all images. Normalise rows, each image's vector: dim=1.")
def columns_normalised(*arguments):
    return _vote(*arguments, compare=lambda features, queries: F.normalize(queries, dim=0) @ F.normalize(features, dim=0).T)


@nearest_labels.mistake("The weight is exp(s) here. Divide s by 0.1 first: only then a near neighbour counts far more.")
def temperature_forgotten(*arguments):
    return _vote_at(1.0, *arguments)


@nearest_labels.mistake("You multiply s by 0.1, so that all votes weigh nearly the same. Divide: exp(s / 0.1).")
def temperature_multiplied(*arguments):
    return _vote_at(10.0, *arguments)


@nearest_labels.mistake("Your temperature is 0.07, which others use. Here it is 0.1: exp(s / 0.1).")
def another_temperature(*arguments):
    return _vote_at(0.07, *arguments)


@nearest_labels.mistake("A vote weighs s itself here. Its weight is exp(s / 0.1).")
def exponential_forgotten(*arguments):
    return _vote(*arguments, weight=lambda similarities: similarities)


@nearest_labels.mistake(
    "You leave out the nearest of the k images, as if it were the query itself. No query is among the labelled images."
)
def nearest_left_out(features, labels, queries, k, classes):
    nearest, rows = _cosines(features, queries).topk(k, dim=1)
    return _count(nearest[:, 1:], rows[:, 1:], labels, classes, _weight)


@nearest_labels.mistake(
    "You take k + 1 images and leave out the nearest, as if it were the query itself. No query is among the labelled images."
)
def from_the_second_on(features, labels, queries, k, classes):
    nearest, rows = _cosines(features, queries).topk(k + 1, dim=1)
    return _count(nearest[:, 1:], rows[:, 1:], labels, classes, _weight)


@nearest_labels.mistake("You ask five neighbours, whatever k says. Let the k nearest vote.")
def always_five(features, labels, queries, k, classes):
    return _vote(features, labels, queries, 5, classes)


@nearest_labels.mistake("You ask three neighbours, whatever k says. Let the k nearest vote.")
def always_three(features, labels, queries, k, classes):
    return _vote(features, labels, queries, min(3, len(features)), classes)


@nearest_labels.mistake("You ask one neighbour too many: k + 1 of them vote.")
def one_too_many(features, labels, queries, k, classes):
    return _vote(features, labels, queries, min(k + 1, len(features)), classes)


@nearest_labels.mistake("You ask one neighbour too few: only k - 1 of them vote.")
def one_too_few(features, labels, queries, k, classes):
    return _vote(features, labels, queries, k - 1, classes)
