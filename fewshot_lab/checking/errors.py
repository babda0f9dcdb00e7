"""What stops a learner's function, in words that help: where in the learner's own code, and what it most often means."""

import re
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

from ..languages import later, say

_NONE = later("what stands before the dot is None: a function returned nothing, or no backward() has filled that .grad")
_OUTSIDE = later("an index is outside the sequence that it picks from")
# What an error's text tells, tried in this order before its kind alone.
_TELLING = (
    (r"out of bounds for (dimension|axis)", _OUTSIDE),
    (
        r"doesn't require grad|does not require grad|does not have a grad_fn|backward through the graph a second time|"
        r"leaf Variable that requires grad|appears to not have been used in the graph|modified by an inplace operation|"
        r"call numpy\(\) on Tensor that requires grad",
        later(
            "autograd follows computations on tensors that require a gradient: .item(), .detach(), NumPy and in-place changes "
            "break its path"
        ),
    ),
    (
        r"same dtype|expected scalar type|dtype|did not match|not implemented for|[Ll]ong|can't be cast|expected m1 and m2",
        later("two types of numbers meet, or an operation does not exist for this one: .float() or .long() converts a tensor"),
    ),
    (
        r"same device|Expected all tensors|meta",
        later("two tensors are on different devices: make new ones with device=x.device"),
    ),
    (
        r"[Bb]oolean value of Tensor|truth value of an array|[Ii]nvalid boolean",
        later("`if`, `and`, `or` and `not` want one True or False, not a whole tensor: use &, |, ~, .any() or .all()"),
    ),
    (r"only (one element|integer tensors|length-1 arrays)|scalar", later("one number is wanted, and a whole tensor is given")),
    (
        r"size of tensor|shapes? |dimension|must match|broadcast|[Ii]ndex out of range in self|stack expects|view size",
        later("two shapes do not match: print the .shape of what meets in this line"),
    ),
)
_ADVICE = {
    "NameError": later("a name is used that has no value here: check its spelling, or whether its cell has been run"),
    "UnboundLocalError": later("a name is used before it gets its value"),
    "TypeError": later("a function or operator was given something of the wrong type, or too many or too few arguments"),
    "IndexError": _OUTSIDE,
    "KeyError": later("a dictionary has no such key"),
    "AttributeError": later("the object before the dot has no attribute of that name"),
    "ValueError": later("the type is right but the value cannot be used"),
    "ZeroDivisionError": later("something is divided by zero"),
    "RuntimeError": later("torch could not do it"),
    "NotImplementedError": later("torch cannot do this with what it was given, most often for its type or its device"),
    "RecursionError": later("the function calls itself without end"),
    "TimeoutError": later("Is there a loop that never ends?"),
}
_TOLD_BY_TEXT = ("RuntimeError", "TypeError", "ValueError", "NotImplementedError", "IndexError")
_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = tuple({str(Path(path).resolve()) for path in sysconfig.get_paths().values()})


class RemoteAnswer:
    """A learner's function that runs in another process, which has its own time limit.

    Calling it raises RemoteError, with a text for the learner, for an error of the answer, and RemoteEnded when the process has
    ended.
    """

    def observe(self, inside: Callable, *arguments):
        """What `inside(function, *arguments)` returns in the function's process; `inside` is one of exercises/inspectors.py."""
        raise NotImplementedError

    def again(self, *arguments):
        """The result of the second of two calls with the very same arguments, which are not copied in between."""
        raise NotImplementedError


class RemoteEnded(Exception):
    """The answer's process has ended. That is not the learner's error: checks let it propagate."""


class RemoteError(Exception):
    """A remote answer raised an error, or returned a value that cannot be sent back; the text is for the learner.

    `kind` is the error's type, "" where there was none.
    """

    def __init__(self, words: str, kind: str = ""):
        super().__init__(words)
        self.kind = kind


def is_blank(error: BaseException) -> bool:
    """Whether the body of the function is still blank: its own `raise NotImplementedError`, not one that torch raises."""
    if not isinstance(error, NotImplementedError):
        return False
    last = (traceback.extract_tb(error.__traceback__) or [None])[-1]
    raised_here = last is not None and (last.line or "").lstrip().startswith("raise NotImplementedError")
    return raised_here or not str(error)


def explained(error: Exception, function: Callable) -> str:
    """What stopped the function: the kind of the error, its line in the learner's own code, its text, and what that means."""
    if isinstance(error, RemoteError):
        return str(error)
    kind, text = type(error).__name__, str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_learners(frame.filename)]
    deeper = error.__traceback__.tb_next is not None and not isinstance(error, TimeoutError | RecursionError)
    if isinstance(function, RemoteAnswer) or not frames and deeper:
        # Not a line of the learner's is at fault, but what it gave back, or the arguments that it takes.
        return say("What your function returns does not fit ({kind}: {error}).", kind=kind, error=error)
    return said(kind, text, *(_place(frames[-1], function) if frames else (None, "", "")))


def said(kind: str, text: str, number: int | None, line: str, name: str) -> str:
    """The sentence about an error: its kind, the line in which it arose, of which function where it is another one."""
    where = ""
    if number is not None:
        shown = f" ({line.strip()})" if line.strip() else ""
        where = say(" in line {number} of its cell{line}", number=number, line=shown)
        if name:
            where = say(" in line {number} of the cell of {name}{line}", number=number, name=name, line=shown)
    advice = meaning(kind, text)
    means = say(". That means: {advice}.", advice=say(advice)) if advice else ""
    if advice.endswith("?"):
        means = say(". Ask yourself: {question}", question=say(advice))
    return say("Your function stopped with {kind}{where}: {error}{means}", kind=kind, where=where, error=text, means=means)


def meaning(kind: str, text: str) -> str:
    """What an error most often means, "" when nothing can be said."""
    if kind == "AttributeError" and "'NoneType'" in text:
        return _NONE
    if kind in _TOLD_BY_TEXT:
        for pattern, advice in _TELLING:
            if re.search(pattern, text):
                return advice
    return _ADVICE.get(kind, "")


def _is_learners(filename: str) -> bool:
    """Whether a frame's file is the learner's: no library, no part of the course."""
    if filename.startswith("<"):
        return filename.startswith("<ipython")
    path = Path(filename).resolve()
    return not str(path).startswith(_LIBRARIES) and not path.is_relative_to(_PACKAGE)


def _place(frame: traceback.FrameSummary, function: Callable) -> tuple[int, str, str]:
    """The frame's line number and text, and the name of its function where that is not the exercise's."""
    return frame.lineno or 0, frame.line or "", another_function(frame.name, getattr(function, "__name__", ""))


def another_function(name: str, own: str) -> str:
    """The name of a frame's function, "" where it is the exercise's own or none that a reader would know."""
    return "" if name == own or name.startswith("<") else name
