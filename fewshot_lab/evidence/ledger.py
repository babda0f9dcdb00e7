"""The claims ledger: what the course set out to test and what each run found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from ..html import table
from ..languages import say
from .claims import CLAIMS
from .course_records import ChapterRecord, of_run
from .records import Outcome
from .runs import read_run
from .verdicts import as_badge, in_words

_ORDER = (Outcome.SUPPORTED, Outcome.MIXED, Outcome.INCONCLUSIVE, Outcome.REFUTED, Outcome.UNTESTED)


@dataclass(frozen=True)
class Ledger:
    """The claims with their verdicts as rows (claim, chapter, outcome, why), shown as a table with links.

    There is a row for each chapter that tests a claim. `sources` says where a chapter's verdicts come from, `notebooks` which
    file to open.
    """

    rows: tuple[tuple[str, str, Outcome, str], ...]
    sources: dict[str, str] = field(default_factory=dict)
    notebooks: dict[str, str] = field(default_factory=dict)

    @property
    def overall(self) -> dict[str, Outcome]:
        """One outcome per claim: the one that its chapters share, MIXED when they differ, UNTESTED when one is missing."""
        # No vote is taken: chapters test different halves of a claim, or other data.
        outcomes = {claim: [outcome for name, _, outcome, _ in self.rows if name == claim] for claim in CLAIMS}
        return {claim: _shared(of_claim) for claim, of_claim in outcomes.items()}

    @property
    def complete(self) -> bool:
        """Whether every claim has all its verdicts."""
        return Outcome.UNTESTED not in self.overall.values()

    def counts(self) -> str:
        """How many claims have each outcome, such as "5 supported, 2 refuted"."""
        outcomes = list(self.overall.values())
        return ", ".join(f"{outcomes.count(one)} {in_words(one)}" for one in _ORDER if one in outcomes)

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

    def _repr_html_(self) -> Markup:
        heads = (say("claim"), say("statement"), say("overall"), say("chapter"), say("verdict"), say("why"))
        rows, before = [], None
        for claim, chapter, result, why in self.rows:
            once = (claim, say(CLAIMS[claim].text), _shown(self.overall[claim]))
            of_claim = once if claim != before else (None, None, None)  # one cell for all chapters of a claim
            rows.append((*of_claim, self._link(chapter), _shown(result), why))
            before = claim
        return table(heads, rows) + Markup("<p>{}</p>").format("; ".join(self._by_source()))

    def _link(self, chapter: str) -> str:
        name = self.notebooks.get(chapter)
        return Markup("<a href='{}'>{}</a>").format(name, chapter) if name else chapter

    def _by_source(self) -> list[str]:
        """A line for each source with the chapters whose verdicts come from it."""
        by_source: dict[str, list[str]] = {}
        for chapter in sorted({chapter for _, chapter, *_ in self.rows} & set(self.sources)):
            by_source.setdefault(self.sources[chapter], []).append(chapter)
        return [
            say("From {source}: chapter {chapters}", source=source, chapters=named[0])
            if len(named) == 1
            else say("From {source}: chapters {chapters}", source=source, chapters=", ".join(named))
            for source, named in by_source.items()
        ]


def ledger(records: str | Path | Iterable[ChapterRecord]) -> Ledger:
    """All claims with their verdicts, from the path of a run's results.json or from `course_records(...)`.

    A verdict that is missing is UNTESTED, all of them when there is no such file. Raises CourseError when the file is not
    the record of a run.
    """
    if isinstance(records, str | Path):
        path = Path(records)
        records = of_run(read_run(path)) if path.exists() else []
    records = list(records)
    verdicts = {(claim, r.chapter): (v.verdict, v.why) for r in records for claim, v in r.verdicts.items() if claim in CLAIMS}
    rows = []
    for name, claim in CLAIMS.items():
        others = sorted(chapter for tested, chapter in verdicts if tested == name and chapter not in claim.chapters)
        for chapter in (*claim.chapters, *others):
            rows.append((name, chapter, *verdicts.get((name, chapter), (Outcome.UNTESTED, ""))))
    return Ledger(tuple(rows), {r.chapter: r.source for r in records}, {r.chapter: r.notebook for r in records})


def _shared(outcomes: list[Outcome]) -> Outcome:
    if Outcome.UNTESTED in outcomes:
        return Outcome.UNTESTED
    return outcomes[0] if len(set(outcomes)) == 1 else Outcome.MIXED


def _shown(outcome: Outcome) -> str:
    """An outcome as a badge; as plain words where there is no verdict yet, which needs no attention."""
    return in_words(outcome) if outcome == Outcome.UNTESTED else as_badge(outcome)
