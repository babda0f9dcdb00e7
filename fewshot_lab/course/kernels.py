"""How the course executes notebooks: quietly, with profile and device in the kernel's environment, errors in plain words."""

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import attempts

KERNEL = "python3"  # whatever kernel a learner's notebook names
QUIET = ["--log-level=CRITICAL"]  # a kernel's log goes to the terminal; a chapter's errors are in its notebook
DIED = "the kernel died; most often the memory is used up: close other programs or choose a smaller setting"
LONGEST_MESSAGE = 2000
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")


def execute(nb, folder: Path, on_cell: Callable[[int, int], None] = lambda number, cells: None) -> dict | None:
    """Executes a notebook in place, as far as it goes, in a new kernel of this Python that works in `folder`.

    Outputs from before are cleared. `on_cell` is told each cell's number, from 1, and how many there are. Returns None, or
    the error that stopped it as {"cell", "message", "traceback"}.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        nb,
        kernel_name=KERNEL,
        timeout=None,
        startup_timeout=180,
        iopub_timeout=60,
        raise_on_iopub_timeout=True,
        record_timing=False,
        store_widget_state=False,
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(folder)}},
    )
    client.log.setLevel("CRITICAL")
    client.reset_execution_trackers()
    place = "start"
    try:
        # The client's own execute() handles Ctrl-C as if the kernel had died; these two steps let it through.
        with client.setup_kernel():
            for number, cell in enumerate(nb.cells, 1):
                place = f"cell {number}"
                on_cell(number, len(nb.cells))
                client.execute_cell(cell, number - 1, execution_count=client.code_cells_executed + 1)
    except CellExecutionError as error:
        place = f"cell {number} (In [{cell.execution_count}])"
        return _error(place, f"{error.ename}: {error.evalue}".removesuffix(": "), error.traceback)
    except DeadKernelError:
        return _error(place, DIED)
    except KeyboardInterrupt:
        for name in ("asyncio", "tornado.general"):  # what was broken off is no news
            logging.getLogger(name).setLevel(logging.CRITICAL)
        raise
    except Exception as error:
        return _error(place, f"{type(error).__name__}: {error}")
    return None


def execute_with_parameters(notebook: Path, parameters: dict, on_cell: Callable[[int, int], None]) -> tuple:
    """Lets papermill put the parameters into a notebook and `execute` run it; returns it, as far as it came, and the error."""
    import papermill
    from papermill.engines import Engine, papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    found = {}

    class Watched(Engine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            found["nb"] = nb_man.nb
            found["error"] = execute(nb_man.nb, notebook.parent, on_cell)

    papermill_engines.register("fewshot-lab", Watched)
    path = str(notebook).replace("{", "{{").replace("}", "}}")  # papermill fills in what stands in braces
    try:
        papermill.execute_notebook(
            path, None, parameters, engine_name="fewshot-lab", kernel_name=KERNEL, language="python", progress_bar=False
        )
    except PapermillExecutionError:
        pass  # it is in found["error"], and the records name its cell: no banner in the notebook
    nb = remove_error_markers(found["nb"])
    for part in (nb, *nb.cells):
        part.metadata.pop("papermill", None)  # times and paths, other at each run
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
    return nb, found["error"]


def _error(cell: str, message: str, traceback: str = "") -> dict:
    plain = [_TERMINAL_CODE.sub("", text).strip() for text in (message[:LONGEST_MESSAGE], traceback)]
    return {"cell": cell, "message": plain[0], "traceback": plain[1]}


def common_environment() -> dict[str, str]:
    """What all that runs chapters finds in its environment, unless it says otherwise.

    OpenMP's idle threads sleep instead of spinning: two trainings on two cores, or one beside a busy browser, were 12 times
    faster so; one alone is slower by less than a half. What a Mac's GPU cannot compute, the CPU does, with a warning.
    """
    ours = {"OMP_WAIT_POLICY": "passive", "PYTORCH_ENABLE_MPS_FALLBACK": "1"}
    return {name: os.environ.get(name, value) for name, value in ours.items()}


@contextmanager
def kernel_environment(profile: str, device: str, run: Path | None = None, language: str | None = None) -> Iterator[None]:
    """Sets what kernels started meanwhile find in their environment, and puts it back afterwards.

    run: the folder of the run, whose results.json the last chapter reads. language: such as "zh", the one set by default.
    """
    ours = {"FEWSHOT_LAB_PROFILE": profile, "FEWSHOT_LAB_DEVICE": device, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    ours |= attempts.OFF | ({"FEWSHOT_LAB_RUN": str(run)} if run else {})
    ours |= {"FEWSHOT_LAB_LANGUAGE": language} if language else {}
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
    """Meanwhile being told to end (SIGTERM, SIGHUP) raises KeyboardInterrupt, so that kernels are shut down."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    names = [name for name in ("SIGTERM", "SIGHUP") if in_main_thread and hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
