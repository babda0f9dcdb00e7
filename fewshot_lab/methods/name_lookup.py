"""The baseline without a network: names that are known are looked up, whatever the sentence says about them."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence

from ..data.conll import Sentence, Tags, spans


def lookup(train: Sequence[Sentence], words: Sequence[str]) -> Tags:
    """The baseline without a network: the longest entities of the training sentences, each with its most frequent type."""
    return tag_known_names(_known_entities(tuple(train)), words)


def tag_known_names(type_of: Mapping[tuple[str, ...], str], words: Sequence[str]) -> Tags:
    """The tags of a sentence in which names are looked up, the longest first.

    type_of: the type of each known name, which is a tuple of words. words: of the sentence.
    """
    tags, start, longest = ["O"] * len(words), 0, max(map(len, type_of), default=0)
    while start < len(words):
        for end in range(min(len(words), start + longest), start, -1):
            if kind := type_of.get(tuple(words[start:end])):
                tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
                start = end - 1
                break
        start += 1
    return tuple(tags)


@functools.cache
def _known_entities(train: tuple[Sentence, ...]) -> dict[tuple[str, ...], str]:
    """The most frequent type of every entity."""
    counts: dict[tuple[str, ...], Counter] = {}
    for sentence in train:
        for kind, start, end in spans(sentence.tags):
            counts.setdefault(sentence.words[start:end], Counter())[kind] += 1
    return {words: types.most_common(1)[0][0] for words, types in counts.items()}
