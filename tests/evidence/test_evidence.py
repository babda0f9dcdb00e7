"""Records, verdicts, the exchange rate and the ledger."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot_lab.errors import CourseError
from fewshot_lab.evidence import RULES, exchange_rate, holm, ledger, rate_ratio, record
from fewshot_lab.evidence.verdicts import outcome_of
from fewshot_lab.training import Estimate, mean_interval

RESULT = "application/vnd.fewshot-lab.result+json"

ABOVE, BELOW, ACROSS = Estimate(0.11, 0.08, 0.14, 5), Estimate(-0.11, -0.14, -0.08, 5), Estimate(0.0, -0.1, 0.1, 5)
estimates = st.builds(
    lambda mean, half, n: Estimate(mean, mean - half, mean + half, n),
    st.floats(-1, 1),
    st.floats(0, 1),
    st.integers(1, 9),
)


def judged(estimate: Estimate, relation: str = ">") -> str:
    return outcome_of(estimate, relation, 0.0)


# records


def test_a_record_carries_its_numbers_as_json():
    bundle = record(gain_k5=[0.1, 0.2, 0.3], unit="share", headline="gain_k5")._repr_mimebundle_()
    [content] = json.loads(json.dumps(bundle[RESULT], allow_nan=False))
    expected = mean_interval([0.1, 0.2, 0.3])
    assert content == {
        "values": [0.1, 0.2, 0.3],
        "df": 2,
        "name": "gain_k5",
        "mean": pytest.approx(0.2),
        "ci95": [pytest.approx(expected.low), pytest.approx(expected.high)],
        "n": 3,
        "unit": "share",
        "headline": True,
    }
    assert "0.200" in bundle["text/plain"] and "0.200" in bundle["text/html"]


@pytest.mark.parametrize("value", [3.5, np.float32(3.5), [3.5], Estimate(3.5, math.nan, math.nan, 1)])
def test_a_single_number_is_recorded_without_an_interval(value):
    [content] = record(images_per_second=value)._repr_mimebundle_()[RESULT]
    assert json.loads(json.dumps(content, allow_nan=False))["mean"] == 3.5
    assert content["ci95"] is None and content["n"] == 1


def test_one_cell_records_several_results_a_line_each_and_all_in_one_output():
    rate = Estimate(3.0, 2.0, 4.0, 6, "labels per label")
    results = record(
        k5=[0.1, 0.2, 0.3], rate=rate, speed=12.5, unit="accuracy", units={"speed": "images/s"}, headline=("rate", "speed")
    )
    bundle = results._repr_mimebundle_()
    assert [(r["name"], r["unit"], r["headline"]) for r in bundle[RESULT]] == [
        ("k5", "accuracy", False),
        ("rate", "labels per label", True),  # an estimate keeps its own unit
        ("speed", "images/s", True),
    ]
    assert bundle["text/plain"].count("\n") == 2 and bundle["text/html"].count("<div>") == 3
    assert record(rate=rate, units={"rate": "times"})[0].estimate.unit == "times"


def test_a_headline_or_unit_without_its_result_is_refused_and_so_is_a_record_of_nothing():
    with pytest.raises(ValueError, match="k1, k2, but recorded here: k5"):
        record(k5=1.0, headline="k1", units={"k2": "s"})
    with pytest.raises(ValueError, match="by name"):
        record(unit="accuracy")


def test_a_record_of_nan_is_null_in_json():
    assert record(broken=Estimate(math.nan, math.nan, math.nan, 0))[0].as_json()["mean"] is None


@pytest.mark.parametrize("name", ["Accuracy", "with space", "1st", "a__b", "trailing_", "", "<b>"])
def test_names_that_are_not_snake_case_are_refused(name):
    with pytest.raises(ValueError, match="underscores"):
        record(**{name: 1.0})


# verdicts


def test_the_interval_decides_and_not_the_mean():
    assert judged(ABOVE) == "supported"
    assert judged(BELOW) == "refuted"
    assert judged(Estimate(0.1, -0.01, 0.21, 5)) == "inconclusive"
    assert judged(Estimate(0.1, 0.0, 0.2, 5)) == "inconclusive"


@given(estimates, st.floats(-1, 1))
def test_flipping_the_relation_swaps_supported_and_refuted(estimate, threshold):
    swapped = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}
    there, back = (outcome_of(estimate, relation, threshold) for relation in "><")
    assert back == swapped[there]


def test_one_repetition_is_never_enough():
    assert judged(Estimate(5.0, 4.0, 6.0, 1)) == "inconclusive"
    assert judged(mean_interval([5.0])) == "inconclusive"


def test_a_bound_never_decides_about_its_open_side():
    beyond = Estimate(4.0, 3.0, 4.0, 5, bound=">=")
    assert outcome_of(beyond, ">", 1.0) == "supported"
    assert outcome_of(beyond, "<", 5.0) == "inconclusive"


# exchange rate

SHOTS = [1, 2, 4, 8, 16]
CURVE = np.array([0.4, 0.5, 0.6, 0.7, 0.8])
SPREAD = np.random.default_rng(0).normal(0, 0.02, (8, 1))


@pytest.mark.parametrize("gain,rate", [(0.0, 1.0), (0.1, 2.0), (0.2, 4.0), (-0.1, 0.5), (0.05, math.sqrt(2))])
def test_exchange_rate_reads_the_labels_off_the_curve(gain, rate):
    result = exchange_rate(SHOTS, CURVE + SPREAD, 4, 0.6 + gain + SPREAD[:, 0])
    assert (result.mean, result.low, result.high) == pytest.approx((rate, rate, rate), rel=1e-6)
    assert result.bound == "" and result.open == () and result.n == 8


@given(st.integers(0, 10_000), st.integers(0, 4))
def test_training_without_a_policy_is_worth_exactly_its_labels(seed, at):
    noisy = CURVE + np.random.default_rng(seed).normal(0, 0.1, (2, 5))
    assert exchange_rate(SHOTS, noisy, SHOTS[at], noisy[:, at]).mean == pytest.approx(1.0)


@given(st.integers(0, 10_000), st.floats(-0.3, 0.3), st.floats(0, 0.2))
def test_a_better_policy_never_has_a_lower_rate(seed, gain, more):
    noisy = CURVE + np.random.default_rng(seed).normal(0, 0.1, (2, 5))
    policy = noisy[:, 2] + gain
    assert exchange_rate(SHOTS, noisy, 4, policy + more).mean >= exchange_rate(SHOTS, noisy, 4, policy).mean - 1e-9


def test_a_rate_beyond_the_measured_range_is_marked_as_a_bound():
    above = exchange_rate(SHOTS, CURVE + SPREAD, 4, 0.9 + SPREAD[:, 0])
    below = exchange_rate(SHOTS, CURVE + SPREAD, 4, 0.1 + SPREAD[:, 0])
    assert (above.mean, above.bound, below.mean, below.bound) == (4.0, ">=", 0.25, "<=")
    assert str(above).startswith(">= 4.0")
    assert record(exchange_rate_right=above)[0].as_json()["bound"] == ">="


def test_the_interval_of_a_noisy_rate_holds_it_and_its_order_of_shots_does_not_matter():
    generator = np.random.default_rng(1)
    baseline, policy = CURVE + generator.normal(0, 0.03, (8, 5)), 0.7 + generator.normal(0, 0.03, 8)
    result = exchange_rate(SHOTS, baseline, 4, policy)
    assert result.low < result.mean < result.high
    assert exchange_rate(SHOTS[::-1], baseline[:, ::-1], 4, policy) == result


def test_an_end_of_the_interval_that_is_cut_at_the_measured_range_is_open():
    noise = np.random.default_rng(2).normal(0, 0.06, 8)
    result = exchange_rate(SHOTS, CURVE + SPREAD, 4, 0.76 + noise)
    assert result.bound == "" and result.high == 4.0 and result.open == ("high",)
    assert result.limits == (result.low, math.inf) and "[" in str(result) and ">= 4.000]" in str(result)
    assert outcome_of(result, "<", 5.0) == "inconclusive"


def test_two_seeds_are_too_few_for_the_interval_of_a_rate_and_pictures_may_be_drawn_anew_too():
    assert math.isnan(exchange_rate(SHOTS, (CURVE + SPREAD)[:2], 4, 0.7 + SPREAD[:2, 0]).low)
    generator = np.random.default_rng(3)
    baseline = generator.random((5, 5, 80)) < CURVE[:, None]
    policy = generator.random((5, 80)) < 0.7
    result = exchange_rate(SHOTS, baseline, 4, policy, np.ones(80))
    assert result.low < result.mean < result.high and result.n == 5 and result.over == "5 seeds x 80 pictures"
    with pytest.raises(ValueError, match=r"seeds, 5, 80\) and the policy \(seeds, 80\)"):
        exchange_rate(SHOTS, baseline, 4, policy[:, :70], np.ones(80))


def test_new_pictures_widen_the_interval_of_a_rate():
    generator = np.random.default_rng(4)
    easy = generator.normal(0, 0.3, 60)  # a picture that is easy is so for every training
    baseline = generator.random((8, 5, 60)) < CURVE[:, None] + easy
    policy = generator.random((8, 60)) < 0.68 + easy
    crossed = exchange_rate(SHOTS, baseline, 4, policy, np.ones(60))
    alone = exchange_rate(SHOTS, baseline.mean(-1), 4, policy.mean(-1))
    assert crossed.mean == pytest.approx(alone.mean)
    assert crossed.high - crossed.low > alone.high - alone.low


def test_the_interval_of_a_rate_covers_it_with_few_seeds(monkeypatch):
    monkeypatch.setattr(sys.modules["fewshot_lab.evidence.exchange_rate"], "RESAMPLES", 300)
    generator, slope, covered = np.random.default_rng(5), np.array([0.3, 0.4, 0.5, 0.6, 0.7]), 0
    easy_and_hard = 0.25  # how much the pictures differ, for all trainings alike
    for _ in range(200):
        easy = generator.uniform(-easy_and_hard, easy_and_hard, 60)
        bend = generator.normal(0, 0.03, (5, 6, 1))
        chances = np.append(slope, 0.55)[:, None] + easy + bend
        answers = generator.random((5, 6, 60)) < chances
        low, high = exchange_rate(SHOTS, answers[:, :5], 4, answers[:, 5], np.ones(60)).limits
        covered += low <= math.sqrt(2) <= high
    assert 0.92 <= covered / 200


def test_the_worth_of_a_policy_that_falls_has_a_ratio_above_one_and_a_rate_beyond_the_range_bounds_it():
    generator = np.random.default_rng(6)

    def answers(chance):
        return generator.random((8, *np.shape(chance), 400)) < np.reshape(chance, (*np.shape(chance), 1))

    baseline, sizes = answers(CURVE), np.ones(400)
    few, many = answers(0.6), answers(0.75)  # worth 4 labels at 1, and 2 ** 0.5 at 8
    falls = rate_ratio(SHOTS, baseline, (1, few), (8, many), sizes)
    rates = [exchange_rate(SHOTS, baseline, k, policy, sizes).mean for k, policy in ((1, few), (8, many))]
    assert falls.mean == pytest.approx(rates[0] / rates[1]) and 1.5 < falls.low < 4 / 2**0.5 < falls.high < 5
    assert rate_ratio(SHOTS, baseline, (1, few), (8, many), sizes, clusters="glosses").over.endswith(f" x {len(sizes)} glosses")
    alone = [slice(i, i + 1) for i in range(8)]  # a seed's own rates, which need no interval
    own = [[exchange_rate(SHOTS, baseline[i], k, p[i], sizes).mean for k, p in ((1, few), (8, many))] for i in alone]
    assert exchange_rate(SHOTS, baseline, 1, few, sizes).values == pytest.approx([first for first, _ in own])
    assert falls.values == pytest.approx([first / last for first, last in own])
    same = rate_ratio(SHOTS, baseline, (4, few), (4, few), sizes)
    assert (same.low, same.mean, same.high) == (1, 1, 1)
    assert rate_ratio(SHOTS, baseline, (1, few), (8, answers(0.9)), sizes).bound == "<=", "the last rate may be larger yet"
    assert rate_ratio(SHOTS, baseline, (1, answers(0.9)), (8, many), sizes).bound == ">="
    unknown = rate_ratio(SHOTS, baseline, (1, answers(0.9)), (8, answers(0.9)), sizes)
    assert math.isnan(unknown.low) and unknown.bound == "", "at least 8 over at least 1 may be anything"


def test_rates_on_two_test_sets_have_a_ratio_each_rate_read_on_its_own_curve():
    generator = np.random.default_rng(6)

    def answers(chance):
        return generator.random((8, *np.shape(chance), 400)) < np.reshape(chance, (*np.shape(chance), 1))

    harder = np.asarray(CURVE) - 0.2
    own, other, sizes = answers(CURVE), answers(harder), np.ones(400)
    there, here = answers(harder[3]), answers(CURVE[2])  # at 2 labels worth as many as at 8, and as at 4
    rates = [exchange_rate(SHOTS, one, 2, policy, sizes).mean for one, policy in ((other, there), (own, here))]
    ratio = rate_ratio(SHOTS, other, (2, there), (2, here), sizes, last_baseline=own)
    assert ratio.mean == pytest.approx(rates[0] / rates[1]) and 1.2 < ratio.low < 2 < ratio.high < 3.4
    same = rate_ratio(SHOTS, own, (2, here), (2, here), sizes, last_baseline=own)
    assert (same.low, same.mean, same.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    "shots,baseline,policy_shots,policy,words",
    [
        ([1, 1], np.ones((3, 2)), 1, np.ones(3), "different"),
        ([1, 2], np.ones((3, 3)), 1, np.ones(3), "seeds, 2"),
        ([1, 2], np.ones((3, 2)), 1, np.ones(2), "same seeds"),
        ([1, 2], np.ones((3, 2)), 4, np.ones(3), "outside"),
        ([1, 2], np.full((3, 2), np.nan), 1, np.ones(3), "finite"),
    ],
)
def test_curves_that_do_not_fit_together_are_refused(shots, baseline, policy_shots, policy, words):
    with pytest.raises(ValueError, match=words):
        exchange_rate(shots, baseline, policy_shots, policy)


# ledger


def recorded_run(path, **verdicts: dict):
    """A results.json in which each chapter reached these verdicts: {claim: content}, on the sentences of the rules."""
    chapters: dict = {}
    for claim, content in verdicts.items():
        rule = RULES.claims[claim]
        entry = chapters.setdefault(rule.chapter, {"id": rule.chapter, "verdicts": {}})
        entry["verdicts"][claim] = {"sentence": rule.sentence, "rules": RULES.hash(), "rule": RULES.hash(claim)} | content
    path.write_text(json.dumps({"chapters": list(chapters.values())}))
    return path


def decided(claim: str, outcome: str, p: float) -> dict:
    part = {"statement": "gain", "relation": ">", "threshold": 0, "margin": 0, "outcome": outcome, "p": p, "estimate": {}}
    return {"verdict": outcome, "why": "gain <= 3", "parts": [part]}


def test_the_ledger_lists_every_claim_as_untested_before_a_run_but_those_that_cannot_be_tested(tmp_path):
    table = ledger(tmp_path / "results.json")
    assert list(table.overall) == list(RULES.article) == [f"C{i + 1}" for i in range(len(RULES.article))]
    outcomes = {row.claim.id: row.outcome for row in table.rows}
    assert outcomes.pop("C13") == "not testable here" and set(outcomes.values()) == {"not yet tested"}
    assert "ResNet-50" in str(table)


def test_the_ledger_groups_the_tested_sentences_under_the_articles_words(tmp_path):
    run = recorded_run(tmp_path / "results.json", C1a=decided("C1a", "supported", 0.001), C1b=decided("C1b", "refuted", 0.001))
    table = ledger(run)
    assert table.overall["C1"] == "mixed"
    for shown in (str(table), table._repr_html_()):
        assert shown.count(RULES.article["C1"]) == 1
        assert all(RULES.claims[claim].sentence in shown for claim in ("C1a", "C1b"))
    assert "gain &lt;= 3" in table._repr_html_() and "✗ refuted" in table._repr_html_()


@pytest.mark.parametrize(
    ("first", "second", "overall"),
    [
        ("supported", "inconclusive", "supported in part"),
        ("still learning", "supported", "supported in part"),
        ("supported", "no relevant effect", "mixed"),
        ("refuted", "inconclusive", "mixed"),
        ("inconclusive", "still learning", "still learning"),
        ("refuted", "refuted", "refuted"),
    ],
)
def test_sentences_of_one_claim_are_mixed_only_where_they_disagree(tmp_path, first, second, overall):
    run = recorded_run(tmp_path / "results.json", C1a=decided("C1a", first, 0.01), C1b=decided("C1b", second, 0.01))
    assert ledger(run).overall["C1"] == overall


def test_a_verdict_on_another_sentence_is_none_on_the_claim_and_one_under_earlier_rules_says_so(tmp_path):
    earlier = decided("C2", "supported", 0.01)
    run = recorded_run(tmp_path / "results.json", C2=earlier | {"rule": "abc"}, C4a=earlier | {"sentence": "Another one."})
    by_claim = {row.claim.id: row for row in ledger(run).rows}
    assert by_claim["C2"].outcome == "supported" and "measured under earlier rules" in by_claim["C2"].why
    assert by_claim["C4a"].outcome == "not yet tested"


def test_holm_multiplies_the_smallest_p_by_all_tests_and_never_changes_the_order():
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(p) == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


def test_the_ledger_shows_which_verdicts_stand_when_all_are_counted(tmp_path):
    verdicts = {
        "C5a": {"verdict": "inconclusive", "why": "too few"},
        "C2": decided("C2", "supported", 0.001),
        "C4a": decided("C4a", "refuted", 0.03),
        "C9a": decided("C9a", "supported", 0.04),
    }
    rows = {row.claim.id: row for row in ledger(recorded_run(tmp_path / "results.json", **verdicts)).rows}
    assert rows["C2"].holm == pytest.approx(0.004) and rows["C2"].holds, "a test that decided nothing was one too"
    assert rows["C4a"].holm == pytest.approx(0.09) and rows["C4a"].holds is False
    assert rows["C4a"].holm_in_words == "p = 0.09, does not stand" and rows["C5a"].holm_in_words == ""


@pytest.mark.parametrize("content", ["{", "[]", '{"chapters": [{"id": "02", "verdicts": {"C1": 3}}]}'])
def test_a_broken_results_file_is_named(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(CourseError, match="results.json"):
        ledger(path)
