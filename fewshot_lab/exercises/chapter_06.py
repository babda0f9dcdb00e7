"""Chapter 06: softened probabilities, the distillation loss and its gradient, mixed targets, replayed views, fidelity."""

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
    ],
    fresh=lambda generator: (_random_logits(generator), _random_temperature(generator)),
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
    ],
    fresh=_random_pair,
    gradient=("student_logits",),
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


@distillation_gradient.property("The pushes on the classes of an image sum to zero.")
def _pushes_balance(function, generator):
    student, teacher = torch.randn(2, 3, 4, generator=generator)
    if function(student, teacher, 3.0).sum(dim=1).abs().max() > 1e-4:
        return say("The gradient of an image does not sum to zero: what is taken from one class must go to the others.")


def _random_mixed(generator):
    labels = torch.tensor([int(torch.randint(3, (1,), generator=generator)), -1, 1])
    alpha = 0.1 + 0.3 * torch.rand(1, generator=generator).item()
    return _random_logits(generator), _random_logits(generator), labels, _random_temperature(generator), alpha


@exercise(
    "Hard and soft targets mixed",
    cases=[
        (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([0]), 2.0, 0.25),
        (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 2.0]]), torch.tensor([0, -1]), 4.0, 0.3),
        (torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([-1]), 3.0, 0.6),
    ],
    fresh=_random_mixed,
    gradient=("student_logits",),
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
