"""Muon: steps of which every direction of a convolution's filters gets the same length."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Muon(torch.optim.AdamW):
    """Muon for the filters of convolutions, AdamW for all other weights (Jordan et al. 2024; Liu et al. 2025, arXiv).

    A gradient's matrix (filters, weights of a filter) has few large singular values and many small ones: a step along it
    learns in few directions. Muon sets all singular values to about 1, so that a step learns in all of them. In networks
    without convolutions this is AdamW. torch.optim.Muon takes matrices alone and works in bfloat16.

    Args:
        weights: those that are trained.
        lr: the learning rate of AdamW.
        weight_decay: of AdamW.
        fused: whether AdamW uses one kernel for all weights.
        filter_rate: the filters' rate, as a multiple of lr; their steps are matrices of norm 1.
        filter_decay: how strongly filters shrink. Without it they grow, and the same step turns them less and less.
        momentum: of the filters.
    """

    # The values given here were chosen on validation data: docs/choices/training.json.
    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        fused: bool = False,
        *,
        filter_rate: float = 5.0,
        filter_decay: float = 0.5,
        momentum: float = 0.8,
    ) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, fused=fused)
        self.filter_rate, self.filter_decay, self.momentum = filter_rate, filter_decay, momentum
        # Fused AdamW undoes the scaling of float16 gradients itself; the filters' gradients need it done before.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            rate = self.filter_rate * group["lr"]
            for weight in group["params"]:
                if weight.ndim != 4 or weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(weight)}
                momentum = state["momentum"].lerp_(weight.grad, 1 - self.momentum)
                ahead = weight.grad.lerp(momentum, self.momentum)  # Nesterov: the momentum that the next step will have
                weight.mul_(1 - rate * self.filter_decay)
                weight.sub_(rate * orthogonal(ahead.flatten(1)).view_as(weight))
                weight.grad = None  # AdamW leaves weights without a gradient alone
        return super().step(closure)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix (M, N) with its singular values moved near 1: between 0.7 and 1.2 unless they were tiny.

    Newton-Schulz steps X <- aX + b(XXᵀ)X + c(XXᵀ)²X, with Jordan's coefficients, change the singular values and nothing else.
    """
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T  # the smaller of the two products XXᵀ, XᵀX
    x = wide / (wide.norm() + 1e-7)  # no singular value above 1, else the steps diverge
    for _ in range(steps):
        products = x @ x.T
        x = torch.addmm(x, -4.7750 * products + 2.0315 * products @ products, x, beta=3.4445)
    return x if wide is matrix else x.T
