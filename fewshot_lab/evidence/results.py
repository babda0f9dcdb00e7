"""`record`: stores the results of a cell, one line each for the reader and one JSON list for the run's record."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from markupsafe import Markup

from ..training.metrics import Estimate, mean_interval
from .records import RESULT, Result


class Results(tuple[Result, ...]):
    """The results of one cell; its output shows each on a line and holds all of them for the run's record."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {
            "text/plain": str(self),
            "text/html": Markup("").join(Markup("<div>{}</div>").format(_line(result)) for result in self),
            RESULT: [result.as_json() for result in self],
        }


def record(
    *,
    unit: str = "",
    units: Mapping[str, str] | None = None,
    headline: str | Iterable[str] = (),
    **results: float | Sequence[float] | Estimate,
) -> Results:
    """Records results by name, such as `record(accuracy_k5=scores, unit="accuracy")`; let it be the last line of its cell.

    Raises ValueError for a name that is not lower-case snake case, and where `units` or `headline` name no result.

    Args:
        unit: the unit of the results that have none of their own.
        units: {name: unit} for single results; it replaces an estimate's own unit.
        headline: the name or names of the results that stand for the chapter in the table of a run.
        results: an Estimate, a single number, or one number per seed, of which the mean and its 95 % interval are taken.
    """
    units = units or {}
    headlines = {headline} if isinstance(headline, str) else set(headline)
    if not results:
        raise ValueError('Nothing to record: give results by name, such as record(accuracy_k5=scores, unit="accuracy").')
    for name in results:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            raise ValueError(f"A result's name is lower-case words joined by underscores (accuracy_right_k5), not {name!r}.")
    if unknown := sorted((headlines | set(units)) - set(results)):
        raise ValueError(f"headline or units name {', '.join(unknown)}, but recorded here: {', '.join(results)}.")
    estimates = {name: _as_estimate(value) for name, value in results.items()}
    return Results(
        Result(name, replace(estimate, unit=units.get(name) or estimate.unit or unit), name in headlines)
        for name, estimate in estimates.items()
    )


def _as_estimate(value: float | Sequence[float] | Estimate) -> Estimate:
    if isinstance(value, Estimate):
        return value
    single = not hasattr(value, "__len__") and not hasattr(value, "__iter__")  # numpy's and torch's scalars are no float
    return mean_interval([value] if single else value)


def _line(result: Result) -> Markup:
    line = Markup("<code>{}</code>: {}").format(result.name, result.estimate)
    return Markup("<strong>{}</strong>").format(line) if result.headline else line
