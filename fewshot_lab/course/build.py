"""Builds notebooks from their sources, which are py:percent texts with solution marks.

The words after `# %%` are shorthand for a cell's metadata:

- `exercise="name"`, worth one point or `points=3`: nbgrader's two cells, the solution and the locked check under it;
- `[markdown] answer="name" points=3`: an answer in words that a person marks;
- `folded=true`: a cell that only draws. A learner sees its figure at once, and its code on a click.

The learner's version holds `# YOUR CODE HERE` in place of each solution region. In a cell that asks to repair a listing
(one with a PLANTED region) the planted lines take the solution's place.
"""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import CourseError
from ..files import write_atomically
from ..languages import language, say, speaking
from .chapters import Chapter, choose, notebook_in, read_notebook
from .edition import ANSWER_HERE, catalogue_of, editions, translate
from .kernels import ending_like_ctrl_c, execute, kernel_environment
from .outputs import strip_live_parts

STUB = {"code": "# YOUR CODE HERE\nraise NotImplementedError()", "markdown": ANSWER_HERE}
_MARK = re.compile(r"^\s*(?:# )?### (BEGIN|END) (SOLUTION|PLANTED)\s*$")
# A mark with a slip in it would hand the solution out to learners, so whatever resembles one must be one.
_LIKE_A_MARK = re.compile(r"^\s*(?:# )?##+\s*(BEGIN|END)\b")


def build(chapter: Chapter, solved: bool = False):
    """The notebook of a chapter (an nbformat NotebookNode, not executed), for learners or solved, in the language set.

    The same source gives the same notebook, cell ids included. Raises CourseError, with file and cell, for wrong marks.
    """
    return _built(chapter, lambda cell, where: _without_marks(cell, solved, where))


def with_marks(chapter: Chapter):
    """The notebook with its solution marks, as nbgrader's `generate_assignment` needs it."""
    return _built(chapter, lambda cell, where: cell.source)


def _built(chapter: Chapter, text):
    """The notebook whose cells hold `text(cell, where)`; `where` names file and cell for errors."""
    import jupytext

    nb = jupytext.reads(chapter.source.read_text(encoding="utf-8"), fmt="py:percent")
    cells, seen = [], {}
    for number, cell in enumerate(nb.cells, 1):  # as the source counts them, which the errors name
        where = say("{source}, cell {number}", source=chapter.source.name, number=number)
        expanded = _expanded(cell)
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id and seen.setdefault(grade_id, number) != number:
            raise CourseError(
                say(
                    "{where}: its grade_id {grade_id!r} is that of cell {seen} already.",
                    where=where,
                    grade_id=grade_id,
                    seen=seen[grade_id],
                )
            )
        cell.source = text(cell, where)
        cells += expanded
    for position, cell in enumerate(cells):
        cell.id = _cell_id(position, cell)
    nb.cells = cells
    # Replaced as a whole: the source's header is for this builder, and a kernel's exact version would differ from machine to
    # machine and show up as a change in every notebook.
    nb.metadata = type(nb.metadata)(
        kernelspec={"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        language_info={
            "name": "python",
            "file_extension": ".py",
            "mimetype": "text/x-python",
            "pygments_lexer": "ipython3",
        },
    )
    nb.nbformat, nb.nbformat_minor = 4, 5
    if language() in editions(chapter)[1:]:  # after the ids, which are the same in every edition
        translate(nb, catalogue_of(chapter, language()))
    return nb


def _expanded(cell) -> list:
    """The cells that one cell of the source becomes: for an exercise its solution and its check."""
    import nbformat

    points = cell.metadata.pop("points", 1)
    if name := cell.metadata.pop("exercise", None):
        cell.metadata["nbgrader"] = _nbgrader(name, solution=True)
        check = nbformat.v4.new_code_cell(f"lab.check({name})")
        check.metadata["nbgrader"] = _nbgrader(f"check_{name}", grade=True, locked=True, points=points)
        return [cell, check]
    if cell.metadata.pop("folded", False):
        cell.metadata["jupyter"] = {"source_hidden": True}  # JupyterLab's fold
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]  # the web site's
    if name := cell.metadata.pop("answer", None):
        cell.metadata["nbgrader"] = _nbgrader(name, solution=True, grade=True, points=points)
    return [cell]


def _nbgrader(
    grade_id: str, *, solution: bool = False, grade: bool = False, locked: bool = False, points: int | None = None
) -> dict:
    """nbgrader's cell metadata (schema 3)."""
    flags = {"schema_version": 3, "solution": solution, "grade": grade, "locked": locked, "task": False}
    return flags | ({} if points is None else {"points": points}) | {"grade_id": grade_id}


def write_notebooks(
    names: list[str] | tuple[str, ...] = (), execute: bool = True, only: str | None = None, kept: Path | None = None
) -> list[Path]:
    """Builds the learner's notebooks of these chapters (all by default) in every edition, executes them, returns their paths.

    The editions of a chapter show the same numbers: what took long in the first is kept for the others. They have no outputs
    that only a live kernel can show. Raises CourseError for a chapter that fails; its file stays as it was.

    execute: False leaves the outputs empty. only: the edition in one language. kept: a folder for what took long, with a folder
    for each chapter, to go on with; by default a temporary one.
    """
    written = []
    for chapter in choose(names):
        with TemporaryDirectory() as folder:
            for edition in _those(only, chapter):
                with speaking(edition):
                    nb = build(chapter)
                    path = notebook_in(chapter, edition)
                    path.parent.mkdir(exist_ok=True)
                    if execute:
                        _execute(nb, chapter, path.parent, (kept or Path(folder)).resolve() / chapter.id)
                    written.append(_write(nb, path))
    return written


def _those(only: str | None, chapter: Chapter) -> tuple[str, ...]:
    there = editions(chapter)
    if only and only not in there:
        raise CourseError(say("Chapter {name} has no texts in {only}: `make texts` begins them.", name=chapter.name, only=only))
    return (only,) if only else there


def write_solved(folder: Path, names: list[str] | tuple[str, ...] = ()) -> list[Path]:
    """Writes the solved versions of these chapters (all by default), not executed, into a folder."""
    return [_write(build(chapter, solved=True), Path(folder) / chapter.notebook.name) for chapter in choose(names)]


def differences(chapter: Chapter, only: str | None = None) -> list[str]:
    """How a chapter's stored notebooks differ from its source: cell types, texts, tags, nbgrader's and Jupyter's metadata.

    only: the edition in one language; by default all.
    """
    lines = []
    for edition in _those(only, chapter):
        with speaking(edition):
            lines += _differences(replace(chapter, notebook=notebook_in(chapter, edition)))
    return lines


def _differences(chapter: Chapter) -> list[str]:
    built = build(chapter).cells
    try:
        stored = read_notebook(chapter).cells
    except CourseError as error:
        return [str(error)]
    lines = []
    if len(built) != len(stored):
        numbers = {"stored": len(stored), "built": len(built)}
        lines.append(say("{name} has {stored} cells, its source gives {built}", name=chapter.notebook.name, **numbers))
    for position, (new, old) in enumerate(zip(built, stored, strict=False), 1):
        parts = {"type": (new.cell_type, old.cell_type), "text": (new.source, old.source)}
        parts |= {name: (new.metadata.get(name), old.metadata.get(name)) for name in ("tags", "nbgrader", "jupyter")}
        changed = [name for name, (ours, theirs) in parts.items() if ours != theirs]
        if changed:
            first_line = (new.source or old.source).strip().split("\n")[0][:60]
            where = {"name": chapter.notebook.name, "cell": position, "first_line": first_line}
            parts = say(" and ").join(changed)
            lines.append(say("{name}, cell {cell} ({first_line}): {parts} differ", parts=parts, **where))
    return lines


def _without_marks(cell, solved: bool, where: str) -> str:
    """A cell's text with its marks resolved: the solved version keeps the SOLUTION region, the learner's the PLANTED one.

    Where there is no planted listing, a stub takes the solution's place.
    """
    lines, kept, inside = cell.source.split("\n"), [], None
    regions = [mark.group(2) for mark in map(_MARK.match, lines) if mark]
    repair = "PLANTED" in regions
    nbgrader = cell.metadata.get("nbgrader", {})
    if "SOLUTION" in regions and not (nbgrader.get("solution") and nbgrader.get("grade_id")):
        raise CourseError(
            say('{where}: a solution region belongs into a cell that begins with # %% exercise="name".', where=where)
        )
    if nbgrader.get("solution") and "SOLUTION" not in regions:
        raise CourseError(
            say("{where}: it is an exercise or an answer, but it has no region '### BEGIN SOLUTION'.", where=where)
        )
    if repair and "SOLUTION" not in regions:
        raise CourseError(
            say("{where}: planted lines without a solution region: say what the repaired lines are.", where=where)
        )
    for line in lines:
        mark = _MARK.match(line)
        if not mark and _LIKE_A_MARK.match(line):
            raise CourseError(
                say("{where}: {line!r} is no mark; they are '### BEGIN SOLUTION' and the like.", where=where, line=line.strip())
            )
        if not mark:
            if inside is None or inside == ("SOLUTION" if solved else "PLANTED"):
                kept.append(_uncommented(line, where) if inside == "PLANTED" else line)
            continue
        edge, region = mark.groups()
        # Regions neither nest nor overlap: a BEGIN needs to be outside of all, an END inside its own.
        if (edge == "BEGIN") != (inside is None) or (edge == "END" and inside != region):
            position = say("inside {region}", region=inside) if inside else say("without its beginning")
            raise CourseError(
                say(
                    "{where}: '### {edge} {region}' stands {position}.",
                    where=where,
                    edge=edge,
                    region=region,
                    position=position,
                )
            )
        inside = region if edge == "BEGIN" else None
        if (edge, region, solved, repair) == ("BEGIN", "SOLUTION", False, False):
            indent = line[: len(line) - len(line.lstrip())]  # the mark's own: the stub is the body of a function
            kept += [indent + stub for stub in STUB[cell.cell_type].split("\n")]
    if inside:
        raise CourseError(say("{where}: '### BEGIN {inside}' has no end.", where=where, inside=inside))
    return "\n".join(kept)


def _uncommented(line: str, where: str) -> str:
    # The source holds the wrong lines as comments, so that it stays valid Python that linters accept.
    commented = re.match(r"^(\s*)#(?: (.*))?$", line)
    if line.strip() and not commented:
        raise CourseError(
            say("{where}: the planted line {line!r} must be commented out with '# '.", where=where, line=line.strip())
        )
    return "".join(part or "" for part in commented.groups()).rstrip() if commented else ""


def _cell_id(position: int, cell) -> str:
    # From position and text, not random as nbformat's: the same source must give the same file, or every build is a change.
    text = cell.metadata.get("nbgrader", {}).get("grade_id") or cell.source.strip().split("\n")[0]
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    return f"{position:02d}-{slug}".rstrip("-")


def _execute(nb, chapter: Chapter, place: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    # On an empty board: the stored notebook must not list what was entered on this machine.
    with TemporaryDirectory() as folder, ending_like_ctrl_c():
        board = Path(folder) / "leaderboard.json"
        with kernel_environment("quick", "auto", language=language(), board=board, kept=kept):
            error = execute(nb, place)
    if error:
        stopped = f"{error['cell']}: {say(error['message'])}\n{error['traceback']}".strip()
        raise CourseError(
            say("Chapter {name} fails, its notebook was left as it was. {stopped}", name=chapter.name, stopped=stopped)
        )
    strip_live_parts(nb)


def _write(nb, path: Path) -> Path:
    import nbformat

    write_atomically(path, nbformat.writes(nb) + "\n")
    return path
