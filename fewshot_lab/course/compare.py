"""Compares runs side by side, as Markdown: the verdict on each claim, its evidence, and each result."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..evidence import RULES, Estimate, ledger
from ..evidence.course_records import of_run
from ..evidence.records import Part, Verdict, recorded
from ..evidence.runs import FILE, ChapterRun, Run, read_run
from ..languages import chapter_title, say
from .chapters import chapters, read_notebook
from .run import latest_run

_NONE = "–"


def compare(folders: Sequence[Path] = ()) -> str:
    """Tables with a column for each run in these folders (by default the latest); raises CourseError where there is none.

    A folder of chapters without the record of a run, such as notebooks/, has what they store.
    """
    folders = [Path(folder) for folder in folders or [latest_run()]]
    runs = [_read(folder) for folder in folders]
    names, holm = _names(folders, runs), _holm(runs)

    def verdict(name: str, run: int, value: Verdict) -> str:
        return _verdict(value, holm[run].get(name, ""))

    parts = [
        _table(
            [say("run"), say("on"), say("minutes"), say("versions"), say("rules")],
            [_about(name, run) for name, run in zip(names, runs, strict=True)],
        ),
        *_seconds(names, runs),
        f"## {say('Verdicts')}",
        say("Those on claims of the course's article have a number; the others are the chapters' own questions.")
        + "\n"
        + say("Holm's p value counts all claims of the ledger that were tested.")
        + "\n"
        + say("At rest: the share of trainings, a mean over the arms that the evidence compares."),
        _table([say("claim"), say("chapter"), *names], _rows(runs, lambda chapter: chapter.verdicts, verdict)),
        f"## {say('Evidence')}",
        say("What each verdict rests on, part by part; last stands what is drawn anew for the interval.")
        + "\n"
        + say("At rest: the arms of which some training did not come to rest, with the share that did."),
        _table([say("evidence"), say("chapter"), say("supports"), *names], _parts(runs)),
        f"## {say('Results')}",
        say("Mean, 95 % interval, and how many seeds, draws, images or episodes it is over (n)."),
        _table(
            [say("result"), say("chapter"), *names],
            _rows(runs, lambda chapter: chapter.results, lambda _, __, result: str(result.estimate)),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _read(folder: Path) -> Run:
    """The run that a folder records, else what its notebooks store: who ran them, when and how long is not known."""
    if (folder / FILE).exists() or not any(folder.glob("[0-9][0-9]_*.ipynb")):
        return read_run(folder / FILE)
    stored = [replace(chapter, notebook=folder / f"{chapter.name}.ipynb") for chapter in chapters()]
    stored = [chapter for chapter in stored if chapter.notebook.exists()]
    found = [(chapter, recorded(read_notebook(chapter).cells)) for chapter in stored]
    return Run(
        profile="quick",
        chapters=[ChapterRun(it.id, it.title, results=its.results, verdicts=its.verdicts) for it, its in found],
    )


def _names(folders: Sequence[Path], runs: Sequence[Run]) -> list[str]:
    """The columns' names: the profile of each run, and the folder where several runs have the same profile."""
    profiles = [run.profile for run in runs]
    return [
        say("{profile} profile", profile=profile) + (f", {folder.resolve().name}" if profiles.count(profile) > 1 else "")
        for folder, profile in zip(folders, profiles, strict=True)
    ]


def _about(name: str, run: Run) -> list[str]:
    named = {"name": name, "number": len(run.chapters)}
    return [
        say("{name}, {number} chapters, started {day}", day=run.started[:10], **named)
        if run.started
        else say("{name}, {number} chapters, as stored", **named),
        run.machine or _NONE,
        f"{run.seconds / 60:.0f}" if run.started else _NONE,
        ", ".join(f"{library} {version}" for library, version in run.versions.items()) or _NONE,
        ", ".join(
            sorted({verdict.rules or say("earlier") for chapter in run.chapters for verdict in chapter.verdicts.values()})
        ),
    ]


def _seconds(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """A table with a column for each run that was timed; none where no run was."""
    timed = [(name, run) for name, run in zip(names, runs, strict=True) if run.started]
    titles = {chapter.id: chapter.title for _, run in timed for chapter in run.chapters}
    by_id = [{chapter.id: chapter for chapter in run.chapters} for _, run in timed]
    rows = [
        [f"{id} {chapter_title(id, titles[id])}", *(_taken(chapters.get(id)) for chapters in by_id)] for id in sorted(titles)
    ]
    return [_table([say("chapter"), *(say("seconds, {name}", name=name) for name, _ in timed)], rows)] if timed else []


def _taken(chapter: ChapterRun | None) -> str:
    if chapter is None:
        return _NONE
    return f"{chapter.seconds:,.0f}" + ("" if chapter.status == "ok" else f" ({say(chapter.status)})")


def _rows(
    runs: Sequence[Run], part: Callable[[ChapterRun], dict[str, Any]], show: Callable[[str, int, Any], str]
) -> list[list[str]]:
    """A row for each name that `part` of any run's chapters has: the claims in their order, then the others by chapter.

    show: from a name, a run's number and its value to the text of the cell.
    """
    entries, rows = _entries(runs, part), []
    for chapter, name in _in_order(entries):
        values = [of_run.get((chapter, name)) for of_run in entries]
        cells = [show(name, i, value) if value else _NONE for i, value in enumerate(values)]
        rows.append([_head(name, values), chapter, *cells])
    return rows


def _entries(runs: Sequence[Run], part: Callable[[ChapterRun], dict[str, Any]]) -> list[dict[tuple[str, str], Any]]:
    """{(chapter, name): value} of a part of each run."""
    return [{(chapter.id, name): value for chapter in run.chapters for name, value in part(chapter).items()} for run in runs]


def _in_order(entries: Sequence[dict[tuple[str, str], Any]]) -> list[tuple[str, str]]:
    """All (chapter, name) of the runs' entries: the article's claims in their order, then the others by chapter."""
    order = [name for article in RULES.article for name in (article, *(claim.id for claim in RULES.of_article(article)))]
    names = {key for of_run in entries for key in of_run}
    return sorted(names, key=lambda key: (order.index(key[1]) if key[1] in order else len(order), key))


def _head(name: str, values: Sequence[Any]) -> str:
    """A verdict's sentence after its name, as the rules have it now, else its records; those of earlier versions have none."""
    sentence = next(filter(None, (getattr(value, "sentence", "") for value in values)), "")
    if sentence and name in RULES.claims:
        sentence = RULES.claims[name].sentence
    return f"**{name}** {say(sentence)}" if sentence else name


def _holm(runs: Sequence[Run]) -> list[dict[str, str]]:
    """For each run what Holm's procedure says of each claim of the ledger."""
    return [{row.claim.id: row.holm_in_words for row in ledger(of_run(run)).rows} for run in runs]


def _verdict(verdict: Verdict, holm: str = "") -> str:
    told = [f"**{say(verdict.verdict.words)}**"]
    if len(verdict.parts) == 1:
        told += [_number(part) for part in verdict.parts]
    elif verdict.parts:
        agree = sum(part.outcome == verdict.verdict for part in verdict.parts)
        told.append(say("{number} of {all} parts", number=agree, all=len(verdict.parts)))
    shares = [share for part in verdict.parts for _, share in part.estimate.rest]
    told += [f"{say('at rest')}: {sum(shares) / len(shares):.0%}"] if shares else []
    told += [f"Holm: {holm}"] if holm else []
    claim = RULES.claims.get(verdict.claim)
    told += [say("of an earlier wording")] if claim and verdict.sentence not in ("", claim.sentence) else []
    why = f": {say(verdict.why)}" if verdict.why and not verdict.parts else ""
    return "; ".join(told) + why


def _number(part: Part) -> str:
    return part.estimate.short(signed=part.threshold == 0)


def _parts(runs: Sequence[Run]) -> list[list[str]]:
    """A row for each part of a verdict that any of the runs has, verdict by verdict."""

    def of(verdict: Verdict | None) -> dict[tuple[str, str], Part]:
        return {(part.statement, part.needed): part for part in (verdict.parts if verdict else ())}

    entries, rows = _entries(runs, lambda chapter: chapter.verdicts), []
    for chapter, name in _in_order(entries):
        found = [of(of_run.get((chapter, name))) for of_run in entries]
        for statement, needed in dict.fromkeys(part for parts in found for part in parts):
            cells = [_measured(parts.get((statement, needed))) for parts in found]
            rows.append([f"**{name}** {say(statement)}", chapter, needed, *cells])
    return rows


def _measured(part: Part | None) -> str:
    if part is None:
        return _NONE
    return "; ".join(filter(None, (f"{part.measured}, {say(part.outcome.words)}", _rest(part.estimate), part.estimate.over)))


def _rest(estimate: Estimate) -> str:
    """The arms of which some training did not come to rest, with the share that did."""
    moving = [f"{arm} ({share:.0%})" for arm, share in estimate.rest if share < 1]
    return f"{say('at rest')}: {', '.join(moving)}" if moving else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
