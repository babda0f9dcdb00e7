"""What `release` hands out is a course for nbgrader too: it makes the learners' notebooks of it, and grades them."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.nbgraderformat import MetadataValidator

from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import chapters
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.release import release

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nbgrader")]  # on one worker: all use one handout
CHAPTERS = {chapter.id: chapter for chapter in chapters()}


def nbgrader(course: Path, *words: str) -> None:
    """Runs nbgrader in a course folder; it looks for its own programs and for kernels beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nbgrader", *words]
    done = subprocess.run(command, cwd=course, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def handout(tmp_path_factory):
    """All chapters, released, with nbgrader's own release of them in nbgrader/release/."""
    out = tmp_path_factory.mktemp("handout")
    release([], out)
    nbgrader(out / "nbgrader", "generate_assignment", "--assignment=*")
    return out


def read(*place) -> nbformat.NotebookNode:
    nb = nbformat.read(Path(*place), as_version=4)
    nbformat.validate(nb)
    MetadataValidator().validate_nb(nb)
    return nb


def marks(nb, names=("grade_id", "solution", "grade", "locked", "task", "points")) -> list[dict]:
    found = [cell.metadata.get("nbgrader", {}) for cell in nb.cells]
    return [{name: cell.get(name) for name in names} for cell in found]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_nbgrader_makes_the_learners_version_of_a_released_source(handout, chapter):
    """Its text is the course's own, listings to repair among it, and so are the marks of its cells."""
    ours, name, file = build(CHAPTERS[chapter]), CHAPTERS[chapter].name, CHAPTERS[chapter].notebook.name
    theirs = read(handout, "nbgrader", "release", name, file)
    assert [cell.source for cell in theirs.cells] == [cell.source for cell in ours.cells]
    assert marks(theirs) == marks(ours)
    for cell in theirs.cells:
        assert not cell.get("outputs") and not cell.get("execution_count")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_notebook_of_a_release_is_valid_for_nbgrader(handout, chapter):
    name, file = CHAPTERS[chapter].name, CHAPTERS[chapter].notebook.name
    source = read(handout, "nbgrader", "source", name, file)
    for other in (read(handout, "release", file), read(handout, "solved", file)):
        assert marks(other) == marks(source)


def test_nbgrader_gives_a_solved_submission_full_marks_and_a_blank_one_none(handout):
    course, name, file = handout / "nbgrader", CHAPTERS["00"].name, CHAPTERS["00"].notebook.name
    for student, answers in {"solved": assignment("00").solved, "blank": {}}.items():
        nb = read(course, "release", name, file)
        for cell in nb.cells:
            cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        (course / "submitted" / student / name).mkdir(parents=True)
        nbformat.write(nb, course / "submitted" / student / name / file)
    nbgrader(course, "autograde", name)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        given = {done.student.id: (done.score, done.max_score) for done in gradebook.assignment_submissions(name)}
    points = assignment("00").points
    assert given == {"solved": (points, points), "blank": (0, points)}
    for student in ("solved", "blank"):  # the experiments run on with the course's own functions
        nb = read(course, "autograded", student, name, file)
        errors = {output.ename for cell in nb.cells for output in cell.get("outputs", []) if output.output_type == "error"}
        assert errors == {"CheckFailed"}
