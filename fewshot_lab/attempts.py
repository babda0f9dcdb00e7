"""Attempts at the exercises and predictions, kept on this machine: what was noted in notebooks that a person works in.

One JSON file: {"exercises": {name: attempt}, "forgotten": {name: attempt}, "predictions": {name: prediction}}; the second part
is what the last `forget` removed, and files of earlier versions lack the third.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from .errors import CourseError
from .files import home, write_atomically, writing_failed
from .languages import say

OFF = {"FEWSHOT_LAB_PROGRESS": "off"}  # environment variables with which nothing is noted
LOCK_SECONDS = 10


@dataclass(frozen=True)
class Attempt:
    """The history of one exercise.

    last: the status of the last try. tried: when that was (ISO format, UTC). tries: how many there were. passed: when one first
    passed. hints: how far help went, from 0 to 3 (see `lab.hint`).
    """

    last: str
    tried: str
    tries: int = 1
    passed: str | None = None
    hints: int = 0


@dataclass(frozen=True)
class Prediction:
    """What a person predicted, and what came of it.

    chapter, key: which question it answers. question: its text. options: the answers to choose from. answer: the one chosen.
    said: when (ISO format, UTC). measured: the result in words, "" before there is one. near: whether the answer was near to
    it, None where nobody has judged. All texts are in English.
    """

    chapter: str
    key: str
    question: str
    options: tuple[str, ...]
    answer: str
    said: str
    measured: str = ""
    near: bool | None = None

    @property
    def name(self) -> str:
        """Its name in the file: keys are those of a chapter."""
        return f"{self.chapter} {self.key}"


def file() -> Path:
    """The path of the file: in FEWSHOT_LAB_HOME, else in the user's data folder (not the cache, which may be emptied)."""
    if "FEWSHOT_LAB_HOME" in os.environ:
        return home() / "progress.json"
    import platformdirs

    return Path(platformdirs.user_data_dir("fewshot-lab", appauthor=False)) / "progress.json"


def run_by_a_person() -> bool:
    """Whether a person runs the current cell."""
    # JupyterLab and other front ends name the cell in each request to the kernel; programs that execute notebooks (papermill,
    # nbclient, nbval, nbgrader) do not, and outside of a kernel there is no cell.
    if os.environ.get("FEWSHOT_LAB_PROGRESS") == OFF["FEWSHOT_LAB_PROGRESS"] or "IPython" not in sys.modules:
        return False
    request = getattr(sys.modules["IPython"].get_ipython(), "get_parent", dict)()
    return bool(request.get("metadata", {}).get("cellId"))


def note(exercise: str, status: str) -> None:
    """Notes a try with its status ("passed", "failed", "not attempted") if a person made it.

    Prints one line when the file cannot be written: a check must not fail for that.
    """
    _add(exercise, Attempt(status, _now(), passed=_now() if status == "passed" else None))


def note_hint(exercise: str, rung: int) -> None:
    """Notes how far help with an exercise went, as `note` notes a try."""
    _add(exercise, Attempt("not attempted", _now(), tries=0, hints=rung))


def hints(exercise: str) -> int:
    """How far help with an exercise went, from 0 to 3; 0 where nothing is noted."""
    if not run_by_a_person():
        return 0
    try:
        kept = noted().get(exercise)
    except CourseError:  # note_hint, which follows, says so
        return 0
    return kept.hints if kept else 0


def _add(exercise: str, now: Attempt) -> None:
    """Adds to an exercise's history, if a person works here."""
    if not run_by_a_person():
        return
    with _or_a_line(), _changing() as (attempts, _, _):
        attempts[exercise] = _merged(attempts.get(exercise), now)


def predictions() -> list[Prediction]:
    """The predictions kept, by chapter and then in the order in which they were made; as `noted` otherwise."""
    if not file().exists():
        return []
    with _locked() as path:
        return sorted(_read(path)[2].values(), key=lambda one: (one.chapter, one.said))


def predicted(chapter: str, key: str) -> Prediction | None:
    """The prediction that answers a question of a chapter; None where there is none or the file cannot be opened."""
    try:
        return next((one for one in predictions() if (one.chapter, one.key) == (chapter, key)), None)
    except CourseError:  # note_prediction, which follows, says so
        return None


def note_prediction(chapter: str, key: str, question: str, options: Iterable[str], answer: str) -> None:
    """Notes a person's answer to a question; once the result has been seen, the answer given before it stays."""
    with _or_a_line(), _changing() as (_, _, kept):
        now = Prediction(chapter, key, question, tuple(options), answer, _now())
        if now.name not in kept or not kept[now.name].measured:
            kept[now.name] = now


def note_measured(prediction: Prediction, measured: str, near: bool | None) -> None:
    """Notes what came of a prediction and whether it was near."""
    with _or_a_line(), _changing() as (_, _, kept):
        kept[prediction.name] = replace(prediction, measured=measured, near=near)


@contextmanager
def _or_a_line() -> Iterator[None]:
    """Prints one line when the file cannot be written."""
    try:
        yield
    except CourseError as error:
        print(say("Your progress was not noted. {error}", error=error), file=sys.stderr)


def noted() -> dict[str, Attempt]:
    """The attempts by exercise, in no order; none when there is no file. Raises CourseError when it cannot be opened."""
    if not file().exists():
        return {}
    with _locked() as path:
        return _read(path)[0]


def forget(exercises: Iterable[str]) -> int:
    """Forgets the attempts at these exercises and returns how many there were; `remember` undoes the last `forget`."""
    with _changing() as (attempts, forgotten, _):
        removed = {name: attempts.pop(name) for name in set(exercises) & set(attempts)}
        if removed:  # to forget nothing must not end the chance to undo what came before
            forgotten.clear()
            forgotten.update(removed)
    return len(removed)


def remember() -> int:
    """Undoes the last `forget`, keeping what was tried since, and returns how many exercises came back."""
    with _changing() as (attempts, forgotten, _):
        for name, attempt in forgotten.items():
            attempts[name] = _merged(attempt, attempts.get(name))
        count = len(forgotten)
        forgotten.clear()
    return count


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _merged(before: Attempt | None, after: Attempt | None) -> Attempt:
    """Two parts of an exercise's history as one: what was passed once stays passed."""
    if before is None or after is None:
        return before or after
    last = after.last if after.tries else before.last  # help is no try
    tries, passed = before.tries + after.tries, before.passed or after.passed
    return Attempt(last, after.tried, tries, passed, max(before.hints, after.hints))


@contextmanager
def _locked() -> Iterator[Path]:
    from filelock import FileLock, Timeout

    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            yield path
    except Timeout as error:
        raise CourseError(
            say("Another program holds {path} for {known} seconds: close it and try again.", path=path, known=LOCK_SECONDS)
        ) from error
    except NotImplementedError as error:
        raise CourseError(
            say("{path} lies where files cannot be locked: set FEWSHOT_LAB_HOME to another folder.", path=path)
        ) from error
    except OSError as error:
        raise writing_failed(path, error) from error


@contextmanager
def _changing() -> Iterator[tuple[dict[str, Attempt], dict[str, Attempt], dict[str, Prediction]]]:
    """Yields the attempts, the forgotten ones and the predictions, and writes them as they are at the end."""
    with _locked() as path:
        parts = _read(path)
        yield parts
        texts = [{name: asdict(one) for name, one in part.items()} for part in parts]
        write_atomically(path, json.dumps(dict(zip(("exercises", "forgotten", "predictions"), texts, strict=True)), indent=1))


def _read(path: Path) -> tuple[dict[str, Attempt], dict[str, Attempt], dict[str, Prediction]]:
    """The attempts, the forgotten ones and the predictions; a damaged file is moved aside, with a message."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8-sig"))  # an editor may have put a byte order mark there
        predictions = _predictions(stored.get("predictions", {}))
        return _attempts(stored["exercises"]), _attempts(stored["forgotten"]), predictions
    except FileNotFoundError:
        return {}, {}, {}
    except (ValueError, KeyError, TypeError, AttributeError):
        aside = path.with_name(f"progress.damaged-{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.json")
        os.replace(path, aside)
        moved = say(
            "The file of your progress was damaged. It is now {name} in {folder}; noting begins anew.",
            name=aside.name,
            folder=path.parent,
        )
        print(moved, file=sys.stderr)
        return {}, {}, {}


def _attempts(stored: dict) -> dict[str, Attempt]:
    """The attempts of a part of the file; raises TypeError or ValueError for anything else.

    What another version of the course noted besides is passed over: it is no damage.
    """
    known = {field.name for field in fields(Attempt)}
    attempts = {
        name: Attempt(**{key: value for key, value in values.items() if key in known}) for name, values in stored.items()
    }
    for attempt in attempts.values():
        for when in filter(None, (attempt.tried, attempt.passed)):
            datetime.fromisoformat(when)
        if not isinstance(attempt.last, str) or not isinstance(attempt.tries, int) or not isinstance(attempt.hints, int):
            raise TypeError("an attempt has a status, a number of tries and how far help went")
    return attempts


def _predictions(stored: dict) -> dict[str, Prediction]:
    """The predictions of the file; raises TypeError or ValueError for anything else."""
    predictions = {name: Prediction(**values | {"options": tuple(values["options"])}) for name, values in stored.items()}
    for name, one in predictions.items():
        texts = (one.chapter, one.key, one.question, one.answer, one.measured, *one.options)
        if name != one.name or not all(isinstance(text, str) for text in texts) or one.near not in (True, False, None):
            raise TypeError("a prediction holds texts and whether it was near")
        datetime.fromisoformat(one.said)
    return predictions
