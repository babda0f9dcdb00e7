"""How an exercise is declared: reference, public cases, fresh random cases, properties, and the mistakes people make."""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import CourseError


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: when a learner's function returns what `function` returns on every case, `hint` is shown."""

    name: str
    function: Callable
    hint: str


@dataclass(frozen=True)
class Property:
    """Something that must hold for every right answer: `fails(function, generator)` says in words how it fails, or None.

    `mistake` names the mistake that this property finds. A function whose arguments or results are more than numbers, words
    and tensors is looked at by an inspector: `fails` then gets what `inspector(function)` saw (see inspectors.py).
    """

    statement: str
    fails: Callable[[Callable, torch.Generator], str | None]
    mistake: str | None = None
    inspector: Callable[[Callable], object] | None = None


@dataclass(frozen=True)
class Exercise:
    """One function that the learner writes; it is found by its name.

    cases: tuples of arguments that the learner may see. fresh(generator): one more tuple, drawn anew at every check.
    A result is right when it equals the reference's within `tolerance` and every property holds.
    """

    name: str
    chapter: str
    title: str
    reference: Callable
    cases: tuple[tuple, ...] = ()
    fresh: Callable[[torch.Generator], tuple] | None = None
    mistakes: tuple[Mistake, ...] = ()
    properties: tuple[Property, ...] = ()
    points: int = 1
    tolerance: float = 1e-4


@functools.cache
def exercises() -> dict[str, Exercise]:
    """All exercises of the course by name, from this room's chapter modules."""
    package = importlib.import_module(__package__)
    modules = [name for _, name, _ in pkgutil.iter_modules(package.__path__) if name.startswith("chapter_")]
    found: dict[str, Exercise] = {}
    for module in modules:
        for exercise in importlib.import_module(f"{__package__}.{module}").EXERCISES:
            if exercise.name in found:
                raise ValueError(f"Two exercises are called {exercise.name}; names must differ, checks find them by name.")
            found[exercise.name] = exercise
    return found


def exercise(name: str) -> Exercise:
    """The exercise of that name; raises CourseError with the known names for another."""
    if name not in exercises():
        raise CourseError(
            f"There is no exercise called {name!r}. The check finds it by the function's name: keep the name that the "
            f"notebook gives. Known: {', '.join(exercises())}."
        )
    return exercises()[name]
