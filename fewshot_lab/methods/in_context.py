"""In-context learning: a few labelled texts stand in the prompt, and no weight changes (Brown et al. 2020, NeurIPS).

The prompt is a list of demonstrations and, last, the text to be classified without its label. All texts share the
demonstrations, which are therefore encoded once. The prediction depends on their order (Lu et al. 2022, ACL) and leans to
labels that are frequent, recent or common words; calibration removes that bias (Zhao et al. 2021, ICML).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.kv_cache import encode_prefix, last_hidden
from .prompts import SLOT, label_tokens, next_token_log_probabilities

DEMONSTRATION = "{x} ->"


def demonstration_prompt(texts: Sequence[str], labels: Tensor, words: Sequence[str], template: str, order: Tensor) -> str:
    """The demonstrations in an order, each a filled template, a space, the word of its label and a line end.

    Args:
        texts: n of them.
        labels: (n,) class numbers.
        words: one for each class.
        template: holds {x}.
        order: (n,) the indices of the texts, in the order wanted.
    """
    return "".join(f"{template.replace(SLOT, texts[i])} {words[labels[i]]}\n" for i in order.tolist())


def random_order(n: int, seed: int) -> Tensor:
    """A random order of n demonstrations, from a seed."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def in_context_scores(
    tokenizer, model, prompt: str, texts: Sequence[str], words: Sequence[str], template: str = DEMONSTRATION
) -> Tensor:
    """log P(word | prompt, template(text)): (N, classes); the prompt is encoded once.

    Args:
        tokenizer: the model's.
        model: a causal language model.
        prompt: the demonstrations, see `demonstration_prompt`.
        texts: N of them.
        words: one for each class, each of one token.
        template: the one of the demonstrations.
    """
    demonstrations = encode_prefix(tokenizer, model, [prompt])
    # Each text is used once, so its own keys and values need not be kept.
    hidden = last_hidden(tokenizer, model, [template.replace(SLOT, text) for text in texts], after=demonstrations)
    return next_token_log_probabilities(model, hidden)[:, label_tokens(tokenizer, words)]
