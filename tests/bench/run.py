"""`make bench`: speed against other libraries, ours and theirs by turns in one run; writes runs/bench.json and a page.

A row's ratio is above 1 when ours is better. Each round measures both sides once, one after the other, in changing order;
`ours` and `peer` are medians over the rounds, `ratio` is the median of the rounds' ratios and `spread` their 10th and 90th
percentile. A row that cannot run says why. Choose rows by a part of their name: python tests/bench/run.py affine
"""

import html
import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import attacks
import distillation
import episodes
import foundation
import grading
import prompts
import tagging
import text
from rich.console import Console
from rich.table import Table

from fewshot_lab.course.outputs import number
from fewshot_lab.runtime import usable_cores, write_atomically

RUNS = Path(__file__).parents[2] / "runs"
MEASURED = (foundation, distillation, episodes, attacks, text, prompts, tagging, grading)
ROWS: dict[str, Callable[[], dict]] = {name: measure for part in MEASURED for name, measure in part.ROWS.items()}


def machine() -> dict:
    names = ("torch", "torchvision", "numpy", "matplotlib", "fewshot-lab")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def page(report: dict) -> str:
    from fewshot_lab.figures import Picture, new_figure, style

    rows = [row for row in report["rows"] if "ratio" in row]
    with style():
        figure, axes = new_figure(size=(7, 1.0 + 0.4 * len(rows)))
        for place, row in enumerate(rows):
            axes.plot(row["spread"], [place, place], color="#0072B2", linewidth=2)
            axes.plot(row["ratio"], place, "o", color="#0072B2")
        axes.axvline(1, color="#555555", linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set(title="How many times better than the peer", xlabel="ratio, right of the dashed line ours is better")
        told = "; ".join(f"{row['name']}: {row['ratio']:.2f}" for row in rows)
        picture = Picture(figure, caption="Median ratio; the line spans the 10th to 90th percentile.", alt=told)
    cells = "".join(
        f"<tr><td>{html.escape(row['name'])}</td><td>{html.escape(row['peer_version'])}</td>"
        + (
            f"<td>{number(row['ours'])} {row['unit']}</td><td>{number(row['peer'])} {row['unit']}</td><td>{row['ratio']:.2f} "
            f"[{row['spread'][0]:.2f}, {row['spread'][1]:.2f}]</td></tr>"
            if "ratio" in row
            else f"<td colspan='3'>did not run: {html.escape(row['error'])}</td></tr>"
        )
        for row in report["rows"]
    )
    about = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    return (
        "<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>Few-Shot Lab: benchmarks</title>"
        "<style>body{font:16px/1.5 system-ui;max-width:64rem;margin:2rem auto;padding:0 1rem}"
        "td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ccc}</style><h1>Benchmarks</h1>"
        f"<p>{html.escape(about)}</p>{picture._repr_mimebundle_()['text/html']}"
        f"<table><tr><th>what</th><th>peer</th><th>ours</th><th>peer's</th><th>ratio</th></tr>{cells}</table></html>"
    )


def main(wanted: list[str]) -> None:
    report, console = {"machine": machine(), "rows": []}, Console()
    if not console.is_terminal:
        console = Console(width=180)
    table = Table("what", "peer", "ours", "peer's", "ratio", "spread")
    for name, measure in ROWS.items():
        if wanted and not any(part in name for part in wanted):
            continue
        console.print(f"{name} ...", style="dim")
        try:
            found = measure()
        except Exception as error:  # a row that cannot run must say why and leave the others alone
            found = {"name": name, "peer_version": "", "error": f"{type(error).__name__}: {error}"}
            table.add_row(name, "", f"did not run: {found['error']}")
        else:
            figures = [f"{number(found[side])} {found['unit']}" for side in ("ours", "peer")]
            spread = "{:.2f} to {:.2f}".format(*found["spread"])
            table.add_row(found["name"], found["peer_version"], *figures, f"{found['ratio']:.2f}", spread)
        report["rows"].append(found)
        write_atomically(RUNS / "bench.json", json.dumps(report, indent=1) + "\n")
    write_atomically(RUNS / "bench.html", page(report))
    console.print(table)
    console.print(f"{RUNS / 'bench.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
