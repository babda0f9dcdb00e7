"""Hostile answers in attacks/: each tries for the marks of `accuracy` without a right answer, or to harm."""

import ctypes
import os
import subprocess
import time
from pathlib import Path

import pytest

from fewshot_lab.grading import grade as grading

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent / "attacks"
ATTACKS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.txt"))}
BLANK = "def accuracy(logits, labels):\n    return 0.123\n"
# These break their own process or its way of running cells, and may lose the submission's other answers by it.
HARMS_ITSELF = {
    *("worker_patched", "worker_says_it_passed", "wire_patched", "forged_answer_in_advance", "noise_on_the_line"),
    *("line_closed", "builtins_patched", "fork_bomb", "tracebacks_silenced", "modules_replaced"),
}
LOOKS_AROUND = {
    *("files_searched", "reads_the_other_processes", "writes_where_it_may_not", "gets_rights_back"),
    *("file_that_python_loads_first", "memory_of_the_process", "sockets_of_the_machine"),
}


@pytest.fixture(autouse=True)
def little_time(monkeypatch):
    """Some attacks never end: they are stopped soon."""
    monkeypatch.setattr(grading, "CELL_SECONDS", 3.0)
    monkeypatch.setattr(grading, "CALL_SECONDS", 2.0)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_nothing_and_stops_nobody(graded, name):
    started = time.monotonic()
    result = graded("00", accuracy=ATTACKS[name])
    marks = {mark.grade_id: mark for mark in result.marks}
    assert marks["accuracy"].score == 0, name
    if name not in HARMS_ITSELF:
        assert marks["interval"].status == "passed", (marks["interval"].message, result.output[-2000:])
    if name in LOOKS_AROUND:  # their cells stop with an AssertionError when they find something
        told = " ".join([marks["accuracy"].message, *marks["accuracy"].details])
        assert "Error" not in told, told
    assert len(result.output) <= 20_000 and time.monotonic() - started < 40
    whole = graded("00")
    assert whole.score == whole.max_score, "the next submission is graded as ever"


def test_no_process_of_a_submission_is_left_when_it_is_graded(graded, sandbox):
    forked = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(987)\n" + BLANK
    before = _descendants(sandbox._process.pid)
    graded("00", accuracy=forked)
    deadline = time.monotonic() + 5
    while (left := _descendants(sandbox._process.pid) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def test_nothing_of_one_submission_is_there_for_the_next(graded):
    leave = "open('/scratch/left', 'w').write('x')\nopen('left', 'w').write('x')\nimport torch\ntorch.left = 1\n" + BLANK
    graded("00", accuracy=leave)
    look = "import os, torch\nassert not os.path.exists('/scratch/left') and not os.path.exists('left')\n"
    look += "assert not hasattr(torch, 'left')\n"
    mark = graded("00", accuracy=look + BLANK).marks[0]
    assert "AssertionError" not in " ".join([mark.message, *mark.details])


def test_the_graders_keyring_is_not_the_submissions(graded):
    ask = "import ctypes, os\nnumber = {'x86_64': 250}.get(os.uname().machine, 219)\n"
    ask += "print('keyring', ctypes.CDLL(None).syscall(number, 0, -3, 0))\n"  # KEYCTL_GET_KEYRING_ID of the session's
    inside = graded("00", accuracy=ask + BLANK).output.split("keyring")[1].split()[0]
    number = {"x86_64": 250}.get(os.uname().machine, 219)
    assert int(inside) == -1 or int(inside) != ctypes.CDLL(None).syscall(number, 0, -3, 0)


def _descendants(pid: int) -> set[int]:
    rows = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split("\n")
    parents = {int(row.split()[0]): int(row.split()[1]) for row in rows if row.strip()}
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    return found - {os.getpid()}
