"""Serves the course's own page in a Jupyter server, /fewshot-lab: chapters, a learner's progress, what comes next.

`fewshot-lab lab` enables and opens it; binder/postBuild enables it for Binder's server.
"""

import asyncio
import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from markupsafe import Markup
from tornado import web

from .. import attempts
from ..errors import CourseError
from ..evidence import RULES, ChapterRecord, Entry, course_records, ledger, recorded
from ..evidence.course_records import latest_in
from ..evidence.forest import forest
from ..html import render, table
from ..languages import KNOWN, language, later, say, speaking
from .achieved import achieved, in_total
from .chapters import Chapter, chapters, own_root, read_notebook
from .door import PAGE
from .progress import DONE, GO_ON, START, Progress, following, last_in_words, progress, title
from .work import make_copies, opened, outdated

# The page asks this often for news while it is visible. Checks run in kernels, other processes that share only a file with the
# server, so no event could reach the page when one passes; a request costs the server a few small files to read.
POLL_SECONDS = 4
COOKIE = "fewshot-lab-language"
WORDS = {
    "title": later("Few-Shot Lab"),
    "lead": later("When does data augmentation stop helping, and what do you do then?"),
    "next": later("What comes next"),
    "next_step": later("{number} {title}: {passed} of {total} checks passed. Next check: {exercise}."),
    "all_done": later(
        "Every check has passed. The final project is at the end of chapter {number}. Print your certificate: "
        "fewshot-lab progress --certificate certificate.html"
    ),
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
    "predictions": later("What you predicted"),
    "foresaw": later("You foresaw {near} of the {total} results that you predicted."),
    "predict_first": later("Nothing yet: a chapter asks before it measures, and this page shows what came of it."),
    "near": later("near"),
    "far": later("far"),
    "hand_in": later("Hand in"),
    "hand_in_lead": later("This is what the grader will find in your saved notebooks. Save them first (Ctrl + S in each)."),
    "looking": later("Looking through your notebooks, as the grader does ..."),
    "your_name": later("Your name, as the class knows it"),
    "hand_in_now": later("Hand in now"),
    "download": later("Download the file"),
    "handed_in": later("Handed in"),
    "results": later("The results of your latest run"),
    "jupyterlab": later("JupyterLab: several chapters side by side, files, a terminal"),
    "leaderboard": later("The leaderboard of few-shot methods, in chapter {number}"),
    "back": later("All chapters"),
    "newer": later(
        "The course has a newer text of: {numbers}. Your copies stay as they are. To take the new text with your answers in "
        "it, close these chapters and type: fewshot-lab update"
    ),
    "kept": later("Progress is noted when you run a check in a notebook. It stays on this machine."),
    "lost": later("The server does not answer. Start it again with make lab: that opens a new page."),
    START: later("Start"),
    GO_ON: later("Go on"),
    DONE: later("Done: look again"),
    "language": later("Language"),
}
HEADS = {
    "chapter": later("Chapter"),
    "minutes": later("Time"),
    "claims": later("Claims"),
    "checks": later("Checks"),
    "go": later("Open"),
}


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "fewshot_lab.course.landing"}]


def _load_jupyter_server_extension(server) -> None:
    os.environ[PAGE] = ours(server.web_app.settings["base_url"])  # for the server's kernels
    # "/?": with and without the slash at the end, since people type both.
    base = server.web_app.settings["base_url"]
    pages = {
        "/?": Landing,
        "/progress": LiveProgress,
        "/predictions": Predictions,
        "/claims": Claims,
        "/doctor": Doctor,
        "/hand-in": HandIn,
    }
    server.web_app.add_handlers(".*$", [(url_path_join(base, f"fewshot-lab{end}"), page) for end, page in pages.items()])


class _Page(JupyterHandler):
    """A page for everyone who may use the server; it loads nothing from other sites."""

    @property
    def content_security_policy(self) -> str:
        return "default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'"

    def speaking(self) -> AbstractContextManager[None]:
        """Sets the language of the page: the one in the address, which a cookie keeps, else the cookie's, else the server's."""
        if self.get_query_argument("lang", "") in KNOWN:
            self.set_cookie(COOKIE, self.get_query_argument("lang"), path=ours(self.base_url), expires_days=365, samesite="Lax")
        os.environ["FEWSHOT_LAB_LANGUAGE"] = _asked_for(self)  # of the kernels that start from now on too
        return speaking(_asked_for(self))

    def show(self, heading: str, content: Markup, *, below: bool = True, then: str = "") -> None:
        """Sends a page with a heading and HTML; all but the first link back to the first. `then`: the address that it loads."""
        title = f"{_word('title')}: {heading}" if below else heading
        back = ours(self.base_url) if below else ""
        self.finish(render("served", **_of_every_page(title), heading=heading, content=content, back=back, then=then))


class Landing(_Page):
    """The chapters with a learner's progress; the page polls for changes every few seconds while it is visible."""

    @web.authenticated
    def get(self) -> None:
        with self.speaking():
            try:
                note = _news_of_copies(ours(self.base_url))
                self.finish(landing(progress(), self.base_url, self.settings["server_root_dir"], note))
            except CourseError as error:
                self.show(_word("title"), _alert(error), below=False)


class LiveProgress(APIHandler):
    """What changes on the page as a learner makes progress, as JSON: {element's id: {"text" or attribute: value}}."""

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
                root = self.settings["server_root_dir"]
                # It reads all notebooks; the server must answer others in between.
                body = await asyncio.to_thread(_ledger, self.base_url, root)
            except CourseError as error:
                body = _alert(error)
            self.show(_word("claims"), body)


class Predictions(_Page):
    """What the learner predicted, beside what was measured."""

    @web.authenticated
    def get(self) -> None:
        with self.speaking():
            try:
                body = _predictions()
            except CourseError as error:
                body = _alert(error)
            self.show(_word("predictions"), body)


class Doctor(_Page):
    """The report of `fewshot-lab doctor`, run in a process of its own, since it loads torch."""

    @web.authenticated
    async def get(self) -> None:
        words = [sys.executable, "-m", "fewshot_lab", "doctor"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        report, _ = await process.communicate()
        with self.speaking():
            self.show(_word("doctor"), Markup("<pre tabindex=0>{}</pre>").format(report.decode(errors="replace").strip()))


class HandIn(_Page):
    """What would be handed in, with a button that does it; `fewshot-lab hand-in` in a process of its own, as it loads torch."""

    @web.authenticated
    async def get(self) -> None:
        if not self.get_query_argument("look", ""):
            with self.speaking():  # the grader takes its seconds to load: until then the page says what it does
                waiting = Markup("<p role=status>{}</p>").format(_word("looking"))
                self.show(_word("hand_in"), waiting, then=f"{ours(self.base_url, 'hand-in')}?look=1")
            return
        found, wrong = await self._command("--look")
        with self.speaking():
            words = wrong or Markup("<p>{}</p><pre tabindex=0>{}</pre>").format(_word("hand_in_lead"), found["words"])
            form = Markup(
                "<form method=post action='{}'><input type=hidden name=_xsrf value='{}'><p><label>{} "
                "<input name=name required maxlength=120 value='{}'></label></p><button class=button>{}</button></form>"
            )
            token = self.xsrf_token.decode()
            address, name = ours(self.base_url, "hand-in"), found.get("name", "")
            asked = form.format(address, token, _word("your_name"), name, _word("hand_in_now"))
            self.show(_word("hand_in"), words if wrong else words + asked)

    @web.authenticated
    async def post(self) -> None:
        # One word with its option: a name that begins with a dash is a name too.
        done, wrong = await self._command(f"--name={self.get_body_argument('name', '').strip()}")
        with self.speaking():
            words = wrong or Markup("<pre role=status tabindex=0>{}</pre>").format(done["words"])
            address = None if wrong else link(Path(done["path"]), self.base_url, self.settings["server_root_dir"], "files")
            if address and not done["given"]:
                more = Markup("<p><a class=button href='{}?download=1' download>{}</a></p>")
                words += more.format(address, _word("download"))
            self.show(_word("hand_in") if wrong else _word("handed_in"), words)

    async def _command(self, *words: str) -> tuple[dict, Markup | None]:
        """What `fewshot-lab hand-in` says, as its JSON, and what went wrong, as HTML."""
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "fewshot_lab", "hand-in", "--json", *words]
        environment = os.environ | {"FEWSHOT_LAB_LANGUAGE": _asked_for(self), "PYTHONIOENCODING": "utf-8"}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment, cwd=own_root()
        )
        said, wrong = await process.communicate()
        if process.returncode:
            return {}, Markup("<p role=alert>{}</p>").format(wrong.decode(errors="replace").strip())
        return json.loads(said.decode().strip().splitlines()[-1]), None


def _asked_for(handler: JupyterHandler) -> str:
    """The language in the address, else the cookie's, else the server's; English if the course does not have that one."""
    for name in (handler.get_query_argument("lang", ""), handler.get_cookie(COOKIE)):
        if name in KNOWN:
            return name
    try:
        return language()
    except CourseError:
        return "en"


def _word(name: str, **values) -> str:
    return say(WORDS[name], **values)


def _of_every_page(title: str) -> dict:
    """The values that the templates of all pages need."""
    return {"title": title, "language": language(), "languages": KNOWN, "word": _word}


def _alert(error: CourseError) -> Markup:
    return Markup("<p role=alert>{}</p>").format(error)


def _news_of_copies(page: str) -> str:
    """Makes missing copies; says which chapters have a newer text in the course, or what went wrong, else nothing."""
    try:
        make_copies(page)
        numbers = ", ".join(chapter.id for chapter in outdated())
    except CourseError as error:
        return str(error)
    return _word("newer", numbers=numbers) if numbers else ""


def ours(base: str, *parts: str) -> str:
    """The address of the first page, or of one under it, on a server whose base URL is `base`."""
    return url_path_join(base, "fewshot-lab", *parts)


def link(path: Path, base: str, root: str, view: str = "notebooks") -> str | None:
    """The address of a notebook in the view that shows it alone, or of any file in another `view`.

    None for a file outside of `root`, which the server serves.
    """
    try:
        relative = path.resolve().relative_to(Path(root).expanduser().resolve())
    except ValueError:
        return None
    return url_path_join(base, view, url_escape(relative.as_posix()))


def landing(course: list[Progress], base: str, root: str, note: str = "") -> str:
    """The first page as HTML, with a note for the learner; `live` has the parts that change."""
    return render(
        "landing",
        **_of_every_page(_word("title")),
        heads={key: say(name) for key, name in HEADS.items()},
        chapters=[_facts(one.chapter) for one in course],
        links=_links(course, base, root),
        now=live(course, base, root),
        note=note,
        hand_in=ours(base, "hand-in"),
        news=ours(base, f"progress?lang={language()}"),
        milliseconds=POLL_SECONDS * 1000,
    )


def live(course: list[Progress], base: str, root: str) -> dict[str, dict[str, str]]:
    """The parts of the page that change with progress, {element's id: {"text" or attribute: value}}."""
    passed, total = sum(len(one.passed) for one in course), sum(len(one.chapter.exercises) for one in course)
    changes = {
        "all-words": {"text": _word("all_passed", passed=passed, total=total)},
        "all-bar": {"value": str(passed), "max": str(total or 1)},
    }
    reached = achieved(course)
    changes["foresaw"] = {"text": _foresaw()}
    changes["found"] = {"text": in_total(reached)}
    to_open = following(course)
    changes["next"] = {"text": _next_step(to_open, course)}
    chapter = (to_open or course[-1]).chapter
    changes["next-question"] = {"text": say(chapter.question)}
    changes["next-picture"] = {"href": f"#{chapter.name}"}
    changes["next-link"] = {"text": _word("open", number=chapter.id), **_href(chapter, base, root)}
    for one, of_it in zip(course, reached, strict=True):
        number, passed, total = one.chapter.id, len(one.passed), len(one.chapter.exercises)
        changes[f"achieved-{number}"] = {"text": str(of_it)}
        changes[f"words-{number}"] = {"text": _passed(passed, total), "title": last_in_words(one)}
        changes[f"bar-{number}"] = {"value": str(passed), "max": str(total or 1)}
        changes[f"go-{number}"] = {"text": _word(one.state), **_href(one.chapter, base, root)}
    return changes


def _foresaw() -> str:
    """How many of the results a learner foresaw; nothing before the first that can be counted."""
    judged = [one.near for one in attempts.predictions() if one.near is not None]
    return _word("foresaw", near=sum(judged), total=len(judged)) if judged else ""


def _predictions() -> Markup:
    """Every prediction beside its result, with the interval where the chapter gives one."""
    words = {True: _word("near"), False: _word("far"), None: ""}
    rows = [
        (one.chapter, say(one.question), say(one.answer), one.measured, words[one.near])
        for one in attempts.predictions()
        if one.measured
    ]
    if not rows:
        return Markup("<p>{}</p>").format(_word("predict_first"))
    heads = [say("Chapter"), say("Question"), say("You predicted"), say("Measured"), ""]
    return Markup("<p>{}</p>\n{}").format(_foresaw(), table(heads, rows))


def _href(chapter: Chapter, base: str, root: str) -> dict[str, str]:
    address = link(opened(chapter), base, root)
    # A tab for each chapter: a second click on it goes there, and loads nothing anew beside what is being written.
    return {"href": address, "target": f"fewshot-lab-{chapter.id}"} if address else {}


def _next_step(to_open: Progress | None, course: list[Progress]) -> str:
    if to_open is None:
        return _word("all_done", number=course[-1].chapter.id)
    chapter, passed = to_open.chapter, len(to_open.passed)
    counts = {"passed": passed, "total": len(chapter.exercises), "exercise": to_open.open[0]}
    return _word("next_step", number=chapter.id, title=title(chapter), **counts)


def _passed(passed: int, total: int) -> str:
    return _word("passed", passed=passed, total=total) if total else _word("no_checks")


def _facts(chapter: Chapter) -> dict:
    """What the first page says about a chapter, whatever the progress."""
    claims = RULES.of_chapter(chapter.id)
    of_article = {name: [say(claim.sentence) for claim in claims if claim.article == name] for name in RULES.article}
    own = sum(not claim.article for claim in claims)
    return {
        "id": chapter.id,
        "name": chapter.name,
        "title": title(chapter),
        "question": say(chapter.question),
        "minutes": _word("minutes", minutes=chapter.minutes) if chapter.minutes else "",
        "claims": [(name, sentences) for name, sentences in of_article.items() if sentences],
        "own_claims": (f"+{own}" if any(of_article.values()) else f"{own}") if own else "",
        "checks": bool(chapter.exercises),
    }


def _links(course: list[Progress], base: str, root: str) -> list[tuple[str, str, str]]:
    """(address, text, remark) for everything else that can be opened."""
    last = course[-1].chapter
    results = latest_in(own_root() / "runs") / "index.html"
    links = [
        (ours(base, "predictions"), _word("predictions"), ""),
        (ours(base, "claims"), _word("claims_link"), _word("claims_remark")),
        (link(opened(last), base, root), _word("leaderboard", number=last.id), ""),
        (link(results, base, root, "files") if results.exists() else None, _word("results"), ""),
        (url_path_join(base, "lab"), _word("jupyterlab"), ""),
        (ours(base, "doctor"), _word("doctor_link"), ""),
    ]
    return [one for one in links if one[0]]


def _ledger(base: str, root: str) -> Markup:
    """The claims as a forest, the learner's beside the makers', with links to the cells that reach the verdicts."""
    course = chapters()
    mine = ledger(course_records(opened(course[-1]).parent, chapter=""))
    # A chapter that was never built has no verdicts; the others' are told all the same.
    cells = {one.id: read_notebook(one).cells for one in course if one.notebook.exists()}
    found = {number: recorded(of_chapter) for number, of_chapter in cells.items()}
    makers = ledger(ChapterRecord(number, "", "", records.verdicts, records.results) for number, records in found.items())
    addresses = {one.id: link(opened(one), base, root) for one in course}

    def cell(entry: Entry) -> str:
        reached = (one.id for one in cells.get(entry.claim.chapter, ()) if f'lab.verdict("{entry.claim.id}"' in one.source)
        address = addresses.get(entry.claim.chapter)
        return f"{address}#cell-id={next(reached, '')}" if address else ""

    sources = Markup("<p class='quiet'>{}</p>").format("; ".join(mine.by_source()))
    counts = say("{words}.", words=mine.counts())
    return Markup("<p>{}</p>\n{}{}").format(counts, forest(mine, makers, cell), sources)
