// Asks for news while the page is seen, and puts them in: {element's id: {"text" or an attribute: value}}.
const { news, milliseconds } = document.currentScript.dataset;
const lost = document.getElementById("lost");

async function update() {
  if (document.hidden) return;
  try {
    const answer = await fetch(news);
    if (!answer.ok) throw new Error(answer.status);
    for (const [id, values] of Object.entries(await answer.json())) {
      const element = document.getElementById(id);
      for (const [name, value] of Object.entries(values)) {
        // What has not changed is left alone: a screen reader would say it again.
        if (name === "text" && element.textContent !== value) element.textContent = value;
        if (name !== "text" && element.getAttribute(name) !== value) element.setAttribute(name, value);
      }
    }
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}

setInterval(update, Number(milliseconds));
document.addEventListener("visibilitychange", update);
