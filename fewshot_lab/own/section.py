"""A question about your own data with its answer: on the page of `fewshot-lab try`, and as a chapter's last output."""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """A question, its answer in a sentence or more, and what shows it (figures and tables as HTML)."""

    question: str
    answer: str
    shown: tuple[Markup, ...] = ()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        html = Markup("<p><strong>{}</strong> {}</p>{}").format(self.question, self.answer, Markup("").join(self.shown))
        return {"text/html": html, "text/plain": f"{self.question} {self.answer}"}
