"""Trigger search: words of the vocabulary, chosen by the gradient, that make a frozen model predict the label (AutoPrompt).

A trigger t_1 .. t_m takes the place of a template's words; the text x is kept as it is: x t_1 .. t_m -> label word. The loss L
is the mean cross-entropy over a few labelled texts. Changing token j into w changes the loss, to first order, by

    (e_w - e_t_j) . dL/de_j                                            (Ebrahimi et al. 2018, ACL: HotFlip)

One backward pass ranks the whole vocabulary; the k most promising candidates are then tried, and the best is kept if it is
better (Shin et al. 2020, EMNLP: AutoPrompt, equation 2).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..models.kv_cache import Prefix, token_embeddings
from .soft_prompts import label_losses, loss_gradients


def swap_estimates(gradient: Tensor, current: Tensor, embeddings: Tensor) -> Tensor:
    """The first-order change of the loss (m, V) when token j becomes word w; negative is better.

    gradient: (m, d), dL/de of each token. current: (m,), the trigger's token ids. embeddings: (V, d).
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
    estimates: Callable[[Tensor, Tensor, Tensor], Tensor] = swap_estimates,
) -> tuple[Tensor, Tensor]:
    """Searches one trigger for each draw: token ids (D, m), and the losses before each step and at the end (steps + 1, D).

    Args:
        model, prefix, draws, labels, label_ids: see `soft_prompts`.
        start: (m,), the token ids that every search starts from.
        steps: one token is changed at a step, the first to the last and again.
        candidates: how many words are tried at a step, the best by `estimates`.
        allowed: (V,) booleans, the words that may be used; label words never are.
        estimates: ranks the vocabulary, see `swap_estimates`.
    """
    table = model.get_input_embeddings().weight.detach()
    # A label word in the trigger would favour its class whatever the text says.
    forbidden = ~allowed
    forbidden[label_ids] = True
    forbidden = forbidden.to(table.device)
    trigger = start.repeat(int(draws.max()) + 1, 1)  # (D, m)
    every_draw = torch.arange(len(trigger), device=trigger.device)
    losses = []
    for step in range(steps):
        j = step % trigger.shape[1]
        embeddings = token_embeddings(model, trigger)  # (D, m, d)
        loss, gradient = loss_gradients(model, prefix, embeddings, draws, labels, label_ids)  # (D,), (D, m, d)
        losses.append(loss)
        change = estimates(gradient[:, j], trigger[:, j], table.float()).masked_fill(forbidden, torch.inf)  # (D, V)
        tried = trigger.repeat(candidates, 1, 1)  # (k, D, m)
        tried[:, :, j] = change.topk(candidates, largest=False).indices.T
        # The estimate holds for small steps only, and words lie far apart: the true loss decides.
        tried_losses = label_losses(model, prefix, token_embeddings(model, tried), draws, labels, label_ids)  # (k, D)
        lowest, best = tried_losses.min(dim=0)  # (D,)
        trigger = torch.where((lowest < loss)[:, None], tried[best, every_draw], trigger)
    return trigger, torch.stack([*losses, torch.minimum(lowest, losses[-1])]).cpu()


def plain_words(tokenizer) -> Tensor:
    """Which tokens are plain English letters, with or without a space before them: booleans (V,)."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    without_space = [token.removeprefix("Ġ") for token in tokens]  # how byte-level BPE writes a space
    return torch.tensor([word.isascii() and word.isalpha() for word in without_space])
