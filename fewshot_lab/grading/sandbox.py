"""The sandbox as the grader sees it: a template process, and its forked children, in which submissions run.

Loading torch takes seconds and forking takes milliseconds, so the template loads everything once and stays.
"""

import base64
import contextlib
import functools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..checking.errors import RemoteEnded
from ..errors import CourseError
from ..exercises import inspectors
from ..languages import say
from . import calls
from .inside import confine, wire

HERE = Path(__file__).parent / "inside"
MODULES = {name: HERE / name for name in ("worker.py", "confine.py", "wire.py")}
MODULES |= {"inspectors.py": Path(inspectors.__file__)}
INSIDE = "/sandbox"  # where the worker's modules are in the sandbox; nothing else of the package is there
START_SECONDS = 120
LONGEST_WAIT = 10  # times the limit: how long an answer may take that has to share its core
# What Python needs of the system. Nothing of /etc but what the linker reads: no users, no keys, no host names.
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
WAITED = struct.Struct("!cd")  # what a supervisor tells, see worker.py
for _thing in inspectors.THINGS:
    wire.thing(_thing)


@dataclass(frozen=True)
class Limits:
    """What one submission may use: bytes of memory and of disk, seconds of CPU, processes and threads."""

    memory: int = 2 * 2**30
    disk: int = 64 * 2**20
    cpu_seconds: int = 120
    processes: int = 32


class Ended(RemoteEnded):
    """The child ended, was too slow, or sent what is no answer. `why`: "ended", "timeout" or "nonsense"."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


class Child:
    """One run of a submission: `ask` sends an order and waits for the answer, `close` ends it and returns the report."""

    def __init__(self, line: socket.socket, control: socket.socket):
        self._line, self._control = line, control
        self._begun, self._lost, self._report = time.monotonic(), 0.0, b""  # _report: the beginning of one that came early

    def clock(self) -> float:
        """The seconds of this child: those that have passed, without those that it waited for a core.

        So a neighbour that takes the cores does not take an answer's time; one that sleeps has none to give back.
        """
        return time.monotonic() - self._begun - self.lost()

    def lost(self) -> float:
        """For how many seconds it waited for a core, up to nine in ten of all."""
        try:
            self._control.settimeout(1.0)
            self._control.sendall(b"?")
            told = self._control.recv(WAITED.size)
        except OSError:
            told = b""
        if told[:1] == b"w" and len(told) == WAITED.size:
            passed = time.monotonic() - self._begun
            self._lost = max(self._lost, min(WAITED.unpack(told)[1], passed * (1 - 1 / LONGEST_WAIT)))
        else:
            self._report += told  # it has ended, and this is its report
        return self._lost

    def ask(self, order: dict, seconds: float) -> dict:
        """The child's answer to an order; raises Ended when none comes within `seconds`, or when it is no valid message.

        The seconds are those of the child's `clock`.
        """
        try:
            stream = _DeadlineStream(self._line, seconds, self.clock)
            wire.send(stream, order)
            answer = wire.receive(stream)
        except TimeoutError as error:
            raise Ended("timeout") from error
        except (OSError, EOFError) as error:
            raise Ended("ended") from error
        except wire.WireError as error:
            raise Ended("nonsense") from error
        # Hostile code can write to this line too, so not even the shape of an answer can be taken for granted.
        if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
            raise Ended("nonsense")
        return answer

    def close(self) -> dict:
        """Ends the child if it still runs; returns {"exit", "stopped", "memory", "cpu_seconds", "output", "output_bytes"}."""
        self._line.close()
        try:
            # A well-behaved child ends by itself once its line is closed. One that does not is killed by its supervisor,
            # which sees our end of `control` close for writing and then has 30 seconds to send its report.
            self._control.settimeout(0.3)
            report = self._read()
            if not report:
                self._control.shutdown(socket.SHUT_WR)
                self._control.settimeout(30)
                report = self._read()
        except OSError:
            report = b""
        finally:
            self._control.close()
        while report[:1] == b"w":  # told too late, and nobody waited for it
            report = report[WAITED.size :]
        return json.loads(report) if report else {"exit": None, "stopped": True, "output": "", "output_bytes": 0}

    def _read(self) -> bytes:
        parts, self._report = [self._report], b""
        try:
            while part := self._control.recv(65536):
                parts.append(part)
        except TimeoutError:
            pass
        return b"".join(parts)


class _DeadlineStream:
    """A socket stream with one deadline for all reads and writes, by a clock that may run slower than the wall's.

    A timeout for each read would not do: a child that sends a byte now and then could keep the grader waiting for ever.
    """

    def __init__(self, line: socket.socket, seconds: float, clock: Callable[[], float]):
        self._line, self._clock = line, clock
        self._seconds, self._soon = seconds, time.monotonic() + seconds  # the clock is asked from then on
        self._began = clock()

    def read(self, count: int) -> bytes:
        while True:
            self._wait()
            with contextlib.suppress(TimeoutError):
                return self._line.recv(count)

    def write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            self._wait()
            with contextlib.suppress(TimeoutError):
                view = view[self._line.send(view) :]

    def flush(self) -> None:
        pass

    def _wait(self) -> None:
        left = self._soon - time.monotonic()
        if left <= 0:
            left = self._seconds - (self._clock() - self._began)
            if left <= 0:
                raise TimeoutError
            self._soon = time.monotonic() + left
        self._line.settimeout(left)


class Sandbox:
    """A confined template process with torch loaded; `child()` forks from it in milliseconds. A context manager.

    Args:
        means: how it is confined, as `means()` returns it, or "none".
        limits: what each child may use.
        slot: with root, the children run as user 64000 + slot, since Linux counts processes by user, not by sandbox.
    """

    def __init__(self, means: str, limits: Limits, slot: int = 0):
        self.means, self.limits, self.slot = means, limits, slot
        self._lock = threading.Lock()
        self._start()

    def child(self) -> Child:
        """A new child; restarts the template if it has died. Raises CourseError when the sandbox cannot be made."""
        ours, theirs = socket.socketpair()
        our_control, their_control = socket.socketpair()
        job = {"slot": self.slot, "limits": vars(self.limits), "confined": self.means != "none"}
        job["refused"] = base64.b64encode(calls.program()).decode()
        with self._lock:
            if self._process.poll() is not None:
                self._start()
            socket.send_fds(self._jobs, [json.dumps(job).encode()], [theirs.fileno(), their_control.fileno()])
        # The child has its own copies. If we kept ours open, we would never see the line end when the child dies.
        theirs.close()
        their_control.close()
        return Child(ours, our_control)

    def close(self) -> None:
        self._jobs.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        command = _command(self.means, theirs.fileno())
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(self.means),
            start_new_session=True,  # Ctrl-C at the terminal reaches the grader only
        )
        theirs.close()
        self._jobs = ours
        ours.settimeout(START_SECONDS)
        try:
            greeting = ours.recv(16)
        except TimeoutError:
            greeting = b""
        ours.settimeout(None)
        if greeting != b"ready\n":
            self._process.kill()
            words = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            raise CourseError(
                say(
                    "The sandbox ({means}) does not start: {reason}",
                    means=self.means,
                    reason=(words or [say("it gave no reason")])[-1],
                )
            )
        # Someone must read what it writes, or the pipe fills up and the template stops.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()


@functools.cache
def means() -> str | None:
    """How submissions are confined on this machine: "bubblewrap", "namespaces", or None when neither works.

    Each is tried for real, by a probe that makes the namespaces and mounts of a child: that a program is installed says little,
    since containers and some distributions forbid user namespaces.
    """
    if not sys.platform.startswith("linux"):
        return None
    for name in ("bubblewrap", "namespaces"):  # the program that many eyes have reviewed first, our own mounts second
        if name == "namespaces" or shutil.which("bwrap"):
            ours, theirs = socket.socketpair()
            command = _command(name, theirs.fileno(), "probe")
            with ours, theirs, contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    command, pass_fds=[theirs.fileno()], env=_environment(name), capture_output=True, timeout=START_SECONDS
                )
                theirs.close()  # otherwise recv would wait for ever after a probe that wrote nothing
                if ours.recv(16) == b"ready\n":
                    return name
    return None


def _python_paths() -> list[str]:
    """The folders that this Python needs: its installation, the virtual environment and the package folders on its path."""
    paths = {sys.base_prefix, sys.prefix, *(p for p in sys.path if p.endswith(("site-packages", "dist-packages")))}
    return sorted(p for p in paths if os.path.isdir(p) and not p.startswith("/usr/"))


def _hidden() -> list[str]:
    """The course's own package, if it is installed among the libraries that the sandbox sees: an empty folder covers it.

    It holds the reference solutions, which no submission may read.
    """
    site = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path}
    package = str(HERE.parent)
    return [package] if str(HERE.parent.parent) in site and any(package.startswith(p + "/") for p in _python_paths()) else []


def _environment(means: str) -> dict[str, str]:
    # Nothing else of the grader's environment goes in: it may hold keys, and its PYTHON* variables would change the worker.
    keep = {key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ}
    scratch = confine.SCRATCH if means != "none" else tempfile.gettempdir()
    return {"PATH": "/usr/bin:/bin", "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", **keep}


def _command(means: str, line: int, task: str = "main") -> list[str]:
    """The command that runs the worker's `task` in the sandbox; `line` is the descriptor of its line to the grader."""
    python = [sys.executable, "-I", "-B"]  # no user site, no PYTHON* variables; no .pyc files into read-only folders
    if means == "none":
        folders = {path.parent for path in MODULES.values()}
        code = f"import sys; sys.path[:0] = {sorted(map(str, folders))!r}; import worker; worker.{task}({line})"
        return [*python, "-c", code]
    code = f"import sys; sys.path.insert(0, {INSIDE!r}); import worker; worker.{task}({line})"
    if means == "namespaces":
        inside = {path: path for path in [*SYSTEM, *_python_paths()] if os.path.exists(path)}
        inside |= {f"{INSIDE}/{name}": str(path) for name, path in MODULES.items()}
        enter = f"import sys; sys.path.insert(0, {str(HERE)!r}); import confine; sys.path.pop(0)\n"
        return [*python, "-c", f"{enter}confine.enter_root({inside!r}, {_hidden()!r})\n{code}"]
    arguments = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.getuid():
        arguments += ["--unshare-user"]
    else:  # root keeps only the rights to become another user and to end that user's processes
        arguments += [word for right in ("SETUID", "SETGID", "KILL") for word in ("--cap-add", f"CAP_{right}")]
    arguments += ["--die-with-parent", "--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--perms", "755", "--dir", "/tmp", "--perms", "1777", "--tmpfs", confine.SCRATCH]
    for path in SYSTEM:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            arguments += ["--ro-bind", path, path]
    for path in _python_paths():
        for parent in reversed(Path(path).parents[:-1]):  # bubblewrap would make them for its own user only
            arguments += ["--perms", "755", "--dir", str(parent)]
        arguments += ["--ro-bind", path, path]
    arguments += ["--perms", "755", "--dir", INSIDE]
    for path in _hidden():
        arguments += ["--tmpfs", path]
    for name, path in MODULES.items():
        arguments += ["--ro-bind", str(path), f"{INSIDE}/{name}"]
    # Last, since bubblewrap obeys its arguments in order: the root must be writable while the folders above are made.
    return [*arguments, "--remount-ro", "/", "--", *python, "-c", code]
