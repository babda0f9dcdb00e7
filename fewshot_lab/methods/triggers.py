"""Trigger search: words of the vocabulary, chosen by the gradient, that make a frozen model predict the label (AutoPrompt).

A trigger t_1 .. t_m takes the place of a template's words; the text x is kept as it is: x t_1 .. t_m -> label word. The loss L
is the mean cross-entropy over a few labelled texts. Changing token j into w changes the loss, to first order, by

    (e_w - e_t_j) . dL/de_j                                            (Ebrahimi et al. 2018, ACL: HotFlip)

One backward pass ranks the whole vocabulary at every position; the most promising candidates are then tried, and the best is
kept if it is better (Shin et al. 2020, EMNLP: AutoPrompt, equation 2, which goes through the positions one by one).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.kv_cache import Prefix, token_embeddings
from .soft_prompts import label_losses, loss_gradients


def swap_estimates(gradient: Tensor, current: Tensor, embeddings: Tensor) -> Tensor:
    """The first-order change of the loss (m, V) when token j becomes word w; negative is better.

    gradient: (m, d), dL/de of each token. current: (m,), the trigger's token ids. embeddings: (V, d).
    """
    return gradient @ embeddings.T - (gradient * embeddings[current]).sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Search:
    """The way of a search: triggers (s + 1, m), from its start on, their losses (s + 1,), and whether it came to its end."""

    triggers: Tensor
    losses: Tensor
    ended: bool


def search_trigger(
    model,
    prefix: Prefix,
    labels: Tensor,
    label_ids: Tensor,
    start: Tensor,
    *,
    candidates: int,
    allowed: Tensor,
    max_steps: int = 100,
    estimates: Callable[[Tensor, Tensor, Tensor], Tensor] = swap_estimates,
) -> Search:
    """Searches a trigger until none of the swaps that are tried lowers the loss, which is the search's end.

    A step tries words at every position and keeps the best swap. It starts at the words of a template, so that the loss on the
    labelled texts is never above the template's.

    Args:
        model, labels, label_ids: see `soft_prompts`.
        prefix: the n labelled texts, encoded.
        start: (m,), the token ids that the search starts from.
        candidates: how many words are tried at each position in a step, the best by `estimates`.
        allowed: (V,) booleans, the words that may be put in; label words never are.
        max_steps: where it stops if it has not come to its end.
        estimates: ranks the vocabulary, see `swap_estimates`.
    """
    table = model.get_input_embeddings().weight.detach()
    # A label word in the trigger would favour its class whatever the text says.
    forbidden = ~allowed
    forbidden[label_ids] = True
    forbidden = forbidden.to(table.device)
    one_draw = torch.zeros(len(labels), dtype=torch.long)

    def losses_of(triggers: Tensor) -> Tensor:
        return label_losses(model, prefix, token_embeddings(model, triggers)[:, None], one_draw, labels, label_ids)[:, 0]

    way, losses = [start], [losses_of(start[None])[0]]
    while len(way) <= max_steps:
        current = way[-1]
        _, gradient = loss_gradients(model, prefix, token_embeddings(model, current)[None], one_draw, labels, label_ids)
        change = estimates(gradient[0], current, table.float()).masked_fill(forbidden, torch.inf)  # (m, V)
        words = change.topk(candidates, largest=False).indices  # (m, candidates)
        tried = current.repeat(*words.shape, 1)  # (m, candidates, m)
        for j in range(len(current)):
            tried[j, :, j] = words[j]
        # The estimate holds for small steps only, and words lie far apart: the true loss decides. Position by position, because
        # every trigger that is tried needs the texts' keys and values once more.
        tried_losses = torch.cat([losses_of(at_position) for at_position in tried])
        lowest, best = tried_losses.min(dim=0)
        if lowest >= losses[-1]:
            return Search(torch.stack(way), torch.stack(losses).cpu(), ended=True)
        way.append(tried.flatten(0, 1)[best])
        losses.append(lowest)
    return Search(torch.stack(way), torch.stack(losses).cpu(), ended=False)


def plain_words(tokenizer) -> Tensor:
    """Which tokens are plain English letters, with or without a space before them: booleans (V,)."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    without_space = [token.removeprefix("Ġ") for token in tokens]  # how byte-level BPE writes a space
    return torch.tensor([word.isascii() and word.isalpha() for word in without_space])
