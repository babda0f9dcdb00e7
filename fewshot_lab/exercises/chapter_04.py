"""Chapter 04: the rotation batch, pairs of views, cosine similarities, the NT-Xent loss, nearest neighbours on features."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.contrastive import nt_xent, positive_pairs, rotation_batch, similarity_matrix
from ..methods.linear_probe import nearest_labels
from . import inspectors
from .declare import Exercise, Mistake, Property


def _rotated(images, turns, labels):
    return torch.cat([torch.rot90(images, turn, dims=(-2, -1)) for turn in turns]), labels


def _in_a_row(images):
    copies, _ = rotation_batch(images)
    mixed = copies.unflatten(0, (4, len(images))).transpose(0, 1).flatten(0, 1)
    return mixed, torch.arange(4).repeat_interleave(len(images))


def _of_neighbours(count):
    return torch.arange(count) ^ 1


def _similarities(z, *, normalise=True, diagonal=-torch.inf):
    z = F.normalize(z, dim=1) if normalise else z
    s = z @ z.T
    return s if diagonal is None else s.masked_fill(torch.eye(len(z), dtype=torch.bool), diagonal)


def _loss(z, temperature, *, pairs=None, reduction="mean", **choices):
    pairs = positive_pairs(len(z) // 2) if pairs is None else pairs
    return F.cross_entropy(_similarities(z, **choices) / temperature, pairs, reduction=reduction)


def _attraction_only(z, temperature):
    s = similarity_matrix(z) / temperature
    return -s[torch.arange(len(z)), positive_pairs(len(z) // 2)].mean()


def _half(z, temperature):
    half = len(z) // 2
    return F.cross_entropy(similarity_matrix(z)[:half] / temperature, positive_pairs(half)[:half])


def _vote(features, labels, queries, k, classes, *, normalise=True, weigh=True, largest=True, temperature=0.1):
    if normalise:
        features, queries = F.normalize(features, dim=1), F.normalize(queries, dim=1)
    nearest, rows = (queries @ features.T).topk(k, dim=1, largest=largest)
    weights = (nearest / temperature).exp() if weigh else torch.ones_like(nearest)
    return (F.one_hot(labels[rows], classes) * weights[:, :, None]).sum(1).argmax(1)


def _random_images(generator):
    batch, channels, side = (1 + torch.randint(3, (3,), generator=generator)).tolist()
    return (torch.rand(batch + 1, channels, side + 1, side + 1, generator=generator),)


def _random_size(generator):
    return (3 + int(torch.randint(30, (1,), generator=generator)),)


def _random_features(generator):
    return (2 * torch.randn(5, 3, generator=generator),)


def _random_views(generator):
    batch = 2 + int(torch.randint(3, (1,), generator=generator))
    return torch.randn(2 * batch, 4, generator=generator), 0.2 + 0.5 * torch.rand(1, generator=generator).item()


def _random_search(generator):
    """Labelled features and queries, not near a tie between classes; votes for another temperature would decide otherwise."""
    while True:
        features = torch.randn(12, 3, generator=generator) * (0.2 + 3 * torch.rand(12, 1, generator=generator))
        queries = torch.randn(8, 3, generator=generator)
        labels = torch.arange(12) % 3
        similarities = F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
        ranked = similarities.sort(dim=1).values
        given = features, labels, queries, 5, 3
        near = [not torch.equal(_vote(*given), _vote(*given, temperature=0.1 + by)) for by in (1e-4, -1e-4)]
        far = [not torch.equal(_vote(*given), _vote(*given, temperature=0.1 + by)) for by in (0.02, -0.02)]
        if (ranked[:, 1:] - ranked[:, :-1]).min() > 1e-3 and any(far) and not any(near):
            return given


def _own_inverse(function, generator):
    batch = _random_size(generator)[0]
    pairs = function(batch)
    if not torch.equal(pairs[pairs], torch.arange(2 * batch)):
        return say("With {batch} images: the other view of the other view of a row must be the row itself.", batch=batch)


def _scale_free(function, generator):
    z, temperature = _random_views(generator)
    if not torch.allclose(function(z, temperature), function(7 * z, temperature), atol=1e-4):
        return say("Seven times longer vectors give another loss. Only their directions may count.")


def _on_its_device(words, generator):
    if words:
        return say(
            "On another device it stops ({words}). Make new tensors where z is: device=z.device, or .to(z.device).",
            words=words,
        )


_CLUSTERS = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.1, 1.0], [-0.2, 1.0], [0.7, 0.7]])

EXERCISES = [
    Exercise(
        "rotation_batch",
        "04",
        "A batch for rotation prediction",
        rotation_batch,
        cases=(
            (torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]),),
            (torch.arange(8.0).reshape(2, 1, 2, 2),),
            (torch.arange(36.0).reshape(2, 2, 3, 3),),
        ),
        fresh=_random_images,
        mistakes=(
            Mistake(
                "clockwise",
                lambda images: _rotated(images, (0, -1, -2, -3), torch.arange(4).repeat_interleave(len(images))),
                "Your copies turn clockwise. Label 1 is a quarter turn counter-clockwise, as in chapter 01: rot90 with k=1.",
            ),
            Mistake(
                "labels_in_another_order",
                lambda images: _rotated(images, range(4), torch.arange(4).repeat(len(images))),
                "The labels stand in another order than the copies: first all copies of turn 0, so first all labels 0. "
                "torch.arange(4).repeat_interleave(n), not repeat(n).",
            ),
            Mistake(
                "copies_in_another_order",
                _in_a_row,
                "The four copies of one image stand together, but the labels are in order of the turns. "
                "Put all copies of turn 0 first.",
            ),
            Mistake(
                "labels_in_degrees",
                lambda images: _rotated(images, range(4), 90 * torch.arange(4).repeat_interleave(len(images))),
                "The labels are degrees. Cross-entropy needs class numbers: 0, 1, 2, 3.",
            ),
            Mistake(
                "wrong_axes",
                lambda images: (
                    torch.cat([images, images.flip(-1), images.flip(-2), images.flip(-1, -2)]),
                    torch.arange(4).repeat_interleave(len(images)),
                ),
                "These are flips. A quarter turn exchanges rows and columns: torch.rot90(images, k, dims=(-2, -1)).",
            ),
        ),
    ),
    Exercise(
        "positive_pairs",
        "04",
        "Where the other view stands",
        positive_pairs,
        cases=((2,), (3,)),
        fresh=_random_size,
        mistakes=(
            Mistake(
                "the_row_itself",
                lambda batch: torch.arange(2 * batch),
                "That is each row itself. Row i of the first views belongs to row i + batch, and the other way round.",
            ),
            Mistake(
                "neighbours",
                lambda batch: _of_neighbours(2 * batch),
                "You pair rows 0 and 1, 2 and 3. Here all first views come first, then all second views.",
            ),
            Mistake(
                "mirrored",
                lambda batch: torch.arange(2 * batch).flip(0),
                "You pair the first row with the last. Both halves are in the same order: row 0 belongs to row `batch`.",
            ),
            Mistake(
                "only_one_half",
                lambda batch: torch.arange(batch, 2 * batch),
                "That is only for the first views. The second views need their partners too: 2 * batch numbers.",
            ),
            Mistake(
                "out_of_range",
                lambda batch: torch.arange(2 * batch) + batch,
                "The second half points behind the last row. It must come back to the first views: modulo 2 * batch.",
            ),
        ),
        properties=(Property("The partner of the partner is the row itself.", _own_inverse),),
    ),
    Exercise(
        "similarity_matrix",
        "04",
        "Cosine similarities",
        similarity_matrix,
        cases=(
            (torch.tensor([[3.0, 0.0], [0.0, 2.0]]),),
            (torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, -3.0]]),),
        ),
        fresh=_random_features,
        mistakes=(
            Mistake(
                "not_normalised",
                lambda z: _similarities(z, normalise=False),
                "These are inner products. The cosine divides by both lengths: normalise the rows first.",
            ),
            Mistake(
                "diagonal_kept",
                lambda z: _similarities(z, diagonal=None),
                "The diagonal is 1: every row would find itself. Set it to minus infinity.",
            ),
            Mistake(
                "diagonal_zero",
                lambda z: _similarities(z, diagonal=0.0),
                "You set the diagonal to 0, and exp(0) = 1 counts in the sum. exp(-inf) = 0 does not: take minus infinity.",
            ),
            Mistake(
                "normalised_along_the_batch",
                lambda z: _similarities(F.normalize(z, dim=0), normalise=False),
                "You normalise columns, each feature over the batch. Normalise rows, each image's vector: dim=1.",
            ),
        ),
        properties=(Property("It runs on any device.", _on_its_device, "device", inspectors.similarities_elsewhere),),
    ),
    Exercise(
        "nt_xent",
        "04",
        "The loss of SimCLR",
        nt_xent,
        cases=(
            (torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]), 1.0),
            (torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]]), 0.5),
        ),
        fresh=_random_views,
        mistakes=(
            Mistake(
                "temperature_forgotten",
                lambda z, temperature: _loss(z, 1.0),
                "The temperature is not used: divide the similarities by it.",
            ),
            Mistake(
                "temperature_multiplied",
                lambda z, temperature: _loss(z, 1 / temperature),
                "You multiply by the temperature. Divide: a small temperature makes the differences larger.",
            ),
            Mistake(
                "own_row_in_the_sum",
                lambda z, temperature: _loss(z, temperature, diagonal=None),
                "The sum in the denominator holds the row itself (k = i). Mask the diagonal of the similarities.",
            ),
            Mistake(
                "not_normalised",
                lambda z, temperature: _loss(z, temperature, normalise=False),
                "These are inner products, which grow with the vectors' lengths. Use cosine similarities.",
            ),
            Mistake(
                "wrong_pairs",
                lambda z, temperature: _loss(z, temperature, pairs=_of_neighbours(len(z))),
                "You take rows 0 and 1 as a pair. The rows are first all first views, then all second views.",
            ),
            Mistake(
                "no_negatives",
                _attraction_only,
                "Only the similarity of the pairs counts here. Without the sum over all other rows, the same vector for every "
                "image is a perfect answer.",
            ),
            Mistake(
                "first_views_only",
                _half,
                "Only the first views ask for their partner. Average over all 2 B rows.",
            ),
            Mistake(
                "sum_instead_of_mean",
                lambda z, temperature: _loss(z, temperature, reduction="sum"),
                "You add the losses of the rows. Average them, or the learning rate depends on the size of the batch.",
            ),
        ),
        properties=(
            Property("Only the directions of the vectors count.", _scale_free),
            Property("It runs on any device.", _on_its_device, "device", inspectors.loss_elsewhere),
        ),
    ),
    Exercise(
        "nearest_labels",
        "04",
        "Nearest neighbours on features",
        nearest_labels,
        cases=(
            (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 0]), torch.tensor([[0.9, 0.2], [0.1, 0.5]]), 1, 2),
            (_CLUSTERS, torch.tensor([0, 0, 1, 1, 1]), torch.tensor([[1.0, 0.1], [0.0, 1.0], [-1.0, 0.2]]), 3, 2),
            (torch.tensor([[1.0, 0.1], [1.0, 0.2], [1.0, -0.2]]), torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]]), 3, 2),
            (torch.tensor([[1.0, 0.0], [9.0, 9.0]]), torch.tensor([0, 1]), torch.tensor([[1.0, 0.2]]), 1, 2),
            (torch.tensor([[1.0, 0.0], [0.0, 1.0], [-0.1, 1.0]]), torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]]), 3, 2),
        ),
        fresh=_random_search,
        mistakes=(
            Mistake(
                "one_neighbour",
                lambda features, labels, queries, k, classes: _vote(features, labels, queries, 1, classes),
                "Only the nearest image decides. Let the k nearest vote.",
            ),
            Mistake(
                "votes_weigh_the_same",
                lambda *given: _vote(*given, weigh=False),
                "All k votes weigh the same here. Weigh each by exp(s / 0.1): a near neighbour counts more than a far one.",
            ),
            Mistake(
                "not_normalised",
                lambda *given: _vote(*given, normalise=False),
                "You compare inner products, so long vectors win. Normalise features and queries: cosine similarity.",
            ),
            Mistake(
                "farthest",
                lambda *given: _vote(*given, largest=False),
                "You take the k least similar images. The similarity of near images is large.",
            ),
            Mistake(
                "rows_for_labels",
                lambda features, labels, queries, k, classes: (
                    F.normalize(queries, dim=1) @ F.normalize(features, dim=1).T
                ).argmax(1),
                "These are row numbers of the labelled images. Look up their labels: labels[rows].",
            ),
        ),
    ),
]
