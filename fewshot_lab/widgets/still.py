"""A widget beside its still picture: the picture is what a cell shows wherever the widget is not alive."""

import uuid

import ipywidgets
from IPython.display import publish_display_data
from markupsafe import Markup

WIDGET = "application/vnd.jupyter.widget-view+json"
# Of an output with both, JupyterLab shows the widget, and no picture when the widget's model is gone: a learner who opens a
# saved notebook again would read "model not found". So widget and picture are two outputs. A live widget brings a style with
# it that hides its picture. Where none is alive, the picture's style hides JupyterLab's words in the widget's place ("Loading
# widget...", the error): they alone have no element inside.
_IN_ITS_PLACE = (
    ".jp-OutputArea-child:has(.fewshot-lab-still) + .jp-OutputArea-child > .jp-OutputArea-output:not(:has(*)){display:none}"
)
# course/outputs.py takes this off what is stored: only a live front end needs it.
_AROUND = '<div class="fewshot-lab-still" id="{id}"><style>{style}</style>{still}</div>'


class WithStill:
    """For a widget with children: one more hides the picture, which `still_bundle()` gives."""

    def __init__(self, children, **options) -> None:
        self._still_id = f"still-{uuid.uuid4().hex}"
        hides_still = ipywidgets.HTML(f"<style>#{self._still_id}{{display:none}}</style>", layout={"display": "none"})
        super().__init__([*children, hides_still], **options)

    def still_bundle(self) -> dict:
        """The picture as {MIME type: content}, "text/html" among them."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        live = super()._repr_mimebundle_(include=include, exclude=exclude) or {}
        return {**live, **self.still_bundle()}

    def _ipython_display_(self) -> None:
        bundle = self._repr_mimebundle_()
        live = {WIDGET: bundle.pop(WIDGET)} if WIDGET in bundle else {}
        around = Markup(_AROUND).format(id=self._still_id, style=Markup(_IN_ITS_PLACE), still=Markup(bundle["text/html"]))
        publish_display_data(bundle | {"text/html": around})
        publish_display_data(live)
