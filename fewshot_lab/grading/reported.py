"""Lists the check results in the outputs of executed notebooks, as reported by the learner; nothing is run."""

from pathlib import Path

from ..evidence.records import recorded
from .submissions import identify, notebooks, read_notebook, tidy

HEAD = ["student", "chapter", "question", "status", "mistake", "source"]
SOURCE = "as reported by the learner"


def reported(submissions: Path) -> list[list[str]]:
    """A row (columns: HEAD) for each exercise with a check result in a notebook of this folder; its last result counts.

    Anyone can write anything into a notebook's outputs: these are no grades.
    """
    rows = []
    for path, content, problem in notebooks(submissions):
        try:
            cells = [] if problem else read_notebook(content)
        except ValueError:
            cells = []
        student, _, chapter = identify(path, cells)
        checks = recorded([cell["raw"] for cell in cells]).checks.values()
        for check in checks:
            mistake = tidy(check.mistake) if check.mistake else ""
            rows.append([student, chapter, tidy(check.exercise), check.status, mistake, SOURCE])
    return rows
