"""The journal of changed marks: who changed what, from which mark to which, and why. Lines are added, and never changed.

Each line holds the checksum of the one before it, so that a line that somebody altered or removed is found.
"""

import getpass
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import CourseError
from ..files import locked, writing_failed
from ..languages import later, say
from .by_hand import version_of
from .grade import Graded, MarkStatus
from .gradebook import number
from .receipts import now

JOURNAL, TABLE = "appeals.jsonl", "appeals.csv"
HEAD = [later("time"), later("who"), later("kind"), later("student"), later("chapter"), later("question")]
HEAD += [later("old"), later("new"), later("why")]
APPEAL, REGRADE = later("appeal"), later("regrade")


@dataclass(frozen=True)
class Change:
    """One changed mark. kind: APPEAL, a person's decision that counts from now on, or REGRADE, what a new grading found."""

    time: str
    who: str
    kind: str
    student: str
    chapter: str
    question: str
    version: str
    old: float
    new: float
    why: str

    def as_row(self) -> list[str]:
        words = [self.time, self.who, self.kind, self.student, self.chapter, self.question]
        return [*words, number(self.old), number(self.new), self.why]


def appeal(
    graded: Sequence[Graded], out: Path, student: str, question: str, mark: float, why: str, who: str = "", chapter: str = ""
) -> Change:
    """Notes a decision about one mark, which the tables take over; returns it.

    Raises CourseError where there is no such answer, or several, the mark does not fit, or no reason is given.

    Args:
        graded: the gradings as the tables have them now.
        out: the folder of the grades.
        student, question, chapter: whose answer to what; the chapter is needed where the question's name does not tell it.
        mark: the new one.
        why: the reason, which the student reads too.
        who: decides; the user of this computer by default.
    """
    found = [
        (one, of_it)
        for one in graded
        for of_it in one.marks
        if one.student == student and of_it.grade_id == question and chapter in ("", one.chapter)
    ]
    if len(found) != 1:
        known = sorted({one.student for one in graded})
        have = sorted({m.grade_id for one in graded for m in one.marks if one.student == student})
        said = say("students are {known}", known=", ".join(known[:20]))
        if have:
            said = say("answered {have}", have=", ".join(have))
        raise CourseError(
            say(
                "{found} answers of {student!r} to {question!r} are in {out}: {said}.",
                found=len(found),
                student=student,
                question=question,
                out=out,
                said=said,
            )
        )
    [(one, of_it)] = found
    if not 0 <= mark <= of_it.max_score:
        raise CourseError(
            say("The mark is {mark:g}; a number from 0 to {max_score:g} is needed.", mark=mark, max_score=of_it.max_score)
        )
    if not why.strip():
        raise CourseError(say("An appeal needs a reason: --why TEXT. The student reads it too."))
    version = version_of(one, of_it)
    change = Change(now(), who or _user(), APPEAL, student, one.chapter, question, version, of_it.score, mark, why.strip())
    note([change], out)
    return change


def note(changes: Iterable[Change], out: Path) -> None:
    """Adds lines to the journal."""
    path = Path(out) / JOURNAL
    with locked(path, say("Somebody else writes to {path}; waiting for the end.", path=path)):
        lines = _lines(path)
        before = lines[-1] if lines else ""
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
                for change in changes:
                    before = json.dumps({"before": _sha256(before), **asdict(change)})
                    file.write(before + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise writing_failed(path, error) from error


def noted(out: Path) -> list[Change]:
    """The lines of the journal, the oldest first; raises CourseError, with its number, for one that was altered."""
    path, before, changes = Path(out) / JOURNAL, "", []
    for number_, line in enumerate(_lines(path), 1):
        try:
            record = json.loads(line)
            if record.pop("before") != _sha256(before):
                raise ValueError(say("it does not follow on the line before"))
            changes.append(Change(**record))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CourseError(
                say(
                    "{path}, line {number}: this line was changed, or one before it is gone ({error}). Take the file "
                    "from a backup.",
                    path=path,
                    number=number_,
                    error=error,
                )
            ) from error
        before = line
    return changes


def applied(graded: Sequence[Graded], changes: Sequence[Change]) -> tuple[list[Graded], list[str]]:
    """The gradings with the marks that appeals gave, and remarks about appeals whose answer has changed since."""
    decided = {(c.student, c.chapter, c.question): c for c in changes if c.kind == APPEAL}
    made, remarks = [], []
    for one in graded:
        marks = []
        for mark in one.marks:
            change = decided.get((one.student, one.chapter, mark.grade_id))
            if change and change.version != version_of(one, mark):
                words = say("the appeal of {day} no longer counts, since the answer has changed", day=change.time[:10])
                where = say("chapter {chapter}", chapter=one.chapter)
                remarks.append(f"{one.student}, {where}, {mark.grade_id}: {words}")
            elif change:
                what = {"new": number(change.new), "old": number(change.old), "why": change.why}
                words = say("After an appeal {new} instead of {old}: {why}", **what)
                details = [mark.message, *mark.details] if mark.status != MarkStatus.MARKED else [mark.message]
                mark = replace(mark, score=change.new, status=MarkStatus.MARKED, message=words, details=details)
            marks.append(mark)
        made.append(replace(one, marks=marks))
    return made, remarks


def differences(before: Sequence[Graded], after: Sequence[Graded], why: str, who: str = "") -> list[Change]:
    """The marks that a new grading changed, as lines for the journal."""
    old = {(one.student, one.chapter, mark.grade_id): mark.score for one in before for mark in one.marks}
    changes = []
    for one in after:
        for mark in one.marks:
            was = old.get((one.student, one.chapter, mark.grade_id))
            if was is not None and was != mark.score:
                origin = (one.student, one.chapter, mark.grade_id, version_of(one, mark))
                changes.append(Change(now(), who or _user(), REGRADE, *origin, was, mark.score, why))
    return changes


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(
            say("{path} cannot be read ({error}). Take the file from a backup.", path=path, error=error)
        ) from error


def _sha256(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return "unknown"
