"""Says a text in the language that is set, from gettext's .po files; records keep its English form."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ..errors import CourseError

KNOWN = {"en": "English", "zh": "中文"}
_chosen: str | None = None
_meanwhile: ContextVar[str | None] = ContextVar("meanwhile", default=None)


class Said(str):
    """A text in the language that was set when it was said; `english` is the same text in English, for records."""

    english: str

    def __new__(cls, text: str, english: str | None = None):
        made = super().__new__(cls, text)
        made.english = text if english is None else english
        return made


def language(name: str | None = None) -> str:
    """Switches to a language, "en" or "zh", for what is shown from now on; returns the one that is set.

    Without a name it only tells: what `speaking` gave, else what a call has chosen, else the environment's
    FEWSHOT_LAB_LANGUAGE, else "en". Raises CourseError for a language that the course does not have.
    """
    global _chosen
    if name is not None:
        _chosen = _known(name, "The language")
    return _meanwhile.get() or _chosen or _known(os.environ.get("FEWSHOT_LAB_LANGUAGE") or "en", "FEWSHOT_LAB_LANGUAGE")


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Meanwhile this thread or task speaks "en" or "zh", and others as before; raises CourseError for another language."""
    before = _meanwhile.set(_known(name, "The language"))
    try:
        yield
    finally:
        _meanwhile.reset(before)


def say(text: str, /, **values) -> Said:
    """An English text in the language that is set, with values in its {places}; where no translation is, in English.

    `text` is looked up as it stands, before the values are filled in, so call it with the text itself. Without values,
    braces are only braces. A value that was said before appears in the same language as the text around it.
    """
    if isinstance(text, Said):
        return text
    there = _translations(language()).get(text, text)
    if not values:
        return Said(there, text)
    return Said(there.format(**values), text.format(**{name: english(value) for name, value in values.items()}))


def later(text: str) -> str:
    """Marks a text that `say` will be given later on, so that the tests ask for its translation; returns it as it is."""
    return text


def english(value):
    """The English form of a text that was said; any other value as it is."""
    return getattr(value, "english", value)


def chapter_opening(chapter: str) -> list[Said]:
    """The title of a chapter ("01") and what its reader will be able to do, in the language set; nothing in English."""
    return [Said(there, text) for text, there in _openings(language()).get(chapter, [])]


def _known(name: str, what: str) -> str:
    if name not in KNOWN:
        raise CourseError(f"{what} is {name!r}; the course speaks {', '.join(f'{k} ({v})' for k, v in KNOWN.items())}.")
    return name


@functools.cache
def _catalog(name: str) -> list:
    """The entries of a language's .po file in its order; none in English."""
    if name == "en":
        return []
    from babel.messages.pofile import read_po

    with open(Path(__file__).with_name(f"{name}.po"), "rb") as file:
        return [message for message in read_po(file, locale=name) if message.id and message.string]


@functools.cache
def _translations(name: str) -> dict[str, str]:
    return {message.id: message.string for message in _catalog(name) if not message.context}


@functools.cache
def _openings(name: str) -> dict[str, list[tuple[str, str]]]:
    """{chapter: its opening texts}: the entries whose context is "chapter NN"."""
    found: dict[str, list[tuple[str, str]]] = {}
    for message in _catalog(name):
        if message.context:
            found.setdefault(message.context.removeprefix("chapter "), []).append((message.id, message.string))
    return found
