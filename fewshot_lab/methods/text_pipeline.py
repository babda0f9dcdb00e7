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

    Args:
        shots: labelled glosses per class.
        seeds: one draw of labelled glosses for each.
        unlabelled: glosses that each seed's head learns from with the prompt's answers, drawn without a look at their labels.
        per_class: test glosses per class.
        device: where the language model and the encoder run.
        progress: progress(batches) is a bar around the encoder's loop.

    Returns:
        {arm: rows}, one row per seed with seed, test_accuracy and its hits by gloss. The prompt learns nothing, so its rows
        are alike.
    """
    task = glosses.task(glosses.FIVE)
    # A pool of twice as many for all seeds, which the language model labels once; each seed draws its half. Not `task.rows`,
    # which would balance the classes by their labels, and calibration by the mean profits from that.
    generator = torch.Generator().manual_seed(seeds[0])
    pool_rows = torch.randperm(len(task.train_texts), generator=generator)[: 2 * unlabelled]
    pool = [task.train_texts[row] for row in pool_rows]
    scores = prompted_scores(pool, task.classes, device=device)
    pseudo_labels = mean_logit_calibration(scores, scores).argmax(dim=1)
    test_texts, test_labels = first_test_texts("five", per_class)
    # Calibrated by the pool's mean: the test glosses are as many of each class, and to use that would be to use their labels.
    prompted = mean_logit_calibration(prompted_scores(test_texts, task.classes, device=device), scores)
    make_copy = copy_maker("synonyms", synonyms=Thesaurus(), round_trips={})

    sets = {}
    for seed in seeds:
        texts, labels = task.draw(shots, seed)
        known = set(texts)  # a text with a label is not given again without one
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed)).tolist()
        drawn = [i for i in order if pool[i] not in known][:unlabelled]
        copies = [make_copy(text, r) for r in range(COPIES) for text in texts]
        for name, stages in ARMS.items():
            train_texts, train_labels = list(texts), labels
            if "augmentation" in stages:
                train_texts, train_labels = train_texts + copies, torch.cat([train_labels, labels.repeat(COPIES)])
            if "prompting" in stages:
                train_texts = train_texts + [pool[i] for i in drawn]
                train_labels = torch.cat([train_labels, pseudo_labels[drawn]])
            labelled = len(texts) + len(drawn) * ("prompting" in stages)
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
    return by_arm | {"prompt alone": [tested(prompted, seed) for seed in seeds]}
