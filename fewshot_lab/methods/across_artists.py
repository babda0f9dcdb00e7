"""Episodes across artists: the labelled pictures are by one of them, the queries by another, on emoji."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..augment import get_policy
from ..data import emoji
from ..data.emoji import ARTISTS
from ..data.episodes import Episodes, Pool
from ..models.efficientnet import lite0_features
from ..training import Arms
from .few_shot import scored
from .prototypes import episode_accuracies, simple_shot

CENTRE = 20  # training emoji, by every artist, whose mean feature is the centre
MOVED = ("affine", 0.25)  # how far the copies are moved: the strength of SimCLR's views on glyphs (chapter 04)


def some_emoji(part: str, *, count: int | None = None, seed: int, moved: bool = True) -> Pool:
    """Some emoji of a part, drawn by all five artists, uint8 (rows, 3, 32, 32).

    Args:
        part: "train", "validation" (what settings are chosen on) or "test".
        count: how many emoji, drawn at random; None: all.
        seed: of the draw and of the moves.
        moved: whether every picture has a second version, moved by the policy MOVED, beside the one that was drawn.
    """
    pool = emoji.pool(part)
    generator = torch.Generator().manual_seed(seed)
    kept = torch.randperm(len(pool.classes), generator=generator)[:count].sort().values
    rows = (kept[:, None] * len(ARTISTS) + torch.arange(len(ARTISTS))).flatten()  # the pool has an emoji's pictures together
    images, (policy, strength) = pool.images[rows], MOVED
    if moved:
        copies = get_policy(policy)(images.float() / 255, strength, generator)
        images = torch.stack([images, (copies * 255).round().to(torch.uint8)], dim=1).flatten(0, 1)
    return replace(
        pool,
        images=images,
        labels=torch.arange(len(kept)).repeat_interleave(len(ARTISTS)),
        classes=tuple(pool.classes[c] for c in kept.tolist()),
        groups=tuple(pool.groups[c] for c in kept.tolist()),
    )


def features(kind: str, images: Tensor, *, side: int, head: str, device: str = "auto", progress=iter) -> Tensor:
    """Features of uint8 images (N, 3, 32, 32), to be compared by squared distance: (N, D).

    Args:
        kind: "pixels", or "lite0" for EfficientNet-Lite0, which learned from photographs (ImageNet).
        images: of emoji.
        side: pixels a side to which the images are brought, by area means or bilinearly.
        head: "plain"; "length" scales features to length 1; "centred" subtracts before the mean of CENTRE training emoji
            (SimpleShot; Wang et al. 2019, arXiv 1911.04623).
        device, progress: of `lite0_features`.

    Raises:
        ValueError: an unknown kind or head.
    """
    if kind not in ("pixels", "lite0") or head not in ("plain", "length", "centred"):
        raise ValueError(f"Features are 'pixels' or 'lite0', heads 'plain', 'length' or 'centred', not {kind!r} and {head!r}.")

    def embedded(some: Tensor) -> Tensor:
        if kind == "lite0":
            return lite0_features(some, side=side, device=device, progress=progress)
        return F.interpolate(some.float() / 255, (side, side), mode="area").flatten(1)

    if head != "centred":
        values = embedded(images)
        return values if head == "plain" else F.normalize(values, dim=1)
    training = some_emoji("train", count=CENTRE, seed=0, moved=False).images
    return simple_shot(embedded(images), embedded(training).mean(0))


def across(
    pool: Pool,
    values: Tensor,
    *,
    way: int,
    shots: int,
    seed: int,
    episodes: int,
    moved: bool = False,
    same: bool = False,
) -> list[dict]:
    """Rows for `training.Arms`: for each artist, the accuracy of prototypes on queries by that artist.

    The support set is by others, by the same ones for all classes of an episode; each class has one query. With equal seeds the
    classes of the episodes are the same whatever the features, and with equal shots the artists are.

    Args:
        pool: of `some_emoji`.
        values: features of all its images (rows, D).
        way: classes of an episode.
        shots: labelled pictures of each class, each by another artist.
        seed: of the episodes.
        episodes: how many for each artist of the queries.
        moved: whether the queries are the moved copies.
        same: the support set is by the artist of the queries, who drew every emoji once. So it takes 1 shot and moved queries.

    Raises:
        ValueError: a support set that would contain the queries, or one that needs more artists than there are.
    """
    if same and not (moved and shots == 1 and pool.versions > 1):
        raise ValueError("An artist drew an emoji once: support and queries by the same one need moved copies and 1 shot.")
    if moved and pool.versions < 2 or not 1 <= shots < len(ARTISTS):
        raise ValueError(f"Ask for 1 to {len(ARTISTS) - 1} shots, and for moved queries only of a pool that has moved copies.")
    rows = []
    for artist in range(len(ARTISTS)):
        generator = torch.Generator().manual_seed(seed * len(ARTISTS) + artist)
        classes = torch.rand(episodes, len(pool.classes), generator=generator).topk(way, dim=1).indices  # (E, way)
        others = torch.tensor([one for one in range(len(ARTISTS)) if one != artist])
        by = others[torch.rand(episodes, len(others), generator=generator).topk(shots, dim=1).indices]  # (E, shots)
        by = torch.full_like(by, artist) if same else by
        pictures = classes[:, :, None] * len(ARTISTS)  # the first picture of each class; (E, way, 1)
        support = (pictures + by[:, None, :]) * pool.versions
        queries = (pictures + artist) * pool.versions + moved
        accuracies = episode_accuracies(values, Episodes(support, queries, classes))
        rows.append(scored(accuracies, classes, len(pool.classes), seed=artist))
    return rows


def arms(rows: dict[str, list[dict]]) -> Arms:
    """The arms of `across`, with intervals over artists (of the queries) and emoji."""
    return Arms(rows, unit="accuracy", clusters="emoji", repeats="artists")
