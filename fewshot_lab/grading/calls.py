"""The system calls that no submission needs, as a filter for the kernel. libseccomp writes its program, for this machine."""

import errno
import functools
import tempfile

from ..languages import later

# What a submission could leave for another in the kernel (keys, pages of files that both read), look into other processes
# with, or get at memory that its limit does not count; and what only an administrator does, in case a right is left.
REFUSED = (
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp"),
    *("userfaultfd", "perf_event_open", "bpf", "personality", "modify_ldt", "lookup_dcookie"),
    *("keyctl", "add_key", "request_key"),
    *("mincore", "cachestat", "fadvise64", "readahead"),
    *("memfd_secret", "shmget", "shmat", "shmctl", "msgget", "semget", "mq_open"),
    *("mbind", "migrate_pages", "move_pages", "set_mempolicy", "set_mempolicy_home_node"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "mount_setattr"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "quotactl"),
    *("quotactl_fd", "swapon", "swapoff", "acct", "vhangup"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "syslog", "iopl", "ioperm"),
    *("settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname"),
)
# The C library goes on without these, where the kernel does not know them.
UNKNOWN = ("clone3", "memfd_create", "preadv2", "pwritev2")
NAMESPACES = 0x7E020080  # every CLONE_NEW* flag
COLD, POPULATE_WRITE = 20, 23  # pieces of advice that move pages of files in and out of the page cache
LARGEST_FAMILY = 10  # AF_INET6; above it are netlink, packet, alg and vsock sockets

MISSING = later(
    "libseccomp is not here (Debian and Ubuntu: apt-get install libseccomp2; pip install pyseccomp): submissions may make "
    "every system call, and one could leave messages for another in the kernel."
)


@functools.cache
def program() -> bytes:
    """The filter as the kernel's own program; b"" where libseccomp or its Python binding is not there."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):  # RuntimeError: the binding without the library
        return b""
    refuse, Arg = pyseccomp.ERRNO(errno.EPERM), pyseccomp.Arg
    calls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)  # calls of another architecture end the process, libseccomp's default
    for name in (*REFUSED, *UNKNOWN):
        try:
            number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        except OSError:  # older libraries do not know the newest names, and a machine has not every call
            continue
        calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS) if name in UNKNOWN else refuse, number)
    for flag in (1 << bit for bit in range(32) if NAMESPACES & 1 << bit):
        calls.add_rule(refuse, "clone", Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    for advice in range(COLD, POPULATE_WRITE + 1):
        calls.add_rule(refuse, "madvise", Arg(2, pyseccomp.EQ, advice))
    calls.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), "socket", Arg(0, pyseccomp.GT, LARGEST_FAMILY))
    with tempfile.TemporaryFile() as file:
        calls.export_bpf(file)
        file.seek(0)
        return file.read()
