"""`fewshot-lab verify`: judges the answers behind a record again, in the grading's sandbox, and says what is confirmed."""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..course.chapters import chapters
from ..errors import CourseError
from ..languages import later, say
from .grade import Graded, Mark, MarkStatus
from .pile import Settings, grade_pile, graded_before
from .progress_record import Checked, Record, answer_digest, read_record, write_record
from .report import as_it_counts
from .signing import public_key, sign, vouched
from .submissions import Submission, collect

CONFIRMED, REFUTED, OPEN = later("confirmed"), later("refuted"), later("not confirmed")


@dataclass(frozen=True)
class Finding:
    """What became of one passed check of a record: its chapter and name, CONFIRMED, REFUTED or OPEN, and why."""

    chapter: str
    name: str
    state: str
    why: str = ""

    def __str__(self) -> str:
        said = f"{self.chapter} {self.name}: {say(self.state)}"
        return f"{said}. {self.why}" if self.why else said


def verify(
    path: Path, submissions: Path | None, grades: Path | None, by: str, out: Path | None, key: str, settings: Settings
) -> tuple[list[str], bool]:
    """What can be said of a record, line by line, and whether all that was asked is well; signs it where that is asked.

    Raises CourseError for a record that is not as it was written, or not signed as it should be.

    Args:
        path: the record.
        submissions, grades: where the answers are, one of them or none.
        by: who signs; "" for no signature.
        out: where the signed record goes; beside the record by default.
        key: the public key that must have signed; "" for any.
        settings: how answers are judged.
    """
    if submissions and grades:
        raise CourseError(say("Either --submissions or --grades: one of them has the answers."))
    if by and not (submissions or grades):
        raise CourseError(say("Sign what you have verified: name the answers, with --submissions or --grades."))
    record = read_record(path)
    lines = [_head(record)]
    who = vouched(record)
    expected = "".join(key.split()).lower()
    if expected and (who is None or who.key != expected):
        found = who.key if who else say("none")
        raise CourseError(say("It is not signed with the key {key}; its key: {found}.", key=expected, found=found))
    if who:
        lines.append(say("Signed by {name} on {time} with the key {key}.", name=who.by, time=who.time, key=who.key))
        if not expected:
            lines.append(say("Anyone can write a name: compare the key with the one that {name} published.", name=who.by))
    if not submissions and not grades:
        if not who:
            lines.append(say("Nobody has vouched for it: it is the learner's own word. Judge the answers with --submissions."))
        return lines, True
    findings = judged_again(record, submissions, settings) if submissions else judged_before(record, grades)
    lines += [str(one) for one in findings if one.state != CONFIRMED]
    confirmed = sum(one.state == CONFIRMED for one in findings)
    lines.append(say("{count} of {total} passed checks are confirmed.", count=confirmed, total=len(findings)))
    lines.append(say("Predictions, hints and verdicts are the learner's word: no grader can judge them."))
    well = confirmed == len(findings) > 0
    if by and not well:
        lines.append(say("Nothing is signed: a signature stands for all of a record."))
    elif by:
        signed = out or path.with_name(f"{path.stem}.signed.json")
        write_record(sign(record, by), signed)
        lines.append(
            say("Signed: {file}. Publish your key, so that others can confirm it: {key}", file=signed, key=public_key())
        )
    return lines, well


def _head(record: Record) -> str:
    passed = sum(len(of.passed) for of in record.chapters)
    values = {"name": record.learner, "count": passed, "chapters": len(record.chapters), "time": record.exported}
    return say("The record is whole: {name}, {count} checks passed in {chapters} chapters, exported {time}.", **values)


def judged_again(record: Record, place: Path, settings: Settings) -> list[Finding]:
    """Judges what a learner handed in (a file of lab.hand_in, or notebooks) in the sandbox, and compares it with the record.

    Raises CourseError where the hand-in is not this learner's, or nothing can be graded here.
    """
    theirs = _theirs(record, collect(place))
    ids = sorted({one.chapter for one in theirs} & {of.id for of in record.chapters if of.passed})
    if not ids:
        return compared(record, [])
    students = {one.student for one in theirs}
    with tempfile.TemporaryDirectory(prefix="fewshot-lab-verify-") as out:
        graded = grade_pile(place, Path(out), settings, ids, students=students)
    return compared(record, graded)


def judged_before(record: Record, out: Path) -> list[Finding]:
    """Compares a record with a class's grading, the folder that `fewshot-lab grade` wrote; nothing is run."""
    graded, _ = as_it_counts(graded_before(out), out)
    theirs = [one for one in graded if _same(one.student, record.learner)]
    if not theirs:
        names = ", ".join(sorted({one.student for one in graded})[:20])
        words = say("{folder} holds no grading of {name}; it has: {names}", folder=out, name=record.learner, names=names)
        raise CourseError(words)
    return compared(record, theirs)


def compared(record: Record, graded: Sequence[Graded]) -> list[Finding]:
    """What the marks say of every check that a record calls passed."""
    known = {name: chapter.id for chapter in chapters() for name in chapter.exercises}
    marks: dict[str, list[tuple[Graded, Mark]]] = defaultdict(list)
    for one in graded:
        for mark in one.marks:
            marks[mark.grade_id].append((one, mark))
    findings = []
    for of in record.chapters:
        for name, check in of.passed.items():
            if known.get(name) != of.id:
                findings.append(Finding(of.id, name, REFUTED, say("The course has no such exercise in this chapter.")))
            elif not marks[name]:
                findings.append(Finding(of.id, name, OPEN, say("No answer to it was handed in.")))
            else:
                findings.append(Finding(of.id, name, *_judged(check, *marks[name][-1])))
    return findings


def _judged(check: Checked, one: Graded, mark: Mark) -> tuple[str, str]:
    if mark.status in (MarkStatus.MISSING, MarkStatus.NOT_ATTEMPTED):
        return OPEN, say("No answer to it was handed in.")
    if answer_digest(one.answers.get(mark.grade_id, "")) != check.answer:
        words = say("The answer that was handed in is not the one of the record. Export and hand in on the same day.")
        return OPEN, words
    if mark.status == MarkStatus.PASSED or mark.status == MarkStatus.MARKED and mark.score >= mark.max_score:
        return CONFIRMED, ""
    if mark.status == MarkStatus.BY_HAND:
        return OPEN, say("It waits for a person: grade it, mark it by hand, and verify with --grades.")
    return REFUTED, say("The answer does not pass: {words}", words=mark.message)


def _theirs(record: Record, found: list[Submission]) -> list[Submission]:
    """The submissions of a record's learner; those of one person whom no receipt names count as the learner's."""
    if theirs := [one for one in found if _same(one.student, record.learner)]:
        return theirs
    named = sorted({one.student for one in found if one.handed_in})
    if named:
        words = say("It was handed in by {names}, and the record is of {name}.", names=", ".join(named), name=record.learner)
        raise CourseError(words)
    counts = [one.chapter for one in found if one.chapter]
    if len(counts) != len(set(counts)):
        words = say("These are hand-ins of several people, and none is of {name}. Name the learner's own.", name=record.learner)
        raise CourseError(words)
    return found


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
