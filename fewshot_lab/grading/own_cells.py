"""What a learner's own cells add to an answer: the helpers, constants and imports that it needs, and answers written there."""

import ast
import functools
import re
from collections.abc import Sequence

_MAGIC = re.compile(r"(?m)^[ \t]*[%!].*$")  # a line for IPython, not for Python
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # what ast raises for text that a student may write


@functools.lru_cache(256)  # every question asks for the same cells
def parsed(source: str) -> tuple[ast.stmt, ...]:
    """The statements of a cell, without its magics; none where it is no Python."""
    try:
        return tuple(ast.parse(_MAGIC.sub("", source)).body)
    except _UNREADABLE:
        return ()


def defined(source: str) -> set[str]:
    """The names that a cell's own statements define: functions and classes (under if, with or try too), plain assignments."""
    names = set()
    for node in parsed(source):
        names |= _functions(node)
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def needed(cells: Sequence[str], answer: str) -> str:
    """The statements of cells that an answer needs, as one source: all imports, and what gives a value to a name that it uses.

    These statements use names as well, so theirs are followed too. Nothing else is kept, since a learner's own cells may train
    for an hour.

    Args:
        cells: sources, in the order in which they ran.
        answer: the source of the answer.
    """
    statements = [node for source in cells for node in parsed(source)]
    wanted, kept = (
        _used(parsed(answer)),
        {i for i, node in enumerate(statements) if isinstance(node, ast.Import | ast.ImportFrom)},
    )
    found = True
    while found:
        new = {i for i, node in enumerate(statements) if i not in kept and _given(node) & wanted}
        kept, found = kept | new, bool(new)
        wanted |= _used(statements[i] for i in new)
    try:
        return "\n".join(ast.unparse(statements[i]) for i in sorted(kept))
    except _UNREADABLE:
        return ""


def _used(nodes) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _given(node: ast.stmt) -> set[str]:
    """The names to which a statement gives a value or a part of one, as in x = 1, x[0] = 1, x.append(1) and x += 1."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Expr):
        call = node.value
        return {_root(call.func)} if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else set()
    names = _functions(node)
    for n in ast.walk(node):
        if isinstance(n, ast.Name | ast.Attribute | ast.Subscript) and isinstance(n.ctx, ast.Store):
            names.add(_root(n))
        elif isinstance(n, ast.Expr):
            names |= _given(n)
    return names


def _functions(node: ast.stmt) -> set[str]:
    """The functions and classes that a statement defines, itself or under its if, with or try; not those of a loop."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    inner = []
    if isinstance(node, ast.If | ast.With | ast.Try | ast.ExceptHandler):
        inner = [*node.body, *getattr(node, "orelse", ()), *getattr(node, "handlers", ()), *getattr(node, "finalbody", ())]
    return set().union(*map(_functions, inner))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
