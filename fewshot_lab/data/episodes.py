"""N-way K-shot episodes (Vinyals et al. 2016, NeurIPS): many are drawn at once, as rows into a pool of images.

An episode takes N classes, K labelled images of each (the support set, 支持集) and some more to be classified (the queries,
查询集). Inside an episode the classes are called 0..N-1, whatever they were called outside. A picture that is in the support
set is not among the queries, not even with another jitter.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import glyphs


@dataclass(frozen=True)
class Pool:
    """Images to draw episodes from: picture p in version v is row p * versions + v of `images`, uint8 (rows, 1, H, W).

    labels (pictures,): the pictures' class numbers. classes, groups: the name of each class, and of its alphabet.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    groups: tuple[str, ...]

    @property
    def versions(self) -> int:
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
        return self.classes.shape[1]

    @property
    def rows(self) -> Tensor:
        """Support and queries side by side: (episodes, way, shots + queries)."""
        return torch.cat([self.support, self.queries], dim=2)

    @property
    def query_labels(self) -> Tensor:
        """The labels of an episode's queries, in the order of `queries` laid flat: (way * queries,), 0..way-1."""
        return torch.arange(self.way).repeat_interleave(self.queries.shape[2])


def draw_episodes(
    pool: Pool, count: int, *, way: int, shots: int, queries: int, seed: int, within_groups: bool = False
) -> Episodes:
    """Draws `count` episodes at once: classes without repetition, then pictures without repetition.

    Where a class has fewer pictures than needed, its queries go around the ones outside of the support set again, each time
    in another version. within_groups: all classes of an episode come from one alphabet. Raises ValueError when the pool is
    too small.
    """
    pictures, sizes = _table(pool)  # (classes, most), (classes,)
    generator = torch.Generator().manual_seed(seed)
    allowed = _allowed(pool, count, way, within_groups, generator)  # (count, classes)
    if (others := int(sizes.min()) - shots) < 1 or others * pool.versions < queries or shots < 1 or queries < 1:
        raise ValueError(
            f"{shots} shots and {queries} queries are asked for, but a class of {pool.name} has {int(sizes.min())} pictures in "
            f"{pool.versions} version(s). Ask for fewer, or make the pool with more versions."
        )
    chances = torch.rand(count, len(sizes), generator=generator)
    classes = torch.where(allowed, chances, -1.0).topk(way, dim=1).indices  # (count, way)

    sizes, pictures = sizes[classes][..., None], pictures[classes]  # (count, way, 1), (count, way, most)
    mixed = torch.rand(pictures.shape, generator=generator)
    order = torch.where(torch.arange(pictures.shape[2]) < sizes, mixed, -1.0).argsort(dim=2, descending=True)
    first = torch.randint(pool.versions, order.shape, generator=generator)

    turn = torch.arange(queries)
    place = shots + turn % (sizes - shots)  # (count, way, queries): which picture of the mixed ones
    place = torch.cat([torch.arange(shots).expand(count, way, shots), place], dim=2)
    again = torch.cat([torch.zeros(count, way, shots, dtype=torch.long), turn // (sizes - shots)], dim=2)
    picture = pictures.gather(2, order.gather(2, place))
    version = (first.gather(2, place) + again) % pool.versions
    rows = picture * pool.versions + version
    return Episodes(rows[..., :shots], rows[..., shots:], classes)


def draw_tasks(pool: Pool, draws: int, *, way: int, shots: int, seed: int, asked: int = 4, least: int = 12) -> Episodes:
    """One task under several draws of its labels: classes and queries stay, only the support set is drawn anew.

    The queries are `asked` pictures of each class in all their versions; the classes have at least `least` pictures. Equal
    seeds give the same task, and the support set of K shots is a part of that of every larger number. Raises ValueError when
    the pool is too small.
    """
    pictures, sizes = _table(pool)
    generator = torch.Generator().manual_seed(seed)
    large = (sizes >= least).nonzero().squeeze(1)
    if len(large) < way or shots > least - asked:
        raise ValueError(
            f"{way} classes with at least {least} pictures and at most {least - asked} shots are needed; {pool.name} has "
            f"{len(large)} such classes, and {shots} shots were asked for."
        )
    classes = large[torch.randperm(len(large), generator=generator)[:way]]
    pictures, versions = pictures[classes], torch.arange(pool.versions)
    here = torch.arange(pictures.shape[1]) < sizes[classes][:, None]
    mixed = torch.where(here, torch.rand(pictures.shape, generator=generator), -1.0).argsort(dim=1, descending=True)
    queries = pictures.gather(1, mixed[:, :asked])[..., None] * pool.versions + versions  # (way, asked, versions)

    left = here.sum(1, keepdim=True) - asked  # pictures of each class that may be labelled
    chances = torch.rand(draws, way, pictures.shape[1], generator=generator)
    order = asked + torch.where(torch.arange(pictures.shape[1]) < left, chances, -1.0).argsort(dim=2, descending=True)
    version = torch.randint(pool.versions, order.shape, generator=generator)[..., :shots]
    support = pictures.expand(draws, -1, -1).gather(2, mixed.expand(draws, -1, -1).gather(2, order[..., :shots]))
    flat = queries.flatten(1).expand(draws, -1, -1)
    return Episodes(support * pool.versions + version, flat, classes.expand(draws, -1))


def glyph_pool(part: str, *, jitter: str = "mild", versions: int = 1, seed: int = 0) -> Pool:
    """The glyphs of the "train" or the "test" alphabets (no script is in both), each picture in several draws of the jitter."""
    chosen = glyphs.load().split(part)
    images = chosen.images.repeat_interleave(versions, dim=0)
    moved = glyphs.jitter(images, jitter, torch.Generator().manual_seed(seed))
    return Pool(f"glyphs, {jitter} jitter", moved, chosen.labels, chosen.characters, chosen.alphabets)


def _table(pool: Pool) -> tuple[Tensor, Tensor]:
    """The pictures of each class, padded with 0, (classes, most), and how many there are, (classes,)."""
    sizes = torch.bincount(pool.labels, minlength=len(pool.classes))
    order = pool.labels.argsort(stable=True)
    starts = sizes.cumsum(0) - sizes
    places = torch.arange(int(sizes.max()))
    return order[(starts[:, None] + places).clamp_max(len(order) - 1)], sizes


def _allowed(pool: Pool, count: int, way: int, within_groups: bool, generator: torch.Generator) -> Tensor:
    """Which classes each episode may use, (count, classes): all, or those of an alphabet drawn among the large enough ones."""
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
