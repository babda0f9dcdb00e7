"""Scores of a tagger: entity F1 and token accuracy, kinds of errors, and what a printed table of tokens says.

An entity counts as found when all its words and its type are right (CoNLL-2003; Tjong Kim Sang & De Meulder 2003). Token
accuracy counts words, most of which are O, and is therefore higher.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..data.conll import Span, spans
from ..training.metrics import Estimate, bootstrap_interval

ERROR_KINDS = ("boundary", "type", "boundary and type", "missed", "invented")

Table = dict[str, tuple[float, float, float, int]]  # precision, recall, F1 and number of tokens of each class


def entity_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F1 over entities, 0 to 1, of BIO tags sentence by sentence; 0 when neither side has an entity."""
    correct = n_gold = n_predicted = 0
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        true_entities, predicted_entities = set(spans(gold_tags)), set(spans(predicted_tags))
        correct += len(true_entities & predicted_entities)
        n_gold += len(true_entities)
        n_predicted += len(predicted_entities)
    return 2 * correct / (n_gold + n_predicted) if n_gold + n_predicted else 0.0


def token_accuracy(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """The share of words whose tag is right, the many O included."""
    pairs = [pair for tags in zip(gold, predicted, strict=True) for pair in zip(*tags, strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


def find_errors(gold: Sequence[str], predicted: Sequence[str]) -> list[tuple[str, Span | None, Span | None]]:
    """The errors of a sentence as (one of ERROR_KINDS, the true entity, the predicted entity).

    A wrong prediction is paired with the unmatched true entity with which it shares most words: other words, another type, or
    both. True entities that stay unpaired are missed, predictions that stay unpaired are invented.
    """
    true_entities, predicted_entities = spans(gold), spans(predicted)
    unmatched = [g for g in true_entities if g not in predicted_entities]
    wrong = [p for p in predicted_entities if p not in true_entities]
    overlaps = [(min(g[2], p[2]) - max(g[1], p[1]), g, p) for g in unmatched for p in wrong]
    paired = []
    # Largest overlap first, then from left to right: greedy, so that each entity is in one error only.
    for overlap, g, p in sorted(overlaps, key=lambda pair: (-pair[0], pair[1][1], pair[2][1])):
        if overlap > 0 and g in unmatched and p in wrong:
            kind = "type" if g[1:] == p[1:] else "boundary" if g[0] == p[0] else "boundary and type"
            paired.append((kind, g, p))
            unmatched.remove(g)
            wrong.remove(p)
    return paired + [("missed", g, None) for g in unmatched] + [("invented", None, p) for p in wrong]


def count_errors(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, int]:
    """The number of errors of each kind."""
    counts = Counter(kind for tags in zip(gold, predicted, strict=True) for kind, *_ in find_errors(*tags))
    return {kind: counts[kind] for kind in ERROR_KINDS}


def f1_averages(table: Table) -> tuple[float, float, float]:
    """Three F1 of one table of tokens: micro over all classes, macro over all classes, micro without the class "O".

    table: for each class precision, recall and F1 (above 0, up to 1) and the number of true tokens. Over all classes every
    wrong token is once a false positive and once a false negative, so micro precision, recall and F1 all equal the accuracy.
    """
    correct = {name: recall * support for name, (_, recall, _, support) in table.items()}
    predicted = {name: correct[name] / precision for name, (precision, *_) in table.items()}
    entities = [name for name in table if name != "O"]
    micro = sum(correct.values()) / sum(support for *_, support in table.values())
    macro = sum(f1 for _, _, f1, _ in table.values()) / len(table)
    inside = 2 * sum(correct[n] for n in entities) / sum(predicted[n] + table[n][3] for n in entities)
    return micro, macro, inside


def rounding_ranges(table: Table, average=f1_averages, digits: int = 3) -> list[Estimate]:
    """`f1_averages` of a printed table, each with the lowest and highest value that rounding to `digits` allows."""
    half, tokens = 0.5 * 10**-digits, sum(support for *_, support in table.values())

    def shifted(by: float) -> tuple[float, float, float]:
        return average({n: (*(min(1.0, value + by) for value in row[:3]), row[3]) for n, row in table.items()})

    # All three averages grow with every precision, recall and F1, so shifting all entries together gives both ends.
    ends = zip(average(table), shifted(-half), shifted(half), strict=True)
    return [Estimate(*three, tokens, kind="rounding range") for three in ends]


def scores_by_group(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], groups: Sequence[int]
) -> dict[str, np.ndarray]:
    """What each group of test sentences adds to entity F1 and to token accuracy, to be merged into the row of a training.

    Sentences of one template resemble each other, so an interval must draw templates anew, not sentences. Both scores are
    ratios of sums, of which each group has a linear share (the infinitesimal jackknife, Jaeckel 1972): with G groups, R = n / d
    and a group's own sums n_g, d_g it is R + G (n_g - R d_g) / d. The mean of the shares is R.

    Args:
        gold: the true tags of each sentence.
        predicted: the predicted ones.
        groups: the number of each sentence's group, from 0.

    Returns:
        {"entity_f1_by_picture": (G,), "token_accuracy_by_picture": (G,), "test_sizes": (G,) ones}, as `training.Arms` takes it.
    """
    correct, total, correct_tags, n_tags = _sums_by_group(gold, predicted, groups).T
    return {
        "entity_f1_by_picture": _shares(2 * correct, total),
        "token_accuracy_by_picture": _shares(correct_tags, n_tags),
        "test_sizes": np.ones(len(total)),
    }


def score_intervals(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], groups: Sequence[int] | None = None
) -> dict[str, Estimate]:
    """Token accuracy and entity F1 of one tagger, with bootstrap intervals over groups of sentences (None: over sentences)."""
    rows = _sums_by_group(gold, predicted, range(len(gold)) if groups is None else groups)
    return {
        "token accuracy": bootstrap_interval(lambda rows: rows[:, 2].sum() / rows[:, 3].sum(), rows),
        "entity F1": bootstrap_interval(_f1, rows),
    }


def f1_gain(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    other: Sequence[Sequence[str]],
    groups: Sequence[int] | None = None,
) -> Estimate:
    """The entity F1 of one tagger less that of another on the same sentences, with a bootstrap interval over their groups."""
    groups = range(len(gold)) if groups is None else groups
    sides = [_sums_by_group(gold, tags, groups) for tags in (predicted, other)]
    return bootstrap_interval(lambda first, second: _f1(first) - _f1(second), *sides)


def _f1(rows: np.ndarray) -> float:
    # F1 is a ratio of sums over sentences, not a mean: a resampled set of sentences needs its sums anew.
    correct, total = rows[:, 0].sum(), rows[:, 1].sum()
    return 2 * correct / total if total else 0.0


def _sums_by_group(gold, predicted, groups) -> np.ndarray:
    """(groups, 4): correct entities, true plus predicted ones, correct tags, tags."""
    sums = np.zeros((max(groups) + 1, 4))
    for gold_tags, predicted_tags, group in zip(gold, predicted, groups, strict=True):
        true_entities, predicted_entities = set(spans(gold_tags)), set(spans(predicted_tags))
        correct_tags = sum(a == b for a, b in zip(gold_tags, predicted_tags, strict=True))
        total = len(true_entities) + len(predicted_entities)
        sums[group] += len(true_entities & predicted_entities), total, correct_tags, len(gold_tags)
    return sums


def _shares(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """The linear share of each group in the ratio of the sums; zeros for 0 / 0."""
    whole = denominators.sum()
    ratio = numerators.sum() / whole if whole else 0.0
    return ratio + len(denominators) * (numerators - ratio * denominators) / max(whole, 1)
