"""Omniglot: characters of real alphabets, drawn by hand by twenty people each (Lake, Salakhutdinov & Tenenbaum 2015, Science).

The copy is the user's own: a folder or a zip file of the authors, named by FEWSHOT_LAB_OMNIGLOT or by a path, or put into the
course's cache folder as `omniglot`; or it is the optional asset of that name. Nothing is downloaded here.
"""

import functools
import os
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F

from ..assets import installed
from ..errors import CourseError
from ..files import home
from .episodes import Pool

SIZE = 28
VARIABLE = "FEWSHOT_LAB_OMNIGLOT"


def find(path: str | Path | None = None) -> Path | None:
    """The path of Omniglot: `path`, FEWSHOT_LAB_OMNIGLOT, `omniglot` in the cache folder, or the asset; None without one.

    Raises CourseError when `path` or the environment names something that does not exist.
    """
    named = path or os.environ.get(VARIABLE)
    source = Path(named).expanduser().absolute() if named else home() / "omniglot"
    if source.exists():
        return source
    if named:
        raise CourseError(f"Omniglot should be at {source}, but nothing is there. Correct the path, or leave it empty.")
    return installed("omniglot")


def pool(path: str | Path | None = None) -> Pool:
    """All drawings as a pool of episodes, uint8 (N, 1, 28, 28), white on black; groups are the alphabets.

    `path` is a zip file such as images_background_small1.zip, a folder of them, or a folder of alphabets. Each drawing is
    shrunk from 105 x 105 by area means. Raises CourseError when there is no Omniglot, or no drawing in it.
    """
    source = find(path)
    if source is None:
        raise CourseError(
            "Omniglot is not here. With a network run `fewshot-lab assets fetch omniglot`; or get images_background_small1.zip "
            f"from github.com/brendenlake/omniglot (python folder) and set {VARIABLE} to its path."
        )
    return _read(source)


@functools.cache
def _read(source: Path) -> Pool:
    # A drawing that is in two of the authors' archives (the small ones are parts of images_background.zip) counts once: else it
    # could be in the support set and among the queries. Within a character, sets of contents keep the order of the people.
    contents: dict[tuple[str, str], dict[bytes, None]] = {}
    for alphabet, character, content in sorted(_files(source), key=lambda item: item[:2]):
        contents.setdefault((alphabet, character), {})[content] = None
    drawings = {character: [_ink(content) for content in some] for character, some in contents.items()}
    if not drawings:
        raise CourseError(f"{source} holds no drawings ALPHABET/characterNN/NAME.png. Name Omniglot's zip file or its folder.")
    ink = torch.from_numpy(np.stack([drawing for some in drawings.values() for drawing in some]))[:, None].float()
    # By area means, not by picking pixels, which would leave gaps in thin strokes.
    small = F.interpolate(ink, (SIZE, SIZE), mode="area")
    counts = torch.tensor([len(some) for some in drawings.values()])
    labels = torch.arange(len(drawings)).repeat_interleave(counts)
    classes = tuple(f"{alphabet} {character.removeprefix('character')}" for alphabet, character in drawings)
    groups = tuple(alphabet for alphabet, _ in drawings)
    return Pool("Omniglot", (small * 255).round().to(torch.uint8), labels, classes, groups)


def _files(source: Path) -> Iterator[tuple[str, str, bytes]]:
    """(alphabet, character, content) of every drawing under a folder or in a zip file; a file's name orders the people."""
    if source.is_file():
        if not zipfile.is_zipfile(source):
            raise CourseError(f"{source} is not a zip file. Name Omniglot's zip file or its folder.")
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if names := _names(PurePosixPath(name)):
                    yield *names, archive.read(name)
        return
    for path in sorted(source.rglob("*.png")):
        if names := _names(PurePosixPath(path.as_posix())):
            yield *names, path.read_bytes()
    for archive in sorted(source.glob("*.zip")):
        yield from _files(archive)


def _names(path: PurePosixPath) -> tuple[str, str] | None:
    """Alphabet and character of .../ALPHABET/characterNN/NAME.png, None for another file."""
    parts = path.parts
    # __MACOSX: the shadow files that macOS adds to a zip file have the same names and are no pictures.
    fits = path.suffix == ".png" and len(parts) >= 3 and parts[-2].startswith("character") and "__MACOSX" not in parts
    return (parts[-3], parts[-2]) if fits else None


def _ink(content: bytes) -> np.ndarray:
    """True where a PNG is black: the drawing is black on white."""
    from PIL import Image

    return np.asarray(Image.open(BytesIO(content)).convert("L")) < 128
