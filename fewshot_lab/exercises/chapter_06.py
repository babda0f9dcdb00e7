"""Chapter 06: softened probabilities, the distillation loss and its gradient, mixed targets, replayed views, fidelity."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.distillation import (
    distillation_gradient,
    distillation_loss,
    fidelity,
    mixed_loss,
    replayed_copies,
    softened,
)
from .declare import Exercise, Mistake, Property
from .inspectors import Noise


def _kl(p, q):
    """KL(p || q) for each row."""
    return (p * (p.log() - q.log())).sum(dim=1)


def _cross_entropy_to_teacher(student, teacher, temperature):
    p_t, p_s = softened(teacher, temperature), softened(student, temperature)
    return -(temperature**2) * (p_t * p_s.log()).sum(dim=1).mean()


def _hard(student, labels, temperature=1.0, reduction="all"):
    total = F.cross_entropy(student / temperature, labels, ignore_index=-1, reduction="sum")
    return total / (len(labels) if reduction == "all" else (labels >= 0).sum())


def _one_generator(images, change, copies, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([change(images, generator) for _ in range(copies)])


def _chained(images, change, copies, seed):
    made = []
    for r in range(copies):
        images = change(images, torch.Generator().manual_seed(seed + r))
        made.append(images)
    return torch.stack(made)


def _keeps_the_global_generator(function, generator):
    before = torch.get_rng_state()
    function(torch.zeros(2, 1, 2, 2), Noise(1.0), 2, 7)
    if not torch.equal(torch.get_rng_state(), before):
        return say(
            "Your function moves torch's global generator. Make one for each copy: torch.Generator().manual_seed(seed + r)."
        )


def _rows_sum_to_one(function, generator):
    logits = 5 * torch.randn(3, 4, generator=generator)
    if not torch.allclose(function(logits, 3.0).sum(dim=1), torch.ones(3), atol=1e-4):
        return say("The probabilities of an image do not sum to one.")


def _nothing_to_learn_from_oneself(function, generator):
    logits = torch.randn(3, 4, generator=generator)
    if abs(float(function(logits, logits + 2.0, 3.0))) > 1e-4:
        return say("A student whose probabilities are the teacher's still has a loss.")


def _pushes_balance(function, generator):
    student, teacher = torch.randn(2, 3, 4, generator=generator)
    if function(student, teacher, 3.0).sum(dim=1).abs().max() > 1e-4:
        return say("The gradient of an image does not sum to zero: what is taken from one class must go to the others.")


def _random_logits(generator):
    return 2 * torch.randn(3, 4, generator=generator)


def _random_temperature(generator):
    return 1.5 + 4 * torch.rand(1, generator=generator).item()


def _random_pair(generator):
    return _random_logits(generator), _random_logits(generator), _random_temperature(generator)


def _random_mixed(generator):
    labels = torch.tensor([int(torch.randint(3, (1,), generator=generator)), -1, 1])
    alpha = 0.1 + 0.3 * torch.rand(1, generator=generator).item()
    return _random_logits(generator), _random_logits(generator), labels, _random_temperature(generator), alpha


def _random_images(generator):
    seed = 1 + int(torch.randint(1000, (1,), generator=generator))
    return torch.rand(2, 1, 2, 3, generator=generator), Noise(0.5), 3, seed


EXERCISES = [
    Exercise(
        "softened",
        "06",
        "Softened probabilities",
        softened,
        cases=(
            (torch.tensor([[2.0, 0.0], [0.0, 0.0]]), 2.0),
            (torch.tensor([[4.0, 2.0, 0.0], [-1.0, 3.0, 0.0]]), 1.0),
            (torch.tensor([[12.0, 5.0, 0.0], [-3.0, 8.0, 6.0]]), 4.0),
        ),
        fresh=lambda generator: (_random_logits(generator), _random_temperature(generator)),
        mistakes=(
            Mistake(
                "multiplied",
                lambda logits, temperature: softened(logits, 1 / temperature),
                "You multiply by the temperature, which sharpens. A higher temperature must flatten: divide the logits by it.",
            ),
            Mistake(
                "divided_after_the_softmax",
                lambda logits, temperature: softened(logits, 1.0) / temperature,
                "You divide the probabilities. They no longer sum to one: divide the logits, then take the softmax.",
            ),
            Mistake(
                "over_the_images",
                lambda logits, temperature: (logits / temperature).softmax(dim=0),
                "Your softmax runs over the images. It belongs to the classes of one image: dim=1.",
            ),
            Mistake(
                "temperature_ignored",
                lambda logits, temperature: softened(logits, 1.0),
                "The temperature does nothing in your function: divide the logits by it before the softmax.",
            ),
        ),
        properties=(Property("The probabilities of an image sum to one.", _rows_sum_to_one),),
    ),
    Exercise(
        "distillation_loss",
        "06",
        "The distillation loss",
        distillation_loss,
        cases=(
            (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), 2.0),
            (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 2.0]]), 4.0),
            (torch.tensor([[0.5, 0.0, 1.0], [3.0, 0.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0], [1.0, 1.5, 0.0]]), 1.5),
        ),
        fresh=_random_pair,
        mistakes=(
            Mistake(
                "no_t_squared",
                lambda s, t, T: distillation_loss(s, t, T) / T**2,
                "The factor T^2 is missing. Without it the gradient shrinks with 1/T^2 and the hard labels drown the teacher.",
            ),
            Mistake(
                "t_not_squared",
                lambda s, t, T: distillation_loss(s, t, T) / T,
                "You multiply by T. Both the softmax and its derivative bring a factor 1/T: it takes T^2 to undo them.",
            ),
            Mistake(
                "swapped",
                lambda s, t, T: T**2 * _kl(softened(s, T), softened(t, T)).mean(),
                "That is KL(student || teacher). The teacher's probabilities weigh the logarithms: KL(p_t || p_s). "
                "F.kl_div takes the student's log-probabilities first, the teacher's probabilities second.",
            ),
            Mistake(
                "softmax_twice",
                lambda s, t, T: T**2 * _kl(softened(softened(t, T), 1.0), softened(softened(s, T), 1.0)).mean(),
                "You take the softmax of probabilities. Once is enough: start from the logits.",
            ),
            Mistake(
                "mean_over_classes",
                lambda s, t, T: distillation_loss(s, t, T) / s.shape[1],
                "You average over the classes too (F.kl_div does with reduction='mean'). Sum over the classes, average over "
                "the images: reduction='batchmean'.",
            ),
            Mistake(
                "summed_over_images",
                lambda s, t, T: distillation_loss(s, t, T) * len(s),
                "You add up the images. Take their mean, so that the loss does not depend on the size of the batch.",
            ),
            Mistake(
                "cross_entropy",
                _cross_entropy_to_teacher,
                "That is the cross-entropy to the teacher. Its gradient is right, its value is too large by T^2 times the "
                "teacher's entropy: KL also has + sum p_t log p_t.",
            ),
            Mistake(
                "student_not_softened",
                lambda s, t, T: T**2 * _kl(softened(t, T), softened(s, 1.0)).mean(),
                "Only the teacher is softened. Both must be compared at the same temperature.",
            ),
        ),
        properties=(Property("A student that answers like the teacher has no loss.", _nothing_to_learn_from_oneself),),
    ),
    Exercise(
        "distillation_gradient",
        "06",
        "The gradient of the distillation loss",
        distillation_gradient,
        cases=(
            (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), 2.0),
            (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 2.0]]), 4.0),
        ),
        fresh=_random_pair,
        mistakes=(
            Mistake(
                "uphill",
                lambda s, t, T: -distillation_gradient(s, t, T),
                "Your gradient points the other way. The loss grows where the student gives more than the teacher: p_s - p_t.",
            ),
            Mistake(
                "no_t_squared",
                lambda s, t, T: distillation_gradient(s, t, T) / T**2,
                "You left out the factor T^2 of the loss: 1/T from the inner derivative, times T^2, is T.",
            ),
            Mistake(
                "inner_derivative_forgotten",
                lambda s, t, T: distillation_gradient(s, t, T) * T,
                "The inner derivative is missing: the loss sees z / T, so the chain rule brings a factor 1/T.",
            ),
            Mistake(
                "not_a_mean",
                lambda s, t, T: distillation_gradient(s, t, T) * len(s),
                "The loss is a mean over the images: divide by their number.",
            ),
            Mistake(
                "not_softened",
                lambda s, t, T: T * distillation_gradient(s, t, 1.0),
                "You compare the probabilities at temperature 1. Both are to be softened first.",
            ),
        ),
        properties=(Property("The pushes on the classes of an image sum to zero.", _pushes_balance),),
    ),
    Exercise(
        "mixed_loss",
        "06",
        "Hard and soft targets mixed",
        mixed_loss,
        cases=(
            (torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([0]), 2.0, 0.25),
            (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 2.0]]), torch.tensor([0, -1]), 4.0, 0.3),
            (torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([-1]), 3.0, 0.6),
        ),
        fresh=_random_mixed,
        mistakes=(
            Mistake(
                "shares_swapped",
                lambda s, t, y, T, a: mixed_loss(s, t, y, T, 1 - a),
                "The shares have changed places: alpha belongs to the teacher, 1 - alpha to the labels.",
            ),
            Mistake(
                "hard_part_softened",
                lambda s, t, y, T, a: a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y, T),
                "Your hard part is at temperature T. A label is a plain fact: take the student's logits as they are.",
            ),
            Mistake(
                "last_class",
                lambda s, t, y, T, a: a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y % s.shape[1]),
                "You read the label -1 as the last class (Python counts from the end). Such an image has no hard part.",
            ),
            Mistake(
                "mean_over_the_labelled",
                lambda s, t, y, T, a: a * distillation_loss(s, t, T) + (1 - a) * _hard(s, y, reduction="labelled"),
                "You divide the hard part by the number of labelled images. Then it weighs more the fewer there are, and it "
                "is 0/0 in a batch without any. Divide by the number of all images.",
            ),
            Mistake(
                "no_t_squared",
                lambda s, t, y, T, a: a * distillation_loss(s, t, T) / T**2 + (1 - a) * _hard(s, y),
                "The soft part lacks its factor T^2: changing T would change what alpha means.",
            ),
        ),
    ),
    Exercise(
        "replayed_copies",
        "06",
        "Views drawn again from their seeds",
        replayed_copies,
        cases=((torch.zeros(1, 1, 1, 2), Noise(1.0), 2, 0), (torch.ones(2, 1, 2, 2), Noise(0.1), 3, 5)),
        fresh=_random_images,
        mistakes=(
            Mistake(
                "all_copies_alike",
                lambda images, change, copies, seed: replayed_copies(images, change, 1, seed).repeat(copies, 1, 1, 1, 1),
                "All your copies are the same: copy r needs its own seed, seed + r.",
            ),
            Mistake(
                "one_generator",
                _one_generator,
                "One generator makes all your copies, so copy 3 cannot be drawn again without copies 0 to 2. Seed a new one "
                "for each copy.",
            ),
            Mistake(
                "chained",
                _chained,
                "Each of your copies is made from the one before it. Make every copy from the original images.",
            ),
            Mistake(
                "joined",
                lambda *arguments: replayed_copies(*arguments).flatten(0, 1),
                "You join the copies to one long batch. Stack them: (copies, n, channels, height, width).",
            ),
        ),
        properties=(Property("torch's global generator stays as it was.", _keeps_the_global_generator, "global_generator"),),
    ),
    Exercise(
        "fidelity",
        "06",
        "Fidelity",
        fidelity,
        cases=(
            (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])),
            (torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, 2.0]])),
        ),
        fresh=lambda generator: (torch.randn(5, 4, generator=generator), torch.randn(5, 4, generator=generator)),
        mistakes=(
            Mistake(
                "swapped",
                lambda s, t: (fidelity(s, t)[0], fidelity(t, s)[1]),
                "Your divergence is KL(student || teacher). The teacher's probabilities are to weigh it: KL(p_t || p_s).",
            ),
            Mistake(
                "summed",
                lambda s, t: (fidelity(s, t)[0], fidelity(s, t)[1] * len(s)),
                "You add up the divergences of the images. Take their mean.",
            ),
            Mistake(
                "mean_over_classes",
                lambda s, t: (fidelity(s, t)[0], fidelity(s, t)[1] / s.shape[1]),
                "You average the divergence over the classes too. Sum over the classes, then take the mean over the images.",
            ),
            Mistake(
                "counted",
                lambda s, t: (fidelity(s, t)[0] * len(s), fidelity(s, t)[1]),
                "You count the images on which both agree. A share is needed: divide by the number of images.",
            ),
            Mistake(
                "best_image_of_a_class",
                lambda s, t: ((s.argmax(dim=0) == t.argmax(dim=0)).float().mean().item(), fidelity(s, t)[1]),
                "Your argmax runs over the images. Each image has its class: argmax(dim=1).",
            ),
        ),
    ),
]
