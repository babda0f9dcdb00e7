// The view of GeometryExplorer: affine maps of an image, computed as fewshot_lab.augment.geometry does it.
// Coordinates: pixels from the centre, x right, y up; a map is [a, b, right, c, d, up], the first two rows of the matrix.

const multiply = ([a, b, r, c, d, u], [A, B, R, C, D, U]) => // the map that does the second, then the first
  [a * A + b * C, a * B + b * D, a * R + b * U + r, c * A + d * C, c * B + d * D, c * R + d * U + u];

function mapOf(values, size) {
  const turn = (values.angle * Math.PI) / 180, cos = Math.cos(turn), sin = Math.sin(turn);
  const flip = { "left-right": [-1, 0, 0, 0, 1, 0], "top-bottom": [1, 0, 0, 0, -1, 0] }[values.flip] ?? [1, 0, 0, 0, 1, 0];
  const steps = [flip, [values.scale, 0, 0, 0, values.scale, 0], [1, values.shear, 0, 0, 1, 0], [cos, -sin, 0, sin, cos, 0],
                 [1, 0, values.right * size, 0, 1, values.up * size]];
  return steps.reduce((done, next) => multiply(next, done));
}

function inverse([a, b, r, c, d, u]) {
  const det = a * d - b * c, [A, B, C, D] = [d / det, -b / det, -c / det, a / det];
  return [A, B, -(A * r + B * u), C, D, -(C * r + D * u)];
}

// The weights of four neighbours at a fraction t between the middle two: Keys' cubic with -0.75, as torch has it.
function cubic(t) {
  const near = (x) => (1.25 * x - 2.25) * x * x + 1, far = (x) => -0.75 * (((x - 5) * x + 8) * x - 4);
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

const evenly = (x) => { const low = Math.floor(x); return x - low === 0.5 ? low + (low % 2 ? 1 : 0) : Math.round(x); };

// bytes (C, S, S) moved by the map; between pixels "nearest", "bilinear" or "bicubic", outside of them the background.
function warped({ bytes, size, channels }, map, mode) {
  const out = new Uint8Array(bytes.length), back = inverse(map), middle = (size - 1) / 2, count = size * size;
  for (let channel = 0; channel < channels; channel++) {
    const of = channel * count, ground = channels === 1 ? 0 : median(bytes, of, size);
    const at = (row, column) => (row < 0 || column < 0 || row >= size || column >= size ? 0 : bytes[of + row * size + column] - ground);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const x = column - middle, y = middle - row;
        const from = back[0] * x + back[1] * y + back[2] + middle, down = middle - (back[3] * x + back[4] * y + back[5]);
        let value = 0;
        if (mode === "nearest") value = at(evenly(down), evenly(from));
        else {
          const left = Math.floor(from), top = Math.floor(down), s = from - left, t = down - top;
          const [across, along, first] = mode === "bicubic" ? [cubic(s), cubic(t), -1] : [[1 - s, s], [1 - t, t], 0];
          for (let i = 0; i < along.length; i++)
            for (let j = 0; j < across.length; j++) value += along[i] * across[j] * at(top + first + i, left + first + j);
        }
        out[of + row * size + column] = Math.min(255, Math.max(0, evenly(value + ground)));
      }
    }
  }
  return { bytes: out, size, channels };
}

function median(bytes, of, size) {
  const edge = [];
  for (let i = 0; i < size; i++) for (const place of [i, (size - 1) * size + i, i * size, i * size + size - 1]) edge.push(bytes[of + place]);
  return edge.sort((a, b) => a - b)[(edge.length - 1) >> 1];
}

function paint(canvas, { bytes, size, channels }) {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d"), shown = context.createImageData(size, size), count = size * size;
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) shown.data[4 * i + c] = bytes[(channels === 1 ? 0 : c * count) + i];
    shown.data[4 * i + 3] = 255;
  }
  context.putImageData(shown, 0, 0);
}

// One of the images that Python packed, (n, C, S, S).
function unpack(pack) {
  const bytes = Uint8Array.from(atob(pack.bytes), (letter) => letter.charCodeAt(0)), [, channels, size] = pack.shape;
  const one = channels * size * size;
  return (i) => ({ bytes: bytes.subarray(i * one, (i + 1) * one), size, channels });
}

const X = "#E69F00", Y = "#56B4E9"; // where the matrix's first and second column come from
const TICKS = Array.from({ length: 9 }, (_, i) => -1 + i / 4);
const GRID = TICKS.flatMap((t) => [[[t, -1], [t, 1]], [[-1, t], [1, t]]]);

function view({ el, data, say, change, own, make }) {
  const panel = (name, extra) => {
    const canvas = make("canvas"), box = make("div", { className: "pane" }, canvas);
    canvas.setAttribute("role", "img");
    canvas.style.cssText = "width:100%;height:100%;display:block;background:#000";
    const over = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    over.setAttribute("viewBox", "-1.3 -1.3 2.6 2.6");
    over.setAttribute("aria-hidden", "true");
    over.style.cssText = "position:absolute;inset:-15%;width:130%;height:130%;overflow:visible;margin:0;max-width:none";
    box.append(over);
    return { canvas, over, figure: make("figure", {}, box, make("figcaption", { textContent: say(name) })) };
  };
  const before = panel("input"), after = panel("output"), numbers = make("div", { className: "narrow" });
  el.append(make("div", { className: "row" }, before.figure, after.figure, numbers));
  let packed = null, image = null;

  const point = ([x, y]) => `${x.toFixed(3)},${(-y).toFixed(3)}`;
  const line = (ends, colour, width) => `<path d="M${ends.map(point).join("L")}" stroke="${colour}" stroke-width="${width}" fill="none"/>`;
  const arrow = (to, colour) => `${line([[0, 0], to], "#000", 0.06)}${line([[0, 0], to], colour, 0.035)}<circle cx="${to[0]}" cy="${-to[1]}" r=".05" fill="${colour}" stroke="#000" stroke-width=".01"/>`;

  // A corner that is dragged turns and scales: the map takes the corner's own place to where the pointer is.
  let dragged = null, now = null;
  after.over.style.touchAction = "none";
  after.over.addEventListener("pointerdown", (event) => {
    if (!event.target.dataset.corner) return;
    dragged = event.target.dataset.corner.split(",").map(Number);
    after.over.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  after.over.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const box = after.canvas.getBoundingClientRect(), size = image.size;
    const x = ((event.clientX - box.left) / box.width) * 2 - 1 - 2 * now.right, y = 1 - ((event.clientY - box.top) / box.height) * 2 - 2 * now.up;
    const still = mapOf({ ...now, angle: 0, scale: 1, right: 0, up: 0 }, size);
    const [cx, cy] = moved(still, dragged);
    const degrees = ((Math.atan2(y, x) - Math.atan2(cy, cx)) * 180) / Math.PI;
    const angle = Math.round(((degrees + 540) % 360) - 180), scale = Math.min(2, Math.max(0.4, Math.hypot(x, y) / Math.hypot(cx, cy)));
    change({ angle, scale: Math.round(scale * 20) / 20 }, "corner");
  });
  for (const end of ["pointerup", "pointercancel"]) after.over.addEventListener(end, () => { dragged = null; });

  const moved = ([a, b, r, c, d, u], [x, y], size = 0) => [a * x + b * y + (size && (2 * r) / size), c * x + d * y + (size && (2 * u) / size)];
  const row = (cells) => `<tr>${cells.map((value, k) => `<td style="text-align:right;font-variant-numeric:tabular-nums;${k < 2 ? `border-bottom:3px solid ${[X, Y][k]}` : ""}">${noMinusZero(value.toFixed(2))}</td>`).join("")}</tr>`;
  const table = (caption, map) => `<table><caption style="text-align:left">${caption}</caption><tbody>${row(map.slice(0, 3))}${row(map.slice(3))}</tbody></table>`;

  function draw(values) {
    const pack = data().packs[values.dataset];
    if (!pack) return undefined; // another data set's images are on their way
    if (pack !== packed?.pack) packed = { pack, at: unpack(pack) };
    image = own() ?? packed.at(values.image);
    now = values;
    const map = mapOf(values, image.size), det = map[0] * map[4] - map[1] * map[3];
    paint(before.canvas, image);
    paint(after.canvas, warped(image, map, values.mode));
    const there = (at) => moved(map, at, image.size);
    before.over.innerHTML = GRID.map((ends) => line(ends, Y, 0.008)).join("") + arrow([0.5, 0], X) + arrow([0, 0.5], Y);
    const centre = there([0, 0]), to = [there([0.5, 0]), there([0, 0.5])];
    const from = (end, colour) => `<g transform="translate(${centre[0]} ${-centre[1]})">${arrow([end[0] - centre[0], end[1] - centre[1]], colour)}</g>`;
    const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
    const handles = corners.map((corner) => { const [x, y] = there(corner); return `<circle class="handle" data-corner="${corner}" cx="${x}" cy="${-y}" r=".075" fill="#fff" stroke="#000" stroke-width=".02"/>`; });
    after.over.innerHTML = GRID.map((ends) => line(ends.map(there), Y, 0.008)).join("") + from(to[0], X) + from(to[1], Y) + handles.join("");
    before.canvas.setAttribute("aria-label", say("The image with a grid"));
    after.canvas.setAttribute("aria-label", say("The warped image and grid"));
    const determinant = say("determinant {value:.2f}", { value: det });
    numbers.innerHTML = `${table(say("matrix: input point to output point"), map)}<p></p>${table(say("inverse: where an output pixel is read"), inverse(map))}<p>${determinant}</p><p>${say("Drag a corner of the output to turn and scale it.")}</p>`;
    return `${values.angle.toFixed(0)}°, ${determinant}`;
  }
  return { draw, waits: (values) => !data().packs[values.dataset], picture: () => [image.size, image.channels] };
}

export { warped, mapOf }; // for the tests, which compare them with the package's
