"""Chapter 05's trainings by name, and what is measured on their encoders.

A training returns weights, not networks, so that a sweep can send its result between processes.
"""

import copy

import torch
from torch import Tensor, nn

from ..data.episodes import Pool, draw_tasks
from ..models import encoder_net
from . import maml, prototypes
from .prototypes import Rule, episode_accuracies

RULES = {"prototypes": prototypes.prototype_rule, "matching": prototypes.matching_rule}


def fit(method: str, *, steps: int, seed: int, meta_steps: int = 0, device: str = "auto", **options) -> dict[str, dict]:
    """Trains an encoder by the method of that name.

    Args:
        method: "prototypes" or "matching": by episodes under that rule. "classes": as the backbone of a classifier.
        steps: of the training.
        seed: of everything random.
        meta_steps: with "classes", also meta-train "maml" and "first-order maml", 5-way 1-shot, from that encoder.
        device: where to train.
        **options: of `fit_by_episodes`.

    Returns:
        {"weights": {name: state}}, the weights on the CPU.

    Raises:
        ValueError: an unknown method.
    """
    if method in RULES:
        encoder = prototypes.fit_by_episodes(RULES[method], steps=steps, seed=seed, device=device, **options)
        return {"weights": {method: _state(encoder)}}
    if method != "classes":
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(RULES)}, classes.")
    encoder = prototypes.fit_by_classes(steps=steps, seed=seed, device=device)
    weights = {"classes": _state(encoder)}
    for name, first_order in (("maml", False), ("first-order maml", True)) if meta_steps else ():
        start = copy.deepcopy(encoder)  # fit_maml trains in place, and both start from the same weights
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
    """The accuracy of several tasks, each under several draws of its labels: (tasks, draws).

    Args:
        pool: the images.
        features: of all of them (rows, D).
        rule: from features to logits.
        tasks: how many; each has fixed classes and fixed queries.
        draws: of each task's labelled images, the only thing that changes between them.
        shots: labelled images of each class.
        way: classes of a task.
        seed: other tasks for another seed.
    """
    # Blocks of consecutive seeds, one block per `seed`: two experiments have no task in common.
    task_seeds = range(seed * tasks, (seed + 1) * tasks)
    drawn = [draw_tasks(pool, draws, way=way, shots=shots, seed=task_seed) for task_seed in task_seeds]
    return torch.stack([episode_accuracies(features, task, rule) for task in drawn])


def _state(module: nn.Module) -> dict[str, Tensor]:
    # Cloned: on a CPU they would otherwise be the network's own memory, and change with it.
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
