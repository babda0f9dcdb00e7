"""`hint`: help with an exercise that goes one step further at each request: the idea, the steps, the solution."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from .. import attempts, runtime
from ..errors import CourseError
from ..exercises import Exercise, get_exercise
from ..html import box, paragraph
from ..languages import language, later, say
from .build import build
from .chapters import choose

HEADS = (later("The idea"), later("Step by step"), later("A solution"))

_given: dict[str, int] = {}  # by exercise, how far this kernel went: for those whose progress is not noted


@dataclass(frozen=True)
class Hint:
    """Help with an exercise up to a rung of the ladder, as a box in a notebook and as plain lines in a terminal.

    parts: (head, text or list of steps) of each rung. then: what comes next.
    """

    exercise: Exercise
    parts: tuple[tuple[str, str | tuple[str, ...]], ...]
    then: str

    def __str__(self) -> str:
        lines = [say("Help: {title}.", title=say(self.exercise.title))]
        for head, text in self.parts:
            told = [f"{number}. {step}" for number, step in enumerate(text, 1)] if isinstance(text, tuple) else text.split("\n")
            lines += [f"{head}:", *(f"  {line}" for line in told)]
        return "\n".join([*lines, self.then])

    __repr__ = __str__

    def as_html(self) -> Markup:
        """The help as a box in HTML."""
        content = Markup("<strong>{}</strong>").format(say("Help: {title}.", title=say(self.exercise.title)))
        for head, text in self.parts:
            if isinstance(text, tuple):
                steps = Markup("").join(Markup("<li>{}</li>").format(step) for step in text)
                told = Markup("<ol style='margin:.2em 0'>{}</ol>").format(steps)
            else:
                told = paragraph(text, ".2em")
            content += Markup("<div style='margin-top:.4em'><em>{}</em>{}</div>").format(head, told)
        return box(content + Markup("<div style='margin-top:.4em'>{}</div>").format(self.then))

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self.as_html()}


def hint(function: Callable, rung: int | None = None) -> Hint:
    """Helps with the exercise of the function's name, one step further at each call: its idea, the steps, a solution.

    The solution comes after an honest try: once the function is no longer as it was handed out. In a learner's own notebook the
    progress kept on this machine counts how far the help went. How far it may go is the `hints` of `lab.setup`.

    Args:
        function: the learner's function, written or not.
        rung: 1 to 3, to read the help again up to there; None for one step further than before.

    Raises CourseError when no exercise has that name, or for another rung.
    """
    if not callable(function):
        raise TypeError("hint takes the function itself: lab.hint(rotation_matrix), without calling it.")
    if rung not in (None, 1, 2, 3):
        raise CourseError(say("rung is {rung!r}; 1 is the idea, 2 the steps, 3 a solution.", rung=rung))
    task, most = get_exercise(getattr(function, "__name__", repr(function))), runtime.current().hints
    before = max(_given.get(task.name, 0), attempts.hints(task.name))
    rung = min(rung or before + 1, most)
    then = _next(task.name, rung, most)
    if rung == len(HEADS) and _as_handed_out(function, task):
        rung = 2
        then = say("A solution comes after an honest try: write the body, run its cell, and ask again.")
    _given[task.name] = max(before, rung)
    attempts.note_hint(task.name, rung)
    texts = (say(task.idea), tuple(map(say, task.steps)), _cell(task, solved=True) if rung == len(HEADS) else "")
    return Hint(task, tuple((say(head), text) for head, text in list(zip(HEADS, texts, strict=True))[:rung]), then)


def _next(name: str, rung: int, most: int) -> str:
    """What a learner may do after this rung."""
    if most == 0:
        return say("Whoever handed this notebook out has turned its hints off.")
    if rung < most:
        return say("Still stuck? Run lab.hint({name}) again: the next part is “{head}”.", name=name, head=say(HEADS[rung]))
    if most < len(HEADS):
        return say("That is all the help that this notebook was handed out with.")
    return say("Close it, write it in your own words, and run the check.")


def _as_handed_out(function: Callable, task: Exercise) -> bool:
    """Whether the function's code is still that of the learner's notebook; False where its code cannot be read."""
    try:
        mine = _code(textwrap.dedent(inspect.getsource(function)), task.name)
    except (OSError, TypeError, SyntaxError):
        return False
    return mine == _code(_cell(task, solved=False), task.name)


def _code(text: str, name: str) -> str:
    """The function of that name in a text, without comments, docstring and layout; "" when it is not there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            return "\n".join(map(ast.unparse, body))
    return ""


def _cell(task: Exercise, solved: bool) -> str:
    """The text of the exercise's cell in the learner's notebook or in the solved one."""
    return _cells(task.chapter, solved, language())[task.name]


@functools.cache
def _cells(number: str, solved: bool, edition: str) -> dict[str, str]:
    """The texts of a chapter's exercises by name, as they are handed out or solved."""
    [chapter] = choose([number])
    return {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in build(chapter, solved).cells}
