"""Augmentation as short, readable functions: geometry, policies with a strength, mixing."""

from . import geometry, mixing, policies
from .policies import POLICIES, as_augment, get_policy

__all__ = ["POLICIES", "as_augment", "geometry", "get_policy", "mixing", "policies"]
