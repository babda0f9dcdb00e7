"""Compares runs side by side, as Markdown: the verdict on each claim, and each result."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..evidence import RULES, ledger
from ..evidence.course_records import of_run
from ..evidence.records import Verdict
from ..evidence.runs import FILE, ChapterRun, Run, read_run
from ..evidence.verdicts import beside
from ..languages import chapter_title, say
from .run import latest_run

_NONE = "–"


def compare(folders: Sequence[Path] = ()) -> str:
    """Tables with a column for each run in these folders (by default the latest); raises CourseError where there is none."""
    folders = [Path(folder) for folder in folders or [latest_run()]]
    runs = [read_run(folder / FILE) for folder in folders]
    names, holm = _names(folders, runs), _holm(runs)

    def verdict(name: str, run: int, value: Verdict) -> str:
        return _verdict(value, holm[run].get(name, ""))

    parts = [
        _table(
            [say("run"), say("on"), say("minutes"), say("versions"), say("rules")],
            [_about(name, run) for name, run in zip(names, runs, strict=True)],
        ),
        _table([say("chapter"), *(say("seconds, {name}", name=name) for name in names)], _seconds(runs)),
        f"## {say('Verdicts')}",
        say("Those on claims of the course's article have a number; the others are the chapters' own questions.")
        + "\n"
        + say("Holm's p value counts all claims of the ledger that were tested."),
        _table([say("claim"), say("chapter"), *names], _rows(runs, lambda chapter: chapter.verdicts, verdict)),
        f"## {say('Results')}",
        say("Mean, 95 % interval, and how many seeds, draws, images or episodes it is over (n)."),
        _table(
            [say("result"), say("chapter"), *names],
            _rows(runs, lambda chapter: chapter.results, lambda _, __, result: str(result.estimate)),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _names(folders: Sequence[Path], runs: Sequence[Run]) -> list[str]:
    """The columns' names: the profile of each run, and the folder where several runs have the same profile."""
    profiles = [run.profile for run in runs]
    return [
        say("{profile} profile", profile=profile) + (f", {folder.resolve().name}" if profiles.count(profile) > 1 else "")
        for folder, profile in zip(folders, profiles, strict=True)
    ]


def _about(name: str, run: Run) -> list[str]:
    return [
        say("{name}, {number} chapters, started {day}", name=name, number=len(run.chapters), day=run.started[:10]),
        run.machine,
        f"{run.seconds / 60:.0f}",
        ", ".join(f"{library} {version}" for library, version in run.versions.items()),
        ", ".join(
            sorted({verdict.rules or say("earlier") for chapter in run.chapters for verdict in chapter.verdicts.values()})
        ),
    ]


def _seconds(runs: Sequence[Run]) -> list[list[str]]:
    titles = {chapter.id: chapter.title for run in runs for chapter in run.chapters}
    by_id = [{chapter.id: chapter for chapter in run.chapters} for run in runs]
    return [
        [f"{id} {chapter_title(id, titles[id])}", *(_taken(chapters.get(id)) for chapters in by_id)] for id in sorted(titles)
    ]


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
    entries = [{(chapter.id, name): value for chapter in run.chapters for name, value in part(chapter).items()} for run in runs]
    order = [name for article in RULES.article for name in (article, *(claim.id for claim in RULES.of_article(article)))]
    names, rows = {key for of_run in entries for key in of_run}, []
    for chapter, name in sorted(names, key=lambda key: (order.index(key[1]) if key[1] in order else len(order), key)):
        values = [of_run.get((chapter, name)) for of_run in entries]
        cells = [show(name, i, value) if value else _NONE for i, value in enumerate(values)]
        rows.append([_head(name, values), chapter, *cells])
    return rows


def _head(name: str, values: Sequence[Any]) -> str:
    """A verdict's sentence after its name, as its records have it; those of earlier versions have none."""
    sentence = next(filter(None, (getattr(value, "sentence", "") for value in values)), "")
    return f"**{name}** {say(sentence)}" if sentence else name


def _holm(runs: Sequence[Run]) -> list[dict[str, str]]:
    """For each run what Holm's procedure says of each claim of the ledger."""
    return [{row.claim.id: row.holm_in_words for row in ledger(of_run(run)).rows} for run in runs]


def _verdict(verdict: Verdict, holm: str = "") -> str:
    told = f"**{say(verdict.verdict.words)}**" + (f" (Holm: {holm})" if holm else "")
    if not verdict.parts:
        return f"{told}: {say(verdict.why)}" if verdict.why else told
    return f"{told}: " + "; ".join(f"{part}, {say(part.outcome.words)}{beside(part.estimate)}" for part in verdict.parts)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
