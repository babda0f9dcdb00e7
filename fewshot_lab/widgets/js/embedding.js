// The view of EmbeddingExplorer: letters glide from one encoder's map to the other's; a click chooses one.

function unpack(pack) { // images (n, C, S, S) as Python packed them
  const bytes = Uint8Array.from(atob(pack.bytes), (letter) => letter.charCodeAt(0)), [, channels, size] = pack.shape, count = size * size;
  return (canvas, row) => {
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d"), shown = context.createImageData(size, size);
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < 3; c++) shown.data[4 * i + c] = bytes[row * channels * count + (channels === 1 ? 0 : c * count) + i];
      shown.data[4 * i + 3] = 255;
    }
    context.putImageData(shown, 0, 0);
  };
}

function view({ el, data, say, change, make }) {
  const NS = "http://www.w3.org/2000/svg", { labels, classes, colours, places, nearest, agreement } = data(), paint = unpack(data().images);
  const map = document.createElementNS(NS, "svg"), lines = document.createElementNS(NS, "path"), ring = document.createElementNS(NS, "circle");
  map.setAttribute("viewBox", "0 0 100 100");
  map.setAttribute("role", "img");
  map.style.cssText = "width:min(460px,100%);height:auto;border:1px solid var(--line)";
  lines.setAttribute("stroke", "currentColor");
  lines.setAttribute("stroke-width", ".35");
  lines.setAttribute("fill", "none");
  for (const [name, value] of Object.entries({ r: 3, fill: "none", stroke: "currentColor", "stroke-width": 0.7 })) ring.setAttribute(name, value);
  const letters = labels.map((label, row) => {
    const text = document.createElementNS(NS, "text"), title = document.createElementNS(NS, "title");
    text.classList.add("glides");
    text.textContent = classes[label].slice(0, 2);
    title.textContent = classes[label];
    text.append(title);
    for (const [name, value] of Object.entries({ "font-size": 3.6, "text-anchor": "middle", "dominant-baseline": "central", fill: colours[label] })) text.setAttribute(name, value);
    text.style.cursor = "pointer";
    text.addEventListener("click", () => change({ image: row }));
    text.addEventListener("pointerenter", () => { peek.hidden = false; paint(peek.firstChild, row); peek.lastChild.textContent = classes[label]; });
    text.addEventListener("pointerleave", () => { peek.hidden = true; });
    return text;
  });
  map.append(lines, ring, ...letters);
  const card = (row, words) => {
    const canvas = make("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", say("Image of {label}", { label: words }));
    canvas.style.cssText = "width:68px;height:68px";
    if (row !== null) paint(canvas, row);
    const figure = make("figure", {}, canvas, make("figcaption", { textContent: words }));
    figure.style.width = "76px";
    return figure;
  };
  const peek = card(null, "");
  peek.hidden = true;
  const cards = make("div", { className: "row" }), told = make("p"), these = make("p", { textContent: say("The chosen image and its {count} nearest neighbours:", { count: nearest[Object.keys(nearest)[0]][0].length }) });
  const beside = make("div", {}, these, cards, told, make("p", { textContent: say("Click a letter to choose its image.") }), peek);
  beside.style.maxWidth = "270px";
  el.append(make("div", { className: "row" }, map, beside));

  function draw(values) {
    const at = places[values.features], chosen = values.image, near = nearest[values.features][chosen];
    letters.forEach((text, row) => {
      text.style.transform = `translate(${at[row][0]}px,${at[row][1]}px)`;
      text.style.opacity = values.shown === "all" || values.shown === data().names[labels[row]] ? 1 : 0.15;
      text.style.fontWeight = row === chosen ? 700 : 400;
    });
    const [x, y] = at[chosen];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    lines.setAttribute("d", near.map((row) => `M${x},${y}L${at[row]}`).join(""));
    map.setAttribute("aria-label", say("Map of {count} images by the features “{name}”", { count: labels.length, name: values.features }));
    cards.replaceChildren(card(chosen, say("chosen: {label}", { label: classes[labels[chosen]] })), ...near.map((row) => card(row, classes[labels[row]])));
    return (told.textContent = say("{share:.0%} of the nearest neighbours are of the same class.", { share: agreement[values.features] }));
  }
  return { draw };
}
