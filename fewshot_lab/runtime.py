"""Where the course runs: device, seeds, threads, profile."""

import contextlib
import ctypes
import functools
import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context

from . import cells
from .errors import CourseError
from .languages import language, say

PROFILES = ("quick", "full", "smoke")
SCHEDULER_SECONDS = 20
FULL_SEEDS = 1000  # where the full profile's seeds begin

# Tensors of 2 MB and more lie on huge pages (Linux; torch reads it at its first tensor, worker processes inherit it). With both
# cores busy a training of a small net took a tenth less time, chapter 10 a quarter.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# Held by what depends on process-wide state: a Dask worker may have several threads, which share torch's global generator.
process_state = threading.Lock()


@dataclass
class Setting:
    """What `setup` chose for the running notebook."""

    chapter: str = ""
    profile: str = "quick"
    seed: int = 0
    device: str = "cpu"
    hints: int = 3

    def __str__(self) -> str:
        where = describe_device(self.device)
        return say(
            "Chapter {chapter}: {profile} profile, seed {seed}, on {device}.",
            chapter=self.chapter,
            profile=self.profile,
            seed=self.seed,
            device=where,
        )


_current = Setting()


def setup(chapter: str, *, profile: str | None = None, seed: int = 0, device: str = "auto", hints: int = 3) -> None:
    """Prepares a notebook: checks its parameters, seeds all generators, chooses the device and prints both in one line.

    In another language than English a box with the chapter's title, aims and terms follows. Raises CourseError for a parameter
    that is not one of these:

    Args:
        chapter: its number, such as "02".
        profile: one of PROFILES; None for the environment's FEWSHOT_LAB_PROFILE, else "quick".
        seed: a whole number from 0 to 2**31 - 1.
        device: "auto", "cpu", "cuda" or "mps".
        hints: how far `lab.hint` may go: 0 is off, 1 the idea, 2 the steps, 3 a solution.
    """
    global _current
    profile = profile or os.environ.get("FEWSHOT_LAB_PROFILE", "quick")
    if profile not in PROFILES:
        raise CourseError(say("PROFILE is {profile!r}; choose one of {known}.", profile=profile, known=", ".join(PROFILES)))
    check_hints(hints, "hints")
    seed_everything(seed)
    _current = Setting(chapter, profile, seed, choose_device(device), hints)
    _give_memory_back_after_every_cell()
    cells.watch()
    print(_current)
    if language() != "en":
        from .languages.opening import show_opening

        show_opening(chapter)


def _give_memory_back_after_every_cell() -> None:
    """Has memory that a cell freed returned to the system after the cell."""
    # Linux's C library keeps it otherwise: 400 MB in chapter 09, and a machine of Binder has 2 GB in all.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and sys.platform == "linux":
        shell.events.register("post_run_cell", _give_memory_back)


def _give_memory_back(result) -> None:
    with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


def check_hints(hints: int, name: str) -> None:
    """Raises CourseError, which calls the value by this name, for what is no limit of `lab.hint` from 0 to 3."""
    if hints not in range(4):
        raise CourseError(
            say("{name} is {hints!r}; choose 0 (off), 1 (the idea), 2 (the steps) or 3 (a solution).", name=name, hints=hints)
        )


def current() -> Setting:
    """The setting of the running notebook."""
    return _current


def quick_or_full(quick, full=None, *, smoke=None):
    """Returns `quick` in the quick profile, `full` in the full one (None: `quick` too), `smoke` in the smoke profile.

    Without `smoke` that profile takes the quick value with whole numbers, also those in a tuple, cut to 2.
    """
    if _current.profile == "smoke":
        return _smallest(quick) if smoke is None else smoke
    return full if _current.profile == "full" and full is not None else quick


def seeds(quick: int, full: int | None = None, *, smoke: int | None = None) -> list[int]:
    """The seeds of an experiment, as many as `quick_or_full` says, from the chapter's SEED on.

    The full profile's begin at 1000 + SEED: no setting was tuned on them, so what they say is a replication.
    """
    first = _current.seed + (FULL_SEEDS if _current.profile == "full" else 0)
    return list(range(first, first + quick_or_full(quick, full, smoke=smoke)))


def _smallest(value):
    if isinstance(value, tuple):
        return tuple(map(_smallest, value))
    return min(value, 2) if isinstance(value, int) else value


def choose_device(name: str = "auto") -> str:
    """Turns "auto" into the machine's best device ("cuda", "mps" or "cpu"); raises CourseError for one that it lacks.

    With "auto" the environment's FEWSHOT_LAB_DEVICE comes first.
    """
    if name == "auto":
        name = os.environ.get("FEWSHOT_LAB_DEVICE", "auto")
    if name == "cpu":
        return name
    import torch  # only here: it takes a second, and the CPU can be chosen without it

    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        return available[0]
    if name not in available:
        raise CourseError(
            say(
                "DEVICE is {name!r}, but this machine offers {available}. Choose one of them or 'auto'.",
                name=name,
                available=", ".join(available),
            )
        )
    return name


def describe_device(device: str) -> str:
    """The device in words, such as "cpu (2 cores)" or "cuda (NVIDIA H100, 79 GB)"."""
    if device == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(0)
        return f"cuda ({properties.name}, {properties.total_memory / 2**30:.0f} GB)"
    return say("cpu ({cores} cores)", cores=usable_cores()) if device == "cpu" else device


def usable_cores() -> int:
    """The number of CPU cores that this process may use, which in a container may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sweep_jobs() -> int:
    """The number of trainings that run at once: FEWSHOT_LAB_JOBS, else the usable cores. Each takes up to 1 GB of memory."""
    jobs = os.environ.get("FEWSHOT_LAB_JOBS")
    if jobs is None:
        return usable_cores()
    if not jobs.isdecimal() or jobs == "0":
        raise CourseError(say("FEWSHOT_LAB_JOBS is {jobs!r}; it must be a whole number from 1.", jobs=jobs))
    return int(jobs)


def world_size() -> int:
    """The number of processes that share each training: as many as `accelerate launch` or torchrun started, else 1.

    Raises CourseError for a WORLD_SIZE that is no number.
    """
    size = os.environ.get("WORLD_SIZE") or "1"
    if not size.isdecimal() or size == "0":
        raise CourseError(
            say("WORLD_SIZE is {size!r}; it is the number of processes that share a training. Unset it.", size=size)
        )
    return int(size)


@functools.cache
def can_start_workers() -> bool:
    """Whether this machine can start worker processes; says so once where it cannot, since all then takes longer."""
    try:
        get_context("spawn").Semaphore(1)  # lies in /dev/shm, which may be full, read-only or missing
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        print(say("No worker process can start here ({reason} in /dev/shm): all runs one after the other.", reason=reason))
        return False
    return True


@contextlib.contextmanager
def workers(jobs: int, dask: str = "", threads: int | None = None) -> Iterator[None]:
    """Where joblib's tasks run while active; raises CourseError for a cluster that does not answer.

    jobs: processes of this machine. dask: the address of a Dask scheduler, whose workers are used in their place. threads: of
    each process, for numerical libraries; None for joblib's choice.
    """
    import joblib

    if not dask and not can_start_workers():
        with joblib.parallel_config("sequential"):
            yield
        return
    if not dask:
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=threads), warnings.catch_warnings():
            # loky replaces a worker that has grown by much and says so: no task is lost, and nobody has to act.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise CourseError(say("A Dask cluster needs the package distributed: pip install distributed")) from error
    try:
        client = Client(dask, timeout=SCHEDULER_SECONDS)
    except (OSError, ValueError) as error:
        raise CourseError(
            say("No Dask scheduler answers at {dask}: start `dask scheduler` and workers first.", dask=dask)
        ) from error
    # pure=False: with equal arguments a task may still return something else, such as its seconds, so it is never reused.
    with client, joblib.parallel_config("dask", client=client, pure=False):
        yield


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators (all devices) with a whole number from 0 to 2**31 - 1."""
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise CourseError(say("SEED is {seed!r}; it must be a whole number from 0 to 2147483647.", seed=seed))
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
