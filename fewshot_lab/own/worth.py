"""Which augmentation is worth how many labels on your data: chosen on validation, told from the test."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..augment import get_policy
from ..augment.text import edit_text
from ..data import ImageTask
from ..data.glosses import TextTask
from ..evidence import exchange_rate
from ..languages import later, say
from ..methods.linear_probe import fit_probabilities
from ..methods.supervised import fit_few_shot
from ..methods.text_augmentation import linear_head
from ..training import Arms, arms
from ..training.metrics import Estimate
from .features import Kinds, pixels
from .measures import learning_curve, shots_for, tested

# What is compared: changes that keep most objects what they are, and two that often do not.
POLICIES = {
    later("flip"): ("flip", 1.0),
    later("affine"): ("affine", 0.4),
    later("erase"): ("erase", 0.8),
    later("brightness"): ("brightness", 0.6),
    later("d4"): ("d4", 1.0),
    later("trivialaugment"): ("trivialaugment", 1.0),
}
EDITS = ("swap", "deletion", "synonyms")
ALPHA = 0.1  # the share of words that an edit changes
COPIES = 3  # of each labelled text


@dataclass(frozen=True)
class Worth:
    """The policy that was best on validation, how many labels one label is worth with it, and what else was measured.

    chosen: its name. shots: labels per class where it was measured. rate: the exchange rate on the test. validation: the
    accuracies by which it was chosen, {policy: Estimate}. curves: the test's, with the arms "none" and the chosen one.
    """

    chosen: str
    shots: int
    rate: Estimate
    validation: Mapping[str, Estimate]
    curves: Arms

    def __str__(self) -> str:
        named = {"policy": say(self.chosen), "k": self.shots, "rate": self.rate.short()}
        low, high = self.rate.limits
        if low > 1:
            return say("With {policy} one label is worth {rate} labels without it, at {k} labels per class.", **named)
        if high < 1:
            return say("{policy}, the best on validation, costs labels: one is worth {rate}, at {k} per class.", **named)
        return say(
            "Too few to tell whether {policy}, the best on validation, helps: one label is worth {rate}, at {k} per class.",
            **named,
        )


def measured_at(shots: Sequence[int]) -> int:
    """The labels per class at which policies are compared: with points above, at which a rate over 1 can be read."""
    return shots[(len(shots) - 1) // 2]


def of_policies(
    task: ImageTask,
    policies: Mapping[str, tuple[str, float]] = POLICIES,
    *,
    seeds: Sequence[int],
    choosing_seeds: int = 2,
    steps: int = 200,
    width: int = 8,
) -> Worth:
    """The exchange rate of the policy that helps a small network most on validation, on all cores.

    Args:
        task: with images.
        policies: {name: (policy, strength)}.
        seeds: of the trainings that are told; the first `choosing_seeds` of them choose.
        choosing_seeds: how many.
        steps: of each training.
        width: of the network.
    """
    shots = shots_for(task, most=4)
    k, common = measured_at(shots), {"steps": steps, "width": width}
    kinds = {name: {"policy": policy, "strength": strength} for name, (policy, strength) in policies.items()}
    choosing = arms(
        fit_few_shot,
        kinds,
        seeds=seeds[:choosing_seeds],
        dataset=task.on_validation(),
        shots=k,
        description=later("trainings to choose a policy"),
        **common,
    )
    best, validation = _best(choosing)
    curves = arms(
        fit_few_shot,
        {"none": {}, best: kinds[best]},
        seeds=seeds,
        axis="shots",
        at={"none": shots, best: [k]},
        dataset=task,
        description=later("trainings with and without it"),
        **common,
    )
    return Worth(best, k, rate_of(curves, best, k), validation, curves)


def of_policies_by_probe(
    task: ImageTask, policies: Mapping[str, tuple[str, float]] = POLICIES, *, seeds: Sequence[int]
) -> Worth:
    """The exchange rate of the policy that helps a linear probe on pixels most on validation, in a second or two.

    Args:
        task: with images.
        policies: {name: (policy, strength)}.
        seeds: of the draws.
    """
    seen = task.with_images(pixels)
    shots = shots_for(task, most=4)
    k = measured_at(shots)

    def row(seed: int, on: ImageTask, policy: str, strength: float) -> dict:
        some, labels = task.draw(k, seed)
        copies = get_policy(policy)(some.repeat(COPIES, 1, 1, 1), strength, torch.Generator().manual_seed(seed))
        some, labels = torch.cat([some, copies]), labels.repeat(COPIES + 1)
        classify = fit_probabilities(pixels(some), labels, seen.train_images, 1 / (COPIES + 1))
        return {"seed": seed, "shots": k} | tested(classify(on.test_images), on)

    by_policy = {name: [row(seed, seen.on_validation(), *policy) for seed in seeds] for name, policy in policies.items()}
    best, validation = _best(Arms(by_policy, axis="shots"), k)
    without = learning_curve({"none": seen}, shots=shots, seeds=seeds)
    curves = without | Arms({best: [row(seed, seen, *policies[best]) for seed in seeds]}, axis="shots")
    return Worth(best, k, rate_of(curves, best, k), validation, curves)


def of_edits(task: TextTask, kinds: Kinds, kind: str, edits: Sequence[str], without: Arms, *, synonyms) -> Worth:
    """The exchange rate of the text edit that helps a probe most on validation.

    Args:
        task: the texts.
        kinds, kind: the same as features, and which of them.
        edits: those to compare, of `augment.text.NAMES`.
        without: the learning curve of these features, whose draws are taken.
        synonyms: {word: its possible replacements}.
    """
    features, seeds = kinds.tasks[kind], without.seeds
    shots = shots_for(features, most=4)
    k = measured_at(shots)
    copies = {
        (edit, seed): [
            edit_text(text, edit, ALPHA, synonyms, random.Random(f"{edit} {copy} {text}"))
            for copy in range(COPIES)
            for text in task.draw(k, seed)[0]
        ]
        for edit in edits
        for seed in seeds
    }
    # All texts of all edits at once: each call loads the model anew.
    names = sorted({text for some in copies.values() for text in some})
    row_of, made = {text: row for row, text in enumerate(names)}, kinds.embed[kind](names)

    def rows(edit: str, on: ImageTask) -> list[dict]:
        found = []
        for seed in seeds:
            z, labels = features.draw(k, seed)
            z = torch.cat([z, made[[row_of[text] for text in copies[edit, seed]]]])
            classify = linear_head(z, labels.repeat(COPIES + 1), len(labels))
            found.append({"seed": seed, "shots": k} | tested(classify(on.test_images), on))
        return found

    best, validation = _best(Arms({edit: rows(edit, features.on_validation()) for edit in edits}, axis="shots"), k)
    baseline = [row for row in without.rows[kind] if row["shots"] in shots]
    curves = Arms({"none": baseline, best: rows(best, features)}, axis="shots", unit="accuracy", clusters="texts")
    return Worth(best, k, rate_of(curves, best, k), validation, curves)


def _best(choosing: Arms, *point: int) -> tuple[str, dict[str, Estimate]]:
    """The arm that is best on validation (at that point of the axis, where there is one), and the intervals of all."""
    validation = {name: choosing.interval(name, *point) for name in choosing.rows}
    return max(validation, key=lambda name: validation[name].mean), validation


def rate_of(curves: Arms, policy: str, shots: int) -> Estimate:
    """The exchange rate of a policy at these labels per class, over seeds and test examples."""
    points, _ = curves.curve("none")
    answers, sizes = curves.hits("none")
    rest = curves.rest("none") + curves.rest(policy, shots)
    return exchange_rate(points, answers, shots, curves.hits(policy, shots)[0], sizes, rest=rest, clusters=curves.clusters)
