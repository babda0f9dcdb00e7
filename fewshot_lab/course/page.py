"""The page index.html of a run: self-contained, legible in light and dark and on a phone."""

from html import escape
from urllib.parse import quote

from ..evidence import Outcome, ledger
from ..evidence.course_records import of_run
from ..evidence.runs import ChapterRun, Run
from .display import checks_in_words

REFRESH_SECONDS = 5
STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText;
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
td ul { margin: 0; padding-left: 1.1em; }
.badge { display: inline-block; white-space: nowrap; border-radius: 1em; padding: 0 .6em; color: #fff; background: #616161; }
.ok, .supported { background: #2e7d32; } .failed, .refuted { background: #b3261e; }
.running { background: #1565c0; } .inconclusive { background: #8a5a00; }
.quiet { opacity: .75; font-size: .9em; }
h1 span { white-space: nowrap; }
@media (max-width: 45rem) {
  thead { display: none; } tr { display: block; padding: .8rem 0; border-bottom: 2px solid var(--line); }
  td { display: block; border: 0; padding: .1rem 0; }
  td[data-name]::before { content: attr(data-name) ": "; opacity: .75; }
}
"""
_COLUMNS = """
th:nth-child(1) { width: 18%; } th:nth-child(5) { width: 33%; } th:nth-child(6) { width: 28%; }
.claims th:nth-child(n) { width: auto; }
.claims th:nth-child(2) { width: 26%; } .claims th:nth-child(6) { width: 40%; }
"""


def page(run: Run, unfinished: list[tuple[str, str]] = ()) -> str:
    """The page of a run; `unfinished` are the titles and states ("running", "waiting") of chapters to come.

    While one is running, the page loads itself again every few seconds. All text is escaped.
    """
    running = any(state == "running" for _, state in unfinished)
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if running else ""
    rows = [_row(chapter) for chapter in run.chapters]
    rows += [f'<tr><td>{escape(title)}</td><td colspan="5">{badge(state)}</td></tr>' for title, state in unfinished]
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    about = f"Profile {run.profile}, on {run.machine}, started {run.started}, {run.seconds:.0f} s."
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{refresh}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Few-Shot Lab: results</title><style>{STYLE}{_COLUMNS}</style></head><body>
<h1><span>Few-Shot Lab</span>: results</h1>
<p>{escape(about)} The same figures, for programs: <a href="results.json">results.json</a>.</p>
<table><thead><tr><th>Chapter</th><th>Status</th><th>Seconds</th><th>Checks</th><th>Results with 95 % intervals</th>
<th>Verdicts</th></tr></thead><tbody>
{"".join(rows)}
</tbody></table>
{_claims(run)}<p class="quiet">{escape(versions)}</p>
</body></html>
"""


def _claims(run: Run) -> str:
    """The claims ledger of what has run so far, nothing before the first verdict on a claim."""
    claims = ledger(of_run(run, "this run"))
    if all(outcome == Outcome.UNTESTED for *_, outcome, _ in claims.rows):
        return ""
    return f"<h2>The claims ledger</h2>\n<p>{escape(claims.counts())}.</p>\n<div class=claims>{claims._repr_html_()}</div>\n"


def _row(chapter: ChapterRun) -> str:
    name = f"{escape(chapter.id)} {escape(chapter.title)}"
    links = f'<a href="{quote(chapter.html)}">read</a> · <a href="{quote(chapter.notebook)}">notebook</a>'
    results = "".join(
        f"<li>{_strong(escape(name).replace('_', '_<wbr>'), result.headline)}: {escape(str(result.estimate))}</li>"
        for name, result in chapter.results.items()
    )
    verdicts = "".join(
        f"<li>{escape(claim)} {badge(one.verdict)} <span class=quiet>{escape(one.why)}</span></li>"
        for claim, one in chapter.verdicts.items()
    )
    error = chapter.error
    reason = f'<div class="quiet">{escape(error["cell"])}: {escape(error["message"])}</div>' if error else ""
    cells = {
        "": f'<strong>{name}</strong><div class="quiet">{links}</div>',
        "Status": badge(chapter.status),
        "Seconds": f"{chapter.seconds:.1f}",
        "Checks": escape(checks_in_words(chapter)),
        "Results": reason + (f"<ul>{results}</ul>" if results else ""),
        "Verdicts": f"<ul>{verdicts}</ul>" if verdicts else "",
    }
    return "<tr>" + "".join(_cell(label, text) for label, text in cells.items()) + "</tr>\n"


def _cell(label: str, text: str) -> str:
    return f'<td data-name="{label}">{text}</td>' if label and text else f"<td>{text}</td>"


def badge(state: str) -> str:
    """A state or status in its colour; its words are its classes."""
    return f'<span class="badge {escape(state)}">{escape(state)}</span>'


def _strong(text: str, strong: bool) -> str:
    return f"<strong>{text}</strong>" if strong else text
