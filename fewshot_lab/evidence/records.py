"""The record format: how a cell's output stores a result, a verdict or a check, and the reader of all three."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..languages import later
from ..training.metrics import Estimate

RESULT = "application/vnd.fewshot-lab.result+json"
VERDICT = "application/vnd.fewshot-lab.verdict+json"
CHECK = "application/vnd.fewshot-lab.check+json"


class Outcome(StrEnum):
    """What the evidence says about a claim. MIXED and UNTESTED are for the ledger, where several chapters test a claim."""

    SUPPORTED = later("supported")
    REFUTED = later("refuted")
    INCONCLUSIVE = later("inconclusive")
    MIXED = later("mixed")
    UNTESTED = later("not yet tested")


class CheckStatus(StrEnum):
    """How a check of an exercise ended."""

    PASSED = later("passed")
    FAILED = later("failed")
    NOT_ATTEMPTED = later("not attempted")


@dataclass(frozen=True)
class Result:
    """A named estimate; a headline stands for its chapter in the table of a run."""

    name: str
    estimate: Estimate
    headline: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.estimate}"

    def as_json(self) -> dict:
        """The result as plain values: {"name", "headline"} and those of `estimate_as_json`."""
        return {"name": self.name, **estimate_as_json(self.estimate), "headline": self.headline}

    @classmethod
    def from_json(cls, content: dict) -> "Result":
        """The inverse of `as_json`; a missing or damaged number becomes NaN (n becomes 0), any other value an empty text."""
        return cls(_name(content["name"]), estimate_from_json(content), content.get("headline") is True)


def estimate_as_json(estimate: Estimate) -> dict:
    """An estimate as plain values: {"mean", "ci95": [low, high] or None, "n", "unit"}, and those of its other fields it has."""
    has_interval = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    content = {
        "mean": float(estimate.mean) if math.isfinite(estimate.mean) else None,  # JSON has no NaN
        "ci95": [float(estimate.low), float(estimate.high)] if has_interval else None,
        "n": int(estimate.n),
        "unit": estimate.unit,
    }
    optional = {
        "bound": estimate.bound,
        "open": list(estimate.open),
        "df": float(estimate.df) if math.isfinite(estimate.df) else None,
        "over": estimate.over,
        "rest": {arm: float(share) for arm, share in estimate.rest},
        "values": [float(value) for value in estimate.values],
    }
    return content | {name: value for name, value in optional.items() if value}


def estimate_from_json(content: dict) -> Estimate:
    """The inverse of `estimate_as_json`; what is missing or damaged is left out."""
    ends = content.get("ci95")
    low, high = map(_number, ends) if isinstance(ends, list) and len(ends) == 2 else (math.nan, math.nan)
    if math.isnan(low + high):  # half an interval is none
        low = high = math.nan
    n, bound, df = _number(content.get("n")), _text(content.get("bound")), _number(content.get("df"))
    cut, rest, values = content.get("open"), content.get("rest"), content.get("values")
    shares = {arm: _number(share) for arm, share in rest.items()} if isinstance(rest, dict) else {}
    numbers = [_number(value) for value in values] if isinstance(values, list) else []
    return Estimate(
        mean=_number(content.get("mean")),
        low=low,
        high=high,
        n=0 if math.isnan(n) else int(n),
        unit=_text(content.get("unit")),
        bound=bound if bound in (">=", "<=") else "",
        values=() if any(map(math.isnan, numbers)) else tuple(numbers),
        rest=tuple((str(arm), share) for arm, share in shares.items() if not math.isnan(share)),
        over=_text(content.get("over")),
        df=df if df > 0 else math.inf,
        open=tuple(end for end in ("low", "high") if isinstance(cut, list) and end in cut),
    )


@dataclass(frozen=True)
class Verdict:
    """A claim's name, what the evidence says about it, and why in a sentence."""

    claim: str
    verdict: Outcome
    why: str

    def as_json(self) -> dict:
        """The verdict as plain values: {"claim", "verdict", "why"}."""
        return {"claim": self.claim, "verdict": str(self.verdict), "why": self.why}

    @classmethod
    def from_json(cls, content: dict) -> "Verdict":
        """The inverse of `as_json`; raises ValueError for an unknown outcome."""
        return cls(_name(content["claim"]), Outcome(content["verdict"]), _text(content.get("why")))


@dataclass(frozen=True)
class Check:
    """How one try of an exercise ended; `mistake` names the typical mistake that was recognised, if any."""

    exercise: str
    status: CheckStatus
    message: str = ""
    mistake: str | None = None

    def as_json(self) -> dict:
        """The check as plain values: {"exercise", "status", "message", "mistake"}."""
        return {"exercise": self.exercise, "status": str(self.status), "message": self.message, "mistake": self.mistake}

    @classmethod
    def from_json(cls, content: dict) -> "Check":
        """The inverse of `as_json`; raises ValueError for an unknown status."""
        message, mistake = _text(content.get("message")), _text(content.get("mistake")) or None
        return cls(_name(content["exercise"]), CheckStatus(content["status"]), message, mistake)


@dataclass(frozen=True)
class Records:
    """What the cells of a notebook recorded: results by name, verdicts by claim, checks by exercise."""

    results: dict[str, Result] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)

    def check_counts(self) -> dict[CheckStatus, int]:
        """How many exercises have each status."""
        counts = Counter(check.status for check in self.checks.values())
        return {status: counts[status] for status in CheckStatus}


def recorded(cells) -> Records:
    """The records in the outputs of a notebook's cells (nbformat or plain JSON); if a name occurs twice, the last one counts.

    The notebook may be damaged or hostile: anything that is no valid record is ignored, and raises nothing.
    """
    records = Records()
    for result in _read(cells, RESULT, Result.from_json):
        records.results[result.name] = result
    for verdict in _read(cells, VERDICT, Verdict.from_json):
        records.verdicts[verdict.claim] = verdict
    for check in _read(cells, CHECK, Check.from_json):
        records.checks[check.exercise] = check
    return records


def _read(cells, mime: str, from_json: Callable[[dict], Any]) -> Iterator[Any]:
    for cell in _dicts(cells):
        for output in _dicts(cell.get("outputs")):
            data = output.get("data")
            content = data.get(mime) if isinstance(data, dict) else None
            # A cell records several results as a list; notebooks of earlier versions hold one result per output.
            for one in _dicts(content if isinstance(content, list) else [content]):
                try:
                    yield from_json(one)
                except (KeyError, TypeError, ValueError):
                    continue


def _dicts(values) -> list[dict]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _number(value) -> float:
    """A finite number, or NaN for anything else: Jupyter's JSON turns NaN into the text "nan" or into null."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # an integer beyond the range of floats
        number = math.nan
    return number if math.isfinite(number) else math.nan


def _name(value) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name is a text, not {type(value).__name__}")
    return value


def _text(value) -> str:
    return value if isinstance(value, str) else ""
