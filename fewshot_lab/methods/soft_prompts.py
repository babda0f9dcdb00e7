"""Soft prompts: a few input vectors are learned, the model stays frozen (Lester, Al-Rfou & Constant 2021, EMNLP).

A template's words are m vectors of the embedding table. A soft prompt P (m, d) may be any vectors:

    maximise over P the sum over (x, y) of log P(v(y) | x, P)

Lester et al. put P before the text. Here it stands after it, "x P -> label", where a template's end would stand: what the
layers compute for x then never depends on P, so keys and values of the texts are computed once (`models.kv_cache`) and a
step of training costs m tokens a text. The probability is taken among the label words.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CourseError
from ..models.kv_cache import Prefix, extend
from ..training.processes import all_reduce_mean, rank_and_world_size


def label_logits(model, hidden: Tensor, label_ids: Tensor) -> Tensor:
    """The label words' logits: vectors (..., d) -> float32 (..., classes)."""
    words = model.get_output_embeddings().weight[label_ids.to(hidden.device)]  # (classes, d)
    return (hidden @ words.to(hidden).T).float()


def text_losses(model, prefix: Prefix, endings: Tensor, draws: Tensor, labels: Tensor, label_ids: Tensor) -> Tensor:
    """The cross-entropy of each of n texts under each of c endings: (c, n).

    prefix: the texts of all D draws, as the model keeps them. endings: (c, D, m, d). draws: (n,), which draw a text belongs
    to, 0 to D - 1. labels: (n,). label_ids: (classes,), the label words' tokens.
    """
    logits = label_logits(model, extend(model, prefix, endings[:, draws.to(endings.device)]), label_ids)  # (c, n, classes)
    targets = labels.to(logits.device).expand(len(endings), -1)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").unflatten(0, targets.shape)


def draw_means(values: Tensor, draws: Tensor, counts: Tensor) -> Tensor:
    """The sums (c, D) of values (c, n) over each draw's texts, divided by counts (D,)."""
    sums = values.new_zeros(len(values), len(counts))
    return sums.index_add(1, draws.to(values.device), values) / counts.to(values.device)


@torch.no_grad()
def label_losses(model, prefix: Prefix, endings: Tensor, draws: Tensor, labels: Tensor, label_ids: Tensor) -> Tensor:
    """The mean cross-entropy of each draw's texts under each of its c endings: (c, D). Arguments as in `text_losses`."""
    each = text_losses(model, prefix, endings, draws, labels, label_ids)
    return draw_means(each, draws, draws.bincount(minlength=endings.shape[1]))


def loss_gradients(
    model, prefix: Prefix, ending: Tensor, draws: Tensor, labels: Tensor, label_ids: Tensor
) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of each draw's texts under its ending (D, m, d), and the gradients: (D,), (D, m, d).

    Computed batch by batch, so that what the layers keep for the gradient is held for one batch at a time.
    """
    P, counts = ending.detach().float().requires_grad_(), draws.bincount(minlength=len(ending))
    losses, gradient = torch.zeros(len(P), device=P.device), torch.zeros_like(P)
    for rows, batch in prefix.batches():
        each = text_losses(model, batch, P[None], draws[rows], labels[rows], label_ids)
        part = draw_means(each, draws[rows], counts)[0]
        gradient += torch.autograd.grad(part.sum(), [P])[0]
        losses += part.detach()
    return losses, gradient


def tune_prompts(
    model,
    prefix: Prefix,
    draws: Tensor,
    labels: Tensor,
    label_ids: Tensor,
    start: Tensor,
    *,
    steps: int,
    learning_rate: float = 0.01,
) -> tuple[Tensor, Tensor]:
    """Learns one soft prompt a draw from `start` (m, d) with Adam: P (D, m, d) in float32, and the losses (steps, D).

    The draws share nothing but the batches that they are computed in: the loss is the sum of theirs, so each prompt's gradient
    is its own. The losses are those before each step. Arguments as in `text_losses`. With several processes each has its
    share of the texts; raises CourseError when a draw has no text for one of them.
    """
    P = start.detach().float().repeat(int(draws.max()) + 1, 1, 1)
    optimizer = torch.optim.Adam([P], lr=learning_rate)
    rank, world_size = rank_and_world_size(P.device.type)
    counts = torch.stack(
        [draws[first::world_size].bincount(minlength=len(P)) for first in range(world_size)]
    )  # (world_size, D)
    if not counts.all():
        raise CourseError(f"A draw has fewer texts than there are processes ({world_size}): start fewer processes.")
    weights = (world_size * counts[rank] / counts.sum(0)).to(P.device)
    prefix, draws, labels = prefix.share(rank, world_size), draws[rank::world_size], labels[rank::world_size]
    losses = []
    for _ in range(steps):
        loss, gradient = loss_gradients(model, prefix, P, draws, labels, label_ids)
        loss, P.grad = weights * loss, weights[:, None, None] * gradient
        all_reduce_mean([P.grad, loss])
        optimizer.step()
        losses.append(loss.cpu())
    return P, torch.stack(losses)


@torch.no_grad()
def prompted_logits(model, prefix: Prefix, ending: Tensor, label_ids: Tensor) -> Tensor:
    """The label words' logits (N, classes) of texts that go on with one ending (m, d), on the CPU."""
    return label_logits(model, extend(model, prefix, ending[None, None])[0], label_ids).cpu()
