"""What a budget buys: the cost of measured arms, and the best arm and number of labels within a budget of minutes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..training import Estimate


@dataclass(frozen=True)
class MeasuredArm:
    """An arm's accuracy and its seconds of computing at each number of labels, in increasing order."""

    labels: tuple[int, ...]
    accuracy: tuple[Estimate, ...]
    seconds: tuple[float, ...]

    def at(self, labels: int) -> tuple[Estimate, float]:
        """Accuracy and seconds at a number of labels, interpolated linearly in log2(labels).

        Raises ValueError outside of the measured range, where nothing is known.
        """
        if not self.labels[0] <= labels <= self.labels[-1]:
            raise ValueError(f"Measured from {self.labels[0]} to {self.labels[-1]} labels, not at {labels}.")
        x, measured = np.log2(labels), np.log2(self.labels)

        def interpolate(values) -> float:
            return float(np.interp(x, measured, values))

        ends = {end: interpolate([getattr(value, end) for value in self.accuracy]) for end in ("mean", "low", "high")}
        accuracy = Estimate(**ends, n=min(value.n for value in self.accuracy), unit="accuracy")
        return accuracy, interpolate(self.seconds)


@dataclass(frozen=True)
class Cost:
    """The cost of an arm with a number of labels in minutes, the machine's share of it, and the accuracy reached."""

    arm: str
    labels: int
    minutes: float
    machine: float
    accuracy: Estimate


def cost(arms: dict[str, MeasuredArm], arm: str, labels: int, *, per_label: float, scale: float = 1.0) -> Cost:
    """The cost of one arm with a number of labels.

    Args:
        arms: the measured arms by name.
        arm: the name of one of them.
        labels: how many labels, within the measured range.
        per_label: a person's seconds for one label.
        scale: how many times the measured seconds the machine takes.
    """
    accuracy, seconds = arms[arm].at(labels)
    machine = scale * seconds / 60
    return Cost(arm, labels, labels * per_label / 60 + machine, machine, accuracy)


def best_within(
    arms: dict[str, MeasuredArm], counts: Sequence[int], budget: float, *, per_label: float, scale: float = 1.0
) -> list[Cost]:
    """Each arm at the number of labels with which it is most accurate within the budget, the best arm first.

    An arm that is too expensive at every number of labels is left out; among equally accurate choices the cheaper wins.

    Args:
        arms: the measured arms by name.
        counts: the numbers of labels to choose from.
        budget: minutes.
        per_label: a person's seconds for one label.
        scale: how many times the measured seconds the machine takes.
    """
    best = []
    for arm in arms:
        costs = [cost(arms, arm, labels, per_label=per_label, scale=scale) for labels in counts]
        within = [one for one in costs if one.minutes <= budget]
        best += [max(within, key=lambda one: (one.accuracy.mean, -one.minutes))] if within else []
    return sorted(best, key=lambda one: (-one.accuracy.mean, one.minutes))
