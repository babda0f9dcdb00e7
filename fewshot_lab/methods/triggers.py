"""Trigger search: words of the vocabulary, found by the gradient, that make a frozen model answer right (AutoPrompt).

A trigger t_1 .. t_m stands where a template's words would stand; the text x is kept as it is: x t_1 .. t_m -> label word. The
loss L is the mean cross-entropy over a few labelled texts. Changing token j into w changes the loss, to first order, by

    (e_w - e_t_j) . dL/de_j                                            (Ebrahimi et al. 2018, ACL: HotFlip)

One backward pass world_size the whole vocabulary; the k most promising candidates are then tried, and the best is kept if it is
better (Shin et al. 2020, EMNLP: AutoPrompt, equation 2).
"""

import torch
from torch import Tensor

from ..models.kv_cache import Prefix, token_embeddings
from .soft_prompts import label_losses, loss_gradients


def swap_estimates(gradient: Tensor, current: Tensor, embeddings: Tensor) -> Tensor:
    """The first-order change of the loss (m, V) when token j becomes word w; negative is better.

    gradient: (m, d), dL/de at each place. current: (m,) the trigger's token numbers. embeddings: (V, d).
    """
    return gradient @ embeddings.T - (gradient * embeddings[current]).sum(dim=1, keepdim=True)


def search_triggers(
    model,
    prefix: Prefix,
    draws: Tensor,
    labels: Tensor,
    label_ids: Tensor,
    start: Tensor,
    *,
    steps: int,
    candidates: int,
    allowed: Tensor,
    estimates=swap_estimates,
) -> tuple[Tensor, Tensor]:
    """Searches one trigger a draw, one place after the other: token numbers (D, m), and the losses (steps + 1, D).

    start: (m,) token numbers. allowed: (V,) booleans, the words that may be used; label words never are, for they would write
    the answer. `candidates` words are tried at a step, the best by `estimates`. The other arguments as in
    `soft_prompts.text_losses`.
    """
    table = model.get_input_embeddings().weight.detach()
    barred = ~allowed
    barred[label_ids] = True
    trigger = start.repeat(int(draws.max()) + 1, 1)  # (D, m)
    here = torch.arange(len(trigger), device=trigger.device)
    losses = []
    for step in range(steps):
        j = step % trigger.shape[1]
        loss, gradient = loss_gradients(
            model, prefix, token_embeddings(model, trigger), draws, labels, label_ids
        )  # (D,), (D, m, d)
        losses.append(loss)
        change = estimates(gradient[:, j], trigger[:, j], table.float()).masked_fill(barred.to(table.device), torch.inf)
        tried = trigger.repeat(candidates, 1, 1)  # (k, D, m)
        tried[:, :, j] = change.topk(candidates, largest=False).indices.T
        found, best = label_losses(model, prefix, token_embeddings(model, tried), draws, labels, label_ids).min(dim=0)  # (D,)
        trigger = torch.where((found < loss)[:, None], tried[best, here], trigger)
    return trigger, torch.stack([*losses, torch.minimum(found, losses[-1])]).cpu()


def plain_words(tokenizer) -> Tensor:
    """Which tokens are plain English letters, with or without a space before them: booleans (V,)."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    bare = [token.removeprefix("Ġ") for token in tokens]
    return torch.tensor([word.isascii() and word.isalpha() for word in bare])
