"""One sandbox for all tests of a worker, where this machine can shut a process in; and submissions as notebooks."""

import nbformat
import pytest

from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import choose
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.sandbox import Limits, Sandbox, means
from fewshot_lab.grading.submissions import collect

LIMITS = Limits(memory=2**30, disk=16 * 2**20, cpu_seconds=30)


@pytest.fixture(scope="session")
def sandbox():
    if means() is None:
        pytest.skip("this machine allows neither bubblewrap nor user namespaces")
    with Sandbox(means(), LIMITS) as opened:
        yield opened


@pytest.fixture
def notebook():
    """notebook(chapter, answers): the chapter's notebook, not executed, with these answers in its cells, by grade id."""

    def make(chapter: str, answers: dict[str, str]):
        made = build(choose([chapter])[0])
        for cell in made.cells:
            cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        return made

    return make


@pytest.fixture
def graded(sandbox, notebook, tmp_path):
    """graded(chapter, **answers): a submission, graded; the answers that are not given are the solved ones."""

    def grade(chapter: str, seed: str = "1", **answers):
        folder = tmp_path / "handed in" / "a student"
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook(chapter, assignment(chapter).solved | answers), folder / "answers.ipynb")
        [submission] = collect(folder.parent)
        return grading.grade(submission, sandbox, seed, 60.0)

    return grade
