"""How every setting of the course was chosen: a module for each chapter, and the command `fewshot-lab choose`.

A procedure is a function of a candidate and a seed that returns a dict with a score measured on validation data. It is declared
by a decorator, and its docstring says what it chooses:

    @choice("affine-strength-digits", [0.1, 0.25, 0.5], data="digits' validation images, 5 labels per class")
    def _affine_strength_digits(candidate, seed):
        "The strength of the policy affine on digits."
        return fit_few_shot("digits", shots=5, seed=seed, policy="affine", strength=candidate)
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...evidence.choices import Choice, choose, keep


@dataclass(frozen=True)
class Procedure:
    """How a setting is chosen: the function to try, what it is tried with, and what `choose` is told besides."""

    name: str
    function: Callable[..., dict]
    candidates: Sequence | Callable[[], Sequence]
    options: dict

    @property
    def chapter(self) -> str:
        """The number of the chapter that uses the choice first: that of the module that declares it."""
        return self.function.__module__[-2:]

    def __call__(self) -> Choice:
        """Tries all candidates; takes seconds to minutes."""
        candidates = self.candidates() if callable(self.candidates) else self.candidates
        what = (self.function.__doc__ or "").strip().removesuffix(".")
        return choose(self.name, self.function, candidates, chapter=self.chapter, what=what, **self.options)


_PROCEDURES: dict[str, Procedure] = {}


def choice(name: str, candidates: Sequence | Callable[[], Sequence], *, data: str, **options) -> Callable:
    """Declares the decorated function(candidate, seed, ...) as the procedure that chooses the setting of that name.

    `candidates` are listed mildest, cheapest or most usual first, or are a function that lists them when an earlier choice
    decides which they are. `data` says what the score is measured on; `options` are those of `evidence.choices.choose`.
    """

    def keep_procedure(function: Callable[..., dict]) -> Callable[..., dict]:
        _PROCEDURES[name] = Procedure(name, function, candidates, {"data": data} | options)
        return function

    return keep_procedure


def procedures() -> dict[str, Procedure]:
    """All procedures by name, chapter after chapter, in the order in which they are declared."""
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        importlib.import_module(f".{module}", __name__)
    return dict(sorted(_PROCEDURES.items(), key=lambda item: item[1].chapter))


def run(names: Sequence[str] = ()) -> list[Choice]:
    """Chooses the settings of these names, or of all, in order, and keeps each as soon as it is chosen.

    A name may also be a chapter's number. Raises ValueError for a name that nothing has.
    """
    known = procedures()
    numbers = {procedure.chapter for procedure in known.values()}
    if unknown := [name for name in names if name not in known and name not in numbers]:
        raise ValueError(f"No setting is called {', '.join(unknown)}; there are {', '.join(known)}.")
    wanted = [procedure for procedure in known.values() if not names or {procedure.name, procedure.chapter} & set(names)]
    choices = []
    for procedure in wanted:
        choices.append(procedure())
        keep(choices[-1])
    return choices
