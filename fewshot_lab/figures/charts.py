"""The charts of the course: curves and bars with intervals, a matrix, named points, and a grid of images.

Each takes title, caption and, where its numbers do not say it all, `alt`, the alternative text; without one the figure says its
title and its numbers.
"""

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox
from torch import Tensor

from ..evidence.rules import still_learning
from ..languages import say
from . import alt as alternative
from .style import COLOURS, GREY, MARKERS, SMALL, Picture, drawable, new_figure, style

MINUS = "\N{MINUS SIGN}"  # as the axes have it
BESIDE = (((7, 5), "left"), ((-7, -11), "right"), ((7, -11), "left"), ((-7, 5), "right"))  # a point's name, in points from it


def curves(
    series: dict[str, tuple[Sequence, Sequence]], *, title: str, x: str, y: str, caption: str, alt: str = "", **options
) -> Picture:
    """Lines with their 95 % intervals: series maps a name to (x values, Estimates).

    A point is hollow where too few of its trainings came to rest (share_at_rest of the rules), and has an arrow where the
    number is only known to lie beyond it (a bound); the caption then says so.
    Options: log_x, log_y, ticks, y_ticks, limits; levels: {name: value}, horizontal lines to compare with; notes: {name:
    words}, what stands at each point of that line.
    """
    with style():
        figure, axes = new_figure()
        _draw_curves(axes, series, options)
        x, y = _said(x, y, options)
        axes.set(title=title, xlabel=x, ylabel=y)
        _name_at_the_ends(figure, axes, series, options)
        caption = with_marks(caption, (estimate for _, estimates in series.values() for estimate in estimates))
        return Picture(figure, chart=True, caption=caption, alt=alt or alternative.of_curves(title, x, y, series))


def curve_panels(
    panels: dict[str, dict[str, tuple[Sequence, Sequence]]],
    *,
    title: str,
    x: str,
    y: str,
    caption: str,
    alt: str = "",
    **options,
) -> Picture:
    """One panel of `curves` beside another on the same vertical scale: {panel: series}, with the same names in each."""
    with style():
        figure, grid = new_figure(1, len(panels), size=(min(10.6, 3 + 2.6 * len(panels)), 3.8), squeeze=False, sharey=True)
        x, y = _said(x, y, options)
        for axes, (name, series) in zip(grid.flat, panels.items(), strict=True):
            _draw_curves(axes, series, options)
            axes.set(title=name, xlabel=x, ylabel=y if axes is grid.flat[0] else "")
        figure.suptitle(title, x=0.01, ha="left")
        _name_at_the_ends(figure, grid.flat[-1], list(panels.values())[-1], options)
        every = (estimate for series in panels.values() for _, estimates in series.values() for estimate in estimates)
        flat = {f"{panel}, {name}": points for panel, series in panels.items() for name, points in series.items()}
        return Picture(
            figure, chart=True, caption=with_marks(caption, every), alt=alt or alternative.of_curves(title, x, y, flat)
        )


def _draw_curves(axes, series: dict[str, tuple[Sequence, Sequence]], options: dict) -> None:
    for number, (name, (places, estimates)) in enumerate(series.items()):
        means = [estimate.mean for estimate in estimates]
        low, high = ([getattr(estimate, end) for estimate in estimates] for end in ("low", "high"))
        colour = COLOURS[number % len(COLOURS)]
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(places, means, marker=marker, color=colour, label=name)
        learning = [i for i, estimate in enumerate(estimates) if still_learning(estimate)]
        if learning:
            spots = [places[i] for i in learning], [means[i] for i in learning]
            axes.plot(*spots, marker, color=colour, markerfacecolor="white", zorder=3)
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        for place, estimate in zip(places, estimates, strict=True):
            if estimate.bound:
                away = 26 if estimate.bound == ">=" else -26  # points
                arrow = {"arrowstyle": "<-", "color": colour, "linewidth": 1.5}
                axes.annotate("", (place, estimate.mean), xytext=(0, away), textcoords="offset points", arrowprops=arrow)
        for place, mean, words in zip(places, means, options.get("notes", {}).get(name, ()), strict=False):
            axes.annotate(words, (place, mean), xytext=(4, 4), textcoords="offset points", fontsize=SMALL, color=colour)
    for value in options.get("levels", {}).values():
        axes.axhline(value, color=GREY, linestyle="--", linewidth=1)
    if options.get("log_x"):
        axes.set_xscale("log", base=2)
    if options.get("log_y"):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    if ticks := options.get("ticks"):
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    if ticks := options.get("y_ticks"):
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    if limits := options.get("limits"):
        axes.set_ylim(*limits)


def _said(x: str, y: str, options: dict) -> tuple[str, str]:
    """The axes' names, which say where equal steps are equal factors."""
    x, y = say(x), say(y)
    return tuple(
        say("{axis} (log scale)", axis=axis)
        if options.get(option) and not any(word in axis for word in ("log", say("log")))
        else axis
        for axis, option in ((x, "log_x"), (y, "log_y"))
    )


def _name_at_the_ends(figure, axes, series: dict[str, tuple[Sequence, Sequence]], options: dict) -> None:
    """Writes each line's name beside its end, and each level's, in the order of their heights and clear of each other."""
    from scipy.optimize import isotonic_regression

    ends = [(name, places[-1], estimates[-1].mean, number) for number, (name, (places, estimates)) in enumerate(series.items())]
    ends += [(name, None, value, None) for name, value in options.get("levels", {}).items()]
    ends = [(textwrap.wrap(name, 26), place, height, number) for name, place, height, number in ends if np.isfinite(height)]
    figure.draw_without_rendering()  # now the axes have their heights
    to_axes = axes.transData + axes.transAxes.inverted()
    at = [to_axes.transform((axes.get_xlim()[1] if place is None else place, height)) for _, place, height, _ in ends]
    line = SMALL * 1.3 / 72 * figure.dpi / axes.get_window_extent().height  # a line of text as a share of the axes' height
    order = np.argsort([height for _, height in at], kind="stable")
    # The nearest places in this order that leave every name the room that half of it and half of its neighbour take.
    rooms = np.array([line * len(ends[i][0]) for i in order])
    apart = np.cumsum(rooms) - rooms / 2
    heights = isotonic_regression(np.array([at[i][1] for i in order]) - apart).x + apart
    for i, height in zip(order, heights, strict=True):
        words, _, _, number = ends[i]
        colour, marker = (GREY, "") if number is None else (COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)])
        path = [at[i][0], 1.02, 1.05], [at[i][1], height, height]
        beside = {"transform": axes.transAxes, "clip_on": False, "color": colour}  # artists, which leave the axes' limits alone
        axes.add_artist(Line2D(*path, linewidth=0.8, linestyle="--" if number is None else ":", **beside))
        axes.add_artist(Line2D([1.05], [height], marker=marker, markersize=5, **beside))
        axes.annotate("\n".join(words), (1.07, height), xycoords="axes fraction", va="center", fontsize=SMALL)


def with_marks(caption: str, estimates: Iterable) -> str:
    """The caption, which says what hollow points and arrows mean where there are some."""
    estimates = list(estimates)
    bounds = f" {say('Arrow: the number lies somewhere beyond the point.')}" if any(one.bound for one in estimates) else ""
    return with_hollow(caption, estimates) + bounds


def with_hollow(caption: str, estimates: Iterable) -> str:
    """The caption, which says what hollow points mean where there are some."""
    return f"{caption} {say('Hollow: still learning.')}" if any(still_learning(one) for one in estimates) else caption


def bars(
    estimates: dict[str, object], *, title: str, x: str, caption: str, alt: str = "", line: float | None = None, digits: int = 2
) -> Picture:
    """Horizontal points with 95 % intervals, one per name, written to `digits`; `line`: a vertical line to compare with.

    A point is hollow where too few of its trainings came to rest, as in `curves`. Numbers that differ but would be written
    alike get three digits.
    """
    digits = alternative.enough_digits(estimates.values(), digits)
    x = say(x)
    with style():
        figure, axes = new_figure(size=(9, 0.9 + 0.4 * len(estimates)))
        draw_estimates(axes, estimates.values(), digits)
        if line is not None:
            axes.axvline(line, color=GREY, linestyle="--", linewidth=1)
        axes.set_yticks(range(len(estimates)), list(estimates))
        axes.set_ylim(len(estimates) - 0.4, -0.6)
        axes.set(title=title, xlabel=x)
        caption = with_hollow(caption, estimates.values())
        return Picture(figure, chart=True, caption=caption, alt=alt or alternative.of_estimates(title, x, estimates, digits))


def draw_estimates(axes, estimates: Iterable, digits: int, series: int = 0) -> None:
    """Estimates under each other: a point with its number on the line of its interval, in the colour of a series.

    An end that was cut off where the measured range ends is an arrow, and a number that is only a bound is written as one.
    """
    colour, marker = COLOURS[series % len(COLOURS)], MARKERS[series % len(MARKERS)]
    for row, estimate in enumerate(estimates):
        axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2)
        face = "white" if still_learning(estimate) else colour
        axes.plot(estimate.mean, row, marker, color=colour, markerfacecolor=face)
        # An arrow where the number, or an end of its interval, is only known to lie beyond the measured range.
        for end, bound, arrow in (("low", "<=", "<"), ("high", ">=", ">")):
            if estimate.bound == bound or end in estimate.open:
                axes.plot(getattr(estimate, end), row, arrow, color=colour, markersize=9)
        text = f"{estimate.bound} {alternative.written(estimate.mean, digits)}".strip().replace("-", MINUS)
        above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": SMALL}
        axes.annotate(text, (estimate.mean, row), path_effects=[withStroke(linewidth=3, foreground="white")], **above)


def matrix(values, rows: Sequence[str], columns: Sequence[str], *, title: str, caption: str, alt: str = "") -> Picture:
    """A table of shares from 0 to 1 in colour, each with its number."""
    values = np.asarray(values)
    with style():
        figure, axes = new_figure(size=(2.6 + 0.5 * len(columns), 1.1 + 0.4 * len(rows)))
        drawn = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        figure.colorbar(drawn, label=say("share"), fraction=0.05, aspect=30)
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            text = f"{value:.2f}" if 0 < value < 0.995 else f"{value:.0f}"
            colour = "white" if value > 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=colour)
        axes.grid(False)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        axes.set_title(title)
        return Picture(figure, chart=True, caption=caption, alt=alt or alternative.of_matrix(title, values, rows, columns))


def scatter(
    points: dict[str, tuple[float, float, float]],
    *,
    title: str,
    x: str,
    y: str,
    colour: str,
    caption: str,
    alt: str = "",
    log_y: bool = False,
) -> Picture:
    """Named points (x, y, value); the value is the colour, named `colour`: red below 0, grey at 0, blue above."""
    x, y, colour = map(say, (x, y, colour))
    with style():
        figure, axes = new_figure()
        largest = max(abs(value) for *_, value in points.values()) or 1.0
        places, heights, values = zip(*points.values(), strict=True)
        drawn = axes.scatter(
            places, heights, c=values, cmap="coolwarm_r", vmin=-largest, vmax=largest, s=70, edgecolors="#333333", zorder=3
        )
        figure.colorbar(drawn, label=colour)
        axes.margins(x=0.2, y=0.15)
        if log_y:
            axes.set_yscale("log")
        axes.set(title=title, xlabel=x, ylabel=y)
        figure.draw_without_rendering()  # now the axes have their places, and texts a size
        taken = [Bbox([centre - 6, centre + 6]) for centre in axes.transData.transform(drawn.get_offsets())]  # in pixels
        for name, (place, height, value) in points.items():
            text = f"{name} ({value:+.2f})".replace("(-", f"({MINUS}")
            note = axes.annotate(text, (place, height), xytext=(0, 0), textcoords="offset points", fontsize=SMALL)
            for away, side in BESIDE:
                note.set(position=away, horizontalalignment=side)
                box = note.get_window_extent()
                if not box.count_overlaps(taken):
                    break
            taken.append(box)
        return Picture(figure, chart=True, caption=caption, alt=alt or alternative.of_points(title, x, y, colour, points))


def images(pictures: Tensor, labels: Sequence[str], *, columns: int, title: str, caption: str, alt: str = "") -> Picture:
    """A grid of images (N, C, H, W), uint8 or float 0..1, with a line of text over each."""
    rows = -(-len(pictures) // columns)
    width = max(0.85, 0.1 + 0.085 * max(map(len, labels)))  # inches, so that the longest label has room
    with style():
        figure, grid = new_figure(rows, columns, size=(width * columns, 1.05 * rows + 0.4), squeeze=False)
        shown = pictures.float() / (255 if not pictures.is_floating_point() else 1)
        for axes in grid.flat:
            axes.axis("off")
        for axes, picture, label in zip(grid.flat, shown, labels, strict=False):
            axes.imshow(drawable(picture.clamp(0, 1)), vmin=0, vmax=1)
            axes.set_title(label, fontsize=SMALL, fontweight="normal", loc="center")
        figure.suptitle(title, x=0.01, ha="left")
        return Picture(figure, caption=caption, alt=alt or alternative.of_images(title, labels))
