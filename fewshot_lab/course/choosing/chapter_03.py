"""Chapter 03: how the two learners are fitted, how many words an edit changes, and how a class's name is asked for.

Each is one setting for both tasks, chosen by the mean of the accuracies on their validation glosses. Of the two learners each
has the same number of trials. The head on opinions has settings of its own, chosen on film reviews.
"""

import functools

import torch

from ...augment.text import augmented_set
from ...data import glosses, opinions
from ...data.synonyms import Thesaurus
from ...evidence import chosen
from ...methods.text_augmentation import CLASSES, copy_maker, fit_from_scratch, linear_head
from ...models.language import sentence_features
from ...training import accuracy
from . import choice

SEEDS = range(500, 503)
SHOTS = 5
RATE_STEPS = 300
DATA = "validation glosses of 5 and of 25 classes (mean of both)"
FIVE_LABELS = f"the {DATA}, {SHOTS} labels per class"
OPTIONS = {"data": FIVE_LABELS, "seeds": SEEDS}
WORTH_TWICE_THE_TIME = 0.02  # a smaller gain does not pay for twice as many steps
# The paper makes 16 copies of each text where there are few; the encoder would take too long to read them.
EDITS = [{"alpha": alpha, "copies": copies} for alpha, copies in ((0.1, 1), (0.1, 4), (0.3, 4), (0.5, 4))]

thesaurus = functools.cache(Thesaurus)


def _mean(score, **settings) -> dict:
    """The mean over both tasks of what score(classes, **settings) returns."""
    rows = [score(name, **settings) for name in CLASSES]
    kept = rows[0].keys() & {"validation_accuracy", "at_rest"}
    return {name: sum(row[name] for row in rows) / len(rows) for name in kept}


def _copies(task, shots: int, seed: int, operation: str, alpha: float, copies: int) -> tuple[list, list, int]:
    """A task's labelled texts and their copies: texts, labels, and how many of them were labelled."""
    texts, labels = task.draw(shots, seed)
    make_copy = copy_maker(operation, alpha=alpha, synonyms=thesaurus(), round_trips={})
    return *augmented_set(texts, labels.tolist(), make_copy, copies), len(texts)


def _scratch(
    classes: str, *, seed: int, shots: int = SHOTS, operation="none", alpha=0.1, copies=0, steps: int = 0, **settings
) -> dict:
    texts, labels, _ = _copies(glosses.task(CLASSES[classes]), shots, seed, operation, alpha, copies)
    steps = steps or chosen(f"gloss-steps-{classes}")
    return fit_from_scratch(classes, texts=texts, labels=labels, seed=seed, steps=steps, **settings)


def _head(task, shots: int, seed: int, *, C: float, operation="none", alpha=0.1, copies=0, soft=False) -> float:
    """The validation accuracy of a head on MiniLM that learned from labelled texts, their copies, or their soft labels."""
    texts, labels, labelled = _copies(task, shots, seed, operation, alpha, copies)
    y = opinions.soft_labels(task.train_counts[task.rows(shots, seed)]) if soft else torch.tensor(labels)
    head = linear_head(sentence_features(texts), y, labelled, C=C, balanced=not soft)
    return accuracy(head(sentence_features(task.validation_texts)), task.validation_labels)


def _frozen(classes: str, *, seed: int, **settings) -> dict:
    return {"validation_accuracy": _head(glosses.task(CLASSES[classes]), SHOTS, seed, **settings)}


@choice("gloss-head", [1.0, 3.0, 10.0, 30.0, 100.0], **OPTIONS)
def gloss_head(candidate, seed):
    """How weakly the linear head on MiniLM is regularised (C), without copies"""
    return _mean(_frozen, seed=seed, C=candidate)


@choice("gloss-rate", [1e-2, 3e-3, 3e-2], **OPTIONS)
def gloss_rate(candidate, seed):
    """The largest learning rate of the text network from scratch, without copies"""
    return _mean(_scratch, seed=seed, steps=RATE_STEPS, learning_rate=candidate)


# Copies are more to learn, and so are more labels: the other arms get as many steps. Half as many are too few to come to rest.
def steps(candidate, seed, classes):
    """How many steps a text network from scratch is trained, with four copies by synonyms"""
    settings = {"shots": 20, "steps": candidate, "learning_rate": chosen("gloss-rate")}
    return _scratch(classes, seed=seed, operation="synonyms", copies=4, **settings)


for _classes, _candidates in (("five", [300, 600]), ("all", [600, 1200])):
    choice(
        f"gloss-steps-{_classes}",
        _candidates,
        data=f"the validation glosses of {len(CLASSES[_classes])} classes, 20 labels per class",
        seeds=SEEDS,
        margin=WORTH_TWICE_THE_TIME,
        classes=_classes,
    )(steps)


def scratch_edits(candidate, seed, operation):
    """The share of changed words and the number of copies for a text network from scratch"""
    return _mean(_scratch, seed=seed, operation=operation, learning_rate=chosen("gloss-rate"), **candidate)


def frozen_edits(candidate, seed, operation):
    """The share of changed words and the number of copies for a linear head on MiniLM"""
    return _mean(_frozen, seed=seed, C=chosen("gloss-head"), operation=operation, **candidate)


for _operation in ("synonyms", "eda"):
    choice(f"gloss-{_operation}-scratch", EDITS, operation=_operation, **OPTIONS)(scratch_edits)
    choice(f"gloss-{_operation}-frozen", EDITS, operation=_operation, **OPTIONS)(frozen_edits)


@choice(
    "gloss-names",
    ["{name}", "a kind of {name}", "This is about {name}.", "The definition of a word for {name}."],
    data=f"a random half of the {DATA}, no labels",
    seeds=SEEDS,
)
def gloss_names(candidate, seed):
    """The words around a class's name, when MiniLM compares glosses with it"""

    def score(classes: str) -> dict:
        task = glosses.task(CLASSES[classes])
        names = sentence_features([candidate.format(name=name) for name in task.classes])
        scores = sentence_features(task.validation_texts) @ names.T
        half = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))[: len(scores) // 2]
        return {"validation_accuracy": accuracy(scores[half], task.validation_labels[half])}

    return _mean(score)


# opinions: films choose, products are only tested

OPINIONS = "150 validation texts about films"
OPINION_SHOTS = (1, 4, 16)


def opinion_head(candidate, seed, soft):
    """How weakly the linear head on MiniLM is regularised (C), on opinions without copies"""
    reached = [_head(opinions.task("films"), shots, seed, C=candidate, soft=soft) for shots in OPINION_SHOTS]
    return {"validation_accuracy": sum(reached) / len(reached)}


# One for each kind of label, so that neither is tested with what the other one needs.
for _name, _soft in (("opinions-head", False), ("opinions-head-soft", True)):
    choice(_name, [1.0, 3.0, 10.0, 30.0, 100.0], data=f"{OPINIONS}, the mean of 1, 4 and 16 labels per class", soft=_soft)(
        opinion_head
    )


def opinion_edits(candidate, seed, operation):
    """The share of changed words and the number of copies for a linear head on MiniLM, on opinions"""
    settings = {"C": chosen("opinions-head"), "operation": operation, **candidate}
    return {"validation_accuracy": _head(opinions.task("films"), 4, seed, **settings)}


for _operation in ("synonyms", "deletion"):
    choice(f"opinions-{_operation}", EDITS, data=f"{OPINIONS}, 4 labels per class", operation=_operation)(opinion_edits)
