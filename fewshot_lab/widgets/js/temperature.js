// The view of TemperatureExplorer: a teacher's logits softened by a temperature, beside the hard label and T = 1.

// softmax(logits / T), as fewshot_lab.methods.distillation.softened.
function softened(logits, temperature) {
  const most = Math.max(...logits), powers = logits.map((z) => Math.exp((z - most) / temperature));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const entropy = (p) => -p.reduce((sum, q) => sum + (q > 0 ? q * Math.log2(q) : 0), 0);

function view({ el, data, say, change, make }) {
  const picture = make("figure"), bars = make("div"), curve = make("div"), told = make("p");
  el.append(make("div", { className: "row" }, picture, bars, make("div", {}, curve)), told);
  const [low, high] = [0.5, 20];
  let now = null, a = null;
  dragged(curve, () => a, (t) => change({ temperature: Math.round(2 * t) / 2 }, "curve"));
  const entry = (values) => data().entries[`${values.order}|${values.image}`];

  function draw(values) {
    const chosen = entry(values);
    if (!chosen) return undefined; // the kernel is sending it
    const { classes } = data(), T = values.temperature;
    if (chosen !== now) {
      now = chosen;
      picture.innerHTML = `<img src="${chosen.image}" alt="${escaped(say("A test image of {label}", { label: classes[chosen.label] }))}" style="width:110px;image-rendering:pixelated"><figcaption>${escaped(say("its label: {label}", { label: classes[chosen.label] }))}</figcaption>`;
    }
    const one = softened(chosen.logits, 1), soft = softened(chosen.logits, T), order = classes.map((_, k) => k).sort((i, j) => soft[j] - soft[i]);
    // Each column fills its width: what T changes is how the lesser classes compare with the first.
    const columns = [[say("hard label"), classes.map((_, k) => Number(k === chosen.label)), "#6b6b6b"], ["T = 1", one, COLOURS[1]], [`T = ${T}`, soft, COLOURS[0]]];
    const height = Math.max(11, Math.min(20, 300 / classes.length)), width = 128, left = 74, full = left + 3 * width;
    const rows = order.map((k, r) => {
      const y = 24 + r * height, words = `<text x="${left - 6}" y="${y + height - 4}" text-anchor="end" font-size="${Math.min(12, height)}" fill="currentColor" font-weight="${k === chosen.label ? 700 : 400}">${escaped(classes[k].slice(0, 11))}</text>`;
      return words + columns.map(([, p, colour], c) => {
        const x = left + c * width, long = ((width - 48) * p[k]) / Math.max(...p);
        return `<rect x="${x}" y="${y + 1}" width="${long.toFixed(1)}" height="${height - 3}" fill="${colour}"/><text x="${x + long + 4}" y="${y + height - 4}" font-size="${Math.min(11, height)}" fill="currentColor">${c ? p[k].toFixed(3) : p[k]}</text>`;
      }).join("");
    });
    const heads = columns.map(([name], c) => `<text x="${left + c * width}" y="14" font-size="12" font-weight="700" fill="currentColor">${escaped(name)}</text>`);
    const about = say("The teacher's probabilities: hard label, T = 1 and T = {temperature:g}", { temperature: T });
    bars.innerHTML = `<svg role="img" aria-label="${escaped(about)}" viewBox="0 0 ${full} ${26 + classes.length * height}" width="${full}" style="height:auto">${heads.join("")}${rows.join("")}</svg>`;

    const most = Math.log2(classes.length), h = entropy(soft);
    a = area({ width: 300, height: 210, x: [low, high], y: [0, most * 1.05], left: 48 });
    const points = Array.from({ length: 118 }, (_, i) => low + (i * (high - low)) / 117).map((t) => [a.sx(t), a.sy(entropy(softened(chosen.logits, t)))]);
    const cursor = `<line x1="${a.sx(T)}" x2="${a.sx(T)}" y1="${a.top}" y2="${a.height - a.bottom}" stroke="${COLOURS[1]}" stroke-width="1.5"/><circle cx="${a.sx(T)}" cy="${a.sy(h)}" r="6" fill="${COLOURS[1]}"/>`;
    const top = `<line x1="${a.left}" x2="${a.width - a.right}" y1="${a.sy(most)}" y2="${a.sy(most)}" stroke="currentColor" stroke-dasharray="4 3"/>`;
    curve.innerHTML = chart(a, say("Entropy over the temperature"), axes(a, { xTicks: [1, 5, 10, 15, 20], yTicks: [0, 1, 2, 3, 4].filter((v) => v < most), xName: "T", yName: say("entropy in bits") }) + top + path(points, COLOURS[0]) + cursor);
    const wrong = 1 - soft[chosen.logits.indexOf(Math.max(...chosen.logits))];
    return (told.textContent = say("Entropy {entropy:.2f} of at most {most:.2f} bits. All but the top class carry {wrong:.0%} of the weight in the loss; with a hard label they carry none. T² = {square:g}.", { entropy: h, most, wrong, square: T * T }));
  }
  return { draw, waits: (values) => !entry(values) };
}

export { softened, entropy };
