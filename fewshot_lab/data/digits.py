"""Digits: 1,797 handwritten digits, 8 x 8 pixels (UCI; Alpaydin & Kaynak 1998), from scikit-learn."""

import torch

from .images import ImageTask


def task() -> ImageTask:
    """897 training, 300 validation and 600 test images, uint8 (N, 1, 8, 8), by a fixed seed with the classes in proportion."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images, test_images, labels, test_labels = train_test_split(images, labels, test_size=600, random_state=0, stratify=labels)
    parts = train_test_split(images, labels, test_size=300, random_state=0, stratify=labels)
    train_images, validation_images, train_labels, validation_labels = parts
    return ImageTask(
        "digits",
        tuple("0123456789"),
        _bytes(train_images),
        torch.from_numpy(train_labels).long(),
        _bytes(validation_images),
        torch.from_numpy(validation_labels).long(),
        _bytes(test_images),
        torch.from_numpy(test_labels).long(),
    )


def _bytes(images) -> torch.Tensor:
    # scikit-learn's pixels are 0..16.
    return torch.from_numpy(images * 255 / 16).round().to(torch.uint8).reshape(-1, 1, 8, 8)
