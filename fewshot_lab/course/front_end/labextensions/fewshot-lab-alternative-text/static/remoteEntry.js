// JupyterLab (4.6) and Notebook 7 show an image/png without its alternative text: a screen reader says "image". Their own
// renderer does all the work here; only the text and a chart's class are added. Written by hand as what a bundler would make of it, so that the
// course is built without Node: a container of webpack's module federation with one module.
(globalThis._JUPYTERLAB ??= {})["fewshot-lab-alternative-text"] = (() => {
  let shared;

  async function module() {
    const [version] = Object.values(shared["@jupyterlab/rendermime"]);
    const { RenderedImage } = (await version.get())();

    class WithText extends RenderedImage {
      async render(model) {
        await super.render(model);
        const text = model.metadata["image/png"]?.alt ?? model.metadata.alt;
        const image = this.node.querySelector("img");
        if (text) image.alt = text;
        if (model.metadata["image/png"]?.chart) image.classList.add("fewshot-lab-chart");
      }
    }

    // In the dark a chart, which is black on white, is turned over; its colours keep their hues.
    const rule = document.createElement("style");
    rule.textContent =
      'body[data-jp-theme-light="false"] img.fewshot-lab-chart { filter: invert(0.93) hue-rotate(180deg); }';
    document.head.append(rule);

    const factory = { safe: true, mimeTypes: ["image/png"], createRenderer: (options) => new WithText(options) };
    // JupyterLab's own renderer of images has the rank 90; the lower one is asked.
    const extension = { id: "fewshot-lab:alternative-text", rendererFactory: factory, rank: 89, dataType: "string" };
    return () => ({ __esModule: true, default: extension });
  }

  return { init: (scope) => void (shared = scope), get: module };
})();
