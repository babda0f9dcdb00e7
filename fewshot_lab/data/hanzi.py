"""Chinese characters stroke by stroke, as `strokes` has those of typefaces: how a hand writes them, not what thinning leaves.

Hanzi Writer Data 2.0.1 gives every stroke's outline and the path of the pen through it, on a square of 1024 units with y up
from -124. No network of the course learns from them: they are there to be seen.
"""

import functools
import json

import numpy as np
import torch

from ..assets import ASSETS, fetch
from .emoji import rendered
from .strokes import MAX_POINTS, Strokes

CHARACTERS = tuple(sorted(chr(int(name.removesuffix(".json"), 16)) for name in ASSETS["hanzi"].files))
UNITS, TOP = 1024, 900
SHARE = 0.6  # of the sheet is as wide as the square, so that hands have room as around a letter


@functools.cache
def load() -> Strokes:
    """`CHARACTERS` as skeletons of at most 192 points, with their pictures at 28 x 28; fetches the asset "hanzi"."""
    folder = fetch("hanzi")
    drawn = [json.loads((folder / f"{ord(name):x}.json").read_text(encoding="utf-8")) for name in CHARACTERS]
    points, pieces = zip(*(_skeleton(one["medians"]) for one in drawn), strict=True)
    counts = torch.tensor([0, *map(len, points)])
    pictures = torch.stack([_picture(one["strokes"]) for one in drawn])
    return Strokes(torch.cat(points), torch.cat(pieces), pictures, counts.cumsum(0), torch.arange(len(CHARACTERS)), CHARACTERS)


def _skeleton(medians: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (P, 2) at equal steps along the strokes, in -1..1 with y down, and the number of the stroke of each."""
    ways = [np.array(way, float) for way in medians]
    lengths = [np.hypot(*np.diff(way, axis=0).T).cumsum() for way in ways]
    step = sum(length[-1] for length in lengths) / (MAX_POINTS - 2 * len(ways))
    points, pieces = [], []
    for number, (way, length) in enumerate(zip(ways, lengths, strict=True)):
        at = np.linspace(0, length[-1], max(2, int(length[-1] / step)))
        points.append(np.stack([np.interp(at, [0, *length], line) for line in way.T], 1))
        pieces += [number] * len(at)
    x, y = np.concatenate(points).T
    places = np.stack([2 * x / UNITS - 1, 2 * (TOP - y) / UNITS - 1], 1) * SHARE
    return torch.from_numpy(places).float(), torch.tensor(pieces)


def _picture(outlines: list[str]) -> torch.Tensor:
    """The strokes' outlines filled, uint8 (1, 28, 28), white on black."""
    side = UNITS / SHARE
    paths = "".join(f'<path d="{outline}"/>' for outline in outlines)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28" viewBox="0 0 {side} {side}">'
        f'<g fill="white" transform="translate({(side - UNITS) / 2} {(side - UNITS) / 2 + TOP}) scale(1 -1)">{paths}</g></svg>'
    )
    return torch.from_numpy(rendered(svg, "black", "L"))[None]
