"""Chapter 06: the policy's strength for a small student, how a teacher with few labels is made, and how it is listened to.

All but the strength and what is studied on glyphs alone is one setting for the three data sets, chosen by the mean of their
validation accuracies.
"""

import functools

from ...evidence import chosen
from ...methods import distillation, mean_teacher, pretrained_teachers
from . import choice

STEPS = {"glyphs": 400, "digits": 200, "fashion": 200}  # in all; the quick profile takes 300 on glyphs
SHOTS, COPIES = 5, 16
IMAGES = "the validation images of glyphs, digits and fashion, 5 labels per class"
TEXTS = "the validation glosses, 5 labels per class"
SEEDS = range(500, 503)


def strength(candidate, seed, dataset):
    """The strength of the policy affine for a student on its labels alone"""
    policy = {"policy": "affine", "strength": candidate}
    return distillation.fit_student(dataset, shots=SHOTS, seed=seed, steps=STEPS[dataset], **policy)


for _dataset in STEPS:
    _data = f"the validation part of {_dataset}, 5 labels per class"
    choice(f"student-strength-{_dataset}", [0.1, 0.25, 0.5, 0.75], data=_data, seeds=SEEDS, dataset=_dataset)(strength)


def _policy(dataset: str) -> dict:
    return {"policy": "affine", "strength": chosen(f"student-strength-{dataset}")}


@functools.cache
def _answers(dataset: str, width: int, seed: int):
    """The cached logits of a teacher that knows the student's labels alone."""
    settings = {"dataset": dataset, **_policy(dataset)}
    row = distillation.fit_teacher(width=width, shots=SHOTS, steps=STEPS[dataset] // 2, seed=seed, **settings)
    return distillation.cached_logits(row["teacher"], copies=COPIES, **settings)


def _students(seed: int, teacher, share: int = 2, **settings) -> dict:
    """What students of teacher(dataset) reach in the mean of the three data sets, within 1 / share of the steps."""
    common = {"shots": SHOTS, "seed": seed, "images": "all"} | settings
    rows = [
        distillation.fit_student(name, teacher=teacher(name), steps=steps // share, **_policy(name), **common)
        for name, steps in STEPS.items()
    ]
    means = {name: sum(row[name] for row in rows) / len(rows) for name in ("validation_accuracy", "at_rest")}
    return means | {"seconds": sum(row["seconds"] for row in rows)}


@choice("teacher-width", [8, 16], data=IMAGES, seeds=SEEDS)
def teacher_width(candidate, seed):
    """The width of a teacher that knows no more labels than its student; wider ones take too long for a chapter"""
    return _students(seed, lambda name: _answers(name, candidate, seed), temperature=1.0)


_LOSSES = [{"temperature": T, "alpha": alpha} for T, alpha in ((1.0, 0.5), (2.0, 0.5), (4.0, 0.5), (8.0, 0.5), (1.0, 0.9))]


@choice("self-training-loss", _LOSSES, data=IMAGES, seeds=SEEDS)
def self_training_loss(candidate, seed):
    """The temperature and the teacher's share α in the loss of a student whose teacher knows no more labels"""
    return _students(seed, lambda name: _answers(name, chosen("teacher-width"), seed), **candidate)


_AVERAGES = [{"decay": decay, "weight": weight} for weight in (3.0, 10.0, 30.0, 100.0) for decay in (0.9, 0.99)]


@choice("mean-teacher", _AVERAGES, data="the validation part of digits, 5 labels per class", seeds=SEEDS)
def averaged_teacher(candidate, seed):
    """The decay of a mean teacher and the weight of its consistency; 0.99 and 100 are the paper's at the start of a training"""
    settings = {"shots": SHOTS, "seed": seed, "steps": STEPS["digits"]}
    return mean_teacher.fit_mean_teacher("digits", **settings, **_policy("digits"), **candidate)


@functools.cache
def _informed(seed: int):
    """The cached logits for glyphs of a teacher that knows all labels of its own half."""
    width, steps = chosen("teacher-width"), STEPS["glyphs"]
    row = distillation.fit_teacher("glyphs", width=width, steps=steps, seed=seed, **_policy("glyphs"))
    return distillation.cached_logits(row["teacher"], "glyphs")


_GLYPHS = "the validation part of glyphs, 5 labels per class"
_LABELLED = "the validation part of glyphs, all images labelled"
_AS_THEY_ARE = {"shots": SHOTS, "images": "all", "steps": STEPS["glyphs"] // 2}  # students that see no augmentation


@choice(
    "informed-loss",
    [{"temperature": T, "alpha": alpha} for alpha in (0.5, 0.9) for T in (1.0, 2.0, 4.0, 8.0, 16.0)],
    data=_GLYPHS,
    seeds=SEEDS,
)
def informed_loss(candidate, seed):
    """The temperature and the teacher's share α at which students without augmentation learn an informed teacher's answers"""
    return distillation.fit_student("glyphs", seed=seed, teacher=_informed(seed), **candidate, **_AS_THEY_ARE)


@choice("label-smoothing-glyphs", [0.05, 0.1, 0.2, 0.3, 0.4], data=_LABELLED, seeds=SEEDS)
def label_smoothing(candidate, seed):
    """How much of a label is spread over all classes where students without augmentation know all labels of their half"""
    return distillation.fit_student("glyphs", seed=seed, smoothing=candidate, **_AS_THEY_ARE)


def _pretrained(seed: int, side: int, C: float) -> dict:
    def teacher(name):
        answers = pretrained_teachers.image_answers(name, shots=SHOTS, seed=seed, side=side, C=C)
        return answers.expand(COPIES, -1, -1)

    return _students(seed, teacher, share=1, **chosen("self-training-loss"))


@choice("efficientnet-side", [64, 96, 128], data=IMAGES, seeds=SEEDS)
def efficientnet_side(candidate, seed):
    """The side in pixels to which images are enlarged for EfficientNet-Lite0"""
    return _pretrained(seed, candidate, 10.0)


@choice("efficientnet-head", [1.0, 10.0, 100.0], data=IMAGES, seeds=SEEDS)
def efficientnet_head(candidate, seed):
    """How weakly the linear head on EfficientNet-Lite0 is regularised (C)"""
    return _pretrained(seed, chosen("efficientnet-side"), candidate)


_READ = [{"C": C, "temperature": T} for T in (1.0, 4.0) for C in (1.0, 10.0, 100.0)]


@choice("minilm-teacher", _READ, data=TEXTS, seeds=SEEDS)
def minilm_teacher(candidate, seed):
    """How weakly the linear head on MiniLM is regularised (C), and the temperature of its answers"""
    teacher = pretrained_teachers.text_answers(shots=SHOTS, seed=seed, C=candidate["C"])
    settings = {"temperature": candidate["temperature"], "steps": 200}
    return pretrained_teachers.fit_text_student(shots=SHOTS, seed=seed, teacher=teacher, **settings)
