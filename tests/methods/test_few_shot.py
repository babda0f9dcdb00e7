"""What chapter 05 measures on its encoders: intervals over classes, draws of labels, shares of the queries, sizes of nets."""

import re

import numpy as np
import pytest
import torch
from places import ROOT

from fewshot_lab import data
from fewshot_lab.course.choosing import chapter_05 as choosing
from fewshot_lab.data import episodes as ep
from fewshot_lab.methods import few_shot, model_size, prototypes
from fewshot_lab.models import conv_net
from fewshot_lab.training import crossed_interval


def drawn_classes(episodes: int, classes: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(episodes, classes, generator=generator).topk(5, dim=1).indices


def test_the_numbers_by_class_have_the_mean_of_the_episodes():
    generator = torch.Generator().manual_seed(0)
    accuracies, classes = torch.rand(40, generator=generator), drawn_classes(40, 12, generator)
    assert few_shot.by_class(accuracies, classes, 12).mean() == pytest.approx(accuracies.mean().item())


def test_an_interval_over_trainings_and_classes_covers_what_other_classes_would_change():
    generator, covered, naive = torch.Generator().manual_seed(0), [], []
    for _ in range(150):
        of_class = 0.1 * torch.randn(60, generator=generator)
        rows, all_accuracies = [], []
        for _ in range(3):
            classes = drawn_classes(300, 60, generator)
            own = of_class + 0.05 * torch.randn(60, generator=generator) + 0.01 * torch.randn(1, generator=generator)
            accuracies = own[classes].mean(1) + 0.05 * torch.randn(300, generator=generator)
            rows.append(few_shot.by_class(accuracies, classes, 60))
            all_accuracies.append(accuracies)
        estimate, together = crossed_interval(np.stack(rows), np.ones(60)), torch.cat(all_accuracies)
        covered.append(estimate.low <= 0 <= estimate.high)
        naive.append(together.mean().abs() <= 1.96 * together.std() / len(together) ** 0.5)
    assert 0.92 <= np.mean(covered) <= 0.995
    assert np.mean(naive) < 0.6, "the interval over episodes alone does not"


def test_the_spread_of_draws_has_the_jackknife_interval_of_a_standard_deviation():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    numbers = few_shot.spread(values)
    left_out = np.array([values[torch.arange(400) != i].std().item() for i in range(400)])
    jackknife = np.sqrt(399 / 400 * ((left_out - left_out.mean()) ** 2).sum())
    assert numbers.mean() == pytest.approx(values.std().item())
    assert numbers.std(ddof=1) / 20 == pytest.approx(jackknife, rel=0.02)


def test_log_odds_are_finite_and_do_not_shrink_towards_one():
    odds = few_shot.logit(torch.tensor([0.0, 0.5, 0.9, 0.99, 1.0], dtype=torch.float64), 1000)
    assert odds.isfinite().all() and odds[1] == 0 and odds[0] == -odds[4]
    assert odds[3] - odds[2] == pytest.approx(np.log(11), rel=0.05)


def test_random_shares_keep_the_number_of_queries_and_their_classes():
    pool = ep.Pool("small", torch.zeros(120, 1, 4, 4), torch.arange(120) // 12, tuple("abcdefghij"), tuple("A" * 10))
    episodes = ep.draw_episodes(pool, 200, way=5, shots=1, queries=10, seed=0)
    rows, labels = few_shot.unbalanced(episodes, seed=0)
    assert rows.shape == labels.shape == (200, 10)
    assert torch.equal(pool.labels[rows], episodes.classes.gather(1, labels))
    counts = torch.nn.functional.one_hot(labels, 5).sum(1).float()
    assert counts.mean(0).allclose(torch.full((5,), 2.0), atol=0.4) and counts.std() > 1.2


def test_soft_k_means_is_the_papers_formula_and_finds_clusters():
    generator = torch.Generator().manual_seed(0)
    support, queries = torch.randn(1, 3, 2, 4, generator=generator), torch.randn(1, 6, 4, generator=generator)
    c = support[0].mean(1)
    p = (-(queries[0][:, None] - c).square().sum(2)).softmax(1)
    for k in range(3):
        moved = support[0, k].sum(0) + (p[:, k, None] * queries[0]).sum(0)
        c[k] = moved / (2 + p[:, k].sum())
    expected = -(queries[0][:, None] - c).square().sum(2)
    assert torch.allclose(prototypes.soft_k_means_rule(support, queries)[0], expected, atol=1e-5)
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    queries = centres.repeat_interleave(20, 0)[None] + 0.5 * torch.randn(1, 40, 2, generator=generator)
    support = torch.tensor([[[[0.0, 0.0]], [[7.2, 0.0]]]])  # the second is far from the middle of its class
    correct = [
        (rule(support, queries)[0].argmax(1) == torch.arange(2).repeat_interleave(20)).float().mean()
        for rule in (prototypes.prototype_rule, prototypes.soft_k_means_rule)
    ]
    assert correct[0] < correct[1] == 1


def test_the_accuracies_of_draws_on_a_data_set_are_those_of_its_own_draws():
    task = data.load("digits")
    found = few_shot.accuracies_on(task, torch.nn.Flatten(), shots=[1, 5], draws=3, seed=7)
    assert found.shape == (2, 3)
    images, labels = task.draw(5, 8)
    means = torch.stack([few_shot.enlarged(images[labels == k]).flatten(1).mean(0) for k in range(10)])
    nearest = torch.cdist(few_shot.enlarged(task.test_images).flatten(1), means).argmin(1)
    assert found[1, 1] == pytest.approx((nearest == task.test_labels).float().mean().item(), abs=2e-3)


def test_the_middle_of_a_class_has_neither_queries_nor_the_label_of_the_draw():
    pool = ep.glyph_pool("test", jitter="mild", versions=2)
    task = ep.draw_tasks(pool, 6, way=5, shots=5, seed=0)[0]
    features = torch.randn(len(pool.images), 3, generator=torch.Generator().manual_seed(0))
    found = few_shot.distances_from_middle(features, pool, task)
    queried = set((task.queries[0] // pool.versions).flatten().tolist())
    for draw in range(6):
        far = []
        for place, label in enumerate(task.classes[0].tolist()):
            row = task.support[draw, place, 0].item()
            pictures = [p for p, its in enumerate(pool.labels.tolist()) if its == label]
            others = [p for p in pictures if p not in queried and p != row // pool.versions]
            assert len(others) == len(pictures) - 5
            middle = torch.cat([features[2 * p : 2 * p + 2] for p in others]).mean(0)
            far.append((features[row] - middle).norm())
        assert found[draw] == pytest.approx(torch.stack(far).mean().item(), rel=1e-4)


def test_the_inner_loop_of_long_trainings_is_chosen_after_as_many_steps_as_the_full_profile_takes():
    source = (ROOT / "notebooks" / "source" / "05_few_shot_episodes.py").read_text(encoding="utf-8")
    (full,) = re.findall(r"^STEPS = lab\.quick_or_full\(\d+, (\d+)\)$", source, flags=re.M)
    assert choosing.LONG == int(full)


def test_a_deeper_net_has_more_convolutions_and_the_same_input_and_output():
    nets = [conv_net(7, size=8, width=4, depth=depth) for depth in (3, 9)]
    count = [sum(isinstance(layer, torch.nn.Conv2d) for layer in net) for net in nets]
    assert count == [3, 9] and all(net(torch.rand(2, 1, 8, 8)).shape == (2, 7) for net in nets)


def test_the_overconfidence_by_picture_adds_up_and_is_what_confidence_has_over_accuracy():
    row = model_size.fit_size("digits", shots=2, seed=0, width=4, steps=20, device="cpu")
    sums, sizes = row["overconfidence_by_picture"], row["test_sizes"]
    assert sums.sum() / sizes.sum() == pytest.approx(row["overconfidence"], abs=1e-5)
    assert 0 < row["overconfidence"] + row["test_accuracy"] <= 1
