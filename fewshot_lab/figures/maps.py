"""Maps of embedded images: every image is a point, written as the name of its class."""

from collections.abc import Sequence

import numpy as np

from ..languages import say
from .style import COLOURS, SMALL, Picture, new_figure, style


def maps(
    places: dict[str, np.ndarray], labels: Sequence[int], classes: Sequence[str], *, title: str, caption: str, alt: str
) -> Picture:
    """Maps side by side, one per name: `places` holds (N, 2) coordinates, `labels` the class number of each point."""
    with style():
        figure, grid = new_figure(1, len(places), size=(4.2 * len(places), 4.0), squeeze=False)
        for axes, (name, points) in zip(grid.flat, places.items(), strict=True):
            points = np.asarray(points)
            for (x, y), label in zip(points, labels, strict=True):
                axes.text(x, y, classes[label][:2], color=colour(label), fontsize=SMALL, ha="center", va="center", clip_on=True)
            low, high = points.min(axis=0), points.max(axis=0)
            margin = 0.05 * (high - low)
            axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
            axes.set(xticks=[], yticks=[], xlabel=say("first principal component"), ylabel=say("second principal component"))
            axes.set_title(name, fontweight="normal")
        figure.suptitle(title, x=0.01, ha="left")
        return Picture(figure, chart=True, caption=caption, alt=alt)


def colour(label: int) -> str:
    """The colour of a class number; classes share colours, their names tell them apart."""
    return COLOURS[label % len(COLOURS)]
