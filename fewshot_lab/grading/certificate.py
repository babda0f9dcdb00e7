"""The certificate: one page, A4 landscape, in both languages, for who has passed every check of the chapters that count."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ..course.chapters import Chapter, choose
from ..course.progress import title
from ..errors import CourseError
from ..evidence import RULES
from ..evidence.records import Outcome
from ..files import write_atomically
from ..html import render
from ..languages import language as spoken
from ..languages import later, say, speaking
from .progress_record import Record, lacking, read_record, record, write_record
from .receipts import moment
from .signing import vouched

LANGUAGES = ("en", "zh")  # of the page, the first of them large
_WORDS = {
    "heading": later("Certificate"),
    "course": later("Few-Shot Lab"),
    "certifies": later("This says that"),
    "whole": later("has passed all {checks} checks of the course, on data augmentation and few-shot learning."),
    "part": later(
        "has passed all {checks} checks of {chapters} chapters of the course, on data augmentation and few-shot learning."
    ),
    "dates": later("First check passed: {first}. Last: {last}."),
    "checks": later("{count} checks"),
    "verdicts": later("{found} of {total} verdicts"),
    "predictions": later("Predictions: {made}, near: {near}."),
    "found": later("Verdicts found: {found} of {total}, by the learner's own runs ({outcomes})."),
    "verified": later("Verified by {name} on {day}: the grader judged every answer."),
    "not_verified": later("Not verified: this is the learner's own word. No instructor has judged the answers."),
}


def export_progress(path: Path, names: Sequence[str] = (), learner: str = "") -> str:
    """Writes a learner's record and says what is in it."""
    made = record(names, learner)
    write_record(made, path)
    passed = sum(len(of.passed) for of in made.chapters)
    values = {"name": made.learner, "count": passed, "file": path}
    words = say("The record of {name}, with {count} checks passed, is in {file}.", **values)
    # A check that passed once may stand beside an answer that was changed or not saved since.
    without = [name for of in made.chapters for name, it in of.passed.items() if not it.answer]
    lines = [say("No saved notebook holds an answer to: {names}.", names=", ".join(without))] if without else []
    return "\n".join([words, *lines, say("It is your word until your instructor verifies it: hand in your notebooks too.")])


def print_certificate(path: Path, names: Sequence[str] = (), learner: str = "", signed: Path | None = None) -> str:
    """Writes the certificate for these chapters and says how to print it.

    Without names they are those of the signed record, or all of the course. Raises CourseError where a check is missing.
    """
    found = read_record(signed) if signed else record(names, learner)
    course = choose(list(names or ([of.id for of in found.chapters] if signed else ())))
    write_atomically(path, certificate(found, course, len(course) == len(choose())))
    return say("The certificate of {name} is in {file}. Open it in a browser and print it.", name=found.learner, file=path)


def certificate(of_learner: Record, course: Sequence[Chapter], whole: bool) -> str:
    """The page as HTML; raises CourseError, with what is missing, where a check of these chapters has not passed.

    Args:
        of_learner: a learner's progress; whoever signed it stands on the page.
        course: the chapters that count.
        whole: whether these are all chapters of the course.
    """
    if missing := lacking(of_learner, course):
        listed = "\n".join(f"  {chapter}: {', '.join(names)}" for chapter, names in missing.items())
        raise CourseError(
            say("Not done yet: there is a certificate when every check has passed. Missing:\n{listed}", listed=listed)
        )
    reached = {of.id: of for of in of_learner.chapters}
    chosen = [(chapter, reached[chapter.id]) for chapter in course if chapter.id in reached]
    passed = sorted(filter(None, (moment(it.passed) for _, of in chosen for it in of.passed.values())))
    found = Counter(Outcome(outcome) for _, of in chosen for outcome in of.verdicts.values())
    seen = [it for _, of in chosen for it in of.predictions]
    signed = vouched(of_learner)

    def words(name: str, /, **values) -> list[tuple[str, str]]:
        """A sentence in both languages, (language, text); a value may be a function, which gives it in each of them."""
        texts = []
        for language in LANGUAGES:
            with speaking(language):
                filled = {key: value() if callable(value) else value for key, value in values.items()}
                texts.append((language, say(_WORDS[name], **filled)))
        return texts

    def row(chapter: Chapter, of) -> dict:
        claims = len(RULES.of_chapter(chapter.id))
        titles = []
        for language in LANGUAGES:
            with speaking(language):
                titles.append((language, title(chapter)))
        return {
            "id": chapter.id,
            "titles": titles,
            "checks": words("checks", count=len(chapter.exercises)),
            "verdicts": words("verdicts", found=len(of.verdicts), total=claims) if of.verdicts else [],
        }

    checks = sum(len(chapter.exercises) for chapter in course)
    total = sum(len(RULES.of_chapter(chapter.id)) for chapter in course)
    outcomes = lambda: ", ".join(f"{say(outcome.words)} {count}" for outcome, count in found.most_common())  # noqa: E731
    lines = [words("dates", first=lambda: _day(passed[0]), last=lambda: _day(passed[-1]))] if passed else []
    if seen:
        lines.append(words("predictions", made=len(seen), near=sum(it.near is True for it in seen)))
    if found:
        lines.append(words("found", found=found.total(), total=total, outcomes=outcomes))
    if signed:
        by = words("verified", name=signed.by, day=lambda: _day(moment(signed.time)))
    else:
        by = words("not_verified")
    return render(
        "certificate",
        language=LANGUAGES[0],
        title=f"{say(_WORDS['heading'])}: {of_learner.learner}",
        learner=of_learner.learner,
        heading=words("heading"),
        course=words("course"),
        certifies=words("certifies"),
        done=words("whole" if whole else "part", checks=checks, chapters=len(chosen)),
        rows=[row(chapter, of) for chapter, of in chosen],
        lines=lines,
        by=by,
        signed=signed,
        key=f"Ed25519 {signed.key}" if signed else "",
        checksum=f"sha256 {of_learner.checksum}",
    )


def _day(when: datetime) -> str:
    from babel.dates import format_date

    return format_date(when, "long", locale=spoken())
