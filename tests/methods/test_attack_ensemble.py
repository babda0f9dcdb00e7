"""The ensemble's losses are those of the paper, its attacks stay in the ball, and together they find what PGD does not."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewshot_lab.methods import adversarial
from fewshot_lab.methods.attack_ensemble import (
    apgd,
    checkpoints,
    cross_entropy,
    dlr_loss,
    ensemble,
    halves,
    margin,
    square,
    targeted_dlr_loss,
)
from fewshot_lab.methods.attacks import eval_without_weight_gradients, is_correct, random_start, survives
from fewshot_lab.methods.supervised import fit_classifier
from fewshot_lab.models import conv_net

seeds, radii = st.integers(0, 10**6), st.floats(0.001, 0.6)


def draw(seed):
    return torch.Generator().manual_seed(seed)


def network(seed=0):
    torch.manual_seed(seed)
    return conv_net(10, size=8, width=4).eval()


def images_of(seed, rows=4, size=8):
    """Float images in 0..1, among them pixels at both ends of the range."""
    return (1.4 * torch.rand(rows, 1, size, size, generator=draw(seed)) - 0.2).clamp(0, 1)


class Linear(nn.Module):
    """Logits that are linear in the pixels: how far an image is from being misclassified is known."""

    def __init__(self, seed, pixels=16, classes=5):
        super().__init__()
        self.weight = torch.randn(classes, pixels, generator=draw(seed))

    def forward(self, images):
        return (images.flatten(1) - 0.5) @ self.weight.T

    def distance(self, images, labels):
        """The smallest epsilon that fools an image in L-inf without the bounds of its range (n,)."""
        logits = self(images)
        leads = logits.gather(1, labels[:, None]) - logits
        slopes = (self.weight[labels][:, None] - self.weight).abs().sum(dim=2)  # (n, classes), 0 for the label
        return torch.where(slopes > 0, leads / slopes, math.inf).amin(dim=1)


# the losses


def test_the_difference_of_logits_ratio_has_the_values_worked_by_hand():
    logits = torch.tensor([[3.0, 1.0, 0.0, -5.0], [1.0, 4.0, 2.0, 3.0], [1.0, 4.0, 2.0, 3.0]])
    # -(3 - 1) / (3 - 0), -(1 - 4) / (4 - 2), -(4 - 3) / (4 - 2)
    assert dlr_loss(logits, torch.tensor([0, 0, 1])).tolist() == pytest.approx([-2 / 3, 1.5, -0.5])
    # -(3 - 0) / (3 - (0 - 5) / 2), -(1 - 3) / (4 - (2 + 1) / 2), -(4 - 1) / (4 - (2 + 1) / 2)
    targeted = targeted_dlr_loss(logits, torch.tensor([0, 0, 1]), torch.tensor([2, 3, 0]))
    assert targeted.tolist() == pytest.approx([-3 / 5.5, 2 / 2.5, -3 / 2.5])
    assert margin(logits, torch.tensor([0, 0, 1])).tolist() == [2.0, -3.0, 1.0]


@given(seed=seeds, scale=st.floats(0.01, 1000), shift=st.floats(-50, 50))
@settings(max_examples=40)
def test_the_ratio_ignores_scale_and_shift_and_says_by_its_sign_what_is_misclassified(seed, scale, shift):
    logits = torch.randn(8, 6, generator=draw(seed), dtype=torch.float64)
    labels = torch.randint(6, (8,), generator=draw(seed))
    loss, correct = dlr_loss(logits, labels), logits.argmax(dim=1) == labels
    assert torch.allclose(dlr_loss(scale * logits + shift, labels), loss, atol=1e-6)
    assert ((loss <= 0) == correct).all() and (loss[correct] >= -1 - 1e-9).all()
    targets = (labels + 1) % 6
    lower = logits.gather(1, targets[:, None]).squeeze(1) < logits.gather(1, labels[:, None]).squeeze(1)
    assert ((targeted_dlr_loss(logits, labels, targets) < 0) == lower).all()


def test_equal_logits_give_a_finite_loss_and_too_few_classes_are_refused():
    logits = torch.ones(2, 5, requires_grad=True)
    for loss in (dlr_loss(logits, torch.tensor([0, 4])), targeted_dlr_loss(logits, torch.tensor([0, 4]), torch.tensor([1, 2]))):
        assert loss.tolist() == [0.0, 0.0] and torch.autograd.grad(loss.sum(), logits)[0].isfinite().all()
    with pytest.raises(ValueError, match="of 2 classes; this loss needs at least 3"):
        dlr_loss(torch.ones(1, 2), torch.tensor([0]))
    with pytest.raises(ValueError, match="of 3 classes; this loss needs at least 4"):
        targeted_dlr_loss(torch.ones(1, 3), torch.tensor([0]), torch.tensor([1]))


# the step size of APGD


def test_the_checkpoints_of_100_steps_are_the_papers():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    for steps in (1, 3, 10, 20, 50):
        assert checkpoints(steps) == sorted(checkpoints(steps)) and 1 <= checkpoints(steps)[-1] <= steps


def test_a_step_size_is_halved_where_too_few_steps_rise_or_nothing_was_gained_since_it_was_kept():
    rises = torch.tensor([2.0, 3.0, 4.0, 4.0, 4.0])  # of 4 steps; three quarters are enough
    halved = torch.tensor([False, False, False, False, True])
    best, before = torch.tensor([2.0, 2.0, 1.0, 2.0, 1.0]), torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0])
    assert halves(rises, 4, halved, best, before).tolist() == [True, False, True, False, False]


def by_the_paper(model, image, label, loss, *, epsilon, steps, start):
    """Algorithm 1 for one image, line by line: (all points, the best of them)."""
    low, high = (image - epsilon).clamp(min=0), (image + epsilon).clamp(max=1)

    def f(x):
        x = x.clone().requires_grad_()
        value = loss(model(x), label).sum()
        return value.item(), torch.autograd.grad(value, x)[0]

    eta, marks = 2 * epsilon, checkpoints(steps)
    points, values = [start], [f(start)[0]]
    points.append((start + eta * f(start)[1].sign()).clamp(low, high))
    values.append(f(points[1])[0])
    best, best_value = (points[1], values[1]) if values[1] > values[0] else (points[0], values[0])
    last_mark, last_eta, last_best, rises, current = 0, None, values[0], values[1] > values[0], points[1]
    before, current_value = start, values[1]
    for k in range(1, steps + 1):
        if k in marks:
            reduce = rises < 0.75 * (k - last_mark) or (last_eta == eta and last_best == best_value)
            last_eta, last_best, last_mark, rises = eta, best_value, k, 0
            if reduce:
                eta, current, current_value = eta / 2, best, best_value
        if k == steps:
            break
        z = (current + eta * f(current)[1].sign()).clamp(low, high)
        after = (current + 0.75 * (z - current) + 0.25 * (current - before)).clamp(low, high)
        before, (value, _) = current, f(after)
        rises, current, current_value = rises + (value > current_value), after, value
        if value > best_value:
            best, best_value = after, value
        points.append(after)
    return points, best


@pytest.mark.parametrize("loss", [cross_entropy, dlr_loss])
@pytest.mark.parametrize("seed", range(3))
def test_apgd_takes_the_steps_of_algorithm_1_image_by_image(loss, seed):
    model, images, epsilon = network(seed).double(), images_of(seed).double(), 0.02
    labels = model(images).argmax(dim=1)
    start = random_start(images, epsilon, generator=draw(seed))
    moved = apgd(model, images, labels, loss, epsilon=epsilon, steps=20, generator=draw(seed))
    for i in range(len(images)):
        one = slice(i, i + 1)
        points, best = by_the_paper(model, images[one], labels[one], loss, epsilon=epsilon, steps=20, start=start[one])
        fooled = [x for x in points if model(x).argmax(dim=1) != labels[one]]
        assert torch.allclose(moved[one], fooled[-1] if fooled else best, atol=1e-9)


# the attacks


@given(seed=seeds, epsilon=radii, steps=st.integers(0, 8))
@settings(max_examples=10)
def test_the_attacks_stay_in_ball_and_range_repeat_themselves_and_are_never_worse_than_their_start(seed, epsilon, steps):
    model, images, labels = network(seed % 5), images_of(seed), torch.arange(4)
    for loss, targets in ((cross_entropy, None), (dlr_loss, None), (targeted_dlr_loss, labels + 1)):
        options = {"epsilon": epsilon, "steps": steps, "targets": targets}
        moved, again = (apgd(model, images, labels, loss, **options, generator=draw(seed)) for _ in range(2))
        goals = (labels,) if targets is None else (labels, targets)
        start, logits = random_start(images, epsilon, generator=draw(seed)), model(moved)
        better = loss(logits, *goals) >= loss(model(start), *goals) - 1e-5
        assert torch.equal(moved, again) and (better | (logits.argmax(dim=1) != labels)).all()
        assert (moved - images).abs().max() <= epsilon + 1e-6 and moved.min() >= 0 and moved.max() <= 1
    stripes, moved, again = (
        square(model, images, labels, epsilon=epsilon, queries=count, generator=draw(seed)) for count in (1, 30, 30)
    )
    assert torch.equal(moved, again) and (margin(model(moved), labels) <= margin(model(stripes), labels) + 1e-6).all()
    assert (moved - images).abs().max() <= epsilon + 1e-6 and moved.min() >= 0 and moved.max() <= 1


def test_apgd_reaches_the_corner_that_is_best_for_a_linear_loss():
    model, images = Linear(0), torch.rand(6, 1, 4, 4, generator=draw(0))
    labels = model(images).argmax(dim=1)
    moved = apgd(model, images, labels, lambda z, y: -z[:, 0], epsilon=0.003, steps=20, generator=draw(1))
    corner = (images - 0.003 * model.weight[0].reshape(1, 1, 4, 4).sign()).clamp(0, 1)
    assert torch.allclose(moved, corner, atol=1e-6)


def test_square_finds_adversarial_examples_without_any_gradient():
    class Steps(Linear):  # logits in steps: their gradient is 0 everywhere
        def forward(self, images):
            return (100 * super().forward(images)).round() / 100 + 0 * images.flatten(1).sum(dim=1, keepdim=True)

    model, images = Steps(3), 0.3 + 0.4 * torch.rand(40, 1, 4, 4, generator=draw(3))
    labels = model(images).argmax(dim=1)
    common = {"epsilon": 0.1, "generator": draw(0)}
    climbed = apgd(model, images, labels, dlr_loss, steps=20, **common)
    tried = square(model, images, labels, queries=300, **common)
    left = [is_correct(model, moved, labels).float().mean().item() for moved in (climbed, tried)]
    assert left[1] < left[0] - 0.2


# the ensemble


@pytest.mark.parametrize("seed", range(3))
def test_of_a_linear_network_it_leaves_just_the_images_that_no_perturbation_fools(seed):
    model, images = Linear(seed), 0.3 + 0.4 * torch.rand(200, 1, 4, 4, generator=draw(seed))
    labels = model(images).argmax(dim=1)
    labels[:20] = (labels[:20] + 1) % 5  # misclassified without any attack
    distance = model.distance(images, labels)
    epsilon = distance[20:].median().clamp(max=0.3).item()  # 0.3: no pixel meets the ends of its range
    decided = (distance - epsilon).abs() > 1e-3
    left = ensemble(model, images, labels, epsilon=epsilon, steps=20, targets=4, queries=20, generator=draw(0))
    assert list(left) == ["APGD-CE", "targeted APGD-DLR", "Square"] and decided.float().mean() > 0.9
    assert torch.equal(left["Square"][decided], (distance > epsilon)[decided])


@pytest.fixture(scope="module")
def trained():
    return fit_classifier("digits", steps=120, device="cpu")


def test_each_attack_sees_the_images_that_have_survived_so_far_and_the_model_stays_as_it_was(trained):
    images, labels, _ = adversarial.images_to_attack("digits", 60)
    labels[:5] = (labels[:5] + 1) % 10  # misclassified before any attack
    batches, options = [], {"epsilon": 0.06, "steps": 5, "targets": 2, "queries": 10}
    hook = trained.register_forward_hook(lambda module, given, result: batches.append(len(given[0])))
    trained.train().zero_grad()
    left = ensemble(trained, images, labels, generator=draw(0), **options)
    hook.remove()
    assert trained.training and all(weight.requires_grad and weight.grad is None for weight in trained.parameters())
    trained.eval()
    correct = is_correct(trained, images.float() / 255, labels)
    rows = [correct, *left.values()]
    assert all((after <= before).all() for before, after in zip(rows, rows[1:], strict=False))
    sizes = sorted(set(batches), reverse=True)
    assert batches == sorted(batches, reverse=True) and sizes[:3] == [60, int(correct.sum()), int(left["APGD-CE"].sum())]
    again = ensemble(trained, images, labels, generator=draw(0), **options)
    assert all(torch.equal(left[name], again[name]) for name in left)


def test_the_ratio_breaks_a_defence_whose_masked_gradient_stops_the_cross_entropy(trained):
    images, labels, _ = adversarial.images_to_attack("digits", 100)
    x, defence = images.float() / 255, adversarial.Saturated(trained)
    options = {"epsilon": 0.15, "steps": 20}
    pgd = survives(defence, images, labels, random=False, **options).float().mean().item()
    with eval_without_weight_gradients(defence):
        left = {
            loss: is_correct(defence, apgd(defence, x, labels, loss, generator=draw(0), **options), labels).float().mean()
            for loss in (cross_entropy, dlr_loss)
        }
    assert pgd > 0.6 and left[cross_entropy] > 0.6 and left[dlr_loss] < 0.3
    both = ensemble(defence, images, labels, targets=3, queries=50, generator=draw(0), **options)
    assert both["Square"].float().mean() <= 0.3


# the peer


@pytest.fixture(scope="module")
def peer():
    return pytest.importorskip("torchattacks", reason="torchattacks is not installed (make test does so)")


@pytest.fixture(scope="module")
def robust():
    options = {"method": "adversarial", "epsilon": 0.15, "inner_steps": 2, "passes": 300, "test_epsilon": None}
    model = adversarial.fit_robust("digits", seed=0, device="cpu", **options)["model"].eval().requires_grad_(False)
    images, labels, _ = adversarial.images_to_attack("digits")
    return model, images.float() / 255, labels


def as_strong(left: float, left_by_theirs: float) -> bool:
    """Whether no more images are left than by theirs, but for chance.

    Fewer may be: their AutoAttack's APGD makes 10 steps, and their Square's 500 queries leave some 0.05 more.
    """
    return left - left_by_theirs <= 0.03


@pytest.mark.slow
def test_each_attack_leaves_as_many_images_as_torchattacks_own(peer, robust):
    model, x, labels = robust
    common = {"norm": "Linf", "eps": 0.15, "seed": 0}
    peers = {
        "APGD-CE": peer.APGD(model, steps=20, loss="ce", **common),
        "APGD-DLR": peer.APGD(model, steps=20, loss="dlr", **common),
        "Square": peer.Square(model, n_queries=500, **common),
    }
    options = {"epsilon": 0.15, "generator": draw(0)}
    ours = {
        "APGD-CE": apgd(model, x, labels, cross_entropy, steps=20, **options),
        "APGD-DLR": apgd(model, x, labels, dlr_loss, steps=20, **options),
        "Square": square(model, x, labels, queries=500, **options),
    }
    for name, attack in peers.items():
        assert (ours[name] - x).abs().max() <= 0.15 + 1e-6 and 0 <= ours[name].min() and ours[name].max() <= 1
        left = [is_correct(model, moved, labels).float().mean().item() for moved in (ours[name], attack(x, labels))]
        assert as_strong(*left), name


@pytest.mark.slow
def test_the_ensemble_leaves_as_many_images_as_autoattack(peer, robust):
    model, x, labels = robust
    theirs = is_correct(model, peer.AutoAttack(model, eps=0.15, n_classes=10, seed=0)(x, labels), labels)
    ours = ensemble(model, x, labels, epsilon=0.15, steps=100, targets=9, queries=1000, generator=draw(0))["Square"]
    assert as_strong(ours.float().mean().item(), theirs.float().mean().item())


@pytest.mark.gpu
def test_the_ensemble_leaves_the_same_images_on_a_gpu_but_for_a_few(trained):
    images, labels, _ = adversarial.images_to_attack("digits")
    options = {"epsilon": 0.06, "steps": 10, "targets": 2, "queries": 50}
    here = ensemble(trained, images, labels, generator=draw(0), **options)["Square"]
    there = ensemble(trained.to("cuda"), images, labels, generator=draw(0), **options)["Square"]
    trained.to("cpu")
    assert (here != there).float().mean() <= 0.03


def test_the_losses_agree_with_cross_entropy_about_which_way_is_up():
    """Where all other logits stay, each loss falls as the label's logit rises."""
    logits, labels = torch.tensor([[2.0, 1.0, 0.5, 0.0]], requires_grad=True), torch.tensor([0])
    for loss in (F.cross_entropy(logits, labels), dlr_loss(logits, labels), targeted_dlr_loss(logits, labels, labels + 1)):
        assert torch.autograd.grad(loss.sum(), logits)[0][0, 0] < 0
