"""The one training loop of the course: any model, loss and augmentation, on any device."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CourseError
from ..languages import say
from . import processes, resume
from .batches import Batches
from .muon import Muon
from .progress import progress_bar

FETCH_EVERY = 100
REST = 0.07

# augment(images, labels, generator) -> images, labels; loss(model, images, labels) -> scalar
Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass
class History:
    """A training run: the loss of each step, the total seconds, and whether it came to rest."""

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        return len(self.losses)

    @property
    def at_rest(self) -> bool:
        """Whether the loss had all but stopped falling, so that more steps would change little.

        A training is at rest when, of the fall of its loss from the first step to the last fifth,
        at most a share of REST came after the middle fifth. A loss may rest at any height, as one
        under an attack does. docs/choices/rest.json says how often the rule agrees with what twice
        the steps would gain: in 37 of 48 cases, where it errs about as often one way as the other.
        """
        if self.steps < 5:
            return False
        fifth = self.steps // 5
        middle, last = fmean(self.losses[2 * fifth : 3 * fifth]), fmean(self.losses[-fifth:])
        return middle - last <= REST * (self.losses[0] - last)


def cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of model(images) (B, classes) against labels.

    Labels are class numbers (B,) or probabilities (B, classes).
    """
    return F.cross_entropy(model(images), labels)


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 1e-2,
    warmup: int = 10,
    weight_decay: float = 0.0,
    optimizer: type[torch.optim.Optimizer] = Muon,
    augment: Augment | None = None,
    loss: Loss = cross_entropy,
    seed: int = 0,
    precision: str = "no",
    device: str = "auto",
    progress: bool = False,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 0,
) -> History:
    """Trains `model` in place, unless told otherwise with Muon (training/muon.py).

    Every step takes a batch, augments it, sets the learning rate, computes the loss and its
    gradients, moves the weights and writes down the loss. All randomness comes from `seed`; the
    caller's random generators are left as they were. Under `accelerate launch` each process works
    on its share of every batch, and a batch norm sees that share.

    Args:
        model: moved to the device, trained there, and left in training mode.
        images: (N, ...): uint8 (scaled to 0..1 batch by batch), float, or other integers (kept).
        labels: class numbers (N,) or probabilities (N, classes), or whatever `loss` takes.
        steps: how many batches to learn from.
        batch_size: images in a batch, over all processes together.
        learning_rate: the largest one; after `warmup` steps it falls to 0 along half a cosine.
        warmup: steps in which the learning rate rises.
        weight_decay: how strongly the optimizer shrinks the weights; Muon has its own for matrices.
        optimizer: made as optimizer(weights, lr=..., weight_decay=..., fused=...), such as
            torch.optim.AdamW, which suits weights that were trained before.
        augment: augment(images, labels, generator) returns a changed batch; on the device.
        loss: loss(model, images, labels) returns a scalar.
        seed: of the order of the images, the augmentation, and dropout.
        precision: "no" (float32), "bf16", or "fp16" (GPU only).
        device: "auto", "cpu", "cuda", "mps".
        progress: whether to show a progress bar.
        checkpoint: a file to go on from after an interruption (see training/resume.py).
        checkpoint_every: steps between two writings; 0 is only when interrupted and at the end.

    Returns the history. Raises CourseError when the loss is not finite, ValueError for settings
    that make no sense.
    """
    settings = dict(locals())  # for the checkpoint; first, while the arguments are the only names

    if steps < 1 or batch_size < 1 or learning_rate <= 0 or warmup < 0:
        raise ValueError(
            "train needs steps >= 1, batch_size >= 1, learning_rate > 0 and warmup >= 0, not "
            f"steps={steps}, batch_size={batch_size}, learning_rate={learning_rate}, "
            f"warmup={warmup}."
        )

    # The accelerator knows the device, the precision, and which of how many processes this is. Its
    # `prepare` is not used: see processes.py for why, and for what takes its place.
    accelerator = processes.accelerator(precision, device)
    rank, world_size = accelerator.process_index, accelerator.num_processes
    device = accelerator.device

    # All processes shuffle with the same seed, and each takes other rows of the same batch. What
    # the augmentation draws must differ between processes, and from what the shuffling draws. Seeds
    # lie below 2**32, so blocks of that length never meet.
    batches = Batches(images, labels, batch_size, seed, device, rank, world_size)
    generator = torch.Generator().manual_seed(seed + (1 + rank) * 2**32)

    # The optimizer is made after the model has moved: it must hold the weights on the device. Fused
    # means one kernel for all weights; for small networks the many small ones cost more than the
    # arithmetic. Not all devices have it.
    model.to(device)
    processes.broadcast_parameters(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    fused = device.type in ("cpu", "cuda")
    optimizer = optimizer(weights, lr=learning_rate, weight_decay=weight_decay, fused=fused)
    # float16 underflows, so its loss is scaled up before the gradients are computed. A disabled
    # scaler does nothing but optimizer.step().
    scaler = accelerator.scaler or torch.amp.GradScaler(enabled=False)

    history, recent = History(), []
    began = time.perf_counter()
    parts = resume.Parts(model, optimizer, scaler, batches, generator, history, recent)
    bar = progress_bar(steps, "training steps") if progress and rank == 0 else None
    model.train()
    with (
        _own_randomness(seed + rank, device),
        resume.steps_left(parts, settings, accelerator) as steps_left,
        bar or contextlib.nullcontext(),
    ):
        for step in steps_left:
            # Batch. Bytes travel and are kept; they become floats only here, a batch at a time.
            x, y = batches.next()
            if x.dtype == torch.uint8:
                x = x.float().div_(255)

            # Augment: on the device, whole batches at a time, and anew whenever an image returns.
            if augment is not None:
                x, y = augment(x, y, generator)

            # Learning rate: a function of the step alone, so that there is no scheduler to keep.
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _warm_up_and_cosine(step, steps, warmup)

            # Loss. Shares of a batch may differ by a row. Each process takes the mean of its share,
            # and the mean of these means is that of the batch only when shares are weighted.
            with accelerator.autocast():
                value = loss(model, x, y)
            if batches.weight != 1:
                value = value * batches.weight

            # Gradients, averaged over the processes before anyone takes the step.
            optimizer.zero_grad()
            accelerator.backward(value)
            processes.all_reduce_gradients(model)

            # Step. With float16 the scaler skips it when gradients overflowed, and scales less.
            scaler.step(optimizer)
            scaler.update()

            # History. A loss stays on the device until there are a hundred: to read a number, the
            # CPU must wait for the GPU, which is then idle until the next step arrives.
            recent.append(value.detach())
            if len(recent) == FETCH_EVERY or step + 1 == steps:
                history.losses += accelerator.reduce(torch.stack(recent).float(), "mean").tolist()
                recent.clear()
                _check_finite(history.losses, steps, learning_rate, precision)
            if bar is not None:
                bar.update(step + 1 - bar.n)
    history.seconds += time.perf_counter() - began
    return history


def _warm_up_and_cosine(step: int, steps: int, warmup: int) -> float:
    """A step's share of the largest learning rate: a line up to 1, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _check_finite(losses: list[float], steps: int, learning_rate: float, precision: str) -> None:
    bad = next((i for i, value in enumerate(losses) if not math.isfinite(value)), None)
    if bad is not None:
        other = say("; precision bf16 or no may help too") if precision == "fp16" else ""
        raise CourseError(
            say(
                "The loss became {losses} at step {bad} of {steps}. Try a smaller learning rate "
                "(it is {learning_rate:g}) or some warm-up steps, and check that images and labels "
                "hold no NaN{other}.",
                losses=losses[bad],
                bad=bad + 1,
                steps=steps,
                learning_rate=learning_rate,
                other=other,
            )
        )


@contextlib.contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators, which dropout uses, and puts their old state back."""
    with torch.random.fork_rng([device.index or 0] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
