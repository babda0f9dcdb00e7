"""MNIST: the 10,000 handwritten digits of its test part, 28 x 28 (LeCun, Bottou, Bengio & Haffner 1998).

Its makers scaled each digit to 20 pixels and laid its centre of mass in the middle. The first half was written by employees of
the Census Bureau, the second by students; no writer of this part wrote one of MNIST's training part.
"""

import numpy as np
import torch

from ..assets import fetch
from .episodes import Pool

CLASSES = tuple("0123456789")


def pool() -> Pool:
    """All 10,000 digits as a pool of episodes, uint8 (10000, 1, 28, 28), white on black; fetches the asset "mnist"."""
    folder = fetch("mnist")
    # The format IDX: a header of 16 bytes for images and of 8 for labels, then one byte a pixel or a label.
    images = np.fromfile(folder / "t10k-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / "t10k-labels-idx1-ubyte", np.uint8, offset=8)
    return Pool("MNIST", torch.from_numpy(images), torch.from_numpy(labels).long(), CLASSES, ("MNIST",) * len(CLASSES))
