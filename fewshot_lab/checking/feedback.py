"""What a learner sees after a check: a coloured box in a notebook, plain lines in a terminal, JSON for the records."""

import html
from dataclasses import dataclass, field

import torch

from ..exercises import Exercise
from .compare import Difference

MIME = "application/vnd.fewshot-lab.check+json"
_LOOK = {"passed": ("✓", "Right", "#2e7d32"), "failed": ("✗", "Not yet", "#c62828"), "not attempted": ("○", "To do", "#757575")}


@dataclass(frozen=True)
class Feedback:
    """The outcome of a check: status ("passed", "failed", "not attempted"), a sentence, details, the mistake's name."""

    exercise: Exercise
    status: str
    message: str
    details: list[str] = field(default_factory=list)
    mistake: str | None = None

    def __str__(self) -> str:
        symbol, word, _ = _LOOK[self.status]
        return "\n".join([f"{symbol} {self.exercise.title}: {word}. {self.message}", *(f"  {line}" for line in self.details)])

    __repr__ = __str__

    def as_html(self) -> str:
        """The box as HTML that is legible on light and dark pages; everything that a learner wrote is escaped."""
        symbol, word, colour = _LOOK[self.status]
        lines = "".join(f"<pre style='margin:.3em 0 0;white-space:pre-wrap'>{html.escape(line)}</pre>" for line in self.details)
        return (
            f"<div role='status' style='border-left:.4em solid {colour};padding:.5em .8em;margin:.3em 0;"
            f"background:color-mix(in srgb, {colour} 10%, transparent)'>"
            f"<strong>{symbol} {html.escape(self.exercise.title)}: {word}.</strong> {html.escape(self.message)}{lines}</div>"
        )

    def as_record(self) -> dict:
        """What is kept in the cell's output and collected by a run."""
        return {"exercise": self.exercise.name, "status": self.status, "message": self.message, "mistake": self.mistake}

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self.as_html(), MIME: self.as_record()}


def describe(arguments: tuple, expected, got, problem: Difference) -> list[str]:
    """The smallest failing case as lines: input, expected, got and, for tensors of one shape, the difference."""
    lines = ["Smallest failing case:", *(f"  input {n}: {show(value)}" for n, value in enumerate(arguments, 1))]
    lines.append(f"  expected: {show(expected)}")
    if problem.kind not in ("exception", "missing"):
        lines.append(f"  got:      {show(got)}")
    tensors = isinstance(got, torch.Tensor) and isinstance(expected, torch.Tensor)
    if problem.kind == "value" and tensors:
        lines.append(f"  got - expected: {show(got.detach().double() - expected.double())}")
    return ["\n".join(lines)]


def show(value) -> str:
    """A value on few lines: small tensors whole, large ones by shape and range."""
    if isinstance(value, torch.Tensor):
        if value.numel() <= 36:
            values = value.detach().double().round(decimals=4).tolist() if value.is_floating_point() else value.tolist()
            return _rows(values)
        return f"tensor {tuple(value.shape)}, values from {value.min().item():.4g} to {value.max().item():.4g}"
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _rows(values) -> str:
    if isinstance(values, list) and values and isinstance(values[0], list):
        return "[" + "\n             ".join(_rows(row) for row in values) + "]"
    return str(values)
