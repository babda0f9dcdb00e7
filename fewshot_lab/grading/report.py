"""Writes everything that a grading leaves in its folder; run again whenever a mark has changed."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..files import write_atomically
from . import by_hand
from .alike import alike
from .grade import Graded
from .gradebook import as_csv, write_tables
from .pages import feedback_page, file_name, marking_page, summary_page


def write_report(graded: Sequence[Graded], out: Path) -> tuple[list[Path], list[str]]:
    """Writes the tables and pages of a grading; returns their paths, and remarks about rows of by_hand.csv that were ignored.

    They are grades.csv and the other tables, feedback/<student>.html, summary.html, alike.csv and, when there are written
    answers, by_hand.csv and by_hand.html. The marks that by_hand.csv already holds count.
    """
    out = Path(out)
    graded, remarks = by_hand.merged(graded, out)
    groups = alike(graded)
    written = write_tables(graded, out)
    rows = [[g.chapter, g.question, "; ".join(g.students), f"{g.alike:.2f}", str(g.identical)] for g in groups]
    pages = {"alike.csv": as_csv(["chapter", "question", "students", "alike", "identical"], rows)}
    if by_hand.written(graded) or (out / by_hand.SHEET).exists():
        pages[by_hand.SHEET] = as_csv(by_hand.HEAD, by_hand.sheet(graded, out))
        pages["by_hand.html"] = marking_page(graded)
    of_student = defaultdict(list)
    for one in graded:
        of_student[one.student].append(one)
    pages |= {f"feedback/{file_name(student)}": feedback_page(student, theirs) for student, theirs in of_student.items()}
    pages["summary.html"] = summary_page(graded, groups, remarks)
    for name, text in pages.items():
        # A name or an answer may hold half a surrogate pair, which UTF-8 cannot write.
        write_atomically(out / name, text.encode("utf-8", "replace"))
    feedback = out / "feedback"
    return [*written, *(out / name for name in pages if not name.startswith("feedback/")), feedback], remarks
