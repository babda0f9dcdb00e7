"""The record of a learner's progress: what `fewshot-lab progress --export` writes and `fewshot-lab verify` reads.

It is JSON. A checksum over all of it shows whether it came through as it was written. A checksum keeps no secret, so what the
record says is the learner's word until an instructor has judged the answers again (`verify.py`) and signed it (`signing.py`).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import __version__
from ..course.achieved import achieved
from ..course.chapters import Chapter, choose
from ..course.progress import progress
from ..errors import CourseError
from ..evidence.records import Outcome
from ..files import write_atomically
from ..languages import say
from .hand_in import known_name, look_over
from .receipts import moment, now
from .submissions import read_submission, tidy

KIND, FORMAT = "fewshot-lab progress", 1
LARGEST = 4 * 2**20  # bytes
_SEALED = ("checksum", "vouched")  # what the checksum does not cover: itself, and what an instructor adds


@dataclass(frozen=True)
class Checked:
    """An exercise that was tried: when it first passed (ISO format, UTC; "" if never), the tries, how far hints went.

    answer: the sha256 of the answer in the saved notebook, "" where it holds none.
    """

    name: str
    passed: str
    tries: int
    hints: int
    answer: str


@dataclass(frozen=True)
class Foreseen:
    """A prediction: the question's key, the question, the answer, what was measured, whether that was near (None: unjudged)."""

    key: str
    question: str
    answer: str
    measured: str
    near: bool | None


@dataclass(frozen=True)
class OfChapter:
    """A chapter of a record."""

    id: str
    checks: tuple[Checked, ...]
    predictions: tuple[Foreseen, ...]
    verdicts: dict[str, str]

    @property
    def passed(self) -> dict[str, Checked]:
        """The exercises that passed, by name."""
        return {one.name: one for one in self.checks if one.passed}


@dataclass(frozen=True)
class Record:
    """A learner's progress. `tree`: the JSON that it was read from or is written as."""

    learner: str
    exported: str
    course: str
    chapters: tuple[OfChapter, ...]
    tree: dict

    @property
    def checksum(self) -> str:
        return self.tree["checksum"]


def answer_digest(source: str) -> str:
    """The sha256 of an answer, whatever the blank lines around it."""
    return hashlib.sha256(source.strip().encode("utf-8", "surrogatepass")).hexdigest()


def canonical(tree: dict) -> bytes:
    """JSON whose bytes depend on its content alone: neither on spaces nor on the order of keys."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def checksum(tree: dict) -> str:
    """The sha256 of everything that the learner says in a record."""
    return hashlib.sha256(canonical({key: value for key, value in tree.items() if key not in _SEALED})).hexdigest()


def record(names: Iterable[str] = (), learner: str = "") -> Record:
    """The record of these chapters (all by default), from the attempts on this machine and the saved notebooks.

    Raises CourseError where nothing has been tried, nobody's name is known, or a file cannot be read.
    """
    ids = {chapter.id for chapter in choose(tuple(names))}
    reached = achieved(one for one in progress() if one.chapter.id in ids)
    if not any(one.progress.tries or one.predictions for one in reached):
        raise CourseError(say("There is no progress in these chapters yet: run a check in a notebook first."))
    student = known_name(learner)
    if not student:
        raise CourseError(say('Whose progress is it? Say so: --name "Ada Lovelace".'))
    digests = _answers()
    chapters = tuple(
        OfChapter(
            one.progress.chapter.id,
            tuple(
                Checked(name, it.passed or "", it.tries, it.hints, digests.get(name, ""))
                for name, it in one.progress.tries.items()
            ),
            tuple(Foreseen(it.key, it.question, it.answer, it.measured, it.near) for it in one.predictions),
            {name: str(outcome) for name, outcome in one.verdicts.items()},
        )
        for one in reached
    )
    head = {"kind": KIND, "format": FORMAT, "course": __version__, "learner": student, "exported": now()}
    tree = json.loads(json.dumps(head | {"chapters": [asdict(chapter) for chapter in chapters]}))
    return Record(student, head["exported"], __version__, chapters, tree | {"checksum": checksum(tree)})


def write_record(one: Record, path: Path) -> None:
    """Writes a record; raises CourseError where it cannot be written."""
    write_atomically(path, json.dumps(one.tree, indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path) -> Record:
    """The record in a file; raises CourseError, with what to do, for one that is damaged, foreign or of a later version."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CourseError(say("There is no file {file}.", file=path)) from error
    except OSError as error:
        raise CourseError(say("{file} cannot be read ({reason}).", file=path, reason=error.strerror)) from error
    except (ValueError, RecursionError):  # no JSON, no text, or lists nested thousands deep
        tree = None
    if not isinstance(tree, dict) or tree.get("kind") != KIND:
        raise CourseError(
            say("{file} is no record of progress. The learner writes one with: fewshot-lab progress --export FILE", file=path)
        )
    if isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
        raise CourseError(
            say(
                "{file} was written by a later version of the course (format {theirs}; this one reads {ours}). Update the "
                "course here (git pull), and try again.",
                file=path,
                theirs=tree["format"],
                ours=FORMAT,
            )
        )
    again = say("Ask the learner for the file again, or for a new one: fewshot-lab progress --export FILE")
    try:
        if tree.get("checksum") != checksum(tree):
            words = say("{file} is not as it was exported: its checksum differs.", file=path)
            raise CourseError(f"{words} {again}")
        return _read(tree)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        words = say("{file} is damaged: a part of the record is missing.", file=path)
        raise CourseError(f"{words} {again}") from error


def lacking(one: Record, course: Sequence[Chapter]) -> dict[str, list[str]]:
    """The exercises of these chapters that have not passed, {chapter: names}, of chapters that have any."""
    passed = {name for chapter in one.chapters for name in chapter.passed}
    found = {chapter.id: [name for name in chapter.exercises if name not in passed] for chapter in course}
    return {id: names for id, names in found.items() if names}


def _answers() -> dict[str, str]:
    """The digest of every answer in the learner's saved notebooks, as the grader will find them."""
    try:
        looked = look_over()
    except CourseError:  # nothing is answered: a record of predictions alone
        return {}
    found = {}
    for one in looked:
        found |= {
            name: answer_digest(source) for name, source in read_submission(one.path.name, one.content, "").answers.items()
        }
    return found


def _read(tree: dict) -> Record:
    """A record from JSON whose checksum is right, which anybody can compute: nothing in it is believed to be of its type."""
    chapters = tuple(
        OfChapter(
            _text(of["id"]),
            tuple(
                Checked(_text(it["name"]), _time(it["passed"]), _count(it["tries"]), _count(it["hints"]), _text(it["answer"]))
                for it in of["checks"]
            ),
            tuple(
                Foreseen(*(_text(it[key]) for key in ("key", "question", "answer", "measured")), _judged(it["near"]))
                for it in of["predictions"]
            ),
            {_text(name): str(Outcome(outcome)) for name, outcome in of["verdicts"].items()},
        )
        for of in tree["chapters"]
    )
    return Record(tidy(_text(tree["learner"])), _time(tree["exported"]), _text(tree["course"]), chapters, tree)


def _text(value) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return tidy(value[:2000]) if value else ""


def _time(value) -> str:
    text = _text(value)
    if text and moment(text) is None:
        raise ValueError("no time")
    return text


def _count(value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        raise TypeError("no number")
    return value


def _judged(value) -> bool | None:
    if value not in (True, False, None) or isinstance(value, int) and not isinstance(value, bool):
        raise TypeError("neither near nor far")
    return value
