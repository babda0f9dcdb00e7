"""The parameters of a chapter: the names and defaults in its parameters cell, and values given on the command line."""

import ast
import math
from collections.abc import Iterable
from pathlib import Path

from ..runtime import CourseError
from .chapters import Chapter


def defaults(notebook: Path) -> dict:
    """The names and default values in a notebook's parameters cell (those that are plain Python values)."""
    import papermill

    found = {}
    for name, parameter in papermill.inspect_notebook(papermill_path(notebook)).items():
        try:
            found[name] = ast.literal_eval(parameter["default"])
        except (ValueError, SyntaxError):
            continue
    return found


def with_given(chapter: Chapter, given: Iterable[tuple[str, str]]) -> dict:
    """A chapter's parameters with the given values (as text) put in, read as the type of their defaults.

    Raises CourseError for a name that the chapter does not have and for a value of another type.
    """
    values = defaults(chapter.notebook)
    given = dict(given)
    for name in given:
        if name not in values:
            listed = ", ".join(f"{known} = {value!r}" for known, value in values.items()) or "none"
            raise CourseError(
                f"Chapter {chapter.id} has no parameter {name!r}. Its parameters are: {listed}. To set one that only "
                f"some chapters have, name these chapters: fewshot-lab run CHAPTER... -p {name} {given[name]}"
            )
    return values | {name: read(name, text, values[name], chapter.id) for name, text in given.items()}


def read(name: str, text: str, default, chapter: str):
    """The value that a text stands for, of its default's type; raises CourseError when it is none of that type."""
    if isinstance(default, str):
        return text
    value = _literal(text)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    finite = not isinstance(value, float) or math.isfinite(value)
    if default is None or (type(value) is type(default) and finite):
        return value
    kinds = {int: "a whole number", float: "a number", bool: "True or False", list: "a list such as [1, 5]"}
    needed = kinds.get(type(default), f"a value like {default!r}")
    raise CourseError(f"{name} is {text!r}, but chapter {chapter} needs {needed}; its default is {default!r}.")


def papermill_path(path: Path) -> str:
    """A path for papermill, which would fill in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _literal(text: str):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text
