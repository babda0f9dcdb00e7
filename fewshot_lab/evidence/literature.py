"""The literature's ledger: what papers report, what the course's records say to it, and why the two may differ."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from .. import runtime
from ..errors import CourseError
from ..html import table
from ..languages import say
from ..training.metrics import Estimate
from .course_records import ChapterRecord, of_run
from .full_profile import RECORD
from .ledger import Entry, adjusted_p, ledger
from .records import VERDICT, Outcome, Verdict
from .rules import RULES, Paper
from .runs import read_run
from .verdicts import as_badge, in_words, verdict


def literature_parts(row: str, records: Iterable[ChapterRecord], **measured: Estimate) -> dict[str, Estimate | str]:
    """What `verdict` needs for a row: the estimate of each part, read from the records that the rules name.

    Where one is not there, {"missing": why} instead. `measured` are the parts that the chapter of the ledger measures itself.
    """
    paper, by_chapter = RULES.literature[row], {record.chapter: record for record in records}
    found = dict(measured)
    for part, place in paper.records.items():
        chapter, name = place.split(" ", 1)
        estimate = _estimate(by_chapter.get(chapter), name)
        if estimate is None:
            ran = chapter in by_chapter
            return {"missing": say(paper.without) if ran and paper.without else _run(chapter)}
        found[part] = estimate
    return found


def _estimate(record: ChapterRecord | None, name: str) -> Estimate | None:
    """A result by its name, or by "claim.part" what a part of a verdict rests on."""
    if record is None:
        return None
    if name in record.results:
        return record.results[name].estimate
    claim, _, part = name.partition(".")
    parts = record.verdicts[claim].parts if claim in record.verdicts else ()
    return next((one.estimate for one in parts if one.name == part), None)


def _run(chapter: str) -> str:
    return say("There is no such record of chapter {chapter} here. Run it, then this chapter again.", chapter=chapter)


@dataclass(frozen=True)
class Line:
    """A row of the ledger: the paper, our verdict, Holm's p value for both ledgers, and what the full profile's numbers say."""

    name: str
    paper: Paper
    verdict: Verdict
    holm: float = math.nan
    full: Verdict | None = None

    @property
    def entry(self) -> Entry:
        """The same as the claims ledger has it, which knows how to say it."""
        return Entry(RULES.claims[self.paper.claim], self.verdict, self.holm)

    @property
    def ours(self) -> str:
        """What was measured, or why nothing was."""
        parts = self.verdict.parts
        if not parts:
            return self.verdict.why
        return "; ".join(f"{part.statement} = {part.measured}, {say('needed')} {part.needed}" for part in parts)


@dataclass(frozen=True)
class LiteratureLedger:
    """The rows with their verdicts as a table; a cell that ends with it records the verdicts."""

    rows: tuple[Line, ...]

    def counts(self) -> str:
        """How many rows have each outcome, such as "2 supported, 1 refuted"."""
        outcomes = [row.verdict.verdict for row in self.rows]
        return ", ".join(f"{outcomes.count(one)} {in_words(one)}" for one in Outcome if one in outcomes)

    def standing(self) -> list[str]:
        """The names of the rows whose verdict stands after Holm's correction over both ledgers."""
        return [row.name for row in self.rows if row.entry.holds]

    def estimates(self) -> dict[str, Estimate]:
        """Every number by row and part, such as "l1_worth", as `record` takes them."""
        return {f"{row.name.lower()}_{part.name}": part.estimate for row in self.rows for part in row.verdict.parts}

    def __str__(self) -> str:
        return "\n".join(
            f"{row.name:<4}{in_words(row.verdict.verdict)}: {row.paper.paper}: {say(row.paper.says)}\n"
            f"    {say('ours')}: {row.ours}\n    {say(row.paper.differs)}"
            for row in self.rows
        )

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self._html(), VERDICT: [row.verdict.as_json() for row in self.rows]}

    def _html(self) -> Markup:
        heads = [say("row"), say("the paper"), say("reports"), say("ours"), say("full profile"), say("verdict"), say("Holm")]
        heads.append(say("why they may differ"))
        return table(heads, [self._cells(row) for row in self.rows])

    def _cells(self, row: Line) -> tuple:
        paper = row.paper
        source = Markup("{}<br><small>{}</small>").format(paper.paper, say(paper.where))
        reports = Markup("{}<br><strong>{}</strong>").format(say(paper.says), say(paper.reported))
        full = "–"
        if row.full:
            full = f"{in_words(row.full.verdict)}: {'; '.join(part.estimate.short() for part in row.full.parts)}"
        shown = in_words(row.verdict.verdict) if row.verdict.verdict == Outcome.NOT_TESTABLE else as_badge(row.verdict.verdict)
        asked = Markup("{}<br><small>{}</small>").format(say(row.verdict.sentence), row.ours)
        return row.name, source, reports, asked, full, shown, row.entry.holm_in_words or "–", say(paper.differs)


def literature_ledger(records: Iterable[ChapterRecord], verdicts: Mapping[str, Verdict]) -> LiteratureLedger:
    """The literature's ledger from the verdicts of its rows, with Holm's correction over both ledgers.

    Args:
        records: of the course, from `course_records`.
        verdicts: {row: its verdict}, for every row of the rules.
    """
    if missing := RULES.literature.keys() - verdicts.keys():
        raise ValueError(f"The rows {', '.join(sorted(missing))} have no verdict.")
    article = [row.verdict for row in ledger(records).rows if row.verdict]
    adjusted = adjusted_p([*article, *verdicts.values()])
    full = [] if runtime.current().profile == "full" else published_records()

    def judged(row: str) -> Verdict | None:
        """The verdict on the published numbers of the full profile, where they are there."""
        parts = literature_parts(row, full) if RULES.literature[row].records else {"missing": ""}
        return None if "missing" in parts else verdict(RULES.literature[row].claim, **parts)

    return LiteratureLedger(
        tuple(
            Line(name, paper, verdicts[name], adjusted.get(paper.claim, math.nan), judged(name))
            for name, paper in RULES.literature.items()
        )
    )


def published_records() -> list[ChapterRecord]:
    """The records of the published run of the full profile; none in an installed package."""
    try:
        return of_run(read_run(RECORD)) if RECORD.exists() else []
    except CourseError:  # as in `full_profile_says`: a damaged document must not stop a chapter
        return []
