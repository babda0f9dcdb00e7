"""Emoji by name: towers trained on some emoji by four artists name other emoji, as the fifth artist drew them.

Every training leaves one artist out, who draws the queries; so artists, emoji and first weights are drawn anew together.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import emoji
from ..data.emoji import ARTISTS
from ..models.efficientnet import lite0_features
from ..models.language import sentence_features
from .few_shot import scored
from .image_text import Towers, fit_towers, zero_shot_logits
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
        """Unit vectors (..., D) of MiniLM's features (..., 384)."""
        return self.towers.embed_texts(features)

    @property
    def scale(self) -> float:
        """The inverse temperature."""
        return float(self.towers.scale.detach())


def centred(features: Tensor, centre: Tensor) -> Tensor:
    """Features less the centre, of length 1 (SimpleShot, chapter 05)."""
    return F.normalize(features - centre, dim=-1)


def fit(training: Named, artist: int, *, seed: int, dropout: float = 0.7, **settings) -> Namer:
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


def scored_answers(right: Tensor, tasks: Tasks, count: int, **known) -> dict:
    """A row for `training.Arms` with intervals over emoji."""
    return scored(right.float().mean(1), tasks.classes, count, **known)
