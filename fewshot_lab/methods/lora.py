"""LoRA: a frozen weight matrix learns a change of low rank (Hu et al. 2022, ICLR, "Low-Rank Adaptation").

    h = W x + (alpha / r) B A x        W (d_out, d_in) is frozen; A (r, d_in) and B (d_out, r) are learned

A starts at random and B at zero, so the adapted model starts as the model itself. The change is a matrix of W's shape: added to
W (merged) it costs nothing when the model answers, and subtracted again it gives the old model back.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..errors import CourseError
from ..languages import say

ALPHA = 8.0
ATTENTION = ("q_proj", "v_proj")  # the queries and values, which Hu et al. 2022 adapt
Formula = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]  # of `lora_linear`


def lora_linear(x: Tensor, weight: Tensor, A: Tensor, B: Tensor, alpha: float) -> Tensor:
    """What an adapted layer without a bias gives: x (..., d_in) -> (..., d_out).

    weight: W (d_out, d_in). A: (r, d_in). B: (d_out, r). alpha: the change is scaled by alpha / r, so that its size depends
    less on the rank.
    """
    return x @ weight.T + alpha / len(A) * (x @ A.T) @ B.T


def merged_weight(weight: Tensor, A: Tensor, B: Tensor, alpha: float) -> Tensor:
    """The weight matrix (d_out, d_in) of the plain layer that gives what the adapted one gives; arguments as there."""
    return weight + alpha / len(A) * B @ A


class LoRALinear(nn.Module):
    """A linear layer, frozen, with a change of low rank that learns.

    Args:
        linear: the layer, which is kept and frozen.
        rank: r, at least 1.
        alpha: see `lora_linear`.
        generator: draws A.
        formula: see `lora_linear`.
    """

    def __init__(
        self,
        linear: nn.Linear,
        rank: int,
        *,
        alpha: float = ALPHA,
        generator: torch.Generator | None = None,
        formula: Formula = lora_linear,
    ) -> None:
        super().__init__()
        if not 1 <= rank <= min(linear.weight.shape):
            raise CourseError(
                say(
                    "The rank must be 1 to {shape} for a layer of this size; this one is {rank}.",
                    shape=min(linear.weight.shape),
                    rank=rank,
                )
            )
        self.linear, self.alpha, self.formula = linear.requires_grad_(False), alpha, formula
        d_out, d_in = linear.weight.shape
        A = torch.empty(rank, d_in)
        nn.init.kaiming_uniform_(A, a=math.sqrt(5), generator=generator)  # as the authors' own code does
        self.A = nn.Parameter(A.to(linear.weight))
        self.B = nn.Parameter(linear.weight.new_zeros(d_out, rank))

    def forward(self, x: Tensor) -> Tensor:
        """x (..., d_in) -> (..., d_out)."""
        h = self.formula(x, self.linear.weight, self.A, self.B, self.alpha)
        return h if self.linear.bias is None else h + self.linear.bias

    def merged(self) -> nn.Linear:
        """A plain layer that gives the same."""
        plain = nn.Linear(*reversed(self.linear.weight.shape), bias=self.linear.bias is not None).to(self.linear.weight)
        plain.weight.data = merged_weight(self.linear.weight, self.A, self.B, self.alpha).detach()
        if self.linear.bias is not None:
            plain.bias.data = self.linear.bias.detach().clone()
        return plain


def add_lora(
    module: nn.Module,
    rank: int,
    *,
    alpha: float = ALPHA,
    names: Sequence[str] = ATTENTION,
    seed: int = 0,
    formula: Formula = lora_linear,
) -> list[LoRALinear]:
    """Freezes a module and gives its linear layers of these names a change of low rank, in place; returns these layers.

    Args:
        module: any; what it holds is frozen.
        rank, alpha, formula: see `LoRALinear`.
        names: of the layers, the last part of their name in the module.
        seed: draws the matrices A.

    Raises CourseError where no linear layer has such a name.
    """
    module.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    added = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if name in names and isinstance(child, nn.Linear):
                added.append(LoRALinear(child, rank, alpha=alpha, generator=generator, formula=formula))
                setattr(parent, name, added[-1])
    if not added:
        raise CourseError(say("No linear layer is called {names}.", names=" or ".join(names)))
    return added


def trainable_share(module: nn.Module) -> float:
    """The share of a module's parameters that learn, from 0 to 1."""
    counts = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return sum(n for n, learns in counts if learns) / sum(n for n, _ in counts)
