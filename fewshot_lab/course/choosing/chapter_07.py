"""Chapter 07: how far attacks go and in how many steps, how long networks train against them, and what each method needs."""

import functools

import torch

from ...evidence import chosen
from ...methods import attacks
from ...methods.adversarial import fit_robust, images_to_attack, passes_of_a_step
from . import choice

SEEDS = range(500, 503)  # three, since each trial trains against an attack
WORTH_TWICE_THE_TIME = 0.02  # a smaller gain does not pay for twice as many passes
PASSES = [150, 300, 600]
SHORT = PASSES[0]


def _data(dataset: str, labels: str = "all training images") -> str:
    return f"the validation part of {dataset}, {labels}"


def _validated(dataset, *, seed, **settings) -> dict:
    """The row of a training that was measured on validation images, with what it measured called so."""
    row = fit_robust(dataset, seed=seed, on="validation", **settings)
    names = {"validation_accuracy": "test_accuracy", "validation_robust_accuracy": "robust_accuracy"}
    return {new: row[old] for new, old in names.items() if old in row} | {name: row[name] for name in ("at_rest", "seconds")}


def attack_radius(candidate, seed, dataset):
    """How far an attack may move every pixel: where training against it saves most images"""
    settings = {"seed": seed, "passes": SHORT, "epsilon": candidate, "test_epsilon": candidate}
    plain, robust = (_validated(dataset, method=method, **settings) for method in ("plain", "adversarial"))
    saved = robust["validation_robust_accuracy"] - plain["validation_robust_accuracy"]
    return {"images_saved": saved, "at_rest": robust["at_rest"], "seconds": plain["seconds"] + robust["seconds"]}


for _dataset, _radii in {"digits": [0.05, 0.1, 0.15], "fashion": [0.025, 0.05, 0.1], "glyphs": [0.025, 0.05, 0.1]}.items():
    _options = {"measure": "images_saved", "seeds": SEEDS, "dataset": _dataset}
    choice(f"attack-radius-{_dataset}", _radii, data=_data(_dataset), **_options)(attack_radius)


@functools.cache
def _robust_network(seed: int) -> torch.nn.Module:
    options = {"method": "adversarial", "epsilon": chosen("attack-radius-glyphs"), "passes": SHORT, "test_epsilon": None}
    return fit_robust("glyphs", seed=seed, on="validation", **options)["model"]


@choice(
    "test-attack",
    [{"steps": 10, "reach": 2.5}, {"steps": 20, "reach": 1.25}, {"steps": 20, "reach": 2.5}, {"steps": 40, "reach": 2.5}],
    data=_data("glyphs"),
    measure="share_of_fooled_images",
    seeds=SEEDS,
)
def test_attack(candidate, seed):
    """Steps of the attack that networks are tested with, and how far all of them reach together, in radii"""
    images, labels, _ = images_to_attack("glyphs", on="validation")
    epsilon, steps = chosen("attack-radius-glyphs"), candidate["steps"]
    options = {"epsilon": epsilon, "steps": steps, "step_size": candidate["reach"] * epsilon / steps}
    correct = attacks.survives(_robust_network(seed), images, labels, **options, generator=torch.Generator().manual_seed(seed))
    return {"share_of_fooled_images": 1 - correct.float().mean().item()}


@choice("attack-steps", [1, 2, 4], data=_data("glyphs"), measure="validation_robust_accuracy", seeds=SEEDS)
def attack_steps(candidate, seed):
    """Steps of the attack in training, at equal passes: more of them are fewer updates"""
    radius = chosen("attack-radius-glyphs")
    settings = {"method": "adversarial", "inner_steps": candidate, "epsilon": radius, "test_epsilon": radius}
    return _validated("glyphs", seed=seed, passes=PASSES[1], **settings)


def strength(candidate, seed, dataset):
    """The strength of the right policy where all training images have labels"""
    settings = {"policy": "affine", "strength": candidate, "test_epsilon": None}
    return _validated(dataset, seed=seed, passes=PASSES[1], **settings)


def passes(candidate, seed, dataset):
    """How many passes a network is trained, chosen for the right policy with an attack"""
    settings = {"strength": chosen(f"affine-strength-all-{dataset}"), "epsilon": chosen(f"attack-radius-{dataset}")}
    return _attacked(dataset, seed=seed, passes=candidate, **settings)


def few_shot_radius(candidate, seed, dataset):
    """The radius of the attack in training with few labels, as a share of the radius of the test"""
    return _few_shot(dataset, seed=seed, share=candidate, passes=PASSES[1])


def few_shot_passes(candidate, seed, dataset):
    """How many passes a network is trained on few labels, chosen for the right policy with an attack"""
    return _few_shot(dataset, seed=seed, share=chosen(f"few-shot-radius-{dataset}"), passes=candidate)


def _few_shot(dataset: str, *, seed: int, share: float, passes: int) -> dict:
    settings = {"strength": chosen(f"affine-strength-{dataset}"), "epsilon": share * chosen(f"attack-radius-{dataset}")}
    return _attacked(dataset, seed=seed, shots=5, passes=passes, **settings)


def _attacked(dataset: str, **settings) -> dict:
    inner_steps = chosen("attack-steps")
    return _validated(dataset, method="adversarial", policy="affine", inner_steps=inner_steps, test_epsilon=None, **settings)


for _dataset in ("digits", "fashion", "glyphs"):
    _options = {"dataset": _dataset, "seeds": SEEDS}
    _longer = _options | {"margin": WORTH_TWICE_THE_TIME}
    _all, _few = _data(_dataset), _data(_dataset, "5 labels per class")
    choice(f"affine-strength-all-{_dataset}", [0.1, 0.25, 0.5], data=_all, **_options)(strength)
    choice(f"passes-{_dataset}", PASSES, data=_all, **_longer)(passes)
    choice(f"few-shot-radius-{_dataset}", [0.25, 0.5, 1.0], data=_few, **_options)(few_shot_radius)
    choice(f"few-shot-passes-{_dataset}", PASSES, data=_few, **_longer)(few_shot_passes)


LONGEST = 400  # passes of the trainings that methods are compared by


def _compared(seed: int, **settings) -> dict:
    radius = chosen("attack-radius-digits")
    options = {"shots": 20, "epsilon": radius, "test_epsilon": radius, "passes": LONGEST}
    return _validated("digits", seed=seed, **options | settings)


_COMPARED = {"data": _data("digits", "20 labels per class"), "measure": "validation_robust_accuracy", "seeds": SEEDS}


@choice("free-replays", [2, 3, 4], **_COMPARED)
def free_replays(candidate, seed):
    """How often “free” training replays a batch, with as many updates as PGD training makes"""
    updates = LONGEST // passes_of_a_step("adversarial", chosen("attack-steps"))
    return _compared(seed, method="free", inner_steps=candidate, passes=updates)


@choice("trades-beta", [1.0, 3.0, 6.0], **_COMPARED)
def trades_beta(candidate, seed):
    """How much TRADES weighs robustness"""
    return _compared(seed, method="trades", beta=candidate, inner_steps=chosen("attack-steps"))
