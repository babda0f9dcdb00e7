"""What the course's methods say about your own data: the last section of every chapter, and the command `fewshot-lab try`."""

from .chapters import (
    edits,
    from_few,
    generated,
    images,
    policy,
    prompted,
    robustness,
    tags,
    temperature,
    texts,
    turns,
    which_features,
    whole,
)
from .trying import try_data

__all__ = [
    "edits",
    "from_few",
    "generated",
    "images",
    "policy",
    "prompted",
    "robustness",
    "tags",
    "temperature",
    "texts",
    "try_data",
    "turns",
    "which_features",
    "whole",
]
