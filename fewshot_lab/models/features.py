"""Features that a frozen pretrained network computed once: kept in the cache folder under what they were computed from."""

import hashlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from torch import Tensor

from ..runtime import home, write_atomically


def remembered(name: str, content: bytes, compute: Callable[[], Tensor]) -> Tensor:
    """What `compute` returns (a CPU tensor), taken from the cache folder when `content` was asked for under `name` before."""
    path = home() / "features" / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.npy"
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):  # not there yet, or not readable: compute
        features = compute()
    buffer = BytesIO()
    np.save(buffer, features.numpy())
    write_atomically(path, buffer.getvalue())
    return features
