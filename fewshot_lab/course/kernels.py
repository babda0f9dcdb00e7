"""Executes notebooks: quietly, with profile and device in the kernel's environment, and errors in plain words."""

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import attempts
from ..languages import later

KERNEL = "python3"  # whatever kernel a learner's notebook names
QUIET = ["--log-level=CRITICAL"]  # a kernel's log goes to the terminal; a chapter's errors are in its notebook
DIED = later("the kernel died; most often the memory is used up: close other programs or choose a smaller setting")
LONGEST_MESSAGE = 2000
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")


def execute(nb, folder: Path, on_cell: Callable[[int, int], None] = lambda number, cells: None) -> dict | None:
    """Executes a notebook in place, up to its first error, in a new kernel of this Python that works in `folder`.

    Earlier outputs are cleared. `on_cell` is called before each cell with its number, from 1, and the number of cells. Returns
    None, or the error that stopped it as {"cell", "message", "traceback"}.
    """
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # With no folder to look in, there is only the kernel of this Python, whatever "python3" lies on Jupyter's path.
    ours = AsyncKernelManager(kernel_name=KERNEL, kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        nb,
        km=ours,
        kernel_name=KERNEL,
        timeout=None,  # a cell may train for an hour
        startup_timeout=180,  # a loaded machine may need minutes to start a kernel
        iopub_timeout=60,
        raise_on_iopub_timeout=True,
        record_timing=False,
        store_widget_state=False,
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(folder)}},
    )
    client.log.setLevel("CRITICAL")
    client.reset_execution_trackers()
    where = "start"
    try:
        # The client's own execute() handles Ctrl-C as if the kernel had died; these two steps let it through.
        with client.setup_kernel(cleanup_kc=True):  # a manager of ours would keep its kernel alive
            for number, cell in enumerate(nb.cells, 1):
                where = f"cell {number}"
                on_cell(number, len(nb.cells))
                client.execute_cell(cell, number - 1, execution_count=client.code_cells_executed + 1)
    except CellExecutionError as error:
        where = f"cell {number} (In [{cell.execution_count}])"
        return _error(where, f"{error.ename}: {error.evalue}".removesuffix(": "), error.traceback)
    except DeadKernelError:
        return _error(where, DIED)
    except KeyboardInterrupt:
        for name in ("asyncio", "tornado.general"):  # they would report every task that the interruption cancels
            logging.getLogger(name).setLevel(logging.CRITICAL)
        raise
    except Exception as error:
        why = "The kernel did not start. " if where == "start" else ""
        return _error(where, f"{why}{type(error).__name__}: {error}")
    return None


def execute_with_parameters(notebook: Path, parameters: dict, on_cell: Callable[[int, int], None]) -> tuple:
    """Executes a notebook with the parameters put in; returns it, executed up to its first error, and the error or None."""
    # papermill knows where parameters go. It does not execute the cells itself: `execute` handles Ctrl-C and errors better.
    import papermill
    from papermill.engines import Engine, papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    outcome = {}

    class Watched(Engine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            outcome["nb"] = nb_man.nb
            outcome["error"] = execute(nb_man.nb, notebook.parent, on_cell)

    papermill_engines.register("fewshot-lab", Watched)
    path = str(notebook).replace("{", "{{").replace("}", "}}")  # papermill would replace names in braces
    try:
        papermill.execute_notebook(
            path, None, parameters, engine_name="fewshot-lab", kernel_name=KERNEL, language="python", progress_bar=False
        )
    except PapermillExecutionError:
        pass  # it is in outcome["error"], and the records name its cell: no banner in the notebook
    nb = remove_error_markers(outcome["nb"])
    for part in (nb, *nb.cells):
        part.metadata.pop("papermill", None)  # times and paths, which differ at every run
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"  # papermill draws a random one
    return nb, outcome["error"]


def _error(cell: str, message: str, traceback: str = "") -> dict:
    plain = [_TERMINAL_CODE.sub("", text).strip() for text in (message[:LONGEST_MESSAGE], traceback)]
    return {"cell": cell, "message": plain[0], "traceback": plain[1]}


def common_environment() -> dict[str, str]:
    """The default environment variables of every process that runs chapters; the user's own values win.

    OpenMP's idle threads sleep instead of spinning: this made two trainings on two cores, or one beside a busy browser, 12
    times faster. GNU's, which waking up costs most, spin for some 40 microseconds before: many small products in a row took
    half as long as without, and two such processes at once 1.5 times as long. GNU's allocator keeps what a step of training
    frees for the next step, which took 13 % less time. The CPU computes what a Mac's GPU cannot, with a warning.
    """
    ours = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "4000", "PYTORCH_ENABLE_MPS_FALLBACK": "1"}
    ours |= {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20)}
    return {name: os.environ.get(name, value) for name, value in ours.items()}


def kernels_of_this_python() -> dict[str, str]:
    """The environment variable with which JupyterLab finds this Python's kernel before another one's of the same name."""
    ours = os.path.join(sys.prefix, "share", "jupyter")
    return {"JUPYTER_PATH": os.pathsep.join(filter(None, [ours, os.environ.get("JUPYTER_PATH", "")]))}


@contextmanager
def kernel_environment(
    profile: str,
    device: str,
    run: Path | None = None,
    language: str | None = None,
    board: Path | None = None,
    kept: Path | None = None,
) -> Iterator[None]:
    """Sets the environment variables of kernels that start while it is active, and restores them afterwards.

    Args:
        profile: "quick" or "full".
        device: the device's name for torch, or "auto".
        run: the folder of the run, whose results.json the last chapter reads.
        language: such as "zh"; by default the one that is set.
        board: the file of chapter 11's leaderboard, in place of this machine's.
        kept: the folder that holds what took long for other editions of the notebook (training/kept.py).
    """
    ours = {"FEWSHOT_LAB_PROFILE": profile, "FEWSHOT_LAB_DEVICE": device, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    # Attempts are not noted: the progress is the learner's, and what the course executes says nothing about it.
    ours |= attempts.OFF | ({"FEWSHOT_LAB_RUN": str(run)} if run else {})
    ours |= {"FEWSHOT_LAB_LANGUAGE": language} if language else {}
    ours |= {"FEWSHOT_LAB_BOARD": str(board)} if board else {}
    ours |= {"FEWSHOT_LAB_KEPT": str(kept)} if kept else {}
    ours = common_environment() | ours
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into KeyboardInterrupt while active, so that kernels are shut down."""
    # By default these signals end Python at once, and its kernels would go on computing without a parent. Only the main thread
    # may set handlers, and Windows has no SIGHUP.
    in_main_thread = threading.current_thread() is threading.main_thread()
    names = [name for name in ("SIGTERM", "SIGHUP") if in_main_thread and hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
