"""The one error that is meant for the people who use the course."""


class CourseError(RuntimeError):
    """An error for the person at the keyboard: its text says what was given, what is needed and what to do."""
