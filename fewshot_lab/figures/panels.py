"""Several measures of the same things side by side, and many images as one."""

import torch
from torch import Tensor

from ..languages import say
from . import alt as alternative
from .charts import draw_estimates, with_hollow
from .style import GREY, Picture, new_figure, style


def panels(
    measures: dict[str, dict[str, object]],
    *,
    title: str,
    caption: str,
    alt: str = "",
    line: float | None = None,
    digits: int = 2,
    shared: bool = False,
    limits: tuple[float | None, float | None] = (None, None),
) -> Picture:
    """One panel per measure: {measure: {name: Estimate}}, the same names in each; the measure is its horizontal axis.

    line: a vertical line to compare with; digits: of the numbers written at the points; shared: one scale for all panels, for
    measures of one quantity; limits: the ends of that scale.
    """
    names = list(next(iter(measures.values())))
    digits = alternative.enough_digits((one for estimates in measures.values() for one in estimates.values()), digits)
    wide = min(10.6, 0.6 + 0.08 * max(map(len, names)) + 2.4 * len(measures))  # inches; a page of a notebook has 10.6
    with style():
        figure, grid = new_figure(1, len(measures), size=(wide, 1.2 + 0.4 * len(names)), squeeze=False)
        for number, (axes, (measure, estimates)) in enumerate(zip(grid.flat, measures.items(), strict=True)):
            draw_estimates(axes, (estimates[name] for name in names), digits, series=number)
            axes.set_yticks(range(len(names)), names if number == 0 else [""] * len(names))
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.margins(x=0.12)
            axes.locator_params(axis="x", nbins=2 if shared else 4)
            if line is not None:
                axes.axvline(line, color=GREY, linestyle="--", linewidth=1)
            axes.set_xlabel(say(measure))
        if shared:
            lows, highs = zip(*(axes.get_xlim() for axes in grid.flat), strict=True)
            for axes in grid.flat:
                axes.set_xlim(min(lows), max(highs))
                axes.set_xlim(*limits)
        figure.suptitle(title, x=0.01, ha="left")
        return Picture(
            figure,
            chart=True,
            caption=with_hollow(caption, (estimate for estimates in measures.values() for estimate in estimates.values())),
            alt=alt or " ".join(alternative.of_estimates(title, say(m), e, digits) for m, e in measures.items()),
        )


def tiled(images: Tensor) -> Tensor:
    """Images (rows, columns, C, H, W), float 0..1, as one image with a grey line of a pixel after each of them."""
    framed = torch.nn.functional.pad(images, (0, 1, 0, 1), value=0.35)
    return torch.cat([torch.cat(list(row), dim=-1) for row in framed], dim=-2)[..., :-1, :-1]
