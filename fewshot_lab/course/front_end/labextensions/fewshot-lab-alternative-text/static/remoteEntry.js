// JupyterLab (4.6) and Notebook 7 show an image/png without its alternative text: a screen reader says "image". Their own
// renderer does all the work here; only the text is added. Written by hand as what a bundler would make of it, so that the
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
        if (text) this.node.querySelector("img").alt = text;
      }
    }

    const factory = { safe: true, mimeTypes: ["image/png"], createRenderer: (options) => new WithText(options) };
    // JupyterLab's own renderer of images has the rank 90; the lower one is asked.
    const extension = { id: "fewshot-lab:alternative-text", rendererFactory: factory, rank: 89, dataType: "string" };
    return () => ({ __esModule: true, default: extension });
  }

  return { init: (scope) => void (shared = scope), get: module };
})();
