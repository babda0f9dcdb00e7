// Unpacks an explorer that is stored in a page, once it is seen, and puts it in the place of its still; where this fails the still stays.
const unpacked = async (part) => {
  const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
const begin = async (place) => {
  // In a front end with a kernel the live explorer, which is not here yet, hides this one.
  if (place.closest(".jp-NotebookPanel")) await new Promise((go) => setTimeout(go, 1500));
  if (!place.getClientRects().length) return;
  const { code, style, state } = JSON.parse(place.firstChild.data);
  const { mount } = await import(URL.createObjectURL(new Blob([await unpacked(code)], { type: "text/javascript" })));
  mount(place, JSON.parse(await unpacked(state)), await unpacked(style));
};
for (const place of document.querySelectorAll("[data-explorer='KEY']:not([data-alive])")) {
  place.dataset.alive = "";
  new IntersectionObserver(([seen], watch) => {
    if (!seen.isIntersecting) return;
    watch.disconnect();
    begin(place);
  }, { rootMargin: "1000px" }).observe(place);
}
