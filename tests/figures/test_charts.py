"""Figures: names beside their lines, letters that one can read, numbers that can be told apart, PNGs that weigh little."""

import sys
import warnings
from io import BytesIO

import numpy as np
import pytest
import torch
from colours import contrast
from PIL import Image

from fewshot_lab import figures
from fewshot_lab.evidence import Estimate
from fewshot_lab.figures import alt, letters
from fewshot_lab.figures.style import MIDDLE, SMALL, Picture
from fewshot_lab.html import CHART
from fewshot_lab.languages import speaking

SERIES = {
    name: ([1, 2, 5], [Estimate(mean, mean - 0.02, mean + 0.02, 3) for mean in (0.5, 0.6, end)])
    for name, end in {"none": 0.7, "the right policy, with averaged weights": 0.701, "too strong": 0.702, "wrong": 0.3}.items()
}
BARS = {name: Estimate(mean, mean - 0.02, mean + 0.02, 3) for name, mean in {"a": 0.941, "b": 0.944, "c": -0.2}.items()}
TEXT = {"title": "A finding.", "caption": "A caption."}
DRAWN = {
    "curves": lambda: figures.curves(SERIES, x="labels", y="accuracy", levels={"chance": 0.31}, log_x=True, **TEXT),
    "curve panels": lambda: figures.curve_panels({"one": SERIES, "two": SERIES}, x="labels", y="accuracy", log_y=True, **TEXT),
    "bars": lambda: figures.bars(BARS, x="gain", line=0, **TEXT),
    "panels": lambda: figures.panels({"one": BARS, "two": BARS}, **TEXT),
    "matrix": lambda: figures.matrix([[0.1, 1.0]], ["a"], ["b", "c"], **TEXT),
    "scatter": lambda: figures.scatter({"a": (0, 1, 0.1), "b": (1, 2, -0.1)}, x="x", y="y", colour="gain", **TEXT),
}


@pytest.fixture
def drawn(monkeypatch):
    """Draws a chart and gives matplotlib's figure of it, laid out, beside the picture."""

    def draw(name):
        kept = []

        def keep(figure, **words):
            kept.append(figure)
            return Picture(figure, **words)

        for module in map(sys.modules.get, ("fewshot_lab.figures.charts", "fewshot_lab.figures.panels")):
            monkeypatch.setattr(module, "Picture", keep)
        picture = DRAWN[name]()
        kept[0].draw_without_rendering()  # at its own density again
        return picture, kept[0]

    return draw


@pytest.mark.parametrize("name", DRAWN)
def test_no_letter_is_too_small_and_no_figure_wider_than_a_page(drawn, name):
    picture, figure = drawn(name)
    sizes = {text.get_text(): text.get_fontsize() for text in figure.findobj(lambda part: hasattr(part, "get_fontsize"))}
    assert {text: size for text, size in sizes.items() if text and size < SMALL} == {}
    assert SMALL * 80 / 72 > 11 and picture.width <= 870  # of the page's pixels


@pytest.mark.parametrize("name", ["curves", "curve panels"])
def test_names_stand_beside_the_ends_of_their_lines_clear_of_each_other(drawn, name):
    _, figure = drawn(name)
    axes = figure.axes[-1]
    assert axes.get_legend() is None
    boxes = {text.get_text().replace("\n", " "): text.get_window_extent() for text in axes.texts}
    assert set(boxes) >= set(SERIES)
    ordered = sorted(boxes.values(), key=lambda box: box.y0)
    assert [(low.y1, high.y0) for low, high in zip(ordered, ordered[1:], strict=False) if low.y1 > high.y0 + 1] == []
    assert list(dict(sorted(boxes.items(), key=lambda item: item[1].y0)))[0] == "wrong"  # as high as its line ends
    assert axes.get_xlim()[1] < 6  # the names have not widened the axis


def test_axes_say_where_equal_steps_are_equal_factors(drawn):
    _, figure = drawn("curves")
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("labels (log scale)", "accuracy")
    _, figure = drawn("curve panels")
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("labels", "accuracy (log scale)")


def test_numbers_that_differ_are_not_written_alike(drawn):
    assert alt.enough_digits(BARS.values(), 2) == 3
    assert alt.enough_digits([BARS["a"], BARS["c"], BARS["a"]], 2) == 2
    picture, figure = drawn("bars")
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.941", "0.944", "\N{MINUS SIGN}0.200"}
    assert "a 0.941" in picture.alt and "b 0.944" in picture.alt


def test_a_chart_is_packed_into_few_colours_and_a_photograph_keeps_its_own(drawn):
    picture, _ = drawn("curves")
    assert Image.open(BytesIO(picture.png)).mode == "P" and len(picture.png) < 40_000
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    photograph = figures.images(noise, ["noise"], columns=1, **TEXT)
    assert Image.open(BytesIO(photograph.png)).mode == "RGBA"


def test_photographs_lie_on_the_page_itself_and_their_letters_are_read_on_white_and_in_the_dark():
    photograph = figures.images(torch.ones(2, 1, 8, 8), ["a label", "another"], columns=2, **TEXT)
    image = np.asarray(Image.open(BytesIO(photograph.png)).convert("RGBA")).astype(float)
    assert (image[[0, -1]][..., 3] == 0).all(), "no page of its own"
    letters_only = image[: len(image) // 3]
    ink = letters_only[letters_only[..., 3] == 255][:, :3]
    assert len(ink) > 100 and (abs(ink - 0x76) <= 16).mean() > 0.9
    assert contrast(MIDDLE, "#ffffff") >= 4.5, "WCAG AA on white"
    assert contrast(MIDDLE, "#111111") >= 4, "and nearly so on JupyterLab's dark page"


def test_charts_may_be_turned_over_in_the_dark_and_photographs_not():
    photograph = figures.images(torch.rand(1, 3, 8, 8), [""], columns=1, **TEXT)
    for picture, chart in ((DRAWN["bars"](), True), (photograph, False)):
        assert (f'class="{CHART}"' in picture.as_html()) == chart
        _, facts = picture._repr_mimebundle_()
        assert facts["image/png"]["chart"] == chart


# Letters


def test_letters_that_no_typeface_has_are_left_out_and_no_box_is_drawn(monkeypatch):
    monkeypatch.setattr(letters, "typeface", lambda of: None)
    with speaking("zh"), warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each glyph that it draws as a box
        shown = figures.bars({"甲": BARS["a"], "乙 2": BARS["b"]}, title="标题 of two", x="准确率", caption="说明。")
    assert "标题 of two" in shown.alt and "甲" in shown.alt


def test_a_machine_without_chinese_letters_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr("fewshot_lab.assets.installed", lambda name: None)
    monkeypatch.setattr(letters.font_manager.fontManager, "get_font_names", lambda: ["DejaVu Sans"])
    with pytest.warns(UserWarning, match="fewshot-lab assets fetch noto-sans-sc"):
        assert letters.typeface.__wrapped__("zh") is None
    assert letters.typeface.__wrapped__("en") is None


def test_the_typeface_has_the_letters_in_a_figure_of_any_language():
    if not letters.typeface("zh"):
        pytest.skip("no typeface with Chinese letters here: fewshot-lab assets fetch noto-sans-sc")
    with speaking("zh"), warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.bars({"甲": BARS["a"]}, title="标题", x="准确率", caption="说明。")
        with speaking("en"):
            figures.bars({"甲": BARS["a"]}, title="Found: 标题", x="accuracy", caption="Text.")


def test_labels_of_an_axis_keep_their_chinese_letters_in_an_english_figure_and_lose_them_without_a_typeface(monkeypatch):
    for there in ("DejaVu Sans", None):  # any family will do
        monkeypatch.setattr(letters, "typeface", lambda of, there=there: there)
        figure, axes = figures.new_figure()
        axes.bar(["甲", "乙 2"], [1, 2])
        letters.without_boxes(figure)
        assert [label.get_text() for label in axes.get_xticklabels()] == (["甲", "乙 2"] if there else ["", " 2"])
