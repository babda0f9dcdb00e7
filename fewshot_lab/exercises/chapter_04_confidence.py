"""Chapter 04: the loss of FixMatch, and how typical an image is among its neighbours."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import fixmatch, label_choice
from .declare import exercise


def _random_logits(generator):
    """Logits of which some pass the threshold, here and at other thresholds than this one, and none by a hair."""
    while True:
        logits, weak, strong = (3 * torch.randn(rows, 3, generator=generator) for rows in (3, 6, 6))
        threshold = 0.5 + 0.4 * torch.rand(1, generator=generator).item()
        confidence, guesses = weak.softmax(1).max(1)
        passed = confidence >= threshold
        usual = torch.equal(passed, confidence >= 0.95)
        clear = (confidence - threshold).abs().amin() > 0.01
        if clear and not usual and 0 < passed.sum() < 6 and (guesses != strong.argmax(1))[passed].any():
            return logits, torch.arange(3), weak, strong, threshold, 0.5 + 2 * torch.rand(1, generator=generator).item()


@exercise(
    "The loss of FixMatch",
    cases=[
        (
            torch.tensor([[2.0, 0.0]]),
            torch.tensor([0]),
            torch.tensor([[3.0, 0.0], [0.5, 0.0]]),
            torch.tensor([[0.0, 1.0], [1.0, 1.0]]),
            0.9,
            1.0,
        ),
        (  # nothing passes
            torch.tensor([[2.0, 0.0], [1.0, 1.0]]),
            torch.tensor([0, 1]),
            torch.tensor([[0.5, 0.0], [0.0, 0.2]]),
            torch.tensor([[0.0, 1.0], [1.0, 3.0]]),
            0.9,
            1.0,
        ),
        (  # a probability of exactly 1 and a threshold of 1
            torch.tensor([[1.0, 0.0, 0.0]]),
            torch.tensor([2]),
            torch.tensor([[0.0, 200.0, 0.0], [0.0, 2.0, 0.0]]),
            torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]),
            1.0,
            1.0,
        ),
        (
            torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]),
            torch.tensor([1, 1]),
            torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 4.0], [1.0, 0.8, 0.0]]),
            torch.tensor([[0.0, 3.0, 0.0], [1.0, 0.0, 1.0], [4.0, 0.0, 0.0]]),
            0.6,
            2.5,
        ),
    ],
    fresh=_random_logits,
    gradient=("logits", "weak_logits", "strong_logits"),
    idea=(
        "The network labels the weak view, and where it is confident, it must give the strong view the same label. What does "
        "not pass the threshold adds 0 to the sum but counts in the mean, so that the second part grows as the network learns."
    ),
    steps=(
        "The first part is as ever: the mean cross-entropy of the labelled images.",
        (
            "Softmax turns the weak logits into probabilities. The largest of each row is the confidence, its column the "
            "pseudo-label. Nothing here may carry a gradient."
        ),
        "Compare the confidence with the threshold: an image passes where it is at least as large.",
        (
            "Take the cross-entropy of the strong logits against the pseudo-labels, one number for each image: "
            'reduction="none". Multiply by 1 where the image passed and by 0 elsewhere.'
        ),
        "Average that over all unlabelled images, multiply by the weight, and add the first part.",
    ),
)
def fixmatch_loss(logits, labels, weak_logits, strong_logits, threshold, weight):
    return fixmatch.fixmatch_loss(logits, labels, weak_logits, strong_logits, threshold, weight)


def _masked(losses, passed):
    return (losses * passed).mean()


def _guess(logits):
    """(confidence, pseudo-labels), each (m,)."""
    return logits.detach().softmax(1).max(1)


def _altered(
    logits,
    labels,
    weak_logits,
    strong_logits,
    threshold,
    weight,
    *,
    confident=lambda weak, strong: _guess(weak)[0],
    targets=lambda weak, strong: _guess(weak)[1],
    passes=lambda confidence, threshold: confidence >= threshold,
    taught=lambda weak, strong: strong,
    mean=_masked,
    join=lambda labelled, unlabelled, weight: labelled + weight * unlabelled,
):
    """`fixmatch_loss` with one step changed."""
    passed = passes(confident(weak_logits, strong_logits), threshold)
    losses = F.cross_entropy(taught(weak_logits, strong_logits), targets(weak_logits, strong_logits), reduction="none")
    return join(F.cross_entropy(logits, labels), mean(losses, passed), weight)


@fixmatch_loss.mistake(
    "You average over the images that passed. Average over all unlabelled images: what did not pass counts as 0, so that a "
    "single confident image does not weigh as much as all of them."
)
def mean_over_the_kept(*arguments):
    return _altered(*arguments, mean=lambda losses, passed: (losses * passed).sum() / passed.sum().clamp(min=1))


@fixmatch_loss.mistake(
    "You average over the images that passed, and where none does, you divide by 0. Average over all unlabelled images: what "
    "did not pass counts as 0."
)
def mean_of_none(*arguments):
    return _altered(*arguments, mean=lambda losses, passed: losses[passed].mean())


@fixmatch_loss.mistake("An image whose confidence equals the threshold passes: >=, not >.")
def strictly_above(*arguments):
    return _altered(*arguments, passes=lambda confidence, threshold: confidence > threshold)


@fixmatch_loss.mistake("Your condition is the wrong way round: you keep the images of which the network is unsure.")
def unsure_kept(*arguments):
    return _altered(*arguments, passes=lambda confidence, threshold: confidence < threshold)


@fixmatch_loss.mistake("All pseudo-labels pass here. Those with a confidence below the threshold must count as 0.")
def threshold_forgotten(*arguments):
    return _altered(*arguments, passes=lambda confidence, threshold: confidence >= 0)


@fixmatch_loss.mistake("Your threshold is 0.95, whatever is asked for. Use the argument `threshold`.")
def always_095(*arguments):
    return _altered(*arguments, passes=lambda confidence, threshold: confidence >= 0.95)


@fixmatch_loss.mistake(
    "You compare the largest logit with the threshold. The confidence is a probability: take the softmax first."
)
def logits_as_confidence(*arguments):
    return _altered(*arguments, confident=lambda weak, strong: weak.amax(1))


@fixmatch_loss.mistake(
    "You ask for the confidence on the strong view. The weak view decides what passes: on it the network is more often right."
)
def strong_view_decides(*arguments):
    return _altered(*arguments, confident=lambda weak, strong: _guess(strong)[0])


@fixmatch_loss.mistake(
    "Your pseudo-labels are those of the strong view, which then learns from its own answer. They must come from the weak view."
)
def labels_of_the_strong_view(*arguments):
    return _altered(
        *arguments, confident=lambda weak, strong: _guess(strong)[0], targets=lambda weak, strong: _guess(strong)[1]
    )


@fixmatch_loss.mistake(
    "The confidence is the weak view's, but your pseudo-labels are the strong view's. Both come from the weak one."
)
def labels_of_the_strong_confidence_of_the_weak(*arguments):
    return _altered(*arguments, targets=lambda weak, strong: _guess(strong)[1])


@fixmatch_loss.mistake("The two views are exchanged: you teach the weak view what the network says of the strong one.")
def views_exchanged(logits, labels, weak_logits, strong_logits, threshold, weight):
    return _altered(logits, labels, strong_logits, weak_logits, threshold, weight)


@fixmatch_loss.mistake("You teach the weak view its own answer. The pseudo-label is for the strong view.")
def weak_view_taught(*arguments):
    return _altered(*arguments, taught=lambda weak, strong: weak)


@fixmatch_loss.mistake(
    "Your pseudo-labels are probabilities, and a gradient flows back through them. FixMatch takes the most probable class as a "
    "hard label, a number that is given."
)
def soft_labels(*arguments):
    return _altered(*arguments, targets=lambda weak, strong: weak.softmax(1))


@fixmatch_loss.mistake("You weigh each image by its confidence. An image that passes counts in full, with the weight 1.")
def weighed_by_confidence(*arguments):
    def with_confidence(logits, labels, weak_logits, strong_logits, threshold, weight):
        confidence, pseudo_labels = weak_logits.softmax(1).max(1)
        losses = F.cross_entropy(strong_logits, pseudo_labels, reduction="none") * confidence
        return F.cross_entropy(logits, labels) + weight * _masked(losses, confidence >= threshold)

    return with_confidence(*arguments)


@fixmatch_loss.mistake("The weight is not used: multiply the unlabelled part by it.")
def weight_forgotten(*arguments):
    return _altered(*arguments, join=lambda labelled, unlabelled, weight: labelled + unlabelled)


@fixmatch_loss.mistake("You multiply the labelled part by the weight. It belongs to the unlabelled part.")
def weight_on_the_labelled(*arguments):
    return _altered(*arguments, join=lambda labelled, unlabelled, weight: weight * labelled + unlabelled)


@fixmatch_loss.mistake("You multiply both parts by the weight. It belongs to the unlabelled part alone.")
def weight_on_both(*arguments):
    return _altered(*arguments, join=lambda labelled, unlabelled, weight: weight * (labelled + unlabelled))


@fixmatch_loss.mistake(
    "You blend the two parts, as if their weights had to add up to 1. Here it is labelled + weight * unlabelled."
)
def blended(*arguments):
    return _altered(*arguments, join=lambda labelled, unlabelled, weight: (1 - weight) * labelled + weight * unlabelled)


@fixmatch_loss.mistake("The labelled images are missing from your loss. Without them no pseudo-label would ever become right.")
def labelled_forgotten(*arguments):
    return _altered(*arguments, join=lambda labelled, unlabelled, weight: weight * unlabelled)


@fixmatch_loss.mistake("The unlabelled images are missing from your loss: it is that of the labels alone.")
def unlabelled_forgotten(*arguments):
    return _altered(*arguments, join=lambda labelled, unlabelled, weight: labelled)


@fixmatch_loss.mistake(
    "You add up over the unlabelled images. Take their mean, or the weight would mean something else in every batch."
)
def summed(*arguments):
    return _altered(*arguments, mean=lambda losses, passed: (losses * passed).sum())


@fixmatch_loss.mistake(
    "You divide the unlabelled part by the number of all images, the labelled ones too. Each part is a mean over its own."
)
def mean_over_both(logits, *arguments):
    return _altered(logits, *arguments, mean=lambda losses, passed: (losses * passed).sum() / (len(losses) + len(logits)))


@fixmatch_loss.mistake("You take the softmax of the strong logits first. cross_entropy does it itself: give it the logits.")
def softmax_twice(*arguments):
    return _altered(*arguments, taught=lambda weak, strong: strong.softmax(1))


@fixmatch_loss.property("What does not pass teaches nothing, but counts in the mean.")
def _unsure_images_dilute(function, generator):
    logits, labels, weak, strong, threshold, weight = (
        value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for value in _random_logits(generator)
    )
    alone = F.cross_entropy(logits, labels)
    before = function(logits, labels, weak, strong, threshold, weight) - alone
    unsure = torch.zeros_like(weak)  # a third for each of three classes, below every threshold here
    twice = function(logits, labels, torch.cat([weak, unsure]), torch.cat([strong, 5 * strong]), threshold, weight) - alone
    if (2 * twice - before).abs() > 1e-4:
        return say("With as many unsure images again, the unlabelled part must be half as large. Yours is not.")


@fixmatch_loss.property("How confident a weak view is does not matter once it has passed.")
def _surer_is_the_same(function, generator):
    logits, labels, weak, strong, _, weight = _random_logits(generator)
    first = function(logits, labels, 50 * F.one_hot(weak.argmax(1), 3).double(), strong, 0.9, weight)
    second = function(logits, labels, 90 * F.one_hot(weak.argmax(1), 3).double(), strong, 0.9, weight)
    if (first - second).abs() > 1e-4:
        return say("Two weak views pass with the same label, one a little surer, and your loss differs.")


def _random_features(generator):
    return 2 * torch.randn(9, 3, generator=generator), 2 + int(torch.randint(4, (1,), generator=generator))


@exercise(
    "How typical an image is",
    cases=[
        (torch.tensor([[0.0], [1.0], [3.0]]), 1),
        (torch.tensor([[0.0], [1.0], [3.0]]), 2),
        (torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [6.0, 8.0]]), 2),
        (torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [-2.0, 1.0]]), 3),
    ],
    fresh=_random_features,
    idea=(
        "An image is typical when it lies where the images are dense: its nearest neighbours are near. The inverse of their "
        "mean distance is large there, and small for a loner."
    ),
    steps=(
        "Compute the Euclidean distances of all rows to all rows, (n, n). torch.cdist does.",
        "On the diagonal stands each row's distance to itself, 0. It must not be among the k nearest.",
        "Take the k smallest distances of each row, and their mean, (n,).",
        "The smaller the mean, the more typical: return its inverse.",
    ),
)
def typicality(features, k):
    return label_choice.typicality(features, k)


def _distances(features):
    return torch.cdist(features, features)


def _nearest(distances, k, skip=1):
    """The k smallest of each row after the first `skip`; the very first is the row itself."""
    return distances.sort(dim=1).values[:, skip : skip + k]


@typicality.mistake(
    "Each row is among its own neighbours, at the distance 0. Leave it out: the k nearest other rows are meant."
)
def itself_a_neighbour(features, k):
    return 1 / _nearest(_distances(features), k, skip=0).mean(1)


@typicality.mistake(
    "You take k + 1 distances, of which one is that of the row to itself, and divide by k + 1. Take the mean of the k others."
)
def itself_in_the_mean(features, k):
    return 1 / _nearest(_distances(features), k + 1, skip=0).mean(1)


@typicality.mistake("That is the mean distance, which is small where an image is typical. Return its inverse.")
def not_inverted(features, k):
    return _nearest(_distances(features), k).mean(1)


@typicality.mistake("You return minus the mean distance. Its order is the right one, but asked for is the inverse: 1 / mean.")
def negative(features, k):
    return -_nearest(_distances(features), k).mean(1)


@typicality.mistake("You take the k farthest rows. Take the k nearest: topk with largest=False.")
def farthest(features, k):
    return 1 / _distances(features).topk(k, dim=1).values.mean(1)


@typicality.mistake("You average over all other rows. Only the k nearest count: density is something local.")
def all_others(features, k):
    return 1 / _nearest(_distances(features), len(features)).mean(1)


@typicality.mistake("You take the distance of the k-th neighbour alone. Take the mean over the k nearest.")
def kth_alone(features, k):
    return 1 / _nearest(_distances(features), k)[:, -1]


@typicality.mistake("You take the nearest neighbour alone, whatever k says.")
def nearest_alone(features, k):
    return 1 / _nearest(_distances(features), 1).mean(1)


@typicality.mistake("You average the inverses of the distances. Take the mean of the distances first, then its inverse.")
def mean_of_inverses(features, k):
    return (1 / _nearest(_distances(features), k)).mean(1)


@typicality.mistake("You add the distances up. Take their mean, so that different k can be compared.")
def summed(features, k):
    return 1 / _nearest(_distances(features), k).sum(1)


@typicality.mistake("Your distances are squared. The Euclidean distance is the root of the sum of the squares.")
def squared(features, k):
    return 1 / _nearest(_distances(features).square(), k).mean(1)


@typicality.mistake(
    "Your distance adds up absolute differences. The Euclidean distance is the root of the sum of their squares."
)
def absolute_differences(features, k):
    return 1 / _nearest(torch.cdist(features, features, p=1), k).mean(1)


@typicality.mistake("You take one neighbour too few: k - 1 of them. Leave out the row itself, and then take k.")
def one_too_few(features, k):
    return 1 / _nearest(_distances(features), k - 1).mean(1)


@typicality.mistake(
    "You compare with the mean of all rows. An image is typical where its neighbours are near, wherever that is."
)
def near_the_mean(features, k):
    return 1 / (features - features.mean(0)).norm(dim=1)


@typicality.mistake("You compare the columns, the features, with one another. Compare the rows: they are the images.")
def columns_compared(features, k):
    return 1 / _nearest(_distances(features.T), k).mean(1)


@typicality.mistake("You add 1 to the mean distance before the inverse. Asked for is 1 / mean.")
def one_added(features, k):
    return 1 / (1 + _nearest(_distances(features), k).mean(1))


@typicality.property("Features three times as far apart are a third as typical, wherever they lie.")
def _scales(function, generator):
    features, k = _random_features(generator)
    if (3 * function(3 * features + 5, k) - function(features, k)).abs().max() > 1e-3:
        return say("Three times larger and moved, the same features do not have a third of the typicality.")


@typicality.property("A far row changes nothing for the others.")
def _local(function, generator):
    features, k = _random_features(generator)
    more = torch.cat([features, torch.full((1, 3), 1000.0)])
    if (function(more, k)[:-1] - function(features, k)).abs().max() > 1e-3:
        return say("One more row, far from all others, changes the typicality of those.")
