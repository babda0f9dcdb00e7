"""What every explorer shares: controls and tools beside a picture, alive in a notebook and in a page without a kernel.

js/explorer.js draws controls, tools and grid. The picture is drawn by a view: one of js/ that computes in the page, or
js/page.js, which shows the HTML that Python writes in `page()`.
"""

import base64
import gzip
import hashlib
import inspect
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import anywidget
import torch
import traitlets
from markupsafe import Markup

from ..figures import Picture
from ..languages import later, say
from .controls import Choice, Control, Marks, Slider, Text, WholeSlider
from .still import WithStill

_FOLDER = Path(__file__).with_name("js")
EVERY = ["*"]  # of a control in `stored`: every value, which the view computes
LIMIT = 300_000  # characters that an explorer adds to a page in order to live there
TOOLS = (
    later("reset"),
    later("Back to the first state"),
    later("undo"),
    later("Back by one change"),
    later("play"),
    later("stop"),
    later("Moves the slider that was used last, the first one at the beginning"),
    later("pin"),
    later("Keeps this picture beside the one that moves"),
    later("copy as code"),
    later("copied"),
    later("The call that makes this picture"),
    later("own picture"),
    later("It stays in this page"),
    later("Needs a running kernel"),
)


def slider(description: str, value: float, low: float, high: float, step: float, *, help: str, whole: bool = False) -> Slider:
    """A slider with its label and a help text, in the language set; it reports while it is dragged."""
    told = {"description": say(description), "tooltip": say(help)}
    if whole:
        return WholeSlider(value=value, min=low, max=high, step=step, **told)
    digits = min(2, max(0, math.ceil(-math.log10(step))))
    return Slider(value=value, min=low, max=high, step=step, digits=digits, **told)


def choice(description: str, options: Sequence[str], value: str | None = None, *, help: str, kind: type = Choice) -> Choice:
    """A drop-down list with its label and a help text, in the language set; its value is the option as it is given."""
    value = options[0] if value is None else value
    shown = [say(option) for option in options]
    return kind(options=list(options), shown=shown, value=value, description=say(description), tooltip=say(help))


def marks(description: str, options: Sequence[str], *, help: str) -> Marks:
    """A button for each option but the first, which stands for none yet; keys 1, 2, 3 press them."""
    return choice(description, options, help=help, kind=Marks)


def line(description: str, value: str = "", *, help: str, options: Sequence[str] = (), placeholder: str = "") -> Text:
    """A line to type in, with suggestions; it reports when the typing rests."""
    options, placeholder = [one for one in options if one], say(placeholder) if placeholder else ""
    told = {"description": say(description), "tooltip": say(help), "placeholder": placeholder}
    return Text(value=value, options=options, **told)


class Explorer(WithStill, anywidget.AnyWidget):
    """Controls and tools on the left, a picture on the right that follows them.

    Subclasses give `still() -> Picture`, for code hosts and printed pages, and either `page() -> Markup`, the HTML for the
    present controls, or `view`, the name of the JavaScript in js/ that draws, with what it `says` and its `view_data()`.
    `stored` names the values of the controls that live on in a page without a kernel: other controls rest there.
    """

    _css = _FOLDER / "explorer.css"
    view: str = "page"
    recipe = ""  # the package's call that does the same, with {controls}
    says: tuple[str, ...] = ()  # the texts of a view

    specs = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)  # the values of the page that html holds
    html = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    texts = traitlets.Dict().tag(sync=True)
    call = traitlets.Dict().tag(sync=True)
    hides = traitlets.Unicode().tag(sync=True)  # CSS for the still beside it
    pictured = True

    def __init_subclass__(cls, **options) -> None:
        super().__init_subclass__(**options)
        if "_esm" not in cls.__dict__:  # each widget gets a class of its own from traitlets, with a trait of this name
            cls._esm = script(cls.view)

    def __init__(self, start: dict | None = None, **controls: Control) -> None:
        """start: first values of controls by name, as the copied call gives them."""
        self.controls = controls
        for name, value in (start or {}).items():
            if name not in controls:
                raise TypeError(f"{type(self).__name__} has no control {name!r}; it has {', '.join(controls)}.")
            controls[name].value = value
        told = {text: say(text) for text in (*TOOLS, *self.says)}
        super().__init__(texts=told, call=self._call(), **self._controls())
        self.hides = self.hides_still
        for control in controls.values():
            control.observe(self._moved, names="value")
            control.observe(self._respecified, names=["max", "options"])
        self.refresh()

    def __getitem__(self, name: str):
        return self.controls[name].value

    def _controls(self) -> dict:
        specs = [{"name": name, **control.spec()} for name, control in self.controls.items()]
        return {"specs": specs, "values": {name: control.value for name, control in self.controls.items()}}

    def _call(self) -> dict:
        """How the copied call begins: the class and the arguments that are no controls, by their names in the constructor."""
        given = [
            name
            for name, one in inspect.signature(type(self).__init__).parameters.items()
            if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty and name not in ("self", *self.controls)
        ]
        return {"name": f"lab.widgets.{type(self).__name__}", "given": given, "recipe": self.recipe}

    def _moved(self, change) -> None:
        self.values = self._controls()["values"]
        self.refresh(change)

    def _respecified(self, change) -> None:
        self.specs = self._controls()["specs"]

    @traitlets.observe("values")
    def _from_page(self, change) -> None:
        """Takes over what was changed in the page, all of it before the picture is made once."""
        changed = {name: value for name, value in change["new"].items() if name in self.controls and self[name] != value}
        if not changed:
            return
        for name, value in changed.items():
            control = self.controls[name]
            control.unobserve(self._moved, names="value")
            with suppress(traitlets.TraitError):  # no value of this control: it stays as it was
                control.value = value
            control.observe(self._moved, names="value")
        name = next(iter(changed))
        self._moved({"owner": self.controls[name], "name": "value", "new": self[name]})

    def refresh(self, change=None) -> None:
        """Makes the picture for the present values of the controls; an error is shown in its place."""
        if self.view != "page":
            self.data = self.view_data()
            return
        try:
            self.html = self.page()
        except (ValueError, RuntimeError) as error:
            self.html = Markup("<p role='alert'>{}</p>").format(error)
        self.shown = self._controls()["values"]

    def page(self) -> Markup:
        raise NotImplementedError

    def view_data(self) -> dict:
        """What the view needs to draw the present values, and others as far as it computes them itself."""
        raise NotImplementedError

    def still(self) -> Picture:
        raise NotImplementedError

    @property
    def stored(self) -> dict[str, list]:
        """Values of controls that a page without a kernel keeps; all others rest there."""
        return {}

    def stored_data(self) -> dict:
        """What the view needs for all the stored values."""
        return self.data

    def _alive(self) -> dict | None:
        """The state that a page without a kernel moves in; None where there is none."""
        stored = {name: _with(values, self[name]) for name, values in self.stored.items()}
        if not stored:
            return None
        limits = {name: {"allowed": stored[name]} if name in stored else {"off": True} for name in self.controls}
        alive = {"limits": {name: limit for name, limit in limits.items() if limit != {"allowed": EVERY}}}
        if self.view == "page":
            alive |= self._pages(stored)
        names = ("specs", "values", "texts", "call")
        return {name: getattr(self, name) for name in names} | {"data": self.stored_data(), "stored": alive}

    def each(self, make: Callable, *names: str) -> dict[str, dict]:
        """{values of these controls, joined by |: what make() gives there} for all their stored values, for a view's data."""
        made = {}
        for combination in itertools.product(*(_with(self.stored[name], self[name]) for name in names)):
            with self._at(dict(zip(names, combination, strict=True))):
                made["|".join(map(_as_javascript, combination))] = make()
        return made

    @contextmanager
    def _at(self, values: dict) -> Iterator[None]:
        """The controls at other values, for a moment and unseen."""
        before = {name: self[name] for name in values}
        controls = [self.controls[name] for name in values]
        try:
            for control, value in zip(controls, values.values(), strict=True):
                control.unobserve(self._moved, names="value")
                control.value = value
            yield
        finally:
            for control, value in zip(controls, before.values(), strict=True):
                control.value = value
                control.observe(self._moved, names="value")

    def _pages(self, stored: dict[str, list]) -> dict:
        """The HTML of every combination of the stored values; pictures, which return from page to page, stand once."""
        pool: dict[str, int] = {}

        def stored_page() -> str:
            page = str(self.page())
            return re.sub(r"data:image/png;base64,[\w+/=]+", lambda m: f"@{pool.setdefault(m[0], len(pool))}@", page)

        pages = self.each(stored_page, *stored)
        return {"keys": list(stored), "pages": pages, "pool": list(pool)}

    def before(self) -> list[tuple[dict, dict]]:
        still = self.still()
        return [still._repr_mimebundle_(), (still.under_it(), {})]

    def still_html(self) -> tuple[Markup, str]:
        state = self._alive()
        return (alive(self.view, state) if state else Markup("")), ""


def _with(values: Sequence, present) -> list:
    """The values with the present one among them."""
    if present in values or list(values) == ["*"]:
        return list(values)
    return sorted([*values, present]) if not isinstance(present, str) else [present, *values]


def _as_javascript(value) -> str:
    """A value as JavaScript's String() writes it: 1.0 is 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@cache
def script(view: str) -> str:
    """The JavaScript of an explorer: its view, charts where it draws some, and what all share."""
    drawn, shared, charts = ((_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in (view, "explorer", "chart"))
    return (charts if "chart(" in drawn else "") + drawn + shared


def packed(text: str) -> str:
    """A text, compressed, in the letters of base64; the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def alive(view: str, state: dict) -> Markup:
    """HTML that puts the explorer in the place of its still, which is shown before it: whole in itself, without a network.

    What it needs is in a comment: where scripts may not run, converters remove it, and little is left. Where it would be larger
    than LIMIT there is none, and the still stands alone.
    """
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    parts = {"code": script(view), "style": (_FOLDER / "explorer.css").read_text(encoding="utf-8"), "state": text}
    small = json.dumps({name: packed(part) for name, part in parts.items()})
    if len(small) > LIMIT:  # with a learner's own, larger pictures
        return Markup("")
    key = hashlib.sha256(small.encode()).hexdigest()[:12]
    loader = (_FOLDER / "loader.js").read_text(encoding="utf-8").replace("KEY", key)
    html = Markup('<div data-explorer="{}"><!--{}--></div><script type="module">{}</script>')
    return html.format(key, Markup(small), Markup(loader))


def pictures(images: torch.Tensor) -> dict:
    """Images uint8 (n, C, H, W) as a view reads them."""
    return {"shape": list(images.shape), "bytes": base64.b64encode(images.contiguous().numpy().tobytes()).decode()}
