"""The claims as a forest: every part of a claim as an interval on one scale, a learner's above the makers'."""

import math
from collections.abc import Callable

from markupsafe import Markup

from ..html import colour, table
from ..languages import say
from ..training.metrics import Estimate
from .ledger import Entry, Ledger
from .records import Outcome, Part
from .verdicts import as_badge, in_words

ENDS = 5.0  # of the scale, in smallest effects of interest on either side of the threshold; what lies beyond is an arrow
WIDTH, LINE = 240, 14  # of the page's pixels: of a strip, and of one interval in it


def forest(mine: Ledger, makers: Ledger | None = None, link: Callable[[Entry], str] = lambda entry: "") -> Markup:
    """All claims with their verdicts in colour, and each part of the evidence as an interval.

    Right of the grey band supports a part, left of it refutes it; within the band the effect is too small to matter.

    Args:
        mine: the ledger that is shown.
        makers: another one whose verdicts and intervals stand beside and below it.
        link: the address of the cell that reaches a verdict, "" for none.
    """
    others = {entry.claim.id: entry for entry in makers.rows} if makers else {}
    rows = [_row(entry, others.get(entry.claim.id), link(entry)) for entry in mine.rows]
    heads = [say("claim"), say("verdict"), say("evidence")]
    about = say("In smallest effects of interest: the grey band is of no interest, right of it supports, left of it refutes.")
    if others:
        about = say("{about} In colour yours, in grey below the makers'; where you found nothing, theirs alone.", about=about)
    return Markup("<p>{}</p><div class='forest'>{}</div>").format(about, table(heads, rows))


def _row(entry: Entry, other: Entry | None, address: str) -> tuple[Markup, Markup, Markup]:
    if other and other.verdict == entry.verdict:  # read from the makers' notebook: there is nothing of the learner's
        other = None
    name = Markup("<strong>{}</strong>").format(entry.claim.id)
    if address:
        name = Markup("<a href='{}'>{}</a>").format(address, name)
    sentence = Markup("{} {}").format(name, say(entry.claim.sentence))
    verdicts = _verdict(entry)
    if other:
        verdicts += Markup("<div class='quiet'>{}</div>").format(say("makers: {verdict}", verdict=in_words(other.outcome)))
    return sentence, verdicts, _evidence(entry, other)


def _verdict(entry: Entry) -> Markup:
    nothing = entry.outcome in (Outcome.UNTESTED, Outcome.NOT_TESTABLE)
    return Markup("{}").format(in_words(entry.outcome) if nothing else as_badge(entry.outcome))


def _evidence(entry: Entry, other: Entry | None) -> Markup:
    parts = {part.statement: part for part in (entry.verdict.parts if entry.verdict else ())}
    theirs = {part.statement: part for part in (other.verdict.parts if other and other.verdict else ())}
    strips, numbers = Markup(""), []
    for statement in dict.fromkeys([*parts, *theirs]):
        own, made = parts.get(statement), theirs.get(statement)
        measured = own.measured if own else ""
        if made:
            makers = say("makers: {verdict}", verdict=made.measured)
            measured = f"{measured} ({makers})" if own else makers
        words = say("{statement}, needed {needed}: {measured}", statement=statement, needed=(own or made).needed,
                    measured=measured)  # fmt: skip
        strips += Markup("<div>{}</div>").format(_strip([own, made], words))
        numbers.append(words)
    if not strips:
        return Markup("<span class='quiet'>{}</span>").format(entry.why)
    if entry.holm_in_words:
        numbers.append(f"Holm: {entry.holm_in_words}")
    lines = Markup("").join(Markup("<li>{}</li>").format(line) for line in numbers)
    return strips + Markup("<details><summary>{}</summary><ul>{}</ul></details>").format(say("the numbers"), lines)


def _strip(parts: list[Part | None], words: str) -> Markup:
    """The intervals of a part below one another as SVG, on a scale whose unit is its smallest effect of interest."""
    height = LINE * sum(part is not None for part in parts) + 4
    drawn = Markup("<rect x='{:.0f}' y='0' width='{:.0f}' height='{}' fill='currentColor' opacity='.15'/>").format(
        _x(-1), _x(1) - _x(-1), height
    )
    drawn += Markup("<line x1='{0:.0f}' x2='{0:.0f}' y1='0' y2='{1}' stroke='currentColor' opacity='.5'/>").format(
        _x(0), height
    )
    y = LINE / 2 + 2
    for number, part in enumerate(parts):
        if part:
            drawn += _interval(part, y, colour(part.outcome) if number == 0 else "currentColor")
            y += LINE
    svg = (
        "<svg role='img' aria-label='{0}' viewBox='0 0 {1} {2}' width='{1}' style='display:block;max-width:100%'>"
        "<title>{0}</title>{3}</svg>"
    )
    return Markup(svg).format(words, WIDTH, height, drawn)


def _interval(part: Part, y: float, stroke: str) -> Markup:
    middle, low, high = (position(part, value) for value in (part.estimate.mean, *part.estimate.limits))
    low, high = sorted((low, high)) if not math.isnan(low + high) else (middle, middle)
    drawn = Markup("<line x1='{:.1f}' x2='{:.1f}' y1='{y}' y2='{y}' stroke='{c}' stroke-width='2.5'/>").format(
        _x(low), _x(high), y=y, c=stroke
    )
    for end, beyond in ((low, low < -ENDS), (high, high > ENDS)):
        if beyond:
            tip = _x(end) + math.copysign(5, end)
            drawn += Markup("<path d='M{:.1f},{} l{},-4 v8 z' fill='{}'/>").format(tip, y, -math.copysign(6, end), stroke)
    return drawn + Markup("<circle cx='{:.1f}' cy='{}' r='4' fill='{}'/>").format(_x(middle), y, stroke)


def strip_of(estimate: Estimate, words: str) -> Markup:
    """A result's interval as SVG on a scale of its own, which holds 0 and 1."""
    values = [value for value in (estimate.mean, *estimate.limits) if math.isfinite(value)]
    low, high = min([0.0, *values]), max([1.0, *values])
    as_part = Part("", estimate, ">", (low + high) / 2, (high - low) / 2 / ENDS, False, Outcome.INCONCLUSIVE)
    marks = Markup("").join(
        Markup("<line x1='{0:.1f}' x2='{0:.1f}' y1='0' y2='18' stroke='currentColor' opacity='.4'/>").format(
            _x(position(as_part, mark))
        )
        for mark in (0.0, 1.0)
    )
    svg = (
        "<svg role='img' aria-label='{0}' viewBox='0 0 {1} 18' width='{1}' style='display:block;max-width:100%'>"
        "<title>{0}</title>{2}{3}</svg>"
    )
    return Markup(svg).format(words, WIDTH, marks, _interval(as_part, 9, "currentColor"))


def position(part: Part, value: float) -> float:
    """Where a value lies from the threshold, in smallest effects of interest; positive where it supports the part.

    Of a ratio in logarithms. Without a smallest effect the unit is half the interval's width.
    """
    if part.ratio:
        distance = (math.log(value / part.threshold) if value > 0 else -math.inf) / math.log(part.margin)
    else:
        low, high = part.estimate.limits
        distance = (value - part.threshold) / (part.margin or (high - low) / 2 or 1.0)
    return distance if part.relation == ">" else -distance


def _x(place: float) -> float:
    """A place on the scale in the strip's pixels; what lies beyond the ends stands at the end."""
    place = 0.0 if math.isnan(place) else min(max(place, -ENDS), ENDS)
    return 8 + (WIDTH - 16) * (place + ENDS) / (2 * ENDS)
