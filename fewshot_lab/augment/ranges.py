"""What images must be before anything is changed in them: uint8 in 0..255, or float in 0..1."""

import torch
from torch import Tensor

SLACK = 1e-3  # by which float images may leave 0..1: arithmetic of few bits leaves as much


def check_images(images: Tensor) -> Tensor:
    """Returns the images; raises ValueError for float images outside 0..1, and for numbers that are neither float nor uint8.

    Where values are cut to 0..1, normalised images lose all that is below 0, and images in 0..255 nearly everything.
    """
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise ValueError(f"Images are float in 0..1 or uint8 in 0..255; these are {images.dtype}.")
    if not images.numel():
        return images
    low, high = (bound.item() for bound in images.detach().aminmax())
    if low < -SLACK:
        raise ValueError(
            f"Images are float in 0..1; these run from {low:.3g} to {high:.3g}, as normalised ones do. Give them as they were "
            "before, and normalise inside the model: torch.nn.Sequential(torchvision.transforms.Normalize(mean, std), model)."
        )
    if high > 1 + SLACK:
        raise ValueError(f"Images are float in 0..1; these run from {low:.3g} to {high:.3g}. Divide them by 255 first.")
    return images


def as_floats(images: Tensor) -> Tensor:
    """uint8 images in 0..255 as floats in 0..1; floats come back as they are, so nothing is divided twice."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def check_temperature(temperature: float) -> None:
    """Raises ValueError for a temperature that is not above 0 and finite: logits are divided by it."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"The temperature is {temperature}; logits are divided by it, so it must be a finite number above 0.")
