"""Lists the check results in the outputs of executed notebooks, as reported by the learner; nothing is run."""

from pathlib import Path

from ..evidence.records import recorded
from .submissions import found_in, notebooks, read_notebook, tidy

HEAD = ["student", "chapter", "question", "status", "mistake", "source"]
SOURCE = "as reported by the learner"


def reported(submissions: Path) -> list[list[str]]:
    """A row (columns: HEAD) for each exercise with a check result in a notebook of this folder; its last result counts.

    Anyone can write anything into a notebook's outputs: these are no grades.
    """
    rows = []
    known = {one.path: one for ranked in found_in(submissions).values() for _, one in ranked}
    for path, content, problem in notebooks(submissions):
        try:
            cells = [] if problem else read_notebook(content)
        except ValueError:
            cells = []
        checks = recorded([cell["raw"] for cell in cells]).checks.values()
        for check in checks:
            mistake = tidy(check.mistake) if check.mistake else ""
            rows.append([known[path].student, known[path].chapter, tidy(check.exercise), check.status, mistake, SOURCE])
    return rows
