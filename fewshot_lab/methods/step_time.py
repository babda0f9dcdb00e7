"""What a policy costs: how much longer a training step takes with it, each time in a process of its own."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F

from .. import data
from ..augment import get_policy
from ..errors import CourseError
from ..languages import say
from ..models import conv_net_for
from ..runtime import usable_cores
from ..training.kept import kept

BATCH = 64


def slowdowns(dataset: str, *, strength: float, policy: str = "affine", processes: int = 10, steps: int = 40) -> list[float]:
    """Time of a step with the policy over that of one without, minus 1, one number for each of `processes` new processes.

    Two consecutive runs in one process agree better than two processes do, so an interval over steps would be too narrow.
    Raises CourseError when a process ends with an error.
    """
    call = f"slowdowns on {dataset}, {policy} {strength:g}, {processes} x {steps}"
    return kept(call, lambda: _slowdowns(dataset, strength, policy, processes, steps))


def _slowdowns(dataset: str, strength: float, policy: str, processes: int, steps: int) -> list[float]:
    task = data.load(dataset)
    batch = {"images": task.train_images[:BATCH], "labels": task.train_labels[:BATCH], "classes": len(task.classes)}
    alone = os.environ | {"OMP_NUM_THREADS": "1"}

    def one(path: str) -> float:
        call = f"from {__name__} import slowdown; print(slowdown({path!r}, {policy!r}, {strength}, {steps}))"
        done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, env=alone)
        if done.returncode:
            raise CourseError(
                say("A process that timed training steps failed: {stderr}", stderr=done.stderr.strip().splitlines()[-1])
            )
        return float(done.stdout.split()[-1])

    # A process takes the batch from a file: reading the whole data set would take it longer than its steps do.
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(usable_cores()) as pool:
        path = os.path.join(folder, "batch.pt")
        torch.save(batch, path)
        return list(pool.map(one, [path] * processes))


def slowdown(path: str, policy: str, strength: float, steps: int) -> float:
    """Median time of a step with the policy over the median without, minus 1, measured by turns on one thread.

    path: a file with the batch: "images" (N, C, H, W) uint8, "labels" (N,) and how many "classes" there are.
    """
    torch.set_num_threads(1)
    batch = torch.load(path)
    images, labels = batch["images"].float() / 255, batch["labels"]
    model = conv_net_for(images, batch["classes"])
    optimizer, generator = torch.optim.AdamW(model.parameters(), fused=True), torch.Generator().manual_seed(0)
    change = get_policy(policy)

    def seconds(with_policy: bool) -> float:
        start = time.perf_counter()
        shown = change(images, strength, generator) if with_policy else images
        F.cross_entropy(model(shown), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - start

    # By turns, so that a slow moment of the machine meets both; the first steps warm up.
    times = torch.tensor([[seconds(False), seconds(True)] for _ in range(steps + 5)])[5:]
    without, with_policy = times.median(dim=0).values.tolist()
    return with_policy / without - 1
