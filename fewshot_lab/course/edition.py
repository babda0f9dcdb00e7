"""A chapter in another language: the same cells, ids and code, every text from a catalogue (gettext) beside the source.

The texts of a chapter are its markdown, paragraph by paragraph; the docstrings of its functions; its comments; and the strings
that people read: what figures are told (`SHOWN`) and what is said (`SAID`). A text in code is written as the source has it,
braces included, so that a translation may move what is computed to where its language wants it.
"""

import ast
import functools
import inspect
import io
import itertools
import re
import textwrap
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import CourseError
from ..languages import KNOWN, say
from .chapters import Chapter

ANSWER_HERE = "YOUR ANSWER HERE"  # by which the grader and a newer copy know a blank answer, in every language
SHOWN = frozenset({"title", "x", "y", "caption", "alt", "colour", "levels"})  # arguments of figures
SAID = frozenset({"print", "recall", "Markdown"})
_PARAGRAPHS = re.compile(r"(\n\s*\n)")
_SET_UP = re.compile(r"(?m)^lab\.setup\(")  # the notebook's kernel speaks its language, wherever it is opened
_LETTERS = re.compile(r"[^\W\d_]{2}")


def catalogue_of(chapter: Chapter, language: str) -> Path:
    """The .po file of a chapter's texts in a language."""
    return chapter.source.parent / language / f"{chapter.source.stem}.po"


def editions(chapter: Chapter) -> tuple[str, ...]:
    """The languages that a chapter is there in: English first, then those with a catalogue of its texts."""
    return ("en", *(code for code in KNOWN if code != "en" and catalogue_of(chapter, code).exists()))


def texts_of(nb) -> dict[str, str]:
    """Every text of a built notebook in its order, {text: "markdown", "docstring", "comment" or "string"}."""
    found: dict[str, str] = {}

    def note(text: str, kind: str) -> str:
        found.setdefault(text, kind)
        return text

    _each_text(nb, note)
    return found


def translate(nb, catalogue: Path) -> list[str]:
    """Puts a catalogue's texts into a built notebook, in place; returns the texts that it lacks, which stay English.

    Raises CourseError where a translation leaves a cell that is no Python.
    """
    known, lacking = _known(catalogue), []

    def translated(text: str, kind: str) -> str:
        if text not in known:
            lacking.append(text)
        return known.get(text, text)

    _each_text(nb, translated)
    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code":
            cell.source = _SET_UP.sub(f'lab.language("{catalogue.parent.name}")\n\\g<0>', cell.source)
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                raise CourseError(
                    say(
                        "{name}: a translation breaks the code of cell {number}: {error}.",
                        name=catalogue.name,
                        number=number,
                        error=error,
                    )
                ) from error
    return list(dict.fromkeys(lacking))


@functools.cache
def _known(path: Path) -> dict[str, str]:
    from babel.messages.pofile import read_po

    if not path.exists():
        raise CourseError(say("There is no {path}: `make texts` begins it.", path=path))
    with open(path, "rb") as file:
        entries = read_po(file, locale=path.parent.name)
    return {entry.id: entry.string for entry in entries if entry.id and entry.string and not entry.fuzzy}


def _each_text(nb, change: Callable[[str, str], str]) -> None:
    shown = _names_shown([ast.parse(cell.source) for cell in nb.cells if cell.cell_type == "code"])
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            parts = _PARAGRAPHS.split(cell.source)
            cell.source = "".join(
                part if part == ANSWER_HERE or not _LETTERS.search(part) else change(part, "markdown") for part in parts
            )
        else:
            cell.source = _in_code(cell.source, change, shown)


def _in_code(source: str, change: Callable[[str, str], str], names: frozenset[str]) -> str:
    """The code with its texts changed; what is no text stays as it is, to the last blank."""
    spans = sorted([*_strings(source, names), *_comments(source)])
    done, at = [], 0
    for begin, end, text, kind, written in spans:
        new = change(text, kind)
        done += [source[at:begin], source[begin:end] if new == text else written(new)]
        at = end
    return "".join([*done, source[at:]])


def _names_shown(cells: list[ast.Module]) -> frozenset[str]:
    """Names whose value stands in texts that people read, and nowhere else: nothing is looked up or computed by them."""
    nodes = [*itertools.chain.from_iterable(map(ast.walk, cells))]
    read = [value for node in nodes if isinstance(node, ast.Call) for value in _values_read(node)]
    within = [part for value in read for part in ast.walk(value)]
    told = [part.value for part in within if isinstance(part, ast.FormattedValue)]
    shown = [value for value in [*read, *told] if isinstance(value, ast.Name)]
    uses = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return frozenset(name for name, count in Counter(value.id for value in shown).items() if count == uses[name])


def _strings(source: str, names: frozenset[str]) -> Iterator[tuple]:
    """Docstrings and strings that people read, each as (begin, end, text, kind, how a new text is written there)."""
    offset = _offsets(source)
    for node, kind in _read_by_people(ast.parse(source), names):
        begin, end = offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)
        written = source[begin:end]
        if kind == "docstring":
            indent = " " * node.col_offset
            yield begin, end, inspect.cleandoc(node.value), kind, functools.partial(_docstring, indent)
            continue
        quote, text = _inner(written)
        if _LETTERS.search(re.sub(r"\{[^{}]*\}", "", text)):
            prefix = "f" if isinstance(node, ast.JoinedStr) else ""
            yield begin, end, text, kind, functools.partial(_string, prefix, quote)


def _string(prefix: str, quote: str, text: str) -> str:
    return f"{prefix}{quote}{text}{quote}"


def _docstring(indent: str, text: str) -> str:
    lines = textwrap.indent(text, indent).lstrip()
    return f'"""{lines}\n{indent}"""' if "\n" in text else f'"""{lines}"""'


def _read_by_people(tree: ast.AST, names: frozenset[str]) -> Iterator[tuple[ast.expr, str]]:
    def strings_in(node: ast.AST) -> Iterator[ast.expr]:
        """The strings that an expression gives, without those that it looks things up by: conditions, keys, arguments."""
        match node:
            case ast.JoinedStr() | ast.Constant(value=str()):
                yield node
                return
            case ast.Compare() | ast.Subscript():
                return
            case ast.Call():
                parts = [node.func, *(node.args if getattr(node.func, "attr", "") == "join" else [])]
            case ast.IfExp():
                parts = [node.body, node.orelse]
            case ast.GeneratorExp() | ast.ListComp():
                parts = [node.elt]
            case ast.DictComp():
                parts = [node.key, node.value]
            case _:
                parts = ast.iter_child_nodes(node)
        for part in parts:
            yield from strings_in(part)

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False):
            yield node.body[0].value, "docstring"
        elif isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} & names:
            values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]  # by its keys things are looked up
            yield from ((string, "string") for value in values for string in strings_in(value))
        elif isinstance(node, ast.Call):
            for value in _values_read(node):
                yield from ((string, "string") for string in strings_in(value))


def _values_read(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that people read."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if name in SAID:
        return call.args[name == "recall" :]
    return [word.value for word in call.keywords if word.arg in SHOWN]


def _inner(written: str) -> tuple[str, str]:
    """The quotes of a string as it stands in code, and what is between them; of several parts in a row, all of them."""
    parts = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(f"({written})").readline)
        if token.type == tokenize.STRING
    ]
    formatted = any(part.lower().startswith(("f", "rf")) for part in parts)
    quote, inner = "", []
    for part in parts:
        prefix, quoted = re.match(r"([a-zA-Z]*)(.*)", part, re.S).groups()
        mark = quoted[:3] if quoted[:3] in ('"""', "'''") else quoted[0]
        text = quoted[len(mark) : -len(mark)]
        inner.append(text if "f" in prefix.lower() or not formatted else text.replace("{", "{{").replace("}", "}}"))
        quote = quote or mark
    return quote, "".join(inner)


def _comments(source: str) -> Iterator[tuple]:
    """Comments, those of lines in a row as one text."""
    offset, lines = _offsets(source), []
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT]
    for token in tokens:
        alone = not token.line[: token.start[1]].strip()
        if lines and alone and lines[-1][1] and lines[-1][0].start == (token.start[0] - 1, token.start[1]):
            lines[-1] = (token, True, [*lines[-1][2], token])
        else:
            lines.append((token, alone, [token]))
    for _, _, those in lines:
        text = " ".join(token.string.lstrip("#").strip() for token in those)
        if _LETTERS.search(text) and not text.startswith(("YOUR CODE", "noqa", "ruff")):
            begin = offset(those[0].start[0], those[0].start[1], characters=True)
            end = offset(those[-1].end[0], those[-1].end[1], characters=True)
            yield begin, end, text, "comment", functools.partial(_comment, " " * those[0].start[1])


def _comment(indent: str, text: str) -> str:
    return f"\n{indent}".join(f"# {line}" for line in text.split("\n"))


def _offsets(source: str) -> Callable[..., int]:
    """The place in a text of a line (from 1) and a column in bytes, as ast counts, or in characters, as tokenize does."""
    lines = source.splitlines(keepends=True)
    begins = [0, *itertools.accumulate(map(len, lines))]

    def place(line: int, column: int, characters: bool = False) -> int:
        shown = column if characters else len(lines[line - 1].encode()[:column].decode())
        return begins[line - 1] + shown

    return place
