"""What is handed out: the learners' notebooks, the solved ones for instructors, and sources for those who use nbgrader."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..course.build import build, with_marks
from ..course.chapters import choose, read_notebook
from ..errors import CourseError
from ..files import write_atomically
from .assignment import assignment

NBGRADER_CONFIG = r'''"""The course in nbgrader, written by `fewshot-lab release`. Work in this folder or copy it to yours."""

import re

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions

LISTING = re.compile(r"^ *### BEGIN PLANTED\n(.*?)\n *### END PLANTED\n *### BEGIN SOLUTION\n.*?### END SOLUTION$", re.S | re.M)


class ClearSolutionsAndPlant(ClearSolutions):
    """A cell that asks to repair a listing gets the listing's commented lines in place of its solution, not a stub."""

    def preprocess_cell(self, cell, resources, cell_index):
        cell.source, found = LISTING.subn(lambda lines: re.sub(r"^(?: *#$|( *)# )", r"\1", lines[1], flags=re.M), cell.source)
        return (cell, resources) if found else super().preprocess_cell(cell, resources, cell_index)


c = get_config()  # noqa: F821
c.GenerateAssignment.preprocessors = [
    ClearSolutionsAndPlant if step is ClearSolutions else step for step in GenerateAssignment.preprocessors.default()
]
c.Execute.timeout = 600  # seconds for a cell; some train a model
'''


def release(names: Sequence[str], out: Path) -> list[Path]:
    """Writes, for these chapters (all by default), into a folder:

    release/: the learners' notebooks with the outputs of everything but answers and checks; solved/: the instructors' ones, not
    executed; nbgrader/: a course folder for `nbgrader generate_assignment`, both versions in one by marks; and manifest.json,
    with points and the sha256 of each released notebook. Raises CourseError when a stored notebook is older than its source.
    """
    import nbformat

    written, rows = [], []
    for chapter in choose(list(names)):
        nb = read_notebook(chapter)
        if [cell.source for cell in nb.cells] != [cell.source for cell in build(chapter).cells]:
            raise CourseError(f"{chapter.notebook.name} is older than its source: run `fewshot-lab build {chapter.id}` first.")
        for cell in nb.cells:
            if cell.cell_type == "code" and "nbgrader" in cell.metadata:
                cell.outputs, cell.execution_count = [], None
        name, task = chapter.notebook.name, assignment(chapter.id)
        content = nbformat.writes(nb) + "\n"
        marked = with_marks(chapter)
        for path, text in (
            (Path(out) / "release" / name, content),
            (Path(out) / "solved" / name, nbformat.writes(build(chapter, solved=True)) + "\n"),
            (Path(out) / "nbgrader" / "source" / chapter.name / name, nbformat.writes(marked) + "\n"),
        ):
            write_atomically(path, text)
            written.append(path)
        questions = [
            {"grade_id": q.grade_id, "points": q.points, "kind": "check" if q.exercise else "hand"} for q in task.questions
        ]
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        rows.append({"id": chapter.id, "notebook": name, "sha256": sha256, "points": task.points, "questions": questions})
    for path, text in (
        (Path(out) / "nbgrader" / "nbgrader_config.py", NBGRADER_CONFIG),
        (Path(out) / "manifest.json", json.dumps({"chapters": rows}, indent=1, ensure_ascii=False) + "\n"),
    ):
        write_atomically(path, text)
        written.append(path)
    return written
