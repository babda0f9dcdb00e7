"""The exchange rate: how many labels one label is worth once a policy is used."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..training.metrics import Estimate, bootstrap_interval

TOLERANCE = 1e-12  # accuracies that differ by less are the same: means of equal numbers can differ by rounding


def exchange_rate(shots: ArrayLike, baseline: ArrayLike, policy_shots: float, policy: ArrayLike) -> Estimate:
    """How many times as many labels training without the policy needs to reach the accuracy that the policy reaches.

    1.0 is no effect; below 1 the policy costs labels. The mean learning curve without the policy is made monotone and
    interpolated linearly in log2(labels). A rate beyond the measured range is cut off there and becomes a bound (">=" or
    "<="); the ends of the interval, a bootstrap over seeds that needs five of them, are cut off too. After the
    augmentation exchange rate of Geiping et al. (2023, ICLR) and "how many data points is a prompt worth" of Le Scao &
    Rush (2021, NAACL). Raises ValueError for shapes that do not match and for `policy_shots` outside the range of `shots`.

    Args:
        shots: (K,) labels per class.
        baseline: (seeds, K) accuracies without the policy.
        policy_shots: labels per class with which the policy was measured.
        policy: (seeds,) accuracies with the policy, from the same seeds as the baseline's rows.
    """
    shots, baseline, policy = (np.asarray(values, dtype=float) for values in (shots, baseline, policy))
    order = np.argsort(shots)
    if shots.ndim != 1 or len(shots) < 2 or (shots <= 0).any() or len(set(shots)) < len(shots):
        raise ValueError(f"shots must be at least two different positive numbers of labels per class, not {shots.tolist()}.")
    if baseline.ndim != 2 or baseline.shape[1] != len(shots) or policy.shape != baseline.shape[:1]:
        raise ValueError(
            f"The baseline must be (seeds, {len(shots)}) and the policy (seeds,) from the same seeds, but they are "
            f"{baseline.shape} and {policy.shape}."
        )
    if not np.isfinite(baseline).all() or not np.isfinite(policy).all():
        raise ValueError("All accuracies must be finite; leave out the seeds that failed, on both sides.")
    if not shots.min() <= policy_shots <= shots.max():
        raise ValueError(
            f"The policy was measured at {policy_shots:g} labels per class, outside the baseline's {shots.min():g} to "
            f"{shots.max():g}; measure the baseline there too."
        )
    labels, here = np.log2(shots[order]), float(np.log2(policy_shots))

    def rate(curves: np.ndarray, reached: np.ndarray) -> float:
        return 2 ** (_equivalent_labels(labels, curves.mean(axis=0), here, reached.mean()) - here)

    result = bootstrap_interval(rate, baseline[:, order], policy, unit="labels per label")
    monotone, target = _monotone_and_target(labels, baseline[:, order].mean(axis=0), here, policy.mean())
    bound = ">=" if target > monotone[-1] + TOLERANCE else "<=" if target < monotone[0] - TOLERANCE else ""
    return replace(result, bound=bound)


def _equivalent_labels(labels: np.ndarray, curve: np.ndarray, here: float, reached: float) -> float:
    """The log2 of the labels at which the monotone curve reaches the target; on a flat part the point nearest to `here`."""
    monotone, target = _monotone_and_target(labels, curve, here, reached)
    if target > monotone[-1] + TOLERANCE:
        return float(labels[-1])
    if target < monotone[0] - TOLERANCE:
        return float(labels[0])
    # Between first and last the curve equals the target, if it does anywhere; else it crosses it between last and first.
    first = np.searchsorted(monotone, target - TOLERANCE, side="left")
    last = np.searchsorted(monotone, target + TOLERANCE, side="right") - 1
    if first <= last:
        return float(np.clip(here, labels[first], labels[last]))
    return float(np.interp(target, monotone[[last, first]], labels[[last, first]]))


def _monotone_and_target(labels: np.ndarray, curve: np.ndarray, here: float, reached: float) -> tuple[np.ndarray, float]:
    """The curve made monotone, and the accuracy to look for on it."""
    from scipy.optimize import isotonic_regression

    monotone = isotonic_regression(curve).x
    # The gain is carried over to the monotone curve: with the accuracy itself, the policy would gain or lose wherever the
    # regression moved the curve, and a policy without effect would not have the rate 1.
    gain = reached - np.interp(here, labels, curve)
    return monotone, float(np.interp(here, labels, monotone) + gain)
