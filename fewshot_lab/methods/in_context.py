"""In-context learning: a few labelled texts stand in the prompt, no weight changes (Brown et al. 2020, NeurIPS).

The prompt is a list of demonstrations and, last, the text to be read with its label missing. All texts share the
demonstrations, which are therefore read once. The answer depends on their order (Lu et al. 2022, ACL) and leans to labels
that are frequent, recent or common words; calibration takes that out (Zhao et al. 2021, ICML).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.kv_cache import encode_prefix, last_hidden
from .prompts import PLACE, label_tokens, next_word_log_probabilities

DEMONSTRATION = "{x} ->"


def demonstration_prompt(texts: Sequence[str], labels: Tensor, words: Sequence[str], template: str, order: Tensor) -> str:
    """The demonstrations in the given order, each a filled template, a space, its label's word and a new line.

    labels: (n,) class numbers, words: one per class, order: (n,) the places of the texts in the order wanted.
    """
    return "".join(f"{template.replace(PLACE, texts[i])} {words[labels[i]]}\n" for i in order.tolist())


def random_order(n: int, seed: int) -> Tensor:
    """A random order of n demonstrations, from a seed."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def in_context_scores(
    tokenizer, model, prompt: str, texts: Sequence[str], words: Sequence[str], template: str = DEMONSTRATION
) -> Tensor:
    """log P(word | prompt, template(text)): (N, classes); the prompt is read once."""
    shown = encode_prefix(tokenizer, model, [prompt])
    filled = [template.replace(PLACE, text) for text in texts]
    hidden = last_hidden(tokenizer, model, filled, after=shown)
    return next_word_log_probabilities(model, hidden)[:, label_tokens(tokenizer, words)]
