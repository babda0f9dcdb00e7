"""The box with which a chapter opens in another language than English: title, aims, terms."""

import html
from dataclasses import dataclass

from .glossary import Glossary, terms_of
from .texts import Said, chapter_opening, say


@dataclass(frozen=True)
class Opening:
    """What a chapter says at its beginning: its title, what its reader will be able to do, and its terms."""

    chapter: str
    title: str
    aims: str
    terms: Glossary

    def __str__(self) -> str:
        return f"{self.chapter} · {self.title}\n{self.aims}\n{self.terms}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        words = say("The terms of this chapter")
        return (
            "<div style='border:1px solid currentColor;border-radius:4px;padding:.5em 1em'>"
            f"<p><strong>{html.escape(self.chapter)} · {html.escape(self.title)}</strong></p><p>{html.escape(self.aims)}</p>"
            f"<details><summary>{words} ({len(self.terms.terms)})</summary>{self.terms._repr_html_()}</details></div>"
        )


def opening(chapter: str) -> Opening | None:
    """The opening of a chapter ("01") in the language set; None where it has none, as in English."""
    texts: list[Said] = chapter_opening(chapter)
    return Opening(chapter, *texts, Glossary(terms_of(chapter))) if texts else None


def show_opening(chapter: str) -> None:
    """Shows the opening of a chapter, if it has one in the language set."""
    from IPython.display import display

    if box := opening(chapter):
        display(box)
