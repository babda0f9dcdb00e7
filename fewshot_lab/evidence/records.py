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
    """What the evidence says about a claim, in the words of the records; IN_PART, MIXED and UNTESTED are the ledger's.

    INCONCLUSIVE means too few repetitions, STILL_LEARNING that trainings had not come to rest, NO_EFFECT that the effect is
    smaller than the smallest one of interest.
    """

    SUPPORTED = later("supported")
    REFUTED = later("refuted")
    NO_EFFECT = later("no relevant effect")
    STILL_LEARNING = "still learning"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTABLE = later("not testable here")
    IN_PART = later("supported in part")
    MIXED = later("mixed")
    UNTESTED = later("not yet tested")

    @property
    def words(self) -> str:
        """The outcome as people read it."""
        longer = {
            Outcome.INCONCLUSIVE: later("inconclusive: too few"),
            Outcome.STILL_LEARNING: later("inconclusive: still learning"),
        }
        return longer.get(self, str(self))


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
        "ci95": [float(estimate.low), float(estimate.high)] if has_interval else None,  # or of another "kind"
        "n": int(estimate.n),
        "unit": estimate.unit,
    }
    optional = {
        "bound": estimate.bound,
        "kind": estimate.kind,
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
        kind=_text(content.get("kind")),
    )


@dataclass(frozen=True)
class Part:
    """One part of the case for a claim: what was measured, what was needed and what it says.

    Args:
        statement: what the estimate is of.
        estimate: the number with its interval.
        relation: ">" or "<".
        threshold: what the estimate should lie above or below.
        margin: by how much; the smallest effect of interest.
        ratio: whether the margin multiplies the threshold instead of adding to it.
        outcome: what the part says.
        p: the p value of that, NaN where nothing is decided.
        name: the part's name in the rules; "" in records of earlier versions.
    """

    statement: str
    estimate: Estimate
    relation: str
    threshold: float
    margin: float
    ratio: bool
    outcome: Outcome
    p: float = math.nan
    name: str = ""

    @property
    def measured(self) -> str:
        """The estimate in words, signed where the question is whether it differs from 0."""
        return self.estimate.describe(signed=self.threshold == 0)

    @property
    def needed(self) -> str:
        """The condition, such as "> 0.01"."""
        low, high = band(self.threshold, self.margin, self.ratio)
        return f"{self.relation} {high if self.relation == '>' else low:g}"

    @property
    def refuting(self) -> str:
        """What would refute it, such as "< -0.01"; what lies between the two is of no interest."""
        low, high = band(self.threshold, self.margin, self.ratio)
        return f"< {low:g}" if self.relation == ">" else f"> {high:g}"

    def __str__(self) -> str:
        return f"{self.statement} = {self.measured}, needed {self.needed}"

    def as_json(self) -> dict:
        """The part as plain values: those of its fields, with the estimate as `estimate_as_json` writes it."""
        content = {"name": self.name, "statement": self.statement, "outcome": str(self.outcome), "relation": self.relation}
        content |= {"threshold": self.threshold, "margin": self.margin} | ({"ratio": True} if self.ratio else {})
        return content | ({} if math.isnan(self.p) else {"p": self.p}) | {"estimate": estimate_as_json(self.estimate)}

    @classmethod
    def from_json(cls, content: dict) -> "Part":
        """The inverse of `as_json`; raises ValueError, TypeError or KeyError for a part that is damaged."""
        numbers = {name: _number(content[name]) for name in ("threshold", "margin")}
        if any(map(math.isnan, numbers.values())) or content["relation"] not in (">", "<"):
            raise ValueError(f"a part with {numbers} and the relation {content['relation']!r}")
        return cls(
            _name(content["statement"]),
            estimate_from_json(dict(content["estimate"])),
            content["relation"],
            **numbers,
            ratio=content.get("ratio") is True,
            outcome=Outcome(content["outcome"]),
            p=_number(content.get("p")),
            name=_text(content.get("name")),
        )


def band(threshold: float, margin: float, ratio: bool) -> tuple[float, float]:
    """The values around a threshold whose difference from it is of no interest."""
    return (threshold / margin, threshold * margin) if ratio else (threshold - margin, threshold + margin)


@dataclass(frozen=True)
class Verdict:
    """What the evidence says about a claim.

    Args:
        claim: its name.
        verdict: what the evidence says.
        why: the same in a sentence, with the numbers that decided.
        sentence: what is claimed; "" in records of earlier versions.
        parts: all that was measured.
        rules: the hash of the rules file under which it was reached; "" before there was one.
        rule: the hash of what that file said of this claim.
    """

    claim: str
    verdict: Outcome
    why: str
    sentence: str = ""
    parts: tuple[Part, ...] = ()
    rules: str = ""
    rule: str = ""

    @property
    def p(self) -> float:
        """The p value of the verdict: the largest of a supported claim's parts, which are all needed.

        Of one that a single part decided it is that part's, times the number of parts among which it could be found
        (Bonferroni). NaN where nothing is decided.
        """
        decisive = [part.p for part in self.parts if part.outcome == self.verdict]
        if not decisive or any(map(math.isnan, decisive)):
            return math.nan
        return max(decisive) if self.verdict == Outcome.SUPPORTED else min(1.0, min(decisive) * len(self.parts))

    def as_json(self) -> dict:
        """The verdict as plain values: {"claim", "verdict", "why"[, "sentence", "rules", "rule", "parts"]}."""
        content = {"claim": self.claim, "verdict": str(self.verdict), "why": self.why}
        optional = {"sentence": self.sentence, "rules": self.rules, "rule": self.rule}
        optional |= {"parts": [part.as_json() for part in self.parts]}
        return content | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_json(cls, content: dict) -> "Verdict":
        """The inverse of `as_json`; raises ValueError, TypeError or KeyError for an unknown outcome or a damaged part."""
        parts = content.get("parts") or []
        return cls(
            _name(content["claim"]),
            Outcome(content["verdict"]),
            _text(content.get("why")),
            _text(content.get("sentence")),
            tuple(Part.from_json(dict(part)) for part in (parts if isinstance(parts, list) else [])),
            _text(content.get("rules")),
            _text(content.get("rule")),
        )


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
