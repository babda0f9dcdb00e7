"""Rows of how soon a training is nearly as good as one at rest: ours against the recipe before and plain Adam in PyTorch.

The task is glyphs with 5 labels per class under affine 0.5, its accuracy that on validation images, the mean over SEEDS. The
accuracy at rest is what 2,000 steps of the recipe before end at. Each side's length is the shortest in LENGTHS whose complete
training, with its own schedule run to the end, reaches 95 % of it, found by bisection; then both sides train that long by
turns, one thread.
"""

import bisect
import functools
from collections.abc import Callable

import torch
from measure import one_thread, row, seconds
from torch.nn.functional import cross_entropy

from fewshot_lab import data
from fewshot_lab.augment import as_augment
from fewshot_lab.models import conv_net
from fewshot_lab.runtime import seed_everything
from fewshot_lab.training import accuracy, outputs, train

SEEDS = range(500, 505)
LENGTHS = [round(10 ** (n / 20)) for n in range(34, 73)]  # 50, 56, 63 ... 3,981: each an eighth longer
SHARE = 0.95
RECIPE_BEFORE = {"optimizer": torch.optim.AdamW, "batch_size": 32, "learning_rate": 5e-3, "warmup": 0}
Training = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor, Callable, int, int], object]


def ours(model, images, labels, augment, steps, seed) -> None:
    train(model, images, labels, steps=steps, augment=augment, seed=seed, device="cpu")


def before(model, images, labels, augment, steps, seed) -> None:
    train(model, images, labels, steps=steps, augment=augment, seed=seed, device="cpu", **RECIPE_BEFORE)


def adam(model, images, labels, augment, steps, seed) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    generator, done = torch.Generator().manual_seed(seed), 0
    model.train()
    while done < steps:
        for rows in torch.randperm(len(images), generator=generator).split(32)[: steps - done]:
            x, y = augment(images[rows].float() / 255, labels[rows], generator)
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1


def trained(training: Training, steps: int, seed: int) -> tuple[float, float]:
    """The seconds of a training and its validation accuracy."""
    task = data.load("glyphs")
    images, labels = task.draw(5, seed)
    seed_everything(seed)
    model = conv_net(len(task.classes))
    took = seconds(lambda: training(model, images, labels, as_augment("affine", 0.5), steps, seed))
    return took, accuracy(outputs(model, task.validation_images), task.validation_labels)


@functools.cache
def mean_accuracy(training: Training, steps: int) -> float:
    return sum(trained(training, steps, seed)[1] for seed in SEEDS) / len(SEEDS)


@functools.cache
def enough(training: Training) -> int:
    """The length of the shortest training that is good enough, if more steps never make one worse."""
    goal = SHARE * mean_accuracy(before, 2000)
    at = bisect.bisect_left(LENGTHS, goal, key=lambda steps: mean_accuracy(training, steps))
    if at == len(LENGTHS):
        raise RuntimeError(f"{training.__name__} does not reach {goal:.3f} in {LENGTHS[-1]} steps")
    return LENGTHS[at]


def against(peer_name: str, peer: Training) -> dict:
    """Seconds to 95 % of the accuracy at rest, ours and the peer's."""

    def measure() -> dict:
        lengths, turns = (enough(ours), enough(peer)), iter(range(1000))
        name = f"seconds to {SHARE:.0%} of the accuracy at rest, glyphs, 5 labels, affine 0.5, one thread"
        sides = [
            lambda t=t, n=n: trained(t, n, SEEDS[next(turns) // 2 % len(SEEDS)])[0]
            for t, n in zip((ours, peer), lengths, strict=True)
        ]
        return row(name, f"{peer_name}, {lengths[1]} steps (ours: {lengths[0]})", "s", *sides, rounds=2 * len(SEEDS))

    return one_thread(measure)


ROWS = {
    "to rest before": lambda: against("the recipe before: AdamW, batch 32, rate 0.005, cosine", before),
    "to rest Adam": lambda: against(f"plain PyTorch {torch.__version__}: Adam, batch 32, rate 0.001", adam),
}
