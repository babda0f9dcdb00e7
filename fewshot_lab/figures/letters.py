"""The letters of figures: a typeface that has those of the language set."""

import re
import warnings
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from ..languages import language, say

OURS = "noto-sans-sc"  # the asset
# What systems have; only the first face of a collection is found, which for Noto's is the Japanese one.
TYPEFACES = {
    "zh": (
        *("Noto Sans SC", "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei"),
        *("SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP"),
    )
}
FAR = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+")  # letters that matplotlib's own typeface lacks


def settings() -> dict:
    """What matplotlib's rc needs for the letters of the language set: nothing where its own typeface has them."""
    there = typeface(language())
    return {"font.family": ["DejaVu Sans", there]} if there else {}


@cache
def typeface(of: str) -> str | None:
    """The family with a language's letters: the asset's, else the system's, else None with a warning that says what to do."""
    from ..assets import installed

    if of not in TYPEFACES:
        return None
    if folder := installed(OURS):
        for path in sorted(folder.glob("*.ttf")):
            font_manager.fontManager.addfont(path)
    known = set(font_manager.fontManager.get_font_names())
    found = next((family for family in TYPEFACES[of] if family in known), None)
    if not found:
        warnings.warn(
            say(
                "No typeface here has Chinese characters, so figures leave them out: "
                "run `fewshot-lab assets fetch noto-sans-sc` and restart the kernel."
            ),
            stacklevel=2,
        )
    return found


def without_boxes(figure: Figure) -> None:
    """Draws Chinese letters, in a figure of any language, with a typeface that has them; takes them out where none has.

    Else they would be drawn as boxes. The alternative text says them anyway.
    """
    axes = [axis for some in figure.axes for axis in (some.xaxis, some.yaxis)]
    labels = [label for axis in axes for label in axis.get_ticklabels()]  # which are written only when they are asked for
    far = [text for text in (*figure.findobj(Text), *labels) if FAR.search(text.get_text())]
    if not far:
        return
    if there := typeface("zh"):
        for text in far:
            text.set_family(["DejaVu Sans", there])
        return
    for text in far:
        text.set_text(FAR.sub("", text.get_text()))
    for axis in axes:
        labels = [text.get_text() for text in axis.get_ticklabels()]
        if any(map(FAR.search, labels)):  # they are written anew at each drawing
            axis.set_ticks(axis.get_ticklocs(), [FAR.sub("", label) for label in labels])
