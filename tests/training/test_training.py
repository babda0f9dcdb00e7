"""The training loop and its batches, evaluation mode, sweeps and progress bars."""

import inspect
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_training import add_noise, digit_images, same_weights, small_net
from torch import nn

from fewshot_lab.errors import CourseError
from fewshot_lab.training import Batches, accuracy, combinations, eval_mode, loop, muon, outputs, progress_bar, sweep, train
from fewshot_lab.training.progress import NotebookBar


@pytest.fixture(scope="module")
def digits():
    return digit_images()


# batches


def test_every_batch_is_full_and_every_pass_shows_each_row_once():
    batches = Batches(torch.arange(10), torch.arange(10), 4, seed=0)
    rows = torch.cat([batches.next()[0] for _ in range(5)])
    assert len(rows) == 20
    assert sorted(rows[:10].tolist()) == sorted(rows[10:].tolist()) == list(range(10))
    assert rows[:10].tolist() != rows[10:].tolist()


def test_a_set_smaller_than_a_batch_is_shown_whole():
    batches = Batches(torch.arange(3), torch.arange(3), 64, seed=0)
    assert sorted(batches.next()[0].tolist()) == [0, 1, 2]


def test_batches_go_on_from_a_saved_state():
    batches = Batches(torch.arange(10), torch.arange(10), 3, seed=1)
    for _ in range(5):
        batches.next()
    state = batches.state_dict()
    expected = [batches.next()[0].tolist() for _ in range(8)]
    other = Batches(torch.arange(10), torch.arange(10), 3, seed=2)
    other.load_state_dict(state)
    assert [other.next()[0].tolist() for _ in range(8)] == expected


def test_processes_share_each_batch_without_overlap_and_weigh_it_by_rows():
    whole = Batches(torch.arange(10), torch.arange(10), 5, seed=0)
    parts = [Batches(torch.arange(10), torch.arange(10), 5, seed=0, rank=rank, world_size=2) for rank in range(2)]
    for _ in range(4):
        assert sorted(whole.next()[0].tolist()) == sorted(sum((part.next()[0].tolist() for part in parts), []))
    assert [part.weight for part in parts] == [pytest.approx(6 / 5), pytest.approx(4 / 5)]


def test_unequal_lengths_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="3 images but 2 labels"):
        Batches(torch.zeros(3), torch.zeros(2), 1, seed=0)


# training


@pytest.mark.slow
def test_training_learns_the_digits(digits):
    images, labels = digits
    model = small_net()
    history = train(model, images[:1200], labels[:1200], steps=200, learning_rate=5e-3, device="cpu")
    assert accuracy(outputs(model, images[1200:]), labels[1200:]) > 0.85
    assert history.steps == 200 and history.seconds > 0
    assert np.mean(history.losses[-20:]) < 0.3 * np.mean(history.losses[:5])


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_generator_alone(digits):
    models = [small_net(dropout=0.5) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        before = torch.get_rng_state()
        train(model, *digits, steps=5, seed=seed, augment=add_noise, device="cpu")
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(7)
    assert same_weights(models[0], models[1]) and not same_weights(models[0], models[2])


def test_uint8_images_are_scaled_to_the_unit_interval_and_soft_labels_are_taken():
    seen = []

    def spread(images, labels, generator):
        seen.append(images)
        return images, nn.functional.one_hot(labels, 10).float()

    images = torch.full((4, 1, 8, 8), 255, dtype=torch.uint8)
    train(small_net(), images, torch.arange(4), steps=1, augment=spread, device="cpu")
    assert seen[0].dtype == torch.float32 and seen[0].max() == 1.0


def test_the_learning_rate_warms_up_and_falls_along_half_a_cosine(monkeypatch):
    rates = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a: (rates.append(self.param_groups[0]["lr"]), step(self, *a))[1]
    )
    options = {"steps": 4, "warmup": 2, "learning_rate": 1.0, "device": "cpu"}
    train(small_net(), torch.rand(4, 1, 8, 8), torch.arange(4), **options)
    assert rates == pytest.approx([0.5, 1, 1, 0.5])


def test_the_loop_can_be_shown_as_it_is_in_a_notebook():
    assert max(map(len, inspect.getsource(loop).splitlines())) <= 100
    lines = inspect.getsource(train).split('"""')[2].splitlines()
    order = ["batches.next()", "augment(x, y", 'group["lr"]', "loss(model", "backward", "scaler.step", "recent.append"]
    found = [next(i for i, line in enumerate(lines) if part in line and "#" not in line) for part in order]
    assert found == sorted(found)


def test_a_loss_that_is_not_finite_names_its_step_and_what_to_try(digits):
    calls = []

    def breaks(model, images, labels):
        calls.append(0)
        return model(images).sum() * (math.nan if len(calls) == 4 else 0.0)

    with pytest.raises(CourseError, match="step 4 of 150.*smaller learning rate"):
        train(small_net(), *digits, steps=150, loss=breaks, device="cpu")


def test_settings_that_make_no_sense_are_refused(digits):
    for wrong in ({"steps": 0}, {"warmup": -1}, {"batch_size": 0}, {"precision": "fp8"}, {"learning_rate": 0}):
        with pytest.raises(ValueError):
            train(small_net(), *digits, **{"steps": 1, "device": "cpu"} | wrong)
    with pytest.raises(CourseError, match="needs a GPU"):
        train(small_net(), *digits, steps=1, precision="fp16", device="cpu")


def test_bf16_trains_on_the_cpu_and_keeps_the_weights_in_fp32(digits):
    model, kinds = small_net(), []

    def loss(model, images, labels):
        logits = model(images)
        kinds.append(logits.dtype)
        return nn.functional.cross_entropy(logits, labels)

    train(model, *digits, steps=2, precision="bf16", loss=loss, device="cpu")
    assert kinds == [torch.bfloat16] * 2 and model[0].weight.dtype == torch.float32


def test_evaluation_mode_ends_with_each_part_in_its_former_mode():
    model = small_net()
    model.train()
    model[1].eval()
    with pytest.raises(ZeroDivisionError), eval_mode(model) as same:
        assert same is model and not any(part.training for part in model.modules())
        raise ZeroDivisionError
    assert model.training and model[5].training and not model[1].training


def test_outputs_are_those_of_evaluation_mode_and_each_part_keeps_its_mode(digits):
    model = small_net(dropout=0.9)
    model.train()
    model[1].eval()
    first, second = outputs(model, digits[0][:50], batch_size=16), outputs(model, digits[0][:50])
    assert torch.allclose(first, second, atol=1e-6) and first.shape == (50, 10)
    assert model.training and model[5].training and not model[1].training
    (first * torch.ones(1, requires_grad=True)).sum().backward()


# sweeps


def trained(seed: int, steps: int) -> dict:
    model = small_net(seed, dropout=0.3)
    history = train(model, *digit_images(), steps=steps, seed=seed, augment=add_noise, device="cpu")
    return {"losses": history.losses, "weights": model[0].weight.sum().item(), "threads": torch.get_num_threads()}


def fails(k: int) -> dict:
    if k == 2:
        raise ZeroDivisionError("no labels")
    return {}


def test_combinations_are_the_product_in_order():
    assert combinations(k=[1, 5], seed=[0, 1])[1:3] == [{"k": 1, "seed": 1}, {"k": 5, "seed": 0}]


@pytest.mark.slow
def test_a_sweep_gives_the_same_rows_in_grid_order_whatever_the_jobs():
    grid = combinations(steps=[6, 2], seed=[0, 1])
    threads = torch.get_num_threads()
    alone, together = sweep(trained, grid, jobs=1), sweep(trained, grid, jobs=2)
    assert alone == together
    assert [(row["steps"], row["seed"], len(row["losses"])) for row in alone] == [
        (6, 0, 6),
        (6, 1, 6),
        (2, 0, 2),
        (2, 1, 2),
    ]
    assert {row["threads"] for row in alone} == {1} and torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_run_of_a_sweep_is_named_by_its_settings(jobs):
    with pytest.raises(CourseError, match=r"fails\(k=2\) failed: ZeroDivisionError: no labels"):
        sweep(fails, combinations(k=[1, 2, 3]), jobs=jobs)


def test_a_sweep_needs_dicts_and_an_empty_grid_has_no_rows():
    with pytest.raises(CourseError, match="returned int"):
        sweep(lambda k: k, [{"k": 1}], jobs=1)
    assert sweep(fails, []) == []


@pytest.mark.slow
def test_functions_of_a_notebook_work_in_worker_processes():
    code = (
        "from fewshot_lab.training import sweep\nbase = 10\ndef add(k):\n    return {'sum': base + k}\n"
        "if __name__ == '__main__':\n    print(sweep(add, [{'k': 1}, {'k': 2}], jobs=2))\n"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, timeout=120)
    assert "[{'k': 1, 'sum': 11}, {'k': 2, 'sum': 12}]" in done.stdout, done.stderr
    assert done.stderr == ""


# coming to rest


@pytest.mark.parametrize("floor", [0.0, 1.5])
def test_a_training_rests_when_its_loss_has_stopped_falling_at_any_height(floor):
    time = np.arange(200)
    for half_life, rests in ((10, True), (400, False)):
        losses = (floor + 2.7 * 0.5 ** (time / half_life)).tolist()
        assert loop.History(losses).at_rest is rests


def test_a_training_that_learned_nothing_or_hardly_began_is_not_at_rest():
    assert not loop.History([2.0]).at_rest
    assert not loop.History(np.linspace(2.7, 2.6, 50).tolist()).at_rest


# Muon


def test_orthogonal_sets_the_singular_values_near_one_and_keeps_the_directions():
    matrix = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    for given in (matrix, matrix.T):
        u, before, v = torch.linalg.svd(given, full_matrices=False)
        moved = muon.orthogonal(given)
        assert before.max() / before.min() > 2
        values = torch.linalg.svdvals(moved)
        assert 0.6 < values.min() and values.max() < 1.3
        assert torch.allclose((u.T @ moved @ v.T), torch.diag(torch.diagonal(u.T @ moved @ v.T)), atol=1e-4)


def test_without_convolutions_muon_is_adamw(digits):
    models = [nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model, optimizer in zip(models, (muon.Muon, torch.optim.AdamW), strict=True):
        train(model, *digits, steps=3, weight_decay=0.1, optimizer=optimizer, device="cpu")
    assert same_weights(*models)


def test_each_step_moves_a_matrix_by_its_rate_in_all_directions():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(16, 5, bias=False))
    optimizer = muon.Muon(network.parameters(), lr=0.01, filter_rate=5.0, linear_rate=2.0, decay=0.0)
    before = [weight.detach().clone() for weight in network.parameters()]
    for weight in network.parameters():
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    for weight, old, rate in zip(network.parameters(), before, (0.05, 0.02), strict=True):
        moved = torch.linalg.svdvals((weight.detach() - old).flatten(1)) / rate
        assert 0.6 < moved.min() and moved.max() < 1.3


def test_a_rate_of_zero_leaves_linear_layers_to_adamw():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    twin = nn.Linear(8, 3)
    twin.load_state_dict(network[2].state_dict())
    ours = muon.Muon(network.parameters(), lr=0.01, linear_rate=0.0)
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for weight, other in zip(network[2].parameters(), twin.parameters(), strict=True):
            weight.grad = torch.randn(weight.shape, generator=generator)
            other.grad = weight.grad.clone()
        ours.step()
        theirs.step()
    assert same_weights(network[2], twin)


# progress


class Screen:
    def __init__(self) -> None:
        self.shown: list[dict] = []

    def display(self, bundle, raw, display_id):
        self.shown.append(bundle)
        return self

    def update(self, bundle, raw):
        self.shown.append(bundle)


@pytest.fixture
def screen(monkeypatch):
    import IPython.display

    screen = Screen()
    monkeypatch.setattr(IPython.display, "display", screen.display)
    monkeypatch.setattr(sys.modules["fewshot_lab.training.progress"], "_in_kernel", lambda: True)
    return screen


def test_a_notebook_keeps_one_line_of_text_of_a_progress_bar(screen):
    assert list(progress_bar(range(30), "trainings")) == list(range(30))
    first, last = screen.shown[0], screen.shown[-1]
    assert 'aria-label="trainings"' in first["text/html"] and 'max="30"' in first["text/html"]
    assert set(last) == {"text/plain"} and last["text/plain"].startswith("30 trainings in ")
    assert len(screen.shown) <= 3


def test_a_stopped_bar_says_how_far_it_came_and_escapes_its_label(screen):
    with progress_bar(10, "<b>") as bar:
        assert isinstance(bar, NotebookBar)
        bar.update(4)
    assert screen.shown[-1]["text/plain"].startswith("4 of 10 <b> in ")
    assert "&lt;b&gt;" in screen.shown[0]["text/html"]


def test_progress_is_silent_in_a_log(capsys):
    assert list(progress_bar(iter([1, 2]), "steps")) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_the_environment_sets_how_many_trainings_run_at_once(monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_JOBS", "1")
    here = os.getpid()
    assert all(row["process"] == here for row in sweep(lambda n: {"process": os.getpid()}, combinations(n=[1, 2])))
    monkeypatch.setenv("FEWSHOT_LAB_JOBS", "many")
    with pytest.raises(CourseError, match="FEWSHOT_LAB_JOBS is 'many'"):
        sweep(lambda n: {}, combinations(n=[1]))
