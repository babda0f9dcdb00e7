"""Flips that alternate, an average of the weights, and test images under jitter that training never saw."""

import pytest
import torch

from fewshot_lab import data
from fewshot_lab.methods import alternating_flip, supervised, unseen_jitter
from fewshot_lab.methods.alternating_flip import Flips, fit_with_flips
from fewshot_lab.models import conv_net_for
from fewshot_lab.runtime import seed_everything
from fewshot_lab.training import Batches, accuracy, outputs, train


def shown(kind, count, epochs, seed=0):
    """How a training of `Flips` shows each image in each epoch: (epochs, count), true where it was mirrored."""
    images = torch.tensor([0.0, 1.0]).repeat(count, 1, 1, 1)  # the left pixel is black
    flips, generator = Flips(kind, count, seed), torch.Generator().manual_seed(seed)
    batches = Batches(images, torch.stack([torch.zeros(count).long(), torch.arange(count)], 1), alternating_flip.BATCH, seed)
    found = []
    while len(found) < epochs * count:
        x, y = batches.next()
        x, classes = flips.augment(x, y, generator)
        assert not classes.any()
        found += zip(y[:, 1].tolist(), (x[:, 0, 0, 0] == 1).tolist(), strict=True)
    passes = [dict(found[start : start + count]) for start in range(0, epochs * count, count)]
    return torch.tensor([[one[i] for i in range(count)] for one in passes])


@pytest.mark.parametrize("count", [50, 64, 150])
def test_every_epoch_shows_the_other_version_also_where_a_batch_holds_two_epochs(count):
    mirrored = shown("alternating", count, epochs=5)
    assert (mirrored[1:] != mirrored[:-1]).all()
    assert 0.3 < mirrored[0].float().mean() < 0.7
    assert (shown("alternating", count, 1, seed=1)[0] != mirrored[0]).any(), "another seed tosses other coins"


def test_random_flips_show_the_same_version_twice_in_half_of_the_cases_and_none_never_mirrors():
    mirrored = shown("random", 150, epochs=5)
    assert 0.4 < (mirrored[1:] == mirrored[:-1]).float().mean() < 0.6
    assert not shown("none", 50, epochs=2).any()
    with pytest.raises(ValueError, match="no flip 'often'"):
        Flips("often", 10, 0)


def test_trainings_of_all_kinds_take_equally_many_steps_and_see_the_flips():
    rows = {
        kind: fit_with_flips("digits", shots=5, epochs=6, seed=0, kind=kind, device="cpu")
        for kind in ("none", "random", "alternating")
    }
    assert {row["steps"] for row in rows.values()} == {6}
    assert len({row["train_accuracy"] for row in rows.values()}) > 1
    row = rows["alternating"]
    assert row["test_hits"].sum() / row["test_sizes"].sum() == pytest.approx(row["test_accuracy"])
    never = fit_with_flips(
        "digits", shots=5, epochs=6, seed=0, kind="alternating", alternate=lambda images, *_: images, device="cpu"
    )
    assert (never["test_hits"] == rows["none"]["test_hits"]).all()


def test_the_average_of_the_weights_is_pytorchs_own_and_changes_nothing_in_the_training():
    settings = {"shots": 2, "seed": 0, "steps": 20, "device": "cpu"}
    row, plain = (supervised.fit_few_shot("digits", **settings, ema=ema) for ema in (0.8, 0.0))
    assert row["test_accuracy"] == plain["test_accuracy"] and row["train_loss"] == plain["train_loss"]
    assert "ema_accuracy" not in plain
    assert row["ema_accuracy_by_picture"].sum() / row["test_sizes"].sum() == pytest.approx(row["ema_accuracy"])

    # Independently: the states after every step; the mean of the first five, and from then on a fifth of each next one.
    task = data.load("digits").capped()
    images, labels = task.draw(2, 0)
    seed_everything(0)
    model, states = conv_net_for(images, 10), []

    def loss(net, x, y):
        states.append({name: value.clone() for name, value in net.state_dict().items()})
        return torch.nn.functional.cross_entropy(net(x), y)

    train(model, images, labels, steps=20, loss=loss, seed=0, device="cpu")
    states.append(model.state_dict())
    mean = states[0]
    for k, state in enumerate(states[1:], start=2):
        share = max(0.2, 1 / k)
        mean = {name: (1 - share) * mean[name] + share * state[name] for name in mean}
    model.load_state_dict({name: value.to(states[0][name].dtype) for name, value in mean.items()})
    assert row["ema_accuracy"] == pytest.approx(accuracy(outputs(model, task.test_images), task.test_labels), abs=0.003)


def test_views_can_be_made_by_a_policy_that_the_training_does_not_use():
    settings = {"shots": 1, "seed": 0, "steps": 20, "device": "cpu", "views": 4}
    row = supervised.fit_few_shot("digits", **settings, views_by=("affine", 0.5))
    plain = supervised.fit_few_shot("digits", **settings)
    assert row["test_accuracy"] == plain["test_accuracy"] and row["averaged_accuracy"] != plain["averaged_accuracy"]


def test_turned_images_are_turned_by_20_to_40_degrees_either_way():
    line = torch.zeros(200, 1, 101, 101)
    line[:, :, 50, 60:95] = 1.0  # from near the middle to the right
    image = unseen_jitter.turned(line, torch.Generator().manual_seed(0))
    rows, columns = torch.arange(101.0) - 50, torch.arange(101.0) - 50
    total = image.sum((1, 2, 3))
    y, x = (image[:, 0] * rows[:, None]).sum((1, 2)) / total, (image[:, 0] * columns).sum((1, 2)) / total
    degrees = torch.atan2(-y, x).rad2deg()
    assert degrees.abs().min() > 19.5 and degrees.abs().max() < 40.5
    assert 0.35 < (degrees > 0).float().mean() < 0.65 and degrees.abs().std() > 4


def test_jittered_images_are_the_same_for_every_network_and_of_the_same_pictures():
    task = data.load("digits").capped()
    for name in unseen_jitter.JITTERS:
        images = unseen_jitter.jittered(task.test_images, name)
        assert images.dtype == torch.uint8 and images.shape == task.test_images.shape
        assert torch.equal(images, unseen_jitter.jittered(task.test_images, name))
        assert not torch.equal(images, task.test_images)
    row = supervised.fit_few_shot("digits", shots=1, seed=0, steps=20, device="cpu", unseen=tuple(unseen_jitter.JITTERS))
    for name in unseen_jitter.JITTERS:
        by_picture = row[f"{name}_accuracy_by_picture"]
        assert by_picture.sum() / row["test_sizes"].sum() == pytest.approx(row[f"{name}_accuracy"])
        assert (by_picture <= row["test_sizes"]).all()
    with pytest.raises(ValueError, match="no jitter 'blurred'"):
        unseen_jitter.jittered(task.test_images, "blurred")
