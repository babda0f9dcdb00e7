"""How an exercise is declared: the reference solution, decorated, then its typical mistakes and its properties.

@exercise("The 95 % interval of a mean", cases=[(torch.tensor([0.5, 0.7]),)], fresh=_random_values)
def interval(values): ...

@interval.mistake("You divide by n. The standard error divides by the square root of n.")
def divided_by_n(values): ...

@interval.property("The mean lies in the middle.", mistake="lopsided")
def _centred(function, generator): ...
"""

import ast
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

from ..errors import CourseError
from ..languages import say

Inspector = Callable[[Callable, torch.Generator], object]
Fails = Callable[[Callable, torch.Generator], str | tuple[str, str] | None]


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: when a learner's function returns what `function` returns on every case, `hint` is shown."""

    name: str
    function: Callable
    hint: str


@dataclass(frozen=True)
class Property:
    """Something that must hold for every right answer: `fails(function, generator)` says in words how it fails, or None.

    `mistake` names the mistake that a failure reveals; where it can reveal several, `fails` returns (mistake, words). A
    function whose arguments or results are more than numbers, words and tensors is looked at by an inspector: `fails` then
    gets what `inspector(run, generator)` saw (see inspectors.py). Where that is only what the function's process says of
    itself, `shown(tree)` tells whether the answer's source shows it too: where it does not, a person marks the answer.
    """

    statement: str
    fails: Fails
    mistake: str | None = None
    inspector: Inspector | None = None
    shown: Callable[[ast.Module], bool] | None = None


@dataclass(eq=False)  # two exercises are never equal, and tensors among the cases could not be compared
class Exercise:
    """One function that the learner writes; calling the exercise calls its reference solution.

    cases: tuples of arguments that the learner may see. fresh(generator): one more tuple, drawn anew at every check.
    A result is right when it equals the reference's within `tolerance` and every property holds. `gradient` names the
    arguments towards which its gradient must equal the reference's too: a loss that has the right value and no gradient
    trains nothing. A `detached` result must carry none: the graph of an attack would grow with every step. `lab.hint` tells
    the `idea` (two sentences at most) and then the `steps`, none of which gives the code away.
    """

    reference: Callable
    title: str
    cases: tuple[tuple, ...] = ()
    fresh: Callable[[torch.Generator], tuple] | None = None
    tolerance: float = 1e-4
    gradient: tuple[str, ...] = ()
    detached: bool = False
    idea: str = ""
    steps: tuple[str, ...] = ()
    mistakes: list[Mistake] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.reference.__name__

    @property
    def chapter(self) -> str:
        """The number in the module's name: "02" in chapter_02.py and in chapter_02_listing.py."""
        return self.reference.__module__.rpartition(".chapter_")[2][:2]

    def __call__(self, *arguments):
        return self.reference(*arguments)

    def mistake(self, hint: str) -> Callable[[Callable], Callable]:
        """Declares the decorated function, a wrong answer, as a typical mistake of that name, which `hint` explains.

        A function whose name would hide one of Python's own ends in an underscore: `sum_` is the mistake "sum".
        """

        def declare(function: Callable) -> Callable:
            name = function.__name__.removesuffix("_")
            if any(known.name == name for known in self.mistakes):
                raise ValueError(f"Two mistakes of {self.name} are called {name}; learners and reports tell them by name.")
            self.mistakes.append(Mistake(name, function, hint))
            return function

        return declare

    def property(
        self,
        statement: str,
        *,
        mistake: str | None = None,
        inspector: Inspector | None = None,
        shown: Callable[[ast.Module], bool] | None = None,
    ) -> Callable[[Fails], Fails]:
        """Declares the decorated function as the `fails` of a Property."""

        def declare(fails: Fails) -> Fails:
            self.properties.append(Property(statement, fails, mistake, inspector, shown))
            return fails

        return declare


def exercise(
    title: str,
    *,
    cases: Iterable[tuple] = (),
    fresh: Callable[[torch.Generator], tuple] | None = None,
    tolerance: float = 1e-4,
    gradient: tuple[str, ...] = (),
    detached: bool = False,
    idea: str = "",
    steps: tuple[str, ...] = (),
) -> Callable[[Callable], Exercise]:
    """Turns the decorated function, a reference solution, into an Exercise of the same name."""

    def declare(reference: Callable) -> Exercise:
        # The module's name now holds the exercise. Pickle, which sends the reference to worker processes, looks a function
        # up by this path.
        reference.__qualname__ = f"{reference.__name__}.reference"
        return Exercise(reference, title, tuple(cases), fresh, tolerance, gradient, detached, idea, steps)

    return declare


@functools.cache
def exercises() -> dict[str, Exercise]:
    """All exercises of the course by name, in the order of the chapters and of their definition."""
    package = importlib.import_module(__package__)
    every: dict[str, Exercise] = {}
    for _, module_name, _ in pkgutil.iter_modules(package.__path__):
        if not module_name.startswith("chapter_"):
            continue
        for value in vars(importlib.import_module(f"{__package__}.{module_name}")).values():
            if isinstance(value, Exercise) and every.setdefault(value.name, value) is not value:
                raise ValueError(f"Two exercises are called {value.name}; names must differ, checks find them by name.")
    return every


def get_exercise(name: str) -> Exercise:
    """The exercise of that name; raises CourseError with the known names for another."""
    if name not in exercises():
        raise CourseError(
            say(
                "There is no exercise called {name!r}. The check finds it by the function's name: keep the name "
                "that the notebook gives. Known: {exercises}.",
                name=name,
                exercises=", ".join(exercises()),
            )
        )
    return exercises()[name]
