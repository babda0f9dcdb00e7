"""The exchange rate: how many labels one label is worth once a policy is used."""

import math

import numpy as np
from numpy.typing import ArrayLike

from ..training.metrics import Estimate, Rest

NEEDS = 3  # seeds
RESAMPLES = 2000
TOLERANCE = 1e-12  # accuracies that differ by less are the same: means of equal numbers can differ by rounding


def exchange_rate(
    shots: ArrayLike,
    baseline: ArrayLike,
    policy_shots: float,
    policy: ArrayLike,
    sizes: ArrayLike | None = None,
    *,
    rest: Rest = (),
    clusters: str = "pictures",
) -> Estimate:
    """How many times as many labels training without the policy needs to reach the accuracy that the policy reaches.

    1.0 is no effect; below 1 the policy costs labels. The mean learning curve without the policy is made monotone and
    interpolated linearly in log2(labels). A rate beyond the measured range is cut off there and becomes a bound (">=" or
    "<="); an end of the interval that was cut off there is open. After the augmentation exchange rate of Geiping et al. (2023,
    ICLR) and "how many data points is a prompt worth" of Le Scao & Rush (2021, NAACL).

    The interval is a parametric bootstrap (Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 6.5) over seeds,
    or with `sizes` over seeds and test pictures, and needs three seeds. In simulations of 3 to 10 seeds and 60
    or 300 pictures it covered the rate in 0.94 to 0.98 of the cases.

    Args:
        shots: (K,) labels per class.
        baseline: (seeds, K) accuracies without the policy; with `sizes` (seeds, K, pictures) correct answers.
        policy_shots: labels per class with which the policy was measured.
        policy: (seeds,) accuracies with the policy, from the same seeds as the baseline's rows; with `sizes` (seeds, pictures)
            correct answers.
        sizes: (pictures,) images that show each test picture, if these are to be drawn anew too.
        rest: the arms and their shares of trainings at rest, as `Arms.rest` gives them.
        clusters: what the pictures are, in the plural, if they are none.

    Returns the rate of the mean curves; `values` are those of each seed's own curve, cut off at the ends of the range.

    Raises ValueError for shapes that do not match and for `policy_shots` outside the range of `shots`.
    """
    shots, baseline, policy = (np.asarray(values, dtype=float) for values in (shots, baseline, policy))
    sizes = np.ones(1) if sizes is None else np.asarray(sizes, dtype=float)
    crossed = sizes.size > 1
    if not crossed:  # accuracies are the answers about one picture, which is never drawn anew
        baseline, policy = baseline[..., None], policy[..., None]
    order = np.argsort(shots)
    if shots.ndim != 1 or len(shots) < 2 or (shots <= 0).any() or len(set(shots)) < len(shots):
        raise ValueError(f"shots must be at least two different positive numbers of labels per class, not {shots.tolist()}.")
    seeds = len(baseline)
    if baseline.shape != (seeds, len(shots), len(sizes)) or policy.shape != (seeds, len(sizes)):
        last = f", {len(sizes)}" if crossed else ""
        given = [values.shape if crossed else values.shape[:-1] for values in (baseline, policy)]
        raise ValueError(
            f"The baseline must be (seeds, {len(shots)}{last}) and the policy (seeds,{last[1:]}) from the same seeds, but they "
            f"are {given[0]} and {given[1]}."
        )
    if not np.isfinite(baseline).all() or not np.isfinite(policy).all():
        raise ValueError("All accuracies must be finite; leave out the seeds that failed, on both sides.")
    if not shots.min() <= policy_shots <= shots.max():
        raise ValueError(
            f"The policy was measured at {policy_shots:g} labels per class, outside the baseline's {shots.min():g} to "
            f"{shots.max():g}; measure the baseline there too."
        )
    labels, here = np.log2(shots[order]), float(np.log2(policy_shots))
    answers = np.concatenate([baseline[:, order], policy[:, None]], axis=1)  # (seeds, K + 1, pictures)
    # The mean over the seeds first, then each seed.
    means = np.concatenate([answers.mean(axis=0)[None], answers]).sum(axis=-1) / sizes.sum()
    octaves, *by_seed = (_octaves(labels, here, one) for one in means)
    ends, is_open = np.full(2, np.nan), ()
    if seeds >= NEEDS:
        drawn = [_octaves(labels, here, one) for one in _drawn_means(answers, sizes)]
        ends = np.quantile(drawn, [0.025, 0.975])
        # Draws beyond the range lie one octave beyond it, so that an end that must be cut off can be told from one that fits.
        beyond = [ends[0] < labels[0] - TOLERANCE, ends[1] > labels[-1] + TOLERANCE]
        is_open = tuple(end for end, cut in zip(("low", "high"), beyond, strict=True) if cut)
    bound = ">=" if octaves > labels[-1] + TOLERANCE else "<=" if octaves < labels[0] - TOLERANCE else ""
    rate, low, high, *values = (
        float(2 ** (np.clip(value, labels[0], labels[-1]) - here)) for value in (octaves, *ends, *by_seed)
    )
    over = f"{seeds} seeds" + (f" x {len(sizes)} {clusters}" if crossed else "")
    about = {"rest": tuple(rest), "over": over, "df": seeds - 1, "open": is_open, "values": tuple(values)}
    return Estimate(rate, low, high, seeds, "labels per label", bound, **about)


def rate_ratio(
    shots: ArrayLike,
    baseline: ArrayLike,
    first: tuple[float, ArrayLike],
    last: tuple[float, ArrayLike],
    sizes: ArrayLike,
    *,
    last_baseline: ArrayLike | None = None,
    rest: Rest = (),
    clusters: str = "pictures",
) -> Estimate:
    """How many times the exchange rate at few labels is the one at more: above 1 the policy's worth falls as labels are added.

    Seeds and test pictures are drawn anew for both rates at once, so that what they have in common takes no part. A rate beyond
    the measured range makes the ratio a bound, and two of them leave no interval, nor a bound if both are of one kind. With
    `last_baseline` the rates are of two test sets that show the same pictures: above 1 the policy is worth more on the first.

    Args:
        shots: (K,) labels per class.
        baseline: (seeds, K, pictures) correct answers without the policy.
        first, last: labels per class and the correct answers (seeds, pictures) with the policy there.
        sizes: (pictures,) images that show each test picture.
        last_baseline: the correct answers without the policy that `last` is compared with, if others than `baseline`.
        rest: the arms and their shares of trainings at rest, as `Arms.rest` gives them.
        clusters: what the pictures are, in the plural, if they are none.
    """
    # This checks the shapes and finds bounds.
    baselines = [baseline] if last_baseline is None else [baseline, last_baseline]
    sides = list(zip((baselines[0], baselines[-1]), (first, last), strict=True))
    rates = [exchange_rate(shots, side, *one, sizes, clusters=clusters) for side, one in sides]
    shots, sizes = (np.asarray(values, dtype=float) for values in (shots, sizes))
    baselines = [np.asarray(one, dtype=float) for one in baselines]
    order, seeds = np.argsort(shots), len(baselines[0])
    labels, (few, many) = np.log2(shots[order]), (float(np.log2(k)) for k, _ in (first, last))
    curves = [one[:, order] for one in baselines]
    answers = np.concatenate([*curves, *(np.asarray(policy, float)[:, None] for _, policy in (first, last))], axis=1)

    def octaves(means: np.ndarray) -> float:
        curve, last_curve = means[: len(labels)], means[:-2][-len(labels) :]  # one curve, where there is no other
        ends = ((few, curve, means[-2]), (many, last_curve, means[-1]))
        at = [_octaves(labels, here, np.append(one, reached)) for here, one, reached in ends]
        return float(np.clip(at[0], labels[0], labels[-1]) - few - np.clip(at[1], labels[0], labels[-1]) + many)

    low, high = math.nan, math.nan
    if seeds >= NEEDS and not all(rate.bound for rate in rates):
        low, high = np.quantile([octaves(means) for means in _drawn_means(answers, sizes)], [0.025, 0.975])
    # A rate that is larger than what was measured makes the ratio larger if it is the first, smaller if it is the last; if both
    # are, it can be anything.
    ways = {rates[0].bound, {">=": "<=", "<=": ">=", "": ""}[rates[1].bound]} - {""}
    bound = ways.pop() if len(ways) == 1 else ""
    is_open = rates[0].open + tuple({"low": "high", "high": "low"}[end] for end in rates[1].open)
    ratio = octaves(answers.mean(axis=0).sum(axis=-1) / sizes.sum())
    ends = (float(2**value) for value in (ratio, low, high))
    values = tuple(one / other for one, other in zip(rates[0].values, rates[1].values, strict=True))
    about = {"rest": tuple(rest), "over": rates[0].over, "df": seeds - 1, "open": tuple(dict.fromkeys(is_open))}
    return Estimate(*ends, seeds, "ratio of rates", bound, values, **about)


def _drawn_means(answers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Accuracies (RESAMPLES, K + 1) as new seeds and new pictures would give them; always the same draws."""
    # A parametric bootstrap with the parts of `crossed_interval`. Drawing seeds and pictures with replacement (the pigeonhole
    # bootstrap, Owen 2007) counts the noise of single answers three times: its intervals covered the rate in 99 % and more.
    generator, (seeds, points, pictures) = np.random.default_rng(0), answers.shape
    total = sizes.sum()
    means = answers.mean(axis=0) @ np.ones(pictures) / total
    residuals = answers - means[:, None] * sizes
    by_seed, by_picture = residuals.sum(axis=-1) / total, residuals.mean(axis=0) / total
    left = residuals / total - by_seed[..., None] * (sizes / total) - by_picture
    # Student's t instead of the normal distribution, because there are few seeds.
    weights = generator.normal(size=(RESAMPLES, seeds)) / np.sqrt(generator.chisquare(seeds - 1, (RESAMPLES, 1)) / (seeds - 1))
    drawn = means + weights @ by_seed / np.sqrt(seeds * (seeds - 1))
    if pictures == 1:
        return drawn
    # Of the pictures' covariance the noise is taken off that the seeds contain too; if none is left, the nearest that is one.
    noise = np.einsum("skp,slp->kl", left, left) / (seeds * (seeds - 1))
    values, vectors = np.linalg.eigh((by_picture @ by_picture.T - noise) * pictures / (pictures - 1))
    return drawn + generator.normal(size=(RESAMPLES, points)) @ (vectors * np.sqrt(values.clip(0))).T


def _octaves(labels: np.ndarray, here: float, means: np.ndarray) -> float:
    """The log2 of the labels that are worth the policy's mean (the last one); one octave beyond the range if it is beyond."""
    monotone, target = _monotone_and_target(labels, means[:-1], here, means[-1])
    if target > monotone[-1] + TOLERANCE:
        return float(labels[-1] + 1)
    if target < monotone[0] - TOLERANCE:
        return float(labels[0] - 1)
    return _equivalent_labels(labels, monotone, target, here)


def _equivalent_labels(labels: np.ndarray, monotone: np.ndarray, target: float, here: float) -> float:
    """The log2 of the labels at which the curve reaches a target in its range; on a flat part the point nearest to `here`."""
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
