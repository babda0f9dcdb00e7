"""What every explorer of the course shares: controls beside a picture, and a still picture where no front end is live."""

import ipywidgets
from markupsafe import Markup

from ..figures import Picture
from ..languages import say
from .controls import Choice, Slider, WholeSlider
from .still import WithStill

_LAYOUT = {"width": "24em", "max_width": "100%"}


def slider(description: str, value: float, low: float, high: float, step: float, *, help: str, whole: bool = False):
    """A slider with its label and a help text, in the language set; it reports while it is dragged."""
    kind = WholeSlider if whole else Slider
    options = {"description": say(description), "tooltip": say(help), "layout": _LAYOUT}
    return kind(value=value, min=low, max=high, step=step, **options)


def choice(description: str, options, value=None, *, help: str):
    """A drop-down list with its label and a help text, in the language set; its value is the option as it is given."""
    value = options[0] if value is None else value
    shown = [say(option) for option in options]
    return Choice(options=options, shown=shown, value=value, description=say(description), tooltip=say(help), layout=_LAYOUT)


class Explorer(WithStill, ipywidgets.HBox):
    """Controls on the left, a page on the right that `page()` writes anew whenever a control changes.

    Subclasses give `page() -> Markup`, the HTML, and `still() -> Picture`, the picture for code hosts and printed pages.
    """

    def __init__(self, **controls) -> None:
        self.controls = controls
        self.output = ipywidgets.HTML().add_class("fewshot-lab-page")
        super().__init__([ipywidgets.VBox(list(controls.values())), self.output], layout={"flex_flow": "row wrap"})
        for control in controls.values():
            control.observe(self.refresh, names="value")
        self.refresh()

    def __getitem__(self, name: str):
        return self.controls[name].value

    def refresh(self, change=None) -> None:
        """Writes the page for the present values of the controls; an error is shown in its place."""
        try:
            self.output.value = self.page()
        except (ValueError, RuntimeError) as error:
            self.output.value = Markup("<p role='alert'>{}</p>").format(error)

    def page(self) -> Markup:
        raise NotImplementedError

    def still(self) -> Picture:
        raise NotImplementedError

    def still_bundle(self) -> dict:
        return self.still()._repr_mimebundle_()
