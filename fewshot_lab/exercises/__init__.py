"""The exercises of the course, one module per chapter."""

from .declare import Exercise, Mistake, Property, exercise, exercises

__all__ = ["Exercise", "Mistake", "Property", "exercise", "exercises"]
