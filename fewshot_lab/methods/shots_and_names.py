"""K labelled pictures beside the names: linear probes, probes that start at the names, and Tip-Adapter's cache.

All work on unit vectors z of the common space of pictures and texts, for many episodes at once. With E episodes, N classes, K
pictures of each and M queries: support (E, N, K, D), queries (E, M, D), vectors of the names (E, N, D) -> logits (E, M, N).
"""

import torch
from torch import Tensor

RATE, STEPS, MOMENTUM = 10.0, 100, 0.9  # of gradient descent on unit vectors, for every probe


def cache_logits(queries: Tensor, keys: Tensor, values: Tensor, alpha: float, beta: float) -> Tensor:
    """What a cache of labelled pictures adds to the logits: alpha * exp(-beta (1 - z . F^T)) L.

    Zhang et al. 2022 (ECCV), "Tip-Adapter", equations 4 and 5; no training.

    Args:
        queries: z, unit vectors (..., M, D).
        keys: F, unit vectors of the labelled pictures (..., R, D).
        values: L, their labels as one-hot rows (R, N).
        alpha: the weight of the cache.
        beta: its sharpness.

    Returns (..., M, N).
    """
    affinity = (-beta * (1 - queries @ keys.transpose(-1, -2))).exp()  # (..., M, R)
    return alpha * affinity @ values


def tip_adapter(support: Tensor, queries: Tensor, names: Tensor, *, scale: float, alpha: float, beta: float) -> Tensor:
    """Zero-shot logits plus those of the cache (Zhang et al. 2022, ECCV, equation 6)."""
    values = torch.eye(support.shape[1], device=support.device).repeat_interleave(support.shape[2], 0)  # (N * K, N)
    zero_shot = scale * queries @ names.transpose(1, 2)
    return zero_shot + cache_logits(queries, support.flatten(1, 2), values, alpha, beta)


def probe(support: Tensor, queries: Tensor, start: Tensor | None = None, *, decay: float, weight: float = 1.0) -> Tensor:
    """A linear probe on each support set: softmax regression by gradient descent with momentum, from a start.

    It minimises the mean cross-entropy plus decay / 2 * |W - W_0|^2, where W_0 = weight * start. Without a start W_0 = 0, the
    usual probe. With the names' vectors as start the probe is zero-shot before its first step: ZS-LP of Silva-Rodriguez et al.
    2024 (CVPR), whose CLAP also holds the weights near the names, by a penalty of its own.

    Args:
        support, queries: unit vectors, as above.
        start: the names' vectors (E, N, D), or None.
        decay: how strongly the weights are held at their start; below 0.3, as the descent's steps are long.
        weight: the length of W_0's rows, an inverse temperature.
    """
    way, shots = support.shape[1:3]
    x = support.flatten(1, 2)  # (E, N * K, D)
    y = torch.eye(way, device=x.device).repeat_interleave(shots, 0)  # (N * K, N)
    w0 = x.new_zeros(len(x), x.shape[2], way) if start is None else weight * start.transpose(1, 2)
    # The gradient is written out, so that the probes of all episodes are one batched matrix product.
    w, velocity = w0, torch.zeros_like(w0)
    for _ in range(STEPS):
        error = (x @ w).softmax(2) - y
        velocity = MOMENTUM * velocity + x.transpose(1, 2) @ error / len(y) + decay * (w - w0)
        w = w - RATE * velocity
    return queries @ w
