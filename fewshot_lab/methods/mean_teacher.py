"""Mean teacher: the teacher is the moving average of its own student (Tarvainen & Valpola 2017, NeurIPS, arXiv 1703.01780).

After every step each weight of the teacher becomes decay * its own + (1 - decay) * the student's. The loss of a batch is the
cross-entropy to the labels that there are plus a consistency cost, the squared distance of the student's probabilities for one
view of each image from the teacher's for another. Labelled and unlabelled images count in it alike.
"""

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import Augment, train
from .distillation import measured

Average = Callable[[Tensor, Tensor, float], Tensor]
RAMP = 0.25  # the share of the steps in which the weight of the consistency rises; the paper's are 40,000 of 150,000


def moving_average(average: Tensor, weights: Tensor, decay: float) -> Tensor:
    """decay * average + (1 - decay) * weights, a new tensor of their shape without a gradient (equation 2)."""
    return (decay * average + (1 - decay) * weights).detach()


def consistency(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """The squared difference of the probabilities (n, classes), the mean over both; the teacher gets no gradient."""
    return F.mse_loss(student_logits.softmax(dim=1), teacher_logits.detach().softmax(dim=1))


def ramp_up(step: int, steps: int) -> float:
    """The share of the consistency's weight at a step from 0: exp(-5 (1 - x)^2) while x, step / (RAMP * steps), is below 1."""
    return math.exp(-5 * (1 - min(1.0, step / (RAMP * steps))) ** 2)


class MeanTeacher:
    """The average of a student's weights, and the `augment` and `loss` for `training.train` that learn from it.

    It has a state: make a new one for every training, and call `update` after it for the last step's weights.

    Args:
        student: the network that `train` will train.
        change: an augmentation, of which every image gets two views; None: both are the image itself.
        steps: of the training.
        decay: of the average, 0..1.
        weight: of the consistency after its ramp.
        average: `moving_average`, or a learner's.
    """

    def __init__(
        self,
        student: nn.Module,
        change: Augment | None,
        *,
        steps: int,
        decay: float,
        weight: float,
        average: Average = moving_average,
    ) -> None:
        # In training mode, as in the authors' code: its batch norms take the mean and variance of the batch at hand, as the
        # student's do, and keep running statistics of its own activations for the test. They are not averaged.
        self.network = copy.deepcopy(student).requires_grad_(False).train()
        self.student, self.average = student, average
        self.change = change or (lambda images, labels, generator: (images, labels))
        self.steps, self.decay, self.weight, self.step = steps, decay, weight, 0

    def augment(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two views of every image, the student's and then the teacher's: (2 n, C, H, W)."""
        first, labels = self.change(images, labels, generator)
        return torch.cat([first, self.change(images, labels, generator)[0]]), labels

    def loss(self, model: nn.Module, views: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the labelled images and weighted consistency of all, each a mean over all n images."""
        if self.step:  # the student has moved since the last batch
            self.update()
        first, second = views.chunk(2)
        with torch.no_grad():
            teacher_logits = self.network.to(views.device)(second)
        student_logits = model(first)
        hard = F.cross_entropy(student_logits, labels, ignore_index=-1, reduction="sum") / len(labels)
        weight = self.weight * ramp_up(self.step, self.steps)
        self.step += 1
        return hard + weight * consistency(student_logits, teacher_logits)

    def update(self) -> None:
        """Moves every weight of the teacher towards the student's."""
        # The first weights are random, so the average forgets them first: after k steps it is at most the mean of k + 1 states.
        decay = min(self.decay, 1 - 1 / (self.step + 1))
        with torch.no_grad():
            for mean, weights in zip(self.network.parameters(), self.student.parameters(), strict=True):
                mean.copy_(self.average(mean.to(weights.device), weights, decay))


def fit_mean_teacher(
    dataset: str,
    *,
    shots: int,
    seed: int,
    decay: float,
    weight: float,
    policy: str = "none",
    strength: float = 0.0,
    average: Average = moving_average,
    width: int = 8,
    steps: int = 200,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a student of few labels with the average of its weights as the teacher, and tests the average.

    About half of every batch is labelled: the K images of each class stand in the training set as often as that takes.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class, K.
        seed: of everything random.
        decay, weight: of the average and of the consistency.
        policy, strength: of the views.
        average: `moving_average`, or a learner's.
        width: channels of the first layer.
        steps: of the training.
        device: where to train.

    Returns what `distillation.fit_student` does; the student there is the average.
    """
    _, task = data.load(dataset).halves()
    labelled = task.rows(shots, seed)
    others = torch.arange(len(task.train_labels))
    others = others[~torch.isin(others, labelled)]
    again = labelled.repeat(max(1, round(len(others) / len(labelled))))
    x = task.train_images[torch.cat([again, others])]
    y = torch.cat([task.train_labels[again], torch.full_like(others, -1)])
    seed_everything(seed)
    student = conv_net_for(x, len(task.classes), width=width)
    options = {"steps": steps, "decay": decay, "weight": weight, "average": average}
    teacher = MeanTeacher(student, as_augment(policy, strength), **options)
    history = train(student, x, y, loss=teacher.loss, augment=teacher.augment, steps=steps, seed=seed, device=device)
    teacher.update()
    teacher.network.to(next(student.parameters()).device)
    measures = measured(teacher.network, task, task.train_images[labelled], task.train_labels[labelled], history)
    return {"student": teacher.network} | measures
