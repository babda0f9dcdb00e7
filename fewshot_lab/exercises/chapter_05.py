"""Chapter 05: drawing an episode, the interval over episodes, prototypes and their logits, SimpleShot, one step of MAML."""

import math

import torch
import torch.nn.functional as F
from torch.func import grad

from ..languages import say
from ..methods.prototypes import simple_shot
from .declare import Exercise, Mistake, Property


def draw_episode(labels, way, shots, queries, generator):
    classes = labels.unique()
    chosen = classes[torch.randperm(len(classes), generator=generator)[:way]]
    support, asked = [], []
    for label in chosen:
        rows = (labels == label).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=generator)]
        support.append(rows[:shots])
        asked.append(rows[shots : shots + queries])
    new = torch.arange(way)
    return torch.cat(support), new.repeat_interleave(shots), torch.cat(asked), new.repeat_interleave(queries)


def episode_interval(accuracies):
    mean = accuracies.mean()
    return mean.item(), (1.96 * accuracies.std() / math.sqrt(len(accuracies))).item()


def class_prototypes(features, labels, way):
    return torch.stack([features[labels == k].mean(0) for k in range(way)])


def prototype_logits(queries, prototypes):
    return -(queries[:, None, :] - prototypes[None, :, :]).square().sum(2)


def inner_step(weight, features, labels, rate):
    def loss(w):
        return F.cross_entropy(features @ w, labels)

    return weight - rate * grad(loss)(weight)


# --- Properties of a drawn episode. The drawn rows are random, so the laws are checked, not the rows.

_LABELS = torch.tensor([4, 9, 4, 7, 9, 2, 7, 4, 2, 9, 7, 2, 4, 9, 2, 7, 4, 2, 5, 5, 5, 5, 9, 7, 5, 4])
_WAY, _SHOTS, _QUERIES = 3, 2, 3


def _draws(function, generator, count=20):
    return [function(_LABELS, _WAY, _SHOTS, _QUERIES, generator) for _ in range(count)]


def _right_sizes(function, generator):
    [episode] = _draws(function, generator, 1)
    four = isinstance(episode, tuple | list) and len(episode) == 4
    if not four or not all(isinstance(part, torch.Tensor) for part in episode):
        return say("Four tensors are needed: support rows, their labels, query rows, their labels.")
    sizes = [tuple(part.shape) for part in episode]
    needed = [(_WAY * _SHOTS,)] * 2 + [(_WAY * _QUERIES,)] * 2
    if sizes != needed:
        return say(
            "For {way}-way {shots}-shot with {queries} queries a class the shapes are {needed}; yours are {sizes}.",
            way=_WAY,
            shots=_SHOTS,
            queries=_QUERIES,
            needed=needed,
            sizes=sizes,
        )


def _nothing_shared(function, generator):
    for support, _, asked, _ in _draws(function, generator):
        if shared := set(support.tolist()) & set(asked.tolist()):
            return say(
                "Rows {rows} are in the support set and among the queries: the answer is given away.",
                rows=sorted(shared),
            )
        if len({*support.tolist(), *asked.tolist()}) < len(support) + len(asked):
            return say("A row is drawn twice in one episode. Draw without replacement (torch.randperm).")


def _numbered_anew(function, generator):
    for _, known, _, wanted in _draws(function, generator):
        for part in (known, wanted):
            if sorted(set(part.tolist())) != list(range(_WAY)):
                return say(
                    "The labels of an episode are 0 to {last}, yours are {yours}. Number the chosen classes anew: a model "
                    "must not know a class from an earlier episode by its number.",
                    last=_WAY - 1,
                    yours=sorted(set(part.tolist())),
                )


def _labels_fit(function, generator):
    for support, known, asked, wanted in _draws(function, generator):
        old = {}
        for row, new in zip(torch.cat([support, asked]).tolist(), torch.cat([known, wanted]).tolist(), strict=True):
            old.setdefault(new, set()).add(_LABELS[row].item())
        if any(len(classes) > 1 for classes in old.values()):
            return say(
                "One label of the episode stands for several classes: {old}. Support and queries need the same numbering.",
                old=old,
            )
        if len(set.union(*old.values())) < _WAY:
            return say("Two labels of one episode stand for the same class: draw the classes without replacement.")


def _balanced(function, generator):
    for _, known, _, wanted in _draws(function, generator):
        counts = (torch.bincount(known, minlength=_WAY).tolist(), torch.bincount(wanted, minlength=_WAY).tolist())
        if counts != ([_SHOTS] * _WAY, [_QUERIES] * _WAY):
            return say(
                "Every class needs {shots} support images and {queries} queries; yours have {support} and {asked}.",
                shots=_SHOTS,
                queries=_QUERIES,
                support=counts[0],
                asked=counts[1],
            )


def _varied(function, generator):
    draws = _draws(function, generator)
    classes = {tuple(_LABELS[support].unique().tolist()) for support, *_ in draws}
    if len(classes) == 1:
        return say("Twenty episodes all have the classes {classes}. Draw the classes at random.", classes=list(*classes))
    first = {(_LABELS[row].item(), row) for support, *_ in draws for row in support.tolist()}
    if max(sum(label == chosen for label, _ in first) for chosen in _LABELS.tolist()) <= _SHOTS:
        return say("A class always has the same support images. Draw its images at random too.")


def _repeats(function, generator):
    one, other = (_draws(function, torch.Generator().manual_seed(5), 3) for _ in range(2))
    if not all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)):
        return say("The same generator gives another episode each time: pass `generator=generator` to every draw.")


# --- The outer gradient of a MAML step


def _outer_gradient(step, generator):
    weight, features, labels, rate = _random_step(generator)
    result = step(weight, features, labels, rate)
    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return None
    towards = torch.rand(weight.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((result * towards).sum(), weight, allow_unused=True)[0]


def _flows(function, generator):
    if _outer_gradient(function, generator) is None:
        return say(
            "No gradient flows from the new weight back to the old one, so nothing can be meta-learned. Do not use .data, "
            ".detach() or no_grad; return weight - rate * gradient."
        )


def _second_order(function, generator):
    seed = int(torch.randint(2**31, (1,), generator=generator))
    mine, right = (_outer_gradient(step, torch.Generator().manual_seed(seed)) for step in (function, inner_step))
    if mine is not None and not torch.allclose(mine, right, atol=1e-4):
        return say(
            "The outer gradient misses the second derivative: your step counts its own gradient as a constant (first-order "
            "MAML). Use torch.func.grad, or torch.autograd.grad(..., create_graph=True)."
        )


def _random_features(generator):
    labels = torch.arange(3).repeat(2)[torch.randperm(6, generator=generator)]
    return torch.randn(6, 4, generator=generator), labels, 3


def _random_distances(generator):
    return torch.randn(4, 3, generator=generator), torch.randn(2, 3, generator=generator)


def _random_centring(generator):
    return torch.randn(3, 4, generator=generator) + 1, torch.randn(4, generator=generator)


def _random_step(generator):
    weight = torch.randn(3, 2, generator=generator).requires_grad_()
    return weight, torch.randn(4, 3, generator=generator), torch.tensor([0, 1, 1, 0]), 0.5


def _loss_gradient(weight, features, labels, reduction="mean"):
    return grad(lambda w: F.cross_entropy(features @ w, labels, reduction=reduction))(weight)


EXERCISES = [
    Exercise(
        "draw_episode",
        "05",
        "Draw an episode",
        draw_episode,
        properties=(
            Property("It returns four tensors of the right sizes.", _right_sizes, "wrong_sizes"),
            Property("No image is drawn twice; support and queries share none.", _nothing_shared, "support_among_queries"),
            Property("The labels are 0 to way - 1.", _numbered_anew, "labels_not_renumbered"),
            Property("Every label stands for one class, in support and queries alike.", _labels_fit, "labels_do_not_fit"),
            Property("Every class has its share.", _balanced, "unbalanced"),
            Property("Classes and images differ between episodes.", _varied, "always_the_same"),
            Property("The same generator gives the same episode.", _repeats, "generator_not_used"),
        ),
    ),
    Exercise(
        "episode_interval",
        "05",
        "The interval over episodes",
        episode_interval,
        cases=((torch.tensor([0.4, 0.8]),), (torch.tensor([0.5, 0.7, 0.9, 0.6]),)),
        fresh=lambda generator: (torch.rand(8, generator=generator),),
        mistakes=(
            Mistake(
                "not_divided_by_root_n",
                lambda a: (a.mean().item(), (1.96 * a.std()).item()),
                "That is how far single episodes spread. The mean of n episodes is surer: divide by the square root of n.",
            ),
            Mistake(
                "divided_by_n",
                lambda a: (a.mean().item(), (1.96 * a.std() / len(a)).item()),
                "Divide by the square root of n, not by n.",
            ),
            Mistake(
                "variance",
                lambda a: (a.mean().item(), (1.96 * a.var() / math.sqrt(len(a))).item()),
                "That is the variance. Use the standard deviation, its square root.",
            ),
            Mistake(
                "coin_flips",
                lambda a: (a.mean().item(), (1.96 * (a.mean() * (1 - a.mean()) / len(a)).sqrt()).item()),
                "p (1 - p) / n is for coin flips. An episode gives a share; measure how much it varies: accuracies.std().",
            ),
            Mistake(
                "standard_error_only",
                lambda a: (a.mean().item(), (a.std() / math.sqrt(len(a))).item()),
                "That is one standard error, which holds the mean in 68 % of cases. 95 % take 1.96 of them.",
            ),
        ),
    ),
    Exercise(
        "class_prototypes",
        "05",
        "Prototypes",
        class_prototypes,
        cases=(
            (torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 0]), 1),
            (torch.tensor([[1.0, 0.0], [0.0, 4.0], [3.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1, 0, 1]), 2),
        ),
        fresh=_random_features,
        mistakes=(
            Mistake(
                "sum",
                lambda features, labels, way: torch.stack([features[labels == k].sum(0) for k in range(way)]),
                "That is the sum. A prototype is the mean, or it would move away with every further shot.",
            ),
            Mistake(
                "order_assumed",
                lambda features, labels, way: features.reshape(way, -1, features.shape[1]).mean(1),
                "You take the rows in blocks. They come in any order: choose a class's rows by `labels == k`.",
            ),
            Mistake(
                "first_only",
                lambda features, labels, way: torch.stack([features[labels == k][0] for k in range(way)]),
                "You take one image of each class. A prototype is the mean of all of them.",
            ),
            Mistake(
                "divided_by_all",
                lambda features, labels, way: torch.stack([features[labels == k].sum(0) for k in range(way)]) / len(labels),
                "You divide by the number of all images. Divide each class by its own number.",
            ),
        ),
    ),
    Exercise(
        "prototype_logits",
        "05",
        "Logits from distances",
        prototype_logits,
        cases=(
            (torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [1.0, 0.0]])),
            (torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.0], [5.0]])),
        ),
        fresh=_random_distances,
        mistakes=(
            Mistake(
                "sign",
                lambda q, c: -prototype_logits(q, c),
                "The sign is missing: the farther a prototype, the smaller its logit must be.",
            ),
            Mistake(
                "not_squared",
                lambda q, c: -torch.cdist(q, c),
                "That is the distance. Square it: for squared distances the mean is the best prototype (section 2.3).",
            ),
            Mistake(
                "dot_product",
                lambda q, c: q @ c.T,
                "That is a dot product, which leaves out the prototypes' own lengths: |q - c|^2 = |q|^2 - 2 q c + |c|^2.",
            ),
            Mistake(
                "mean_over_features",
                lambda q, c: prototype_logits(q, c) / q.shape[1],
                "You take the mean over the features. Take the sum: with the mean, more features make a flatter softmax.",
            ),
        ),
    ),
    Exercise(
        "simple_shot",
        "05",
        "SimpleShot's centring",
        simple_shot,
        cases=(
            (torch.tensor([[4.0, 5.0]]), torch.tensor([1.0, 1.0])),
            (torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([1.0, 0.5])),
        ),
        fresh=_random_centring,
        mistakes=(
            Mistake(
                "not_centred",
                lambda f, m: F.normalize(f, dim=1),
                "Subtract the mean first: features after a ReLU all point one way.",
            ),
            Mistake(
                "not_normalised",
                lambda f, m: f - m,
                "Divide each row by its length, so that only its direction counts.",
            ),
            Mistake(
                "wrong_order",
                lambda f, m: F.normalize(f, dim=1) - m,
                "The order is exchanged: centre first, then make the length 1.",
            ),
            Mistake(
                "own_mean",
                lambda f, m: F.normalize(f - f.mean(0), dim=1),
                "You subtract the mean of these very features. Use `mean`, of the training classes: an episode is small.",
            ),
            Mistake("columns", lambda f, m: F.normalize(f - m, dim=0), "You normalise columns. Each row is an image: dim=1."),
        ),
    ),
    Exercise(
        "inner_step",
        "05",
        "One step of MAML",
        inner_step,
        cases=(
            (torch.zeros(2, 2, requires_grad=True), torch.eye(2), torch.tensor([0, 1]), 1.0),
            (torch.ones(1, 2, requires_grad=True), torch.tensor([[2.0], [1.0]]), torch.tensor([0, 0]), 0.5),
        ),
        fresh=_random_step,
        properties=(
            Property("A gradient flows through the step.", _flows, "no_outer_gradient"),
            Property("It holds the second derivative.", _second_order, "first_order"),
        ),
        mistakes=(
            Mistake(
                "uphill",
                lambda w, x, y, rate: w + rate * _loss_gradient(w, x, y),
                "You step uphill: subtract the gradient.",
            ),
            Mistake(
                "rate_forgotten",
                lambda w, x, y, rate: w - _loss_gradient(w, x, y),
                "Multiply the gradient by the rate.",
            ),
            Mistake(
                "sum_of_losses",
                lambda w, x, y, rate: w - rate * _loss_gradient(w, x, y, "sum"),
                "The loss is the mean over the images; yours is the sum, which makes the step larger with every shot.",
            ),
            Mistake(
                "gradient_only",
                lambda w, x, y, rate: _loss_gradient(w, x, y),
                "That is the gradient. Return the new weight.",
            ),
        ),
    ),
]
