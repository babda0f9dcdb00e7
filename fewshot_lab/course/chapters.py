"""The chapters of the course: where they are and how a learner names them."""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import CourseError
from ..languages import language, say


@dataclass(frozen=True)
class Chapter:
    """One chapter: its number as text ("01"), file name without extension, title, source and learner's notebook.

    question: what it asks. minutes: how long a learner needs, None if it does not say. exercises: their names, in order.
    predictions: how many results it asks to predict.
    """

    id: str
    name: str
    title: str
    source: Path
    notebook: Path
    question: str = ""
    minutes: int | None = None
    exercises: tuple[str, ...] = ()
    predictions: int = 0

    @property
    def edition(self) -> str:
        """The language of the notebook, such as "zh" for notebooks/zh/..."""
        return "en" if self.notebook.parent == self.source.parents[1] else self.notebook.parent.name


def course_root() -> Path:
    """The folder that holds notebooks/: FEWSHOT_LAB_COURSE, else the one above the package, else the current folder.

    Raises CourseError when there is none.
    """
    if setting := os.environ.get("FEWSHOT_LAB_COURSE"):
        root = Path(setting).expanduser().resolve()
        if not (root / "notebooks").is_dir():
            raise CourseError(say("FEWSHOT_LAB_COURSE is {setting}, but there is no folder notebooks/ in it.", setting=setting))
        return root
    # The clone of an editable installation comes first: it has the version of the notebooks that fits this package.
    candidates = [Path(__file__).resolve().parents[2], Path.cwd()]
    for root in candidates:
        if (root / "notebooks" / "source").is_dir():
            return root
    raise CourseError(
        say(
            "No folder notebooks/source/ in {candidates}. Go to the folder of the course (the clone of its "
            "repository) and try again, or set FEWSHOT_LAB_COURSE to it.",
            candidates=say(" nor in ").join(map(str, candidates)),
        )
    )


def own_root() -> Path:
    """The folder of a learner's work/ and runs/: FEWSHOT_LAB_OWN, else the course's own. docs/hub.md: many read one course."""
    named = os.environ.get("FEWSHOT_LAB_OWN")
    return Path(named).expanduser().resolve() if named else course_root()


def chapters() -> list[Chapter]:
    """All chapters in order; raises CourseError when the course has none."""
    folder = course_root() / "notebooks"
    sources = sorted((folder / "source").glob("[0-9][0-9]_*.py"))
    if not sources:
        raise CourseError(
            say("No chapter in {folder}: its files are named like 01_rotations_and_flips.py.", folder=folder / "source")
        )
    here = {source: _edition(folder, source, language()) for source in sources}
    return [_chapter(source, at if at.exists() else _edition(folder, source, "en")) for source, at in here.items()]


def notebook_in(chapter: Chapter, edition: str) -> Path:
    """Where a chapter's notebook in a language lies, whether it is there or not."""
    return _edition(chapter.source.parents[1], chapter.source, edition)


def _edition(folder: Path, source: Path, of: str) -> Path:
    return folder / ("" if of == "en" else of) / f"{source.stem}.ipynb"


def choose(names: list[str] | tuple[str, ...] = ()) -> list[Chapter]:
    """The chapters with these names, each once and in the course's order; all chapters when no name is given.

    A name is a number ("1", "01"), a file name ("01_rotations_and_flips", with or without extension) or the beginning of one,
    with or without the number ("rotations"). Raises CourseError for a name that fits no chapter or several.
    """
    known = chapters()
    chosen = {_find(name, known).id for name in names}
    return [chapter for chapter in known if not names or chapter.id in chosen]


def read_notebook(chapter: Chapter):
    """A chapter's stored notebook as an nbformat NotebookNode; raises CourseError when it is missing or damaged."""
    import nbformat

    try:
        return nbformat.read(chapter.notebook, as_version=4)
    except FileNotFoundError as error:
        raise CourseError(
            say("{notebook} does not exist. Build it: fewshot-lab build {id}", notebook=chapter.notebook, id=chapter.id)
        ) from error
    except Exception as error:
        reason = str(error).split("\n")[0][:200]
        raise CourseError(
            say(
                "{notebook} cannot be read ({reason}). Build it anew: fewshot-lab build {id}",
                notebook=chapter.notebook,
                reason=reason,
                id=chapter.id,
            )
        ) from error


def _find(name: str, known: list[Chapter]) -> Chapter:
    wanted = Path(name).name.removesuffix(".ipynb").removesuffix(".py").lower()
    if wanted.isdecimal():
        fitting = [chapter for chapter in known if int(chapter.id) == int(wanted)]
    else:
        names = {chapter: (chapter.name.lower(), chapter.name[3:].lower()) for chapter in known}
        fitting = [chapter for chapter in known if wanted in names[chapter]]  # a whole name wins over beginnings of others
        fitting = fitting or [chapter for chapter in known if wanted and any(n.startswith(wanted) for n in names[chapter])]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(chapter.name for chapter in fitting or known)
    if fitting:
        raise CourseError(say("Chapter {name!r} fits several: {listed}. Give its number.", name=name, listed=listed))
    candidates = [n for chapter in known for n in (chapter.name, chapter.name[3:])]
    close = difflib.get_close_matches(wanted, candidates, n=1, cutoff=0.4)
    hint = say(" Did you mean {close!r}?", close=close[0]) if close else ""
    raise CourseError(
        say("There is no chapter {name!r}.{hint} The chapters are: {listed}.", name=name, hint=hint, listed=listed)
    )


def _chapter(source: Path, notebook: Path) -> Chapter:
    """Reads a chapter's facts from its source: question from the header, title and time from the text, exercises from cells."""
    # By regular expressions: parsing all sources with jupytext would take seconds, and every command asks for the chapters.
    text = source.read_text(encoding="utf-8")

    def first(pattern: str) -> str:
        match = re.search(pattern, text, re.MULTILINE)
        return match.group(1).strip() if match else ""

    title = first(r"^# # (?:\d\d\s*[·:.-]\s*)?(.+)$") or source.stem
    minutes = first(r"^# \*\*Time:\*\* (\d+) minutes")
    exercises = dict.fromkeys(re.findall(r'^# %% exercise="(\w+)"', text, re.MULTILINE))
    question = first(r"^#   question: (.+)$")
    predictions = len(re.findall(r"^lab\.predict\(", text, re.MULTILINE))
    facts = (question, int(minutes or 0) or None, tuple(exercises), predictions)
    return Chapter(source.stem[:2], source.stem, title, source, notebook, *facts)
