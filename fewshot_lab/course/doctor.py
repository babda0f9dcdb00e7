"""Examines the machine: versions, devices, memory, threads, assets, write access; says what to do about problems."""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .. import __version__
from ..errors import CourseError
from ..files import home, writing_failed
from ..languages import later, say
from ..runtime import usable_cores
from .chapters import chapters, course_root, own_root
from .kernels import KERNEL, kernels_of_this_python

PACKAGE = "fewshot-lab"
NAMED = ("torch", "torchvision", "transformers", "accelerate", "numpy", "papermill", "jupyterlab", "ipywidgets")
LOW_MEMORY_GB, LOW_DISK_GB = 3.5, 2.0  # below these the report warns


@dataclass(frozen=True)
class Finding:
    """One line of the report: level ("ok", "warn" or "fail"), topic, what is the case, and what to do about it."""

    level: str
    topic: str
    text: str
    advice: str = ""


def versions() -> dict[str, str]:
    """The versions of Python, this package and the libraries that results depend on; imports none of them."""
    ours = {"python": platform.python_version(), PACKAGE: __version__}
    return ours | {name: version for name in NAMED[:6] if (version := _version(name))}


def examine() -> list[Finding]:
    """Examines this machine; returns the findings in the order of the report."""
    parts = (_versions, _devices, _memory, _threads, _kernel, _widgets, _course, _assets, _writing)
    return [finding for part in parts for finding in _findings(part)]


def print_report() -> int:
    """Prints the findings; returns 1 when one is a failure, else 0."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    findings = examine()
    for finding in findings:
        colour = {later("ok"): "green", later("warn"): "yellow", later("fail"): "bold red"}[finding.level]
        line = Text.assemble((_column(say(finding.level), 5), colour), _column(say(finding.topic), 20), finding.text)
        console.print(line, soft_wrap=True)
        if finding.advice:
            console.print(Text(f"{'':25}{finding.advice}"), soft_wrap=True)
    failures = sum(finding.level == "fail" for finding in findings)
    told = say("{failures} thing(s) to repair before the course runs.", failures=failures) if failures else say("Ready.")
    console.print(f"\n{told}")
    return int(failures > 0)


def _column(text: str, width: int) -> str:
    """A text with the spaces that fill a column of a terminal, in which a Chinese character is as wide as two letters."""
    from rich.cells import cell_len

    return text + " " * max(1, width - cell_len(text))


def _findings(part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    # A broken machine is what the doctor is for: whatever one examination raises, the others are still made.
    try:
        yield from part()
    except Exception as error:
        advice = say("Make the environment again: python -m pip install --editable . in the folder of the course.")
        what = say("cannot be examined: {kind}: {error}", kind=type(error).__name__, error=error)
        yield Finding("fail", part.__name__.strip("_"), what, advice)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> Iterator[Finding]:
    if not _version(PACKAGE):
        advice = say("In the folder of the course: python -m pip install --editable .")
        yield Finding("fail", PACKAGE, say("is not installed in {prefix}", prefix=sys.prefix), advice)
        return
    required = metadata.metadata(PACKAGE).get("Requires-Python") or ""
    level = "ok" if _reaches(platform.python_version(), required) else "fail"
    advice = "" if level == "ok" else say("Install Python {required} and make the environment again.", required=required)
    what = say("{version} at {program}", version=platform.python_version(), program=sys.executable)
    yield Finding(level, "python", what, advice)
    for requirement in metadata.requires(PACKAGE) or []:
        if "extra ==" in requirement:
            continue
        name = re.match(r"[\w.-]+", requirement).group()
        installed, needed = _version(name), requirement.split(";")[0][len(name) :].strip()
        if installed is None or not _reaches(installed, needed):
            advice = f"python -m pip install --upgrade '{requirement}'"
            there = installed or say("not installed")
            yield Finding("fail", name, say("{there}, needed is {needed}", there=there, needed=needed), advice)
        elif name in NAMED:
            yield Finding("ok", name, installed)


def _reaches(version: str, needed: str) -> bool:
    lower = re.search(r">=\s*([\d.]+)", needed)
    return not lower or _numbers(version) >= _numbers(lower.group(1))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", version).group().split("."))


def _devices() -> Iterator[Finding]:
    cores = {"usable": usable_cores(), "total": os.cpu_count()}
    yield Finding("ok", "cpu", say("{model}, {usable} of {total} cores usable", model=_cpu_model(), **cores))
    try:
        import torch
    except Exception as error:
        advice = "python -m pip install --force-reinstall torch torchvision"
        yield Finding("fail", "torch", say("cannot be imported: {error}", error=error), advice)
        return
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card = torch.cuda.get_device_properties(index)
        yield Finding("ok", f"cuda:{index}", f"{card.name}, {card.total_memory / 2**30:.0f} GB")
    if torch.backends.mps.is_available():
        yield Finding("ok", "mps", say("Apple's GPU"))
    if not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        advice = say("Update the driver, or install the torch build for your CUDA version; on the CPU everything works too.")
        yield Finding("warn", "cuda", say("an NVIDIA driver is here, but torch cannot use it"), advice)


def _cpu_model() -> str:
    try:
        return re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def _memory() -> Iterator[Finding]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return
    # In a container the machine's memory is visible, but its limit (cgroup version 2 or 1) is what kills.
    limit = _cgroup("memory.max", "memory/memory.limit_in_bytes")
    usable = min(total, int(limit) / 2**30) if limit and limit.isdigit() else total
    text = f"{usable:.1f} GB"
    if usable < total:
        text += say(" (this container's limit; the machine has {total:.1f} GB)", total=total)
    low = usable < LOW_MEMORY_GB
    advice = say("Chapters may be killed. Close other programs and set FEWSHOT_LAB_JOBS=1: it saves 1 GB.") if low else ""
    yield Finding("warn" if low else "ok", later("memory"), text, advice)


def _cgroup(*names: str) -> str | None:
    for name in names:
        try:
            return Path("/sys/fs/cgroup", name).read_text().strip()
        except OSError:
            continue
    return None


def _threads() -> Iterator[Finding]:
    topic = later("threads")
    # A container's quota of CPU time does not reduce the visible cores: torch would start a thread for each of them, and the
    # threads would wait for each other.
    usable, asked = usable_cores(), os.environ.get("OMP_NUM_THREADS", "")
    quota = (_cgroup("cpu.max") or "max").split()
    share = int(quota[0]) / int(quota[1]) if quota[0].isdigit() else usable
    if share < usable:
        text = say("this container may use {share:.1f} cores", share=share) + (f", OMP_NUM_THREADS={asked}" if asked else "")
        wanted = f"export OMP_NUM_THREADS={max(1, round(share))}"
        advice = "" if asked else say("Computing is faster with as many threads: {wanted}", wanted=wanted)
        yield Finding("ok" if asked else "warn", topic, text, advice)
    elif asked.isdigit() and int(asked) > usable:
        advice = f"export OMP_NUM_THREADS={usable}"
        text = say("OMP_NUM_THREADS={asked}, but {usable} cores are usable", asked=asked, usable=usable)
        yield Finding("warn", topic, text, advice)
    else:
        yield Finding("ok", topic, f"OMP_NUM_THREADS={asked}" if asked else say("as many as cores ({usable})", usable=usable))


def _kernel() -> Iterator[Finding]:
    from nbclient import NotebookClient
    from nbformat.v4 import new_notebook

    # Asked of nbclient itself: a kernel "python3" of another Python may come first on Jupyter's path.
    manager = NotebookClient(new_notebook(), kernel_name=KERNEL).create_kernel_manager()
    program = manager.kernel_spec.argv[0]
    if Path(program).name == program or Path(program).parent.resolve() == Path(sys.executable).parent.resolve():
        yield Finding("ok", later("kernel"), say("notebooks run in this Python"))
    else:
        # The course's own commands do not look there.
        path = kernels_of_this_python()["JUPYTER_PATH"]
        advice = say("Start it with fewshot-lab lab, or first: export JUPYTER_PATH={path}", path=path)
        what = say("a JupyterLab of your own would run notebooks in another Python, {program}", program=program)
        yield Finding("warn", "kernel", what, advice)


def _widgets() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_path

    if any(Path(folder, "@jupyter-widgets", "jupyterlab-manager").is_dir() for folder in jupyter_path("labextensions")):
        yield Finding("ok", later("widgets"), say("JupyterLab has the ipywidgets extension"))
    else:
        advice = say("python -m pip install --force-reinstall jupyterlab_widgets, then start JupyterLab again.")
        yield Finding("warn", "widgets", say("JupyterLab lacks the ipywidgets extension: sliders will not show"), advice)


def _course() -> Iterator[Finding]:
    try:
        missing = [chapter.id for chapter in chapters() if not chapter.notebook.exists()]
    except CourseError as error:
        yield Finding("fail", later("course"), str(error))
        return
    if missing:
        yield Finding("fail", "course", say("notebooks missing: {missing}", missing=", ".join(missing)), "fewshot-lab build")
    else:
        what = say("{number} chapters in {folder}", number=len(chapters()), folder=course_root() / "notebooks")
        yield Finding("ok", "course", what)


def _assets() -> Iterator[Finding]:
    from .. import assets

    for row in assets.listing():
        level = "warn" if row.state == "damaged" else "ok"
        if row.state == "installed":
            advice = ""
        elif row.state == "damaged":
            advice = say("Repair it: fewshot-lab assets fetch {name}", name=row.name)
        elif row.optional:
            advice = say("No chapter needs it. To have it: fewshot-lab assets fetch {name}", name=row.name)
        else:
            advice = say("Fetched when a chapter needs it, or now: fewshot-lab assets fetch {name}", name=row.name)
        yield Finding(level, row.name, f"{row.version}, {say(row.state)}", advice)


def _writing() -> Iterator[Finding]:
    folders = {later("cache"): (home(), "FEWSHOT_LAB_HOME")}
    try:
        folders[later("runs")] = (own_root() / "runs", "--out")
    except CourseError:
        pass
    for topic, (folder, setting) in folders.items():
        # The folder may not exist yet; then its nearest parent decides. Tried by writing: permission bits do not tell all.
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            advice = say("Set another folder with {setting}.", setting=setting)
            yield Finding("fail", topic, str(writing_failed(folder, error)), advice)
            continue
        free = shutil.disk_usage(existing).free / 2**30
        low = free < LOW_DISK_GB
        advice = say("Free some space or set another folder with {setting}.", setting=setting) if low else ""
        text = say("{folder} can be written, {free:.1f} GB free", folder=folder, free=free)
        yield Finding("warn" if low else "ok", topic, text, advice)
