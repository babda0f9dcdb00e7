"""A causal language model that reads a text once: what it keeps of it (keys and values) serves all that goes on from there.

In a causal model no token sees a later one. So what the layers computed for a text stays right whatever follows, and only the
new tokens have to be computed (the "KV cache"; Pope et al. 2023, MLSys). Two uses: one beginning shared by many texts, and
many endings tried after the same texts.
"""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

TOKENS = 768  # in a batch, padding counted: large enough to be fast, small enough that little is padded
KEPT = 8 * TOKENS  # in a batch, with what each text goes on from: 140 MB of SmolLM2's keys and values in bfloat16

Pairs = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Prefix:
    """N texts as the model keeps them, in batches of like lengths, padded on the left.

    places: where the texts of each batch stand among the N. pairs: for each batch the keys and values (B, heads, T, width) of
    every layer. masks: (B, T), 1 at a token and 0 at padding. hidden: the last layer's vectors (B, T', d) of the tokens that
    were read last.
    """

    places: tuple[Tensor, ...]
    pairs: tuple[Pairs, ...]
    masks: tuple[Tensor, ...]
    hidden: tuple[Tensor, ...]

    def last(self) -> Tensor:
        """The last token's vector of each text (N, d), in the texts' order."""
        return self.ordered([h[:, -1] for h in self.hidden])

    def mean(self) -> Tensor:
        """The mean of each text's vectors (N, d), padding left out, in the texts' order."""
        weights = [mask[:, -h.shape[1] :, None].to(h) for h, mask in zip(self.hidden, self.masks, strict=True)]
        return self.ordered([(h * w).sum(1) / w.sum(1) for h, w in zip(self.hidden, weights, strict=True)])

    def ordered(self, values: list[Tensor]) -> Tensor:
        """Values of each batch's texts along their first dimension, put together in the texts' order."""
        order = torch.cat(self.places).argsort()
        return torch.cat(values)[order.to(values[0].device)]

    def batches(self) -> Iterator[tuple[Tensor, "Prefix"]]:
        """Each batch as a prefix of its own, after the places of its texts."""
        for places, pairs, mask, hidden in zip(self.places, self.pairs, self.masks, self.hidden, strict=True):
            yield places, Prefix((torch.arange(len(places)),), (pairs,), (mask,), (hidden,))

    def share(self, rank: int, world_size: int) -> "Prefix":
        """Texts rank, rank + world_size, ... alone, in this order."""
        if world_size == 1:
            return self
        parts = []
        for places, pairs, mask, hidden in zip(self.places, self.pairs, self.masks, self.hidden, strict=True):
            if len(own := (places % world_size == rank).nonzero()[:, 0]):
                here = own.to(mask.device)
                kept = [(k[here], v[here]) for k, v in pairs]
                parts.append((places[own] // world_size, kept, mask[here], hidden[here]))
        return Prefix(*zip(*parts, strict=True))


def encode_prefix(tokenizer, model, texts: Sequence[str], *, after: Prefix | None = None) -> Prefix:
    """Reads texts, each after the one text of `after` when that is given; no gradients are recorded."""
    batches = _batches(tokenizer, model, texts, after)
    with torch.no_grad():
        found = [(rows, *_forward(model, token_embeddings(model, ids), mask, before)) for rows, ids, mask, before in batches]
    places, hidden, pairs, masks = zip(*found, strict=True)
    return Prefix(places, pairs, masks, hidden)


def last_hidden(tokenizer, model, texts: Sequence[str], *, after: Prefix | None = None) -> Tensor:
    """The last token's hidden vector of each text (N, d): `encode_prefix(...).last()` without keeping keys and values."""
    places, last = [], []
    with torch.no_grad():
        for rows, ids, mask, before in _batches(tokenizer, model, texts, after):
            places.append(rows)
            last.append(_forward(model, token_embeddings(model, ids), mask, before)[0][:, -1].clone())
    return Prefix(tuple(places), (), (), ()).ordered(last)


def padded_batches(tokenizer, texts: Sequence[str], device, before: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of like lengths, padded on the left: the texts' places (B,), token numbers (B, T), mask (B, T).

    before: how many tokens each text goes on from.
    """
    tokens = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    if empty := [number for number, ids in enumerate(tokens) if not ids]:
        raise ValueError(f"Text number {empty[0]} is empty: there is nothing to read.")
    order = sorted(range(len(texts)), key=lambda row: len(tokens[row]))
    while order:
        lengths = ((n, len(tokens[order[n]])) for n in range(1, len(order)))  # the longest of n + 1 texts
        full = (n for n, longest in lengths if (n + 1) * longest > TOKENS or (n + 1) * (before + longest) > KEPT)
        size = next(full, len(order))
        rows, order = order[:size], order[size:]
        padded = tokenizer.pad({"input_ids": [tokens[row] for row in rows]}, padding_side="left", return_tensors="pt")
        yield torch.tensor(rows), padded["input_ids"].to(device), padded["attention_mask"].to(device)


def extend(model, prefix: Prefix, endings: Tensor) -> Tensor:
    """The last token's vector when the N texts go on with each of c endings: (c, N, d).

    endings: embeddings (c, N, m, d), each text's own, or (c, 1, m, d), the same for all (see `token_embeddings`). Gradients
    flow to them.
    """
    found = []
    for rows, pairs, mask in zip(prefix.places, prefix.pairs, prefix.masks, strict=True):
        c, n = len(endings), len(mask)
        inputs = endings.expand(c, n, -1, -1) if endings.shape[1] == 1 else endings[:, rows.to(endings.device)]
        new = torch.ones(c * n, inputs.shape[2], dtype=mask.dtype, device=mask.device)
        with _quick_gradient(inputs):
            h, _, _ = _forward(model, inputs.flatten(0, 1), new, _repeated(pairs, mask, c))
        found.append(h[:, -1].unflatten(0, (c, n)).transpose(0, 1))  # (n, c, d)
    return prefix.ordered(found).transpose(0, 1)


def token_embeddings(model, ids: Tensor) -> Tensor:
    """The input vectors (..., d) of token numbers (...)."""
    return model.get_input_embeddings()(ids)


def token_ids(tokenizer, model, text: str) -> Tensor:
    """The token numbers (m,) of a text, on the model's device; raises ValueError for an empty text."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise ValueError("The text is empty: there is no token in it.")
    return torch.tensor(ids, device=model.device)


def _batches(tokenizer, model, texts: Sequence[str], after: Prefix | None) -> Iterator[tuple]:
    """(places, token numbers, mask, what all go on from) of each batch."""
    beginning = 0 if after is None else after.masks[0].shape[1]
    for rows, ids, mask in padded_batches(tokenizer, texts, model.device, beginning):
        yield rows, ids, mask, None if after is None else _repeated(after.pairs[0], after.masks[0], len(rows))


def _repeated(pairs: Pairs, mask: Tensor, times: int) -> tuple[Pairs, Tensor]:
    """The batch `times` times, one after the other."""
    if times == 1:
        return pairs, mask
    if len(mask) == 1:  # no copy in memory
        return [(k.expand(times, -1, -1, -1), v.expand(times, -1, -1, -1)) for k, v in pairs], mask.expand(times, -1)
    return [(k.repeat(times, 1, 1, 1), v.repeat(times, 1, 1, 1)) for k, v in pairs], mask.repeat(times, 1)


def _quick_gradient(inputs: Tensor) -> contextlib.AbstractContextManager:
    """For few tokens the gradient of attention is faster on a CPU by plain matrix products than by the fused kernel."""
    return sdpa_kernel(SDPBackend.MATH) if inputs.requires_grad else contextlib.nullcontext()


def _forward(model, inputs: Tensor, mask: Tensor, before: tuple[Pairs, Tensor] | None) -> tuple[Tensor, Pairs, Tensor]:
    """Hidden vectors (B, T, d) of the inputs, and the keys, values and mask of all that has been read."""
    from transformers import DynamicCache

    cache = DynamicCache()
    if before is not None:
        cache = DynamicCache(before[0])
        mask = torch.cat([before[1], mask], dim=1)
    positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -inputs.shape[1] :]
    # `cache` is the name since transformers 5.24
    name = "cache" if "cache" in inspect.signature(model.model.forward).parameters else "past_key_values"
    embedded = inputs.to(model.dtype)
    done = model.model(inputs_embeds=embedded, attention_mask=mask, position_ids=positions, use_cache=True, **{name: cache})
    return done.last_hidden_state, [(layer.keys, layer.values) for layer in cache.layers], mask
