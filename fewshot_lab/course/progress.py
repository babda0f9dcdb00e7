"""A learner's progress through the chapters, from the attempts kept on this machine, and what comes next."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table

from .. import attempts
from ..attempts import Attempt
from ..languages import chapter_title, language, say
from .chapters import Chapter, chapters, choose

START, GO_ON, DONE = "Start", "Go on", "Done"


@dataclass(frozen=True)
class Progress:
    """A chapter with the attempts at its exercises, {name: attempt}."""

    chapter: Chapter
    tries: dict[str, Attempt]

    @property
    def passed(self) -> tuple[str, ...]:
        """The exercises that passed once, in the chapter's order."""
        return tuple(name for name, attempt in self.tries.items() if attempt.passed)

    @property
    def helped(self) -> tuple[str, ...]:
        """The exercises with which `lab.hint` helped, in the chapter's order."""
        return tuple(name for name, attempt in self.tries.items() if attempt.hints)

    @property
    def open(self) -> tuple[str, ...]:
        """The exercises that have not passed yet, in the chapter's order."""
        return tuple(name for name in self.chapter.exercises if name not in self.passed)

    @property
    def state(self) -> str:
        """START before the first try, DONE when every exercise has passed, else GO_ON."""
        if not self.tries:
            return START
        return GO_ON if self.open else DONE

    @property
    def last(self) -> tuple[str, Attempt] | None:
        """The exercise that was tried last and its attempt."""
        return max(self.tries.items(), key=lambda item: item[1].tried, default=None)


def progress() -> list[Progress]:
    """All chapters in order with the attempts at their exercises; raises CourseError when course or file cannot be read."""
    kept = attempts.noted()
    return [Progress(c, {name: kept[name] for name in c.exercises if name in kept}) for c in chapters()]


def following(course: list[Progress]) -> Progress | None:
    """The chapter to open now: the one tried last, or the first open one after it; None when everything has passed."""
    last = max(range(len(course)), key=lambda i: course[i].last[1].tried if course[i].last else "", default=0)
    ordered = course[last:] + course[:last]  # around the end: someone who began in the middle is led to the first ones
    return next((one for one in ordered if one.open), None)


def last_in_words(one: Progress) -> str:
    """The last try of a chapter, such as "nt_xent failed, Nov 24 14:05" (local time); "" before the first."""
    from babel.dates import format_skeleton

    if one.last is None:
        return ""
    name, attempt = one.last
    when = datetime.fromisoformat(attempt.tried).astimezone().replace(tzinfo=None)
    day = format_skeleton("MMMd", when, locale=language())
    values = {"status": say(attempt.last), "day": day, "time": f"{when:%H:%M}"}
    return say("{exercise} {status}, {day} {time}", exercise=name, **values)


def title(chapter: Chapter) -> str:
    """A chapter's title in the language that is set."""
    return chapter_title(chapter.id, chapter.title)


def print_progress(names: Iterable[str] = (), console: Console | None = None) -> None:
    """Prints the table of these chapters (all by default) with the exercises passed, and what comes next in the course.

    Of chapters that are named, every check that has not passed yet is listed.
    """
    console = console or Console()
    if not console.is_terminal:  # rich would assume 80 columns, too few for the table
        console = Console(width=120)
    course = progress()
    table = Table(say("chapter"), say("passed"), say("with hints"), say("next check"), say("last try"))
    ids = {chapter.id for chapter in choose(tuple(names))}
    for one in (one for one in course if one.chapter.id in ids):
        name = f"{one.chapter.id} {title(one.chapter)}"
        count = say("{passed} of {total}", passed=len(one.passed), total=len(one.chapter.exercises))
        to_do = "\n".join(one.open if names else one.open[:1])
        table.add_row(name, count, str(len(one.helped) or ""), to_do, last_in_words(one))
    console.print(table)
    passed, total = sum(len(one.passed) for one in course), sum(len(one.chapter.exercises) for one in course)
    to_open = following(course)
    then = say("Every check has passed.")
    if to_open:
        then = say("Next: {number} {title}.", number=to_open.chapter.id, title=title(to_open.chapter))
    values = {"passed": passed, "total": total, "then": then, "file": attempts.file()}
    summary = say("{passed} of {total} checks passed. {then} Kept in {file}.", **values)
    console.print(summary, soft_wrap=True, highlight=False)


def bring_back() -> int:
    """Undoes the last `reset`; returns how many exercises it restored."""
    return attempts.remember()


def reset(names: Iterable[str] = ()) -> int:
    """Forgets the attempts at the exercises of these chapters (all by default); returns how many there were."""
    return attempts.forget(name for chapter in choose(tuple(names)) for name in chapter.exercises)
