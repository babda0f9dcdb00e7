"""`lab.hand_in()`: what is answered, as the grader will find it, and one file with the notebooks and a receipt.

Where FEWSHOT_LAB_HAND_IN names a folder, the class's own, the file goes there; else it waits to be sent or uploaded.
"""

import hashlib
import io
import os
import re
import secrets
import stat
import sys
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from .. import __version__
from ..course.chapters import choose, course_root
from ..course.work import copy_of
from ..errors import CourseError
from ..files import write_atomically, writing_failed
from ..html import box, paragraph, table
from ..languages import KNOWN, say
from .assignment import assignment, by_grade_id
from .receipts import RECEIPT, Receipt, Received, now
from .submissions import LARGEST_NOTEBOOK, Submission, rank, read_submission, tidy, unanswered

FOLDER = "FEWSHOT_LAB_HAND_IN"  # the environment variable that names the class's folder
NAMES = ("FEWSHOT_LAB_NAME", "JUPYTERHUB_USER")  # those that name the learner


@dataclass(frozen=True)
class Looked:
    """A chapter as the grader will find it: the file, what is answered and what is not, and what to look at before."""

    chapter: str
    title: str
    path: Path
    content: bytes
    answered: tuple[str, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class HandIn:
    """What was handed in, or would be. `path` is None where nothing was written; `given`: the file is in the class's folder."""

    chapters: tuple[Looked, ...]
    student: str = ""
    path: Path | None = None
    sha256: str = ""
    handed_in: str = ""
    given: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(f"{one.chapter}: {words}" for one in self.chapters for words in one.warnings)

    def __str__(self) -> str:
        lines = [f"{chapter}: {answered}. {missing}".rstrip() for chapter, answered, missing in self._rows(say("Missing: "))]
        return "\n".join([*lines, *self._closing()])

    def _repr_html_(self) -> str:
        heads = (say("chapter"), say("answered"), say("would be missing"))
        closing = [paragraph(line, ".4em") for line in self._closing()]
        return box(table(heads, list(self._rows())) + Markup("").join(closing))

    def _rows(self, before: str = ""):
        for one in self.chapters:
            count = say("{passed} of {total}", passed=len(one.answered), total=len(one.answered) + len(one.missing))
            yield f"{one.chapter} {one.title}", str(count), before + ", ".join(one.missing) if one.missing else ""

    def _closing(self) -> list[str]:
        lines = [say("Look at this first: {words}", words=words) for words in self.warnings]
        if self.path is None:
            return [*lines, say("Nothing is handed in yet.")]
        if self.given:
            lines.append(say("Handed in by {name}: {file}", name=self.student, file=self.path))
        else:
            lines.append(say("Written for {name}: {file}. Send or upload this one file.", name=self.student, file=self.path))
        return [*lines, say("Keep this as your receipt: {time}, sha256 {sha256}", time=self.handed_in, sha256=self.sha256)]


def hand_in(*chapters: str, name: str = "", to: Path | str | None = None, look: bool = False) -> HandIn:
    """Hands in your answers: one file with the notebooks and a receipt. An earlier hand-in is never overwritten.

    The notebooks are taken as they are saved, from your copies in work/ and from the current folder. What is said of them is
    what the grader will find. Raises CourseError where nothing is answered, nobody's name is known, or nothing can be written.

    Args:
        chapters: which ones, such as "02"; all that have an answer by default.
        name: yours; else that of the hub, or the one that you gave the last time, or you are asked.
        to: the folder for the file; the class's (FEWSHOT_LAB_HAND_IN) by default, else handed_in/ beside your notebooks.
        look: says what would be handed in, and writes nothing.
    """
    found = look_over(chapters)
    if look:
        return HandIn(found)
    student = known_name(name) or _asked()
    folder = os.environ.get(FOLDER) if to is None else to
    given = bool(folder)
    folder = Path(folder).expanduser() if folder else found[0].path.parent / "handed_in"
    if given and not folder.is_dir():
        raise CourseError(say("The folder {folder} for hand-ins is not there. Ask whoever set it up.", folder=folder))
    time = now()
    content = packed(student, time, found)
    stem = re.sub(r"[^\w.-]+", "_", student).strip("._")[:60] or "learner"
    stem = f"{stem}-{'_'.join(one.chapter for one in found)}-{time.replace(':', '')}"
    path = _write_new(folder, stem, content)
    _remember(student)
    return HandIn(found, student, path, hashlib.sha256(content).hexdigest(), time, given)


def packed(student: str, time: str, found: Iterable[Looked]) -> bytes:
    """A hand-in as the bytes of a zip."""
    rows = []
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for one in found:
                name, sha256 = f"{Path(assignment(one.chapter).notebook).stem}{one.path.suffix}", hashlib.sha256(one.content)
                rows.append(Received(name, one.chapter, sha256.hexdigest(), one.answered, one.missing))
                archive.writestr(name, one.content)
            archive.writestr(RECEIPT, Receipt(student, time, tuple(rows), __version__).as_json())
        return buffer.getvalue()


def look_over(names: Iterable[str] = ()) -> tuple[Looked, ...]:
    """The chapters with an answer (those that are named, also without), as the grader finds them in the saved notebooks."""
    asked = choose(tuple(names))
    best: dict[str, tuple[tuple, Submission, Path, bytes]] = {}
    for path in _candidates():
        try:
            content, modified = path.read_bytes(), (path.stat().st_mtime,)
        except OSError as error:
            raise CourseError(say("{file} cannot be read ({reason}).", file=path, reason=error.strerror)) from error
        one = read_submission(path.name, content, "")
        ranked = rank(one, modified)
        if one.chapter and (one.chapter not in best or ranked > best[one.chapter][0]):
            best[one.chapter] = (ranked, one, path, content)
    named = {chapter.id for chapter in asked} if names else set()
    shown = _on_the_screen()
    found = []
    for chapter in asked:
        if chapter.id not in best:
            continue
        looked = _looked(*best[chapter.id][1:], shown)
        if looked.answered or looked.warnings or chapter.id in named:
            found.append(looked)
    if absent := sorted(named - {one.chapter for one in found}):
        words = say("There is no notebook of chapter {numbers} in work/ or in this folder.", numbers=", ".join(absent))
        raise CourseError(words)
    if not found:
        raise CourseError(say("No answer is saved yet: answer an exercise, save its notebook (Ctrl + S), and hand in again."))
    return tuple(found)


def known_name(name: str = "") -> str:
    """The learner's name: the one given, the hub's, or the one of the last hand-in; "" where none is known."""
    found = name or next(filter(None, map(os.environ.get, NAMES)), "")
    if not found:
        with suppress(OSError, UnicodeDecodeError):
            found = _name_file().read_text(encoding="utf-8")
    return tidy(found) if found.strip() else ""


def _candidates() -> list[Path]:
    """The notebooks in the learner's copies, in the current folder and in the course's own, each once."""
    root = course_root()
    ours = [root / "notebooks", *(root / "notebooks" / code for code in KNOWN)]
    folders = dict.fromkeys([copy_of(choose()[0]).parent, Path.cwd(), *ours])
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.ipynb")) if path.is_file()]
    return list(dict.fromkeys(path.resolve() for path in files))


def _looked(one: Submission, path: Path, content: bytes, shown: dict[str, str]) -> Looked:
    task, warnings = assignment(one.chapter) if one.chapter else None, list(one.notes)
    if one.problem:
        return Looked(one.chapter, task.title, path, content, (), tuple(task.stubs), (f"{path.name}: {one.problem}",))
    missing = unanswered(one)
    for name in task.stubs:
        source = shown.get(name)
        if source is not None and not _holds(one.answers.get(name, ""), source):
            text = say(
                "{name} on the screen is not the one in the saved notebook: save it (Ctrl + S), and hand in again.", name=name
            )
            warnings.append(text)
    if len(content) > LARGEST_NOTEBOOK:
        content = _without_outputs(content)
        warnings.append(say("its outputs were left out, since with them the file is larger than the grader takes"))
    answered = tuple(name for name in task.stubs if name not in missing)
    return Looked(one.chapter, task.title, path, content, answered, missing, tuple(warnings))


def _on_the_screen() -> dict[str, str]:
    """{name: source} of the answers that this notebook's kernel has now; {} outside of a notebook."""
    import inspect

    kernel = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    sources = {}
    for name in by_grade_id() if kernel else ():
        function = kernel.user_ns.get(name)
        if callable(function) and getattr(function, "__module__", "") == "__main__":
            with suppress(OSError, TypeError):
                sources[name] = inspect.getsource(inspect.unwrap(function))
    return {name: source for name, source in sources.items() if not _is_stub(name, source)}


def _is_stub(name: str, source: str) -> bool:
    return any(_holds(blank, source) for blank in assignment(by_grade_id()[name]).blanks[name])


def _holds(text: str, source: str) -> bool:
    """Whether a source stands in a text, whatever the blanks at the ends of its lines and around it."""
    plain = [re.sub(r"[ \t]+(?=\n|$)", "", it).strip() for it in (text, source)]
    return plain[1] in plain[0]


def _without_outputs(content: bytes) -> bytes:
    import nbformat

    nb = nbformat.reads(content.decode("utf-8"), as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return (nbformat.writes(nb) + "\n").encode()


def _asked() -> str:
    words = say("Your name, as the class knows it: ")
    try:
        answer = tidy(input(words)) if sys.stdin is not None or "IPython" in sys.modules else ""
    except (EOFError, OSError, NotImplementedError, RuntimeError):  # nobody can type here; ipykernel raises a RuntimeError
        answer = ""
    if answer in ("", "unnamed"):
        raise CourseError(say('Whose answers are these? lab.hand_in(name="Ada Lovelace"), or --name on the command line.'))
    return answer


def _name_file() -> Path:
    from ..attempts import file

    return file().with_name("name.txt")


def _remember(student: str) -> None:
    if not any(map(os.environ.get, NAMES)):
        with suppress(CourseError):  # it is only asked again
            write_atomically(_name_file(), student)


def _write_new(folder: Path, stem: str, content: bytes) -> Path:
    """Writes a file under a name that nobody has yet, whole or not at all; returns its path.

    The folder may be a letter box: one in which a learner may write, and whose files only the grader reads.
    """
    temporary = folder / f".{stem}.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # In a folder that gives its group to its files, that group reads them, and no other learner.
        private = bool(folder.stat().st_mode & stat.S_ISGID)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640 if private else 0o666)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for number in range(1, 1000):
            path = folder / (f"{stem}.zip" if number == 1 else f"{stem}-{number}.zip")
            with suppress(FileExistsError):
                _take_name(temporary, path)
                return path
        raise CourseError(say("There are a thousand hand-ins of this second in {folder}.", folder=folder))
    except OSError as error:
        raise writing_failed(folder, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _take_name(temporary: Path, path: Path) -> None:
    """Gives a file its name; raises FileExistsError where there is one of that name."""
    try:
        os.link(temporary, path)  # a rename would overwrite, a link does not
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(temporary, path)
