"""FixMatch by its formula and by what must not teach, and which images are chosen for labels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewshot_lab import data
from fewshot_lab.methods import fixmatch, label_choice, linear_probe

VIEWS = {"views": [("affine", 0.25)], "weak": [("affine", 0.1)], "strong": [("affine", 0.25), ("erase", 0.5)]}


def draw(seed):
    return torch.Generator().manual_seed(seed)


def logits_of(seed, *rows, classes=4):
    return [3 * torch.randn(n, classes, generator=draw(seed + i), dtype=torch.float64) for i, n in enumerate(rows)]


def by_formula(logits, labels, weak, strong, threshold, weight):
    """Equations 3 and 4, image by image, with math alone."""

    def log_p(row, label):
        return row[label] - math.log(sum(math.exp(value) for value in row))

    labelled = [-log_p(row, y) for row, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    unlabelled = []
    for q, p in zip(weak.tolist(), strong.tolist(), strict=True):
        label = max(range(len(q)), key=q.__getitem__)
        unlabelled.append(-log_p(p, label) if math.exp(log_p(q, label)) >= threshold else 0.0)
    return sum(labelled) / len(labelled) + weight * sum(unlabelled) / len(unlabelled)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.26, 0.99), weight=st.floats(0, 5))
def test_the_loss_is_the_papers_formula(seed, threshold, weight):
    logits, weak, strong = logits_of(seed, 3, 7, 7)
    labels = torch.tensor([0, 3, 1])
    loss = fixmatch.fixmatch_loss(logits, labels, weak, strong, threshold, weight)
    assert math.isclose(loss.item(), by_formula(logits, labels, weak, strong, threshold, weight), rel_tol=1e-9)


def test_no_gradient_reaches_the_weak_views_and_only_what_passed_teaches():
    logits, weak, strong = logits_of(3, 4, 9, 9)
    for some in (logits, weak, strong):
        some.requires_grad_()
    fixmatch.fixmatch_loss(logits, torch.tensor([0, 1, 2, 3]), weak, strong, 0.8, 1.0).backward()
    passed = fixmatch.confident_labels(weak, 0.8)[1]
    assert 0 < passed.sum() < 9 and weak.grad is None
    assert ((strong.grad != 0).any(dim=1) == passed).all()


def test_a_confidence_that_equals_the_threshold_passes():
    labels, passed = fixmatch.confident_labels(torch.tensor([[0.0, 200.0], [0.0, 1.0]]), 1.0)
    assert labels.tolist() == [1, 1] and passed.tolist() == [True, False]


def test_shares_count_what_passed_and_what_of_it_is_right():
    labels = torch.tensor([0, 1, 2])
    steps = [
        (torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([True, True])),
        (torch.tensor([2, 0]), torch.tensor([2, 0]), torch.tensor([False, True])),
    ]
    assert fixmatch.Passed(steps).shares(labels) == ([1.0, 0.5], [0.5, 0.5])


def test_the_training_shows_labelled_images_and_two_views_of_others_and_knows_no_other_label():
    seen = []

    def loss(logits, labels, weak, strong, threshold, weight):
        seen.append((len(logits), len(labels), len(weak), len(strong)))
        assert labels.max() < 2  # the rows of the pool, which go through the loop as labels, are up to 19
        return fixmatch.fixmatch_loss(logits, labels, weak, strong, threshold, weight)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    images = torch.randint(256, (20, 1, 8, 8), generator=draw(0), dtype=torch.uint8)
    how = {**VIEWS, "loss": loss, "steps": 6, "batch": (8, 5), "device": "cpu"}
    history, passed = fixmatch.fixmatch(model, images[:2], torch.tensor([0, 1]), images, **how)
    assert seen == [(8, 8, 5, 5)] * 6 and history.steps == len(passed.steps) == 6
    assert sorted(torch.cat([rows for rows, _, _ in passed.steps])[:20].tolist()) == list(range(20))


def test_with_no_pseudo_label_it_is_a_training_on_the_labels():
    """A threshold above 1 lets nothing pass; batch norm alone still sees the other images."""
    row = fixmatch.fit("digits", shots=5, seed=0, steps=5, threshold=1.1, device="cpu", **VIEWS)
    assert set(row["passed"]) == set(row["right"]) == {0.0} and len(row["passed"]) == 5


@pytest.mark.slow
def test_fixmatch_beats_labels_alone_on_a_data_set_of_two_views_that_are_easy_to_match():
    gains = []
    for seed in (500, 501, 502):
        settings = {"shots": 1, "seed": seed, "steps": 400, "on_validation": True, "device": "cpu"}
        alone = linear_probe.fit_from("digits", policy="affine", strength=0.25, batch_size=128, **settings)
        matched = fixmatch.fit("digits", **settings, **VIEWS)
        gains.append(matched["test_accuracy"] - alone["test_accuracy"])
        passed, right = (np.mean(matched[which][-20:]) for which in ("passed", "right"))
        assert passed > 0.5 and right > 0.7 * passed and passed > np.mean(matched["passed"][:20])
    assert np.mean(gains) > 0.02


# which images to label


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 8))
def test_typicality_agrees_with_scikit_learn(seed, k):
    from sklearn.neighbors import NearestNeighbors

    features = torch.randn(30, 4, generator=draw(seed), dtype=torch.float64)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(features.numpy()).kneighbors()  # without the row itself
    assert np.allclose(label_choice.typicality(features, k), 1 / distances.mean(axis=1))


def clustered(per_class=20):
    """Three tight classes, and one far image in each."""
    labels = torch.arange(3).repeat_interleave(per_class)
    z = 10 * torch.eye(3)[labels] + 0.3 * torch.randn(len(labels), 3, generator=draw(0))
    z[::per_class] += torch.tensor([[0.0, 4.0, 4.0], [4.0, 0.0, 4.0], [4.0, 4.0, 0.0]])
    return data.ImageTask("", ("a", "b", "c"), z, labels, z, labels, z, labels)


def test_typical_images_are_of_different_clusters_and_none_is_odd():
    task = clustered()
    rows = label_choice.typical_rows(task.train_images, task.train_labels, 3, 0)
    assert sorted(task.train_labels[rows].tolist()) == [0, 1, 2] and not set(rows.tolist()) & {0, 20, 40}
    many = label_choice.typical_rows(task.train_images, task.train_labels, 60, 0)  # a cluster each: no neighbours at all
    assert sorted(many.tolist()) == list(range(60))


def test_uncertain_images_are_new_ones_with_the_smallest_margins():
    task = clustered()
    features, labels = task.train_images, task.train_labels
    rows = label_choice.uncertain_rows(features, labels, 12, 3)
    first = label_choice.random_rows(features, labels, 6, 3)
    assert rows[:6].tolist() == first.tolist() and len(set(rows.tolist())) == 12
    present, indices = labels[first].unique(return_inverse=True)
    p = linear_probe.fit_probabilities(features[first], indices, features)(features).sort(dim=1).values
    margin = p[:, -1] - p[:, -2]
    left = [row for row in range(60) if row not in rows.tolist()]
    assert len(present) > 1 and margin[rows[6:]].max() <= margin[left].min()


def test_the_labels_that_are_not_asked_for_are_never_looked_at():
    task = clustered()
    other = torch.zeros_like(task.train_labels)
    for choose in (label_choice.random_rows, label_choice.typical_rows):
        assert torch.equal(choose(task.train_images, task.train_labels, 5, 1), choose(task.train_images, other, 5, 1))
    rows = label_choice.uncertain_rows(task.train_images, task.train_labels, 12, 3)
    hidden = other.index_copy(0, rows[:6], task.train_labels[rows[:6]])
    assert torch.equal(label_choice.uncertain_rows(task.train_images, hidden, 12, 3), rows)


def test_a_probe_answers_only_with_classes_that_it_knows_and_says_how_many():
    task = clustered()
    row = label_choice.label_and_probe(task, choose=lambda *_: torch.tensor([1, 2, 21]), per_class=1, seed=0, draws=2)
    assert row["classes"] == pytest.approx(2 / 3) and row["test_accuracy"] == pytest.approx(2 / 3, abs=0.05)
    single = label_choice.label_and_probe(task, choose=lambda *_: torch.tensor([1, 2]), per_class=1, seed=0, draws=1)
    assert single["test_accuracy"] == pytest.approx(1 / 3)
    assert label_choice.uncertain_rows(task.train_images, 0 * task.train_labels, 6, 0).unique().numel() == 6
