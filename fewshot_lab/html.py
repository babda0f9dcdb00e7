"""HTML that notebook outputs and pages share: one palette, a table, a badge, a box, a bar, and the templates of whole pages.

Every text that is filled in is escaped; HTML that is to stay HTML is passed as `Markup`.
"""

import functools
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from markupsafe import Markup, escape

# White text on each of them, and each of them on a black page, has the contrast that WCAG AA asks for (4.5 and 3 to 1).
# GOOD, BAD and OPEN also differ for readers with any form of colour blindness. No meaning is carried by colour alone: a
# word or a symbol is always beside it.
GOOD, BAD, OPEN, QUIET = "#348279", "#d9365f", "#80690d", "#6b6b6b"

CHART = "fewshot-lab-chart"  # the class of images that are black on white, which pages turn over in the dark

_COLOURS = dict.fromkeys(("supported", "passed", "ok", "marked"), GOOD)
_COLOURS |= dict.fromkeys(("refuted", "failed", "stopped"), BAD)
_COLOURS |= dict.fromkeys(
    ("inconclusive", "still learning", "no relevant effect", "supported in part", "mixed", "running", "own code", "by hand"),
    OPEN,
)
_joined = Markup("").join


def colour(state: str) -> str:
    """The colour of a status or verdict, given by its English word; QUIET for every word that asks for no attention."""
    return _COLOURS.get(state, QUIET)


def badge(state: str, words: str = "") -> Markup:
    """A status or verdict as white words on its colour.

    Args:
        state: its English word, which chooses the colour.
        words: what is shown in its place, such as its translation or the word with a symbol.
    """
    style = "display:inline-block;white-space:nowrap;border-radius:1em;padding:0 .6em;color:#fff;background-color:{}"
    return Markup(f"<span style='{style}'>{{}}</span>").format(colour(state), words or state)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str | None]], *, caption: str = "", numbers: Sequence[int] = ()
) -> Markup:
    """A table that looks the same on a page and in a notebook, which would right-align every cell.

    Args:
        heads: the columns' names; none for a table without a head.
        rows: cells from left to right; None extends the cell above over this row.
        caption: a line above the table.
        numbers: columns (from 0) to right-align, with digits of equal width.
    """
    rows = [tuple(row) for row in rows]

    def look(k: int) -> str:
        return f"text-align:{'right;font-variant-numeric:tabular-nums' if k in numbers else 'left'};vertical-align:top"

    def cell(i: int, k: int) -> Markup:
        covered = len(list(takewhile(lambda row: row[k] is None, rows[i + 1 :])))
        span = Markup(" rowspan='{}'").format(covered + 1) if covered else ""
        # On a phone, pages show cells below each other: each after its column's name, but for the first, which names the row.
        name = Markup(" data-name='{}'").format(heads[k]) if heads and k else ""
        return Markup("<td{}{} style='{}'>{}</td>").format(span, name, look(k), rows[i][k])

    head = _joined(Markup("<th scope='col' style='{}'>{}</th>").format(look(k), name) for k, name in enumerate(heads))
    lines = (_joined(cell(i, k) for k, content in enumerate(row) if content is not None) for i, row in enumerate(rows))
    return Markup("<table>{}{}<tbody>{}</tbody></table>").format(
        Markup("<caption style='text-align:left'>{}</caption>").format(caption) if caption else "",
        Markup("<thead><tr>{}</tr></thead>").format(head) if heads else "",
        _joined(Markup("<tr>{}</tr>").format(line) for line in lines),
    )


def box(content: Markup, *, colour: str = QUIET, role: str = "note") -> Markup:
    """HTML in a tinted box with a line of the colour on its left, legible on light and dark pages; `role` is its ARIA role."""
    style = "border-left:.4em solid {0};padding:.5em .8em;margin:.3em 0;background:color-mix(in srgb, {0} 10%, transparent)"
    return Markup(f"<div role='{{1}}' style='{style}'>{{2}}</div>").format(colour, role, content)


def paragraph(text: str, space: str) -> Markup:
    """A text below others: a sentence as it is, several lines in their columns. `space` is the CSS length above it."""
    if "\n" not in text:
        return Markup("<div style='margin-top:{}'>{}</div>").format(space, text)
    return Markup("<pre style='margin:{} 0 0;white-space:pre-wrap;background:none'>{}</pre>").format(space, text)


def bar(share: float, *, colour: str, width: str = "7em") -> Markup:
    """A bar that fills a share (0..1) of a width; the caller shows the number beside it."""
    filled = Markup("<div style='background:{};height:.8em;width:{:.2%}'></div>").format(colour, min(max(share, 0.0), 1.0))
    return Markup("<div style='width:{}'>{}</div>").format(width, filled)


def figure_html(png: str, *, width: int, alt: str, caption: str, chart: bool = False) -> Markup:
    """A PNG (in base64), `width` of the page's pixels wide, with alternative text, and its caption under it.

    chart: it is drawn on white and may be turned over in the dark, as no photograph may.
    """
    return Markup(
        '<figure style="margin:0"><img class="{}" alt="{}" src="data:image/png;base64,{}" style="max-width:100%;width:{}px">'
        '<figcaption style="max-width:46em">{}</figcaption></figure>'
    ).format(CHART if chart else "", alt, png, width, caption)


def caption_markdown(caption: str, alt: str, words: str = "This figure in words") -> str:
    """A figure's caption as Markdown, with the figure in words behind a click.

    For readers of places that show an image without its alternative text, and for all who want its numbers as text. `words` are
    what is clicked.
    """
    # Markdown finds nothing to do in the caption; in the block of HTML it does not look.
    plain = re.sub(r"([\\`*_\[\]~|$])", r"\\\1", escape(caption))
    return f"{plain}\n\n<details><summary>{escape(words)}</summary>{escape(alt)}</details>".strip()


def side_by_side(*parts: Markup) -> Markup:
    """HTML parts from left to right, below each other where there is no room."""
    return Markup("<div style='display:flex;flex-wrap:wrap;gap:1em'>{}</div>").format(_joined(parts))


def render(template: str, /, **values) -> str:
    """A whole page from `templates/<template>.html.j2`, in which every value is escaped.

    Raises jinja2.UndefinedError for a value that the template asks for and that is not given.
    """
    return _templates().get_template(f"{template}.html.j2").render(values)


@functools.cache
def _templates():
    # Imported here: only whole pages need jinja2, and notebooks start sooner without it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(Path(__file__).with_name("templates"))
    templates = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.globals |= {"badge": badge, "table": table, "palette": {"good": GOOD, "bad": BAD, "open": OPEN, "quiet": QUIET}}
    return templates
