"""Omniglot: characters of real alphabets, drawn by hand by twenty people each (Lake, Salakhutdinov & Tenenbaum 2015, Science).

The copy is the user's own: a folder or a zip file of the authors, named by FEWSHOT_LAB_OMNIGLOT or by a path, or put into the
course's cache folder as `omniglot`; or it is the optional asset of that name. Nothing is downloaded here.
"""

import functools
import hashlib
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..assets import installed
from ..errors import CourseError
from ..files import in_cache
from .episodes import Episodes, Pool, draw_episodes

SIZE = 28
VARIABLE = "FEWSHOT_LAB_OMNIGLOT"
RUNS_SHA256 = "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325"  # of the authors' all_runs.zip
_RUN = re.compile(r"run\d+/(?:(?:training|test)/[^/]+\.png|class_labels\.txt)$")


def find(path: str | Path | None = None) -> Path | None:
    """The path of Omniglot: `path`, FEWSHOT_LAB_OMNIGLOT, `omniglot` in the cache folder, or the asset; None without one.

    Raises CourseError when `path` or the environment names something that does not exist.
    """
    named = path or os.environ.get(VARIABLE)
    source = Path(named).expanduser().absolute() if named else in_cache("omniglot")
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


def runs(path: str | Path) -> tuple[Tensor, Episodes]:
    """The one-shot classification task of Lake et al. 2015: the authors' `all_runs.zip`, or its folder.

    Each run has twenty characters of one alphabet, drawn once by one person (`runNN/training`), and twenty drawings of another
    person to be classified (`runNN/test`); `class_labels.txt` says which is which. Returns all drawings, uint8 (N, 1, 28, 28),
    and the runs as episodes over them, their queries in the order of the classes. Raises CourseError for a file that holds no
    run, or one that is incomplete.
    """
    source = Path(path).expanduser()
    found: dict[str, dict[str, bytes]] = {}
    for name, content in _run_files(source):
        found.setdefault(name.split("/")[0], {})[name] = content
    drawings, support, queries = [], [], []
    for run, files in sorted(found.items()):
        lines = files.get(f"{run}/class_labels.txt", b"").decode().split("\n")
        pairs = sorted((label, item) for item, label in (line.split() for line in lines if line.strip()))
        if not pairs or any(name not in files for pair in pairs for name in pair):
            raise CourseError(
                f"{run} in {source} has no class_labels.txt, or lacks a drawing that it names. Download it again."
            )
        for rows, names in ((support, [label for label, _ in pairs]), (queries, [item for _, item in pairs])):
            rows.append(torch.arange(len(drawings), len(drawings) + len(names)))
            drawings += [files[name] for name in names]
    if not found:
        raise CourseError(f"{source} holds no runs (run01/training, run01/test). Name Omniglot's all_runs.zip or its folder.")
    support, queries = torch.stack(support)[..., None], torch.stack(queries)[..., None]
    classes = torch.arange(support.numel()).view(support.shape[:2])
    return _small([_ink(content) for content in drawings]), Episodes(support, queries, classes)


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
    # A drawing that is in two of the authors' archives (the small ones are parts of images_background.zip) counts once: else it
    # could be in the support set and among the queries. Within a character, sets of contents keep the order of the people.
    contents: dict[tuple[str, str], dict[bytes, None]] = {}
    for alphabet, character, content in sorted(_files(source), key=lambda item: item[:2]):
        contents.setdefault((alphabet, character), {})[content] = None
    drawings = {character: [_ink(content) for content in some] for character, some in contents.items()}
    if not drawings:
        raise CourseError(f"{source} holds no drawings ALPHABET/characterNN/NAME.png. Name Omniglot's zip file or its folder.")
    small = _small([drawing for some in drawings.values() for drawing in some])
    counts = torch.tensor([len(some) for some in drawings.values()])
    labels = torch.arange(len(drawings)).repeat_interleave(counts)
    classes = tuple(f"{alphabet} {character.removeprefix('character')}" for alphabet, character in drawings)
    groups = tuple(alphabet for alphabet, _ in drawings)
    return Pool("Omniglot", small, labels, classes, groups)


def _small(drawings: list[np.ndarray]) -> Tensor:
    """Drawings (105, 105) of booleans as uint8 (N, 1, 28, 28), by area means: single pixels would leave gaps in strokes."""
    ink = torch.from_numpy(np.stack(drawings))[:, None].float()
    return (F.interpolate(ink, (SIZE, SIZE), mode="area") * 255).round().to(torch.uint8)


def _run_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """(runNN/..., content) of every drawing and list of answers of the runs in a zip file or a folder, at any depth."""
    if source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                if inside := _RUN.search(name):
                    yield inside[0], archive.read(name)
    elif source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file() and (inside := _RUN.search(path.as_posix())):
                yield inside[0], path.read_bytes()


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
