"""What a reader can know about a made sentence: all the ways in which the grammar could have made it.

The ceiling of the made corpus: `readings` knows templates and names, `types_of_names` the names alone.
"""

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from . import templates
from .conll import Tags
from .sentences import NAME, PIECE, choices, part_names, part_templates


def readings(words: Sequence[str], part: str) -> set[Tags]:
    """The BIO tags that a sentence can have, for a reader who knows the grammar; several where it tossed a coin in secret.

    words: of the sentence. part: whose templates and names may have made it, one of `sentences.SIZES`. Empty for a sentence
    that the part cannot make.
    """
    return {tags for _, pieces in _expansions(part) for tags in _ways(pieces, tuple(words), part)}


@functools.cache
def types_of_names(part: str) -> dict[tuple[str, ...], str]:
    """The most probable type of every name (a tuple of words) of a part, when the sentence around it is not known."""
    uses: dict[str, float] = defaultdict(float)  # how often a slot occurs in a sentence
    for probability, pieces in _expansions(part):
        for piece in pieces:
            if piece[0] == "<":
                uses[piece[1:-1]] += probability
    weights: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for slot, use in uses.items():
        kind, _ = templates.SLOTS[slot]
        for words, probability in _fills(slot, part).items():
            weights[words][kind] += use * probability
    likeliest = {words: max(kinds, key=kinds.get) for words, kinds in weights.items()}
    return {words: kind for words, kind in likeliest.items() if kind != "O"}


@functools.cache
def _expansions(part: str) -> list[tuple[float, tuple[str, ...]]]:
    """Every template with every choice made: (probability, words and slots)."""
    texts = part_templates(part)
    return [(probability / len(texts), tuple(PIECE.findall(chosen))) for text in texts for chosen, probability in choices(text)]


@functools.cache
def _fills(slot: str, part: str) -> dict[tuple[str, ...], float]:
    """Everything that a slot can become, with its probability."""
    names, (_, forms) = part_names(part), templates.SLOTS[slot]
    fills: dict[tuple[str, ...], float] = defaultdict(float)
    for form in forms:
        pools = [names[found[1]] for found in NAME.finditer(form)]
        for drawn in itertools.product(*pools):
            left = iter(drawn)
            text = NAME.sub(lambda found, left=left: found[0].format(**{found[1]: next(left)}), form)
            fills[tuple(text.split())] += 1 / len(forms) / math.prod(map(len, pools))
    return fills


def _ways(pieces: tuple[str, ...], words: tuple[str, ...], part: str) -> set[Tags]:
    """The tags of every way in which words and slots become these words."""
    if not pieces or not words:
        return set() if pieces or words else {()}
    first, rest = pieces[0], pieces[1:]
    if first[0] != "<":
        return {("O", *tags) for tags in _ways(rest, words[1:], part)} if first == words[0] else set()
    kind, _ = templates.SLOTS[first[1:-1]]
    ways = set()
    for end in range(1, len(words) - len(rest) + 1):
        if words[:end] in _fills(first[1:-1], part):
            tags = ("O",) * end if kind == "O" else (f"B-{kind}",) + (f"I-{kind}",) * (end - 1)
            ways |= {(*tags, *after) for after in _ways(rest, words[end:], part)}
    return ways
