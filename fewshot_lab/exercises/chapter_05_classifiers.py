"""Chapter 05: prototypes and their logits, SimpleShot, one step of MAML."""

import torch
import torch.nn.functional as F
from torch.func import grad

from ..languages import say
from ..methods import prototypes
from .declare import exercise


def _random_features(generator):
    labels = torch.arange(3).repeat(2)[torch.randperm(6, generator=generator)]
    return torch.randn(6, 4, generator=generator), labels, 3


@exercise(
    "Prototypes",
    cases=[
        (torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 0]), 1),
        (torch.tensor([[1.0, 0.0], [0.0, 4.0], [3.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1, 0, 1]), 2),
        (torch.tensor([[1.0, 0.0], [0.0, 4.0], [3.0, 0.0], [2.0, 3.0]]), torch.tensor([0, 1, 0, 0]), 2),
        (torch.tensor([[1.0, 0.0], [0.0, 4.0], [3.0, 1.0]]), torch.tensor([1, 0, 1]), 2),
    ],
    fresh=_random_features,
    gradient=("features",),
    idea=(
        "The prototype of a class is the mean of its support features. The labels alone say which rows belong together: they "
        "come in any order, and classes may have different numbers of images."
    ),
    steps=(
        (
            "For class k, choose the rows of features where the label is k; a comparison gives a mask for that. Do not cut the "
            "rows into blocks."
        ),
        (
            "Take the mean of these rows over the images, not over the features: (D,). Each class is divided by its own number "
            "of images."
        ),
        "Row k of the result belongs to class k, from 0 to way - 1: (way, D). torch.stack makes it of a list of vectors.",
        "Do not change the features' lengths, and do not detach: training sends a gradient through the prototypes.",
    ),
)
def class_prototypes(features, labels, way):
    return torch.stack([features[labels == k].mean(0) for k in range(way)])


@class_prototypes.mistake("That is the sum. A prototype is the mean, or it would move away with every further shot.")
def sum_(features, labels, way):
    return torch.stack([features[labels == k].sum(0) for k in range(way)])


@class_prototypes.mistake("You take the rows in blocks. They come in any order: choose a class's rows by `labels == k`.")
def order_assumed(features, labels, way):
    return features.reshape(way, -1, features.shape[1]).mean(1)


@class_prototypes.mistake("You take one image of each class. A prototype is the mean of all of them.")
def first_only(features, labels, way):
    return torch.stack([features[labels == k][0] for k in range(way)])


@class_prototypes.mistake("You divide by the number of all images. Divide each class by its own number.")
def divided_by_all(features, labels, way):
    return torch.stack([features[labels == k].sum(0) for k in range(way)]) / len(labels)


@class_prototypes.mistake("You divide as if all classes had equally many images. Divide each class by its own number.")
def divided_by_equal_shares(features, labels, way):
    return torch.stack([features[labels == k].sum(0) for k in range(way)]) / (len(labels) / way)


@class_prototypes.mistake("You divide by the number of classes. Divide each class by the number of its images.")
def divided_by_classes(features, labels, way):
    return torch.stack([features[labels == k].sum(0) for k in range(way)]) / way


@class_prototypes.mistake(
    "Your prototypes stand in the order in which the classes appear. Row k belongs to class k, wherever its images stand."
)
def order_of_appearance(features, labels, way):
    return torch.stack([features[labels == k].mean(0) for k in dict.fromkeys(labels.tolist())])


@class_prototypes.mistake("You make the prototypes' length 1. A prototype is the mean as it is: distances need its length.")
def normalised(features, labels, way):
    return F.normalize(class_prototypes(features, labels, way), dim=1)


@class_prototypes.mistake("You make the features' length 1 before averaging. Average them as they are.")
def features_normalised(features, labels, way):
    return class_prototypes(F.normalize(features, dim=1), labels, way)


@class_prototypes.mistake("That is the median of each feature. A prototype is the mean.")
def median(features, labels, way):
    return torch.stack([features[labels == k].median(0).values for k in range(way)])


@class_prototypes.mistake(
    "Of each class only one image is added: where an index stands twice, `c[labels] += features` adds once. "
    "index_add_ adds all, or go through the classes."
)
def added_once(features, labels, way):
    return torch.stack([features[labels == k][-1] / (labels == k).sum() for k in range(way)])


@class_prototypes.mistake("You take the last image of each class. A prototype is the mean of all of them.")
def last_only(features, labels, way):
    return torch.stack([features[labels == k][-1] for k in range(way)])


@class_prototypes.mistake("All your prototypes are the mean of all images. Each class has its own: the rows where labels == k.")
def mean_of_all(features, labels, way):
    return features.mean(0).expand(way, -1)


@class_prototypes.mistake(
    "You cut the sorted rows into blocks of one size. Classes may have different numbers of images: choose by `labels == k`."
)
def equal_blocks(features, labels, way):
    return features[labels.argsort(stable=True)].reshape(way, -1, features.shape[1]).mean(1)


def _random_distances(generator):
    return torch.randn(4, 3, generator=generator), torch.randn(2, 3, generator=generator)


@exercise(
    "Logits from distances",
    cases=[
        (torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [1.0, 0.0]])),
        (torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.0], [5.0]])),
    ],
    fresh=_random_distances,
    gradient=("queries", "prototypes"),
    idea=(
        "A query is compared with all prototypes by squared distance. The nearest prototype must get the largest logit, so the "
        "distance has a minus sign, and the softmax of the logits is the probability of each class."
    ),
    steps=(
        (
            "Every query meets every prototype. With an axis of length 1 put into each, (M, 1, D) and (1, way, D), torch takes "
            "all differences at once: (M, way, D)."
        ),
        (
            "Square the differences, then add them up over the features: (M, way). Added first, they may cancel; a mean "
            "instead of the sum makes the softmax flatter."
        ),
        "The square is wanted, without a root. torch.cdist gives the distance itself, so its result still has to be squared.",
        "Change the sign, so that the nearest prototype has the largest number. Return these logits before any softmax.",
    ),
)
def prototype_logits(queries, prototypes):
    return -(queries[:, None, :] - prototypes[None, :, :]).square().sum(2)


@prototype_logits.mistake("The sign is missing: the farther a prototype, the smaller its logit must be.")
def sign(q, c):
    return -prototype_logits(q, c)


@prototype_logits.mistake("That is the distance. Square it: for squared distances the mean is the best prototype.")
def not_squared(q, c):
    return -torch.cdist(q, c)


@prototype_logits.mistake(
    "That is a dot product, which leaves out the prototypes' own lengths: |q - c|^2 = |q|^2 - 2 q c + |c|^2."
)
def dot_product(q, c):
    return q @ c.T


@prototype_logits.mistake(
    "You take the mean over the features. Take the sum: with the mean, more features make a flatter softmax."
)
def mean_over_features(q, c):
    return prototype_logits(q, c) / q.shape[1]


@prototype_logits.mistake("That is the distance itself. Square it, and mind the sign: the farther, the smaller the logit.")
def plain_distance(q, c):
    return torch.cdist(q, c)


@prototype_logits.mistake("That is half of the squared distance. Take all of it: half makes a flatter softmax.")
def halved(q, c):
    return prototype_logits(q, c) / 2


@prototype_logits.mistake("Those are cosine similarities, which leave out all lengths. Take squared distances, negated.")
def cosine(q, c):
    return F.normalize(q, dim=1) @ F.normalize(c, dim=1).T


@prototype_logits.mistake("You make queries and prototypes unit vectors first. Their distances as they are count.")
def normalised_first(q, c):
    return prototype_logits(F.normalize(q, dim=1), F.normalize(c, dim=1))


@prototype_logits.mistake("Those are probabilities. Return the logits, before the softmax: the loss does it itself.")
def softmaxed(q, c):
    return prototype_logits(q, c).softmax(1)


@prototype_logits.mistake("Those are the logarithms of probabilities. Return the logits, before the softmax.")
def log_softmaxed(q, c):
    return prototype_logits(q, c).log_softmax(1)


@prototype_logits.mistake("You square the sum of the differences, in which they may cancel. Square each, then add.")
def square_of_the_sum(q, c):
    return -(q[:, None] - c[None]).sum(2).square()


@prototype_logits.mistake("You add the absolute differences. Add their squares.")
def absolute_differences(q, c):
    return -(q[:, None] - c[None]).abs().sum(2)


@prototype_logits.mistake(
    "The term |q|^2 is missing. It changes no prediction, but the result is to be the squared distance, negated."
)
def query_lengths_missing(q, c):
    return prototype_logits(q, c) + q.square().sum(1, keepdim=True)


@prototype_logits.mistake("The term |c|^2 is missing: |q - c|^2 = |q|^2 - 2 q c + |c|^2.")
def prototype_lengths_missing(q, c):
    return prototype_logits(q, c) + c.square().sum(1)


@prototype_logits.mistake("The sign of 2 q c is wrong: |q - c|^2 = |q|^2 - 2 q c + |c|^2.")
def sign_of_the_product(q, c):
    return prototype_logits(q, -c)


@prototype_logits.mistake("The 2 before q c is missing: |q - c|^2 = |q|^2 - 2 q c + |c|^2.")
def two_forgotten(q, c):
    return prototype_logits(q, c) - q @ c.T


def _random_centring(generator):
    return torch.randn(3, 4, generator=generator) + 1, torch.randn(4, generator=generator)


@exercise(
    "SimpleShot's centring",
    cases=[
        (torch.tensor([[4.0, 5.0]]), torch.tensor([1.0, 1.0])),
        (torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([1.0, 0.5])),
    ],
    fresh=_random_centring,
    idea=(
        "Features after a ReLU all point in roughly the same direction. Take away the mean feature of the training classes, "
        "and what is left tells images apart; with length 1 only its direction counts."
    ),
    steps=(
        (
            "Subtract the given mean, (D,), from every row of features, (n, D). Use it as it is; the mean of these very "
            "features would come from one small episode."
        ),
        (
            "Then get the Euclidean length of each centred row, one for each image. With the shape (n, 1) it divides rows, "
            "with (n,) it would not."
        ),
        (
            "Divide the rows by their lengths. The order matters: rows that are brought to length 1 before they are centred no "
            "longer have it afterwards."
        ),
    ),
)
def simple_shot(features, mean):
    return prototypes.simple_shot(features, mean)


@simple_shot.mistake("Subtract the mean first: features after a ReLU all point one way.")
def not_centred(f, m):
    return F.normalize(f, dim=1)


@simple_shot.mistake("Divide each row by its length, so that only its direction counts.")
def not_normalised(f, m):
    return f - m


@simple_shot.mistake("The order is exchanged: centre first, then make the length 1.")
def wrong_order(f, m):
    return F.normalize(f, dim=1) - m


@simple_shot.mistake("You subtract the mean of these very features. Use `mean`, of the training classes: an episode is small.")
def own_mean(f, m):
    return F.normalize(f - f.mean(0), dim=1)


@simple_shot.mistake("You normalise columns. Each row is an image: dim=1.")
def columns(f, m):
    return F.normalize(f - m, dim=0)


@simple_shot.mistake("You add the mean. Subtract it.")
def mean_added(f, m):
    return F.normalize(f + m, dim=1)


@simple_shot.mistake("You subtract the features from the mean, so that all directions are turned round. Features minus mean.")
def sign(f, m):
    return F.normalize(m - f, dim=1)


@simple_shot.mistake("You make both lengths 1, then subtract. Subtract the mean as it is, and make the length 1 at the end.")
def both_normalised_first(f, m):
    return F.normalize(f, dim=1) - F.normalize(m, dim=0)


@simple_shot.mistake("You make the features' length 1 before you centre them, too. Centre them as they are.")
def normalised_twice(f, m):
    return F.normalize(F.normalize(f, dim=1) - m, dim=1)


@simple_shot.mistake("You divide by the length of the whole matrix. Each row has a length of its own: dim=1.")
def one_length_for_all(f, m):
    return (f - m) / (f - m).norm()


@simple_shot.mistake("You divide by the sum of the absolute values. The length of a row is the root of the sum of its squares.")
def absolute_values_for_length(f, m):
    return F.normalize(f - m, p=1, dim=1)


@simple_shot.mistake("You divide by the largest absolute value. The length of a row is the root of the sum of its squares.")
def largest_value_for_length(f, m):
    return F.normalize(f - m, p=torch.inf, dim=1)


@simple_shot.mistake("You divide by the squared length. The length is its root.")
def root_forgotten(f, m):
    return (f - m) / (f - m).square().sum(1, keepdim=True)


@simple_shot.mistake(
    "You divide the columns by the lengths of the rows. The lengths need the shape (rows, 1) to divide the rows: keepdim=True."
)
def keepdim_forgotten(f, m):
    return (f - m) / (f - m).norm(dim=1)


@simple_shot.mistake("You subtract one number, the mean of all numbers in `mean`. Each feature has a mean of its own.")
def one_number_for_mean(f, m):
    return F.normalize(f - m.mean(), dim=1)


@simple_shot.mistake("You subtract each row's own mean. Subtract `mean`, which holds one number for each feature.")
def mean_of_each_row(f, m):
    return F.normalize(f - f.mean(1, keepdim=True), dim=1)


def _random_step(generator):
    weight = torch.randn(3, 2, generator=generator).requires_grad_()
    return weight, torch.randn(4, 3, generator=generator), torch.tensor([0, 1, 1, 0]), 0.5


@exercise(
    "One step of MAML",
    cases=[
        (torch.zeros(2, 2, requires_grad=True), torch.eye(2), torch.tensor([0, 1]), 1.0),
        (torch.ones(1, 2, requires_grad=True), torch.tensor([[2.0], [1.0]]), torch.tensor([0, 0]), 0.5),
        (torch.tensor([[1.0, -1.0], [0.0, 2.0]], requires_grad=True), torch.eye(2), torch.tensor([0, 0]), 1.0),
    ],
    fresh=_random_step,
    idea=(
        "In the inner loop a task adapts the weight by a plain step of gradient descent. The outer loop differentiates through "
        "this step, so the new weight must stay a function of the old one, the second derivative included."
    ),
    steps=(
        (
            "Compute the logits, features times weight, (n, classes), and their mean cross-entropy with the labels. It takes "
            "logits, not probabilities."
        ),
        (
            "Ask torch.autograd.grad or torch.func.grad for its gradient with respect to weight. backward() would leave it in "
            "weight.grad, where that of the next task is added."
        ),
        (
            "torch.autograd.grad returns a tuple and needs create_graph=True: without it the step takes its own gradient for a "
            "constant, and the second derivative is lost."
        ),
        (
            "Go downhill: the new weight is the old one less the rate times the gradient. Make a new tensor of it, without "
            ".data, detach or no_grad, and change nothing in place."
        ),
    ),
)
def inner_step(weight, features, labels, rate):
    def loss(w):
        return F.cross_entropy(features @ w, labels)

    return weight - rate * grad(loss)(weight)


def _loss_gradient(weight, features, labels, reduction="mean"):
    return grad(lambda w: F.cross_entropy(features @ w, labels, reduction=reduction))(weight)


@inner_step.mistake("You step uphill: subtract the gradient.")
def uphill(w, x, y, rate):
    return w + rate * _loss_gradient(w, x, y)


@inner_step.mistake("Multiply the gradient by the rate.")
def rate_forgotten(w, x, y, rate):
    return w - _loss_gradient(w, x, y)


@inner_step.mistake("The loss is the mean over the images; yours is the sum, which makes the step larger with every shot.")
def sum_of_losses(w, x, y, rate):
    return w - rate * _loss_gradient(w, x, y, "sum")


@inner_step.mistake("That is the gradient. Return the new weight.")
def gradient_only(w, x, y, rate):
    return _loss_gradient(w, x, y)


@inner_step.mistake("That is the step alone. Add the old weight: weight - rate * gradient.")
def step_only(w, x, y, rate):
    return -rate * _loss_gradient(w, x, y)


@inner_step.mistake("That is the gradient times the rate. The new weight is the old one minus that.")
def rate_times_gradient(w, x, y, rate):
    return rate * _loss_gradient(w, x, y)


@inner_step.mistake("You divide the gradient by the rate. Multiply: a small rate makes a small step.")
def divided_by_rate(w, x, y, rate):
    return w - _loss_gradient(w, x, y) / rate


@inner_step.mistake("You take the softmax twice: cross_entropy does it itself. Give it features @ weight as it is.")
def softmax_twice(w, x, y, rate):
    return w - rate * grad(lambda v: F.cross_entropy((x @ v).softmax(1), y))(w)


@inner_step.mistake("Your loss is the mean square between logits and one-hot labels. Here it is the cross-entropy.")
def squared_error(w, x, y, rate):
    return w - rate * grad(lambda v: F.mse_loss(x @ v, F.one_hot(y, w.shape[1]).to(w.dtype)))(w)


@inner_step.mistake("You go two steps. One is asked for.")
def two_steps(w, x, y, rate):
    return inner_step(inner_step(w, x, y, rate), x, y, rate)


@inner_step.mistake("The logarithm is missing: nll_loss takes logarithms of probabilities. Use cross_entropy.")
def log_forgotten(w, x, y, rate):
    return w - rate * grad(lambda v: F.nll_loss((x @ v).softmax(1), y))(w)


def _outer_gradient(step, generator):
    """The gradient of a random function of the new weight with respect to the old one, None when none flows."""
    weight, features, labels, rate = _random_step(generator)
    result = step(weight, features, labels, rate)
    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return None
    factors = torch.rand(weight.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((result * factors).sum(), weight, allow_unused=True)[0]


@inner_step.property("A gradient flows through the step.", mistake="no_outer_gradient")
def _flows(function, generator):
    if _outer_gradient(function, generator) is None:
        return say(
            "No gradient flows from the new weight back to the old one, so nothing can be meta-learned. Do not use .data, "
            ".detach() or no_grad; return weight - rate * gradient."
        )


@inner_step.property("It holds the second derivative.", mistake="first_order")
def _second_order(function, generator):
    seed = int(torch.randint(2**31, (1,), generator=generator))
    yours, ours = (_outer_gradient(step, torch.Generator().manual_seed(seed)) for step in (function, inner_step))
    if yours is not None and not torch.allclose(yours, ours, atol=1e-4):
        return say(
            "The outer gradient misses the second derivative: your step counts its own gradient as a constant (first-order "
            "MAML). Use torch.func.grad, or torch.autograd.grad(..., create_graph=True)."
        )


@inner_step.property("The old weight's .grad stays as it was.", mistake="gradient_left_behind")
def _leaves_no_gradient(function, generator):
    weight, features, labels, rate = _random_step(generator)
    function(weight, features, labels, rate)
    if weight.grad is not None:
        return say(
            "Your step leaves a gradient in the weight's .grad, where that of the next task is added to it. torch.func.grad "
            "and torch.autograd.grad return the gradient instead."
        )
