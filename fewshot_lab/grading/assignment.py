"""What is graded in a chapter: its questions, and what of its cells an answer needs around it."""

import ast
import functools
from dataclasses import dataclass, field

from ..course.build import build
from ..course.chapters import chapters, choose
from ..exercises import Exercise, exercises


@dataclass(frozen=True)
class Question:
    """One graded cell: `grade_id` of the answer cell, points, and the exercise (None for one marked by hand)."""

    grade_id: str
    points: float
    exercise: Exercise | None
    cell_type: str = "code"

    @property
    def title(self) -> str:
        return self.exercise.title if self.exercise else self.grade_id.replace("_", " ")


@dataclass(frozen=True)
class Assignment:
    """A chapter as the grader sees it. `pieces`: (None, code of the release) or (grade_id, "") in the notebook's order.

    Of the release's own cells only imports, definitions, plain constants and `x = lab.yours_or_ours(answer)` are kept, the last
    as `x = answer`: an answer works on its arguments alone, so no experiment has to run. `aliases`: {x: answer}.
    """

    chapter: str
    title: str
    notebook: str
    questions: tuple[Question, ...]
    pieces: tuple[tuple[str | None, str], ...]
    stubs: dict[str, str]
    solved: dict[str, str]
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)


@functools.cache
def assignment(chapter_id: str) -> Assignment:
    """The assignment of a chapter, from its source; raises CourseError for an unknown chapter."""
    [chapter] = choose([chapter_id])
    stubs, solved, pieces, aliases, questions = {}, {}, [], {}, []
    worth = {}
    for released, answered in zip(build(chapter).cells, build(chapter, solved=True).cells, strict=True):
        marks = released.metadata.get("nbgrader", {})
        grade_id = marks.get("grade_id")
        if marks.get("solution"):
            stubs[grade_id], solved[grade_id] = released.source, answered.source
            by_hand = bool(marks.get("grade"))
            questions.append((grade_id, released.cell_type, marks.get("points", 0) if by_hand else None))
            if released.cell_type == "code":
                pieces.append((grade_id, ""))
        elif marks.get("grade"):
            worth[grade_id.removeprefix("check_")] = marks["points"]
        elif released.cell_type == "code" and (kept := _kept(released.source, aliases)):
            pieces.append((None, kept))
    made = tuple(
        Question(grade_id, float(worth.get(grade_id, 1) if points is None else points), exercises().get(grade_id), cell_type)
        for grade_id, cell_type, points in questions
    )
    return Assignment(chapter.id, chapter.title, chapter.notebook.name, made, tuple(pieces), stubs, solved, aliases)


@functools.cache
def by_grade_id() -> dict[str, str]:
    """The chapter of every answer cell."""
    return {grade_id: chapter.id for chapter in chapters() for grade_id in assignment(chapter.id).stubs}


def helpers_of(task: Assignment, source: str) -> set[str]:
    """The other answers that an answer's code calls, by the names that the release gives them or by their own."""
    try:
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {task.aliases.get(name, name) for name in names} & set(task.solved)


def _kept(source: str, aliases: dict[str, str]) -> str:
    kept = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            kept.append(node)
        elif isinstance(node, ast.Assign) and (named := _helpers(node)):
            kept += [ast.parse(f"{name} = {helper}") for name, helper in named.items()]
            aliases |= named
        elif isinstance(node, ast.Assign) and _plain(node.value):
            kept.append(node)
    return "\n".join(ast.unparse(node) for node in kept)


def _helpers(node: ast.Assign) -> dict[str, str]:
    """{x: f, y: g} of `x = lab.yours_or_ours(f)` and of `x, y = lab.yours_or_ours(f), lab.yours_or_ours(g)`."""
    target = node.targets[0]
    pairs = [(target, node.value)]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = list(zip(target.elts, node.value.elts, strict=False))
    named = {}
    for name, value in pairs:
        called = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "yours_or_ours"
        if called and isinstance(name, ast.Name) and isinstance(value.args[0], ast.Name):
            named[name.id] = value.args[0].id
    return named


def _plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True
