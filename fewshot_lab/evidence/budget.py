"""What a budget buys: offers measured once, read between the measured numbers of labels, and the best of them for a price."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..training import Estimate


@dataclass(frozen=True)
class Offer:
    """What was measured for a package of stages: at each number of labels its accuracy, and the seconds of computing."""

    labels: tuple[int, ...]
    accuracy: tuple[Estimate, ...]
    seconds: tuple[float, ...]

    def at(self, labels: int) -> tuple[Estimate, float]:
        """Accuracy and seconds at a number of labels, read on a line in log2(labels) between the measured ones.

        Raises ValueError outside of their range: nothing is known there.
        """
        if not self.labels[0] <= labels <= self.labels[-1]:
            raise ValueError(f"Measured from {self.labels[0]} to {self.labels[-1]} labels, not at {labels}.")
        x, places = np.log2(labels), np.log2(self.labels)

        def read(values) -> float:
            return float(np.interp(x, places, values))

        ends = {end: read([getattr(value, end) for value in self.accuracy]) for end in ("mean", "low", "high")}
        return Estimate(**ends, n=min(value.n for value in self.accuracy), unit="accuracy"), read(self.seconds)


@dataclass(frozen=True)
class Purchase:
    """Labels and a package: what they cost in minutes, of them at the machine, and the accuracy that they bring."""

    package: str
    labels: int
    minutes: float
    machine: float
    accuracy: Estimate


def purchase(offers: dict[str, Offer], package: str, labels: int, *, per_label: float, scale: float = 1.0) -> Purchase:
    """A package with so many labels and its price; per_label: seconds of a person; scale: of our machine's seconds."""
    accuracy, seconds = offers[package].at(labels)
    machine = scale * seconds / 60
    return Purchase(package, labels, labels * per_label / 60 + machine, machine, accuracy)


def best_purchases(
    offers: dict[str, Offer], counts: Sequence[int], budget: float, *, per_label: float, scale: float = 1.0
) -> list[Purchase]:
    """The most accurate purchase of every package within `budget` minutes, the best first; a package too dear is left out.

    counts: the numbers of labels on sale. Of equally accurate purchases the cheaper one is taken.
    """
    chosen = []
    for package in offers:
        prices = [purchase(offers, package, labels, per_label=per_label, scale=scale) for labels in counts]
        within = [price for price in prices if price.minutes <= budget]
        chosen += [max(within, key=lambda price: (price.accuracy.mean, -price.minutes))] if within else []
    return sorted(chosen, key=lambda price: (-price.accuracy.mean, price.minutes))
