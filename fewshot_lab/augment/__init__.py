"""Augmentation as short, readable functions: geometry, policies with a strength, mixing."""

from . import geometry, mixing, policies
from .policies import POLICIES, get_policy

__all__ = ["POLICIES", "geometry", "mixing", "policies", "get_policy"]
