"""Fine-tuning the upper layers of a causal language model, from its prompt or with a new head (Le Scao & Rush 2021, NAACL).

The lower layers stay frozen, so what they give for a text never changes and is computed once: a step costs the upper layers
only. The head is either the label words' rows of the output table (the prompt's own) or new, starting from zero.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH = 64


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
def from_below(tokenizer, model, filled: list[str], layers: int) -> tuple[Tensor, Tensor]:
    """What the layers under the last `layers` give for filled templates: (n, T, d) in float32, and the mask (n, T)."""
    tokens = tokenizer(filled, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt").to(
        model.device
    )
    mask = tokens["attention_mask"]
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    done = model.model(**tokens, position_ids=positions, use_cache=False, output_hidden_states=True)
    return done.hidden_states[-1 - layers].float(), mask


def fine_tune(
    network: UpperLayers, h: Tensor, mask: Tensor, labels: Tensor, *, steps: int, learning_rate: float = 1e-4
) -> list[float]:
    """Trains in place on all texts at every step with AdamW; returns the loss before each step."""
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=learning_rate, weight_decay=0.01)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(network(h, mask), labels.to(h.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def answers(network: UpperLayers, h: Tensor, mask: Tensor) -> Tensor:
    """The logits (n, classes) of many texts, batch by batch, on the CPU."""
    return torch.cat([network(*part) for part in zip(h.split(BATCH), mask.split(BATCH), strict=True)]).cpu()
