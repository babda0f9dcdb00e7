"""Edits of a text, word by word: synonym replacement and random insertion, swap and deletion (EDA; Wei & Zou 2019, EMNLP).

A text is a list of words, split at spaces; a comma stays with its word. An edit is given its random draws, so that a reader can
follow it by hand; an operation makes the draws and applies the edit. With l words and strength alpha,
n = max(1, round(alpha l)) words are replaced, inserted or swapped, and each word is deleted with probability alpha.
`synonyms` maps a word to its possible replacements; a word that it lacks, such as a stop word, is never replaced.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Synonyms = Mapping[str, Sequence[str]]
Edit = Callable[..., list[str]]


# the edits: words and random draws in, words out


def synonym_replacement(words: Sequence[str], synonyms: Mapping[str, str], draws: Sequence[float], count: int) -> list[str]:
    """Replaces those `count` of the words with a synonym that have the smallest draws, or all of them when they are fewer.

    Args:
        words: the text.
        synonyms: {word: its replacement}.
        draws: a number for each word.
        count: how many words to replace.
    """
    replaceable = [index for index, word in enumerate(words) if word in synonyms]
    chosen = set(sorted(replaceable, key=lambda index: draws[index])[:count])
    return [synonyms[word] if index in chosen else word for index, word in enumerate(words)]


def random_insertion(words: Sequence[str], insertions: Sequence[tuple[int, str]]) -> list[str]:
    """Inserts words one after the other: (index, word) puts the word in front of the one that is at this index by then."""
    words = list(words)
    for index, word in insertions:
        words.insert(index, word)
    return words


def random_swap(words: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Swaps the words at two indices, pair (i, j) after pair."""
    words = list(words)
    for i, j in pairs:
        words[i], words[j] = words[j], words[i]
    return words


def random_deletion(words: Sequence[str], draws: Sequence[float], share: float) -> list[str]:
    """Keeps the words whose draw (0 to 1) is at least `share`; if there is none, the word with the largest draw."""
    kept = [word for word, draw in zip(words, draws, strict=True) if draw >= share]
    return kept or [words[max(range(len(words)), key=lambda index: draws[index])]]


# the operations: each makes the draws for one edit


@dataclass(frozen=True)
class Draws:
    """The random draws that every operation on a text of l words may use.

    replacements: for each word that has synonyms, the one that was drawn. numbers: a number from 0 to 1 for each word.
    count: n, how many words an edit changes. alpha: the strength. generator: for draws that only one operation needs.
    """

    replacements: Mapping[str, str]
    numbers: Sequence[float]
    count: int
    alpha: float
    generator: random.Random


@dataclass(frozen=True)
class Operation:
    """A named operation: `apply(edit, words, draws)` calls `edit`, or a function in its place, with what it needs."""

    name: str
    edit: Edit
    apply: Callable[[Edit, Sequence[str], Draws], list[str]]


OPERATIONS: dict[str, Operation] = {}


def _operation(edit: Edit) -> Callable:
    """Declares the decorated function as the operation of its name, which draws for `edit`."""

    def declare(apply: Callable) -> Callable:
        OPERATIONS[apply.__name__] = Operation(apply.__name__, edit, apply)
        return apply

    return declare


@_operation(synonym_replacement)
def synonyms(edit, words, draws):
    return _with_articles(edit(words, draws.replacements, draws.numbers, draws.count), words)


@_operation(random_insertion)
def insertion(edit, words, draws):
    # Sorted, because the order of a set of strings differs from one run of Python to the next.
    new = sorted({word.strip("()[],;:.'") for word in draws.replacements.values()})
    count, length, generator = draws.count if new else 0, len(words), draws.generator
    return edit(words, [(generator.randrange(length + n + 1), generator.choice(new)) for n in range(count)])


@_operation(random_swap)
def swap(edit, words, draws):
    count = draws.count if len(words) > 1 else 0
    return edit(words, [tuple(draws.generator.sample(range(len(words)), 2)) for _ in range(count)])


@_operation(random_deletion)
def deletion(edit, words, draws):
    return edit(words, draws.numbers, draws.alpha)


EDA = ("synonyms", "insertion", "swap", "deletion")  # of the paper: "eda" draws one of them for each text
NAMES = (*OPERATIONS, "eda")
EDITS: dict[str, Edit] = {operation.edit.__name__: operation.edit for operation in OPERATIONS.values()}


def edit_text(
    text: str,
    operation: str,
    alpha: float,
    synonyms: Synonyms,
    generator: random.Random,
    edits: Mapping[str, Edit] = EDITS,
) -> str:
    """The text after one operation; raises ValueError for an unknown operation or strength.

    Args:
        text: words with spaces between them.
        operation: one of NAMES.
        alpha: the strength, 0 to 1; 0 changes nothing.
        synonyms: {word: its possible replacements}.
        generator: makes all draws.
        edits: the edits by the names of their functions, so that a learner's own can take their place.
    """
    if operation not in NAMES or not 0 <= alpha <= 1:
        raise ValueError(f"operation is one of {', '.join(NAMES)} and alpha from 0 to 1, not {operation!r} and {alpha}.")
    chosen = OPERATIONS[generator.choice(EDA) if operation == "eda" else operation]
    words = text.split()
    count = max(1, round(alpha * len(words))) if alpha else 0
    # Every operation makes these draws, in this order, whether it needs them or not: recorded results depend on it.
    replacements = {word: generator.choice(synonyms[word]) for word in dict.fromkeys(words) if synonyms.get(word)}
    draws = Draws(replacements, [generator.random() for _ in words], count, alpha, generator)
    return " ".join(chosen.apply(edits[chosen.edit.__name__], words, draws))


def augmented_set(
    texts: Sequence[str], labels: Sequence[int], change: Callable[[str, int], str], copies: int
) -> tuple[list[str], list[int]]:
    """The texts, then their new copies, text after text, and a label for each.

    A copy that equals its text or an earlier copy of it is left out: it would only count a text twice.

    Args:
        texts: the originals.
        labels: a class number for each.
        change: change(text, r) makes copy r of a text.
        copies: how many to make of each text, r = 0..copies - 1.
    """
    more_texts, more_labels = list(texts), list(labels)
    for text, label in zip(texts, labels, strict=True):
        new = dict.fromkeys(change(text, r) for r in range(copies))  # a dictionary, because a set has no order
        new.pop(text, None)
        more_texts += new
        more_labels += [label] * len(new)
    return more_texts, more_labels


def _with_articles(words: Sequence[str], before: Sequence[str]) -> list[str]:
    """The words with "a" or "an" in front of a replaced word, according to its first letter."""
    corrected = list(words)
    for index in range(1, len(words)):
        if words[index] != before[index] and words[index - 1] in ("a", "an"):
            # "u" is left out: it is "a unit", though also "an umbrella".
            corrected[index - 1] = "an" if words[index].lstrip("(")[:1].lower() in tuple("aeio") else "a"
    return corrected
