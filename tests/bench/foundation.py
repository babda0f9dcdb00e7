"""Rows of the foundation: affine augmentation, the training loop, a slider's answer, the import."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import torch
from measure import one_thread, row, seconds


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
        for axes, shown in zip(figure.subplots(1, 2), (image, warp(image, rotation(next(angles) * 0.1)[:2])), strict=True):
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
