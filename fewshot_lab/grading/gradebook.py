"""The marks as tables for people, Moodle and Canvas, and statistics about each question."""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import StatisticsError, correlation

from ..files import write_atomically
from ..languages import later, say
from .grade import Graded, Mark, MarkStatus

# A cell that begins so is a formula to a spreadsheet, and students choose their names: =HYPERLINK(...) would run there.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_AFTER_A_SEPARATOR = re.compile(r"([;\t|]\s*)(?=[=+\-@])")  # where another separator is set, a cell begins there
PASS_SHARE = 0.5  # of a chapter's points: with fewer a student is in trouble


def write_tables(graded: Sequence[Graded], out: Path) -> list[Path]:
    """Writes grades.csv, questions.csv, moodle.csv and canvas.csv into a folder; returns their paths."""
    tables = {
        "grades.csv": (["student", "chapter", "score", "max_score", "status"], _grades(graded)),
        "questions.csv": (["student", "chapter", "question", "score", "max_score", "status", "mistake"], _questions(graded)),
        "moodle.csv": _wide(graded, "Identifier", "Full name", "Participant {}"),
        "canvas.csv": _wide(graded, "ID", "Student", "{}"),
    }
    for name, (head, rows) in tables.items():
        write_atomically(Path(out) / name, as_csv(head, rows))
    return [Path(out) / name for name in tables]


def statistics(graded: Sequence[Graded]) -> list[dict]:
    """A row for each question: how many answered it, its difficulty, its discrimination and its most frequent mistakes.

    Difficulty is the mean share of the points, in 0..1. Discrimination says how well the question tells strong students from
    weak ones: the correlation of its score with the score in the rest of the chapter.
    """
    rows = []
    for (chapter, question), pairs in sorted(_by_question(graded).items()):
        shares = [mark.score / mark.max_score if mark.max_score else 0.0 for _, mark in pairs]
        # Without its own score, which would correlate with itself.
        rest = [whole.score - mark.score for whole, mark in pairs]
        mistakes = Counter(mark.mistake for _, mark in pairs if mark.mistake)
        rows.append(
            {
                "chapter": chapter,
                "question": question,
                "title": pairs[0][1].title,
                "n": len(pairs),
                "attempted": sum(mark.status not in (MarkStatus.NOT_ATTEMPTED, MarkStatus.MISSING) for _, mark in pairs),
                "difficulty": sum(shares) / len(shares),
                "discrimination": _correlation(shares, rest),
                "mistakes": mistakes.most_common(3),
            }
        )
    return rows


def _by_question(graded: Iterable[Graded]) -> dict:
    pairs = defaultdict(list)
    for whole in graded:
        for mark in whole.marks if whole.status == "graded" else ():
            pairs[whole.chapter, mark.grade_id].append((whole, mark))
    return pairs


def _correlation(a: list[float], b: list[float]) -> float | None:
    """Pearson's correlation; None for fewer than three pairs, or when one of the two does not vary."""
    try:
        return correlation(a, b) if len(a) > 2 else None
    except StatisticsError:
        return None


def _grades(graded: Iterable[Graded]):
    for one in graded:
        waiting = any(mark.status == MarkStatus.BY_HAND for mark in one.marks)
        status = "to mark by hand" if waiting and one.status == "graded" else one.status
        yield [one.student, one.chapter, number(one.score), number(one.max_score), status]


def _questions(graded: Iterable[Graded]):
    for one in graded:
        for mark in one.marks:
            score = (number(mark.score), number(mark.max_score))
            yield [one.student, one.chapter, mark.grade_id, *score, mark.status, mark.mistake or ""]


def _wide(graded: Sequence[Graded], ident: str, name: str, form: str) -> tuple[list[str], list[list[str]]]:
    """The head and rows of a table with a row per student and a column per chapter, empty where nothing was handed in.

    ident and name: what the platform calls these columns. form: its form of the student's number.
    """
    chapters = sorted({one.chapter for one in graded if one.chapter})
    rows: dict[str, list[str]] = {}
    for one in graded:
        row = rows.setdefault(one.student, [form.format(one.ident) if one.ident else "", one.student, *[""] * len(chapters)])
        if one.chapter:
            row[2 + chapters.index(one.chapter)] = number(one.score)
    return [ident, name, *(f"Chapter {chapter}" for chapter in chapters)], [rows[student] for student in sorted(rows)]


def in_trouble(graded: Iterable[Graded]) -> list[tuple[str, list[str]]]:
    """(student, reasons) of everyone whom a person should look at, by name.

    A reason is a file that could not be read, nothing handed in, an answer that is missing or could not be judged, or fewer
    than half of a chapter's points.
    """
    reasons = defaultdict(list)
    for one in graded:
        where = say("chapter {chapter}: ", chapter=one.chapter) if one.chapter else ""
        if one.problem:
            reasons[one.student].append(f"{where}{one.problem}")
            continue
        for status, words in (
            (MarkStatus.MISSING, later("no cell with {titles}")),
            (MarkStatus.STOPPED, later("stopped: {titles}")),
            (MarkStatus.OWN_CODE, later("calls the course's solution: {titles}")),
        ):
            if titles := [say(mark.title) for mark in one.marks if mark.status == status]:
                reasons[one.student].append(where + say(words, titles=", ".join(titles)))
        blank = sum(mark.status == MarkStatus.NOT_ATTEMPTED for mark in one.marks)
        if blank == len(one.marks) and blank:
            reasons[one.student].append(where + say("nothing is answered"))
        elif (judged := [m for m in one.marks if m.status != MarkStatus.BY_HAND]) and (
            sum(m.score for m in judged) - one.penalty < PASS_SHARE * sum(m.max_score for m in judged)
        ):
            reasons[one.student].append(where + points_in_words(one))
    return sorted(reasons.items())


def points_in_words(one: Graded) -> str:
    """The points of a submission, such as "3 of 10 points, 5 hours late"."""
    points = say("{score} of {max_score} points", score=number(one.score), max_score=number(one.max_score))
    return points + say(", {hours:.0f} hours late", hours=one.hours_late) if one.hours_late else points


def by_question(graded: Sequence[Graded], chapter: str) -> tuple[list[str], list[list[str]]]:
    """(titles, rows) of a chapter: a row for each student with name, score and the score of every question."""
    theirs = sorted((one for one in graded if one.chapter == chapter), key=lambda one: one.student)
    titles = list(dict.fromkeys(mark.title for one in theirs for mark in one.marks))
    rows = []
    for one in theirs:
        scores = {mark.title: _in_a_cell(mark) for mark in one.marks}
        rows.append([one.student, number(one.score), *(scores.get(title, "") for title in titles)])
    return [say(title) for title in titles], rows


def mistakes_by_chapter(graded: Iterable[Graded]) -> tuple[list[str], list[list[str]]]:
    """(chapters, rows): how often each known mistake was made in each chapter, the most frequent first.

    Mistakes of one exercise alone stand in one chapter; those of every exercise, such as a wrong shape, show what stays.
    """
    counts = Counter((mark.mistake, one.chapter) for one in graded for mark in one.marks if mark.mistake)
    chapters = sorted({chapter for _, chapter in counts})
    totals = Counter()
    for (mistake, _), count in counts.items():
        totals[mistake] += count
    rows = [
        [name.replace("_", " "), *(str(counts[name, chapter] or "") for chapter in chapters), str(total)]
        for name, total in totals.most_common(25)
    ]
    return chapters, rows


def _in_a_cell(mark: Mark) -> str:
    if mark.status == MarkStatus.BY_HAND:
        return "?"
    return "-" if mark.status in (MarkStatus.NOT_ATTEMPTED, MarkStatus.MISSING) else number(mark.score)


def number(value: float) -> str:
    """Points as text: 1, 0.5."""
    return f"{value:g}"


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    cell = _AFTER_A_SEPARATOR.sub(r"\1'", cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def as_csv(head: list[str], rows: Iterable[list[str]]) -> str:
    """A table as text, its cells safe to open in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
    return text.getvalue()
