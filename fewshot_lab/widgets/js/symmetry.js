// The view of SymmetryExplorer: the eight elements of D4 on a picture. Quarter turns and flips keep every pixel, so CSS does them.

// (turns, flipped) as fewshot_lab.augment.geometry.D4: flip first, then turn counter-clockwise.
const D4 = [0, 1].flatMap((flipped) => [0, 1, 2, 3].map((turns) => [turns, flipped]));
const compose = ([t1, f1], [t2, f2]) => [(((t2 + (f2 ? -t1 : t1)) % 4) + 4) % 4, f1 ^ f2];
const shortly = ([turns, flipped]) => `(${turns}, ${flipped ? "flip" : "–"})`;
const css = ([turns, flipped]) => `rotate(${-90 * turns}deg) scaleX(${flipped ? -1 : 1})`;

function view({ el, data, say, make }) {
  let state = [0, 0], way = "";
  const words = make("p"), grid = make("div", { className: "row" }), big = make("img", { className: "glides", alt: "" }), told = make("p");
  const press = (text, element) => {
    const button = make("button", { type: "button", textContent: say(text) });
    button.addEventListener("click", () => { state = compose(state, element); way += (way ? " → " : "") + say(text); show(); });
    return button;
  };
  const again = make("button", { type: "button", textContent: say("begin again") });
  again.addEventListener("click", () => { [state, way] = [[0, 0], ""]; show(); });
  big.style.cssText = "width:130px;height:130px;background:#fff";
  const tools = make("div", { className: "tools" }, press("turn by 90°", [1, 0]), press("flip", [0, 1]), again);
  el.append(words, make("div", { className: "row" }, make("figure", {}, big, tools, told), grid));
  const entry = (values) => data().entries[`${values.group}|${values.emoji}|${values.artist}`];
  let now = null;

  function show() {
    const at = D4.findIndex(([t, f]) => t === state[0] && f === state[1]);
    big.style.transform = css(state);
    told.textContent = `${way || "–"} = ${shortly(state)}: ${now.names[at]}`;
    [...grid.children].forEach((one, i) => { one.style.outline = i === at ? "2px solid var(--accent)" : ""; });
  }

  function draw(values) {
    const chosen = entry(values);
    if (!chosen) return undefined;
    now = chosen;
    big.src = chosen.image;
    big.alt = chosen.name;
    words.textContent = say("“{name}”, and the names that pictures by the other artists give to its eight positions.", { name: chosen.name });
    grid.replaceChildren(...D4.map((element, i) => {
      const picture = make("img", { src: chosen.image, alt: say("The element {element}, named {name}", { element: shortly(element), name: chosen.names[i] }) });
      picture.style.cssText = `width:84px;height:84px;background:#fff;transform:${css(element)}`;
      const figure = make("figure", {}, picture, make("figcaption", {}, shortly(element), make("br"), chosen.names[i]));
      figure.style.cssText = "width:96px;padding:4px";
      return figure;
    }));
    show();
    return words.textContent;
  }
  return { draw, waits: (values) => !entry(values) };
}

export { D4, compose };
