"""Which augmentation is worth how many labels on your data: chosen on validation, told from the test."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
from .features import pixels
from .measures import shots_for, tested

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
    validation = {name: choosing.interval(name) for name in kinds}
    best = max(kinds, key=lambda name: validation[name].mean)
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

    def row(seed: int, at: int, on: ImageTask, policy: tuple[str, float] | None = None) -> dict:
        some, labels = task.draw(at, seed)
        if policy:
            name, strength = policy
            copies = get_policy(name)(some.repeat(COPIES, 1, 1, 1), strength, torch.Generator().manual_seed(seed))
            some, labels = torch.cat([some, copies]), labels.repeat(COPIES + 1)
        weight = 1 / (COPIES + 1) if policy else 1.0
        classify = fit_probabilities(pixels(some), labels, seen.train_images, weight)
        return {"seed": seed, "shots": at} | tested(classify(on.test_images), on)

    by_policy = {name: [row(seed, k, seen.on_validation(), policy) for seed in seeds] for name, policy in policies.items()}
    choosing = Arms(by_policy, axis="shots")
    validation = {name: choosing.interval(name, k) for name in policies}
    best = max(policies, key=lambda name: validation[name].mean)
    measured = {"none": [row(seed, at, seen) for at in shots for seed in seeds]}
    measured[best] = [row(seed, k, seen, policies[best]) for seed in seeds]
    curves = Arms(measured, axis="shots", unit="accuracy")
    return Worth(best, k, rate_of(curves, best, k), validation, curves)


def of_edits(task: TextTask, features: ImageTask, embed, edits: Sequence[str], *, seeds: Sequence[int], synonyms) -> Worth:
    """The exchange rate of the text edit that helps a probe most on validation.

    Args:
        task: the texts.
        features: the same as features.
        embed: texts -> features.
        edits: those to compare, of `augment.text.NAMES`.
        seeds: of the draws.
        synonyms: {word: its possible replacements}.
    """
    shots = shots_for(features, most=4)
    k = measured_at(shots)
    copies: dict[str, list[str]] = {}
    for edit in edits:
        copies[edit] = [
            edit_text(text, edit, ALPHA, synonyms, random.Random(f"{edit} {copy} {text}"))
            for seed in seeds
            for copy in range(COPIES)
            for text in task.draw(k, seed)[0]
        ]
    # All texts of all edits at once: each call loads the model anew.
    names = sorted({text for some in copies.values() for text in some})
    row_of, made = {text: row for row, text in enumerate(names)}, embed(names)

    def rows(edit: str, on: ImageTask, some_seeds: Sequence[int]) -> list[dict]:
        found, size = [], len(task.draw(k, seeds[0])[0]) * COPIES
        for number, seed in enumerate(some_seeds):
            z, labels = features.draw(k, seed)
            of_seed = copies[edit][number * size : (number + 1) * size]
            z = torch.cat([z, made[[row_of[text] for text in of_seed]]])
            classify = linear_head(z, labels.repeat(COPIES + 1), len(labels))
            found.append({"seed": seed, "shots": k} | tested(classify(on.test_images), on))
        return found

    choosing = Arms({edit: rows(edit, features.on_validation(), seeds) for edit in edits}, axis="shots")
    validation = {edit: choosing.interval(edit, k) for edit in edits}
    best = max(edits, key=lambda edit: validation[edit].mean)

    def answers(at: int, seed: int) -> Tensor:
        z, labels = features.draw(at, seed)
        return linear_head(z, labels, len(labels))(features.test_images)

    baseline = [{"seed": seed, "shots": at} | tested(answers(at, seed), features) for at in shots for seed in seeds]
    curves = Arms({"none": baseline, best: rows(best, features, seeds)}, axis="shots", unit="accuracy", clusters="texts")
    return Worth(best, k, rate_of(curves, best, k), validation, curves)


def rate_of(curves: Arms, policy: str, shots: int) -> Estimate:
    """The exchange rate of a policy at these labels per class, over seeds and test examples."""
    points, _ = curves.curve("none")
    answers, sizes = curves.hits("none")
    rest = curves.rest("none") + curves.rest(policy, shots)
    return exchange_rate(points, answers, shots, curves.hits(policy, shots)[0], sizes, rest=rest, clusters=curves.clusters)
