"""Glosses: short English definitions from WordNet, labelled with the broad class of the thing that they define."""

import functools
import hashlib
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from .images import rows_of_each
from .wordnet import NOUN_SUPERSENSES, synsets

FIVE = ("animal", "plant", "food", "person", "artifact")
ALL = tuple(name for name in NOUN_SUPERSENSES if name != "Tops")
TEST_PER_CLASS, VALIDATION_PER_CLASS, TRAIN_PER_CLASS = 100, 20, 300
UNFIT = re.compile(r"\b(sexual|prostitut|offensive|disparag|derogatory|slur|obscen|vulgar|slang)", re.IGNORECASE)


@dataclass(frozen=True)
class TextTask:
    """A classification task: texts, labels (N,) in 0..classes-1, and the classes' names."""

    name: str
    classes: tuple[str, ...]
    train_texts: tuple[str, ...]
    train_labels: Tensor
    validation_texts: tuple[str, ...]
    validation_labels: Tensor
    test_texts: tuple[str, ...]
    test_labels: Tensor

    def draw(self, shots: int, seed: int) -> tuple[list[str], Tensor]:
        """Draws `shots` training texts of every class, the same for equal seeds; a class that has fewer gives all it has.

        Returns texts, class after class, and their labels. Draws with the same seed are nested: the first K of a class are the
        same for every larger K, so learning curves are paired.
        """
        rows = self.rows(shots, seed)
        return [self.train_texts[row] for row in rows], self.train_labels[rows]

    def rows(self, shots: int, seed: int) -> Tensor:
        """Where the texts of `draw` stand in the training part: whole numbers, at most classes * shots of them."""
        return rows_of_each(self.train_labels, len(self.classes), shots, seed)


@functools.cache
def task(classes: tuple[str, ...] = FIVE) -> TextTask:
    """The glosses of these supersenses (5 by default; ALL has 25), split once and for all; fetches the asset "wordnet".

    A gloss that contains its class's name, in the singular or plural, is left out, because its label stands in it; so is one of
    a thing with a name of its own, one of under three words, one that two synsets share, and one that is not fit for a class
    room. Of each class at most 100 texts are for the test, 20 for validation and 300 for training; a rare class (motive has
    some thirty in all) gives half of its texts to the test. Raises ValueError for a class that WordNet does not have.
    """
    if unknown := set(classes) - set(ALL):
        raise ValueError(f"WordNet has no supersense {', '.join(sorted(unknown))}; there are {', '.join(ALL)}.")
    by_class = _glosses()
    parts = {"train": ([], []), "validation": ([], []), "test": ([], [])}
    for label, name in enumerate(classes):
        texts = by_class[name]
        tested = min(TEST_PER_CLASS, len(texts) // 2)
        validated = min(VALIDATION_PER_CLASS, (len(texts) - tested) // 4)
        start = tested + validated
        for part, chosen in (
            ("test", texts[:tested]),
            ("validation", texts[tested:start]),
            ("train", texts[start : start + TRAIN_PER_CLASS]),
        ):
            parts[part][0].extend(chosen)
            parts[part][1].extend([label] * len(chosen))
    split = {f"{part}_texts": tuple(texts) for part, (texts, _) in parts.items()}
    split |= {f"{part}_labels": torch.tensor(labels) for part, (_, labels) in parts.items()}
    return TextTask(f"glosses{len(classes)}", classes, **split)


@functools.cache
def _glosses() -> dict[str, list[str]]:
    """The texts of every class, in an order that depends on nothing but the texts."""
    seen: dict[str, set[str]] = {}
    for synset in synsets("n"):
        wanted = not synset.instance and synset.supersense != "Tops" and len(synset.gloss.split()) >= 3
        if wanted and not UNFIT.search(synset.gloss):
            seen.setdefault(synset.gloss, set()).add(synset.key + synset.supersense)
    by_class: dict[str, list[str]] = {name: [] for name in ALL}
    for gloss, owners in seen.items():
        supersense = next(iter(owners))[8:]
        if len(owners) == 1 and not re.search(rf"\b{supersense}(s|es)?\b", gloss, re.IGNORECASE):
            by_class[supersense].append(gloss)
    return {name: sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest()) for name, texts in by_class.items()}
