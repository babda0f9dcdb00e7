"""What pages and notebook outputs share: colours that all readers can tell apart, and text that stays text."""

from itertools import combinations

import jinja2
import numpy as np
import pytest
from colours import contrast, linear
from markupsafe import Markup

from fewshot_lab import html

SCRIPT = "<script>alert('1')</script>"
# What the eye makes of linear RGB without one kind of cone (Machado, Oliveira & Fernandes 2009, severity 1).
SEEN = {
    "with all cones": np.eye(3),
    "protanopia": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "deuteranopia": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "tritanopia": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}
# OKLab, in which equal distances look equal (Ottosson 2020).
LMS = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])


def perceived(colour: str, eye: np.ndarray) -> np.ndarray:
    return LAB @ np.cbrt(LMS @ np.clip(eye @ linear(colour), 0, 1))


@pytest.mark.parametrize("colour", [html.GOOD, html.BAD, html.OPEN, html.QUIET])
def test_white_words_can_be_read_on_every_colour_and_every_colour_is_seen_on_a_dark_page(colour):
    assert contrast(colour, "#ffffff") >= 4.5
    assert min(contrast(colour, page) for page in ("#111111", "#212121")) >= 3


@pytest.mark.parametrize("eye", SEEN)
def test_good_bad_and_open_are_told_apart_by_every_eye(eye):
    seen = [perceived(colour, SEEN[eye]) for colour in (html.GOOD, html.BAD, html.OPEN)]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.08


def test_a_status_has_one_colour_whatever_word_is_shown_for_it():
    assert html.GOOD in html.badge("supported") and html.GOOD in html.badge("passed", "✓ 通过")
    assert html.QUIET in html.badge("anything else") and "✓ 通过" in html.badge("passed", "✓ 通过")


def test_text_is_escaped_everywhere_and_markup_is_kept():
    made = html.table([SCRIPT], [[SCRIPT], [Markup("<b>kept</b>")]], caption=SCRIPT)
    made += html.badge(SCRIPT) + html.box(SCRIPT) + html.side_by_side(SCRIPT) + html.bar(0.5, colour=SCRIPT)
    assert "<script" not in made and made.count("&lt;script") == 7 and "<b>kept</b>" in made


def test_a_cell_reaches_down_over_the_nones_below_it():
    made = html.table(["a", "b"], [["one", "1"], [None, "2"], [None, "3"], ["two", "4"]])
    assert made.count("rowspan='3'") == made.count("rowspan") == 1 and made.count("<td") == 6


def test_columns_of_numbers_are_set_right_and_every_cell_but_the_first_knows_its_column():
    made = html.table(["name", "value"], [["x", "1"]], numbers=[1])
    assert "data-name='value' style='text-align:right" in made and "data-name='name'" not in made
    assert "<thead>" not in html.table([], [["x", "1"]]) and "data-name" not in html.table([], [["x", "1"]])


@pytest.mark.parametrize("share, width", [(-0.5, "0.00%"), (0.25, "25.00%"), (2.0, "100.00%")])
def test_a_bar_fills_its_share_and_never_more_than_all(share, width):
    assert f"width:{width}" in html.bar(share, colour="#000000")


def test_a_template_escapes_what_it_is_given_and_asks_for_all_that_it_needs():
    shown = html.render("base", title=SCRIPT, language="en")
    assert "<script" not in shown and shown.startswith("<!DOCTYPE html>") and f"--good: {html.GOOD}" in shown
    with pytest.raises(jinja2.UndefinedError, match="title"):
        html.render("base", language="en")
