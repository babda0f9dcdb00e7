"""What is handed in: students and chapters are found under every platform's names; what is broken is refused alone."""

import json
import os
import stat
import zipfile

import nbformat
import pytest

from fewshot_lab.errors import CourseError
from fewshot_lab.grading import submissions
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.submissions import collect

RIGHT = "def accuracy(logits, labels):\n    return 1.0\n"


@pytest.fixture
def content(notebook):
    return nbformat.writes(notebook("00", {"accuracy": RIGHT})).encode()


@pytest.mark.parametrize(
    ("path", "student", "ident"),
    [
        ("Ada Lovelace/00_start_here.ipynb", "Ada Lovelace", ""),
        ("ada_00_start_here.ipynb", "ada", ""),
        ("00_start_here-ada.ipynb", "ada", ""),
        ("Ada Lovelace_12345_assignsubmission_file_/work.ipynb", "Ada Lovelace", "12345"),
        ("Ada Lovelace_12345_assignsubmission_file/deep/work.ipynb", "Ada Lovelace", "12345"),
        ("lovelaceada_4711_998877_00_start_here-2.ipynb", "lovelaceada", "4711"),
        ("lovelaceada_LATE_4711_998877_work.ipynb", "lovelaceada", "4711"),
        ("few-shot-ada/notebooks/00_start_here.ipynb", "few-shot-ada", ""),
        ("阿达/作业.ipynb", "阿达", ""),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_students_and_chapters_are_found_under_every_platforms_names(tmp_path, content, path, student, ident, zipped):
    place = tmp_path / "handed in"
    if zipped:
        place = tmp_path / "all.zip"
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr(path, content)
    else:
        (place / path).parent.mkdir(parents=True)
        (place / path).write_bytes(content)
    [found] = collect(place)
    assert (found.student, found.chapter, found.ident, found.problem) == (student, "00", ident, "")
    assert found.answers["accuracy"] == RIGHT


def test_a_zip_that_leads_out_holds_links_or_lies_about_sizes_is_refused_piece_by_piece(tmp_path, content, monkeypatch):
    monkeypatch.setattr(submissions, "LARGEST_NOTEBOOK", 2**20)
    link = zipfile.ZipInfo("link/00.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../../etc/cron.d/00.ipynb", "/srv/00.ipynb", "C:/windows/00.ipynb", "a\\..\\..\\00.ipynb"):
            archive.writestr(name, content)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb/00.ipynb", b" " * 2**24)
        archive.writestr("__MACOSX/ada/._00.ipynb", b"x")
        archive.writestr("honest/00.ipynb", content)
    found = collect(tmp_path / "all.zip")
    good = [submission for submission in found if not submission.problem]
    assert [submission.student for submission in good] == ["honest"]
    words = " ".join(submission.problem for submission in found)
    assert words.count("leads out") == 4 and "a link" in words and "more than 1 MB" in words
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.zip"], "nothing was unpacked"


def test_an_archive_that_unpacks_to_terabytes_is_refused_whole(tmp_path, content, monkeypatch):
    monkeypatch.setattr(submissions, "LARGEST_ARCHIVE", 2**20)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/00.ipynb", b" " * 2**21)
    with pytest.raises(CourseError, match="would unpack to"):
        collect(tmp_path / "all.zip")
    (tmp_path / "no.zip").write_bytes(b"PK but no zip")
    with pytest.raises(CourseError, match="cannot be read as a zip"):
        collect(tmp_path / "no.zip")


# A file, in words: (its bytes, what the grader says of it).
BROKEN = {
    "an empty file": (b"", "no JSON"),
    "a file that is cut off": (b"{", "no JSON"),
    "a file of half a letter": (b"\xff\xfe\x00", "no JSON"),
    "lists a hundred thousand deep": (b"[" * 100_000, "no JSON"),
    "a list instead of a notebook": (b"[]", "no notebook"),
    "a number instead of cells": (b'{"cells": 3}', "no notebook"),
    "no cell": (b'{"cells": []}', "no answer cell"),
    "cells of wrong types": (b'{"cells": [1, null, {"source": 7}, {"metadata": [], "source": ["x", 1]}]}', "no answer cell"),
    "a list as the name of an answer": (
        b'{"cells": [{"source": "x", "metadata": {"nbgrader": {"grade_id": ["accuracy"]}}}]}',
        "no answer cell",
    ),
    "a number of digits without end": (b'{"cells": [' + b"9" * 5000 + b"]}", "no JSON"),
    "a cell whose metadata hold half a character": (
        b'{"cells": [{"cell_type": "code", "source": "\\ud800", "metadata": {"nbgrader": {"grade_id": "\\udcff"}}}]}',
        "no answer cell",
    ),
}


@pytest.mark.parametrize(("broken", "words"), BROKEN.values(), ids=BROKEN)
def test_a_malformed_notebook_is_told_and_stops_no_other(tmp_path, content, broken, words):
    for student, text in (("ada", content), ("eve", broken)):
        (tmp_path / student).mkdir()
        (tmp_path / student / "work.ipynb").write_bytes(text)
    found = {submission.student: submission for submission in collect(tmp_path)}
    assert not found["ada"].problem and words in found["eve"].problem


def test_links_and_huge_files_in_a_folder_are_not_opened(tmp_path, content, monkeypatch):
    monkeypatch.setattr(submissions, "LARGEST_NOTEBOOK", len(content))
    for student in ("ada", "eve", "mal"):
        (tmp_path / "in" / student).mkdir(parents=True)
    (tmp_path / "in/ada/00.ipynb").write_bytes(content)
    (tmp_path / "in/eve/00.ipynb").symlink_to(tmp_path / "in/ada/00.ipynb")
    (tmp_path / "in/mal/00.ipynb").write_bytes(content + b" ")
    os.symlink("/etc", tmp_path / "in/etc")
    problems = {submission.student: submission.problem for submission in collect(tmp_path / "in")}
    assert problems["ada"] == "" and "a link" in problems["eve"] and "are the most" in problems["mal"] and len(problems) == 3


def test_only_answer_cells_are_taken_whatever_was_done_to_the_others(notebook):
    nb = notebook("00", {"accuracy": RIGHT})
    nb.cells = [cell for cell in nb.cells if not cell.source.startswith("lab.check")][::-1]
    for cell in nb.cells:
        if not cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = "raise SystemExit"
    nb.cells.append(nbformat.v4.new_code_cell("x = 1", metadata={"nbgrader": {"grade_id": "check_accuracy", "points": 1000}}))
    made = submissions.read_submission("ada/x.ipynb", nbformat.writes(nb).encode(), "")
    assert made.chapter == "00" and set(made.answers) == set(assignment("00").stubs) and made.answers["accuracy"] == RIGHT


def test_of_doubled_cells_those_above_the_check_count_and_missing_ones_are_named(notebook):
    nb = notebook("00", {"accuracy": RIGHT})
    [cell] = [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "accuracy"]
    stub, late = nbformat.from_dict(cell), nbformat.from_dict(cell)
    stub.source, late.source = assignment("00").stubs["accuracy"], "def accuracy(*a): return 2"
    nb.cells = [stub, *[c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") != "interval"], late]
    made = submissions.read_submission("ada/x.ipynb", json.dumps(nb).encode(), "")
    assert made.answers["accuracy"] == RIGHT
    assert "several answer cells accuracy" in " ".join(made.notes) and "missing: interval" in " ".join(made.notes)


def test_nothing_there_or_no_notebook_is_told(tmp_path):
    with pytest.raises(CourseError, match="nothing at"):
        collect(tmp_path / "absent")
    with pytest.raises(CourseError, match="no notebook"):
        collect(tmp_path)


def test_a_students_name_cannot_hide_or_run_over_the_page(tmp_path, content):
    (tmp_path / ("x\u202e\x07" + "y" * 200)).mkdir()
    (tmp_path / ("x\u202e\x07" + "y" * 200) / "00.ipynb").write_bytes(content)
    [found] = collect(tmp_path)
    assert found.student == ("x" + "y" * 200)[:120]


def test_of_several_attempts_the_newest_that_is_complete_counts(tmp_path, notebook):
    solved = assignment("00").solved
    half = {"accuracy": RIGHT}
    for number, (name, answers) in enumerate(
        {"first": solved | {"accuracy": RIGHT}, "second": solved, "blank copy": {}, "half": half}.items()
    ):
        path = tmp_path / "ada" / f"00_start_here ({name}).ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_text(nbformat.writes(notebook("00", answers)))
        os.utime(path, (number, number))
    (tmp_path / "ada" / "00_broken.ipynb").write_text("{")
    [found] = collect(tmp_path)
    assert "second" in found.path and len([note for note in found.notes if "handed in too" in note]) == 4
    os.remove(tmp_path / "ada" / "00_start_here (first).ipynb")
    os.remove(tmp_path / "ada" / "00_start_here (second).ipynb")
    [found] = collect(tmp_path)
    assert "half" in found.path


def test_an_archive_within_the_archive_is_opened_and_one_within_that_is_told(tmp_path, content):
    inner, deeper = tmp_path / "inner.zip", tmp_path / "deeper.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("work/00_start_here.ipynb", content)
    with zipfile.ZipFile(deeper, "w") as archive:
        archive.write(inner, "again.zip")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(inner, "Ada Lovelace/hand-in.zip")
        archive.write(deeper, "Eve/hand-in.zip")
        archive.writestr("Mal/broken.zip", b"PK no zip")
    found = {one.student: one for one in collect(tmp_path / "all.zip")}
    assert found["Ada Lovelace"].answers["accuracy"] == RIGHT and not found["Ada Lovelace"].problem
    assert "archive within archives" in found["Eve"].problem and "cannot be read as a zip" in found["Mal"].problem


@pytest.mark.parametrize("encoding", ["gbk", "utf-8"])
def test_a_name_in_an_old_programs_encoding_is_read(encoding):
    entry = zipfile.ZipInfo(
        "阿达/00.ipynb".encode(encoding).decode("cp437")
    )  # what zipfile makes of bytes that say no encoding
    assert submissions._readable(entry) == "阿达/00.ipynb"
    entry.flag_bits |= 0x800
    assert submissions._readable(entry) == entry.filename


def test_a_program_beside_a_notebook_is_no_hand_in_and_alone_it_is_one(tmp_path, content):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "00.ipynb").write_bytes(content)
    (tmp_path / "ada" / "helpers.py").write_text("x = 1")
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "answers.py").write_text(RIGHT)
    (tmp_path / "mal").mkdir()
    (tmp_path / "mal" / "answers.py").write_text("x = 1")
    found = {one.student: one for one in collect(tmp_path)}
    assert found["ada"].path.endswith("00.ipynb") and found["eve"].answers == {"accuracy": RIGHT}
    assert "no answer cell" in found["mal"].problem


LAYOUTS = {
    "one folder around all": {"submissions/ada/00.ipynb": "ada", "submissions/bob/00.ipynb": "bob"},
    "two around all": {"a/b/ada/00.ipynb": "ada", "a/b/bob/00.ipynb": "bob", "a/readme.txt": None},
    "a folder for each week": {"week1/ada/00.ipynb": "ada", "week1/bob/00.ipynb": "bob", "week2/ada/00 (1).ipynb": "ada"},
    "a platform's folders, unpacked into one": {
        "week 1/Ada Lovelace_12_assignsubmission_file_/00.ipynb": "Ada Lovelace",
        "week 1/Alan Turing_13_assignsubmission_file/00.ipynb": "Alan Turing",
    },
    "copies in a student's own folder": {"ada/00.ipynb": "ada", "ada/old/00.ipynb": "ada", "bob/00.ipynb": "bob"},
    "attempts in folders, beside another student": {"ada/v1/00.ipynb": "ada", "ada/v2/00.ipynb": "ada", "bob/00.ipynb": "bob"},
    "one student, deep": {"few-shot-ada/notebooks/00.ipynb": "few-shot-ada"},
    "a table beside the students": {"ada/00.ipynb": "ada", "bob/00.ipynb": "bob", "marks.csv": None},
    "an accent in two characters": {"Mu\u0308ller/00.ipynb": "M\xfcller", "M\xfcller/00 (1).ipynb": "M\xfcller"},
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_student_is_found_however_the_folders_are_nested(tmp_path, content, name, zipped):
    place = tmp_path / "all"
    for path in LAYOUTS[name]:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    if zipped:
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for path in LAYOUTS[name]:
                archive.write(place / path, path)
        place = tmp_path / "all.zip"
    found = collect(place)
    assert {one.student for one in found} == set(filter(None, LAYOUTS[name].values()))
    assert all(one.answers["accuracy"] == RIGHT and not one.problem for one in found)


def test_whoever_handed_in_no_notebook_stands_there_with_the_reason(tmp_path, content):
    for path, text in {"ada/00.ipynb": content, "ada/notes.pdf": b"x", "bob/homework.pdf": b"x", "readme.txt": b"x"}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text)
    (tmp_path / "eve").mkdir()
    found = {one.student: one for one in collect(tmp_path)}
    assert set(found) == {"ada", "bob", "eve"} and not found["ada"].problem
    assert "no notebook" in found["bob"].problem and "empty" in found["eve"].problem
    with zipfile.ZipFile(tmp_path / "canvas.zip", "w") as archive:
        archive.writestr("lovelaceada_4711_998877_homework.pdf", b"x")
        archive.writestr("turingalan_4712_998878_00_start_here.ipynb", content)
    assert {(one.student, one.ident) for one in collect(tmp_path / "canvas.zip")} == {
        ("lovelaceada", "4711"),
        ("turingalan", "4712"),
    }


def test_no_character_of_a_name_can_end_a_line_or_hide():
    assert submissions.tidy("A\u2028d\x85a\ufeff\x9b") == "Ada"
