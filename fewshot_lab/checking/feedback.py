"""What a learner sees after a check: a coloured box in a notebook, plain lines in a terminal, JSON for the records."""

import inspect
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import torch
from markupsafe import Markup

from ..evidence.records import CHECK, Check, CheckStatus
from ..exercises import Exercise
from ..html import box, colour, paragraph
from ..languages import english, later, say
from .compare import Difference

_WORDS = {
    CheckStatus.PASSED: ("✓", later("Right")),
    CheckStatus.FAILED: ("✗", later("Not yet")),
    CheckStatus.NOT_ATTEMPTED: ("○", later("To do")),
}


@dataclass(frozen=True)
class Feedback:
    """The outcome of a check: status, a sentence, details, and the name of the typical mistake if one was recognised."""

    exercise: Exercise
    status: CheckStatus
    message: str
    details: list[str] = field(default_factory=list)
    mistake: str | None = None

    def __str__(self) -> str:
        return "\n".join([f"{self._head()} {self.message}", *(f"  {line}" for line in self.details)])

    __repr__ = __str__

    def _head(self) -> str:
        symbol, word = _WORDS[self.status]
        return f"{symbol} " + say("{title}: {word}.", title=say(self.exercise.title), word=say(word))

    def as_html(self) -> Markup:
        """The feedback as a box in HTML, legible on light and dark pages; everything that a learner wrote is escaped."""
        lines = Markup("").join(paragraph(line, ".3em") for line in self.details)
        content = Markup("<strong>{}</strong> {}{}").format(self._head(), self.message, lines)
        return box(content, colour=colour(self.status), role="status")

    def as_check(self) -> Check:
        """The record of the check in the cell's output, in English whatever language is set."""
        return Check(self.exercise.name, self.status, english(self.message), self.mistake)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self.as_html(), CHECK: self.as_check().as_json()}


def describe(task: Exercise, arguments: tuple, expected, got, problem: Difference, expected_told: bool = True) -> list[str]:
    """The smallest failing case as lines: input, expected (unless hidden), got and, for tensors, the difference.

    Args:
        task: the exercise, whose reference names the arguments.
        arguments: the input of the case.
        expected: the correct result.
        got: the learner's result.
        problem: how they differ.
        expected_told: whether the correct result may be shown.
    """
    rows = dict(zip(inspect.signature(task.reference).parameters, arguments, strict=False))
    part = ""
    if problem.path:  # of several results only the one that is wrong
        position, count = problem.path[0]
        part = say(", result {place} of {count}", place=position + 1, count=count)
        expected, got = _part(expected, position), _part(got, position)
    if expected_told:
        rows[say("expected") + part] = expected
    if problem.kind not in ("exception", "timeout", "missing"):
        rows[say("got") + part] = got
    tensors = isinstance(got, torch.Tensor) and isinstance(expected, torch.Tensor)
    if problem.kind == "value" and tensors and expected_told:
        rows[say("got - expected")] = got.detach().double() - expected.double()
    width = max(map(_columns, rows)) + 1
    lines = [f"  {name}:{' ' * (width - _columns(name))}{show(value, indent=width + 3)}" for name, value in rows.items()]
    return ["\n".join([say("Smallest failing case:"), *lines])]


def _part(results, position: int):
    """One of several results, which may stand in a sequence or a dictionary."""
    values = list(results.values()) if isinstance(results, dict) else results
    return values[position]


def _columns(text: str) -> int:
    """The width of a text in columns: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def show(value, indent: int = 0) -> str:
    """A value as text: small tensors in full, large ones by shape and range; lines after the first are indented."""
    if isinstance(value, torch.Tensor):
        if value.numel() > 36:
            ends = {"low": value.min().item(), "high": value.max().item()}
            return say("tensor {shape}, values from {low:.4g} to {high:.4g}", shape=tuple(value.shape), **ends)
        values = value.detach().double().round(decimals=4) + 0.0 if value.is_floating_point() else value
        width = max((len(str(number)) for number in values.flatten().tolist()), default=0)
        return _rows(values.tolist(), width, indent)
    text = _one_line(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _one_line(value) -> str:
    """A number, a text or a sequence of them on one line; numbers as a reader would write them, not as NumPy names them."""
    if isinstance(value, np.generic) or isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, np.ndarray | torch.Tensor):
        value = value.tolist()
    if isinstance(value, float):
        return f"{value:.6g}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(_one_line, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    if type(value) is dict:
        return "{" + ", ".join(f"{key!r}: {_one_line(entry)}" for key, entry in value.items()) + "}"
    return repr(value)


def _rows(values, width: int, indent: int) -> str:
    if not isinstance(values, list):
        return f"{values!s:>{width}}"
    deeper = values and isinstance(values[0], list)
    between = ",\n" + " " * (indent + 1) if deeper else ", "
    return "[" + between.join(_rows(row, width, indent + 1) for row in values) + "]"
