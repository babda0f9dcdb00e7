"""The page index.html of a run: self-contained, legible in light and dark and on a phone."""

from ..evidence import ledger
from ..evidence.course_records import of_run
from ..evidence.forest import forest, strip_of
from ..evidence.runs import Run
from ..html import render
from ..languages import chapter_title, language, later, say
from .display import checks_in_words

RELOAD_SECONDS = 5


def page(run: Run, unfinished: list[tuple[str, str]] = ()) -> str:
    """The page of a run as HTML; unfinished: (title, "running" or "waiting") for the chapters that have not ended.

    While one is running, the page reloads every few seconds. All text is escaped.
    """
    claims = ledger(of_run(run, later("this run")))
    tested = any(row.verdict for row in claims.rows)
    read_at = {chapter.id: chapter.html for chapter in run.chapters}
    running = any(state == "running" for _, state in unfinished)
    return render(
        "run",
        title=say("Few-Shot Lab: results"),
        language=language(),
        say=say,
        chapter_title=chapter_title,
        run=run,
        unfinished=unfinished,
        checks_in_words=checks_in_words,
        claims=claims if tested else None,
        forest=forest(claims, link=lambda entry: read_at.get(entry.claim.chapter, "")),
        strip_of=strip_of,
        reload_seconds=RELOAD_SECONDS if running else 0,
    )
