"""Answers in words: a sheet lists them for a person to mark, and that person's marks are merged back into the gradings."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import CourseError
from .grade import Graded, Mark, MarkStatus
from .gradebook import number, safe

SHEET = "by_hand.csv"
HEAD = ["student", "chapter", "question", "version", "max_score", "score", "comment"]


def written(graded: Iterable[Graded]) -> list[tuple[Graded, Mark]]:
    """The answers that a person marks, each with the submission that it belongs to."""
    return [(one, mark) for one in graded for mark in one.marks if mark.status in (MarkStatus.BY_HAND, MarkStatus.MARKED)]


def sheet(graded: Sequence[Graded], out: Path) -> list[list[str]]:
    """The rows of by_hand.csv: one for each written answer, with the score and comment that were filled in before."""
    filled = _read(Path(out) / SHEET)
    rows = {}
    for one, mark in written(graded):
        row = [one.student, one.chapter, mark.grade_id, _version(one, mark), number(mark.max_score)]
        rows[_key(*row[:4])] = [*row, *filled.pop(_key(*row[:4]), ("", "", 0))[:2]]
    # What a person typed is never dropped, even where the answer has changed or is gone: the row stays, and a remark names it.
    rows |= {key: [*key[:4], "", score, comment] for key, (score, comment, _) in filled.items() if score or comment}
    return [rows[key] for key in sorted(rows)]


def merged(graded: Sequence[Graded], out: Path) -> tuple[list[Graded], list[str]]:
    """The gradings with the marks of by_hand.csv, and remarks about the rows that were ignored.

    A row with a score replaces the mark of its question. It is ignored when its version differs from the answer's, since the
    answer has changed. A row that the instructor adds, with an empty version, replaces even an automatic mark. An empty score
    withdraws the mark. Raises CourseError, with the line, for a score that is not a number from 0 to the question's maximum.
    """
    filled, remarks, known = _read(Path(out) / SHEET), [], set()
    regraded = []
    for one in graded:
        marks = []
        for mark in one.marks:
            keys = [_key(one.student, one.chapter, mark.grade_id, version) for version in (_version(one, mark), "")]
            key = next((key for key in keys if filled.get(key, ("",))[0]), None)
            known.update(keys)
            marks.append(_marked(mark, *filled[key]) if key else mark)
        regraded.append(replace(one, marks=marks))
    for key, (score, _, line) in filled.items():
        if score and key not in known:
            remarks.append(f"{SHEET}, line {line}: no such answer, or it has changed since ({', '.join(key[:3])})")
    return regraded, remarks


def _marked(mark: Mark, score: str, comment: str, line: int) -> Mark:
    try:
        points = float(score.replace(",", "."))  # a spreadsheet in German or French writes 1,5
    except ValueError:
        points = -1.0
    if not 0 <= points <= mark.max_score:
        raise CourseError(f"{SHEET}, line {line}: the score is {score!r}; a number from 0 to {mark.max_score:g} is needed.")
    return replace(mark, score=points, status=MarkStatus.MARKED, message=comment or "Marked by the instructor.", details=[])


def _read(path: Path) -> dict[tuple, tuple[str, str, int]]:
    """{(student, chapter, question, version): (score, comment, line)}; empty when there is no sheet yet."""
    if not path.exists():
        return {}
    # Spreadsheets save it again in their own way: with a byte order mark, and with semicolons where the comma is decimal.
    text = path.read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",")
    if missing := {*HEAD[:4], "score"} - set(reader.fieldnames or ()):
        raise CourseError(f"{path} lacks the columns {', '.join(sorted(missing))}: keep its first line as it was written.")
    rows = {}
    for row in reader:
        cells = {name: (row.get(name) or "").strip() for name in HEAD}
        rows[_key(*(cells[name] for name in HEAD[:4]))] = (cells["score"], cells["comment"], reader.line_num)
    return rows


def _key(student: str, chapter: str, question: str, version: str) -> tuple[str, str, str, str]:
    """The key of a row, as the sheet holds it; a spreadsheet turns chapter 02 into 2, so the zero is put back."""
    return safe(student), chapter.zfill(2), question, version


def _version(one: Graded, mark: Mark) -> str:
    """A short hash of the answer's text; it begins with a letter, so that no spreadsheet takes it for a number."""
    return "v" + hashlib.sha256(one.answers.get(mark.grade_id, "").encode(errors="surrogatepass")).hexdigest()[:8]
