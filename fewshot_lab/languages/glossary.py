"""The course's terms in English and Chinese, from glossary.csv: a table for notebooks and a page for the site."""

import csv
import functools
import html
from dataclasses import dataclass
from pathlib import Path

from ..errors import CourseError
from .texts import language, say

_HEAD = """# Glossary

The course's terms in English and Chinese, with the chapters that use them. In a notebook `lab.glossary("distill")` shows those
that hold a word. `fewshot-lab glossary` prints this page.

| term | 中文 | definition | 定义 | chapters |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Term:
    """A term in English and Chinese, what it means in one sentence of each, and the chapters that use it ("01 02")."""

    term: str
    chinese: str
    definition: str
    chinese_definition: str
    chapters: str


@dataclass(frozen=True)
class Glossary:
    """Terms, shown as a table; the definitions are in the language that is set."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return "\n".join(f"{t.term} ({t.chinese}): {_meaning(t)} [{t.chapters}]" for t in self.terms)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heads = (say("term"), "中文", say("definition"), say("chapters"))
        head = "".join(f"<th scope='col' style='text-align:left'>{name}</th>" for name in heads)
        rows = "".join(_row(t.term, t.chinese, _meaning(t), t.chapters) for t in self.terms)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def glossary(word: str = "") -> Glossary:
    """The terms that hold a word, in the term or its definition, English or Chinese; all of them without one.

    Raises CourseError when no term holds it.
    """
    found = [term for term in terms() if word.lower() in "\n".join(vars(term).values()).lower()]
    if not found:
        raise CourseError(f"No term of the glossary holds {word!r}: try a shorter word, or lab.glossary() for all of them.")
    return Glossary(tuple(found))


@functools.cache
def terms() -> tuple[Term, ...]:
    """All terms in the alphabetical order of the English ones."""
    with open(Path(__file__).with_name("glossary.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return tuple(sorted((Term(*row) for row in rows[1:]), key=lambda term: term.term.lower()))


def terms_of(chapter: str) -> tuple[Term, ...]:
    """The terms of a chapter ("01")."""
    return tuple(term for term in terms() if chapter in term.chapters.split())


def as_markdown() -> str:
    """The glossary as the page docs/glossary.md."""
    return _HEAD + "".join(f"| {' | '.join(vars(term).values())} |\n" for term in terms())


def _meaning(term: Term) -> str:
    return term.chinese_definition if language() == "zh" else term.definition


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
