"""Augmentation as short, readable functions: geometry, colour, policies with a strength, mixing."""

from . import colour, geometry, mixing, policies
from .policies import POLICIES, as_augment, get_policy

__all__ = ["POLICIES", "as_augment", "colour", "geometry", "get_policy", "mixing", "policies"]
