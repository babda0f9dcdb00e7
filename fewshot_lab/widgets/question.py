"""Predict first: a question answered before the experiment, and compared with what was measured after it."""

import ipywidgets
from markupsafe import Markup

from ..languages import say
from .controls import Answers

_answers: dict[str, str] = {}


class Question(ipywidgets.VBox):
    """A question with answers to choose from; without a live front end it reads as a list."""

    def __init__(self, key: str, text: str, options: list[str], **values) -> None:
        self.text, self.options, self.asks = say(text, **values), [say(option) for option in options], say("Predict:")
        self.answer = Answers(options=options, shown=self.options, description=f"{self.asks} {self.text}")
        self.answer.observe(lambda change: _answers.__setitem__(key, change["new"]), names="value")
        _answers.pop(key, None)
        super().__init__([self.answer])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        live = super()._repr_mimebundle_(include=include, exclude=exclude) or {}
        listed = Markup("").join(Markup("<li>{}</li>").format(option) for option in self.options)
        still = Markup("<p><strong>{}</strong> {}</p><ul>{}</ul>").format(self.asks, self.text, listed)
        return {**live, "text/html": still, "text/plain": f"{self.asks} {self.text} " + " / ".join(self.options)}


def predict(key: str, text: str, options: list[str], **values) -> Question:
    """Asks for a prediction; `recall(key, measured)` compares it with the measurement later on.

    values: for the {places} in the text.
    """
    return Question(key, text, options, **values)


def recall(key: str, measured: str) -> None:
    """Prints what was predicted beside what was measured."""
    predicted = _answers.get(key)
    print(say("You predicted: {answer}", answer=say(predicted)) if predicted else say("You made no prediction."))
    print(say("Measured: {measured}", measured=measured))
