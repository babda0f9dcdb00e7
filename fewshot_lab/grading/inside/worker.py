"""Runs inside the sandbox: a process that has torch loaded and forks one child for every submission. Stands alone.

The template reads jobs from a Unix socket: {"slot", "limits", "confined"} with two descriptors. The first is the child's line
to the grader; the second tells the supervisor to end it (by closing) and takes its report. The child executes the cells that it
is sent and then answers calls. Nothing that it says is believed: the grader compares what it returns.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="agg")

import contextlib  # noqa: E402
import importlib.abc  # noqa: E402
import importlib.machinery  # noqa: E402
import json  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
import types  # noqa: E402
import warnings  # noqa: E402

import confine  # noqa: E402

OUTPUT_KEPT = 20_000
SUPERVISOR_SECONDS = 3600


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
            jobs.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 1
            try:
                _supervise(job, *descriptors, wire)
                code = 0
            finally:
                os._exit(code)
        for descriptor in descriptors:
            os.close(descriptor)


def probe(line: int) -> None:
    """Says whether a child can be shut in here; loads nothing."""
    said = b"ready\n"
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
            said = b"refused\n"
    except OSError:
        said = b"refused\n"
    os.write(line, said)


def _load():
    """Everything slow is imported here, once."""
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
    torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).sum()  # what torch looks up once about the machine
    for thing in inspectors.THINGS:
        wire.thing(thing)
    sys.meta_path.insert(0, _NoCourse())
    return wire


def _supervise(job: dict, line: int, control: int, wire) -> None:
    """Starts the child, ends it when told to or when its time is over, and reports how it ended and what it printed."""
    limits = job["limits"]
    confine.die_with_parent()
    out, into = os.pipe()
    refusal = None
    if job["confined"]:
        try:
            confine.leave_rights(job["slot"])
        except OSError as error:
            refusal = f"no namespaces of its own: {error}"
    child = 0 if refusal else os.fork()
    if child == 0 and not refusal:
        code = 70
        try:
            confine.die_with_parent()
            os.setsid()  # a signal to its process group reaches nobody else
            os.close(out)
            os.close(control)
            loaded = confine.address_space()
            if job["confined"]:
                confine.private_folders(limits["disk"])
            os.chdir(confine.SCRATCH if job["confined"] else os.environ["TMPDIR"])
            processes = limits["processes"] if job["confined"] else None
            confine.limit(loaded, limits["memory"], limits["cpu_seconds"], limits["disk"], processes)
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
    report = {"refused": refusal} if refusal else _watch(child, out, control)
    with contextlib.suppress(OSError):
        os.write(control, json.dumps(report).encode())


def _watch(child: int, out: int, control: int) -> dict:
    """Waits for the child's end; kills it when the grader closes its end of `control`, or after an hour."""
    kept, total, stopped = b"", 0, False
    ended, readable = os.pidfd_open(child), [out, control]
    deadline = time.monotonic() + SUPERVISOR_SECONDS
    while True:
        ready, _, _ = select.select([ended, *readable], [], [], 1.0)
        if out in ready:
            part = os.read(out, 65536)
            total += len(part)
            kept = (kept + part)[:OUTPUT_KEPT]
            if not part:
                readable.remove(out)
        if control in ready or time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            stopped, readable = True, [d for d in readable if d != control]
            deadline = float("inf")
        if ended in ready and out not in ready:
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


class _OwnImplementation(Exception):
    """The answer used the course's own code."""


class _Absent:
    """What every name of the course's package is in here: cells may pass it around, an answer that uses it is told."""

    answering = False

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _Absent(f"{self._name}.{name}")

    def __call__(self, *arguments, **names):
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
    """The package is not in the sandbox; importing it gives names without content, so that a chapter's imports do not stop."""

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

    settings = Config()
    settings.HistoryManager.enabled = False
    settings.InteractiveShell.colors = "nocolor"
    warnings.simplefilter("ignore")
    shell = InteractiveShell(config=settings)
    InteractiveShell._instance = shell
    return shell


def _obey(order: dict, shell, wire) -> bytes:
    """What is sent back for an order, packed; an answer that cannot be packed is told to be of a wrong type."""
    if "cell" in order:
        return wire.pack(_run_cell(order["cell"], shell))
    function = shell.user_ns.get(order["name"])
    if not callable(function):
        return wire.pack({"status": "absent", "words": f"There is no function {order['name']!r} after the cells have run."})
    _Absent.answering = True
    try:
        with warnings.catch_warnings():
            return wire.pack(_call(function, order))
    except NotImplementedError:
        told = {"status": "not attempted"}
    except _OwnImplementation as error:
        told = {"status": "own", "words": str(error)}
    except wire.WireError as error:
        told = {"status": "type", "words": str(error)}
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: the answer raised them
        told = _raised(error)
    finally:
        _Absent.answering = False
    return wire.pack(told)


def _run_cell(source: str, shell) -> dict:
    result = shell.run_cell(source, store_history=False, silent=False)
    error = result.error_before_exec or result.error_in_exec
    return {"status": "ran"} if error is None else _raised(error)


def _raised(error: BaseException) -> dict:
    return {"status": "raised", "kind": type(error).__name__, "words": _words(error), **_place(error)}


def _call(function, order: dict) -> dict:
    import inspectors
    import torch

    arguments = order["arguments"]
    before = torch.get_rng_state()
    if observer := order.get("observe"):
        return {"status": "value", "value": getattr(inspectors, observer)(function, *arguments)}
    torch.set_grad_enabled(True)
    result = function(*arguments)
    towards = order.get("towards")
    gradients = None if towards is None else _gradients(result, arguments, towards)
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
    except Exception:
        return "(its text cannot be read)"


def _place(error: BaseException) -> dict:
    """Line number and text of the last line in a cell that the error passed."""
    try:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename or "<ipython" in f.filename]
        return {"line": frames[0].lineno, "text": (frames[0].line or "")[:200]} if frames else {}
    except Exception:
        return {}


if __name__ == "__main__":
    main(int(sys.argv[1]))
