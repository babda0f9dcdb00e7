"""Mutants: every solved answer with one thing changed, examined as a submission's answers are.

    python tests/grading/mutants.py [QUESTION ...]

prints, for every question, how many mutants there are, how many are refused, and those that pass. equivalent.txt lists the
mutants that are right answers too, each with the reason.
"""

import ast
import contextlib
import copy
import difflib
import functools
import io
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from fewshot_lab.checking import checks, examine
from fewshot_lab.course.chapters import chapters
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.grade import FRESH_CASES, _hidden

CHAPTERS = [chapter.id for chapter in chapters()]
SECONDS_A_CALL = 2.0
ARITHMETIC = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div, ast.Add), ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mult), ast.Mod: (ast.FloorDiv,), ast.Pow: (ast.Mult,), ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
COMPARISON = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE), ast.NotEq: (ast.Eq, ast.Lt, ast.Gt), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
PAIRS = (
    "mean sum", "min max", "argmin argmax", "any all", "softmax log_softmax", "sin cos", "clamp_min clamp_max", "zeros ones",
    "zeros_like ones_like", "round floor", "repeat_interleave repeat",
)  # fmt: skip
NAMES = {one: other for pair in PAIRS for one, other in (pair.split(), pair.split()[::-1])}
NAMES |= {"std": "var", "log2": "log", "square": "abs", "softplus": "relu", "trace": "sum", "norm": "sum", "log": "log1p"}


@dataclass(frozen=True)
class Mutant:
    """One change of a solved answer. `before` and `after`: the changed lines as `ast.unparse` writes them."""

    chapter: str
    question: str
    before: str
    after: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What an explanation in equivalent.txt belongs to: it no longer applies when the line is rewritten."""
        return self.question, self.before, self.after


@dataclass(frozen=True)
class Outcome:
    """`stopped`: refused because the answer raises an error."""

    refused: bool
    stopped: bool


@functools.cache
def mutants(chapter: str, question: str) -> list[Mutant]:
    """All different mutants of a question's solved answer; docstrings and imports stay as they are."""
    tree = ast.parse(assignment(chapter).solved[question])
    original, sources = ast.unparse(tree).splitlines(), {}
    for path, node in list(_nodes(tree)):
        for new in _changes(node, _at(tree, path[:-1]), tree):
            changed = copy.deepcopy(tree)
            _put(changed, path, new)
            source = ast.unparse(ast.fix_missing_locations(changed))
            with contextlib.suppress(SyntaxError):
                compile(source, question, "exec")
                sources.setdefault(source, None)  # two changes may give the same source
    different = []
    for source in sources:
        lines = [line for line in difflib.ndiff(original, source.splitlines()) if line[0] in "+-"]
        before, after = (" ".join(line[2:].strip() for line in lines if line[0] == sign) for sign in "-+")
        if lines:
            different.append(Mutant(chapter, question, before, after, source))
    return different


def _nodes(node: ast.AST, path: tuple = ()) -> Iterator[tuple[tuple, ast.AST]]:
    """Every node below this one that may be changed, with the path to it: (field, index in the field's list or None)."""
    for name, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if not isinstance(child, ast.AST) or is_docstring or isinstance(child, ast.Import | ast.ImportFrom | ast.arguments):
                continue
            yield (*path, (name, index)), child
            yield from _nodes(child, (*path, (name, index)))


def _at(tree: ast.AST, path: tuple) -> ast.AST:
    for name, index in path:
        tree = getattr(tree, name) if index is None else getattr(tree, name)[index]
    return tree


def _put(tree: ast.AST, path: tuple, new) -> None:
    """Replaces the node at `path` by another or by a list of statements; None removes it."""
    holder, (name, index) = _at(tree, path[:-1]), path[-1]
    if index is None:
        setattr(holder, name, new)
    else:
        getattr(holder, name)[index : index + 1] = [] if new is None else new if isinstance(new, list) else [new]


def _changes(node: ast.AST, parent: ast.AST, tree: ast.AST) -> Iterator:
    """The nodes, or lists of statements, that may replace this one."""
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            yield from (ast.BinOp(left, other(), right) for other in ARITHMETIC[type(op)])
            yield from (left, right, _minus(node))
            if not _commutes(op, left, right):
                yield ast.BinOp(right, op, left)
        case ast.AugAssign(target=target, op=op, value=value):
            yield from (ast.AugAssign(target, other(), value) for other in ARITHMETIC[type(op)])
            yield from (ast.Assign([target], value), ast.Pass())
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield from (ast.Compare(left, [other()], [right]) for other in COMPARISON[type(op)])
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            yield from values
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant():
            yield from _constants(node, parent)
        case ast.Name(id=name, ctx=ast.Load()):
            parameters = [one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)]
            if name in parameters and len(parameters) > 1:
                yield ast.Name(parameters[(parameters.index(name) + 1) % len(parameters)], ast.Load())
            if name in NAMES:
                yield ast.Name(NAMES[name], ast.Load())
        case ast.Attribute(value=value, attr=attr):
            if attr == "T":
                yield value
            if attr in NAMES:
                yield ast.Attribute(value, NAMES[attr], ast.Load())
        case ast.Call(func=function, args=args, keywords=keywords):
            yield from args[:2]
            if isinstance(function, ast.Attribute) and function.attr != "item" and not _is_module(function.value, tree):
                yield function.value  # a tensor without dimensions may stand for a number: .item() is not dropped
            if len(args) > 1 and not (isinstance(function, ast.Name) and function.id in ("min", "max")):
                yield ast.Call(function, [args[1], args[0], *args[2:]], keywords)
            yield from (ast.Call(function, args, [k for k in keywords if k is not one]) for one in keywords)
            if isinstance(function, ast.Name) and function.id == "range":
                yield from (ast.Call(function, [*args[:-1], _plus(args[-1], by)], []) for by in (1, -1))
        case ast.Subscript(value=value, slice=index):
            yield value
            if not isinstance(index, ast.Slice | ast.Tuple | ast.Constant):
                yield from (ast.Subscript(value, _plus(index, by), ast.Load()) for by in (1, -1))
        case ast.Slice(lower=lower, upper=upper, step=step):
            for low, high in ((None, upper), (lower, None)):
                yield ast.Slice(low, high, step)
            for by in (1, -1):
                yield ast.Slice(lower and _plus(lower, by), upper, step)
                yield ast.Slice(lower, upper and _plus(upper, by), step)
        case ast.Tuple(elts=[one, other, *rest], ctx=ast.Load()) | ast.List(elts=[one, other, *rest], ctx=ast.Load()):
            yield type(node)([other, one, *rest], ast.Load())
        case ast.comprehension(target=target, iter=several, ifs=ifs):
            yield from (ast.comprehension(target, _short(several, end), ifs, 0) for end in ("[1:]", "[:-1]"))
            yield from (ast.comprehension(target, several, [one for one in ifs if one is not left], 0) for left in ifs)
        case ast.For(target=target, iter=several, body=body, orelse=orelse):
            yield from (ast.For(target, _short(several, end), body, orelse) for end in ("[1:]", "[:-1]"))
            yield ast.Pass()
        case ast.If(test=test, body=body, orelse=orelse):
            yield from (body, orelse or ast.Pass())
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield from (body, orelse, ast.IfExp(test, orelse, body))
        case ast.With(body=body):
            yield body
        case ast.Lambda(args=args, body=body):
            yield ast.Lambda(args, _minus(body))
        case ast.Assign() | ast.Expr():
            yield ast.Pass()
        case ast.Return(value=value) if not isinstance(value, ast.Tuple):
            yield ast.Return(_minus(value))


def _constants(node: ast.Constant, parent: ast.AST) -> Iterator[ast.expr]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int) and isinstance(parent, ast.keyword) and parent.arg == "dim":
        yield from (ast.Constant(dim) for dim in (0, 1, -1) if dim != value)
    elif isinstance(value, int):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, float):
        yield from (ast.Constant(float(f"{value * by:.6g}") if value else by) for by in (1.1, 0.9))
    elif isinstance(value, str) and isinstance(parent, ast.JoinedStr):
        yield ast.Constant(value[1:])
    elif isinstance(value, str):
        yield ast.Constant({"sum": "mean", "mean": "sum"}.get(value, value + "x"))


def _commutes(op: ast.operator, left: ast.expr, right: ast.expr) -> bool:
    lists = any(isinstance(one, ast.List) for side in (left, right) for one in ast.walk(side))
    return isinstance(op, ast.Mult | ast.BitAnd | ast.BitOr) or isinstance(op, ast.Add) and not lists


def _plus(value: ast.expr, by: int) -> ast.expr:
    return ast.BinOp(value, ast.Add(), ast.Constant(by))


def _minus(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), value)


def _short(several: ast.expr, end: str) -> ast.expr:
    return ast.Subscript(ast.Call(ast.Name("list"), [several], []), ast.parse(f"x{end}", mode="eval").body.slice, ast.Load())


def _is_module(value: ast.expr, tree: ast.AST) -> bool:
    """Whether the name before a dot is a module's, which is so when the answer never assigns to it."""
    while isinstance(value, ast.Attribute):
        value = value.value
    stored = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    stored |= {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}
    return isinstance(value, ast.Name) and value.id not in stored


@functools.cache
def _chapter_names(chapter: str) -> dict:
    """The names around an answer: the release's kept cells and the other solved answers, executed."""
    names: dict = {"__name__": "__main__"}
    task = assignment(chapter)
    for grade_id, source in task.pieces:
        with contextlib.suppress(Exception):  # as in the sandbox: an error in such a cell is not the answer's
            exec(task.solved[grade_id] if grade_id else source, names)
    return names


def examined(mutant: Mutant, seed: str = "mutants") -> Outcome:
    """How grading judges a mutant: the same examination, in this process."""
    [question] = [q for q in assignment(mutant.chapter).questions if q.grade_id == mutant.question]
    names = dict(_chapter_names(mutant.chapter))
    quick = patch.object(checks, "SECONDS_A_CALL", SECONDS_A_CALL)
    with quick, warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            exec(mutant.source, names)
            answer = names[question.exercise.name]
            feedback = examine(question.exercise, answer, _hidden(seed, question.exercise.name), FRESH_CASES)
        except Exception:  # as in grading: what cannot be compared is refused
            return Outcome(True, True)
    return Outcome(feedback.status != "passed", feedback.message.startswith("Your function stopped"))


@functools.cache
def explained() -> dict[tuple[str, str, str], str]:
    """{(question, line before, line after): why this mutant is a right answer too}, from equivalent.txt."""
    reasons = {}
    for block in (Path(__file__).parent / "equivalent.txt").read_text().strip().split("\n\n"):
        question, *lines, reason = block.split("\n")
        for line in lines:
            if line[0] == "-":
                before = line[2:]
            else:
                reasons[question, before, line[2:]] = reason
    return reasons


FREE = {"few_shot_method"}  # a method of the learner's own: any that is accurate enough on held-out episodes is right


def graded_questions() -> list[tuple[str, str]]:
    """Chapter and grade id of every question that the grader examines, except those in FREE."""
    every = [(chapter, q.grade_id) for chapter in CHAPTERS for q in assignment(chapter).questions if q.exercise]
    return [(chapter, question) for chapter, question in every if question not in FREE]


def main(wanted: list[str]) -> None:
    totals: dict[str, list[int]] = {}
    heads = ("mutants", "refused", "stopped", "explained", "passed", "seconds")
    print(f"{'':29}{''.join(f'{head:>10}' for head in heads)}")
    for chapter, question in graded_questions():
        if wanted and question not in wanted and chapter not in wanted:
            continue
        started = time.monotonic()
        outcomes = [(mutant, examined(mutant)) for mutant in mutants(chapter, question)]
        left = [mutant for mutant, outcome in outcomes if not outcome.refused]
        known = [mutant for mutant in left if mutant.key in explained()]
        stopped = sum(outcome.stopped for _, outcome in outcomes)
        row = [len(outcomes), len(outcomes) - len(left), stopped, len(known), len(left) - len(known)]
        totals[chapter] = [a + b for a, b in zip(totals.get(chapter, [0] * 5), row, strict=True)]
        print(f"{chapter:2} {question:26}{''.join(f'{n:10}' for n in row)} {time.monotonic() - started:9.1f}", flush=True)
        for mutant in left:
            if mutant not in known:
                print(f"     - {mutant.before}\n     + {mutant.after}")
    totals["all"] = [sum(column) for column in zip(*totals.values(), strict=True)]
    for chapter, row in totals.items():
        share = row[1] / (row[0] - row[3])
        print(f"{chapter:29}{''.join(f'{n:10}' for n in row)}   {share:.1%} of those that are not explained are refused")


if __name__ == "__main__":
    main(sys.argv[1:])
