"""N-way K-shot episodes (Vinyals et al. 2016, NeurIPS): many are drawn at once, as rows into a pool of images.

An episode takes N classes, K labelled images of each (the support set, 支持集) and some more to be classified (the queries,
查询集). Within an episode the classes are numbered 0..N-1, whatever their numbers are in the pool. A picture that is in the
support set is not among the queries, not even with another jitter. Where every class has one picture by each of several artists
(emoji), the support set is by some of them and the queries are by the others.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import glyphs


@dataclass(frozen=True)
class Pool:
    """Images to draw episodes from: picture p in version v is row p * versions + v of `images`, uint8 (rows, C, H, W).

    labels (pictures,): the pictures' class numbers. classes, groups: the name of each class, and of its alphabet. makers: where
    every class has one picture by each of the same people, their names, in the order of the pictures; an episode's support set
    is then by the same ones for all of its classes, and its queries are by the others.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    makers: tuple[str, ...] = ()

    @property
    def versions(self) -> int:
        """How many images there are of each picture."""
        return len(self.images) // len(self.labels)


@dataclass(frozen=True)
class Episodes:
    """Rows into a pool's images: support (episodes, way, shots), queries (episodes, way, queries); classes (episodes, way)."""

    support: Tensor
    queries: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def way(self) -> int:
        """N, the number of classes of an episode."""
        return self.classes.shape[1]

    @property
    def rows(self) -> Tensor:
        """Support and queries side by side: (episodes, way, shots + queries)."""
        return torch.cat([self.support, self.queries], dim=2)

    def with_shots(self, shots: int) -> "Episodes":
        """The same episodes with the first `shots` support images of each class."""
        return Episodes(self.support[..., :shots], self.queries, self.classes)

    @property
    def query_labels(self) -> Tensor:
        """The labels of an episode's queries, in the order of `queries.flatten()`: (way * queries,), 0..way-1."""
        return torch.arange(self.way).repeat_interleave(self.queries.shape[2])


def draw_episodes(
    pool: Pool, count: int, *, way: int, shots: int, queries: int, seed: int, within_groups: bool = False
) -> Episodes:
    """Draws episodes, all at once; raises ValueError when the pool is too small.

    Classes are drawn without repetition, then pictures without repetition. Where a class has fewer pictures than needed, its
    queries go through the pictures outside of the support set again, each time in another version.

    Args:
        pool: the images to draw from.
        count: how many episodes.
        way: N, the classes of an episode.
        shots: K, the support images of each class.
        queries: query images of each class.
        seed: of all draws.
        within_groups: all classes of an episode come from one alphabet.
    """
    pictures, sizes = _pictures_by_class(pool)  # (classes, most), (classes,)
    generator = torch.Generator().manual_seed(seed)
    allowed = _allowed_classes(pool, count, way, within_groups, generator)  # (count, classes)
    if (others := int(sizes.min()) - shots) < 1 or others * pool.versions < queries or shots < 1 or queries < 1:
        raise ValueError(
            f"{shots} shots and {queries} queries are asked for, but a class of {pool.name} has {int(sizes.min())} pictures in "
            f"{pool.versions} version(s). Ask for fewer, or make the pool with more versions."
        )
    # A random number for every class of every episode: the largest `way` of them are a draw without repetition, for all
    # episodes at once. -1 is below every random number, so what is not allowed comes last.
    keys = torch.rand(count, len(sizes), generator=generator)
    classes = torch.where(allowed, keys, -1.0).topk(way, dim=1).indices  # (count, way)

    # The pictures of each class in a random order, padding last; the first `shots` are the support set.
    sizes, pictures = sizes[classes][..., None], pictures[classes]  # (count, way, 1), (count, way, most)
    keys = _keys(pool, *pictures.shape, generator=generator)
    order = torch.where(torch.arange(pictures.shape[2]) < sizes, keys, -1.0).argsort(dim=2, descending=True)
    first_version = torch.randint(pool.versions, order.shape, generator=generator)

    # Query number q takes picture q of those behind the support set; when they are used up it starts again with the first
    # of them, in its next version. So no picture of the support set is a query, and no image is a query twice.
    q, others = torch.arange(queries), sizes - shots
    position = shots + q % others  # (count, way, queries): in `order`
    position = torch.cat([torch.arange(shots).expand(count, way, shots), position], dim=2)
    rounds = torch.cat([torch.zeros(count, way, shots, dtype=torch.long), q // others], dim=2)
    picture = pictures.gather(2, order.gather(2, position))
    version = (first_version.gather(2, position) + rounds) % pool.versions
    rows = picture * pool.versions + version
    return Episodes(rows[..., :shots], rows[..., shots:], classes)


def draw_tasks(
    pool: Pool, draws: int, *, way: int, shots: int, seed: int, query_pictures: int = 4, min_pictures: int = 12
) -> list[Episodes]:
    """Tasks under several draws of their labels: classes and queries stay, only the support set is drawn anew.

    The pool's classes are dealt out, so that no two tasks share one: as many tasks as there are classes for. Raises ValueError
    when the pool is too small.

    Args:
        pool: the images to draw from.
        draws: how many support sets.
        way: the classes of a task.
        shots: the support images of each class.
        seed: of the tasks and of all draws.
        query_pictures: pictures of each class that are queries, in all their versions.
        min_pictures: classes with fewer pictures are not dealt out.
    """
    pictures, sizes = _pictures_by_class(pool)
    generator = torch.Generator().manual_seed(seed)
    large = (sizes >= min_pictures).nonzero().squeeze(1)
    if len(large) < way or shots > min_pictures - query_pictures:
        most = min_pictures - query_pictures
        raise ValueError(
            f"{way} classes with at least {min_pictures} pictures and at most {most} shots are needed; {pool.name} has "
            f"{len(large)} such classes, and {shots} shots were asked for."
        )
    dealt = large[torch.randperm(len(large), generator=generator)][: len(large) // way * way].view(-1, way)
    return [
        _task(pool, pictures[classes], sizes[classes, None], classes, draws, shots, query_pictures, generator)
        for classes in dealt
    ]


def _task(
    pool: Pool,
    pictures: Tensor,  # (way, most), padded
    sizes: Tensor,  # (way, 1)
    classes: Tensor,
    draws: int,
    shots: int,
    query_pictures: int,
    generator: torch.Generator,
) -> Episodes:
    versions = torch.arange(pool.versions)
    exists = torch.arange(pictures.shape[1]) < sizes
    order = torch.where(exists, _keys(pool, *pictures.shape, generator=generator), -1.0).argsort(dim=1, descending=True)
    queries = pictures.gather(1, order[:, :query_pictures])[..., None] * pool.versions + versions  # (way, pictures, versions)

    # The support sets come from the pictures behind the queries, the first `shots` of them in a random order for each draw.
    keys = _keys(pool, draws, *pictures.shape, generator=generator)
    keys = torch.where(torch.arange(pictures.shape[1]) < sizes - query_pictures, keys, -1.0)
    position = query_pictures + keys.topk(shots, dim=2).indices  # (draws, way, shots): in `order`
    support = pictures.expand(draws, -1, -1).gather(2, order.expand(draws, -1, -1).gather(2, position))
    version = torch.randint(pool.versions, support.shape, generator=generator)
    return Episodes(support * pool.versions + version, queries.flatten(1).expand(draws, -1, -1), classes.expand(draws, -1))


def glyph_pool(part: str, *, jitter: str = "mild", versions: int = 1, seed: int = 0) -> Pool:
    """The glyphs of the "train", "validation" or "test" alphabets (no script is in two), each picture in several versions.

    Args:
        part: "train", "validation" (what settings are chosen on) or "test".
        jitter: a name in `glyphs.JITTERS`; every version has its own draw of it.
        versions: of each picture.
        seed: of the jitter.
    """
    chosen = glyphs.load().split(part)
    images = chosen.images.repeat_interleave(versions, dim=0)
    moved = glyphs.jitter(images, jitter, torch.Generator().manual_seed(seed))
    return Pool(f"glyphs, {jitter} jitter", moved, chosen.labels, chosen.characters, chosen.alphabets)


def _keys(pool: Pool, *shape: int, generator: torch.Generator) -> Tensor:
    """Random numbers (..., way, pictures) that say in which order pictures are taken; with makers, the same for all classes."""
    if not pool.makers:
        return torch.rand(shape, generator=generator)
    return torch.rand(*shape[:-2], 1, shape[-1], generator=generator).expand(shape)


def _pictures_by_class(pool: Pool) -> tuple[Tensor, Tensor]:
    """The pictures of each class, padded with other pictures, (classes, most), and how many there are, (classes,)."""
    sizes = torch.bincount(pool.labels, minlength=len(pool.classes))
    order = pool.labels.argsort(stable=True)
    starts = sizes.cumsum(0) - sizes
    columns = torch.arange(int(sizes.max()))
    # A row that is shorter than the longest runs on into the next class: its size says how much of it is its own.
    return order[(starts[:, None] + columns).clamp_max(len(order) - 1)], sizes


def _allowed_classes(pool: Pool, count: int, way: int, within_groups: bool, generator: torch.Generator) -> Tensor:
    """Which classes each episode may use, booleans (count, classes): all, or those of one alphabet that is large enough."""
    names = sorted(set(pool.groups))
    group = torch.tensor([names.index(name) for name in pool.groups])
    if not within_groups:
        names, group = [pool.name], torch.zeros_like(group)
    large = (torch.bincount(group, minlength=len(names)) >= way).nonzero().squeeze(1)
    if not len(large) or way < 2:
        most = int(torch.bincount(group).max())
        raise ValueError(f"{way}-way episodes need 2 to {most} classes{' of one alphabet' * within_groups} in {pool.name}.")
    drawn = large[torch.randint(len(large), (count, 1), generator=generator)]
    return group == drawn
