"""`check`: tries a learner's function on public, fresh and lawful grounds, and says what is wrong with it and why."""

import contextlib
import copy
import io
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .. import attempts
from ..exercises import Exercise, get_exercise
from ..languages import later, say
from .compare import Difference, difference
from .feedback import Feedback, describe

FRESH_CASES = 5
SECONDS_A_CALL = 10

_ADVICE = {
    "NameError": later("a name is used that has no value here: check its spelling, or whether its cell has been run"),
    "UnboundLocalError": later("a name is used before it gets its value"),
    "TypeError": later("a function or operator was given something of the wrong type, or too many or too few arguments"),
    "IndexError": later("an index lies outside of the thing that it picks from"),
    "KeyError": later("a dictionary has no such key"),
    "AttributeError": later("the thing before the dot has nothing of that name"),
    "ValueError": later("the type is right but the value cannot be used"),
    "ZeroDivisionError": later("something is divided by zero"),
    "RuntimeError": later("torch could not do it; most often two shapes do not fit"),
    "RecursionError": later("the function calls itself without an end"),
    "TimeoutError": later("is there a loop that never ends?"),
}
_NOT_TOLD = later("The function is right on the cases that you can see, but not on others like them.")


class _NotAttempted(Exception):
    pass


class CheckFailed(AssertionError):
    """Raised by a check that fails while nbgrader grades the notebook."""


class RemoteAnswer:
    """A learner's function that runs in another process, which has a time limit of its own.

    Calling it raises RemoteError for the answer's own errors, with a text for the learner. `observe(inspector)` returns what
    the inspector of that name saw there.
    """

    def observe(self, inspector: str):
        raise NotImplementedError


class RemoteEnded(Exception):
    """What ends an examination that is made elsewhere: it is no answer's error, and passes through."""


class RemoteError(Exception):
    """An answer that ran elsewhere raised an error or returned what cannot travel; the text says it to the learner."""


@dataclass(frozen=True)
class _Failure:
    arguments: tuple
    expected: object
    got: object
    problem: Difference


def check(function: Callable) -> Feedback:
    """Checks a function that a learner wrote; the exercise is found by the function's name.

    Returns a Feedback that a notebook shows in colour; it holds `status` ("passed", "failed", "not attempted"), `message`
    and `mistake`. In a notebook that a person works in, the try is noted in the progress kept on this machine. Never raises for
    a wrong answer; raises CourseError when no exercise has that name.
    """
    feedback = _checked(function)
    attempts.note(feedback.exercise.name, feedback.status)
    if feedback.status != "passed" and os.environ.get("NBGRADER_EXECUTION") == "autograde":
        raise CheckFailed(str(feedback))  # nbgrader gives a cell's points when nothing is raised
    return feedback


def examine(
    task: Exercise, function: Callable, generator: torch.Generator, fresh: int = FRESH_CASES, hidden: bool = False
) -> Feedback:
    """Tries a function on the exercise's public cases, on `fresh` random ones drawn by `generator`, and on its properties.

    hidden: the right results of the random cases are not told. The function may be an `RemoteAnswer`; what ends such an
    examination early (an RemoteEnded) passes through.
    """
    cases = list(task.cases) + [task.fresh(generator) for _ in range(fresh if task.fresh else 0)]
    # A blank body raises on its first call, so the first answer tells whether there is anything to check.
    try:
        results = [_try(function, arguments) for arguments in cases]
        failures = list(_failures(task, cases, results))
        if failures:
            told = [f for f in failures if not hidden or any(f.arguments is case for case in task.cases)]
            return _failed(task, cases, results, failures, told)
        broken = [_broken(law, function, generator) for law in task.properties]
    except _NotAttempted:
        words = say("Write the body of the function, run its cell, then run this one again.")
        return Feedback(task, "not attempted", words)
    laws = [f"{'✗' if words else '✓'} {say(law.statement)}" for law, words in zip(task.properties, broken, strict=True)]
    for law, words in zip(task.properties, broken, strict=True):
        if words:
            return Feedback(task, "failed", say(words), details=laws, mistake=law.mistake)
    agree = say("All {count} cases agree with the reference.", count=len(cases))
    message = agree if cases else say("Every requirement holds.")
    return Feedback(task, "passed", message, details=laws)


def yours_or_ours(function: Callable) -> Callable:
    """The learner's function when it passes its check, otherwise the course's own; prints which one is used."""
    feedback = _checked(function)
    name = feedback.exercise.name
    if feedback.status == "passed":
        print(say("Using your {name}.", name=name))
        return function
    if feedback.status == "not attempted":
        print(say("Using the course's {name}: yours is not written yet.", name=name))
    else:
        print(say("Using the course's {name}: yours does not pass its check yet.", name=name))
    return feedback.exercise.reference


def _checked(function: Callable) -> Feedback:
    if not callable(function):
        raise TypeError("check takes the function itself: lab.check(rotation_matrix), without calling it.")
    task = get_exercise(getattr(function, "__name__", repr(function)))
    return examine(task, function, torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "big")))


def _try(function: Callable, arguments: tuple) -> tuple[object, Difference | None]:
    """The function's result on its own copy of the arguments, and what went wrong while it ran."""
    given = copy.deepcopy(arguments)
    try:
        with _guarded(function):
            result = function(*given)
    except NotImplementedError as error:
        raise _NotAttempted from error
    except RemoteEnded:
        raise
    except Exception as error:
        return None, Difference("exception", _explain(error))
    if any(difference(after, before, 0.0) for after, before in zip(given, arguments, strict=True)):
        words = say("Your function changes its input. Work on a copy: begin with `x = x.clone()`.")
        return result, Difference("in place", words)
    return result, None


def _guarded(function: Callable):
    """What a learner's function prints is not shown, and it does not run for ever."""
    if isinstance(function, RemoteAnswer):
        return contextlib.nullcontext()
    stack = contextlib.ExitStack()
    stack.enter_context(_time_limit())
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    return stack


def _explain(error: Exception) -> str:
    if isinstance(error, RemoteError):
        return str(error)
    kind = type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)][1:]
    where = ""
    if frames:
        line = f" ({frames[0].line.strip()})" if frames[0].line else ""
        where = say(" in line {number} of its cell{line}", number=frames[0].lineno, line=line)
    means = say(". That means: {advice}.", advice=say(_ADVICE[kind])) if kind in _ADVICE else ""
    return say("Your function stopped with {kind}{where}: {error}{means}", kind=kind, where=where, error=error, means=means)


def _failures(task: Exercise, cases: list[tuple], results: list):
    for arguments, (got, problem) in zip(cases, results, strict=True):
        expected = task.reference(*copy.deepcopy(arguments))
        problem = problem or difference(got, expected, task.tolerance)
        if problem:
            yield _Failure(arguments, expected, got, problem)


def _failed(task: Exercise, cases: list[tuple], results: list, failures: list[_Failure], told: list[_Failure]) -> Feedback:
    """`told`: the failures whose right result may be shown; without one, the smallest is shown without it."""
    smallest = min(told or failures, key=lambda failure: _size(failure.arguments))
    problem = smallest.problem if told or smallest.problem.kind != "value" else Difference("value", say(_NOT_TOLD))
    mistake = next((m for m in task.mistakes if _made(m.function, task, cases, results)), None)
    details = [problem.words] if mistake else []
    details += describe(task, smallest.arguments, smallest.expected, smallest.got, problem, expected_told=bool(told))
    message = say(mistake.hint) if mistake else problem.words
    share = say("{right} of {count} cases are right.", right=len(cases) - len(failures), count=len(cases))
    return Feedback(task, "failed", message, details=[*details, share], mistake=mistake and mistake.name)


def _made(mistaken: Callable, task: Exercise, cases: list[tuple], results: list) -> bool:
    """Whether the learner's results are those of this mistake on every case."""
    for arguments, (got, problem) in zip(cases, results, strict=True):
        if problem and problem.kind == "exception":
            return False
        try:
            wrong = mistaken(*copy.deepcopy(arguments))
        except Exception:
            return False
        if difference(got, wrong, task.tolerance):
            return False
    return True


def _broken(law, function: Callable, generator: torch.Generator) -> str | None:
    try:
        with _guarded(function):
            if law.inspector is None:
                return law.fails(function, generator)
            seen = function.observe(law.inspector.__name__) if isinstance(function, RemoteAnswer) else law.inspector(function)
            return law.fails(seen, generator)
    except NotImplementedError as error:
        raise _NotAttempted from error
    except RemoteEnded:
        raise
    except Exception as error:
        if isinstance(function, RemoteAnswer) and not isinstance(error, RemoteError):
            kind = type(error).__name__
            return say("What your function returns does not fit ({kind}: {error}).", kind=kind, error=error)
        return _explain(error)


def _size(value) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel()
    return sum(map(_size, value)) if isinstance(value, tuple | list) else 1


@contextlib.contextmanager
def _time_limit():
    """Ends a call that runs for too long, where signals can do that (main thread, not on Windows)."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_):
        raise TimeoutError(say("no result after {seconds} seconds", seconds=SECONDS_A_CALL))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CALL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
