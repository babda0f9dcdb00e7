"""Explorers answer to their controls, show a still picture without a front end, and figures carry their text."""

import base64
import json
import re
import shutil
import sys
from base64 import b64decode
from dataclasses import replace
from itertools import combinations

import nbformat
import pytest
import torch
from nbconvert.filters import markdown2html

import fewshot_lab as lab
from fewshot_lab.course.outputs import WIDGET, strip_live_parts
from fewshot_lab.data import TASKS
from fewshot_lab.data import episodes as ep
from fewshot_lab.figures import charts
from fewshot_lab.methods.label_preservation import measure_label_preservation
from fewshot_lab.models import conv_net
from fewshot_lab.training import Estimate, mean_interval

EXPLORERS = {
    "geometry": lambda: lab.widgets.GeometryExplorer("glyphs"),
    "policy": lambda: lab.widgets.PolicyExplorer("digits"),
    "label": lambda: lab.widgets.LabelExplorer(measured()),
    "episode": lambda: episode_explorer(),
    "picture marker": lambda: lab.widgets.PictureMarker(lab.data.load("digits").test_images[:3], "345"),
}


def episode_explorer():
    pools = {jitter: ep.glyph_pool("test", jitter=jitter) for jitter in ("mild", "none")}
    return lab.widgets.EpisodeExplorer(pools, {"constant": lambda images: torch.ones(len(images), 2), "pixels": flat})


def flat(images):
    return images.flatten(1).float()


def measured():
    torch.manual_seed(0)
    task = lab.data.load("digits")
    model = conv_net(len(task.classes), size=8)

    def share(before, after, classes):
        return torch.stack([(after[before == label] == label).float().mean().nan_to_num() for label in range(classes)])

    return measure_label_preservation(model, task, share, device="cpu")


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_of_an_explorer_changes_what_is_seen_and_it_has_a_still(name, every_control_answers):
    every_control_answers(EXPLORERS[name]())


def stored(outputs: list[tuple[dict, dict]]) -> list[dict]:
    """What a stored notebook keeps of outputs."""
    made = [nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in outputs]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=made)])
    strip_live_parts(nb)
    nbformat.validate(nb)
    return [dict(output.data) for output in nb.cells[0].outputs]


def test_a_question_and_its_still_are_two_outputs_of_which_the_stored_notebook_keeps_the_still(monkeypatch):
    shown = []
    monkeypatch.setattr("fewshot_lab.widgets.still.publish_display_data", lambda *output: shown.append(output))
    question = lab.predict("k", "How <many>?", ["one", "two"])
    question._ipython_display_()
    (still, _), (live, _) = shown
    assert list(live) == [WIDGET] and live[WIDGET]["model_id"] == question.model_id and WIDGET not in still
    # The live widget hides its still, and no other.
    [style] = [child.value for child in question.children if "<style>" in str(getattr(child, "value", ""))]
    assert (
        style == f"<style>#{question._still_id}{{display:none}}</style>" and f'id="{question._still_id}"' in still["text/html"]
    )
    html, plain = question.still_html()
    assert stored(shown) == [{"text/html": html, "text/plain": plain}] and "How &lt;many&gt;?" in html


def test_an_explorer_is_stored_as_picture_caption_and_what_moves_without_a_kernel():
    explorer = EXPLORERS["geometry"]()
    shown = explorer.outputs()
    assert WIDGET in shown[-1][0] and explorer.hides.count(explorer._still_id) == 3
    picture, caption, html = stored(shown)
    assert set(picture) == {"image/png", "text/plain"} and set(caption) == {"text/markdown", "text/plain"}
    assert html["text/html"] == explorer.still_html()[0] and html["text/html"].startswith("<div data-explorer=")
    assert stored(explorer.outputs()) == [picture, caption, html], "what is stored is the same in every run"
    # One that is too large to live in a page leaves its picture and nothing else.
    assert len(stored(episode_explorer().outputs())) == 2


def test_converters_have_the_pictures_also_those_that_remove_html():
    from nbconvert import HTMLExporter

    figure = charts.curves({"a": ([1], [Estimate(0.5, 0.4, 0.6, 3)])}, title="t", x="x", y="y", caption="It rises.")
    shown = [figure._repr_mimebundle_(), (figure.under_it(), {}), *EXPLORERS["geometry"]().outputs()]
    outputs = [nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in shown]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("draw()", outputs=outputs)])
    strip_live_parts(nb)
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(nb)
    assert page.count("<img") == 2 and page.count(base64.b64encode(figure.png).decode()) == 1 and "It rises." in page
    clean, _ = HTMLExporter(sanitize_html=True).from_notebook_node(nb)
    assert clean.count("<img") == 2 and "<div data-explorer" not in clean
    assert (
        max(map(len, re.findall(r"[\w+/=]{2000,}", clean.split("<body")[1].replace("data:image/png;base64,", " ")))) < 100_000
    )


@pytest.mark.skipif(not shutil.which("pandoc"), reason="a PDF of a notebook with Markdown needs pandoc")
def test_a_pdf_has_the_figures_with_their_captions():
    from nbconvert import LatexExporter

    figure = charts.curves({"a": ([1], [Estimate(0.5, 0.4, 0.6, 3)])}, title="t", x="x", y="y", caption="It rises.")
    shown = [figure._repr_mimebundle_(), (figure.under_it(), {})]
    outputs = [nbformat.v4.new_output("display_data", data, metadata=metadata) for data, metadata in shown]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("draw()", outputs=outputs)])
    latex, resources = LatexExporter().from_notebook_node(nb)
    assert list(resources["outputs"].values()) == [figure.png] and "adjustimage" in latex and "It rises." in latex


def test_marks_of_pictures_are_kept_while_leafing():
    marker = lab.widgets.PictureMarker(lab.data.load("digits").test_images[:3], "345")
    assert marker.answered() == ["not marked"] * 3 and "Its label: <strong>3</strong>" in marker.html
    marker.controls["mark"].value = "another label"
    marker.controls["picture"].value = 3
    assert marker.controls["mark"].value == "not marked"
    marker.controls["mark"].value = "still its label"
    assert marker.answered() == ["another label", "not marked", "still its label"] and "Judged so far: 2" in marker.html


def test_an_error_in_an_explorer_is_shown_and_does_not_break_it():
    explorer = lab.widgets.PolicyExplorer("digits")
    explorer.page = lambda: (_ for _ in ()).throw(ValueError("a <b> problem"))
    explorer.controls["strength"].value = 1
    assert "a &lt;b&gt; problem" in explorer.html


def test_the_geometry_explorer_shows_the_matrix_of_its_sliders():
    explorer = lab.widgets.GeometryExplorer("digits", angle=0)
    explorer.controls["angle"].value = 90
    explorer.controls["flip"].value = "left-right"
    assert torch.allclose(explorer.matrix()[:2, :2], torch.tensor([[0.0, -1.0], [-1.0, 0.0]]), atol=1e-6)


def test_the_episode_explorer_reads_each_query_as_the_class_with_the_nearest_mean():
    explorer = episode_explorer()
    explorer.controls["shots"].value, explorer.controls["seed"].value = 2, 3
    drawn = ep.draw_episodes(explorer.pools["mild"], 1, way=5, shots=2, queries=3, seed=3)
    support, queries = (flat(explorer.pools["mild"].images[rows[0].flatten()]) for rows in (drawn.support, drawn.queries))
    nearest = torch.cdist(queries, support.unflatten(0, (5, 2)).mean(1)).argmin(1)
    right = (nearest == drawn.query_labels).sum().item()
    assert f"{right / 15:.0%} of the queries" in explorer.html
    assert explorer.html.count("✓") == right and explorer.html.count("✗") == 15 - right


def test_a_prediction_is_remembered_and_compared(capsys):
    question = lab.predict("key", "How many?", ["one", "two"])
    lab.recall("key", "2")
    question.answer.value = "one"
    lab.recall("key", "2")
    assert capsys.readouterr().out.split("\n")[:3] == ["You made no prediction.", "Measured: 2", "You predicted: one"]


def test_data_sets_of_the_explorers_are_those_that_are_here():
    offered = lab.widgets.GeometryExplorer("digits").controls["dataset"].options
    assert offered[0] == "digits" and set(offered) <= set(TASKS) and len(set(offered)) == len(offered)


PICTURES = {
    "curves": lambda **text: lab.figures.curves({"a": ([1, 2], [mean_interval([0.1, 0.2])] * 2)}, x="x", y="y", **text),
    "bars": lambda **text: lab.figures.bars({"a": mean_interval([0.1, 0.2])}, x="x", line=0.0, **text),
    "matrix": lambda **text: lab.figures.matrix(torch.rand(2, 3), ["a", "b"], ["c", "d", "e"], **text),
    "scatter": lambda **text: lab.figures.scatter({"a": (0.1, 1.0, 0.5)}, x="x", y="y", colour="gain", **text),
    "images": lambda **text: lab.figures.images(torch.rand(3, 1, 8, 8), ["a", "b", "c"], columns=2, **text),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_is_drawn_with_its_caption_and_alternative_text_escaped(name):
    picture = PICTURES[name](title="A title", caption="Look <here>", alt='The "alt"')
    assert picture.png.startswith(b"\x89PNG") and len(picture.png) > 2000
    assert "Look &lt;here&gt;" in picture.as_html() and 'alt="The &#34;alt&#34;"' in picture.as_html()


def test_a_cell_that_ends_with_a_figure_has_an_image_and_below_it_the_caption_as_markdown(monkeypatch):
    shown = []
    figures_style = sys.modules["fewshot_lab.figures.style"]
    monkeypatch.setattr(figures_style, "display", lambda data, metadata=None, raw=False: shown.append((data, metadata)))
    picture = PICTURES["bars"](title="t", caption="Look <here>, at a_1 and *.", alt='The "alt" <b>')
    picture._ipython_display_()
    (image, about), (below, _) = shown
    assert b64decode(image["image/png"]) == picture.png and image["text/plain"] == picture.alt
    assert about == {"image/png": {"width": picture.width, "alt": picture.alt, "chart": True}} and json.dumps(shown)
    page = markdown2html(below["text/markdown"])
    assert "<p>Look &lt;here&gt;, at a_1 and *.</p>" in page and "<summary>This figure in words</summary>" in page
    assert "The &#34;alt&#34; &lt;b&gt;</details>" in page and below["text/plain"] == picture.caption


def test_the_names_of_points_that_lie_close_do_not_cover_each_other(monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "Picture", lambda figure, **text: drawn.append(figure))
    points = {"pseudo-labels": (0.53, 0.59, -0.05), "all true labels": (0.54, 0.59, -0.04), "both": (0.54, 0.6, 0.0)}
    charts.scatter(points | {"far": (0.8, 0.8, 0.01)}, title="", x="x", y="y", colour="gain", caption="", alt="")
    names = [text.get_window_extent() for text in drawn[0].axes[0].texts]
    assert len(names) == 4 and not any(one.overlaps(other) for one, other in combinations(names, 2))


def test_a_figure_without_alternative_text_says_its_title_and_its_numbers():
    one, other = mean_interval([0.1, 0.2]), mean_interval([0.5, 0.7])
    long = {"net": (list(range(8)), [one, one, one, other, one, one, one, one])}
    texts = {
        "Rates. y over x. a: 0.15 at 1, 0.60 at 2.": lab.figures.curves(
            {"a": ([1, 2], [one, other])}, title="Rates", x="x", y="y", caption=""
        ),
        "Rates. y over x. net: 0.15 at 0, 0.60 at 3, 0.15 at 7.": lab.figures.curves(
            long, title="Rates", x="x", y="y", caption=""
        ),
        "Which? gain, with 95 % intervals: a 0.15 [-0.49, 0.79].": lab.figures.bars(
            {"a": one}, title="Which?", x="gain", caption=""
        ),
        "Printed. F1, with rounding ranges: a 0.92 [0.91, 0.93].": lab.figures.bars(
            {"a": Estimate(0.92, 0.91, 0.93, 9, kind="rounding range")}, title="Printed", x="F1", caption=""
        ),
        "Rate. x, with 95 % intervals: a >= 2.00 [1.50, >= 2.00].": lab.figures.bars(
            {"a": Estimate(2.0, 1.5, 2.0, 3, bound=">=")}, title="Rate", x="x", caption=""
        ),
        "Alone. gain: a 0.30.": lab.figures.bars({"a": mean_interval([0.3])}, title="Alone", x="gain", caption=""),
        "Kept. a: c 0.25, d 1.00.": lab.figures.matrix([[0.25, 1.0]], ["a"], ["c", "d"], title="Kept", caption=""),
        "Shown. 3 images: a, b.": lab.figures.images(
            torch.rand(3, 1, 8, 8), ["a", "b", "a"], columns=3, title="Shown", caption=""
        ),
    }
    for expected, picture in texts.items():
        assert picture.alt == expected


def test_the_source_of_a_function_is_shown_whole_or_from_one_line_on():
    def counted(items):
        count = 0
        for _ in items:
            count += 1

            count += 0
        return count

    assert lab.source(counted).data.startswith("```python\ndef counted(items):")
    assert lab.source(counted, "for _").data == "```python\nfor _ in items:\n    count += 1\n\n    count += 0\n```"
    with pytest.raises(ValueError, match="while"):
        lab.source(counted, "while")


def test_points_whose_trainings_were_still_learning_are_hollow_and_the_caption_says_so_once():
    rested, learning = (replace(mean_interval([0.1, 0.2]), rest=(("a", share),)) for share in (1.0, 0.4))
    words = {"title": "t", "x": "x", "y": "y", "caption": "c."}
    plain = lab.figures.curves({"a": ([1, 2], [rested, rested])}, **words)
    hollow = lab.figures.curves({name: ([1, 2], [rested, learning]) for name in "ab"}, **words)
    assert plain.caption == "c." and hollow.caption == "c. Hollow: still learning."
    assert plain.png != lab.figures.curves({"a": ([1, 2], [rested, learning])}, **words).png


def test_panels_of_one_quantity_have_one_scale(monkeypatch):
    drawn = []
    monkeypatch.setattr(sys.modules["fewshot_lab.figures.panels"], "Picture", lambda figure, **_: drawn.append(figure))
    measures = {"x": {"a": lab.mean_interval([0.1, 0.2])}, "y": {"a": lab.mean_interval([0.7, 0.9])}}
    for options in ({}, {"shared": True}, {"shared": True, "limits": (0, 1)}):
        lab.figures.panels(measures, title="t", caption="c", alt="a", **options)
    own, shared, limited = ([axes.get_xlim() for axes in figure.axes] for figure in drawn)
    assert own[0] != own[1] and shared[0] == shared[1]
    assert shared[0] == (min(own)[0], max(high for _, high in own)) and limited == [(0, 1), (0, 1)]


def test_bars_and_panels_hollow_them_too():
    rested, learning = (replace(mean_interval([0.1, 0.2]), rest=(("a", share),)) for share in (1.0, 0.4))
    words = {"title": "t", "caption": "c."}
    bars = [lab.figures.bars({"a": rested, "b": second}, x="x", **words) for second in (rested, learning)]
    panels = [lab.figures.panels({"x": {"a": rested}, "y": {"a": second}}, **words) for second in (rested, learning)]
    for plain, hollow in (bars, panels):
        assert plain.caption == "c." and hollow.caption == "c. Hollow: still learning." and plain.png != hollow.png
