"""What executed notebooks say about themselves: the check results in their outputs, as reported by the learner."""

from pathlib import Path

from ..course.outputs import CHECK
from .submissions import identify, notebooks, read_notebook, tidy

HEAD = ["student", "chapter", "question", "status", "mistake", "source"]
SOURCE = "as reported by the learner"


def reported(place: Path) -> list[list[str]]:
    """One row of HEAD for each check in the outputs of each notebook under `place`; the last result of a question counts.

    Anyone can write anything into a notebook's outputs: these are no marks.
    """
    rows = []
    for path, content, problem in notebooks(place):
        try:
            cells = [] if problem else read_notebook(content)
        except ValueError:
            cells = []
        student, _, chapter = identify(path, cells)
        found = {}
        for cell in cells:
            for said in _checks(cell["raw"]):
                found[_text(said, "exercise")] = [_text(said, "status"), _text(said, "mistake")]
        rows += [[student, chapter, question, *said, SOURCE] for question, said in found.items()]
    return rows


def _checks(cell: dict) -> list[dict]:
    outputs = cell.get("outputs")
    data = [output.get("data") for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []
    found = [bundle.get(CHECK) for bundle in data if isinstance(bundle, dict)]
    return [said for said in found if isinstance(said, dict)]


def _text(said: dict, name: str) -> str:
    value = said.get(name)
    return tidy(value) if isinstance(value, str) else ""
