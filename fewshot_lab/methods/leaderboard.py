"""A leaderboard for few-shot methods: every entry answers the same held-out episodes, so that entries are compared in pairs.

A method is one function, method(support (N, 1, 28, 28), labels (N,), queries (M, 1, 28, 28)) -> labels (M,): float images in
0..1, whole numbers 0..way-1 in any order. The episodes are 5-way 5-shot, of alphabets that no chapter trains on.
"""

import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from markupsafe import Markup
from torch import Tensor

from ..data.episodes import draw_episodes, glyph_pool
from ..errors import CourseError
from ..files import home, write_atomically
from ..html import table
from ..languages import say
from ..models import encoder_net
from ..training import mean_interval, outputs, paired_difference
from .prototypes import prototype_rule

Method = Callable[[Tensor, Tensor, Tensor], Tensor]
EPISODES, WAY, SHOTS, QUERIES = 100, 5, 5, 6
BOARD_SEED = 20261  # of the board's episodes


def held_out(count: int, seed: int) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Episodes of the test alphabets as (support, labels, queries, answers), the images of each in random order."""
    pool = _pool()
    drawn = draw_episodes(pool, count, way=WAY, shots=SHOTS, queries=QUERIES, seed=seed)
    generator, episodes = torch.Generator().manual_seed(seed), []
    for support, queries in zip(drawn.support, drawn.queries, strict=True):
        episode = []
        for rows in (support, queries):
            # Shuffled, so that no method earns anything by the order of the classes.
            order = torch.randperm(rows.numel(), generator=generator)
            labels = torch.arange(WAY).repeat_interleave(rows.shape[1])[order]
            episode += [pool.images[rows.flatten()[order]].float() / 255, labels]
        episodes.append(tuple(episode))
    return episodes


def nearest_prototype(support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """The class whose mean image is nearest, compared pixel by pixel: the floor of every few-shot method."""
    return _by_prototypes(support.flatten(1), labels, queries.flatten(1))


def prototypes_of(encoder: torch.nn.Module, *, size: int = 28, channels: int = 1) -> Method:
    """The method that compares an encoder's features by class means; grey images get its `size` and number of `channels`."""

    def method(support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        images = torch.cat([support, queries])
        if size != images.shape[-1]:
            images = torch.nn.functional.interpolate(images, size, mode="area")
        features = outputs(encoder, images.expand(-1, channels, -1, -1), batch_size=len(images))
        return _by_prototypes(features[: len(support)], labels, features[len(support) :])

    return method


def accuracies(method: Method, episodes: list) -> list[float]:
    """The accuracy in each episode; raises CourseError, in plain words, when the method fails."""
    scores = []
    for number, (support, labels, queries, answers) in enumerate(episodes, 1):
        try:  # with copies: a method that changes its arguments in place must not change them for the next entry
            predicted = method(support.clone(), labels.clone(), queries.clone())
        except Exception as error:
            raise CourseError(
                say(
                    "The method stopped in episode {number} with {kind}: {error}. It gets {support} images {shape}, "
                    "their labels and {queries} queries; try it on one episode first.",
                    number=number,
                    kind=type(error).__name__,
                    error=error,
                    support=len(support),
                    shape=tuple(support.shape[1:]),
                    queries=len(queries),
                )
            ) from error
        is_tensor = isinstance(predicted, Tensor)
        if not is_tensor or predicted.shape != answers.shape or predicted.is_floating_point():
            what = type(predicted).__name__
            if is_tensor:
                what = say("a tensor {shape} of {dtype}", shape=tuple(predicted.shape), dtype=predicted.dtype)
            raise CourseError(
                say(
                    "The method returned {what}; one whole number for each of the {queries} queries is needed, such "
                    "as scores.argmax(dim=1).",
                    what=what,
                    queries=len(queries),
                )
            )
        scores.append((predicted.cpu() == answers).float().mean().item())
    return scores


def significantly_better(first: list[float], second: list[float], by: float = 0.0) -> bool:
    """Whether the 95 % interval of the paired difference between two methods' accuracies lies wholly above `by`."""
    return paired_difference(first, second).low > by


@dataclass(frozen=True)
class Board:
    """Entries {name: accuracies of the episodes} with rank and ties; shown as a table, best first. `mine` are the learner's."""

    entries: dict[str, list[float]]
    mine: frozenset[str] = frozenset()

    def rank(self, name: str) -> int:
        """1 + the number of entries that are significantly better."""
        return 1 + sum(
            significantly_better(scores, self.entries[name]) for other, scores in self.entries.items() if other != name
        )

    def tied(self, name: str) -> list[str]:
        """The entries that are neither significantly better nor worse than this one."""
        own = self.entries[name]
        return [
            other
            for other, scores in self.entries.items()
            if other != name and not significantly_better(scores, own) and not significantly_better(own, scores)
        ]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(rank, name, accuracy with interval, ties), best mean first."""
        ordered = sorted(self.entries, key=lambda name: (-sum(self.entries[name]), name))
        shown = {name: f"{name} (yours)" if name in self.mine else name for name in ordered}
        values = {name: str(mean_interval(self.entries[name])) for name in ordered}
        return [(str(self.rank(name)), shown[name], values[name], ", ".join(self.tied(name))) for name in ordered]

    def __str__(self) -> str:
        lines = [(f"{rank:>2}  {name:<44} {value}", ties) for rank, name, value, ties in self.rows()]
        return "\n".join(f"{line}  tied with {ties}" if ties else line for line, ties in lines)

    __repr__ = __str__

    def _repr_html_(self) -> Markup:
        names = ("rank", "method", "accuracy (95 % interval)", "cannot be told from")
        caption = f"{EPISODES} held-out episodes, {WAY}-way {SHOTS}-shot. Rank: 1 + the methods that are significantly better."
        return table(names, self.rows(), caption=caption)


def enter(method: Method, name: str = "", *, beside: Mapping[str, Method] | None = None) -> Board:
    """Enters a few-shot method and returns the board; all entries answer the same held-out episodes.

    The entry is stored in the course's cache folder until it is entered again or taken out: `leaderboard.withdraw(name)`.

    Args:
        method: the function itself.
        name: of the entry; the function's own by default.
        beside: further methods to compare with, which are not stored.

    Raises:
        CourseError: the method fails, returns anything but labels, or takes the name of a built-in entry.
    """
    if not callable(method):
        raise TypeError("enter takes the function itself: lab.enter(few_shot_method), without calling it.")
    name = name or getattr(method, "__name__", "method")
    others = _built_in() | dict(beside or {})
    if name in others or not re.fullmatch(r"[\w .,+-]{1,40}", name):
        raise CourseError(
            say(
                "An entry cannot be called {name!r}: 1 to 40 letters, digits, spaces; not {others}.",
                name=name,
                others=", ".join(others),
            )
        )
    # `yours_or_ours` may hand over the course's answer to the exercise. It is not the learner's, so it is shown but not stored.
    if getattr(method, "__module__", "").partition(".")[0] == __package__.partition(".")[0]:
        return leaderboard({**(beside or {}), f"the course's {name}": method})
    _store({**_stored(), name: accuracies(method, held_out(EPISODES, BOARD_SEED))})
    return leaderboard(beside)


def leaderboard(beside: Mapping[str, Method] | None = None) -> Board:
    """The present board: built-in entries, `beside`, and what was entered on this machine."""
    episodes = held_out(EPISODES, BOARD_SEED)
    ours = {name: _accuracies(name) for name in _built_in()}
    ours |= {name: accuracies(method, episodes) for name, method in (beside or {}).items()}
    mine = {name: scores for name, scores in _stored().items() if name not in ours}
    return Board({**ours, **mine}, frozenset(mine))


def withdraw(name: str) -> None:
    """Takes an entry out again; raises CourseError, with the names that there are, for another."""
    entries = _stored()
    if name not in entries:
        raise CourseError(
            say("There is no entry {name!r} to take out; there are {names}.", name=name, names=", ".join(entries) or "none")
        )
    del entries[name]
    _store(entries)


def _built_in() -> dict[str, Method]:
    pixels = {"pixels, nearest picture": _nearest_picture, "pixels, prototypes": nearest_prototype}
    return pixels | {"untrained network": _untrained}


@functools.cache  # built-in entries are the same in every call
def _accuracies(name: str) -> list[float]:
    return accuracies(_built_in()[name], held_out(EPISODES, BOARD_SEED))


def _nearest_picture(support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    return labels[torch.cdist(queries.flatten(1), support.flatten(1)).argmin(dim=1)]


def _untrained(support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    return prototypes_of(_random_encoder())(support, labels, queries)


@functools.cache
def _random_encoder() -> torch.nn.Module:
    with torch.random.fork_rng([]):  # the learner's own random numbers go on as if nothing had been drawn
        torch.manual_seed(BOARD_SEED)
        return encoder_net().eval()


def _by_prototypes(support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    c = torch.stack([support[labels == k].mean(dim=0) for k in range(int(labels.max()) + 1)])
    return prototype_rule(c[None, :, None], queries[None])[0].argmax(dim=1)


@functools.cache
def _pool():
    return glyph_pool("test", jitter="hard", versions=2, seed=BOARD_SEED)


def _signature() -> str:
    """What the stored accuracies depend on: entries of other episodes cannot be compared in pairs."""
    return f"{EPISODES} {WAY} {SHOTS} {QUERIES} {BOARD_SEED}"


def _file() -> Path:
    # The builder names a board of its own: what was entered on its machine is nobody else's.
    return Path(os.environ.get("FEWSHOT_LAB_BOARD") or home() / "leaderboard.json")


def _store(entries: dict[str, list[float]]) -> None:
    write_atomically(_file(), json.dumps({"episodes": _signature(), "entries": entries}))


def _stored() -> dict[str, list[float]]:
    """The entries of this machine; a file of other episodes, or one that cannot be read, counts as empty."""
    try:  # a learner can edit the file: whatever it holds, the chapter goes on with the built-in entries
        stored = json.loads(_file().read_text(encoding="utf-8"))
        if stored["episodes"] != _signature():
            return {}
        fits = {n: v for n, v in stored["entries"].items() if isinstance(v, list) and len(v) == EPISODES}
        return {str(name): [float(value) for value in values] for name, values in fits.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
