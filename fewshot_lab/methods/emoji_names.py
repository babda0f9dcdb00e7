"""Emoji by name: towers trained on some emoji by four artists name other emoji, as the fifth artist drew them.

Every training leaves one artist out, who draws the queries; so artists, emoji and first weights are drawn anew together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import emoji
from ..data.emoji import ARTISTS
from ..languages import later
from ..models import me5
from ..models.efficientnet import lite0_features
from ..models.language import sentence_features
from ..training import Arms, sweep
from .few_shot import scored
from .image_text import Towers, class_vectors, contrastive_loss, fit_towers, zero_shot_logits
from .shots_and_names import probe, tip_adapter

SIDE = 128  # pixels a side for EfficientNet-Lite0, as chosen for chapter 05
# Tip-Adapter's published defaults first; then twelve settings of each method, as many for one as for the other.
ADAPTER = [{"alpha": a, "beta": b} for a in (1.0, 10.0, 100.0, 1000.0) for b in (5.5, 1.0, 2.5)]
NAMED_PROBE = [{"weight": w, "decay": d} for w in (10.0, 5.0, 20.0, 2.5) for d in (0.001, 0.0001, 0.01)]
PLAIN_PROBE = [{"decay": d} for d in (0.001, 0.0001, 0.0003, 0.0005, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)]
SETTINGS = {"adapter": ADAPTER, "named probe": NAMED_PROBE, "probe": PLAIN_PROBE}


@dataclass(frozen=True)
class Named:
    """Emoji with features of their pictures (emoji, artists, 1280) and names (emoji, 384); names and groups in words."""

    pictures: Tensor
    texts: Tensor
    names: tuple[str, ...]
    groups: tuple[str, ...]
    rows: tuple[int, ...]


def named(part: str, *, count: int | None = None, seed: int = 0, device: str = "auto", progress=iter) -> Named:
    """Emoji of a part, all or `count` of them drawn by `seed`; features are kept in the cache folder.

    Pictures: EfficientNet-Lite0 on the 96 x 96 drawings. Names: MiniLM. progress(batches): a bar around the pictures.
    """
    every = emoji.pictures()
    rows = every.rows(part)
    kept = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    rows = rows[kept]
    images = every.images[rows].flatten(0, 1)
    pictures = lite0_features(images, side=SIDE, device=device, progress=progress).unflatten(0, (len(rows), len(ARTISTS)))
    names = tuple(every.names[row] for row in rows.tolist())
    groups = tuple(every.groups[row] for row in rows.tolist())
    return Named(pictures, sentence_features(names, device=device), names, groups, tuple(rows.tolist()))


def in_chinese(some: Named, *, device: str = "auto") -> Named:
    """The same emoji with their Chinese names, as multilingual E5 reads them; those without a Chinese name are left out."""
    known = emoji.chinese_names()
    kept = [place for place, name in enumerate(some.names) if name in known]
    names = tuple(known[some.names[place]] for place in kept)
    groups, rows = (tuple(of[place] for place in kept) for of in (some.groups, some.rows))
    return Named(some.pictures[kept], me5.sentence_features(names, device=device), names, groups, rows)


def others(artist: int) -> list[int]:
    """The artists but one, by number."""
    return [one for one in range(len(ARTISTS)) if one != artist]


@dataclass(frozen=True)
class Namer:
    """Trained towers with the centre of their training pictures, and whether the training came to rest."""

    towers: Towers
    centre: Tensor
    at_rest: bool

    @torch.inference_mode()
    def pictures(self, features: Tensor) -> Tensor:
        """Unit vectors (..., D) of Lite0's features (..., 1280)."""
        return self.towers.embed_pictures(centred(features, self.centre))

    @torch.inference_mode()
    def texts(self, features: Tensor) -> Tensor:
        """Unit vectors (..., D) of features (..., 384) of texts, by the encoder that read the names in training."""
        return self.towers.embed_texts(features)

    @property
    def scale(self) -> float:
        """The inverse temperature."""
        return float(self.towers.scale.detach())


def centred(features: Tensor, centre: Tensor) -> Tensor:
    """Features less the centre, of length 1 (SimpleShot, chapter 05)."""
    return F.normalize(features - centre, dim=-1)


def fit(training: Named, artist: int, *, seed: int, dropout: float = 0.5, **settings) -> Namer:
    """Trains towers on the emoji by all artists but one.

    Args:
        training: the emoji.
        artist: who is left out, by number.
        seed: of everything random.
        dropout: of the features.
        **settings: of `fit_towers`.
    """
    pictures = training.pictures[:, others(artist)]
    centre = pictures.flatten(0, 1).mean(0)
    torch.manual_seed(seed)
    towers = Towers(pictures.shape[2], training.texts.shape[1], dropout=dropout)
    history = fit_towers(towers, centred(pictures, centre), training.texts, seed=seed, **settings)
    return Namer(towers, centre, history.at_rest)


def components(training: Named, artist: int, width: int = 128) -> tuple[Tensor, Tensor]:
    """What pictures alone teach: the centre (1280,) and the first principal axes (1280, width) of the training pictures."""
    pictures = training.pictures[:, others(artist)].flatten(0, 1)
    centre = pictures.mean(0)
    x = centred(pictures, centre)
    return centre, torch.linalg.eigh(x.T @ x).eigenvectors[:, -width:]


def unnamed(features: Tensor, centre: Tensor, axes: Tensor) -> Tensor:
    """Unit vectors (..., width) of Lite0's features on the axes of `components`: no name had a say in them."""
    return F.normalize(centred(features, centre) @ axes, dim=-1)


@dataclass(frozen=True)
class Tasks:
    """Episodes: classes (E, N) among the emoji, and the artists of the support set (E, K)."""

    classes: Tensor
    by: Tensor


def draw(emoji_count: int, artist: int, *, way: int, shots: int, episodes: int, seed: int) -> Tasks:
    """N emoji, and K artists other than the one of the queries; equal seeds draw equal classes, whatever the shots."""
    generator = torch.Generator().manual_seed(seed * len(ARTISTS) + artist)
    classes = torch.rand(episodes, emoji_count, generator=generator).topk(way, dim=1).indices
    by = torch.tensor(others(artist))[torch.rand(episodes, len(ARTISTS) - 1, generator=generator).argsort(1)[:, :shots]]
    return Tasks(classes, by)


def correct(logits: Tensor) -> Tensor:
    """Which queries are classified correctly, (E, N): one query of each class, in the order of the classes."""
    return logits.argmax(2) == torch.arange(logits.shape[2])


def answers(z: Tensor, t: Tensor, scale: float, artist: int, tasks: Tasks, method: str, setting: Mapping | None = None):
    """Which queries a method classifies correctly, booleans (E, N).

    Args:
        z: vectors of pictures (emoji, artists, D).
        t: vectors of names (emoji, D).
        scale: the inverse temperature.
        artist: who draws the queries.
        tasks: the episodes.
        method: "zero-shot", or a name in SETTINGS.
        setting: of the method.
    """
    queries, names = z[tasks.classes, artist], t[tasks.classes]  # (E, N, D)
    if method == "zero-shot":
        return correct(scale * queries @ names.transpose(1, 2))
    support = z[tasks.classes[:, :, None], tasks.by[:, None, :]]  # (E, N, K, D)
    if method == "adapter":
        return correct(tip_adapter(support, queries, names, scale=scale, **setting))
    return correct(probe(support, queries, names if method == "named probe" else None, **setting))


def vectors(training: Named, test: Named, *, seed: int, loss=contrastive_loss, **settings) -> dict:
    """Trains towers without artist number seed % 5; a row for `Arms` with vectors of the test emoji.

    Args:
        training, test: emoji of two parts.
        seed: of the training.
        loss: `contrastive_loss`, or a learner's.
        **settings: of `fit`.

    Returns:
        seed, artist, namer, z (emoji, artists, D) and t (emoji, D) in the common space, unnamed (emoji, artists, 128) for which
        no name was used, scale and at_rest.
    """
    artist = seed % len(ARTISTS)
    namer = fit(training, artist, seed=seed, loss=loss, **settings)
    return {
        "artist": artist,
        "namer": namer,
        "z": namer.pictures(test.pictures),
        "t": namer.texts(test.texts),
        "unnamed": unnamed(test.pictures, *components(training, artist)),
        "scale": namer.scale,
        "at_rest": namer.at_rest,
    }


# What an arm of `compare` is: in which space, by which method, with which setting.
Arm = tuple[str, str, Mapping | None]


def compare(rows: Sequence[dict], arms: Mapping[str, Arm], *, way: int, shots: Sequence[int], episodes: int, seed: int) -> Arms:
    """The accuracy of methods on the same episodes, at several shots; intervals over artists (of the queries) and emoji.

    Args:
        rows: of `vectors`.
        arms: {name: ("z" or "unnamed", a method of `answers`, its setting)}.
        way: classes of an episode.
        shots: labelled pictures of each class, each by another artist, at most four.
        episodes: how many for each row.
        seed: of the episodes.
    """
    grid = [
        {"row": _slim(row), "arms": arms, "way": way, "k": k, "episodes": episodes, "draw_seed": seed}
        for row in rows
        for k in shots
    ]
    found = sweep(_compared, grid, description=later("artists and shots"))
    return by_artist({name: [of_row["found"][name] for of_row in found] for name in arms})


def _compared(*, row: dict, arms: Mapping[str, Arm], way: int, k: int, episodes: int, draw_seed: int) -> dict:
    tasks = draw(len(row["t"]), row["artist"], way=way, shots=k, episodes=episodes, seed=draw_seed)
    found = {}
    for name, (space, method, setting) in arms.items():
        right = answers(row[space], row["t"], row["scale"], row["artist"], tasks, method, setting)
        found[name] = _row(right, tasks, row, space, k)
    return {"found": found}


def _slim(row: dict) -> dict:
    """What workers need of a row of `vectors`: the network stays here."""
    return {name: row[name] for name in ("z", "t", "unnamed", "scale", "artist", "at_rest")}


def tuned_on_the_test(rows: Sequence[dict], method: str, *, way: int, shots: int, episodes: int, seed: int) -> dict:
    """Rows of a method whose setting is the best one of SETTINGS on the very queries that test it, which flatters.

    Returns {"all": one setting for all episodes of an artist, "each": one for each episode}, lists of rows by training.
    """
    grid = [
        {"row": _slim(row), "method": method, "way": way, "k": shots, "episodes": episodes, "draw_seed": seed} for row in rows
    ]
    found = sweep(_tuned, grid, description=later("artists"))
    return {how: [of_row["found"][how] for of_row in found] for how in ("all", "each")}


def _tuned(*, row: dict, method: str, way: int, k: int, episodes: int, draw_seed: int) -> dict:
    tasks = draw(len(row["t"]), row["artist"], way=way, shots=k, episodes=episodes, seed=draw_seed)
    given = (row["z"], row["t"], row["scale"], row["artist"], tasks, method)
    right = torch.stack([answers(*given, setting) for setting in SETTINGS[method]])  # (settings, E, N)
    by_episode = right.float().mean(2)
    best = {"all": right[by_episode.mean(1).argmax()], "each": right[by_episode.argmax(0), torch.arange(episodes)]}
    return {"found": {how: _row(of_best, tasks, row, "z", k) for how, of_best in best.items()}}


def by_artist(rows: Mapping[str, Sequence[dict]], *, axis: str | None = "shots") -> Arms:
    """Arms whose repetitions are artists: several trainings of one artist count as one, by their mean."""
    merged: dict[str, list[dict]] = {}
    for name, some in rows.items():
        groups: dict[tuple, list[dict]] = {}
        for row in some:
            groups.setdefault((row["seed"], row.get("shots")), []).append(row)
        merged[name] = [
            same[0]
            | {key: np.mean([row[key] for row in same], axis=0) for key in ("test_accuracy", "test_hits")}
            | {"test_accuracy": float(np.mean([row["test_accuracy"] for row in same]))}
            | ({"at_rest": all(row["at_rest"] for row in same)} if "at_rest" in same[0] else {})
            for same in groups.values()
        ]
    return Arms(merged, axis=axis, unit="accuracy", clusters="emoji", repeats="artists")


def _row(right: Tensor, tasks: Tasks, row: dict, space: str, shots: int) -> dict:
    known = {"seed": row["artist"], "shots": shots}
    # What the towers have learned says nothing about features in which no name had a say.
    known |= {"at_rest": row["at_rest"]} if space == "z" else {}
    return scored(right.float().mean(1), tasks.classes, len(row["t"]), **known)


def group_names(groups: Sequence[str]) -> tuple[str, ...]:
    """The groups' names as texts: "Food & Drink" is "food and drink"."""
    return tuple(group.lower().replace("&", "and") for group in groups)


def classify_groups(
    rows: Sequence[dict], test: Named, *, shots: Sequence[int], draws: int, seed: int, setting: Mapping
) -> Arms:
    """Eight groups: by their names alone, and by a probe on K emoji of each, for which no name was used.

    The labelled emoji are other ones than the query, drawn by another artist. An emoji's answers are those of the draws in
    which it was not labelled.

    Args:
        rows: of `vectors`.
        test: the emoji.
        shots: K, increasing.
        draws: of the labels, for each row.
        seed: of the draws.
        setting: of the probe.
    """
    classes = sorted(set(test.groups))
    labels = torch.tensor([classes.index(group) for group in test.groups])
    texts = sentence_features(group_names(classes))
    grid = []
    for row in rows:
        vectors_of_groups = class_vectors(row["namer"].texts(texts)[:, None])
        grid += [
            {"row": _slim(row), "t": vectors_of_groups, "labels": labels, "k": k, "draws": draws, "draw_seed": seed,
             "setting": setting}
            for k in shots
        ]  # fmt: skip
    found = sweep(_groups, grid, description=later("artists and shots"))
    return by_artist({name: [of_row["found"][name] for of_row in found] for name in ("names alone", "probe")})


def _groups(*, row: dict, t: Tensor, labels: Tensor, k: int, draws: int, draw_seed: int, setting: Mapping) -> dict:
    artist, classes = row["artist"], len(t)
    generator = torch.Generator().manual_seed(draw_seed * len(ARTISTS) + artist)
    hits, asked = torch.zeros(len(labels)), torch.zeros(len(labels))
    for _ in range(draws):
        order = torch.rand(len(labels), generator=generator)
        by = torch.tensor(others(artist))[torch.randint(len(ARTISTS) - 1, (len(labels),), generator=generator)]
        labelled = torch.stack([(order + (labels != c)).argsort()[:k] for c in range(classes)])  # (N, K)
        support = row["unnamed"][labelled, by[labelled]][None]
        answered = probe(support, row["unnamed"][None, :, artist], **setting)[0].argmax(1)
        free = torch.ones(len(labels), dtype=torch.bool)
        free[labelled.flatten()] = False  # an emoji that was labelled is no query of this draw
        hits += (answered == labels) & free
        asked += free
    by_probe = (hits / asked.clamp_min(1)).numpy()
    by_name = (zero_shot_logits(row["z"][:, artist], t, row["scale"]).argmax(1) == labels).float().numpy()
    known = {"seed": artist, "shots": k, "test_sizes": np.ones(len(labels))}
    return {
        "found": {
            "probe": known | {"test_accuracy": float(by_probe.mean()), "test_hits": by_probe},
            "names alone": known | {"test_accuracy": float(by_name.mean()), "test_hits": by_name, "at_rest": row["at_rest"]},
        }
    }
