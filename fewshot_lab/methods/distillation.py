"""Distillation: a student learns the softened answers of a teacher (Hinton, Vinyals & Dean 2015, arXiv 1503.02531).

With z the logits, T the temperature, p^T = softmax(z / T), t the teacher and s the student, the loss of one image is

    L = alpha T^2 KL(p_t^T || p_s^T) + (1 - alpha) [it has a label y] (-log p_s(y))

The teacher does not change, so its logits are computed once (`cached_logits`). With augmentation the cache holds the logits of
a fixed number of augmented copies, and the copies are drawn again from their seeds (`replayed_copies`), so that teacher and
student see the same view (Beyer et al. 2022, CVPR). `online_loss` runs the teacher at every step instead.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment, get_policy
from ..augment.ranges import check_temperature
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import Augment, History, Loss, accuracy, hits_by_picture, outputs, train

TEMPERATURE = 4.0
HIGH = 100.0  # a temperature above which float32 has too few digits

Change = Callable[[Tensor, torch.Generator], Tensor]
Mixed = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]


def softened(logits: Tensor, temperature: float) -> Tensor:
    """softmax(z / T) of logits (n, classes): the plain softmax at T = 1, flatter above, uniform in the limit (equation 1).

    Raises ValueError for a temperature that is not above 0.
    """
    check_temperature(temperature)
    return (logits / temperature).softmax(dim=1)


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T^2 KL(p_t^T || p_s^T), the mean over the images; logits (n, classes), returns a scalar.

    Its gradient is that of the cross-entropy to the teacher, from which it differs by the teacher's entropy. Raises ValueError
    for a temperature that is not above 0.
    """
    check_temperature(temperature)
    dtype = student_logits.dtype
    if temperature > HIGH and student_logits.device.type != "mps":  # Apple's GPUs have no float64
        # The two distributions then differ in the last digits alone, of which float32 has too few for T^2 times a difference.
        student_logits, teacher_logits = student_logits.double(), teacher_logits.double()
    log_p_t = F.log_softmax(teacher_logits / temperature, dim=1)
    log_p_s = F.log_softmax(student_logits / temperature, dim=1)
    # A class that the teacher rules out (a logit of minus infinity) adds 0 log 0 = 0, which a computer takes for NaN.
    difference = (log_p_t - log_p_s).masked_fill(log_p_t == -torch.inf, 0.0)
    # T divides the logits in student and teacher, so the gradient shrinks with 1 / T^2. T^2 undoes it (section 2.1): another
    # temperature is not another learning rate, and alpha weighs the same two terms at every T.
    return (temperature**2 * (log_p_t.exp() * difference).sum(dim=1).mean()).to(dtype)


def distillation_gradient(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """The gradient of `distillation_loss` with respect to the student's logits, (n, classes): T (p_s^T - p_t^T) / n.

    For T large against the logits it tends to (z_s - z_t) / (n classes), the logits centred row by row (equation 4, times T^2).
    """
    p_s, p_t = softened(student_logits, temperature), softened(teacher_logits, temperature)
    return temperature * (p_s - p_t) / len(student_logits)


def mixed_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, alpha: float) -> Tensor:
    """alpha times the soft loss plus 1 - alpha times the hard one, the mean over all images; a scalar.

    Args:
        student_logits: (n, classes).
        teacher_logits: (n, classes).
        labels: class numbers (n,), -1 for an image without a label, which has the soft loss alone.
        temperature: of the soft loss; the hard one is at temperature 1.
        alpha: the weight of the soft loss, 0..1.
    """
    # Divided by all images, not by the labelled ones: every image has the same weight, labelled or not, and a batch without
    # any label is no 0 / 0.
    hard = F.cross_entropy(student_logits, labels, ignore_index=-1, reduction="sum") / len(labels)
    return alpha * distillation_loss(student_logits, teacher_logits, temperature) + (1 - alpha) * hard


def fidelity(student_logits: Tensor, teacher_logits: Tensor) -> tuple[float, float]:
    """How well the student imitates: the share of images with the teacher's class, and the mean KL(p_t || p_s) at T = 1.

    The divergence is in nats. Neither looks at the true labels: fidelity is not accuracy.
    Source: Stanton et al. 2021 (NeurIPS), equations 3 and 4.
    """
    agreement = (student_logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean()
    return agreement.item(), distillation_loss(student_logits, teacher_logits, 1.0).item()


def replayed_copies(images: Tensor, change: Change, copies: int, seed: int) -> Tensor:
    """`copies` augmented versions of all images: (copies, n, ...).

    Args:
        images: (n, ...).
        change: change(images, generator), an augmentation that draws from the generator.
        copies: how many.
        seed: of the first copy.
    """
    # Copy r has a generator of its own, seeded with seed + r: it can be made again alone, later, or in another process, and
    # more copies leave the first ones as they were.
    return torch.stack([change(images, torch.Generator().manual_seed(seed + r)) for r in range(copies)])


def fit_teacher(
    dataset: str,
    *,
    width: int = 64,
    shots: int | None = None,
    policy: str = "none",
    strength: float = 0.0,
    steps: int = 300,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a convolutional net to be a teacher and tests it.

    Args:
        dataset: a name in data.TASKS.
        width: channels of the net's first layer.
        shots: the K labels per class that a student with this seed has; None: all labels of the teacher's own half, which no
            student of the other half has.
        policy, strength: the augmentation of each batch.
        steps: of the training.
        seed: of the K labels, the first weights, the batches and the policy's draws.
        device: where to train.

    Returns:
        teacher (the network), and what `fit_student` returns beside its student.
    """
    own, students = data.load(dataset).halves()
    images, labels = (own.train_images, own.train_labels) if shots is None else students.draw(shots, seed)
    seed_everything(seed)
    teacher = conv_net_for(images, len(own.classes), width=width)
    change = as_augment(policy, strength)
    options = {"steps": steps, "augment": change, "seed": seed, "device": device}
    history = train(teacher, images, labels, **options)
    return {"teacher": teacher} | measured(teacher, own, images, labels, history)


def cached_logits(teacher: nn.Module, dataset: str, *, policy: str = "none", strength: float = 0.0, copies: int = 1) -> Tensor:
    """The teacher's logits for the student's n images in each of their replayed copies: (copies, n, classes), on the CPU.

    Args:
        teacher: the network.
        dataset: a name in data.TASKS.
        policy, strength: the augmentation of the copies; a student must be given the same.
        copies: views of each image.
    """
    views = _views(dataset, policy, strength, copies)
    return outputs(teacher, views.flatten(0, 1)).unflatten(0, views.shape[:2])


def cached_loss(temperature: float, alpha: float, mixed: Mixed = mixed_loss) -> Loss:
    """A loss for `training.train` whose labels are `packed` logits and labels."""
    check_temperature(temperature)

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return mixed(model(images), targets[:, :-1], targets[:, -1].long(), temperature, alpha)

    return loss


def online_loss(teacher: nn.Module, temperature: float, alpha: float, mixed: Mixed = mixed_loss) -> Loss:
    """A loss for `training.train` whose labels are class numbers or -1; the teacher sees every batch as the student does."""
    check_temperature(temperature)
    teacher.eval()  # the loop sets the student's mode alone

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            teacher_logits = teacher.to(images.device)(images)
        return mixed(model(images), teacher_logits, labels, temperature, alpha)

    return loss


def packed(teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """Logits (..., n, classes) and labels (n,) as one float tensor (..., n, classes + 1), the label in the last column.

    The loop hands a loss one tensor of labels, and the cached loss needs both.
    """
    column = labels.to(teacher_logits).expand(teacher_logits.shape[:-1])
    return torch.cat([teacher_logits, column[..., None]], dim=-1)


def replaying(views: Tensor, targets: Tensor) -> Augment:
    """An `augment` for `training.train` that replaces each image by a random one of its views, with that view's target.

    views: uint8 (copies, n, 1, H, W). targets: (copies, n, ...). The labels of the training are the images' row numbers.
    """

    def augment(images: Tensor, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal views, targets  # moved in the first step only
        views, targets = views.to(images.device), targets.to(images.device)
        copy = torch.randint(len(views), (len(rows),), generator=generator).to(images.device)
        return views[copy, rows].float().div_(255), targets[copy, rows]

    return augment


def fit_student(
    dataset: str,
    *,
    shots: int | None,
    seed: int,
    images: str = "labelled",
    teacher: Tensor | nn.Module | None = None,
    answers: str = "soft",
    policy: str = "none",
    strength: float = 0.0,
    temperature: float = TEMPERATURE,
    alpha: float = 0.5,
    smoothing: float = 0.0,
    mixed: Mixed = mixed_loss,
    width: int = 8,
    steps: int = 200,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a small student on its half of the training images and tests it.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class, K; None: all labels of the student's half.
        seed: of everything random.
        images: "labelled", the K images of each class, or "all", the whole half.
        teacher: None, `cached_logits`, or a network that is run at every step. Without a teacher the labels of all `images`
            are used, with one only those of the K.
        answers: of cached logits: "soft", or "hard" for the teacher's class as if it were the label (pseudo-labels).
        policy, strength: the augmentation; with cached logits the student sees their copies, else fresh ones at every step.
        temperature, alpha: of the loss.
        smoothing: of the labels, without a teacher: the share of the probability that all classes get alike (Müller,
            Kornblith & Hinton 2019, NeurIPS).
        mixed: `mixed_loss`, or a learner's.
        width: channels of the student's first layer.
        steps: of the training.
        device: where to train.

    Returns:
        student, test_logits (n, classes), test_accuracy, test_hits and test_sizes (`hits_by_picture`), validation_accuracy,
        train_accuracy (of the K labelled images), at_rest (whether the training came to rest) and seconds (of the training
        alone).
    """
    # A teacher that learned from the other half must not know the labels of images that the student has without one.
    _, task = data.load(dataset).halves()
    labelled = torch.arange(len(task.train_labels)) if shots is None else task.rows(shots, seed)
    rows = labelled if images == "labelled" else torch.arange(len(task.train_labels))
    x, y = task.train_images[rows], task.train_labels[rows]
    augment, loss = as_augment(policy, strength), smoothed_cross_entropy(smoothing)
    if teacher is not None:
        y = torch.where(torch.isin(rows, labelled), y, -1)
    if isinstance(teacher, nn.Module):
        loss = online_loss(teacher, temperature, alpha, mixed)
    elif isinstance(teacher, Tensor):
        logits = teacher[:, rows]  # (copies, n, classes)
        if answers == "hard":
            targets = torch.where(y < 0, logits.argmax(dim=-1), y)  # a pseudo-label never replaces a label
        else:
            targets, loss = packed(logits, y), cached_loss(temperature, alpha, mixed)
        augment = replaying(_views(dataset, policy, strength, len(teacher))[:, rows], targets)
        y = torch.arange(len(rows))  # what `replaying` looks up views and targets by

    seed_everything(seed)
    student = conv_net_for(x, len(task.classes), width=width)
    options = {"steps": steps, "augment": augment, "seed": seed, "device": device}
    history = train(student, x, y, loss=loss, **options)
    return {"student": student} | measured(student, task, task.train_images[labelled], task.train_labels[labelled], history)


def smoothed_cross_entropy(smoothing: float) -> Loss:
    """A loss for `training.train`: the cross-entropy to labels of which all classes alike get the share `smoothing`."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(model(images), labels, label_smoothing=smoothing)

    return loss


def measured(model: nn.Module, task: data.ImageTask, images: Tensor, labels: Tensor, history: History) -> dict[str, object]:
    """What is measured of every training: on its labelled images, on the validation and on the test part."""
    test_logits = outputs(model, task.test_images)
    return {
        "test_logits": test_logits,
        "test_accuracy": accuracy(test_logits, task.test_labels),
        **hits_by_picture(test_logits, task.test_labels, task.test_pictures),
        "validation_accuracy": accuracy(outputs(model, task.validation_images), task.validation_labels),
        "train_accuracy": accuracy(outputs(model, images), labels),
        "at_rest": history.at_rest,
        "seconds": history.seconds,
    }


@functools.cache  # a sweep trains many students on the same views
def _views(dataset: str, policy: str, strength: float, copies: int) -> Tensor:
    """The replayed copies of the student's images, uint8 (copies, n, 1, H, W)."""
    change = get_policy(policy)
    images = data.load(dataset).halves()[1].train_images
    return replayed_copies(images, lambda batch, generator: change(batch, strength, generator), copies, seed=0)
