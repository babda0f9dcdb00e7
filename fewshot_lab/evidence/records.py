"""Results that a chapter records: one tidy line for the reader, one JSON object for the run's results."""

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..training.metrics import Estimate, mean_interval

MIME = "application/vnd.fewshot-lab.result+json"


@dataclass(frozen=True)
class Record:
    """A named estimate; shown as the value of a cell, or by `display`, it reaches the run's results."""

    name: str
    estimate: Estimate
    headline: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.estimate}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        line = f"<code>{self.name}</code>: {html.escape(str(self.estimate))}"
        return {
            "text/plain": str(self),
            "text/html": f"<strong>{line}</strong>" if self.headline else f"<span>{line}</span>",
            MIME: self.as_json(),
        }

    def as_json(self) -> dict:
        """The record as plain values: {"name", "mean", "ci95": [low, high] or None, "n", "unit", "headline"}."""
        result = self.estimate
        ends = [_finite(result.low), _finite(result.high)]
        content = {
            "name": self.name,
            "mean": _finite(result.mean),
            "ci95": None if None in ends else ends,
            "n": int(result.n),
            "unit": result.unit,
            "headline": self.headline,
        }
        return content | ({"bound": result.bound} if result.bound else {})


def record(name: str, values_or_estimate: float | Sequence[float] | Estimate, unit: str = "", headline: bool = False) -> Record:
    """Names a result: an estimate, a single number, or one number per seed, of which mean and 95 % interval are taken.

    `name` is lower-case snake case; `unit` replaces the estimate's own when given; `headline` marks what to show first.
    Raises ValueError for another kind of name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"A result's name is lower-case words joined by underscores (accuracy_right_k5), not {name!r}.")
    given = values_or_estimate
    if not isinstance(given, Estimate):
        given = mean_interval([given] if not hasattr(given, "__len__") and not hasattr(given, "__iter__") else given, unit)
    elif unit:
        given = Estimate(given.mean, given.low, given.high, given.n, unit, given.bound)
    return Record(name, given, headline)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
