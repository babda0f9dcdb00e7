"""Compares a learner's result with the reference's and says in plain words how they differ."""

import math
from dataclasses import dataclass
from numbers import Number

import numpy as np
import torch


@dataclass(frozen=True)
class Difference:
    """How a result differs: `kind` ("missing", "type", "shape", "nan", "value") and a sentence."""

    kind: str
    words: str


def difference(got, expected, tolerance: float) -> Difference | None:
    """None when `got` equals `expected` (numbers within `tolerance`, absolute and relative), else what is wrong with it."""
    if got is None and expected is not None:
        return Difference("missing", "Your function returns nothing (None). Does its last line begin with `return`?")
    if isinstance(expected, torch.Tensor):
        return _tensors(got, expected, tolerance)
    if isinstance(expected, bool):
        if isinstance(got, bool | np.bool_):
            return None if bool(got) == expected else Difference("value", f"The result is {got}, not {expected}.")
        return _type("True or False", got)
    if isinstance(expected, Number):
        return _numbers(got, expected, tolerance)
    if isinstance(expected, tuple | list):
        return _sequences(got, expected, tolerance)
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return _type("a dictionary", got)
        if set(got) != set(expected):
            return Difference("value", f"The keys are {sorted(map(str, got))}, not {sorted(map(str, expected))}.")
        return _sequences(list(got[key] for key in expected), list(expected.values()), tolerance)
    if type(got) is not type(expected):
        return _type(f"a {type(expected).__name__}", got)
    return None if got == expected else Difference("value", f"The result is {got!r}, not {expected!r}.")


def _type(needed: str, got) -> Difference:
    kind = type(got).__name__
    return Difference("type", f"Your function returns a {kind}; {needed} is needed.")


def _tensors(got, expected: torch.Tensor, tolerance: float) -> Difference | None:
    if isinstance(got, np.ndarray):
        return Difference("type", "Your function returns a NumPy array; a torch tensor is needed: torch.from_numpy turns it.")
    if not isinstance(got, torch.Tensor):
        return _type("a torch tensor", got)
    if got.shape != expected.shape:
        return Difference("shape", f"The shape is {tuple(got.shape)}; {tuple(expected.shape)} is needed.")
    given, wanted = got.detach().cpu().double(), expected.detach().cpu().double()
    if (given.isnan() & ~wanted.isnan()).any():
        return Difference("nan", "The result holds NaN (not a number): look for 0/0, log(0) or the root of a negative number.")
    if torch.allclose(given, wanted, atol=tolerance, rtol=tolerance, equal_nan=True):
        return None
    wrong = ~torch.isclose(given, wanted, atol=tolerance, rtol=tolerance, equal_nan=True)
    largest = (given - wanted).abs().nan_to_num(nan=math.inf).max().item()
    words = f"{int(wrong.sum())} of {wrong.numel()} values differ, by up to {largest:.4g}."
    if not got.is_floating_point() and expected.is_floating_point():
        words += " Your result holds whole numbers: was something rounded?"
    return Difference("value", words)


def _numbers(got, expected, tolerance: float) -> Difference | None:
    if isinstance(got, torch.Tensor | np.ndarray) and got.ndim == 0 or isinstance(got, np.generic):
        got = got.item()
    if not isinstance(got, Number) or isinstance(got, bool):
        return _type("a number", got)
    if math.isnan(got) and not math.isnan(expected):
        return Difference("nan", "The result is NaN (not a number): look for 0/0, log(0) or the root of a negative number.")
    if math.isclose(got, expected, abs_tol=tolerance, rel_tol=tolerance) or math.isnan(got) and math.isnan(expected):
        return None
    return Difference("value", f"The result is {got:.6g}, not {expected:.6g}.")


def _sequences(got, expected, tolerance: float) -> Difference | None:
    if not isinstance(got, tuple | list):
        return _type(f"a {type(expected).__name__}", got)
    if len(got) != len(expected):
        return Difference("shape", f"There are {len(got)} results; {len(expected)} are needed.")
    for place, (one, wanted) in enumerate(zip(got, expected, strict=True)):
        if problem := difference(one, wanted, tolerance):
            return Difference(problem.kind, f"Result {place + 1} of {len(expected)}: {problem.words}")
    return None
