"""Muon: steps of which every direction of a matrix of weights gets the same length."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Muon(torch.optim.AdamW):
    """Muon for matrices of a convolutional network, AdamW for its other weights (Jordan et al. 2024; Liu et al. 2025, arXiv).

    Its matrices are the filters of convolutions (filters, weights of a filter) and all weights of two dimensions, which are
    those of linear layers. A gradient's matrix has few large singular values and many small ones: a step along it learns in few
    directions. Muon sets all singular values to about 1, so that a step learns in all of them. Where no filters are trained
    this is AdamW. torch.optim.Muon takes matrices alone and works in bfloat16.

    Args:
        weights: those that are trained.
        lr: the learning rate of AdamW.
        weight_decay: of AdamW.
        fused: whether AdamW uses one kernel for all weights.
        filter_rate: the filters' rate, as a multiple of lr; their steps are matrices of norm 1.
        linear_rate: that of linear layers; 0 leaves them to AdamW.
        decay: how strongly Muon's matrices shrink. Without it they grow, and the same step turns them less and less.
        momentum: of Muon's matrices.
    """

    # The values given here were chosen on validation data: docs/choices/training.json and explored.json.
    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        fused: bool = False,
        *,
        filter_rate: float = 5.0,
        linear_rate: float = 1.5,
        decay: float = 0.5,
        momentum: float = 0.8,
    ) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, fused=fused)
        convolutional = any(weight.ndim == 4 for group in self.param_groups for weight in group["params"])
        self.rates = {4: filter_rate, 2: linear_rate} if convolutional else {}  # by the number of a weight's dimensions
        self.decay, self.momentum = decay, momentum
        # Fused AdamW undoes the scaling of float16 gradients itself; Muon's gradients need it done before.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                times = self.rates.get(weight.ndim)
                if not times or weight.grad is None:
                    continue
                rate = times * group["lr"]
                state = self.state[weight]
                if not state:
                    state |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(weight)}
                momentum = state["momentum"].lerp_(weight.grad, 1 - self.momentum)
                ahead = weight.grad.lerp(momentum, self.momentum)  # Nesterov: the momentum that the next step will have
                weight.mul_(1 - rate * self.decay)
                weight.sub_(rate * orthogonal(ahead.flatten(1)).view_as(weight))
                weight.grad = None  # AdamW leaves weights without a gradient alone
        return super().step(closure)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix (M, N) with its singular values moved near 1: between 0.7 and 1.2 unless they were tiny.

    Newton-Schulz steps X <- PX, P = aI + bA + cA², A = XXᵀ, with Jordan's coefficients change the singular values and nothing
    else. Every P is a polynomial of the first A, so A <- PAP, and only the product of all P meets the (long) rows of X.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T  # the smaller of the two products XXᵀ, XᵀX
    x = wide / (wide.norm() + 1e-7)  # no singular value above 1, else the steps diverge
    products, factors = x @ x.T, None
    for _ in range(steps):
        factor = torch.addmm(products, products, products, beta=b, alpha=c)
        factor.diagonal().add_(a)
        factors = factor if factors is None else factor @ factors
        products = factor @ products @ factor
    x = factors @ x
    return x if wide is matrix else x.T
