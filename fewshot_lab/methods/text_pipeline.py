"""The text half of the pipeline: augmentation and prompting, on and off, for a linear head on a frozen encoder.

augmentation: the labelled glosses get copies with synonyms (chapter 03). prompting: a language model that was asked in words,
and calibrated by the mean of its own answers, gives unlabelled glosses their class; the head learns from these too (chapters
06 and 09; Schick & Schütze 2021, EACL, distil their prompts so).
"""

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from ..data import glosses
from ..data.synonyms import Thesaurus
from ..files import cached_on_disk
from ..models.language import sentence_features, smollm2
from ..training import accuracy
from .prompts import label_scores, mean_logit_calibration
from .text_augmentation import changer, first_tests, linear_head

TEMPLATE = "Dictionary definition: {x}\nType:"
COPIES = 3
ARMS = {"nothing": (), "augmentation": ("augmentation",), "prompting": ("prompting",), "all": ("augmentation", "prompting")}


def prompted(texts: Sequence[str], classes: Sequence[str], *, device: str = "auto") -> Tensor:
    """SmolLM2's calibrated scores for the classes' names, (texts, classes); no label is used; kept in the cache folder."""

    def compute() -> Tensor:
        tokenizer, model = smollm2(device)
        return label_scores(tokenizer, model, texts, TEMPLATE, list(classes))

    scores = cached_on_disk("smollm2-scores", json.dumps([TEMPLATE, list(classes), list(texts)]).encode(), compute)
    return mean_logit_calibration(scores, scores)


def measure(
    *, shots: int, seeds: Sequence[int], unlabelled: int, per_class: int, device: str = "auto", progress=iter
) -> dict[str, list[float]]:
    """The test accuracy of every arm of ARMS, one per seed, on five classes of glosses; "prompt alone" is its own accuracy.

    unlabelled: how many glosses per class the prompt answers; per_class: test glosses. progress(batches): a bar.
    """
    task = glosses.task(glosses.FIVE)
    others = task.rows(unlabelled, seeds[0])
    pool = [task.train_texts[row] for row in others]
    answers = prompted(pool, task.classes, device=device)
    guessed = answers.argmax(dim=1)
    tests, wanted = first_tests("five", per_class)
    change = changer("synonyms", synonyms=Thesaurus(), round_trips={})

    sets = {}
    for seed in seeds:
        texts, labels = task.draw(shots, seed)
        copies = [change(text, r) for r in range(COPIES) for text in texts]
        for name, stages in ARMS.items():
            shown, marks = list(texts), labels
            if "augmentation" in stages:
                shown, marks = shown + copies, torch.cat([marks, labels.repeat(COPIES)])
            if "prompting" in stages:
                shown, marks = shown + pool, torch.cat([marks, guessed])
            sets[name, seed] = shown, marks, len(texts) + len(pool) * ("prompting" in stages)

    every = sorted({text for shown, *_ in sets.values() for text in shown}.union(tests))
    features = sentence_features(every, device=device, progress=progress)
    place = {text: row for row, text in enumerate(every)}

    def z(texts: Sequence[str]) -> Tensor:
        return features[[place[text] for text in texts]]

    def tested(shown: list[str], marks: Tensor, known: int) -> float:
        return accuracy(linear_head(z(shown), marks, known)(z(tests)), wanted)

    found = {name: [tested(*sets[name, seed]) for seed in seeds] for name in ARMS}
    return found | {"prompt alone": [accuracy(answers, task.train_labels[others])]}
