"""The claims ledger: what the course set out to test and what each run found."""

import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..languages import later, say
from .claims import CLAIMS
from .course_records import ChapterRecord, of_run
from .verdicts import SYMBOLS, in_words, mark

UNTESTED, MIXED = later("not yet tested"), later("mixed")
_ORDER = ("supported", MIXED, "inconclusive", "refuted", UNTESTED)
_LEFT = " style='text-align:left;vertical-align:top'"


@dataclass(frozen=True)
class Ledger:
    """Rows (claim, chapter, verdict, why), one for each chapter that tests a claim; shown as a table with links.

    sources, notebooks: {chapter: where its verdicts came from, which file to open}.
    """

    rows: tuple[tuple[str, str, str, str], ...]
    sources: dict[str, str] = field(default_factory=dict)
    notebooks: dict[str, str] = field(default_factory=dict)

    @property
    def overall(self) -> dict[str, str]:
        """One verdict per claim: its chapters' common one; "mixed" when they differ, "not yet tested" when one is missing.

        No vote is taken: chapters test different halves of a claim, or other data.
        """
        found = {claim: [result for name, _, result, _ in self.rows if name == claim] for claim in CLAIMS}
        return {claim: _common(said) for claim, said in found.items()}

    @property
    def complete(self) -> bool:
        """Whether every claim has all its verdicts."""
        return UNTESTED not in self.overall.values()

    def counts(self) -> str:
        """How many claims came out how, such as "5 supported, 2 refuted"."""
        found = list(self.overall.values())
        return ", ".join(f"{found.count(result)} {in_words(result)}" for result in _ORDER if result in found)

    def __str__(self) -> str:
        lines = []
        for claim, chapter, result, why in self.rows:
            reason = f" ({why})" if why else ""
            where = say("chapter {chapter}", chapter=chapter)
            lines.append(f"{claim:<4} {where}  {in_words(result):<14}  {say(CLAIMS[claim].text)}{reason}")
        if self.sources:
            overall = "; ".join(f"{claim} {in_words(result)}" for claim, result in self.overall.items())
            lines.append(say("Overall: {overall}", overall=overall))
        lines += self._by_source()
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heads = (say("claim"), say("statement"), say("overall"), say("chapter"), say("verdict"), say("why"))
        rows, before = [], None
        for claim, chapter, result, why in self.rows:
            span = sum(name == claim for name, *_ in self.rows)
            once = (claim, html.escape(say(CLAIMS[claim].text)), _shown(self.overall[claim]))
            cells = [f"<td rowspan='{span}'{_LEFT}>{cell}</td>" for cell in once] if claim != before else []
            cells += [f"<td{_LEFT}>{cell}</td>" for cell in (self._link(chapter), _shown(result), html.escape(why))]
            rows.append(f"<tr>{''.join(cells)}</tr>")
            before = claim
        head = "".join(f"<th scope='col'{_LEFT}>{name}</th>" for name in heads)
        foot = "; ".join(self._by_source())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table><p>{html.escape(foot)}</p>"

    def _link(self, chapter: str) -> str:
        name, text = self.notebooks.get(chapter), html.escape(chapter)
        return f"<a href='{html.escape(name, quote=True)}'>{text}</a>" if name else text

    def _by_source(self) -> list[str]:
        """Which chapters' verdicts came from where, a line for each source."""
        found: dict[str, list[str]] = {}
        for chapter in sorted({chapter for _, chapter, *_ in self.rows} & set(self.sources)):
            found.setdefault(self.sources[chapter], []).append(chapter)
        return [
            say("From {source}: chapter {chapters}", source=source, chapters=named[0])
            if len(named) == 1
            else say("From {source}: chapters {chapters}", source=source, chapters=", ".join(named))
            for source, named in found.items()
        ]


def ledger(records: str | Path | Iterable[ChapterRecord]) -> Ledger:
    """All claims with their verdicts, from the path of a run's results.json or from `course_records(...)`.

    "not yet tested" stands where a chapter's verdict is missing. Raises CourseError when the file is no run's results.
    """
    records = of_run(Path(records)) if isinstance(records, str | Path) else list(records)
    found = {(claim, r.chapter): said for r in records for claim, said in r.verdicts.items() if claim in CLAIMS}
    rows = []
    for name, claim in CLAIMS.items():
        others = sorted(chapter for tested, chapter in found if tested == name and chapter not in claim.chapters)
        for chapter in (*claim.chapters, *others):
            rows.append((name, chapter, *found.get((name, chapter), (UNTESTED, ""))))
    return Ledger(tuple(rows), {r.chapter: r.source for r in records}, {r.chapter: r.notebook for r in records})


def _common(said: list[str]) -> str:
    if UNTESTED in said:
        return UNTESTED
    return said[0] if len(set(said)) == 1 else MIXED


def _shown(result: str) -> str:
    words = mark(result) if result in SYMBOLS else f"± {in_words(result)}" if result == MIXED else in_words(result)
    return f"<span style='white-space:nowrap'>{html.escape(words)}</span>"
