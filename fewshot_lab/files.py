"""Files of the course: the cache folder, atomic writes, locks, results kept on disk."""

import contextlib
import errno
import hashlib
import io
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CourseError
from .languages import say

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor


def home() -> Path:
    """The folder of downloaded and prepared data: FEWSHOT_LAB_HOME, else the user's cache folder."""
    if folder := os.environ.get("FEWSHOT_LAB_HOME"):
        return Path(folder).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("fewshot-lab", appauthor=False))


def in_cache(*parts: str) -> Path:
    """The path of a file or folder of the cache: in the folder FEWSHOT_LAB_SHARED where it has it, else in `home()`.

    A class reads one shared folder that is filled beforehand (docs/hub.md); what it lacks is made in each user's own. Raises
    CourseError where that folder is named and not there.
    """
    if named := os.environ.get("FEWSHOT_LAB_SHARED"):
        folder = Path(named).expanduser()
        if not folder.is_dir():  # each user of the class would silently fetch everything
            raise CourseError(
                say("FEWSHOT_LAB_SHARED is {named}, but there is no such folder. Correct it, or leave it empty.", named=named)
            )
        if (path := folder.joinpath(*parts)).exists():
            return path
    return home().joinpath(*parts)


PLACES = tuple(f"FEWSHOT_LAB_{name}" for name in "HOME COURSE BUNDLE OMNIGLOT BOARD HAND_IN SHARED OWN".split())


def places_from_here() -> None:
    """Makes paths in the environment absolute: kernels and workers, which start in other folders, take them from there."""
    for name in PLACES:
        if path := os.environ.get(name):
            os.environ[name] = str(Path(path).expanduser().absolute())


def sha256_of(path: Path) -> str:
    """The sha256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def writing_failed(path: Path, error: OSError) -> CourseError:
    """The CourseError that explains why `path` could not be written and what to do."""
    reason = {
        errno.ENOSPC: say("the disk is full: free some space or choose another folder"),
        errno.EDQUOT: say("your disk quota is used up: free some space or choose another folder"),
        errno.EROFS: say("the file system is read-only: choose a folder that you may write to"),
        errno.EACCES: say("you may not write there: choose a folder of your own"),
        errno.EPERM: say("you may not write there: choose a folder of your own"),
        errno.ENOTDIR: say("a part of that path is a file, not a folder: choose another folder"),
        errno.EEXIST: say("a file of that name is in the way: choose another folder"),
    }.get(error.errno) or say("{error}: choose another folder", error=error.strerror or error)
    return CourseError(say("Cannot write {path}: {reason}.", path=path, reason=reason))


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part; raises CourseError with advice."""
    path = Path(path)
    # A name that came from elsewhere may hold half a character, which UTF-8 cannot write: a question mark stands for it.
    data = content.encode(errors="replace") if isinstance(content, str) else content
    temporary = None
    # Written beside the file, flushed to the disk and renamed: a rename within one folder is atomic.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.parent / f".{path.name}.{secrets.token_hex(4)}"
        # Not as tempfile does it, whose files are their owner's alone: who may read it is what the user's umask says.
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), "wb") as file:
            temporary = name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # Ctrl-C too must leave no temporary file
        if temporary:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise writing_failed(path, error) from error
        raise


@contextlib.contextmanager
def locked(target: Path, waiting: str) -> Iterator[None]:
    """Holds a lock beside `target` while active; prints `waiting` when another process holds it, and waits.

    Raises CourseError where no lock file can be written.
    """
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(timeout=0)  # without waiting, to learn whether the message is needed
        except Timeout:
            print(waiting, file=sys.stderr, flush=True)
            lock.acquire()
    except OSError as error:
        raise writing_failed(target.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def arrays_on_disk(path: Path, make: "Callable[[], dict[str, ndarray]]", waiting: str) -> "dict[str, ndarray]":
    """The arrays in an .npz file, written with what `make` returns where it is not there or damaged.

    An interrupted `make` leaves nothing behind, and of several processes one makes them: the others print `waiting`, and wait.
    """
    import zipfile
    import zlib

    import numpy as np

    def stored() -> "dict[str, ndarray] | None":
        try:
            return dict(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):  # not there yet, or damaged
            return None

    if (arrays := stored()) is None:
        with locked(path, say(waiting)):
            if (arrays := stored()) is None:  # asked again: another process may have made them
                arrays = make()
                buffer = io.BytesIO()
                np.savez_compressed(buffer, **arrays)
                write_atomically(path, buffer.getvalue())
    return arrays


def cached_on_disk(name: str, content: bytes, compute: "Callable[[], Tensor]") -> "Tensor":
    """The result of `compute` (a CPU tensor), from the cache folder when it was computed from the same `content` before.

    name: the beginning of the file's name; change it when the computation changes. content: everything that the result depends
    on; its sha256 is the key. compute: is called without arguments.
    """
    import numpy as np
    import torch

    path = in_cache("features", f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.npy")
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):  # not there yet, or damaged: compute it again
        result = compute()
    buffer = io.BytesIO()
    np.save(buffer, result.numpy())
    write_atomically(path, buffer.getvalue())
    return result
