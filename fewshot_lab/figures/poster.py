"""The course on one sheet: what a label is worth under every method, and what the literature's numbers became."""

import math

from ..evidence.prices import KINDS, PriceList
from ..evidence.records import Outcome, Part, band
from ..evidence.rules import still_learning
from ..languages import say
from . import alt as alternative
from .charts import with_hollow
from .style import BLACK, BLUE, COLOURS, GREEN, GREY, MARKERS, ORANGE, VERMILION, Picture, new_figure, style

OUTCOMES = {
    Outcome.SUPPORTED: GREEN,
    Outcome.REFUTED: VERMILION,
    Outcome.NO_EFFECT: BLUE,
    Outcome.STILL_LEARNING: ORANGE,
    Outcome.INCONCLUSIVE: GREY,
    Outcome.NOT_TESTABLE: GREY,
}
EDGE = 1.15  # of the literature's panel, whose longest interval ends at 1


def poster(prices: PriceList, ledger, *, title: str, caption: str, alt: str = "") -> Picture:
    """A sheet of three panels: exchange rates, accuracies with and without a method, and the literature's ledger.

    In the last one every part of a row has its own scale: 0 is where the paper's claim begins to hold, to the right it holds,
    and the longest interval ends at the edge. `ledger` is the literature's (evidence.LiteratureLedger).
    """
    with style():
        tall = max(5.0, 1.6 + 0.27 * len(prices.prices))
        figure, _ = new_figure(size=(15, tall + 0.4))
        figure.clear()
        grid = figure.add_gridspec(2, 2, height_ratios=(max(1, len(prices.pairs)), max(1, _lines(ledger))))
        _draw_rates(figure.add_subplot(grid[:, 0]), prices)
        _draw_pairs(figure.add_subplot(grid[0, 1]), prices)
        _draw_literature(figure.add_subplot(grid[1, 1]), ledger)
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
        rates = {f"{price.what} ({price.chapter})": price.rate for price in prices.prices}
        said = alternative.of_estimates(title, say("labels per label"), rates) if rates else title
        rows = "; ".join(f"{row.name} {say(row.verdict.verdict.words)}" for row in ledger.rows)
        estimates = [price.rate for price in prices.prices]
        return Picture(figure, chart=True, caption=with_hollow(caption, estimates), alt=alt or f"{said} {rows}.")


def _lines(ledger) -> int:
    return sum(max(1, len(row.verdict.parts)) for row in ledger.rows)


def _draw_rates(axes, prices: PriceList) -> None:
    for row, price in enumerate(prices.prices):
        rate, kind = price.rate, KINDS.index(price.kind)
        colour, marker = COLOURS[kind], MARKERS[kind]
        if rate.has_interval:
            axes.plot([rate.low, rate.high], [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
        face = "white" if still_learning(rate) else colour
        axes.plot(rate.mean, row, marker, color=colour, markerfacecolor=face, markersize=7)
        for end, bound, arrow in (("low", "<=", "<"), ("high", ">=", ">")):
            if rate.bound == bound or end in rate.open:
                axes.plot(rate.mean if rate.bound == bound else getattr(rate, end), row, arrow, color=colour, markersize=9)
        text = f"{rate.bound} {alternative.written(rate.mean, 2)}".strip()
        axes.annotate(text, (rate.mean, row), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7.5)
    axes.axvline(1, color=GREY, linestyle="--", linewidth=1)
    axes.set_xscale("log", base=2)
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(prices.prices)), [f"{price.what} ({price.chapter})" for price in prices.prices])
    axes.set_ylim(len(prices.prices) - 0.4, -0.8)
    axes.set(title=say("What a label is worth"), xlabel=say("labels per label (left of 1 it costs labels)"))
    shown = dict.fromkeys(price.kind for price in prices.prices)
    for kind in shown:
        k = KINDS.index(kind)
        axes.plot([], [], marker=MARKERS[k], color=COLOURS[k], label=say(kind))
    if shown:
        axes.legend(loc="upper center", bbox_to_anchor=(0.2, -0.06), ncol=3, fontsize=8)


def _draw_pairs(axes, prices: PriceList) -> None:
    for row, pair in enumerate(prices.pairs):
        for estimate, colour, marker, up in ((pair.without, GREY, "o", 0.13), (pair.using, BLUE, "s", -0.13)):
            if estimate.has_interval:
                axes.plot([estimate.low, estimate.high], [row + up] * 2, color=colour, linewidth=2)
            axes.plot(estimate.mean, row + up, marker, color=colour, markersize=6)
    axes.set_yticks(range(len(prices.pairs)), [f"{pair.what} ({pair.chapter})" for pair in prices.pairs])
    axes.set_ylim(len(prices.pairs) - 0.4, -0.6)
    axes.plot([], [], "s-", color=BLUE, label=say("with it"))
    axes.plot([], [], "o-", color=GREY, label=say("without"))
    axes.legend(loc="lower left", fontsize=8)
    axes.set(title=say("Accuracies, with 95 % intervals"), xlim=(0, 1.02))


def _draw_literature(axes, ledger) -> None:
    names, line = [], 0
    for row in ledger.rows:
        author = row.paper.paper.split(" (")[0]
        verdict = say(row.verdict.verdict.words.removeprefix("inconclusive: "))
        for part in row.verdict.parts or (None,):
            names.append(
                f"{row.name} {author}"
                if part in (None, *row.verdict.parts[:1])
                else f"{row.name}, {part.name.replace('_', ' ')}"
            )
            if part is not None:
                low, middle, high = _placed(part)
                axes.plot([low, high], [line, line], color=OUTCOMES.get(part.outcome, BLACK), linewidth=2.5)
                axes.plot(middle, line, "o", color=OUTCOMES.get(part.outcome, BLACK), markersize=6)
                for end, open_, arrow in ((low, part_open(part)[0], "<"), (high, part_open(part)[1], ">")):
                    if open_:
                        axes.plot(end, line, arrow, color=OUTCOMES.get(part.outcome, BLACK), markersize=9)
            if part in (None, *row.verdict.parts[:1]):
                stands = say("{verdict}, stands", verdict=verdict) if row.entry.holds else verdict
                axes.annotate(stands, (1.02, line), xycoords=("axes fraction", "data"), va="center", fontsize=8)
            line += 1
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes.set_xlim(-EDGE, EDGE)
    axes.set_xticks([-0.7, 0, 0.7], [say("speaks against"), say("the paper"), say("speaks for it")])
    axes.set_yticks(range(line), names)
    axes.set_ylim(line - 0.4, -0.6)
    axes.set_title(say("The literature's numbers, tested on our records"))


def part_open(part: Part) -> tuple[bool, bool]:
    """Whether the left and the right end of a part's interval on the panel are open."""
    estimate = part.estimate
    ends = (estimate.bound == "<=" or "low" in estimate.open, estimate.bound == ">=" or "high" in estimate.open)
    return ends if part.relation == ">" else ends[::-1]


def _placed(part: Part) -> tuple[float, float, float]:
    """Low end, number and high end of a part on a scale where 0 is what is needed, right supports, and the far end is 1."""
    estimate = part.estimate
    least, most = band(part.threshold, part.margin, part.ratio)
    needed = most if part.relation == ">" else least
    log = "labels per label" in estimate.unit or "ratio" in estimate.unit
    values = [estimate.low, estimate.mean, estimate.high]
    if not estimate.has_interval:
        values = [estimate.mean] * 3
    moved = [math.log(value / needed) if log else value - needed for value in values]
    moved = [value if part.relation == ">" else -value for value in moved]
    far = max(map(abs, moved)) or 1.0
    low, middle, high = sorted(value / far for value in moved)
    return low, moved[1] / far, high
