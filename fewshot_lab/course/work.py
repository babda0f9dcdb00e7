"""A learner's own copies of the chapters, in work/ beside notebooks/: made once, never overwritten, ignored by git.

The clone itself stays as it came, so that `git pull` has nothing to merge. A copy's metadata say which text it was made from;
when the course has a newer one, `renew` takes it and puts the learner's answers into it.
"""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from .build import STUB
from .chapters import Chapter, chapters, choose, notebook_in, own_root
from .door import links
from .outputs import fold_results

CLEAN_ROOM = Path(__file__).with_name("clean_room")  # Jupyter's settings for learners
_PAGE = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/") + "fewshot-lab"
# In a copy's metadata: {"text": sha256 of the chapter's text, "answers": {grade_id: that of its cell}, "language": "en"}.
_KEY = "fewshot_lab"


def copy_of(chapter: Chapter) -> Path:
    """The path of the learner's copy of a chapter, which may not exist yet."""
    return own_root() / "work" / chapter.notebook.name


def opened(chapter: Chapter) -> Path:
    """The notebook that a learner opens: the copy, or the course's own if there is no copy."""
    return copy_of(chapter) if copy_of(chapter).exists() else chapter.notebook


def make_copies(page: str = "") -> list[Path]:
    """Copies the chapters that have no copy yet and returns the new files; raises CourseError when they cannot be written.

    page: the address of the page of chapters, to which the copies lead back; by default that of a server, or of a hub's.
    """
    missing = [it for it in chapters() if it.notebook.exists() and not copy_of(it).exists()]
    handed = [(chapter, _as_handed_to_a_learner(chapter, page)) for chapter in missing]
    return [_write(nb, copy_of(chapter), _made_from(nb, chapter)) for chapter, nb in handed]


def outdated(to: str | None = None) -> list[Chapter]:
    """The chapters whose text in the course is no longer the one that the learner's copy was made from.

    Each has the notebook of its copy's language, or of the language `to`, where the course has it in that.
    """
    found = []
    for chapter in chapters():
        if not (chapter.notebook.exists() and copy_of(chapter).exists()):
            continue
        # A notebook that a person put there was made from no text that we know: it is left alone.
        if made_from := _read(copy_of(chapter))["metadata"].get(_KEY):
            there = notebook_in(chapter, to or made_from.get("language", "en"))
            chapter = replace(chapter, notebook=there if there.exists() else chapter.notebook)
            if made_from["text"] != _sha256(_read(chapter.notebook)["cells"]):
                found.append(chapter)
    return found


def renew(names: Sequence[str] = (), to: str | None = None) -> list[tuple[Path, Path, list[str]]]:
    """Brings the outdated copies of these chapters (all by default) to the course's text, with the learner's answers in it.

    An answer is a changed cell of an exercise or of a question in words. The old copies are kept in work/before/<time>/.
    Returns (copy, old copy, names of the answers that no longer have a cell) for each. to: the language to bring them into.
    """
    asked, now = {chapter.id for chapter in choose(tuple(names))}, datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return [_renewed(chapter, now) for chapter in outdated(to) if chapter.id in asked]


def _renewed(chapter: Chapter, now: str) -> tuple[Path, Path, list[str]]:
    copy = copy_of(chapter)
    old, new = _read(copy), _as_handed_to_a_learner(chapter)
    made_from = _made_from(new, chapter)  # before the answers are put in, which are not the course's text
    blank, cells = old["metadata"][_KEY]["answers"], _answer_cells(new)
    answers = {name: it for name, it in _answer_cells(old).items() if _is_answer(it, cells.get(name), blank.get(name))}
    for name in answers.keys() & cells.keys():
        cells[name]["source"] = answers[name]["source"]
    backup = copy.parent / "before" / now / copy.name
    write_atomically(backup, copy.read_bytes())  # first: a failure after this line loses nothing
    return _write(new, copy, made_from), backup, [name for name in answers if name not in cells]


def _as_handed_to_a_learner(chapter: Chapter, page: str = "") -> dict:
    """The course's notebook without the results that answer its questions, and with what JupyterLab would write into it.

    A front end notes the kernel's language in a notebook that it opens, and then asks whether to save what nobody changed.
    """
    nb = _read(chapter.notebook)
    fold_results(nb)
    set_up = next((cell for cell in nb["cells"] if "lab.setup(" in "".join(cell["source"])), None)
    if set_up:
        shown = {"text/html": links(chapter.id, page or _PAGE, chapter.notebook.parent), "text/plain": ""}
        set_up["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": shown}]
    mode = {"name": "ipython", "version": 3}
    kernel = {"codemirror_mode": mode, "nbconvert_exporter": "python", "version": platform.python_version()}
    nb["metadata"]["language_info"] = nb["metadata"].get("language_info", {}) | kernel
    return nb


def _is_answer(old: dict, new: dict | None, blank: str | None) -> bool:
    """Whether a cell holds an answer: it differs from what was copied, or was answered in notebooks/ before that."""
    return _sha256([old]) != blank or (new is not None and _has_stub(new) and not _has_stub(old))


def _has_stub(cell: dict) -> bool:
    return STUB[cell["cell_type"]].splitlines()[-1] in "".join(cell["source"])


def _read(path: Path) -> dict:
    """A notebook as plain JSON: nbformat takes a second for all of them, and the page of chapters reads them each time."""
    try:
        nb = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(nb["cells"], list) and isinstance(nb["metadata"], dict):
            return nb
        raise ValueError("no cells")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            say(
                "{path} is no notebook that can be read ({error!r}). Rename it, and a new copy is made.", path=path, error=error
            )
        ) from error


def _write(nb: dict, path: Path, made_from: dict) -> Path:
    nb["metadata"][_KEY] = made_from
    write_atomically(path, json.dumps(nb, indent=1, ensure_ascii=False) + "\n")
    return path


def _made_from(nb: dict, chapter: Chapter) -> dict:
    blank = {name: _sha256([cell]) for name, cell in _answer_cells(nb).items()}
    return {"text": _sha256(nb["cells"]), "answers": blank, "language": chapter.edition}


def _answer_cells(nb: dict) -> dict[str, dict]:
    """The cells that a learner writes into, by grade_id."""
    marked = [(cell["metadata"].get("nbgrader", {}), cell) for cell in nb["cells"]]
    return {of_cell["grade_id"]: cell for of_cell, cell in marked if of_cell.get("solution")}


def _sha256(cells: list[dict]) -> str:
    """The sha256 of cells' types and texts; outputs do not count."""
    texts = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
