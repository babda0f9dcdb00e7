"""Chapter 03: synonym replacement, random swap and deletion, the augmented training set, the rate of flipped labels."""

import math

import torch

from ..augment import text
from ..languages import say
from ..methods import text_augmentation
from .declare import exercise
from .inspectors import Exclamations

WORDS = "the big dog sees the small cat and the big house".split()
SYNONYMS = {"big": "large", "dog": "hound", "small": "little", "cat": "feline", "house": "home"}


def _draws(generator, count):
    """Different numbers from 0 to 0.99: none is as small or as large as another."""
    return [number / 100 for number in torch.randperm(100, generator=generator)[:count].tolist()]


def _random_words(generator, count=7):
    return [WORDS[i] for i in torch.randint(len(WORDS), (count,), generator=generator)]


@exercise(
    "Synonym replacement",
    cases=[
        (["the", "big", "dog"], SYNONYMS, [0.1, 0.9, 0.4], 1),
        (["big", "big", "cat", "and"], SYNONYMS, [0.5, 0.7, 0.9, 0.2], 1),
        (WORDS, SYNONYMS, [0.3, 0.8, 0.2, 0.9, 0.5, 0.7, 0.6, 0.1, 0.4, 0.15, 0.85], 3),
        (["the", "dog"], SYNONYMS, [0.1, 0.4], 2),
        (["of", "the"], SYNONYMS, [0.1, 0.4], 1),
        (["big", "dog"], SYNONYMS, [0.1, 0.4], 0),
        (["the", "Big", "cat"], SYNONYMS | {"cat": "house cat"}, [0.3, 0.1, 0.2], 2),
    ],
    fresh=lambda generator: (_random_words(generator), SYNONYMS, _draws(generator, 7), 2),
)
def synonym_replacement(words, synonyms, draws, count):
    return text.synonym_replacement(words, synonyms, draws, count)


@synonym_replacement.mistake("You replace the words with the largest draws. Take those with the smallest.")
def largest_draws(words, synonyms, draws, count):
    return synonym_replacement(words, synonyms, [-draw for draw in draws], count)


@synonym_replacement.mistake(
    "Words without a synonym use up your count. First find the words that have one, then choose among them."
)
def words_without_synonym_counted(words, synonyms, draws, count):
    chosen = sorted(range(len(words)), key=lambda i: draws[i])[:count]
    return [synonyms.get(word, word) if i in chosen else word for i, word in enumerate(words)]


@synonym_replacement.mistake("A chosen word changes wherever it occurs. Choose positions, not words: the other “big” stays.")
def everywhere(words, synonyms, draws, count):
    known = [i for i, word in enumerate(words) if word in synonyms]
    chosen = {words[i] for i in sorted(known, key=lambda i: draws[i])[:count]}
    return [synonyms[word] if word in chosen else word for word in words]


@synonym_replacement.mistake("You replace every word that has a synonym. Only `count` of them are wanted.")
def all_replaced(words, synonyms, draws, count):
    return [synonyms.get(word, word) for word in words]


@synonym_replacement.mistake(
    "You take the first words from the left, so the end of a text never changes. Take the smallest draws."
)
def from_the_left(words, synonyms, draws, count):
    return synonym_replacement(words, synonyms, list(range(len(words))), count)


def _random_pairs(generator):
    order = torch.randperm(7, generator=generator).tolist()
    return _random_words(generator), [(order[0], order[1]), (order[1], order[2])]


@exercise(
    "Random swap",
    cases=[
        (["a", "small", "dog"], [(0, 2)]),
        (["a", "small", "dog"], [(0, 1), (1, 2)]),
        (["a", "small", "dog"], [(1, 1)]),
        (["a", "small", "dog"], []),
        (WORDS, [(1, 5), (5, 9), (0, 2)]),
    ],
    fresh=_random_pairs,
)
def random_swap(words, pairs):
    return text.random_swap(words, pairs)


@random_swap.mistake("Your second pair swaps the original words. It must start from what the first pair left.")
def both_from_the_original(words, pairs):
    changed = list(words)
    for i, j in pairs:
        changed[i], changed[j] = words[j], words[i]
    return changed


@random_swap.mistake(
    "One word is lost and the other appears twice: the first assignment overwrites it. Write words[i], words[j] = "
    "words[j], words[i]."
)
def overwritten(words, pairs):
    changed = list(words)
    for i, j in pairs:
        changed[i] = changed[j]
        changed[j] = changed[i]
    return changed


@random_swap.mistake("Only the first pair is swapped. Is `return` inside the loop?")
def first_pair_only(words, pairs):
    return random_swap(words, pairs[:1])


@random_swap.mistake("You take a word out and insert it elsewhere, so all words in between move. Only the two change places.")
def moved(words, pairs):
    words = list(words)
    for i, j in pairs:
        words.insert(j, words.pop(i))
    return words


@random_swap.property("Every word is still there.")
def _keeps_every_word(function, generator):
    if sorted(function(list(WORDS), [(0, 4), (2, 9), (4, 2)])) != sorted(WORDS):
        return say("A swap must keep every word: yours loses some or repeats some.")


def _random_deletions(generator):
    """Seven words of which few are deleted, or three of which often all are."""
    count, share = ((7, 0.3), (3, 0.8))[int(torch.randint(2, (), generator=generator))]
    return _random_words(generator, count), _draws(generator, count), share


@exercise(
    "Random deletion",
    cases=[
        (["a", "dog"], [0.05, 0.6], 0.1),
        (["a", "small", "dog"], [0.1, 0.3, 0.2], 0.5),
        (["the", "dog", "the", "cat"], [0.05, 0.1, 0.9, 0.4], 0.1),
        (["the", "dog", "sees"], [0.7, 0.5, 0.9], 0.3),
        (["the", "dog", "sees"], [0.2, 0.1, 0.4], 0.5),
        (["and", "dog", "and"], [0.9, 0.5, 0.05], 0.1),
        (["and", "dog", "and", "cat"], [0.05, 0.5, 0.9, 0.7], 0.1),
        (["a", "dog"], [0.1, 0.6], 0.1),
    ],
    fresh=_random_deletions,
)
def random_deletion(words, draws, share):
    return text.random_deletion(words, draws, share)


@random_deletion.mistake(
    "You keep what should go. A draw below the share deletes: keep the words whose draw is at least the share."
)
def the_others(words, draws, share):
    return [word for word, draw in zip(words, draws, strict=True) if draw < share] or words[:1]


@random_deletion.mistake("When every draw is small, nothing is left. Keep the word with the largest draw then.")
def nothing_left(words, draws, share):
    return [word for word, draw in zip(words, draws, strict=True) if draw >= share]


@random_deletion.mistake("When nothing is left you keep the first word, most often “a”. Keep the one with the largest draw.")
def first_kept(words, draws, share):
    return [word for word, draw in zip(words, draws, strict=True) if draw >= share] or list(words[:1])


@random_deletion.mistake("All copies of a word are deleted together. Delete positions: each “the” has its own draw.")
def by_name(words, draws, share):
    deleted = {word for word, draw in zip(words, draws, strict=True) if draw < share}
    return [word for word in words if word not in deleted] or random_deletion(words, draws, share)


@random_deletion.mistake(
    "You always delete the same number of words. Decide each on its own: deleted when its draw is below the share."
)
def a_fixed_number(words, draws, share):
    deleted = sorted(range(len(words)), key=lambda i: draws[i])[: max(1, round(share * len(words)))]
    return [word for i, word in enumerate(words) if i not in deleted] or random_deletion(words, draws, share)


def _random_copies(generator):
    """Two to four copies, of which some change nothing or come out alike."""
    copies, period = torch.randint(2, 5, (2,), generator=generator).tolist()
    return ["a dog", "a tree", "a cat"], torch.randperm(3, generator=generator).tolist(), Exclamations(period), copies


@exercise(
    "The augmented training set",
    cases=[
        (["a dog"], [1], Exclamations(2), 2),
        (["a dog", "a tree"], [1, 0], Exclamations(3), 4),
        (["a dog", "a tree", "a cat"], [1, 0, 2], Exclamations(3), 3),
        (["a dog", "a tree"], [0, 1], Exclamations(4), 2),
        (["a dog", "a dog!"], [0, 1], Exclamations(3), 2),
        (["a dog", "a dog"], [0, 1], Exclamations(4), 2),
        (["a dog"], [0], Exclamations(9, held=2), 2),
    ],
    fresh=_random_copies,
)
def augmented_set(texts, labels, change, copies):
    return text.augmented_set(texts, labels, change, copies)


@augmented_set.mistake(
    "Copies that changed nothing, or that came out alike, are in your set twice. They double the weight of a text: leave "
    "them out."
)
def kept_twice(texts, labels, change, copies):
    more, more_labels = list(texts), list(labels)
    for original, label in zip(texts, labels, strict=True):
        more += [change(original, r) for r in range(copies)]
        more_labels += [label] * copies
    return more, more_labels


@augmented_set.mistake(
    "Your labels are not in the order of your texts: copies carry the labels of other texts. Append both together."
)
def labels_tiled(texts, labels, change, copies):
    more, _ = augmented_set(texts, labels, change, copies)
    return more, (list(labels) * (copies + 1))[: len(more)]


@augmented_set.mistake("Your copies come round after round. All copies of the first text first, then those of the second.")
def copy_after_copy(texts, labels, change, copies):
    more, more_labels = list(texts), list(labels)
    for r in range(copies):
        for original, label in zip(texts, labels, strict=True):
            if (copy := change(original, r)) not in more:
                more.append(copy)
                more_labels.append(label)
    return more, more_labels


@augmented_set.mistake("You change the previous copy again. Make every copy from the text itself, or the label drifts away.")
def chained(texts, labels, change, copies):
    more, more_labels = list(texts), list(labels)
    for original, label in zip(texts, labels, strict=True):
        copy, different = original, [original]
        for r in range(copies):
            copy = change(copy, r)
            if copy not in different:
                different.append(copy)
        more += different[1:]
        more_labels += [label] * (len(different) - 1)
    return more, more_labels


@augmented_set.mistake("The texts themselves are missing. They are the ones whose label is certain: put them first.")
def without_originals(texts, labels, change, copies):
    more, more_labels = augmented_set(texts, labels, change, copies)
    return more[len(texts) :], more_labels[len(texts) :]


def _random_predictions(generator):
    labels = torch.randint(3, (12,), generator=generator)
    before, after = labels.clone(), labels.clone()
    before[:3] = (labels[:3] + 1) % 3
    after[2:6] = (labels[2:6] + 1) % 3
    return before, after, labels


@exercise(
    "The rate of flipped labels",
    cases=[
        (torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 1, 1])),
        (torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 1, 0, 1, 1]), torch.tensor([0, 1, 2, 0, 2])),
    ],
    fresh=_random_predictions,
)
def flip_rate(before, after, labels):
    return text_augmentation.flip_rate(before, after, labels)


@flip_rate.mistake(
    "You count glosses that the judge misclassified from the start. Leave them out: they tell nothing about the change."
)
def among_all(before, after, labels):
    return flip_rate(labels, after, labels)


@flip_rate.mistake(
    "You compare the copy with the judge's first answer, right or wrong. Take only glosses that it classified correctly."
)
def any_change(before, after, labels):
    return flip_rate(before, after, before)


@flip_rate.mistake("That is the share of labels that are kept. The exercise asks for the share that is lost.")
def kept(before, after, labels):
    share, low, high = flip_rate(before, after, labels)
    return 1 - share, 1 - high, 1 - low


@flip_rate.mistake(
    "Your interval is the normal one, share ± 1.96 standard errors. It has no width at 0 and may leave 0..1: take "
    "Wilson's, which scipy.stats.binomtest gives."
)
def normal_interval(before, after, labels):
    share, n = flip_rate(before, after, labels)[0], int((before == labels).sum())
    half = 1.959963984540054 * math.sqrt(share * (1 - share) / n)
    return share, share - half, share + half


@flip_rate.property("The interval stays within 0 and 1 and has a width.")
def _stays_within_one(function, generator):
    labels = torch.zeros(4, dtype=torch.long)
    for after in (labels, labels + 1):
        _, low, high = function(labels, after, labels)
        if low < 0 or high > 1 or high - low < 0.01:
            return say("With 0 or 4 of 4 labels flipped your interval has no width or leaves 0..1.")
