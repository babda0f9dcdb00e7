"""Chapter 04: how encoders learn without labels, and how they are fine-tuned. Encoders cost seconds, so two seeds try."""

import functools

from ... import data
from ...evidence import chosen
from ...methods import contrastive, fixmatch, linear_probe, siamese
from . import choice

DATASETS = ("glyphs", "digits")
BATCHES = {"SimCLR": 64, "rotation": 32, "labels": 128}  # 128 images a step: two views or four turns of each, or labelled ones
STEPS = 200  # of the trials
RATES = [
    {"optimizer": "AdamW", "learning_rate": 5e-3},
    {"optimizer": "Muon", "learning_rate": 3e-3},
    {"optimizer": "Muon", "learning_rate": 1e-2},
]
VALIDATION = "the validation parts of glyphs and digits (mean of both), linear probe, 5 labels per class"
FEW = {"seeds": range(500, 502)}


def simclr(seed: int, dataset: str, strength: float = 0.25, steps: int = STEPS, **settings) -> dict:
    """SimCLR on one data set, scored by probes on its validation part."""
    how = {"shots": 5, "steps": steps, "batch_size": BATCHES["SimCLR"], "on_validation": True, **settings}
    return linear_probe.fit_views(dataset, views=[("affine", strength)], seed=seed, **how)


def _score(*rows: dict) -> dict:
    score = {"validation_accuracy": sum(row["test_accuracy"] for row in rows) / len(rows)}
    return score | ({"at_rest": sum(row["at_rest"] for row in rows) / len(rows)} if "at_rest" in rows[0] else {})


@choice("simclr-rate", RATES, data=VALIDATION, **FEW)
def simclr_rate(candidate, seed):
    """SimCLR's optimizer and learning rate"""
    return _score(*(simclr(seed, dataset, temperature=0.2, **candidate) for dataset in DATASETS))


@choice("simclr-temperature", [0.5, 0.2, 0.1], data=VALIDATION, **FEW)
def simclr_temperature(candidate, seed):
    """SimCLR's temperature"""
    return _score(*(simclr(seed, dataset, temperature=candidate, **chosen("simclr-rate")) for dataset in DATASETS))


@choice(
    "simsiam",
    [rate | {"width": width} for width in (16, 64) for rate in RATES],
    data="the validation part of digits, linear probe, 5 labels per class",
    **FEW,
)
def simsiam(candidate, seed):
    """SimSiam's optimizer, learning rate and the width of its predictor"""
    how = {"views": [("affine", chosen("view-strength-digits"))], "looks": [STEPS], "batch_size": BATCHES["SimCLR"]}
    return _score(siamese.fit_simsiam("digits", seed=seed, shots=5, on_validation=True, **how, **candidate))


def _simclr_settings() -> dict:
    return chosen("simclr-rate") | {"temperature": chosen("simclr-temperature")}


def view_strength(candidate, seed, dataset):
    """The strength of the policy affine in SimCLR's views"""
    return _score(simclr(seed, dataset, candidate, **_simclr_settings()))


for _dataset in DATASETS:
    _part = f"the validation part of {_dataset}, linear probe, 5 labels per class"
    choice(f"view-strength-{_dataset}", [0.1, 0.25, 0.5], data=_part, dataset=_dataset, **FEW)(view_strength)


@choice("simclr-steps", [100, 200, 400], data=VALIDATION, margin=0.02, **FEW)
def simclr_steps(candidate, seed):
    """How many steps encoders learn without labels; the quick profile takes a third of them, the full one four times as many"""
    settings = _simclr_settings() | {"steps": candidate}
    return _score(*(simclr(seed, dataset, chosen(f"view-strength-{dataset}"), **settings) for dataset in DATASETS))


@choice("rotation-rate", RATES, data=VALIDATION, **FEW)
def rotation_rate(candidate, seed):
    """The optimizer and learning rate of rotation prediction"""
    settings = {"method": contrastive.rotation_prediction, "batch_size": BATCHES["rotation"], "steps": STEPS, **candidate}
    rows = []
    for dataset in DATASETS:
        row = contrastive.pretrain(dataset, seed=seed, **settings)
        task = data.load(dataset).on_validation()
        rows.append(linear_probe.probe(task, row["encoder"], shots=5, seed=seed) | {"at_rest": row["at_rest"]})
    return _score(*rows)


@functools.lru_cache(maxsize=4)
def _encoder(dataset: str, seed: int):
    settings = {"method": contrastive.simclr, "batch_size": BATCHES["SimCLR"], "steps": STEPS, **_simclr_settings()}
    views = [("affine", chosen(f"view-strength-{dataset}"))]
    return contrastive.pretrain(dataset, seed=seed, views=views, **settings)["encoder"]


TUNING_RATES = [
    {"optimizer": "AdamW", "learning_rate": 3e-4},
    {"optimizer": "AdamW", "learning_rate": 3e-3},
    {"optimizer": "Muon", "learning_rate": 1e-2},
]


def _fine_tuned(candidate: dict, seed: int, *, augmented: bool) -> dict:
    settings = {"shots": 5, "seed": seed, "steps": 100, "batch_size": BATCHES["labels"], "on_validation": True, **candidate}
    rows = []
    for dataset in DATASETS:
        policy = {"policy": "affine", "strength": chosen(f"affine-strength-{dataset}")} if augmented else {}
        rows.append(linear_probe.fit_from(dataset, start=_encoder(dataset, seed), **policy, **settings))
    return _score(*rows)


@choice("fine-tuning-rate", TUNING_RATES, data=VALIDATION.replace("linear probe", "fine-tuned"), **FEW)
def tuning_rate(candidate, seed):
    """The optimizer and learning rate of fine-tuning with augmentation"""
    return _fine_tuned(candidate, seed, augmented=True)


@choice("fine-tuning-rate-plain", TUNING_RATES, data=VALIDATION.replace("linear probe", "fine-tuned"), **FEW)
def tuning_rate_plain(candidate, seed):
    """The optimizer and learning rate of fine-tuning without augmentation"""
    return _fine_tuned(candidate, seed, augmented=False)


@choice(
    "views-emoji",
    [
        [["affine", 0.1]],
        [["affine", 0.25]],
        [["affine", 0.5]],
        [["affine", 0.25], ["flip", 1.0]],
        [["affine", 0.25], ["contrast", 0.5], ["brightness", 0.5]],
    ],
    data="the validation part of emoji, linear probe, 5 labels per group",
    **FEW,
)
def views_emoji(candidate, seed):
    """The views of SimCLR on emoji"""
    how = {"shots": 5, "steps": 150, "batch_size": BATCHES["SimCLR"], "on_validation": True, **_simclr_settings()}
    return _score(linear_probe.fit_views("emoji", views=candidate, seed=seed, **how))


@choice(
    "fixmatch-strong",
    lambda: [[], [["erase", chosen("erase-strength")]]],
    data=VALIDATION.replace("linear probe", "FixMatch"),
    **FEW,
)
def fixmatch_strong(candidate, seed):
    """What FixMatch's strong views have besides the policy affine at the strength for labels"""
    rows = []
    for dataset in DATASETS:
        affine = ("affine", chosen(f"affine-strength-{dataset}"))
        views = {"views": [affine], "weak": [("affine", 0.1)], "strong": [affine, *candidate]}
        rows.append(fixmatch.fit(dataset, shots=5, seed=seed, steps=STEPS, on_validation=True, **views))
    return _score(*rows)
