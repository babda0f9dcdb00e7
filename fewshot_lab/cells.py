"""What the cells of the running notebook last did, as its kernel tells: which names they define, what stopped them."""

import ast
import dis
import inspect
import re
import site
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .languages import Said, say

_MAGIC = re.compile(r"(?m)^[ \t]*[%!].*$")  # a line for IPython, not for Python
# The names that the lines of a cell define that is no Python, as far as one can see.
_DEFINES = re.compile(r"(?m)^(?:async\s+)?(?:def|class)\s+(\w+)|^(\w+)\s*=[^=]")


@dataclass
class _Run:
    """The last run of a cell: its text, and what stopped it. `ended` stays False where the kernel never said how it ended."""

    source: str
    ended: bool = False
    error: BaseException | None = None


_last: dict[str, _Run] = {}  # by cell
_home: dict[str, str] = {}  # the cell that defined a name last
_now: _Run | None = None


def watch() -> None:
    """Has the kernel tell of every cell that runs from now on; does nothing outside of one."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.events.register("pre_run_cell", _begins)
        shell.events.register("post_run_cell", _ends)


def not_on_screen(name: str, function: Callable) -> Said | None:
    """Why a function is not the one that its cell shows; None where it is, or where no cell is known to define the name.

    So it is when the last run of its cell stopped before it came to the function, was interrupted, or defines another name.
    """
    run = _last[_home[name]] if name in _home else None
    if run is None or run is _now:  # what the cell that asks has just defined is what it shows
        return None
    if run.ended and run.error is None and name not in defined(run.source):
        return say(
            "The last run of its cell no longer defines {name}, so this is the version before. Look at the name in that cell, "
            "run it, then run this one again.",
            name=name,
        )
    if run.ended and run.error is None or _text(function) in run.source:
        return None
    return say(
        "The last run of its cell {stopped}, so this is the version before. Mend that cell, run it, then run this one again.",
        stopped=_how(run.error),
    )


def not_handed_in(name: str, function: Callable) -> Said | None:
    """Why a function that works here would not be found, or would not work, in the notebook that is handed in.

    None where nothing speaks against it, or where no cells are known.
    """
    if not _last:
        return None
    if files := sorted({path.name for path in _own_files(function)}):
        return say(
            "{name} uses {files}, and only the notebook is handed in: write what it needs from there into a cell.",
            name=name,
            files=", ".join(files),
        )
    file = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_filename", "")
    of_a_cell = "ipykernel" in file or "<ipython" in file  # also of one that ran before the cells were watched
    if name not in _home and not of_a_cell:
        return say(
            "No cell that ran here defines {name} by its name, so it would not be found when you hand in: write it as "
            "def {name}(...) in its cell.",
            name=name,
        )
    return None


def _own_files(function: Callable) -> Iterator[Path]:
    """The files outside of this Python's libraries that a function, or a function of the cells that it calls, uses."""
    libraries = [sys.prefix, sys.base_prefix, *site.getsitepackages(), site.getusersitepackages(), Path(__file__).parent]
    libraries = [Path(path).resolve() for path in libraries]
    waiting, seen = [inspect.unwrap(function)], set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        module = thing if isinstance(thing, types.ModuleType) else sys.modules.get(getattr(thing, "__module__", None) or "")
        if getattr(module, "__name__", "") != "__main__":
            path = Path(getattr(module, "__file__", None) or sys.prefix).resolve()
            if not any(path.is_relative_to(library) for library in libraries):
                yield path
            continue
        codes = [thing.__code__] if isinstance(thing, types.FunctionType) else []
        while codes:
            code = codes.pop()
            codes += [part for part in code.co_consts if isinstance(part, types.CodeType)]
            waiting += [thing.__globals__[used] for used in code.co_names if used in thing.__globals__]
            imported = [step.argval for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"]
            waiting += [sys.modules[used] for used in imported if used in sys.modules]


def _how(error: BaseException | None) -> Said:
    """How a run stopped, in words."""
    if error is None or isinstance(error, KeyboardInterrupt):
        return say("was interrupted")
    if isinstance(error, SyntaxError) and error.lineno:
        return say("stopped with a {error} in line {line}", error=type(error).__name__, line=error.lineno)
    return say("stopped with a {error}", error=type(error).__name__)


def _begins(info) -> None:
    global _now
    names = defined(info.raw_cell)
    cell = info.cell_id or " ".join(sorted(names))  # a front end that does not name its cells: by what they define
    _last[cell] = _now = _Run(info.raw_cell)
    _home.update(dict.fromkeys(names, cell))


def _ends(result) -> None:
    # An interruption may leave no result; then the run counts as one that did not end.
    if result is not None and _now is not None:
        _now.ended, _now.error = True, result.error_before_exec or result.error_in_exec


def defined(source: str) -> set[str]:
    """The names that a cell gives a value."""
    try:
        return set(_given(ast.parse(_MAGIC.sub("", source))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {name for names in _DEFINES.findall(source) for name in names if name}


def _given(node: ast.AST) -> Iterator[str]:
    """The names that get a value in a statement or in those inside it, but not inside of functions and classes."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.alias():
            yield (node.asname or node.name).split(".")[0]
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return  # what they name is theirs alone
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _given(child)


def _text(function: Callable) -> str:
    """The text of a function as its cell has it; where it cannot be read, a text that no cell has."""
    try:
        return inspect.getsource(inspect.unwrap(function)).rstrip()
    except (OSError, TypeError):
        return "\0"
