"""`make bench`: speed against other libraries, ours and theirs by turns in one run; writes runs/bench.json and a page.

A row's ratio is above 1 when ours is better. Each round measures both sides once, one after the other, in changing order;
`ours` and `peer` are medians over the rounds, `ratio` is the median of the rounds' ratios and `spread` their 10th and 90th
percentile. A row that cannot run says why. Then come how cost grows (growth.py), the GPU where there is one (gpu.py), and with
--chapters the seconds and memory of every chapter.

Choose rows by a part of their name (python bench/run.py affine), or `growth`, `gpu` or `browser` (slider to picture):
what is not measured again stays in the report as it was measured before on the same machine with the same versions.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import attacks
import browser_latency
import chapters
import distillation
import episodes
import foundation
import gpu
import grading
import growth
import prompts
import tagging
import text
import to_rest
import training
from page import number, page
from rich.console import Console
from rich.table import Table

from fewshot_lab.files import write_atomically
from fewshot_lab.runtime import usable_cores

RUNS = Path(__file__).parents[1] / "runs"
MEASURED = (foundation, training, to_rest, distillation, episodes, attacks, text, prompts, tagging, grading)
ROWS: dict[str, Callable[[], dict]] = {name: measure for part in MEASURED for name, measure in part.ROWS.items()}
PARTS = {"growth": growth.measured, "gpu": gpu.measured, "browser": browser_latency.measured}


def machine() -> dict:
    names = ("torch", "torchvision", "numpy", "matplotlib", "fewshot-lab")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def measured_before() -> dict:
    """The report so far, when it is of this machine and these versions; else an empty one."""
    try:
        before = json.loads((RUNS / "bench.json").read_text())
        if before["machine"] == machine():
            return before
    except (OSError, ValueError, KeyError):
        pass
    return {"machine": machine(), "rows": []}


def measured_row(name: str) -> dict:
    began = time.perf_counter()
    try:
        return {"key": name} | ROWS[name]() | {"took": round(time.perf_counter() - began, 1)}
    except Exception as error:  # a row that cannot run must say why and leave the others alone
        return {"key": name, "name": name, "peer_version": "", "error": f"{type(error).__name__}: {error}"}


def screen_table(rows: list[dict]) -> Table:
    table = Table("what", "peer", "ours", "peer's", "ratio", "spread")
    for row in rows:
        if "error" in row:
            table.add_row(row["name"], "", f"did not run: {row['error']}")
            continue
        figures = [f"{number(row[side])} {row['unit']}" for side in ("ours", "peer")]
        spread = "{:.2f} to {:.2f}".format(*row["spread"])
        table.add_row(row["name"], row["peer_version"], *figures, f"{row['ratio']:.2f}", spread)
    return table


def main(arguments: list[str]) -> None:
    report, console, began = measured_before(), Console(), time.perf_counter()
    if not console.is_terminal:
        console = Console(width=180)
    wanted = [argument for argument in arguments if argument != "--chapters"]
    every = not arguments or arguments == ["--chapters"] and not report["rows"]
    rows, now = {row.get("key"): row for row in report["rows"]}, []

    def save() -> None:
        report["rows"] = [rows[name] for name in ROWS if name in rows]
        write_atomically(RUNS / "bench.json", json.dumps(report, indent=1) + "\n")

    for name in ROWS:
        if every or any(part in name for part in wanted):
            console.print(f"{name} ...", style="dim")
            rows[name] = measured_row(name)
            now.append(rows[name])
            save()
    for name, measure in PARTS.items():
        if every or name in wanted:
            console.print(f"{name} ...", style="dim")
            try:
                report[name] = measure()
            except Exception as error:
                report[name] = {"error": f"{type(error).__name__}: {error}"}
                console.print(report[name]["error"])
            save()
    if "--chapters" in arguments:
        console.print("chapters ...", style="dim")
        report["chapters"] = chapters.measured()
        save()
    write_atomically(RUNS / "bench.html", page(report))
    console.print(screen_table(now))
    console.print(f"{(time.perf_counter() - began) / 60:.1f} minutes; {RUNS / 'bench.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
