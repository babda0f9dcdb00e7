"""Colour as linear algebra: torchvision's changes, image by image, and what they must leave as it is."""

import pytest
import torch
from torchvision.transforms import functional as peer

from fewshot_lab.augment import colour, get_policy

UNCHANGED = {"brightness": 1.0, "contrast": 1.0, "saturated": 1.0, "turn": 0.0}


def batch(channels=3):
    # Middle values, which no change cuts off, so that the order of cutting does not matter.
    return 0.4 + 0.2 * torch.rand(5, channels, 7, 7, generator=torch.Generator().manual_seed(0))


def recoloured(images, **changes):
    numbers = {name: torch.full((len(images),), value) for name, value in (UNCHANGED | changes).items()}
    return colour.recolour(images, **numbers)


@pytest.mark.parametrize(
    ("change", "reference"),
    [
        ({"brightness": 1.3}, lambda x: peer.adjust_brightness(x, 1.3)),
        ({"contrast": 0.4}, lambda x: peer.adjust_contrast(x, 0.4)),
        ({"contrast": 1.8}, lambda x: peer.adjust_contrast(x, 1.8)),
        ({"saturated": 0.3}, lambda x: peer.adjust_saturation(x, 0.3)),
        ({"saturated": 1.9}, lambda x: peer.adjust_saturation(x, 1.9)),
        ({"turn": 1 / 3}, lambda x: peer.adjust_hue(x, 1 / 3)),
        ({"turn": -1 / 3}, lambda x: peer.adjust_hue(x, -1 / 3)),
    ],
)
def test_each_change_is_that_of_torchvision(change, reference):
    assert torch.allclose(recoloured(batch(), **change), reference(batch()), atol=1e-3)


def test_the_order_is_brightness_contrast_saturation_hue():
    expected = peer.adjust_contrast(peer.adjust_brightness(batch(), 1.2), 0.7)
    expected = peer.adjust_hue(peer.adjust_saturation(expected, 1.5), 1 / 3)
    changed = recoloured(batch(), brightness=1.2, contrast=0.7, saturated=1.5, turn=1 / 3)
    assert torch.allclose(changed, expected, atol=1e-3)


def test_hues_turn_as_angles_add_and_keep_greys():
    first, then = torch.rand(2, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(colour.hue(then) @ colour.hue(first), colour.hue(first + then), atol=1e-5)
    for matrices in (colour.hue(first), colour.saturation(first)):
        assert torch.allclose(matrices @ torch.ones(3), torch.ones(4, 3), atol=1e-5)


def test_without_saturation_all_channels_are_the_brightness():
    changed = recoloured(batch(), saturated=0.0)
    assert torch.allclose(changed, colour.grey(batch()).expand(-1, 3, -1, -1), atol=1e-5)
    assert torch.allclose(colour.grey(batch()), peer.rgb_to_grayscale(batch()), atol=1e-3)


def test_each_image_has_its_own_numbers():
    brightness = torch.tensor([0.5, 1.0, 1.5, 1.0, 1.0])
    others = {name: torch.full((5,), value) for name, value in UNCHANGED.items() if name != "brightness"}
    changed = colour.recolour(batch(), brightness=brightness, **others)
    assert torch.allclose(changed, batch() * brightness[:, None, None, None], atol=1e-5)


def test_grey_images_change_as_grey_colours_do():
    grey = batch(channels=1)
    change = {"brightness": 1.2, "contrast": 0.6, "saturated": 0.3, "turn": 0.2}
    expected = recoloured(grey.expand(-1, 3, -1, -1), **change)
    assert torch.allclose(recoloured(grey, **change).expand_as(expected), expected, atol=1e-5)
    assert torch.equal(get_policy("greyscale")(grey, 1.0), grey)


def test_images_of_other_channels_are_refused():
    for name in ("colour_jitter", "greyscale"):
        with pytest.raises(ValueError, match="2 channels"):
            get_policy(name)(batch(channels=2), 0.5)


def test_greyscale_takes_the_colours_of_a_share_of_the_images():
    images = batch().repeat(200, 1, 1, 1)
    changed = get_policy("greyscale")(images, 0.3, torch.Generator().manual_seed(2))
    grey = (changed.amax(1) - changed.amin(1)).amax((1, 2)) < 1e-6
    assert 0.25 < grey.float().mean() < 0.35 and torch.equal(changed[~grey], images[~grey])
