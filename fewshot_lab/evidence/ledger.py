"""The claims ledger: what the article claims, what the course tested of it and what each run found."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from ..html import table
from ..languages import say
from .course_records import ChapterRecord, of_run
from .records import Outcome, Verdict
from .rules import RULES, Claim
from .runs import read_run
from .verdicts import as_badge, in_words

_ORDER = (
    *(Outcome.SUPPORTED, Outcome.IN_PART, Outcome.MIXED, Outcome.NO_EFFECT, Outcome.STILL_LEARNING, Outcome.INCONCLUSIVE),
    Outcome.REFUTED,
    *(Outcome.NOT_TESTABLE, Outcome.UNTESTED),
)


@dataclass(frozen=True)
class Entry:
    """A line of the ledger: a claim and its verdict, None where there is none yet.

    `holm` is the verdict's p value, adjusted for all claims of the ledger that were tested; NaN where it is not decided.
    """

    claim: Claim
    verdict: Verdict | None = None
    holm: float = math.nan

    @property
    def outcome(self) -> Outcome:
        """The verdict's, or what the rules say of a claim without one."""
        if self.verdict is None:
            return Outcome.UNTESTED if self.claim.testable else Outcome.NOT_TESTABLE
        return self.verdict.verdict

    @property
    def why(self) -> str:
        """The verdict's numbers, or why there can be none."""
        why = self.claim.reason if self.verdict is None else self.verdict.why
        now = {RULES.hash(self.claim.id, profile) for profile in RULES.profiles}  # a ledger is of either profile
        earlier = self.verdict is not None and self.verdict.rule not in now
        return f"{why} ({say('measured under earlier rules')})" if earlier else why

    @property
    def holds(self) -> bool | None:
        """Whether the adjusted p value is below the rules' alpha; None where nothing is decided."""
        return None if math.isnan(self.holm) else self.holm < RULES.thresholds["alpha"].value

    @property
    def holm_in_words(self) -> str:
        """The adjusted p value and whether the verdict stands, such as "p = 0.003, stands", or ""."""
        if self.holds is None:
            return ""
        p = f"= {self.holm:.2g}" if self.holm >= 0.0001 else "< 0.0001"
        return say("p {p}, stands", p=p) if self.holds else say("p {p}, does not stand", p=p)


@dataclass(frozen=True)
class Ledger:
    """The tested claims with their verdicts, grouped by the article's claims, shown as a table with links.

    `sources` says where a chapter's verdicts come from, `notebooks` which file to open.
    """

    rows: tuple[Entry, ...]
    sources: dict[str, str] = field(default_factory=dict)
    notebooks: dict[str, str] = field(default_factory=dict)

    @property
    def overall(self) -> dict[str, Outcome]:
        """One outcome per claim of the article: its sentences', UNTESTED when one is missing.

        When they differ it is IN_PART where some are supported and the others are not decided yet, and else MIXED; of
        sentences that are all undecided, STILL_LEARNING.
        """
        # No vote is taken: the sentences are about different halves of a claim, or other data.
        return {name: _shared([row.outcome for row in self.rows if row.claim.article == name]) for name in RULES.article}

    @property
    def complete(self) -> bool:
        """Whether every claim has its verdict."""
        return Outcome.UNTESTED not in self.overall.values()

    def counts(self) -> str:
        """How many of the article's claims have each outcome, such as "5 supported, 2 refuted"."""
        outcomes = list(self.overall.values())
        return ", ".join(f"{outcomes.count(one)} {in_words(one)}" for one in _ORDER if one in outcomes)

    def __str__(self) -> str:
        lines, before = [], None
        for row in self.rows:
            if row.claim.article != before:
                before = row.claim.article
                lines.append(f"{before}  {in_words(self.overall[before])}: {say(RULES.article[before])}")
            where, holm = say("chapter {chapter}", chapter=row.claim.chapter), row.holm_in_words
            told = "; ".join(part for part in (f"Holm: {holm}" if holm else "", row.why) if part)
            sentence = say(row.claim.sentence)
            lines.append(f"  {row.claim.id:<4} {where}  {in_words(row.outcome)}: {sentence}{f' ({told})' if told else ''}")
        return "\n".join(lines + self.by_source())

    __repr__ = __str__

    def _repr_html_(self) -> Markup:
        heads = (
            say("the article says"),
            say("overall"),
            say("tested"),
            say("chapter"),
            say("verdict"),
            say("Holm"),
            say("why"),
        )
        rows, before = [], None
        for row in self.rows:
            name = row.claim.article
            said = Markup("<strong>{}</strong> {}").format(name, say(RULES.article[name]))
            of_article = (
                (said, _shown(self.overall[name])) if name != before else (None, None)
            )  # one cell for all its sentences
            tested = f"{row.claim.id}: {say(row.claim.sentence)}"
            rows.append((*of_article, tested, self._link(row.claim.chapter), _shown(row.outcome), row.holm_in_words, row.why))
            before = name
        return table(heads, rows) + Markup("<p>{}</p>").format("; ".join(self.by_source()))

    def _link(self, chapter: str) -> str:
        name = self.notebooks.get(chapter)
        return Markup("<a href='{}'>{}</a>").format(name, chapter) if name else chapter

    def by_source(self) -> list[str]:
        """A line for each source with the chapters whose verdicts come from it."""
        by_source: dict[str, list[str]] = {}
        for chapter in sorted({row.claim.chapter for row in self.rows} & set(self.sources)):
            by_source.setdefault(self.sources[chapter], []).append(chapter)
        return [
            say("From {source}: chapter {chapters}", source=source, chapters=named[0])
            if len(named) == 1
            else say("From {source}: chapters {chapters}", source=source, chapters=", ".join(named))
            for source, named in by_source.items()
        ]


def ledger(records: str | Path | Iterable[ChapterRecord], *, beside: Iterable[Verdict] = ()) -> Ledger:
    """All claims with their verdicts, from the path of a run's results.json or from `course_records(...)`.

    The verdicts `beside` them, such as those of the literature's ledger, are further trials for Holm's correction. A verdict
    that is missing is UNTESTED, all of them when there is no such file. Raises CourseError when the file is not the record of
    a run.
    """
    if isinstance(records, str | Path):
        path = Path(records)
        records = of_run(read_run(path)) if path.exists() else []
    by_chapter = {record.chapter: record for record in records}
    claims = [claim for name in RULES.article for claim in RULES.of_article(name)]
    found = {}
    for claim in claims:
        record = by_chapter.get(claim.chapter)
        verdict = record.verdicts.get(claim.id) if record else None
        # A verdict on another sentence, as under earlier rules, says nothing about this one.
        found[claim.id] = verdict if verdict and verdict.sentence == claim.sentence else None
    decided = adjusted_p([*filter(None, found.values()), *beside])
    rows = tuple(Entry(claim, found[claim.id], decided.get(claim.id, math.nan)) for claim in claims)
    sources = {chapter: record.source for chapter, record in by_chapter.items()}
    return Ledger(rows, sources, {chapter: record.notebook for chapter, record in by_chapter.items()})


def adjusted_p(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Holm's adjusted p value of every verdict that is decided, by claim, for all that were tested."""
    tested = {verdict.claim: verdict.p for verdict in verdicts if verdict.verdict != Outcome.NOT_TESTABLE}
    # What was tested and not decided was a trial too: leaving it out would make the others look rarer than they are.
    adjusted = holm({name: 1.0 if math.isnan(p) else p for name, p in tested.items()})
    return {name: adjusted[name] for name, p in tested.items() if not math.isnan(p)}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """The adjusted p values of several tests (Holm 1979, Scandinavian Journal of Statistics)."""
    tested = sorted((p, name) for name, p in p_values.items())
    adjusted, largest = {}, 0.0
    for i, (p, name) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - i) * p))
        adjusted[name] = largest
    return adjusted


def _shared(outcomes: list[Outcome]) -> Outcome:
    if Outcome.UNTESTED in outcomes:
        return Outcome.UNTESTED
    if len(set(outcomes)) == 1:
        return outcomes[0]
    decided = set(outcomes) - {Outcome.STILL_LEARNING, Outcome.INCONCLUSIVE}
    if not decided:
        return Outcome.STILL_LEARNING
    return Outcome.IN_PART if decided == {Outcome.SUPPORTED} else Outcome.MIXED


def _shown(outcome: Outcome) -> str:
    """An outcome as a badge; as plain words where there is no verdict, which needs no attention."""
    return in_words(outcome) if outcome in (Outcome.UNTESTED, Outcome.NOT_TESTABLE) else as_badge(outcome)
