"""Augmentation for tagged sentences: words change, and their tags change with them (Dai & Adel 2020, COLING).

Label-wise token replacement: every word is replaced, with probability p, by a random word that has the same tag somewhere in
the training sentences. Mention replacement: every mention of an entity is replaced, with probability p, by a random mention of
the same type, of whatever length. Both draw from the training sentences alone.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

Tagged = tuple[list[str], list[str]]


class Pools(NamedTuple):
    """What replacements are drawn from: the training words of each tag, the training mentions (tuples of words) of each type.

    A word that occurs twice is listed twice, so that a draw follows the frequencies.
    """

    tokens: dict[str, list[str]]
    mentions: dict[str, list[tuple[str, ...]]]


def pools(sentences: Sequence[tuple[Sequence[str], Sequence[str], Sequence[tuple[str, int, int]]]]) -> Pools:
    """The pools of sentences, each (words, tags, spans)."""
    tokens: dict[str, list[str]] = {}
    mentions: dict[str, list[tuple[str, ...]]] = {}
    for words, tags, spans in sentences:
        for word, tag in zip(words, tags, strict=True):
            tokens.setdefault(tag, []).append(word)
        for kind, start, end in spans:
            mentions.setdefault(kind, []).append(tuple(words[start:end]))
    return Pools(tokens, mentions)


def replace_mention(words: Sequence[str], tags: Sequence[str], start: int, end: int, mention: Sequence[str]) -> Tagged:
    """A sentence with another mention in place of words start to end - 1; returns lists of words and BIO tags.

    Args:
        words: of the sentence.
        tags: BIO, one for each word; the type of the mention is that of the tag at `start`.
        start: the index of the mention's first word.
        end: the index behind its last word.
        mention: the words of the other mention, at least one.
    """
    kind = tags[start][2:]
    inside = [f"B-{kind}"] + [f"I-{kind}"] * (len(mention) - 1)
    return [*words[:start], *mention, *words[end:]], [*tags[:start], *inside, *tags[end:]]


OPERATIONS: dict[str, Callable[..., Tagged | None]] = {}


def _operation(name: str) -> Callable:
    """Declares the decorated function, which makes a changed copy of a sentence, as the operation of that name."""

    def declare(change: Callable[..., Tagged | None]) -> Callable[..., Tagged | None]:
        OPERATIONS[name] = change
        return change

    return declare


@_operation("none")
def no_copy(words, tags, spans, pools, p, generator, replace=replace_mention) -> None:
    """No copy: a sentence that is there twice teaches nothing new."""
    return None


@_operation("tokens")
def token_replacement(words, tags, spans, pools, p, generator, replace=replace_mention) -> Tagged:
    """Label-wise token replacement: with probability p, a word becomes another with the same tag.

    Args:
        words: of the sentence.
        tags: BIO, one for each word.
        spans: not used.
        pools: what the new words are drawn from.
        p: the probability, 0 to 1, that a word is replaced.
        generator: makes the draws.
        replace: not used.
    """
    changed = [
        _choice(pools.tokens[tag], generator) if _occurs(p, generator) else word for word, tag in zip(words, tags, strict=True)
    ]
    return changed, list(tags)


@_operation("mentions")
def mention_replacement(words, tags, spans, pools, p, generator, replace=replace_mention) -> Tagged:
    """Mention replacement: with probability p, a mention becomes another of its type.

    Args:
        words: of the sentence.
        tags: BIO, one for each word.
        spans: the sentence's entities as (type, first word, behind the last word).
        pools: what the new mentions are drawn from.
        p: the probability, 0 to 1, that a mention is replaced.
        generator: makes the draws.
        replace: puts one mention in the place of another.
    """
    changed = list(words), list(tags)
    # From the last mention to the first: a longer or shorter mention moves only the words behind it.
    for kind, start, end in sorted(spans, key=lambda span: -span[1]):
        if _occurs(p, generator):
            changed = replace(*changed, start, end, list(_choice(pools.mentions[kind], generator)))
    return changed


def _occurs(p: float, generator: torch.Generator) -> bool:
    return torch.rand((), generator=generator).item() < p


def _choice(choices: Sequence, generator: torch.Generator):
    return choices[int(torch.randint(len(choices), (), generator=generator))]
