"""One look for every figure: colours that colour-blind readers can tell apart, a caption, alternative text."""

import base64
from contextlib import contextmanager
from io import BytesIO

import matplotlib
import numpy as np
from IPython.display import display
from markupsafe import Markup
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

from ..html import caption_markdown, figure_html
from ..languages import say
from . import letters

# Okabe & Ito 2008: told apart with every common form of colour blindness; each series also has its own marker.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
MIDDLE = "#767676"  # of letters that are read on white (4.5:1) and on a dark page (4.1:1)
GREY = "#555555"  # of lines to compare with, which are no series
SMALL = 10  # points, the smallest letters in a figure: 11 of the page's pixels
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = "osD^vP*"

_STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "legend.frameon": False,
    "image.cmap": "gray",
}


@contextmanager
def style():
    """The course's look, for figures made inside."""
    with matplotlib.rc_context(_STYLE | letters.settings()):
        yield


class Picture:
    """A figure as a notebook shows it: an image at double density with alternative text, and a caption under it.

    A cell that ends with one has two outputs, an image/png and Markdown: code hosts, editors and converters that remove HTML
    show them too.

    chart: lines, points and text on white, which dark pages may turn over. Else it holds photographs, which stay as they are,
    and lies on the page itself, light or dark.
    """

    def __init__(self, figure: Figure, *, caption: str, alt: str, chart: bool = False) -> None:
        drawn = BytesIO()
        letters.without_boxes(figure)
        options = {"format": "png", "dpi": 160, "bbox_inches": "tight", "pad_inches": 0.1}
        if chart:
            figure.savefig(drawn, facecolor="white", **options)
        else:
            _for_any_page(figure)
            figure.savefig(drawn, transparent=True, **options)
        self.png, self.caption, self.alt = _packed(Image.open(drawn).convert("RGB" if chart else "RGBA")), caption, alt
        self.chart = chart
        self.width = int.from_bytes(self.png[16:20]) // 2  # of the page's pixels, each of which gets two of the image's

    def as_html(self) -> Markup:
        """The image, its alternative text and its caption, whole in itself, for pages."""
        return figure_html(self._encoded(), width=self.width, alt=self.alt, caption=self.caption, chart=self.chart)

    def under_it(self) -> dict[str, str]:
        """The caption as an output of its own."""
        return {
            "text/markdown": caption_markdown(self.caption, self.alt, say("This figure in words")),
            "text/plain": self.caption,
        }

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        # VS Code takes the plain text beside an image for its alternative text, nbconvert and the course's JupyterLab "alt".
        data = {"image/png": self._encoded(), "text/plain": self.alt}
        return data, {"image/png": {"width": self.width, "alt": self.alt, "chart": self.chart}}

    def _ipython_display_(self) -> None:
        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        display(self.under_it(), raw=True)

    def _encoded(self) -> str:
        return base64.b64encode(self.png).decode()


def _for_any_page(figure: Figure) -> None:
    """Draws what is black outside of the images in a grey that is read on white and on dark pages."""
    for text in figure.findobj(Text):
        if to_rgb(text.get_color()) == (0, 0, 0) and not (text.axes and text in text.axes.texts):  # these lie on images
            text.set_color(MIDDLE)
    for axes in figure.axes:
        axes.spines[:].set_color(MIDDLE)
        axes.tick_params(color=MIDDLE, labelcolor=MIDDLE)


def _packed(image: Image.Image) -> bytes:
    """The image as a PNG: of 256 colours where the eye misses nothing, which makes a chart weigh a third, else as it is."""
    few, packed = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE), BytesIO()
    away = np.abs(np.asarray(few.convert(image.mode)).astype(np.int16) - np.asarray(image)).max(axis=-1)
    (few if (away > 16).mean() < 1e-3 else image).save(packed, format="png", optimize=True)
    return packed.getvalue()


def drawable(image: Tensor) -> np.ndarray:
    """An image (C, H, W) as matplotlib and Pillow take it: (H, W, 3), or (H, W) where it is grey."""
    return image.permute(1, 2, 0).squeeze(-1).cpu().numpy()


def new_figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9, 4.2), **options):
    """A figure and its axes (inches), not known to pyplot, so that nothing has to be closed and nothing is shown twice."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **options)
