"""The training loop, its batches and checkpoints, sweeps and progress bars."""

import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from fewshot_lab.errors import CourseError
from fewshot_lab.training import Batches, accuracy, combinations, outputs, progress_bar, sweep, train
from fewshot_lab.training.progress import NotebookBar


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    images = torch.as_tensor(images.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    return images, torch.as_tensor(labels)


def small_net(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    first = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(128, 10))


def add_noise(images, labels, generator):
    return images + 0.1 * torch.randn(images.shape, generator=generator), labels


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


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
    state = batches.state()
    expected = [batches.next()[0].tolist() for _ in range(8)]
    other = Batches(torch.arange(10), torch.arange(10), 3, seed=2)
    other.restore(state)
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


def test_training_learns_the_digits(digits):
    images, labels = digits
    model = small_net()
    history = train(model, images[:1200], labels[:1200], steps=200, learning_rate=5e-3, device="cpu")
    assert accuracy(outputs(model, images[1200:]), labels[1200:]) > 0.85
    assert history.steps == 200 and history.steps_per_second > 0
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


@pytest.mark.parametrize("schedule,expected", [("constant", [0.5, 1, 1, 1]), ("cosine", [0.5, 1, 1, 0.5])])
def test_the_learning_rate_warms_up_and_follows_the_schedule(schedule, expected, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a: (rates.append(self.param_groups[0]["lr"]), step(self, *a))[1]
    )
    train(
        small_net(), torch.rand(4, 1, 8, 8), torch.arange(4), steps=4, warmup=2, schedule=schedule,
        learning_rate=1.0, device="cpu",
    )  # fmt: skip
    assert rates == pytest.approx(expected)


def test_early_stop_puts_the_best_weights_back(digits):
    model, seen = small_net(), []
    values = iter([0.1, 0.5, 0.4, 0.3, 0.9])

    def evaluate():
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(values)

    history = train(model, *digits, steps=50, evaluate=evaluate, evaluate_every=3, patience=2, device="cpu")
    assert history.evaluations == [(3, 0.1), (6, 0.5), (9, 0.4), (12, 0.3)]
    assert history.stopped_early and history.steps == 12
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in model.state_dict().items())


def test_without_patience_the_last_weights_stay_and_the_end_is_evaluated(digits):
    model = small_net()
    history = train(model, *digits, steps=5, evaluate=lambda: 0.5, evaluate_every=2, device="cpu")
    other = small_net()
    train(other, *digits, steps=5, device="cpu")
    assert [step for step, _ in history.evaluations] == [2, 4, 5] and same_weights(model, other)


def test_a_loss_that_is_not_finite_names_its_step_and_what_to_try(digits):
    calls = []

    def breaks(model, images, labels):
        calls.append(0)
        return model(images).sum() * (math.nan if len(calls) == 4 else 0.0)

    with pytest.raises(CourseError, match="step 4 of 150.*smaller learning rate"):
        train(small_net(), *digits, steps=150, loss=breaks, device="cpu")


def test_settings_that_make_no_sense_are_refused(digits):
    for wrong in ({"steps": 0}, {"schedule": "linear"}, {"patience": 2}, {"precision": "fp8"}, {"learning_rate": 0}):
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


def test_predict_is_in_evaluation_mode_and_restores_each_parts_mode(digits):
    model = small_net(dropout=0.9)
    model.train()
    model[1].eval()
    first, second = outputs(model, digits[0][:50], batch_size=16), outputs(model, digits[0][:50])
    assert torch.allclose(first, second, atol=1e-6) and first.shape == (50, 10)
    assert model.training and model[5].training and not model[1].training
    (first * torch.ones(1, requires_grad=True)).sum().backward()


# checkpoints

LONG = {"steps": 23, "batch_size": 50, "evaluate_every": 4, "patience": 9, "warmup": 3, "weight_decay": 0.1}


class Interrupting:
    """Augmentation that adds noise and, at one call, behaves like a user who stops the run."""

    def __init__(self, at: int, how: str) -> None:
        self.calls, self.at, self.how = 0, at, how

    def __call__(self, images, labels, generator):
        self.calls += 1
        if self.calls == self.at:
            if self.how == "raised":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)
        return add_noise(images, labels, generator)


@pytest.mark.parametrize("how", ["raised", "signal"])
@pytest.mark.parametrize("at", [3, 13, 23])
def test_an_interrupted_training_ends_with_bitwise_the_same_weights(digits, tmp_path, how, at):
    whole, broken = small_net(dropout=0.5), small_net(dropout=0.5)
    path = tmp_path / "run.pt"
    handler = signal.getsignal(signal.SIGINT)
    expected = train_with_state(whole, digits, Interrupting(0, how))
    with pytest.raises(KeyboardInterrupt):
        train_with_state(broken, digits, Interrupting(at, how), path)
    assert signal.getsignal(signal.SIGINT) is handler
    fresh = small_net(seed=5, dropout=0.5)
    history = train_with_state(fresh, digits, Interrupting(0, how), path)
    assert same_weights(fresh, whole)
    assert history.losses == expected.losses and history.evaluations == expected.evaluations


def train_with_state(model, digits, augment, checkpoint=None, **others):
    def evaluate():
        return accuracy(outputs(model, digits[0][:200]), digits[1][:200])

    options = {**LONG, "augment": augment, "evaluate": evaluate, "checkpoint": checkpoint, "device": "cpu"} | others
    return train(model, *digits, **options)


def test_a_killed_training_goes_on_from_its_last_checkpoint(digits, tmp_path):
    class Killed(BaseException):
        pass

    class Kill(Interrupting):
        def __call__(self, images, labels, generator):
            if self.calls == 12:
                raise Killed
            return super().__call__(images, labels, generator)

    Kill.__name__ = "Interrupting"
    path, whole, fresh = tmp_path / "run.pt", small_net(dropout=0.5), small_net(seed=5, dropout=0.5)
    train_with_state(whole, digits, Interrupting(0, ""))
    with pytest.raises(Killed):
        train_with_state(small_net(dropout=0.5), digits, Kill(0, ""), path, checkpoint_every=5)
    augment = Interrupting(0, "")
    train_with_state(fresh, digits, augment, path, checkpoint_every=5)
    assert augment.calls == 23 - 10 and same_weights(fresh, whole)
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_training_is_not_run_again(digits, tmp_path):
    path, first, second = tmp_path / "run.pt", small_net(), small_net(seed=3)
    train(first, *digits, steps=4, checkpoint=path, device="cpu")

    def never(images, labels, generator):
        raise AssertionError("trained again")

    never.__qualname__ = "none"
    history = train(second, *digits, steps=4, checkpoint=path, augment=never, device="cpu")
    assert same_weights(first, second) and history.steps == 4


def test_a_checkpoint_of_other_settings_or_other_data_is_refused_in_words(digits, tmp_path):
    path, (images, labels) = tmp_path / "run.pt", digits
    train(small_net(), images, labels, steps=2, checkpoint=path, device="cpu")
    with pytest.raises(CourseError, match="learning_rate was 0.001, now it is 0.1"):
        train(small_net(), images, labels, steps=2, learning_rate=0.1, checkpoint=path, device="cpu")
    with pytest.raises(CourseError, match="another training: images"):
        train(small_net(), images.flip(0), labels, steps=2, checkpoint=path, device="cpu")


def test_a_checkpoint_knows_the_strength_that_its_augmentation_was_made_with(digits, tmp_path):
    def of_strength(strength):
        return lambda images, labels, generator: (images * strength, labels)

    train(small_net(), *digits, steps=1, augment=of_strength(0.5), checkpoint=tmp_path / "run.pt", device="cpu")
    with pytest.raises(CourseError, match=r"augment was .*\(0.5\), now it is .*\(0.9\)"):
        train(small_net(), *digits, steps=1, augment=of_strength(0.9), checkpoint=tmp_path / "run.pt", device="cpu")


def test_a_broken_checkpoint_is_named(digits, tmp_path):
    path = tmp_path / "run.pt"
    path.write_bytes(b"half a file")
    with pytest.raises(CourseError, match="run.pt cannot be read.*Delete it"):
        train(small_net(), *digits, steps=1, checkpoint=path, device="cpu")


# sweeps


def trained(seed: int, steps: int) -> dict:
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.as_tensor(images.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32), torch.as_tensor(labels)
    model = small_net(seed, dropout=0.3)
    history = train(model, images, labels, steps=steps, seed=seed, augment=add_noise, device="cpu")
    return {"losses": history.losses, "weights": model[0].weight.sum().item(), "threads": torch.get_num_threads()}


def fails(k: int) -> dict:
    if k == 2:
        raise ZeroDivisionError("no labels")
    return {}


def test_combinations_are_the_product_in_order():
    assert combinations(k=[1, 5], seed=[0, 1])[1:3] == [{"k": 1, "seed": 1}, {"k": 5, "seed": 0}]


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


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_run_of_a_sweep_is_named_by_its_settings(jobs):
    with pytest.raises(CourseError, match=r"fails\(k=2\) failed: ZeroDivisionError: no labels"):
        sweep(fails, combinations(k=[1, 2, 3]), jobs=jobs)


def test_a_sweep_needs_dicts_and_an_empty_grid_has_no_rows():
    with pytest.raises(CourseError, match="returned int"):
        sweep(lambda k: k, [{"k": 1}], jobs=1)
    assert sweep(fails, []) == []


def test_functions_of_a_notebook_work_in_worker_processes():
    code = (
        "from fewshot_lab.training import sweep\nbase = 10\ndef add(k):\n    return {'sum': base + k}\n"
        "if __name__ == '__main__':\n    print(sweep(add, [{'k': 1}, {'k': 2}], jobs=2))\n"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, timeout=120)
    assert "[{'k': 1, 'sum': 11}, {'k': 2, 'sum': 12}]" in done.stdout, done.stderr
    assert done.stderr == ""


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
