"""Training texts that a language model writes, class by class, and a filter that lets the model read them back.

A prompt names the class, and what the model writes after it gets the class as its label, so no labelled text is needed: ZeroGen
(Ye et al. 2022, EMNLP). The labels are noisy, because a model does not always write what it was asked for; SuperGen (Meng et
al. 2022, NeurIPS) keeps the texts that the model finds most likely, SunGen (Gao et al. 2023, ICLR) learns a weight for each.
Here a text is kept when the same model, asked what class it describes, names the class that it was written for.

Functions that take a tokenizer and a model take those of `models.language.smollm2`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ..models import kv_cache

# Set by hand, among four: what they made the model write was read, and how much of it the model read back as meant.
PROMPT = 'Dictionary of nouns. A word for a kind of {name} is defined as "'
END_SIGNS = frozenset('".“”ċ')  # ċ is how the vocabulary spells the end of a line, in lower case
AT_A_TIME = 256  # texts that grow together
P, TOP_K = 0.9, 50  # of the nucleus, as in ZeroGen; how many tokens transformers' `generate` leaves before it
MOST_TOKENS = 20  # of a text
RUN = 4  # words in a row that two texts share before they are compared any further
NEAR = 0.75  # the share of a text's words in a row that makes it a near copy

Nucleus = Callable[[Tensor, float], Tensor]


def nucleus(probabilities: Tensor, p: float) -> Tensor:
    """The distribution over the smallest set of most probable tokens whose probabilities sum to at least p, (n, V).

    Other tokens get 0, and those of the set are divided by their sum. Source: Holtzman et al. 2020 (ICLR), equations 2 and 3.

    probabilities: (n, V), rows sum to 1. p: above 0, at most 1.
    """
    ordered, tokens = probabilities.sort(dim=1, descending=True)
    # A token belongs to the set as long as those before it do not reach p yet; so the one that crosses p does.
    before = ordered.cumsum(dim=1) - ordered
    kept = torch.zeros_like(probabilities).scatter(1, tokens, ordered * (before < p))
    return kept / kept.sum(dim=1, keepdim=True)


def drawn(distribution: Tensor, draws: Tensor) -> Tensor:
    """The token (n,) on which a draw (n,), 0 to 1, falls in each row of a distribution (n, V): its cumulative sum, inverted."""
    # Rounded sums may stay below 1: a draw beyond falls on the last token that has a probability.
    last = distribution.shape[1] - 1 - (distribution.flip(1) > 0).int().argmax(dim=1)
    return torch.minimum((distribution.cumsum(dim=1) <= draws[:, None]).sum(dim=1), last)


def write(
    tokenizer,
    model,
    prompts: Sequence[str],
    draws: Tensor,
    *,
    without: Sequence[str],
    p: float = P,
    nucleus: Nucleus = nucleus,
    progress: Callable[[range], Iterable[int]] = iter,
) -> list[str]:
    """One text after each prompt, sampled token by token until a quotation mark, a full stop or the end of the line.

    Many texts grow together, and the KV cache holds what was computed for them; texts that have ended leave the batch.

    Args:
        tokenizer: the model's.
        model: a causal language model.
        prompts: N of them; equal ones are encoded once.
        draws: (N, T), uniform from 0 to 1: a text has at most T tokens and is the same in whatever company it is written, up
            to rounding.
        without: for each a word in lower case with which no token of its text may begin.
        p: of the nucleus among the TOP_K most probable tokens.
        nucleus: the function of this name.
        progress: a bar around the loop over batches.
    """
    texts = []
    for first in progress(range(0, len(prompts), AT_A_TIME)):
        batch = slice(first, first + AT_A_TIME)
        texts += _write(tokenizer, model, prompts[batch], draws[batch], without[batch], p, nucleus)
    return texts


@torch.no_grad()
def _write(tokenizer, model, prompts, draws, without, p, nucleus) -> list[str]:
    different = sorted(set(zip(prompts, without, strict=True)))
    which = torch.tensor([different.index(pair) for pair in zip(prompts, without, strict=True)])
    prefix = kv_cache.encode_prefix(tokenizer, model, [prompt for prompt, _ in different])
    vocabulary = _vocabulary(tokenizer)
    ends = torch.tensor([not END_SIGNS.isdisjoint(token) for token in vocabulary])
    ends[tokenizer.all_special_ids] = True
    barred = torch.tensor([[token.startswith(word) for token in vocabulary] for _, word in different])
    alive, rows, tokens = torch.arange(len(prompts)), which, [[] for _ in prompts]
    hidden = prefix.last()[which]
    for t in range(draws.shape[1]):
        logits = model.get_output_embeddings()(hidden)
        likely, candidates = (values.cpu() for values in logits.topk(TOP_K, dim=1))
        likely = likely.float().masked_fill(barred[which[alive, None], candidates], -torch.inf)
        chosen = drawn(nucleus(likely.softmax(dim=1), p), draws[alive, t])
        ids = candidates.gather(1, chosen[:, None])[:, 0]
        goes_on = ~ends[ids]
        alive, rows, ids = alive[goes_on], rows[goes_on], ids[goes_on]
        for text, token in zip(alive.tolist(), ids.tolist(), strict=True):
            tokens[text].append(token)
        if not len(alive) or t == draws.shape[1] - 1:
            break
        prefix = kv_cache.append_token(model, prefix, rows, ids.to(model.device))
        hidden, rows = prefix.last(), torch.arange(len(alive))
    return [tokenizer.decode(one).strip(" ,;:") for one in tokens]


def _vocabulary(tokenizer) -> list[str]:
    """Every token of the vocabulary in lower case, without the space before it."""
    tokens = [""] * len(tokenizer)
    for token, number in tokenizer.get_vocab().items():
        tokens[number] = token.removeprefix("Ġ").lower()  # Ġ is how this vocabulary spells a space
    return tokens


def usable(text: str, name: str) -> bool:
    """Whether a text is one that the task could have: three words or more, and not the name of its class among them."""
    return len(text.split()) >= 3 and not re.search(rf"\b{name}(s|es)?\b", text, re.IGNORECASE)


def keep_read_back(scores: Tensor, meant: Tensor, margin: float = 0.0) -> Tensor:
    """Which texts are read back as the class that they were written for: (n,) booleans.

    scores: (n, classes). meant: (n,) class numbers. margin: by how much the meant class must lead every other, 0 or more.
    """
    own = scores.gather(1, meant[:, None])
    others = scores.scatter(1, meant[:, None], -torch.inf)
    return (own[:, 0] - others.amax(dim=1)) >= margin


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"[a-z0-9]+", text.lower())


def distinct_share(texts: Iterable[str], n: int = 3) -> float:
    """How many of all n-grams of words are different ones, 0 to 1 (distinct-n, Li et al. 2016, NAACL).

    It falls as texts are added, so compare equally many. Raises ValueError where no text has n words.
    """
    grams = [tuple(words[i : i + n]) for words in map(words_of, texts) for i in range(len(words) - n + 1)]
    if not grams:
        raise ValueError(f"None of these texts has {n} words.")
    return len(set(grams)) / len(grams)


def longest_runs(texts: Sequence[str], sources: Iterable[str]) -> list[tuple[float, str]]:
    """For each text the longest run of its words that stands in one source: its share of the text's words, and that source.

    Runs of fewer than RUN words count as (0, ""). Of equally long ones the first source is given. From NEAR on we speak of a
    near copy.
    """
    lists, places = [words_of(text) for text in texts], defaultdict(list)
    for text, words in enumerate(lists):
        for place in range(len(words) - RUN + 1):
            places[tuple(words[place : place + RUN])].append((text, place))
    best = [(0, "")] * len(lists)
    for source in sources:
        words, running = words_of(source), {}  # {(text, place): the length of the run that has come there}
        for i in range(len(words) - RUN + 1):
            here = places.get(tuple(words[i : i + RUN]), ())
            running = {(text, at): running.get((text, at - 1), RUN - 1) + 1 for text, at in here}
            for (text, _), length in running.items():
                if length > best[text][0]:
                    best[text] = length, source
    return [(length / len(words) if words else 0.0, source) for (length, source), words in zip(best, lists, strict=True)]
