"""Data sets: glyphs (rendered typefaces), digits (handwritten, 8 x 8), fashion (Fashion-MNIST), emoji, and image folders."""

import functools
import importlib

from ..assets import installed
from ..errors import CourseError
from ..languages import say
from .images import ImageTask

# Every data set is the module of its name with a function task(), imported when it is first loaded. Beside the name: the asset
# that it needs, or None when it comes with the packages that the course needs anyway.
TASKS: dict[str, str | None] = {"glyphs": None, "digits": None, "fashion": "fashion", "emoji": "emoji"}

__all__ = ["TASKS", "ImageTask", "as_task", "available", "load"]


@functools.cache
def load(name: str) -> ImageTask:
    """The classification task of that name, kept in memory after the first call; raises CourseError for another name.

    "glyphs": 16 characters, 28 x 28, mild jitter, families of typefaces kept apart. "digits": 10 handwritten digits, 8 x 8.
    "fashion": 10 kinds of clothing, 28 x 28. "emoji": 8 groups of emoji by five artists, in colour, 32 x 32. The last two need
    the asset of their name, which must be there or fetchable.
    """
    if name not in TASKS:
        raise CourseError(
            say("There is no data set {name!r}; set DATASET to one of {known}.", name=name, known=", ".join(TASKS))
        )
    return importlib.import_module(f".{name}", __name__).task()


def as_task(dataset: str | ImageTask) -> ImageTask:
    """The task of that name, as `load` gives it, or the given task itself."""
    return load(dataset) if isinstance(dataset, str) else dataset


def available(*, first: str) -> list[str]:
    """The names in TASKS that `load` answers without a download, `first` in front."""
    here = [name for name, asset in TASKS.items() if asset is None or installed(asset)]
    return [first, *(name for name in here if name != first)]
