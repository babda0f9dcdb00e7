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
UNSUITABLE = re.compile(r"\b(sexual|prostitut|offensive|disparag|derogatory|slur|obscen|vulgar|slang)", re.IGNORECASE)


@dataclass(frozen=True)
class TextTask:
    """A text classification task in three parts: texts, labels (N,) in 0..classes-1; and the classes' names."""

    name: str
    classes: tuple[str, ...]
    train_texts: tuple[str, ...]
    train_labels: Tensor
    validation_texts: tuple[str, ...]
    validation_labels: Tensor
    test_texts: tuple[str, ...]
    test_labels: Tensor

    def draw(self, shots: int, seed: int) -> tuple[list[str], Tensor]:
        """Draws `shots` training texts of every class, the same for equal seeds, or all of a class that has fewer.

        Returns texts, class after class, and their labels. Draws with the same seed are nested: the first K of a class are the
        same for every larger K, so learning curves are paired.
        """
        rows = self.rows(shots, seed)
        return [self.train_texts[row] for row in rows], self.train_labels[rows]

    def rows(self, shots: int, seed: int) -> Tensor:
        """The indices of the texts of `draw` in the training part, at most classes * shots of them."""
        return rows_of_each(self.train_labels, len(self.classes), shots, seed)

    def unlabelled_rows(self, count: int, seed: int, *, without: Tensor) -> Tensor:
        """The indices of `count` training texts, drawn without a look at their labels from all but the rows of `without`."""
        # Another stream than that of `rows`, which would draw the same numbers from an equal seed.
        order = torch.randperm(len(self.train_texts), generator=torch.Generator().manual_seed(1_000_000 + seed))
        return order[~torch.isin(order, without)][:count]


@functools.cache
def task(classes: tuple[str, ...] = FIVE) -> TextTask:
    """The glosses of these supersenses (5 by default; ALL has 25) in a fixed split; fetches the asset "wordnet".

    Left out are glosses that contain the name of their class (the label could be read off), glosses of things with a name of
    their own, glosses of fewer than three words, glosses that two synsets share, and glosses unsuitable for a classroom. Of
    each class at most 100 texts are for the test, 20 for validation and 300 for training; a rare class (motive has some thirty
    in all) gives half of its texts to the test. Raises ValueError for a class that WordNet does not have.
    """
    if unknown := set(classes) - set(ALL):
        raise ValueError(f"WordNet has no supersense {', '.join(sorted(unknown))}; there are {', '.join(ALL)}.")
    by_class = _glosses()
    parts = {"train": ([], []), "validation": ([], []), "test": ([], [])}
    for label, name in enumerate(classes):
        texts = by_class[name]
        n_test = min(TEST_PER_CLASS, len(texts) // 2)
        n_validation = min(VALIDATION_PER_CLASS, (len(texts) - n_test) // 4)
        start = n_test + n_validation
        for part, chosen in (
            ("test", texts[:n_test]),
            ("validation", texts[n_test:start]),
            ("train", texts[start : start + TRAIN_PER_CLASS]),
        ):
            parts[part][0].extend(chosen)
            parts[part][1].extend([label] * len(chosen))
    split = {f"{part}_texts": tuple(texts) for part, (texts, _) in parts.items()}
    split |= {f"{part}_labels": torch.tensor(labels) for part, (_, labels) in parts.items()}
    return TextTask(f"glosses{len(classes)}", classes, **split)


@functools.cache
def _glosses() -> dict[str, list[str]]:
    """The texts of every class, in an order that depends on the texts alone."""
    senses: dict[str, set[str]] = {}  # gloss: its synsets, each a key of eight digits and the supersense
    for synset in synsets("n"):
        wanted = not synset.instance and synset.supersense != "Tops" and len(synset.gloss.split()) >= 3
        if wanted and not UNSUITABLE.search(synset.gloss):
            senses.setdefault(synset.gloss, set()).add(synset.key + synset.supersense)
    by_class: dict[str, list[str]] = {name: [] for name in ALL}
    for gloss, owners in senses.items():
        supersense = next(iter(owners))[8:]
        if len(owners) == 1 and not re.search(rf"\b{supersense}(s|es)?\b", gloss, re.IGNORECASE):
            by_class[supersense].append(gloss)
    # By a hash: an alphabetical order would put like glosses side by side, and the split by position would follow the alphabet.
    return {name: sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest()) for name, texts in by_class.items()}
