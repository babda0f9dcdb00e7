"""Chapter 15's mathematics against simulations and other formulas, and its two measurements by their effect."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewshot_lab.evidence import holm
from fewshot_lab.methods import price_list


def test_the_expected_best_is_what_a_simulation_finds():
    generator = np.random.default_rng(0)
    simulated = generator.binomial(100, 0.85, size=(200_000, 32)).max(axis=1).mean() / 100
    assert price_list.expected_best(0.85, 100, 32) == pytest.approx(simulated, abs=2e-4)


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 20))
def test_the_expected_best_lies_between_the_true_accuracy_and_one(accuracy, images, tries):
    best = price_list.expected_best(accuracy, images, tries)
    assert accuracy - 1e-9 <= best <= 1 + 1e-9
    assert price_list.expected_best(accuracy, images, 1) == pytest.approx(accuracy, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_for_tensors_is_the_ledgers(values):
    expected = holm({str(i): value for i, value in enumerate(values)})
    adjusted = price_list.holm_adjusted(torch.tensor(values, dtype=torch.float64))
    assert adjusted.tolist() == pytest.approx([expected[str(i)] for i in range(len(values))])


def test_a_test_that_decided_nothing_counts_and_stays_undecided():
    adjusted = price_list.holm_adjusted(torch.tensor([0.02, math.nan]))
    assert adjusted[0] == pytest.approx(0.04) and adjusted[1].isnan()


OFFERS = st.lists(st.tuples(*(st.integers(0, 4) for _ in range(3))), min_size=1, max_size=9)


@given(OFFERS)
def test_the_frontier_is_never_empty_and_whatever_was_beaten_is_beaten_by_it(offers):
    labels, seconds, accuracy = (torch.tensor(part, dtype=torch.float) for part in zip(*offers, strict=True))
    kept = price_list.frontier(labels, seconds, accuracy).tolist()
    assert any(kept)
    for j, (needs, takes, gives) in enumerate(offers):
        by = [i for i, (a, b, c) in enumerate(offers) if a <= needs and b <= takes and c >= gives and offers[i] != offers[j]]
        assert kept[j] == (not by)
        assert kept[j] or any(kept[i] for i in by)


@given(OFFERS, st.integers(0, 4), st.integers(0, 4))
def test_what_a_budget_buys_is_affordable_and_no_affordable_offer_is_more_accurate(offers, most_labels, most_seconds):
    parts = (torch.tensor(part, dtype=torch.float) for part in zip(*offers, strict=True))
    best = price_list.best_in_budget(*parts, most_labels, most_seconds)
    affordable = [i for i, (needs, takes, _) in enumerate(offers) if needs <= most_labels and takes <= most_seconds]
    assert best == max(affordable, key=lambda i: offers[i][2], default=-1)


def test_picking_on_few_images_is_flattered_and_without_a_choice_it_is_not():
    rows = [price_list.pick_the_best(seed=seed, settings=6) for seed in range(4)]
    gap = np.array([row["reported"] for row in rows]) - np.array([row["true"] for row in rows])  # (draws, settings)
    assert gap[:, -1].mean() > gap[:, 0].mean()
    assert all(row["reported"] == sorted(row["reported"]) for row in rows)
    assert rows[0]["flattery"] == pytest.approx(gap[0, -1])


@pytest.mark.parametrize("method", ["class means", "nearest neighbour", "logistic regression", "logistic regression + copies"])
def test_an_offer_needs_its_labels_and_says_its_seconds(method):
    few, many = (price_list.offer(method, seed=0, shots=k, steps=1, strength=0.25) for k in (1, 20))
    assert 0.5 < few["test_accuracy"] < many["test_accuracy"]
    assert few["seconds"] > 0 and sum(few["test_hits"]) == pytest.approx(600 * few["test_accuracy"])


def test_an_offer_that_nobody_makes_is_named():
    with pytest.raises(ValueError, match="no method 'prayer'"):
        price_list.offer("prayer", seed=0, shots=1, steps=1, strength=0.0)
