"""Controls that the keyboard and a screen reader can use: slider, list and radio buttons as the page's own elements.

ipywidgets' slider has no accessible name, its radio buttons are no group, and JupyterLab takes the arrow keys from its slider,
list and radio buttons in order to go to another cell.
"""

import anywidget
import traitlets

_COMMON = """
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", " "];
const make = (tag, options = {}) => Object.assign(document.createElement(tag), options);
const unique = () => "control-" + Math.random().toString(36).slice(2);
function begin(model, el) {
  el.classList.add("jupyter-widgets", "fewshot-lab-control");
  el.title = model.get("tooltip") ?? "";
  el.addEventListener("keydown", (event) => { if (KEYS.includes(event.key)) event.stopPropagation(); });
}
function options(model) {
  const shown = model.get("shown");
  return model.get("options").map((value, i) => ({ value, textContent: shown[i] ?? value }));
}
function say(model, value) {
  model.set("value", value);
  model.save_changes();
}
"""

_SLIDER = """
function render({ model, el }) {
  begin(model, el);
  const input = make("input", { type: "range", id: unique() });
  const label = make("label", { htmlFor: input.id, textContent: model.get("description") });
  const readout = make("output", { ariaHidden: "true" });
  const show = () => {
    for (const name of ["min", "max", "step", "value"]) input[name] = model.get(name);
    readout.textContent = model.get("value").toFixed(model.get("digits"));
    input.setAttribute("aria-valuetext", readout.textContent);
  };
  input.addEventListener("input", () => say(model, Number(input.value)));
  model.on("change", show);
  show();
  el.append(label, input, readout);
}
export default { render };
"""

_CHOICE = """
function render({ model, el }) {
  begin(model, el);
  const select = make("select", { id: unique() });
  const label = make("label", { htmlFor: select.id, textContent: model.get("description") });
  select.append(...options(model).map(({ value, textContent }) => make("option", { textContent, value })));
  const show = () => { select.value = model.get("value"); };
  select.addEventListener("change", () => say(model, select.value));
  model.on("change:value", show);
  show();
  el.append(label, select);
}
export default { render };
"""

_ANSWERS = """
function render({ model, el }) {
  begin(model, el);
  const group = make("fieldset"), name = unique();
  group.append(make("legend", { textContent: model.get("description") }));
  const inputs = options(model).map(({ value, textContent }) => {
    const line = make("label"), input = make("input", { type: "radio", name, value });
    line.append(input, " ", textContent);
    group.append(line);
    input.addEventListener("change", () => say(model, value));
    return input;
  });
  const show = () => inputs.forEach((input) => { input.checked = input.value === model.get("value"); });
  model.on("change:value", show);
  show();
  el.append(group);
}
export default { render };
"""

_STYLE = """
.fewshot-lab-control { display: flex; align-items: center; max-width: 100%; margin: 2px; box-sizing: border-box;
  color: var(--jp-ui-font-color1, inherit); line-height: 28px; }
.fewshot-lab-control > label { flex: none; width: 8em; margin-right: .6em; text-align: right; }
.fewshot-lab-control > input { flex: auto; min-width: 4em; accent-color: var(--jp-brand-color1, #1976d2); }
.fewshot-lab-control > output { flex: none; width: 4em; text-align: right; }
.fewshot-lab-control > select { flex: auto; min-width: 4em; height: 28px; font: inherit; color: inherit;
  background: var(--jp-layout-color1, inherit); border: 1px solid var(--jp-border-color1, currentColor); }
.fewshot-lab-control fieldset { border: 0; margin: 0; padding: 0; }
.fewshot-lab-control legend { padding: 0; font-weight: 600; }
.fewshot-lab-control fieldset label { display: block; }
.fewshot-lab-control input:focus-visible, .fewshot-lab-control select:focus-visible {
  outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 2px; }
.fewshot-lab-page { margin-left: 1em; max-width: 100%; overflow-x: auto; }
.fewshot-lab-page .widget-html-content { line-height: 1.6; }
.fewshot-lab-page :is(td, th) { padding: 0 .5em; }
"""


class Slider(anywidget.AnyWidget):
    """A number from `min` to `max` in steps, shown with `digits` decimals; it reports while it is dragged."""

    _esm, _css = _COMMON + _SLIDER, _STYLE
    description = traitlets.Unicode().tag(sync=True)
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


class Choice(anywidget.AnyWidget):
    """One of several texts, from a list that opens; `shown` are the options in another language."""

    _esm, _css = _COMMON + _CHOICE, _STYLE
    description = traitlets.Unicode().tag(sync=True)
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

    _esm = _COMMON + _ANSWERS
