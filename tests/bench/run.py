"""`make bench`: speed against other libraries, ours and theirs by turns in one run; writes runs/bench.json and a page.

A row's ratio is above 1 when ours is better. Each round measures both sides once, one after the other, in changing order;
`ours` and `peer` are medians over the rounds, `ratio` is the median of the rounds' ratios and `spread` their 10th and 90th
percentile. A row that cannot run says why. Choose rows by a part of their name: python tests/bench/run.py affine
"""

import html
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from fewshot_lab.course.outputs import number
from fewshot_lab.runtime import usable_cores, write_atomically

RUNS = Path(__file__).parents[2] / "runs"
SECONDS_A_ROW, LEAST_ROUNDS = 8.0, 5


def by_turns(ours: Callable[[], float], peer: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Calls both in turn, once to warm up and then for some seconds; each returns what it measured."""
    ours(), peer()
    measured, began = ([], []), time.perf_counter()
    while len(measured[0]) < LEAST_ROUNDS or time.perf_counter() - began < SECONDS_A_ROW:
        sides = [(measured[0], ours), (measured[1], peer)]
        for values, side in sides if len(measured[0]) % 2 else reversed(sides):
            values.append(side())
    return measured


def row(name: str, peer_name: str, unit: str, ours: Callable[[], float], peer: Callable[[], float]) -> dict:
    """One row; in units of time less is better, in all others more."""
    first, second = by_turns(ours, peer)
    less_is_better = unit in ("s", "ms")
    ratios = [b / a if less_is_better else a / b for a, b in zip(first, second, strict=True)]
    return {
        "name": name,
        "ours": statistics.median(first),
        "peer": statistics.median(second),
        "peer_version": peer_name,
        "unit": unit,
        "ratio": statistics.median(ratios),
        "spread": np.quantile(ratios, [0.1, 0.9]).tolist(),
        "rounds": len(ratios),
    }


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def one_thread(measure: Callable[[], dict]) -> dict:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure()
    finally:
        torch.set_num_threads(threads)


def affine(batch: int, channels: int, size: int) -> dict:
    """Random affine and flip for every image by its own draw, bilinear; the peer does them image by image."""
    from torchvision.transforms import InterpolationMode, v2

    from fewshot_lab.augment.geometry import random_affine, warp

    images = torch.rand(batch, channels, size, size)
    degrees, scale, shear, shift = 20, (0.8, 1.2), 14, 0.1
    transform = v2.Compose(
        [
            v2.RandomAffine(degrees, (shift, shift), scale, shear, InterpolationMode.BILINEAR),
            v2.RandomHorizontalFlip(),
        ]
    )

    def ours() -> float:
        options = {"degrees": degrees, "scale": scale, "shear": 0.25, "shift": shift * size, "flip": 0.5}
        return batch / seconds(lambda: warp(images, random_affine(batch, **options)))

    def peer() -> float:
        return batch / seconds(lambda: torch.stack([transform(image) for image in images]))

    name = f"random affine + flip per image, {batch}x{channels}x{size}x{size}, one thread"
    return one_thread(lambda: row(name, f"torchvision {version('torchvision')} v2", "images/s", ours, peer))


def training_loop() -> dict:
    """Steps a second of our loop against the same steps written out in plain PyTorch."""
    from fewshot_lab.models import conv_net
    from fewshot_lab.training import train

    steps, batch = 150, 32
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2000, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(16, (2000,), generator=generator)

    def ours() -> float:
        model = conv_net(16, size=28)
        options = {"steps": steps, "batch_size": batch, "learning_rate": 1e-3, "device": "cpu"}
        return steps / seconds(lambda: train(model, images, labels, **options))

    def peer() -> float:
        model = conv_net(16, size=28).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

        def plain() -> None:
            done = 0
            while done < steps:
                for rows in torch.randperm(len(images)).split(batch)[: steps - done]:
                    x = images[rows].float() / 255
                    loss = torch.nn.functional.cross_entropy(model(x), labels[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    done += 1

        return steps / seconds(plain)

    name = "training loop, 28x28 conv net, batch 32, one thread"
    return one_thread(lambda: row(name, f"plain PyTorch {torch.__version__}", "steps/s", ours, peer))


def slider() -> dict:
    """One move of chapter 01's angle slider, kernel side, against drawing the two images anew with matplotlib."""
    from io import BytesIO

    from matplotlib.figure import Figure

    from fewshot_lab.augment.geometry import rotation, warp
    from fewshot_lab.widgets import GeometryExplorer

    explorer = GeometryExplorer("glyphs")
    image, angles = explorer._image().float() / 255, iter(range(10**9))

    def ours() -> float:
        angle = next(angles) * 5 % 360 - 180
        return 1000 * seconds(lambda: setattr(explorer.controls["angle"], "value", angle))

    def draw() -> None:
        figure = Figure(figsize=(6, 3))
        for axes, shown in zip(
            figure.subplots(1, 2), (image, warp(image, rotation(next(angles) * 0.1)[:2])), strict=True
        ):
            axes.imshow(shown[0], cmap="gray")
        figure.savefig(BytesIO(), format="png")

    name = "chapter 01, answer to a move of the slider"
    return row(name, f"matplotlib {version('matplotlib')} redraw", "ms", ours, lambda: 1000 * seconds(draw))


def importing() -> dict:
    """What `import fewshot_lab` adds to the start of Python, against `import torchvision`."""

    def added(module: str) -> float:
        code = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
        return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    peer = f"import torchvision {version('torchvision')}"
    return row("import fewshot_lab", peer, "s", lambda: added("fewshot_lab"), lambda: added("torchvision"))


ROWS: dict[str, Callable[[], dict]] = {
    "affine 512x1x28x28": lambda: affine(512, 1, 28),
    "affine 256x3x64x64": lambda: affine(256, 3, 64),
    "affine 32x3x224x224": lambda: affine(32, 3, 224),
    "training loop": training_loop,
    "slider": slider,
    "import": importing,
}


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
