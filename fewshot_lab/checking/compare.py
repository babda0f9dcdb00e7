"""Compares a learner's result with the reference's result and says in plain words how they differ."""

import math
from dataclasses import dataclass, replace
from numbers import Number
from typing import Literal

import numpy as np
import torch

from ..languages import say

Kind = Literal["missing", "type", "shape", "nan", "value", "exception", "timeout", "in place"]  # the last three: while it ran


@dataclass(frozen=True)
class Difference:
    """What is wrong with a result, or with the call that should have given it.

    Args:
        kind: its kind.
        sentence: what is wrong, about the part of the result that is.
        path: where that part stands: (position, length) in the result, then in that part, and so on.
        raised: the type of the error that ended the call.
    """

    kind: Kind
    sentence: str
    path: tuple[tuple[int, int], ...] = ()
    raised: str = ""

    @property
    def words(self) -> str:
        """The sentence with the place before it."""
        if not self.path:
            return self.sentence
        (position, count), *deeper = self.path
        inner = "".join(f"[{position}]" for position, _ in deeper)
        return say("Result {place} of {count}: {words}", place=f"{position + 1}{inner}", count=count, words=self.sentence)


def difference(got, expected, tolerance: float) -> Difference | None:
    """None when `got` equals `expected` (numbers within `tolerance`, absolute and relative), else what is wrong with it.

    Floats of any type count by their value. A single number may be whole where it equals; a tensor must hold floats where they
    are expected and whole numbers where these are, since the code that uses it multiplies or indexes with it. Whole numbers may
    come in a list, a tuple, a NumPy array or a tensor, and so may a few numbers that are asked for one by one.
    """
    if got is None and expected is not None:
        return Difference("missing", say("Your function returns nothing (None). Does its last line begin with `return`?"))
    if isinstance(expected, torch.Tensor):
        return _tensors(got, expected, tolerance)
    if isinstance(expected, bool):
        return _bools(got, expected)
    if isinstance(expected, Number):
        return _numbers(got, expected, tolerance)
    if isinstance(expected, tuple | list):
        return _sequences(got, expected, tolerance)
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return _type(say("a dictionary"), got)
        if set(got) != set(expected):
            keys, wanted = sorted(map(str, got)), sorted(map(str, expected))
            return Difference("value", say("The keys are {keys}, not {wanted}.", keys=keys, wanted=wanted))
        return _sequences(list(got[key] for key in expected), list(expected.values()), tolerance)
    if type(got) is not type(expected):
        return _type(say("a {kind}", kind=type(expected).__name__), got)
    return None if got == expected else _value(repr(got), repr(expected))


def _type(needed: str, got) -> Difference:
    words = say("Your function returns a value of type {kind}; {needed} is needed.", kind=type(got).__name__, needed=needed)
    return Difference("type", words)


def _value(got, expected) -> Difference:
    return Difference("value", say("The result is {got}, not {expected}.", got=got, expected=expected))


def _plain(got):
    """A tensor or an array with a single number as that number; everything else as it is."""
    if isinstance(got, torch.Tensor) and got.numel() == 1 or isinstance(got, np.ndarray) and got.size == 1:
        return got.item()
    return got.item() if isinstance(got, np.generic) else got


def _bools(got, expected: bool) -> Difference | None:
    plain = _plain(got)
    if isinstance(plain, Number) and plain in (0, 1):
        return None if bool(plain) == expected else _value(plain, expected)
    return _type(say("True or False"), got)


def _tensors(got, expected: torch.Tensor, tolerance: float) -> Difference | None:
    if not isinstance(got, torch.Tensor):
        if expected.is_floating_point() or (found := _as_tensor(got)) is None:
            return _no_tensor(got)
        got = found
    if got.is_floating_point() and not expected.is_floating_point():
        return Difference("type", say("The result holds floats; whole numbers are needed: .long() converts them."))
    if got.shape != expected.shape:
        words = say("The shape is {got}; {needed} is needed.", got=tuple(got.shape), needed=tuple(expected.shape))
        return Difference("shape", words)
    yours, right = got.detach().cpu().double(), expected.detach().cpu().double()
    if (wrong := yours.isnan() & ~right.isnan()).any():
        return _not_finite(_places(wrong), infinite=False)
    if (wrong := yours.isinf() & ~right.isinf()).any():
        return _not_finite(_places(wrong), infinite=True)
    if torch.allclose(yours, right, atol=tolerance, rtol=tolerance, equal_nan=True):
        if got.is_floating_point() or not expected.is_floating_point():
            return None
        # The cells below multiply it with matrices of floats, which torch refuses.
        return Difference("type", say("The numbers are right, but whole; floats are needed: write 1.0 for 1, or .float()."))
    wrong = ~torch.isclose(yours, right, atol=tolerance, rtol=tolerance, equal_nan=True)
    largest = (yours - right).abs().nan_to_num(nan=math.inf).max().item()
    numbers = {"wrong": int(wrong.sum()), "count": wrong.numel(), "largest": largest}
    if got.is_floating_point() or not expected.is_floating_point():
        return Difference("value", say("{wrong} of {count} values differ, by up to {largest:.4g}.", **numbers))
    words = say(
        "{wrong} of {count} values differ, by up to {largest:.4g}. Your result holds whole numbers: was something rounded?",
        **numbers,
    )
    return Difference("value", words)


def _as_tensor(got) -> torch.Tensor | None:
    """Numbers in a list, a tuple or an array as a tensor; None for anything else."""
    if not isinstance(got, list | tuple | np.ndarray):
        return None
    try:
        return torch.as_tensor(np.asarray([_plain(item) for item in got] if isinstance(got, list | tuple) else got))
    except (TypeError, ValueError):
        return None


def _no_tensor(got) -> Difference:
    if isinstance(got, np.ndarray):
        words = say("Your function returns a NumPy array; a torch tensor is needed: torch.from_numpy converts it.")
        return Difference("type", words)
    if isinstance(got, list | tuple):
        words = say(
            "Your function returns a {kind}; a torch tensor is needed: torch.tensor or torch.stack makes one.",
            kind=type(got).__name__,
        )
        return Difference("type", words)
    return _type(say("a torch tensor"), got)


def _places(wrong: torch.Tensor) -> str:
    """Where a mask is true, in words."""
    if wrong.all():
        return say(" everywhere") if wrong.numel() > 1 else ""
    return say(" at {index}", index=wrong.nonzero()[0].tolist())


def _not_finite(where: str, infinite: bool) -> Difference:
    if infinite:
        words = say("The result is infinite{where}: look for a division by 0, log(0) or exp of a large number.", where=where)
    else:
        words = say(
            "The result is NaN (not a number){where}: look for 0/0, 0 times infinity, log or root of a negative number.",
            where=where,
        )
    return Difference("nan", words)


def _numbers(got, expected, tolerance: float) -> Difference | None:
    plain = _plain(got)
    if not isinstance(plain, Number) or isinstance(plain, bool):
        return _type(say("a number"), got)
    if math.isnan(plain) and not math.isnan(expected):
        return _not_finite("", infinite=False)
    if math.isinf(plain) and not math.isinf(expected):
        return _not_finite("", infinite=True)
    both_nan = math.isnan(plain) and math.isnan(expected)
    if both_nan or math.isclose(plain, expected, abs_tol=tolerance, rel_tol=tolerance):
        return None
    yours, right = f"{float(plain):.6g}", f"{float(expected):.6g}"
    return _value(*((yours, right) if yours != right else (plain, expected)))


def _sequences(got, expected, tolerance: float) -> Difference | None:
    numbers = all(isinstance(part, Number) for part in expected)
    # A few numbers may come in anything; a list whose length depends on the input is changed and joined by those who use it.
    if numbers and isinstance(expected, tuple) and isinstance(got, torch.Tensor | np.ndarray) and got.ndim == 1:
        got = got.tolist()
    if not isinstance(got, tuple | list):
        return _type(say("a {kind}", kind=type(expected).__name__), got)
    if len(got) != len(expected):
        words = say("The result has {count} parts; {needed} are needed.", count=len(got), needed=len(expected))
        return Difference("shape", words)
    for position, (part, expected_part) in enumerate(zip(got, expected, strict=True)):
        problem = difference(part, expected_part, tolerance)
        if not problem and isinstance(expected_part, tuple) and isinstance(part, list):
            problem = _type(say("a {kind}", kind="tuple"), part)  # of which sets are made, as cannot be of lists
        if problem:
            return replace(problem, path=((position, len(expected)), *problem.path))
    return None
