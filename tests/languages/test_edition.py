"""Chapters in another language: every text has its translation, and nothing but texts differs."""

import ast
import re

import nbformat
import po_template
import pytest

from fewshot_lab import CourseError
from fewshot_lab.course import edition
from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import chapters, notebook_in
from fewshot_lab.evidence.records import recorded
from fewshot_lab.languages import speaking

LANGUAGE = "zh"
each_chapter = pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.id)
CODE = r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|https?://\S+"
# Names stay as they are: of papers and their authors, of libraries, of arms as the figures show them in quotation marks.
NAMES = r"“[^”]*”|（[^（）]*）|\([^()]*\)|\*[^*]+\*"


SPEAKS = f'lab.language("{LANGUAGE}")\n'  # the one line that only the edition has
COMPUTED = r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"


def braces(text: str) -> list[str]:
    return sorted(re.findall(COMPUTED, text))


@each_chapter
def test_every_text_of_a_chapter_is_translated_and_none_is_left_over(chapter):
    catalog = po_template.read(edition.catalogue_of(chapter, LANGUAGE), LANGUAGE)
    wanted = {entry.id for entry in po_template.template_of(chapter) if entry.id}
    there = {entry.id for entry in catalog if entry.id}
    assert (wanted - there, there - wanted) == (set(), set()), "make texts"
    assert [entry.id for entry in catalog if entry.id and (entry.fuzzy or not entry.string)] == []


@each_chapter
@pytest.mark.parametrize("solved", [False, True], ids=["learner's", "solved"])
def test_a_translated_chapter_has_the_same_cells_and_the_same_code(chapter, solved):
    ours = build(chapter, solved=solved)
    with speaking(LANGUAGE):
        theirs = build(chapter, solved=solved)
    assert sum(SPEAKS in cell.source for cell in theirs.cells) == 1
    for cell in theirs.cells:
        cell.source = cell.source.replace(SPEAKS, "")
    assert [cell.id for cell in theirs.cells] == [cell.id for cell in ours.cells]
    assert [cell.metadata for cell in theirs.cells] == [cell.metadata for cell in ours.cells]
    for cell, before in zip(theirs.cells, ours.cells, strict=True):
        if cell.cell_type == "code":
            assert without_texts(cell.source) == without_texts(before.source)
        else:
            here, there = (sorted(re.findall(r"\]\(([^)]*)\)", text)) for text in (cell.source, before.source))
            assert here == there


def without_texts(source: str) -> str:
    """The code as a tree without the texts of its strings; of what is computed in them, all, in any order."""

    class Silent(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant("") if isinstance(node.value, str) else node

        def visit_JoinedStr(self, node):
            return ast.Tuple(sorted((part for part in node.values if isinstance(part, ast.FormattedValue)), key=ast.dump))

    return ast.dump(Silent().visit(ast.parse(source)))


@each_chapter
def test_a_translation_keeps_what_is_computed_in_it_and_is_no_english(chapter):
    catalog = po_template.read(edition.catalogue_of(chapter, LANGUAGE), LANGUAGE)
    for entry in catalog:
        if entry.id and entry.string:
            if entry.auto_comments == ["string"]:
                assert braces(entry.string) == braces(entry.id)
            plain = re.sub(NAMES, " ", re.sub(f"{CODE}|{COMPUTED}", " ", entry.string, flags=re.S))
            assert not re.search(r"(?:\b[a-z]{2,}\b[ ,]+){4}", plain), entry.string


@each_chapter
def test_the_stored_edition_holds_the_records_of_the_english_notebook(chapter):
    ours, theirs = (recorded(nbformat.read(notebook_in(chapter, code), 4).cells) for code in ("en", LANGUAGE))
    assert list(theirs.results) == list(ours.results) and list(theirs.checks) == list(ours.checks)
    assert {name: one.verdict for name, one in theirs.verdicts.items()} == {
        name: one.verdict for name, one in ours.verdicts.items()
    }
    for name, one in ours.verdicts.items():
        assert [part.statement for part in theirs.verdicts[name].parts] == [part.statement for part in one.parts]


@each_chapter
def test_figures_of_the_stored_edition_had_a_typeface_with_their_letters(chapter):
    text = notebook_in(chapter, LANGUAGE).read_text(encoding="utf-8")
    assert "missing from font" not in text, "fewshot-lab assets fetch noto-sans-sc, then build again"


@each_chapter
def test_what_figures_of_the_stored_edition_say_is_chinese(chapter):
    said = []
    for cell in nbformat.read(notebook_in(chapter, LANGUAGE), 4).cells:
        for output in cell.get("outputs", []):
            image = output.get("metadata", {}).get("image/png", {})
            said += [image["alt"]] if "alt" in image else []
            said += [output.data["text/markdown"]] if "text/markdown" in output.get("data", {}) else []
    assert said
    # Texts of the data sets and names of arms stay as they are, but never stand alone.
    for text in said:
        plain = re.sub(CODE, " ", text, flags=re.S)
        assert re.search("[一-鿿]", plain) or not re.search(r"(?:\b[a-z]{2,}\b[ ,]+){4}", plain), text


def test_what_is_not_translated_stays_and_is_told(tmp_path):
    chapter = chapters()[0]
    begun = tmp_path / "zh" / "00.po"
    begun.parent.mkdir()
    begun.write_text('msgid ""\nmsgstr ""\n\nmsgid "# 00 · Start here"\nmsgstr "# 00 · 从这里开始"\n', encoding="utf-8")
    nb = build(chapter)
    lacking = edition.translate(nb, begun)
    assert nb.cells[0].source.startswith("# 00 · 从这里开始") and "# 00 · Start here" not in lacking
    assert len(lacking) > 50 and nb.cells[-1].source == build(chapter).cells[-1].source
    with pytest.raises(CourseError, match="make texts"):
        edition.translate(nb, tmp_path / "zh" / "01.po")


def test_a_translation_that_breaks_the_code_names_the_cell(tmp_path):
    catalog = po_template.template_of(chapters()[0])
    text = next(entry.id for entry in catalog if entry.auto_comments == ["string"])
    broken = tmp_path / "zh" / "00.po"
    broken.parent.mkdir()
    broken.write_text(f'msgid ""\nmsgstr ""\n\nmsgid "{text}"\nmsgstr "\\""\n', encoding="utf-8")
    with pytest.raises(CourseError, match=r"00\.po: a translation breaks the code of cell \d+"):
        edition.translate(build(chapters()[0]), broken)


@each_chapter
def test_with_no_change_of_its_texts_a_chapter_stays_as_it_is_to_the_last_blank(chapter):
    nb = build(chapter, solved=True)
    before = [cell.source for cell in nb.cells]
    assert len(edition.texts_of(nb)) > 50
    assert [cell.source for cell in nb.cells] == before
