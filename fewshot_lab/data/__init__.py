"""Data sets: glyphs (rendered typefaces), digits (handwritten, 8 x 8), fashion (Fashion-MNIST), and image folders."""

import functools

from .images import ImageTask

TASKS = ("glyphs", "digits", "fashion")

__all__ = ["TASKS", "ImageTask", "load"]


@functools.cache
def load(name: str) -> ImageTask:
    """The classification task of that name, kept in memory after the first call; raises CourseError for another name.

    "glyphs": 16 characters, 28 x 28, mild jitter, test typefaces unseen in training. "digits": 10 handwritten digits, 8 x 8.
    "fashion": 10 kinds of clothing, 28 x 28 (the asset of that name must be there or fetchable).
    """
    if name == "glyphs":
        from .glyphs import task
    elif name == "digits":
        from .digits import task
    elif name == "fashion":
        from .fashion import task
    else:
        from ..errors import CourseError

        raise CourseError(f"There is no data set {name!r}; set DATASET to one of {', '.join(TASKS)}.")
    return task()
