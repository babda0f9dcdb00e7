// Marks by keys, kept in this browser until they are saved as a table that the grader reads.
const form = document.getElementById("marks");
const answers = [...form.querySelectorAll(".answer")];
const place = "fewshot-lab-marks:" + answers.map((it) => it.id).join(" ");
let now = 0;
let unsaved = false;

const score = (it) => it.querySelector("input");
const comment = (it) => it.querySelector("textarea");
const wrong = (it) => !score(it).validity.valid;

function show() {
  for (const it of answers) {
    it.classList.toggle("marked", score(it).value !== "" && !wrong(it));
    it.querySelector(".wrong").textContent = wrong(it) ? form.dataset.range.replace("{most}", score(it).max) : "";
  }
  const marked = answers.filter((it) => it.classList.contains("marked")).length;
  const done = form.dataset.done.replace("{marked}", marked).replace("{total}", answers.length);
  document.getElementById("done").textContent = done + (unsaved ? form.dataset.unsaved : "");
}

function go(to, scroll = true) {
  if (!answers.length) return;
  now = Math.max(0, Math.min(answers.length - 1, to));
  answers.forEach((it, i) => it.classList.toggle("now", i === now));
  answers[now].focus({ preventScroll: true });
  if (scroll) answers[now].scrollIntoView({ block: "start" });
}

function keep() {
  unsaved = true;
  try {
    const values = answers.map((it) => [it.id, score(it).value, comment(it).value]);
    localStorage.setItem(place, JSON.stringify(values));
  } catch {
    // A browser may forbid it; then only the saved file keeps them.
  }
  show();
}

function restore() {
  try {
    for (const [id, points, words] of JSON.parse(localStorage.getItem(place) ?? "[]")) {
      const it = document.getElementById(id);
      unsaved ||= score(it).value !== points || comment(it).value !== words;
      score(it).value = points;
      comment(it).value = words;
    }
  } catch {
    // Nothing was kept, or it is of another page.
  }
}

function save() {
  const bad = answers.findIndex(wrong);
  if (bad >= 0) return go(bad);
  const quoted = (text) => '"' + text.replaceAll('"', '""') + '"';
  const rows = answers
    .filter((it) => score(it).value !== "" || comment(it).value !== "")
    .map((it) => [it.id, score(it).value, comment(it).value]);
  const text = [["answer", "score", "comment"], ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff" + text], { type: "text/csv" }));
  link.download = form.dataset.file;
  link.click();
  URL.revokeObjectURL(link.href);
  unsaved = false;
  show();
}

function give(points) {
  score(answers[now]).value = points;
  keep();
}

const keys = {
  j: () => go(now + 1),
  k: () => go(now - 1),
  n: () => {
    const open = answers.findIndex((it, i) => i > now && !it.classList.contains("marked"));
    go(open >= 0 ? open : answers.findIndex((it) => !it.classList.contains("marked")));
  },
  c: () => comment(answers[now]).focus(),
  s: save,
  ".": () => give(Number(score(answers[now]).value) + 0.5),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return go(now);
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, textarea, button")) return;
  const action = /^[0-9]$/.test(event.key) ? () => give(event.key) : keys[event.key];
  if (action && answers.length) {
    event.preventDefault();
    action();
  }
});
form.addEventListener("input", keep);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("focusin", (event) => {
  const at = answers.indexOf(event.target.closest(".answer"));
  if (at >= 0 && at !== now) {
    now = at;
    answers.forEach((it, i) => it.classList.toggle("now", i === now));
  }
});
document.getElementById("save").addEventListener("click", save);
addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
history.scrollRestoration = "manual"; // a page that is loaded again begins with its first question, as its keys do
restore();
show();
go(0, false);
