"""Answers in words: a sheet lists them for a person to mark, and that person's marks are merged back into the gradings."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from .grade import Graded, Mark, MarkStatus
from .gradebook import as_csv, number, safe
from .sheets import guessed, read_sheet

SHEET = "by_hand.csv"
MARKS = "marks.csv"  # what by_hand.html saves: answer, score, comment
HEAD = ["student", "chapter", "question", "version", "max_score", "score", "comment"]


def written(graded: Iterable[Graded]) -> list[tuple[Graded, Mark]]:
    """The answers that a person marks, each with the submission that it belongs to."""
    return [(one, mark) for one in graded for mark in one.marks if mark.status in (MarkStatus.BY_HAND, MarkStatus.MARKED)]


def sheet(graded: Sequence[Graded], out: Path) -> list[list[str]]:
    """The rows of by_hand.csv: one for each written answer, with the score and comment that were filled in before."""
    filled = _read(Path(out) / SHEET)
    rows = {}
    for one, mark in written(graded):
        row = [one.student, one.chapter, mark.grade_id, version_of(one, mark), number(mark.max_score)]
        rows[key_of(one, mark)] = [*row, *filled.pop(key_of(one, mark), ("", "", 0))[:2]]
    # What a person typed is never dropped, even where the answer has changed or is gone: the row stays, and a remark names it.
    rows |= {key: [*key[:4], "", score, comment] for key, (score, comment, _) in filled.items() if score or comment}
    return [rows[key] for key in sorted(rows)]


def sheet_text(graded: Sequence[Graded], out: Path) -> str:
    """by_hand.csv as text; with a byte order mark where a spreadsheet, which looks for one, has saved it."""
    path = Path(out) / SHEET
    saved = path.exists() and guessed(path.read_bytes()) != "utf-8"
    return ("\ufeff" if saved else "") + as_csv(HEAD, sheet(graded, out))


def answer_id(one: Graded, mark: Mark) -> str:
    """What names an answer in by_hand.html, where no student's name stands; it changes with the answer."""
    named = "\n".join((one.student, one.ident, one.chapter, mark.grade_id, version_of(one, mark)))
    return "a" + hashlib.sha256(named.encode(errors="surrogatepass")).hexdigest()[:12]


def take_marks(path: Path, graded: Sequence[Graded], out: Path) -> list[str]:
    """Takes the scores and comments that by_hand.html saved into by_hand.csv; returns remarks about rows that fit no answer.

    Raises CourseError for a file that is no such table.
    """
    marks = read_sheet(path)
    columns = [marks.column(name) for name in ("answer", "score", "comment")]
    if None in columns:
        raise CourseError(
            say("{path} lacks the columns answer, score and comment: take the file that by_hand.html saves.", path=path)
        )
    given = {row[columns[0]].strip(): [row[k].strip() for k in columns[1:]] for row in marks.rows}
    ids = {key_of(one, mark): answer_id(one, mark) for one, mark in written(graded)}
    rows = sheet(graded, out)
    for row in rows:
        if marked := given.pop(ids.get(_key(*row[:4]), ""), None):
            row[5:] = [marked[0].removeprefix("'"), marked[1]]
    write_atomically(Path(out) / SHEET, as_csv(HEAD, rows))
    return [say("{file}: no answer {name} is there, or it has changed since", file=path.name, name=name) for name in given]


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
            keys = [_key(one.student, one.chapter, mark.grade_id, version) for version in (version_of(one, mark), "")]
            key = next((key for key in keys if filled.get(key, ("",))[0]), None)
            known.update(keys)
            marks.append(_marked(mark, *filled[key]) if key else mark)
        regraded.append(replace(one, marks=marks))
    for key, (score, _, line) in filled.items():
        if score and key not in known:
            where = {"file": SHEET, "line": line, "answer": ", ".join(key[:3])}
            remarks.append(say("{file}, line {line}: no such answer, or it has changed since ({answer})", **where))
    return regraded, remarks


def _marked(mark: Mark, score: str, comment: str, line: int) -> Mark:
    try:
        points = float(score.replace(",", "."))  # a spreadsheet in German or French writes 1,5
    except ValueError:
        points = -1.0
    if not 0 <= points <= mark.max_score:
        raise CourseError(
            say(
                "{known}, line {line}: the score is {score!r}; a number from 0 to {max_score:g} is needed.",
                known=SHEET,
                line=line,
                score=score,
                max_score=mark.max_score,
            )
        )
    return replace(
        mark, score=points, status=MarkStatus.MARKED, message=comment or say("Marked by the instructor."), details=[]
    )


def _read(path: Path) -> dict[tuple, tuple[str, str, int]]:
    """{(student, chapter, question, version): (score, comment, line)}; empty when there is no sheet yet."""
    if not path.exists():
        return {}
    table = read_sheet(path)  # a spreadsheet saves it again in its own way: encoding, separator, line breaks in comments
    columns = {name: table.column(name) for name in HEAD}
    if missing := {name for name in (*HEAD[:4], "score") if columns[name] is None}:
        raise CourseError(
            say(
                "{path} lacks the columns {missing}: keep its first line as it was written.",
                path=path,
                missing=", ".join(sorted(missing)),
            )
        )
    rows = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        cells = {name: row[column].strip() if column is not None else "" for name, column in columns.items()}
        rows[_key(*(cells[name] for name in HEAD[:4]))] = (cells["score"], cells["comment"], line)
    return rows


def _key(student: str, chapter: str, question: str, version: str) -> tuple[str, str, str, str]:
    """The key of a row, as the sheet holds it; a spreadsheet turns chapter 02 into 2, so the zero is put back."""
    return safe(student), chapter.zfill(2), question, version


def key_of(one: Graded, mark: Mark) -> tuple[str, str, str, str]:
    """The key of an answer's row."""
    return _key(one.student, one.chapter, mark.grade_id, version_of(one, mark))


def version_of(one: Graded, mark: Mark) -> str:
    """A short hash of the answer's text; it begins with a letter, so that no spreadsheet takes it for a number."""
    return "v" + hashlib.sha256(one.answers.get(mark.grade_id, "").encode(errors="surrogatepass")).hexdigest()[:8]
