"""Chapter 07: the loss of an attack that large logits do not blind, the difference of logits ratio."""

import torch

from ..languages import say
from ..methods import attack_ensemble
from ..methods.attack_ensemble import TINY
from .declare import exercise


def _random_logits(generator):
    """Six images of five classes; the first three are classified correctly."""
    logits = 3 * torch.randn(6, 5, generator=generator)
    labels = torch.randint(5, (6,), generator=generator)
    labels[:3] = logits[:3].argmax(dim=1)
    return logits, labels


@exercise(
    "The difference of logits ratio",
    cases=[
        (torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([0])),
        (torch.tensor([[1.0, 4.0, 2.0, 3.0]]), torch.tensor([0])),  # misclassified, the label's logit is the smallest
        (torch.tensor([[-2.0, 0.5, -1.0, 3.0, -4.0], [0.0, 5.0, 6.0, -1.0, 2.0]]), torch.tensor([3, 1])),
        (torch.tensor([[2.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]), torch.tensor([1, 2])),  # two, then three logits are equal
        (torch.tensor([[-1.0, -3.0, -2.0, -4.0]]), torch.tensor([0])),
        (torch.tensor([[3000.0, 1000.0, -2000.0, 0.0]]), torch.tensor([0])),
    ],
    fresh=_random_logits,
    gradient=("logits",),
    idea=(
        "The numerator says by how far the label's logit leads the others, the denominator how far apart the logits are. Their "
        "ratio stays when all logits are multiplied, so no scale can make its gradient vanish."
    ),
    steps=(
        "Pick the label's logit of every image, one number each, (n,). `gather` does so, or indexing with rows and labels.",
        (
            "Find the largest logit of the other classes. Put minus infinity in the label's place of a copy first: the largest "
            "of all is the label's own wherever the image is classified correctly."
        ),
        "For the denominator sort all logits of an image, the label's too, and take the largest minus the third largest.",
        "Add 1e-12 to the denominator: it is 0 where the three largest are equal.",
        (
            "Mind the sign: an attack raises this loss, so it grows as the label's logit falls. Return one value per image, no "
            "mean, and detach nothing."
        ),
    ),
)
def dlr_loss(logits, labels):
    return attack_ensemble.dlr_loss(logits, labels)


def _right(logits, labels):
    """The label's logit, (n,)."""
    return logits.gather(1, labels[:, None]).squeeze(1)


def _sorted(logits):
    """Each image's logits, the largest first."""
    return logits.sort(dim=1, descending=True).values


def _spread(logits):
    """The denominator."""
    return _sorted(logits)[:, 0] - _sorted(logits)[:, 2] + TINY


def _ratio(logits, labels, below):
    """`dlr_loss` with another denominator."""
    return -attack_ensemble.margin(logits, labels) / (below + TINY)


@dlr_loss.mistake(
    "Your sign is the other way round. An attack raises the loss, so it must grow as the label's logit falls: minus the ratio."
)
def sign_forgotten(logits, labels):
    return -dlr_loss(logits, labels)


@dlr_loss.mistake(
    "You subtract the largest of all logits. Where an image is classified correctly that is the label's own, and the loss is "
    "0: leave the label out before you look for the largest."
)
def label_among_the_others(logits, labels):
    return -(_right(logits, labels) - _sorted(logits)[:, 0]) / _spread(logits)


@dlr_loss.mistake(
    "You subtract the second largest logit. That is the largest other one only where the image is classified correctly; where "
    "it is not, the largest other one is the largest of all."
)
def always_the_second(logits, labels):
    return -(_right(logits, labels) - _sorted(logits)[:, 1]) / _spread(logits)


@dlr_loss.mistake(
    "You put 0 in the label's place. Where all other logits are negative 0 is the largest: put minus infinity there."
)
def zero_in_the_labels_place(logits, labels):
    others = logits.scatter(1, labels[:, None], 0.0).max(dim=1).values
    return -(_right(logits, labels) - others) / _spread(logits)


@dlr_loss.mistake(
    "You take the largest logit for the label's. They differ where the image is misclassified: pick the logit of the label."
)
def largest_for_the_label(logits, labels):
    return -(_sorted(logits)[:, 0] - _sorted(logits)[:, 1]) / _spread(logits)


@dlr_loss.mistake(
    "Your denominator is the largest minus the second largest logit. With it the loss is -1 for every image that is classified "
    "correctly, and has no gradient there: subtract the third largest."
)
def second_largest_below(logits, labels):
    top = _sorted(logits)
    return _ratio(logits, labels, top[:, 0] - top[:, 1])


@dlr_loss.mistake("Your denominator is the largest minus the smallest logit. Subtract the third largest.")
def smallest_below(logits, labels):
    top = _sorted(logits)
    return _ratio(logits, labels, top[:, 0] - top[:, -1])


@dlr_loss.mistake(
    "Your denominator is the largest minus the fourth largest logit: counted from 0, the third largest has the index 2."
)
def fourth_largest_below(logits, labels):
    top = _sorted(logits)
    return _ratio(logits, labels, top[:, 0] - top[:, min(3, top.shape[1] - 1)])


@dlr_loss.mistake(
    "Your third largest logit is the third smallest: sort ascends. Take descending=True, topk, or count from the end."
)
def third_smallest_below(logits, labels):
    top = _sorted(logits)
    return _ratio(logits, labels, top[:, 0] - top[:, -3])


@dlr_loss.mistake("You leave the label out of the denominator too. Its largest and third largest are those of all logits.")
def label_left_out_below(logits, labels):
    others = _sorted(logits.scatter(1, labels[:, None], -torch.inf))
    third = others[:, 2].clamp_min(-1e30)  # with three classes there are only two others
    return _ratio(logits, labels, others[:, 0] - third)


@dlr_loss.mistake(
    "Your denominator is the label's logit minus the third largest. Take the largest instead: where an image is misclassified, "
    "the label's logit may lie below the third, and the loss changes its sign."
)
def label_below(logits, labels):
    top = _sorted(logits)
    return _ratio(logits, labels, _right(logits, labels) - top[:, 2])


@dlr_loss.mistake("You do not divide. The difference alone grows with the scale of the logits; the ratio does not.")
def not_divided(logits, labels):
    return -attack_ensemble.margin(logits, labels)


@dlr_loss.mistake("Your fraction is upside down: the difference to the largest other logit belongs above the line.")
def inverted(logits, labels):
    return -_spread(logits) / (attack_ensemble.margin(logits, labels) + TINY)


@dlr_loss.mistake(
    "You compute with probabilities. Softmax rounds them to 0 and 1 where logits are large, which this loss avoids: use the "
    "logits."
)
def of_probabilities(logits, labels):
    return dlr_loss(logits.softmax(dim=1), labels)


@dlr_loss.mistake(
    "You return the mean over the images. APGD compares the loss of each image with its own past: one value each."
)
def averaged(logits, labels):
    return dlr_loss(logits, labels).mean()


@dlr_loss.mistake("You add up the images' losses. APGD compares the loss of each image with its own past: one value each.")
def summed(logits, labels):
    return dlr_loss(logits, labels).sum()


@dlr_loss.mistake(
    "You pick the labels' columns of all images, logits[:, labels], which is (n, n). One logit per image is wanted: gather, or "
    "logits[torch.arange(n), labels]."
)
def every_label_of_every_image(logits, labels):
    others = logits.scatter(1, labels[:, None], -torch.inf).max(dim=1).values
    return -(logits[:, labels] - others[:, None]) / _spread(logits)[:, None]


@dlr_loss.mistake("Your denominator is 0 where the three largest logits are equal, and 0 / 0 is no number. Add 1e-12 to it.")
def division_by_zero(logits, labels):
    top = _sorted(logits)
    return -attack_ensemble.margin(logits, labels) / (top[:, 0] - top[:, 2])


@dlr_loss.mistake(
    "You take the absolute value of the difference, so a misclassified image counts like a correct one. Keep its sign."
)
def without_sign(logits, labels):
    return -dlr_loss(logits, labels).abs()


@dlr_loss.mistake("The loss stops at 0 in your function. It goes on growing once the image is misclassified: no clamp.")
def stops_at_zero(logits, labels):
    return dlr_loss(logits, labels).clamp(max=0)


@dlr_loss.mistake(
    "You take the mean of the third and the fourth largest logit, as the targeted loss does. This one takes the third."
)
def targeted_denominator(logits, labels):
    top = _sorted(logits)
    fourth = top[:, min(3, top.shape[1] - 1)]
    return _ratio(logits, labels, top[:, 0] - (top[:, 2] + fourth) / 2)


@dlr_loss.property("Logits that are scaled or shifted have the same loss.", mistake="not_divided")
def _scale_does_not_matter(function, generator):
    logits, labels = _random_logits(generator)
    if not torch.allclose(function(100 * logits + 7, labels), function(logits, labels), atol=1e-4):
        return say("Multiplied by 100 and shifted by 7, the same logits have another loss.")


@dlr_loss.property("It is above 0 where an image is misclassified, and from -1 to 0 where it is not.")
def _sign_says_the_answer(function, generator):
    logits, labels = _random_logits(generator)
    loss, correct = function(logits, labels), logits.argmax(dim=1) == labels
    if (loss[correct] > 1e-6).any() or (loss[correct] < -1 - 1e-4).any():
        return say("An image that is classified correctly has a loss outside -1 to 0.")
    if (loss[~correct] <= 0).any():
        return say("An image that is misclassified has a loss of 0 or less.")
