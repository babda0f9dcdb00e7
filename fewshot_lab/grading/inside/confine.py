"""Confines a process by Linux's own means: namespaces, mounts, limits. Imports nothing of ours, since it runs first.

The order matters everywhere: each step gives up a right that the steps before it needed.
"""

import contextlib
import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH, _NO_NEW_PRIVILEGES, _DIE_WITH_PARENT, _SET_SECCOMP, _FILTER = 2, 38, 1, 22, 2
NOBODY = 64000  # with root, slot n of the sandbox runs as the user with this number + n
SCRATCH = "/scratch"  # home, working folder and temporary folder in one


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Gives this process namespaces of its own; a pid namespace begins with its next child."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str = "") -> None:
    _checked(
        _libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), options.encode()),
        f"mount {target}",
    )


def enter_root(read_only: dict[str, str], hidden: list[str]) -> None:
    """Does bubblewrap's work where it is missing: continues in new namespaces, in a root directory that holds only these paths.

    It returns in a child, the first process of the new pid namespace; the calling process waits for the child and ends with it.
    read_only: {path inside: path outside}. hidden: folders inside that an empty one covers.
    """
    # Root keeps its rights while it mounts, to reach every file; anyone else needs a user namespace in order to mount at all.
    user, group = os.getuid(), os.getgid()
    unshare(NEWNS | NEWIPC | NEWUTS | NEWNET | NEWPID | (NEWUSER if user else 0))
    if user:
        _map_ids(user, group)
    if child := os.fork():
        os._exit(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    die_with_parent()
    mount("none", "/", None, _RECURSIVE | _PRIVATE)  # first: otherwise all mounts below would appear on the machine itself
    # The new root is built on a folder that exists and whose content nobody needs: the mount covers it.
    outsides = tuple(read_only.values())
    root = next(path for path in ("/mnt", "/media", "/srv", "/tmp") if os.path.isdir(path) and not _holds(path, outsides))
    mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEVICES, "size=16m,mode=755")
    for inside, outside in read_only.items():
        target = Path(root + inside)
        if os.path.isdir(outside):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mount(outside, str(target), None, _BIND | _RECURSIVE)
        _read_only(str(target))
    for path in hidden:
        mount("tmpfs", root + path, "tmpfs", _READ_ONLY, "size=4k")
    for device in ("null", "zero", "urandom", "random"):
        target = Path(root, "dev", device)
        target.parent.mkdir(exist_ok=True)
        target.touch()
        mount(f"/dev/{device}", str(target), None, _BIND)
    for name in ("proc", "tmp", "old", "dev/shm", SCRATCH[1:]):
        Path(root, name).mkdir(parents=True, exist_ok=True)
    mount("proc", f"{root}/proc", "proc", _NO_SUID | _NO_DEVICES)
    mount("tmpfs", root + SCRATCH, "tmpfs", _NO_SUID | _NO_DEVICES, "size=16m,mode=1777")
    # pivot_root rather than chroot: afterwards the old root can be unmounted, and there is nothing left to escape to.
    _checked(_libc.syscall(_call_number(155, 41), root.encode(), f"{root}/old".encode()), "pivot_root")
    os.chdir("/")
    _checked(_libc.umount2(b"/old", _DETACH), "umount")
    os.rmdir("/old")
    mount("none", "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)  # last: the steps above write into it


def _holds(folder: str, paths) -> bool:
    return any(path.startswith(f"{folder}/") for path in paths)


def _read_only(target: str) -> None:
    """Makes a mount read-only. A user namespace may not drop flags that the mount had, so they are tried in turn."""
    for kept in (0, _NO_SUID, _NO_SUID | _NO_DEVICES, _NO_DEVICES, _NO_SUID | _NO_DEVICES | 1024):
        try:
            return mount("none", target, None, _REMOUNT | _BIND | _READ_ONLY | kept)
        except PermissionError:
            continue
    raise PermissionError(f"{target} cannot be made read-only")


def _call_number(x86_64: int, aarch64: int) -> int:
    """The number of a system call that the C library does not wrap; other machines count as aarch64 does."""
    return x86_64 if os.uname().machine == "x86_64" else aarch64


def _map_ids(user: int, group: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")  # the kernel asks for this before it takes gid_map from a plain user
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def leave_rights(slot: int) -> None:
    """Becomes user 64000 + slot if this is root, then enters user, mount, network and pid namespaces (fork afterwards)."""
    # A session keyring of its own: the grader's would be there to read, and its keys for the next submission.
    _libc.syscall(_call_number(250, 219), 1, None)  # keyctl, KEYCTL_JOIN_SESSION_KEYRING
    if os.getuid() == 0:
        os.setgroups([])  # groups before the user: afterwards there is no right to change them
        os.setresgid(*[NOBODY + slot] * 3)
        os.setresuid(*[NOBODY + slot] * 3)
        _libc.prctl(4, 1, 0, 0, 0)  # dumpable again, or /proc/self belongs to root
    user, group = os.getuid(), os.getgid()
    unshare(NEWUSER | NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS)
    _map_ids(user, group)


def private_folders(disk: int) -> None:
    """Mounts empty folders of `disk` bytes to write into and this pid namespace's own /proc, then drops all rights.

    Call it in the first process of the pid namespace. An empty folder covers /proc where the kernel does not allow a new one.
    """
    mount("none", "/", None, _RECURSIVE | _PRIVATE)
    for folder in (SCRATCH, "/tmp", "/dev/shm"):
        if os.path.isdir(folder) and not _holds(folder, sys.path):  # an installation under /tmp stays, read-only
            mount("tmpfs", folder, "tmpfs", _NO_SUID | _NO_DEVICES, f"size={disk},mode=700")
    try:
        mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES)
    except OSError:
        mount("tmpfs", "/proc", "tmpfs", _READ_ONLY, "size=4k")
    # No further user namespaces: a new one would give back all the rights that are dropped below.
    with contextlib.suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    header, nothing = struct.pack("<Ii", 0x20080522, 0), bytes(24)
    _checked(_libc.capset(header, nothing), "capset")  # the rights that a new user namespace gave


def limit(loaded: int, memory: int, seconds: int, disk: int, processes: int | None) -> None:
    """Limits what this process may use from now on; nothing can raise the limits again.

    Args:
        loaded: bytes of address space that are in use already (torch's libraries) and do not count.
        memory: bytes of address space beyond those.
        seconds: of CPU time.
        disk: bytes of a single file.
        processes: how many the user may have, threads included; None for no limit.
    """
    resource.setrlimit(resource.RLIMIT_AS, [loaded + memory] * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))  # a signal that can be caught, 2 s later one that cannot
    resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    if processes is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)  # no program may bring rights back, as sudo and its like do


def refuse_calls(program: bytes) -> None:
    """Has the kernel refuse the system calls that this program names (see calls.py), to this process and all that it starts."""

    class Program(ctypes.Structure):  # the kernel's sock_fprog
        _fields_ = [("count", ctypes.c_ushort), ("steps", ctypes.c_char_p)]

    written = Program(len(program) // 8, program)
    _checked(_libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(written), 0, 0), "seccomp")


def die_with_parent() -> None:
    _libc.prctl(_DIE_WITH_PARENT, 9, 0, 0, 0)


def address_space() -> int:
    """How many bytes of address space this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
