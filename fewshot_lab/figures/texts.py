"""Texts under each other as a picture, for explorers without a live kernel."""

import textwrap

from . import letters
from .style import SMALL, Picture, new_figure, style


def texts(rows: dict[str, str], *, title: str, caption: str) -> Picture:
    """Texts under each other, each behind its name, as a picture."""
    wrapped = {name: textwrap.wrap(text, 40 if letters.FAR.search(text) else 78) or [""] for name, text in rows.items()}
    lines = sum(map(len, wrapped.values())) + 0.4 * len(wrapped)
    with style():
        figure, axes = new_figure(size=(8.5, 0.5 + 0.24 * lines))
        axes.axis("off")
        y = 0.0
        for name, text in wrapped.items():
            axes.text(0, y, name, va="top", fontweight="bold", fontsize=SMALL)
            axes.text(0.2, y, "\n".join(text), va="top", fontsize=SMALL, linespacing=1.25)
            y += len(text) + 0.4
        axes.set(xlim=(0, 1), ylim=(max(lines, 1), -0.3), title=title)
        alt = f"{title}. " + "; ".join(f"{name}: {text}" for name, text in rows.items())
        return Picture(figure, chart=True, caption=caption, alt=alt)
