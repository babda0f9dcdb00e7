"""Glyphs: an Omniglot-style benchmark rendered from the typefaces that matplotlib ships.

A class is a character, an image the picture of it in one typeface, 28 x 28. Alphabets are writing systems. Episodes train on
some alphabets, are tuned on another and tested on a third group (`PARTS`), and a character that looks like one of another part
(Greek Alpha, Latin A) is dropped. The classification task keeps the families of typefaces apart instead (`FAMILIES`). Jitter
(`JITTERS`) draws several distorted images from each picture; its strength sets the difficulty.
"""

import functools
import hashlib
import math
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..augment.geometry import random_affine, warp
from ..files import arrays_on_disk, in_cache
from .images import ImageTask

SIZE = 28
FONT_SIZE = 20
MIN_FACES = 8
ALPHABETS = ("LATIN", "CYRILLIC", "LAO", "DIGIT", "ARMENIAN", "GEORGIAN", "GREEK")
# Whole scripts are held out, as in Omniglot: characters of one script share strokes and proportions, so single characters of a
# known script would measure less than the step to something new. Of two look-alikes in different parts the one whose part
# stands first here is kept: validation, the least important of the three, comes last.
PARTS = {"train": ("LATIN", "LAO", "DIGIT"), "test": ("ARMENIAN", "GEORGIAN", "GREEK"), "validation": ("CYRILLIC",)}
CHARACTERS = "abdehmnpqstuw269"  # many of them turn into another when they are mirrored or turned upside down
FACES = tuple(
    """DejaVuSans DejaVuSans-Bold DejaVuSans-BoldOblique DejaVuSans-Oblique DejaVuSansMono DejaVuSansMono-Bold
    DejaVuSansMono-BoldOblique DejaVuSansMono-Oblique DejaVuSerif DejaVuSerif-Bold DejaVuSerif-BoldItalic
    DejaVuSerif-Italic STIXGeneral STIXGeneralBol STIXGeneralBolIta STIXGeneralItalic cmb10 cmr10 cmss10 cmti10
    cmtt10""".split()
)
# The family of typefaces in each part of the classification task, by how its names begin. A bold face is its family's slanted
# bold one sheared, so a split that takes apart single faces would test on what was trained on.
FAMILIES = {"train": "DejaVu", "validation": "STIX", "test": "cm"}
LOOK_ALIKE, TWIN = 0.06, 0.02  # squared distances of two characters' pictures, as shares of the larger squared norm
# Across parts the pictures are laid on each other first, since jitter moves and scales them: the cosine of their ink in the
# median over the typefaces, or in the most similar one. By these values rho goes for p, the Armenian liwn for L.
ALIKE_ACROSS, TWIN_ACROSS = 0.89, 0.98


@dataclass(frozen=True)
class Glyphs:
    """Rendered characters: images uint8 (N, 1, 28, 28), white on black; labels, faces (N,); names of classes and alphabets."""

    images: Tensor
    labels: Tensor
    faces: Tensor
    characters: tuple[str, ...]
    alphabets: tuple[str, ...]

    def of_alphabets(self, *alphabets: str) -> "Glyphs":
        """The classes of these alphabets alone, renumbered; raises ValueError for an unknown alphabet."""
        if unknown := set(alphabets) - set(self.alphabets):
            raise ValueError(f"No alphabet {', '.join(sorted(unknown))}; there are {', '.join(sorted(set(self.alphabets)))}.")
        return self._of([i for i, alphabet in enumerate(self.alphabets) if alphabet in alphabets])

    def of_characters(self, characters: str) -> "Glyphs":
        """The classes of these characters alone, in the order given; raises ValueError for a character without a class."""
        index = {character: i for i, character in enumerate(self.characters)}
        if missing := [character for character in characters if character not in index]:
            raise ValueError(f"No class for {' '.join(missing)}: fewer than {MIN_FACES} typefaces have a picture of it.")
        return self._of([index[character] for character in characters])

    def split(self, part: str) -> "Glyphs":
        """The classes of the "train", "validation" or "test" alphabets; no class looks like one of another part."""
        if part not in PARTS:
            raise ValueError(f"The parts are {', '.join(PARTS)}, not {part!r}.")
        return self.of_alphabets(*PARTS[part])

    def _of(self, classes: list[int]) -> "Glyphs":
        new_label = torch.full((len(self.characters),), -1)
        new_label[torch.tensor(classes)] = torch.arange(len(classes))
        keep = new_label[self.labels] >= 0
        return Glyphs(
            self.images[keep],
            new_label[self.labels[keep]],
            self.faces[keep],
            tuple(self.characters[i] for i in classes),
            tuple(self.alphabets[i] for i in classes),
        )


@dataclass(frozen=True)
class Jitter:
    """How far `jitter` distorts.

    degrees: the largest rotation either way. scale: the range of a log-uniform factor. shear: the largest, in pixels per pixel
    of height. shift: the largest, as a share of the size. dilation: the probability of thicker strokes. noise: a standard
    deviation, for pixels in 0..1.
    """

    degrees: float
    scale: tuple[float, float]
    shear: float
    shift: float
    dilation: float = 0.0
    noise: float = 0.0


JITTERS = {
    "none": Jitter(0, (1, 1), 0, 0),
    "mild": Jitter(20, (0.8, 1.2), 0.25, 0.12),
    "hard": Jitter(26, (0.8, 1.2), 0.3, 0.18, dilation=0.5, noise=0.2),
}


def jitter(images: Tensor, name: str, generator: torch.Generator | None = None) -> Tensor:
    """Distorts each uint8 image (N, 1, 28, 28) by its own draw from JITTERS[name]; returns uint8 of the same shape.

    Raises ValueError for an unknown name.
    """
    if name not in JITTERS:
        raise ValueError(f"There is no jitter {name!r}; choose one of {', '.join(JITTERS)}.")
    setting = JITTERS[name]
    if name == "none":
        return images
    matrices = random_affine(
        len(images),
        degrees=setting.degrees,
        scale=setting.scale,
        shear=setting.shear,
        shift=setting.shift * images.shape[-1],
        generator=generator,
    )
    moved = warp(images.float() / 255, matrices)
    if setting.dilation:
        thick = torch.rand(len(images), generator=generator) < setting.dilation
        # The maximum of 2 x 2 pixels thickens white strokes by one pixel; the padding's last row and column are cut off again.
        moved[thick] = F.max_pool2d(moved[thick], 2, stride=1, padding=1)[..., :-1, :-1]
    if setting.noise:
        moved = moved + setting.noise * torch.randn(moved.shape, generator=generator).to(moved.device)
    return (moved.clamp(0, 1) * 255).round().to(torch.uint8)


@functools.cache
def load() -> Glyphs:
    """All glyphs, rendered once (about three seconds) and kept in the cache folder; later loads take milliseconds."""
    path = in_cache("glyphs", f"{_version()}.npz")
    stored = arrays_on_disk(path, _render, "The glyphs are being rendered by another process; waiting for it.")
    return Glyphs(
        torch.from_numpy(stored["images"])[:, None],
        torch.from_numpy(stored["labels"]).long(),
        torch.from_numpy(stored["faces"]).long(),
        tuple(map(str, stored["characters"])),
        tuple(map(str, stored["alphabets"])),
    )


def task(*, jitter_name: str = "mild", draws: int = 8) -> ImageTask:
    """Sixteen letters and digits as a classification task; no family of typefaces is in two of its three parts.

    There are 12 training, 4 validation and 5 test pictures of each character. jitter_name: a name in JITTERS. draws: how many
    jittered images there are of each training picture; of each validation and test picture there are 6. The seeds are fixed.
    """
    glyphs = load().of_characters(CHARACTERS)
    parts = {}
    for (part, family), copies, seed in zip(FAMILIES.items(), (draws, 6, 6), (1, 3, 2), strict=True):
        of_family = torch.tensor([face for face, name in enumerate(FACES) if name.startswith(family)])
        rows = torch.isin(glyphs.faces, of_family).nonzero().squeeze(1).repeat(copies)
        generator = torch.Generator().manual_seed(seed)
        parts |= {
            f"{part}_images": jitter(glyphs.images[rows], jitter_name, generator),
            f"{part}_labels": glyphs.labels[rows],
            f"{part}_pictures": rows,
        }
    return ImageTask("glyphs", glyphs.characters, **parts, train_groups=glyphs.faces[parts["train_pictures"]])


def _font_path(face: str) -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


def _version() -> str:
    """A fingerprint of the typefaces, the renderer and this file, so that an outdated cache is never read."""
    import PIL

    parts = [Path(__file__).read_bytes(), PIL.__version__.encode()]
    parts += [str((face, _font_path(face).stat().st_size)).encode() for face in FACES]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _render() -> dict[str, np.ndarray]:
    from fontTools.ttLib import TTFont
    from PIL import ImageFont

    pictures: dict[str, dict[int, np.ndarray]] = {}
    for number, face in enumerate(FACES):
        font = ImageFont.truetype(str(_font_path(face)), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
        # The typeface's own table of characters: asked for one that it lacks, it would draw an empty box.
        for code in TTFont(_font_path(face), lazy=True).getBestCmap():
            character = chr(code)
            picture = _picture(character, font) if _is_base_character(character) else None
            by_face = pictures.setdefault(character, {})
            # Some faces draw a character alike, and the same picture twice is no second example.
            if picture is not None and not any(np.array_equal(picture, other) for other in by_face.values()):
                by_face[number] = picture
    enough = {character: by_face for character, by_face in pictures.items() if len(by_face) >= MIN_FACES}
    kept = _without_look_alikes(dict(sorted(enough.items(), key=lambda item: (_part(item[0]), item[0]))))
    rows = [(picture, label, face) for label, by_face in enumerate(kept.values()) for face, picture in by_face.items()]
    images, labels, faces = zip(*rows, strict=True)
    return {
        "images": np.stack(images),
        "labels": np.array(labels),
        "faces": np.array(faces),
        "characters": np.array(list(kept)),
        "alphabets": np.array([_alphabet(character) for character in kept]),
    }


def _alphabet(character: str) -> str:
    """The first word of the character's name in Unicode, such as GREEK or DIGIT."""
    return unicodedata.name(character, "?").split()[0]


def _part(character: str) -> int:
    """The position in PARTS of the part that has the character's alphabet."""
    return next(i for i, alphabets in enumerate(PARTS.values()) if _alphabet(character) in alphabets)


def _is_base_character(character: str) -> bool:
    """Whether it is a letter or digit of ALPHABETS without an accent (an accented letter is nearly its base letter)."""
    ours = unicodedata.category(character)[0] in "LN" and _alphabet(character) in ALPHABETS
    return ours and not unicodedata.decomposition(character)


def _picture(character: str, font) -> np.ndarray | None:
    """The character in the middle of a 28 x 28 image, or None when the typeface draws nothing or something too large."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(character)
    width, height = right - left, bottom - top
    if not (0 < width <= SIZE and 0 < height <= SIZE):
        return None
    image = Image.new("L", (SIZE, SIZE))
    corner = (math.floor((SIZE - width) / 2) - left, math.floor((SIZE - height) / 2) - top)
    ImageDraw.Draw(image).text(corner, character, fill=255, font=font)
    picture = np.array(image)
    return picture if picture.max() >= 64 else None  # else nothing is visible at this size


def _without_look_alikes(pictures: dict[str, dict[int, np.ndarray]]) -> dict[str, dict[int, np.ndarray]]:
    """Goes through the characters in order, part after part, and drops each that looks like one kept before it.

    Two characters of one part look alike when |a - b|^2 / max(|a|^2, |b|^2) is below LOOK_ALIKE in the median over the
    typefaces that have both, or below TWIN in any of them; two of different parts also when their aligned pictures are as
    similar as ALIKE_ACROSS and TWIN_ACROSS say.
    """
    characters = list(pictures)
    shape = (len(FACES), len(characters), len(characters))
    shares, cosines = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    for face in range(len(FACES)):
        rows = [row for row, character in enumerate(characters) if face in pictures[character]]
        of_face = [pictures[characters[row]][face].astype(np.float32) / 255 for row in rows]
        vectors = np.stack([picture.ravel() for picture in of_face])
        squares = (vectors**2).sum(1)
        # |a - b|^2 = |a|^2 + |b|^2 - 2 a b, for all pairs by one matrix product.
        distance = squares[:, None] + squares - 2 * vectors @ vectors.T
        shares[face][np.ix_(rows, rows)] = distance / np.maximum(squares[:, None], squares)
        aligned = np.stack([_aligned(picture) for picture in of_face])
        cosines[face][np.ix_(rows, rows)] = aligned @ aligned.T
    part = np.array([_part(character) for character in characters])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # two characters without a common typeface: no median
        alike = (np.nanmedian(shares, axis=0) < LOOK_ALIKE) | (np.nanmin(shares, axis=0) < TWIN)
        across = (np.nanmedian(cosines, axis=0) > ALIKE_ACROSS) | (np.nanmax(cosines, axis=0) > TWIN_ACROSS)
    alike |= across & (part[:, None] != part)
    kept: list[int] = []
    for row in range(len(characters)):
        if not alike[row, kept].any():
            kept.append(row)
    return {characters[row]: pictures[characters[row]] for row in kept}


def _aligned(picture: np.ndarray) -> np.ndarray:
    """The ink of a picture (28, 28) in 0..1, scaled to the same size in the middle of a square and blurred, of length 1."""
    rows, columns = (np.flatnonzero((picture > 0.25).any(axis)) for axis in (1, 0))
    ink = torch.from_numpy(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = 18 / max(ink.shape)
    height, width = (max(1, round(side * factor)) for side in ink.shape)
    scaled = F.interpolate(ink[None, None], (height, width), mode="bilinear", antialias=True)
    top, left = (24 - height) // 2, (24 - width) // 2
    square = F.pad(scaled, (left, 24 - width - left, top, 24 - height - top))
    # Strokes one pixel apart are alike: without the blur their product would be 0.
    kernel = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
    return F.normalize(F.conv2d(square, kernel[None, None], padding=1).flatten(), dim=0).numpy()
