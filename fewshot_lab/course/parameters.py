"""A chapter's parameters: names and defaults from its parameters cell, and values from the command line."""

import ast
import math
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import CourseError
from ..languages import say
from .chapters import Chapter


def defaults(chapter: Chapter, nb) -> dict:
    """The names and default values in the parameters cell of a chapter's notebook, as far as they are plain Python values."""
    # Parsed, not executed: this process must not run a notebook's code in order to read it.
    values = {}
    for statement in _statements(chapter, nb):
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                try:
                    values[name] = ast.literal_eval(value)
                except ValueError:
                    continue
    return values


def with_given(chapter: Chapter, nb, given: Iterable[tuple[str, str]]) -> dict:
    """A chapter's parameters with the given values (as text), each converted to the type of its default.

    Raises CourseError for a name that the chapter does not have and for a value of another type.
    """
    values = defaults(chapter, nb)
    given = dict(given)
    for name in given:
        if name not in values:
            listed = ", ".join(f"{known} = {value!r}" for known, value in values.items()) or "none"
            raise CourseError(
                say(
                    "Chapter {id} has no parameter {name!r}. Its parameters are: {listed}. To set one that only some "
                    "chapters have, name these chapters: fewshot-lab run CHAPTER... -p {name} {given}",
                    id=chapter.id,
                    name=name,
                    listed=listed,
                    given=given[name],
                )
            )
    return values | {name: read(name, text, values[name], chapter.id) for name, text in given.items()}


def read(name: str, text: str, default, chapter: str):
    """A text as a value of the default's type; raises CourseError when it cannot be one."""
    if isinstance(default, str):
        return text if default else _from_here(text)  # what is empty by default is the place of the user's own data
    value = _literal(text)
    if isinstance(default, float) and type(value) is int:  # type, not isinstance: True is an int too
        value = float(value)
    finite = not isinstance(value, float) or math.isfinite(value)
    if finite and (default is None or type(value) is type(default)):
        return value
    kinds = {int: say("a whole number"), float: say("a number"), bool: say("True or False"), list: say("a list such as [1, 5]")}
    needed = kinds.get(type(default)) or say("a value like {default!r}", default=default)
    raise CourseError(
        say(
            "{name} is {text!r}, but chapter {chapter} needs {needed}; its default is {default!r}.",
            name=name,
            text=text,
            chapter=chapter,
            needed=needed,
            default=default,
        )
    )


def _from_here(text: str) -> str:
    """A path as the user means it, from the folder where the command was typed: a chapter runs in another one.

    A word that is the path of nothing may be a name, such as "daily" for CORPUS, and stays.
    """
    path = Path(text).expanduser()
    is_path = any(mark in text for mark in ("/", os.sep, "~")) or path.suffix or path.exists()
    return str(path.absolute()) if text and is_path else text


def _statements(chapter: Chapter, nb) -> list[ast.stmt]:
    source = next((cell.source for cell in nb.cells if _is_parameters(cell)), "")
    try:
        return ast.parse(source).body
    except SyntaxError as error:
        place = {"line": error.lineno, "name": chapter.notebook.name}
        where = say("line {line} of the parameters cell of {name}", **place)
        raise CourseError(
            say("{where} is no valid Python ({msg}): repair it, such as SEED = 0.", where=where, msg=error.msg)
        ) from error


def _is_parameters(cell) -> bool:
    return cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])


def _literal(text: str):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError):
        return text
