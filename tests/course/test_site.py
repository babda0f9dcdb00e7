"""The course as a web site: every chapter with its pictures, search, the reference; nothing is loaded from elsewhere."""

import re
from pathlib import Path

import pytest
from browser import new_page, opened, picture, violations

import fewshot_lab as lab
from fewshot_lab.course import site
from fewshot_lab.course.chapters import chapters
from fewshot_lab.errors import CourseError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]  # one worker, so that it is built once


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    return site.build_site(folder, "https://github.com/ann/lab").parent


def test_every_chapter_is_a_page_with_its_pictures_and_alternative_text(built):
    for chapter in chapters():
        page = (built / "chapters" / f"{chapter.name}.html").read_text()
        stored = chapter.notebook.read_text()
        images = re.findall(r'<img[^>]*src="\.\./_images/[^>]*>', page)
        assert len(images) == stored.count('"image/png": "') > 0
        assert all(re.search(r'alt="[^"]{9,}"', image) for image in images)
        assert f'href="{chapter.notebook.name}" download' in page and (built / "chapters" / chapter.notebook.name).exists()
        assert f"https://mybinder.org/v2/gh/ann/lab/HEAD?urlpath=notebooks/notebooks/{chapter.notebook.name}" in page
        assert "Traceback" not in page and "application/vnd" not in page


def test_one_page_shows_every_figure_of_the_course_with_its_caption(built):
    page = (built / "figures.html").read_text()
    stored = "".join(chapter.notebook.read_text() for chapter in chapters())
    shown = re.findall(r'<img[^>]*src="_images/\d\d_\d+\.png"[^>]*>', page)
    assert len(shown) == stored.count('"image/png": "') > 100
    assert all(re.search(r'alt="[^"]{9,}"', image) for image in shown)
    assert 50 < sum("fewshot-lab-chart" in image for image in shown) < len(shown)
    assert "A draw of labelled images. Another seed draws others" in page


def test_no_page_loads_anything_from_a_network(built):
    for page in built.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=\"(https?:)?//", page.read_text())
        assert not loaded, page


def test_chapters_and_functions_are_found_by_the_search(built):
    index = (built / "searchindex.js").read_text()
    assert all(chapter.name in index for chapter in chapters()) and '"mixup"' in index
    reference = (built / "reference" / "methods.html").read_text()
    assert "fewshot_lab.methods.maml" in reference and "Finn" in reference
    assert all((built / "reference" / f"{room}.html").exists() for room in lab._ROOMS)
    assert (built / "CHANGELOG.html").exists()


def test_a_formula_in_a_docstring_keeps_its_lines(built):
    blocks = re.findall(r"<pre>(.*?)</pre>", (built / "reference" / "methods.html").read_text(), re.DOTALL)
    assert any("min over theta   mean over" in re.sub(r"<[^>]*>", "", block) for block in blocks)


def test_without_sphinx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match=r"pip install 'fewshot-lab\[site\]'"):
        site.build_site(tmp_path)


@pytest.mark.browser
def test_what_the_course_puts_on_the_pages_is_legible_in_the_dark(built):
    with opened() as browser:
        page = new_page(browser)
        page.emulate_media(color_scheme="dark")
        page.goto((built / "chapters" / f"{chapters()[2].name}.html").as_uri())
        assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
        assert violations(page, ".cell_output") == []
        picture(page, "site_dark")


@pytest.mark.browser
def test_the_pages_fit_on_a_phone_and_axe_finds_nothing_serious_in_what_the_course_puts_there(built):
    with opened() as browser:
        page = new_page(browser, width=390, height=844)
        for name in ("index", f"chapters/{chapters()[1].name}", f"chapters/{chapters()[-1].name}"):
            page.goto((built / f"{name}.html").as_uri())
            assert page.evaluate(WIDTH) <= 390, f"{name} has to be moved sideways"
            assert page.evaluate(SMALLEST) >= 12
            assert violations(page, *[part for part in (".cell_output",) if page.locator(part).count()]) == []
            picture(page, f"site_{Path(name).name[:2]}")


WIDTH = "() => document.documentElement.scrollWidth"
SMALLEST = """() => Math.min(...[...document.querySelectorAll('article p, article li')].filter((part) => part.offsetHeight)
    .map((part) => parseFloat(getComputedStyle(part).fontSize)))"""
