"""Runs side by side, as Markdown: what became of each claim, and of each result."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import CourseError
from ..evidence import CLAIMS
from .outputs import with_interval
from .run import latest_run

_NONE = "–"


def compare(folders: Sequence[Path] = ()) -> str:
    """Tables of the given runs (runs/latest if none is given), one column for each. Raises CourseError for what is no run."""
    runs = [_read(Path(folder)) for folder in folders or [latest_run()]]
    for run in runs:
        others = [other for other in runs if other["profile"] == run["profile"]]
        run["name"] = f"{run['profile']} profile" + (f", {run['folder']}" if len(others) > 1 else "")
    parts = [
        _table(["run", "on", "minutes", "versions"], [_about(run) for run in runs]),
        _table(["chapter", *(f"seconds, {run['name']}" for run in runs)], _seconds(runs)),
        "## Verdicts\n\nThose on claims of the course's article have a number; the others are the chapters' own questions.",
        _rows("claim", runs, "verdicts", _verdict),
        "## Results\n\nMean, 95 % interval, and how many seeds, draws, images or episodes it is over (n).",
        _rows("result", runs, "results", _result),
    ]
    return "\n\n".join(parts) + "\n"


def _read(folder: Path) -> dict:
    path = folder / "results.json"
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        chapters = {entry["id"]: entry for entry in run["chapters"]}
        return {"profile": run["profile"], "folder": folder.resolve().name} | run | {"chapters": chapters}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} is not the record of a run ({error!r}). Give folders such as runs/latest.") from error


def _about(run: dict) -> list[str]:
    return [
        f"{run['name']}, {len(run['chapters'])} chapters, started {run['started'][:10]}",
        run.get("machine", run["device"]),
        f"{run['seconds'] / 60:.0f}",
        ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
    ]


def _seconds(runs: list[dict]) -> list[list[str]]:
    titles = {chapter: entry["title"] for run in runs for chapter, entry in run["chapters"].items()}
    return [
        [f"{chapter} {titles[chapter]}", *(_taken(run["chapters"].get(chapter)) for run in runs)] for chapter in sorted(titles)
    ]


def _taken(entry: dict | None) -> str:
    if entry is None:
        return _NONE
    return f"{entry['seconds']:,.0f}" + ("" if entry["status"] == "ok" else f" ({entry['status']})")


def _rows(head: str, runs: list[dict], part: str, show: Callable[[dict], str]) -> str:
    """A row for each name that any run has in this part of its record: claims in their order, then the rest by chapter."""
    names = {(chapter, name) for run in runs for chapter, entry in run["chapters"].items() for name in entry.get(part, {})}
    order, rows = list(CLAIMS), []
    for chapter, name in sorted(names, key=lambda key: (order.index(key[1]) if key[1] in CLAIMS else len(order), key)):
        found = [run["chapters"].get(chapter, {}).get(part, {}).get(name) for run in runs]
        said = f"**{name}** {CLAIMS[name].text}" if name in CLAIMS else name
        rows.append([said, chapter, *(show(value) if value else _NONE for value in found)])
    return _table([head, "chapter", *(run["name"] for run in runs)], rows)


def _verdict(value: dict) -> str:
    return f"**{value['verdict']}**: {value['why']}" if value["why"] else f"**{value['verdict']}**"


def _result(value: dict) -> str:
    return with_interval(value) + (f" (n = {value['n']})" if value["n"] is not None else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
