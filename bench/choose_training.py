"""How the recipe of trainings and the rule of rest were chosen: python bench/choose_training.py recipe rest.

Both look at validation images alone, on the seeds on which everything else is chosen too, one thread on a CPU. `recipe` tries
shorter settings of `train`, and the recipe before; it writes docs/choices/training.json. `rest` trains for longer and longer
and asks which rule says from the losses what twice the steps would change; it writes docs/choices/rest.json. Rows are kept in
runs/ as they come, so that an interrupted run goes on.
"""

import functools
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from to_rest import RECIPE_BEFORE
from torch import nn

from fewshot_lab import data
from fewshot_lab.augment import as_augment
from fewshot_lab.augment.mixing import mixup
from fewshot_lab.files import write_atomically
from fewshot_lab.models import conv_net
from fewshot_lab.runtime import seed_everything
from fewshot_lab.training import accuracy, loop, outputs, train
from fewshot_lab.training.muon import Muon

HERE = Path(__file__).parents[1]
SEEDS = (500, 501, 502)

NESTEROV = functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True)
BEFORE = RECIPE_BEFORE | {"steps": 2000}
SHORT = BEFORE | {"steps": 400}
NOW = {"steps": 300}  # all else is the default of `train`


def smoothed(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(images), labels, label_smoothing=0.1)


RECIPES = {
    "AdamW, 2,000 steps: the recipe before": BEFORE,
    "AdamW, 400 steps": SHORT,
    "AdamW, 400 steps, rate 0.01, warm-up": SHORT | {"learning_rate": 1e-2, "warmup": 20},
    "AdamW, 400 steps, second moments over 100": SHORT
    | {"optimizer": functools.partial(torch.optim.AdamW, betas=(0.9, 0.99)), "warmup": 20},
    "AdamW, 300 steps of 64, rate 0.01, warm-up": NOW | {"optimizer": torch.optim.AdamW},
    "SGD with Nesterov momentum, 400 steps, rate 0.03": SHORT | {"optimizer": NESTEROV, "learning_rate": 0.03, "warmup": 50},
    "Muon, 300 steps of 64: the recipe now": NOW,
    "Muon, 200 steps of 64": {"steps": 200},
    "Muon, 400 steps of 32": {"batch_size": 32, "steps": 400},
    "Muon on filters alone, 300 steps of 64": NOW | {"optimizer": functools.partial(Muon, linear_rate=0.0)},
    "Muon, linear layer at two thirds of the rate": NOW | {"optimizer": functools.partial(Muon, linear_rate=1.0)},
    "Muon, linear layer at twice the rate": NOW | {"optimizer": functools.partial(Muon, linear_rate=3.0)},
    "Muon, filters at twice the rate": NOW | {"optimizer": functools.partial(Muon, filter_rate=10.0)},
    "Muon, filters at half the rate": NOW | {"optimizer": functools.partial(Muon, filter_rate=2.5)},
    "Muon, weights do not shrink": NOW | {"optimizer": functools.partial(Muon, decay=0.0)},
    "Muon, momentum 0.9": NOW | {"optimizer": functools.partial(Muon, momentum=0.9)},
    "Muon, label smoothing 0.1": NOW | {"loss": smoothed},
    "Muon, 600 steps of 64": {"steps": 600},
}
ARMS = {"none": ("none", 0.0), "affine 0.5": ("affine", 0.5), "affine 1.0": ("affine", 1.0)}
SHOTS = (5, 1, 10)
ALL_SHOTS = [name for name in RECIPES if "recipe" in name]

LENGTHS, LONG = (50, 100, 200, 400, 800), (1600,)
RESTING = {
    "glyphs, none": ("glyphs", "none", 0.0, ""),
    "glyphs, affine 0.25": ("glyphs", "affine", 0.25, ""),
    "glyphs, affine 0.5": ("glyphs", "affine", 0.5, ""),
    "glyphs, affine 1.0": ("glyphs", "affine", 1.0, ""),
    "glyphs, d4": ("glyphs", "d4", 1.0, ""),
    "glyphs, mixup": ("glyphs", "none", 0.0, "mixup"),
    "glyphs, affine 0.5, a fifth of the labels wrong": ("glyphs", "affine", 0.5, "wrong labels"),
    "digits, none": ("digits", "none", 0.0, ""),
    "digits, affine 0.25": ("digits", "affine", 0.25, ""),
    "fashion, none": ("fashion", "none", 0.0, ""),
    "fashion, affine 0.25": ("fashion", "affine", 0.25, ""),
}


def trained(
    dataset: str, shots: int, policy: str, strength: float, seed: int, change: str = "", **recipe
) -> dict[str, float | list[float]]:
    """The validation accuracy, the seconds of one core and the losses of a training."""
    task = data.load(dataset).capped()
    images, labels = task.draw(shots, seed)
    classes, augment = len(task.classes), as_augment(policy, strength)
    if change == "wrong labels":
        generator = torch.Generator().manual_seed(seed)
        wrong = torch.rand(len(labels), generator=generator) < 0.2
        labels = torch.where(wrong, torch.randint(classes, labels.shape, generator=generator), labels)
    if change == "mixup":
        augment = functools.partial(_mixed, classes=classes)
    seed_everything(seed)
    model = conv_net(classes, size=images.shape[-1])
    began = time.process_time()  # not the clock's: the machine may have other work
    history = train(model, images, labels, augment=augment, seed=seed, device="cpu", **recipe)
    seconds = time.process_time() - began
    right = accuracy(outputs(model, task.validation_images), task.validation_labels)
    return {"accuracy": right, "seconds": seconds, "losses": [round(loss, 4) for loss in history.losses]}


def _mixed(images, labels, generator, classes):
    return mixup(images, labels, classes, generator=generator)


class Rows:
    """Measured rows by key, in a file."""

    def __init__(self, name: str) -> None:
        self.file = HERE / "runs" / f"{name}.json"
        self.rows = json.loads(self.file.read_text()) if self.file.exists() else {}

    def __call__(self, key: str, measure: Callable[[], dict]) -> dict:
        if key not in self.rows:
            self.rows[key] = measure()
            write_atomically(self.file, json.dumps(self.rows))
        return self.rows[key]


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def recipe() -> None:
    rows, table = Rows("choose_recipe"), []
    for name, settings in RECIPES.items():
        for shots in SHOTS if name in ALL_SHOTS else SHOTS[:1]:
            for arm, policy in ARMS.items():
                tried = [
                    rows(
                        f"{name}|{shots}|{arm}|{seed}",
                        lambda s=seed, k=shots, p=policy, r=settings: trained("glyphs", k, *p, s, **r),
                    )
                    for seed in SEEDS
                ]
                accuracies = [round(one["accuracy"], 4) for one in tried]
                seconds = round(mean(one["seconds"] for one in tried), 2)
                table.append({"recipe": name, "labels": shots, "arm": arm, "accuracies": accuracies, "seconds": seconds})
                print(f"{name:55s} K={shots:2d} {arm:11s} {mean(accuracies):.3f} {seconds:.2f} s", flush=True)
    about = {
        "what": "the recipe of training.train",
        "on": "glyphs' validation images",
        "seeds": SEEDS,
        "chosen": next(name for name in RECIPES if "now" in name),
        "rule": "none fixed before: near the best on affine 0.5 and 1.0 in about a quarter of the seconds before",
        "apart": "label smoothing, which changes the loss and is an arm of chapter 02",
    }
    _write("training", about | {"rows": table})


def resting(task: tuple[str, str, float, str], seed: int, steps: int) -> dict:
    dataset, policy, strength, change = task
    return trained(dataset, 5, policy, strength, seed, change, steps=steps)


def rest() -> None:
    rows, found = Rows("choose_rest"), []
    for arm, task in RESTING.items():
        lengths = LENGTHS + (LONG if "affine" in arm and "glyphs" in arm else ())
        of_length = {
            steps: [rows(f"{arm}|{steps}|{seed}", lambda task=task, s=seed, n=steps: resting(task, s, n)) for seed in SEEDS]
            for steps in lengths
        }
        for steps in lengths[:-1]:
            now, twice = (mean(one["accuracy"] for one in of_length[n]) for n in (steps, 2 * steps))
            shares = [late_share(one["losses"]) for one in of_length[steps]]
            found.append({"arm": arm, "steps": steps, "accuracy": now, "gain": twice - now, "shares": shares})
            print(f"{arm:50s} {steps:5d} {now:.3f} {twice - now:+.3f} {mean(shares):.3f}", flush=True)
    table = [_agreement(found, tolerance) for tolerance in TOLERANCES]
    for line in table:
        print({name: value for name, value in line.items() if name != "misses"})
    cases = [{name: _rounded(value) for name, value in one.items()} | {"at_rest": _rests(one, loop.REST)} for one in found]
    about = {
        "what": "the tolerance of History.at_rest",
        "on": "validation images, 5 labels per class",
        "seeds": SEEDS,
        "truly at rest": f"twice the steps add less than {SAME} to the mean accuracy",
        "said at rest": "most of the seeds' trainings",
        "chosen": loop.REST,
        "rule": "the most cases told rightly; of equals the one whose errors are most even",
    }
    _write("rest", about | {"tolerances": table, "cases": cases})


TOLERANCES, SAME = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2), 0.02


def late_share(losses: list[float]) -> float:
    """The share of the loss's fall that came after the middle fifth: what History.at_rest compares with its tolerance."""
    fifth = len(losses) // 5
    middle, last = mean(losses[2 * fifth : 3 * fifth]), mean(losses[-fifth:])
    return (middle - last) / max(losses[0] - last, 1e-9)


def _rests(one: dict, tolerance: float) -> bool:
    return mean(share <= tolerance for share in one["shares"]) > 0.5


def _agreement(found: list[dict], tolerance: float) -> dict:
    """How often the rule with this tolerance is right about the cases, and about which it is not."""
    counts = {(truly, said): [] for truly in (True, False) for said in (True, False)}
    for one in found:
        counts[one["gain"] < SAME, _rests(one, tolerance)].append(f"{one['arm']}, {one['steps']} steps")
    return {
        "tolerance": tolerance,
        "rests, said so": len(counts[True, True]),
        "learns, said so": len(counts[False, False]),
        "rests, said to learn": len(counts[True, False]),
        "learns, said to rest": len(counts[False, True]),
        "misses": counts[True, False] + counts[False, True],
    }


def _rounded(value):
    if isinstance(value, list):
        return [round(one, 4) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def _write(name: str, content: dict) -> None:
    write_atomically(HERE / "docs" / "choices" / f"{name}.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or ("recipe", "rest"):
        {"recipe": recipe, "rest": rest}[part]()
