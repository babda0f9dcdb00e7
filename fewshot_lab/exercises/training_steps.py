"""How an exercise on one step of a training is judged: by the weights and the loss that its inspector saw."""

import functools
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import torch

from ..languages import say
from .declare import Exercise

World = dict  # what an inspector saw in one world: see `_stepped` in inspectors.py
BOTH = ("losses", "weights")
Found = str | tuple[str, str] | None


def judge_steps(
    task: Exercise,
    inspector: Callable[[Callable], list[World]],
    *,
    loss: str,
    before: tuple[str, Callable[[World], Found]],
    others: tuple[Callable, ...] = (),
) -> None:
    """Declares the properties of a training step, after its mistakes: a failure gets the name of a mistake that does the same.

    Args:
        task: the exercise, whose cases are in its inspector.
        inspector: runs the step in several worlds.
        loss: what the returned loss must be, as a statement.
        before: what must hold before the step is made, as a statement and what fails in a world.
        others: more right ways to write it, with other results than the reference's.
    """

    @functools.cache  # only once something fails, and then for all properties
    def mistakes() -> list[tuple[str, str, list[World]]]:
        return [(it.name, it.hint, inspector(it.function)) for it in task.mistakes]

    @functools.cache
    def rights() -> list[list[World]]:
        return [inspector(function) for function in (task.reference, *others)]

    def named(words: Iterable[Found], worlds: list[World]) -> Found:
        """The first of these words; the mistake's name and hint where a mistake does all that was seen.

        Else those of one that does the same in the plain world, where nothing depends on how images share a batch; else, where
        the weights are wrong, of one that does the same to them.
        """
        found = next((one for one in words if one), None)
        ways = [(BOTH, len(worlds)), (BOTH, 1)]
        if not any(_close(worlds, right, "weights", (0, 1, 2)) for right in rights()):
            ways += [(("weights",), len(worlds))]
        of_mistake = (
            (name, hint)
            for parts, count in ways
            for name, hint, of in mistakes()
            if all(_close(worlds[:count], of[:count], part, (0, 1, 2)) for part in parts)
        )
        return found and next(of_mistake, found)

    @task.property(before[0], inspector=inspector)
    def _before(worlds, generator):
        return named((before[1](world) for world in worlds), worlds)

    @task.property(loss, inspector=inspector)
    def _loss(worlds, generator):
        return _wrong_kind(worlds) or named(_wrong_loss(worlds, rights()), worlds)

    @task.property("Every weight of the optimizer makes one step along the gradient of this loss.", inspector=inspector)
    def _step(worlds, generator):
        return named(_wrong_step(worlds, rights()), worlds)

    @task.property("Gradients that the weights hold from before do not count.", inspector=inspector)
    def _alone(worlds, generator):
        if any(_close(worlds, right, "weights", (0, 1, 2)) for right in rights()):
            return None
        words = say(
            "The first step is right. The next ones, where the weights hold gradients from before, are not: are these cleared "
            "before backward()?"
        )
        if not any(_close(worlds, right, "weights", (0,)) for right in rights()):
            words = say("The later steps go wrong like the first one.")
        return named(chain(map(_changed, worlds), [words]), worlds)  # what a step leaves changed may spoil the next one

    @task.property("Nothing else changes.", inspector=inspector)
    def _rest(worlds, generator):
        return next(filter(None, map(_changed, worlds)), None)


def _wrong_kind(worlds: list[World]) -> Found:
    kind = next((kind for world in worlds for kind in world["kinds"] if kind), "")
    if kind == "NoneType":
        return "nothing_returned", say("Your function returns nothing: end it with `return` and the loss.")
    if kind == "graph":
        words = say("The loss that you return still holds the graph of its computation: return its number, loss.item().")
        return "graph_kept", words
    return kind and ("wrong_type", say("Your function returns a {kind}; the loss is wanted, as a number.", kind=kind))


def _wrong_loss(worlds: list[World], rights: list[list[World]]) -> Iterator[Found]:
    if not any(_close(worlds, right, "losses", (0,)) for right in rights):
        if not all(world["training"] for world in worlds):
            yield "evaluation_mode", _in_evaluation_mode()
        for world, right in zip(worlds, rights[0], strict=True):
            if abs(world["losses"][0] - right["losses"][0]) > 1e-4:
                yield say(
                    "In the first step the loss is {right:.4f}; yours is {yours:.4f}.",
                    right=right["losses"][0],
                    yours=world["losses"][0],
                )


def _wrong_step(worlds: list[World], rights: list[list[World]]) -> Iterator[Found]:
    if any(_close(worlds, right, "weights", (0,)) for right in rights):
        return
    if any(torch.equal(world["weights"][0], world["before"]) for world in worlds):
        yield (
            "no_step",
            say(
                "After your step all weights are what they were. Gradients come from backward(), the optimizer's step() uses "
                "them, in this order, and nothing may clear them in between."
            ),
        )
    if not all(world["training"] for world in worlds):
        yield "evaluation_mode", _in_evaluation_mode()
    yield from map(_others_moved, worlds)
    far = max((w["weights"][0] - r["weights"][0]).abs().max().item() for w, r in zip(worlds, rights[0], strict=True))
    yield say(
        "After one step some weight is {far:.3g} away from where the optimizer's step along the gradient of the loss leads.",
        far=far,
    )


def _in_evaluation_mode():
    return say("The network is in evaluation mode while it learns. Leave it in training mode, for dropout and batch norm.")


def _changed(world: World) -> Found:
    if not world["data"]:
        return "input_changed", say("Your function changes the images or labels that it is given. Work on copies.")
    if found := _others_moved(world):
        return found
    if not world["settings"]:
        return "settings_changed", say(
            "After your step a part of the network is in another mode, a weight has another requires_grad, or the optimizer "
            "another setting. Leave them as they were."
        )
    if world["reseeded"]:
        return "reseeded", say("Your function sets torch's seed, so that every step draws the same. Leave the seed alone.")
    return None


def _others_moved(world: World) -> Found:
    if torch.equal(world["weights"][-1][~world["own"]], world["before"][~world["own"]]):
        return None
    return "other_weights_moved", say(
        "Weights change that the optimizer does not hold: it decides which of them learn. Use the optimizer that you are given."
    )


def _close(worlds: list[World], others: list[World], part: str, steps: tuple[int, ...]) -> bool:
    """Whether the losses or the weights of these steps agree in every world."""
    pairs = [(one[part][i], other[part][i]) for one, other in zip(worlds, others, strict=True) for i in steps]
    return all(torch.allclose(*map(torch.as_tensor, pair), rtol=1e-3, atol=1e-4, equal_nan=True) for pair in pairs)
