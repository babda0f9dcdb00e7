"""Chapter 06: softened probabilities, the distillation loss and its gradient, mixed targets, replayed views, fidelity."""

import math

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import distillation
from .declare import exercise
from .inspectors import Noise, Shuffled


def _random_logits(generator):
    return 2 * torch.randn(3, 4, generator=generator)


def _random_temperature(generator):
    return 1.5 + 4 * torch.rand(1, generator=generator).item()


@exercise(
    "Softened probabilities",
    cases=[
        (torch.tensor([[2.0, 0.0], [0.0, 0.0]]), 2.0),
        (torch.tensor([[4.0, 2.0, 0.0], [-1.0, 3.0, 0.0]]), 1.0),
        (torch.tensor([[12.0, 5.0, 0.0], [-3.0, 8.0, 6.0]]), 4.0),
        (torch.tensor([[1.0, 0.0, 0.5]]), 0.5),
    ],
    fresh=lambda generator: (_random_logits(generator), _random_temperature(generator)),
    idea=(
        "Dividing the logits by a temperature above 1 brings them closer together, so the softmax is flatter and shows what "
        "the teacher finds similar. The order of the classes stays, and so does the total of 1."
    ),
    steps=(
        "Divide the logits by the temperature. Probabilities divided by it would no longer sum to one.",
        (
            "Take the softmax over the classes of each image, dim 1: (n, classes). Over dim 0 the images would compete with "
            "one another."
        ),
        "Check: every row sums to one, and a larger temperature makes it flatter. If it becomes sharper, you multiplied.",
    ),
)
def softened(logits, temperature):
    return distillation.softened(logits, temperature)


@softened.mistake(
    "You multiply by the temperature, which sharpens. A higher temperature must flatten: divide the logits by it."
)
def multiplied(logits, temperature):
    return softened(logits, 1 / temperature)


@softened.mistake("You divide the probabilities. They no longer sum to one: divide the logits, then take the softmax.")
def divided_after_the_softmax(logits, temperature):
    return softened(logits, 1.0) / temperature


@softened.mistake("Your softmax runs over the images. It belongs to the classes of one image: dim=1.")
def over_the_images(logits, temperature):
    return (logits / temperature).softmax(dim=0)


@softened.mistake("The temperature does nothing in your function: divide the logits by it before the softmax.")
def temperature_ignored(logits, temperature):
    return softened(logits, 1.0)


@softened.mistake("You take the sigmoid of each logit on its own. The classes of an image share one total of 1: softmax.")
def sigmoid(logits, temperature):
    return (logits / temperature).sigmoid()


@softened.mistake("Your division drops the decimals (//). Divide with /.")
def floor_division(logits, temperature):
    return softened(logits // temperature, 1.0)


@softened.mistake(
    "Your sum runs over the whole batch, so that all images share a total of 1. Each image has its own sum: dim=1."
)
def one_sum_for_all(logits, temperature):
    return (logits / temperature).flatten().softmax(0).view_as(logits)


@softened.mistake("Those are the logarithms of the probabilities. The probabilities themselves are wanted: softmax.")
def log_probabilities(logits, temperature):
    return (logits / temperature).log_softmax(1)


@softened.mistake("Those are logits divided by the temperature. The softmax, which makes probabilities of them, is missing.")
def softmax_missing(logits, temperature):
    return logits / temperature


@softened.mistake("You take the exponential alone. Divide by its sum over the classes, so that each image has a total of 1.")
def not_normalised(logits, temperature):
    return (logits / temperature).exp()


@softened.mistake(
    "You take the softmax first and soften its probabilities. The temperature divides the logits: one softmax at the end."
)
def softmax_twice(logits, temperature):
    return softened(softened(logits, 1.0), temperature)


@softened.mistake(
    "You raise the probabilities to the power 1/T, which is right so far. Their sum is no longer 1: divide by it."
)
def power_not_normalised(logits, temperature):
    return softened(logits, 1.0) ** (1 / temperature)


@softened.mistake("You divide by the square of the temperature. T^2 belongs to the loss; here it is T.")
def squared(logits, temperature):
    return softened(logits, temperature**2)


@softened.mistake("A temperature below 1 does nothing in your function. It sharpens: divide by it, whatever it is.")
def never_sharpened(logits, temperature):
    return softened(logits, max(1, temperature))


@softened.property("The probabilities of an image sum to one.")
def _rows_sum_to_one(function, generator):
    logits = 5 * torch.randn(3, 4, generator=generator)
    if not torch.allclose(function(logits, 3.0).sum(dim=1), torch.ones(3).double(), atol=1e-4):
        return say("The probabilities of an image do not sum to one.")


def _random_pair(generator):
    return _random_logits(generator), _random_logits(generator), _random_temperature(generator)


@exercise(
    "The distillation loss",
    cases=[
        (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), 2.0),
        (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 2.0]]), 4.0),
        (torch.tensor([[0.5, 0.0, 1.0], [3.0, 0.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0], [1.0, 1.5, 0.0]]), 1.5),
        (torch.tensor([[1.0, 0.0]]), torch.tensor([[200.0, -200.0]]), 0.5),  # a probability that float32 rounds to 0
    ],
    fresh=_random_pair,
    gradient=("student_logits",),
    idea=(
        "The student is to give the teacher's softened answers, and KL(teacher || student) is zero when it does. At large "
        "temperatures the gradient shrinks with the square of T; the factor T squared undoes that."
    ),
    steps=(
        (
            "Divide both logits by the same temperature and take log-probabilities over dim 1, (n, classes). log_softmax stays "
            "finite where the logarithm of a softmax may not."
        ),
        (
            "For each class, weight log p of the teacher minus log p of the student by the teacher's p. With the two "
            "exchanged, it is the reverse divergence."
        ),
        (
            "Sum over the classes, (n,), then average over the images. F.kl_div does so with reduction='batchmean'; it takes "
            "the student's log-probabilities first."
        ),
        (
            "Multiply the mean by the square of the temperature. The temperature itself would undo only one of the two factors "
            "1/T."
        ),
    ),
)
def distillation_loss(student_logits, teacher_logits, temperature):
    return distillation.distillation_loss(student_logits, teacher_logits, temperature)


@distillation_loss.mistake(
    "The factor T^2 is missing. Without it the gradient shrinks with 1/T^2 and the hard labels drown the teacher."
)
def no_t_squared(s, t, T):
    return distillation_loss(s, t, T) / T**2


@distillation_loss.mistake(
    "You multiply by T. Both the softmax and its derivative bring a factor 1/T: it takes T^2 to undo them."
)
def t_not_squared(s, t, T):
    return distillation_loss(s, t, T) / T


def _kl(p, q):
    """KL(p || q) for each row."""
    return (p * (p.log() - q.log())).sum(dim=1)


@distillation_loss.mistake(
    "That is KL(student || teacher). The teacher's probabilities weight the logarithms: KL(p_t || p_s). F.kl_div takes the "
    "student's log-probabilities first, the teacher's probabilities second."
)
def swapped(s, t, T):
    return T**2 * _kl(softened(s, T), softened(t, T)).mean()


@distillation_loss.mistake("You take the softmax of probabilities. Once is enough: start from the logits.")
def softmax_twice(s, t, T):
    return T**2 * _kl(softened(softened(t, T), 1.0), softened(softened(s, T), 1.0)).mean()


@distillation_loss.mistake(
    "You average over the classes too (F.kl_div does with reduction='mean'). Sum over the classes, average over "
    "the images: reduction='batchmean'."
)
def mean_over_classes(s, t, T):
    return distillation_loss(s, t, T) / s.shape[1]


@distillation_loss.mistake("You add up the images. Take their mean, so that the loss does not depend on the size of the batch.")
def summed_over_images(s, t, T):
    return distillation_loss(s, t, T) * len(s)


@distillation_loss.mistake(
    "That is the cross-entropy to the teacher. Its gradient is right, its value is too large by T^2 times the "
    "teacher's entropy: KL also has + sum p_t log p_t."
)
def cross_entropy(s, t, T):
    p_t, p_s = softened(t, T), softened(s, T)
    return -(T**2) * (p_t * p_s.log()).sum(dim=1).mean()


@distillation_loss.mistake("Only the teacher is softened. Both must be compared at the same temperature.")
def student_not_softened(s, t, T):
    return T**2 * _kl(softened(t, T), softened(s, 1.0)).mean()


@distillation_loss.mistake(
    "Only the student is softened. Both must be compared at the same temperature: divide the teacher's logits too."
)
def teacher_not_softened(s, t, T):
    return T**2 * _kl(softened(t, 1.0), softened(s, T)).mean()


@distillation_loss.mistake(
    "You compare both at temperature 1. Divide the logits of both by T before the softmax; T^2 comes after that."
)
def not_softened(s, t, T):
    return T**2 * distillation_loss(s, t, 1.0)


@distillation_loss.mistake(
    "The temperature does nothing in your function. It divides the logits, and its square multiplies the result."
)
def temperature_ignored(s, t, T):
    return distillation_loss(s, t, 1.0)


@distillation_loss.mistake(
    "The student's probabilities stand where their logarithms belong. F.kl_div takes log-probabilities first: log_softmax."
)
def log_forgotten(s, t, T):
    p_t, p_s = softened(t, T), softened(s, T)
    return T**2 * (p_t * (p_t.log() - p_s)).sum(dim=1).mean()


@distillation_loss.mistake("Your softmax runs over the images. It belongs to the classes of one image: dim=1.")
def over_the_images(s, t, T):
    return T**2 * _kl((t / T).softmax(0), (s / T).softmax(0)).mean()


@distillation_loss.mistake(
    "That is the squared distance of the logits. The loss compares the softened probabilities, by a KL divergence."
)
def squared_logits(s, t, T):
    return F.mse_loss(s, t)


@distillation_loss.mistake(
    "That is the squared distance of the probabilities. What is asked is the KL divergence, p_t (log p_t - log p_s)."
)
def squared_probabilities(s, t, T):
    return T**2 * F.mse_loss(softened(s, T), softened(t, T))


@distillation_loss.mistake(
    "You keep only the teacher's first choice, as a hard label. Its other probabilities are what a student learns from."
)
def hard_teacher(s, t, T):
    return T**2 * F.cross_entropy(s / T, t.argmax(dim=1))


@distillation_loss.mistake(
    "That is the cross-entropy to the teacher, without T^2. KL also has + sum p_t log p_t, and T^2 multiplies it."
)
def cross_entropy_alone(s, t, T):
    return -(softened(t, T) * softened(s, T).log()).sum(dim=1).mean()


@distillation_loss.mistake(
    "Your loss has the wrong sign: a divergence is never negative. log p_t comes first, log p_s is taken from it."
)
def wrong_sign(s, t, T):
    return -distillation_loss(s, t, T)


@distillation_loss.mistake("You divide by T^2. The gradient is small by 1/T^2 already: multiply, to undo it.")
def divided_by_t_squared(s, t, T):
    return distillation_loss(s, t, T) / T**4


@distillation_loss.property("A student that answers like the teacher has no loss.")
def _nothing_to_learn_from_oneself(function, generator):
    logits = torch.randn(3, 4, generator=generator)
    if abs(float(function(logits, logits + 2.0, 3.0))) > 1e-4:
        return say("A student whose probabilities are the teacher's still has a loss.")


@exercise(
    "The gradient of the distillation loss",
    cases=[
        (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), 2.0),
        (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 2.0]]), 4.0),
    ],
    fresh=_random_pair,
    idea=(
        "The gradient of the softened KL divergence is the student's probabilities minus the teacher's, divided by T: where "
        "the student gives a class too much, training lowers its logit. The loss adds its factor T squared and a mean over the "
        "images."
    ),
    steps=(
        "Soften both answers with the temperature: two tensors of probabilities, (n, classes).",
        (
            "Take their difference. Mind the sign: the loss grows with a logit where the student gives this class more than "
            "the teacher does."
        ),
        (
            "Gather the factors: the chain rule brings 1/T, and the loss has T squared. What is left of the two multiplies the "
            "difference."
        ),
        "The loss is a mean over the images, so divide by their number. Over the classes it is a sum: do not divide by theirs.",
        "Check: the gradient of an image sums to zero over its classes, and torch.autograd.grad of the loss gives the same.",
    ),
)
def distillation_gradient(student_logits, teacher_logits, temperature):
    return distillation.distillation_gradient(student_logits, teacher_logits, temperature)


@distillation_gradient.mistake(
    "Your gradient points the other way. The loss grows where the student gives more than the teacher: p_s - p_t."
)
def uphill(s, t, T):
    return -distillation_gradient(s, t, T)


@distillation_gradient.mistake("You left out the factor T^2 of the loss: 1/T from the inner derivative, times T^2, is T.")
def no_t_squared(s, t, T):
    return distillation_gradient(s, t, T) / T**2


@distillation_gradient.mistake("The inner derivative is missing: the loss sees z / T, so the chain rule brings a factor 1/T.")
def inner_derivative_forgotten(s, t, T):
    return distillation_gradient(s, t, T) * T


@distillation_gradient.mistake("The loss is a mean over the images: divide by their number.")
def not_a_mean(s, t, T):
    return distillation_gradient(s, t, T) * len(s)


@distillation_gradient.mistake("You compare the probabilities at temperature 1. Both must be softened first.")
def not_softened(s, t, T):
    return T * distillation_gradient(s, t, 1.0)


@distillation_gradient.mistake(
    "You left out T. The factor T^2 of the loss times the inner derivative 1/T leaves one T before the difference."
)
def t_forgotten(s, t, T):
    return distillation_gradient(s, t, T) / T


@distillation_gradient.mistake(
    "That is p_s - p_t alone. The loss is a mean over the images, and T^2 times the inner derivative 1/T is T."
)
def plain_difference(s, t, T):
    return distillation_gradient(s, t, T) * len(s) / T


@distillation_gradient.mistake(
    "(p_s - p_t) / T is the gradient of the divergence of one image. The loss has T^2 before it and is a mean over the images."
)
def one_divergence(s, t, T):
    return distillation_gradient(s, t, T) * len(s) / T**2


@distillation_gradient.mistake(
    "You divide by the number of classes too. The loss adds up the classes; it is a mean over the images."
)
def divided_by_classes(s, t, T):
    return distillation_gradient(s, t, T) / s.shape[1]


@distillation_gradient.mistake(
    "That is the limit for a very large T, where the centred logits take the place of the probabilities. Here T may be "
    "small: use the softened probabilities."
)
def limit_of_large_t(s, t, T):
    difference = s - t
    return (difference - difference.mean(dim=1, keepdim=True)) / s.numel()


@distillation_gradient.mistake("You subtract the logits. The gradient is made of the softened probabilities of both.")
def difference_of_logits(s, t, T):
    return (s - t) / len(s)


@distillation_gradient.mistake("Your softmax runs over the images. It belongs to the classes of one image: dim=1.")
def over_the_images(s, t, T):
    return T * ((s / T).softmax(0) - (t / T).softmax(0)) / len(s)


def _by_autograd(loss, logits):
    logits = logits.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(logits), logits)[0]


@distillation_gradient.mistake(
    "That is the gradient towards the teacher's logits. It is the student that learns: differentiate by its logits."
)
def towards_the_teacher(s, t, T):
    return _by_autograd(lambda teacher: distillation_loss(s, teacher, T), t)


@distillation_gradient.mistake("That is the gradient of KL(student || teacher). The loss is KL(teacher || student).")
def of_the_reverse_divergence(s, t, T):
    return _by_autograd(lambda student: distillation_loss(t, student, T), s)


@distillation_gradient.mistake("Only the teacher is softened. Divide the student's logits by T too.")
def student_not_softened(s, t, T):
    return T * (softened(s, 1.0) - softened(t, T)) / len(s)


@distillation_gradient.property("The pushes on the classes of an image sum to zero.")
def _pushes_balance(function, generator):
    student, teacher = torch.randn(2, 3, 4, generator=generator)
    if function(student, teacher, 3.0).sum(dim=1).abs().max() > 1e-4:
        return say("The gradient of an image does not sum to zero: what is taken from one class must go to the others.")


def _random_mixed(generator):
    labels = torch.tensor([int(torch.randint(3, (1,), generator=generator)), -1, 1])
    alpha = 0.1 + 0.3 * torch.rand(1, generator=generator).item()
    return _random_logits(generator), _random_logits(generator), labels, _random_temperature(generator), alpha


THREE = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 1.5]])


@exercise(
    "Hard and soft targets mixed",
    cases=[
        (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([0]), 2.0, 0.25),
        (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 2.0]]), torch.tensor([0, -1]), 4.0, 0.3),
        (torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([-1]), 3.0, 0.6),
        (THREE, THREE.flip(1), torch.tensor([1, 0, -1]), 2.0, 0.4),
    ],
    fresh=_random_mixed,
    gradient=("student_logits",),
    idea=(
        "The teacher has the share alpha of the loss, and the labels have 1 - alpha. An image without a label has no hard "
        "part, and as both parts are means over all images, the labelled ones do not weigh more because of that."
    ),
    steps=(
        (
            "For the soft part call soft_loss with both logits and the temperature. It holds T squared and the mean over all "
            "images already."
        ),
        (
            "The hard part is the cross-entropy of the student's logits to the labels, at temperature 1: use the logits as "
            "they are."
        ),
        (
            "An image with the label -1 adds nothing to it; ignore_index=-1 of F.cross_entropy leaves it out. As an index, -1 "
            "would mean the last class."
        ),
        (
            "Divide the sum of the hard part by the number of all images. The mean of F.cross_entropy divides by the labelled "
            "ones, which is 0/0 without any."
        ),
        "Weight the soft part by alpha and the hard part by 1 - alpha, and add them: a scalar tensor.",
    ),
)
def mixed_loss(student_logits, teacher_logits, labels, temperature, alpha):
    return distillation.mixed_loss(student_logits, teacher_logits, labels, temperature, alpha)


@mixed_loss.mistake("The shares have changed places: alpha belongs to the teacher, 1 - alpha to the labels.")
def shares_swapped(s, t, y, T, a):
    return mixed_loss(s, t, y, T, 1 - a)


def _hard(student, labels, temperature=1.0, reduction="all"):
    """The cross-entropy to the labels, where -1 is no label: a mean over all images or over the labelled ones."""
    total = F.cross_entropy(student / temperature, labels, ignore_index=-1, reduction="sum")
    return total / (len(labels) if reduction == "all" else (labels >= 0).sum())


@mixed_loss.mistake("Your hard part is at temperature T. A label is a plain fact: take the student's logits as they are.")
def hard_part_softened(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y, T)


@mixed_loss.mistake("You read the label -1 as the last class (Python counts from the end). Such an image has no hard part.")
def last_class(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y % s.shape[1])


@mixed_loss.mistake(
    "You divide the hard part by the number of labelled images. The fewer there are, the more it then weighs, and it is "
    "0/0 in a batch without any. Divide by the number of all images."
)
def mean_over_the_labelled(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y, reduction="labelled")


@mixed_loss.mistake("The soft part lacks its factor T^2: changing T would change what alpha means.")
def no_t_squared(s, t, y, T, a):
    return a * distillation_loss(s, t, T) / T**2 + (1 - a) * _hard(s, y)


@mixed_loss.mistake(
    "You divide the hard part by the number of labelled images, and take 0 where there are none. The fewer there are, the "
    "more each then weighs: divide by the number of all images."
)
def labelled_mean_or_zero(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y, reduction="labelled").nan_to_num()


@mixed_loss.mistake("T^2 is in your soft part twice. The distillation loss holds it already.")
def t_squared_twice(s, t, y, T, a):
    return a * T**2 * distillation_loss(s, t, T) + (1 - a) * _hard(s, y)


@mixed_loss.mistake("You add both parts whole. Weight them: alpha for the soft part, 1 - alpha for the hard one.")
def no_weights(s, t, y, T, a):
    return distillation_loss(s, t, T) + _hard(s, y)


@mixed_loss.mistake("You take both parts half and half. Their weights are alpha and 1 - alpha.")
def half_and_half(s, t, y, T, a):
    return mixed_loss(s, t, y, T, 0.5)


@mixed_loss.mistake("Your hard part has its whole weight. Only 1 - alpha is left for it.")
def hard_part_whole(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + _hard(s, y)


@mixed_loss.mistake("Your soft part has its whole weight. alpha belongs before it.")
def soft_part_whole(s, t, y, T, a):
    return distillation_loss(s, t, T) + (1 - a) * _hard(s, y)


@mixed_loss.mistake(
    "An image without a label has its soft loss whole in your function. alpha weights the soft part of every image."
)
def unlabelled_soft_part_whole(s, t, y, T, a):
    soft = torch.stack([distillation_loss(s[i : i + 1], t[i : i + 1], T) for i in range(len(s))])
    hard = F.cross_entropy(s, y, ignore_index=-1, reduction="none")
    return torch.where(y >= 0, a * soft + (1 - a) * hard, soft).mean()


def _soft_of(rows, s, t, T):
    """The part of the distillation loss that these rows of the batch have."""
    return distillation_loss(s[rows], t[rows], T) * rows.sum() / len(s) if rows.any() else torch.zeros(())


@mixed_loss.mistake("Only the images without a label have a soft part in your function. Every image has one.")
def soft_for_unlabelled_only(s, t, y, T, a):
    return a * _soft_of(y < 0, s, t, T) + (1 - a) * _hard(s, y)


@mixed_loss.mistake("Only the labelled images have a soft part in your function. The teacher answers for every image.")
def soft_for_labelled_only(s, t, y, T, a):
    return a * _soft_of(y >= 0, s, t, T) + (1 - a) * _hard(s, y)


@mixed_loss.mistake("You add up the images. Take the mean over all of them in both parts.")
def summed(s, t, y, T, a):
    return mixed_loss(s, t, y, T, a) * len(y)


@mixed_loss.mistake(
    "Your hard part is a sum over the images, your soft part a mean. Divide the hard part by the number of all images."
)
def hard_part_summed(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y) * len(y)


@mixed_loss.mistake("You read the label -1 as class 0. It means that there is no label: such an image has no hard part.")
def class_0(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y.clamp(min=0))


@mixed_loss.mistake("The labels do nothing in your function. Add 1 - alpha times the cross-entropy to them.")
def hard_part_missing(s, t, y, T, a):
    return a * distillation_loss(s, t, T)


@mixed_loss.mistake("Your hard part is multiplied by T^2 too. That factor belongs to the softened part alone.")
def hard_part_times_t_squared(s, t, y, T, a):
    return a * distillation_loss(s, t, T) + (1 - a) * T**2 * _hard(s, y)


def _random_images(generator):
    seed = 1 + int(torch.randint(1000, (1,), generator=generator))
    return torch.rand(2, 1, 2, 3, generator=generator), Noise(0.5), 3, seed


@exercise(
    "Views drawn again from their seeds",
    cases=[
        (torch.zeros(1, 1, 1, 2), Noise(1.0), 2, 0),
        (torch.ones(2, 1, 2, 2), Noise(0.1), 3, 5),
        (torch.arange(8, dtype=torch.uint8).view(1, 1, 2, 4), Shuffled(), 2, 3),
    ],
    fresh=_random_images,
    idea=(
        "Views that are drawn from seeds need not be kept: any process can draw them again when a cached answer is to be used. "
        "This takes a generator for each copy, so that copy r does not depend on the others."
    ),
    steps=(
        "Make a changed batch for each r from 0 to copies - 1, always from the original images and never from the copy before.",
        (
            "For each copy make a new torch.Generator and seed it with seed + r. torch.manual_seed would seed the global "
            "generator instead."
        ),
        (
            "Call change with the whole batch and this generator. Image by image, each with a new generator of that seed, all "
            "images would get the same draws."
        ),
        (
            "Stack the batches along a new first axis: (copies, n, C, H, W). Joined along the old one, they would be one long "
            "batch."
        ),
    ),
)
def replayed_copies(images, change, copies, seed):
    return distillation.replayed_copies(images, change, copies, seed)


@replayed_copies.mistake("All your copies are the same: copy r needs its own seed, seed + r.")
def all_copies_alike(images, change, copies, seed):
    return replayed_copies(images, change, 1, seed).repeat(copies, 1, 1, 1, 1)


@replayed_copies.mistake(
    "One generator makes all your copies, so copy 3 cannot be drawn again without copies 0 to 2. Seed a new one for each copy."
)
def one_generator(images, change, copies, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([change(images, generator) for _ in range(copies)])


@replayed_copies.mistake("Each of your copies is made from the one before it. Make every copy from the original images.")
def chained(images, change, copies, seed):
    views = []
    for r in range(copies):
        images = change(images, torch.Generator().manual_seed(seed + r))
        views.append(images)
    return torch.stack(views)


@replayed_copies.mistake("You join the copies into one long batch. Stack them: (copies, n, channels, height, width).")
def joined(*arguments):
    return replayed_copies(*arguments).flatten(0, 1)


def _seeded(images, change, seeds):
    return torch.stack([change(images, torch.Generator().manual_seed(seed)) for seed in seeds])


@replayed_copies.mistake("Your first copy has the seed seed + 1. Copies are counted from 0: copy r has seed + r.")
def seeds_from_1(images, change, copies, seed):
    return replayed_copies(images, change, copies, seed + 1)


@replayed_copies.mistake(
    "You multiply the seed by r, so copy 0 always has the seed 0, and all copies have it where seed is 0. Add: seed + r."
)
def seed_times_r(images, change, copies, seed):
    return _seeded(images, change, [seed * r for r in range(copies)])


@replayed_copies.mistake("Your seeds are 0, 1, 2 and so on, whatever seed is. Copy r has the seed seed + r.")
def seed_ignored(images, change, copies, seed):
    return replayed_copies(images, change, copies, 0)


@replayed_copies.mistake("Your copy 0 is the original. Every copy is changed, copy 0 with the seed itself.")
def first_copy_unchanged(images, change, copies, seed):
    later = replayed_copies(images, change, copies, seed)[1:]
    return torch.cat([images[None].to(later.dtype), later])


@replayed_copies.mistake(
    "You change the images one by one, each with a new generator of the same seed, so that all get the same draws. Change the "
    "whole batch with one generator."
)
def generator_per_image(images, change, copies, seed):
    return torch.cat([replayed_copies(image[None], change, copies, seed) for image in images], 1)


@replayed_copies.mistake("Your copies are the originals. Call change(images, generator) for each.")
def unchanged(images, change, copies, seed):
    return images.expand(copies, *images.shape)


@replayed_copies.property("torch's global generator stays as it was.", mistake="global_generator")
def _keeps_the_global_generator(function, generator):
    before = torch.get_rng_state()
    function(torch.zeros(2, 1, 2, 2), Noise(1.0), 2, 7)
    if not torch.equal(torch.get_rng_state(), before):
        return say(
            "Your function moves torch's global generator. Make one for each copy: torch.Generator().manual_seed(seed + r)."
        )


@exercise(
    "Fidelity",
    cases=[
        (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])),
        (torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, 2.0]])),
        (torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[200.0, 0.0, 0.0]])),
    ],
    fresh=lambda generator: (torch.randn(5, 4, generator=generator), torch.randn(5, 4, generator=generator)),
    idea=(
        "Fidelity asks how well the student imitates the teacher, and needs no label: how often both give the same class, and "
        "how far the student's probabilities are from the teacher's. A faithful student repeats the teacher's errors too."
    ),
    steps=(
        "Find the class of each image for both, the largest logit over dim 1, and compare image by image: (n,), true or false.",
        "The share of agreement is the mean of that, between 0 and 1. torch averages floats, not bools.",
        (
            "For the divergence take the log-probabilities of both at temperature 1. log_softmax stays finite, where the "
            "logarithm of a tiny probability may not."
        ),
        (
            "Weight log p_t - log p_s by the teacher's p_t, sum over the classes and average over the images. There is no "
            "factor T squared here."
        ),
        "Return two plain numbers: first the share, then the divergence.",
    ),
)
def fidelity(student_logits, teacher_logits):
    return distillation.fidelity(student_logits, teacher_logits)


@fidelity.mistake("Your divergence is KL(student || teacher). The teacher's probabilities must weight it: KL(p_t || p_s).")
def swapped(s, t):
    return fidelity(s, t)[0], fidelity(t, s)[1]


@fidelity.mistake("You add up the divergences of the images. Take their mean.")
def summed(s, t):
    return fidelity(s, t)[0], fidelity(s, t)[1] * len(s)


@fidelity.mistake("You average the divergence over the classes too. Sum over the classes, then take the mean over the images.")
def mean_over_classes(s, t):
    return fidelity(s, t)[0], fidelity(s, t)[1] / s.shape[1]


@fidelity.mistake("You count the images on which both agree. A share is needed: divide by the number of images.")
def counted(s, t):
    return fidelity(s, t)[0] * len(s), fidelity(s, t)[1]


@fidelity.mistake("Your argmax runs over the images. Each image has its class: argmax(dim=1).")
def best_image_of_a_class(s, t):
    return (s.argmax(dim=0) == t.argmax(dim=0)).float().mean().item(), fidelity(s, t)[1]


@fidelity.mistake("Both results are right, but their order is not: first the share of agreement, then the divergence.")
def results_exchanged(s, t):
    return fidelity(s, t)[::-1]


@fidelity.mistake("That is the share of images on which they disagree. Count those with the same class: ==.")
def disagreement(s, t):
    return 1 - fidelity(s, t)[0], fidelity(s, t)[1]


@fidelity.mistake("Your agreement is in percent. A share lies between 0 and 1.")
def percent(s, t):
    return 100 * fidelity(s, t)[0], fidelity(s, t)[1]


@fidelity.mistake(
    "Your agreement is 1 only when all images agree, and else 0. Compare image by image with ==, then take the mean."
)
def all_or_none(s, t):
    return float(torch.equal(s.argmax(dim=1), t.argmax(dim=1))), fidelity(s, t)[1]


@fidelity.mistake(
    "Your second number is the cross-entropy to the teacher. It holds the teacher's own entropy too: KL also has "
    "+ sum p_t log p_t."
)
def cross_entropy(s, t):
    return fidelity(s, t)[0], F.cross_entropy(s, t.softmax(dim=1)).item()


@fidelity.mistake("Your divergence is in bits, with the logarithm to base 2. Nats are wanted: the natural logarithm.")
def in_bits(s, t):
    return fidelity(s, t)[0], fidelity(s, t)[1] / math.log(2)


@fidelity.mistake("Your divergence has the wrong sign: it is never negative. log p_t comes first, log p_s is taken from it.")
def wrong_sign(s, t):
    return fidelity(s, t)[0], -fidelity(s, t)[1]


@fidelity.mistake(
    "The student's probabilities stand where their logarithms belong. F.kl_div takes log-probabilities first: log_softmax."
)
def log_forgotten(s, t):
    p_t = t.softmax(dim=1)
    return fidelity(s, t)[0], (torch.special.xlogy(p_t, p_t) - p_t * s.softmax(dim=1)).sum(dim=1).mean().item()


@fidelity.mistake("Your softmax runs over the images. It belongs to the classes of one image: dim=1.")
def softmax_over_images(s, t):
    log_t, log_s = t.log_softmax(dim=0), s.log_softmax(dim=0)
    return fidelity(s, t)[0], (log_t.exp() * (log_t - log_s)).sum(dim=1).mean().item()
