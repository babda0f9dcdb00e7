"""Verdicts: computed from estimates and their 95 % intervals, never typed."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..languages import later, say
from ..training.metrics import Estimate
from .claims import CLAIMS

MIME = "application/vnd.fewshot-lab.verdict+json"
SYMBOLS = {later("supported"): "✓", later("refuted"): "✗", later("inconclusive"): "?"}
COLOURS = {"supported": "#2da44e", "refuted": "#cf222e", "inconclusive": "#9a6700"}


@dataclass(frozen=True)
class Evidence:
    """One part of the case for a claim: `estimate` should lie above (">") or below ("<") `threshold`."""

    statement: str
    estimate: Estimate
    relation: str = ">"
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.relation not in (">", "<"):
            raise ValueError(f"relation is {self.relation!r}; it must be '>' or '<'.")
        if not isinstance(self.estimate, Estimate):
            raise ValueError(
                f"Evidence needs an estimate with an interval, not {type(self.estimate).__name__}: "
                "make one with mean_interval(values), paired_difference(a, b) or share_interval(successes, n)."
            )

    @property
    def verdict(self) -> str:
        """ "supported" when the whole interval lies on the said side, "refuted" when on the other, else "inconclusive"."""
        low = -math.inf if self.estimate.bound == "<=" else self.estimate.low
        high = math.inf if self.estimate.bound == ">=" else self.estimate.high
        if self.estimate.n < 2 or math.isnan(self.estimate.low + self.estimate.high):
            return "inconclusive"
        above, below = low > self.threshold, high < self.threshold
        if self.relation == "<":
            above, below = below, above
        return "supported" if above else "refuted" if below else "inconclusive"

    @property
    def measured(self) -> str:
        return self.estimate.describe(signed=self.threshold == 0)

    @property
    def needed(self) -> str:
        return f"{self.relation} {self.threshold:g}"

    def __str__(self) -> str:
        return f"{self.statement} = {self.measured}, needed {self.needed}"


@dataclass(frozen=True)
class Verdict:
    """A claim, what the evidence says about it ("supported", "refuted" or "inconclusive") and why in a sentence."""

    claim: str
    text: str
    verdict: str
    why: str
    evidence: tuple[Evidence, ...] = ()

    def __str__(self) -> str:
        lines = [f"{SYMBOLS[self.verdict]} {self.claim} {in_words(self.verdict)}: {self.text}"]
        lines += [f"  {mark(part.verdict)}: {part}" for part in self.evidence]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self._html(), MIME: self.as_json()}

    def as_json(self) -> dict:
        """The verdict as plain values: {"claim", "verdict", "why"}."""
        return {"claim": self.claim, "verdict": self.verdict, "why": self.why}

    def _html(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(part.statement)}</td><td>{html.escape(part.measured)}</td>"
            f"<td>{html.escape(part.needed)}</td><td style='text-align:left'>{mark(part.verdict)}</td></tr>"
            for part in self.evidence
        )
        heads = "".join(
            f"<th scope='col'>{head}</th>"
            for head in (say("evidence"), say("measured (95 % interval)"), say("needed"), say("says"))
        )
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        return f"<div><p>{badge(self.verdict)} <strong>{self.claim}</strong> {html.escape(self.text)}</p>{table}</div>"


def verdict(claim: str, text: str, evidence: Sequence[Evidence]) -> Verdict:
    """Judges a claim, stated in `text`: supported if all evidence is, refuted if any is, else inconclusive.

    `claim` is one of `CLAIMS`, such as "C3", or a lower-case name such as "warm-up" for a question of the chapter's own.
    Raises ValueError for a claim that is neither.
    """
    if claim not in CLAIMS and not claim.islower():
        raise ValueError(f"There is no claim {claim!r}; the ledger has {', '.join(CLAIMS)}.")
    parts = tuple(evidence)
    said = {part.verdict for part in parts}
    if "refuted" in said:
        result = "refuted"
    else:
        result = "supported" if said == {"supported"} else "inconclusive"
    deciding = "; ".join(str(part) for part in parts if part.verdict == result)
    return Verdict(claim, text, result, deciding or "no evidence was given", parts)


def mark(result: str) -> str:
    """A verdict's symbol and word."""
    return f"{SYMBOLS[result]} {in_words(result)}"


def in_words(result: str) -> str:
    """A verdict for a reader: in another language than English with the English word of the records beside it."""
    said = say(result)
    return said if said == result else f"{said} ({result})"


def badge(result: str) -> str:
    """A verdict as an HTML badge: symbol and word in the page's own text colour, framed, so that any theme can show it."""
    return (
        f"<span style='border:2px solid {COLOURS[result]};border-radius:4px;padding:1px 6px;font-weight:bold;"
        f"white-space:nowrap'>{mark(result)}</span>"
    )
