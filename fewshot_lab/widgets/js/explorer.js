// What every explorer shares: controls and tools at the left, the picture at the right, in one grid.
//
// `view`, which explorer.py puts before this text, draws the picture: from numbers in the page itself, or, page.js, from HTML that
// Python writes. The same code runs in a notebook, where the model is the kernel's, and in a page without one, where mount() below
// gives it a model of plain values; so nothing here may ask whether a kernel is there but for `stored`, which only pages have.

const make = (tag, properties = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
};
const uniqueId = () => "explorer-" + Math.random().toString(36).slice(2);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// JupyterLab would take these keys from a control in order to go to another cell.
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", " ", "Enter"];

// Python's "{share:.0%} of {count}" with values: the templates are those that the package says in its language.
function fill(template, values) {
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name, how) => formatted(values[name], how ?? ""));
}

function formatted(value, how) {
  const digits = Number(/\.(\d+)/.exec(how)?.[1] ?? 0);
  if (how.endsWith("%")) return `${(100 * value).toFixed(digits)}%`;
  if (how.endsWith("f")) return noMinusZero(value.toFixed(digits));
  if (how.endsWith("g")) return String(Number(value.toPrecision(digits || 6)));
  return String(value);
}

const noMinusZero = (text) => (/^-0\.?0*$/.test(text) ? text.slice(1) : text);

// ---------------------------------------------------------------- controls

function slider(spec, set) {
  const input = make("input", { type: "range", id: uniqueId() });
  const readout = make("output", { ariaHidden: "true" });
  // Pages without a kernel keep only some values of a slider: it then counts places in this list.
  const list = spec.allowed;
  input.addEventListener("input", () => set(list ? list[input.value] : Number(input.value)));
  const show = (now, value) => {
    const bounds = list ? { min: 0, max: list.length - 1, step: 1 } : { min: now.min, max: now.max, step: now.step };
    Object.assign(input, bounds);
    input.value = list ? nearest(list, value) : value; // last: the browser clips it to the bounds of that moment
    readout.textContent = Number(value).toFixed(now.digits);
    input.setAttribute("aria-valuetext", readout.textContent);
  };
  return { parts: [input, readout], input, show };
}

const nearest = (list, value) => list.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(list[best] - value) ? i : best), 0);

function list(spec, set) {
  const input = make("select", { id: uniqueId() });
  const known = spec.allowed ?? spec.options;
  input.append(...known.map((value) => make("option", { value, textContent: spec.shown[spec.options.indexOf(value)] ?? value })));
  input.addEventListener("change", () => set(input.value));
  return { parts: [input], input, show: (_, value) => { input.value = value; } };
}

function text(spec, set, typing) {
  const suggested = make("datalist", { id: uniqueId() }, ...(spec.options ?? []).map((value) => make("option", { value })));
  const input = make("input", { type: "text", id: uniqueId(), placeholder: spec.placeholder ?? "", autocomplete: "off" });
  input.setAttribute("list", suggested.id);
  let waiting;
  const send = () => { clearTimeout(waiting); set(input.value); };
  input.addEventListener("input", () => {
    typing(); // the old picture is not that of the new text: it says so until the answer is here
    clearTimeout(waiting);
    waiting = setTimeout(send, 700);
  });
  input.addEventListener("change", send);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") send(); });
  return { parts: [input, suggested], input, show: (_, value) => { if (document.activeElement !== input) input.value = value; } };
}

// One button for each mark, and its number on the keyboard.
function marks(spec, set) {
  const buttons = spec.options.slice(1).map((value, i) => {
    const button = make("button", { type: "button" }, make("kbd", { textContent: String(i + 1) }), " ", spec.shown[i + 1] ?? value);
    button.addEventListener("click", () => set(value));
    return button;
  });
  const group = make("span", { className: "marks", id: uniqueId() }, ...buttons);
  group.setAttribute("role", "group");
  return {
    parts: [group],
    input: group,
    keys: (key) => buttons[Number(key) - 1]?.click(),
    show: (_, value) => buttons.forEach((button, i) => button.setAttribute("aria-pressed", value === spec.options[i + 1])),
  };
}

// A picture of the learner's own for the kernel, as the address of a small PNG.
function file(spec, set) {
  const input = make("input", { type: "file", accept: "image/*", id: uniqueId() });
  input.addEventListener("change", async () => { if (input.files.length) set((await squareOf(input.files[0], 96)).toDataURL()); });
  return { parts: [input], input, show: (_, value) => { if (!value) input.value = ""; } };
}

const KINDS = { slider, list, text, marks, file };

// ---------------------------------------------------------------- the learner's own picture

async function squareOf(file, side) {
  const drawn = await createImageBitmap(file);
  const edge = Math.min(drawn.width, drawn.height);
  const canvas = make("canvas", { width: side, height: side }), context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(drawn, (drawn.width - edge) / 2, (drawn.height - edge) / 2, edge, edge, 0, 0, side, side);
  return canvas;
}

// A file as the pixels that the data set has; the picture stays in the page.
async function pixelsOf(file, side, channels) {
  const context = (await squareOf(file, side)).getContext("2d");
  const rgba = context.getImageData(0, 0, side, side).data, count = side * side;
  const bytes = new Uint8Array(channels * count);
  for (let i = 0; i < count; i++) {
    const [r, g, b] = rgba.subarray(4 * i, 4 * i + 3);
    if (channels === 1) bytes[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else for (let c = 0; c < 3; c++) bytes[c * count + i] = rgba[4 * i + c];
  }
  return { bytes, size: side, channels };
}

// ---------------------------------------------------------------- the explorer

function render({ model, el }) {
  const words = model.get("texts"), say = (key, values = {}) => fill(words[key] ?? key, values);
  const stored = model.get("stored") ?? {}; // what a page without a kernel can show
  const specs = () => model.get("specs").map((spec) => ({ ...spec, ...(stored.limits?.[spec.name] ?? {}) }));
  const start = { ...model.get("values") };
  let values = { ...start }, undone = [], lastName = "", lastTime = 0, playing = 0, own = null;

  el.classList.add("fewshot-lab-explorer");
  const hides = make("style", { textContent: model.get("hides") ?? "" }); // a live explorer's still is an output before it
  const side = make("div", { className: "controls" });
  const page = make("div", { className: "page" }), pinned = make("div", { className: "page pinned", hidden: true });
  const spoken = make("p", { className: "spoken" }); // for screen readers: the sentence, once the controls rest
  spoken.setAttribute("aria-live", "polite");
  const pages = make("div", { className: "pages" }, pinned, page);
  el.replaceChildren(hides, make("div", { className: "grid" }, side, make("div", {}, pages, spoken)));

  const drawn = view({ el: page, data: () => model.get("data"), html: () => htmlOf(model, stored, values), say,
                       change: (patch, name) => change(patch, name), own: () => own, make });

  // Changing one control again and again, as a drag does, is one step to undo.
  function change(patch, name = Object.keys(patch)[0]) {
    if (same({ ...values, ...patch }, values)) return;
    const now = performance.now();
    if (name !== lastName || now - lastTime > 800) undone.push(values);
    [lastName, lastTime] = [name, now];
    moveTo({ ...values, ...patch });
  }

  function moveTo(next) {
    values = next;
    model.set("values", values);
    model.save_changes();
    draw();
  }

  let frame = 0;
  function draw() {
    if (frame) return; // several changes between two frames of the screen are drawn once
    frame = requestAnimationFrame(() => {
      frame = 0;
      const shown = specs();
      controls.forEach(({ show }, i) => show(shown[i], values[shown[i].name]));
      undo.disabled = !undone.length;
      page.style.minHeight = `${page.offsetHeight}px`; // what is being replaced keeps its room
      const sentence = drawn.draw(values);
      requestAnimationFrame(() => { if (!busy()) page.style.minHeight = ""; });
      mark();
      tell(sentence ?? page.querySelector("p")?.textContent ?? "");
    });
  }

  const busy = () => !stored.limits && (drawn.waits ? drawn.waits(values) : false);
  function mark() {
    page.setAttribute("aria-busy", String(busy()));
  }

  let telling, silent = true; // the first picture was not asked for
  function tell(sentence) {
    if (silent) return void (silent = false);
    clearTimeout(telling);
    telling = setTimeout(() => { if (spoken.textContent !== sentence) spoken.textContent = sentence; }, 600);
  }

  // Controls
  const controls = specs().map((spec) => {
    if (spec.kind === "text" && spec.allowed) Object.assign(spec, { kind: "list", shown: [] }); // only these texts are stored
    const control = KINDS[spec.kind](spec, (value) => change({ [spec.name]: value }, spec.name), () => page.setAttribute("aria-busy", "true"));
    const label = make("label", { htmlFor: control.input.id, textContent: spec.description });
    const line = make("div", { className: `control ${spec.kind}`, title: spec.off ? say("Needs a running kernel") : spec.tooltip }, label, ...control.parts);
    if (spec.off) control.input.disabled = true;
    if (spec.kind === "marks") control.input.setAttribute("aria-label", spec.description);
    side.append(line);
    control.input.addEventListener("focus", () => { if (spec.kind === "slider") played = spec.name; });
    return control;
  });
  let played = specs().find((spec) => spec.kind === "slider" && !spec.off)?.name;

  // Tools
  const button = (words, help, action) => {
    const made = make("button", { type: "button", textContent: say(words), title: say(help) });
    made.addEventListener("click", action);
    return made;
  };
  const reset = button("reset", "Back to the first state", () => { undone.push(values); own = null; lastName = ""; moveTo({ ...start }); });
  const undo = button("undo", "Back by one change", () => { lastName = ""; moveTo(undone.pop()); });
  const play = button("play", "Moves the slider that was used last, the first one at the beginning", () => (playing ? stop() : go()));
  const pin = button("pin", "Keeps this picture beside the one that moves", () => {
    pinned.hidden = !pinned.hidden;
    pin.setAttribute("aria-pressed", String(!pinned.hidden));
    pages.classList.toggle("compared", !pinned.hidden);
    if (!pinned.hidden) pinned.replaceChildren(make("p", { className: "which", textContent: `A: ${described()}` }), ...copies(page));
  });
  const code = make("textarea", { className: "code", readOnly: true, hidden: true, rows: 3, ariaLabel: say("The call that makes this picture") });
  const copied = make("span", { role: "status" });
  const copy = button("copy as code", "The call that makes this picture", async () => {
    code.hidden = false;
    code.value = called(model.get("call"), values, specs());
    code.rows = Math.ceil(code.value.length / 34);
    try {
      await navigator.clipboard.writeText(code.value);
      copied.textContent = say("copied");
    } catch { // a page that may not write to the clipboard: the text is chosen, Ctrl+C copies it
      code.select();
      copied.textContent = "";
    }
  });
  const tools = make("div", { className: "tools" }, reset, undo, ...(played ? [play] : []), pin, copy, copied);
  pin.setAttribute("aria-pressed", "false");
  if (drawn.picture) {
    const file = make("input", { type: "file", accept: "image/*", id: uniqueId() });
    file.addEventListener("change", async () => {
      if (!file.files.length) return;
      own = await pixelsOf(file.files[0], ...drawn.picture());
      draw();
    });
    side.append(make("div", { className: "control file", title: say("It stays in this page") },
                     make("label", { htmlFor: file.id, textContent: say("own picture") }), file));
    reset.addEventListener("click", () => { file.value = ""; });
  }
  side.append(tools, code);

  const described = () => specs().filter((spec) => !["marks", "file"].includes(spec.kind)).map((spec) => `${spec.description} ${shownAs(spec, values[spec.name])}`).join(", ");

  // Play: to the end, back, and so on. Who asked for less motion gets one step for each press.
  function go() {
    let spec = specs().find((one) => one.name === played), up = 1, last = 0;
    const place = () => (spec.allowed ? nearest(spec.allowed, values[played]) : values[played]);
    const [low, high] = spec.allowed ? [0, spec.allowed.length - 1] : [spec.min, spec.max];
    const size = spec.allowed ? 1 : Math.max(spec.step, drawn.slow ? (high - low) / 40 : (high - low) / 240);
    const step = () => {
      let next = place() + up * Math.max(1, Math.round(size / (spec.allowed ? 1 : spec.step))) * (spec.allowed ? 1 : spec.step);
      if (next > high + 1e-9 || next < low - 1e-9) { up = -up; next = place() + up * (spec.allowed ? 1 : spec.step); }
      next = Math.min(high, Math.max(low, next));
      change({ [played]: spec.allowed ? spec.allowed[next] : Number(next.toFixed(6)) }, "play " + played);
    };
    if (still()) return step();
    const wait = drawn.slow || spec.allowed ? 160 : 16;
    const tick = (now) => {
      if (!el.isConnected) return stop();
      if (now - last >= wait && !busy()) { last = now; step(); }
      playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
    play.textContent = say("stop");
  }
  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = say("play");
  }

  el.addEventListener("keydown", (event) => {
    if (!KEYS.includes(event.key) && !/^[1-9zZ]$/.test(event.key)) return;
    event.stopPropagation();
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && event.target.type !== "text" && undone.length) undo.click();
    if (/^[1-9]$/.test(event.key) && event.target.type !== "text") controls.forEach((control) => control.keys?.(event.key));
  });

  model.on("change:values", () => {
    if (same(model.get("values"), values)) return;
    values = { ...model.get("values") };
    draw();
  });
  model.on("change:specs change:html change:shown change:data", draw);
  draw();
  return stop;
}

const shownAs = (spec, value) => (spec.kind === "slider" ? Number(value).toFixed(spec.digits) : spec.shown?.[spec.options.indexOf(value)] ?? (value || "–"));

// A still copy of a picture: canvases are drawn anew, and ids, which must be unique, go.
function copies(page) {
  const copy = page.cloneNode(true), from = [...page.querySelectorAll("canvas")];
  copy.querySelectorAll("canvas").forEach((canvas, i) => canvas.getContext("2d").drawImage(from[i], 0, 0));
  copy.querySelectorAll("[id]").forEach((one) => one.removeAttribute("id"));
  copy.querySelectorAll("button, [tabindex]").forEach((one) => { one.tabIndex = -1; one.disabled = true; });
  return [...copy.childNodes];
}

const python = (value) => (typeof value === "string" ? JSON.stringify(value) : String(value));

// The constructor with every control, and where there is one the package's function that does it without an explorer.
function called(call, values, specs) {
  const given = [...call.given, ...specs.filter((spec) => !["marks", "file"].includes(spec.kind)).map((spec) => `${spec.name}=${python(values[spec.name])}`)];
  const recipe = call.recipe ? "\n# " + call.recipe.replace(/\{(\w+)\}/g, (_, name) => python(values[name])) : "";
  return `${call.name}(${given.join(", ")})${recipe}`;
}

// The HTML for these values: the kernel's answer, or in a page without one the page that was stored for them.
function htmlOf(model, stored, values) {
  if (!stored.pages) return { html: model.get("html"), shown: model.get("shown") };
  const found = stored.pages[stored.keys.map((name) => String(values[name])).join("|")] ?? "";
  return { html: found.replace(/@(\d+)@/g, (_, i) => stored.pool[i]), shown: values };
}

// ---------------------------------------------------------------- a page without a kernel

// A model of plain values, as much of Jupyter's as render() asks for.
function plain(state) {
  const heard = {};
  return {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; (heard[`change:${name}`] ?? []).forEach((tell) => tell()); },
    save_changes: () => {},
    on: (names, tell) => names.split(" ").forEach((name) => (heard[name] ??= []).push(tell)),
  };
}

export function mount(place, state, style) {
  const el = make("div"), before = stillOf(place);
  place.append(make("style", { textContent: style }), el);
  render({ model: plain(state), el });
  before.forEach((output) => { output.style.display = "none"; });
}

// The still and its caption: the outputs of the cell between its last picture before this place and the place.
function stillOf(place) {
  const cell = place.closest(".jp-OutputArea, .output_wrapper, .cell_output") ?? document.body;
  for (let node = place; node !== cell; node = node.parentElement) {
    const before = [];
    for (let one = node.previousElementSibling; one && before.length < 6; one = one.previousElementSibling) {
      before.push(one);
      if (one.matches("img") || one.querySelector("img")) return before;
    }
  }
  return [];
}

export default { render };
