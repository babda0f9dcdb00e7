"""Chapter 04: the loss of SimSiam, which has no negatives, and the effective dimension, which shows a collapse."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import siamese
from .declare import exercise


def _random_outputs(generator):
    """p1, p2, z1, z2, each (4, 3), of which no two are alike and none has length 1."""
    return tuple(2 * torch.randn(4, 4, 3, generator=generator) + torch.tensor([0.5, 0.0, -0.5]))


@exercise(
    "The loss of SimSiam",
    cases=[
        tuple(torch.tensor([row]) for row in ([1.0, 0.0], [0.0, 2.0], [3.0, 4.0], [1.0, 1.0])),
        (
            torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]]),
            torch.tensor([[2.0, 0.0, 1.0], [-1.0, 1.0, 3.0]]),
            torch.tensor([[0.5, 0.0, 0.0], [1.0, -2.0, 1.0]]),
            torch.tensor([[-1.0, 1.0, 1.0], [0.0, 3.0, 0.0]]),
        ),
    ],
    fresh=_random_outputs,
    gradient=("p1", "p2"),
    idea=(
        "Each view's prediction is compared with the other view's output, and only the prediction may move: the output is a "
        "given target, as a label is."
    ),
    steps=(
        "Cut the targets off: z.detach() has the same numbers, and no gradient goes through it.",
        "F.cosine_similarity(a, b, dim=1) gives one cosine for each row. The loss is small where they are near 1: minus.",
        "Two terms, p1 with z2 and p2 with z1: the mean over the rows of each, and half of each.",
    ),
)
def simsiam_loss(p1, p2, z1, z2):
    return siamese.simsiam_loss(p1, p2, z1, z2)


def _cosines(p, z):
    return F.cosine_similarity(p, z.detach(), dim=1)


def _altered(p1, p2, z1, z2, *, compare=_cosines, join=lambda a, b: -(a.mean() + b.mean()) / 2):
    """`simsiam_loss` with one step changed."""
    return join(compare(p1, z2), compare(p2, z1))


@simsiam_loss.mistake(
    "Your sign is the wrong way round: this loss is smallest where the views disagree. Take minus the cosine."
)
def sign(p1, p2, z1, z2):
    return -simsiam_loss(p1, p2, z1, z2)


@simsiam_loss.mistake(
    "You compare each prediction with the output of its own view. Predict the other one's: p1 with z2, p2 with z1."
)
def own_view(p1, p2, z1, z2):
    return simsiam_loss(p1, p2, z2, z1)


@simsiam_loss.mistake("You compare the outputs and leave the predictions out. Compare p1 with z2, and p2 with z1.")
def without_predictions(p1, p2, z1, z2):
    return simsiam_loss(z1, z2, z1, z2)


@simsiam_loss.mistake("You compare the two predictions. Each is compared with an output: p1 with z2, and p2 with z1.")
def predictions_alone(p1, p2, z1, z2):
    return simsiam_loss(p1, p2, p1, p2)


@simsiam_loss.mistake("You add the two halves without dividing by 2. The loss is their mean, -1 at best.")
def not_halved(p1, p2, z1, z2):
    return 2 * simsiam_loss(p1, p2, z1, z2)


@simsiam_loss.mistake("The second half is missing: p2 predicts z1, too.")
def first_half_alone(p1, p2, z1, z2):
    return simsiam_loss(p1, p1, z2, z2)


@simsiam_loss.mistake("The second half is missing, and what is there is halved. p2 predicts z1, too.")
def half_of_one(p1, p2, z1, z2):
    return simsiam_loss(p1, p1, z2, z2) / 2


@simsiam_loss.mistake("The first half is missing: p1 predicts z2, too.")
def second_half_alone(p1, p2, z1, z2):
    return simsiam_loss(p2, p2, z1, z1)


@simsiam_loss.mistake("You add up over the images. Take the mean over the rows.")
def summed(p1, p2, z1, z2):
    return len(p1) * simsiam_loss(p1, p2, z1, z2)


@simsiam_loss.mistake("You return one number for each image. Take the mean over the rows.")
def one_for_each_row(*arguments):
    return _altered(*arguments, join=lambda a, b: -(a + b) / 2)


@simsiam_loss.mistake("These are inner products. The cosine divides by both lengths: without that, long outputs win.")
def inner_products(*arguments):
    return _altered(*arguments, compare=lambda p, z: (p * z.detach()).sum(1))


@simsiam_loss.mistake("You compare columns, a feature over the batch. Compare the rows, image by image: dim=1.")
def columns(*arguments):
    return _altered(*arguments, compare=lambda p, z: F.cosine_similarity(p, z.detach(), dim=0))


@simsiam_loss.mistake("You take the cosine of the whole matrices. Each row has a cosine of its own: dim=1, then the mean.")
def whole_matrices(*arguments):
    return _altered(*arguments, compare=lambda p, z: F.cosine_similarity(p.flatten(), z.detach().flatten(), dim=0))


@simsiam_loss.mistake("You compare every image with every other one. Only the two views of one image must agree: row by row.")
def every_pair(*arguments):
    return _altered(*arguments, compare=lambda p, z: F.normalize(p, dim=1) @ F.normalize(z.detach(), dim=1).T)


@simsiam_loss.mistake("That is 2 - 2 cos, the loss of BYOL. SimSiam's is minus the cosine.")
def byol(*arguments):
    return 2 + 2 * simsiam_loss(*arguments)


@simsiam_loss.mistake("That is BYOL's loss, 2 - 2 cos of each half, added up. SimSiam's is the mean of the two minus cosines.")
def byol_added(*arguments):
    return 4 + 4 * simsiam_loss(*arguments)


@simsiam_loss.mistake("You add 1 so that 0 is the best. Asked for is minus the cosine, -1 at best.")
def one_minus(*arguments):
    return 1 + simsiam_loss(*arguments)


@simsiam_loss.mistake("That is a squared distance. Compare directions alone, by minus the cosine.")
def squared_distance(p1, p2, z1, z2):
    return (F.mse_loss(p1, z2.detach()) + F.mse_loss(p2, z1.detach())) / 2


@simsiam_loss.mistake(
    "Your cosines are absolute values. Outputs that point opposite ways must count as the worst, not the best."
)
def absolute(*arguments):
    return _altered(*arguments, compare=lambda p, z: _cosines(p, z).abs())


@simsiam_loss.property("No gradient goes through the outputs.", mistake="without_stop_gradient")
def _stops_the_gradient(function, generator):
    p1, p2, z1, z2 = _random_outputs(generator)
    if function(p1, p2, z1.requires_grad_(), z2.requires_grad_()).requires_grad:
        return say(
            "The values are right, but a gradient reaches the outputs z1 and z2: the targets then move towards the "
            "predictions, and all images may end at one point. Use z1.detach() and z2.detach()."
        )


@simsiam_loss.property("Predictions that equal the other view's output reach -1, however long they are.")
def _best_is_minus_one(function, generator):
    p1, p2, _, _ = _random_outputs(generator)
    if abs(float(function(p1, p2, 0.5 * p2, 3 * p1)) + 1) > 1e-4:
        return say("Predictions that point where the other view's output points do not give -1.")


def _random_features(generator):
    """(6, 3): rows of unlike lengths, some directions more frequent than others."""
    return (torch.randn(6, 3, generator=generator) * torch.tensor([2.0, 1.0, 0.5]) + torch.tensor([0.5, 0.0, -0.5]),)


@exercise(
    "The effective dimension",
    cases=[
        (torch.tensor([[2.0, 0.0], [0.0, 1.0]]),),  # two directions
        (torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),),  # one point
        (torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0001]]),),
        (torch.tensor([[1.0, 2.0, 0.0], [2.0, 1.0, 1.0], [0.0, 1.0, -1.0], [3.0, 3.0, 1.0]]),),
    ],
    fresh=_random_features,
    tolerance=1e-3,
    idea=(
        "The eigenvalues say which share of all rows lies in which direction. Their entropy is that of a die with so many "
        "sides; its exponential is the number of sides."
    ),
    steps=(
        "Divide each row by its own length, so that only directions are left.",
        "Z.T @ Z / n is a symmetric matrix (d, d) whose eigenvalues add up to 1: torch.linalg.eigvalsh.",
        (
            "The entropy is minus the sum of x log x. An eigenvalue of 0 adds 0, where the computer says nan, and rounding "
            "makes some a little smaller than 0: torch.special.entr after a clamp knows both."
        ),
        "Take the exponential of the entropy: a number of dimensions.",
    ),
)
def effective_dimension(features):
    return siamese.effective_dimension(features)


def _entropy(shares):
    return torch.special.entr(shares.clamp(min=0)).sum()


def _dimension(
    features,
    *,
    rows=lambda x: F.normalize(x, dim=1),
    matrix=lambda z: z.T @ z / len(z),
    shares=torch.linalg.eigvalsh,
    count=lambda shares: _entropy(shares).exp(),
):
    """`effective_dimension` with one step changed."""
    return count(shares(matrix(rows(features))))


@effective_dimension.mistake("You return the entropy. Its exponential is a number of dimensions.")
def entropy_alone(features):
    return _dimension(features, count=_entropy)


@effective_dimension.mistake("Your sign is the wrong way round: the entropy is minus the sum of x log x, and is 0 or more.")
def sign_of_the_entropy(features):
    return _dimension(features, count=lambda shares: (-_entropy(shares)).exp())


@effective_dimension.mistake("You leave the rows at their own lengths. Divide each by its length first: only directions count.")
def lengths_kept(features):
    return _dimension(features, rows=lambda x: x)


@effective_dimension.mistake(
    "You leave the rows at their own lengths, and divide the eigenvalues by their sum. Long rows then count for more. Divide "
    "each row by its length first."
)
def lengths_kept_shares(features):
    shares = torch.linalg.eigvalsh(features.T @ features)
    return _entropy(shares / shares.sum()).exp()


@effective_dimension.mistake("You divide columns by their lengths. Divide each row, an image's features, by its own: dim=1.")
def columns_normalised(features):
    return _dimension(features, rows=lambda x: F.normalize(x, dim=0))


@effective_dimension.mistake(
    "You divide columns by their lengths, and the eigenvalues by their sum. Divide each row by its own length: dim=1."
)
def columns_normalised_shares(features):
    shares = torch.linalg.eigvalsh(F.normalize(features, dim=0).T @ F.normalize(features, dim=0))
    return _entropy(shares / shares.sum()).exp()


@effective_dimension.mistake("You do not divide by the number of rows n: the eigenvalues must add up to 1.")
def not_divided(features):
    return _dimension(features, matrix=lambda z: z.T @ z)


@effective_dimension.mistake("You divide by d, the number of columns. Divide by n, the number of rows.")
def divided_by_columns(features):
    return _dimension(features, matrix=lambda z: z.T @ z / z.shape[1])


@effective_dimension.mistake(
    "You subtract the mean of the rows. Here it stays: images at one point would have no dimension at all, and that is the "
    "case that must be seen."
)
def centred(features):
    def shares(matrix):
        values = torch.linalg.eigvalsh(matrix)
        return values / values.sum()

    return _dimension(features, rows=lambda x: F.normalize(x, dim=1) - F.normalize(x, dim=1).mean(0), shares=shares)


@effective_dimension.mistake("You subtract the mean of the rows first. Here it stays: directions count from 0.")
def centred_first(features):
    return _dimension(features, rows=lambda x: F.normalize(x - x.mean(0), dim=1))


@effective_dimension.mistake(
    "You subtract the mean of the rows, as a covariance does. Here it stays, and the eigenvalues add up to 1 by themselves."
)
def covariance(features):
    return _dimension(features, matrix=lambda z: torch.cov(z.T))


@effective_dimension.mistake(
    "That is the entropy of the singular values, as Roy and Vetterli have it. Take the eigenvalues, which are their squares."
)
def singular_values(features):
    return _dimension(features, shares=lambda m: torch.linalg.eigvalsh(m).clamp(min=0).sqrt() / _roots(m))


def _roots(matrix):
    return torch.linalg.eigvalsh(matrix).clamp(min=0).sqrt().sum()


@effective_dimension.mistake("That is the participation ratio, 1 / the sum of the squares. Asked for is exp of the entropy.")
def participation_ratio(features):
    return _dimension(features, count=lambda shares: 1 / shares.square().sum())


@effective_dimension.mistake("That is the rank: it counts a direction in full, however few rows use it.")
def rank(features):
    return torch.linalg.matrix_rank(features).float()


@effective_dimension.mistake(
    "An eigenvalue of 0, or a rounding error below it, makes nan in your logarithm. It must add 0: clamp, and use entr."
)
def log_of_zero(features):
    return _dimension(features, count=lambda shares: (-(shares.clamp(min=0) * shares.clamp(min=0).log()).sum()).exp())


@effective_dimension.mistake("You mix base 2 and e: with log2, the number of dimensions is 2 to the power of the entropy.")
def bases_mixed(features):
    return _dimension(features, count=lambda shares: (_entropy(shares) / torch.tensor(2.0).log()).exp())


@effective_dimension.mistake("You take the mean over the directions. The entropy is the sum.")
def mean_entropy(features):
    return _dimension(features, count=lambda shares: (_entropy(shares) / len(shares)).exp())


@effective_dimension.mistake("You divide by the number of columns: that is the share of the dimensions, not their number.")
def share_of_all(features):
    return effective_dimension(features) / features.shape[1]


@effective_dimension.property("Longer features have the same dimension, whatever each row's length.")
def _blind_to_lengths(function, generator):
    (features,) = _random_features(generator)
    lengths = 0.5 + torch.rand(6, 1, generator=generator)
    if abs(float(function(features)) - float(function(lengths * features))) > 1e-3:
        return say("Rows that only changed their lengths have another dimension.")


@effective_dimension.property("Features that are turned, or repeated, have the same dimension.")
def _blind_to_turns(function, generator):
    (features,) = _random_features(generator)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    if abs(float(function(features)) - float(function(torch.cat([features, features]) @ turn))) > 1e-3:
        return say("The same features twice, and turned in space, have another dimension.")


@effective_dimension.property("A few images in many dimensions have at most as many.", mistake="negative_eigenvalue")
def _few_rows(function, generator):
    features = torch.randn(4, 24, generator=generator)
    found, right = float(function(features)), float(effective_dimension(features))
    if not abs(found - right) < 1e-2:  # nan is wrong, too
        return say(
            "Of 4 images with 24 features yours makes {found:.2f} dimensions. Most eigenvalues are 0 there, and rounding makes "
            "some a little smaller: clamp them at 0 before the logarithm.",
            found=found,
        )
