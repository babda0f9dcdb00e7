"""The libraries of the course in a bundle: wheels for machines like this one, and a list of them with their sha256.

On a machine without a network the Makefile installs exactly what is listed (make run BUNDLE=FOLDER): pip refuses a wheel whose
sha256 differs.
"""

import contextlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..files import sha256_of, write_atomically, writing_failed
from ..languages import say
from .sources import reason_in, run_program
from .store import AssetError

_CONSTRAINT = "--constraint="
GB_WITH_CUDA, GB_WITHOUT = 4.0, 1.5  # more than the wheels have taken so far


class _Library(NamedTuple):
    """One file that pip would install, a wheel or a source to build one from; `sha256`: the index's own, "" where unknown."""

    name: str
    version: str
    url: str
    sha256: str

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[-1].replace("%2B", "+")


def bundle_wheels(folder: Path, requirements: Sequence[str], free_bytes: int | None = None) -> Path:
    """Downloads into FOLDER/wheels all that pip needs for the requirements on this machine; returns the path of their list.

    Wheels that are complete already are kept. Raises AssetError when the index does not give a file or the disk is too small,
    CourseError when the folder cannot be written.

    Args:
        folder: the bundle's.
        requirements: as for pip.
        free_bytes: the space that must be free beside the wheels that are there; None for a little more than the libraries of
            the course have taken so far.
    """
    wheels = Path(folder).expanduser() / "wheels"
    try:
        wheels.mkdir(parents=True, exist_ok=True)
        libraries = _resolved(requirements)
        missing = [library for library in libraries if not _complete(library, wheels)]
        _check_space(wheels, libraries, missing, free_bytes)
        for number, library in enumerate(missing, 1):
            numbers = {"number": number, "total": len(missing)}
            _obtain(library, wheels, say("{name} ({number} of {total})", name=library.name, **numbers))
    except OSError as error:
        raise writing_failed(Path(error.filename or wheels), error) from error
    lines = [f"{it.name}=={it.version} --hash=sha256:{sha256_of(_complete(it, wheels))}\n" for it in libraries]
    machine = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {sysconfig.get_platform()}"
    listed = wheels / f"{this_machine()}.txt"
    write_atomically(listed, f"# Wheels for {machine}, by `fewshot-lab assets bundle --wheels`.\n{''.join(sorted(lines))}")
    return listed


def setup_requirements(root: Path) -> list[str]:
    """What `make setup` installs for the course in the folder `root`, and what builds the course, as words for pip."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    pins = root / ".constraints.txt"
    constraint = [f"{_CONSTRAINT}{pins}"] if pins.exists() else []
    return [f"{root}[test]", "pip", *project["build-system"]["requires"], *constraint]


def this_machine() -> str:
    """The Python and system of the wheels made here, such as "python3.11-linux-x86_64"; the Makefile computes the same."""
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-{sysconfig.get_platform()}"


def _pip(words: Sequence[str], scratch: Path, title: str) -> None:
    """Runs pip in a scratch folder; raises AssetError with the reason that pip gives."""
    command = [sys.executable, "-m", "pip", *words, "--disable-pip-version-check", "--no-input"]
    code, output = run_program(command, scratch, title, progress=True)
    if code:
        raise AssetError(
            say(
                "pip could not get what the course needs ({title}): {reason_in}\nWith a network, run the same "
                "command again: it goes on where it stopped.",
                title=title,
                reason_in=reason_in(output, ("ERROR:", "No module", sys.executable)),
            )
        )


def _resolved(requirements: Sequence[str]) -> list[_Library]:
    """The files that pip would install into an empty environment of this Python."""
    # By pip's own resolver, in a dry run: what it reports is what an installation would take.
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ["install", "--dry-run", "--ignore-installed", f"--report={report}"]
        title = say("Asking which libraries are needed")
        free = [word for word in requirements if not word.startswith(_CONSTRAINT)]
        try:
            _pip([*words, *requirements], Path(folder), title)
        except AssetError:
            if len(free) == len(requirements):
                raise
            _pip([*words, *free], Path(folder), title)  # as the Makefile does where a tested version cannot be had
        planned = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [
        _Library(
            each["metadata"]["name"],
            each["metadata"]["version"],
            each["download_info"]["url"],
            each["download_info"]["archive_info"].get("hashes", {}).get("sha256", ""),
        )
        for each in planned
        if "archive_info" in each["download_info"]  # else it is the course itself, which its clone brings
    ]


def _complete(library: _Library, wheels: Path) -> Path | None:
    """The path of the library's wheel, None when it is missing or damaged."""
    if library.file.endswith(".whl"):
        path = wheels / library.file
        return path if path.exists() and library.sha256 in ("", sha256_of(path)) else None
    name = library.name.replace("-", "_").replace(".", "_")
    for path in sorted(wheels.glob(f"*-{library.version}-*.whl")):  # built here: its sha256 is nobody's but ours
        if path.name.split("-")[0].lower() == name.lower():
            with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
                if archive.testzip() is None:
                    return path
    return None


def _check_space(wheels: Path, libraries: Sequence[_Library], missing: Sequence[_Library], needed: int | None) -> None:
    """Raises AssetError when the disk is too small for what is missing, before anything is downloaded."""
    free, present = shutil.disk_usage(wheels).free, sum(path.stat().st_size for path in wheels.glob("*.whl"))
    if needed is None:
        cuda = any(library.name.startswith("nvidia") for library in libraries)
        needed = int(1e9 * (GB_WITH_CUDA if cuda else GB_WITHOUT)) - present
    if missing and free < needed:
        raise AssetError(
            say(
                "The libraries need up to {needed:.1f} GB more, but {wheels} has {free:.1f} GB free. Free some "
                "space or choose a larger stick. Nothing was downloaded.",
                needed=needed / 1e9,
                wheels=wheels,
                free=free / 1e9,
            )
        )


def _obtain(library: _Library, wheels: Path, title: str) -> None:
    """Has pip download one wheel, or build it where there is only a source; pip checks the index's sha256."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        url = f"{library.url}#sha256={library.sha256}" if library.sha256 else library.url
        _pip(["wheel", "--no-deps", "--no-cache-dir", f"--wheel-dir={scratch / 'made'}", url], scratch, title)
        [made] = (scratch / "made").glob("*.whl")
        # Copied under another name and renamed, because the scratch folder may be on another disk: never half a wheel.
        part = wheels / f".{made.name}.part"
        shutil.copyfile(made, part)
        os.replace(part, wheels / made.name)
