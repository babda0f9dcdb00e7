"""Figures in one style, with captions and alternative text."""

from .charts import bars, curve_panels, curves, images, matrix, scatter
from .panels import panels, tiled
from .poster import poster
from .scenes import scenes
from .style import Picture, new_figure, style
from .texts import texts

__all__ = [
    "Picture",
    "bars",
    "curve_panels",
    "curves",
    "images",
    "matrix",
    "new_figure",
    "panels",
    "poster",
    "scenes",
    "scatter",
    "style",
    "texts",
    "tiled",
]
