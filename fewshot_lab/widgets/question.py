"""Predict first: a question answered before the experiment, and compared with what was measured after it."""

import ipywidgets
from markupsafe import Markup

from .. import attempts, runtime
from ..attempts import Prediction
from ..languages import say
from .controls import Answers
from .still import WithStill

_asked: dict[str, "Question"] = {}


class Question(WithStill, ipywidgets.VBox):
    """A question with answers to choose from; without a live front end it reads as a list.

    In a learner's own notebook the answer is kept on this machine: asked again, also after a restart, it is still chosen.
    """

    def __init__(self, key: str, text: str, options: list[str], **values) -> None:
        self.text, self.options, self.asks = say(text, **values), [say(option) for option in options], say("Predict:")
        self.key, self.chapter, self.english = key, runtime.current().chapter, tuple(options)
        self.keeps = attempts.run_by_a_person()  # now: what a control reports later comes from no cell
        before = self.prediction or (_asked[key].prediction if key in _asked else None)
        chosen = before.answer if before and before.answer in options else None
        heading = f"{self.asks} {self.text}"
        self.answer = Answers(options=options, shown=self.options, description=heading, value=chosen)
        self.answer.observe(self._chosen, names="value")
        _asked[key] = self
        super().__init__([self.answer])
        self.children = [self.answer, ipywidgets.HTML(f"<style>{self.hides_still}</style>", layout={"display": "none"})]

    @property
    def prediction(self) -> Prediction | None:
        """What was predicted: kept on this machine, or in this kernel alone."""
        if self.keeps:
            return attempts.predicted(self.chapter, self.key)
        answer = self.answer.value if hasattr(self, "answer") else None
        return Prediction(self.chapter, self.key, self.text.english, self.english, answer, "") if answer else None

    def _chosen(self, change: dict) -> None:
        if self.keeps:
            attempts.note_prediction(self.chapter, self.key, self.text.english, self.english, change["new"])

    def still_html(self) -> tuple[Markup, str]:
        listed = Markup("").join(Markup("<li>{}</li>").format(option) for option in self.options)
        still = Markup("<p><strong>{}</strong> {}</p><ul>{}</ul>").format(self.asks, self.text, listed)
        return still, f"{self.asks} {self.text} " + " / ".join(self.options)


def predict(key: str, text: str, options: list[str], **values) -> Question:
    """Asks for a prediction; `recall(key, measured)` compares it with the measurement later on.

    values: for the {places} in the text.
    """
    return Question(key, text, options, **values)


def predicted(key: str) -> Prediction | None:
    """What was predicted in the running notebook, or in an earlier session of it."""
    if key in _asked:
        return _asked[key].prediction
    return attempts.predicted(runtime.current().chapter, key) if attempts.run_by_a_person() else None
