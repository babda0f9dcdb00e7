"""`check`: runs a learner's function on public cases, on fresh random cases and against properties, and says what is wrong."""

import contextlib
import copy
import functools
import inspect
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import attempts, cells, runtime
from ..evidence.records import CheckStatus
from ..exercises import Exercise, Property, get_exercise
from ..exercises.inspectors import run_here
from ..languages import later, say
from .compare import Difference, difference
from .errors import RemoteAnswer, RemoteEnded, explained, is_blank
from .feedback import Feedback, describe

FRESH_CASES = 5
CALLED_AGAIN = 2  # of how many cases a function gets the arguments twice
SECONDS_A_CALL = 10

# Mistakes that every exercise knows, by the kind of the difference; a wrong value or an error alone says too little.
_NAMES = {
    "missing": "nothing_returned",
    "type": "wrong_type",
    "shape": "wrong_shape",
    "nan": "not_finite",
    "in place": "input_changed",
    "timeout": "never_ends",
}
_WRONG_ON_OTHERS = later("The function is right on the cases that you can see, but not on others like them.")


_CHANGEABLE = (torch.Tensor, torch.Generator, list, dict, set)


_Violation = str | tuple[str | None, str] | None


class _NotAttempted(Exception):
    """The body of the function is still blank: it raises NotImplementedError."""


class CheckFailed(AssertionError):
    """Raised by a check that fails while nbgrader grades the notebook."""


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
    if feedback.status == CheckStatus.FAILED and runtime.current().hints:
        stuck = say("Stuck? lab.hint({name}) helps, step by step.", name=feedback.exercise.name)
        feedback = replace(feedback, details=[*feedback.details, stuck])
    if feedback.status == CheckStatus.PASSED and (words := cells.not_handed_in(feedback.exercise.name, function)):
        feedback = replace(feedback, details=[*feedback.details, f"! {words}"])
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
        results = _results(function, cases)
        cases = cases[: len(results)]
        failures = list(_failures(task, cases, results))
        if failures:
            shown = [f for f in failures if not hidden or any(f.arguments is case for case in task.cases)]
            return _failed(task, cases, results, failures, shown)
        if feedback := _next_call_is_wrong(task, function, cases):
            return feedback
        # The graph before the properties: where it is cut, they could only say it in their own words.
        drawn = cases[len(task.cases) :]  # a case that somebody chose may stand on a kink, where gradients may differ
        if feedback := _graph_is_wrong(task, function, drawn or cases, results):
            return feedback
        # Only when all cases agree: a property's message would distract from a plain wrong result.
        examined = _violations(task, function, generator)
    except _NotAttempted:
        words = say("Write the body of the function, run its cell, then run this one again.")
        return Feedback(task, CheckStatus.NOT_ATTEMPTED, words)
    details = [f"{'✗' if words else '✓'} {say(prop.statement)}" for prop, words in examined]
    for prop, words in examined:
        if words:
            mistake, words = words if isinstance(words, tuple) else (prop.mistake, words)
            return Feedback(task, CheckStatus.FAILED, say(words), details=details, mistake=mistake)
    agree = say("All {count} cases agree with the reference.", count=len(cases))
    message = agree if cases else say("Every requirement holds.")
    return Feedback(task, CheckStatus.PASSED, message, details=details)


def yours_or_ours(function: Callable) -> Callable:
    """The learner's function when it passes its check, otherwise the course's own; prints which one is used."""
    feedback = _checked(function)
    name = feedback.exercise.name
    if feedback.status == CheckStatus.PASSED:
        print(say("Using your {name}.", name=name))
        return function if _returns_tensors(function, feedback.exercise) else _Converted(function, torch.as_tensor)
    if feedback.mistake == "not_run":
        print(say("Using the course's {name}: {why}", name=name, why=feedback.message))
    elif feedback.status == CheckStatus.NOT_ATTEMPTED:
        print(say("Using the course's {name}: yours is not written yet.", name=name))
    else:
        print(say("Using the course's {name}: yours does not pass its check yet.", name=name))
    return feedback.exercise.reference


def _checked(function: Callable) -> Feedback:
    if not callable(function):
        raise TypeError("check takes the function itself: lab.check(rotation_matrix), without calling it.")
    task = get_exercise(getattr(function, "__name__", repr(function)))
    if stale := cells.not_on_screen(task.name, function):
        return Feedback(task, CheckStatus.NOT_ATTEMPTED, stale, mistake="not_run")
    # A new seed for every check, so that nobody can fit an answer to the cases of the last one.
    return examine(task, function, torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "big")))


def _results(function: Callable, cases: list[tuple]) -> list[tuple[object, Difference | None]]:
    """The function's result on each case, and what went wrong; the list ends with the first call that takes too long."""
    results = []
    for arguments in cases:
        results.append(_call(function, arguments))
        problem = results[-1][1]
        if problem and problem.kind == "timeout":  # all others would be waited for too
            break
    return results


def _call(function: Callable, arguments: tuple) -> tuple[object, Difference | None]:
    """The function's result on its own copy of the arguments, and what went wrong in the call, if anything."""
    copied = copy.deepcopy(arguments)
    try:
        with _guarded(function):
            result = function(*copied)
    except RemoteEnded:
        raise
    except Exception as error:
        if is_blank(error):
            raise _NotAttempted from error
        return None, _stopped(error, function)
    for after, before in zip(copied, arguments, strict=True):
        if difference(after, before, 0.0):
            words = say("Your function changes its input. Work on a copy: {how}.", how=_copying(before))
            return result, Difference("in place", words)
        if isinstance(after, torch.Tensor) and after.requires_grad and not before.requires_grad:
            words = say("Your function sets requires_grad on its input. Work on a copy: x = x.detach().clone().")
            return result, Difference("in place", words)
    return result, None


def _next_call_is_wrong(task: Exercise, function: Callable, cases: list[tuple]) -> Feedback | None:
    """The feedback on a function that gives another result when it is called again with the very same arguments.

    Whatever a process says of its arguments, here a change to them shows in a result.
    """
    again = function.again if isinstance(function, RemoteAnswer) else functools.partial(_again, function)
    for arguments in cases[-CALLED_AGAIN:]:
        try:
            with _guarded(function, calls=2):
                got = again(*copy.deepcopy(arguments))
        except RemoteEnded:
            raise
        except Exception as error:
            problem = _stopped(error, function)
        else:
            problem = difference(got, _again(task.reference, *copy.deepcopy(arguments)), task.tolerance)
        if problem:
            words = say(
                "Called a second time with the same arguments, your function gives a wrong result. It changes its arguments, "
                "or keeps something from one call for the next: work on copies."
            )
            return Feedback(task, CheckStatus.FAILED, words, details=[problem.words], mistake=_NAMES["in place"])
    return None


def _again(function: Callable, *arguments):
    """The result of the second of two calls with the very same arguments."""
    function(*arguments)
    return function(*arguments)


def _stopped(error: Exception, function: Callable) -> Difference:
    kind = "timeout" if isinstance(error, TimeoutError) else "exception"
    return Difference(kind, explained(error, function), raised=getattr(error, "kind", "") or type(error).__name__)


def _copying(value) -> str:
    """How to copy a value of this kind, as code."""
    if isinstance(value, torch.Tensor):
        return "x = x.clone()"
    return {list: "x = list(x)", dict: "x = dict(x)", set: "x = set(x)"}.get(type(value), "x = x.copy()")


def _guarded(function: Callable, calls: int = 1):
    """Hides what a learner's function prints and ends it after SECONDS_A_CALL a call; a remote answer's process does both."""
    if isinstance(function, RemoteAnswer):
        return contextlib.nullcontext()
    stack = contextlib.ExitStack()
    stack.enter_context(_time_limit(calls * SECONDS_A_CALL))
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    return stack


class _Converted:
    """A function with another one applied to its result, under the name of the first."""

    def __init__(self, function: Callable, convert: Callable):
        self.function, self.convert, self.__name__ = function, convert, getattr(function, "__name__", "")

    def __call__(self, *arguments):
        return self.convert(self.function(*arguments))


def _in_double(task: Exercise, function: Callable) -> Callable:
    """The function with its floats in float64, in which the properties compute, so that no right answer fails on float32."""
    wants_tensor = _is_tensor(task)

    def convert(result):
        if isinstance(result, tuple):
            return tuple(map(convert, result))
        if isinstance(result, np.ndarray) or wants_tensor and isinstance(result, list):
            result = torch.as_tensor(result)
        if not isinstance(result, torch.Tensor) or result.dtype == torch.bool:
            return result
        return result.double() if result.is_floating_point() else result.long()

    return _Converted(function, convert)


def _is_tensor(task: Exercise) -> bool:
    """Whether the exercise's result is one tensor."""
    return bool(task.cases) and isinstance(task.reference(*copy.deepcopy(task.cases[0])), torch.Tensor)


def _returns_tensors(function: Callable, task: Exercise) -> bool:
    """Whether a function that passed returns a tensor where the reference does; the cells below call its methods."""
    return not _is_tensor(task) or isinstance(_call(function, task.cases[0])[0], torch.Tensor)


def _graph_is_wrong(task: Exercise, function: Callable, cases: list[tuple], results: list) -> Feedback | None:
    """The feedback on results that have the right value and a wrong gradient, or one that they must not carry."""
    if task.detached and any(isinstance(got, torch.Tensor) and got.requires_grad for got, _ in results):
        words = say("The result is right, but it still holds the graph of its computation: end with .detach().")
        return Feedback(task, CheckStatus.FAILED, words, mistake="attached")
    parameters = list(inspect.signature(task.reference).parameters)
    places = [parameters.index(name) for name in task.gradient]
    for arguments in cases if places else []:
        try:
            with _guarded(function):
                yours = _gradients(function, arguments, places)
        except RemoteEnded:
            raise
        except Exception as error:  # such as .numpy() on a tensor that needs a gradient
            yours, details = [None] * len(places), [explained(error, function)]
        else:
            details = []
        for name, mine, right in zip(task.gradient, yours, _gradients(task.reference, arguments, places), strict=True):
            right = torch.zeros(1) if right is None else right
            if mine is None and right.abs().max() > task.tolerance:
                words = say(
                    "The values are right, but no gradient comes back to {name}, so training would learn nothing: .item(), "
                    ".detach(), .numpy(), torch.tensor(...) and torch.no_grad() cut it. Compute with the tensors themselves.",
                    name=name,
                )
                return Feedback(task, CheckStatus.FAILED, words, details=details, mistake="no_gradient")
            if mine is not None and (problem := difference(mine, right.expand_as(mine), 10 * task.tolerance)):
                words = say(
                    "The values are right, but the gradient towards {name} is not: {problem} Is a part of the computation cut "
                    "off, by .detach(), .item() or torch.no_grad()?",
                    name=name,
                    problem=problem.words,
                )
                return Feedback(task, CheckStatus.FAILED, words, mistake="wrong_gradient")
    return None


def _gradients(function: Callable, arguments: tuple, places: list[int]) -> list[torch.Tensor | None]:
    """The gradient of a weighted sum of the function's result towards the arguments at these places."""
    copied = list(copy.deepcopy(arguments))
    inputs = [copied[place].requires_grad_() for place in places]
    result = function(*copied)
    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return [None] * len(places)
    # Weights that differ from one another: a plain sum has the gradient 0 where, say, probabilities sum to 1.
    weights = (1 + torch.arange(result.numel())).to(result.dtype).cos().view(result.shape)
    return list(torch.autograd.grad(result, inputs, weights, allow_unused=True))


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
    name = mistake.name if mistake else _NAMES.get(smallest.problem.kind)
    return Feedback(task, CheckStatus.FAILED, message, details=[*details, share], mistake=name)


def _is_made(mistaken: Callable, task: Exercise, cases: list[tuple], results: list) -> bool:
    """Whether the learner's results equal those of this mistake on every case, even where the mistake changes nothing.

    Where the learner's function stops, the mistake must stop with an error of the same type; on one case at least both must
    return something, or every crash would get the name.
    """
    returned = False
    for arguments, (got, problem) in zip(cases, results, strict=True):
        raised = problem.raised if problem else ""
        try:
            wrong = mistaken(*copy.deepcopy(arguments))
        except Exception as error:
            if type(error).__name__ != raised:
                return False
            continue
        if raised or difference(got, wrong, task.tolerance):
            return False
        returned = True
    return returned


def _violations(task: Exercise, function: Callable, generator: torch.Generator) -> list[tuple[Property, _Violation]]:
    """Each property and how the function violates it; the list ends with the first that takes too long."""
    in_double = _in_double(task, function)
    examined = []
    for prop in task.properties:
        examined.append((prop, _violation(prop, function, generator, in_double)))
        violation = examined[-1][1]
        if isinstance(violation, tuple) and violation[0] == _NAMES["timeout"]:  # all others would be waited for too
            break
    return examined


def _violation(prop: Property, function: Callable, generator: torch.Generator, in_double: Callable | None = None) -> _Violation:
    """How the function violates a property, in words or as (mistake, words); None when the property holds.

    An error is no sign of the property's mistake, so it is told and gets no name, unless the function took too long.
    """
    inspector = prop.inspector
    try:
        with _as_before(prop.fails), _guarded(function):
            if inspector is None:
                return prop.fails(in_double or function, generator)
            run = function.observe if isinstance(function, RemoteAnswer) else run_here(function)
            return prop.fails(inspector(run, generator), generator)
    except RemoteEnded:
        raise
    except Exception as error:
        if is_blank(error):
            raise _NotAttempted from error
        stopped = _stopped(error, function)
        return _NAMES.get(stopped.kind), stopped.sentence


@contextlib.contextmanager
def _as_before(law: Callable):
    """Gives a law's module back the values of its tensors, lists and dictionaries: a function may change what it is handed.

    Otherwise an answer that writes into its input would spoil the next answers that are judged by the same law.
    """
    names = vars(sys.modules[law.__module__])
    shared = [value for name, value in names.items() if isinstance(value, _CHANGEABLE) and not name.startswith("__")]
    kept = copy.deepcopy(shared)
    try:
        yield
    finally:
        # In place, since other modules may hold the same objects.
        for value, before in zip(shared, kept, strict=True):
            match value:
                case torch.Tensor():
                    value.data = before.data
                    value.requires_grad_(before.requires_grad)
                case torch.Generator():
                    value.set_state(before.get_state())
                case list():
                    value[:] = before
                case dict() | set():
                    value.clear()
                    value.update(before)


def _size(value) -> int:
    """How many numbers a case holds; the failing case with the fewest is shown."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    return sum(map(_size, value)) if isinstance(value, tuple | list) else 1


@contextlib.contextmanager
def _time_limit(seconds: float):
    """Raises TimeoutError in a call that takes too long, where signals can do that (in the main thread, not on Windows)."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    waited = _waited()

    def stop(*_):
        nonlocal waited
        # What others took of this time is given back: on a busy machine a right answer must not be told that it never ends.
        if (lost := _waited() - waited) > 0.05 * seconds:
            waited += lost
            signal.setitimer(signal.ITIMER_REAL, lost)
            return
        raise TimeoutError(say("no result after {seconds} seconds", seconds=seconds))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _waited() -> float:
    """For how many seconds this thread could have computed while others had its core; 0 where the system does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
