// Slider, list and radio buttons as the page's own elements; the Python side, controls.py, says which one by `kind`.

// JupyterLab would take these keys from a control in order to go to another cell.
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", " "];

const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const uniqueId = () => "control-" + Math.random().toString(36).slice(2);

function setValue(model, value) {
  model.set("value", value);
  model.save_changes();
}

// The options with the words that are shown for them, which may be in another language.
function options(model) {
  const shown = model.get("shown");
  return model.get("options").map((value, i) => ({ value, textContent: shown[i] ?? value }));
}

function slider(model, el) {
  const input = make("input", { type: "range", id: uniqueId() });
  const label = make("label", { htmlFor: input.id, textContent: model.get("description") });
  const readout = make("output", { ariaHidden: "true" });
  const show = () => {
    // value last: the browser clips it to the bounds that it has at that moment
    for (const name of ["min", "max", "step", "value"]) input[name] = model.get(name);
    readout.textContent = model.get("value").toFixed(model.get("digits"));
    input.setAttribute("aria-valuetext", readout.textContent);
  };
  input.addEventListener("input", () => setValue(model, Number(input.value)));
  model.on("change", show);
  show();
  el.append(label, input, readout);
}

function list(model, el) {
  const select = make("select", { id: uniqueId() });
  const label = make("label", { htmlFor: select.id, textContent: model.get("description") });
  select.append(...options(model).map((option) => make("option", option)));
  const show = () => { select.value = model.get("value"); };
  select.addEventListener("change", () => setValue(model, select.value));
  model.on("change:value", show);
  show();
  el.append(label, select);
}

function radio(model, el) {
  const group = make("fieldset"), name = uniqueId();
  group.append(make("legend", { textContent: model.get("description") }));
  const inputs = options(model).map(({ value, textContent }) => {
    const line = make("label"), input = make("input", { type: "radio", name, value });
    line.append(input, " ", textContent);
    group.append(line);
    input.addEventListener("change", () => setValue(model, value));
    return input;
  });
  const show = () => inputs.forEach((input) => { input.checked = input.value === model.get("value"); });
  model.on("change:value", show);
  show();
  el.append(group);
}

const KINDS = { slider, list, radio };

function render({ model, el }) {
  el.classList.add("jupyter-widgets", "fewshot-lab-control");
  el.title = model.get("tooltip") ?? "";
  el.addEventListener("keydown", (event) => { if (KEYS.includes(event.key)) event.stopPropagation(); });
  KINDS[model.get("kind")](model, el);
}

export default { render };
