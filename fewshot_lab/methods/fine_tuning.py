"""Fine-tuning the upper layers of a causal language model, from its prompt or with a new head (Le Scao & Rush 2021, NAACL).

The lower layers stay frozen, so what they give for a text never changes and is computed once: a step costs the upper layers
only. The head is either the label words' rows of the output table (the prompt's own) or new, starting from zero.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CourseError
from ..models.kv_cache import padded_batches
from ..training.processes import all_reduce_gradients, all_reduce_mean, rank_and_world_size


class UpperLayers(nn.Module):
    """The last `layers` layers of a causal model with its final norm and a head (classes, d), copied in float32."""

    def __init__(self, model, layers: int, head: Tensor) -> None:
        super().__init__()
        inner = copy.copy(model.model)
        inner._modules = dict(inner._modules)
        inner.layers = copy.deepcopy(model.model.layers[-layers:]).float()
        inner.norm = copy.deepcopy(model.model.norm).float()
        self.inner, self.head = inner, nn.Parameter(head.float().clone())
        self.bias = nn.Parameter(torch.zeros(len(head), device=head.device))
        inner.requires_grad_(False)
        for part in (inner.layers, inner.norm):
            part.requires_grad_(True)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Hidden vectors (n, T, d) from below and their mask (n, T) -> logits (n, classes) at the last token."""
        positions = (mask.cumsum(1) - 1).clamp_min(0)
        options = {"attention_mask": mask, "position_ids": positions, "use_cache": False}
        z = self.inner(inputs_embeds=h, **options).last_hidden_state[:, -1]
        return z @ self.head.T + self.bias


@torch.no_grad()
def from_below(tokenizer, model, filled: Sequence[str], layers: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """What the layers under the last `layers` give for filled templates, in batches of like lengths.

    Each batch: the texts' places (n,), their vectors (n, T, d) in float32, and the mask (n, T).
    """
    batches = []
    for rows, ids, mask in padded_batches(tokenizer, filled, model.device):
        positions = (mask.cumsum(1) - 1).clamp_min(0)
        options = {"attention_mask": mask, "position_ids": positions, "use_cache": False, "output_hidden_states": True}
        batches.append((rows, model.model(ids, **options).hidden_states[-1 - layers].float(), mask))
    return batches


def fine_tune(
    network: UpperLayers,
    batches: list[tuple[Tensor, Tensor, Tensor]],
    labels: Tensor,
    *,
    steps: int,
    learning_rate: float = 2e-4,
) -> list[float]:
    """Trains in place with AdamW, on all texts at every step; returns the mean loss before each step. labels: (n,).

    With several processes each has its share of every batch. Raises CourseError when no batch has a text for each.
    """
    rank, world_size = rank_and_world_size(network.head.device.type)
    if max(len(rows) for rows, _, _ in batches) < world_size:
        raise CourseError(f"No batch has a text for each of {world_size} processes: start fewer processes.")
    own = slice(rank, None, world_size)
    batches = [(rows[own], h[own], mask[own]) for rows, h, mask in batches if len(rows) > rank]
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=learning_rate, weight_decay=0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        total = 0.0
        for rows, h, mask in batches:
            loss = F.cross_entropy(network(h, mask), labels[rows].to(h.device), reduction="sum") * world_size / len(labels)
            loss.backward()
            total += loss.item()
        all_reduce_gradients(network)
        optimizer.step()
        losses.append(total)
    if world_size > 1:
        all_reduce_mean([shared := torch.tensor(losses, device=network.head.device)])
        losses = shared.tolist()
    return losses


@torch.no_grad()
def answers(network: UpperLayers, batches: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The logits (n, classes) of all texts, in their order, on the CPU."""
    order = torch.cat([rows for rows, _, _ in batches]).argsort()
    return torch.cat([network(h, mask).cpu() for _, h, mask in batches])[order]
