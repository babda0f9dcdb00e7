"""Checks that know the typical mistakes of each exercise and name the one that was made."""

from .checks import check, yours_or_ours
from .feedback import Feedback

__all__ = ["Feedback", "check", "yours_or_ours"]
