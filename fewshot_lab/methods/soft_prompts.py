"""Soft prompts: a few input vectors are learned, and the model stays frozen (Lester, Al-Rfou & Constant 2021, EMNLP).

The words of a template are m vectors of the embedding table. A soft prompt P (m, d) may be any vectors:

    maximise over P the sum over (x, y) of log P(v(y) | x, P)

Lester et al. put P before the text. Here it comes after the text, "x P -> label", where a template has its ending: what the
layers compute for x then never depends on P, so keys and values of the texts are computed once (`models.kv_cache`) and a step
of training costs m tokens a text. The probability is taken among the label words.

Several prompts are learned side by side, one for each draw of labelled texts. Arguments that most functions share:

    model       a frozen causal language model
    prefix      the n texts of all D draws, encoded
    draws       (n,), which draw each text belongs to, 0 to D - 1
    labels      (n,), class numbers
    label_ids   (classes,), the token ids of the label words
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CourseError
from ..languages import say
from ..models.kv_cache import Prefix, extend
from ..training.processes import all_reduce_mean, rank_and_world_size


def label_logits(model, hidden: Tensor, label_ids: Tensor) -> Tensor:
    """The logits of the label words: hidden states (..., d) -> float32 (..., classes)."""
    # Only the rows of the label words: the rest of the vocabulary is not needed.
    words = model.get_output_embeddings().weight[label_ids.to(hidden.device)]  # (classes, d)
    return (hidden @ words.to(hidden).T).float()


def text_losses(model, prefix: Prefix, endings: Tensor, draws: Tensor, labels: Tensor, label_ids: Tensor) -> Tensor:
    """The cross-entropy of each of n texts under each of c endings: (c, n).

    Args:
        model, prefix, draws, labels, label_ids: see the module.
        endings: (c, D, m, d), c endings for each draw.
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
    """The mean cross-entropy of each draw's texts under each of its c endings: (c, D); arguments as in `text_losses`."""
    losses = text_losses(model, prefix, endings, draws, labels, label_ids)
    return draw_means(losses, draws, draws.bincount(minlength=endings.shape[1]))


def loss_gradients(
    model, prefix: Prefix, ending: Tensor, draws: Tensor, labels: Tensor, label_ids: Tensor
) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of each draw's texts under its ending, and the gradients: (D,), (D, m, d).

    Args:
        model, prefix, draws, labels, label_ids: see the module.
        ending: (D, m, d), one for each draw.
    """
    P, counts = ending.detach().float().requires_grad_(), draws.bincount(minlength=len(ending))
    losses, gradient = torch.zeros(len(P), device=P.device), torch.zeros_like(P)
    # Batch by batch, so that activations for the gradient are in memory for one batch at a time.
    for rows, batch in prefix.batches():
        each = text_losses(model, batch, P[None], draws[rows], labels[rows], label_ids)
        part = draw_means(each, draws[rows], counts)[0]
        # A draw's loss depends on its own ending alone, so the gradient of the sum holds the gradient of each.
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
    """Learns one soft prompt for each draw with Adam: P (D, m, d) in float32, and the losses before each step (steps, D).

    With several processes each has its share of the texts; raises CourseError when a draw has no text for one of them.

    Args:
        model, prefix, draws, labels, label_ids: see the module.
        start: (m, d), where every prompt starts, such as the embeddings of a template's ending.
        steps: of Adam, each on all texts.
        learning_rate: of Adam.
    """
    P = start.detach().float().repeat(int(draws.max()) + 1, 1, 1)
    optimizer = torch.optim.Adam([P], lr=learning_rate)
    rank, world_size = rank_and_world_size(P.device.type)
    counts = torch.stack(
        [draws[first::world_size].bincount(minlength=len(P)) for first in range(world_size)]
    )  # (world_size, D)
    if not counts.all():
        raise CourseError(
            say("A draw has fewer texts than there are processes ({world_size}): start fewer processes.", world_size=world_size)
        )
    # Processes may have unequal numbers of a draw's texts: weighted so, the mean over processes is the mean over texts.
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
    """The logits of the label words for N texts that all continue with one ending: (N, classes), on the CPU.

    Args:
        model: a frozen causal language model.
        prefix: N texts.
        ending: (m, d), embeddings.
        label_ids: (classes,), the token ids of the label words.
    """
    return label_logits(model, extend(model, prefix, ending[None, None])[0], label_ids).cpu()
