"""The course in a real browser: JupyterLab with headless Chromium, by mouse and by keyboard, in both themes.

Pictures of what was seen are left in runs/browser/. Without Chromium, Playwright or axe these tests are skipped.
"""

import math
import re

import nbformat
import pytest
from browser import (
    OURS,
    WAIT,
    Notebook,
    changed,
    drag,
    new_page,
    picture,
    served,
    shown,
    violations,
    write_explorers,
)
from explorers import EXPLORERS
from places import ROOT

from fewshot_lab import figures
from fewshot_lab.course import landing, progress
from fewshot_lab.course.chapters import chapters, read_notebook
from fewshot_lab.course.page import page as results_page
from fewshot_lab.course.run import _as_files as as_files
from fewshot_lab.evidence import RULES
from fewshot_lab.evidence.records import recorded
from fewshot_lab.evidence.runs import ChapterRun, Run
from fewshot_lab.grading.grade import Graded, Mark
from fewshot_lab.grading.pages import feedback_page, summary_page
from fewshot_lab.html import table
from fewshot_lab.own.section import Section
from fewshot_lab.own.trying import Tried
from fewshot_lab.training import share_interval

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.timeout(900)]
CHAPTERS = {chapter.id: chapter for chapter in chapters()}
STORED = [id for id in CHAPTERS if id not in ("00", "01")]
LOADED = """() => {
    const images = [...document.querySelectorAll('.jp-OutputArea-output img')]
    return images.length > 0 && images.every((image) => image.complete)
}"""
IMAGES = """() => [...document.querySelectorAll('.jp-OutputArea-output img')].map(
    (image) => [image.alt, image.naturalWidth, image.getBoundingClientRect().width])"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with served(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def page(browser):
    return new_page(browser)


@pytest.fixture
def open_notebook(lab, page):
    """Opens a notebook by name; its kernel is ended afterwards."""
    yield lambda name: Notebook(page, lab, name)
    lab.end_kernels()


@pytest.fixture(scope="module")
def explorers(lab, browser):
    """The notebook of all explorers, run in a page of its own."""
    notebook = Notebook(new_page(browser), lab, write_explorers(lab.course))
    notebook.run_all()
    assert notebook.errors() == [] and len(notebook.explorers()) == len(EXPLORERS)
    return notebook


def test_chapter_00_is_opened_run_answered_wrongly_and_rightly_and_its_explorer_is_dragged(open_notebook, page):
    chapter = open_notebook(CHAPTERS["00"].notebook.name)
    chapter.run_all()
    assert chapter.errors() == []
    picture(page, "chapter_00")
    page.get_by_label("about 65 %").check()
    recall = chapter.cell('lab.recall("nearest"')
    chapter.run(recall)
    assert "You predicted: about 65 %" in recall.inner_text()

    [explorer] = chapter.explorers()
    angle, before = explorer.get_by_label("angle in °"), shown(explorer)
    drag(page, angle, 0.75)
    after = changed(explorer, before)
    turned = math.radians(float(angle.input_value()))
    assert abs(turned - math.pi / 2) < 0.1
    cos, sin = (f"{wave(turned):.2f}" for wave in (math.cos, math.sin))
    assert matrix(explorer)[0] == cos.replace("-0.00", "0.00") and matrix(explorer)[3] == sin
    assert pictures_in(after)[0] == pictures_in(before)[0] and pictures_in(after)[1] != pictures_in(before)[1]
    picture(page, "chapter_00_dragged")

    answer = chapter.cell("The share of rows whose largest logit")
    check = chapter.cell("lab.check(accuracy)", 1)
    assert "To do" in check.inner_text()
    wrong = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).sum().item()"
    for source, said in ((wrong, "Not yet"), (wrong.replace("sum()", "float().mean()"), "Right")):
        chapter.write(answer, source)
        chapter.run(check)
        assert said in check.inner_text()
        check.scroll_into_view_if_needed()
        picture(page, f"chapter_00_{said.lower().replace(' ', '_')}")
    assert chapter.errors() == [] and violations(page, OURS) == []
    chapter.theme("Dark")
    try:
        assert violations(page, OURS) == []
        picture(page, "chapter_00_dark")
    finally:
        chapter.theme("Light")


def test_a_notebook_that_was_saved_by_hand_has_no_error_the_next_day_and_comes_to_life_again(lab, open_notebook, page):
    cells = [
        "import fewshot_lab as lab",
        "lab.predict('k', 'How many?', ['one', 'two'])",
        "lab.widgets.GeometryExplorer('digits')",
        "lab.widgets.PictureMarker(lab.data.load('digits').test_images[:3], '345')",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in cells]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    path = lab.course / "notebooks" / "the_next_day.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    stills, explorers = ".jp-OutputArea-output img:visible", ".fewshot-lab-explorer:visible"
    asked, answers = ".fewshot-lab-still:visible ul", ".fewshot-lab-control:visible"

    def counts():
        return [notebook.panel.locator(which).count() for which in (asked, answers, stills, explorers)]

    notebook = open_notebook(path.name)
    notebook.run_all(timeout=4 * WAIT)
    notebook.panel.locator(explorers).nth(1).wait_for()
    page.wait_for_timeout(3000)  # an explorer of the page itself would have come by now
    assert counts() == [0, 1, 0, 2]
    page.keyboard.press("Control+S")
    page.wait_for_timeout(2000)
    assert (
        "application/vnd.jupyter.widget-view+json" in path.read_text() and "model not found" not in notebook.panel.inner_text()
    )
    lab.end_kernels()

    notebook = open_notebook(path.name)  # with a new kernel, which knows none of the widgets
    page.wait_for_timeout(8000)
    # What the page computes itself is alive; the other shows its picture.
    assert counts() == [1, 0, 1, 1]
    assert not re.search("model not found|Loading widget|Error", notebook.panel.inner_text())
    assert notebook.panel.locator(asked).locator("..").get_by_text("How many?").count() == 1
    picture(page, "the_next_day")
    notebook.run_all(timeout=4 * WAIT)
    notebook.panel.locator(answers).first.wait_for()
    page.wait_for_timeout(3000)
    assert counts() == [0, 1, 0, 2]


def matrix(explorer) -> list[str]:
    """The two rows of the first table that an explorer shows."""
    return explorer.locator("table").first.locator("td").all_inner_texts()


def pictures_in(html: str) -> list[str]:
    return [part.split('"')[0] for part in html.split("data:image/png;base64,")[1:]]


def test_chapter_01_shows_its_progress_and_recovers_from_a_restart_in_the_middle(open_notebook, page):
    chapter = open_notebook(CHAPTERS["01"].notebook.name)
    chapter.run_all(wait=False)
    bar = chapter.panel.locator("progress").first
    bar.wait_for()
    first = float(bar.get_attribute("value"))
    page.wait_for_function(f"() => Number(document.querySelector('progress')?.value) > {first}")
    picture(page, "chapter_01_progress")
    chapter.menu("Kernel", "Restart Kernel…")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    chapter.wait()
    unfinished = chapter.panel.locator(".jp-CodeCell").last
    assert "supported" not in unfinished.inner_text() and "refuted" not in unfinished.inner_text()

    # The quick profile is run whole elsewhere.
    quick = 'PROFILE = "quick"'
    [settings] = [cell.source for cell in read_notebook(CHAPTERS["01"]).cells if cell.source.startswith(quick)]
    chapter.write(chapter.cell(quick), settings.replace(quick, 'PROFILE = "smoke"'))
    chapter.run_all()
    assert chapter.errors() == [] and chapter.panel.locator("progress").count() == 0
    assert re.search(r"\d+ [\w ]+ in [\d.]+ s", chapter.cell("READERS = {").text_content())
    for number, explorer in enumerate(chapter.explorers()[:2]):  # others show what a network learned: here nothing yet
        before = shown(explorer)
        drag(page, explorer.locator("input[type=range]").first, 0.9)
        changed(explorer, before)
        picture(page, f"chapter_01_explorer_{number}")
    assert violations(page, OURS) == []


def test_every_slider_of_the_explorers_is_dragged_and_the_picture_follows(explorers):
    for output in explorers.explorers():
        for slider in output.locator("input[type=range]").all():
            before, value = shown(output), slider.input_value()
            drag(explorers.page, slider, 0.6)
            assert slider.input_value() != value
            changed(output, before)


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_is_reached_by_tab_named_and_turned_by_keys_and_the_picture_follows(name, explorers):
    output = explorers.explorers()[list(EXPLORERS).index(name)]
    controls = output.locator("input, select").all()
    output.scroll_into_view_if_needed()
    explorers.page.evaluate("document.activeElement.blur()")  # the test before this one may have come here by its last Tab
    borders = [control.evaluate(BORDER) for control in controls]
    output.locator("input, select, button:enabled").nth(1).focus()
    explorers.page.keyboard.press("Shift+Tab")  # a person who comes by the keyboard: the browser shows the focus to them
    for control, border in zip(controls, borders, strict=True):
        assert control.evaluate(IN_FOCUS), "Tab does not reach it"
        assert control.evaluate("(control) => control.labels[0].textContent.trim()"), "it has no label"
        assert control.evaluate(OUTLINED) or control.evaluate(BORDER) != border, "its focus cannot be seen"
        if control.get_attribute("type") != "file":  # which is chosen in the system's own window
            turn(explorers.page, control, output)
        assert control.evaluate(IN_FOCUS), "JupyterLab took the key"
        explorers.page.keyboard.press("Tab")
    picture(output, f"explorer_{name}")


IN_FOCUS = "(control) => control === document.activeElement"
OUTLINED = "(control) => getComputedStyle(control).outlineStyle !== 'none'"
BORDER = "(control) => getComputedStyle(control).borderColor"


def turn(page, control, output) -> None:
    """Changes a control by keys, and sees the picture follow: a slider goes to its ends and some steps from one."""
    before, value = shown(output), control.input_value()
    if control.evaluate("(control) => control.tagName") == "SELECT":
        page.keyboard.press("ArrowDown")
        if control.input_value() == value:
            page.keyboard.press("ArrowUp")
    elif control.get_attribute("type") == "range":
        page.keyboard.press("Home")
        page.wait_for_timeout(500)
        before = shown(output)
        for key in ("End", "Home"):
            page.keyboard.press(key)
            before, value = changed(output, before), control.input_value()
        for _ in range(6):
            page.keyboard.press("ArrowUp")
    else:
        page.keyboard.press("Home")
        page.keyboard.press("Shift+Control+ArrowRight")  # the first word
        page.keyboard.type("bird" if value else "the small dog saw a large animal")
        page.keyboard.press("Enter")
    assert control.input_value() != value
    changed(output, before)


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_axe_finds_nothing_serious_in_any_explorer(theme, explorers):
    explorers.theme(theme)
    assert violations(explorers.page, OURS) == []
    picture(explorers.page, f"explorers_{theme.lower()}")


@pytest.mark.parametrize("id", STORED)
def test_a_stored_chapter_opens_with_sharp_pictures_that_have_alternative_text_and_without_an_error(id, open_notebook, page):
    chapter = open_notebook(CHAPTERS[id].notebook.name)
    page.wait_for_function(LOADED)
    images = page.evaluate(IMAGES)
    assert images and all(alt for alt, *_ in images) and chapter.errors() == []
    assert all(own >= 2 * width - 1 for _, own, width in images), "an image has under two pixels for each of the page's"
    picture(page, f"chapter_{id}")


@pytest.mark.parametrize("id", CHAPTERS)
def test_every_chapter_runs_and_every_explorer_in_it_answers(id, open_notebook, page, request):
    if not request.config.getoption("--thorough"):
        pytest.skip("every chapter is run in the browser with --thorough only")
    chapter = open_notebook(CHAPTERS[id].notebook.name)
    chapter.run_all(timeout=800_000)
    assert chapter.errors() == []
    made = CHAPTERS[id].source.read_text().count("Explorer(")
    explorers = chapter.explorers()
    assert len(explorers) >= made
    for number, explorer in enumerate(explorers):
        before = shown(explorer)
        sliders = explorer.locator("input[type=range]")
        if sliders.count():
            drag(page, sliders.first, 0.5)
            changed(explorer, before)
        explorer.scroll_into_view_if_needed()
        picture(page, f"chapter_{id}_explorer_{number}")
    assert violations(page, OURS) == []


def graded() -> Graded:
    marks = [
        Mark("a", "Accuracy", 0.0, 1.0, status, "A sentence.", [f"Smallest failing case:\n  logits: {'1, ' * 40}"])
        for status in ("passed", "failed", "not attempted", "stopped", "own code", "by hand")
    ]
    return Graded("Ann", "00", "x.ipynb", "", "graded", marks, answers={"a": "x = " + "y" * 200}, notes=["A note"])


def tried() -> Tried:
    """What `fewshot-lab try` may find: long names, a wide figure and a table."""
    lines = figures.curves(
        {"pixels": ([1, 2], [share_interval(4, 9), share_interval(6, 9)])}, title="t", x="x", y="y", caption="c"
    )
    rows = table(["example", "your label"], [("a/long_name_" * 9, "cat")])
    return Tried("pets", "Left out: 2\nno picture", (Section("Which?", "None. " * 30, (lines.as_html(), rows)),), 3.0)


PAGES = {
    "landing": lambda: landing.landing(progress.progress(), "/", str(ROOT)),
    "feedback": lambda: feedback_page("Ann", [graded()]),
    "summary": lambda: summary_page([graded()], []),
    "own": lambda: tried().as_page(),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_on_a_phone_and_axe_finds_nothing_serious_in_either_theme(name, browser, tmp_path):
    (tmp_path / "page.html").write_text(PAGES[name]())
    page = new_page(browser, width=390, height=844)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, "it has to be moved sideways"
        assert violations(page) == []
        picture(page, f"{name}_{scheme}")
    page.close()


def test_a_whole_row_of_the_page_of_chapters_is_its_link_and_a_claim_says_its_sentence(browser, tmp_path):
    (tmp_path / "page.html").write_text(PAGES["landing"]())
    page = new_page(browser)
    page.goto((tmp_path / "page.html").as_uri())
    row = page.locator("tr", has=page.locator("#go-02"))
    row.scroll_into_view_if_needed()
    box = row.bounding_box()
    for share in (0.02, 0.3, 0.55, 0.8):
        where = [box["x"] + share * box["width"], box["y"] + box["height"] - 4]
        assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).id", where) == "go-02"
    claim = row.get_by_role("button", name="C2", exact=True)
    assert not row.get_by_role("tooltip").first.is_visible()
    claim.hover()
    assert row.get_by_text(RULES.claims["C2"].sentence).is_visible()
    assert row.locator("svg use").evaluate("(use) => document.getElementById(use.getAttribute('href').slice(1)) !== null")
    page.close()


def test_the_results_of_a_run_and_its_chapters_fit_on_a_phone(browser, tmp_path):
    entries = []
    for chapter in CHAPTERS.values():
        nb = read_notebook(chapter)
        names = {"html": f"{chapter.name}.html", "notebook": chapter.notebook.name}
        facts = {"id": chapter.id, "title": chapter.title, "status": "ok", "seconds": 1.0}
        found = recorded(nb.cells)
        found = {"checks": found.check_counts(), "results": found.results, "verdicts": found.verdicts}
        entries.append(ChapterRun(**facts, **names, **found))
    run = Run(profile="quick", device="cpu", machine="cpu", started="now", chapters=entries)
    pages = {"run": results_page(run), "run_01": as_files(read_notebook(CHAPTERS["01"]), "01 Rotations and flips")[1]}
    page = new_page(browser, width=390, height=844)
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text)
        page.goto((tmp_path / f"{name}.html").as_uri())
        assert page.title() == {"run": "Few-Shot Lab: results", "run_01": "01 Rotations and flips"}[name]
        picture(page, name)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, f"{name} has to be moved sideways"
    page.goto((tmp_path / "run.html").as_uri())
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
        picture(page, f"run_{scheme}")
