// Small charts as SVG, for views: axes with ticks, lines with a name at their end, and a line that can be dragged.

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B57D00", "#2F8FC4", "#6b6b6b"];

// An area of width x height with scales for both axes; log: whether x is drawn by its logarithm.
function area({ width, height, x, y, log = false, left = 44, right = 20, bottom = 36, top = 10 }) {
  const at = log ? Math.log : (v) => v;
  return {
    width, height, left, right, bottom, top, x, y,
    sx: (v) => left + ((at(v) - at(x[0])) / (at(x[1]) - at(x[0]))) * (width - left - right),
    sy: (v) => height - bottom - ((v - y[0]) / (y[1] - y[0])) * (height - bottom - top),
    back: (px) => {
      const share = (px - left) / (width - left - right), v = at(x[0]) + share * (at(x[1]) - at(x[0]));
      return Math.min(x[1], Math.max(x[0], log ? Math.exp(v) : v));
    },
  };
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

function axes(a, { xTicks, yTicks, xName, yName }) {
  const line = (x1, y1, x2, y2, faint) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="currentColor" opacity="${faint ? 0.15 : 0.7}"/>`;
  const floor = a.height - a.bottom, end = a.width - a.right;
  const word = (x, y, text, anchor) => `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="12" fill="currentColor">${escaped(text)}</text>`;
  return line(a.left, floor, end, floor)
    + xTicks.map((v) => line(a.sx(v), floor, a.sx(v), floor + 4) + word(a.sx(v), floor + 16, v, "middle")).join("")
    + yTicks.map((v) => line(a.left, a.sy(v), end, a.sy(v), true) + word(a.left - 6, a.sy(v) + 4, v, "end")).join("")
    + word((a.left + end) / 2, a.height - 3, xName, "middle")
    + `<text transform="translate(11 ${(a.top + floor) / 2}) rotate(-90)" text-anchor="middle" font-size="12" fill="currentColor">${escaped(yName)}</text>`;
}

const path = (points, colour, width = 2) => `<path d="M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}" fill="none" stroke="${colour}" stroke-width="${width}"/>`;

function chart(a, label, inside) {
  return `<svg role="img" aria-label="${escaped(label)}" viewBox="0 0 ${a.width} ${a.height}" width="${a.width}" style="height:auto" data-drag>${inside}</svg>`;
}

// Tells where on an area's x axis the pointer is while it is down on a chart in `el`.
function dragged(el, areaNow, tell) {
  let down = false;
  const move = (event) => {
    const box = el.querySelector("svg[data-drag]").getBoundingClientRect();
    tell(areaNow().back(((event.clientX - box.left) / box.width) * areaNow().width));
  };
  el.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("svg[data-drag]")) return;
    down = true;
    el.setPointerCapture(event.pointerId);
    event.preventDefault();
    move(event);
  });
  el.addEventListener("pointermove", (event) => { if (down) move(event); });
  for (const end of ["pointerup", "pointercancel"]) el.addEventListener(end, () => { down = false; });
}
