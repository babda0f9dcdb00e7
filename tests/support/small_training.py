"""A small network and the digits, to train within a second."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn


def digit_images() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits: float images (1797, 1, 8, 8) in 0..1 and labels."""
    images, labels = load_digits(return_X_y=True)
    images = torch.as_tensor(images.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    return images, torch.as_tensor(labels)


def small_net(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    first = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(128, 10))


def add_noise(images, labels, generator):
    return images + 0.1 * torch.randn(images.shape, generator=generator), labels


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)
