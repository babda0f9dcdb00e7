"""Controls that the keyboard and a screen reader can use: slider, list and radio buttons as the page's own elements.

ipywidgets' slider has no accessible name, its radio buttons are no group, and JupyterLab takes the arrow keys from its slider,
list and radio buttons in order to go to another cell.
"""

from pathlib import Path

import anywidget
import traitlets


class _Control(anywidget.AnyWidget):
    """What every control has; controls.js draws the one that `kind` names."""

    _esm = Path(__file__).with_name("controls.js")
    _css = Path(__file__).with_name("controls.css")
    kind = traitlets.Unicode().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)


class Slider(_Control):
    """A number from `min` to `max` in steps, shown with `digits` decimals; it reports while it is dragged."""

    kind = traitlets.Unicode("slider").tag(sync=True)
    value = traitlets.CFloat(0.0).tag(sync=True)
    min = traitlets.CFloat(0.0).tag(sync=True)
    max = traitlets.CFloat(1.0).tag(sync=True)
    step = traitlets.CFloat(0.1).tag(sync=True)
    digits = traitlets.Int(2).tag(sync=True)

    @traitlets.validate("value")
    def _within(self, proposal) -> float:
        return min(max(proposal["value"], self.min), self.max)


class WholeSlider(Slider):
    """A slider of whole numbers."""

    value = traitlets.CInt(0).tag(sync=True)
    min = traitlets.CInt(0).tag(sync=True)
    max = traitlets.CInt(100).tag(sync=True)
    step = traitlets.CInt(1).tag(sync=True)
    digits = traitlets.Int(0).tag(sync=True)


class Choice(_Control):
    """One of several texts, from a list that opens; `shown` are the options in another language."""

    kind = traitlets.Unicode("list").tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shown = traitlets.List(traitlets.Unicode()).tag(sync=True)
    value = traitlets.Unicode(None, allow_none=True).tag(sync=True)

    @traitlets.validate("value")
    def _known(self, proposal) -> str | None:
        if proposal["value"] is not None and proposal["value"] not in self.options:
            raise traitlets.TraitError(f"{proposal['value']!r} is none of {', '.join(self.options)}.")
        return proposal["value"]


class Answers(Choice):
    """One of several texts, all of them in view as radio buttons, or none yet."""

    kind = traitlets.Unicode("radio").tag(sync=True)
