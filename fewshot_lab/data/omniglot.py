"""Omniglot: characters of real alphabets, drawn by hand by twenty people each (Lake, Salakhutdinov & Tenenbaum 2015, Science).

The copy is the user's own: a folder or a zip file of the authors, named by FEWSHOT_LAB_OMNIGLOT or by a path, or put into the
course's cache folder as `omniglot`; or it is the optional asset of that name. Nothing is downloaded here.
"""

import functools
import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..assets import installed
from ..errors import CourseError
from ..files import in_cache
from ..languages import say
from .episodes import Episodes, Pool, draw_episodes

SIZE = 28
VARIABLE = "FEWSHOT_LAB_OMNIGLOT"
RUNS_SHA256 = "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325"  # of the authors' all_runs.zip
# What Windows, macOS and browsers add to the name of a copy.
_COPY = re.compile(r"(?: - Copy| - Kopie| copy| ?\(copy\)| ?- ?副本|的副本| ?\(\d+\)|(?<= copy) \d+)+$", re.IGNORECASE)
_RUN = re.compile(r"run\d+/(?:(?:training|test)/[^/]+\.png|class_labels\.txt)$")


def find(path: str | Path | None = None) -> Path | None:
    """The path of Omniglot: `path`, FEWSHOT_LAB_OMNIGLOT, `omniglot` in the cache folder, or the asset; None without one.

    Raises CourseError when `path` or the environment names something that does not exist, and where a user's own copy holds no
    drawing or a damaged one: this is known before an experiment that needs it at its end.
    """
    named = path or os.environ.get(VARIABLE)
    source = Path(named).expanduser().absolute() if named else in_cache("omniglot")
    if source.exists():
        _read(source)  # kept for `pool`
        return source
    if named:
        raise CourseError(
            say("Omniglot should be at {source}, but nothing is there. Correct the path, or leave it empty.", source=source)
        )
    return installed("omniglot")


def pool(path: str | Path | None = None) -> Pool:
    """All drawings as a pool of episodes, uint8 (N, 1, 28, 28), white on black; groups are the alphabets.

    `path` is a zip file such as images_background_small1.zip, a folder of them, or a folder of alphabets. Each drawing is
    shrunk from 105 x 105 by area means. Raises CourseError when there is no Omniglot, or no drawing in it.
    """
    source = find(path)
    if source is None:
        raise CourseError(
            say(
                "Omniglot is not here. With a network run `fewshot-lab assets fetch omniglot`; or get "
                "images_background_small1.zip from github.com/brendenlake/omniglot (python folder) and set "
                "{known} to its path.",
                known=VARIABLE,
            )
        )
    return _read(source)


def runs(path: str | Path) -> tuple[Tensor, Episodes]:
    """The one-shot classification task of Lake et al. 2015: the authors' `all_runs.zip`, or its folder.

    Each run has twenty characters of one alphabet, drawn once by one person (`runNN/training`), and twenty drawings of another
    person to be classified (`runNN/test`); `class_labels.txt` says which is which. Returns all drawings, uint8 (N, 1, 28, 28),
    and the runs as episodes over them, their queries in the order of the classes. Raises CourseError for a file that holds no
    run, or one that is incomplete.
    """
    source = Path(path).expanduser()
    found: dict[str, dict[str, _File]] = {}
    for file in _files(source):
        if inside := _RUN.search(file.path):
            run = found.setdefault(inside[0].split("/")[0], {})
            run[inside[0]] = _in_memory(file)
    drawings, support, queries = [], [], []
    for run, files in sorted(found.items()):
        lines = _text(files.get(f"{run}/class_labels.txt")).split("\n")
        pairs = sorted((label, item) for item, label in (line.split() for line in lines if line.strip()))
        if not pairs or any(name not in files for pair in pairs for name in pair):
            raise CourseError(
                say(
                    "{run} in {source} has no class_labels.txt, or lacks a drawing that it names. Download it again.",
                    run=run,
                    source=source,
                )
            )
        for rows, names in ((support, [label for label, _ in pairs]), (queries, [item for _, item in pairs])):
            rows.append(torch.arange(len(drawings), len(drawings) + len(names)))
            drawings += [files[name] for name in names]
    if not found:
        raise CourseError(
            say(
                "{source} holds no runs (run01/training, run01/test). Name Omniglot's all_runs.zip or its folder.",
                source=source,
            )
        )
    support, queries = torch.stack(support)[..., None], torch.stack(queries)[..., None]
    classes = torch.arange(support.numel()).view(support.shape[:2])
    return _small([_ink(file) for file in drawings]), Episodes(support, queries, classes)


def _text(file: "_File | None") -> str:
    return file.read().decode(errors="replace") if file else ""


def are_published(path: str | Path) -> bool:
    """Whether a file is the authors' all_runs.zip, by its sha256: only then is an error on it the field's."""
    source = Path(path).expanduser()
    return source.is_file() and hashlib.sha256(source.read_bytes()).hexdigest() == RUNS_SHA256


def drawn_runs(pool: Pool, count: int = 20, *, seed: int = 0) -> Episodes:
    """Runs of the same kind as `runs`, drawn from a pool: twenty characters of one alphabet by one person, once by another."""
    people = int(torch.bincount(pool.labels).min())
    one_each = replace(pool, makers=tuple(map(str, range(people))))
    return draw_episodes(one_each, count, way=20, shots=1, queries=1, seed=seed, within_groups=True)


def of_alphabets(pool: Pool, alphabets: Sequence[str]) -> Pool:
    """The characters of these alphabets alone; raises ValueError for one that the pool does not have."""
    if unknown := set(alphabets) - set(pool.groups):
        raise ValueError(f"No alphabet {', '.join(sorted(unknown))}; there are {', '.join(sorted(set(pool.groups)))}.")
    kept = [c for c, alphabet in enumerate(pool.groups) if alphabet in alphabets]
    number = torch.full((len(pool.classes),), -1)
    number[torch.tensor(kept)] = torch.arange(len(kept))
    rows = number[pool.labels] >= 0
    names = tuple(pool.classes[c] for c in kept), tuple(pool.groups[c] for c in kept)
    return Pool(pool.name, pool.images[rows], number[pool.labels[rows]], *names)


@functools.cache
def _read(source: Path) -> Pool:
    # A drawing that is there twice counts once: else it could be in the support set and among the queries. The authors' small
    # archives are parts of images_background.zip, torchvision leaves the archive beside its folder, and people copy folders.
    # Pixels are compared, not files: a copy may be packed in another way. Within a character the order of the people stays.
    drawings: dict[tuple[str, str], dict[bytes, np.ndarray]] = {}
    for alphabet, character, file in sorted(_characters(source), key=lambda found: (found[:2], found[2].path)):
        ink = _ink(file)
        drawings.setdefault((alphabet, character), {}).setdefault(np.packbits(ink).tobytes(), ink)
    if not drawings:
        raise CourseError(
            say(
                "{source} holds no drawings ALPHABET/characterNN/NAME.png. Name Omniglot's zip file or its folder.",
                source=source,
            )
        )
    small = _small([ink for some in drawings.values() for ink in some.values()])
    counts = torch.tensor([len(some) for some in drawings.values()])
    labels = torch.arange(len(drawings)).repeat_interleave(counts)
    classes = tuple(f"{alphabet} {character.removeprefix('character')}" for alphabet, character in drawings)
    groups = tuple(alphabet for alphabet, _ in drawings)
    return Pool("Omniglot", small, labels, classes, groups)


def _small(drawings: list[np.ndarray]) -> Tensor:
    """Square drawings of booleans as uint8 (N, 1, 28, 28), by area means: single pixels would leave gaps in strokes."""
    small = torch.empty(len(drawings), 1, SIZE, SIZE, dtype=torch.uint8)
    sides = torch.tensor([len(drawing) for drawing in drawings])
    for side in sides.unique():  # the authors' drawings have 105 pixels a side, all of them
        rows = (sides == side).nonzero().squeeze(1)
        ink = torch.from_numpy(np.stack([drawings[row] for row in rows]))[:, None].float()
        small[rows] = (F.interpolate(ink, (SIZE, SIZE), mode="area") * 255).round().to(torch.uint8)
    return small


@dataclass(frozen=True)
class _File:
    """A file in a folder or in a zip file: its path there, with forward slashes, how it is read, and how messages call it."""

    path: str
    read: Callable[[], bytes]
    name: str


def _files(source: Path) -> Iterator[_File]:
    """Every file under a folder or in a zip file, at any depth; in a folder, those in its zip files too."""
    if source.is_file():
        yield from _packed(source)
        return
    seen = set()
    for folder, inner, names in os.walk(source, followlinks=True):
        # A link may lead back to a folder above it.
        if (real := os.path.realpath(folder)) in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not _hidden(name))
        for path in (Path(folder, name) for name in sorted(names) if not _hidden(name)):
            if path.suffix.lower() == ".zip":
                yield from _packed(path)
            else:
                yield _File(path.absolute().as_posix(), path.read_bytes, str(path))


def _packed(source: Path) -> Iterator[_File]:
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                path = name.replace("\\", "/")  # as some programs of Windows write them
                if not path.endswith("/") and not any(_hidden(part) for part in path.split("/")):
                    yield _File(
                        path, functools.partial(archive.read, name), say("{path} in {source}", path=path, source=source)
                    )
    except zipfile.BadZipFile as error:
        raise CourseError(
            say("{source} is not a zip file, or is damaged. Name Omniglot's zip file or its folder.", source=source)
        ) from error


def _hidden(name: str) -> bool:
    # macOS puts a shadow beside every file, ._NAME or __MACOSX/NAME, which has the file's ending and is no picture.
    return name.startswith(".") or name == "__MACOSX"


def _characters(source: Path) -> Iterator[tuple[str, str, _File]]:
    """(alphabet, character, file) of every drawing .../ALPHABET/characterNN/NAME.png; a file's name orders the people."""
    for file in _files(source):
        parts = PurePosixPath(file.path).parts
        if len(parts) >= 3 and parts[-1].lower().endswith(".png") and parts[-2].lower().startswith("character"):
            # A folder that was copied is no new alphabet, and no new character.
            alphabet, character = (_COPY.sub("", part) for part in parts[-3:-1])
            yield alphabet, character.lower(), _in_memory(file)


def _in_memory(file: _File) -> _File:
    """The file, read while the zip file that it may lie in is open."""
    try:
        content = file.read()
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
        EOFError,
    ) as error:  # or it is encrypted
        raise CourseError(
            say("{name} cannot be read ({error}). Copy it again, or take it away.", name=file.name, error=error)
        ) from error
    return replace(file, read=lambda: content)


def _ink(file: _File) -> np.ndarray:
    """Where a drawing has ink, booleans (side, side): the colour that fewer of its pixels have."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(file.read())) as image:
            image.load()
            pages = [image]
            if image.has_transparency_data:  # the ink of a drawing on a transparent page may have the page's colour
                drawing = image.convert("RGBA")
                pages = [Image.alpha_composite(Image.new("RGBA", image.size, page), drawing) for page in ("white", "black")]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise CourseError(
            say("{name} is no picture, or is damaged{why}. Copy it again, or take it away.", name=file.name, why=why)
        ) from error
    for page in pages:
        dark = np.asarray(page.convert("L")) < 128
        ink = dark if dark.mean() <= 0.5 else ~dark
        if ink.any() and ink.shape[0] == ink.shape[1]:
            return ink
    height, width = ink.shape
    what = say("blank") if height == width else say("{width} x {height} pixels", width=width, height=height)
    raise CourseError(
        say("{name} is {what}; a drawing of Omniglot is square, with ink on it. Take it away.", name=file.name, what=what)
    )
