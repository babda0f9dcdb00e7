"""The cache of assets: fetch, verify, and carry them to a machine without a network."""

import contextlib
import difflib
import errno
import gzip
import hashlib
import os
import shutil
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import CourseError
from ..files import home, locked, writing_failed
from .download import SourceFailed
from .manifest import ASSETS, Asset, File
from .sources import Folder, Source, obtain

MARKER = ".verified"


class AssetError(CourseError):
    """An asset that is unknown, damaged or cannot be fetched; the text names it and the way out."""


class Row(NamedTuple):
    """A line of the list of assets; `size` in bytes, `state` one of "installed", "damaged", "not fetched".

    Files that were put there by hand count as damaged until a fetch has checked them.
    """

    name: str
    version: str
    size: int
    licence: str
    chapters: tuple[str, ...]
    state: str


def fetch(name: str, progress: bool = True) -> Path:
    """Returns the folder of an asset, fetching it first when it is not installed.

    Safe with several processes; goes on with an interrupted download; nothing is installed that differs from the
    manifest's sha256. Raises AssetError when no source could give the files, CourseError when the disk cannot be
    written.
    """
    asset = named(name)
    if folder := installed(name):
        return folder
    target = target_of(asset)
    with locked(target, f"{name} is being fetched by another process; waiting for it."):
        if folder := installed(name):
            return folder
        bundles = []
        if given := os.environ.get("FEWSHOT_LAB_BUNDLE"):
            path = Path(given).expanduser()
            bundles = [Folder(path / name / asset.version, f"the bundle {path} (FEWSHOT_LAB_BUNDLE)")]
        if progress:
            _say(f"Fetching {name} ({asset.size / 1e6:.0f} MB, licence: {asset.licence}).")
        install(asset, target, [*bundles, *asset.sources], progress)
    return target


def installed(name: str) -> Path | None:
    """The folder of an asset that is installed and whose files all have the right size, else None."""
    asset = named(name)
    folder = target_of(asset)
    if not (folder / MARKER).exists():
        return None
    complete = all(_size(folder / path) == file.size for path, file in asset.files.items())
    return folder if complete else None


def verify(names: Sequence[str] | None = None) -> list[str]:
    """Hashes every file of the assets (None: of all that are here); each line says what is wrong and what to do.

    An empty list means that all is well. A damaged asset is marked, so that the next fetch repairs it.
    """
    findings = []
    for name in names if names is not None else [row.name for row in listing() if row.state != "not fetched"]:
        asset = named(name)
        folder = target_of(asset)
        if not folder.is_dir():
            findings.append(f"{name} is not here. Get it with `fewshot-lab assets fetch {name}`.")
            continue
        for path, file in asset.files.items():
            if problem := problem_of(folder / path, file):
                findings.append(f"{name}: {folder / path} {problem}. Repair it with `fewshot-lab assets fetch {name}`.")
                with contextlib.suppress(OSError):
                    (folder / MARKER).unlink(missing_ok=True)
    return findings


def listing() -> list[Row]:
    """One row for every asset of the manifest."""

    def state(asset: Asset) -> str:
        if installed(asset.name):
            return "installed"
        return "damaged" if target_of(asset).is_dir() else "not fetched"

    return [Row(a.name, a.version, a.size, a.licence, a.chapters, state(a)) for a in ASSETS.values()]


def install(asset: Asset, target: Path, sources: Sequence[Source], progress: bool) -> None:
    """Gathers verified files beside `target`, then puts them in its place as a whole."""
    work = target.with_name(f".{asset.version}.work")
    gathered = work / "files"
    there_already = Folder(target, "what is there already")
    failures = []

    def keep(path: str, candidate: Path, origin: str) -> None:
        file = asset.files[path]
        if origin.endswith(".gz") and not path.endswith(".gz"):
            candidate = _unpacked(candidate, file.size, origin)
        if problem := problem_of(candidate, file):
            candidate.unlink()
            raise SourceFailed(f"{path} from {origin} was thrown away, it is damaged: it {problem}")
        (gathered / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(candidate, gathered / path)

    try:
        gathered.mkdir(parents=True, exist_ok=True)
        for left_over in work.iterdir():
            if left_over.is_dir() and left_over != gathered:
                shutil.rmtree(left_over, ignore_errors=True)
        for path, file in asset.files.items():
            if problem_of(gathered / path, file):
                (gathered / path).unlink(missing_ok=True)
        for source in [there_already, *sources]:
            missing = [path for path in asset.files if not (gathered / path).exists()]
            if not missing:
                break
            try:
                obtain(source, asset, missing, work, keep, progress)
            except SourceFailed as failure:
                if source is not there_already:
                    failures.append(f"{source}: {failure}")
                    _say(f"{asset.name}: {failures[-1]}")
        if any(not (gathered / path).exists() for path in asset.files):
            raise AssetError(_way_out(asset, target, failures))
        (gathered / MARKER).write_text("The sha256 of every file was checked.\n")
        if target.exists():
            os.replace(target, work / "replaced")
        os.replace(gathered, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            shutil.rmtree(work, ignore_errors=True)
        raise writing_failed(Path(error.filename or target), error) from error
    shutil.rmtree(work, ignore_errors=True)


def _way_out(asset: Asset, target: Path, failures: Sequence[str]) -> str:
    tried = "\n".join(f"  {number}. {failure}" for number, failure in enumerate(failures, 1))
    return (
        f"The asset {asset.name!r} ({asset.note}) is not on this machine and could not be fetched.\nTried:\n{tried}\n"
        "What to do, one of:\n"
        f"  - with a network: run `fewshot-lab assets fetch {asset.name}` again (it goes on where it stopped);\n"
        f"  - on a machine with a network: `fewshot-lab assets bundle FOLDER {asset.name}`; bring FOLDER here and run\n"
        "    `fewshot-lab assets use FOLDER`, or set FEWSHOT_LAB_BUNDLE=FOLDER;\n"
        f"  - put these files by hand into {target}: {', '.join(asset.files)}."
    )


def _unpacked(packed: Path, size: int, origin: str) -> Path:
    """Unpacks a gzip file of at most `size` bytes beside itself and removes the packed one."""
    plain = packed.with_name(f"{packed.name}.plain")
    try:
        with gzip.open(packed) as source, open(plain, "wb") as file:
            left = size + 1
            while left and (piece := source.read(min(left, 2**20))):
                file.write(piece)
                left -= len(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        plain.unlink()
        raise SourceFailed(f"{origin} was thrown away, it is damaged: it cannot be unpacked ({error})") from error
    finally:
        packed.unlink()
    return plain


def problem_of(path: Path, file: File) -> str:
    """What is wrong with a file ("is missing", "has 3 bytes, ..."); "" when its size and sha256 are right."""
    size = _size(path)
    if size is None:
        return "is missing"
    if size != file.size:
        return f"has {size:,} bytes, expected {file.size:,}"
    got = sha256_of(path)
    return "" if got == file.sha256 else f"has sha256 {got}, expected {file.sha256}"


def sha256_of(path: Path) -> str:
    """The sha256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def named(name: str) -> Asset:
    if name in ASSETS:
        return ASSETS[name]
    close = difflib.get_close_matches(name, ASSETS, 1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    raise AssetError(f"There is no asset {name!r}.{guess} The assets are {', '.join(ASSETS)}.")


def target_of(asset: Asset) -> Path:
    return home() / "assets" / asset.name / asset.version


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
