"""Soft prompts: a few input vectors are learned, the model stays frozen (Lester, Al-Rfou & Constant 2021, EMNLP).

A template's words are m vectors of the embedding table. A soft prompt P (m, d) may be any vectors:

    maximise over P the sum over (x, y) of log P(v(y) | x, P)

Lester et al. put P before the text. Here it stands after it, "x P -> label", where a template's end would stand: what the
layers compute for x then never depends on P, so keys and values of the texts are computed once (`models.reading`) and a
step of training costs m tokens a text. The probability is taken among the label words.
"""

import contextlib

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..models.reading import Reading, go_on


def label_logits(model, hidden: Tensor, label_ids: Tensor) -> Tensor:
    """The label words' logits: vectors (..., d) -> float32 (..., classes)."""
    words = model.get_output_embeddings().weight[label_ids.to(hidden.device)]  # (classes, d)
    return (hidden @ words.to(hidden).T).float()


def label_loss(model, reading: Reading, endings: Tensor, labels: Tensor, label_ids: Tensor) -> Tensor:
    """The mean cross-entropy of the texts' labels under each of c endings (c, m, d): (c,)."""
    logits = label_logits(model, go_on(model, reading, endings), label_ids)  # (c, n, classes)
    targets = labels.to(logits.device).expand(len(endings), -1)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").unflatten(0, targets.shape).mean(dim=1)


def tune_prompt(
    model, reading: Reading, labels: Tensor, label_ids: Tensor, start: Tensor, *, steps: int, learning_rate: float = 0.01
) -> tuple[Tensor, list[float]]:
    """Learns the vectors P from `start` (m, d) with Adam; returns them in float32 and the loss before each step.

    reading: the labelled texts as the model keeps them. labels: (n,). label_ids: (classes,), the label words' tokens.
    """
    P = start.detach().float().clone().requires_grad_()
    optimizer = torch.optim.Adam([P], lr=learning_rate)
    losses = []
    for _ in range(steps):
        with plain_attention():
            loss = label_loss(model, reading, P[None], labels, label_ids)[0]
            [P.grad] = torch.autograd.grad(loss, [P])
        optimizer.step()
        losses.append(loss.item())
    return P.detach(), losses


@torch.no_grad()
def prompted_logits(model, reading: Reading, ending: Tensor, label_ids: Tensor) -> Tensor:
    """The label words' logits (N, classes) of texts that go on with one ending (m, d), on the CPU."""
    return label_logits(model, go_on(model, reading, ending[None])[0], label_ids).cpu()


def plain_attention() -> contextlib.AbstractContextManager:
    """Attention as matrix products: with a few queries its gradient is faster on a CPU than the fused kernel's."""
    return sdpa_kernel(SDPBackend.MATH)
