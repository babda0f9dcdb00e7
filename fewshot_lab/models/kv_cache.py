"""The KV cache of a causal language model: a text is encoded once, and many continuations of it are computed from there.

In a causal model no token attends to a later one. What the layers computed for a text therefore holds whatever follows it, and
only the new tokens have to be computed (Pope et al. 2023, MLSys). Two uses: one beginning that many texts share, and many
endings tried after the same texts.
"""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

MAX_TOKENS = 768  # new ones in a batch, padding counted: large enough to be fast, small enough that little is padded
MAX_KEPT = 8 * MAX_TOKENS  # the prefix counted too: 140 MB of SmolLM2's keys and values in bfloat16

KeysValues = list[tuple[Tensor, Tensor]]  # of every layer


@dataclass(frozen=True)
class Prefix:
    """N encoded texts, in batches of similar lengths, padded on the left.

    indices: which of the N texts each batch holds, in its order. keys_values: for each batch the keys and values
    (B, heads, T, width) of every layer. masks: (B, T), 1 at a token and 0 at padding. hidden: the last layer's hidden states
    (B, T', d) of the tokens that were encoded last, T' <= T.
    """

    indices: tuple[Tensor, ...]
    keys_values: tuple[KeysValues, ...]
    masks: tuple[Tensor, ...]
    hidden: tuple[Tensor, ...]

    def last(self) -> Tensor:
        """The hidden state of each text's last token (N, d), in the order of the texts."""
        return self.ordered([h[:, -1] for h in self.hidden])

    def ordered(self, values: list[Tensor]) -> Tensor:
        """Values of each batch's texts along their first dimension, joined in the order of the texts."""
        order = torch.cat(self.indices).argsort()
        return torch.cat(values)[order.to(values[0].device)]

    def batches(self) -> Iterator[tuple[Tensor, "Prefix"]]:
        """For each batch the indices of its texts, and the batch as a prefix of its own."""
        for indices, keys_values, mask, hidden in zip(self.indices, self.keys_values, self.masks, self.hidden, strict=True):
            yield indices, Prefix((torch.arange(len(indices)),), (keys_values,), (mask,), (hidden,))

    def share(self, rank: int, world_size: int) -> "Prefix":
        """The texts of one process: rank, rank + world_size, ..., in this order."""
        if world_size == 1:
            return self
        parts = []
        for indices, keys_values, mask, hidden in zip(self.indices, self.keys_values, self.masks, self.hidden, strict=True):
            # A batch may hold no text of this process: it is left out, because the model takes no empty batch.
            if len(rows := (indices % world_size == rank).nonzero()[:, 0]):
                on_device = rows.to(mask.device)
                own = [(k[on_device], v[on_device]) for k, v in keys_values]
                parts.append((indices[rows] // world_size, own, mask[on_device], hidden[on_device]))
        return Prefix(*zip(*parts, strict=True))


def encode_prefix(tokenizer, model, texts: Sequence[str], *, after: Prefix | None = None) -> Prefix:
    """Encodes texts; no gradients are recorded.

    Args:
        tokenizer: the model's.
        model: a causal language model of transformers.
        texts: none of them empty.
        after: the prefix of one text that comes before each of them, if there is one.
    """
    with torch.no_grad():
        encoded = [
            (indices, *_forward(model, token_embeddings(model, ids), mask, cache))
            for indices, ids, mask, cache in _batches(tokenizer, model, texts, after)
        ]
    indices, hidden, keys_values, masks = zip(*encoded, strict=True)
    return Prefix(indices, keys_values, masks, hidden)


def last_hidden(tokenizer, model, texts: Sequence[str], *, after: Prefix | None = None) -> Tensor:
    """The hidden state of each text's last token (N, d): `encode_prefix(...).last()` without keeping keys and values."""
    if after is not None:
        return _packed_last_hidden(tokenizer, model, texts, after)
    all_indices, last = [], []
    with torch.no_grad():
        for indices, ids, mask, cache in _batches(tokenizer, model, texts, None):
            all_indices.append(indices)
            # A copy: a view of the last token would keep the hidden states of all tokens in memory.
            last.append(_forward(model, token_embeddings(model, ids), mask, cache)[0][:, -1].clone())
    return Prefix(tuple(all_indices), (), (), ()).ordered(last)


@torch.no_grad()
def _packed_last_hidden(tokenizer, model, texts: Sequence[str], after: Prefix) -> Tensor:
    """`last_hidden` where one text comes before all others: many texts side by side in a single row.

    Every text sees the shared prefix and itself, and no other text. As rows of a batch they would need a copy of the prefix's
    keys and values each, which takes longer than the few new tokens as soon as the prefix is long (Krell et al. 2021, packing).
    """
    tokens = _tokens(tokenizer, texts)
    shared = after.masks[0].shape[1]
    last, first = [], 0
    while first < len(tokens):
        end, total = first, 0
        while end < len(tokens) and (end == first or total + len(tokens[end]) <= MAX_TOKENS):
            total, end = total + len(tokens[end]), end + 1
        lengths = torch.tensor([len(ids) for ids in tokens[first:end]], device=model.device)
        ends = lengths.cumsum(0)
        text = torch.arange(len(lengths), device=model.device).repeat_interleave(lengths)  # (T,) which text a token is of
        columns = torch.arange(total, device=model.device)
        own = (text[:, None] == text) & (columns[:, None] >= columns)  # (T, T)
        visible = torch.cat([own.new_ones(total, shared), own], dim=1)
        mask = torch.zeros(visible.shape, dtype=model.dtype, device=model.device)
        mask = mask.masked_fill(~visible, torch.finfo(model.dtype).min)[None, None]
        positions = shared + columns - (ends - lengths)[text]
        ids = torch.tensor([[one for of_text in tokens[first:end] for one in of_text]], device=model.device)
        done, _ = _run(model, token_embeddings(model, ids), mask, positions[None], after.keys_values[0])
        last.append(done.last_hidden_state[0, ends - 1])
        first = end
    return torch.cat(last)


def extend(model, prefix: Prefix, endings: Tensor, *, every: bool = False) -> Tensor:
    """The hidden state of the last token when the N texts continue with each of c endings: (c, N, d).

    endings: embeddings (c, N, m, d), a text's own, or (c, 1, m, d), the same for all texts (see `token_embeddings`). Gradients
    flow to them. every: gives the states of all m tokens, (c, N, m, d).
    """
    last = []
    for indices, keys_values, mask in zip(prefix.indices, prefix.keys_values, prefix.masks, strict=True):
        c, n = len(endings), len(mask)
        inputs = endings.expand(c, n, -1, -1) if endings.shape[1] == 1 else endings[:, indices.to(endings.device)]
        new_mask = torch.ones(c * n, inputs.shape[2], dtype=mask.dtype, device=mask.device)
        with _fast_gradient(inputs):
            h, _, _ = _forward(model, inputs.flatten(0, 1), new_mask, _repeated(keys_values, mask, c))
        last.append((h if every else h[:, -1]).unflatten(0, (c, n)).transpose(0, 1))  # (n, c, ...)
    return prefix.ordered(last).transpose(0, 1)


@torch.no_grad()
def append_token(model, prefix: Prefix, rows: Tensor, ids: Tensor) -> Prefix:
    """The prefix of n texts, of those that it holds, each with one more token; what was computed before is not computed again.

    Args:
        model: the one that encoded the prefix.
        prefix: in a single batch, as few texts are; raises ValueError for more than one.
        rows: (n,), which of its texts, in any order; a text that is to continue in several ways stands there several times.
        ids: (n,), the token of each.
    """
    if len(prefix.indices) > 1:
        raise ValueError(f"One batch of texts can grow, not {len(prefix.indices)}: encode fewer texts at a time.")
    [keys_values], [mask], device = prefix.keys_values, prefix.masks, prefix.masks[0].device
    inside = prefix.indices[0].argsort()[rows.cpu()].to(device)  # the batch has an order of its own
    if not torch.equal(inside, torch.arange(len(mask), device=device)):  # copying all keys and values takes longer than asking
        keys_values, mask = [(k[inside], v[inside]) for k, v in keys_values], mask[inside]
    inputs, new = token_embeddings(model, ids[:, None]), mask.new_ones(len(mask), 1)
    hidden, keys_values, mask = _forward(model, inputs, new, (keys_values, mask))
    return Prefix((torch.arange(len(mask)),), (keys_values,), (mask,), (hidden,))


def token_embeddings(model, ids: Tensor) -> Tensor:
    """The model's input embeddings (..., d) of token ids (...)."""
    return model.get_input_embeddings()(ids)


def token_ids(tokenizer, model, text: str) -> Tensor:
    """The token ids (m,) of a text, on the model's device; raises ValueError for an empty text."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise ValueError("The text is empty: there is no token in it.")
    return torch.tensor(ids, device=model.device)


def padded_batches(tokenizer, texts: Sequence[str], device, prefix_length: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of similar lengths, padded on the left: the texts' indices (B,), token ids (B, T) and mask (B, T).

    Raises ValueError for an empty text.

    Args:
        tokenizer: the model's.
        texts: in any order.
        device: where ids and masks go.
        prefix_length: how many tokens come before each text, for they take memory too.
    """
    tokens = _tokens(tokenizer, texts)
    order = sorted(range(len(texts)), key=lambda index: len(tokens[index]))
    while order:
        # From the shortest on: text number n is the longest of the first n + 1, and all are padded to its length.
        lengths = ((n, len(tokens[order[n]])) for n in range(1, len(order)))
        too_large = (n for n, t in lengths if (n + 1) * t > MAX_TOKENS or (n + 1) * (prefix_length + t) > MAX_KEPT)
        size = next(too_large, len(order))
        rows, order = order[:size], order[size:]
        # On the left, so that the last token of every text is in the last column and a continuation follows it directly.
        padded = tokenizer.pad({"input_ids": [tokens[row] for row in rows]}, padding_side="left", return_tensors="pt")
        yield torch.tensor(rows), padded["input_ids"].to(device), padded["attention_mask"].to(device)


def _tokens(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    tokens = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    if empty := [number for number, ids in enumerate(tokens) if not ids]:
        raise ValueError(f"Text number {empty[0]} is empty: there is nothing to read.")
    return tokens


def _batches(tokenizer, model, texts: Sequence[str], after: Prefix | None) -> Iterator[tuple]:
    """For each batch the texts' indices, token ids, mask, and the keys, values and mask of what comes before."""
    prefix_length = 0 if after is None else after.masks[0].shape[1]
    for indices, ids, mask in padded_batches(tokenizer, texts, model.device, prefix_length):
        # `after` holds one text, so it has one batch: its row is repeated for every text here.
        yield indices, ids, mask, None if after is None else _repeated(after.keys_values[0], after.masks[0], len(indices))


def _repeated(keys_values: KeysValues, mask: Tensor, times: int) -> tuple[KeysValues, Tensor]:
    """The rows of a batch `times` times, one block after the other."""
    if times == 1:
        return keys_values, mask
    if len(mask) == 1:  # a single row is expanded, which copies nothing
        return [(k.expand(times, -1, -1, -1), v.expand(times, -1, -1, -1)) for k, v in keys_values], mask.expand(times, -1)
    return [(k.repeat(times, 1, 1, 1), v.repeat(times, 1, 1, 1)) for k, v in keys_values], mask.repeat(times, 1)


def _fast_gradient(inputs: Tensor) -> contextlib.AbstractContextManager:
    """For few tokens the gradient of attention is faster on a CPU by plain matrix products than by the fused kernel."""
    return sdpa_kernel(SDPBackend.MATH) if inputs.requires_grad else contextlib.nullcontext()


def _forward(
    model, inputs: Tensor, mask: Tensor, before: tuple[KeysValues, Tensor] | None
) -> tuple[Tensor, KeysValues, Tensor]:
    """Hidden states (B, T, d) of the inputs, and the keys, values and mask of everything encoded so far.

    Args:
        model: a causal language model of transformers.
        inputs: embeddings (B, T, d), not ids, so that a soft prompt goes the same way as words.
        mask: (B, T), of the inputs alone.
        before: keys, values and mask of what comes before the inputs.
    """
    if before is not None:
        mask = torch.cat([before[1], mask], dim=1)
    # Positions count tokens, not columns: the model would otherwise take a padded text for one that begins later.
    positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -inputs.shape[1] :]
    done, cache = _run(model, inputs, mask, positions, None if before is None else before[0])
    return done.last_hidden_state, [(layer.keys, layer.values) for layer in cache.layers], mask


def _run(model, inputs: Tensor, mask: Tensor, positions: Tensor, keys_values: KeysValues | None):
    """What the backbone returns for inputs after keys and values, if there are any, and the cache that it filled."""
    from transformers import DynamicCache

    # A new cache each time: it appends to itself, and the prefix must stay as it is for the next ending.
    cache = DynamicCache(keys_values) if keys_values is not None else DynamicCache()
    # transformers 5.24 renamed the argument to `cache`
    name = "cache" if "cache" in inspect.signature(model.model.forward).parameters else "past_key_values"
    embedded = inputs.to(model.dtype)
    # The backbone without its output layer: logits of all words at every token would be by far the largest tensor here.
    options = {"attention_mask": mask, "position_ids": positions, "use_cache": True, name: cache}
    return model.model(inputs_embeds=embedded, **options), cache
