"""Intervals: known values, agreement with scipy, coverage and the words of their errors."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewshot_lab.training import (
    Estimate,
    accuracy,
    bootstrap_interval,
    clustered_interval,
    crossed_difference,
    crossed_interval,
    hits_by_picture,
    mean_interval,
    paired_difference,
    share_interval,
)

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=20)


@given(numbers)
def test_mean_interval_is_students_interval_of_scipy(values):
    result = mean_interval(values)
    error = scipy.stats.sem(values)
    expected = (np.mean(values),) * 2 if error == 0 else scipy.stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-8)
    assert result.mean == pytest.approx(np.mean(values)) and result.n == len(values)


def test_one_value_has_no_interval_and_says_so():
    result = mean_interval([0.5])
    assert result.mean == 0.5 and math.isnan(result.low) and math.isnan(result.high)
    assert "no interval" in str(result)


@given(numbers)
def test_an_interval_over_clusters_of_equal_values_is_students_of_one_value_each(values):
    alone = mean_interval(values)
    for copies in (1, 3):
        clusters = np.repeat(np.arange(len(values)) * 7, copies)
        result = clustered_interval(np.repeat(values, copies), clusters, "share", "reviews")
        assert (result.mean, result.low, result.high) == pytest.approx((alone.mean, alone.low, alone.high), abs=1e-8)
        assert (result.n, result.unit, result.over) == (len(values), "share", "reviews")


def test_an_interval_over_clusters_of_unequal_sizes_is_that_of_a_bootstrap_of_them():
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 15, 80)
    clusters = generator.permutation(np.repeat(np.arange(80), sizes))
    values = generator.normal(size=80)[clusters] + generator.normal(size=len(clusters))
    result = clustered_interval(torch.tensor(values), torch.tensor(clusters))
    sums = np.bincount(clusters, weights=values)
    resampled = bootstrap_interval(lambda total, size: total.sum() / size.sum(), sums, sizes)
    assert result.mean == pytest.approx(values.mean())
    assert result.high - result.low == pytest.approx(resampled.high - resampled.low, rel=0.1)
    independent = mean_interval(values)
    assert result.high - result.low > 1.5 * (independent.high - independent.low)


def test_one_cluster_has_no_interval_and_every_value_needs_a_cluster():
    assert math.isnan(clustered_interval([0.2, 0.4], [3, 3]).low)
    with pytest.raises(ValueError, match="One cluster per value"):
        clustered_interval([0.2, 0.4], [3])


def test_estimate_prints_mean_interval_and_repetitions():
    assert str(Estimate(0.871, 0.852, 0.89, 5)) == "0.871 [0.852, 0.890], n = 5"
    assert str(Estimate(0.871, 0.852, 0.89, 5, "share")) == "0.871 [0.852, 0.890], n = 5"
    assert str(Estimate(1234.5, 1200, 1260, 3, "images/s")) == "1,234 [1,200, 1,260] images/s, n = 3"
    assert Estimate(0.11, 0.08, 0.14, 5).describe(signed=True) == "+0.110 [0.080, 0.140], n = 5"
    assert Estimate(-0.0002, -0.0001, 0.02, 5).short(signed=True) == "0.000 [0.000, 0.020]", "no negative zero"
    assert Estimate(0.0002, -0.02, 0.02, 5).short(signed=True) == "0.000 [-0.020, 0.020]", "nor a positive one"
    assert Estimate(0.0, 0.0, 0.0, 4).short(signed=True) == "0.000 [0.000, 0.000]"
    certain = Estimate(0.92, 0.91, 0.93, 46435, kind="rounding range")
    assert str(certain) == "0.920 [0.910, 0.930], rounding range"
    assert (certain.p_value(0.9), certain.p_value(0.915)) == (0.0, 1.0)
    assert str(Estimate(4.0, 3.1, 4.0, 5, bound=">=")) == ">= 4.000 [from 3.100], n = 5"


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [math.inf]])
def test_mean_of_nothing_or_of_nan_is_refused(values):
    with pytest.raises(ValueError):
        mean_interval(values)


@given(numbers, st.floats(-10, 10))
def test_paired_difference_sees_a_constant_gain_whatever_the_spread(values, gain):
    result = paired_difference(np.add(values, gain), values)
    assert (result.low, result.high) == pytest.approx((gain, gain), abs=1e-9)


@given(numbers)
def test_swapping_the_sides_of_a_paired_difference_mirrors_it(values):
    there, back = paired_difference(values, values[::-1]), paired_difference(values[::-1], values)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low), abs=1e-9)


def test_unpaired_values_are_refused_with_advice():
    with pytest.raises(ValueError, match="3 against 2.*same seeds"):
        paired_difference([1, 2, 3], [1, 2])


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_share_interval_is_wilsons(case):
    successes, n = case
    expected = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    result = share_interval(successes, n)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= result.low <= result.mean <= result.high <= 1


@pytest.mark.parametrize("successes,n", [(1, 0), (-1, 5), (6, 5)])
def test_impossible_shares_are_refused(successes, n):
    with pytest.raises(ValueError, match="successes"):
        share_interval(successes, n)


def test_bootstrap_interval_covers_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        result = bootstrap_interval(np.mean, generator.normal(1.0, 1.0, 12), resamples=500, seed=trial)
        covered += result.low <= 1.0 <= result.high
    assert 0.89 <= covered / 200 <= 0.99


def test_bootstrap_draws_paired_rows_together():
    values = np.random.default_rng(0).normal(size=10)

    def difference(a, b):
        return a.mean() - b.mean()

    together = bootstrap_interval(difference, values + 1, values)
    apart = bootstrap_interval(difference, values + 1, values, paired=False)
    assert (together.low, together.high) == pytest.approx((1, 1))
    assert apart.high - apart.low > 0.5


def test_bootstrap_of_few_rows_claims_no_interval_and_of_unequal_samples_is_refused():
    assert math.isnan(bootstrap_interval(np.mean, range(7)).low)
    assert not math.isnan(bootstrap_interval(np.mean, range(8)).low)
    with pytest.raises(ValueError, match="paired=False"):
        bootstrap_interval(lambda a, b: 0.0, [1, 2], [1])


def test_accuracy_counts_the_rows_whose_largest_logit_is_at_the_label():
    logits = [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]
    assert accuracy(torch.tensor(logits), torch.tensor([1, 0, 0, 0])) == 0.75
    assert accuracy(np.array(logits), np.array([1, 0, 0, 0])) == 0.75
    assert accuracy(torch.tensor(logits, dtype=torch.bfloat16), torch.tensor([1, 0, 0, 0])) == 0.75
    with pytest.raises(ValueError, match="One label per row"):
        accuracy(np.array(logits), np.array([1]))


# Seeds crossed with test pictures


def two_way(generator, seeds: int, pictures: int, spread: tuple[float, float, float]) -> np.ndarray:
    """Normal (seeds, pictures) numbers with mean 0: an effect of each seed, of each picture, and noise."""
    of_seed, of_picture, noise = spread
    shape = seeds, pictures
    effects = of_seed * generator.normal(size=(seeds, 1)) + of_picture * generator.normal(size=(1, pictures))
    return effects + noise * generator.normal(size=shape)


def share_covered(interval, seeds: int, pictures: int, spread: tuple, trials: int = 1500) -> float:
    generator = np.random.default_rng(0)
    found = [interval(two_way(generator, seeds, pictures, spread)) for _ in range(trials)]
    return np.mean([e.low <= 0 <= e.high for e in found])


@pytest.mark.parametrize("seeds,pictures", [(3, 60), (5, 60), (10, 200)])
@pytest.mark.parametrize("spread", [(0.0, 1.0, 0.5), (0.1, 1.0, 0.5), (0.5, 0.5, 1.0)])
def test_the_interval_over_seeds_and_pictures_covers_the_mean_of_new_seeds_and_new_pictures(seeds, pictures, spread):
    sizes = np.ones(pictures)
    assert share_covered(lambda hits: crossed_interval(hits, sizes), seeds, pictures, spread) >= 0.93


def test_an_interval_over_seeds_alone_does_not_cover_new_pictures():
    assert share_covered(lambda hits: mean_interval(hits.mean(axis=1)), 10, 60, (0.1, 1.0, 0.5), 300) < 0.75


def test_pictures_that_are_all_alike_add_nothing_to_the_interval_over_seeds():
    shares = np.array([0.6, 0.7, 0.9, 0.8])
    sizes = np.array([3, 3, 2, 5])
    crossed, seeds = crossed_interval(np.outer(shares, sizes), sizes), mean_interval(shares)
    assert (crossed.mean, crossed.low, crossed.high) == pytest.approx((seeds.mean, seeds.low, seeds.high))
    assert crossed.values == pytest.approx(seeds.values) and crossed.df == pytest.approx(3)


def test_swapping_the_arms_mirrors_a_crossed_difference():
    generator = np.random.default_rng(1)
    hits, sizes = generator.integers(-2, 3, (4, 30)), np.full(30, 2)
    there, back = crossed_interval(hits, sizes), crossed_interval(-hits, sizes)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_where_nothing_varied_the_interval_leaves_room_for_what_was_not_seen():
    same = crossed_interval(np.zeros((3, 150)), np.ones(150))
    assert (same.mean, same.high, same.low) == pytest.approx((0, 0.0198, -0.0198), abs=1e-4)
    assert same.p_value(0.01) > 0.05, "three draws that agree prove no equality to within one in a hundred"
    assert crossed_interval(np.ones((5, 1000)), np.ones(1000)).low == pytest.approx(1 - 3 / 1000, abs=1e-4)


def test_one_seed_or_one_picture_has_no_crossed_interval_and_shapes_must_match():
    assert math.isnan(crossed_interval([[1, 0, 1]], [1, 1, 1]).low)
    assert math.isnan(crossed_interval([[1], [2]], [3]).low)
    with pytest.raises(ValueError, match=r"\(2, 1\) and \(2,\)"):
        crossed_interval([[1], [2]], [3, 3])
    with pytest.raises(ValueError, match="at least once"):
        crossed_interval([[1, 0], [2, 0]], [3, 0])


def test_a_difference_between_pictures_covers_the_truth_and_forgets_the_seeds_luck():
    draw = np.random.default_rng(0)

    def experiment(spread_of_seeds):
        seeds = spread_of_seeds * draw.normal(size=(4, 1))  # shared by both sides
        return [
            (truth + seeds + 0.3 * draw.normal(size=(1, n)) + 0.1 * draw.normal(size=(4, n)), np.ones(n))
            for truth, n in ((0.5, 4), (0.2, 8))
        ]

    found = [crossed_difference(*experiment(1.0)) for _ in range(400)]
    assert 0.92 < np.mean([one.low <= 0.3 <= one.high for one in found]) <= 1
    quiet = crossed_difference(*experiment(0.0))
    assert found[0].high - found[0].low < 3 * (quiet.high - quiet.low)
    assert quiet.over == "4 seeds x 4 and 8 pictures" and len(quiet.values) == 4
    hits, sizes = experiment(1.0)[0]
    assert not crossed_difference((hits, sizes), (hits[:, :1], sizes[:1])).has_interval


def test_a_share_is_cut_at_what_is_possible_and_zero_has_no_sign():
    cut = mean_interval([0.0, 0.0, 0.1]).within(0, 1)
    assert cut.low == 0 and cut.high == mean_interval([0.0, 0.0, 0.1]).high
    assert mean_interval([-1e-5, -1e-5, 0.02, -0.02]).short().startswith("0.000 [")


def test_hits_are_counted_per_picture_in_the_order_of_their_numbers():
    logits = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    found = hits_by_picture(logits, torch.tensor([1, 0, 0, 0]), torch.tensor([7, 3, 3, 7]))
    assert found["test_hits"].tolist() == [1, 2] and found["test_sizes"].tolist() == [2, 2]
    assert sum(found["test_hits"]) / sum(found["test_sizes"]) == accuracy(logits, torch.tensor([1, 0, 0, 0]))
    with pytest.raises(ValueError, match="one picture per row"):
        hits_by_picture(logits, torch.tensor([1, 0, 0, 0]), torch.tensor([7, 3]))


# p values and open ends


@given(numbers, st.floats(-50, 50))
def test_p_is_below_a_twentieth_exactly_where_the_interval_leaves_the_number_out(values, null):
    estimate = mean_interval(values)
    if min(abs(null - estimate.low), abs(null - estimate.high)) > 1e-6:
        assert (estimate.p_value(null) < 0.05) == (not estimate.low <= null <= estimate.high)


def test_p_is_students_and_an_open_end_excludes_nothing():
    values = [0.1, 0.3, 0.2, 0.5]
    assert mean_interval(values).p_value(0) == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue)
    assert share_interval(80, 100).p_value(0.5) < 1e-6
    cut = Estimate(3.0, 2.0, 4.0, 5, open=("high",))
    assert cut.p_value(9.0) == 1.0 and cut.p_value(1.0) < 0.05
    assert str(cut) == "3.000 [2.000, >= 4.000], n = 5" and cut.limits == (2.0, math.inf)
    assert math.isnan(mean_interval([0.5]).p_value(0))
