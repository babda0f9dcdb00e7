"""Augmentation policies: each has a name, a sentence and one strength from 0 (does nothing) to 1 (as strong as it gets).

A policy changes a whole batch at once, each image by its own random draw, on the images' device: images are (B, C, H, W),
float in 0..1 (differentiable) or uint8 in 0..255. Draws come from `generator`, so equal seeds give equal images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import colour
from .geometry import D4, d4_each, padding_for, random_affine, warp
from .mixing import cutout
from .ranges import check_images

Change = Callable[[Tensor, float | Tensor, torch.Generator | None], Tensor]


@dataclass(frozen=True)
class Policy:
    """A named policy; `change(images, strength, generator)` works on float images in 0..1."""

    name: str
    what: str
    change: Change

    def __call__(self, images: Tensor, strength: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Changes images (B, C, H, W), float 0..1 or uint8, by strength 0..1; raises ValueError for anything else."""
        return self.unchecked(check_images(images), strength, generator)

    def unchecked(self, images: Tensor, strength: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """The same without a look at the values, for which a GPU would have to be waited for at every step of a training."""
        if not 0 <= strength <= 1:
            raise ValueError(f"Strength is {strength}; it must be from 0 (no change) to 1 (strongest).")
        if images.ndim != 4:
            raise ValueError(f"Images have the shape (B, C, H, W); these have {tuple(images.shape)}.")
        if images.dtype == torch.uint8:  # as data sets and pictures are kept
            changed = self.change(images.float() / 255, strength, generator)
            return (changed * 255).round().clamp(0, 255).to(torch.uint8)
        return self.change(images, strength, generator)


POLICIES: dict[str, Policy] = {}


def get_policy(name: str) -> Policy:
    """The policy of that name; raises ValueError with the known names for another."""
    if name not in POLICIES:
        raise ValueError(f"There is no policy {name!r}; the policies are {', '.join(POLICIES)}.")
    return POLICIES[name]


def as_augment(name: str, strength: float) -> Callable | None:
    """The policy as an `augment(images, labels, generator)` for `training.train`, which leaves the labels as they are.

    None for the policy "none": the training then skips the call. Raises ValueError for an unknown name. The values of the first
    batch are checked.
    """
    policy = get_policy(name)
    if name == "none":
        return None
    change = policy

    def augment(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal change
        changed, change = change(images, strength, generator), policy.unchecked
        return changed, labels

    return augment


# A policy is declared by decorating its function, whose name is its own: explorers, tests and `get_policy` find it in POLICIES.
def _policy(what: str) -> Callable[[Change], Change]:
    def keep(change: Change) -> Change:
        POLICIES[change.__name__] = Policy(change.__name__, what, change)
        return change

    return keep


def _rand(images: Tensor, generator: torch.Generator | None, *shape: int) -> Tensor:
    """Uniform draws in 0..1, one per image, drawn where the generator lives and moved to the images' device."""
    device = generator.device if generator else "cpu"
    return torch.rand(len(images), *shape, generator=generator, device=device).to(images)


def _affine(images: Tensor, generator: torch.Generator | None, **ranges) -> Tensor:
    return warp(images, random_affine(len(images), generator=generator, **ranges), padding=padding_for(images))


def _pixels(images: Tensor, share: float) -> tuple[float, float]:
    return share * images.shape[-1], share * images.shape[-2]


@_policy("leaves every image as it is")
def none(images, strength, generator):
    return images


@_policy("turns by up to 60 degrees either way")
def rotate(images, strength, generator):
    return _affine(images, generator, degrees=60 * strength)


@_policy("moves by up to 30 % of the width and height")
def shift(images, strength, generator):
    return _affine(images, generator, shift=_pixels(images, 0.3 * strength))


@_policy("enlarges or shrinks by a factor of up to 1.8")
def scale(images, strength, generator):
    # Symmetric in the logarithm: as likely to be enlarged by a factor as to be shrunk by it.
    return _affine(images, generator, scale=(1.8**-strength, 1.8**strength))


@_policy("leans to the left or right by up to 0.7 pixels per pixel of height")
def shear(images, strength, generator):
    return _affine(images, generator, shear=0.7 * strength)


@_policy("turns, moves, scales and leans at once")
def affine(images, strength, generator):
    return _affine(
        images,
        generator,
        degrees=60 * strength,
        scale=(1.6**-strength, 1.6**strength),
        shear=0.6 * strength,
        shift=_pixels(images, 0.3 * strength),
    )


@_policy("mirrors left and right, at strength 1 every second image")
def flip(images, strength, generator):
    mirrored = _rand(images, generator) < strength / 2
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


@_policy("turns upside down by 180 degrees, at strength 1 every second image")
def half_turn(images, strength, generator):
    turned = _rand(images, generator) < strength / 2
    return torch.where(turned[:, None, None, None], images.flip(-1, -2), images)


@_policy("lays square images on themselves in one of the eight ways of D4, with probability equal to the strength")
def d4(images, strength, generator):
    element = (_rand(images, generator) * len(D4)).long()
    return d4_each(images, torch.where(_rand(images, generator) < strength, element, 0))  # 0 is the identity


@_policy("adds Gaussian noise with a standard deviation of up to 0.5")
def noise(images, strength, generator):
    device = generator.device if generator else "cpu"
    return (images + 0.5 * strength * torch.randn(images.shape, generator=generator, device=device).to(images)).clamp(0, 1)


@_policy("makes brighter or darker by up to 0.5")
def brightness(images, strength, generator):
    return (images + 0.5 * strength * (2 * _rand(images, generator, 1, 1, 1) - 1)).clamp(0, 1)


@_policy("stretches or squeezes the contrast around the image's mean by a factor of up to 3")
def contrast(images, strength, generator):
    factor = 3 ** (strength * (2 * _rand(images, generator, 1, 1, 1) - 1))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (images - mean)).clamp(0, 1)


@_policy("blanks a square of up to 60 % of the side (cutout)")
def erase(images, strength, generator):
    return cutout(images, 0.6 * strength, generator=generator)


# At strength 1 the ranges are those of SimCLR's strongest colour distortion (Chen et al. 2020, ICML, appendix A).
@_policy("changes brightness, contrast, saturation and hue at once (ColorJitter)")
def colour_jitter(images, strength, generator):
    either_way = strength * (2 * _rand(images, generator, 4) - 1)  # (B, 4)
    brightness, contrast, saturated = (1 + 0.8 * either_way[:, :3]).unbind(1)
    turn = 0.2 * either_way[:, 3]
    return colour.recolour(images, brightness=brightness, contrast=contrast, saturated=saturated, turn=turn)


@_policy("takes the colours away, with probability equal to the strength")
def greyscale(images, strength, generator):
    chosen = _rand(images, generator)[:, None, None, None] < strength
    return torch.where(chosen, colour.grey(images).expand_as(images), images)


# What the two policies below draw from. Flips and D4 are not among them, as in the papers: they may change a label.
SINGLE_CHANGES = ("none", "rotate", "shift", "scale", "shear", "noise", "brightness", "contrast", "erase")


def _one_random_change(images: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    # Each image has its own change, but each change is made once for all images that drew it: nine calls, not one per image.
    which = (_rand(images, generator) * len(SINGLE_CHANGES)).long()
    changed = images.clone()
    for index, name in enumerate(SINGLE_CHANGES):
        chosen = which == index
        if name != "none" and chosen.any():
            changed[chosen] = POLICIES[name].change(images[chosen], strength, generator)
    return changed


@_policy("two changes drawn at random for each image, one after the other (RandAugment; Cubuk et al. 2020)")
def randaugment(images, strength, generator):
    return _one_random_change(_one_random_change(images, strength, generator), strength, generator)


@_policy("one change drawn at random for each image, at one of four strengths (TrivialAugment; Müller & Hutter 2021)")
def trivialaugment(images, strength, generator):
    # Four levels where the paper has 31, so that images of one level can be changed together.
    level = ((_rand(images, generator) * 4).floor() + 1) / 4
    changed = images.clone()
    for quarter in (0.25, 0.5, 0.75, 1.0):
        chosen = level == quarter
        if chosen.any():
            changed[chosen] = _one_random_change(images[chosen], strength * quarter, generator)
    return changed
