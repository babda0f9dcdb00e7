"""Test images under jitter that training never saw: the same pictures, out of distribution (Geiping et al. 2023, ICLR)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..augment import get_policy
from ..augment.geometry import padding_for, rotation, warp

LEAST, MOST = 20, 40  # degrees


def turned(images: Tensor, generator: torch.Generator) -> Tensor:
    """Float images (B, C, H, W) turned by 20 to 40 degrees, either way: beyond what the right policies of small turns show."""
    drawn = 2 * torch.rand(len(images), generator=generator) - 1
    degrees = drawn.sign() * LEAST + drawn * (MOST - LEAST)
    return warp(images, rotation(degrees * math.pi / 180), padding=padding_for(images))


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    """Float images (B, C, H, W) in 0..1 with Gaussian noise of standard deviation 0.25: a change of another kind."""
    return get_policy("noise")(images, 0.5, generator)


JITTERS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"turned": turned, "noisy": noisy}


def jittered(images: Tensor, name: str) -> Tensor:
    """Test images uint8 (N, C, H, W) under the jitter of that name, the same for every network; as uint8.

    Raises ValueError for an unknown name.
    """
    if name not in JITTERS:
        raise ValueError(f"There is no jitter {name!r}; choose one of {', '.join(JITTERS)}.")
    # A fixed seed, as the data set's own: all networks answer about the same images.
    changed = JITTERS[name](images.float() / 255, torch.Generator().manual_seed(0))
    return (changed * 255).round().to(torch.uint8)
