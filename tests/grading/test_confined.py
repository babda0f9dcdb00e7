"""The sandbox from inside, in both ways to make one: refused system calls, and time that neighbours take."""

import errno
import subprocess
import sys

import pytest

from fewshot_lab.errors import CourseError
from fewshot_lab.grading import calls, sandbox
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.sandbox import Limits, Sandbox
from fewshot_lab.grading.submissions import Submission

pytestmark = pytest.mark.slow
SIGCHLD = 17
TRY = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def tried(number, *arguments):
    padded = [ctypes.c_ulong(value) for value in (*arguments, *[0] * 6)][:6]
    result = libc.syscall(ctypes.c_long(number), *padded)
    return ctypes.get_errno() if result == -1 else 0
"""


@pytest.fixture(scope="module", params=["bubblewrap", "namespaces"])
def box(request):
    try:
        with Sandbox(request.param, Limits(memory=2**30, disk=16 * 2**20, cpu_seconds=30)) as opened:
            yield opened
    except (CourseError, FileNotFoundError) as error:
        pytest.skip(f"no sandbox by {request.param} here: {error}")


def asked(box, source: str, call: str, *arguments):
    child = box.child()
    try:
        assert child.ask({"cell": source}, 20)["status"] == "ran"
        answer = child.ask({"name": call, "arguments": arguments}, 40)
        assert answer["status"] == "value", answer
        return answer["value"]
    finally:
        child.close()


def test_every_refused_call_is_refused_inside(box):
    if not calls.program():
        pytest.skip("libseccomp or its Python binding (pyseccomp) is not installed")
    import pyseccomp

    def number(name):
        return pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)

    known = {}
    for name in (*calls.REFUSED, *calls.UNKNOWN):
        try:
            known[name] = number(name)
        except OSError:
            continue
    assert len(known) > 60 and all(value >= 0 for value in known.values() if value is not None)
    tries = [(value,) for value in known.values()]
    flags = [1 << bit for bit in range(32) if calls.NAMESPACES & 1 << bit]
    tries += [(number("clone"), flag | SIGCHLD) for flag in flags]
    tries += [(number("madvise"), 0, 0, advice) for advice in range(calls.COLD, calls.POPULATE_WRITE + 1)]
    tries += [(number("socket"), family, 3, 0) for family in (16, 17, 38, 40)]
    source = TRY + "def all_of(tries):\n    return [tried(*one) for one in tries]\n"
    names = [*known, *(f"clone {flag:#x}" for flag in flags), *["madvise"] * 4, *["socket"] * 4]
    found = dict(zip(names, asked(box, source, "all_of", tries), strict=False))
    wanted = {name: errno.ENOSYS if name in calls.UNKNOWN else errno.EPERM for name in names}
    wanted |= {"socket": errno.EAFNOSUPPORT}
    assert {name: (found[name], wanted[name]) for name in names if found[name] != wanted[name]} == {}


def test_what_answers_need_works_inside(box):
    needs = """
import multiprocessing, os, subprocess, threading, torch
def works():
    layer = torch.nn.Linear(300, 300)
    layer(torch.ones(64, 300)).sum().backward()
    loader = torch.utils.data.DataLoader(torch.arange(10), num_workers=1)
    seen = [int(x) for x in loader]
    thread = threading.Thread(target=seen.clear)
    thread.start()
    thread.join()
    return seen, subprocess.run(["true"]).returncode, os.path.exists("/scratch")
"""
    assert asked(box, needs, "works") == ([], 0, True)


MANY = """
import os, time
def many(processes, megabytes):
    for _ in range(processes):
        if os.fork() == 0:
            kept = bytearray(b"x") * (megabytes * 2**20)
            time.sleep(60)
    time.sleep(3)
    return 1
"""


def test_processes_together_own_no_more_memory_than_one_may(box):
    assert asked(box, MANY, "many", 3, 100) == 1
    with pytest.raises(sandbox.Ended, match="ended"):
        asked(box, MANY.replace("sleep(3)", "sleep(60)"), "many", 8, 300)


BUSY = "while True: pass"
SLOW = """
import time
def accuracy(logits, labels):
    until = time.process_time() + 0.4
    while time.process_time() < until:
        pass
    return (logits.argmax(1) == labels).float().mean().item()
"""


def test_busy_neighbours_take_no_marks(box, monkeypatch):
    monkeypatch.setattr(grading, "CALL_SECONDS", 0.8)
    monkeypatch.setattr(sandbox, "LONGEST_WAIT", 60)  # on a machine that is busy anyway, too
    honest = Submission("a student", "00", "answers.ipynb", {"accuracy": SLOW})
    neighbours = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(8)]
    try:
        marks = {mark.grade_id: mark for mark in grading.grade(honest, box, "1", 400.0).marks}
    finally:
        for one in neighbours:
            one.kill()
            one.wait()
    assert marks["accuracy"].status == "passed", marks["accuracy"]


def test_an_answer_that_sleeps_gets_no_more_time(box, monkeypatch):
    monkeypatch.setattr(grading, "CALL_SECONDS", 1.0)
    sleeps = "import time\ndef accuracy(logits, labels):\n    time.sleep(60)\n"
    graded = grading.grade(Submission("a student", "00", "answers.ipynb", {"accuracy": sleeps}), box, "1", 120.0)
    assert {mark.grade_id: mark.status for mark in graded.marks}["accuracy"] == "stopped"
    assert graded.seconds < 15
