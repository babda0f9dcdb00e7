"""Trainings that go on from a checkpoint end with bitwise the weights of one that was never interrupted."""

import functools
import os
import signal

import pytest
import torch
from small_training import add_noise, digit_images, same_weights, small_net

from fewshot_lab.errors import CourseError
from fewshot_lab.training import train
from fewshot_lab.training.muon import Muon


@pytest.fixture(scope="module")
def digits():
    return digit_images()


class Noise:
    """An augmentation that counts its calls and, at one of them, does something else as well."""

    def __init__(self, at: int = 0, then=lambda: None) -> None:
        self.calls, self.at, self.then = 0, at, then

    def __call__(self, images, labels, generator):
        self.calls += 1
        if self.calls == self.at:
            self.then()
        return add_noise(images, labels, generator)


class Killed(BaseException):
    """What ends a process without a chance to write anything."""


def kill():
    raise Killed


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def train_long(model, digits, augment, **options):
    return train(model, *digits, steps=110, batch_size=20, warmup=3, weight_decay=0.1, augment=augment, device="cpu", **options)


@pytest.fixture(scope="module")
def whole(digits):
    model = small_net(dropout=0.5)
    return model, train_long(model, digits, Noise())


@pytest.mark.parametrize("at", [3, 100, 105, 110])
def test_an_interrupted_training_ends_with_bitwise_the_same_weights(digits, whole, tmp_path, at):
    path, handler = tmp_path / "run.pt", signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_long(small_net(dropout=0.5), digits, Noise(at, press_ctrl_c), checkpoint=path)
    assert signal.getsignal(signal.SIGINT) is handler
    fresh, augment = small_net(seed=5, dropout=0.5), Noise()
    history = train_long(fresh, digits, augment, checkpoint=path)
    assert augment.calls == 110 - at, "the interrupted step was completed and none is repeated"
    assert same_weights(fresh, whole[0]) and history.losses == whole[1].losses


def test_a_killed_training_goes_on_from_its_last_checkpoint(digits, whole, tmp_path):
    path, fresh, augment = tmp_path / "run.pt", small_net(seed=5, dropout=0.5), Noise()
    with pytest.raises(Killed):
        train_long(small_net(dropout=0.5), digits, Noise(57, kill), checkpoint=path, checkpoint_every=5)
    history = train_long(fresh, digits, augment, checkpoint=path, checkpoint_every=5)
    assert augment.calls == 110 - 55
    assert same_weights(fresh, whole[0]) and history.losses == whole[1].losses
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_interrupt_ends_the_step_at_once(digits, tmp_path):
    def twice():
        press_ctrl_c()
        press_ctrl_c()

    augment = Noise(3, twice)
    with pytest.raises(KeyboardInterrupt):
        train_long(small_net(), digits, augment, checkpoint=tmp_path / "run.pt")
    assert augment.calls == 3 and not list(tmp_path.iterdir()), "half a step is not written"


def test_a_training_that_has_broken_down_does_not_replace_its_last_good_file(digits, tmp_path):
    path = tmp_path / "run.pt"

    def breaks(model, images, labels):
        breaks.calls += 1
        return model(images).sum() * (float("nan") if breaks.calls > 12 else 0.0)

    breaks.calls = 0
    options = {"steps": 30, "loss": breaks, "checkpoint": path, "checkpoint_every": 10, "device": "cpu"}
    with pytest.raises(CourseError, match="step 13 of 30"):
        train(small_net(), *digits, **options)
    assert torch.load(path, weights_only=True)["state"]["step"] == 10


def test_a_finished_training_is_not_run_again(digits, tmp_path):
    path, first, second = tmp_path / "run.pt", small_net(), small_net(seed=3)
    train(first, *digits, steps=4, checkpoint=path, device="cpu")

    def never(images, labels, generator):
        raise AssertionError("trained again")

    never.__qualname__ = "none"
    history = train(second, *digits, steps=4, checkpoint=path, augment=never, device="cpu")
    assert same_weights(first, second) and history.steps == 4


def test_a_checkpoint_of_another_version_is_refused(digits, tmp_path):
    path = tmp_path / "run.pt"
    train(small_net(), *digits, steps=2, checkpoint=path, device="cpu")
    content = torch.load(path, weights_only=False)
    torch.save(content | {"format": content["format"] - 1}, path)
    with pytest.raises(CourseError, match="another version of the course"):
        train(small_net(), *digits, steps=2, checkpoint=path, device="cpu")


def test_a_partial_is_told_from_one_with_another_argument_of_the_same_value(digits, tmp_path):
    path = tmp_path / "run.pt"
    optimizers = [functools.partial(Muon, decay=0.0), functools.partial(Muon, linear_rate=0.0)]
    train(small_net(), *digits, steps=2, optimizer=optimizers[0], checkpoint=path, device="cpu")
    with pytest.raises(CourseError, match=r"optimizer was Muon\(decay=0.0\), now it is Muon\(linear_rate=0.0\)"):
        train(small_net(), *digits, steps=2, optimizer=optimizers[1], checkpoint=path, device="cpu")


def test_a_checkpoint_of_other_settings_or_other_data_is_refused_in_words(digits, tmp_path):
    path, (images, labels) = tmp_path / "run.pt", digits
    train(small_net(), images, labels, steps=2, checkpoint=path, device="cpu")
    with pytest.raises(CourseError, match="learning_rate was 0.01, now it is 0.1"):
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
