"""The whole pipeline as one experiment: six stages, each switched on or off, in any order, under one budget of labels.

A pipeline trains in one round, or in two when it distils. From its place on a stage stays in force:

    self-supervision      the body starts from SimCLR's weights, trained on the unlabelled images (chapter 04)
    augmentation          every batch is changed by the right policy of chapter 02
    adversarial training  the network learns from the worst images around its own (chapter 07)
    few-shot head         class means of the features answer, not the trained linear layer (chapter 05)
    distillation          what stands before is the teacher; a new network learns its answers to all images (chapter 06)
    instance generation   a GAN of the labelled images adds as many of its own (chapter 08)

So two orders of the same stages differ in what the *teacher* was given. The student of every order has all of them. No stage
sees a label beyond the K of each class: the teacher is the pipeline's own first round (self-training on a pretrained body:
Chen et al. 2020, NeurIPS, "big self-supervised models are strong semi-supervised learners").

How many steps a round takes matters. Tried on the digits, 5 labels per class, five seeds; steps of the first and second round:
accuracy with all stages; the joint gain minus the sum of the single ones.

    110, 110    0.892    -0.042 [-0.077, -0.007]
    130, 173    0.914    -0.024 [-0.067,  0.019]
    150, 200    0.917     0.002 [-0.032,  0.036]
    250, 250    0.934

The student with all stages learns the slowest. Stages that an interval finds harmful as the last one: three at 110 steps,
generation by a hair at 140 and 150, none at 130 and 250.
"""

import time
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment import as_augment
from ..data import ImageTask
from ..models import conv_net
from ..runtime import seed_everything
from ..training import accuracy, outputs, sweep, train
from .adversarial import adversarial_examples
from .attacks import cross_entropy_of
from .contrastive import FEATURES, simclr
from .distillation import TEMPERATURE, mixed_loss
from .generated_instances import fit_pool, unpacked
from .generation import task_of
from .prototypes import prototype_rule, simple_shot

STAGES = (
    *("self-supervision", "augmentation", "adversarial training"),
    *("few-shot head", "distillation", "instance generation"),
)  # in the article's order
RIGHT = ("affine", 0.25)  # the right policy of chapter 02
RADIUS = {"glyphs": 0.025, "digits": 0.075, "fashion": 0.025}  # of the attack in training, as in chapter 07
SCALE = 10.0  # of the prototypes' logits, so that their softmax is neither flat nor hard
PER_CLASS = 40  # generated images

Order = tuple[str, ...]


class Prototypical(nn.Module):
    """A body with prototypes as its head: logits -SCALE |z - c_k|^2, z the centred features at length 1 (chapter 05)."""

    def __init__(self, body: nn.Module, images: Tensor, labels: Tensor, unlabelled: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", outputs(body, unlabelled).mean(dim=0))
        z = simple_shot(outputs(body, images), self.mean)
        ways = int(labels.max()) + 1
        self.register_buffer("c", torch.stack([z[labels == k].mean(dim=0) for k in range(ways)]))

    def forward(self, images: Tensor) -> Tensor:
        z = simple_shot(self.body(images), self.mean)
        return SCALE * prototype_rule(self.c[None, :, None], z[None])[0]  # (B, classes)


def rounds(order: Order) -> tuple[frozenset | None, frozenset]:
    """The stages of the teacher (None without distillation) and those of the last round, for stages in their order.

    Raises ValueError for an unknown stage or one that stands there twice.
    """
    if unknown := set(order) - set(STAGES):
        raise ValueError(f"There is no stage {', '.join(sorted(unknown))}; the stages are {', '.join(STAGES)}.")
    if len(set(order)) < len(order):
        raise ValueError(f"A stage stands twice in {', '.join(order)}.")
    last = frozenset(order) - {"distillation"}
    before = order[: order.index("distillation")] if "distillation" in order else None
    return (None if before is None else frozenset(before)), last


def fit_start(dataset: str, *, seed: int, steps: int, device: str = "auto") -> dict[str, object]:
    """SimCLR on all training images, no label seen; returns start (the body's weights, on the CPU) and seconds."""
    images = task_of(dataset).train_images
    f, history = simclr(images, [RIGHT], steps=steps, batch_size=64, seed=seed, device=device)
    start = {name: value.detach().cpu() for name, value in f.state_dict().items()}
    return {"start": start, "seconds": history.seconds}


def fit_generated(dataset: str, *, shots: int, seed: int, steps: int, device: str = "auto") -> dict[str, object]:
    """A conditional GAN of the K labelled images of each class; returns pool (classes, PER_CLASS, 1, H, W) and seconds."""
    began = time.perf_counter()
    made = fit_pool(dataset, kind="gan", shots=shots, seed=seed, per_class=PER_CLASS, steps=steps, device=device)
    return {**made, "seconds": time.perf_counter() - began}


def fit_round(
    dataset: str,
    *,
    stages: frozenset,
    shots: int,
    seed: int,
    steps: int,
    start: Mapping[str, Tensor] | None = None,
    pool: Tensor | None = None,
    teacher: nn.Module | None = None,
    device: str = "auto",
) -> dict[str, object]:
    """One round of training on `shots` labels per class, with a teacher also on all other images without their labels.

    start: the body's weights; pool: generated images; each is used where its stage is among `stages`. Equal seeds draw equal
    labels, batches and first weights. Returns accuracies and networks, both {"linear": ..., "few-shot head": ...}, and seconds,
    those of the training.
    """
    task = task_of(dataset)
    rows = task.rows(shots, seed)
    x, y = _training_set(task, rows, pool if "instance generation" in stages else None, teacher is not None)
    seed_everything(seed)
    body = conv_net(FEATURES, size=x.shape[-1])
    model = nn.Sequential(body, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    if "self-supervision" in stages:
        body.load_state_dict(start)
    history = train(
        model,
        x,
        y,
        steps=steps,
        batch_size=32,
        learning_rate=5e-3,
        augment=as_augment(*RIGHT) if "augmentation" in stages else None,
        loss=round_loss(teacher, RADIUS[dataset] if "adversarial training" in stages else 0.0),
        seed=seed,
        device=device,
    )
    model = model.cpu().eval()
    labelled = task.train_images[rows], task.train_labels[rows]
    networks = {"linear": model, "few-shot head": Prototypical(model[:2], *labelled, task.train_images).eval()}
    found = {head: accuracy(outputs(net, task.test_images), task.test_labels) for head, net in networks.items()}
    return {"accuracies": found, "networks": networks, "seconds": history.seconds}


def round_loss(teacher: nn.Module | None, epsilon: float):
    """The loss of a round for `training.train`; labels are class numbers, or -1 where only the teacher knows.

    The worst images (one step from a random start, Wong et al. 2020, ICLR; epsilon 0 for none) lead away from the label or else
    from the teacher's class. The student is to answer for them as the teacher does for the images as they were (Goldblum et al.
    2020, AAAI).
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        answers, goal = None, labels
        if teacher is not None:
            with torch.no_grad():
                answers = teacher.to(images.device)(images)
            goal = torch.where(labels < 0, answers.argmax(dim=1), labels)
        if epsilon > 0:
            images = adversarial_examples(model, images, cross_entropy_of(model, goal), epsilon=epsilon, steps=1)
        logits = model(images)
        return F.cross_entropy(logits, labels) if teacher is None else mixed_loss(logits, answers, labels, TEMPERATURE, 0.5)

    return loss


def measure(
    orders: Mapping[str, Order],
    *,
    dataset: str,
    shots: int,
    seeds: Sequence[int],
    starts: Sequence[dict],
    pools: Sequence[dict] = (),
    steps: int,
    distilling_steps: int,
) -> dict[str, list[dict]]:
    """Trains every pipeline, a name with its stages in order, for every seed; a round that several have is trained once.

    starts, pools: rows of `fit_start` and `fit_generated`, one per seed. Returns {name: rows}, each row with
    seed, test_accuracy and the seconds that the pipeline would take alone, as `training.Arms` reads them.
    """
    plans = {name: rounds(order) for name, order in orders.items()}
    common = {"dataset": dataset, "shots": shots}

    def given(stages: frozenset, i: int) -> dict:
        extra = {"start": starts[i]["start"]} if "self-supervision" in stages else {}
        return extra | ({"pool": pools[i]["pool"]} if "instance generation" in stages else {})

    def trained(jobs: list, length: int, description: str) -> dict:
        grid = [
            {**common, "stages": stages, "seed": seeds[i], "steps": length, "teacher": teacher, **given(stages, i)}
            for (stages, _, i), teacher in jobs
        ]
        rows = sweep(fit_round, grid, description=description)
        return {key: row for (key, _), row in zip(jobs, rows, strict=True)}

    def key(stages: frozenset, teacher: frozenset | None, i: int) -> tuple:
        return stages - {"few-shot head"}, teacher, i  # the head is put on after the training

    every = range(len(seeds))
    first = {teacher if teacher is not None else last for teacher, last in plans.values()}
    jobs = dict.fromkeys(key(stages, None, i) for stages in _sorted(first) for i in every)
    done = trained([(job, None) for job in jobs], steps, "first rounds")
    second = dict.fromkeys(key(last, teacher, i) for teacher, last in plans.values() if teacher is not None for i in every)
    asked = [(job, done[key(job[1], None, job[2])]["networks"][_head(job[1])]) for job in second]
    done |= trained(asked, distilling_steps, "second rounds") if asked else {}

    def row(teacher: frozenset | None, last: frozenset, i: int) -> dict:
        used = last | (teacher or frozenset())
        seconds = done[key(last, teacher, i)]["seconds"]
        seconds += done[key(teacher, None, i)]["seconds"] if teacher is not None else 0.0
        seconds += starts[i]["seconds"] if "self-supervision" in used else 0.0
        seconds += pools[i]["seconds"] if "instance generation" in used else 0.0
        accuracy = done[key(last, teacher, i)]["accuracies"][_head(last)]
        return {"seed": seeds[i], "test_accuracy": accuracy, "seconds": seconds}

    return {name: [row(*plan, i) for i in every] for name, plan in plans.items()}


def interaction(nothing: Tensor, alone: Tensor, joint: Tensor) -> Tensor:
    """What the stages together gain, minus the sum of what each gains alone, seed by seed: 0 when gains add up.

    nothing, joint: accuracies (n,) with no stage and with all; alone (n, stages): with one stage each. Returns (n,).
    """
    return (joint - nothing) - (alone - nothing[:, None]).sum(dim=1)


def _training_set(task: ImageTask, rows: Tensor, pool: Tensor | None, all_images: bool) -> tuple[Tensor, Tensor]:
    """Images and labels of a round: the labelled rows or, with -1 for the others' labels, all; and a pool beside them."""
    x, y = task.train_images[rows], task.train_labels[rows]
    if all_images:
        x = task.train_images
        y = torch.full_like(task.train_labels, -1).index_copy(0, rows, y)
    if pool is None:
        return x, y
    made, classes = unpacked(pool)
    repeats = max(1, 2 * len(made) // len(x))  # a third of the images is generated, or less
    return torch.cat([x.repeat(repeats, 1, 1, 1), made]), torch.cat([y.repeat(repeats), classes])


def _head(stages: frozenset) -> str:
    return "few-shot head" if "few-shot head" in stages else "linear"


def _sorted(several: set[frozenset]) -> list[frozenset]:
    return sorted(several, key=lambda stages: (len(stages), sorted(stages)))
