// Radio buttons as the page's own elements, in a group that a screen reader names.

// JupyterLab would take these keys from a control in order to go to another cell.
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", " "];

const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);

function render({ model, el }) {
  el.classList.add("jupyter-widgets", "fewshot-lab-control");
  el.addEventListener("keydown", (event) => { if (KEYS.includes(event.key)) event.stopPropagation(); });
  const group = make("fieldset"), name = "answer-" + Math.random().toString(36).slice(2), shown = model.get("shown");
  group.append(make("legend", { textContent: model.get("description") }));
  const inputs = model.get("options").map((value, i) => {
    const line = make("label"), input = make("input", { type: "radio", name, value });
    line.append(input, " ", shown[i] ?? value); // the words that are shown may be in another language
    group.append(line);
    input.addEventListener("change", () => { model.set("value", value); model.save_changes(); });
    return input;
  });
  const show = () => inputs.forEach((input) => { input.checked = input.value === model.get("value"); });
  model.on("change:value", show);
  show();
  el.append(group);
}

export default { render };
