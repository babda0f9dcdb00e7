"""Colour as linear algebra: a change of brightness, contrast, saturation or hue is a matrix on a pixel's three values.

What `geometry` does to the coordinates of a pixel, this does to its colour (r, g, b): x -> A x + b, the same for all pixels of
an image. The changes are those of torchvision's ColorJitter, but of a whole batch at once, each image by its own draw.
"""

import math

import torch
from torch import Tensor

# How bright an eye finds red, green and blue (ITU-R BT.601), as in torchvision; they add up to 1, so that grey stays grey.
LUMA = (0.299, 0.587, 0.114)


def grey(images: Tensor) -> Tensor:
    """The brightness of colour images (B, 3, H, W) as grey ones, (B, 1, H, W); grey images come back as they are."""
    if channels_of(images) == 1:
        return images
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def saturation(factor: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that move every colour away from its grey, or towards it (factor below 1; 0: grey); factor (B,)."""
    to_grey = factor.new_tensor(LUMA).expand(3, 3)  # each row gives the brightness
    factor = factor[:, None, None]
    return factor * torch.eye(3).to(factor) + (1 - factor) * to_grey


def hue(turn: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that turn colours around the axis of greys by a share of a full turn, (B,): 1/3 makes red of blue.

    A rotation (Rodrigues' formula), where torchvision turns around the hexagon of HSV; they agree at thirds of a turn.
    """
    theta = 2 * math.pi * turn[:, None, None]
    axis = torch.full((3, 3), 1 / 3).to(turn)  # the projection onto the greys
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]).to(turn) / math.sqrt(3)
    return axis + theta.cos() * (torch.eye(3).to(turn) - axis) + theta.sin() * across


def recolour(images: Tensor, *, brightness: Tensor, contrast: Tensor, saturated: Tensor, turn: Tensor) -> Tensor:
    """Changes images (B, 3, H, W) or grey ones (B, 1, H, W), float in 0..1, and cuts them to 0..1; numbers are per image, (B,).

    Of grey images saturation and hue change nothing. Raises ValueError for other numbers of channels.

    Args:
        images: what is changed, in this order:
        brightness: a factor, 1 for no change.
        contrast: a factor of the distances from the image's mean brightness.
        saturated: a factor of the distances from grey.
        turn: of the hue, in full turns.
    """
    images = brightness[:, None, None, None] * images
    middle = grey(images).mean(dim=(1, 2, 3), keepdim=True)
    images = middle + contrast[:, None, None, None] * (images - middle)
    if channels_of(images) == 3:
        images = torch.einsum("bij,bjhw->bihw", hue(turn) @ saturation(saturated), images)
    return images.clamp(0, 1)  # once, at the end: a value that is cut between two changes is lost to the second


def channels_of(images: Tensor) -> int:
    """1 for grey images (..., 1, H, W), 3 for colour; raises ValueError for any other number."""
    channels = images.shape[-3]
    if channels not in (1, 3):
        raise ValueError(f"Images are grey (1 channel) or red, green and blue (3); these have {channels} channels.")
    return channels
