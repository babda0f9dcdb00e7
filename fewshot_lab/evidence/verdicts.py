"""Computes verdicts from estimates and their 95 % intervals; nobody types one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..html import badge, table
from ..languages import say
from ..training.metrics import Estimate
from .claims import CLAIMS
from .records import VERDICT, Outcome, Verdict

SYMBOLS = {Outcome.SUPPORTED: "✓", Outcome.REFUTED: "✗", Outcome.INCONCLUSIVE: "?", Outcome.MIXED: "±"}


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
    def verdict(self) -> Outcome:
        """Supported if the whole interval is on the side asked for, refuted if on the other; else inconclusive."""
        low, high = self.estimate.limits
        if self.estimate.n < 2 or math.isnan(self.estimate.low + self.estimate.high):
            return Outcome.INCONCLUSIVE
        above, below = low > self.threshold, high < self.threshold
        if self.relation == "<":
            above, below = below, above
        return Outcome.SUPPORTED if above else Outcome.REFUTED if below else Outcome.INCONCLUSIVE

    @property
    def measured(self) -> str:
        """The estimate in words, signed where the question is whether it differs from 0."""
        return self.estimate.describe(signed=self.threshold == 0)

    @property
    def needed(self) -> str:
        """The condition, such as "> 0.02"."""
        return f"{self.relation} {self.threshold:g}"

    def __str__(self) -> str:
        return f"{self.statement} = {self.measured}, needed {self.needed}"


@dataclass(frozen=True)
class Judgement(Verdict):
    """The verdict that `verdict` returns: the record, with the claim's text and the evidence, which the cell also shows."""

    text: str = ""
    evidence: tuple[Evidence, ...] = ()

    def __str__(self) -> str:
        lines = [f"{SYMBOLS[self.verdict]} {self.claim} {in_words(self.verdict)}: {self.text}"]
        lines += [f"  {with_symbol(part.verdict)}: {part}" for part in self.evidence]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self._html(), VERDICT: self.as_json()}

    def _html(self) -> Markup:
        heads = (say("evidence"), say("measured (95 % interval)"), say("needed"), say("says"))
        rows = [(part.statement, part.measured, part.needed, with_symbol(part.verdict)) for part in self.evidence]
        shown = Markup("<div><p>{} <strong>{}</strong> {}</p>{}</div>")
        return shown.format(as_badge(self.verdict), self.claim, self.text, table(heads, rows) if rows else "")


def verdict(claim: str, text: str, evidence: Sequence[Evidence]) -> Judgement:
    """Judges a claim: supported if all of the evidence supports it, refuted if any part refutes it, else inconclusive.

    Raises ValueError for a claim that is neither the ledger's ("C1") nor a lower-case name ("warm-up"), as the chapters'
    own questions have.
    """
    if claim not in CLAIMS and not claim.islower():
        raise ValueError(f"There is no claim {claim!r}; the ledger has {', '.join(CLAIMS)}.")
    parts = tuple(evidence)
    outcomes = {part.verdict for part in parts}
    if Outcome.REFUTED in outcomes:
        outcome = Outcome.REFUTED
    else:
        outcome = Outcome.SUPPORTED if outcomes == {Outcome.SUPPORTED} else Outcome.INCONCLUSIVE
    deciding = "; ".join(str(part) for part in parts if part.verdict == outcome)
    return Judgement(claim, outcome, deciding or "no evidence was given", text, parts)


def with_symbol(outcome: Outcome) -> str:
    """An outcome's symbol, where it has one, and its word."""
    return f"{SYMBOLS.get(outcome, '')} {in_words(outcome)}".lstrip()


def in_words(outcome: Outcome) -> str:
    """An outcome in the reader's language, followed by the English word of the records if that is different."""
    word = say(outcome)
    return word if word == outcome else f"{word} ({outcome})"


def as_badge(outcome: Outcome) -> Markup:
    """An outcome's symbol and word as a badge in its colour."""
    return badge(outcome, with_symbol(outcome))
