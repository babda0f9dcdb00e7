"""Small fully connected networks for small images: the two players of a GAN, the encoder of a VAE, the velocity of a flow."""

import math
from collections.abc import Callable

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.utils.parametrizations import spectral_norm

Score = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Generator(nn.Module):
    """x = G(z, y): noise z (B, noise) and a class y (B, classes), one-hot, to images (B, channels, size, size) in 0..1.

    A row of y that mixes two classes gives an image between them.
    """

    def __init__(self, classes: int, *, size: int, channels: int = 1, noise: int = 32, width: int = 128) -> None:
        super().__init__()
        self.classes, self.noise = classes, noise
        self.layers = nn.Sequential(
            *(nn.Linear(noise + classes, width), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()),
            # A sigmoid, because pixels are in 0..1: the images need no scaling before a classifier sees them.
            *(nn.Linear(width, channels * size * size), nn.Sigmoid(), nn.Unflatten(1, (channels, size, size))),
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.layers(torch.cat([z, y], dim=1))


class Discriminator(nn.Module):
    """D(x, y): images (B, channels, size, size) in 0..1 and class numbers (B,) to scores (B,), high for what looks real.

    Args:
        classes: how many.
        size: pixels a side.
        score: score(features, v, V, labels) -> (B,), from features phi(x) (B, width), v (width,) and V (classes, width).
        channels: of the images.
        width: of the hidden layers.
        spectral: divides every weight matrix by its largest singular value (Miyato et al. 2018, ICLR).
    """

    def __init__(
        self, classes: int, *, size: int, score: Score, channels: int = 1, width: int = 128, spectral: bool = False
    ) -> None:
        super().__init__()
        self.score = score
        normed = spectral_norm if spectral else nn.Identity()
        # No batch norm here: it would let the score of a real image depend on the other images of its batch.
        self.phi = nn.Sequential(
            nn.Flatten(),
            *(normed(nn.Linear(channels * size * size, width)), nn.LeakyReLU(0.2)),
            *(normed(nn.Linear(width, width)), nn.LeakyReLU(0.2)),
        )
        # Layers without their forward pass: only so can spectral_norm wrap v and V, which `score` takes as tensors.
        self.v = normed(nn.Linear(width, 1, bias=False))
        self.V = normed(nn.Linear(width, classes, bias=False))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.score(self.phi(x), self.v.weight[0], self.V.weight, y)


class Encoder(nn.Module):
    """q(z | x, y): images (B, channels, size, size) and one-hot classes y (B, classes) to mean and log-variance, (B, noise)."""

    def __init__(self, classes: int, *, size: int, channels: int = 1, noise: int = 32, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(channels * size * size + classes, width), nn.ReLU()),
            *(nn.Linear(width, width), nn.ReLU()),
            nn.Linear(width, 2 * noise),
        )

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        # The logarithm may be any number, so no layer has to keep a variance positive.
        mean, log_variance = self.layers(torch.cat([x.flatten(1), y], dim=1)).chunk(2, dim=1)
        return mean, log_variance


class Velocity(nn.Module):
    """v(x, t, y): images on their way x (B, channels, size, size), times t (B,) in 0..1 and classes y to velocities like x.

    y: (B, classes), one-hot, or a row of zeros for no class. With its three hidden layers the network has about as many weights
    as a GAN's two players have together.
    """

    def __init__(self, classes: int, *, size: int, channels: int = 1, width: int = 128) -> None:
        super().__init__()
        self.classes, self.shape = classes, (channels, size, size)
        # One number t would move the first layer a little; waves of several lengths let it tell early from late.
        self.register_buffer("waves", math.pi * torch.arange(1.0, 9.0), persistent=False)
        pixels = channels * size * size
        self.layers = nn.Sequential(
            *(nn.Linear(pixels + classes + len(self.waves), width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            *(nn.Linear(width, pixels), nn.Unflatten(1, self.shape)),
        )

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return self.layers(torch.cat([x.flatten(1), y, (t[:, None] * self.waves).cos()], dim=1))
