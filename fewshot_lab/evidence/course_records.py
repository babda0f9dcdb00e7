"""What the chapters of a course recorded: in the run that goes on, else in the latest one, else in the stored notebooks."""

import itertools
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CourseError
from ..training.metrics import Estimate
from . import records, verdicts
from .verdicts import Verdict

RUN = "FEWSHOT_LAB_RUN"  # the environment's name for the folder of the run that a notebook is a part of
RATES = ("labels per label", "x labels")  # the unit of an exchange rate, and its name in records of earlier versions


@dataclass(frozen=True)
class ChapterRecord:
    """One chapter's verdicts {claim: (verdict, why)} and results {name: Estimate}; `source` says in words whence."""

    chapter: str
    notebook: str
    source: str
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    results: dict[str, Estimate] = field(default_factory=dict)


def course_records(notebooks: str | Path = ".", *, chapter: str, here: Iterable[Verdict] = ()) -> list[ChapterRecord]:
    """The records of all chapters, each from the best source that has it, in order.

    notebooks: the folder of the course's notebooks. Sources: the run that this notebook is a part of, the latest run
    (runs/latest beside that folder), the stored notebooks. chapter: the one that asks; it has the verdicts `here`, of now.
    Raises CourseError for a source that cannot be read.
    """
    folder = Path(notebooks).resolve()
    found = {path.name[:2]: _of_notebook(path) for path in folder.glob("[0-9][0-9]_*.ipynb") if path.name[:2] != chapter}
    runs = {"the latest run": latest_in(folder.parent / "runs")}
    if given := os.environ.get(RUN):
        runs["this run"] = Path(given)
    for name, run in runs.items():  # the later one counts
        found |= {record.chapter: record for record in of_run(run / "results.json", name) if record.chapter != chapter}
    now = {verdict.claim: (verdict.verdict, verdict.why) for verdict in here}
    own = next((path.name for path in folder.glob(f"{chapter}_*.ipynb")), "")
    found[chapter] = ChapterRecord(chapter, own, "this notebook, just now", now)
    return [found[number] for number in sorted(found)]


def latest_in(runs: Path) -> Path:
    """The folder that runs/latest stands for; a file with its name stands there where links are not allowed.

    Whether there is such a folder is not asked.
    """
    latest = runs / "latest"
    return runs / latest.read_text(encoding="utf-8").strip() if latest.is_file() else latest


def of_run(path: Path, name: str = "a run") -> list[ChapterRecord]:
    """The chapters of a run's results.json that ended well, none when there is no file; raises CourseError for another file."""
    if not path.exists():
        return []
    try:
        return of_record(json.loads(path.read_text(encoding="utf-8")), name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{path} is not the results file of a run ({error!r}). Run the course again.") from error


def of_record(run: dict, name: str = "a run") -> list[ChapterRecord]:
    """The chapters of a run's record, the content of its results.json, that ended well; `name` says which run it is."""
    return [_of_entry(entry, run, name) for entry in run["chapters"] if entry.get("status", "ok") == "ok"]


def exchange_rates(of_chapters: Iterable[ChapterRecord]) -> list[tuple[str, str, Estimate]]:
    """All exchange rates of the course as (chapter, name, rate): the results whose unit is labels for a label."""
    return [(r.chapter, name, value) for r in of_chapters for name, value in r.results.items() if value.unit in RATES]


def _of_entry(entry: dict, run: dict, name: str) -> ChapterRecord:
    said = {claim: (str(v["verdict"]), str(v["why"])) for claim, v in entry.get("verdicts", {}).items()}
    results = {result: _estimate(values) for result, values in entry.get("results", {}).items()}
    source = f"{name}, {entry.get('profile', run.get('profile', 'unknown'))} profile"
    return ChapterRecord(str(entry["id"]), str(entry.get("notebook", "")), source, said, results)


def _of_notebook(path: Path) -> ChapterRecord:
    """What a stored notebook's outputs recorded; the last one of a name counts."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
        given = [data[verdicts.MIME] for data in outputs if verdicts.MIME in data]
        said = {v["claim"]: (str(v["verdict"]), str(v["why"])) for v in given}
        bundles = [data[records.MIME] for data in outputs if records.MIME in data]
        lists = [bundle if isinstance(bundle, list) else [bundle] for bundle in bundles]  # earlier versions: one a cell
        results = {r["name"]: _estimate(r) for r in itertools.chain(*lists)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{path} cannot be read ({error!r}). Build it anew: fewshot-lab build {path.name[:2]}") from error
    return ChapterRecord(path.name[:2], path.name, "the stored notebooks, quick profile", said, results)


def _estimate(values: dict) -> Estimate:
    mean, ends = values.get("mean"), values.get("ci95") or (math.nan, math.nan)
    mean = math.nan if mean is None else mean
    return Estimate(mean, *ends, int(values.get("n") or 0), str(values.get("unit", "")), str(values.get("bound", "")))
