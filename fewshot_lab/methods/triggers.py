"""Trigger search: words of the vocabulary, found by the gradient, that make a frozen model answer right (AutoPrompt).

A trigger t_1 .. t_m stands where a template's words would stand; the text x is kept as it is: x t_1 .. t_m -> label word. The
loss L is the mean cross-entropy over a few labelled texts. Changing token j into w changes the loss, to first order, by

    (e_w - e_t_j) . dL/de_j                                            (Ebrahimi et al. 2018, ACL: HotFlip)

One backward pass ranks the whole vocabulary; the k most promising candidates are then tried, and the best is kept if it is
better (Shin et al. 2020, EMNLP: AutoPrompt, equation 2).
"""

import torch
from torch import Tensor

from ..models.reading import Reading, vectors
from .soft_prompts import label_loss, plain_attention


def swap_estimates(gradient: Tensor, current: Tensor, embeddings: Tensor) -> Tensor:
    """The first-order change of the loss (m, V) when token j becomes word w; negative is better.

    gradient: (m, d), dL/de at each place. current: (m,) the trigger's token numbers. embeddings: (V, d).
    """
    return gradient @ embeddings.T - (gradient * embeddings[current]).sum(dim=1, keepdim=True)


def search_trigger(
    model,
    reading: Reading,
    labels: Tensor,
    label_ids: Tensor,
    start: Tensor,
    *,
    steps: int,
    candidates: int = 8,
    allowed: Tensor | None = None,
    estimates=swap_estimates,
) -> tuple[Tensor, list[float]]:
    """Changes one token of the trigger at a time, place after place; returns the trigger (m,) and the loss before each step.

    reading: the labelled texts as the model keeps them, labels: (n,), label_ids: (classes,). start: (m,) token numbers.
    allowed: (V,) booleans, the words that may be used; label words never are, for they would write the answer.
    """
    trigger, losses = start.clone(), []
    table = model.get_input_embeddings().weight.detach()
    barred = torch.zeros(len(table), dtype=torch.bool) if allowed is None else ~allowed
    barred[label_ids.cpu()] = True
    for step in range(steps):
        j = step % len(trigger)
        inputs = vectors(model, trigger).detach().float().requires_grad_()
        with plain_attention():
            loss = label_loss(model, reading, inputs[None], labels, label_ids)[0]
            [gradient] = torch.autograd.grad(loss, [inputs])
        losses.append(loss.item())
        change = estimates(gradient, trigger, table.float())[j].masked_fill(barred.to(gradient.device), torch.inf)
        tried = trigger.repeat(candidates, 1)  # (k, m)
        tried[:, j] = change.topk(candidates, largest=False).indices
        with torch.no_grad():
            found = label_loss(model, reading, vectors(model, tried), labels, label_ids)
        if found.min() < loss:
            trigger = tried[found.argmin()]
    return trigger, losses


def plain_words(tokenizer) -> Tensor:
    """Which tokens are plain English letters, with or without a space before them: booleans (V,)."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    bare = [token.removeprefix("Ġ") for token in tokens]
    return torch.tensor([word.isascii() and word.isalpha() for word in bare])
