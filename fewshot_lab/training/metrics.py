"""Numbers with their 95 % intervals: means over seeds, paired differences, shares and bootstrap statistics."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

BOOTSTRAP_NEEDS = 5


@dataclass(frozen=True)
class Estimate:
    """A measured number with its 95 % interval from `n` repetitions; low and high are NaN when there is no interval.

    `bound` is ">=" or "<=" when the number is only known to lie on that side of `mean` (it left the measured range),
    else "".
    """

    mean: float
    low: float
    high: float
    n: int
    unit: str = ""
    bound: str = ""

    def __str__(self) -> str:
        return self.describe()

    def describe(self, signed: bool = False) -> str:
        """The estimate in words, such as "0.871 [0.852, 0.890] accuracy, n = 5"; `signed`: a positive mean gets a plus."""
        unit = f" {self.unit}" if self.unit not in ("", "share") else ""
        size = f"no interval (n = {self.n})" if math.isnan(self.low + self.high) else f"n = {self.n}"
        return f"{self.short(signed)}{unit}, {size}"

    def short(self, signed: bool = False) -> str:
        """The mean and its interval alone, such as "0.871 [0.852, 0.890]" or, for a bound, ">= 4.000 [from 3.200]"."""
        # The largest number chooses the format of all three, so that they can be compared digit by digit.
        largest = max((abs(value) for value in (self.mean, self.low, self.high) if math.isfinite(value)), default=0.0)
        form = ",.0f" if largest >= 1000 else ".1f" if largest >= 100 else ".3f" if largest >= 0.01 else ".2g"
        mean = f"{self.bound} {self.mean:{'+' if signed else ''}{form}}".strip()
        if math.isnan(self.low + self.high):
            return mean
        low, high = f"{self.low:{form}}", f"{self.high:{form}}"
        return mean + {">=": f" [from {low}]", "<=": f" [up to {high}]"}.get(self.bound, f" [{low}, {high}]")


def mean_interval(values: Sequence[float], unit: str = "") -> Estimate:
    """The mean of independent repetitions (seeds, episodes) and Student's 95 % interval (Student 1908, Biometrika).

    `values` holds n >= 1 finite numbers; with n = 1 there is no interval. Raises ValueError for none or for NaN.
    """
    numbers = _numbers(values)
    mean, n = float(numbers.mean()), len(numbers)
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1, unit)
    # scipy.stats.t holds the same quantile, but its import takes about a second; hence scipy.special everywhere here.
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.975) * numbers.std(ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n, unit)


def paired_difference(a: Sequence[float], b: Sequence[float], unit: str = "") -> Estimate:
    """The mean of a - b with Student's 95 % interval, where a[i] and b[i] come from the same seed or episode.

    Raises ValueError when the lengths differ.
    """
    first, second = _numbers(a), _numbers(b)
    if len(first) != len(second):
        raise ValueError(
            f"Paired values are needed, but there are {len(first)} against {len(second)}. "
            "Measure both sides with the same seeds and pass the values in the same order."
        )
    return mean_interval(first - second, unit)


def share_interval(successes: int, n: int, unit: str = "share") -> Estimate:
    """The share successes / n with its 95 % interval (Wilson 1927, JASA), which stays within 0..1.

    Raises ValueError unless 0 <= successes <= n and n >= 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"A share needs 0 <= successes <= n and n >= 1, but {successes} of {n} was given.")
    share, z = successes / n, 1.959963984540054
    # Wilson's interval, unlike share +- z * its standard error, keeps a width where every episode (or none) is a success.
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), int(n), unit)


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: Sequence,
    paired: bool = True,
    resamples: int = 2000,
    seed: int = 0,
    unit: str = "",
) -> Estimate:
    """Any statistic of one or more samples with its 95 % bootstrap interval (Efron 1979, Annals of Statistics).

    The percentiles are widened for small samples (the expanded percentile interval, Hesterberg 2015, American Statistician).
    Below 5 rows even the whole range of the resamples covers under 90 %, so there is no interval.

    Args:
        statistic: computes a number from as many arrays as there are samples.
        samples: each with its rows first; they are drawn with replacement.
        paired: draw the same rows from every sample, which come from the same seeds.
        resamples: how often rows are drawn.
        seed: of the draws.
        unit: of the number.

    Raises ValueError for empty samples, and for samples of unequal length when `paired`.
    """
    arrays = [np.asarray(sample) for sample in samples]
    lengths = [len(array) for array in arrays]
    if not lengths or min(lengths) == 0:
        raise ValueError("A bootstrap needs at least one sample with at least one row.")
    if paired and len(set(lengths)) > 1:
        raise ValueError(
            f"Paired samples must have equally many rows, not {lengths}. Use paired=False if they are independent."
        )
    n, mean = min(lengths), float(statistic(*arrays))
    if n < BOOTSTRAP_NEEDS:
        return Estimate(mean, math.nan, math.nan, n, unit)
    from scipy.special import ndtr, stdtrit

    # A default seed, so that the same measurements always have the same interval, in the notebook and in the record.
    generator = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for i in range(resamples):
        # The same rows from both sides keep a seed's two numbers together, whose difference is what varies little.
        rows = [generator.integers(0, n, n)] * len(arrays) if paired else [generator.integers(0, m, m) for m in lengths]
        drawn[i] = statistic(*(array[r] for array, r in zip(arrays, rows, strict=True)))
    # Resampling underestimates the spread by sqrt((n - 1) / n) and has the normal's tails where Student's are due. The tails
    # are chosen so that the percentiles of a mean would be as wide as its t interval.
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.975)))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(mean, float(low), float(high), n, unit)


def accuracy(logits, labels) -> float:
    """The share (0..1) of rows of `logits` (N, classes) whose largest entry is that of the label (N,); arrays or tensors."""
    predicted = _array(logits.argmax(-1))
    expected = _array(labels)
    if predicted.shape != expected.shape or not len(expected):
        raise ValueError(f"One label per row of logits is needed: {predicted.shape} rows, {expected.shape} labels.")
    return float((predicted == expected).mean())


def _array(values) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _numbers(values) -> np.ndarray:
    numbers = np.asarray([_array(value) for value in values], dtype=float)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"A list of at least one number is needed, but its shape is {numbers.shape}.")
    # A NaN left out in silence would leave out the seed that failed: the one that speaks against the method.
    if not np.isfinite(numbers).all():
        raise ValueError(f"All values must be finite, but {int((~np.isfinite(numbers)).sum())} of {len(numbers)} are not.")
    return numbers
