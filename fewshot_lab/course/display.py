"""Prints the progress of a run: a live table on a terminal, plain lines elsewhere, and a summary at the end."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..evidence.records import CheckStatus, Outcome
from ..evidence.runs import ChapterRun, Run
from ..languages import chapter_title, later, say
from .chapters import Chapter

PLAIN_EVERY = 10.0  # seconds between two progress lines; a log file should not get one for every cell
_STYLE = {later("ok"): "green", later("failed"): "bold red", later("running"): "cyan"}
_STYLE |= {later("done before"): "dim green", later("waiting"): "dim"}
_STYLE |= {Outcome.SUPPORTED: "green", Outcome.REFUTED: "red", Outcome.INCONCLUSIVE: "yellow"}
_STYLE |= {Outcome.STILL_LEARNING: "yellow", Outcome.NO_EFFECT: "yellow"}


class Display:
    """Shows which chapter and cell are running, and for how long; a context manager."""

    def __init__(self, chapters: Iterable[Chapter], console: Console | None = None):
        self.console = console or Console()
        self.titles = {chapter.id: f"{chapter.id} {chapter_title(chapter.id, chapter.title)}" for chapter in chapters}
        self.states = dict.fromkeys(self.titles, ("waiting", "", 0.0))
        self.running = ""
        self.began = self.last_line = 0.0
        # Transient: the summary at the end replaces the live table.
        self.live = Live(get_renderable=self._table, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self):
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_):
        if self.console.is_terminal:
            self.live.stop()

    def start(self, chapter: str) -> None:
        """Call when the chapter with this id begins."""
        self.running, self.began = chapter, time.monotonic()
        self.last_line = self.began
        self.states[chapter] = ("running", say("starting"), 0.0)

    def cell(self, number: int, cells: int) -> None:
        """Call when cell `number` (from 1) of the running chapter's `cells` begins."""
        now = time.monotonic()
        where = say("cell {number}/{cells}", number=number, cells=cells)
        self.states[self.running] = ("running", where, 0.0)
        if not self.console.is_terminal and now - self.last_line >= PLAIN_EVERY:
            self.last_line = now
            seconds = say("{seconds:.0f} s", seconds=now - self.began)
            self._line(f"{self.titles[self.running]}: {where}, {seconds}")

    def end(self, chapter: str, status: str, seconds: float, remark: str = "") -> None:
        """Call when a chapter has ended ("ok", "failed") or needs no run ("done before")."""
        if chapter not in self.titles:  # in the record of the resumed run, but not asked for now
            return
        remark = remark.split("\n")[0]  # an error's message: its first line
        self.states[chapter] = (status, remark, seconds)
        if not self.console.is_terminal:
            took = say("{seconds:.1f} s", seconds=seconds)
            self._line(f"{self.titles[chapter]}: {say(status)}, {took}{f' ({remark})' if remark else ''}")

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)  # a title may hold square brackets

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column(say("chapter"), max_width=min(40, self.console.width - 40), no_wrap=True)
        table.add_column(say("state"), width=11)
        table.add_column(say("seconds"), width=7, justify="right")
        table.add_column("", ratio=1, no_wrap=True)
        for chapter, (status, remark, seconds) in self.states.items():
            if status == "running":
                seconds = time.monotonic() - self.began
            shown = f"{seconds:.0f}" if seconds else ""
            table.add_row(escape(self.titles[chapter]), Text(say(status), _STYLE[status]), shown, escape(remark))
        return table


def print_summary(run: Run, console: Console | None = None) -> None:
    """Prints a run as a table (chapter, status, seconds, checks, headline results, verdicts) and the errors under it."""
    console = console or Console()
    if not console.is_terminal:  # rich would assume 80 columns, too few for the table
        console = Console(width=160)
    table = Table()
    table.add_column(say("chapter"), overflow="fold")
    table.add_column(say("status"), overflow="fold", no_wrap=True)
    table.add_column(say("seconds"), justify="right", overflow="fold", no_wrap=True)
    for name in (say("checks"), say("headline"), say("verdicts")):
        table.add_column(name, overflow="fold")
    for chapter in run.chapters:
        # Text, not str: rich would read square brackets in a title, a unit or a message as its markup.
        headlines = Text("\n".join(f"{result.name} {result.estimate}" for result in chapter.headlines))
        verdicts = Text("\n").join(
            Text.assemble(f"{one.claim} ", (say(one.verdict.words), _STYLE.get(one.verdict, "")))
            for one in chapter.verdicts.values()
        )
        status = Text(say(chapter.status), _STYLE[chapter.status])
        name = Text(f"{chapter.id} {chapter_title(chapter.id, chapter.title)}")
        table.add_row(name, status, f"{chapter.seconds:.1f}", checks_in_words(chapter), headlines, verdicts)
    if run.chapters:
        console.print(table)
    for chapter in run.chapters:
        if error := chapter.error:
            what = {"chapter": chapter.id, "cell": error["cell"], "message": say(error["message"])}
            console.print(Text(say("Chapter {chapter}, {cell}: {message}", **what), "red"), soft_wrap=True)


def checks_in_words(chapter: ChapterRun) -> str:
    """The outcomes of a chapter's checks in words, such as "2 passed, 1 failed, 5 to repair, 3 to do"."""
    counts = {str(status): chapter.checks.get(status, 0) for status in CheckStatus}
    broken = min(chapter.to_repair, counts[CheckStatus.FAILED])  # handed out broken: nothing has gone wrong here
    counts[CheckStatus.FAILED] -= broken
    to_do = counts.pop(CheckStatus.NOT_ATTEMPTED)
    counts |= {later("to repair"): broken, later("to do"): to_do}
    return ", ".join(f"{count} {say(words)}" for words, count in counts.items() if count) or "-"
