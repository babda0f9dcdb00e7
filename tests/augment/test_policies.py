"""Policies and mixing: what every one of them must keep, whatever it changes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot_lab.augment import POLICIES, as_augment, get_policy, mixing

names = st.sampled_from(sorted(POLICIES))
seeds = st.integers(0, 1000)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def batch(channels=1, side=12):
    return torch.rand(6, channels, side, side, generator=seeded(0))


@settings(max_examples=60)
@given(names, st.floats(0, 1), seeds, st.sampled_from([1, 3]))
def test_a_policy_keeps_shape_type_and_range_and_repeats_with_its_seed(name, strength, seed, channels):
    images = batch(channels)
    before = images.clone()
    changed = POLICIES[name](images, strength, seeded(seed))
    assert changed.shape == images.shape and changed.dtype == images.dtype
    assert changed.min() >= -1e-6 and changed.max() <= 1 + 1e-5
    assert torch.equal(images, before), "the input was changed in place"
    assert torch.equal(changed, POLICIES[name](images, strength, seeded(seed)))


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("channels", [1, 3])
def test_strength_zero_changes_nothing_and_strength_one_does(name, channels):
    images = batch(channels)
    assert torch.allclose(POLICIES[name](images, 0.0, seeded(1)), images, atol=1e-5)
    # Grey images have no colours to take away.
    keeps = name == "none" or (name == "greyscale" and channels == 1)
    assert torch.allclose(POLICIES[name](images, 1.0, seeded(1)), images, atol=1e-5 if keeps else 1e-2) == keeps


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"none"}))
def test_as_an_augment_a_policy_draws_the_same_and_leaves_the_labels(name):
    images, labels = batch(), torch.arange(6)
    changed, kept = as_augment(name, 0.6)(images, labels, seeded(3))
    assert torch.equal(changed, get_policy(name)(images, 0.6, seeded(3))) and torch.equal(kept, labels)


def test_the_policy_none_asks_for_no_augment_and_an_unknown_one_is_refused():
    assert as_augment("none", 0.5) is None
    with pytest.raises(ValueError, match="no policy 'wobble'"):
        as_augment("wobble", 0.5)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_uint8_images_give_the_float_result_within_rounding(name):
    images = (batch() * 255).round().to(torch.uint8)
    changed = POLICIES[name](images, 0.6, seeded(2))
    floats = POLICIES[name](images.float() / 255, 0.6, seeded(2)) * 255
    assert changed.dtype == torch.uint8 and (changed.float() - floats).abs().max() <= 0.51


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_gradients_reach_the_input_images(name):
    images = batch().requires_grad_()
    POLICIES[name](images, 0.5, seeded(3)).sum().backward()
    assert images.grad.isfinite().all() and images.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["flip", "half_turn", "d4", "none"])
def test_policies_without_resampling_keep_every_pixel_value(name):
    images = batch()
    changed = POLICIES[name](images, 1.0, seeded(4))
    assert torch.equal(changed.flatten(1).sort(1).values, images.flatten(1).sort(1).values)


def test_stronger_policies_change_more():
    images = batch(side=28)
    for name in ("rotate", "shift", "noise", "affine", "erase"):
        distance = [(POLICIES[name](images, s, seeded(5)) - images).abs().mean().item() for s in (0.1, 0.4, 1.0)]
        assert distance == sorted(distance), name


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: get_policy("rotat"), "There is no policy"),
        (lambda: get_policy("rotate")(batch(), 1.5), "Strength is 1.5"),
        (lambda: get_policy("rotate")(batch()[0]), "shape"),
        (lambda: get_policy("rotate")(torch.zeros(1, 1, 4, 4, dtype=torch.long)), "uint8"),
        (lambda: mixing.mixup(batch(), torch.zeros(6, dtype=torch.long), 3, alpha=0), "alpha"),
    ],
)
def test_bad_input_is_refused_in_words(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@given(seeds, st.sampled_from([mixing.mixup, mixing.cutmix]), st.floats(0.05, 5))
def test_mixed_labels_are_shares_and_say_what_the_images_hold(seed, mix, alpha):
    """Images that are constant and equal to their class number show the shares themselves."""
    labels = torch.arange(6)
    images = labels.float()[:, None, None, None].expand(6, 1, 10, 10) / 5
    mixed, shares = mix(images, labels, 6, alpha=alpha, generator=seeded(seed))
    assert torch.allclose(shares.sum(1), torch.ones(6), atol=1e-5) and (shares >= 0).all()
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)) * 5, shares @ torch.arange(6.0), atol=1e-4)


def test_soft_labels_can_be_mixed_again():
    images, labels = batch(), torch.arange(6)
    _, once = mixing.mixup(images, labels, 6, generator=seeded(1))
    _, twice = mixing.cutmix(images, once, 6, generator=seeded(2))
    assert torch.allclose(twice.sum(1), torch.ones(6), atol=1e-5)


def test_cutout_blanks_at_most_its_square():
    images = torch.ones(50, 2, 20, 20)
    blank = (mixing.cutout(images, 0.5, generator=seeded(0)) == 0).float()
    share = blank.mean(dim=(1, 2, 3))
    assert torch.equal(blank[:, 0], blank[:, 1]) and share.max() <= 0.26 and 0.1 < share.mean() < 0.25
