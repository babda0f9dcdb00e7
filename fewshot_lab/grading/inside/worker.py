"""Runs inside the sandbox: a template process with torch loaded, which forks one child for every submission.

The template reads jobs from a Unix socket: {"slot", "limits", "confined"} with two descriptors. The first is the child's line
to the grader; the second tells the supervisor to end it (by closing) and takes its report. The child executes the cells that it
is sent and then answers calls. The grader trusts nothing that it sends, and compares the results itself.

Template -> supervisor (one for each submission, runs no hostile code) -> child (runs the cells). This file imports nothing of
the package, which is not in the sandbox.
"""

import os

# Before the imports: these libraries read their number of threads when they are loaded. One, since a process with threads
# cannot be forked safely, and as many sandboxes as cores run at a time.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="agg")

import base64  # noqa: E402
import contextlib  # noqa: E402
import importlib.abc  # noqa: E402
import importlib.machinery  # noqa: E402
import json  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import struct  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
import types  # noqa: E402
import warnings  # noqa: E402

import confine  # noqa: E402

OUTPUT_KEPT = 20_000  # bytes of what a child prints
WAITED = struct.Struct("!cd")  # how the supervisor tells it; a report begins with another byte
SUPERVISOR_SECONDS = 3600  # ends children whose grader was killed and closed nothing
LOOKS = 0.25  # seconds between two looks at the memory of a child's processes together
WRITTEN_AGAIN = (
    2**28
)  # bytes of what the template has loaded that a child's processes may write, and so own, beside their limit


def main(line: int) -> None:
    """Serves jobs from the descriptor `line` until it is closed."""
    wire = _load()
    jobs = socket.socket(fileno=line)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies; the supervisors wait for their own child
    jobs.sendall(b"ready\n")
    while True:
        message, descriptors, _, _ = socket.recv_fds(jobs, 65536, 2)
        if not message:
            return
        job = json.loads(message)
        if os.fork() == 0:
            jobs.close()  # what runs below must not be able to start jobs
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 1
            try:
                _supervise(job, *descriptors, wire)
                code = 0
            finally:
                os._exit(code)  # not sys.exit: the template's code behind this loop must never run in a child
        for descriptor in descriptors:
            os.close(descriptor)


def probe(line: int) -> None:
    """Writes to the descriptor `line` whether a child can be confined here: the steps of a real one, with nothing loaded."""
    outcome = b"ready\n"
    try:
        confine.leave_rights(0)
        if (child := os.fork()) == 0:
            code = 1
            try:
                loaded = confine.address_space()
                confine.private_folders(2**20)
                confine.limit(loaded, 2**30, 10, 2**20, 8)
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1]:
            outcome = b"refused\n"
    except OSError:
        outcome = b"refused\n"
    os.write(line, outcome)


def _load():
    """Imports everything slow, once: the children get it by the fork."""
    import math  # noqa: F401

    import inspectors
    import IPython.core.interactiveshell  # noqa: F401
    import numpy  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch
    import torch.nn.functional  # noqa: F401
    import torchvision  # noqa: F401
    import wire
    from seqeval import metrics  # noqa: F401
    from transformers import BertForTokenClassification  # noqa: F401

    torch.set_num_threads(1)
    inspectors.small_tokenizer()
    # On its first call torch looks the machine over: done here, no child has to.
    torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).sum()
    for thing in inspectors.THINGS:
        wire.thing(thing)
    sys.meta_path.insert(0, _NoCourse())
    return wire


def _supervise(job: dict, line: int, control: int, wire) -> None:
    """Starts the child, kills it on request or when its time is over, and reports how it ended and what it printed.

    The order of the confinement: (1) the supervisor leaves root's rights and makes the namespaces, since a pid namespace begins
    with the next fork; (2) the child, its first process, mounts its private folders, which needs the rights that the user
    namespace gave, and drops these rights; (3) the limits come last, so that they bind the submission and not the setup;
    (4) only then does a submission's code run.
    """
    limits = job["limits"]
    confine.die_with_parent()
    out, into = os.pipe()
    refusal = None
    if job["confined"]:
        try:
            confine.leave_rights(job["slot"])
        except OSError as error:
            refusal = f"no namespaces of its own: {error}"
    every = os.open("/proc", os.O_RDONLY)  # the child covers it for both; it closes this descriptor of its own
    child = 0 if refusal else os.fork()
    if child == 0 and not refusal:
        code = 70
        try:
            confine.die_with_parent()
            os.setsid()  # a signal to its process group reaches nobody else
            os.close(out)
            os.close(control)  # the report is the supervisor's: a child that could write it could invent it
            loaded = confine.address_space()
            if job["confined"]:
                confine.private_folders(limits["disk"])
            os.chdir(confine.SCRATCH if job["confined"] else os.environ["TMPDIR"])
            # Without a sandbox the child is the grader's own user, whose other programs would count too.
            processes = limits["processes"] if job["confined"] else None
            confine.limit(loaded, limits["memory"], limits["cpu_seconds"], limits["disk"], processes)
            if job["refused"]:
                confine.refuse_calls(base64.b64decode(job["refused"]))
            _child(line, into, wire)
            code = 0
        except SystemExit:
            code = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    os.close(line)
    os.close(into)
    report = {"refused": refusal} if refusal else _watch(child, out, control, every, limits["memory"] + WRITTEN_AGAIN)
    with contextlib.suppress(OSError):
        os.write(control, json.dumps(report).encode())


def _watch(child: int, out: int, control: int, every: int, memory: int) -> dict:
    """Waits for the child's end; kills it when the grader closes its end of `control`, or after an hour.

    It is killed too when it and its children together own more than `memory` bytes: the system's limit is one process's.

    For every byte that comes on `control` it tells how long the child has waited for a core.
    """
    # The output is read all the time, though only its beginning is kept: a full pipe would stop the child.
    kept, total, stopped = b"", 0, False
    ended, readable = os.pidfd_open(child), [out, control]
    deadline, look = time.monotonic() + SUPERVISOR_SECONDS, time.monotonic() + LOOKS
    while True:
        ready, _, _ = select.select([ended, *readable], [], [], LOOKS)
        if time.monotonic() >= look:
            if _owned(child, every) > memory:
                os.kill(child, signal.SIGKILL)  # the first process of its namespace: all others end with it
            look = time.monotonic() + LOOKS
        if out in ready:
            part = os.read(out, 65536)
            total += len(part)
            kept = (kept + part)[:OUTPUT_KEPT]
            if not part:
                readable.remove(out)
        if control in ready and os.read(control, 1):
            os.write(control, WAITED.pack(b"w", _waited(child, every)))
        elif control in ready or time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            stopped, readable = True, [d for d in readable if d != control]
            deadline = float("inf")
        if ended in ready and out not in ready:  # what it printed just before its end still counts
            break
    _, status, usage = os.wait4(child, 0)
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "stopped": stopped,
        "memory": usage.ru_maxrss * 1024,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "output": kept.decode("utf-8", "replace"),
        "output_bytes": total,
    }


def _owned(child: int, every: int) -> int:
    """The bytes that a process and its descendants own: what they wrote and what they share among them; 0 where nobody counts.

    every: an open /proc.
    """

    def read(path: str) -> str:
        with open(os.open(path, os.O_RDONLY, dir_fd=every), encoding="ascii", errors="replace") as file:
            return file.read()

    parents = {}
    for name in os.listdir(every):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
                parents[int(name)] = int(read(f"{name}/stat").rpartition(")")[2].split()[1])
    family, new = set(), {child}
    while new:
        family |= new
        new = {one for one, parent in parents.items() if parent in new} - family
    owned = 0
    for one in family:
        with contextlib.suppress(OSError, ValueError):
            rows = [line.split() for line in read(f"{one}/smaps_rollup").splitlines()]
            owned += sum(int(row[1]) * 1024 for row in rows if row[0] in ("Private_Dirty:", "Pss_Shmem:"))
    return owned


def _waited(child: int, every: int) -> float:
    """For how many seconds a process could have computed while others had the cores; 0 where nobody counts them.

    Of its threads the one that waited longest counts: the others waited beside it. every: an open /proc.
    """
    seconds = [0.0]
    with contextlib.suppress(OSError, IndexError, ValueError):
        folder = os.open(f"{child}/task", os.O_RDONLY, dir_fd=every)
        try:
            for thread in os.listdir(folder):
                with open(os.open(f"{thread}/schedstat", os.O_RDONLY, dir_fd=folder), encoding="ascii") as file:
                    seconds.append(int(file.read().split()[1]) / 1e9)
        finally:
            os.close(folder)
    return max(seconds)


class _OwnImplementation(Exception):
    """The answer used the course's own code."""


class _Absent:
    """Takes the place of everything in the course's package: cells may pass it around, but an answer that uses it is caught.

    A chapter's cells import and call the package, so that must not fail; the answer to an exercise must not call it, or the
    course's own solution would earn the marks. `answering` tells the two apart.
    """

    answering = False

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _Absent(f"{self._name}.{name}")

    def __call__(self, *arguments, **names):
        # Always the learner's own function: this is where the notebook would offer the course's.
        if self._name.endswith(".yours_or_ours") and len(arguments) == 1:
            return arguments[0]
        if _Absent.answering:
            raise _OwnImplementation(self._name)
        return _Absent(f"{self._name}(...)")

    def __iter__(self):
        if _Absent.answering:
            raise _OwnImplementation(self._name)
        return iter(())


class _NoCourse(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes imports of the package, which is not in the sandbox, succeed with names without content (`_Absent`)."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "fewshot_lab":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = _Absent(spec.name).__getattr__
        return module

    def exec_module(self, module):
        pass


def _child(line: int, out: int, wire) -> None:
    # The child keeps 0 to 3 (empty input, output twice, the line) and no descriptor of the template or supervisor.
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, out), (2, out)):
        os.dup2(source, target)
    stream = os.fdopen(os.dup2(line, 3), "r+b", buffering=0)
    os.closerange(4, 4096)
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="replace", closefd=False)
    os.environ.update(HOME=os.getcwd(), IPYTHONDIR=os.path.join(os.getcwd(), ".ipython"))
    shell = _shell()
    while True:
        try:
            order = wire.receive(stream)
        except EOFError:
            return
        stream.write(_obey(order, shell, wire))


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def enable_gui(self, gui=None):
            """There is no window here; %matplotlib asks for one."""

    settings = Config()
    settings.HistoryManager.enabled = False
    settings.InteractiveShell.colors = "nocolor"
    warnings.simplefilter("ignore")
    shell = Shell(config=settings)
    InteractiveShell._instance = shell  # what get_ipython() in a cell returns
    return shell


def _obey(order: dict, shell, wire) -> bytes:
    """The packed reply to an order; a result that cannot be packed is reported as being of a wrong type."""
    if "cell" in order:
        return wire.pack(_run_cell(order["cell"], shell))
    function = shell.user_ns.get(order["name"])
    if not callable(function):
        return wire.pack({"status": "absent", "words": f"There is no function {order['name']!r} after the cells have run."})
    _Absent.answering = True
    try:
        with warnings.catch_warnings():
            return wire.pack(_call(function, order))
    except NotImplementedError as error:
        reply = {"status": "not attempted"} if _is_blank(error) else _raised(error)
    except _OwnImplementation as error:
        reply = {"status": "own", "words": str(error)}
    except wire.WireError as error:
        reply = {"status": "type", "words": str(error)}
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: the answer raised them
        reply = _raised(error)
    finally:
        _Absent.answering = False
    return wire.pack(reply)


def _run_cell(source: str, shell) -> dict:
    """Runs a cell statement by statement: one that fails, such as a test of the learner's own, does not keep the others away.

    The reply tells the first error.
    """
    import ast

    statements = _statements(source, shell)
    if statements is None or any(isinstance(node, ast.AsyncFor | ast.Await | ast.AsyncWith) for node in ast.walk(statements)):
        result = shell.run_cell(source, store_history=False, silent=False)
        error = result.error_before_exec or result.error_in_exec
        return {"status": "ran"} if error is None else _raised(error)
    # The cell's text where tracebacks look for it, as IPython does.
    name, first = shell.compile.cache(shell.transform_cell(source), shell.execution_count, raw_code=source), None
    shell.execution_count += 1
    for node in statements.body:
        try:
            exec(shell.compile(ast.Module([node], []), name, "exec"), shell.user_global_ns, shell.user_ns)
        except SystemExit:
            raise
        except BaseException as error:
            first = first or _raised(error)
    return first or {"status": "ran"}


def _statements(source: str, shell):
    """The cell as a syntax tree, None where only IPython can say what is wrong with it."""
    import ast

    try:
        return ast.parse(shell.transform_cell(source))
    except Exception:
        return None


def _raised(error: BaseException) -> dict:
    return {"status": "raised", "kind": type(error).__name__, "words": _words(error), **_line_in_cell(error)}


def _call(function, order: dict) -> dict:
    import inspectors
    import torch

    arguments = order["arguments"]
    before = torch.get_rng_state()
    if observer := order.get("observe"):
        return {"status": "value", "value": getattr(inspectors, observer)(function, *arguments)}
    torch.set_grad_enabled(True)  # an earlier answer or cell may have switched it off
    result = function(*arguments)
    if order.get("again"):
        return {"status": "value", "value": function(*arguments)}
    towards = order.get("towards")
    gradients = None if towards is None else _gradients(result, arguments, towards)
    # A check watches the grader's global generator; this process has its own, so the reply says whether it moved.
    drew = not torch.equal(before, torch.get_rng_state())
    return {"status": "value", "value": result, "arguments": arguments, "gradients": gradients, "drew": drew}


def _gradients(result, arguments, towards):
    import torch

    inputs = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(result, inputs, towards, allow_unused=True))


def _words(error: BaseException) -> str:
    try:
        return str(error)[:2000]
    except Exception:  # an answer may raise an exception of its own, with any __str__
        return "(its text cannot be read)"


def _is_blank(error: NotImplementedError) -> bool:
    """Whether a body is still blank: its own `raise NotImplementedError`, not one that torch raises."""
    return not _words(error) or _line_in_cell(error).get("text", "").lstrip().startswith("raise NotImplementedError")


def _line_in_cell(error: BaseException) -> dict:
    """The number, text and function of the innermost line in a cell that the error passed through; {} when there is none."""
    try:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename or "<ipython" in f.filename]
        last = frames[-1]
        return {"line": last.lineno, "text": (last.line or "")[:200], "function": last.name}
    except Exception:
        return {}


if __name__ == "__main__":
    main(int(sys.argv[1]))
