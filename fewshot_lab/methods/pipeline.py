"""The whole pipeline as one experiment: six stages, each switched on or off, in any order, under one budget of labels.

A pipeline trains in one round or, when it distils, in two of as many steps together. A stage takes effect from its position in
the order onwards:

    self-supervision      the backbone starts from SimCLR's weights, trained on the unlabelled images (chapter 04)
    augmentation          every batch is changed by the right policy of chapter 02
    adversarial training  the network learns from adversarial examples of its own images (chapter 07)
    few-shot head         class means of the features answer, not the trained linear layer (chapter 05)
    distillation          the stages so far make the teacher; a new network learns its answers to all images (chapter 06)
    instance generation   a GAN of the labelled images adds as many of its own (chapter 08)

So two orders of the same stages differ in what the *teacher* was given. The student of every order has all of them. No stage
sees a label beyond the K of each class: the teacher is the pipeline's own first round (self-training on a pretrained backbone:
Chen et al. 2020, NeurIPS, "big self-supervised models are strong semi-supervised learners").

docs/decisions.md says how the verdict depends on the number of steps.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment import as_augment
from ..data import ImageTask
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import Loss, accuracy, hits_by_picture, outputs, sweep, train
from .adversarial import adversarial_examples
from .attacks import cross_entropy_of
from .contrastive import FEATURES, simclr
from .distillation import mixed_loss
from .generated_instances import fit_generated_set, images_and_labels
from .generation import GAMES, small_task
from .prototypes import prototype_rule, simple_shot

STAGES = (
    *("self-supervision", "augmentation", "adversarial training"),
    *("few-shot head", "distillation", "instance generation"),
)  # in the article's order
RIGHT = "affine"  # the right policy of chapter 02
SCALE = 10.0  # of the prototypes' logits, so that their softmax is neither flat nor hard
PER_CLASS = 40  # generated images

Order = tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """The settings of the stages, which the chapters of each stage chose.

    strength: of the right policy. epsilon: of the attack in training. temperature, alpha: of the student's loss (`mixed_loss`).
    """

    strength: float
    epsilon: float
    temperature: float
    alpha: float


class Prototypical(nn.Module):
    """A backbone with prototypes as its head: logits -SCALE |z - c_k|^2, z the centred features at length 1 (chapter 05)."""

    def __init__(self, backbone: nn.Module, images: Tensor, labels: Tensor, unlabelled: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", outputs(backbone, unlabelled).mean(dim=0))
        z = simple_shot(outputs(backbone, images), self.mean)
        ways = int(labels.max()) + 1
        self.register_buffer("c", torch.stack([z[labels == k].mean(dim=0) for k in range(ways)]))

    def forward(self, images: Tensor) -> Tensor:
        z = simple_shot(self.backbone(images), self.mean)
        return SCALE * prototype_rule(self.c[None, :, None], z[None])[0]  # (B, classes)


def rounds(order: Order) -> tuple[frozenset | None, frozenset]:
    """The stages of the teacher (None without distillation) and those of the last round.

    Raises ValueError for a stage that is unknown or named twice.
    """
    if unknown := set(order) - set(STAGES):
        raise ValueError(f"There is no stage {', '.join(sorted(unknown))}; the stages are {', '.join(STAGES)}.")
    if len(set(order)) < len(order):
        raise ValueError(f"A stage is named twice in {', '.join(order)}.")
    last = frozenset(order) - {"distillation"}
    teacher = frozenset(order[: order.index("distillation")]) if "distillation" in order else None
    return teacher, last


def fit_start(dataset: str, *, seed: int, steps: int, strength: float, device: str = "auto") -> dict[str, object]:
    """SimCLR on all training images, without labels; returns start (the backbone's weights, on the CPU) and seconds.

    strength: of the right policy, which makes the views.
    """
    images = small_task(dataset).train_images
    (f, _), history = simclr(images, [(RIGHT, strength)], steps=steps, batch_size=64, seed=seed, device=device)
    start = {name: value.detach().cpu() for name, value in f.state_dict().items()}
    return {"start": start, "seconds": history.seconds}


def fit_generated(
    dataset: str, *, shots: int, seed: int, steps: int, game: str = "R1", device: str = "auto"
) -> dict[str, object]:
    """A conditional GAN of the K labelled images per class; returns generated (classes, PER_CLASS, 1, H, W) and seconds.

    game: a name in generation.GAMES.
    """
    # half=False: the pipeline draws its K labels from all training images, and the GAN must learn from the same ones.
    options = {"half": False, "per_class": PER_CLASS, "steps": steps, "device": device, **GAMES[game]}
    row = fit_generated_set(dataset, kind="gan", shots=shots, seed=seed, **options)
    return {"generated": row["generated"], "seconds": row["seconds"]}


def fit_round(
    dataset: str,
    *,
    stages: frozenset,
    shots: int,
    seed: int,
    steps: int,
    recipe: Recipe,
    start: Mapping[str, Tensor] | None = None,
    generated: Tensor | None = None,
    teacher: nn.Module | None = None,
    device: str = "auto",
) -> dict[str, object]:
    """One round of training on `shots` labels per class; with a teacher also on all other images, without their labels.

    Args:
        dataset: a name in data.TASKS.
        stages: names of STAGES; "distillation" has no effect here, `teacher` has.
        shots: labels per class.
        seed: equal seeds draw equal labels, batches and first weights.
        steps: of the training, with batches of 32.
        recipe: the settings of the stages.
        start: the backbone's weights for the stage "self-supervision".
        generated: the generated set for the stage "instance generation", uint8 (classes, per_class, 1, H, W).
        teacher: a network in evaluation mode, or None.
        device: where to train.

    Returns:
        tested and networks, both {"linear": ..., "few-shot head": ...}, where tested holds test_accuracy, its hits by
        picture and validation_accuracy; at_rest (whether the training came to rest) and seconds, those of the training.
    """
    task = small_task(dataset)
    rows = task.rows(shots, seed)
    x, y = _training_set(task, rows, generated if "instance generation" in stages else None, teacher is not None)
    seed_everything(seed)
    backbone = conv_net_for(x, FEATURES)
    model = nn.Sequential(backbone, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    if "self-supervision" in stages:
        backbone.load_state_dict(start)
    history = train(
        model,
        x,
        y,
        steps=steps,
        batch_size=32,
        augment=as_augment(RIGHT, recipe.strength) if "augmentation" in stages else None,
        loss=round_loss(teacher, recipe.epsilon if "adversarial training" in stages else 0.0, recipe.temperature, recipe.alpha),
        seed=seed,
        device=device,
    )
    model = model.cpu().eval()
    # Both heads are always tested: the few-shot head costs no training, so two pipelines that differ in it share this round.
    labelled = task.train_images[rows], task.train_labels[rows]
    networks = {"linear": model, "few-shot head": Prototypical(model[:2], *labelled, task.train_images).eval()}
    tested = {head: _tested(net, task) for head, net in networks.items()}
    return {"tested": tested, "networks": networks, "at_rest": history.at_rest, "seconds": history.seconds}


def _tested(network: nn.Module, task: ImageTask) -> dict:
    answers = outputs(network, task.test_images)
    return {
        "test_accuracy": accuracy(answers, task.test_labels),
        **hits_by_picture(answers, task.test_labels, task.test_pictures),
        "validation_accuracy": accuracy(outputs(network, task.validation_images), task.validation_labels),
    }


def round_loss(teacher: nn.Module | None, epsilon: float, temperature: float = 1.0, alpha: float = 0.5) -> Loss:
    """The loss of a round for `training.train`; labels are class numbers, or -1 for an image that has no label.

    Adversarial examples are made by one step of 1.25 epsilon from a random start (Wong et al. 2020, ICLR), away from the label
    or, where there is none, from the teacher's class; epsilon 0: none. The student learns to answer them as the teacher answers
    the images they were made from (Goldblum et al. 2020, AAAI).
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        teacher_logits, away_from = None, labels
        if teacher is not None:
            # Asked before the attack: the teacher need not be robust, so it is shown clean images only.
            with torch.no_grad():
                teacher_logits = teacher.to(images.device)(images)
            away_from = torch.where(labels < 0, teacher_logits.argmax(dim=1), labels)
        if epsilon > 0:
            images = adversarial_examples(model, images, cross_entropy_of(model, away_from), epsilon=epsilon, steps=1)
        logits = model(images)
        if teacher is None:
            return F.cross_entropy(logits, labels)
        return mixed_loss(logits, teacher_logits, labels, temperature, alpha)

    return loss


def measure(
    orders: Mapping[str, Order],
    *,
    dataset: str,
    shots: int,
    seeds: Sequence[int],
    recipe: Recipe,
    starts: Sequence[dict],
    generated_sets: Sequence[dict] = (),
    steps: int,
    distilling_steps: int,
) -> dict[str, list[dict]]:
    """Trains every pipeline for every seed; a round that several pipelines have in common is trained once.

    All pipelines take equally many steps: one that does not distil takes those of both rounds in its only one.

    Args:
        orders: the pipelines, {name: stages in order}.
        dataset: a name in data.TASKS.
        shots: labels per class.
        seeds: one training of each pipeline per seed.
        recipe: the settings of the stages.
        starts: rows of `fit_start`, one per seed.
        generated_sets: rows of `fit_generated`, one per seed; empty when no pipeline has the stage "instance generation".
        steps: of the first round of a pipeline that distils.
        distilling_steps: of its second round.

    Returns:
        {name: rows}, one row per seed with seed, test_accuracy, its hits by picture, validation_accuracy, at_rest (of all
        rounds) and the seconds that the pipeline would take alone.
    """
    plans = {name: rounds(order) for name, order in orders.items()}
    every = range(len(seeds))

    # A round is known by (its stages, its teacher's stages or None, its steps, its seed's position). The few-shot head is no
    # part of it: it is put on after the training.
    def key(stages: frozenset, teacher: frozenset | None, length: int, i: int) -> tuple:
        return stages - {"few-shot head"}, teacher, length, i

    def trained(keys: Collection[tuple], teachers: Mapping[tuple, nn.Module], description: str) -> dict:
        grid = [
            {
                **{"dataset": dataset, "shots": shots, "stages": stages, "seed": seeds[i], "steps": length, "recipe": recipe},
                "teacher": teachers.get((stages, teacher, length, i)),
                "start": starts[i]["start"] if "self-supervision" in stages else None,
                "generated": generated_sets[i]["generated"] if "instance generation" in stages else None,
            }
            for stages, teacher, length, i in keys
        ]
        return dict(zip(keys, sweep(fit_round, grid, description=description), strict=True))

    # First every round without a teacher, of all pipelines and seeds in one sweep: the rounds of pipelines that do not distil
    # and those of the teachers. Only then can the second rounds start. A dict keeps the order and drops what comes twice.
    only = {last for teacher, last in plans.values() if teacher is None}
    of_teachers = {teacher for teacher, _ in plans.values() if teacher is not None}
    lengths = (only, steps + distilling_steps), (of_teachers, steps)
    first_keys = dict.fromkeys(key(stages, None, n, i) for some, n in lengths for stages in _sorted(some) for i in every)
    rows = trained(first_keys, {}, "first rounds")
    distilling = [(teacher, last) for teacher, last in plans.values() if teacher is not None]
    second_keys = dict.fromkeys(key(last, teacher, distilling_steps, i) for teacher, last in distilling for i in every)
    teachers = {k: rows[key(k[1], None, steps, k[3])]["networks"][_head(k[1])] for k in second_keys}
    if second_keys:
        rows |= trained(second_keys, teachers, "second rounds")

    def row(teacher: frozenset | None, last: frozenset, i: int) -> dict:
        used = last | (teacher or frozenset())
        first = rows[key(teacher, None, steps, i)] if teacher is not None else None
        final = rows[key(last, teacher, distilling_steps if first else steps + distilling_steps, i)]
        # What was trained once for several pipelines counts in each: a reader who runs one of them pays for all its parts.
        seconds = final["seconds"]
        seconds += first["seconds"] if first else 0.0
        seconds += starts[i]["seconds"] if "self-supervision" in used else 0.0
        seconds += generated_sets[i]["seconds"] if "instance generation" in used else 0.0
        at_rest = final["at_rest"] and (first is None or first["at_rest"])
        return {"seed": seeds[i], **final["tested"][_head(last)], "at_rest": at_rest, "seconds": seconds}

    return {name: [row(*plan, i) for i in every] for name, plan in plans.items()}


def interaction(nothing: Tensor, alone: Tensor, joint: Tensor) -> Tensor:
    """The gain of all stages together minus the sum of their single gains, seed by seed: 0 when gains add up.

    nothing, joint: accuracies (n,) with no stage and with all; alone (n, stages): with one stage each. Returns (n,).
    """
    return (joint - nothing) - (alone - nothing[:, None]).sum(dim=1)


def _training_set(task: ImageTask, rows: Tensor, generated: Tensor | None, all_images: bool) -> tuple[Tensor, Tensor]:
    """Images and labels of a round: the labelled rows, or all with -1 for a missing label; and the generated set, if any."""
    x, y = task.train_images[rows], task.train_labels[rows]
    if all_images:
        x = task.train_images
        y = torch.full_like(task.train_labels, -1).index_copy(0, rows, y)
    if generated is None:
        return x, y
    extra, classes = images_and_labels(generated)
    repeats = max(1, 2 * len(extra) // len(x))  # so that about a third of the images is generated, or less
    return torch.cat([x.repeat(repeats, 1, 1, 1), extra]), torch.cat([y.repeat(repeats), classes])


def _head(stages: frozenset) -> str:
    return "few-shot head" if "few-shot head" in stages else "linear"


def _sorted(several: set[frozenset]) -> list[frozenset]:
    return sorted(several, key=lambda stages: (len(stages), sorted(stages)))
