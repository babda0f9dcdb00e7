"""What the course's methods say about your own data: the last section of every chapter, and the command `fewshot-lab try`."""

from .measures import Growth, growth, learning_curve, reliability, shots_for, suspects
from .trying import try_data

__all__ = ["Growth", "growth", "learning_curve", "reliability", "shots_for", "suspects", "try_data"]
