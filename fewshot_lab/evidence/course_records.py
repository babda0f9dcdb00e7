"""Reads what the chapters recorded: in the current run, else in the latest one, else in the stored notebooks."""

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CourseError
from ..languages import later, say
from ..training.metrics import Estimate
from .records import Result, Verdict, recorded
from .runs import FILE, Run, latest_in, read_run

RUN = "FEWSHOT_LAB_RUN"  # environment variable: the folder of the run that a notebook is a part of
LISTS = ("15",)  # chapters that repeat what others recorded
RATES = ("labels per label", "x labels")  # the unit of an exchange rate, and its name in records of earlier versions


@dataclass(frozen=True)
class ChapterRecord:
    """One chapter's verdicts by claim and results by name; `source` says in words where they come from.

    `seconds` is how long the whole chapter took, NaN where that is not known.
    """

    chapter: str
    notebook: str
    source: str
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    seconds: float = math.nan


def course_records(notebooks: str | Path = ".", *, chapter: str, here: Iterable[Verdict] = ()) -> list[ChapterRecord]:
    """The records of all chapters in order, each from the best source that has one.

    The sources, best first: the run that this notebook is a part of, the latest run (runs/latest beside the folder of
    notebooks), a learner's own notebook whose cells have all run, the stored notebooks (in notebooks/ beside the learner's).
    Raises CourseError for a source that cannot be read.

    Args:
        notebooks: the folder of the course's notebooks, or of a learner's copies.
        chapter: the chapter that asks; stored records of it are out of date.
        here: the verdicts that this chapter has reached in the running notebook.
    """
    folder = Path(notebooks).resolve()
    stored = _stored_beside(folder)
    paths = {path.name: path for path in stored.glob("[0-9][0-9]_*.ipynb") if path.name[:2] != chapter}
    records = {name[:2]: _of_notebook(path, folder / name) for name, path in paths.items()}
    root = folder.parents[1] if folder.parent.name == "notebooks" else folder.parent  # notebooks/zh has its runs in runs/, too
    runs = {later("the latest run"): latest_in(root / "runs")}
    if current := os.environ.get(RUN):
        runs[later("this run")] = Path(current)
    for name, run in runs.items():  # the better source comes later and replaces what the other had
        if (run / FILE).exists():
            records |= {record.chapter: record for record in of_run(read_run(run / FILE), name) if record.chapter != chapter}
    own = next((path.name for path in folder.glob(f"{chapter}_*.ipynb")), "")
    records[chapter] = ChapterRecord(chapter, own, say("this notebook, just now"), {verdict.claim: verdict for verdict in here})
    return [records[number] for number in sorted(records)]


def of_run(run: Run, name: str = later("a run")) -> list[ChapterRecord]:
    """The records of the chapters of a run that ended without an error; `name` says in words which run it is."""
    return [
        ChapterRecord(
            chapter.id,
            chapter.notebook,
            say("{name}, {profile} profile", name=say(name), profile=chapter.identity.get("profile", run.profile)),
            chapter.verdicts,
            chapter.results,
            chapter.seconds or math.nan,
        )
        for chapter in run.chapters
        if chapter.status == "ok"
    ]


def exchange_rates(records: Iterable[ChapterRecord]) -> list[tuple[str, str, Estimate]]:
    """All exchange rates of the course as (chapter, name, rate): the results whose unit is labels per label."""
    results = [
        (record.chapter, result) for record in records if record.chapter not in LISTS for result in record.results.values()
    ]
    return [(chapter, result.name, result.estimate) for chapter, result in results if result.estimate.unit in RATES]


def _stored_beside(folder: Path) -> Path:
    """The folder of the stored notebooks: a learner's copies lie in work/ beside it, or far from a course that many share."""
    roots = (folder.parent, os.environ.get("FEWSHOT_LAB_COURSE"), Path(__file__).parents[2]) if folder.name == "work" else ()
    found = (Path(root).expanduser() / "notebooks" for root in roots if root)
    return next((path for path in found if path.is_dir()), folder)


def _of_notebook(stored: Path, own: Path) -> ChapterRecord:
    """A chapter's record from the learner's own notebook, if all its cells have run, else from the stored one."""
    cells, source = _cells(stored), say("the stored notebooks, quick profile")
    if own != stored and own.exists():
        mine = _cells(own)
        profile = _profile(mine)
        if profile != "smoke" and _ran_whole(mine, cells):
            cells, source = mine, say("your notebook, {profile} profile", profile=profile)
    records = recorded(cells)
    return ChapterRecord(stored.name[:2], stored.name, source, records.verdicts, records.results)


def _cells(path: Path) -> list[dict]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            say(
                "{path} cannot be read ({error!r}). Build it anew: fewshot-lab build {name}",
                path=path,
                error=error,
                name=path.name[:2],
            )
        ) from error


def _ran_whole(own: list[dict], stored: list[dict]) -> bool:
    """Whether all of the chapter's cells have run in a learner's notebook: a file may be saved in the middle of a run."""
    by_id = {cell.get("id"): cell for cell in own}
    ours = [cell for cell in stored if cell.get("cell_type") == "code" and "".join(cell["source"]).strip()]
    return all(_ran(by_id.get(cell.get("id"), {})) for cell in ours)


def _ran(cell: dict) -> bool:
    failed = any(output.get("output_type") == "error" for output in cell.get("outputs", []))
    return isinstance(cell.get("execution_count"), int) and not failed


def _profile(cells: list[dict]) -> str:
    """The profile that a notebook's parameters name; "quick" where they name none."""
    text = "".join(
        "".join(cell.get("source", "")) for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])
    )
    found = re.search(r"(?m)^PROFILE\s*=\s*\(?\s*[\"'](\w+)", text)
    return found.group(1) if found else "quick"
