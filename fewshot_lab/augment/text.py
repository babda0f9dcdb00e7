"""Edits of a text, word by word: synonym replacement and random insertion, swap and deletion (EDA; Wei & Zou 2019, EMNLP).

A text is a list of words, split at spaces; a comma stays with its word. Each edit is given its random draws, so that it can be
followed by hand; `changed` makes the draws. With l words and strength alpha, n = max(1, round(alpha l)) words are replaced,
inserted or swapped, and each word is deleted with probability alpha. `synonyms` maps a word to its possible replacements; a
word that it does not know, such as a stop word, is never replaced.
"""

import random
from collections.abc import Callable, Mapping, Sequence

Synonyms = Mapping[str, Sequence[str]]
OPERATIONS = ("synonyms", "insertion", "swap", "deletion", "eda")


def synonym_replacement(words: Sequence[str], synonyms: Mapping[str, str], draws: Sequence[float], count: int) -> list[str]:
    """Replaces `count` of the words that have a synonym, those with the smallest draws; all of them when they are fewer.

    synonyms: {word: its replacement}. draws: a number for each place.
    """
    known = [place for place, word in enumerate(words) if word in synonyms]
    chosen = set(sorted(known, key=lambda place: draws[place])[:count])
    return [synonyms[word] if place in chosen else word for place, word in enumerate(words)]


def random_insertion(words: Sequence[str], insertions: Sequence[tuple[int, str]]) -> list[str]:
    """Puts new words in, one after the other: (place, word) means before the word that stands at this place by then."""
    words = list(words)
    for place, word in insertions:
        words.insert(place, word)
    return words


def random_swap(words: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Lets two words change places, one pair (i, j) of places after the other."""
    words = list(words)
    for i, j in pairs:
        words[i], words[j] = words[j], words[i]
    return words


def random_deletion(words: Sequence[str], draws: Sequence[float], share: float) -> list[str]:
    """Keeps the words whose draw (0 to 1) is at least `share`; if none is, the one with the largest draw."""
    kept = [word for word, draw in zip(words, draws, strict=True) if draw >= share]
    return kept or [words[max(range(len(words)), key=lambda place: draws[place])]]


EDITS: dict[str, Callable] = {f.__name__: f for f in (synonym_replacement, random_insertion, random_swap, random_deletion)}


def changed(
    text: str,
    operation: str,
    alpha: float,
    synonyms: Synonyms,
    generator: random.Random,
    edits: Mapping[str, Callable] = EDITS,
) -> str:
    """The text after one operation of strength alpha (0..1), with draws from the generator; "eda" draws the operation too.

    edits: the functions by name, to put others in their place. Raises ValueError for an unknown operation or strength.
    """
    if operation not in OPERATIONS or not 0 <= alpha <= 1:
        raise ValueError(f"operation is one of {', '.join(OPERATIONS)} and alpha from 0 to 1, not {operation!r} and {alpha}.")
    if operation == "eda":
        operation = generator.choice(OPERATIONS[:4])
    words = text.split()
    count = max(1, round(alpha * len(words))) if alpha else 0
    drawn = {word: generator.choice(synonyms[word]) for word in dict.fromkeys(words) if synonyms.get(word)}
    draws = [generator.random() for _ in words]
    if operation == "synonyms":
        return " ".join(_with_articles(edits["synonym_replacement"](words, drawn, draws, count), words))
    if operation == "insertion":
        new = sorted({word.strip("()[],;:.'") for word in drawn.values()})
        insertions = [(generator.randrange(len(words) + n + 1), generator.choice(new)) for n in range(count if new else 0)]
        return " ".join(edits["random_insertion"](words, insertions))
    if operation == "swap":
        pairs = [tuple(generator.sample(range(len(words)), 2)) for _ in range(count if len(words) > 1 else 0)]
        return " ".join(edits["random_swap"](words, pairs))
    return " ".join(edits["random_deletion"](words, draws, alpha))


def augmented_set(
    texts: Sequence[str], labels: Sequence[int], change: Callable[[str, int], str], copies: int
) -> tuple[list[str], list[int]]:
    """The texts, then the new ones among the copies change(text, r), r = 0..copies - 1, text after text; each with its label.

    A copy that equals its text or an earlier copy of it is left out: it would only count a text twice.
    """
    more_texts, more_labels = list(texts), list(labels)
    for text, label in zip(texts, labels, strict=True):
        made = dict.fromkeys(change(text, r) for r in range(copies))
        made.pop(text, None)
        more_texts += made
        more_labels += [label] * len(made)
    return more_texts, more_labels


def _with_articles(words: Sequence[str], before: Sequence[str]) -> list[str]:
    """The words with "a" or "an" in front of a replaced word as its first letter asks for."""
    fixed = list(words)
    for place in range(1, len(words)):
        if words[place] != before[place] and words[place - 1] in ("a", "an"):
            fixed[place - 1] = "an" if words[place].lstrip("(")[:1].lower() in tuple("aeio") else "a"
    return fixed
