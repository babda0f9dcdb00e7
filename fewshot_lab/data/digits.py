"""Digits: 1,797 handwritten digits, 8 x 8 pixels (UCI; Alpaydin & Kaynak 1998), from scikit-learn."""

import torch

from .images import ImageTask


def task() -> ImageTask:
    """1,197 training and 600 test images, uint8 (N, 1, 8, 8), split by a fixed seed with the classes in proportion."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=600, random_state=0, stratify=labels)
    # scikit-learn's pixels are 0..16.
    train_images, test_images = (
        torch.from_numpy(part * 255 / 16).round().to(torch.uint8).reshape(-1, 1, 8, 8) for part in parts[:2]
    )
    train_labels, test_labels = (torch.from_numpy(part).long() for part in parts[2:])
    return ImageTask("digits", tuple("0123456789"), train_images, train_labels, test_images, test_labels)
