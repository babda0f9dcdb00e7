"""Self-supervision: the loss by its laws, probes against scikit-learn, features that beat random ones, the map."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.data import ImageTask, glyphs
from fewshot_lab.methods import contrastive, linear_probe
from fewshot_lab.models import efficientnet
from fewshot_lab.widgets.embedding import neighbours, plane

AFFINE = [("affine", 0.25)]


def vectors(batch: int, seed: int) -> torch.Tensor:
    return torch.randn(2 * batch, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25)
@given(batch=st.integers(1, 8), seed=st.integers(0, 999), temperature=st.floats(0.05, 2))
def test_nt_xent_is_its_formula_and_depends_on_directions_and_pairs_only(batch, seed, temperature):
    z = vectors(batch, seed)
    unit = z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True)
    losses = []
    for i in range(2 * batch):
        e = [math.exp(unit[i] @ unit[k] / temperature) if k != i else 0.0 for k in range(2 * batch)]
        losses.append(-math.log(e[(i + batch) % (2 * batch)] / sum(e)))
    loss = contrastive.nt_xent(z, temperature)
    assert math.isclose(loss.item(), sum(losses) / len(losses), rel_tol=1e-9, abs_tol=1e-9)
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    mixed = torch.cat([z[batch:][order], z[:batch][order]])  # other order of the images, first and second views exchanged
    assert torch.allclose(contrastive.nt_xent(3 * mixed, temperature), loss)


def test_nt_xent_of_equal_rows_is_that_of_guessing_and_falls_when_pairs_meet():
    assert math.isclose(contrastive.nt_xent(torch.ones(8, 3), 0.5).item(), math.log(7), rel_tol=1e-6)
    z = torch.eye(4)
    assert contrastive.nt_xent(torch.cat([z, z]), 0.1) < 0.01 < contrastive.nt_xent(torch.cat([z, z.roll(1, 0)]), 0.1)


@given(batch=st.integers(1, 50))
def test_the_partner_of_the_partner_is_the_row_and_stands_in_the_other_half(batch):
    pairs = contrastive.positive_pairs(batch)
    assert torch.equal(pairs[pairs], torch.arange(2 * batch))
    assert ((pairs >= batch) != (torch.arange(2 * batch) >= batch)).all()


def test_rotated_copies_turn_back_to_the_images():
    images = torch.rand(3, 2, 5, 5)
    copies, turns = contrastive.rotation_batch(images)
    for copy, turn, image in zip(copies, turns.tolist(), images.repeat(4, 1, 1, 1), strict=True):
        assert torch.equal(torch.rot90(copy, -turn, dims=(-2, -1)), image)
    assert turns.bincount().tolist() == [3, 3, 3, 3]


@settings(max_examples=20)
@given(seed=st.integers(0, 999), k=st.integers(1, 7))
def test_nearest_labels_agree_with_scikit_learn(seed, k):
    from sklearn.neighbors import KNeighborsClassifier

    generator = torch.Generator().manual_seed(seed)
    features, queries = torch.randn(30, 6, generator=generator), torch.randn(20, 6, generator=generator)
    labels = torch.arange(30) % 4
    peer = KNeighborsClassifier(k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.1))
    expected = peer.fit(features, labels).predict(queries)
    assert linear_probe.nearest_labels(features, labels, queries, k, 4).tolist() == expected.tolist()


def of_features(spread: float = 0.2) -> ImageTask:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    z = (3 * F.one_hot(labels, 3) + spread * torch.randn(60, 3, generator=generator)) * torch.tensor([1.0, 1e-3, 1e4])
    return ImageTask("", ("a", "b", "c"), z[:30], labels[:30], z[30:], labels[30:], z[30:], labels[30:])


def test_a_linear_probe_reads_what_is_linear_whatever_the_scale_of_the_features():
    assert linear_probe.probe(of_features(), torch.nn.Identity(), shots=3, seed=0)["test_accuracy"] == 1.0


def test_copies_of_a_row_that_share_its_weight_change_nothing():
    task = of_features(spread=1.5)
    z, labels = task.draw(4, 0)
    once = linear_probe.fit_linear(z, labels, task.train_images)
    copied = linear_probe.fit_linear(z.repeat(11, 1), labels.repeat(11), task.train_images, 1 / 11)
    heavy = linear_probe.fit_linear(z.repeat(11, 1), labels.repeat(11), task.train_images)
    grid = task.test_images.repeat(20, 1) + 2 * torch.randn(600, 3) * task.train_images.std(0)
    assert torch.equal(once(grid), copied(grid)) and not torch.equal(once(grid), heavy(grid))


def test_a_probe_means_over_draws_and_its_first_draw_is_that_of_the_trainings():
    task = of_features(spread=1.5)
    draw = [linear_probe.probe(task, torch.nn.Identity(), shots=2, seed=seed, draws=1) for seed in (3, 10_003)]
    both = linear_probe.probe(task, torch.nn.Identity(), shots=2, seed=3, draws=2)
    assert both["test_accuracy"] == pytest.approx(sum(row["test_accuracy"] for row in draw) / 2)
    assert both["test_hits"].sum() / both["test_sizes"].sum() == pytest.approx(both["test_accuracy"])
    labelled, labels = task.draw(2, 3)
    expected = linear_probe.fit_linear(labelled, labels, task.train_images)(task.test_images)
    assert draw[0]["test_accuracy"] == pytest.approx((expected == task.test_labels).float().mean().item())


def test_probes_know_whether_their_encoders_came_to_rest():
    probes = lab.arms(
        linear_probe.probe,
        {name: {"task": of_features(), "f": torch.nn.Identity()} for name in ("trained", "untrained", "pixels")},
        **{"axis": "shots", "at": [1, 2], "seeds": [0, 1], "unit": "accuracy", "jobs": 1},
    )
    encoders = {
        "trained": [{"seed": 1, "at_rest": True}, {"seed": 0, "at_rest": False}],
        "untrained": [{"seed": 0}, {"seed": 1}],
    }
    known = linear_probe.with_rest(probes, encoders)
    assert [row["at_rest"] for row in known.rows["trained"] if row["shots"] == 1] == [False, True]
    gain, before = (some.gain("trained", 2, over="untrained") for some in (known, probes))
    assert gain.rest == (("trained, shots = 2", 0.5),) and before.rest == () and gain.over == before.over
    assert known.at_rest("untrained", 1) is None and known.at_rest("pixels", 1) is None


def test_probes_and_trainings_see_the_same_labelled_images():
    task = lab.data.load("digits")
    features = linear_probe.embedded(task, torch.nn.Flatten())
    assert torch.equal((features.draw(5, 3)[0] * 255).round().byte(), task.draw(5, 3)[0].flatten(1))
    assert torch.equal(features.draw(5, 3)[1], task.draw(5, 3)[1])


def test_unlabelled_images_hold_no_test_image_and_no_test_alphabet():
    task, pool = lab.data.load("glyphs"), contrastive.unlabelled("glyphs")
    known = {image.numpy().tobytes() for image in pool}
    assert not any(image.numpy().tobytes() in known for image in task.test_images)
    assert len(pool) < len(glyphs.load().split("train").labels)
    assert torch.equal(contrastive.unlabelled("digits"), lab.data.load("digits").train_images)


def test_an_untrained_encoder_has_the_first_weights_of_a_trained_one(monkeypatch):
    seen = []
    monkeypatch.setattr(contrastive, "train", lambda model, *_, **__: seen.append(model) or lab.training.History([1.0]))
    untrained = contrastive.pretrain("digits", seed=3)
    start = untrained["encoder"]
    for method, options in ((contrastive.simclr, {"views": AFFINE}), (contrastive.rotation_prediction, {})):
        contrastive.pretrain("digits", seed=3, method=method, **options)
    assert all(torch.equal(a, b) for model in seen for a, b in zip(model[0].parameters(), start.parameters(), strict=True))
    # The loss of SimCLR sees what comes out of its head.
    assert all(torch.equal(a, b) for a, b in zip(seen[0][1].parameters(), untrained["head"].parameters(), strict=True))


@pytest.mark.slow
def test_simclr_beats_random_features_and_repeats_itself():
    options = {"method": contrastive.simclr, "views": AFFINE, "steps": 60, "device": "cpu"}
    trained, again = (contrastive.pretrain("digits", seed=1, **options)["encoder"] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(trained.state_dict().values(), again.state_dict().values(), strict=True))
    random = contrastive.pretrain("digits", seed=1)["encoder"]
    task = lab.data.load("digits")
    worth, nothing = (linear_probe.probe(task, f, shots=5, seed=0)["test_accuracy"] for f in (trained, random))
    assert worth > nothing + 0.05


@pytest.mark.slow
def test_rotation_prediction_learns_its_task():
    pool = contrastive.unlabelled("digits")
    _, history = contrastive.rotation_prediction(pool, steps=80, batch_size=48, device="cpu")
    assert sum(history.losses[-10:]) / 10 < 0.5 * math.log(4)


@pytest.mark.slow
def test_a_start_helps_and_stays_as_it_is_and_probes_use_the_copies():
    pool, task = contrastive.unlabelled("digits"), lab.data.load("digits")
    (encoder, _), _ = contrastive.simclr(pool, AFFINE, steps=60, device="cpu")
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    options = {"shots": 2, "steps": 20, "device": "cpu", "optimizer": "AdamW", "learning_rate": 5e-3}
    scratch, helped = (
        [linear_probe.fit_from("digits", seed=seed, start=start, **options)["test_accuracy"] for seed in range(3)]
        for start in (None, encoder)
    )
    assert sum(helped) > sum(scratch) + 0.1, (helped, scratch)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    plain, weak, strong = (
        linear_probe.probe(task, encoder, shots=2, seed=0, policy=policy, strength=strength)["test_accuracy"]
        for policy, strength in (("none", 0.0), ("affine", 0.1), ("affine", 1.0))
    )
    assert abs(weak - plain) < 0.1 and len({plain, weak, strong}) == 3


def test_features_of_photographs_are_kept_and_damaged_ones_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    calls = []
    monkeypatch.setattr(efficientnet, "_embed", lambda images, *_: calls.append(1) or images.float().flatten(1))
    images = torch.arange(32, dtype=torch.uint8).reshape(2, 1, 4, 4)
    first = efficientnet.lite0_features(images)
    assert torch.equal(efficientnet.lite0_features(images), first) and len(calls) == 1
    efficientnet.lite0_features(images, side=64), efficientnet.lite0_features(images + 1)
    assert len(calls) == 3
    for path in (tmp_path / "features").iterdir():
        path.write_bytes(b"damaged")
    assert torch.equal(efficientnet.lite0_features(images), first) and len(calls) == 4
    with pytest.raises(ValueError, match="multiply floats"):
        efficientnet.lite0_features(images.float())


@pytest.mark.assets
def test_efficientnet_knows_a_palace():
    if not lab.assets.installed("efficientnet-lite0"):
        pytest.skip("the asset efficientnet-lite0 is not on this machine: fewshot-lab assets fetch efficientnet-lite0")
    from sklearn.datasets import load_sample_image

    picture = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None, :, :, 100:527]
    [path] = lab.assets.fetch("efficientnet-lite0").glob("*.pth")
    *_, weight, bias = torch.load(path, weights_only=True).values()
    with torch.inference_mode():
        features = efficientnet.efficientnet_lite0()(efficientnet.prepared(picture, 224))
    assert features.shape == (1, 1280)
    assert F.linear(features, weight, bias).argmax().item() == 698  # ImageNet's "palace"


def explorer():
    task = lab.data.load("digits")
    pixels = task.test_images[:30].flatten(1).float()
    other = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    features = {"before": other, "after": pixels}
    return lab.widgets.EmbeddingExplorer(task.test_images[:30], task.test_labels[:30], task.classes, features)


def test_the_page_gets_all_that_the_map_needs_and_there_is_a_still():
    shown = explorer()
    assert shown.data["nearest"]["after"][0] == shown.nearest["after"][0].tolist() and len(shown.data["labels"]) == 30
    assert 0 <= min(map(min, shown.data["places"]["before"])) <= max(map(max, shown.data["places"]["before"])) <= 100
    assert shown.still().alt
    assert all(control.description and control.tooltip for control in shown.controls.values())


def test_no_image_is_its_own_neighbour_and_the_map_stays_within_its_frame():
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    assert (neighbours(z, 3) != torch.arange(40)[:, None]).all()
    places = plane(z)
    assert places.min() >= 4 - 1e-6 and places.max() <= 96 + 1e-6
