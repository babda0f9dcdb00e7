"""Chapter 03: synonym replacement, random deletion, the augmented training set, what an edit leaves of meaning and label."""

import math

import torch
import torch.nn.functional as F
from scipy.stats import binomtest

from ..augment import text
from ..languages import say
from ..methods import text_augmentation
from . import inspectors
from .declare import exercise
from .inspectors import Exclamations, said_by

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
        (["dog", "cat"], SYNONYMS, [0.8, 0.9], 1),
        (["big", "dog"], SYNONYMS, [0.1, 0.4], 0),
        (["the", "Big", "cat"], SYNONYMS | {"cat": "house cat"}, [0.3, 0.1, 0.2], 2),
    ],
    fresh=lambda generator: (_random_words(generator), SYNONYMS, _draws(generator, 7), 2),
    idea=(
        "The choice is made among the words that have a synonym, since the others would use up the count, and those with the "
        "smallest draws change. Places are chosen and not words, so that one “big” may change while another stays."
    ),
    steps=(
        (
            "List the places whose word has an entry in `synonyms`, looked up exactly as written. A place keeps its number in "
            "the whole text, because its draw stands there."
        ),
        (
            "Order these places by their draws, and keep the first `count`. When they are fewer all of them are chosen, and "
            "none when `count` is 0; a slice does both."
        ),
        (
            "Build a new list: the synonym at a chosen place, the word itself everywhere else. A synonym of two words stays "
            "one entry."
        ),
    ),
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


@synonym_replacement.mistake(
    "You look a drawn word up by its name, so its first occurrence changes. Change the place whose draw is small."
)
def first_occurrence(words, synonyms, draws, count):
    changed = list(words)
    for _, word in sorted((draw, word) for draw, word in zip(draws, words, strict=True) if word in synonyms)[:count]:
        changed[changed.index(word)] = synonyms[word]
    return changed


@synonym_replacement.mistake(
    "You replace the words whose draw is below count / len(words), which are `count` on average only. Take the `count` "
    "smallest draws."
)
def below_a_share(words, synonyms, draws, count):
    return [synonyms.get(w, w) if draw < count / len(words) else w for w, draw in zip(words, draws, strict=True)]


@synonym_replacement.mistake("Your function stops when fewer words than `count` have a synonym. Replace all of them then.")
def stops_at_too_few(words, synonyms, draws, count):
    known = sorted((i for i, word in enumerate(words) if word in synonyms), key=lambda i: draws[i])
    chosen = [known[k] for k in range(count)]
    return [synonyms[word] if i in chosen else word for i, word in enumerate(words)]


@synonym_replacement.mistake(
    "Your limit is found among the draws of all words. First find the words that have a synonym, then choose among them."
)
def limit_among_all_draws(words, synonyms, draws, count):
    limit = sorted(draws)[min(count, len(draws)) - 1]
    return [synonyms.get(word, word) if draw <= limit else word for word, draw in zip(words, draws, strict=True)]


@synonym_replacement.mistake("Your function replaces one word at least. When `count` is 0 none is wanted.")
def one_at_least(words, synonyms, draws, count):
    return synonym_replacement(words, synonyms, draws, max(1, count))


@synonym_replacement.mistake("You look the words up in lower case. Take them as they are: “Big” has no entry here.")
def lower_case(words, synonyms, draws, count):
    known = synonyms | {word: synonyms[word.lower()] for word in words if word.lower() in synonyms}
    return synonym_replacement(words, known, draws, count)


@synonym_replacement.mistake("You split a synonym of two words. It takes the place of one word and stays one entry.")
def synonym_split(words, synonyms, draws, count):
    chosen = {old: "|".join(new.split()) for old, new in synonyms.items()}
    changed = synonym_replacement(words, chosen, draws, count)
    return [part for word in changed for part in word.split("|")]


@synonym_replacement.mistake(
    "The draws are counted among the words that have a synonym. draws[i] belongs to words[i], whether it has one or not."
)
def draws_shifted(words, synonyms, draws, count):
    known = [i for i, word in enumerate(words) if word in synonyms]
    shifted = list(draws)
    for draw, i in zip(draws, known, strict=False):
        shifted[i] = draw
    return synonym_replacement(words, synonyms, shifted, count)


@synonym_replacement.mistake(
    "You replace the words that were not chosen. Those with the smallest draws change, the others stay."
)
def the_others(words, synonyms, draws, count):
    changed = synonym_replacement(words, synonyms, draws, count)
    return [synonyms.get(word, word) if word == new else word for word, new in zip(words, changed, strict=True)]


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
        (["the", "small", "dog"], [0.001, 0.6, 0.7], 0.3),
        (["a", "small", "dog", "sees", "it"], [0.1, 0.4, 0.2, 0.3, 0.15], 0.5),
        (["the", "dog", "sees", "a", "cat"], [0.1, 0.2, 0.15, 0.3, 0.25], 0.4),
    ],
    fresh=_random_deletions,
    idea=(
        "The draw of each place decides on its own whether the word goes, so how many words go is left to chance. Even when "
        "all draws are small one word has to stay: the one with the largest draw."
    ),
    steps=(
        (
            "Walk through words and draws together, and collect the words that stay in a new list. Deleting from the list that "
            "you walk through skips words."
        ),
        (
            "A word goes when its draw is below the share; a draw that equals the share keeps the word. Decide by place: each "
            "“the” has its own draw."
        ),
        "If the new list is empty, find the place of the largest draw and return a list with the word of that place alone.",
    ),
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


@random_deletion.mistake(
    "You keep the words that should go. A draw below the share deletes; only when no word is left the largest draw stays."
)
def the_comparison_inverted(words, draws, share):
    kept = [word for word, draw in zip(words, draws, strict=True) if draw < share]
    return kept or [words[draws.index(max(draws))]]


@random_deletion.mistake("You keep what should go, and sometimes nothing. A draw below the share deletes: turn the comparison.")
def the_others_or_nothing(words, draws, share):
    return [word for word, draw in zip(words, draws, strict=True) if draw < share]


@random_deletion.mistake("A draw that equals the share deletes in your function. Only a smaller one does.")
def equal_draw_deleted(words, draws, share):
    return random_deletion(words, draws, share + 1e-9)


@random_deletion.mistake("When every draw is small you keep all words. Keep only the one with the largest draw.")
def all_kept(words, draws, share):
    return nothing_left(words, draws, share) or list(words)


@random_deletion.mistake("When nothing is left you keep the word with the smallest draw. Keep the one with the largest.")
def smallest_kept(words, draws, share):
    return nothing_left(words, draws, share) or [words[draws.index(min(draws))]]


@random_deletion.mistake("When nothing is left you keep the last word. Keep the one with the largest draw.")
def last_kept(words, draws, share):
    return nothing_left(words, draws, share) or list(words[-1:])


def _without_the_smallest(words, draws, count):
    deleted = sorted(range(len(words)), key=lambda i: draws[i])[:count]
    return [word for i, word in enumerate(words) if i not in deleted] or [words[draws.index(max(draws))]]


@random_deletion.mistake(
    "You delete share * len(words) words, rounded. Decide each on its own: deleted when its draw is below the share."
)
def a_rounded_number(words, draws, share):
    return _without_the_smallest(words, draws, round(share * len(words)))


@random_deletion.mistake(
    "You delete share * len(words) words, rounded down. Decide each on its own: deleted when its draw is below the share."
)
def a_number_rounded_down(words, draws, share):
    return _without_the_smallest(words, draws, int(share * len(words)))


@random_deletion.mistake(
    "You delete from the list that you walk through, so the word after a deleted one is skipped. Build a new list instead."
)
def deleted_while_walking(words, draws, share):
    words, draws = list(words), list(draws)
    for i, _ in enumerate(words):
        if draws[i] < share and len(words) > 1:
            words.pop(i)
            draws.pop(i)
    return words


@random_deletion.mistake(
    "You remove a word by its name, which takes its first occurrence. Delete the place with the small draw."
)
def first_occurrence(words, draws, share):
    left = list(words)
    for word, draw in zip(words, draws, strict=True):
        if draw < share:
            left.remove(word)
    return left or random_deletion(words, draws, share)


@random_deletion.mistake(
    "You put an empty word in the place of a deleted one. A deleted word leaves the list, which gets shorter."
)
def empty_words_left(words, draws, share):
    return [word if draw >= share else "" for word, draw in zip(words, draws, strict=True)]


@random_deletion.mistake("Nothing is ever deleted. Keep only the words whose draw is at least the share.")
def nothing_deleted(words, draws, share):
    return list(words)


@random_deletion.mistake("You divide the share by 100. It goes from 0 to 1 already, like the draws.")
def share_as_percent(words, draws, share):
    return random_deletion(words, draws, share / 100)


@random_deletion.mistake(
    "Equal words become one, because a dictionary holds each word once. Walk through words and draws together."
)
def equal_words_merged(words, draws, share):
    kept = [word for word, draw in dict(zip(words, draws, strict=True)).items() if draw >= share]
    return kept or random_deletion(words, draws, share)


@random_deletion.property(
    "It returns a new list.", mistake="given_list_returned", inspector=said_by(inspectors.given_list_returned)
)
def _new_list(seen, generator):
    if seen:
        return say(
            "Where no word goes you return the list that was given. Return a new one, which others may change: list(words)."
        )


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
        (["a dog", "a tree"], [0, 1], Exclamations(9, held=2), 4),
        (["a dog", "a tree"], [1, 0], Exclamations(4, first=3), 4),
    ],
    fresh=_random_copies,
    idea=(
        "Copies inherit the label of their text, so texts and labels have to grow together. A copy that equals its text, or an "
        "earlier copy of it, would count one text twice and is left out."
    ),
    steps=(
        "Begin two new lists, one with all texts and one with all labels, in their order. The copies will follow at the end.",
        (
            "Go through texts and labels together. For each text start a new record of what you have of it: at first only the "
            "text itself."
        ),
        (
            "Make its copies with r = 0 to copies - 1, all of them from the text and none from another copy. If some come out "
            "alike there are fewer in the end."
        ),
        (
            "Append a copy if it is new for this text, and add it to the record. What other texts or their copies look like "
            "does not matter."
        ),
        "With every copy append its text's label, so that both lists keep the same length. Return the texts, then the labels.",
    ),
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


def _augmented(texts, labels, change, numbers, left_out):
    """The texts and then the copies of these numbers, without those for which left_out(copy, text, copies before) is true."""
    more, more_labels = list(texts), list(labels)
    for original, label in zip(texts, labels, strict=True):
        before = []
        for r in numbers:
            copy = change(original, r)
            if not left_out(copy, original, before):
                more.append(copy)
                more_labels.append(label)
            before.append(copy)
    return more, more_labels


def _known(copy, original, before):
    return copy == original or copy in before


@augmented_set.mistake("Each text is followed by its copies in your set. First come all texts, then the copies.")
def interleaved(texts, labels, change, copies):
    more, more_labels = [], []
    for original, label in zip(texts, labels, strict=True):
        some, some_labels = augmented_set([original], [label], change, copies)
        more += some
        more_labels += some_labels
    return more, more_labels


@augmented_set.mistake(
    "Copies that came out alike are in your set more than once. Leave out a copy that equals an earlier one of the same text."
)
def alike_copies_kept(texts, labels, change, copies):
    return _augmented(texts, labels, change, range(copies), lambda copy, original, before: copy == original)


@augmented_set.mistake("Copies that equal their own text are in your set. They only repeat it: leave them out too.")
def unchanged_copies_kept(texts, labels, change, copies):
    return _augmented(texts, labels, change, range(copies), lambda copy, original, before: copy in before)


@augmented_set.mistake(
    "You also leave out copies that equal something of another text. A copy goes only when it equals its own text or an "
    "earlier copy of it."
)
def removed_across_texts(texts, labels, change, copies):
    known = set(texts)
    return _augmented(texts, labels, change, range(copies), lambda copy, *_: copy in known or known.add(copy))


@augmented_set.mistake(
    "You leave out copies that equal a copy of another text. Begin anew for each text: only its own copies count."
)
def removed_across_copies(texts, labels, change, copies):
    known = set()
    return _augmented(
        texts, labels, change, range(copies), lambda copy, text, _: copy == text or copy in known or known.add(copy)
    )


@augmented_set.mistake("You count the copies from 1. They are r = 0 to copies - 1.")
def counted_from_one(texts, labels, change, copies):
    return _augmented(texts, labels, change, range(1, copies + 1), _known)


@augmented_set.mistake("The copy with r = 0 is missing. The copies are r = 0 to copies - 1.")
def first_copy_missing(texts, labels, change, copies):
    return _augmented(texts, labels, change, range(1, copies), _known)


@augmented_set.mistake("You make one copy too many. The copies are r = 0 to copies - 1.")
def one_copy_too_many(texts, labels, change, copies):
    return augmented_set(texts, labels, change, copies + 1)


@augmented_set.mistake("Your copies come in rounds. All copies of the first text come first, then those of the second.")
def round_by_round(texts, labels, change, copies):
    more, more_labels, known = list(texts), list(labels), [{text} for text in texts]
    for r in range(copies):
        for original, label, seen in zip(texts, labels, known, strict=True):
            if (copy := change(original, r)) not in seen:
                seen.add(copy)
                more.append(copy)
                more_labels.append(label)
    return more, more_labels


@augmented_set.mistake("You stop at the first copy that is there already. Later ones may be new: leave that one out and go on.")
def stopped_at_a_repetition(texts, labels, change, copies):
    return _augmented(
        texts, labels, change, range(copies), lambda copy, text, before: len({text, *before, copy}) < len(before) + 2
    )


@augmented_set.mistake("The copies of a text are sorted in your set, or without order, as in a Python set. Keep that of r.")
def copies_sorted(texts, labels, change, copies):
    more, more_labels = list(texts), list(labels)
    for original, label in zip(texts, labels, strict=True):
        made = sorted({change(original, r) for r in range(copies)} - {original})
        more += made
        more_labels += [label] * len(made)
    return more, more_labels


@augmented_set.mistake(
    "You go on until there are `copies` different copies. Make those with r = 0 to copies - 1, even when fewer are left."
)
def tried_until_enough(texts, labels, change, copies):
    return _augmented(
        texts,
        labels,
        change,
        range(copies + 20),
        lambda copy, text, before: len({text, *before}) > copies or _known(copy, text, before),
    )


@augmented_set.mistake(
    "You compare a copy with its text and the copy before it. Compare it with all earlier copies of the text."
)
def compared_with_previous(texts, labels, change, copies):
    return _augmented(texts, labels, change, range(copies), lambda copy, text, before: copy in [text, *before[-1:]])


@augmented_set.mistake("You compare a copy with the one before it only. Compare it with the text and all its earlier copies.")
def compared_with_last_only(texts, labels, change, copies):
    return _augmented(texts, labels, change, range(copies), lambda copy, text, before: copy == [text, *before][-1])


@augmented_set.mistake(
    "Equal texts become one, because a dictionary holds each text once. They may have different labels: go through both lists."
)
def equal_texts_merged(texts, labels, change, copies):
    merged = dict(zip(texts, labels, strict=True))
    more, more_labels = augmented_set(list(merged), list(merged.values()), change, copies)
    return list(texts) + more[len(merged) :], list(labels) + more_labels[len(merged) :]


@augmented_set.mistake("Every copy is made with r = 0, so all copies of a text are the same. Pass r on: change(text, r).")
def always_the_first_copy(texts, labels, change, copies):
    return augmented_set(texts, labels, change, min(copies, 1))


@augmented_set.mistake("You return pairs of a text and its label. Two lists are asked for: the texts, then the labels.")
def pairs_returned(texts, labels, change, copies):
    return list(zip(*augmented_set(texts, labels, change, copies), strict=True))


@augmented_set.mistake("Your copies have no labels: there are more texts than labels. A copy carries the label of its text.")
def labels_forgotten(texts, labels, change, copies):
    return augmented_set(texts, labels, change, copies)[0], list(labels)


def _random_features(generator):
    """Texts of which about two thirds keep their nearest name; names and copies have other lengths than 1."""
    before, change = torch.randn(2, 12, 5, generator=generator)
    names = torch.randn(4, 5, generator=generator) * torch.tensor([[0.3], [1.0], [2.0], [4.0]])
    lengths = 0.5 + 2 * torch.rand(2, 12, 1, generator=generator)
    return lengths[0] * before, lengths[1] * (before + 0.7 * change), names


_CORNER = torch.eye(2)


@exercise(
    "Meaning kept",
    cases=[
        (torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 2.0]]), _CORNER),
        (torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([[6.0, 1.0], [3.0, 2.0]]), _CORNER),
        # The second name is long: by the product alone it is the nearest of nearly all texts.
        (
            torch.tensor([[2.0, 1.0], [1.0, 2.0], [3.0, 1.0]]),
            torch.tensor([[1.0, 2.0], [1.0, 3.0], [4.0, 1.0]]),
            torch.tensor([[1.0, 0.0], [0.0, 9.0]]),
        ),
        # The copies are ten times as long as their texts, and in the other order: three texts exchange their names.
        (
            torch.tensor([[3.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 3.0], [3.0, 0.0, 1.0], [-3.0, -2.0, -1.0]]),
            torch.tensor([[0.0, 30.0, 10.0], [10.0, 0.0, 30.0], [30.0, 10.0, 0.0], [20.0, 0.0, 10.0], [-30.0, -20.0, -10.0]]),
            torch.eye(3) * torch.tensor([[1.0], [2.0], [0.5]]),
        ),
        # The first name is the nearest by its length as the root of a sum of squares, not as a sum of absolute values.
        (torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 3.0]]), torch.tensor([[3.0, 3.0], [2.0, 0.0]])),
        # Each of the mistakes below gives another share.
        (
            torch.tensor([[0.0, -1.0, 1.0], [1.0, 3.0, 3.0], [1.0, 0.0, -2.0], [-3.0, -1.0, 0.0], [-3.0, 3.0, 0.0]]),
            torch.tensor([[0.0, -2.0, 2.0], [-2.0, -3.0, 3.0], [2.0, -1.0, -2.0], [-3.0, -1.0, -1.0], [-4.0, 3.0, -1.0]]),
            torch.tensor([[-3.0, 1.0, -3.0], [-4.0, 4.0, 4.0], [0.5, -1.5, 0.5]]),
        ),
    ],
    fresh=_random_features,
    idea=(
        "An encoder puts texts and names of classes into one space, where the nearest name tells what a text is about. If that "
        "name is the same after an edit, so much of the meaning was kept, and no label is needed to see it."
    ),
    steps=(
        "Compute the cosine similarity of every text with every name: products of rows whose lengths are 1. That is (n, C).",
        "For each text find the name that it is most similar to: one number from 0 to C - 1 for each row.",
        "Do the same for the copies, with the same names.",
        "The share of rows in which the two numbers agree is the result, a number from 0 to 1.",
    ),
)
def meaning_kept(before, after, names):
    return (_nearest(before, names) == _nearest(after, names)).float().mean().item()


def _nearest(features, names):
    """The number of the name with the largest cosine similarity, for each row."""
    return _similarity(features, names).argmax(1)


def _similarity(features, names):
    return F.normalize(features, dim=1) @ F.normalize(names, dim=1).T


def _agreeing(one, other):
    return (one == other).float().mean().item()


@meaning_kept.mistake(
    "The names' lengths count: a long one is the nearest of all texts. Divide each name by its length before you multiply."
)
def product_for_cosine(before, after, names):
    return _agreeing((before @ names.T).argmax(1), (after @ names.T).argmax(1))


@meaning_kept.mistake(
    "You look for the smallest distance between rows of different lengths. Cosine similarity compares directions alone."
)
def distance_for_cosine(before, after, names):
    return _agreeing(torch.cdist(before, names).argmin(1), torch.cdist(after, names).argmin(1))


@meaning_kept.mistake("That is the share of texts whose nearest name changes. The share of those that keep it is 1 minus it.")
def share_that_changes(before, after, names):
    return 1 - meaning_kept(before, after, names)


@meaning_kept.mistake("That is how many texts keep their name. The exercise asks for a share: divide by the number of texts.")
def texts_counted(before, after, names):
    return meaning_kept(before, after, names) * len(before)


@meaning_kept.mistake("Your share is in percent. It goes from 0 to 1.")
def percent(before, after, names):
    return 100 * meaning_kept(before, after, names)


@meaning_kept.mistake("You take the name that is least similar. The nearest has the largest cosine similarity.")
def farthest_name(before, after, names):
    return _agreeing(_similarity(before, names).argmin(1), _similarity(after, names).argmin(1))


@meaning_kept.mistake("For each name you look for the nearest text. Ask the other way: for each text (a row) the nearest name.")
def nearest_text_of_a_name(before, after, names):
    return _agreeing(_similarity(before, names).argmax(0), _similarity(after, names).argmax(0))


@meaning_kept.mistake("You leave the sign out: a text that points away from a name is not near it.")
def sign_left_out(before, after, names):
    return _agreeing(_similarity(before, names).abs().argmax(1), _similarity(after, names).abs().argmax(1))


@meaning_kept.mistake(
    "That is the mean similarity of the texts with their copies. Ask which name is the nearest of each, and whether it stays."
)
def mean_similarity(before, after, names):
    return F.cosine_similarity(before, after).mean().item()


@meaning_kept.mistake(
    "You compare which feature is the largest. Features have no meaning alone: compare each text with the names."
)
def largest_feature(before, after, names):
    return _agreeing(before.argmax(1), after.argmax(1))


@meaning_kept.mistake(
    "You compare how often each name is the nearest. Two texts that exchange their names have both changed: compare row by row."
)
def names_counted(before, after, names):
    one, other = (torch.bincount(_nearest(features, names), minlength=len(names)) for features in (before, after))
    return (torch.minimum(one, other).sum() / len(before)).item()


@meaning_kept.mistake("You ask whether all texts keep their name. The exercise asks for the share that does.")
def all_or_nothing(before, after, names):
    return float(torch.equal(_nearest(before, names), _nearest(after, names)))


@meaning_kept.mistake(
    "You ask whether the copy nearest to a text is its own. The names decide: the nearest one of the text, and of its copy."
)
def nearest_copy(before, after, names):
    return _agreeing(_similarity(before, after).argmax(1), torch.arange(len(before)))


@meaning_kept.mistake("You divide each feature by its length over the texts. The length of a text's own row is meant: dim=1.")
def lengths_over_the_texts(before, after, names):
    one, other, names = (F.normalize(features, dim=0) for features in (before, after, names))
    return _agreeing((one @ names.T).argmax(1), (other @ names.T).argmax(1))


@meaning_kept.mistake("You divide by the sum of absolute values. The length of a row is the root of the sum of its squares.")
def sum_for_length(before, after, names):
    names = F.normalize(names, p=1, dim=1)
    return _agreeing((before @ names.T).argmax(1), (after @ names.T).argmax(1))


@meaning_kept.mistake("You divide by the squared length of a name. Its length is the root of that.")
def squared_length(before, after, names):
    names = names / (names**2).sum(dim=1, keepdim=True)
    return _agreeing((before @ names.T).argmax(1), (after @ names.T).argmax(1))


@meaning_kept.mistake("argmax without a dim gives one place in the whole table. Each row has a nearest name: dim=1.")
def one_place_of_the_table(before, after, names):
    return float(_similarity(before, names).argmax() == _similarity(after, names).argmax())


@meaning_kept.mistake("You divide by the number of names. The share is one of texts: divide by their number.")
def divided_by_names(before, after, names):
    return meaning_kept(before, after, names) * len(before) / len(names)


@meaning_kept.property("Only directions count: rows may be longer or shorter.", mistake="lengths_count")
def _only_directions_count(function, generator):
    before, after, names = _random_features(generator)
    scales = 0.1 + 3 * torch.rand(12, 1, generator=generator)
    longer = function(before, scales * after, torch.tensor([[5.0], [0.2], [1.0], [3.0]]) * names)
    if abs(function(before, after, names) - longer) > 1e-6:
        return say("When rows are made longer or shorter your share changes. Cosine similarity divides by their lengths.")


@meaning_kept.property("An edit that changes nothing keeps everything.", mistake="nothing_kept")
def _nothing_changes(function, generator):
    before, _, names = _random_features(generator)
    if abs(function(before, before.clone(), names) - 1) > 1e-6:
        return say("Copies that equal their texts keep every name: the share is 1.")


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
    idea=(
        "Only a gloss that the judge classified correctly has a label to lose, so the share of flips is taken among those. It "
        "is a share of independent glosses, hence Wilson's interval."
    ),
    steps=(
        "Mark the glosses that were classified as their label before the edit; n is how many there are.",
        (
            "Among them count those whose copy is no longer classified as the label. A copy that became right makes up for "
            "nothing, so do not subtract accuracies."
        ),
        (
            "Convert both counts to Python integers, and ask binomtest for the interval with Wilson's method; if you name no "
            "method it gives the exact one."
        ),
        (
            "Return share, low end, high end, all from 0 to 1 and not rounded. The share is the number of flips divided by n, "
            "not the middle of the interval."
        ),
    ),
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


def _wilson(flipped, n, **options):
    low, high = binomtest(int(flipped), int(n)).proportion_ci(**{"method": "wilson"} | options)
    return int(flipped) / int(n), low, high


def _flipped(before, after, labels):
    """How many glosses lost their label, and how many had it."""
    return int(((before == labels) & (after != labels)).sum()), int((before == labels).sum())


@flip_rate.mistake(
    "You divide by the number of all glosses. Only those that the judge classified correctly could lose their label."
)
def divided_by_all(before, after, labels):
    return _wilson(_flipped(before, after, labels)[0], len(labels))


@flip_rate.mistake('That is the exact interval, which binomtest gives without a word. Wilson\'s needs method="wilson".')
def exact_interval(before, after, labels):
    return _wilson(*_flipped(before, after, labels), method="exact")


@flip_rate.mistake(
    "You subtract two accuracies, so that a copy that became right makes up for a label that was lost. Count the labels lost."
)
def net_change(before, after, labels):
    n = int((before == labels).sum())
    return _wilson(max(0, n - int((after == labels).sum())), n)


@flip_rate.mistake("Your interval is the 90 % one, which is too narrow. Take 95 %.")
def interval_of_90(before, after, labels):
    return _wilson(*_flipped(before, after, labels), confidence_level=0.9)


@flip_rate.mistake("Your interval is the 99 % one, which is too wide. Take 95 %.")
def interval_of_99(before, after, labels):
    return _wilson(*_flipped(before, after, labels), confidence_level=0.99)


@flip_rate.mistake("Your share is the middle of the interval. Wilson's interval is not centred on the share: return flips / n.")
def middle_for_share(before, after, labels):
    _, low, high = flip_rate(before, after, labels)
    return (low + high) / 2, low, high


@flip_rate.mistake("You round. The results are compared digit by digit: return them as they are.")
def rounded(before, after, labels):
    return tuple(round(number, 3) for number in flip_rate(before, after, labels))


@flip_rate.mistake("You round to two digits. The results are compared digit by digit: return them as they are.")
def rounded_to_hundredths(before, after, labels):
    return tuple(round(number, 2) for number in flip_rate(before, after, labels))


@flip_rate.mistake(
    "That is the number of labels lost. The exercise asks for a share: divide by the glosses that could lose one."
)
def flips_counted(before, after, labels):
    return float(_flipped(before, after, labels)[0]), *flip_rate(before, after, labels)[1:]


@flip_rate.mistake("Your numbers are percent. A share goes from 0 to 1.")
def percent(before, after, labels):
    return tuple(100 * number for number in flip_rate(before, after, labels))


@flip_rate.mistake("The order is share, low, high.")
def low_first(before, after, labels):
    share, low, high = flip_rate(before, after, labels)
    return low, share, high


@flip_rate.mistake("The two ends have changed places: the order is share, low, high.")
def high_before_low(before, after, labels):
    share, low, high = flip_rate(before, after, labels)
    return share, high, low


@flip_rate.mistake("Those are the distances from the share. The interval is given by its two ends.")
def distances_for_ends(before, after, labels):
    share, low, high = flip_rate(before, after, labels)
    return share, share - low, high - share


@flip_rate.mistake(
    "Your interval is the normal one, cut at 0 and 1. It has no width at 0: take Wilson's, which scipy.stats.binomtest gives."
)
def normal_interval_cut(before, after, labels):
    share, low, high = normal_interval(before, after, labels)
    return share, max(0.0, low), min(1.0, high)


@flip_rate.property("The interval stays within 0 and 1 and has a width.", mistake="interval_without_width")
def _stays_within_one(function, generator):
    labels = torch.zeros(4, dtype=torch.long)
    for after in (labels, labels + 1):
        _, low, high = function(labels, after, labels)
        if low < 0 or high > 1 or high - low < 0.01:
            return say("With 0 or 4 of 4 labels flipped your interval has no width or leaves 0..1.")
