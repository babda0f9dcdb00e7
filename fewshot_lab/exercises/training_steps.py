"""How an exercise on one step of a training is judged: by what its inspector saw of it, against what it saw of the reference.

`declare_mistakes` and `declare_common_mistakes` say what can go wrong, `judge_steps` what must hold. A step that fails gets the
name of the mistake that does the same, since a step has no result that could be compared.
"""

import functools
from collections.abc import Callable

import torch

from ..languages import later, say
from . import inspectors
from .declare import Exercise

World = dict  # what an inspector saw in one world: see `_steps` in inspectors.py
Found = str | tuple[str, str] | None
BOTH = ("losses", "weights")
TOLERANCE = 1e-4
SUMMED = later("You add up over the batch, so that the step grows with it. The loss is a mean.")
SOFTMAX_TWICE = later("You take the softmax twice: cross_entropy does it itself. Give it the logits.")
WITH_GRAPH = later(
    "The loss that you return still holds the graph of its computation, and a list of them the graphs of all steps: return "
    "loss.item()."
)


# The second half of a step, right and wrong: `loss_of()` computes the loss, `ready()` comes just before the weights move.


def _nothing() -> None:
    pass


def take(optimizer, loss_of, ready=_nothing) -> float:
    """Old gradients away, backwards, one step of the optimizer; returns the loss before it."""
    loss = loss_of()
    optimizer.zero_grad()
    loss.backward()
    ready()
    optimizer.step()
    return loss.item()


def never_cleared(optimizer, loss_of, ready=_nothing):
    loss = loss_of()
    loss.backward()
    ready()
    optimizer.step()
    return loss.item()


def cleared_after(optimizer, loss_of, ready=_nothing):
    value = never_cleared(optimizer, loss_of, ready)
    optimizer.zero_grad()
    return value


def cleared_too_late(optimizer, loss_of, ready=_nothing):
    return take(optimizer, loss_of, optimizer.zero_grad)


def not_taken(optimizer, loss_of, ready=_nothing):
    loss = loss_of()
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


def not_propagated(optimizer, loss_of, ready=_nothing):
    loss = loss_of()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def backward_missing(optimizer, loss_of, ready=_nothing):
    loss = loss_of()
    optimizer.step()
    return loss.item()


def attached(optimizer, loss_of, ready=_nothing):
    loss = loss_of()
    take(optimizer, lambda: loss, ready)
    return loss


def loss_after_the_step(optimizer, loss_of, ready=_nothing):
    take(optimizer, loss_of, ready)
    return loss_of().item()


def uphill(optimizer, loss_of, ready=_nothing):
    return take(optimizer, lambda: -loss_of(), ready)


def two_steps(optimizer, loss_of, ready=_nothing):
    value = take(optimizer, loss_of, ready)
    optimizer.step()
    return value


def step_by_hand(optimizer, loss_of, ready=_nothing):
    value = not_taken(optimizer, loss_of, ready)
    ready()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad
    return value


MISTAKES_OF_EVERY_STEP = {
    never_cleared: later(
        "Gradients that earlier steps left are added to this step's. Call optimizer.zero_grad() before backward()."
    ),
    cleared_after: later(
        "You clear the gradients after the step. What others leave in the weights before the next one is then added to it: "
        "clear them just before backward()."
    ),
    cleared_too_late: later(
        "You clear the gradients between backward() and step(), so the optimizer finds none and no weight moves."
    ),
    not_taken: later("The weights do not move: the gradients are there, but no optimizer.step() comes after backward()."),
    not_propagated: later(
        "The weights do not move: no gradient comes to them. Is loss.backward() missing, or the graph cut on the way?"
    ),
    backward_missing: later(
        "The weights follow the gradients that were there before your function was called: it computes none. Call backward."
    ),
    attached: WITH_GRAPH,
    loss_after_the_step: later("You return the loss after the step. The number of a step is the loss that it started from."),
    uphill: later("You step uphill: the loss has the wrong sign, so it rises."),
    two_steps: later("You take two steps along the same gradient. One call is one step."),
    step_by_hand: later(
        "Your steps are plain gradient descent: the optimizer's momentum is lost. Call the step() of the optimizer you "
        "are given."
    ),
}


def declare_mistakes(task: Exercise, **mistakes: tuple[str, Callable]) -> None:
    """Declares mistakes of a step, {name: (hint, function)}. Of several that do the same the first one gets the name."""
    for name, (hint, function) in mistakes.items():
        function.__name__ = name
        task.mistake(hint)(function)


def declare_common_mistakes(task: Exercise, step: Callable[[Callable], Callable]) -> None:
    """Declares what can go wrong in every step: `step(half)` is the task's step with that second half in place of `take`."""
    declare_mistakes(task, **{half.__name__: (hint, step(half)) for half, hint in MISTAKES_OF_EVERY_STEP.items()})


# What must hold


def alike(one: object, other: object) -> bool:
    """Whether two observations are the same: numbers and tensors within TOLERANCE, in lists and tuples."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.allclose(
            one.double(), other.double(), atol=TOLERANCE, rtol=TOLERANCE, equal_nan=True
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * (1 + abs(other)) or one != one and other != other
    return type(one) is type(other) and one == other


def judge_steps(
    task: Exercise,
    steps: Callable[..., list[World]],
    *,
    loss: str,
    step: str = "Every weight of the optimizer makes one step along the gradient of this loss.",
    before: tuple[str, Callable[[World, World], Found], tuple[str, ...]] | None = None,
    others: tuple[Callable, ...] = (),
) -> None:
    """Declares the properties of a training step, after its mistakes.

    Args:
        task: the exercise, whose cases are in its inspector.
        steps: runs a function in two worlds, of which the first is the plainer one, or in two with other seeds.
        loss: what the returned loss must be, as a statement.
        step: how the weights must move, as a statement.
        before: what else must hold, as a statement; what fails in a world, given the reference's too; and what of a world
            tells which mistake it is.
        others: more right ways to write the step, with other results than the reference's.
    """

    inspector, ways = inspectors.said_by(steps), (task.reference, *others)

    @functools.cache  # only once something fails, and then for all properties
    def mistakes() -> list[tuple[str, str, list[World]]]:
        return [(it.name, it.hint, steps(it.function)) for it in task.mistakes]

    @functools.cache
    def rights() -> list[list[World]]:
        return [steps(function) for function in ways]

    def right(worlds: list[World], *parts: str) -> bool:
        return any(_agree(worlds, one[: len(worlds)], parts) for one in rights())

    def named(found: Found, worlds: list[World], *ways: tuple[str, ...]) -> Found:
        """The name and hint of the first mistake that does the same in all, else in these parts, else in what was found.

        In the first world alone a mistake may do the same, too: the others depend on how it is written. Parts that are right
        tell nothing.
        """
        for parts, some in ((tuple(worlds[0]), worlds), *((way, worlds[:n]) for way in ways for n in (len(worlds), 1))):
            for name, hint, of_mistake in mistakes() if not right(some, *parts) else ():
                if _agree(some, of_mistake[: len(some)], parts):
                    return name, hint
        return found

    if before:
        statement, fails, tell = before

        @task.property(statement, inspector=inspector)
        def _before(worlds, generator):
            found = next(filter(None, map(fails, worlds, rights()[0])), None)
            return found and named(found, worlds, tell)

    @task.property("Nothing else changes.", inspector=inspector)
    def _rest(worlds, generator):
        if not all(world["data"] for world in worlds):
            return "input_changed", say(
                "Your function changes a tensor that it is given, or asks for its gradient. Work on copies."
            )
        if not all(world["settings"] for world in worlds):
            return named(_other_mode(worlds) or ("settings_changed", _OTHER_SETTINGS), worlds)
        if not all(torch.equal(world["weights"][-1][~world["own"]], world["before"][~world["own"]]) for world in worlds):
            return named(("other_weights_moved", _OTHERS_MOVED), worlds, BOTH)
        if any(world["reseeded"] for world in worlds):
            return "reseeded", say("Your function sets torch's seed, so that every step draws the same. Leave the seed alone.")

    @task.property(step, inspector=inspector)
    def _step(worlds, generator):
        if right(worlds, "weights"):
            return None
        if any(torch.equal(world["weights"][-1], world["before"]) for world in worlds):
            return named(("unmoved", _UNMOVED), worlds, ("weights", "reached", "left"))
        return named(_other_mode(worlds) or ("another_step", _wrong_step(worlds)), worlds, BOTH, ("weights",))

    def _wrong_step(worlds: list[World]) -> str:
        for world, of in zip(worlds, rights()[0], strict=True):
            (kind, yours), (_, expected) = world["losses"][0], of["losses"][0]
            if not kind and not alike(yours, expected):
                return say("In the first step the loss is {right:.4f}; yours is {yours:.4f}.", right=expected, yours=yours)
        pairs = [(world["weights"][0], of["weights"][0]) for world, of in zip(worlds, rights()[0], strict=True)]
        if all(alike(*pair) for pair in pairs):
            return say(
                "The first step is right. The next ones, where the weights hold gradients from before, are not: are these "
                "cleared before backward()?"
            )
        return say(
            "After one step some weight is {far:.3g} away from where the optimizer's step along the gradient of the "
            "loss leads.",
            far=max((yours - of).abs().max().item() for yours, of in pairs),
        )

    @task.property(loss, inspector=inspector)
    def _loss(worlds, generator):
        if not right(worlds, "losses"):
            return named(_other_mode(worlds) or _wrong_loss(worlds, rights()[0]), worlds, ("losses",))

    @task.property("Networks and batches that are drawn at random take the same step.", inspector=_drawn(steps))
    def _others(found, generator):
        worlds, there = found
        if not any(_agree(worlds, there(function), BOTH) for function in ways):
            return "another_step", say("The step is right for the networks of the other checks, but not for others like them.")


def _drawn(steps):
    return inspectors.drawn(steps, lambda generator: ([inspectors.a_seed(generator) for _ in range(2)],))


def _agree(worlds: list[World], others: list[World], parts: tuple[str, ...]) -> bool:
    return all(
        alike([one[part] for part in parts], [of[part] for part in parts]) for one, of in zip(worlds, others, strict=True)
    )


def _other_mode(worlds: list[World]) -> Found:
    if all(world["training"] for world in worlds):
        return None
    words = say("A network is in evaluation mode in your step. Leave all in training mode, for dropout and batch norm.")
    return "evaluation_mode", words


def _wrong_loss(worlds: list[World], rights: list[World]) -> Found:
    for world, right in zip(worlds, rights, strict=True):
        for (kind, yours), (_, expected) in zip(world["losses"], right["losses"], strict=True):
            if kind == "NoneType":
                return "nothing_returned", say("Your function returns nothing: end it with `return` and the loss.")
            if kind == "graph":
                return "attached", WITH_GRAPH
            if kind:
                return "wrong_type", say("Your function returns a {kind}; the loss is wanted, as a number.", kind=kind)
            if not alike(yours, expected):
                return "another_loss", say(
                    "The step is right, but the loss that you return is {number:.4f}, and {expected:.4f} is needed: "
                    "that of the batch before the step.",
                    number=yours,
                    expected=expected,
                )


_OTHER_SETTINGS = later(
    "After your step a part of the network is in another mode, a weight has another requires_grad, or the optimizer another "
    "setting. Leave them as they were."
)
_OTHERS_MOVED = later(
    "Weights change that the optimizer does not hold: it decides which of them learn. Use the optimizer that you are given."
)
_UNMOVED = later(
    "After your step all weights are what they were. Gradients come from backward(), the optimizer's step() uses them, in this "
    "order, and nothing may clear them in between."
)
