"""Writes what an instructor hands out: learners' notebooks, solved ones, and sources for those who use nbgrader."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..course.build import build, with_marks
from ..course.chapters import choose, read_notebook
from ..course.outputs import fold_results
from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from ..runtime import check_hints
from .assignment import assignment

NBGRADER_CONFIG = Path(__file__).with_name("nbgrader_config.py")  # runs in nbgrader only: it is copied, never imported


def release(names: Sequence[str], out: Path, hints: int = 3) -> list[Path]:
    """Writes what is handed out for these chapters (all by default) into a folder, and returns the paths.

    release/: the learners' notebooks, which have not run, the makers' figures folded away (`fold_results`). solved/: the
    instructors' notebooks, not executed. nbgrader/: a course folder for `nbgrader generate_assignment`; its notebooks hold both
    versions, separated by solution marks. manifest.json: points, and the sha256 of each released notebook. hints: how far
    `lab.hint` goes in them, from 0 (off) to 3 (a solution). Raises CourseError when a stored notebook is older than its source,
    and for other hints.
    """
    import nbformat

    check_hints(hints, "--hints")
    written, rows = [], []
    for chapter in choose(list(names)):
        nb = read_notebook(chapter)
        if [cell.source for cell in nb.cells] != [cell.source for cell in build(chapter).cells]:
            raise CourseError(
                say(
                    "{name} is older than its source: run `fewshot-lab build {id}` first.",
                    name=chapter.notebook.name,
                    id=chapter.id,
                )
            )
        fold_results(nb)
        nb = nbformat.from_dict(nb)  # what was folded is a plain dictionary
        name, task = chapter.notebook.name, assignment(chapter.id)
        marked = with_marks(chapter)
        for one in (nb, marked) if hints < 3 else ():
            _limit_hints(one, chapter.id, hints)
        content = nbformat.writes(nb) + "\n"
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
        (Path(out) / "nbgrader" / "nbgrader_config.py", NBGRADER_CONFIG.read_text(encoding="utf-8")),
        (Path(out) / "manifest.json", json.dumps({"chapters": rows}, indent=1, ensure_ascii=False) + "\n"),
    ):
        write_atomically(path, text)
        written.append(path)
    return written


def _limit_hints(nb, chapter: str, hints: int) -> None:
    """Writes into a notebook's call of `lab.setup` how far its hints go."""
    call = f'lab.setup("{chapter}", '
    [cell] = [cell for cell in nb.cells if call in cell.source]
    cell.source = cell.source.replace(call, f"{call}hints={hints}, ")
