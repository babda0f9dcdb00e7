"""What is graded in a chapter: its questions, and the parts of its cells that the answers need in order to run."""

import ast
import functools
from collections import defaultdict
from dataclasses import dataclass, field

from ..course.build import build
from ..course.chapters import chapters, choose
from ..course.edition import editions
from ..exercises import Exercise, exercises
from ..languages import speaking


@dataclass(frozen=True)
class Question:
    """One graded answer cell: its grade_id, its points, and its exercise (None if a person marks it)."""

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

    Only imports, definitions, plain constants and `x = lab.yours_or_ours(answer)` are kept of the release's own cells, the last
    as `x = answer`: an answer works on its arguments alone, so no experiment has to run. `aliases`: {x: answer}.
    `stubs` and `solved`: {grade_id: source} of the answer cells, as handed out and as the course solves them. `blanks`: the
    first in every language. `released`: the sources of all other cells of code, in every language. `asked`: {grade_id: the text
    above a question that a person marks}.
    """

    chapter: str
    title: str
    notebook: str
    questions: tuple[Question, ...]
    pieces: tuple[tuple[str | None, str], ...]
    stubs: dict[str, str]
    solved: dict[str, str]
    blanks: dict[str, frozenset[str]]
    aliases: dict[str, str] = field(default_factory=dict)
    released: frozenset[str] = frozenset()
    asked: dict[str, str] = field(default_factory=dict)

    def is_blank(self, grade_id: str, source: str) -> bool:
        """Whether an answer cell is as it was handed out, in whatever language."""
        return source.strip() in self.blanks[grade_id]

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)


@functools.cache
def assignment(chapter_id: str) -> Assignment:
    """The assignment of a chapter, from its source; raises CourseError for an unknown chapter."""
    [chapter] = choose([chapter_id])
    stubs, solved, pieces, aliases, questions, asked, above = {}, {}, [], {}, [], {}, ""
    worth = {}
    blanks, others, handed_out = defaultdict(set), set(), {}
    for edition in editions(chapter):
        with speaking(edition):
            handed_out[edition] = build(chapter).cells
        for cell in handed_out[edition]:
            metadata = cell.metadata.get("nbgrader", {})
            if metadata.get("solution"):
                blanks[metadata["grade_id"]].add(cell.source.strip())
            elif cell.cell_type == "code" and not metadata.get("grade"):
                others.add(cell.source.strip())
    # The two versions have the same cells in the same order: they differ only inside the solution regions.
    with speaking("en"):
        in_solved = build(chapter, solved=True).cells
    for released, answered in zip(handed_out["en"], in_solved, strict=True):
        metadata = released.metadata.get("nbgrader", {})
        grade_id = metadata.get("grade_id")
        if metadata.get("solution"):
            stubs[grade_id], solved[grade_id] = released.source, answered.source
            # nbgrader's scheme: a person marks a cell that is solution and grade in one; otherwise the points are those of
            # the check cell under it, which comes later in the notebook.
            by_hand = bool(metadata.get("grade"))
            questions.append((grade_id, released.cell_type, metadata.get("points", 0) if by_hand else None))
            if by_hand:
                asked[grade_id] = above
            if released.cell_type == "code":
                pieces.append((grade_id, ""))
        elif released.cell_type == "code" and not metadata.get("grade"):
            pieces += [(None, kept) for kept in _kept(released.source, aliases)]
        if released.cell_type == "markdown" and not metadata:
            above = released.source
        elif metadata.get("grade") and not metadata.get("solution"):
            worth[grade_id.removeprefix("check_")] = metadata["points"]
    graded = tuple(
        Question(grade_id, float(worth.get(grade_id, 1) if points is None else points), exercises().get(grade_id), cell_type)
        for grade_id, cell_type, points in questions
    )
    return Assignment(
        chapter.id,
        chapter.title,
        chapter.notebook.name,
        graded,
        tuple(pieces),
        stubs,
        solved,
        {name: frozenset(texts) for name, texts in blanks.items()},
        aliases,
        frozenset(others),
        asked,
    )


@functools.cache
def by_grade_id() -> dict[str, str]:
    """The chapter of every answer cell, {grade_id: chapter}."""
    return {grade_id: chapter.id for chapter in chapters() for grade_id in assignment(chapter.id).stubs}


def helpers_of(task: Assignment, source: str) -> set[str]:
    """The other answers that an answer's code calls, by the names that the release gives them or by their own."""
    try:
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what ast raises for text that a student may write
        return set()
    return {task.aliases.get(name, name) for name in names} & set(task.solved)


def _kept(source: str, aliases: dict[str, str]) -> list[str]:
    """The statements of a released cell that answers may need, in pieces; notes its aliases in `aliases`.

    Each alias is a piece of its own: where one answer is missing, the name of the other has to be there.
    """
    kept, named_ones = [], []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            kept.append(node)
        elif isinstance(node, ast.Assign) and (named := _helpers(node)):
            named_ones += [f"{name} = {helper}" for name, helper in named.items()]
            aliases |= named
        elif isinstance(node, ast.Assign) and _plain(node.value):
            kept.append(node)
    rest = "\n".join(ast.unparse(node) for node in kept)
    return ([rest] if rest else []) + named_ones


def _helpers(node: ast.Assign) -> dict[str, str]:
    """{x: f, y: g} for `x = lab.yours_or_ours(f)` and for `x, y = lab.yours_or_ours(f), lab.yours_or_ours(g)`."""
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
