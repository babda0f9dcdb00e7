"""Which of the eight symmetries of a square leave an emoji its name? The pictures that other artists drew answer."""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..augment.geometry import D4, d4_apply, d4_invert
from ..data import emoji

SIDE = 16  # pixels: enough for the nearest picture, and thousands of pictures are compared in seconds
Element = tuple[int, bool]


@dataclass(frozen=True)
class NamesFound:
    """Which emoji each picture was found to be, number by number (emoji, artists), for each element of D4."""

    found: dict[Element, Tensor]

    @property
    def upright(self) -> Tensor:
        """Whether a picture is found under its own name when nothing is changed, (emoji, artists)."""
        return self._own(D4[0])

    def kept(self, element: Element) -> Tensor:
        """Of each emoji's pictures that are found under their own name unchanged, the share that still is: (emoji,).

        NaN where there is no such picture: of those that pixels cannot name anyway nothing is learned.
        """
        return (self._own(element) & self.upright).sum(1) / self.upright.sum(1)

    def renamed(self, element: Element) -> list[tuple[int, int]]:
        """Pairs (emoji, what the element makes of it), by most of the artists, and back again by most of them.

        One way alone may be luck; where the inverse element makes the first of the second again, the label is gone.
        """
        becomes, back = (_by_most(self.found[one]) for one in (element, d4_invert(element)))
        return [(one, other) for one, other in becomes.items() if one != other and back.get(other) == one]

    def _own(self, element: Element) -> Tensor:
        found = self.found[element]
        return found == torch.arange(len(found))[:, None]


def find_names(images: Tensor) -> NamesFound:
    """Changes every picture by every element of D4 and gives it the name of the nearest picture by another artist.

    images: float (emoji, artists, C, S, S), the same emoji by each of several artists.
    """
    elements = [torch.stack([d4_apply(one, element) for element in D4]) for one in images.unbind(1)]  # each (8, emoji, C, S, S)
    by_artist = [nearest_names(moved.flatten(0, 1), images, artist) for artist, moved in enumerate(elements)]
    found = torch.stack(by_artist, dim=1).unflatten(0, (len(D4), -1))  # (8, emoji, artists)
    return NamesFound(dict(zip(D4, found, strict=True)))


def nearest_names(pictures: Tensor, images: Tensor, artist: int) -> Tensor:
    """The emoji whose picture by any artist but number `artist` is nearest to each of some pictures (n, C, S, S): (n,).

    The nearest picture is the most correlated one, over all pixels and colours: an artist's contrast does not count.
    """
    others = torch.cat([images[:, :artist], images[:, artist + 1 :]], dim=1)
    y = others.flatten(0, 1).flatten(1)  # (emoji * others, D)
    y = F.normalize(y - y.mean(1, keepdim=True), dim=1)
    # A row of x is not standardised: that changes none of its comparisons. In pieces: 8,000 x 4,000 values would fill memory.
    nearest = [(x @ y.T).argmax(1) for x in pictures.flatten(1).split(1000)]
    return torch.cat(nearest) // others.shape[1]


@functools.cache
def small_emoji() -> Tensor:
    """All emoji by all artists as floats in 0..1, (emoji, artists, 3, 16, 16)."""
    images = emoji.pictures().images
    small = [F.interpolate(one.float() / 255, (SIDE, SIDE), mode="area") for one in images.unbind(1)]
    return torch.stack(small, dim=1)


def by_family(values: Tensor, families: Tensor) -> list[float]:
    """The mean of values (emoji,) in each family of emoji that look alike, without NaN; a family of NaN alone is left out."""
    known = ~values.isnan()
    return [values[known & (families == family)].mean().item() for family in families[known].unique()]


def _by_most(found: Tensor) -> dict[int, int]:
    """{emoji: the one that more than half of its pictures are found to be}."""
    most, _ = found.mode(dim=1)
    agreed = (found == most[:, None]).sum(1) * 2 > found.shape[1]
    return {one: int(most[one]) for one in agreed.nonzero().flatten().tolist()}
