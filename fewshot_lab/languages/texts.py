"""Says a text in the language that is set, from gettext's .po files; records keep its English form.

A .po file in this folder is a language of the course: nothing else lists it.
"""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from babel import Locale
from babel.messages.pofile import read_po

from ..errors import CourseError

_FILES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.po"))}
KNOWN = {code: Locale.parse(code).display_name for code in ("en", *_FILES)}  # {"zh": "中文"}: each names itself
_chosen: str | None = None
_in_this_context: ContextVar[str | None] = ContextVar("language", default=None)


class Said(str):
    """A text in the language that was set when it was said; `english` is the same text in English, for records."""

    english: str

    def __new__(cls, text: str, english: str | None = None):
        made = super().__new__(cls, text)
        made.english = text if english is None else english
        return made


def language(name: str | None = None) -> str:
    """Switches to a language by its code, such as "zh", for what is shown from now on; returns the one that is set.

    Without a name it changes nothing. The language is what `speaking` set, else what a call has chosen, else the
    environment's FEWSHOT_LAB_LANGUAGE, else "en". Raises CourseError for a language that the course does not have.
    """
    global _chosen
    if name is not None:
        _chosen = _known(name, "The language")
    asked = os.environ.get("FEWSHOT_LAB_LANGUAGE") or "en"
    return _in_this_context.get() or _chosen or _known(asked, "FEWSHOT_LAB_LANGUAGE")


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Sets the language for this thread or task while active; raises CourseError for one that the course does not have."""
    before = _in_this_context.set(_known(name, "The language"))
    try:
        yield
    finally:
        _in_this_context.reset(before)


def say(text: str, /, **values) -> Said:
    """An English text in the language that is set, with values in its {places}; where no translation is, in English.

    `text` is looked up before the values are filled in, so call it with the text itself. Without values,
    braces are only braces. A value that was said before appears in the same language as the text around it.
    """
    if isinstance(text, Said):
        return text
    there = translation(text, language())
    if not values:
        return Said(there, text)
    return Said(there.format(**values), text.format(**{name: english(value) for name, value in values.items()}))


def later(text: str) -> str:
    """Marks a text that `say` will be given later on, so that the tests ask for its translation; returns it as it is."""
    return text


def english(value):
    """The English form of a text that was said; any other value as it is."""
    return getattr(value, "english", value)


def translation(text: str, name: str, context: str | None = None) -> str:
    """An English text in the language `name`, in English where that has none; `context` is gettext's msgctxt."""
    return _translations(name).get((context, text), text)


def chapter_opening(chapter: str) -> list[Said]:
    """The title of a chapter ("01") and what its reader will be able to do, in the language set; nothing in English."""
    opening = {context: (there, text) for (context, text), there in _translations(language()).items()}
    asked = (f"chapter {chapter} title", f"chapter {chapter} aims")
    return [Said(*opening[context]) for context in asked if context in opening]


def chapter_title(chapter: str, english: str) -> str:
    """The title of a chapter ("01") in the language set, from its English one."""
    return next((text for text in chapter_opening(chapter) if text.english == english), english)


def _known(name: str, what: str) -> str:
    if name not in KNOWN:
        raise CourseError(f"{what} is {name!r}; the course speaks {', '.join(f'{k} ({v})' for k, v in KNOWN.items())}.")
    return name


@functools.cache
def _translations(name: str) -> dict[tuple[str | None, str], str]:
    """{(context, English text): translation} from a language's .po file, in its order; nothing for English."""
    if name not in _FILES:
        return {}
    with open(_FILES[name], "rb") as file:
        entries = [message for message in read_po(file, locale=name) if message.id and message.string]
    return {(message.context, message.id): message.string for message in entries}
