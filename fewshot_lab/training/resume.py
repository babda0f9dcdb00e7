"""Trainings that go on after an interruption: the loop's steps, kept in a file on the way.

A training that is given `checkpoint` writes its whole state there: weights, the optimizer's moments, and where every random
generator stood. Called again with the same arguments it goes on from the file, and ends with bitwise the weights of a training
that was never interrupted. It writes the file every `checkpoint_every` steps, on Ctrl-C or a notebook's stop button, and at the
end; a finished training is not run again. A file of another training is refused with the settings that differ. With several
processes the first one writes and all read; there must be as many as before, and Ctrl-C writes nothing.
"""

import contextlib
import functools
import io
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from .batches import Batches

if TYPE_CHECKING:
    from .loop import History

FORMAT = 4
# Where the work is done, what is shown and where the file lies do not change what a training ends with.
NO_SETTINGS = {"device", "progress", "checkpoint", "checkpoint_every"}


@dataclass(frozen=True)
class Parts:
    """What changes in the course of a training; `recent` are losses that are still on the device."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    batches: Batches
    generator: torch.Generator
    history: "History"
    recent: list[Tensor]


@contextlib.contextmanager
def steps_left(parts: Parts, settings: dict, accelerator: Accelerator) -> Iterator[Iterable[int]]:
    """The numbers of the steps that are still to be taken: all of them, or those after where the checkpoint was written.

    Args:
        parts: set to what the file holds, and written to it while the steps are taken.
        settings: the arguments of `train`.
        accelerator: knows the device and the other processes.

    Raises CourseError for a broken file and for that of a training with other settings.
    """
    if settings["checkpoint"] is None:
        yield range(settings["steps"])
        return
    path, made_with = Path(settings["checkpoint"]), _described(settings, accelerator)
    state = _read(path, made_with)
    if state is not None:
        _restore(parts, state, accelerator)
    # A generator whose code between two yields runs between two steps of the loop, which knows nothing of files.
    with _interrupts_between_steps() as interrupted:
        yield _steps(state["step"] if state else 0, parts, settings, accelerator, interrupted, path, made_with)


def _steps(
    first: int,
    parts: Parts,
    settings: dict,
    accelerator: Accelerator,
    interrupted: threading.Event,
    path: Path,
    made_with: dict,
) -> Iterator[int]:
    steps, every, began = settings["steps"], settings["checkpoint_every"], time.perf_counter()
    for step in range(first, steps):
        yield step
        # The loop asks for its next step, so this one is complete: weights, moments and generators belong together.
        taken = step + 1
        # One process cannot write alone on Ctrl-C: the others would wait for it in the next step's all-reduce.
        stopped = interrupted.is_set() and accelerator.num_processes == 1
        if stopped or taken == steps or (every and taken % every == 0):
            _write(path, made_with, parts, taken, time.perf_counter() - began, accelerator)
        if interrupted.is_set():
            raise KeyboardInterrupt


def _write(path: Path, made_with: dict, parts: Parts, step: int, seconds: float, accelerator: Accelerator) -> None:
    # What differs between processes: the place in their own random numbers, and their own losses.
    own = {
        "batches": parts.batches.state_dict(),
        "random": _random_state(accelerator.device, parts.generator),
        "recent": torch.stack(parts.recent).cpu() if parts.recent else torch.zeros(0),
    }
    every = gather_object([own]) if accelerator.num_processes > 1 else [own]
    # A training that has broken down must not replace its last good file; the loop finds out when it fetches the losses.
    if not accelerator.is_main_process or not all(one["recent"].isfinite().all() for one in every):
        return
    state = {
        "step": step,
        "model": parts.model.state_dict(),
        "optimizer": parts.optimizer.state_dict(),
        "scaler": parts.scaler.state_dict(),
        "losses": parts.history.losses,
        "seconds": parts.history.seconds + seconds,
        "processes": every,
    }
    # Atomically: a process that is killed while it writes must leave the old file, not half of the new one.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "settings": made_with, "state": state}, buffer)
    write_atomically(path, buffer.getvalue())


def _read(path: Path, made_with: dict) -> dict | None:
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)  # weights_only: reading runs no code of the file's
        before, state, known = content["settings"], content["state"], content["format"] == FORMAT
    except Exception as error:
        raise CourseError(
            say("The checkpoint {path} cannot be read ({kind}). Delete it to start anew.", path=path, kind=type(error).__name__)
        ) from error
    if not known:
        raise CourseError(
            say("The checkpoint {path} was written by another version of the course. Delete it to start anew.", path=path)
        )
    # Going on with other settings or data would give weights that no single training has; say what differs instead.
    others = [key for key in made_with if before.get(key) != made_with[key]]
    if others:
        told = [
            say("{key} was {before}, now it is {now}", key=key, before=before.get(key), now=made_with[key]) for key in others
        ]
        differences = "; ".join(told)
        raise CourseError(
            say(
                "The checkpoint {path} belongs to another training: {differences}. Use the old settings to go on "
                "with it, or delete it (or name another file) to start anew.",
                path=path,
                differences=differences,
            )
        )
    return state


def _restore(parts: Parts, state: dict, accelerator: Accelerator) -> None:
    own = state["processes"][accelerator.process_index]
    parts.model.load_state_dict(state["model"])
    parts.optimizer.load_state_dict(state["optimizer"])
    parts.scaler.load_state_dict(state["scaler"])
    parts.batches.load_state_dict(own["batches"])
    parts.history.losses[:], parts.history.seconds = state["losses"], state["seconds"]
    parts.recent[:] = own["recent"].to(accelerator.device).unbind()
    parts.generator.set_state(own["random"]["augment"])
    torch.set_rng_state(own["random"]["torch"])
    if accelerator.device.type == "cuda":
        torch.cuda.set_rng_state(own["random"]["cuda"], accelerator.device)


def _random_state(device: torch.device, generator: torch.Generator) -> dict[str, Tensor]:
    states = {"augment": generator.get_state(), "torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _described(settings: dict, accelerator: Accelerator) -> dict[str, str | int | float]:
    """A training's settings as plain values that can be compared: functions by name, data by checksum."""
    kinds = {"images": _fingerprint, "labels": _fingerprint, "augment": _name_of, "loss": _name_of, "model": _size_of}
    kinds["optimizer"] = _name_of
    plain = {name: kinds.get(name, lambda value: value)(value) for name, value in settings.items() if name not in NO_SETTINGS}
    return plain | {"processes": accelerator.num_processes, "device": accelerator.device.type}


def _size_of(model: nn.Module) -> str:
    return f"{sum(weight.numel() for weight in model.parameters())} parameters"


def _fingerprint(tensor: Tensor) -> str:
    # A checksum, not a cryptographic hash: it guards against a mistake, and reads a large data set in no time.
    values = torch.as_tensor(tensor).detach().cpu().contiguous()
    return f"{tuple(values.shape)} {values.dtype} {zlib.crc32(values.reshape(-1).view(torch.uint8).numpy()):08x}"


def _name_of(function: Callable | None) -> str:
    """A function's name with the plain values that it was made with (in a partial or a closure): a policy's strength, say."""
    if function is None:
        return "none"
    if isinstance(function, functools.partial):
        name, values, named = _name_of(function.func), function.args, function.keywords
    else:
        name, named = getattr(function, "__qualname__", type(function).__name__), {}
        values = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    said = [("", value) for value in values] + [(f"{key}=", value) for key, value in named.items()]
    plain = [f"{key}{value!r}" for key, value in said if isinstance(value, (bool, int, float, str))]
    return f"{name}({', '.join(plain)})" if plain else name


@contextlib.contextmanager
def _interrupts_between_steps() -> Iterator[threading.Event]:
    """Holds back the first interrupt (Ctrl-C, a notebook's stop button) until the step is complete; a second one is not held.

    In the midst of a step half of the weights may have moved, and no file could describe that.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # Python lets only the main thread handle signals
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
    if asked.is_set():  # it came after the last step
        raise KeyboardInterrupt
