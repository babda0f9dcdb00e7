"""A widget beside its still: what a cell shows wherever the widget is not alive."""

import uuid

from IPython.display import publish_display_data
from markupsafe import Markup

WIDGET = "application/vnd.jupyter.widget-view+json"
# Of an output with both, JupyterLab shows the widget, and no still when the widget's model is gone: a learner who opens a
# saved notebook again would read "model not found". So widget and still are outputs of their own. A live widget brings a style
# with it that hides the outputs before it. Where none is alive, the still's style hides JupyterLab's words in the widget's
# place ("Loading widget...", the error): they alone have no element inside.
_IN_ITS_PLACE = (
    ".jp-OutputArea-child:has(.fewshot-lab-still) + .jp-OutputArea-child > .jp-OutputArea-output:not(:has(*)){display:none}"
)
# course/outputs.py takes this off what is stored: only a live front end needs it.
_AROUND = '<div class="fewshot-lab-still" id="{id}"><style>{style}</style>{html}</div>'
_PICTURE = ".jp-OutputArea-child:has(+ .jp-OutputArea-child #{id}), .jp-OutputArea-child:has(+ * + .jp-OutputArea-child #{id})"


class WithStill:
    """For a widget, which shows the style `hides_still` as long as it is alive.

    `still_html()` gives the still, or what belongs to a still in outputs before it: `pictured` says that there are two of them,
    a picture and its caption, which `before()` gives.
    """

    pictured = False

    def __init__(self, *arguments, **options) -> None:
        self._still_id = f"still-{uuid.uuid4().hex}"
        super().__init__(*arguments, **options)

    @property
    def hides_still(self) -> str:
        """CSS that hides the outputs of the still."""
        hidden = f"#{{id}}, {_PICTURE}" if self.pictured else "#{id}"
        return hidden.replace("{id}", self._still_id) + "{display:none}"

    def still_html(self) -> tuple[str, str]:
        """The HTML, and what it says as plain text."""
        raise NotImplementedError

    def before(self) -> list[tuple[dict, dict]]:
        """Outputs before the HTML, each as {MIME type: content} and metadata."""
        return []

    def outputs(self) -> list[tuple[dict, dict]]:
        """All that a cell with the widget shows, the widget last, each as {MIME type: content} and metadata."""
        html, plain = self.still_html()
        around = Markup(_AROUND).format(id=self._still_id, style=Markup(_IN_ITS_PLACE), html=Markup(html))
        live = self._repr_mimebundle_()
        live = live[0] if isinstance(live, tuple) else live
        shown = [({WIDGET: live[WIDGET]}, {})] if live else []
        return [*self.before(), ({"text/html": around, "text/plain": plain}, {}), *shown]

    def _ipython_display_(self) -> None:
        for data, metadata in self.outputs():
            publish_display_data(data, metadata)
