"""Controls that the keyboard and a screen reader can use, made of the page's own elements.

An explorer's controls are plain values with a description; js/explorer.js draws them. ipywidgets' slider has no accessible
name, its radio buttons are no group, and JupyterLab takes the arrow keys from its slider, list and radio buttons in order to
go to another cell.
"""

from pathlib import Path

import anywidget
import traitlets


class Control(traitlets.HasTraits):
    """What every control of an explorer has; `kind` says how it is drawn."""

    kind: str
    description = traitlets.Unicode()
    tooltip = traitlets.Unicode()

    def spec(self) -> dict:
        """All but the value, for the page."""
        return {"kind": self.kind} | {name: value for name, value in self.trait_values().items() if name != "value"}


class Slider(Control):
    """A number from `min` to `max` in steps, shown with `digits` decimals; it reports while it is dragged."""

    kind = "slider"
    min = traitlets.CFloat(0.0)
    max = traitlets.CFloat(1.0)
    step = traitlets.CFloat(0.1)
    digits = traitlets.Int(2)
    value = traitlets.CFloat(0.0)

    @traitlets.validate("value")
    def _within(self, proposal) -> float:
        return min(max(proposal["value"], self.min), self.max)


class WholeSlider(Slider):
    """A slider of whole numbers."""

    value = traitlets.CInt(0)
    min = traitlets.CInt(0)
    max = traitlets.CInt(100)
    step = traitlets.CInt(1)
    digits = traitlets.Int(0)


class _Options(traitlets.HasTraits):
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shown = traitlets.List(traitlets.Unicode()).tag(sync=True)
    value = traitlets.Unicode(None, allow_none=True).tag(sync=True)

    @traitlets.validate("value")
    def _known(self, proposal) -> str | None:
        if proposal["value"] is not None and proposal["value"] not in self.options:
            raise traitlets.TraitError(f"{proposal['value']!r} is none of {', '.join(self.options)}.")
        return proposal["value"]


class Choice(_Options, Control):
    """One of several texts, from a list that opens; `shown` are the options in another language."""

    kind = "list"


class Marks(Choice):
    """One of several texts, each a button, but for the first, which stands for none yet."""

    kind = "marks"


class Text(Control):
    """A line of text, with suggestions to choose from."""

    kind = "text"
    options = traitlets.List(traitlets.Unicode())
    placeholder = traitlets.Unicode()
    value = traitlets.Unicode()


class Upload(Control):
    """A picture from the learner's own files, as the address of a PNG of 96 x 96 pixels; empty for none."""

    kind = "file"
    value = traitlets.Unicode()


class Answers(_Options, anywidget.AnyWidget):
    """One of several texts, all of them in view as radio buttons, or none yet; a widget of its own."""

    _esm = Path(__file__).with_name("controls.js")
    _css = Path(__file__).with_name("controls.css")
    description = traitlets.Unicode().tag(sync=True)
