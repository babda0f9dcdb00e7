"""From a slider to the new picture, in JupyterLab with headless Chromium: milliseconds for every explorer that has a slider."""

import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from browser import Notebook, missing, new_page, opened, served, write_explorers
from explorers import EXPLORERS

MOVES = 20  # of each slider that is measured
MEASURE = """(output) => {
  const input = output.querySelector("input[type=range]"), low = Number(input.min), high = Number(input.max);
  const page = [...output.querySelectorAll(".page")].at(-1), step = Number(input.step);
  const once = (place) => new Promise((tell) => {
    const watch = new MutationObserver(() => {
      watch.disconnect();
      clearTimeout(late);
      requestAnimationFrame(() => tell(performance.now() - began));
    });
    const late = setTimeout(() => { watch.disconnect(); tell(null); }, 3000);
    watch.observe(page, { childList: true, subtree: true, characterData: true });
    const began = performance.now();
    input.value = place;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return (async () => {
    const found = [];
    for (let i = 0; i < MOVES; i++) {
      found.push(await once(low + ((i * 7) % Math.max(2, Math.round((high - low) / step))) * step));
      await new Promise((go) => setTimeout(go, 100));
    }
    return found.filter((time) => time !== null);
  })();
}"""


def measured() -> dict:
    """{"rows": [{"name", "median", "p90", "n"}]}, in milliseconds; moves that leave the picture as it was do not count."""
    if missing():
        raise RuntimeError(missing())
    rows = []
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as lab, opened() as browser:
        notebook = Notebook(new_page(browser), lab, write_explorers(lab.course))
        notebook.run_all()
        for name, output in zip(EXPLORERS, notebook.explorers(), strict=True):
            if not output.locator("input[type=range]").count():
                continue
            output.scroll_into_view_if_needed()
            taken = output.evaluate(MEASURE.replace("MOVES", str(MOVES)))
            if len(taken) > 2:
                rows.append({"name": name, "median": median(taken), "p90": quantiles(taken, n=10)[8], "n": len(taken)})
    return {"rows": rows}
