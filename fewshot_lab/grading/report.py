"""Writes everything that a grading leaves in its folder; run again whenever a mark has changed."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..files import write_atomically
from ..languages import say
from . import appeals, by_hand, class_list
from . import late as lateness
from .alike import alike
from .feedback_zips import feedback_zips
from .grade import Graded
from .gradebook import as_csv, in_trouble, write_tables
from .pages import feedback_page, file_name, marking_page, summary_page


def as_it_counts(graded: Sequence[Graded], out: Path) -> tuple[list[Graded], list[str]]:
    """The gradings with everything that people decided, and remarks about what was ignored.

    These are the marks of by_hand.csv, then appeals; what lateness takes off; those on the class list who handed in nothing.
    """
    out = Path(out)
    graded, remarks = by_hand.merged(graded, out)
    graded, voided = appeals.applied(graded, appeals.noted(out))
    graded = lateness.penalised(graded, lateness.kept_rules(out))
    remarks = [*remarks, *voided]
    if (out / class_list.KEPT).exists():
        absent, strangers = class_list.missing_people(class_list.read_class_list(out / class_list.KEPT), graded)
        graded, remarks = [*graded, *absent], [*remarks, *strangers]
    return graded, remarks


def write_report(graded: Sequence[Graded], out: Path, names: bool = False) -> tuple[list[Path], list[str]]:
    """Writes the tables and pages of a grading; returns their paths, and remarks about what was ignored.

    They are grades.csv and the other tables, feedback/<student>.html, the same as zips, summary.html, alike.csv; by_hand.csv
    and by_hand.html when there are written answers, appeals.csv when marks were changed, late.csv when hand-ins were due, and
    the class list with scores when there is one. names: whether by_hand.html shows who wrote what.
    """
    out = Path(out)
    graded, remarks = as_it_counts(graded, out)
    groups = alike(graded)
    written = write_tables(graded, out)
    rows = [[g.chapter, g.question, "; ".join(g.students), f"{g.alike:.2f}", str(g.identical)] for g in groups]
    pages = {"alike.csv": as_csv(["chapter", "question", "students", "alike", "identical"], rows)}
    if by_hand.written(graded) or (out / by_hand.SHEET).exists():
        pages[by_hand.SHEET] = by_hand.sheet_text(graded, out)
        pages["by_hand.html"] = marking_page(graded, names)
    if lateness.kept_rules(out).due:
        pages[lateness.TABLE] = as_csv(lateness.HEAD, lateness.late_rows(graded))
    changes = appeals.noted(out)
    if changes:
        pages[appeals.TABLE] = as_csv(appeals.HEAD, [change.as_row() for change in changes])
    of_student = defaultdict(list)
    for one in graded:
        of_student[one.student].append(one)
    of_students = {student: feedback_page(student, theirs) for student, theirs in of_student.items()}
    pages |= {f"feedback/{file_name(student)}": page for student, page in of_students.items()}
    if (out / class_list.KEPT).exists():
        remarks.append(class_list.write_filled(class_list.read_class_list(out / class_list.KEPT), graded, out))
        written.append(out / class_list.FILLED)
    pages["summary.html"] = summary_page(graded, groups, remarks, changes)
    for name, content in (pages | feedback_zips(graded, of_students)).items():
        # A name or an answer may hold half a surrogate pair, which UTF-8 cannot write.
        write_atomically(out / name, content.encode("utf-8", "replace") if isinstance(content, str) else content)
        if not name.startswith("feedback/"):
            written.append(out / name)
    return [*written, out / "feedback"], remarks


def trouble_in_words(graded: Sequence[Graded], out: Path) -> list[str]:
    """The lines that say how many students are in trouble, who they are and why."""
    troubled = in_trouble(as_it_counts(graded, out)[0])
    return [
        say("In trouble: {number}", number=len(troubled)),
        *(f"  {student}: {'; '.join(reasons)}" for student, reasons in troubled),
    ]
