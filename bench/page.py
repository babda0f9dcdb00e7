"""The page of a benchmark report: the rows with their ratios, the GPU, how cost grows, and the chapters."""

import numpy as np
from markupsafe import Markup

from fewshot_lab.figures import Picture, new_figure, style
from fewshot_lab.figures.style import BLUE, GREY
from fewshot_lab.html import table

_PAGE = Markup("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Few-Shot Lab: benchmarks</title><style>
body {{ font: 16px/1.5 system-ui; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
td, th {{ padding: .3rem .8rem; border-bottom: 1px solid #ccc }}
</style></head><body><h1>Benchmarks</h1><p>{}</p>{}</body></html>
""")


def number(value: float | None) -> str:
    """A measured value with few digits, "-" when there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def page(report: dict) -> str:
    about = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    parts = [ratios(report["rows"]), rows(report["rows"])] if report["rows"] else []
    for name, write in (("gpu", on_gpu), ("browser", in_browser), ("growth", growth)):
        if error := report.get(name, {}).get("error"):
            parts.append(Markup("<h2>{}</h2><p>did not run: {}</p>").format(name, error))
        elif name in report:
            parts.append(write(report[name]))
    parts += [chapters(report["chapters"])] if "chapters" in report else []
    return _PAGE.format(about, Markup("").join(parts))


def ratios(found: list[dict]) -> Markup:
    measured = [row for row in found if "ratio" in row]
    with style():
        figure, axes = new_figure(size=(9, 1.0 + 0.4 * len(measured)))
        for place, row in enumerate(measured):
            axes.plot(row["spread"], [place, place], color=BLUE, linewidth=2)
            axes.plot(row["ratio"], place, "o", color=BLUE)
        axes.axvline(1, color=GREY, linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.set_yticks(range(len(measured)), [f"{row['name']}\n{row['peer_version']}" for row in measured], fontsize=8)
        axes.set_ylim(len(measured) - 0.4, -0.6)
        axes.set(title="How many times better than the peer", xlabel="ratio, right of the dashed line ours is better")
        told = "; ".join(f"{row['name']}: {row['ratio']:.2f}" for row in measured)
        return Picture(figure, caption="Median ratio; the line spans the 10th to 90th percentile.", alt=told).as_html()


def rows(found: list[dict]) -> Markup:
    body = []
    for row in found:
        if "ratio" not in row:
            body.append([row["name"], row["peer_version"], f"did not run: {row['error']}", "", "", ""])
            continue
        sides = [f"{number(row[side])} {row['unit']}" for side in ("ours", "peer")]
        spread = "{:.2f} [{:.2f}, {:.2f}]".format(row["ratio"], *row["spread"])
        body.append([row["name"], row["peer_version"], *sides, spread, row.get("gpu", "")])
    return table(["what", "peer", "ours", "peer's", "ratio", "ours on the GPU"], body)


def on_gpu(gpu: dict) -> Markup:
    top = Markup("<h2>Training on the GPU: {}</h2>").format(gpu["device"])
    if not gpu["rows"]:
        return top + Markup("<p>This machine has none; where there is one, this table tells throughput and utilisation.</p>")
    body = [
        [
            row["name"],
            {"no": "float32"}.get(row["precision"], row["precision"]),
            "yes" if row["compiled"] else "no",
            f"{row['images_per_second']:,.0f}",
            "unknown" if row["utilisation"] is None else f"{row['utilisation']:.0f} %",
            f"{row['ratio']:.2f}",
        ]
        for row in gpu["rows"]
    ]
    return top + table(["network", "precision", "torch.compile", "images/s", "utilisation", "against float32"], body)


def in_browser(found: dict) -> Markup:
    body = [[row["name"], f"{row['median']:.0f}", f"{row['p90']:.0f}", row["n"]] for row in found["rows"]]
    top = Markup("<h2>From a slider to the new picture</h2><p>In JupyterLab with headless Chromium, in milliseconds.</p>")
    return top + table(["explorer", "median", "90th percentile", "moves"], body)


def growth(found: dict) -> Markup:
    curves = found["curves"]
    with style():
        figure, grid = new_figure(-(-len(curves) // 2), 2, size=(9, 2.8 * -(-len(curves) // 2)), squeeze=False)
        for axes, curve in zip(grid.flat, curves, strict=False):
            sizes, taken = np.array(curve["points"]).T
            axes.plot(sizes, taken, "o", color=BLUE, markersize=4)
            ends = np.array([0, sizes.max()])
            axes.plot(ends, curve["start"] + curve["slope"] * ends, color=GREY, linewidth=1)
            axes.set(title=curve["name"], xlabel=f"{curve['unit']}s", ylabel="s", ylim=(0, None))
        told = "; ".join(f"{curve['name']}: {1000 * curve['slope']:.3g} ms each" for curve in curves)
        picture = Picture(figure, caption="Points: every measurement. Line: least squares.", alt=told)
    lines = [
        [
            curve["name"],
            f"{1000 * curve['slope']:.3g} ms a {curve['unit']}",
            f"{1000 * curve['low']:.3g} to {1000 * curve['high']:.3g}",
        ]
        for curve in curves
    ]
    speed = [[one["name"], f"{one['speedup']:.2f}", f"{one['low']:.2f} to {one['high']:.2f}"] for one in found["workers"]]
    return Markup("<h2>How cost grows</h2>{}{}<h3>Two workers against one</h3>{}{}").format(
        picture.as_html(),
        table(["curve", "slope", "95 % interval, ms"], lines),
        table(["work", "times as fast", "range"], speed),
        projected(found["projection"]),
    )


def projected(course: dict) -> Markup:
    each = course["core_seconds_a_submission"]
    body = [["seconds of one core for a submission", "{:.2f} [{:.2f}, {:.2f}]".format(*each)]]
    for cores, hours in course["hours_by_cores"].items():
        body.append([f"hours to grade all on {cores} cores", "{:.1f} [{:.1f}, {:.1f}]".format(*hours)])
    body.append(["hours to write all pages and tables", f"{course['report_hours']:.1f}"])
    body.append(["GB of records and pages", f"{course['disk_gb']:.1f}"])
    assumed = Markup("").join(Markup("<li>{}</li>").format(line) for line in course["assumptions"])
    return Markup("<h3>A course of {:,} learners, {:,} submissions</h3>{}<p>Assumed:</p><ul>{}</ul>").format(
        course["learners"], course["submissions"], table(["what", "projected"], body), assumed
    )


def chapters(found: list[dict]) -> Markup:
    body = [[row["id"], row["status"], f"{row['seconds']:.1f}", f"{row['memory_mb']:,}"] for row in found]
    body.append(["all", "", f"{sum(row['seconds'] for row in found):.1f}", f"{max(row['memory_mb'] for row in found):,}"])
    top = Markup("<h2>Chapters</h2><p>Each executed alone; the memory is the most that all its processes held together.</p>")
    return top + table(["chapter", "status", "seconds", "MB"], body)
