"""The cache of assets: fetch, install and verify them."""

import contextlib
import difflib
import errno
import gzip
import os
import shutil
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import CourseError
from ..files import in_cache, locked, sha256_of, writing_failed
from ..languages import later, say
from .download import SourceFailed
from .manifest import ASSETS, Asset, File
from .sources import Folder, Source, obtain

MARKER = ".verified"  # a file in an asset's folder: its hashes were checked, which is too slow to repeat at every use


class AssetError(CourseError):
    """An asset that is unknown, damaged or cannot be fetched; the text names it and what to do."""


class Row(NamedTuple):
    """A line of the list of assets; `size` in bytes, `state` one of "installed", "damaged", "not fetched".

    Files that were copied in by hand count as damaged until a fetch has checked them.
    """

    name: str
    version: str
    size: int
    licence: str
    chapters: tuple[str, ...]
    state: str
    optional: bool


def fetch(name: str, progress: bool = True) -> Path:
    """Returns the folder of an asset, and fetches it first when it is not installed.

    Several processes may call it at once; an interrupted download is resumed; nothing is installed whose sha256 differs from
    the manifest's. Raises AssetError when no source could give the files, CourseError when the disk cannot be written.
    """
    asset = get_asset(name)
    if folder := installed(name):
        return folder
    target = install_folder(asset)
    with locked(target, say("{name} is being fetched by another process; waiting for it.", name=name)):
        if folder := installed(name):  # asked again: another process may have fetched it while this one waited
            return folder
        bundles = []
        if folder := os.environ.get("FEWSHOT_LAB_BUNDLE"):
            path = Path(folder).expanduser()
            bundles = [Folder(path / name / asset.version, say("the bundle {path} (FEWSHOT_LAB_BUNDLE)", path=path))]
        if progress:
            size, licence = asset.size / 1e6, asset.licence
            _tell(say("Fetching {name} ({size:.0f} MB, licence: {licence}).", name=name, size=size, licence=licence))
        install(asset, target, [*bundles, *asset.sources], progress)
    return target


def installed(name: str) -> Path | None:
    """The folder of an asset that is installed and whose files all have the right size, else None."""
    asset = get_asset(name)
    folder = install_folder(asset)
    if not (folder / MARKER).exists():
        return None
    complete = all(_size(folder / path) == file.size for path, file in asset.files.items())
    return folder if complete else None


def verify(names: Sequence[str] | None = None) -> list[str]:
    """Hashes every file of the assets (None: of all that are installed); each line says what is wrong and what to do.

    An empty list means that all is well. A damaged asset loses its marker, so that the next fetch repairs it.
    """
    findings = []
    for name in names if names is not None else [row.name for row in listing() if row.state != "not fetched"]:
        asset = get_asset(name)
        folder = install_folder(asset)
        if not folder.is_dir():
            findings.append(say("{name} is not here. Get it with `fewshot-lab assets fetch {name}`.", name=name))
            continue
        for path, file in asset.files.items():
            if problem := problem_of(folder / path, file):
                what = {"name": name, "path": folder / path, "problem": problem}
                findings.append(say("{name}: {path} {problem}. Repair it with `fewshot-lab assets fetch {name}`.", **what))
                with contextlib.suppress(OSError):
                    (folder / MARKER).unlink(missing_ok=True)
    return findings


def listing() -> list[Row]:
    """One row for every asset of the manifest."""

    def state(asset: Asset) -> str:
        if installed(asset.name):
            return later("installed")
        return later("damaged") if install_folder(asset).is_dir() else later("not fetched")

    return [Row(a.name, a.version, a.size, a.licence, a.chapters, state(a), a.optional) for a in ASSETS.values()]


def install(asset: Asset, target: Path, sources: Sequence[Source], progress: bool) -> None:
    """Gathers verified files beside `target`, then replaces it by them as a whole.

    Raises AssetError when a file is missing in the end, CourseError when the disk cannot be written.

    Args:
        asset: what is installed.
        target: its folder.
        sources: in the order in which they are tried.
        progress: shows bars.
    """
    work = target.with_name(f".{asset.version}.work")
    gathered = work / "files"
    # What is installed comes first: of a damaged asset only the damaged files are fetched again.
    present = Folder(target, say("what is there already"))
    failures = []

    def accept(path: str, candidate: Path, origin: str) -> None:
        file = asset.files[path]
        if origin.endswith(".gz") and not path.endswith(".gz"):
            candidate = _unpacked(candidate, file.size, origin)
        if problem := problem_of(candidate, file):
            candidate.unlink()
            what = {"path": path, "origin": origin, "problem": problem}
            raise SourceFailed(say("{path} from {origin} was thrown away, it is damaged: it {problem}", **what))
        (gathered / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(candidate, gathered / path)

    try:
        gathered.mkdir(parents=True, exist_ok=True)
        # An interrupted fetch leaves scratch folders, which go, and half a download and verified files, which stay.
        for left_over in work.iterdir():
            if left_over.is_dir() and left_over != gathered:
                shutil.rmtree(left_over, ignore_errors=True)
        for path, file in asset.files.items():
            if problem_of(gathered / path, file):
                (gathered / path).unlink(missing_ok=True)
        for source in [present, *sources]:
            missing = [path for path in asset.files if not (gathered / path).exists()]
            if not missing:
                break
            try:
                obtain(source, asset, missing, work, accept, progress)
            except SourceFailed as failure:
                if source is not present:
                    failures.append(f"{source}: {failure}")
                    _tell(f"{asset.name}: {failures[-1]}")
        if any(not (gathered / path).exists() for path in asset.files):
            raise AssetError(_way_out(asset, target, failures))
        # The marker last: a folder that has it is complete.
        (gathered / MARKER).write_text("The sha256 of every file was checked.\n")
        if target.exists():
            os.replace(target, work / "replaced")
        os.replace(gathered, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # a full disk: what was gathered would only keep it full
            shutil.rmtree(work, ignore_errors=True)
        raise writing_failed(Path(error.filename or target), error) from error
    shutil.rmtree(work, ignore_errors=True)


def _way_out(asset: Asset, target: Path, failures: Sequence[str]) -> str:
    """The text of the error when all sources failed: what was tried, and what a person can do."""
    tried = "\n".join(f"  {number}. {failure}" for number, failure in enumerate(failures, 1))
    return say(
        "The asset {name!r} ({note}) is not on this machine and could not be fetched.\nTried:\n{tried}\n"
        "What to do, one of:\n"
        "  - with a network: run `fewshot-lab assets fetch {name}` again (it goes on where it stopped);\n"
        "  - on a machine with a network: `fewshot-lab assets bundle FOLDER {name}`; bring FOLDER here and run\n"
        "    `fewshot-lab assets use FOLDER`, or set FEWSHOT_LAB_BUNDLE=FOLDER;\n"
        "  - put these files by hand into {target}: {files}.",
        name=asset.name,
        note=say(asset.note),
        tried=tried,
        target=target,
        files=", ".join(asset.files),
    )


def _unpacked(packed: Path, size: int, origin: str) -> Path:
    """Unpacks a gzip file beside itself and removes the packed one.

    At most one byte more than `size` is unpacked: enough to be recognised as wrong, and no bomb fills the disk.
    """
    plain = packed.with_name(f"{packed.name}.plain")
    try:
        with gzip.open(packed) as source, open(plain, "wb") as file:
            left = size + 1
            while left and (chunk := source.read(min(left, 2**20))):
                file.write(chunk)
                left -= len(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        plain.unlink()
        raise SourceFailed(
            say("{origin} was thrown away, it is damaged: it cannot be unpacked ({error})", origin=origin, error=error)
        ) from error
    finally:
        packed.unlink()
    return plain


def problem_of(path: Path, file: File) -> str:
    """What is wrong with a file ("is missing", "has 3 bytes, ..."); "" when its size and sha256 are right."""
    # The size first: it is known at once, and most damaged files are too short.
    size = _size(path)
    if size is None:
        return say("is missing")
    if size != file.size:
        return say("has {size:,} bytes, expected {expected:,}", size=size, expected=file.size)
    actual = sha256_of(path)
    if actual == file.sha256:
        return ""
    return say("has sha256 {actual}, expected {expected}", actual=actual, expected=file.sha256)


def get_asset(name: str) -> Asset:
    """The asset of that name; raises AssetError with the nearest name for another."""
    if name in ASSETS:
        return ASSETS[name]
    close = difflib.get_close_matches(name, ASSETS, 1)
    guess = say(" Did you mean {close!r}?", close=close[0]) if close else ""
    raise AssetError(
        say("There is no asset {name!r}.{guess} The assets are {known}.", name=name, guess=guess, known=", ".join(ASSETS))
    )


def install_folder(asset: Asset) -> Path:
    """Where an asset is or will be installed: a folder of the cache for each version."""
    return in_cache("assets", asset.name, asset.version)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
