"""The course's own page in a Jupyter server, /fewshot-lab: chapters, a learner's progress, what comes next.

`fewshot-lab lab` enables and opens it; binder/postBuild enables it for Binder's server.
"""

import asyncio
import dataclasses
import json
import sys
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from tornado import web

from ..errors import CourseError
from ..evidence import CLAIMS, course_records, ledger
from ..evidence.course_records import latest_in
from ..languages import KNOWN, language, later, say, speaking
from .chapters import Chapter, course_root
from .page import STYLE
from .progress import DONE, GO_ON, START, Progress, following, last_in_words, progress, title

POLL_SECONDS = 4
COOKIE = "fewshot-lab-language"
WORDS = {
    "title": later("Few-Shot Lab"),
    "lead": later("When does data augmentation stop helping, and what do you do then?"),
    "next": later("What comes next"),
    "next_step": later("{number} {title}: {passed} of {total} checks passed. Next check: {exercise}."),
    "all_done": later("Every check has passed. The final project is at the end of chapter {number}."),
    "open": later("Open chapter {number}"),
    "passed": later("{passed} of {total} passed"),
    "all_passed": later("{passed} of {total} checks passed"),
    "no_checks": later("no checks"),
    "minutes": later("{minutes} min"),
    "chapters": later("Chapters"),
    "more": later("More"),
    "claims_link": later("The claims and what was found"),
    "claims_remark": later("(it tells how chapters end: predict first)"),
    "claims": later("The claims"),
    "doctor_link": later("Does something not work? Look this machine over"),
    "doctor": later("This machine"),
    "results": later("The results of your latest run"),
    "leaderboard": later("The leaderboard of few-shot methods, in chapter {number}"),
    "back": later("All chapters"),
    "kept": later("Progress is noted when you run a check in a notebook. It stays on this machine."),
    "lost": later("The server does not answer. Start it again with make lab: that opens a new page."),
    START: later("Start"),
    GO_ON: later("Go on"),
    DONE: later("Done: look again"),
    "language": later("Language"),
    "chapter": later("chapter"),
}
HEADS = {
    "chapter": later("Chapter"),
    "minutes": later("Time"),
    "claims": later("Claims"),
    "checks": later("Checks"),
    "go": later("Open"),
}
_STYLE = """
:root { --link: #0b57d0; background: Canvas; color: CanvasText; }
@media (prefers-color-scheme: dark) { :root { --link: #9ecbff; } }
body { max-width: 62rem; }
.tongues { text-align: right; margin: 0; } .tongues [aria-current] { color: inherit; text-decoration: none; }
h1 { margin-bottom: 0; } .lead { margin-top: .2rem; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, pre:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.next { border: 1px solid var(--line); border-left: .4em solid #1565c0; border-radius: .4em;
  padding: .2rem 1rem 1rem; margin: 1.5rem 0; }
.next h2 { margin: .5rem 0 0; font-size: 1.15rem; } .next p { margin: .4rem 0 .8rem; }
.button { display: inline-block; background: #1565c0; color: #fff; border-radius: .4em; padding: .35em 1em;
  text-decoration: none; }
.go { white-space: nowrap; }
progress { appearance: none; display: block; width: 100%; max-width: 9rem; height: .6rem; margin-top: .45rem; border: 0;
  border-radius: .3rem; overflow: hidden; background: var(--line); }
progress::-webkit-progress-bar { background: transparent; }
progress::-webkit-progress-value { background: #2e7d32; } progress::-moz-progress-bar { background: #2e7d32; }
.all progress { max-width: none; }
td { overflow-wrap: normal; } td.checks { min-width: 9rem; } td.minutes, td.checks { white-space: nowrap; }
pre { overflow-x: auto; }
@media (max-width: 45rem) {
  td:empty { display: none; } td.minutes, td.claims { display: inline-block; margin-right: 1rem; }
  .ledger td:first-child[rowspan] { font-weight: bold; }
  .ledger td[rowspan] + td:not([rowspan])::before, .ledger td:first-child:not([rowspan])::before {
    content: var(--chapter) " "; }
}
#lost { border-left: .4em solid #b3261e; padding-left: .8rem; }
"""
_SCRIPT = """
const lost = document.getElementById("lost");
async function update() {
  if (document.hidden) return;
  try {
    const answer = await fetch("%s");
    if (!answer.ok) throw new Error(answer.status);
    for (const [id, values] of Object.entries(await answer.json())) {
      const element = document.getElementById(id);
      for (const [name, value] of Object.entries(values)) {
        if (name === "text" && element.textContent !== value) element.textContent = value;
        if (name !== "text" && element.getAttribute(name) !== value) element.setAttribute(name, value);
      }
    }
    lost.hidden = true;
  } catch { lost.hidden = false; }
}
setInterval(update, %d);
document.addEventListener("visibilitychange", update);
"""


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "fewshot_lab.course.landing"}]


def _load_jupyter_server_extension(server) -> None:
    base = server.web_app.settings["base_url"]
    pages = {"/?": Landing, "/progress": LiveProgress, "/claims": Claims, "/doctor": Doctor}
    server.web_app.add_handlers(".*$", [(url_path_join(base, f"fewshot-lab{end}"), page) for end, page in pages.items()])


class _Page(JupyterHandler):
    """A page for whoever may use the server; it loads nothing from elsewhere."""

    @property
    def content_security_policy(self) -> str:
        return "default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'"

    def speaking(self) -> AbstractContextManager[None]:
        """Speaks the language that the address asks for and remembers it in a cookie; else that of the cookie or the server."""
        if self.get_query_argument("lang", "") in KNOWN:
            self.set_cookie(COOKIE, self.get_query_argument("lang"), path=ours(self.base_url), expires_days=365, samesite="Lax")
        return speaking(_asked_for(self))

    def show(self, title: str, body: str) -> None:
        self.finish(f"""<!DOCTYPE html>
<html lang="{language()}" style="--chapter: '{_word("chapter")}'"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{_STYLE}</style></head><body><main>
{_switch()}
{body}
</main></body></html>
""")

    def show_below(self, title: str, body: str) -> None:
        """A page below the first one, with the way back."""
        back = f'<p><a href="{escape(ours(self.base_url))}">{_word("back")}</a></p>'
        self.show(f"{_word('title')}: {title}", f"{back}\n<h1>{escape(title)}</h1>\n{body}")


class Landing(_Page):
    """The chapters with a learner's progress; it asks for news every few seconds while it is seen."""

    @web.authenticated
    def get(self) -> None:
        with self.speaking():
            try:
                body = landing(progress(), self.base_url, self.settings["server_root_dir"])
            except CourseError as error:
                body = f"<h1>{_word('title')}</h1>\n<p role=alert>{escape(str(error))}</p>"
            self.show(_word("title"), body)


class LiveProgress(APIHandler):
    """What changes on the page with progress, as JSON: {element's id: {"text" or attribute: value}}."""

    @web.authenticated
    def get(self) -> None:
        try:
            with speaking(_asked_for(self)):
                self.finish(json.dumps(live(progress(), self.base_url, self.settings["server_root_dir"])))
        except CourseError as error:
            raise web.HTTPError(500, reason="the progress cannot be read", log_message=str(error)) from error


class Claims(_Page):
    """The claims ledger, from the latest run or the notebooks as they are saved."""

    @web.authenticated
    async def get(self) -> None:
        with self.speaking():
            try:
                body = await asyncio.to_thread(_ledger)
            except CourseError as error:
                body = f"<p role=alert>{escape(str(error))}</p>"
            self.show_below(_word("claims"), body)


class Doctor(_Page):
    """What `fewshot-lab doctor` says; it runs in a process of its own, since it loads torch."""

    @web.authenticated
    async def get(self) -> None:
        words = [sys.executable, "-m", "fewshot_lab", "doctor"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        said, _ = await process.communicate()
        with self.speaking():
            self.show_below(_word("doctor"), f"<pre tabindex=0>{escape(said.decode(errors='replace').strip())}</pre>")


def _asked_for(handler: JupyterHandler) -> str:
    """The language in the address, else the one of the cookie, else the server's; English where that is none of ours."""
    for name in (handler.get_query_argument("lang", ""), handler.get_cookie(COOKIE)):
        if name in KNOWN:
            return name
    try:
        return language()
    except CourseError:
        return "en"


def _word(name: str, **values) -> str:
    return say(WORDS[name], **values)


def _switch() -> str:
    """A link to the same page in each language."""
    names = [
        f'<a href="?lang={key}" lang="{key}"{" aria-current=true" if key == language() else ""}>{name}</a>'
        for key, name in KNOWN.items()
    ]
    return f'<nav class="tongues" aria-label="{_word("language")}">{" | ".join(names)}</nav>'


def ours(base: str, *parts: str) -> str:
    """The address of the page, or of one below it, in a server whose base URL is `base`."""
    return url_path_join(base, "fewshot-lab", *parts)


def link(path: Path, base: str, root: str, view: str = "lab/tree") -> str | None:
    """The address of a file in JupyterLab, or under another `view`; None where the server, which serves `root`, has it not."""
    try:
        place = path.resolve().relative_to(Path(root).expanduser().resolve())
    except ValueError:
        return None
    return url_path_join(base, view, url_escape(place.as_posix()))


def landing(course: list[Progress], base: str, root: str) -> str:
    """The page's content as HTML; `live` gives what changes on it."""
    now = live(course, base, root)
    rows = "".join(_row(one, now) for one in course)
    heads = "".join(f'<th scope="col">{say(name)}</th>' for name in HEADS.values())
    return f"""<h1>{_word("title")}</h1>
<p class="lead">{_word("lead")}</p>
<p id="lost" role="alert" hidden>{_word("lost")}</p>
<section class="next"><h2>{_word("next")}</h2><p id="next" aria-live="polite">{escape(now["next"]["text"])}</p>
{_link("next-link", now, "button")}</section>
<div class="all"><span id="all-words">{escape(now["all-words"]["text"])}</span>{_bar("all-bar", now, _word("chapters"))}</div>
<h2>{_word("chapters")}</h2>
<table><thead><tr>{heads}</tr></thead><tbody>
{rows}</tbody></table>
<p class="quiet">{_word("kept")}</p>
<h2>{_word("more")}</h2>
<ul>{_more(course, base, root)}</ul>
<script>{_SCRIPT % (ours(base, f"progress?lang={language()}"), POLL_SECONDS * 1000)}</script>"""


def live(course: list[Progress], base: str, root: str) -> dict[str, dict[str, str]]:
    """What changes on the page with progress, {element's id: {"text" or attribute: value}}."""
    passed, total = sum(len(one.passed) for one in course), sum(len(one.chapter.exercises) for one in course)
    found = {
        "all-words": {"text": _word("all_passed", passed=passed, total=total)},
        "all-bar": {"value": str(passed), "max": str(total or 1)},
    }
    to_open = following(course)
    found["next"] = {"text": _next_step(to_open, course)}
    chapter = (to_open or course[-1]).chapter
    found["next-link"] = {"text": _word("open", number=chapter.id), **_href(chapter, base, root)}
    for one in course:
        number, passed, total = one.chapter.id, len(one.passed), len(one.chapter.exercises)
        found[f"words-{number}"] = {"text": _passed(passed, total), "title": last_in_words(one)}
        found[f"bar-{number}"] = {"value": str(passed), "max": str(total or 1)}
        found[f"go-{number}"] = {"text": _word(one.state), **_href(one.chapter, base, root)}
    return found


def _href(chapter: Chapter, base: str, root: str) -> dict[str, str]:
    address = link(chapter.notebook, base, root)
    return {"href": address} if address else {}


def _next_step(to_open: Progress | None, course: list[Progress]) -> str:
    if to_open is None:
        return _word("all_done", number=course[-1].chapter.id)
    chapter, passed = to_open.chapter, len(to_open.passed)
    given = {"passed": passed, "total": len(chapter.exercises), "exercise": to_open.open[0]}
    return _word("next_step", number=chapter.id, title=title(chapter), **given)


def _passed(passed: int, total: int) -> str:
    return _word("passed", passed=passed, total=total) if total else _word("no_checks")


def _row(one: Progress, now: dict) -> str:
    chapter = one.chapter
    claims = ", ".join(name for name, claim in CLAIMS.items() if chapter.id in claim.chapters)
    checks = f'<span id="words-{chapter.id}">{escape(now[f"words-{chapter.id}"]["text"])}</span>'
    name = escape(f"{chapter.id} {title(chapter)}")
    cells = {
        "chapter": f'<strong id="name-{chapter.id}">{name}</strong><div class="quiet">{escape(say(chapter.question))}</div>',
        "minutes": _word("minutes", minutes=chapter.minutes) if chapter.minutes else "",
        "claims": claims,
        "checks": checks + (_bar(f"bar-{chapter.id}", now, f"{chapter.id} {title(chapter)}") if chapter.exercises else ""),
        "go": _link(f"go-{chapter.id}", now, "go", f"name-{chapter.id}"),
    }
    named = {key for key, cell in cells.items() if cell} - {"chapter", "go"}
    shown = {key: f' data-name="{say(HEADS[key])}"' if key in named else "" for key in cells}
    return "<tr>" + "".join(f'<td class="{key}"{shown[key]}>{cell}</td>' for key, cell in cells.items()) + "</tr>\n"


def _bar(name: str, now: dict, label: str) -> str:
    value, most = now[name]["value"], now[name]["max"]
    return f'<progress id="{name}" value="{value}" max="{most}" aria-label="{escape(label)}"></progress>'


def _link(name: str, now: dict, kind: str, described_by: str = "next") -> str:
    """A link into the tab of the notebooks; its text alone where the server cannot open the notebook."""
    text, address = escape(now[name]["text"]), now[name].get("href")
    target = f' href="{escape(address)}" target="fewshot-lab-notebooks"' if address else ""
    return f'<a id="{name}" class="{kind}" aria-describedby="{described_by}"{target}>{text}</a>'


def _more(course: list[Progress], base: str, root: str) -> str:
    last = course[-1].chapter
    results = latest_in(course_root() / "runs") / "index.html"
    items = {
        ours(base, "claims"): f'{_word("claims_link")}</a> <span class="quiet">{_word("claims_remark")}</span>',
        link(last.notebook, base, root): _word("leaderboard", number=last.id) + "</a>",
        link(results, base, root, "files") if results.exists() else None: _word("results") + "</a>",
        ours(base, "doctor"): _word("doctor_link") + "</a>",
    }
    return "".join(f'<li><a href="{escape(address)}">{text}</li>\n' for address, text in items.items() if address)


def _ledger() -> str:
    """The ledger as HTML, without links, which would lead astray here."""
    found = course_records(course_root() / "notebooks", chapter="")
    claims = ledger([dataclasses.replace(one, notebook="") for one in found if one.chapter])
    return f"<p>{escape(claims.counts())}.</p>\n<div class=ledger>{claims._repr_html_()}</div>"
