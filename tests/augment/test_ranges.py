"""Ranges and types of images, labels and temperatures: what is outside is told, other types give the same result."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import Normalize

from fewshot_lab.augment import as_augment, get_policy
from fewshot_lab.augment.geometry import rotation, translation, warp
from fewshot_lab.augment.mixing import cutmix, mixup
from fewshot_lab.augment.policies import POLICIES
from fewshot_lab.data import digits
from fewshot_lab.methods import attack_ensemble, attacks, contrastive, dark_knowledge, distillation
from fewshot_lab.methods.adversarial import adversarial_loss, free_training, trades_training
from fewshot_lab.methods.generation import projection_score, train_gan
from fewshot_lab.models import Discriminator, Generator
from fewshot_lab.training import train


@pytest.fixture(scope="module")
def net():
    """A linear classifier of the digits, as it sees them in 0..1."""
    images, labels = digits.task().draw(30, 0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    train(model, images, labels, steps=150, learning_rate=3e-2, optimizer=torch.optim.AdamW, device="cpu")
    return model.eval()


def some(count=100):
    task = digits.task()
    return task.test_images[:count], task.test_labels[:count]


# attacks

OUTSIDE = {
    "normalised": (lambda x: 2 * x - 1, "as normalised ones do.*Normalize"),
    "ImageNet's normalisation": (lambda x: (x - 0.485) / 0.229, "as normalised ones do"),
    "float in 0..255": (lambda x: 255 * x, "Divide them by 255"),
    "whole numbers": (lambda x: (255 * x).long(), "float in 0..1 or uint8"),
}


@pytest.mark.parametrize(("change", "says"), OUTSIDE.values(), ids=OUTSIDE)
def test_images_outside_0_to_1_are_never_attacked_in_silence(net, change, says):
    images, labels = some()
    x = change(images.float() / 255)
    cross_entropy = attacks.cross_entropy_of(net, labels)
    for attempt in (
        lambda: attacks.survives(net, x, labels, epsilon=0.1),
        lambda: attacks.attack(net, x, labels, epsilon=0.1, norm="l2"),
        lambda: attacks.fgsm(cross_entropy, x, 0.1),
        lambda: attacks.pgd(cross_entropy, x, x, 0.1, 0.02, 5),
        lambda: attack_ensemble.ensemble(net, x, labels, epsilon=0.1, steps=2, queries=2, targets=1),
        lambda: attack_ensemble.square(net, x, labels, epsilon=0.1, queries=2),
        lambda: attack_ensemble.apgd(net, x, labels, attack_ensemble.cross_entropy, epsilon=0.1, steps=2),
        lambda: adversarial_loss(epsilon=0.1, steps=1)(net, x, labels),
        lambda: adversarial_loss(epsilon=0.1, steps=1, loop=lambda loss, images, start, *_: start)(net, x, labels),
        lambda: free_training(epsilon=0.1, replays=2)[1](net, x, labels),
    ):
        with pytest.raises(ValueError, match=says):
            attempt()
    trades = trades_training(epsilon=0.1, steps=1, beta=1.0)
    with pytest.raises(ValueError, match=says):
        trades(net if x.is_floating_point() else nn.Identity(), x, labels)


def test_a_part_of_normalised_images_that_lies_in_0_to_1_does_not_hide_the_others(net):
    images, labels = some(attacks.BATCH + 8)
    x = images.float() / 255
    x[-8:] = 2 * x[-8:] - 1
    with pytest.raises(ValueError, match="normalised"):
        attacks.survives(net, x, labels, epsilon=0.1)


def test_a_normalised_model_is_as_robust_as_the_same_model_without(net):
    images, labels = some()

    class OfNormalised(nn.Module):
        def forward(self, x):
            return net(x * 0.5 + 0.5)

    inside = nn.Sequential(Normalize(0.5, 0.5), OfNormalised())
    for given in (images, images.float() / 255):
        plain, wrapped = (attacks.survives(model, given, labels, epsilon=0.1, random=False) for model in (net, inside))
        assert torch.equal(plain, wrapped) and 0 < plain.float().mean() < 0.6
        moved = attacks.attack(inside, given, labels, epsilon=0.1) - images.float() / 255
        assert 0.09 < moved.abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epsilon": -0.1}, "Epsilon is -0.1"),
        ({"epsilon": math.nan}, "Epsilon is nan"),
        ({"epsilon": 0.1, "norm": "L2"}, "no norm 'L2'"),
        ({"epsilon": 0.1, "steps": -1}, "steps=-1"),
        ({"epsilon": 0.1, "restarts": 0}, "restarts=0"),
        ({"epsilon": 0.1, "labels": torch.full((100,), -1)}, "labels hold -1"),
        ({"epsilon": 0.1, "labels": torch.full((100,), 12)}, "a class 12, but the model knows the 10"),
        ({"epsilon": 0.1, "labels": torch.zeros(100, 10)}, "class numbers"),
        ({"epsilon": 0.1, "labels": torch.zeros(99, dtype=torch.long)}, "one for each image"),
        ({"epsilon": 0.1, "targets": torch.zeros(101, dtype=torch.long)}, "targets are class numbers"),
        ({"epsilon": 0.1, "targets": torch.full((100,), 10)}, "a class 10"),
    ],
)
def test_an_attack_with_numbers_that_make_no_sense_is_refused(net, options, says):
    images, labels = some()
    options = {"labels": labels, **options}
    for attack in (attacks.attack, attacks.survives):
        with pytest.raises(ValueError, match=says):
            attack(net, images, **options)
    if "labels" in says or "class 12" in says:
        with pytest.raises(ValueError, match=says):
            attack_ensemble.ensemble(net, images, **options)


def test_every_image_is_drawn_to_its_own_target_beyond_the_first_batch(net, monkeypatch):
    images, labels = some()
    targets = (labels + torch.arange(100) % 9 + 1) % 10
    whole = attacks.survives(net, images, labels, targets=targets, epsilon=0.15, random=False)
    monkeypatch.setattr(attacks, "BATCH", 30)
    assert torch.equal(attacks.survives(net, images, labels, targets=targets, epsilon=0.15, random=False), whole)
    assert torch.equal(attacks.survives(net, images, labels.int(), targets=targets.int(), epsilon=0.15, random=False), whole)


# mixing


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("labels", [torch.int64, torch.int32, torch.uint8, "one-hot", "shares"])
def test_bytes_are_mixed_like_floats_whatever_the_labels_type(mix, labels):
    images, numbers = some(32)
    y = F.one_hot(numbers, 10) if labels == "one-hot" else numbers
    y = F.one_hot(numbers, 10).double() if labels == "shares" else y if labels == "one-hot" else numbers.to(labels)
    mixed, shares = mix(images, y, 10, alpha=1.0, generator=torch.Generator().manual_seed(0))
    expected, soft = mix(images.float() / 255, numbers, 10, alpha=1.0, generator=torch.Generator().manual_seed(0))
    assert mixed.dtype == torch.uint8 and (mixed.float() / 255 - expected).abs().max() <= 0.5 / 255 + 1e-6
    assert shares.dtype == torch.float32 and torch.allclose(shares, soft) and torch.allclose(shares.sum(1), torch.ones(32))
    assert ((shares > 0.05) & (shares < 0.95)).any()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_what_cannot_be_mixed_is_refused_in_words(mix):
    images, labels = some(8)
    for x, y, says in (
        (images.int(), labels, "float in 0..1 or uint8"),
        (images, labels.float(), r"class numbers \(8,\) or shares \(8, 10\); these are torch.float32"),
        (images, labels[:7], "class numbers"),
        (images, torch.ones(8, 9), "shares"),
    ):
        with pytest.raises(ValueError, match=says):
            mix(x, y, 10)


# policies and warps


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("change", [lambda x: 255 * x, lambda x: (x - 0.5) / 0.5], ids=["0..255", "normalised"])
def test_no_policy_takes_images_outside_0_to_1(name, change):
    images = change(some(8)[0].float() / 255)
    for strength in (0.0, 1.0):
        with pytest.raises(ValueError, match="Images are float in 0..1; these run from"):
            get_policy(name)(images, strength)


def test_a_policy_looks_at_the_first_batch_of_a_training_alone():
    images, labels = some(8)
    augment, generator = as_augment("noise", 0.5), torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="normalised"):
        augment(images.float() / 255 - 0.5, labels, generator)
    x = images.float() / 255
    direct = get_policy("noise")(x, 0.5, torch.Generator().manual_seed(1))
    for _ in range(2):
        assert torch.equal(augment(x, labels, torch.Generator().manual_seed(1))[0], direct)
    with pytest.raises(ValueError, match="normalised"):
        contrastive.view(x - 0.5, [("noise", 0.5)])
    with pytest.raises(ValueError, match="Divide them by 255"):
        contrastive.simclr(images.float(), [("noise", 0.5)], steps=1)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8])
def test_a_warp_keeps_whole_numbers_of_every_type(dtype):
    largest = 1 if dtype == torch.bool else torch.iinfo(dtype).max // (2 if dtype == torch.int64 else 1)
    values = torch.tensor([0, 1, largest, largest - 1 if largest > 1 else 1])
    values = values // 2**10 if dtype == torch.int64 else values  # float64 has 53 bits
    images = values.repeat(4).view(1, 1, 4, 4).to(dtype)
    assert torch.equal(warp(images, torch.eye(3)), images)
    moved = warp(images, translation(1.0, 0.0), mode="nearest")
    assert torch.equal(moved[..., 1:], images[..., :-1]) and not moved[..., 0].any()
    if dtype not in (torch.bool, torch.uint8):
        assert torch.equal(warp(-images, torch.eye(3)), -images)


def test_a_warp_of_bytes_does_not_overshoot():
    images = (torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0)) > 0.5).byte() * 255
    exact = warp(images.double(), rotation(0.3), mode="bicubic")
    assert exact.max() > 255 and exact.min() < 0
    assert torch.equal(warp(images, rotation(0.3), mode="bicubic"), exact.round().clamp(0, 255).byte())


# temperatures


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_logits_cannot_be_divided_by_is_refused(temperature):
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    for attempt in (
        lambda: distillation.softened(z, temperature),
        lambda: distillation.distillation_loss(z, z, temperature),
        lambda: distillation.distillation_gradient(z, z, temperature),
        lambda: distillation.mixed_loss(z, z, torch.zeros(6).long(), temperature, 0.5),
        lambda: distillation.cached_loss(temperature, 0.5),
        lambda: distillation.online_loss(nn.Identity(), temperature, 0.5),
        lambda: dark_knowledge.uniform_wrong_classes(z, temperature),
        lambda: contrastive.nt_xent(z, temperature),
    ):
        with pytest.raises(ValueError, match="The temperature is"):
            attempt()


def test_a_class_that_the_teacher_rules_out_costs_nothing():
    student = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    teacher = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    teacher[:, 2] = -math.inf
    loss = distillation.distillation_loss(student, teacher, 2.0)
    p, q = (teacher / 2).softmax(1), (student / 2).log_softmax(1)
    kept = [0, 1, 3]
    assert torch.allclose(loss, 4 * (p[:, kept] * (p[:, kept].log() - q[:, kept])).sum(1).mean())
    loss.backward()
    assert torch.allclose(student.grad, distillation.distillation_gradient(student, teacher, 2.0), atol=1e-6)


@pytest.mark.parametrize("temperature", [1e3, 1e4, 1e6])
def test_a_high_temperature_gives_its_limit(temperature):
    z_s, z_t = torch.randn(2, 8, 10, generator=torch.Generator().manual_seed(0))
    limit = ((z_s - z_t).var(dim=1, correction=0) / 2).mean()  # Hinton et al. 2015, equation 4, integrated
    loss = distillation.distillation_loss(z_s, z_t, temperature)
    assert loss.dtype == torch.float32 and abs(loss / limit - 1) < 0.01


def test_a_gan_learns_the_same_from_bytes_and_from_floats_and_refuses_what_it_cannot_learn_from():
    images, labels = digits.task().draw(4, 0)

    def losses(some, batch_size=8):
        torch.manual_seed(0)
        G, D = Generator(10, size=8), Discriminator(10, size=8, score=projection_score)
        return train_gan(G, D, some, labels[: len(some)], steps=2, batch_size=batch_size, device="cpu").discriminator

    assert losses(images) == pytest.approx(losses(images.float() / 255), rel=1e-5)
    for some, options, says in (
        (images.float(), {}, "Divide them by 255"),
        (images.float() / 127.5 - 1, {}, "normalised"),
        (images[:1], {}, "2 images or more"),
        (images, {"batch_size": 1}, "2 images or more"),
    ):
        with pytest.raises(ValueError, match=says):
            losses(some, **options)


def test_no_negative_number_of_images_is_drawn():
    with pytest.raises(ValueError, match="-1 images of every class"):
        digits.task().draw(-1, 0)
