"""What the notebook's check passes, grading passes: right answers in every form in which learners write them."""

import json

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from fewshot_lab.checking import examine
from fewshot_lab.exercises import get_exercise
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.submissions import collect

pytestmark = pytest.mark.slow
RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).float().mean().item()\n"
WRONG = RIGHT.replace("argmax", "argmin")
STUB = assignment("00").stubs["accuracy"]
HELPER = "def chosen(logits):\n    return logits.argmax(dim=1)\n"
BY_HELPER = "def accuracy(logits, labels):\n    return (chosen(logits) == labels).float().mean().item()\n"
BY_NAME = "def accuracy(logits, labels):\n    return (logits.argmax(AXIS) == labels).float().mean().item()\n"
DECORATOR = """import functools
def same(f):
    @functools.wraps(f)
    def g(*arguments):
        return f(*arguments)
    return g
"""

# What stands in the answer's cells and in cells of the learner's own, in the notebook's order; "check" is the check's cell.
# A pair ("own", source) is a cell of the learner's own, ("answer", source) one with the answer's metadata.
FORMS = {
    "as it was handed out": [("answer", RIGHT), "check"],
    "split, an import and the function": [("answer", "import torch as t"), ("answer", RIGHT), "check"],
    "split, a helper and the function": [("answer", HELPER), ("answer", BY_HELPER), "check"],
    "in a new cell, its own left blank": [("answer", STUB), ("own", RIGHT), "check"],
    "in a new cell, its own removed": [("own", RIGHT), "check"],
    "a helper in a cell above": [("own", HELPER), ("answer", BY_HELPER), "check"],
    "a helper between the answer and its check": [("answer", BY_HELPER), ("own", HELPER), "check"],
    "a helper that calls a helper": [
        ("own", "def first(x):\n    return x.argmax(1)"),
        ("own", "def chosen(logits):\n    return first(logits)"),
        ("answer", BY_HELPER),
        "check",
    ],
    "a helper that is a class": [
        ("own", "class Chosen:\n    def __call__(self, x):\n        return x.argmax(1)\nchosen = Chosen()"),
        ("answer", BY_HELPER),
        "check",
    ],
    "a helper that is a lambda": [("own", "chosen = lambda x: x.argmax(1)"), ("answer", BY_HELPER), "check"],
    "a constant in a cell above": [("own", "AXIS = 1"), ("answer", BY_NAME), "check"],
    "a constant that is computed": [("own", "import math\nAXIS = int(math.sqrt(1))"), ("answer", BY_NAME), "check"],
    "a constant that is filled later": [
        ("own", "table = {}\nfor name in ('axis',):\n    table[name] = 1\nAXIS = table['axis']"),
        ("answer", BY_NAME),
        "check",
    ],
    "a constant given by a method": [("own", "axes = []\naxes.append(1)\nAXIS = axes[0]"), ("answer", BY_NAME), "check"],
    "an import in a cell above": [
        ("own", "import numpy as the_library"),
        ("answer", "def accuracy(z, y):\n    return float(the_library.mean(z.argmax(1).numpy() == y.numpy()))"),
        "check",
    ],
    "a right copy below a wrong one": [("answer", WRONG), ("answer", RIGHT), "check"],
    "a right one in a new cell below a wrong one": [("answer", WRONG), ("own", RIGHT), "check"],
    "a blank copy below": [("answer", RIGHT), "check", ("answer", STUB)],
    "a wrong copy below the check": [("answer", RIGHT), "check", ("answer", WRONG)],
    "a right copy below the check, checked again": [("answer", WRONG), "check", ("answer", RIGHT), "check"],
    "a right one in a new cell below the check": [("answer", STUB), "check", ("own", RIGHT), "check"],
    "its name used for a number below": [("answer", RIGHT), "check", ("own", "accuracy = 0.5")],
    "its helper's name used below": [("own", HELPER), ("answer", BY_HELPER), "check", ("own", "chosen = 3")],
    "%matplotlib inline": [("answer", "%matplotlib inline\n" + RIGHT), "check"],
    "%%time": [("answer", "%%time\n" + RIGHT), "check"],
    "a magic that is not installed": [("answer", RIGHT + "%load_ext not_there\n"), "check"],
    "a shell command": [("answer", "!echo 1\n" + RIGHT), "check"],
    "a test of its own that fails": [("answer", RIGHT + "assert accuracy is None\n"), "check"],
    "an error before it": [("answer", "1 / 0\n" + RIGHT), "check"],
    "a test on what the notebook computed": [("answer", RIGHT + "accuracy(not_here, not_there)\n"), "check"],
    "a print that formats the course": [
        ("answer", "import fewshot_lab as lab\n" + RIGHT + "print(f'{lab.profile:>10}')\n"),
        "check",
    ],
    "numbers of another cell in its test": [("own", "logits = 3"), ("answer", RIGHT + "accuracy(logits, 2)\n"), "check"],
    "as a lambda": [("answer", "accuracy = lambda z, y: (z.argmax(1) == y).double().mean().item()"), "check"],
    "decorated": [("answer", DECORATOR + "@same\n" + RIGHT), "check"],
    "annotated": [
        ("answer", "from __future__ import annotations\n" + RIGHT.replace("labels)", "labels: Tensor) -> float", 1)),
        "check",
    ],
    "with a cell that trains for an hour": [
        ("own", "import time\nweights = [time.sleep(3600) for _ in range(3)]"),
        ("answer", RIGHT),
        "check",
    ],
    "with a cell that ends the kernel": [("own", "import os\nos._exit(0)"), ("answer", RIGHT), "check"],
    "with a cell that is no Python": [("own", "this is a note"), ("answer", RIGHT), "check"],
}


class Shell(InteractiveShell):
    def enable_gui(self, gui=None):
        """As a notebook's kernel, it has no window."""


def made(form, notebook) -> dict:
    """The notebook of chapter 00, solved but for accuracy, which is written in a form."""
    nb = notebook("00", assignment("00").solved)
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells]
    answer, check = nb.cells[ids.index("accuracy")], nb.cells[ids.index("check_accuracy")]
    assert ids.index("check_accuracy") == ids.index("accuracy") + 1
    cells = []
    for part in form:
        cell = nbformat.from_dict(check if part == "check" else answer if part[0] == "answer" else nbformat.v4.new_code_cell())
        if part != "check":
            cell.source = part[1]
        cells.append(cell)
    at = ids.index("accuracy")
    nb.cells = [*nb.cells[:at], *cells, *nb.cells[at + 2 :]]
    return nb


def given_in(tmp_path, nb, sandbox):
    """A submission's marks by question."""
    (tmp_path / "in" / "ada").mkdir(parents=True)
    (tmp_path / "in" / "ada" / "work.ipynb").write_text(json.dumps(nb))
    [submission] = collect(tmp_path / "in")
    return {mark.grade_id: mark for mark in grading.grade(submission, sandbox, "a seed", 60.0).marks}


@pytest.mark.parametrize("name", FORMS)
def test_an_honest_form_passes_in_the_notebook_and_at_grading(name, notebook, sandbox, tmp_path):
    import torch

    settings = Config()
    settings.HistoryManager.enabled = False
    shell = Shell(config=settings)
    shell.run_cell("import torch\nfrom torch import Tensor")
    passed = False
    for part in FORMS[name]:
        if part == "check":
            function = shell.user_ns.get("accuracy")
            if callable(function):
                seen = examine(get_exercise("accuracy"), function, torch.Generator().manual_seed(1))
                passed = passed or seen.status == "passed"
        elif not any(word in part[1] for word in ("_exit", "sleep")):  # this test is in the notebook's process
            for piece in [part[1]] if part[0] == "own" else part[1].split("\n1 / 0\n"):
                shell.run_cell(piece.removeprefix("1 / 0\n"), store_history=False, silent=True)
    assert passed, "the notebook's own check"
    marks = given_in(tmp_path, made(FORMS[name], notebook), sandbox)
    assert marks["accuracy"].status == "passed", (marks["accuracy"].message, marks["accuracy"].details)
    assert all(mark.status in ("passed", "by hand") for mark in marks.values())


def test_metadata_are_not_needed(notebook, sandbox, tmp_path):
    nb = notebook("00", assignment("00").solved)
    for cell in nb.cells:
        cell.metadata = {}
    marks = given_in(tmp_path, nb, sandbox)
    assert all(marks[question.grade_id].status == "passed" for question in assignment("00").questions if question.exercise)


def test_the_format_of_2015_and_a_program_alone_are_read(notebook, sandbox, tmp_path):
    solved = assignment("01").solved
    cells = [{"cell_type": "code", "input": [text], "metadata": {}, "outputs": []} for text in solved.values()]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}
    program = "import math\nimport torch\nimport torch.nn.functional as F\n" + "\n\n".join(
        solved[q.grade_id] for q in _exercises("01")
    )
    for student, name, text in (("ada", "old.ipynb", json.dumps(old)), ("eve", "answers.py", program)):
        (tmp_path / student).mkdir()
        (tmp_path / student / name).write_text(text)
    for submission in collect(tmp_path):
        assert submission.chapter == "01" and not submission.problem
        marks = {mark.grade_id: mark for mark in grading.grade(submission, sandbox, "a seed", 60.0).marks}
        assert {question.grade_id for question in _exercises("01") if marks[question.grade_id].status != "passed"} == set()


def test_an_answer_beside_a_blank_helper_is_judged_beside_the_courses(graded):
    marks = {mark.grade_id: mark for mark in graded("04", similarity_matrix=assignment("04").stubs["similarity_matrix"]).marks}
    assert marks["similarity_matrix"].status == "not attempted" and marks["nt_xent"].status == "passed"


def test_an_error_of_a_cell_is_told_beside_what_is_wrong(graded):
    mark = {mark.grade_id: mark for mark in graded("00", accuracy=WRONG + "1 / 0\n").marks}["accuracy"]
    assert mark.status == "failed" and "ZeroDivisionError" in " ".join([mark.message, *mark.details])


def _exercises(chapter):
    return [question for question in assignment(chapter).questions if question.exercise]
