"""Rows of the foundation: affine augmentation, a slider's answer, and how long import, first figure and command take."""

import functools
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import torch
from measure import one_thread, row, seconds

DEGREES, SCALE, SHEAR, SHIFT = 20, (0.8, 1.2), 14, 0.1


def torchvision_affine():
    """Image by image: torchvision draws once for a whole batch."""
    from torchvision.transforms import InterpolationMode, v2

    affine = v2.RandomAffine(DEGREES, (SHIFT, SHIFT), SCALE, SHEAR, InterpolationMode.BILINEAR)
    transform = v2.Compose([affine, v2.RandomHorizontalFlip()])
    return f"torchvision {version('torchvision')} v2", lambda images: torch.stack([transform(image) for image in images])


def kornia_affine():
    """The whole batch at once, a draw for each image."""
    from kornia import augmentation as K

    affine = K.RandomAffine(DEGREES, (SHIFT, SHIFT), SCALE, SHEAR, p=1.0)
    return f"kornia {version('kornia')}", torch.nn.Sequential(affine, K.RandomHorizontalFlip())


def affine(batch: int, channels: int, size: int, peers: Callable) -> dict:
    """Random affine and flip for every image by its own draw, bilinear."""
    from fewshot_lab.augment.geometry import random_affine, warp

    images, (peer_name, transform) = torch.rand(batch, channels, size, size), peers()

    def ours() -> float:
        options = {"degrees": DEGREES, "scale": SCALE, "shear": 0.25, "shift": SHIFT * size, "flip": 0.5}
        return batch / seconds(lambda: warp(images, random_affine(batch, **options)))

    def peer() -> float:
        return batch / seconds(lambda: transform(images))

    name = f"random affine + flip per image, {batch}x{channels}x{size}x{size}, one thread"
    return one_thread(lambda: row(name, peer_name, "images/s", ours, peer))


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
        for axes, shown in zip(figure.subplots(1, 2), (image, warp(image, rotation(next(angles) * 0.1)[:2])), strict=True):
            axes.imshow(shown[0], cmap="gray")
        figure.savefig(BytesIO(), format="png")

    name = "chapter 01, answer to a move of the slider"
    return row(name, f"matplotlib {version('matplotlib')} redraw", "ms", ours, lambda: 1000 * seconds(draw))


def new_process(code: str) -> float:
    """Runs a program in a new Python, which prints its own measure."""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def importing() -> dict:
    """What `import fewshot_lab` adds to the start of Python, against `import torchvision`."""

    def added(module: str) -> float:
        return new_process(f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)")

    peer = f"import torchvision {version('torchvision')}"
    return row("import fewshot_lab", peer, "s", lambda: added("fewshot_lab"), lambda: added("torchvision"))


FIRST_FIGURE = """
import time; began = time.perf_counter()
import fewshot_lab as lab
picture = lab.figures.bars({"a": lab.mean_interval([0.1, 0.2])}, title="t", x="x", caption="c", alt="a")
len(picture.png); print(time.perf_counter() - began)
"""
PYPLOT = """
import time; began = time.perf_counter()
import io, torch, matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.errorbar([0.15], ["a"], xerr=[0.05], fmt="o"); axes.set(title="t", xlabel="x")
figure.savefig(io.BytesIO(), format="png", dpi=160, bbox_inches="tight"); print(time.perf_counter() - began)
"""


def first_figure() -> dict:
    """From a new Python to the first chart as an image, imports counted, torch's on both sides: every chapter needs it."""
    peer = f"matplotlib {version('matplotlib')} pyplot"
    return row(
        "first figure in a new process, torch imported too",
        peer,
        "s",
        lambda: new_process(FIRST_FIGURE),
        lambda: new_process(PYPLOT),
    )


def command() -> dict:
    """How long a person waits for the command's help, against another command for notebooks."""

    def helped(module: str) -> float:
        run = [sys.executable, "-m", module, "--help"]
        return seconds(lambda: subprocess.run(run, check=True, capture_output=True))

    peer = f"papermill {version('papermill')} --help"
    return row("fewshot-lab --help", peer, "s", lambda: helped("fewshot_lab"), lambda: helped("papermill"))


SHAPES = ((512, 1, 28), (256, 3, 64), (32, 3, 224))
PEERS = {"torchvision": torchvision_affine, "kornia": kornia_affine}

ROWS: dict[str, Callable[[], dict]] = {
    f"affine {b}x{c}x{s}x{s} {name}": functools.partial(affine, b, c, s, peers)
    for b, c, s in SHAPES
    for name, peers in PEERS.items()
} | {"slider": slider, "import": importing, "first figure": first_figure, "command": command}
