"""Late hand-ins: when a chapter was due, for whom later, what each started day costs. Kept in late.json beside the grades."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from .grade import Graded
from .gradebook import number
from .receipts import moment
from .sheets import read_sheet

RULES, TABLE = "late.json", "late.csv"
HEAD = "student chapter handed_in hours_late points_off score".split()
_COLUMNS = {
    "student": ("student", "name", "full name", "username", "姓名"),
    "chapter": ("chapter", "章"),
    "due": ("due", "until", "extension", "deadline"),
}


@dataclass(frozen=True)
class LateRules:
    """When hand-ins are due, and what lateness costs. Without `due` nobody is late.

    due: {chapter: time in ISO format}; "" stands for all chapters that are not named. extensions: [[student, chapter, time]],
    "" for all chapters. penalty: per cent of the points reached for every started day. cap: the most per cent. grace: minutes
    that do not count.
    """

    due: dict[str, str] = field(default_factory=dict)
    penalty: float = 0.0
    cap: float = 100.0
    grace: float = 0.0
    extensions: list[list[str]] = field(default_factory=list)

    def due_of(self, student: str, chapter: str) -> datetime | None:
        """The time at which a chapter is due for a student; None where it is never."""
        theirs = {which: time for name, which, time in self.extensions if name == student}
        time = theirs.get(chapter) or theirs.get("") or self.due.get(chapter) or self.due.get("")
        return moment(time) if time else None


def late_rules(
    due: Sequence[str] = (), penalty: float = 0.0, cap: float = 100.0, grace: float = 0.0, extensions: Path | None = None
) -> LateRules:
    """The rules that a command line gives. Raises CourseError for a time, or a table of extensions, that cannot be read.

    Args:
        due: a time in ISO format for all chapters, or 02=TIME for one; local time where it names no zone.
        penalty, cap, grace: as in LateRules.
        extensions: a table with the columns student and due, and chapter where it is for one only.
    """
    times = {}
    for text in due:
        chapter, _, time = text.rpartition("=")
        times[chapter.zfill(2) if chapter else ""] = _time(time, f"--due {text}")
    rows = []
    if extensions:
        sheet = read_sheet(extensions)
        columns = {name: sheet.column(*names) for name, names in _COLUMNS.items()}
        if columns["student"] is None or columns["due"] is None:
            raise CourseError(
                say(
                    "{extensions} needs the columns student and due; it has {sheet}.",
                    extensions=extensions,
                    sheet=", ".join(sheet.head),
                )
            )
        for number, row in enumerate(sheet.rows, 2):
            chapter = row[columns["chapter"]].strip() if columns["chapter"] is not None else ""
            time = _time(row[columns["due"]].strip(), say("{extensions}, row {number}", extensions=extensions, number=number))
            rows.append([row[columns["student"]].strip(), chapter.zfill(2) if chapter else "", time])
    return LateRules(times, penalty, cap, grace, rows)


def hours_late(handed_in: str, student: str, chapter: str, rules: LateRules) -> float:
    """How many hours after its time something was handed in, 0 where it was not, or where no time is known."""
    due, then = rules.due_of(student, chapter), moment(handed_in) if handed_in else None
    if due is None or then is None:
        return 0.0
    late = (then - due).total_seconds() / 3600 - rules.grace / 60
    return max(0.0, late)


def penalised(graded: Sequence[Graded], rules: LateRules) -> list[Graded]:
    """The gradings, with what lateness takes off: `penalty` per cent of the points for each started day, `cap` at most."""
    made = []
    for one in graded:
        hours = hours_late(one.handed_in, one.student, one.chapter, rules)
        share = min(rules.cap, rules.penalty * math.ceil(hours / 24)) / 100 if hours else 0.0
        points = sum(mark.score for mark in one.marks)
        made.append(replace(one, hours_late=round(hours, 2), penalty=round(points * share, 4)))
    return made


def late_rows(graded: Sequence[Graded]) -> list[list[str]]:
    """The rows of late.csv: those who were late, and those of whom no time is known, since no receipt came with their file."""
    rows = []
    for one in graded:
        if one.hours_late or one.chapter and not one.handed_in:
            late = f"{one.hours_late:.1f}" if one.handed_in else "unknown"
            rows.append([one.student, one.chapter, one.handed_in, late, number(one.penalty), number(one.score)])
    return rows


def keep_rules(rules: LateRules, out: Path) -> None:
    """Writes the rules beside the grades, for the next time that tables are made."""
    write_atomically(Path(out) / RULES, json.dumps(asdict(rules), indent=1, ensure_ascii=False) + "\n")


def kept_rules(out: Path) -> LateRules:
    """The rules that were kept beside the grades; raises CourseError for a file that holds none."""
    path = Path(out) / RULES
    if not path.exists():
        return LateRules()
    try:
        return LateRules(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CourseError(
            say("{path} holds no rules that can be read ({error}). Remove it, and give them again.", path=path, error=error)
        ) from error


def _time(text: str, where: str) -> str:
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise CourseError(
            say("{where}: {text!r} is no time; one looks like 2026-12-01T23:59 or 2026-12-01.", where=where, text=text)
        ) from error
    if len(text) <= 10:  # a day alone ends at midnight
        read = read.replace(hour=23, minute=59, second=59)
    return read.astimezone().isoformat()
