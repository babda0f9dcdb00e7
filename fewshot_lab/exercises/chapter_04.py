"""Chapter 04: the rotation batch, pairs of views, cosine similarities, the NT-Xent loss, nearest neighbours on features."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import contrastive, linear_probe
from . import inspectors
from .declare import exercise


def _random_images(generator):
    batch, channels, side = (1 + torch.randint(3, (3,), generator=generator)).tolist()
    return (torch.rand(batch + 1, channels, side + 1, side + 1, generator=generator),)


@exercise(
    "A batch for rotation prediction",
    cases=[
        (torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]),),
        (torch.arange(8.0).reshape(2, 1, 2, 2),),
        (torch.arange(36.0).reshape(2, 2, 3, 3),),
    ],
    fresh=_random_images,
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


def _random_size(generator):
    return (3 + int(torch.randint(30, (1,), generator=generator)),)


@exercise("Where the other view stands", cases=[(2,), (3,)], fresh=_random_size)
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
    ],
    fresh=_random_features,
    gradient=("z",),
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


def _random_views(generator):
    batch = 2 + int(torch.randint(3, (1,), generator=generator))
    return torch.randn(2 * batch, 4, generator=generator), 0.2 + 0.5 * torch.rand(1, generator=generator).item()


@exercise(
    "The loss of SimCLR",
    cases=[
        (torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), 1.0),
        (torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]]), 0.5),
    ],
    fresh=_random_views,
    gradient=("z",),
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


@nt_xent.property("Only the directions of the vectors count.")
def _scale_free(function, generator):
    z, temperature = _random_views(generator)
    if not torch.allclose(function(z, temperature), function(7 * z, temperature), atol=1e-4):
        return say("Seven times longer vectors give another loss. Only their directions may count.")


@similarity_matrix.property("It runs on any device.", mistake="device", inspector=inspectors.similarities_elsewhere)
@nt_xent.property("It runs on any device.", mistake="device", inspector=inspectors.loss_elsewhere)
def _on_its_device(words, generator):
    if words:
        return say(
            "On another device it stops ({words}). Make new tensors on the device of z: device=z.device, or .to(z.device).",
            words=words,
        )


def _vote(features, labels, queries, k, classes, *, normalise=True, weigh=True, largest=True, temperature=0.1):
    """`nearest_labels` with one step changed."""
    if normalise:
        features, queries = F.normalize(features, dim=1), F.normalize(queries, dim=1)
    nearest, rows = (queries @ features.T).topk(k, dim=1, largest=largest)
    weights = (nearest / temperature).exp() if weigh else torch.ones_like(nearest)
    return (F.one_hot(labels[rows], classes) * weights[:, :, None]).sum(1).argmax(1)


def _random_search(generator):
    """Labelled features and queries that tell temperatures apart, without near ties, which rounding would decide."""
    while True:
        features = torch.randn(12, 3, generator=generator) * (0.2 + 3 * torch.rand(12, 1, generator=generator))
        queries = torch.randn(8, 3, generator=generator)
        labels = torch.arange(12) % 3
        similarities = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
        ranked = similarities.sort(dim=1).values
        arguments = features, labels, queries, 5, 3
        voted = _vote(*arguments)
        near = [not torch.equal(voted, _vote(*arguments, temperature=0.1 + by)) for by in (1e-4, -1e-4)]
        far = [not torch.equal(voted, _vote(*arguments, temperature=0.1 + by)) for by in (0.02, -0.02)]
        if (ranked[:, 1:] - ranked[:, :-1]).min() > 1e-3 and any(far) and not any(near):
            return arguments


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
        (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([2, 0]), torch.tensor([[0.9, 0.2], [0.1, 0.5]]), 1, 4),
    ],
    fresh=_random_search,
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
    return _vote(*arguments, weigh=False)


@nearest_labels.mistake("You compare inner products, so long vectors win. Normalise features and queries: cosine similarity.")
def not_normalised(*arguments):
    return _vote(*arguments, normalise=False)


@nearest_labels.mistake("You take the k least similar images. The similarity of near images is large.")
def farthest(*arguments):
    return _vote(*arguments, largest=False)


@nearest_labels.mistake("These are row numbers of the labelled images. Look up their labels: labels[rows].")
def rows_for_labels(features, labels, queries, k, classes):
    return (F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T).argmax(1)
