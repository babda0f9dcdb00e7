"""Attacks stay in their ball and in the range of images, do what the formulas say, and train networks that withstand them."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import fewshot_lab as lab
from fewshot_lab.methods import adversarial
from fewshot_lab.methods.attacks import (
    attack,
    cross_entropy_of,
    eval_without_weight_gradients,
    fgsm,
    input_gradient,
    is_correct,
    pgd,
    project_l2,
    project_linf,
    random_start,
    survives,
    surviving_share,
    warning_signs,
)
from fewshot_lab.methods.supervised import fit_classifier
from fewshot_lab.models import conv_net
from fewshot_lab.models.networks import ImageConv2d
from fewshot_lab.training import cross_entropy, outputs, train

seeds, radii, norms = st.integers(0, 10**6), st.floats(0.001, 1.5), st.sampled_from(["linf", "l2"])
DTYPES = [torch.float32, torch.bfloat16]


def devices():
    """The CPU, and a GPU where there is one."""
    return [pytest.param("cpu"), pytest.param("cuda", marks=pytest.mark.gpu)]


def images_of(seed, rows=4, size=8):
    """Float images in 0..1, among them pixels at both ends of the range."""
    images = 1.4 * torch.rand(rows, 1, size, size, generator=torch.Generator().manual_seed(seed)) - 0.2
    return images.clamp(0, 1)


def network(seed=0):
    torch.manual_seed(seed)
    return conv_net(10, size=8, width=4).eval()


def distance(moved, images, norm):
    delta = (moved.double() - images.double()).flatten(1)
    return delta.abs().amax(dim=1) if norm == "linf" else delta.norm(dim=1)


# the ball and the range


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(seed=seeds, epsilon=radii, norm=norms, random=st.booleans(), steps=st.integers(0, 4), targeted=st.booleans())
@settings(max_examples=25)
def test_every_perturbed_image_stays_in_the_ball_and_in_the_range(device, dtype, seed, epsilon, norm, random, steps, targeted):
    images, labels = images_of(seed).to(device, dtype), torch.arange(4).to(device)
    model = network(seed % 7).to(device, dtype)
    options = {"norm": norm, "random": random, "steps": steps, "targets": labels + 1 if targeted else None}
    generator = torch.Generator().manual_seed(seed)
    moved = attack(model, images, labels, epsilon=epsilon, restarts=2, step_size=epsilon, generator=generator, **options)
    assert moved.dtype == dtype and moved.device.type == device and moved.shape == images.shape
    assert moved.min() >= 0 and moved.max() <= 1 and moved.isfinite().all()
    assert (distance(moved, images, norm) <= epsilon + 1e-6).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@given(seed=seeds, epsilon=radii)
@settings(max_examples=30)
def test_a_projection_ends_in_the_ball_leaves_what_is_inside_and_repeats_itself(norm, seed, epsilon):
    images, project = images_of(seed), {"linf": project_linf, "l2": project_l2}[norm]
    moved = images + torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    once = project(moved, images, epsilon)
    assert (distance(once, images, norm) <= epsilon + 1e-6).all() and once.min() >= 0 and once.max() <= 1
    assert torch.allclose(project(once, images, epsilon), once, atol=1e-6)
    assert torch.equal(project(images, images, epsilon), images)


@given(seed=seeds, epsilon=radii)
@settings(max_examples=30)
def test_the_linf_projection_is_the_nearest_point_of_ball_and_range(seed, epsilon):
    generator = torch.Generator().manual_seed(seed)
    images = images_of(seed)
    moved = images + torch.randn(images.shape, generator=generator)
    others = random_start(images, epsilon, generator=generator)
    nearest = project_linf(moved, images, epsilon)
    assert ((nearest - moved).flatten(1).norm(dim=1) <= (others - moved).flatten(1).norm(dim=1) + 1e-6).all()


@given(seed=seeds, norm=norms)
@settings(max_examples=20)
def test_a_random_start_fills_the_ball_and_comes_from_its_generator(seed, norm):
    images = torch.full((50, 1, 4, 4), 0.5)
    start, again = (random_start(images, 0.3, norm, torch.Generator().manual_seed(seed)) for _ in range(2))
    far = distance(start, images, norm)
    assert torch.equal(start, again) and (far <= 0.3 + 1e-6).all() and far.max() > 0.25
    assert len(set(far.tolist())) > 40


# what the formulas say


@given(seed=seeds)
@settings(max_examples=20)
def test_fgsm_gains_epsilon_times_the_l1_norm_to_first_order(seed):
    model, epsilon = network().double(), 1e-6
    images, labels = 0.1 + 0.8 * images_of(seed).double(), torch.arange(4)
    loss = lambda x: F.cross_entropy(model(x), labels, reduction="sum")  # noqa: E731
    gradient = input_gradient(loss, images)
    gained = (loss(fgsm(loss, images, epsilon)) - loss(images)).item()
    assert gained == pytest.approx(epsilon * gradient.abs().sum().item(), rel=1e-2)


def test_one_step_of_pgd_is_fgsm_and_no_step_is_the_start():
    loss, images = cross_entropy_of(network(), torch.arange(4)), images_of(0)
    assert torch.equal(pgd(loss, images, images, 0.1, 0.1, 1), fgsm(loss, images, 0.1))
    start = random_start(images, 0.1)
    assert torch.equal(pgd(loss, images, start, 0.1, 0.1, 0), start)


@pytest.mark.slow
def test_more_steps_and_more_starts_find_more():
    model = fit_classifier("digits", steps=120, device="cpu")
    task = lab.data.load("digits")
    images, labels = task.test_images[:200], task.test_labels[:200]

    def robust_accuracy(**options):
        generator = torch.Generator().manual_seed(0)
        return survives(model, images, labels, epsilon=0.1, generator=generator, **options).float().mean().item()

    one_step = robust_accuracy(steps=1, step_size=0.1, random=False)
    assert robust_accuracy(steps=20, random=False) < one_step - 0.02
    assert robust_accuracy(restarts=4) <= robust_accuracy(restarts=1)
    assert survives(model, images, labels, epsilon=0.0).float().mean() == pytest.approx(
        lab.training.accuracy(outputs(model, images), labels)
    )


def test_a_targeted_attack_reaches_its_target():
    model, task = fit_classifier("digits", steps=120, device="cpu"), lab.data.load("digits")
    images, labels = task.test_images[:50], task.test_labels[:50]
    targets = (labels + 1) % 10
    moved = attack(model, images, labels, epsilon=0.4, steps=40, targets=targets, random=False)
    assert is_correct(model, moved, targets).float().mean() > 0.8


def test_an_attack_leaves_the_model_as_it_was():
    model = conv_net(10, size=8, width=4).train()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    attack(model, images_of(1), torch.arange(4), epsilon=0.1, steps=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and not model[1].training and all(weight.grad is None for weight in model.parameters())
    assert [weight.requires_grad for weight in model.parameters()] == [False] + [True] * (len(list(model.parameters())) - 1)


def test_misclassified_images_are_left_alone_and_an_unknown_norm_is_refused():
    model, images = network(), images_of(2)
    predicted = model(images).argmax(dim=1)
    assert torch.equal(attack(model, images, (predicted + 1) % 10, epsilon=0.3), images)
    with pytest.raises(ValueError, match="linf, l2"):
        attack(model, images, predicted, epsilon=0.3, norm="l1")


def test_the_image_convolution_has_the_librarys_values_and_gradients():
    ours, peer = ImageConv2d(2, 5, 5, stride=2, padding=2, bias=False).double(), nn.Conv2d(2, 5, 5, 2, 2, bias=False).double()
    peer.load_state_dict(ours.state_dict())
    images = torch.rand(3, 2, 9, 12, dtype=torch.float64, requires_grad=True)
    results = [torch.autograd.grad((m(images) ** 3).sum(), [images, m.weight]) for m in (ours, peer)]
    assert torch.allclose(ours(images), peer(images))
    assert all(torch.allclose(a, b) for a, b in zip(*results, strict=True))
    assert torch.autograd.gradgradcheck(lambda x: ours(x).sin(), images[:1, :, :5, :5].detach().requires_grad_())


# shares and signs


def test_an_image_survives_only_if_it_survives_all_attacks():
    right = torch.tensor([[True, True, False, True], [True, False, True, True]])
    assert surviving_share(right) == 0.5 and surviving_share(right[:1]) == 0.75


@pytest.mark.slow
def test_a_planted_defence_shows_the_signs_and_classifies_as_before():
    model, task = fit_classifier("digits", steps=150, device="cpu"), lab.data.load("digits")
    images, labels = task.test_images[:200], task.test_labels[:200]
    stranger = fit_classifier("digits", seed=1, steps=150, device="cpu")
    with eval_without_weight_gradients(stranger):
        transferred = pgd(cross_entropy_of(stranger, labels), images.float() / 255, images.float() / 255, 0.15, 0.02, 20)
    defence = adversarial.Saturated(model)
    assert torch.equal(outputs(defence, images).argmax(1), outputs(model, images).argmax(1))

    def signs(network):
        options = {"random": False}
        one = survives(network, images, labels, epsilon=0.15, steps=1, step_size=0.15, **options)
        many = survives(network, images, labels, epsilon=0.15, steps=20, **options)
        free = survives(network, images, labels, epsilon=1.0, steps=40, **options)
        return warning_signs(one, many, is_correct(network, transferred, labels), free)

    transfer, steps, unbounded = signs(defence)
    assert transfer > 0.05 and steps >= -0.01 and unbounded > 0.5
    transfer, steps, unbounded = signs(model)
    assert transfer < 0 and steps < 0 and unbounded == 0


# training


@given(seed=seeds, beta=st.floats(0, 10))
@settings(max_examples=20)
def test_trades_is_cross_entropy_plus_beta_times_a_divergence(seed, beta):
    clean, worst = 2 * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    labels = torch.arange(5) % 4
    divergence = F.kl_div(worst.log_softmax(1), clean.softmax(1), reduction="batchmean")
    loss = adversarial.trades_loss(clean, worst, labels, beta)
    assert torch.allclose(loss, F.cross_entropy(clean, labels) + beta * divergence)
    assert torch.allclose(adversarial.trades_loss(clean, clean + 3, labels, beta), F.cross_entropy(clean, labels))


def losses():
    return {
        "adversarial": (None, adversarial.adversarial_loss(epsilon=0.1, steps=2)),
        "trades": (None, adversarial.trades_training(epsilon=0.1, steps=2, beta=3.0)),
        "free": adversarial.free_training(epsilon=0.1, replays=2),
    }


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("name", ["adversarial", "trades", "free"])
def test_every_training_runs_in_both_precisions_and_its_batch_norm_counts_training_batches_only(name, precision, device):
    task, model = lab.data.load("digits"), network()
    augment, loss = losses()[name]
    options = {"steps": 6, "batch_size": 16, "augment": augment, "loss": loss, "precision": precision, "device": device}
    history = train(model, task.train_images[:64], task.train_labels[:64], **options)
    assert all(math.isfinite(value) for value in history.losses)
    assert int(model[1].num_batches_tracked) == 6 and all(weight.requires_grad for weight in model.parameters())


def test_free_training_replays_batches_and_carries_delta_from_the_same_backward_pass():
    replay, loss = adversarial.free_training(epsilon=0.1, replays=3)
    batches = [(images_of(seed, rows=2), torch.arange(2)) for seed in range(4)]
    served = [replay(*batch, None)[0] for batch in batches]
    assert all(torch.equal(part, served[0]) for part in served[:3]) and torch.equal(served[3], batches[3][0])

    seen, passes, model = [], [], network()
    model.register_forward_hook(lambda module, given, result: seen.append(given[0].detach().clone()))
    for _ in range(3):
        value = loss(model, *batches[0])
        passes.append(torch.autograd.grad(value, model[0].weight, retain_graph=True)[0])
        value.backward()
    images = batches[0][0]
    assert torch.equal(seen[0], images) and not torch.equal(seen[1], images) and len(seen) == 3
    assert all(((x - images).abs() <= 0.1 + 1e-6).all() and x.min() >= 0 and x.max() <= 1 for x in seen)
    step = input_gradient(cross_entropy_of(model, batches[0][1]), images)
    assert torch.equal(seen[1], project_linf(images + 0.1 * step.sign(), images, 0.1))


@pytest.fixture(scope="module")
def fitted():
    common = {"seed": 0, "inner_steps": 2, "passes": 300, "test_epsilon": 0.15, "epsilon": 0.15, "device": "cpu"}
    methods = {name: {} for name in adversarial.METHODS}
    return {name: adversarial.fit_robust("digits", method=name, **{**common, **options}) for name, options in methods.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adversarial", "trades", "free"])
def test_a_robust_network_withstands_twice_as_many_attacks_and_still_classifies(fitted, name):
    assert fitted[name]["robust_accuracy"] >= 2 * fitted["plain"]["robust_accuracy"]
    assert fitted[name]["robust_accuracy"] > 0.4 and fitted[name]["test_accuracy"] > 0.9


def test_equal_seeds_train_equal_networks_and_an_unknown_method_is_refused():
    options = {"shots": 2, "method": "adversarial", "passes": 10, "device": "cpu", "test_epsilon": None}
    first, again, other = (adversarial.fit_robust("digits", seed=seed, **options)["model"] for seed in (1, 1, 2))
    images = lab.data.load("digits").test_images
    assert torch.equal(outputs(first, images), outputs(again, images))
    assert not torch.equal(outputs(first, images), outputs(other, images))
    with pytest.raises(ValueError, match="plain, adversarial, trades, free"):
        adversarial.fit_robust("digits", seed=0, method="madry")


@pytest.mark.parametrize(
    ("method", "inner_steps"), [("plain", 5), ("adversarial", 1), ("adversarial", 3), ("trades", 2), ("free", 4)]
)
def test_an_update_takes_as_many_backward_passes_as_are_counted(method, inner_steps):
    passes, images = [], lab.data.load("digits").train_images[:8]
    model, labels = network(), lab.data.load("digits").train_labels[:8]
    augment, loss = {
        "plain": lambda: (None, cross_entropy),
        "adversarial": lambda: (None, adversarial.adversarial_loss(epsilon=0.1, steps=inner_steps)),
        "trades": lambda: (None, adversarial.trades_training(epsilon=0.1, steps=inner_steps, beta=6.0)),
        "free": lambda: adversarial.free_training(epsilon=0.1, replays=inner_steps),
    }[method]()
    model[-1].register_full_backward_hook(lambda module, of_input, of_output: passes.append(len(of_output[0]) // 8))
    train(model, images, labels, steps=1, batch_size=8, augment=augment, loss=loss, device="cpu")
    assert sum(passes) == adversarial.passes_of_a_step(method, inner_steps)


def test_equal_passes_are_fewer_updates_for_a_method_that_takes_more_a_step():
    options = {"shots": 2, "seed": 0, "passes": 12, "inner_steps": 2, "test_epsilon": None, "device": "cpu"}
    steps = {name: adversarial.fit_robust("digits", method=name, **options)["steps"] for name in adversarial.METHODS}
    assert steps == {"plain": 12, "adversarial": 4, "trades": 3, "free": 12}


def test_one_step_from_a_random_start_ends_inside_the_ball_and_not_always_in_its_corners():
    model, images, labels = network(), 0.3 + 0.4 * images_of(3), torch.arange(4)
    loss = cross_entropy_of(model, labels)
    moved = adversarial.adversarial_examples(model, images, loss, epsilon=0.1, steps=1)
    inside = (moved - images).abs() < 0.1 - 1e-6
    # From u in -1..1, a step of 1.25 stops inside where u is below -0.25 on its way up: in three of eight pixels.
    assert 0.25 < inside.float().mean() < 0.5
    assert adversarial.step_size(0.1, 1) == pytest.approx(0.125) and adversarial.step_size(0.1, 5) == pytest.approx(0.05)


def test_robust_accuracy_is_told_by_picture_on_either_part():
    options = {"shots": 2, "seed": 0, "passes": 4, "test_epsilon": 0.02, "device": "cpu"}
    for on in ("test", "validation"):
        row = adversarial.fit_robust("glyphs", on=on, **options)
        assert row["robust_accuracy_by_picture"].sum() / row["robust_accuracy_sizes"].sum() == pytest.approx(
            row["robust_accuracy"]
        )
        assert row["robust_accuracy_sizes"].sum() == adversarial.MOST_ATTACKED
    images, _, pictures = adversarial.images_to_attack("glyphs", on="validation")
    task = lab.data.load("glyphs")
    assert set(pictures.tolist()) == set(task.validation_pictures.tolist()) and len(images) == adversarial.MOST_ATTACKED
    with pytest.raises(ValueError, match="'train'"):
        adversarial.images_to_attack("glyphs", on="train")


def test_a_share_over_networks_draws_networks_and_pictures_anew():
    pictures, first, second = torch.tensor([3, 3, 5]), torch.tensor([True, False, True]), torch.tensor([True, True, True])
    share = adversarial.share_over_networks([first, second], pictures, (("attack", 0.5),))
    expected = lab.crossed_interval([[1, 1], [2, 1]], [2, 1], "accuracy")
    assert (share.mean, share.low, share.values) == (expected.mean, expected.low, expected.values)
    assert share.over == "2 networks x 2 pictures" and share.rest == (("attack", 0.5),)
    difference = adversarial.share_over_networks([first.float() - second.float()] * 2, pictures)
    assert difference.mean == pytest.approx(-1 / 3)


# the explorer


@pytest.fixture
def explorer(fitted):
    models = {"clean": fitted["plain"]["model"], "robust": fitted["adversarial"]["model"]}
    return lab.widgets.AttackExplorer(lab.data.load("digits"), models, epsilon=0.1)


@pytest.mark.slow
def test_every_control_of_the_explorer_changes_what_is_seen_and_it_has_a_still(explorer, every_control_answers):
    every_control_answers(explorer)


@pytest.mark.slow
def test_the_explorers_surface_is_the_loss_around_the_image(explorer):
    loss, wrong = explorer.surface()
    middle = len(loss) // 2
    image, _ = explorer.attacked()
    model, _, label, *_ = explorer._chosen()
    with eval_without_weight_gradients(model), torch.no_grad():
        logits = model(image)
    assert loss[middle, middle].item() == pytest.approx(F.cross_entropy(logits, label).item(), abs=1e-4)
    assert bool(wrong[middle, middle]) == (logits.argmax() != label).item()
    assert loss[middle, -1] > loss[middle, 0]
    explorer.controls["epsilon"].value = 0.0
    assert "Largest change of a pixel 0.000" in explorer.html
