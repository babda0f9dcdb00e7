"""The box with which a chapter opens in another language than English: title, aims, terms."""

from dataclasses import dataclass

from markupsafe import Markup

from ..html import box
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

    def _repr_html_(self) -> Markup:
        content = Markup("<p><strong>{} · {}</strong></p><p>{}</p><details><summary>{} ({})</summary>{}</details>")
        words, terms = say("The terms of this chapter"), self.terms
        return box(content.format(self.chapter, self.title, self.aims, words, len(terms.terms), terms._repr_html_()))


def opening(chapter: str) -> Opening | None:
    """The opening of a chapter ("01") in the language set; None where it has none, as in English."""
    texts: list[Said] = chapter_opening(chapter)
    return Opening(chapter, *texts, Glossary(terms_of(chapter))) if texts else None


def show_opening(chapter: str) -> None:
    """Shows the opening of a chapter, if it has one in the language set."""
    from IPython.display import display

    if box := opening(chapter):
        display(box)
