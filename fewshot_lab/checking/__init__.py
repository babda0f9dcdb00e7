"""Checks that know the typical mistakes of each exercise and name the one that was made."""

from .checks import AnswerStopped, CheckFailed, Elsewhere, Interrupted, check, examine, yours_or_ours
from .feedback import Feedback

__all__ = ["AnswerStopped", "CheckFailed", "Elsewhere", "Feedback", "Interrupted", "check", "examine", "yours_or_ours"]
