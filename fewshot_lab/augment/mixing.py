"""Augmentations that mix images or blank parts of them: mixup, CutMix, cutout.

Images are (B, C, H, W), float or uint8, and come back in their own type; shares of labels are float.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def mixup(
    images: Tensor, labels: Tensor, num_classes: int, *, alpha: float = 0.2, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Blends each image and its label with another of the batch: x = lambda x_i + (1 - lambda) x_j, likewise y.

    labels: (B,) whole numbers or (B, classes) shares; lambda ~ Beta(alpha, alpha), one draw per pair. Returns the blended
    images and labels (B, classes) whose rows sum to one. Raises ValueError for labels of another kind. Source: Zhang et al.
    2018 (ICLR), equation 1.
    """
    x = _as_float(images)
    share = _beta(alpha, len(images), generator).to(x)  # (B,)
    partner = torch.randperm(len(images), generator=generator)
    labels = _soft(labels, num_classes, x)
    blended = _blend(x, x[partner], share[:, None, None, None])
    if images.dtype == torch.uint8:
        blended = blended.round().to(torch.uint8)
    return blended, _blend(labels, labels[partner], share[:, None])


def cutmix(
    images: Tensor, labels: Tensor, num_classes: int, *, alpha: float = 1.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Pastes a box of another image of the batch into each image; labels mix by the area that was really pasted.

    The box has the share 1 - lambda of the image's area, lambda ~ Beta(alpha, alpha), and its centre is uniform, so part
    of it may fall outside. Returns images and labels (B, classes). Raises ValueError for labels of another kind. Source: Yun et
    al. 2019 (ICCV), equations 1 and 2.
    """
    x = _as_float(images)
    share = _beta(alpha, len(images), generator)
    partner = torch.randperm(len(images), generator=generator)
    inside = _boxes(images, (1 - share).sqrt(), generator)  # (B, 1, H, W)
    kept = 1 - inside.to(x).mean(dim=(1, 2, 3))  # (B,): the share of the area that is still the image's own
    labels = _soft(labels, num_classes, x)
    return torch.where(inside, images[partner], images), _blend(labels, labels[partner], kept[:, None])


def cutout(images: Tensor, side: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Sets to 0 a square whose side is the share `side` (0..1) of the image's, at a random place.

    Source: DeVries & Taylor 2017 (arXiv 1708.04552).
    """
    return images.masked_fill(_boxes(images, torch.full((len(images),), float(side)), generator), 0.0)


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return share * first + (1 - share) * second


def _beta(alpha: float, count: int, generator: torch.Generator | None) -> Tensor:
    """Draws from Beta(alpha, alpha) as a ratio of Gamma draws, which take a generator."""
    if alpha <= 0:
        raise ValueError(f"alpha is {alpha}; Beta(alpha, alpha) needs a number above 0.")
    shape = torch.full((2, count), float(alpha), dtype=torch.float64)
    first, second = torch._standard_gamma(shape, generator=generator).clamp_min(1e-300)
    return (first / (first + second)).float()


def _as_float(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        return images.float()
    if not images.is_floating_point():
        raise ValueError(f"Images are float in 0..1 or uint8 in 0..255; these are {images.dtype}.")
    return images


def _soft(labels: Tensor, num_classes: int, images: Tensor) -> Tensor:
    """Labels as shares (B, classes) in the images' type, which is float: a share of 0.3 would be 0 as a whole number."""
    if labels.shape == (len(images),) and not labels.is_floating_point():
        return F.one_hot(labels.long(), num_classes).to(images)
    if labels.shape == (len(images), num_classes):
        return labels.to(images)
    raise ValueError(
        f"Labels are class numbers ({len(images)},) or shares ({len(images)}, {num_classes}); these are {labels.dtype} "
        f"{tuple(labels.shape)}."
    )


def _boxes(images: Tensor, side: Tensor, generator: torch.Generator | None) -> Tensor:
    """A (B, 1, H, W) mask, true in one box per image: `side` (B,) is its share of each side, its centre is uniform."""
    batch, _, height, width = images.shape
    centre = torch.rand(2, batch, generator=generator)

    def within(size: int, middle: Tensor) -> Tensor:  # (B, size)
        position = torch.arange(size) + 0.5
        return (position - middle[:, None] * size).abs() < side[:, None] * size / 2

    box = within(height, centre[0])[:, None, :, None] & within(width, centre[1])[:, None, None, :]
    return box.to(images.device)
