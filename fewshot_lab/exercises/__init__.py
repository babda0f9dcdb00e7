"""The exercises of the course, in one or more modules per chapter."""

from .declare import Exercise, Mistake, Property, exercises, get_exercise

__all__ = ["Exercise", "Mistake", "Property", "exercises", "get_exercise"]
