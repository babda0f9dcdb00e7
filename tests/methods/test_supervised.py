"""Training on a few labels per class: the experiment under the claims of chapter 02, and what a policy costs."""

import math

import pytest
import torch

from fewshot_lab import data
from fewshot_lab.errors import CourseError
from fewshot_lab.methods import step_time, supervised
from fewshot_lab.training import Arms


def fit(**settings):
    return supervised.fit_few_shot("digits", shots=1, seed=0, steps=20, device="cpu", **settings)


def test_a_training_of_very_few_steps_still_has_a_loss():
    row = supervised.fit_few_shot("digits", shots=1, seed=0, steps=2, device="cpu")
    assert math.isfinite(row["train_loss"])


def test_validation_and_test_accuracy_are_of_their_own_parts_and_pictures():
    row = fit()
    task = data.load("digits")
    assert row["validation_accuracy"] * len(task.validation_labels) == pytest.approx(
        round(row["validation_accuracy"] * len(task.validation_labels))
    )
    assert row["test_hits"].sum() / row["test_sizes"].sum() == pytest.approx(row["test_accuracy"])
    assert len(row["test_sizes"]) == len(task.test_pictures.unique())


def test_smoothed_labels_keep_a_net_from_being_sure():
    assert fit(smoothing=0.2)["train_loss"] > fit()["train_loss"] + 0.1


def test_answers_over_several_views_are_averaged_and_a_policy_that_changes_nothing_averages_to_the_same():
    settings = {"policy": "affine", "strength": 0.25}
    row = fit(views=4, **settings)
    assert row["averaged_accuracy_by_picture"].sum() / row["test_sizes"].sum() == pytest.approx(row["averaged_accuracy"])
    assert row["test_accuracy"] == fit(**settings)["test_accuracy"], "the training is the same"
    assert row["averaged_accuracy"] != row["test_accuracy"]
    same = fit(views=4)
    assert same["averaged_accuracy"] == same["test_accuracy"]
    assert Arms({"one": [same | {"seed": 0}]}).interval("one", of="averaged_accuracy").n == 1


def test_affinity_is_one_without_a_change_and_is_measured_on_validation_images(monkeypatch):
    task = data.load("digits")
    policies = {"none": ("none", 0.0), "d4": ("d4", 1.0)}
    settings = {"policies": policies, "shots": 5, "seed": 0, "steps": 60, "device": "cpu"}
    found = supervised.affinities("digits", **settings)
    assert found["none"] == 1 and 0.2 < found["d4"] < 0.95
    no_test = task.__class__(**{**task.__dict__, "test_images": torch.zeros_like(task.test_images)})
    monkeypatch.setattr(supervised.data, "load", lambda name: no_test)
    assert supervised.affinities("digits", **settings) == found


@pytest.mark.slow
def test_each_slowdown_is_of_a_process_of_its_own_and_a_failure_says_why():
    slower = step_time.slowdowns("digits", strength=0.25, processes=2, steps=10)
    assert len(slower) == 2 and all(-0.5 < share < 5 for share in slower)
    with pytest.raises(CourseError, match="A process that timed training steps failed.*'unheard of'"):
        step_time.slowdowns("digits", strength=0.25, policy="unheard of", processes=1)
