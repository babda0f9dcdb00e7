"""What a figure says to somebody who cannot see it: its title and the numbers that it draws."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence

from ..languages import later, say

KINDS = {"": later("95 % intervals"), "rounding range": later("rounding ranges")}  # of estimates, many of them


def of_curves(title: str, x: str, y: str, series: Mapping[str, tuple[Sequence, Sequence]]) -> str:
    """Every line's values at each of its points; of a line with more than six points the first, the highest and the last."""
    lines = []
    for name, (places, estimates) in series.items():
        points = list(zip(places, ((estimate.mean, estimate.bound) for estimate in estimates), strict=True))
        if len(points) > 6:
            points = sorted({0: points[0], 1: max(points, key=lambda point: point[1][0]), 2: points[-1]}.items())
            points = list(dict.fromkeys(point for _, point in points))
        values = (
            say("{value} at {place}", value=f"{bound} {value:.2f}".strip(), place=_short(place))
            for place, (value, bound) in points
        )
        lines.append(f"{name}: {', '.join(values)}")
    return _sentences(title, say("{y} over {x}", y=y, x=x), *lines)


def of_estimates(title: str, measure: str, estimates: Mapping[str, object], digits: int = 2) -> str:
    """Each name with its mean and, where there is one, its 95 % interval or what else its ends are."""
    values = []
    for name, e in estimates.items():
        low = ("<= " if e.bound == "<=" or "low" in e.open else "") + written(e.low, digits)
        high = (">= " if e.bound == ">=" or "high" in e.open else "") + written(e.high, digits)
        interval = "" if math.isnan(e.low + e.high) else f" [{low}, {high}]"
        values.append(f"{name} {e.bound} {written(e.mean, digits)}{interval}".replace("  ", " "))
    kinds = dict.fromkeys(say(KINDS[e.kind]) for e in estimates.values() if not math.isnan(e.low + e.high))
    if kinds:
        kind = functools.reduce(lambda first, second: say("{first} or {second}", first=first, second=second), kinds)
        measure = say("{measure}, with {kind}", measure=measure, kind=kind)
    return _sentences(title, f"{measure}: " + ", ".join(values))


def of_matrix(title: str, values, rows: Sequence[str], columns: Sequence[str]) -> str:
    """The matrix row by row."""
    lines = [
        f"{row}: " + ", ".join(f"{column} {value:.2f}" for column, value in zip(columns, line, strict=True))
        for row, line in zip(rows, values, strict=True)
    ]
    return _sentences(title, *lines)


def of_points(title: str, x: str, y: str, colour: str, points: Mapping[str, tuple[float, float, float]]) -> str:
    """Each named point with its place and its value."""
    lines = (f"{name}: {place:.2f}, {height:.2g}, {value:+.2f}" for name, (place, height, value) in points.items())
    return _sentences(title, f"{x}, {y}, {colour}", *lines)


def of_images(title: str, labels: Sequence[str]) -> str:
    """How many images there are, and what stands over them."""
    said = ", ".join(dict.fromkeys(label for label in labels if label))
    return _sentences(title, say("{count} images", count=len(labels)) + (f": {said}" if said else ""))


def written(value: float, digits: int) -> str:
    """A number as the charts write it: `digits` decimals, or three digits from 10 on; never -0.00."""
    return f"{value:z.{digits}f}" if abs(value) < 10 else f"{value:.3g}"


def enough_digits(estimates: Iterable, digits: int) -> int:
    """`digits`, or three where estimates that differ would be written alike with fewer."""
    means = {estimate.mean for estimate in estimates if math.isfinite(estimate.mean)}
    return digits if len({written(mean, digits) for mean in means}) == len(means) else max(digits, 3)


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _sentences(*parts: str) -> str:
    return " ".join(part if part.endswith((".", "?", "!", "。", "？", "！")) else f"{part}." for part in parts if part)
