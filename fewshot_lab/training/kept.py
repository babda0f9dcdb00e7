"""Keeps what took long for a second execution of the same notebook: its edition in another language shows the same numbers.

Calls are told apart by their order, which is the same in every edition of a chapter, since only texts differ.
"""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .. import runtime
from ..errors import CourseError
from ..languages import say

FOLDER = "FEWSHOT_LAB_KEPT"  # the environment variable that names the folder; without it nothing is kept
Made = TypeVar("Made")
_calls = itertools.count(1)


def kept(call: str, make: Callable[[], Made]) -> Made:
    """What `make` returns, or returned in the execution before that had the same folder in FEWSHOT_LAB_KEPT.

    Raises CourseError where the call of this number was another one: the two notebooks do not belong together.
    """
    folder = os.environ.get(FOLDER)
    if not folder or runtime.world_size() > 1:  # several processes of one training would write one file
        return make()
    import joblib

    path = Path(folder) / f"{next(_calls)}.pickle"
    if path.exists():
        before, made = joblib.load(path)
        if before != call:
            raise CourseError(
                say(
                    "{call} was called where {before} was the time before: {folder} belongs to another notebook.",
                    call=call,
                    before=before,
                    folder=folder,
                )
            )
        return made
    made = make()
    joblib.dump((call, made), path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)  # whole or not at all
    return made
