"""Augmentation for tagged sentences, whose labels are words' tags and must keep in step (Dai & Adel 2020, COLING).

Label-wise token replacement: every word is replaced, with probability p, by a random word that has the same tag somewhere in
the training sentences. Mention replacement: every mention of an entity is replaced, with probability p, by a random mention of
the same type, of whatever length. Both know nothing but the training sentences.
"""

from collections.abc import Callable, Mapping, Sequence

import torch

Span = tuple[str, int, int]
Tagged = tuple[list[str], list[str]]


def replace_mention(words: Sequence[str], tags: Sequence[str], start: int, end: int, mention: Sequence[str]) -> Tagged:
    """A sentence whose mention, words start to end - 1, is replaced by another of its type, with BIO tags of the new length.

    The type is that of the tag at `start`; `mention` has at least one word. Returns lists of words and tags.
    """
    kind = tags[start][2:]
    inside = [f"B-{kind}"] + [f"I-{kind}"] * (len(mention) - 1)
    return [*words[:start], *mention, *words[end:]], [*tags[:start], *inside, *tags[end:]]


def token_replacement(
    words: Sequence[str], tags: Sequence[str], tokens: Mapping[str, Sequence[str]], p: float, generator: torch.Generator
) -> Tagged:
    """Label-wise token replacement with probability `p` a word; tokens: the training words of each tag."""
    changed = [_drawn(tokens[tag], generator) if _happens(p, generator) else w for w, tag in zip(words, tags, strict=True)]
    return changed, list(tags)


def mention_replacement(
    words: Sequence[str],
    tags: Sequence[str],
    spans: Sequence[Span],
    mentions: Mapping[str, Sequence[Sequence[str]]],
    p: float,
    generator: torch.Generator,
    replace: Callable[..., Tagged] = replace_mention,
) -> Tagged:
    """Mention replacement with probability `p` a mention; spans: the sentence's, mentions: the training mentions of each type.

    It goes from the last mention to the first, so that the places of those before stay.
    """
    changed = list(words), list(tags)
    for kind, start, end in sorted(spans, key=lambda span: -span[1]):
        if _happens(p, generator):
            changed = replace(*changed, start, end, list(_drawn(mentions[kind], generator)))
    return changed


def pools(sentences: Sequence[tuple[Sequence[str], Sequence[str], Sequence[Span]]]) -> tuple[dict, dict]:
    """From (words, tags, spans) of sentences: the words of each tag, and the mentions (tuples of words) of each type.

    A word that occurs twice stands there twice, so that a draw follows the frequencies.
    """
    tokens: dict[str, list[str]] = {}
    mentions: dict[str, list[tuple[str, ...]]] = {}
    for words, tags, spans in sentences:
        for word, tag in zip(words, tags, strict=True):
            tokens.setdefault(tag, []).append(word)
        for kind, start, end in spans:
            mentions.setdefault(kind, []).append(tuple(words[start:end]))
    return tokens, mentions


def _happens(p: float, generator: torch.Generator) -> bool:
    return torch.rand((), generator=generator).item() < p


def _drawn(choices: Sequence, generator: torch.Generator):
    return choices[int(torch.randint(len(choices), (), generator=generator))]
