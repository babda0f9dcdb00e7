"""Checkpoints of a training: one file, written atomically, read without running code, refused when the settings differ."""

import functools
import io
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CourseError
from ..files import write_atomically

FORMAT = 1


def fingerprint(tensor: Tensor) -> str:
    """The shape and checksum of a tensor, to tell one data set from another."""
    values = torch.as_tensor(tensor).detach().cpu().contiguous()
    return f"{tuple(values.shape)} {values.dtype} {zlib.crc32(values.reshape(-1).view(torch.uint8).numpy()):08x}"


def name_of(function: Callable | None) -> str:
    """A function's name with the plain values it was made with (of a partial or a closure), to tell it from another."""
    if function is None:
        return "none"
    if isinstance(function, functools.partial):
        name, values = name_of(function.func), [*function.args, *function.keywords.values()]
    else:
        name = getattr(function, "__qualname__", type(function).__name__)
        values = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    plain = [repr(value) for value in values if isinstance(value, (bool, int, float, str))]
    return f"{name}({', '.join(plain)})" if plain else name


def random_state(device: torch.device, generator: torch.Generator) -> dict[str, Tensor]:
    """The states of a training's generators: its own for augmentation and torch's global ones."""
    states = {"augment": generator.get_state(), "torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(states: dict[str, Tensor], device: torch.device, generator: torch.Generator) -> None:
    """Sets the generators back to `random_state`'s answer."""
    generator.set_state(states["augment"])
    torch.set_rng_state(states["torch"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def save(path: Path, settings: dict, state: dict) -> None:
    """Writes settings (plain values) and state (tensors, numbers, lists and dicts of them) as one file, all or nothing."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "settings": settings, "state": state}, buffer)
    write_atomically(Path(path), buffer.getvalue())


def load(path: Path, settings: dict) -> dict | None:
    """The state in the file, or None when there is no file; raises CourseError for a broken file or other settings."""
    path = Path(path)
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        made_with, state = content["settings"], content["state"]
        known = content["format"] == FORMAT
    except Exception as error:
        raise CourseError(f"The checkpoint {path} cannot be read ({type(error).__name__}). Delete it to start anew.") from error
    if not known:
        raise CourseError(f"The checkpoint {path} was written by another version of the course. Delete it to start anew.")
    others = [key for key in settings if made_with.get(key) != settings[key]]
    if others:
        differences = "; ".join(f"{key} was {made_with.get(key)}, now it is {settings[key]}" for key in others)
        raise CourseError(
            f"The checkpoint {path} belongs to another training: {differences}. "
            "Use the old settings to go on with it, or delete it (or name another file) to start anew."
        )
    return state
