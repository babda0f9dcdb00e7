"""The one training loop of the course: any model, loss and augmentation, on a CPU, a GPU or several processes."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from .. import runtime
from ..errors import CourseError
from . import checkpoints, processes
from .batches import Batches
from .progress import progress_bar

FETCH_EVERY = 100

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass
class History:
    """What happened in a training: the loss of every step, (step, value) of every evaluation, and the time it took."""

    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    seconds_evaluating: float = 0.0
    stopped_early: bool = False

    @property
    def steps(self) -> int:
        return len(self.losses)

    @property
    def last_evaluated(self) -> int:
        """The step of the last evaluation, -1 before the first."""
        return self.evaluations[-1][0] if self.evaluations else -1

    @property
    def since_best(self) -> int:
        """How many evaluations followed the (first) best one."""
        values = [value for _, value in self.evaluations]
        return len(values) - 1 - values.index(max(values)) if values else 0

    @property
    def steps_per_second(self) -> float:
        return self.steps / max(self.seconds - self.seconds_evaluating, 1e-9)


def cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of model(images) (B, classes) against class numbers (B,) or probabilities (B, classes)."""
    return F.cross_entropy(model(images), labels)


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    augment: Augment | None = None,
    loss: Loss = cross_entropy,
    schedule: str = "cosine",
    warmup: int = 0,
    seed: int = 0,
    evaluate: Callable[[], float] | None = None,
    evaluate_every: int = 0,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 0,
    precision: str = "no",
    device: str = "auto",
    progress: bool = False,
) -> History:
    """Trains `model` in place with AdamW (Loshchilov & Hutter 2019, ICLR) and returns the history.

    `images` (N, ...) are uint8 (scaled to 0..1 batch by batch), float, or whole numbers of another type (left as they
    are); `labels` (N,) or (N, classes). `augment(images, labels, generator)` changes a batch on the device and may
    return soft labels; `loss(model, images, labels)` returns a scalar. The learning rate rises for `warmup` steps, then
    stays ("constant") or falls to 0 along a half cosine ("cosine"). `evaluate()` (higher is better) is called every
    `evaluate_every` steps and at the end; after `patience` evaluations without a better one the training stops, and
    with `patience` the best weights are put back. All randomness comes from `seed`; the caller's generators stay as
    they were.

    With `checkpoint` a file is written every `checkpoint_every` steps, when interrupted, and at the end; a training
    that finds its file goes on from there and ends with the same weights as one without a break. `precision` is "no",
    "bf16" or "fp16" (GPU only). Under `accelerate launch` every process takes its share of each batch; a batch norm sees
    that share. Raises CourseError when the loss is not finite, ValueError for settings that make no sense.
    """
    if steps < 1 or batch_size < 1 or learning_rate <= 0 or schedule not in ("constant", "cosine") or warmup < 0:
        raise ValueError(
            "train needs steps >= 1, batch_size >= 1, learning_rate > 0, warmup >= 0, schedule 'constant' or 'cosine', "
            f"not steps={steps}, batch_size={batch_size}, learning_rate={learning_rate}, warmup={warmup}, "
            f"schedule={schedule!r}."
        )
    if patience is not None and (patience < 1 or evaluate is None or evaluate_every < 1):
        raise ValueError("patience counts evaluations: give patience >= 1 together with evaluate and evaluate_every >= 1.")

    accelerator = processes.accelerator(precision, device)
    rank, world_size, place = accelerator.process_index, accelerator.num_processes, accelerator.device
    batches = Batches(images, labels, batch_size, seed, place, rank, world_size)
    generator = torch.Generator().manual_seed(seed + (1 + rank) * 2**32)
    model.to(place)
    processes.broadcast_parameters(model)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = place.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(trainable, lr=learning_rate, weight_decay=weight_decay, fused=fused)

    settings = {}
    if checkpoint is not None:
        settings = {
            "steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay,
            "schedule": schedule, "warmup": warmup, "seed": seed, "evaluate_every": evaluate_every,
            "patience": patience, "precision": precision, "processes": world_size, "device": place.type,
            "augment": checkpoints.name_of(augment), "loss": checkpoints.name_of(loss),
            "images": checkpoints.fingerprint(images), "labels": checkpoints.fingerprint(labels),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }  # fmt: skip
    history, recent, step, best = History(), [], 0, None
    began = time.perf_counter()

    def fetch_losses() -> None:
        if recent:
            history.losses.extend(accelerator.reduce(torch.stack(recent).float(), "mean").tolist())
            recent.clear()
            _check_finite(history.losses, steps, learning_rate, precision)

    def position() -> dict:
        return {"batches": batches.state(), "random": checkpoints.random_state(place, generator)}

    def save(here: dict) -> None:
        fetch_losses()
        positions = gather_object([here]) if world_size > 1 else [here]
        if accelerator.is_main_process:
            seconds = history.seconds + time.perf_counter() - began
            state = {
                "step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": best,
                "scaler": accelerator.scaler.state_dict() if accelerator.scaler else {}, "positions": positions,
                "history": asdict(replace(history, seconds=seconds)),
            }  # fmt: skip
            checkpoints.save(Path(checkpoint), settings, state)

    with _own_randomness(seed + rank, place), _interrupts_between_steps(checkpoint is not None) as interrupted:
        if checkpoint is not None and (state := checkpoints.load(Path(checkpoint), settings)):
            step, best, history = state["step"], state["best"], History(**state["history"])
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            if accelerator.scaler:
                accelerator.scaler.load_state_dict(state["scaler"])
            batches.restore(state["positions"][rank]["batches"])
            checkpoints.restore_random_state(state["positions"][rank]["random"], place, generator)

        model.train()
        bar = progress_bar(steps, "training steps") if progress and accelerator.is_main_process else None
        if bar is not None:
            bar.update(step)
        here = {}
        try:
            while True:
                if checkpoint is not None:
                    here = position()
                due = step == steps or (evaluate_every and step % evaluate_every == 0 and step > 0)
                if evaluate is not None and due and history.last_evaluated != step:
                    fetch_losses()
                    _evaluate(model, evaluate, step, history, accelerator)
                    if patience and history.since_best == 0:
                        best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
                    history.stopped_early = bool(patience) and history.since_best >= patience and step < steps
                    here = position() if checkpoint is not None else {}
                if step == steps or history.stopped_early:
                    break
                if interrupted.is_set():
                    raise KeyboardInterrupt
                if checkpoint_every and step % checkpoint_every == 0 and step > 0:
                    save(here)

                x, y = batches.next()
                if x.dtype == torch.uint8:
                    x = x.float().div_(255)
                if augment is not None:
                    x, y = augment(x, y, generator)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * _rate_factor(step, steps, warmup, schedule)
                with accelerator.autocast():
                    value = loss(model, x, y)
                if batches.weight != 1:
                    value = value * batches.weight
                optimizer.zero_grad()
                accelerator.backward(value)
                processes.all_reduce_gradients(model)
                if accelerator.scaler:
                    accelerator.scaler.step(optimizer)
                    accelerator.scaler.update()
                else:
                    optimizer.step()
                recent.append(value.detach())
                step += 1
                if len(recent) == FETCH_EVERY:
                    fetch_losses()
                if bar is not None:
                    bar.update()
            fetch_losses()
        except KeyboardInterrupt:
            if checkpoint is not None and world_size == 1:
                save(here)
            raise
        finally:
            if bar is not None:
                bar.close()
        if best is not None:
            model.load_state_dict(best)
        if checkpoint is not None:
            save(here)
    history.seconds += time.perf_counter() - began
    return history


def outputs(model: nn.Module, images: Tensor, batch_size: int | None = None, device: str | None = None) -> Tensor:
    """The model's outputs (N, ...) for images (N, ...), on the CPU, computed in evaluation mode without gradients.

    uint8 images are scaled to 0..1. `device` is where to compute (None: where the model is). Batches are of 64 images on
    a CPU, whose cache then holds the features (twice as fast as 512), and of 512 elsewhere, unless `batch_size` says
    otherwise. Every part of the model is back in its former mode afterwards.
    """
    images = torch.as_tensor(images)
    if device is not None:
        model.to(runtime.choose_device(device))
    place = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    batch_size = batch_size or (64 if place.type == "cpu" else 512)
    outputs = []
    with _modes_kept(model), torch.inference_mode():
        model.eval()
        for batch in images.split(batch_size):
            batch = batch.to(place, non_blocking=True)
            outputs.append(model(batch.float().div_(255) if batch.dtype == torch.uint8 else batch))
    return torch.cat(outputs).cpu()


def _rate_factor(step: int, steps: int, warmup: int, schedule: str) -> float:
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _evaluate(model: nn.Module, evaluate: Callable[[], float], step: int, history: History, accelerator: Accelerator) -> None:
    began = time.perf_counter()
    with _modes_kept(model):
        value = torch.tensor(float(evaluate()), dtype=torch.float64 if accelerator.device.type != "mps" else torch.float32)
    if accelerator.num_processes > 1:
        value = accelerator.reduce(value.to(accelerator.device), "mean")
    history.evaluations.append((step, value.item()))
    history.seconds_evaluating += time.perf_counter() - began


def _check_finite(losses: list[float], steps: int, learning_rate: float, precision: str) -> None:
    bad = next((i for i, value in enumerate(losses) if not math.isfinite(value)), None)
    if bad is not None:
        raise CourseError(
            f"The loss became {losses[bad]} at step {bad + 1} of {steps}. Try a smaller learning rate (it is "
            f"{learning_rate:g}) or some warm-up steps, and check that images and labels hold no NaN"
            f"{'; precision bf16 or no may help too' if precision == 'fp16' else ''}."
        )


@contextlib.contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device.index or 0] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _interrupts_between_steps(active: bool) -> Iterator[threading.Event]:
    """Holds back the first interrupt (Ctrl-C, a notebook's stop button) until the caller asks for it between two steps."""
    asked = threading.Event()
    if not active or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def hold_back(number, frame) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, hold_back)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
    if asked.is_set():
        raise KeyboardInterrupt
