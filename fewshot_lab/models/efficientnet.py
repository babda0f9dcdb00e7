"""EfficientNet-Lite0 (Tan & Le 2019, ICML) with ImageNet weights: features of small images."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import assets
from ..files import cached_on_disk
from ..runtime import choose_device

MEAN, SCALE = 0.498, 0.502  # of the normalisation in the network's own training
BATCH = 64


def efficientnet_lite0() -> nn.Module:
    """The network without its classification layer, in evaluation mode: normalised images (B, 3, H, W) -> features (B, 1280).

    Fetches the asset `efficientnet-lite0` when it is not installed. Raises RuntimeError when its tensors do not fit.
    """
    import timm

    # The tf_ variant, whose padding is TensorFlow's: the plain efficientnet_lite0 loads the same weights and is silently wrong.
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    [path] = assets.fetch("efficientnet-lite0").glob("*.pth")
    tensors, names = torch.load(path, weights_only=True, map_location="cpu"), list(model.state_dict())
    if len(tensors) != len(names):
        raise RuntimeError(f"{path.name} holds {len(tensors)} tensors, timm's tf_efficientnet_lite0 has {len(names)}.")
    # By position: the asset's tensors have other names than timm's, but the same order and shapes.
    model.load_state_dict(dict(zip(names, tensors.values(), strict=True)))
    model.reset_classifier(0)
    return model.eval().to(memory_format=torch.channels_last)  # twice as fast on a CPU


def lite0_features(images: Tensor, *, side: int = 128, device: str = "auto", progress=iter) -> Tensor:
    """Features (N, 1280) of images, kept in the cache folder; raises ValueError for images that are not uint8.

    Args:
        images: uint8 (N, 1 or 3, H, W).
        side: pixels a side to which they are enlarged. The network was trained at 224; at 128 it is four times faster.
        device: see `choose_device`.
        progress: progress(batches) is a bar around the loop.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"Images are uint8 in 0..255; these are {images.dtype}: multiply floats in 0..1 by 255 and round.")
    content = str(tuple(images.shape)).encode() + np.ascontiguousarray(images.cpu().numpy()).tobytes()
    return cached_on_disk(f"efficientnet-lite0-{side}", content, lambda: _embed(images, side, choose_device(device), progress))


def prepared(images: Tensor, side: int) -> Tensor:
    """uint8 images (B, 1 or 3, H, W) as the network expects them: (B, 3, side, side), normalised."""
    large = F.interpolate(images.float() / 255, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return ((large.expand(-1, 3, -1, -1) - MEAN) / SCALE).contiguous(memory_format=torch.channels_last)


@functools.cache
def _network(device: str) -> nn.Module:
    """The network, read once: it is not changed here. Who calls `efficientnet_lite0` gets one of their own."""
    return efficientnet_lite0().to(device)


def _embed(images: Tensor, side: int, device: str, progress) -> Tensor:
    model = _network(device)
    with torch.inference_mode():
        return torch.cat([model(prepared(batch.to(device), side)).cpu() for batch in progress(images.split(BATCH))])
