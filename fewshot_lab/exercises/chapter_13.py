"""Chapter 13: the contrastive loss of pictures and texts, zero-shot classification, Tip-Adapter's cache."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import image_text, shots_and_names
from .declare import exercise


def _random_pairs(generator):
    return torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator), 5.0


@exercise(
    "The contrastive loss of pairs",
    cases=[
        (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]), 2.0),
        (torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]), torch.tensor([[0.5, 0.0], [1.0, 1.0], [0.0, -2.0]]), 10.0),
    ],
    fresh=_random_pairs,
    gradient=("images", "texts"),
    idea=(
        "A batch of B pairs is a classification in two directions: each picture has to find its text among B texts, and each "
        "text its picture among B pictures. The right answer of row i is column i."
    ),
    steps=(
        "Scale every row of both tensors to length 1. Then a matrix product gives the cosines of all pairs: (B, B).",
        "Multiply the cosines by scale, the inverse temperature. These are logits; the cross-entropy takes its own softmax.",
        "The first direction: the cross-entropy of the rows of the table with the labels 0 .. B-1.",
        "The second direction: the same for the columns, so for the transposed table. Return the mean of the two.",
    ),
)
def contrastive_loss(images, texts, scale):
    return image_text.contrastive_loss(images, texts, scale)


def _table(images, texts, scale=1.0):
    """Scaled cosines of all pairs, (B, B), and the labels of its rows."""
    return scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T, torch.arange(len(images))


@contrastive_loss.mistake("Only pictures look for their texts. Texts look for their pictures too: the transposed table.")
def pictures_only(images, texts, scale):
    return F.cross_entropy(*_table(images, texts, scale))


@contrastive_loss.mistake("Only texts look for their pictures. Pictures look for their texts too: the table as it is.")
def texts_only(images, texts, scale):
    return F.cross_entropy(*_table(texts, images, scale))


@contrastive_loss.mistake("You add the two directions. Take their mean.")
def both_added(images, texts, scale):
    return 2 * contrastive_loss(images, texts, scale)


@contrastive_loss.mistake("You compare vectors of their own lengths. Scale every row to length 1 first.")
def not_normalised(images, texts, scale):
    logits, own = scale * images @ texts.T, torch.arange(len(images))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


@contrastive_loss.mistake("You scale only the pictures to length 1. Scale the texts, too.")
def texts_not_normalised(images, texts, scale):
    return not_normalised(F.normalize(images, dim=1), texts, scale)


@contrastive_loss.mistake("You scale only the texts to length 1. Scale the pictures, too.")
def images_not_normalised(images, texts, scale):
    return not_normalised(images, F.normalize(texts, dim=1), scale)


@contrastive_loss.mistake("You scale columns to length 1. Each row is a vector: dim=1.")
def columns_normalised(images, texts, scale):
    return not_normalised(F.normalize(images, dim=0), F.normalize(texts, dim=0), scale)


@contrastive_loss.mistake("The scale is missing. Cosines lie in -1..1, so the softmax would stay almost flat.")
def scale_forgotten(images, texts, scale):
    return contrastive_loss(images, texts, 1.0)


@contrastive_loss.mistake("You divide by the scale. It is the inverse of a temperature: multiply.")
def divided_by_scale(images, texts, scale):
    return contrastive_loss(images, texts, 1 / scale)


@contrastive_loss.mistake("You take the softmax twice: cross_entropy does it itself. Give it the logits.")
def softmax_twice(images, texts, scale):
    logits, own = _table(images, texts, scale)
    return (F.cross_entropy(logits.softmax(1), own) + F.cross_entropy(logits.T.softmax(1), own)) / 2


@contrastive_loss.mistake("You add the losses of the pairs. Take their mean, or a larger batch means larger steps.")
def sum_of_pairs(images, texts, scale):
    return len(images) * contrastive_loss(images, texts, scale)


@contrastive_loss.mistake("Only the matching pairs count for you. Without the others all vectors may become the same one.")
def matching_pairs_only(images, texts, scale):
    return -_table(images, texts, scale)[0].diagonal().mean()


@contrastive_loss.mistake("The sign is exchanged: this loss is largest where the pairs match.")
def sign(images, texts, scale):
    return -contrastive_loss(images, texts, scale)


@contrastive_loss.mistake(
    "You take one softmax over the whole table. There are two for each pair: over its row and over its column."
)
def one_softmax(images, texts, scale):
    logits, _ = _table(images, texts, scale)
    return -logits.flatten().log_softmax(0).reshape(logits.shape).diagonal().mean()


@contrastive_loss.property("Pictures and texts may change their parts.")
def _symmetric(function, generator):
    images, texts, scale = (torch.as_tensor(value).double() for value in _random_pairs(generator))
    if not torch.isclose(function(images, texts, scale), function(texts, images, scale)):
        return say("The loss changes when pictures and texts change places. It is the mean over both directions.")


@contrastive_loss.property("The lengths of the vectors do not count.")
def _ignores_lengths(function, generator):
    images, texts, scale = _random_pairs(generator)
    images, texts = images.double(), texts.double()
    if not torch.isclose(function(3 * images, texts, scale), function(images, texts, scale)):
        return say("Pictures' vectors of three times the length give another loss. Only directions count.")


def _random_texts(generator):
    return (torch.randn(3, 2, 4, generator=generator) * torch.tensor([[[1.0], [3.0]]]),)


@exercise(
    "Class vectors from several texts",
    cases=[
        (torch.tensor([[[3.0, 4.0]]]),),
        (torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 5.0], [0.0, 1.0]]]),),
        (torch.tensor([[[1.0, 0.0], [6.0, 8.0], [0.0, 2.0]]]),),
    ],
    fresh=_random_texts,
    idea=(
        "A class can be described by several texts: “a dog”, “a drawing of a dog”. Each text has an equal say, and "
        "what counts of the result is its direction."
    ),
    steps=(
        "Scale the vector of each text to length 1, over its last dimension. Else a long vector would have more to say.",
        "Take the mean over the texts of a class, the middle dimension: (classes, D).",
        "Scale the mean to length 1 again: texts that disagree leave a short mean.",
    ),
)
def class_vectors(texts):
    return image_text.class_vectors(texts)


@class_vectors.mistake("Scale each text's vector to length 1 before the mean: a long one must not have more to say.")
def texts_not_normalised_first(texts):
    return F.normalize(texts.mean(1), dim=1)


@class_vectors.mistake("The mean of unit vectors is shorter than 1. Scale it to length 1 again.")
def mean_not_normalised(texts):
    return F.normalize(texts, dim=2).mean(1)


@class_vectors.mistake("That is the plain mean. Scale each text's vector to length 1 before it, and the mean after it.")
def plain_mean(texts):
    return texts.mean(1)


@class_vectors.mistake("You use the first text of each class alone. Take the mean of all.")
def first_text_only(texts):
    return F.normalize(texts[:, 0], dim=1)


@class_vectors.mistake("You average over the classes. The texts of a class are the middle dimension: dim=1.")
def over_classes(texts):
    return F.normalize(F.normalize(texts, dim=2).mean(0), dim=1)


@class_vectors.mistake("You scale over the texts. A vector is the last dimension: dim=2.")
def wrong_dimension(texts):
    return F.normalize(F.normalize(texts, dim=1).mean(1), dim=1)


@class_vectors.mistake("You scale the columns of the result to length 1. Each row is a class: dim=1.")
def result_over_classes(texts):
    return F.normalize(F.normalize(texts, dim=2).mean(1), dim=0)


@class_vectors.property("Every class vector has the length 1.")
def _unit(function, generator):
    found = function(_random_texts(generator)[0].double())
    if not torch.allclose(found.norm(dim=-1), torch.ones(()).double()):
        return say("The class vectors are not of length 1.")


@class_vectors.property("A text's length does not count.")
def _equal_votes(function, generator):
    texts = _random_texts(generator)[0].double()
    longer = texts * torch.tensor([[[5.0], [1.0]]]).double()
    if not torch.allclose(function(longer), function(texts)):
        return say("A longer vector of one text changes the class vector: the texts must have an equal say.")


def _random_zero_shot(generator):
    return 2 * torch.randn(4, 3, generator=generator), F.normalize(torch.randn(5, 3, generator=generator), dim=1), 7.0


@exercise(
    "Zero-shot logits",
    cases=[
        (torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), 10.0),
        (torch.tensor([[0.5, 0.0], [0.0, -2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 2.0),
    ],
    fresh=_random_zero_shot,
    idea=(
        "The names' vectors are the rows of a linear classifier that nobody trained. A picture's logit for a class is the "
        "cosine between its vector and the class's, times the scale."
    ),
    steps=(
        "Scale every picture's vector to length 1; the classes' vectors have it already.",
        "A matrix product with the transposed class vectors gives the cosines: (n, classes).",
        "Multiply by scale. Return these logits, before any softmax.",
    ),
)
def zero_shot_logits(images, vectors, scale):
    return image_text.zero_shot_logits(images, vectors, scale)


@zero_shot_logits.mistake("Scale the pictures' vectors to length 1 first: the logit is a cosine times the scale.")
def images_of_any_length(images, vectors, scale):
    return scale * images @ vectors.T


@zero_shot_logits.mistake("The scale is missing: those are the cosines.")
def cosines_only(images, vectors, scale):
    return F.normalize(images, dim=1) @ vectors.T


@zero_shot_logits.mistake("You divide by the scale. It is the inverse of a temperature: multiply.")
def logits_divided(images, vectors, scale):
    return F.normalize(images, dim=1) @ vectors.T / scale


@zero_shot_logits.mistake("Those are probabilities. Return the logits, before the softmax.")
def probabilities(images, vectors, scale):
    return zero_shot_logits(images, vectors, scale).softmax(1)


@zero_shot_logits.mistake("Your table has a row for each class. It needs a row for each picture: (n, classes).")
def transposed(images, vectors, scale):
    return zero_shot_logits(images, vectors, scale).T


@zero_shot_logits.mistake("Those are squared distances. The logit is the cosine times the scale.")
def distances(images, vectors, scale):
    return -scale * torch.cdist(F.normalize(images, dim=1), vectors).square()


@zero_shot_logits.mistake("You scale columns to length 1. Each picture is a row: dim=1.")
def image_columns(images, vectors, scale):
    return scale * F.normalize(images, dim=0) @ vectors.T


@zero_shot_logits.mistake("You return the class numbers. Return the logits: the caller takes the largest.")
def class_numbers(images, vectors, scale):
    return zero_shot_logits(images, vectors, scale).argmax(1)


@zero_shot_logits.property("The length of a picture's vector does not count.")
def _picture_length(function, generator):
    images, vectors, scale = _random_zero_shot(generator)
    images, vectors = images.double(), vectors.double()
    if not torch.allclose(function(4 * images, vectors, scale), function(images, vectors, scale)):
        return say("A vector of four times the length gets other logits. Only its direction counts.")


@zero_shot_logits.property("The vector of a class gets the logit `scale` for itself.")
def _itself(function, generator):
    _, vectors, scale = _random_zero_shot(generator)
    vectors = vectors.double()
    found = function(vectors, vectors, scale)
    if found.shape == (5, 5) and not torch.allclose(found.diagonal(), torch.tensor(scale).double()):
        return say("A picture whose vector is that of a class must have the logit {scale:g} there.", scale=scale)


def _random_cache(generator):
    queries, keys = (F.normalize(torch.randn(n, 3, generator=generator), dim=1) for n in (2, 6))
    return queries, keys, torch.eye(3).repeat_interleave(2, 0), 2.0, 3.0


@exercise(
    "Tip-Adapter's cache",
    cases=[
        (torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.eye(2), 1.0, 1.0),
        (
            torch.tensor([[0.6, 0.8], [1.0, 0.0]]),
            torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]]),
            torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
            3.0,
            5.5,
        ),
    ],
    fresh=_random_cache,
    idea=(
        "The labelled pictures are stored: their vectors as keys, their labels as values. A query asks every key how alike it "
        "is, and collects the labels of those that are."
    ),
    steps=(
        "The cosine of each query with each key: queries times the transposed keys, (M, R). All vectors have length 1.",
        "The affinity is exp(-beta (1 - cosine)): 1 for a key that is the same picture, near 0 for others if beta is large.",
        "Affinities times values adds them up class by class: (M, N). It is a sum and no mean.",
        "Multiply by alpha, the weight of the cache. The zero-shot logits are added outside.",
    ),
)
def cache_logits(queries, keys, values, alpha, beta):
    return shots_and_names.cache_logits(queries, keys, values, alpha, beta)


@cache_logits.mistake("The sign is exchanged: a key that is more alike must count more, exp(-beta (1 - cosine)).")
def sign_of_beta(q, f, v, a, b):
    return cache_logits(q, f, v, a, -b)


@cache_logits.mistake("The sharpness beta is missing: exp(-beta (1 - cosine)).")
def beta_forgotten(q, f, v, a, b):
    return cache_logits(q, f, v, a, 1.0)


@cache_logits.mistake("The weight alpha is missing.")
def alpha_forgotten(q, f, v, a, b):
    return cache_logits(q, f, v, 1.0, b)


@cache_logits.mistake("That is exp(beta cosine). Subtract 1 from the cosine first, so that an affinity is at most 1.")
def one_forgotten(q, f, v, a, b):
    return a * (b * q @ f.T).exp() @ v


@cache_logits.mistake("Those are cosines as they are. The affinity is exp(-beta (1 - cosine)).")
def no_exponential(q, f, v, a, b):
    return a * (q @ f.T) @ v


@cache_logits.mistake("You leave out the exponential. The affinity is exp(-beta (1 - cosine)).")
def exponent_alone(q, f, v, a, b):
    return a * (-b * (1 - q @ f.T)) @ v


@cache_logits.mistake("You take a softmax over the keys, as attention does. The cache adds up affinities as they are.")
def softmax_over_keys(q, f, v, a, b):
    return a * (b * q @ f.T).softmax(1) @ v


@cache_logits.mistake("You divide by the number of a class's pictures. The cache takes the sum.")
def mean_of_class(q, f, v, a, b):
    return cache_logits(q, f, v, a, b) / v.sum(0)


@cache_logits.mistake("You divide by the number of keys. The cache takes the sum.")
def mean_over_keys(q, f, v, a, b):
    return cache_logits(q, f, v, a, b) / len(f)


@cache_logits.mistake("alpha and beta are exchanged: beta is in the exponent, alpha before the sum.")
def exchanged(q, f, v, a, b):
    return cache_logits(q, f, v, b, a)


@cache_logits.mistake("You return the affinities. Multiply by the labels, so that each class collects its own.")
def affinities(q, f, v, a, b):
    return a * (-b * (1 - q @ f.T)).exp()


@cache_logits.mistake("Only the nearest key of a class counts for you. All its keys add up.")
def nearest_of_class(q, f, v, a, b):
    affinity = (-b * (1 - q @ f.T)).exp()
    return a * (affinity[:, :, None] * v[None]).amax(1)


@cache_logits.property("A key that is the query counts `alpha`.")
def _own_key(function, generator):
    queries = _random_cache(generator)[0].double()
    found = function(queries[:1], queries[:1], torch.ones(1, 1).double(), 2.5, 4.0)
    if not torch.allclose(found, torch.full((1, 1), 2.5).double()):
        return say("A cache with the query itself as its one key must give alpha to the key's class.")


@cache_logits.property("Two caches add up.")
def _adds_up(function, generator):
    queries, keys, values, alpha, beta = _random_cache(generator)
    queries, keys, values = queries.double(), keys.double(), values.double()
    parts = [function(queries, keys[some], values[some], alpha, beta) for some in (slice(0, 3), slice(3, 6))]
    if not torch.allclose(parts[0] + parts[1], function(queries, keys, values, alpha, beta)):
        return say("The logits of a cache are not those of its two halves together: each key adds its own affinity.")
