"""Fine-tuning the upper layers of a causal language model, from its prompt or with a new head (Le Scao & Rush 2021, NAACL).

The lower layers stay frozen, so their output for a text never changes and is computed once: a step costs the upper layers
only. The head is either the label words' rows of the output table (the prompt's own) or new, starting from zero.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CourseError
from ..languages import say
from ..models.kv_cache import padded_batches
from ..models.language import autocast
from ..training.processes import all_reduce_gradients, all_reduce_mean, rank_and_world_size

Batches = list[tuple[Tensor, Tensor, Tensor]]  # indices of the texts (n,), hidden states (n, T, d), mask (n, T)


class UpperLayers(nn.Module):
    """The last `layers` layers of a causal model with its final norm and a head (classes, d), copied in float32.

    In float32 although the model may be in bfloat16, whose steps near 1 are larger than most updates of a weight. The products
    may take bfloat16 (`autocast`); weights, their gradients and the head do not.
    """

    def __init__(self, model, layers: int, head: Tensor) -> None:
        super().__init__()
        # A shallow copy of the backbone keeps its masks and position embeddings; only what is trained is copied in full.
        backbone = copy.copy(model.model)
        backbone._modules = dict(backbone._modules)
        backbone.layers = copy.deepcopy(model.model.layers[-layers:]).float()
        backbone.norm = copy.deepcopy(model.model.norm).float()
        self.backbone, self.head = backbone, nn.Parameter(head.float().clone())
        self.bias = nn.Parameter(torch.zeros(len(head), device=head.device))
        backbone.requires_grad_(False)
        for part in (backbone.layers, backbone.norm):
            part.requires_grad_(True)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (n, T, d) of the lower layers and their mask (n, T) -> logits (n, classes) at the last token."""
        with autocast(h.device):
            z = self.backbone(inputs_embeds=h, **_options(mask)).last_hidden_state[:, -1]
        return z.float() @ self.head.T + self.bias


@torch.no_grad()
def lower_layers(tokenizer, model, filled: Sequence[str], layers: int) -> Batches:
    """The output of all but the last `layers` layers for filled templates, in batches of similar lengths, in float32.

    Args:
        tokenizer: the model's.
        model: a causal language model.
        filled: templates with their texts.
        layers: how many layers are left for `UpperLayers`.
    """
    batches = []
    for indices, ids, mask in padded_batches(tokenizer, filled, model.device):
        hidden_states = model.model(ids, output_hidden_states=True, **_options(mask)).hidden_states
        batches.append((indices, hidden_states[-1 - layers].float(), mask))
    return batches


def fine_tune(
    network: UpperLayers, batches: Batches, labels: Tensor, *, steps: int, learning_rate: float = 2e-4
) -> list[float]:
    """Trains in place with AdamW, on all texts at every step; returns the mean loss before each step.

    With several processes each has its share of every batch. Raises CourseError when no batch has a text for each process.

    Args:
        network: is changed.
        batches: of `lower_layers`.
        labels: (n,) class numbers, in the order of the texts.
        steps: of AdamW.
        learning_rate: of AdamW.
    """
    rank, world_size = rank_and_world_size(network.head.device.type)
    if max(len(indices) for indices, _, _ in batches) < world_size:
        raise CourseError(
            say("No batch has a text for each of {world_size} processes: start fewer processes.", world_size=world_size)
        )
    own = slice(rank, None, world_size)
    batches = [(indices[own], h[own], mask[own]) for indices, h, mask in batches if len(indices) > rank]
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=learning_rate, weight_decay=0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        total = 0.0
        for indices, h, mask in batches:
            # Sums over batches divided by the number of all texts, so that a step sees the mean over texts and not over
            # batches; times world_size, because gradients are averaged over processes.
            loss = F.cross_entropy(network(h, mask), labels[indices].to(h.device), reduction="sum") * world_size / len(labels)
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
def predict_logits(network: UpperLayers, batches: Batches) -> Tensor:
    """The logits (n, classes) of all texts, in their order, on the CPU."""
    order = torch.cat([indices for indices, _, _ in batches]).argsort()
    return torch.cat([network(h, mask).cpu() for _, h, mask in batches])[order]


def _options(mask: Tensor) -> dict:
    """Arguments for a left-padded batch: positions count tokens, not columns."""
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    return {"attention_mask": mask, "position_ids": positions, "use_cache": False}
