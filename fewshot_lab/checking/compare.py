"""Compares a learner's result with the reference's result and says in plain words how they differ."""

import math
from dataclasses import dataclass
from numbers import Number
from typing import Literal

import numpy as np
import torch

from ..languages import say

Kind = Literal["missing", "type", "shape", "nan", "value", "exception", "in place"]  # the last two: while the function ran


@dataclass(frozen=True)
class Difference:
    """What is wrong with a result, or with the call that should have given it: its kind and a sentence."""

    kind: Kind
    words: str


def difference(got, expected, tolerance: float) -> Difference | None:
    """None when `got` equals `expected` (numbers within `tolerance`, absolute and relative), else what is wrong with it."""
    # bool before Number: in Python True is a number too, and 1 is not accepted for it.
    if got is None and expected is not None:
        return Difference("missing", say("Your function returns nothing (None). Does its last line begin with `return`?"))
    if isinstance(expected, torch.Tensor):
        return _tensors(got, expected, tolerance)
    if isinstance(expected, bool):
        if isinstance(got, bool | np.bool_):
            return None if bool(got) == expected else _value(got, expected)
        return _type(say("True or False"), got)
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
    words = say("Your function returns a {kind}; {needed} is needed.", kind=type(got).__name__, needed=needed)
    return Difference("type", words)


def _value(got, expected) -> Difference:
    return Difference("value", say("The result is {got}, not {expected}.", got=got, expected=expected))


def _tensors(got, expected: torch.Tensor, tolerance: float) -> Difference | None:
    if isinstance(got, np.ndarray):
        words = say("Your function returns a NumPy array; a torch tensor is needed: torch.from_numpy converts it.")
        return Difference("type", words)
    if not isinstance(got, torch.Tensor):
        return _type(say("a torch tensor"), got)
    if got.shape != expected.shape:
        words = say("The shape is {got}; {needed} is needed.", got=tuple(got.shape), needed=tuple(expected.shape))
        return Difference("shape", words)
    yours, right = got.detach().cpu().double(), expected.detach().cpu().double()
    if (yours.isnan() & ~right.isnan()).any():
        words = say("The result holds NaN (not a number): look for 0/0, log(0) or the root of a negative number.")
        return Difference("nan", words)
    if torch.allclose(yours, right, atol=tolerance, rtol=tolerance, equal_nan=True):
        return None
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


def _numbers(got, expected, tolerance: float) -> Difference | None:
    if isinstance(got, torch.Tensor | np.ndarray) and got.ndim == 0 or isinstance(got, np.generic):
        got = got.item()
    if not isinstance(got, Number) or isinstance(got, bool):
        return _type(say("a number"), got)
    if math.isnan(got) and not math.isnan(expected):
        words = say("The result is NaN (not a number): look for 0/0, log(0) or the root of a negative number.")
        return Difference("nan", words)
    if math.isclose(got, expected, abs_tol=tolerance, rel_tol=tolerance) or math.isnan(got) and math.isnan(expected):
        return None
    return _value(f"{got:.6g}", f"{expected:.6g}")


def _sequences(got, expected, tolerance: float) -> Difference | None:
    if not isinstance(got, tuple | list):
        return _type(say("a {kind}", kind=type(expected).__name__), got)
    if len(got) != len(expected):
        words = say("There are {count} results; {needed} are needed.", count=len(got), needed=len(expected))
        return Difference("shape", words)
    for number, (part, expected_part) in enumerate(zip(got, expected, strict=True), start=1):
        if problem := difference(part, expected_part, tolerance):
            words = say("Result {place} of {count}: {words}", place=number, count=len(expected), words=problem.words)
            return Difference(problem.kind, words)
    return None
