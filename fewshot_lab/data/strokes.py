"""Strokes: the characters of matplotlib's typefaces, thinned to lines one pixel wide, as points that can be drawn anew.

A typeface gives a stroke its width and its endings; a skeleton leaves only the way of the pen. `load` renders every letter and
symbol of `FACES` once, thins it (Zhang & Suen 1984, Communications of the ACM) and keeps the result in the cache folder. No
digit is among them, so that handwritten digits are classes that no training has seen, and no face of Computer Modern, the
typeface that is kept for a test.

Coordinates are those of torch's grid_sample: x points right and y down, both from -1 to 1 over the sheet.
"""

import functools
import hashlib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..augment.handwriting import pieces_of, thin
from ..files import arrays_on_disk, in_cache

SHEET = 56  # pixels a side of the sheet on which a character is thinned
FONT_SIZE = 34  # pixels: a letter fills a little over half of its sheet, as Omniglot's drawings do
MIN_POINTS, MAX_POINTS = 8, 192
FACES = tuple(
    """DejaVuSans DejaVuSansMono DejaVuSerif DejaVuSerif-Italic DejaVuSans-Bold STIXGeneral STIXGeneralItalic
    STIXNonUni""".split()
)
# Letters, and symbols of mathematics and others. No digits (N): they are the test's.
CATEGORIES = ("Lu", "Ll", "Lo", "Lm", "Lt", "Sm", "So", "Sc")
# No strokes, or only as many dots as another; numbers under another name; Latin letters a second time (MATHEMATICAL).
NO_STROKES = tuple(
    """BOX BRAILLE BLOCK QUADRANT HEXAGRAM TETRAGRAM MODIFIER DIGIT NUMBER DOMINO PLAYING CIRCLED MATHEMATICAL BLACK
    HEAVY ROMAN""".split()
)


@dataclass(frozen=True)
class Strokes:
    """Skeletons as points, (x, y) in -1..1: `points` (all of them, 2), skeleton s has those from starts[s] to starts[s + 1].

    labels: the class number of each skeleton (N,). characters: the name of each class. pieces: the number of the stroke that
    each point belongs to, counted from 0 within its skeleton; strokes end where lines meet. pictures: what was thinned, as the
    typeface prints it, uint8 (N, 1, 28, 28), white on black.
    """

    points: Tensor
    pieces: Tensor
    pictures: Tensor
    starts: Tensor
    labels: Tensor
    characters: tuple[str, ...]

    def padded(self) -> tuple[Tensor, Tensor]:
        """All skeletons as one tensor of points (N, most, 2) and their strokes (N, most); short ones repeat their points."""
        counts = self.starts.diff()
        rows = self.starts[:-1, None] + torch.arange(int(counts.max())) % counts[:, None]
        return self.points[rows], self.pieces[rows]


@functools.cache
def load() -> Strokes:
    """All skeletons, made once (about twenty seconds) and kept in the cache folder; later loads take milliseconds."""
    path = in_cache("strokes", f"{_version()}.npz")
    stored = arrays_on_disk(path, _make, "The strokes are being made by another process; waiting for it.")
    points = (torch.from_numpy(stored["points"]).float() + 0.5) * 2 / SHEET - 1
    return Strokes(
        points,
        torch.from_numpy(stored["pieces"]).long(),
        torch.from_numpy(stored["pictures"])[:, None],
        torch.from_numpy(stored["starts"]).long(),
        torch.from_numpy(stored["labels"]).long(),
        tuple(map(str, stored["characters"])),
    )


def _version() -> str:
    """A fingerprint of the typefaces, the renderer and this file, so that an outdated cache is never read."""
    import PIL

    parts = [Path(__file__).read_bytes(), PIL.__version__.encode()]
    parts += [str((face, _font_path(face).stat().st_size)).encode() for face in FACES]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _font_path(face: str) -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


def _make() -> dict[str, np.ndarray]:
    from fontTools.ttLib import TTFont
    from PIL import ImageFont

    pictures: dict[str, dict[bytes, np.ndarray]] = {}
    for face in FACES:
        font = ImageFont.truetype(str(_font_path(face)), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
        # The typeface's own table of characters: asked for one that it lacks, it would draw an empty box.
        for code in TTFont(_font_path(face), lazy=True).getBestCmap():
            if _has_strokes(chr(code)) and (picture := _picture(chr(code), font)) is not None:
                # Keyed by content: the same picture in two faces counts once.
                pictures.setdefault(chr(code), {})[picture.tobytes()] = picture
    pictures = _without_twins(dict(sorted(pictures.items())))
    labels = [label for label, some in enumerate(pictures.values()) for _ in some]
    printed = np.stack([picture for some in pictures.values() for picture in some.values()])
    skeletons = thin(printed)
    sizes = skeletons.sum((1, 2))
    kept = np.flatnonzero((sizes >= MIN_POINTS) & (sizes <= MAX_POINTS))
    # Classes without a skeleton are left out, and the others numbered anew.
    names, numbers = np.unique(np.array(labels)[kept], return_inverse=True)
    images, rows, columns = np.nonzero(skeletons[kept])
    blocks = printed[kept].reshape(len(kept), SHEET // 2, 2, SHEET // 2, 2)
    return {
        "pictures": (blocks.mean((2, 4)) * 255).round().astype(np.uint8),
        "points": np.stack([columns, rows], axis=1).astype(np.uint8),
        "pieces": _from_zero(pieces_of(skeletons[kept])[images, rows, columns], images),
        "starts": np.concatenate([[0], sizes[kept].cumsum()]),
        "labels": numbers,
        "characters": np.array(list(pictures))[names],
    }


def _from_zero(numbers: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Numbers that are counted over all images (points,), counted from 0 within each of them."""
    order = np.lexsort((numbers, images))
    new_image = np.diff(images[order], prepend=-1) != 0
    new_number = np.diff(numbers[order], prepend=-1) != 0
    counted = (new_number | new_image).cumsum() - 1
    first = np.maximum.accumulate(np.where(new_image, counted, 0))
    result = np.empty(len(numbers), np.uint8)
    result[order] = counted - first
    return result


def _has_strokes(character: str) -> bool:
    name = unicodedata.name(character, "")
    return unicodedata.category(character) in CATEGORIES and not any(word in NO_STROKES for word in name.split())


def _picture(character: str, font) -> np.ndarray | None:
    """The character in the middle of its sheet, bool, or None when the typeface draws nothing or something too large."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(character)
    width, height = right - left, bottom - top
    if not (0 < width <= SHEET - 4 and 0 < height <= SHEET - 4):
        return None
    image = Image.new("L", (SHEET, SHEET))
    ImageDraw.Draw(image).text(((SHEET - width) // 2 - left, (SHEET - height) // 2 - top), character, fill=255, font=font)
    return np.array(image) >= 128


def _without_twins(pictures: dict[str, dict[bytes, np.ndarray]]) -> dict[str, dict[bytes, np.ndarray]]:
    """Drops a character that a typeface draws exactly like one before it (Latin A, Greek Alpha): it would be no other class."""
    taken: set[bytes] = set()
    kept = {}
    for character, some in pictures.items():
        if taken.isdisjoint(some):
            kept[character] = some
            taken.update(some)
    return kept
