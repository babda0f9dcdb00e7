"""Chapter 03: synonym replacement, random swap and deletion, the augmented training set, the rate of flipped labels."""

import math

import torch

from ..augment.text import augmented_set, random_deletion, random_swap, synonym_replacement
from ..languages import say
from ..methods.text_augmentation import flip_rate
from .declare import Exercise, Mistake, Property
from .inspectors import Marks

WORDS = "the big dog sees the small cat and the big house".split()
SYNONYMS = {"big": "large", "dog": "hound", "small": "little", "cat": "feline", "house": "home"}


def _smallest_of_all(words, synonyms, draws, count):
    chosen = sorted(range(len(words)), key=lambda place: draws[place])[:count]
    return [synonyms.get(word, word) if place in chosen else word for place, word in enumerate(words)]


def _everywhere(words, synonyms, draws, count):
    known = [place for place, word in enumerate(words) if word in synonyms]
    chosen = {words[place] for place in sorted(known, key=lambda place: draws[place])[:count]}
    return [synonyms[word] if word in chosen else word for word in words]


def _both_from_the_original(words, pairs):
    changed = list(words)
    for i, j in pairs:
        changed[i], changed[j] = words[j], words[i]
    return changed


def _overwritten(words, pairs):
    changed = list(words)
    for i, j in pairs:
        changed[i] = changed[j]
        changed[j] = changed[i]
    return changed


def _by_name(words, draws, share):
    gone = {word for word, draw in zip(words, draws, strict=True) if draw < share}
    return [word for word in words if word not in gone] or random_deletion(words, draws, share)


def _a_fixed_number(words, draws, share):
    gone = sorted(range(len(words)), key=lambda place: draws[place])[: max(1, round(share * len(words)))]
    return [word for place, word in enumerate(words) if place not in gone] or random_deletion(words, draws, share)


def _everything_kept(texts, labels, change, copies):
    made = [(change(text, r), label) for text, label in zip(texts, labels, strict=True) for r in range(copies)]
    return [*texts, *(text for text, _ in made)], [*labels, *(label for _, label in made)]


def _labels_tiled(texts, labels, change, copies):
    more, _ = augmented_set(texts, labels, change, copies)
    return more, (list(labels) * (copies + 1))[: len(more)]


def _copy_after_copy(texts, labels, change, copies):
    more, more_labels = list(texts), list(labels)
    for r in range(copies):
        for text, label in zip(texts, labels, strict=True):
            if (copy := change(text, r)) not in more:
                more.append(copy)
                more_labels.append(label)
    return more, more_labels


def _chained(texts, labels, change, copies):
    more, more_labels = list(texts), list(labels)
    for text, label in zip(texts, labels, strict=True):
        copy, made = text, [text]
        for r in range(copies):
            copy = change(copy, r)
            if copy not in made:
                made.append(copy)
        more += made[1:]
        more_labels += [label] * (len(made) - 1)
    return more, more_labels


def _without_originals(texts, labels, change, copies):
    more, more_labels = augmented_set(texts, labels, change, copies)
    return more[len(texts) :], more_labels[len(texts) :]


def _among_all(before, after, labels):
    return flip_rate(labels, after, labels)


def _normal_interval(before, after, labels):
    share, n = flip_rate(before, after, labels)[0], int((before == labels).sum())
    half = 1.959963984540054 * math.sqrt(share * (1 - share) / n)
    return share, share - half, share + half


def _kept(before, after, labels):
    share, low, high = flip_rate(before, after, labels)
    return 1 - share, 1 - high, 1 - low


def _stays_within_one(function, generator):
    labels = torch.zeros(4, dtype=torch.long)
    for after in (labels, labels + 1):
        _, low, high = function(labels, after, labels)
        if low < 0 or high > 1 or high - low < 0.01:
            return say("With 0 or 4 of 4 labels flipped your interval has no width or leaves 0..1.")


def _keeps_every_word(function, generator):
    if sorted(function(list(WORDS), [(0, 4), (2, 9), (4, 2)])) != sorted(WORDS):
        return say("A swap must keep every word: yours loses some or has some twice.")


def _draws(generator, count):
    """Different numbers from 0 to 0.99: none is as small or as large as another."""
    return [place / 100 for place in torch.randperm(100, generator=generator)[:count].tolist()]


def _random_words(generator, count=7):
    return [WORDS[place] for place in torch.randint(len(WORDS), (count,), generator=generator)]


def _random_pairs(generator):
    order = torch.randperm(7, generator=generator).tolist()
    return _random_words(generator), [(order[0], order[1]), (order[1], order[2])]


def _random_losses(generator):
    """Seven words of which few go, or three of which often none is left."""
    count, share = ((7, 0.3), (3, 0.8))[int(torch.randint(2, (), generator=generator))]
    return _random_words(generator, count), _draws(generator, count), share


def _random_copies(generator):
    """Two to four copies, of which some change nothing or come out alike."""
    copies, period = torch.randint(2, 5, (2,), generator=generator).tolist()
    return ["a dog", "a tree", "a cat"], torch.randperm(3, generator=generator).tolist(), Marks(period), copies


def _random_judgement(generator):
    labels = torch.randint(3, (12,), generator=generator)
    before, after = labels.clone(), labels.clone()
    before[:3] = (labels[:3] + 1) % 3
    after[2:6] = (labels[2:6] + 1) % 3
    return before, after, labels


EXERCISES = [
    Exercise(
        "synonym_replacement",
        "03",
        "Synonym replacement",
        synonym_replacement,
        cases=(
            (["the", "big", "dog"], SYNONYMS, [0.1, 0.9, 0.4], 1),
            (["big", "big", "cat", "and"], SYNONYMS, [0.5, 0.7, 0.9, 0.2], 1),
            (WORDS, SYNONYMS, [0.3, 0.8, 0.2, 0.9, 0.5, 0.7, 0.6, 0.1, 0.4, 0.15, 0.85], 3),
        ),
        fresh=lambda g: (_random_words(g), SYNONYMS, _draws(g, 7), 2),
        mistakes=(
            Mistake(
                "largest_draws",
                lambda words, synonyms, draws, count: synonym_replacement(words, synonyms, [-draw for draw in draws], count),
                "You replace the words with the largest draws. Take those with the smallest.",
            ),
            Mistake(
                "words_without_synonym_counted",
                _smallest_of_all,
                "Words without a synonym use up your count. First find the words that have one, then choose among them.",
            ),
            Mistake(
                "everywhere",
                _everywhere,
                "A chosen word changes wherever it stands. Choose places, not words: the other “big” stays.",
            ),
            Mistake(
                "all_replaced",
                lambda words, synonyms, draws, count: [synonyms.get(word, word) for word in words],
                "You replace every word that has a synonym. Only `count` of them are wanted.",
            ),
            Mistake(
                "from_the_left",
                lambda words, synonyms, draws, count: synonym_replacement(words, synonyms, list(range(len(words))), count),
                "You take the first words from the left, so the end of a text never changes. Take the smallest draws.",
            ),
        ),
    ),
    Exercise(
        "random_swap",
        "03",
        "Random swap",
        random_swap,
        cases=(
            (["a", "small", "dog"], [(0, 2)]),
            (["a", "small", "dog"], [(0, 1), (1, 2)]),
            (WORDS, [(1, 5), (5, 9), (0, 2)]),
        ),
        fresh=_random_pairs,
        mistakes=(
            Mistake(
                "both_from_the_original",
                _both_from_the_original,
                "Your second pair looks at the words as they were at first. It must go on from what the first pair left.",
            ),
            Mistake(
                "overwritten",
                _overwritten,
                "One word is lost and the other there twice: the first assignment overwrites it. Write words[i], words[j] = "
                "words[j], words[i].",
            ),
            Mistake(
                "first_pair_only",
                lambda words, pairs: random_swap(words, pairs[:1]),
                "Only the first pair is swapped. Is `return` inside of the loop?",
            ),
            Mistake(
                "moved",
                lambda words, pairs: _moved(words, pairs),
                "You take a word out and put it in elsewhere, so all between them move. Only the two change places.",
            ),
        ),
        properties=(Property("Every word is still there.", _keeps_every_word),),
    ),
    Exercise(
        "random_deletion",
        "03",
        "Random deletion",
        random_deletion,
        cases=(
            (["a", "dog"], [0.05, 0.6], 0.1),
            (["a", "small", "dog"], [0.1, 0.3, 0.2], 0.5),
            (["the", "dog", "the", "cat"], [0.05, 0.1, 0.9, 0.4], 0.1),
            (["the", "dog", "sees"], [0.7, 0.5, 0.9], 0.3),
            (["the", "dog", "sees"], [0.2, 0.1, 0.4], 0.5),
        ),
        fresh=_random_losses,
        mistakes=(
            Mistake(
                "the_others",
                lambda words, draws, share: (
                    [word for word, draw in zip(words, draws, strict=True) if draw < share] or words[:1]
                ),
                "You keep what should go. A draw below the share deletes: keep the words whose draw is at least the share.",
            ),
            Mistake(
                "nothing_left",
                lambda words, draws, share: [word for word, draw in zip(words, draws, strict=True) if draw >= share],
                "When every draw is small, nothing is left. Keep the word with the largest draw then.",
            ),
            Mistake(
                "first_kept",
                lambda words, draws, share: (
                    [word for word, draw in zip(words, draws, strict=True) if draw >= share] or list(words[:1])
                ),
                "When nothing is left you keep the first word, most often “a”. Keep the one with the largest draw.",
            ),
            Mistake(
                "by_name",
                _by_name,
                "All words that read alike are gone together. Delete places: each “the” has a draw of its own.",
            ),
            Mistake(
                "a_fixed_number",
                _a_fixed_number,
                "You always delete the same number of words. Decide each on its own: deleted when its draw is below the share.",
            ),
        ),
    ),
    Exercise(
        "augmented_set",
        "03",
        "The augmented training set",
        augmented_set,
        cases=(
            (["a dog"], [1], Marks(2), 2),
            (["a dog", "a tree"], [1, 0], Marks(3), 4),
            (["a dog", "a tree", "a cat"], [1, 0, 2], Marks(3), 3),
            (["a dog", "a tree"], [0, 1], Marks(4), 2),
        ),
        fresh=_random_copies,
        mistakes=(
            Mistake(
                "kept_twice",
                _everything_kept,
                "Copies that changed nothing, or that came out alike, are in your set twice. They weigh a text double: leave "
                "them out.",
            ),
            Mistake(
                "labels_tiled",
                _labels_tiled,
                "Your labels are not in the order of your texts: copies carry the labels of other texts. Append both together.",
            ),
            Mistake(
                "copy_after_copy",
                _copy_after_copy,
                "Your copies come round after round. All copies of the first text first, then those of the second.",
            ),
            Mistake(
                "chained",
                _chained,
                "You change the copy before it again. Every copy is made from the text itself, or the label drifts away.",
            ),
            Mistake(
                "without_originals",
                _without_originals,
                "The texts themselves are missing. They are the ones whose label is sure: put them first.",
            ),
        ),
    ),
    Exercise(
        "flip_rate",
        "03",
        "The rate of flipped labels",
        flip_rate,
        cases=(
            (torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 1, 1])),
            (torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 1, 0, 1, 1]), torch.tensor([0, 1, 2, 0, 2])),
        ),
        fresh=_random_judgement,
        mistakes=(
            Mistake(
                "among_all",
                _among_all,
                "You count glosses that the judge misread from the start. Leave them out: what it cannot read tells nothing.",
            ),
            Mistake(
                "any_change",
                lambda before, after, labels: flip_rate(before, after, before),
                "You compare the copy with the judge's first answer, right or wrong. Take only glosses that it read rightly.",
            ),
            Mistake(
                "kept",
                _kept,
                "That is the share of labels that are kept. Asked is the share that is lost.",
            ),
            Mistake(
                "normal_interval",
                _normal_interval,
                "Your interval is the normal one, share ± 1.96 standard errors. It has no width at 0 and may leave 0..1: take "
                "Wilson's, which scipy.stats.binomtest gives.",
            ),
        ),
        properties=(Property("The interval stays within 0 and 1 and has a width.", _stays_within_one),),
    ),
]


def _moved(words, pairs):
    words = list(words)
    for i, j in pairs:
        words.insert(j, words.pop(i))
    return words
