"""Makes an answer in the sandbox callable here: arguments go in as bytes, results come back as bytes."""

import math
from collections.abc import Callable

import torch

from ..checking.errors import RemoteAnswer, RemoteEnded, RemoteError, another_function, said
from ..languages import say
from .sandbox import Child, Ended

CALL_SECONDS = 10.0


class OwnImplementation(RemoteEnded):
    """The answer used the course's own implementation; the text names it."""


class RemoteFunction(RemoteAnswer):
    """The function `name` of a child, which behaves like a local function in everything that a check looks at.

    Changes to its arguments reach the caller's arguments, generators that it draws from move on, torch's global one included,
    and gradients flow through it to every argument that requires one (first derivatives only).
    Calling it raises NotImplementedError for a blank body, RemoteError for an error of the answer, OwnImplementation for the
    course's code, and Ended when the child has ended.

    Args:
        child: the child that has run the cells.
        name: the function's name in them.
        seconds: how long a call may take.
        deadline: when all calls end, as a time of the child's clock.
    """

    def __init__(self, child: Child, name: str, seconds: float = CALL_SECONDS, deadline: float = math.inf):
        self.child, self.__name__, self.seconds, self.deadline = child, name, seconds, deadline

    def __call__(self, *arguments):
        if any(isinstance(a, torch.Tensor) and a.requires_grad for a in arguments):
            holder = []  # autograd passes tensors on, nothing else; a result of another type comes back in here
            result = _Through.apply(self, holder, *arguments)
            return result if isinstance(result, torch.Tensor) else holder[0]
        return self._ask(arguments)["value"]

    def observe(self, inside: Callable, *arguments):
        return self._answer({"name": self.__name__, "observe": inside.__name__, "arguments": arguments}).get("value")

    def again(self, *arguments):
        return self._answer({"name": self.__name__, "again": True, "arguments": arguments}, calls=2).get("value")

    def _ask(self, arguments: tuple, towards=None) -> dict:
        order = {"name": self.__name__, "arguments": arguments}
        if towards is not None:
            order["towards"] = towards
        answer = self._answer(order)
        after = answer.get("arguments")
        if isinstance(after, tuple) and len(after) == len(arguments):
            for ours, theirs in zip(arguments, after, strict=True):
                _take_over(ours, theirs)
        if answer.get("drew") is True:
            torch.rand(1)  # any draw will do: a check only asks whether the global generator has moved
        answer.setdefault("value", None)
        return answer

    def _answer(self, order: dict, calls: int = 1) -> dict:
        answer = self.child.ask(order, min(calls * self.seconds, self.deadline - self.child.clock()))
        words = str(answer.get("words", ""))[:2000]
        match answer["status"]:
            case "value":
                return answer
            case "not attempted":
                raise NotImplementedError
            case "own":
                raise OwnImplementation(words)
            case "type":
                raise RemoteError(say("Your function returns something else than the task asks for: {words}.", words=words))
            case "absent":
                raise RemoteError(say("There is no function {name!r} after the cells have run.", name=self.__name__))
            case "raised":
                raise RemoteError(_explained(answer, words, self.__name__), str(answer.get("kind", ""))[:80])
        raise Ended("nonsense")


class _Through(torch.autograd.Function):
    """A call to the sandbox as an autograd function: backward asks the child for the vector-Jacobian product.

    The child keeps no graph between two orders, so backward sends the arguments again and the answer is computed a second time.
    """

    @staticmethod
    def forward(ctx, function: RemoteFunction, holder: list, *arguments):
        given = tuple(a.detach().requires_grad_(a.requires_grad) if isinstance(a, torch.Tensor) else a for a in arguments)
        value = function._ask(given)["value"]
        holder.append(value)
        ctx.function, ctx.given = function, given
        if not isinstance(value, torch.Tensor):
            return None
        result = value.detach()
        if not value.requires_grad:
            ctx.mark_non_differentiable(result)
        return result

    @staticmethod
    def backward(ctx, towards):
        reply = ctx.function._ask(ctx.given, towards)["gradients"]
        gradients = iter(reply if isinstance(reply, list) else [])
        wanted = [isinstance(a, torch.Tensor) and a.requires_grad for a in ctx.given]
        checked = [_fitting(next(gradients, None), a) if want else None for want, a in zip(wanted, ctx.given, strict=True)]
        return None, None, *checked  # none for the two arguments of forward that are not the answer's


def _fitting(gradient, argument):
    """A gradient if it has its argument's shape, else None: autograd would stop with an error that is not the learner's."""
    return gradient if isinstance(gradient, torch.Tensor) and gradient.shape == argument.shape else None


def _take_over(ours, theirs) -> None:
    """Gives an argument the value that it has after the call: in place, as the function itself would have changed it."""
    if isinstance(ours, torch.Generator) and isinstance(theirs, torch.Generator):
        ours.set_state(theirs.get_state())
    elif isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor) and ours.shape == theirs.shape:
        with torch.no_grad():
            ours.copy_(theirs)
        if theirs.requires_grad and ours.is_floating_point():
            ours.requires_grad_()
    elif isinstance(ours, list) and isinstance(theirs, list):
        ours[:] = theirs


def _explained(answer: dict, words: str, own: str) -> str:
    kind, line, text = str(answer.get("kind", say("an error")))[:80], answer.get("line"), str(answer.get("text", ""))[:200]
    name = another_function(str(answer.get("function", ""))[:80], own)
    return said(kind, words, line if isinstance(line, int) else None, text, name)
