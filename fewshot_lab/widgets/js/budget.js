// The view of BudgetExplorer: accuracy over minutes, one curve for each package of stages, and a budget to drag.

// What an arm costs and reaches with a number of labels: evidence.budget.cost, linear in log2(labels).
function cost(arm, labels, perLabel, scale) {
  const at = arm.labels.findIndex((known) => known >= labels), i = Math.max(1, at);
  const [low, high] = [Math.log2(arm.labels[i - 1]), Math.log2(arm.labels[i])], t = (Math.log2(labels) - low) / (high - low);
  const between = (values) => values[i - 1] + t * (values[i] - values[i - 1]);
  return { labels, minutes: (labels * perLabel + scale * between(arm.seconds)) / 60, mean: between(arm.mean), low: between(arm.low), high: between(arm.high) };
}

// The most accurate number of labels within the budget; among equals the cheaper.
function best(arm, counts, budget, perLabel, scale) {
  const within = counts.map((n) => cost(arm, n, perLabel, scale)).filter((one) => one.minutes <= budget);
  return within.reduce((top, one) => (!top || one.mean > top.mean || (one.mean === top.mean && one.minutes < top.minutes) ? one : top), null);
}

function view({ el, data, say, change, make }) {
  const plot = make("div"), told = make("p");
  el.append(plot, told);
  let a = null;
  dragged(plot, () => a, (minutes) => change({ budget: Math.max(1, Math.min(120, Math.round(minutes))) }, "line"));
  const spread = (places) => { // names at line ends keep 14 pixels from each other
    const order = places.map((y, i) => [y, i]).sort(([p], [q]) => p - q);
    for (let i = 1; i < order.length; i++) order[i][0] = Math.max(order[i][0], order[i - 1][0] + 14);
    return order.reduce((done, [y, i]) => ((done[i] = y), done), []);
  };

  function draw(values) {
    const { arms, counts, classes, scales, names } = data(), scale = scales[values.scale], keys = Object.keys(arms);
    const curves = keys.map((name) => counts.map((n) => cost(arms[name], n, values.per_label, scale)));
    const all = curves.flat(), from = Math.min(1, ...all.map((one) => one.minutes)), to = Math.max(150, ...all.map((one) => one.minutes));
    const floor = Math.floor(20 * Math.min(...all.map((one) => one.low)) - 0.2) / 20, roof = Math.min(1, Math.ceil(20 * Math.max(...all.map((one) => one.high)) + 0.2) / 20);
    a = area({ width: 760, height: 330, x: [from * 0.9, to], y: [floor, roof], log: true, right: 190 });
    const xTicks = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000].filter((v) => v >= from * 0.9 && v <= to);
    const yTicks = Array.from({ length: 40 }, (_, i) => Number((i / 20).toFixed(2))).filter((v) => v >= floor && v <= roof);
    const mine = cost(arms[values.arm], values.labels * classes, values.per_label, scale);
    const bests = keys.map((name) => best(arms[name], counts, values.budget, values.per_label, scale));
    const top = bests.reduce((one, b, i) => (b && (one < 0 || b.mean > bests[one].mean) ? i : one), -1);
    const ends = spread(curves.map((curve) => a.sy(curve.at(-1).mean)));
    const lines = curves.map((curve, i) => {
      const colour = COLOURS[i % COLOURS.length], chosen = keys[i] === values.arm, points = curve.map((one) => [a.sx(one.minutes), a.sy(one.mean)]);
      const band = [...curve.map((one) => [a.sx(one.minutes), a.sy(one.high)]), ...curve.map((one) => [a.sx(one.minutes), a.sy(one.low)]).reverse()];
      const end = points.at(-1), text = `${names[i]} ${curve.at(-1).mean.toFixed(2)}`;
      const mark = bests[i] ? `<circle cx="${a.sx(bests[i].minutes)}" cy="${a.sy(bests[i].mean)}" r="${i === top ? 7 : 4}" fill="${colour}" stroke="currentColor" stroke-width="${i === top ? 2 : 0}"/>` : "";
      return `<path d="M${band.map((p) => p.map((v) => v.toFixed(1)).join()).join("L")}Z" fill="${colour}" opacity="${chosen ? 0.22 : 0.06}"/>${path(points, colour, chosen ? 3 : 1.5)}${mark}<path d="M${end[0]},${end[1]}L${a.width - a.right + 12},${ends[i]}" stroke="${colour}" fill="none"/><text x="${a.width - a.right + 16}" y="${ends[i] + 4}" font-size="12" fill="currentColor" font-weight="${chosen ? 700 : 400}">${escaped(text)}</text>`;
    });
    const wall = a.sx(Math.min(to, values.budget)), over = mine.minutes > values.budget;
    const budget = `<rect x="${wall}" y="${a.top}" width="${a.width - a.right - wall}" height="${a.height - a.top - a.bottom}" fill="currentColor" opacity=".1"/><line x1="${wall}" x2="${wall}" y1="${a.top}" y2="${a.height - a.bottom}" stroke="currentColor" stroke-width="2"/><text x="${wall - 5}" y="${a.top + 10}" text-anchor="end" font-size="12" fill="currentColor">${escaped(say("budget"))} ${values.budget}</text>`;
    const [mx, my] = [a.sx(mine.minutes), a.sy(mine.mean)];
    const you = `<path d="M${mx - 8},${my}L${mx},${my - 8}L${mx + 8},${my}L${mx},${my + 8}Z" fill="${over ? "#d9365f" : "#348279"}" stroke="currentColor" stroke-width="1.5"/><text x="${mx}" y="${my + 24}" text-anchor="middle" font-size="12" font-weight="700" fill="currentColor">${escaped(say("you"))}</text>`;
    plot.innerHTML = chart(a, say("Accuracy over minutes, a curve for each package of stages"), axes(a, { xTicks, yTicks, xName: say("minutes of person and machine, log scale"), yName: say("test accuracy") }) + budget + lines.join("") + you);
    const range = (one) => `${one.mean.toFixed(3)} [${one.low.toFixed(3)}, ${one.high.toFixed(3)}]`;
    let spent = say("{minutes:.1f} of {budget} minutes", { minutes: mine.minutes, budget: values.budget });
    if (over) spent = say("{spent}: more than you have", { spent });
    const words = say("You buy {labels} labels and “{package}” for {spent}. Accuracy {accuracy}.", { labels: mine.labels, package: names[keys.indexOf(values.arm)], spent, accuracy: range(mine) });
    told.textContent = top < 0 ? say("{words} Nothing on sale is as cheap as your budget.", { words })
      : say("{words} The best purchase: {labels} labels and “{package}” for {minutes:.1f} minutes, accuracy {accuracy:.3f}.", { words, labels: bests[top].labels, package: names[top], minutes: bests[top].minutes, accuracy: bests[top].mean });
    return told.textContent;
  }
  return { draw };
}

export { cost, best };
