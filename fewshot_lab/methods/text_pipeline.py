"""The text half of the pipeline: augmentation and prompting, on and off, for a linear head on a frozen encoder.

augmentation: the labelled glosses get copies with synonyms (chapter 03). prompting: a language model that was asked in words,
calibrated by the mean of its own scores, labels unlabelled glosses, and the head learns from these too (chapters 06 and 09;
Schick & Schütze 2021, EACL, distil their prompts in this way).
"""

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from ..data import glosses
from ..data.synonyms import Thesaurus
from ..files import cached_on_disk
from ..models.language import features_by_text, smollm2
from ..training import accuracy, hits_by_picture
from .prompts import label_scores, mean_logit_calibration
from .text_augmentation import copy_maker, first_test_texts, linear_head

TEMPLATE = "Dictionary definition: {x}\nType:"
COPIES = 3
ARMS = {"nothing": (), "augmentation": ("augmentation",), "prompting": ("prompting",), "both": ("augmentation", "prompting")}


def prompted_scores(texts: Sequence[str], classes: Sequence[str], *, device: str = "auto") -> Tensor:
    """SmolLM2's scores for the classes' names, (texts, classes); uses no label; kept in the cache folder."""

    def compute() -> Tensor:
        tokenizer, model = smollm2(device)
        return label_scores(tokenizer, model, texts, TEMPLATE, list(classes))

    return cached_on_disk("smollm2-scores", json.dumps([TEMPLATE, list(classes), list(texts)]).encode(), compute)


def measure(
    *, shots: int, seeds: Sequence[int], unlabelled: int, per_class: int, device: str = "auto", progress=iter
) -> dict[str, list[dict]]:
    """Tests every arm of ARMS on five classes of glosses; "prompt alone" are the prompt's own answers about the same glosses.

    Each seed has unlabelled glosses of its own: the head learns from the prompt's answers about them, and their mean score
    calibrates the prompt, about these glosses and about the test. Two seeds may have some of them in common.

    Args:
        shots: labelled glosses per class.
        seeds: one draw of labelled and of unlabelled glosses for each.
        unlabelled: how many, drawn without a look at their labels. The language model reads each different one once.
        per_class: test glosses per class.
        device: where the language model and the encoder run.
        progress: progress(batches) is a bar around the encoder's loop.

    Returns:
        {arm: rows}, one row per seed with seed, test_accuracy and its hits by gloss. The rows of the prompt alone differ by
        what calibrated it.
    """
    task = glosses.task(glosses.FIVE)
    # Not `task.rows`, which would balance the classes by their labels, and calibration by the mean profits from that.
    pools = {seed: task.unlabelled_rows(unlabelled, seed, without=task.rows(shots, seed)) for seed in seeds}
    asked = torch.cat(list(pools.values())).unique()
    scores = torch.full((len(task.train_texts), len(task.classes)), torch.nan)
    scores[asked] = prompted_scores([task.train_texts[row] for row in asked], task.classes, device=device)
    test_texts, test_labels = first_test_texts("five", per_class)
    test_scores = prompted_scores(test_texts, task.classes, device=device)
    make_copy = copy_maker("synonyms", synonyms=Thesaurus(), round_trips={})

    sets, prompted = {}, {}
    for seed, pool in pools.items():
        texts, labels = task.draw(shots, seed)
        copies = [make_copy(text, r) for r in range(COPIES) for text in texts]
        pseudo_labels = mean_logit_calibration(scores[pool], scores[pool]).argmax(dim=1)
        # Not by the test's own mean: the test glosses are as many of each class, and to use that would be to use their labels.
        prompted[seed] = mean_logit_calibration(test_scores, scores[pool])
        for name, stages in ARMS.items():
            train_texts, train_labels = list(texts), labels
            if "augmentation" in stages:
                train_texts, train_labels = train_texts + copies, torch.cat([train_labels, labels.repeat(COPIES)])
            if "prompting" in stages:
                train_texts = train_texts + [task.train_texts[row] for row in pool]
                train_labels = torch.cat([train_labels, pseudo_labels])
            labelled = len(texts) + len(pool) * ("prompting" in stages)
            sets[name, seed] = train_texts, train_labels, labelled

    # Arms and seeds share most of their texts, so each text is embedded once.
    all_texts = {text for texts, *_ in sets.values() for text in texts}.union(test_texts)
    z = features_by_text(all_texts, device=device, progress=progress)

    def tested(logits: Tensor, seed: int) -> dict:
        hits = hits_by_picture(logits, test_labels, torch.arange(len(test_labels)))
        return {"seed": seed, "test_accuracy": accuracy(logits, test_labels), **hits}

    def answers(texts: list[str], labels: Tensor, labelled: int) -> Tensor:
        return linear_head(z(texts), labels, labelled)(z(test_texts))

    by_arm = {name: [tested(answers(*sets[name, seed]), seed) for seed in seeds] for name in ARMS}
    return by_arm | {"prompt alone": [tested(prompted[seed], seed) for seed in seeds]}
