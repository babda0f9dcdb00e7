"""The course's terms: glossary.csv has them in English, each .po file in its language; shown in notebooks and on a page."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ..errors import CourseError
from ..html import table
from .texts import KNOWN, language, say, speaking, translation

_HEAD = """# Glossary

The course's terms in its languages, with the chapters that use them. In a notebook `lab.glossary("distill")` shows those
that hold a word. `fewshot-lab glossary` prints this page.
"""


@dataclass(frozen=True)
class Term:
    """A term, what it means in one sentence, and the chapters that use it ("01 02")."""

    term: str
    definition: str
    chapters: str

    def term_in(self, name: str) -> str:
        """The term in a language, such as "zh"."""
        return translation(self.term, name, "term")

    def definition_in(self, name: str) -> str:
        """The definition in a language, such as "zh"."""
        return translation(self.definition, name, "definition")


@dataclass(frozen=True)
class Glossary:
    """Terms, shown as a table: in English with the terms of all other languages beside them, else with those of the one set."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        beside = [", ".join(term.term_in(name) for name in _beside()) for term in self.terms]
        lines = zip(self.terms, beside, strict=True)
        return "\n".join(f"{t.term} ({others}): {t.definition_in(language())} [{t.chapters}]" for t, others in lines)

    __repr__ = __str__

    def _repr_html_(self) -> Markup:
        heads = (say("term"), *(KNOWN[name] for name in _beside()), say("definition"), say("chapters"))
        rows = [(t.term, *map(t.term_in, _beside()), t.definition_in(language()), t.chapters) for t in self.terms]
        return table(heads, rows)


def glossary(word: str = "") -> Glossary:
    """The terms that hold a word, in the term or its definition, in any language; all of them without one.

    Raises CourseError when no term holds it.
    """
    fitting = [term for term in terms() if word.lower() in "\n".join(_cells(term)).lower()]
    if not fitting:
        raise CourseError(f"No term of the glossary holds {word!r}: try a shorter word, or lab.glossary() for all of them.")
    return Glossary(tuple(fitting))


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
    """The glossary as the page docs/glossary.md: a column for the term and one for its definition in every language."""
    heads = ["term", *(KNOWN[name] for name in _others()), "definition"]
    for name in _others():
        with speaking(name):
            heads.append(say("definition"))
    head, *rows = [f"| {' | '.join(row)} |" for row in ([*heads, "chapters"], *map(_cells, terms()))]
    return "\n".join([_HEAD, head, "|---" * (len(heads) + 1) + "|", *rows, ""])


def _others() -> list[str]:
    return [name for name in KNOWN if name != "en"]


def _beside() -> list[str]:
    """The languages whose terms stand beside the English ones."""
    return _others() if language() == "en" else [language()]


def _cells(term: Term) -> list[str]:
    """A term in all languages: the terms, the definitions, the chapters."""
    return [*map(term.term_in, KNOWN), *map(term.definition_in, KNOWN), term.chapters]
