"""A pretrained BERT with a class for each piece, split where the layers that keep their weights end."""

import copy

import torch
from torch import Tensor, nn


class Tagger(nn.Module):
    """The first `layers` of a BERT encoder and a linear layer; embeddings and the first `frozen_layers` keep their weights.

    These it shares with the encoder; the others are copies.
    """

    def __init__(self, encoder: nn.Module, classes: int, *, layers: int, frozen_layers: int = 0) -> None:
        super().__init__()
        width, self.padding = encoder.config.hidden_size, encoder.config.pad_token_id
        # Eager attention is the quickest without dropout, for sentences of twenty pieces. It is set before layers are copied,
        # as a copy keeps what the encoder had.
        encoder.set_attn_implementation("eager")
        # Sentence encoders were trained for whole sentences: the top layers help a word little at first and cost as much as
        # the others.
        frozen, learning = encoder.encoder.layer[:frozen_layers], encoder.encoder.layer[frozen_layers:layers]
        self.frozen = _part(encoder, encoder.embeddings, frozen).requires_grad_(False)
        self.learning = _part(encoder, _HiddenStates(), copy.deepcopy(learning)).requires_grad_(True)
        # Without dropout these short trainings score the same; it took a fifth of their time.
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.norm, self.head = nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, classes)

    @torch.no_grad()
    def lower(self, tokens: Tensor) -> Tensor:
        """What the layers that keep their weights make of ids of pieces (B, T): (B, T, width), zeros at padding."""
        mask = self.mask(tokens)
        return self.frozen(input_ids=tokens, attention_mask=mask.long()).last_hidden_state * mask[:, :, None]

    def mask(self, x: Tensor) -> Tensor:
        """Which pieces are no padding (B, T), for ids or for what `lower` gives for them."""
        return (x != 0).any(dim=2) if x.is_floating_point() else x != self.padding

    def forward(self, x: Tensor) -> Tensor:
        """x: ids of pieces (B, T), padding at the end, or what `lower` gives for them. Returns logits (B, T, classes)."""
        h = x if x.is_floating_point() else self.lower(x)
        z = self.learning(inputs_embeds=h, attention_mask=self.mask(h).long()).last_hidden_state  # (B, T, width)
        return self.head(self.norm(z))


class _HiddenStates(nn.Module):
    """In the place of a BERT's embeddings: takes what the layers below have computed."""

    def forward(self, *, inputs_embeds: Tensor, **_: object) -> Tensor:
        return inputs_embeds


def _part(encoder: nn.Module, embeddings: nn.Module, layers: nn.ModuleList) -> nn.Module:
    """A BERT with these embeddings and layers. Shallow copies keep the library's masks and leave the encoder as it is."""
    part, stack = copy.copy(encoder), copy.copy(encoder.encoder)
    part._modules, stack._modules = dict(part._modules), dict(stack._modules)
    # The pooler is a summary of the sentence, which no word needs.
    part.embeddings, part.encoder, part.pooler, stack.layer = embeddings, stack, None, layers
    return part
