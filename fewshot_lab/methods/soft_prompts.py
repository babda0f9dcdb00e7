"""Soft prompts: a few input vectors are learned, the model stays frozen (Lester, Al-Rfou & Constant 2021, EMNLP).

A template's words are m vectors of the embedding table. A soft prompt P (m, d) may be any vectors:

    maximise over P the sum over (x, y) of log P(v(y) | x, P)

Lester et al. put P before the text. Here it stands after it, "x P -> label", where a template's end would stand: what the
layers compute for x then never depends on P, so keys and values of the texts are computed once (`models.reading`) and a
step of training costs m tokens a text. The probability is taken among the label words.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.reading import Reading, go_on
from ..runtime import CourseError
from ..training.processes import average, joined


def label_logits(model, hidden: Tensor, label_ids: Tensor) -> Tensor:
    """The label words' logits: vectors (..., d) -> float32 (..., classes)."""
    words = model.get_output_embeddings().weight[label_ids.to(hidden.device)]  # (classes, d)
    return (hidden @ words.to(hidden).T).float()


def label_losses(model, reading: Reading, endings: Tensor, draws: Tensor, labels: Tensor, label_ids: Tensor) -> Tensor:
    """The mean cross-entropy of each draw's texts under each of its c endings: (c, D).

    reading: the texts of all D draws, as the model keeps them. endings: (c, D, m, d). draws: (n,), which draw a text belongs
    to, 0 to D - 1. labels: (n,). label_ids: (classes,), the label words' tokens.
    """
    draws = draws.to(endings.device)
    logits = label_logits(model, go_on(model, reading, endings[:, draws]), label_ids)  # (c, n, classes)
    targets = labels.to(logits.device).expand(len(endings), -1)
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").unflatten(0, targets.shape)  # (c, n)
    sums = torch.zeros_like(logits[:, : endings.shape[1], 0]).index_add(1, draws, each)
    return sums / draws.bincount(minlength=endings.shape[1])


def tune_prompts(
    model,
    reading: Reading,
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
    is its own. The losses are those before each step. Arguments as in `label_losses`. With several processes each has its
    share of the texts; raises CourseError when a draw has no text for one of them.
    """
    P = start.detach().float().repeat(int(draws.max()) + 1, 1, 1).requires_grad_()
    optimizer = torch.optim.Adam([P], lr=learning_rate)
    rank, ranks = joined(P.device.type)
    counts = torch.stack([draws[first::ranks].bincount(minlength=len(P)) for first in range(ranks)])  # (ranks, D)
    if not counts.all():
        raise CourseError(f"A draw has fewer texts than there are processes ({ranks}): start fewer processes.")
    weights = (ranks * counts[rank] / counts.sum(0)).to(P.device)
    reading, draws, labels = reading.share(rank, ranks), draws[rank::ranks], labels[rank::ranks]
    losses = []
    for _ in range(steps):
        loss = weights * label_losses(model, reading, P[None], draws, labels, label_ids)[0]
        [P.grad] = torch.autograd.grad(loss.sum(), [P])
        average([P.grad, loss.detach_()])
        optimizer.step()
        losses.append(loss.detach().cpu())
    return P.detach(), torch.stack(losses)


@torch.no_grad()
def prompted_logits(model, reading: Reading, ending: Tensor, label_ids: Tensor) -> Tensor:
    """The label words' logits (N, classes) of texts that go on with one ending (m, d), on the CPU."""
    return label_logits(model, go_on(model, reading, ending[None, None])[0], label_ids).cpu()
