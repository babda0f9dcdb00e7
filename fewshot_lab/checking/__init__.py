"""Checks that know the typical mistakes of each exercise and name the one that was made."""

from .checks import CheckFailed, check, examine, yours_or_ours
from .errors import RemoteAnswer, RemoteEnded, RemoteError
from .feedback import Feedback

__all__ = ["RemoteError", "CheckFailed", "RemoteAnswer", "Feedback", "RemoteEnded", "check", "examine", "yours_or_ours"]
