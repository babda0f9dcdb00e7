"""What the notebook's check passes, grading passes: right answers in every form in which learners write them."""

import json

import pytest
from honest_forms import FILES, FORMS, WRONG, made
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from fewshot_lab.checking import examine
from fewshot_lab.exercises import get_exercise
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.submissions import collect

pytestmark = pytest.mark.slow


class Shell(InteractiveShell):
    def enable_gui(self, gui=None):
        """As a notebook's kernel, it has no window."""


def marks_of(folder, name: str, content: bytes, sandbox) -> dict:
    """The marks, by question, of what ada handed in."""
    (folder / "in" / "ada").mkdir(parents=True)
    (folder / "in" / "ada" / name).write_bytes(content)
    [submission] = collect(folder / "in")
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
    content = json.dumps(made(FORMS[name], notebook("00", assignment("00").solved))).encode()
    marks = marks_of(tmp_path, "work.ipynb", content, sandbox)
    assert marks["accuracy"].status == "passed", (marks["accuracy"].message, marks["accuracy"].details)
    assert all(mark.status in ("passed", "by hand") for mark in marks.values())


@pytest.mark.parametrize("name", FILES)
def test_a_notebook_is_graded_however_it_was_saved(name, notebook, sandbox, tmp_path):
    file, saved = FILES[name]
    marks = marks_of(tmp_path, file, saved(notebook("00", assignment("00").solved)), sandbox)
    wrong = {grade_id: (mark.status, mark.message) for grade_id, mark in marks.items() if mark.status != "passed"}
    assert wrong == {} and len(marks) == len(assignment("00").questions)


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
