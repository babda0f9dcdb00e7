"""A learner comes in by the page of chapters: what is opened, what is there before a run, what is kept, the way back."""

import re

import pytest
from browser import OURS, Notebook, new_page, picture, served, violations

from fewshot_lab.course.chapters import chapters

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.timeout(900)]
FIRST, SECOND = chapters()[:2]
RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).float().mean()"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab for a learner who is new: an empty file of progress."""
    folder = tmp_path_factory.mktemp("door")
    with served(folder, XDG_DATA_HOME=str(folder / "data"), FEWSHOT_LAB_PROGRESS="on") as lab:
        yield lab


@pytest.fixture
def page(browser):
    page = new_page(browser)
    yield page
    page.close()


def landing(page, lab, words: str = ""):
    page.goto(f"{lab.address}/fewshot-lab?token={lab.token}{words}")
    return page


def ready(page):
    """Waits for a notebook in its view alone: its cells are there, its kernel is idle."""
    page.locator(".jp-Cell").first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for(state="attached")
    page.wait_for_timeout(1000)
    return page


def said(cell) -> str:
    """What a cell shows; JupyterLab renders only what is near the view."""
    cell.scroll_into_view_if_needed()
    cell.page.wait_for_timeout(1000)
    return cell.inner_text()


def test_the_page_opens_a_notebook_alone_that_holds_no_answer_and_leads_back(lab, page):
    copy = lab.course / "work" / FIRST.notebook.name
    before = copy.read_bytes()
    with page.expect_popup() as popup:
        landing(page, lab).locator("#go-00").click()
    notebook = ready(popup.value)
    assert f"/notebooks/work/{FIRST.notebook.name}" in notebook.url
    text = notebook.locator("body").inner_text()
    assert "Nbgrader" not in text and "Validate" not in text and "Jupyter news" not in text
    assert "Measured:" not in text and notebook.locator("figure img:visible").count() <= 2  # a draw of images, an explorer
    assert notebook.locator("progress").count() == 0 and copy.read_bytes() == before
    folded = notebook.locator("details", has_text="Show what the makers got").first
    folded.scroll_into_view_if_needed()
    assert not folded.locator("img").is_visible()
    picture(notebook, "door_folded")
    folded.locator("summary").click()
    assert folded.locator("img").is_visible()
    picture(notebook, "door_opened")
    with notebook.expect_popup() as popup:
        notebook.get_by_role("link", name="All chapters").first.click()
    assert popup.value.url.split("?")[0].rstrip("/") == f"{lab.address}/fewshot-lab"
    with notebook.expect_popup() as popup:
        notebook.get_by_role("link", name="Next chapter: 01").first.click()
    assert SECOND.notebook.name in ready(popup.value).url


def test_a_notebook_fits_on_a_phone(lab, browser):
    phone = new_page(browser, width=390, height=844)
    phone.goto(f"{lab.address}/notebooks/work/{SECOND.notebook.name}?token={lab.token}")
    ready(phone)
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert phone.locator(".jp-Cell").first.bounding_box()["width"] > 340
    picture(phone, "door_390")
    phone.close()


def test_opening_a_notebook_in_jupyterlab_does_not_mark_it_modified_and_shows_no_instructors_panel(lab, page):
    chapter = Notebook(page, lab, SECOND.notebook.name, "work")
    page.wait_for_timeout(3000)
    assert page.locator(".jp-mod-dirty").count() == 0 and page.locator(".jp-toast-button").count() == 0
    assert "Nbgrader" not in page.locator("body").inner_text() and "Create Assignment" not in page.content()
    picture(page, "door_jupyterlab")
    chapter.write(chapter.cell("lab.predict("), "1")
    assert page.locator(".jp-mod-dirty").count()  # else the first line of this test would see nothing
    lab.end_kernels()


def test_a_prediction_outlives_the_kernel_and_a_check_judges_the_cell_on_the_screen(lab, page, browser):
    chapter = Notebook(page, lab, FIRST.notebook.name, "work")
    chapter.run_all(timeout=240_000)
    assert chapter.errors() == []
    page.get_by_label("about 65 %").check()
    page.get_by_label("about 95 %").nth(1).check()
    page.wait_for_timeout(500)
    chapter.menu("Kernel", "Restart Kernel…")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    chapter.wait()
    chapter.run_all(timeout=240_000)
    assert page.get_by_label("about 65 %").is_checked() and page.get_by_label("about 95 %").nth(1).is_checked()
    near, far = chapter.cell('lab.recall("nearest"'), chapter.cell('lab.recall("coverage"')
    assert "Far: nearest is “about 88 %”." in said(far)
    assert "You predicted: about 65 %" in said(near) and "Near." in near.inner_text()
    assert "Show what the makers got" in near.inner_text() and "Measured: 67%" not in near.locator("details").inner_text()
    near.locator("summary").click()
    assert "Measured: 67%" in near.locator("details").inner_text()
    near.scroll_into_view_if_needed()
    picture(page, "door_recall")

    answer, check = chapter.cell("The share of rows whose largest logit"), chapter.cell("lab.check(accuracy)", 1)
    chapter.write(answer, RIGHT)
    chapter.run(check)
    assert "Right" in said(check)
    chapter.write(answer, RIGHT.replace("dim=1)", "dim=1"))
    chapter.run(check)
    assert "stopped with a SyntaxError in line 2" in said(check) and "Right" not in check.inner_text()
    check.scroll_into_view_if_needed()
    picture(page, "door_syntax_error")
    assert violations(page, OURS) == []
    chapter.write(chapter.cell("lab.ledger([])"), "lab.makers()")
    made = chapter.cell("lab.makers()")
    said(made)
    assert made.locator("details").count() == 4  # three figures and a verdict
    lab.end_kernels()

    told = new_page(browser)
    assert "You foresaw 1 of the 2 results" in landing(told, lab).locator("#foresaw").inner_text()
    picture(told, "door_landing")
    told.get_by_role("link", name="What you predicted").click()
    assert re.search(r"about 65 %\s+67% \(95 % interval \d+% to \d+%\)\s+near", told.locator("table").inner_text())
    for scheme in ("dark", "light"):
        told.emulate_media(color_scheme=scheme)
        assert violations(told) == []
    picture(told, "door_predictions")
    told.close()


def test_the_language_of_the_page_is_that_of_kernels_that_start_later(lab, page):
    landing(page, lab, "&lang=zh")
    chapter = Notebook(page, lab, SECOND.notebook.name, "work")
    for text in ("PROFILE = ", "lab.setup("):
        chapter.run(chapter.cell(text))
    shown = said(chapter.cell("lab.setup("))
    assert "第 01 章" in shown and "所有章节" in shown
    picture(page, "door_chinese")
    lab.end_kernels()
    landing(page, lab, "&lang=en")
