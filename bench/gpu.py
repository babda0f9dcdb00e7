"""The GPU column of `make bench`: throughput with and without mixed precision and torch.compile, where there is a GPU."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator

import torch

from fewshot_lab.models import conv_net, residual_net
from fewshot_lab.training import train

STEPS, BATCH, SIZE, CLASSES = 200, 512, 32, 100
NETWORKS = {
    "conv net, width 64": lambda: conv_net(CLASSES, size=SIZE, channels=3, width=64),
    "residual net, width 64": lambda: residual_net(CLASSES, width=64),
}


def loop_on_gpu(images: torch.Tensor, labels: torch.Tensor, steps: int, batch: int) -> str:
    """Steps a second of our loop on the GPU with the data of a row, or that there is no GPU."""
    if not torch.cuda.is_available():
        return "no GPU"
    model = conv_net(int(labels.max()) + 1, size=images.shape[-1])
    return f"{steps / _cost(model, images, labels, steps, batch, 'no', 'cuda')[0]:.0f} steps/s"


def measured(device: str = "cuda", steps: int = STEPS, batch: int = BATCH) -> dict:
    """{"device", "rows": [{"name", "precision", "compiled", "images_per_second", "utilisation", "ratio"}]}.

    ratio: throughput over that of the same network in float32 without torch.compile. utilisation: the mean percent of time in
    which the GPU computed; None where the driver does not say. Without a GPU there are no rows.
    """
    if device == "cuda" and not torch.cuda.is_available():
        return {"device": "no GPU", "rows": []}
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4 * batch, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(CLASSES, (len(images),), generator=generator)
    precisions = ("no", "bf16", "fp16") if device == "cuda" else ("no", "bf16")
    rows = []
    for name, network in NETWORKS.items():
        for compiled in (False, True):
            for precision in precisions:
                model = network().to(device)
                if compiled:
                    torch._dynamo.reset()
                    model = torch.compile(model)
                seconds, used = _cost(model, images, labels, steps, batch, precision, device)
                row = {"name": name, "precision": precision, "compiled": compiled, "utilisation": used}
                rows.append(row | {"images_per_second": steps * batch / seconds})
        first = rows[-2 * len(precisions)]["images_per_second"]
        for row in rows[-2 * len(precisions) :]:
            row["ratio"] = row["images_per_second"] / first
    return {"device": torch.cuda.get_device_name() if device == "cuda" else device, "rows": rows}


def _cost(model, images, labels, steps: int, batch: int, precision: str, device: str) -> tuple[float, float | None]:
    """The seconds of a training, after a short one that warms up and compiles, and the GPU's utilisation meanwhile."""
    options = {"batch_size": batch, "precision": precision, "device": device}
    train(model, images, labels, steps=5, **options)
    _wait(device)
    with _watched(device) as percents:
        began = time.perf_counter()
        train(model, images, labels, steps=steps, **options)
        _wait(device)
        seconds = time.perf_counter() - began
    return seconds, statistics.fmean(percents) if percents else None


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def _watched(device: str) -> Iterator[list[int]]:
    """What the driver says of its utilisation, in percent, every tenth of a second meanwhile."""
    percents: list[int] = []
    if device != "cuda":
        yield percents
        return
    ended = threading.Event()

    def watch() -> None:
        with contextlib.suppress(Exception):  # no package that asks, or a driver that does not answer: it is unknown then
            while not ended.wait(0.1):
                percents.append(torch.cuda.utilization())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield percents
    finally:
        ended.set()
        watcher.join()
