"""Generation: losses and distances by laws and against references, games by effect, generated sets, and both explorers."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.methods import generated_instances, generation, pipeline, variational
from fewshot_lab.methods.generation import (
    AVERAGE,
    GAMES,
    between,
    decode,
    discriminator_loss,
    fit_gan,
    generator_loss,
    gradient_penalty,
    halves,
    projection_score,
    sample,
    small_task,
    train_gan,
    training_images,
)
from fewshot_lab.methods.generation_quality import (
    collapse_alarm,
    fit_evaluator,
    frechet_distance,
    in_manifold,
    nearest,
    precision_recall,
    quality,
    reached,
    recognised,
    share_near,
    spread,
)
from fewshot_lab.models import Discriminator, Encoder, Generator
from fewshot_lab.training import History, accuracy, outputs

seeds = st.integers(0, 10**6)
laws = settings(max_examples=30)


def normal(seed, *shape):
    """Random normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# the losses


@given(seeds)
@laws
def test_both_losses_are_cross_entropies_of_real_against_fake(seed):
    real, fake = 3 * normal(seed, 5), 3 * normal(seed + 1, 7)
    expected = F.binary_cross_entropy_with_logits(real, torch.ones(5).double())
    expected += F.binary_cross_entropy_with_logits(fake, torch.zeros(7).double())
    assert torch.allclose(discriminator_loss(real, fake), expected)
    assert torch.allclose(generator_loss(fake), F.binary_cross_entropy_with_logits(fake, torch.ones(7).double()))


def test_at_the_balance_the_losses_are_those_of_a_coin():
    nothing = torch.zeros(4)
    assert discriminator_loss(nothing, nothing).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(nothing).item() == pytest.approx(math.log(2))


@given(seeds)
@laws
def test_the_projection_is_the_sum_over_one_hot_classes(seed):
    features, v, V = normal(seed, 6, 4), normal(seed + 1, 4), normal(seed + 2, 3, 4)
    y = torch.arange(6) % 3
    by_matrix = features @ v + (F.one_hot(y, 3).double() * (features @ V.T)).sum(dim=1)
    assert torch.allclose(projection_score(features, v, V, y), by_matrix)


def test_the_penalty_is_the_squared_slope_and_can_be_trained():
    x, weight = torch.rand(3, 1, 2, 2, requires_grad=True), torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    penalty = gradient_penalty((x.flatten(1) * weight).sum(dim=1), x)
    penalty.backward()
    assert penalty.item() == pytest.approx(30.0) and torch.allclose(weight.grad, 2 * weight.detach())


@given(seeds)
@laws
def test_the_divergence_is_not_negative_zero_at_the_prior_and_equals_torchs(seed):
    mean, log_variance = normal(seed, 4, 3), normal(seed + 1, 4, 3)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(q, prior).sum(dim=1)
    assert torch.allclose(variational.divergence(mean, log_variance), expected) and (expected >= 0).all()
    assert variational.divergence(torch.zeros(2, 3), torch.zeros(2, 3)).abs().max() == 0


# quality and diversity


@given(seeds)
@laws
def test_the_frechet_distance_is_scipys_symmetric_and_zero_to_itself(seed):
    a, b = normal(seed, 30, 5) @ normal(seed + 2, 5, 5), 1 + normal(seed + 1, 20, 5)
    C_a, C_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = scipy.linalg.sqrtm(C_a @ C_b).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum().item() + np.trace(C_a + C_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


@given(seeds, st.floats(-3, 3))
@laws
def test_the_frechet_distance_of_a_shift_is_its_square_and_rotations_change_nothing(seed, shift):
    a = normal(seed, 40, 3)
    assert frechet_distance(a, a + shift) == pytest.approx(3 * shift**2, abs=1e-6)
    turn = torch.linalg.qr(normal(seed + 1, 3, 3)).Q
    b = 0.5 * normal(seed + 2, 40, 3)
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b), abs=1e-6)


def test_the_frechet_distance_of_fewer_images_than_features_is_a_number():
    assert math.isfinite(frechet_distance(torch.randn(3, 8), torch.randn(4, 8)))


def test_precision_and_recall_of_a_set_to_itself_and_of_far_sets():
    real = normal(0, 50, 3)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, real + 100) == (0.0, 0.0)
    few = real[real[:, 0].argsort()[:10]] + 1e-3 * normal(1, 10, 3)  # as good as real, and one side of it only
    precision, recall = precision_recall(real, few)
    assert precision == 1.0 and 0.1 < recall < 0.9


@given(seeds, st.integers(1, 4))
@laws
def test_precision_and_recall_agree_with_scikit_learns_neighbours(seed, k):
    from sklearn.neighbors import NearestNeighbors

    real, fake = normal(seed, 20, 2).numpy(), 0.7 + normal(seed + 1, 15, 2).numpy()

    def share(points, centres):
        radii = NearestNeighbors(n_neighbors=k + 1).fit(centres).kneighbors(centres)[0][:, -1]
        return float(np.mean([(np.linalg.norm(p - centres, axis=1) <= radii).any() for p in points]))

    found = precision_recall(torch.from_numpy(real), torch.from_numpy(fake), k)
    assert found == pytest.approx((share(fake, real), share(real, fake)))
    assert found[::-1] == precision_recall(torch.from_numpy(fake), torch.from_numpy(real), k)


def test_a_stray_image_raises_recall_and_not_coverage():
    real = normal(0, 40, 2)
    made = torch.cat([real[:4], 50 + normal(1, 1, 2)])  # its third nearest neighbour is so far that its ball holds everything
    assert in_manifold(real, made).all() and not in_manifold(real, made[:4]).all()
    assert torch.equal(reached(real, made), reached(real, made[:4])) and 0 < reached(real, made).sum() < 40


@given(seeds, st.integers(1, 4))
@laws
def test_coverage_counts_the_real_images_whose_ball_holds_a_made_one(seed, k):
    real, made = normal(seed, 12, 2), normal(seed + 1, 6, 2)
    expected = [
        min((a - b).norm() for b in made) <= sorted((a - other).norm() for other in real)[k]  # the first is a itself
        for a in real
    ]
    assert reached(real, made, k).tolist() == expected


def test_copies_are_near_their_originals_and_new_images_as_near_as_held_out_ones():
    originals, held_out, new = normal(0, 20, 1, 3, 3), normal(1, 400, 1, 3, 3), normal(2, 400, 1, 3, 3)
    assert share_near(originals + 1e-3, originals, held_out) == 1.0
    assert share_near(new, originals, held_out) == pytest.approx(0.05, abs=0.04)


@given(seeds, st.floats(0, 1))
@laws
def test_the_alarm_of_shrunken_images_is_the_factor(seed, factor):
    real, labels = normal(seed, 12, 1, 2, 2), torch.arange(12) % 3
    middles = torch.stack([real[labels == k].mean(dim=0) for k in range(3)])[labels]
    assert torch.allclose(
        collapse_alarm(middles + factor * (real - middles), labels, real, labels), torch.tensor(factor).double()
    )


def test_the_spread_is_the_mean_over_all_pairs():
    images = torch.tensor([0.0, 3.0, 4.0]).reshape(3, 1, 1, 1)
    assert spread(images).item() == pytest.approx((3 + 4 + 1) / 3)


def test_the_nearest_image_is_found_and_a_copy_is_at_no_distance():
    images = normal(0, 9, 1, 3, 3)
    distances, rows = nearest(images[[4, 7]], images)
    assert rows.tolist() == [4, 7] and distances.max() < 1e-6


# data


def test_evaluator_generator_and_test_share_no_image():
    first, second = halves("digits")
    assert torch.equal(first.test_images, small_task("digits").test_images)
    assert len(first.train_labels) + len(second.train_labels) == len(lab.data.load("digits").train_labels)
    x, y, classes = training_images("digits", 3, seed=4)
    drawn, labels = second.draw(3, 4)
    assert torch.equal(x, drawn) and torch.equal(y, labels) and classes == 10
    known = {image.numpy().tobytes() for image in first.train_images}
    assert not any(image.numpy().tobytes() in known for image in x), "K labels too come from the generator's half"


def test_the_classifier_the_copies_and_the_gan_have_the_same_labels(monkeypatch):
    learned = {}

    def keep(name, result):
        def train(first, *images_and_labels, **_):
            learned[name] = [part for part in images_and_labels if isinstance(part, torch.Tensor)]
            return result

        return train

    monkeypatch.setattr(generated_instances, "train", keep("classifier", History([1.0] * 10)))
    monkeypatch.setattr(generation, "train_gan", keep("GAN", None))
    options = {"shots": 3, "seed": 4, "steps": 1, "device": "cpu"}
    generated_instances.fit_classifier("digits", **options)
    fit_gan("digits", **options)
    copies = generated_instances.augmented_set("digits", shots=3, seed=4, per_class=3, policy="affine", strength=0.0)
    images, labels, _ = training_images("digits", 3, 4)
    for name in ("classifier", "GAN"):
        assert torch.equal(learned[name][-2], images) and torch.equal(learned[name][-1], labels), name
    assert torch.equal(copies.flatten(0, 1), images)


def test_the_pipelines_gan_has_the_pipelines_labels(monkeypatch):
    seen = []
    monkeypatch.setattr(generation, "train_gan", lambda G, D, x, y, **_: seen.append(x))
    pipeline.fit_generated("digits", shots=3, seed=4, steps=1, device="cpu")
    task = small_task("digits")
    assert torch.equal(seen[0], task.train_images[task.rows(3, 4)])


def test_large_images_are_halved_by_averaging():
    small, large = small_task("glyphs"), lab.data.load("glyphs")
    assert small.train_images.shape[-2:] == (14, 14)
    mean = large.train_images[0, 0, :2, :2].float().mean()
    assert abs(float(small.train_images[0, 0, 0, 0]) - float(mean)) <= 0.5


# games


@pytest.fixture(scope="module")
def evaluator():
    return fit_evaluator("digits", seed=0, steps=150, strength=0.25, device="cpu")["evaluator"]


@pytest.fixture(scope="module")
def gan():
    return fit_gan("digits", seed=0, steps=700, device="cpu")


@pytest.mark.slow
def test_the_evaluator_classifies_images_that_it_has_not_seen(evaluator):
    row = fit_evaluator("digits", seed=0, steps=150, strength=0.25, device="cpu")
    assert row["test_accuracy"] > 0.95 and row["validation_accuracy"] > 0.95
    assert row["test_hits"].sum() / row["test_sizes"].sum() == pytest.approx(row["test_accuracy"])
    assert outputs(evaluator[0], small_task("digits").test_images).shape == (600, 32)


@pytest.mark.slow
def test_the_gan_draws_every_class_recognisably_and_varied(evaluator, gan):
    images, labels = sample(gan["generator"], 40)
    assert images.shape == (400, 1, 8, 8) and 0 <= images.min() and images.max() <= 1
    found = quality(evaluator, images, labels, halves("digits")[1])
    assert found["intended"] > 0.85 and found["worst_class"] > 0.5
    assert found["spread"] > 0.6 and found["recall"] > 0.5 and found["coverage"] > 0.5
    assert recognised(evaluator, images, (labels + 1) % 10).mean() < 0.1
    for name in ("recall", "coverage"):
        assert found[f"{name}_by_picture"].sum() / found["test_sizes"].sum() == pytest.approx(found[name])


@pytest.mark.slow
@pytest.mark.parametrize("steps", [200, 1000])
def test_a_discriminator_that_learns_too_slowly_lets_the_generator_draw_one_image_however_long_it_plays(evaluator, steps):
    unequal = {"rates": (2e-2, 3e-4), "batch_size": 16, **GAMES["no regulariser"]}
    images, labels = sample(fit_gan("digits", seed=0, steps=steps, device="cpu", **unequal)["generator"], 40)
    found = quality(evaluator, images, labels, halves("digits")[1])
    assert found["intended"] > 0.7 and found["recall"] < 0.1 and found["spreads"].max() < 0.4


@pytest.mark.slow
def test_the_class_is_followed_when_it_is_mixed_and_a_low_temperature_takes_variety(gan):
    G = gan["generator"]
    z = torch.randn(200, G.noise, generator=torch.Generator().manual_seed(0))
    ends = [decode(G, z, F.one_hot(torch.full((200,), k), 10).float()).mean(0) for k in (0, 1)]
    middle = decode(G, z, torch.full((200, 10), 0.0).index_fill(1, torch.tensor([0, 1]), 0.5)).mean(0)
    assert (middle - ends[0]).norm() < (ends[1] - ends[0]).norm()
    wide, narrow = (sample(G, 30, temperature=t)[0] for t in (1.0, 0.2))
    assert spread(narrow[:30]) < 0.5 * spread(wide[:30])


def test_noise_between_two_vectors_keeps_its_length():
    a, b = normal(0, 4000), normal(1, 4000)
    on_the_way = between(a, b, torch.linspace(0, 1, 5).double())
    assert torch.allclose(on_the_way[0], a) and torch.allclose(on_the_way[-1], b, atol=1e-6)
    assert ((on_the_way.norm(dim=1) / 4000**0.5 - 1).abs() < 0.05).all()


@pytest.mark.parametrize("regularise", ["r1", "spectral", "none"])
def test_equal_seeds_play_equal_games_whatever_was_drawn_before(regularise):
    def played(seed):
        torch.rand(seed + 3)
        G = fit_gan("digits", seed=seed, steps=5, regularise=regularise, device="cpu")["generator"]
        return torch.cat([p.flatten() for p in G.parameters()])

    first, other, again = played(0), played(1), played(0)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_is_left_is_the_running_average_of_the_weights():
    x, y, _ = training_images("digits", 5, seed=0)
    torch.manual_seed(0)
    G, D = Generator(10, size=8), Discriminator(10, size=8, score=projection_score)
    before = [p.detach().clone() for p in G.parameters()]
    train_gan(G, D, x, y, steps=1, rates=(1e-2, 1e-2), device="cpu")  # Adam's first step is as long as its rate
    moved = [(new - old).abs().max().item() for new, old in zip(G.parameters(), before, strict=True)]
    assert max(moved) == pytest.approx(1e-2 * (1 - AVERAGE), rel=0.05)


def test_spectral_normalisation_bounds_every_layer():
    torch.manual_seed(0)
    D = Discriminator(10, size=8, score=projection_score, spectral=True).train()
    for _ in range(30):
        D(torch.rand(4, 1, 8, 8), torch.arange(4))
    D.eval()
    weights = [layer.weight for layer in (D.phi[1], D.phi[3], D.v, D.V)]
    assert all(torch.linalg.matrix_norm(w, 2).item() == pytest.approx(1, abs=0.05) for w in weights)


def test_a_watcher_sees_every_loss_and_an_interrupt_keeps_what_was_learned():
    x, y, _ = training_images("digits", 5, seed=0)
    torch.manual_seed(0)
    players = Generator(10, size=8), Discriminator(10, size=8, score=projection_score)
    seen = []
    options = {"watch": lambda history, average: seen.append(history.steps), "watch_every": 4, "device": "cpu"}
    assert train_gan(*players, x, y, steps=10, **options).steps == 10 and seen == [4, 8, 10]

    def stop(history, average):
        if seen:
            seen.clear()
            raise KeyboardInterrupt

    options["watch"] = stop
    history = train_gan(*players, x, y, steps=10, **options)
    assert history.stopped and history.steps == 4 and not players[0].training
    with pytest.raises(lab.CourseError, match="smaller learning rates"):
        train_gan(*players, x, y, steps=10, losses=(lambda r, f: r.mean() * math.nan, generator_loss), device="cpu")


# the contrast


@pytest.mark.slow
def test_the_vae_decodes_what_it_encodes_and_its_sigma_trades_variety(evaluator):
    images, labels, _ = training_images("digits", None, 0)
    spreads = {}
    for sigma in (0.1, 0.6):
        G = variational.fit_vae("digits", seed=0, steps=300, sigma=sigma, device="cpu")["generator"]
        drawn, y = sample(G, 30)
        spreads[sigma] = collapse_alarm(drawn, y, images / 255, labels).mean()
    assert spreads[0.1] > spreads[0.6] + 0.2
    assert recognised(evaluator, drawn, y).mean() > 0.9
    mean, log_variance = Encoder(10, size=8)(images[:4] / 255, F.one_hot(labels[:4], 10).float())
    assert mean.shape == log_variance.shape == (4, 32)


# classifiers on generated images


def test_a_generated_set_takes_its_share_of_each_batch_and_every_image_keeps_its_class():
    generated = (torch.arange(10) * 10 + 5).to(torch.uint8).reshape(10, 1, 1, 1, 1).expand(10, 4, 1, 8, 8)
    images, labels = torch.zeros(2000, 1, 8, 8), torch.arange(2000) % 10
    mixed, mixed_labels = generated_instances.mixed_in(generated, 0.3)(images, labels, torch.Generator().manual_seed(0))
    replaced = mixed[:, 0, 0, 0] > 0
    assert torch.equal(mixed_labels, labels) and 0.25 < replaced.float().mean() < 0.35
    assert torch.allclose(mixed[replaced][:, 0, 3, 3] * 255, (labels[replaced] * 10 + 5).float())


def test_augmented_copies_come_from_the_images_of_their_class_by_turns():
    options = {"dataset": "digits", "shots": 3, "seed": 2, "per_class": 7, "policy": "affine"}
    copies = generated_instances.augmented_set(**options, strength=0.0)
    real = halves("digits")[1].draw(3, 2)[0].unflatten(0, (10, 3))
    assert torch.equal(copies[:, :3], real) and torch.equal(copies[:, 6], real[:, 0])
    images, labels = generated_instances.images_and_labels(copies)
    assert torch.equal(images[labels == 4], copies[4])


@pytest.mark.slow
def test_more_labels_in_the_generator_lift_a_classifier_with_one_label(gan):
    generated = generated_instances.generated_set(gan["generator"], 40, seed=0)
    options = {"dataset": "digits", "shots": 1, "seed": 0, "steps": 80, "device": "cpu"}
    alone = generated_instances.fit_classifier(**options)["test_accuracy"]
    lifted = generated_instances.fit_classifier(**options, generated=generated)["test_accuracy"]
    only = generated_instances.fit_classifier(**options, generated=generated, share=1.0)["test_accuracy"]
    assert lifted > alone + 0.1 and only > alone
    assert alone == generated_instances.fit_classifier(**options)["test_accuracy"]


def test_an_honest_generated_set_is_drawn_from_the_same_labels_and_seeded():
    options = {"dataset": "digits", "shots": 2, "per_class": 3, "steps": 4, "device": "cpu"}
    for kind in ("gan", "vae"):
        rows = [generated_instances.fit_generated_set(kind=kind, seed=seed, **options) for seed in (0, 0, 1)]
        first, again, other = (row["generated"] for row in rows)
        assert first.shape == (10, 3, 1, 8, 8) and first.dtype == torch.uint8
        assert torch.equal(first, again) and not torch.equal(first, other)


# the explorers


@pytest.mark.slow
def test_every_control_of_the_latent_explorer_changes_what_is_seen_and_it_has_a_still(gan, every_control_answers):
    shown = lab.widgets.LatentExplorer(gan["generator"], "0123456789")
    for name in ("mixture", "turn"):
        shown.controls[name].value = 0.5
    every_control_answers(shown)


@pytest.mark.slow
def test_the_latent_explorer_ends_at_its_classes_and_noises(gan):
    shown = lab.widgets.LatentExplorer(gan["generator"], "0123456789")
    shown.controls["a"].value, shown.controls["b"].value = "3", "7"
    shown.controls["mixture"].value, shown.controls["turn"].value = 1.0, 1.0
    z = torch.randn(1, gan["generator"].noise, generator=torch.Generator().manual_seed(1))
    expected = decode(gan["generator"], z, F.one_hot(torch.tensor([7]), 10).float())
    assert torch.allclose(shown.chosen(), expected[0], atol=1e-5)
    walks = shown.walks()
    assert walks.shape == (1, 62, 62) and torch.allclose(walks[:, -8:, -8:], expected[0], atol=1e-5)
    shown.controls["temperature"].value = 0.0
    assert torch.allclose(shown.walks()[:, :8], shown.walks()[:, -8:])


def test_the_monitor_keeps_samples_losses_and_the_alarm_and_leaves_a_still():
    _, task = halves("digits")
    with lab.widgets.GanMonitor(task, threshold=0.6) as live:
        gan = fit_gan("digits", seed=0, steps=12, watch=live, watch_every=4, device="cpu")
    assert live.steps == [4, 8, 12] and live.history is gan["history"]
    assert live.grids[0].shape == (3, 10, 1, 8, 8) and live.alarms[-1].shape == (10,)
    said = live.words()
    rings = int((live.alarms[-1] < 0.6).sum())
    assert f"{live.alarms[-1].mean():.2f}" in said and (f"{rings} of 10" in said or not rings)
    assert "role='img'" in live.page() and "losses: discriminator" in live.page()
    assert live.still().alt.endswith(said)


def test_panels_and_tiles():
    estimates = {"a": lab.mean_interval([0.1, 0.2]), "b": lab.mean_interval([0.3])}
    picture = lab.figures.panels({"one": estimates, "two": estimates}, title="t", caption="c", alt="a")
    assert picture.png.startswith(b"\x89PNG")
    assert lab.figures.tiled(torch.zeros(2, 3, 1, 4, 5)).shape == (1, 9, 17)


@pytest.mark.slow
def test_accuracy_of_generated_images_is_measured_on_real_ones(evaluator, gan):
    images, labels = sample(gan["generator"], 10)
    assert accuracy(outputs(evaluator, images), labels) == pytest.approx(recognised(evaluator, images, labels).mean().item())
