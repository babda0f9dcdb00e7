// The view of explorers whose picture Python writes as HTML.
function view({ el, html }) {
  let last = null;
  return {
    draw() {
      const now = html().html;
      if (now !== last) el.innerHTML = last = now;
    },
    slow: true, // Python answers: playing takes bigger steps
    waits: (values) => JSON.stringify(sorted(html().shown)) !== JSON.stringify(sorted(values)),
  };
}

const sorted = (values) => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
