"""Chapter 15's explorer: a budget of labels and one of seconds, what they buy, and which offers no other one beats."""

import math

import torch
from markupsafe import Markup

from ..evidence.budget import MeasuredArm
from ..figures import Picture, new_figure, style
from ..figures.style import BLUE, COLOURS, GREY, MARKERS, VERMILION
from ..html import table
from ..languages import later, say
from ..methods.price_list import best_in_budget, frontier
from .explorer import Explorer, choice, slider

MACHINES = {later("this one"): 1.0, later("10 times slower"): 10.0, later("100 times slower"): 100.0}
SHOWN = 5  # affordable offers in the table
WIDTH, HEIGHT, LEFT, BELOW = 440, 300, 52, 42  # of the map, in pixels, and its margins


class PriceExplorer(Explorer):
    """All measured offers as a map of labels and seconds, and the most accurate one that both budgets allow."""

    def __init__(self, offers: dict[str, MeasuredArm], **start) -> None:
        """offers: {method: its accuracy and seconds at several numbers of labels}."""
        rows = [
            (name, arm.labels[i], max(arm.seconds[i], 1e-4), arm.accuracy[i])
            for name, arm in offers.items()
            for i in range(len(arm.labels))
        ]
        self.names = [name for name, *_ in rows]
        self.labels, self.seconds = (torch.tensor([float(row[k]) for row in rows]) for k in (1, 2))
        self.estimates = [row[3] for row in rows]
        self.accuracy = torch.tensor([estimate.mean for estimate in self.estimates])
        most = int(self.labels.max())
        super().__init__(
            start,
            labels=slider("labels", most // 2, 0, most, max(1, most // 40), help="How many labels you can pay for", whole=True),
            seconds=slider("seconds", 1.0, 0.0, 10.0, 0.05, help="How many seconds of computing you can pay for"),
            machine=choice("machine", list(MACHINES), help="How much slower your machine or your data are"),
        )

    def costs(self) -> torch.Tensor:
        """The seconds of every offer on the machine chosen."""
        return self.seconds * MACHINES[self["machine"]]

    def bought(self) -> int:
        """The number of the most accurate offer within both budgets, -1 where none is."""
        return best_in_budget(self.labels, self.costs(), self.accuracy, self["labels"], self["seconds"])

    def told(self) -> str:
        """The budgets and what they buy, in words."""
        best = self.bought()
        about = {"labels": self["labels"], "seconds": self["seconds"]}
        if best < 0:
            return say("With {labels} labels and {seconds:.2f} seconds nothing on sale is affordable.", **about)
        return say(
            "{labels} labels and {seconds:.2f} seconds buy “{method}” with {used} labels in {cost:.2g} seconds: {accuracy}.",
            **about,
            method=say(self.names[best]),
            used=int(self.labels[best]),
            cost=float(self.costs()[best]),
            accuracy=self.estimates[best].short(),
        )

    def page(self) -> Markup:
        costs = self.costs()
        affordable = ((self.labels <= self["labels"]) & (costs <= self["seconds"])).tolist()
        best, unbeaten = self.bought(), frontier(self.labels, costs, self.accuracy).tolist()
        order = sorted((i for i, can in enumerate(affordable) if can), key=lambda i: -self.accuracy[i])[:SHOWN]
        rows = [
            (
                Markup("<strong>{}</strong>").format(say(self.names[i])) if i == best else say(self.names[i]),
                str(int(self.labels[i])),
                f"{float(costs[i]):.2g}",
                self.estimates[i].short(),
                say("yes") if unbeaten[i] else say("no"),
            )
            for i in order
        ]
        heads = (say("method"), say("labels"), say("seconds"), say("accuracy (95 % interval)"), say("on the frontier"))
        shown = table(heads, rows, caption=say("the most accurate that you can pay"), numbers=[1, 2]) if rows else ""
        return Markup("<div class='wide'><p>{}</p>{}{}</div>").format(self.told(), self._map(affordable, best), shown)

    @property
    def stored(self) -> dict[str, list]:
        counts = sorted({int(count) for count in self.labels})
        return {"labels": counts, "seconds": [0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0], "machine": list(MACHINES)}

    def _place(self, labels: float, seconds: float) -> tuple[float, float]:
        """Where a number of labels and of seconds lies on the map; both axes are logarithmic, from a tenth of the cheapest."""
        costs = self.costs()
        first, last = self.labels.min().item(), self.labels.max().item()
        low, high = costs.min().item(), costs.max().item()
        x = (math.log(max(labels, first / 1.6)) - math.log(first / 1.6)) / (math.log(last * 1.3) - math.log(first / 1.6))
        y = (math.log(max(seconds, low / 2)) - math.log(low / 2)) / (math.log(high * 2) - math.log(low / 2))
        return LEFT + min(x, 1.0) * (WIDTH - LEFT), (HEIGHT - BELOW) * (1 - min(y, 1.0))

    def _map(self, affordable: list[bool], best: int) -> Markup:
        x, y = self._place(self["labels"], self["seconds"])
        parts = [
            f'<rect x="{LEFT}" y="{y:.1f}" width="{x - LEFT:.1f}" height="{HEIGHT - BELOW - y:.1f}" fill="{BLUE}" '
            'opacity="0.12"/>',
            f'<path d="M{LEFT},0V{HEIGHT - BELOW}H{WIDTH}" stroke="{GREY}" fill="none"/>',
        ]
        kinds = list(dict.fromkeys(self.names))
        costs = self.costs().tolist()
        for i, (name, labels) in enumerate(zip(self.names, self.labels.tolist(), strict=True)):
            cx, cy = self._place(labels, costs[i])
            colour = COLOURS[kinds.index(name) % len(COLOURS)]
            radius = 3 + 7 * max(0.0, self.accuracy[i].item())
            ring = f' stroke="{VERMILION}" stroke-width="4"' if i == best else f' stroke="{colour}" stroke-width="1.5"'
            fill = colour if affordable[i] else "none"
            parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:.1f}" fill="{fill}"{ring}/>')
        for labels in sorted(set(self.labels.tolist())):
            parts.append(_text(self._place(labels, 1e9)[0], HEIGHT - BELOW + 16, f"{labels:g}"))
        low, high = (10 ** math.floor(math.log10(value)) for value in (min(costs), max(costs)))
        for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
            at = self._place(1, 10.0**power)[1]
            if 0 < at < HEIGHT - BELOW:
                parts.append(_text(LEFT - 6, at + 4, f"{10.0**power:g}", "end"))
        parts.append(_text((WIDTH + LEFT) / 2, HEIGHT - 6, say("labels")))
        parts.append(_text(4, 12, say("seconds"), "start"))
        legend = Markup(" ").join(
            Markup("<span style='color:{}'>●</span> {}").format(COLOURS[k % len(COLOURS)], say(name))
            for k, name in enumerate(kinds)
        )
        drawn = Markup(
            '<svg role="img" aria-label="{}" viewBox="0 0 {} {}" style="max-width:100%" width="{}">{}</svg><p>{}</p>'
        )
        return drawn.format(self.told(), WIDTH, HEIGHT, WIDTH, Markup("".join(map(str, parts))), legend)

    def still(self) -> Picture:
        costs = self.costs()
        unbeaten = frontier(self.labels, costs, self.accuracy)
        kinds, best = list(dict.fromkeys(self.names)), self.bought()
        with style():
            figure, axes = new_figure(size=(7.4, 4.2))
            for number, kind in enumerate(kinds):
                rows = [i for i, name in enumerate(self.names) if name == kind]
                faces = [COLOURS[number % len(COLOURS)] if unbeaten[i] else "white" for i in rows]
                axes.scatter(
                    self.labels[rows],
                    costs[rows],
                    s=[30 + 170 * max(0.0, self.accuracy[i].item()) ** 2 for i in rows],
                    c=faces,
                    edgecolors=COLOURS[number % len(COLOURS)],
                    marker=MARKERS[number % len(MARKERS)],
                    zorder=3,
                )
                axes.plot([], [], MARKERS[number % len(MARKERS)], color=COLOURS[number % len(COLOURS)], label=kind)
            budgets = {"color": GREY, "linestyle": "--", "linewidth": 1}
            axes.axvline(self["labels"], **budgets)
            axes.axhline(max(self["seconds"], 1e-4), **budgets)
            axes.set_xscale("log")
            axes.set_yscale("log")
            ticks = sorted(set(self.labels.tolist()))
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            winner = f"the two budgets buy {self.accuracy[best]:.2f}" if best >= 0 else "the budgets buy nothing"
            title = f"{int(unbeaten.sum())} of {len(unbeaten)} offers are beaten by no other; {winner}"
            axes.set(xlabel=say("labels"), ylabel=say("seconds"), title=title)
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        words = say("Filled: no other offer beats it. Larger: more accurate. Dashed: the two budgets.")
        caption = say("A still of the explorer. {words} {told} Run the cell to spend your own.", words=words, told=self.told())
        alt = say("{count} offers by labels and seconds. {told}", count=len(self.names), told=self.told())
        return Picture(figure, chart=True, caption=caption, alt=alt)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" font-size="12" text-anchor="{}" fill="currentColor">{}</text>').format(
        x, y, anchor, text
    )
