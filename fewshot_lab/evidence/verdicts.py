"""Computes verdicts from estimates and their 95 % intervals by the rules of rules.toml; nobody types one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from .. import runtime
from ..html import badge, table
from ..languages import later, say
from ..training.metrics import Estimate
from .full_profile import full_profile_says
from .records import VERDICT, Outcome, Part, Verdict, band
from .rules import RULES, Claim, still_learning

SYMBOLS = {
    Outcome.SUPPORTED: "✓",
    Outcome.REFUTED: "✗",
    Outcome.NO_EFFECT: "≈",
    Outcome.STILL_LEARNING: "…",
    Outcome.INCONCLUSIVE: "?",
    Outcome.NOT_TESTABLE: "–",
    Outcome.IN_PART: "◐",
    Outcome.MIXED: "±",
}
# One part refutes a claim that needs all of them; and an effect that is known to be too small needs no further trial.
_DECIDES_FIRST = (Outcome.REFUTED, Outcome.NO_EFFECT, Outcome.STILL_LEARNING, Outcome.INCONCLUSIVE)


@dataclass(frozen=True)
class Judgement(Verdict):
    """The verdict that `verdict` returns: the record, which its cell also shows with the full profile's verdict under it.

    `exploring` says which parameter was changed, where the run is not the one that the rules describe.
    """

    exploring: str = ""

    def __str__(self) -> str:
        lines = [f"{SYMBOLS[self.verdict]} {self.claim} {in_words(self.verdict)}: {say(self.sentence)}"]
        for part in self.parts:
            values = {"statement": say(part.statement), "measured": part.measured, "needed": part.needed}
            said = say("{statement} = {measured}, needed {needed}", **values)
            lines.append(f"  {with_symbol(part.outcome)}: {said}{beside(part.estimate)}")
        return "\n".join([*lines, *self._below()])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self._html(), VERDICT: self.as_json()}

    def _html(self) -> Markup:
        heads = [
            say("evidence"),
            say("measured (95 % interval)"),
            say("supports"),
            say("refutes"),
            say("says"),
            say("at rest"),
            say("drawn anew"),
        ]
        rows = [
            (say(p.statement), p.measured, p.needed, p.refuting, with_symbol(p.outcome), *_how(p.estimate)) for p in self.parts
        ]
        shown = Markup("<div><p>{} <strong>{}</strong> {}</p>{}{}</div>")
        below = Markup("").join(Markup("<p>{}</p>").format(line) for line in self._below())
        return shown.format(as_badge(self.verdict), self.claim, say(self.sentence), table(heads, rows) if rows else "", below)

    def _below(self) -> list[str]:
        if self.exploring:
            return [say("This run explores ({changed}) and is no verdict of the ledger.", changed=self.exploring)]
        reason = [say(self.why)] if self.verdict == Outcome.NOT_TESTABLE else []
        full = full_profile_says(self.claim)
        return reason + ([say("full profile: {says}", says=full)] if full else [])


def verdict(
    claim: str,
    *,
    exploring: str = "",
    missing: str = "",
    **estimates: Estimate,
) -> Judgement:
    """Judges a claim by the rules file, from one estimate for each of its parts: `lab.verdict("C3a", strongest=estimate)`.

    A claim is refuted if any part is; else without relevant effect, still learning or inconclusive if any part is; else
    supported. One that cannot be tested takes no estimates.

    Args:
        claim: its name in the rules file.
        exploring: which parameter was changed, such as "DATASET=digits"; the verdict is then recorded under a name of its own.
        missing: why the numbers are not here, such as an asset that was not fetched; the claim is then not testable here.
        estimates: an Estimate for each part, by its name.

    Raises ValueError for a claim that is not in the rules file, and for parts that are missing or unknown.
    """
    if claim not in RULES.claims:
        raise ValueError(f"There is no claim {claim!r} in rules.toml; there are {', '.join(RULES.claims)}.")
    rule = RULES.claims[claim]
    names = [] if missing else [part.name for part in rule.parts]
    if wrong := [f"{name} is missing" for name in names if name not in estimates] + [
        f"{name} is unknown" for name in estimates if name not in names
    ]:
        raise ValueError(f"{claim} needs the parts {', '.join(names) or '(none)'}, but {', '.join(wrong)}.")
    name = f"exploring {claim}, {exploring}" if exploring else claim
    hashes = {"rules": RULES.hash(), "rule": RULES.hash(claim, runtime.current().profile)}
    made = partial(Judgement, sentence=rule.sentence, **hashes, exploring=exploring)
    if not rule.testable or missing:
        return made(name, Outcome.NOT_TESTABLE, rule.reason or missing)
    parts = tuple(_judged(part.name, rule, estimates[part.name]) for part in rule.parts)
    outcome = _overall([part.outcome for part in parts])
    return made(name, outcome, _why(parts, outcome), parts=parts)


def outcome_of(
    estimate: Estimate, relation: str, threshold: float, margin: float = 0.0, ratio: bool = False, short: bool = False
) -> Outcome:
    """What an estimate's interval says about "it lies above (or below) the threshold by more than the margin".

    Supported if the whole interval lies beyond the band around the threshold, refuted if it lies wholly on the other side, no
    relevant effect if it lies within; else inconclusive. If an arm had not come to rest, that comes first, unless `short`.
    """
    if not short and still_learning(estimate):
        return Outcome.STILL_LEARNING
    if estimate.n < 2 or not estimate.has_interval:
        return Outcome.INCONCLUSIVE
    (low, high), (least, most) = estimate.limits, band(threshold, margin, ratio)
    above, below = low > most, high < least
    if relation == "<":
        above, below = below, above
    if above or below:
        return Outcome.SUPPORTED if above else Outcome.REFUTED
    return Outcome.NO_EFFECT if margin and least <= low and high <= most else Outcome.INCONCLUSIVE


def _judged(name: str, rule: Claim, estimate: Estimate) -> Part:
    part = next(part for part in rule.parts if part.name == name)
    _needs_estimate(name, estimate)
    limit = RULES.thresholds.get(part.margin)
    margin, ratio = (limit.value, limit.ratio) if limit else (0.0, False)
    outcome = outcome_of(estimate, part.relation, part.threshold, margin, ratio, rule.short)
    least, most = band(part.threshold, margin, ratio)
    beyond, opposite = (most, least) if part.relation == ">" else (least, most)
    nulls = {Outcome.SUPPORTED: [beyond], Outcome.REFUTED: [opposite], Outcome.NO_EFFECT: [least, most]}.get(outcome, [])
    p = max((estimate.p_value(null) for null in nulls), default=math.nan)
    return Part(part.statement, estimate, part.relation, part.threshold, margin, ratio, outcome, p, name)


def _overall(outcomes: Sequence[Outcome]) -> Outcome:
    return next((outcome for outcome in _DECIDES_FIRST if outcome in outcomes), Outcome.SUPPORTED)


def _why(parts: Sequence[Part], outcome: Outcome) -> str:
    """The parts that decided; of arms that had not come to rest their names too."""
    return "; ".join(str(part) + _arms_still_learning(part) for part in parts if part.outcome == outcome)


def _arms_still_learning(part: Part) -> str:
    if part.outcome != Outcome.STILL_LEARNING:
        return ""
    return " (" + ", ".join(f"{arm}: {share:.0%} at rest" for arm, share in still_learning(part.estimate)) + ")"


def _shares(estimate: Estimate) -> str:
    return ", ".join(f"{arm} {share:.0%}" for arm, share in estimate.rest)


def _how(estimate: Estimate) -> tuple[str, str]:
    return _shares(estimate) or "–", estimate.over or "–"


def beside(estimate: Estimate) -> str:
    """What is known of an estimate beside its interval, in brackets: shares at rest, and what is drawn anew."""
    known = {later("at rest"): _shares(estimate), later("drawn anew"): estimate.over}
    told = "; ".join(f"{say(word)}: {what}" for word, what in known.items() if what)
    return f" ({told})" if told else ""


def _needs_estimate(name: str, estimate) -> None:
    if not isinstance(estimate, Estimate):
        raise ValueError(
            f"{name} needs an estimate with an interval, not {type(estimate).__name__}: "
            "make one with mean_interval(values), paired_difference(a, b) or share_interval(successes, n)."
        )


def with_symbol(outcome: Outcome) -> str:
    """An outcome's symbol, where it has one, and its word."""
    return f"{SYMBOLS.get(outcome, '')} {in_words(outcome)}".lstrip()


def in_words(outcome: Outcome) -> str:
    """An outcome in the reader's language, followed by the English word of the records if that is different."""
    word = say(outcome.words)
    return word if word == outcome.words else f"{word} ({outcome})"


def as_badge(outcome: Outcome) -> Markup:
    """An outcome's symbol and word as a badge in its colour."""
    return badge(outcome, with_symbol(outcome))
