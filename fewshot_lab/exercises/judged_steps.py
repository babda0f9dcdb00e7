"""Training steps are judged by what an inspector saw of them: outside the process of the answer, against the reference's."""

import functools
from collections.abc import Callable

import torch

from ..languages import later, say
from .declare import Exercise

TOLERANCE = 1e-4


def take(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
    """The second half of a training step: old gradients away, backwards, one step of the optimizer."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def never_cleared(optimizer, loss):
    loss.backward()
    optimizer.step()
    return loss.item()


def cleared_after(optimizer, loss):
    value = never_cleared(optimizer, loss)
    optimizer.zero_grad()
    return value


def cleared_too_late(optimizer, loss):
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def not_taken(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


def not_propagated(optimizer, loss):
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def attached(optimizer, loss):
    take(optimizer, loss)
    return loss


WITH_GRAPH = later(
    "The loss that you return still holds the graph of its computation, and a list of them the graphs of all steps: return "
    "loss.item()."
)
MISTAKES_OF_EVERY_STEP = (
    (
        never_cleared,
        later("Gradients that earlier steps left are added to this step's. Call optimizer.zero_grad() before backward()."),
    ),
    (
        cleared_after,
        later(
            "You clear the gradients after the step. What others leave in the weights before the next one is then added to it: "
            "clear them just before backward()."
        ),
    ),
    (
        cleared_too_late,
        later("You clear the gradients between backward() and step(), so the optimizer finds none and no weight moves."),
    ),
    (not_taken, later("The weights do not move: the gradients are there, but optimizer.step() is missing.")),
    (not_propagated, later("The weights do not move: they have no gradient, since loss.backward() is missing.")),
    (attached, WITH_GRAPH),
)


def declare_common_mistakes(task: Exercise, step: Callable) -> None:
    """Declares what can go wrong in the second half of every step; `step(take)` is the task's step with another second half."""
    for second_half, hint in MISTAKES_OF_EVERY_STEP:
        mistaken = step(second_half)
        mistaken.__name__ = second_half.__name__
        task.mistake(hint)(mistaken)


@functools.cache
def observed(inspector: Callable, function: Callable) -> object:
    """What the inspector sees of a function of the course, which is the same every time."""
    return inspector(function)


def alike(one: object, other: object) -> bool:
    """Whether two observations are the same: numbers and tensors within TOLERANCE, in lists, tuples and dictionaries."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.allclose(
            one.double(), other.double(), atol=TOLERANCE, rtol=TOLERANCE, equal_nan=True
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * (1 + abs(other)) or one != one and other != other
    return type(one) is type(other) and one == other


def named(
    task: Exercise, inspector: Callable, seen: list[dict], problem: tuple[str, str], parts: tuple[str, ...] = ()
) -> tuple[str, str]:
    """The typical mistake of which the inspector sees the same, with its hint; the problem where there is none.

    A mistake that agrees in everything is preferred to one that agrees in these parts of the observation.
    """
    for keys in (tuple(seen[0]), parts):
        for mistake in task.mistakes if keys else ():
            made = observed(inspector, mistake.function)
            if alike([[one[key] for key in keys] for one in made], [[one[key] for key in keys] for one in seen]):
                return mistake.name, mistake.hint
    return problem


def wrong_losses(yours: list, right: list) -> tuple[str, str] | None:
    """What is wrong with the losses that the steps returned, each as (kind, number): the name of the mistake, and words."""
    for (kind, number), (_, expected) in zip(yours, right, strict=True):
        if kind == "NoneType":
            return "nothing_returned", say("Your function returns nothing (None). Does its last line begin with `return`?")
        if kind == "graph":
            return "attached", WITH_GRAPH
        if kind:
            return "wrong_type", say(
                "Your function returns a value of type {kind}; {needed} is needed.", kind=kind, needed=say("a number")
            )
        if not alike(number, expected):
            return "another_loss", say(
                "The step is right, but the loss that you return is {number:.4f}, and {expected:.4f} is needed: that of the "
                "batch before the step.",
                number=number,
                expected=expected,
            )
    return None
