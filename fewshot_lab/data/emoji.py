"""Emoji: what five artists drew under the same names, in colour, in eight groups.

The pictures are SVG (asset `emoji`) and are drawn once, into the cache folder. Every emoji is there by every artist, which
leaves 1,033 of them and neither skin tones nor flags of countries. Two things are kept apart: the *emoji* that train, validate
and test (`PARTS`), where those that look alike (24 clock faces, hearts in six colours) stay together, and, in the
classification task, the *artists* (`ARTISTS_OF`). Episodes take the support set from some artists, the queries from the others.
"""

import functools
import hashlib
import importlib.metadata
import json
import re
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..assets import ASSETS, fetch
from ..files import arrays_on_disk, in_cache
from .episodes import Pool
from .images import ImageTask

SIZE = 96
# In the order in which the manifest names them, and the last two put aside: no result had a say in who tests.
ARTISTS = ("noto", "twemoji", "openmoji", "fluent-emoji-flat", "emojione")
ARTISTS_OF = {"train": ARTISTS[:3], "validation": ARTISTS[3:4], "test": ARTISTS[4:]}
PARTS = {"train": 0.5, "validation": 0.2, "test": 0.3}  # shares of the emoji
# Two emoji look alike when, in the median over the artists, the squared distance of their pictures is below this share of the
# larger squared norm, or when the cosine of their grey pictures is nearly 1, so that they differ in colour alone.
LOOK_ALIKE, COLOUR_ALONE = 0.08, 0.98


@dataclass(frozen=True)
class Emoji:
    """Pictures on white, uint8 (names, artists, 3, S, S), artists as in ARTISTS; names, groups and `families` of the emoji."""

    images: Tensor
    names: tuple[str, ...]
    groups: tuple[str, ...]
    families: Tensor

    def rows(self, part: str) -> Tensor:
        """Which emoji are in the "train", "validation" or "test" part; raises ValueError for another."""
        if part not in PARTS:
            raise ValueError(f"The parts are {', '.join(PARTS)}, not {part!r}.")
        # Whole families in a random order, cut where the shares say; the seed is fixed, so the parts are too.
        order = torch.randperm(int(self.families.max()) + 1, generator=torch.Generator().manual_seed(0))
        sizes = torch.bincount(self.families)[order]
        ends = torch.tensor(list(PARTS.values())).cumsum(0) * len(self.names)
        part_of = torch.empty_like(order)
        part_of[order] = torch.bucketize((sizes.cumsum(0) - sizes / 2).float(), ends).clamp_max(len(PARTS) - 1)
        return (part_of[self.families] == list(PARTS).index(part)).nonzero().squeeze(1)


@functools.cache
def pictures() -> Emoji:
    """All emoji at 96 x 96, drawn once (half a minute) and kept in the cache folder; fetches the asset "emoji".

    An interrupted drawing leaves nothing behind. Raises AssetError when the asset cannot be fetched.
    """
    path = in_cache("emoji", f"{_version()}.npz")
    waiting = "The emoji are being drawn by another process; waiting for it."
    stored = arrays_on_disk(path, lambda: _draw(fetch("emoji")), waiting)
    images = torch.from_numpy(stored["images"]).permute(0, 1, 4, 2, 3)
    names, groups = (tuple(map(str, stored[what])) for what in ("names", "groups"))
    return Emoji(images, names, groups, torch.from_numpy(stored["families"]).long())


def task(*, size: int = 32) -> ImageTask:
    """The eight groups as a classification task: neither an emoji nor an artist is in two of its three parts.

    uint8 (N, 3, size, size). Three artists train, one validates, one tests. What counts as a picture is the emoji, so that K
    labels are K different emoji, each by one of the three.
    """
    emoji = pictures()
    classes = tuple(sorted(set(emoji.groups)))
    group = torch.tensor([classes.index(name) for name in emoji.groups])
    parts = {}
    for part, artists in ARTISTS_OF.items():
        rows = emoji.rows(part)
        images = emoji.images[rows][:, [ARTISTS.index(artist) for artist in artists]]
        parts |= {
            f"{part}_images": _resized(images.flatten(0, 1), size),
            f"{part}_labels": group[rows].repeat_interleave(len(artists)),
            f"{part}_pictures": rows.repeat_interleave(len(artists)),
        }
    return ImageTask("emoji", classes, **parts)


@functools.cache
def chinese_names() -> dict[str, str]:
    """The Chinese name of each emoji of `pictures` that has one, by its English name; fetches the asset "emoji-names".

    Both are Unicode's: {"snail": "蜗牛", ...}.
    """
    folder = fetch("emoji-names")
    english, chinese = (json.loads((folder / f"{name}/compact.json").read_text(encoding="utf-8")) for name in ("en", "zh"))
    name_of = {_plain(one["label"]): one["hexcode"] for one in reversed(english)}
    label_of = {one["hexcode"]: one["label"] for one in chinese}
    codes = {name: name_of.get(_plain(name)) for name in pictures().names}
    return {name: label_of[code] for name, code in codes.items() if code in label_of}


def _plain(name: str) -> str:
    """A name as sets of icons write it: small letters and digits, words separated by one hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub("['’]", "", name.lower())).strip("-")


def pool(part: str, *, size: int = 32, artists: tuple[str, ...] = ARTISTS) -> Pool:
    """The emoji of one part to draw episodes from, uint8 (N, 3, size, size): a class is an emoji, as each artist drew it.

    An episode's support set is by the same artists for all of its classes, and its queries are by the others. Raises ValueError
    for an unknown part or artist.

    Args:
        part: "train", "validation" (what settings are chosen on) or "test".
        size: pixels a side, at most 96.
        artists: names in ARTISTS.
    """
    if unknown := set(artists) - set(ARTISTS):
        raise ValueError(f"No artist {', '.join(sorted(unknown))}; there are {', '.join(ARTISTS)}.")
    emoji = pictures()
    rows = emoji.rows(part)
    images = emoji.images[rows][:, [ARTISTS.index(artist) for artist in artists]].flatten(0, 1)
    names, groups = (tuple(of[row] for row in rows.tolist()) for of in (emoji.names, emoji.groups))
    labels = torch.arange(len(rows)).repeat_interleave(len(artists))
    return Pool("emoji", _resized(images, size), labels, names, groups, makers=tuple(artists))


def families(images: Tensor) -> Tensor:
    """A number for each emoji, (N,), equal for those that look alike, if through others; images uint8 (N, artists, 3, S, S)."""
    from scipy.sparse.csgraph import connected_components

    alike = torch.stack([_differences(drawn) for drawn in images.unbind(1)]).median(dim=0).values < 1  # (N, N)
    return torch.from_numpy(connected_components(alike.numpy(), directed=False)[1]).long()


def _differences(drawn: Tensor) -> Tensor:
    """How much the pictures of one artist differ from each other, (N, N): two below 1 look alike."""
    ink = 1 - F.interpolate(
        drawn.float() / 255, (24, 24), mode="area"
    )  # of paper there is none, so that only the drawing counts
    colour = ink.flatten(1)
    squares = colour.square().sum(1)
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a b, for all pairs by one matrix product.
    distance = (squares[:, None] + squares - 2 * colour @ colour.T) / torch.maximum(squares[:, None], squares)
    grey = F.normalize((ink * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1).flatten(1), dim=1)
    return torch.minimum(distance / LOOK_ALIKE, (1 - grey @ grey.T) / (1 - COLOUR_ALONE))


def _resized(images: Tensor, size: int) -> Tensor:
    """uint8 images (N, 3, 96, 96) at another size, by area means."""
    if not 1 <= size <= SIZE:
        raise ValueError(f"The emoji are drawn with {SIZE} pixels a side; ask for 1 to {SIZE}, not {size}.")
    if size == SIZE:
        return images
    # In pieces: as floats all of them at once would take half a gigabyte.
    return torch.cat(
        [F.interpolate(some.float(), (size, size), mode="area").round().to(torch.uint8) for some in images.split(500)]
    )


def _version() -> str:
    """A fingerprint of the SVG files, the renderer and this file, so that an outdated cache is never read."""
    parts = [Path(__file__).read_bytes(), importlib.metadata.version("resvg_py").encode()]
    parts += [file.sha256.encode() for file in ASSETS["emoji"].files.values()]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _draw(folder: Path) -> dict[str, np.ndarray]:
    """Images (N, artists, 96, 96, 3), names, groups and families, from the files of the asset."""
    from tqdm.auto import tqdm

    sets = {artist: json.loads((folder / artist / "icons.json").read_text(encoding="utf-8")) for artist in ARTISTS}
    categories = json.loads((folder / "noto" / "metadata.json").read_text(encoding="utf-8"))["categories"]
    group_of = {name: group for group, names in categories.items() for name in names}
    images, names, seen = [], [], set()
    for name in tqdm(sorted(set(group_of).intersection(*(icons["icons"] for icons in sets.values()))),
                     desc="drawing the emoji", leave=False, disable=None, file=sys.stderr):  # fmt: skip
        drawn = [_drawn(icons, name) for icons in sets.values()]
        # An artist may have given two names one picture: as two classes nobody could tell them apart, so the second name goes.
        hashes = {(artist, hashlib.sha256(picture).digest()) for artist, picture in zip(ARTISTS, drawn, strict=True)}
        if not hashes & seen:
            images.append(np.stack(drawn))
            names.append(name)
        seen |= hashes
    images = np.stack(images)
    return {
        "images": images,
        "names": np.array([name.replace("-", " ") for name in names]),
        "groups": np.array([group_of[name] for name in names]),
        "families": families(torch.from_numpy(images).permute(0, 1, 4, 2, 3)).numpy(),
    }


def _drawn(icons: dict, name: str) -> np.ndarray:
    """One picture on white, (96, 96, 3), from a set of Iconify's format, where a size that an icon lacks is that of the set."""
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons[side]) for side in ("width", "height"))
    # Into a square in its own proportions, in the middle, as SVG does it by default.
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{SIZE}" height="{SIZE}"'
    )
    return rendered(f'{opening} viewBox="0 0 {width} {height}">{icon["body"]}</svg>', "white", "RGB")


def rendered(svg: str, background: str, mode: str) -> np.ndarray:
    """The pixels of an SVG on a background, uint8 in one of Pillow's modes: (H, W, 3) for "RGB", (H, W) for "L"."""
    import resvg_py
    from PIL import Image

    png = resvg_py.svg_to_bytes(svg_string=svg, background=background, skip_system_fonts=True)
    return np.array(Image.open(BytesIO(bytes(png))).convert(mode))
