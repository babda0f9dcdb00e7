"""Chapter 05's trainings by name, and what is measured on their encoders.

A training returns weights, not networks, so that a sweep can send its result between processes.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..data import ImageTask
from ..data.episodes import Episodes, Pool, draw_episodes
from ..models import encoder_net
from ..training import Arms, outputs
from . import maml, prototypes
from .prototypes import Rule, episode_accuracies, prototype_rule

RULES = {"prototypes": prototypes.prototype_rule, "matching": prototypes.matching_rule}
SIZE = 28  # pixels a side of the images that encoders are trained on


def fit(method: str, *, steps: int, seed: int, device: str = "auto", **options) -> dict:
    """Trains an encoder by the method of that name.

    Args:
        method: "prototypes" or "matching": by episodes under that rule. "classes": as the backbone of a classifier.
        steps: of the training.
        seed: of everything random.
        device: where to train.
        **options: of `fit_by_episodes` or `fit_by_classes`.

    Returns:
        weights (of the encoder, by name, on the CPU) and at_rest (whether the training came to rest).

    Raises:
        ValueError: an unknown method.
    """
    common = {"steps": steps, "seed": seed, "device": device} | options
    if method in RULES:
        encoder, history = prototypes.fit_by_episodes(RULES[method], **common)
    elif method == "classes":
        encoder, history = prototypes.fit_by_classes(**common)
    else:
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(RULES)}, classes.")
    return {"weights": _state(encoder), "at_rest": history.at_rest}


def meta_train(start: dict[str, Tensor], *, steps: int, seed: int, device: str = "auto", **options) -> dict:
    """Meta-trains from an encoder's weights, by MAML with learned step sizes.

    Args:
        start: the weights.
        steps: of the outer loop.
        seed: of everything random.
        device: where to train.
        **options: of `fit_maml`.

    Returns:
        weights (of the `maml.Learner`, by name, on the CPU) and at_rest (whether the outer loss came to rest).
    """
    learner, history = maml.fit_maml(encoder_of(start), steps=steps, seed=seed, device=device, **options)
    return {"weights": _state(learner), "at_rest": history.at_rest}


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


def by_class(accuracies: Tensor, classes: Tensor, count: int) -> np.ndarray:
    """The accuracies of episodes as one number per class, (count,): their mean is the episodes' mean.

    Their spread is what a draw of other classes would change, which episodes hide: an episode of one class says something about
    all that share a class with it. A class's number is the mean plus `count` / E times the sum of (a_e - mean) over its
    episodes: the jackknife of a mean over subsets (Arvesen 1969, Annals of Mathematical Statistics), linearised.

    Args:
        accuracies: a_e of each episode (E,).
        classes: of each episode (E, way).
        count: classes of the pool.
    """
    accuracies = accuracies.double()
    mean = accuracies.mean()
    above = (accuracies - mean).repeat_interleave(classes.shape[1])
    sums = torch.zeros(count, dtype=torch.float64).index_add(0, classes.flatten(), above)
    return (mean + count / len(accuracies) * sums).numpy()


def scored(accuracies: Tensor, classes: Tensor, count: int, **known) -> dict:
    """A row for `training.Arms` with the accuracy of one trained method over episodes, class by class (see `by_class`).

    Args:
        accuracies, classes, count: as `by_class` takes them.
        **known: the seed and what else belongs into the row.
    """
    hits = by_class(accuracies, classes, count)
    return known | {"test_accuracy": accuracies.mean().item(), "test_hits": hits, "test_sizes": np.ones(count)}


def score(
    pool: Pool, features: Tensor, rule: Rule = prototype_rule, *, shots: int, seed: int, episodes: int, way: int = 5, **known
) -> dict:
    """A row for `training.Arms`: a rule's accuracy over episodes with 10 queries a class.

    Args:
        pool: the images.
        features: of all of them (rows, D).
        rule: from features to logits.
        shots: labelled images of each class.
        seed: of the episodes, so that methods of one seed are compared on the same ones.
        episodes: how many.
        way: classes of an episode.
        **known: what else belongs into the row.
    """
    drawn = draw_episodes(pool, episodes, way=way, shots=shots, queries=10, seed=seed)
    accuracies = episode_accuracies(features, drawn, rule)
    return scored(accuracies, drawn.classes, len(pool.classes), seed=seed, shots=shots, **known)


def compared(
    measure: Callable[[int, int], tuple[Tensor, dict[str, Tensor]]],
    seeds: Sequence[int],
    pool: Pool,
    rest: Mapping[str, Sequence[bool]] | None = None,
) -> Arms:
    """The arms of methods that answer the same episodes, with intervals over trainings and the pool's classes.

    Args:
        measure: called as measure(i, seed) for each training; returns the classes of its episodes (E, way) and, for each
            method, its accuracies (E,).
        seeds: of the trainings.
        pool: where the episodes come from.
        rest: whether the trainings of a method came to rest, where that is known.
    """
    rows: dict[str, list[dict]] = {}
    for i, seed in enumerate(seeds):
        classes, found = measure(i, seed)
        for name, accuracies in found.items():
            known = {"at_rest": rest[name][i]} if name in (rest or {}) else {}
            rows.setdefault(name, []).append(scored(accuracies, classes, len(pool.classes), seed=seed, **known))
    return Arms(rows, unit="accuracy", clusters="letters")


def unbalanced(episodes: Episodes, *, seed: int, concentration: float = 2.0) -> tuple[Tensor, Tensor]:
    """As many queries of each episode as it has for one class, in random shares of the classes: rows and labels, (E, queries).

    The shares are drawn from a Dirichlet distribution, as in Veilleux et al. 2021 (NeurIPS), section 4.

    Args:
        episodes: their queries are drawn from.
        seed: of the shares.
        concentration: of the distribution; the smaller, the more unequal the shares.
    """
    size = episodes.queries.shape[2]
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet([concentration] * episodes.way, len(episodes))
    counts = torch.from_numpy(generator.multinomial(size, shares))  # (E, way)
    kept = torch.arange(size) < counts[:, :, None]  # (E, way, queries), `size` of each episode
    labels = torch.arange(episodes.way)[None, :, None].expand_as(kept)
    return episodes.queries[kept].view(-1, size), labels[kept].view(-1, size)


def accuracies_by_draw(features: Tensor, tasks: list[Episodes], shots: int, rule: Rule = prototype_rule) -> Tensor:
    """The accuracy of several tasks under several draws of their labels: (tasks, draws).

    Args:
        features: of all images of the pool (rows, D).
        tasks: of `draw_tasks`.
        shots: how many of each class's support images count.
        rule: from features to logits.
    """
    return torch.stack([episode_accuracies(features, task.with_shots(shots), rule) for task in tasks])


def distances_from_middle(features: Tensor, pool: Pool, task: Episodes) -> Tensor:
    """How far the labelled images of each draw lie from the middle of their classes, a mean over the classes: (draws,).

    The middle is the mean feature of a class's pictures that are neither queries nor the label of that draw: neither the test
    nor the label itself has a share in it.

    Args:
        features: of all images of the pool (rows, D).
        pool: where the task comes from.
        task: one of `draw_tasks`; the first support image of each class counts.
    """
    by_picture = features.unflatten(0, (len(pool.labels), pool.versions)).mean(1)
    found = []
    for place, label in enumerate(task.classes[0]):
        free = pool.labels == label
        free[task.queries[0, place] // pool.versions] = False
        labelled = task.support[:, place, 0]  # (draws,)
        middle = (by_picture[free].sum(0) - by_picture[labelled // pool.versions]) / (free.sum() - 1)
        found.append((features[labelled] - middle).norm(dim=1))
    return torch.stack(found).mean(0)


def accuracies_on(task: ImageTask, encoder: nn.Module, *, shots: list[int], draws: int, seed: int) -> Tensor:
    """The accuracy of prototypes on a whole data set under several draws of its labels: (shots, draws).

    All classes are in play, and all test images are queries.

    Args:
        task: the data set; images are enlarged to the size that encoders know.
        encoder: gives the features.
        shots: labels per class; draws are nested.
        draws: how many.
        seed: of the first draw; the others take the seeds behind it.
    """
    rows = torch.stack([task.rows(max(shots), seed + draw) for draw in range(draws)])  # (draws, classes * shots)
    rows = rows.unflatten(1, (len(task.classes), -1))
    used, places = rows.unique(return_inverse=True)  # of a large data set only what was drawn is embedded
    support = outputs(encoder, enlarged(task.train_images[used]))[places]  # (draws, classes, shots, D)
    queries = outputs(encoder, enlarged(task.test_images))[None]
    found = []
    for k in shots:
        predicted = torch.cat([prototype_rule(one[None, :, :k], queries).argmax(2) for one in support])
        found.append((predicted == task.test_labels).float().mean(1))
    return torch.stack(found)


def enlarged(images: Tensor) -> Tensor:
    """Images uint8 (N, C, S, S) at the size that encoders know, as floats in 0..1."""
    return torch.nn.functional.interpolate(images.float() / 255, (SIZE, SIZE), mode="bilinear", align_corners=False)


def logit(accuracies: Tensor, queries: int) -> Tensor:
    """The log-odds log(p / (1 - p)) of accuracies over so many queries, finite also where all or none are correct.

    On this scale a difference does not shrink because an accuracy nears 1. Half an answer is added to both sides (Haldane 1956,
    Annals of Human Genetics).
    """
    correct = accuracies * queries
    return ((correct + 0.5) / (queries - correct + 0.5)).log()


def spread(values: Tensor) -> np.ndarray:
    """The standard deviation of values (n,), as one number per value: their mean is the standard deviation.

    Their own spread says how far it would move with other values: the jackknife, linearised.
    """
    sd = values.std()
    squares = (values - values.mean()).square()
    return (sd + (squares - squares.mean()) / (2 * sd.clamp_min(1e-9))).numpy()


def _state(module: nn.Module) -> dict[str, Tensor]:
    # Cloned: on a CPU they would otherwise be the network's own memory, and change with it.
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
