"""`check`: runs a learner's function on public cases, on fresh random cases and against properties, and says what is wrong."""

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
from ..evidence.records import CheckStatus
from ..exercises import Exercise, Property, get_exercise
from ..languages import later, say
from .compare import Difference, difference
from .feedback import Feedback, describe

FRESH_CASES = 5
SECONDS_A_CALL = 10

_ADVICE = {
    "NameError": later("a name is used that has no value here: check its spelling, or whether its cell has been run"),
    "UnboundLocalError": later("a name is used before it gets its value"),
    "TypeError": later("a function or operator was given something of the wrong type, or too many or too few arguments"),
    "IndexError": later("an index is outside the sequence that it picks from"),
    "KeyError": later("a dictionary has no such key"),
    "AttributeError": later("the object before the dot has no attribute of that name"),
    "ValueError": later("the type is right but the value cannot be used"),
    "ZeroDivisionError": later("something is divided by zero"),
    "RuntimeError": later("torch could not do it; most often two shapes do not match"),
    "RecursionError": later("the function calls itself without end"),
    "TimeoutError": later("is there a loop that never ends?"),
}
_WRONG_ON_OTHERS = later("The function is right on the cases that you can see, but not on others like them.")


class _NotAttempted(Exception):
    """The body of the function is still blank: it raises NotImplementedError."""


class CheckFailed(AssertionError):
    """Raised by a check that fails while nbgrader grades the notebook."""


class RemoteAnswer:
    """A learner's function that runs in another process, which has its own time limit.

    Calling it raises RemoteError, with a text for the learner, for an error of the answer, and RemoteEnded when the process has
    ended.
    """

    def observe(self, inspector: str):
        """What the inspector with this name reports about the function, run in the function's process."""
        raise NotImplementedError


class RemoteEnded(Exception):
    """The answer's process has ended. That is not the learner's error: checks let it propagate."""


class RemoteError(Exception):
    """A remote answer raised an error, or returned a value that cannot be sent back; the text is for the learner."""


@dataclass(frozen=True)
class _Failure:
    """A case on which the learner's result is wrong, and how."""

    arguments: tuple
    expected: object
    got: object
    problem: Difference


def check(function: Callable) -> Feedback:
    """Checks a learner's function against the exercise with the same name.

    Returns a Feedback, which a notebook shows in colour; it holds `status` ("passed", "failed", "not attempted"), `message` and
    `mistake`. In a learner's own notebook the attempt also counts for the progress kept on this machine. Raises nothing for a
    wrong answer, and CourseError when no exercise has that name.
    """
    feedback = _checked(function)
    attempts.note(feedback.exercise.name, feedback.status)
    if feedback.status != CheckStatus.PASSED and os.environ.get("NBGRADER_EXECUTION") == "autograde":
        raise CheckFailed(str(feedback))  # nbgrader gives a cell's points when nothing is raised
    return feedback


def examine(
    task: Exercise, function: Callable, generator: torch.Generator, fresh: int = FRESH_CASES, hidden: bool = False
) -> Feedback:
    """Runs a function on an exercise's public cases, on fresh random cases and against its properties.

    A RemoteEnded that the function raises is not caught.

    Args:
        task: the exercise.
        function: the learner's function, or a `RemoteAnswer`.
        generator: draws the random cases.
        fresh: how many random cases there are.
        hidden: whether the correct results of the random cases stay hidden.
    """
    cases = list(task.cases) + [task.fresh(generator) for _ in range(fresh if task.fresh else 0)]
    try:
        results = [_call(function, arguments) for arguments in cases]
        failures = list(_failures(task, cases, results))
        if failures:
            shown = [f for f in failures if not hidden or any(f.arguments is case for case in task.cases)]
            return _failed(task, cases, results, failures, shown)
        # Only when all cases agree: a property's message would distract from a plain wrong result.
        violations = [_violation(prop, function, generator) for prop in task.properties]
    except _NotAttempted:
        words = say("Write the body of the function, run its cell, then run this one again.")
        return Feedback(task, CheckStatus.NOT_ATTEMPTED, words)
    examined = list(zip(task.properties, violations, strict=True))
    details = [f"{'✗' if words else '✓'} {say(prop.statement)}" for prop, words in examined]
    for prop, words in examined:
        if words:
            return Feedback(task, CheckStatus.FAILED, say(words), details=details, mistake=prop.mistake)
    agree = say("All {count} cases agree with the reference.", count=len(cases))
    message = agree if cases else say("Every requirement holds.")
    return Feedback(task, CheckStatus.PASSED, message, details=details)


def yours_or_ours(function: Callable) -> Callable:
    """The learner's function when it passes its check, otherwise the course's own; prints which one is used."""
    feedback = _checked(function)
    name = feedback.exercise.name
    if feedback.status == CheckStatus.PASSED:
        print(say("Using your {name}.", name=name))
        return function
    if feedback.status == CheckStatus.NOT_ATTEMPTED:
        print(say("Using the course's {name}: yours is not written yet.", name=name))
    else:
        print(say("Using the course's {name}: yours does not pass its check yet.", name=name))
    return feedback.exercise.reference


def _checked(function: Callable) -> Feedback:
    if not callable(function):
        raise TypeError("check takes the function itself: lab.check(rotation_matrix), without calling it.")
    task = get_exercise(getattr(function, "__name__", repr(function)))
    # A new seed for every check, so that nobody can fit an answer to the cases of the last one.
    return examine(task, function, torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "big")))


def _call(function: Callable, arguments: tuple) -> tuple[object, Difference | None]:
    """The function's result on its own copy of the arguments, and what went wrong in the call, if anything."""
    copied = copy.deepcopy(arguments)
    try:
        with _guarded(function):
            result = function(*copied)
    except NotImplementedError as error:
        raise _NotAttempted from error
    except RemoteEnded:
        raise
    except Exception as error:
        return None, Difference("exception", _explain(error))
    if any(difference(after, before, 0.0) for after, before in zip(copied, arguments, strict=True)):
        words = say("Your function changes its input. Work on a copy: begin with `x = x.clone()`.")
        return result, Difference("in place", words)
    return result, None


def _guarded(function: Callable):
    """Hides what a learner's function prints and ends it after SECONDS_A_CALL; a remote answer's process does both itself."""
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


def _failed(task: Exercise, cases: list[tuple], results: list, failures: list[_Failure], shown: list[_Failure]) -> Feedback:
    """The feedback on failures: the smallest one, with its correct result if it is among those that may be `shown`."""
    smallest = min(shown or failures, key=lambda failure: _size(failure.arguments))
    # A difference in value would give the hidden result away.
    problem = smallest.problem if shown or smallest.problem.kind != "value" else Difference("value", say(_WRONG_ON_OTHERS))
    mistake = next((m for m in task.mistakes if _is_made(m.function, task, cases, results)), None)
    details = [problem.words] if mistake else []
    details += describe(task, smallest.arguments, smallest.expected, smallest.got, problem, expected_told=bool(shown))
    message = say(mistake.hint) if mistake else problem.words
    share = say("{right} of {count} cases are right.", right=len(cases) - len(failures), count=len(cases))
    return Feedback(task, CheckStatus.FAILED, message, details=[*details, share], mistake=mistake and mistake.name)


def _is_made(mistaken: Callable, task: Exercise, cases: list[tuple], results: list) -> bool:
    """Whether the learner's results equal those of this mistake on every case, even where the mistake changes nothing."""
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


def _violation(prop: Property, function: Callable, generator: torch.Generator) -> str | None:
    """How the function violates a property, in words; None when the property holds."""
    inspector = prop.inspector
    try:
        with _guarded(function):
            if inspector is None:
                return prop.fails(function, generator)
            # Its module stands alone, so the inspector can run in the answer's process, beside what it inspects.
            seen = function.observe(inspector.__name__) if isinstance(function, RemoteAnswer) else inspector(function)
            return prop.fails(seen, generator)
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
    """How many numbers a case holds; the failing case with the fewest is shown."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    return sum(map(_size, value)) if isinstance(value, tuple | list) else 1


@contextlib.contextmanager
def _time_limit():
    """Raises TimeoutError in a call that takes too long, where signals can do that (in the main thread, not on Windows)."""
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
