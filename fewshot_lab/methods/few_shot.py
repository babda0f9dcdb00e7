"""Chapter 05's trainings, each one call whose result can be sent between processes, and what is measured on their encoders."""

import copy

import torch
from torch import Tensor, nn

from ..data.episodes import Pool, draw_tasks
from ..models import encoder_net
from . import maml, prototypes
from .prototypes import Rule, episode_accuracies

RULES = {"prototypes": prototypes.prototype_rule, "matching": prototypes.matching_rule}


def fit(method: str, *, steps: int, seed: int, meta_steps: int = 0, device: str = "auto", **options) -> dict[str, dict]:
    """Trains by a method's name; returns {"weights": {name: state}}, the weights on the CPU.

    "prototypes", "matching": an encoder trained by episodes under that rule, with the `options` of `fit_by_episodes`.
    "classes": an encoder trained as the body of a classifier; with `meta_steps` also "maml" and "first-order maml", 5-way
    1-shot, which both start from that encoder.
    """
    if method in RULES:
        encoder = prototypes.fit_by_episodes(RULES[method], steps=steps, seed=seed, device=device, **options)
        return {"weights": {method: _state(encoder)}}
    if method != "classes":
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(RULES)}, classes.")
    encoder = prototypes.fit_by_classes(steps=steps, seed=seed, device=device)
    weights = {"classes": _state(encoder)}
    for name, first_order in (("maml", False), ("first-order maml", True)) if meta_steps else ():
        start = copy.deepcopy(encoder)
        weights[name] = _state(maml.fit_maml(start, steps=meta_steps, seed=seed, first_order=first_order, device=device))
    return {"weights": weights}


def encoder_of(weights: dict[str, Tensor]) -> nn.Module:
    """The encoder with these weights, in evaluation mode."""
    encoder = encoder_net()
    encoder.load_state_dict(weights)
    return encoder.eval()


def learner_of(weights: dict[str, Tensor], way: int = 5) -> maml.Learner:
    """The MAML learner with these weights, in evaluation mode."""
    learner = maml.Learner(encoder_net(), way)
    learner.load_state_dict(weights)
    return learner.eval()


def accuracies_by_draw(
    pool: Pool, features: Tensor, rule: Rule, *, tasks: int, draws: int, shots: int, way: int = 5, seed: int = 0
) -> Tensor:
    """The test accuracy of `tasks` tasks under `draws` draws of their labels each: (tasks, draws).

    A task has fixed classes and fixed queries, so that only the `shots` labelled images of each class change between its draws.
    """
    numbers = range(seed * tasks, (seed + 1) * tasks)
    drawn = [draw_tasks(pool, draws, way=way, shots=shots, seed=number) for number in numbers]
    return torch.stack([episode_accuracies(features, task, rule) for task in drawn])


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
