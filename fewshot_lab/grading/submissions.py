"""Reads what was handed in: notebooks in a folder, a folder for every student, or a learning platform's zip.

All of it is untrusted: names, paths, sizes and contents. What cannot be read becomes a Submission with a `problem`, never an
error, so that one bad file does not stop the grading of the others.
"""

import hashlib
import io
import json
import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ..errors import CourseError
from ..files import sha256_of
from ..languages import later, say
from .assignment import assignment, by_grade_id
from .own_cells import defined
from .receipts import LARGEST_RECEIPT, RECEIPT, Receipt, damage, moment, read_receipt

LARGEST_NOTEBOOK = 30 * 2**20  # bytes
LARGEST_ARCHIVE = 4 * 2**30  # bytes, unpacked
LARGEST_ANSWER = 100_000  # characters
MOST_OWN = 400_000  # characters of a learner's own cells
ZIPS_IN_ZIPS = 2  # how many archives may stand one within another
_PLATFORM = (
    re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?.*$"),  # Moodle's folders
    re.compile(r"^(?P<name>[^_\W]+)_(?:LATE_)?(?P<id>\d+)_\d+_.*$"),  # Canvas's files
)
# What `lab.hand_in` writes: name, chapters, time.
_HAND_IN = re.compile(r"^(?P<name>.+)-\d\d(_\d\d)*-\d{4}-\d\d-\d\dT\d{6}Z(-\d+)?$")
_OF_SYSTEMS = ("thumbs.db", "desktop.ini")
_NO_NOTEBOOK = later("it is no notebook (*.ipynb), no program (*.py) and no zip of them")


@dataclass(frozen=True)
class Submission:
    """One student's notebook of one chapter. `problem`: why it cannot be graded ("" when it can).

    `answers`: {grade_id: source} of its answer cells, of all of them above the check where there are several. `below`: the same
    with what stands below the check, where that answers too. `own`: {grade_id: the learner's own cells above the check}.
    `ident`: the platform's number of the student, "" when it gave none. `digest`: of the file. `handed_in`: when, by its
    receipt (ISO format, UTC), "" where it has none. `within`: the path and sha256 of the hand-in file that it was in. `file`:
    the file on the disk that holds it, relative to the folder of all; "" where they are all in one file.
    """

    student: str
    chapter: str
    path: str
    answers: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""
    ident: str = ""
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    below: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    handed_in: str = ""
    within: tuple[str, str] = ("", "")
    file: str = ""


def collect(place: Path) -> list[Submission]:
    """Every submission under a folder or in a zip, by chapter and student.

    Of several by one student the newest counts that can be read and has an answer to every question; else the one that has most
    of them. Where the platform numbers its students, those who share a name get the number behind it.
    Links, paths that lead out, and archives that unpack to more than 4 GiB are refused. Raises CourseError when `place` is not
    there, is not readable, or holds no notebook.
    """
    attempts = found_in(place)
    if not any(_kind(PurePosixPath(one.path).name) for ranked in attempts.values() for _, one in ranked):
        raise CourseError(say("There is no notebook (*.ipynb) in {place}.", place=place))
    # A program beside a notebook is the learner's own; alone it may be the hand-in. Other files are told where they are all.
    handed_in = {key[1:] for key in attempts if key[0]}
    readable = {key[1:] for key, ranked in attempts.items() if any(_kind(one.path) for _, one in ranked)}
    for key in [key for key in attempts if not key[0]]:
        aside = (".py",) if key[1:] in handed_in else ()
        attempts[key] = [
            (rank, one)
            for rank, one in attempts[key]
            if not one.path.lower().endswith(aside or "\0") and (_kind(one.path) or key[1:] not in readable)
        ]
    attempts = {key: ranked for key, ranked in attempts.items() if ranked}
    namesakes = Counter(student for student, _ in {key[1:] for key in attempts})
    chosen = []
    for _, ranked in sorted(attempts.items()):
        *others, (_, one) = sorted(ranked, key=lambda pair: pair[0])
        notes = (*one.notes, *(say("{path} was handed in too; this one counts", path=other.path) for _, other in others))
        name = f"{one.student} ({one.ident})" if namesakes[one.student] > 1 else one.student
        chosen.append(replace(one, student=name, notes=notes))
    return chosen


def found_in(place: Path) -> dict[tuple[str, str, str], list[tuple[tuple, Submission]]]:
    """Everything under a folder or in a zip: {(chapter, student, ident): [(rank, submission)]}, each of them ranked."""
    made = []
    for found in _found(place):
        one = read_submission(found.path, found.content, found.problem, found.receipt, found.within)
        made.append((found.modified, replace(one, file=found.file)))
    attempts = defaultdict(list)
    for modified, one in _students_named(made):
        attempts[one.chapter, one.student, one.ident].append((rank(one, modified), one))
    return dict(attempts)


def rank(one: Submission, modified: tuple) -> tuple:
    """What makes one attempt count before another, the last of them first: readable, complete, more answers, newer."""
    if one.problem or not one.chapter:
        return (False, False, 0, modified, one.path)
    answered = len(assignment(one.chapter).stubs) - len(unanswered(one))
    complete = answered == len(assignment(one.chapter).stubs)
    return (True, complete, 0 if complete else answered, modified, one.path)


def unanswered(one: Submission) -> tuple[str, ...]:
    """The questions whose cells are missing or as they were handed out, in the chapter's order."""
    task = assignment(one.chapter)
    return tuple(name for name, stub in task.stubs.items() if task.is_blank(name, one.answers.get(name, stub)))


def _students_named(made: list[tuple[tuple, Submission]]) -> list[tuple[tuple, Submission]]:
    """The same, with students found beneath the folders that stand around them all: "compress folder" makes such a one.

    Loose files that are nobody's, such as a table beside the students' folders, are left out.
    """
    paths = {one.path: one.chapter for _, one in made if not one.handed_in}
    depth = _around(paths)
    named = []
    for modified, one in made:
        parts = PurePosixPath(one.path).parts
        if depth and not one.handed_in and len(parts) > depth:
            student, ident = _student("/".join(parts[depth:]), one.chapter)
            one = replace(one, student=student, ident=ident)
        somebodys = len(parts) > depth + 1 or one.ident or one.path.endswith("/")
        if _kind(one.path) or somebodys:
            named.append((modified, one))
    return named


def _around(paths: dict[str, str], depth: int = 0) -> int:
    """How many folders stand around the students' own, those of `depth` among them; paths: {path: chapter}.

    One does where nothing lies in it but folders, and where two of these hold the same chapter or a platform's name.
    """
    below = defaultdict(set)
    for path, chapter in paths.items():
        parts = PurePosixPath(path).parts[depth:]
        if len(parts) < 3 and _kind(path) or len(parts) > 1 and any(pattern.match(parts[0]) for pattern in _PLATFORM):
            return depth
        if len(parts) >= 3 and chapter:
            below[parts[0], chapter].add(parts[1])
    twice = any(len(folders) > 1 for folders in below.values())
    platform = any(pattern.match(folder) for folders in below.values() for folder in folders for pattern in _PLATFORM)
    if twice or platform:
        return _around(paths, depth + 1)
    if len({folder for folder, _ in below}) == 1:  # one folder around one folder: it depends on what is in there
        deeper = _around(paths, depth + 1)
        return deeper if deeper > depth + 1 else depth
    return depth


def notebooks(place: Path) -> Iterator[tuple[str, bytes, str]]:
    """The path, content and problem ("" for none) of every notebook under a folder or in a zip."""
    for found in _found(place):
        if _kind(found.path):
            yield found.path, found.content, found.problem


@dataclass(frozen=True)
class _Found:
    """A file: path, content, problem ("" for none), when it was modified, and the hand-in that it was in."""

    path: str
    content: bytes
    problem: str
    modified: tuple
    receipt: Receipt | None = None
    within: tuple[str, str] = ("", "")
    file: str = ""


def _found(place: Path) -> Iterator[_Found]:
    place = Path(place)
    if not place.exists():
        raise CourseError(say("There is nothing at {place}: name the folder or the zip with the submissions.", place=place))
    if not place.is_file():
        yield from _from_folder(place)
        return
    try:
        with zipfile.ZipFile(place) as opened:
            if (total := sum(entry.file_size for entry in opened.infolist())) > LARGEST_ARCHIVE:
                most = LARGEST_ARCHIVE / 2**30
                raise CourseError(
                    say(
                        "{place} would unpack to {total:.0f} GiB; {most:.0f} are the most.",
                        place=place,
                        total=total / 2**30,
                        most=most,
                    )
                )
            if RECEIPT in opened.namelist():
                yield from _from_hand_in(opened, place.name, sha256_of(place), (place.stat().st_mtime,))
            else:
                yield from _from_zip(opened)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise CourseError(say("{place} cannot be read as a zip ({error}).", place=place, error=error)) from error


def identify(path: str, cells: list[dict]) -> tuple[str, str, str]:
    """The student, the platform's number for the student, and the chapter ("" when nothing says which one it is)."""
    chapter = _chapter(path, cells)
    return *_student(path, chapter), chapter


def read_notebook(content: bytes) -> list[dict]:
    """The cells of a notebook as dictionaries with "cell_type", "source" and "metadata"; raises ValueError with the reason."""
    # Plain JSON: nbformat would refuse a whole notebook for a detail that the grader never reads.
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:  # RecursionError: lists nested thousands deep
        raise ValueError(say("the file is no JSON ({error})", error=str(error)[:100])) from error
    cells = tree.get("cells") if isinstance(tree, dict) else None
    if cells is None and isinstance(tree, dict) and isinstance(sheets := tree.get("worksheets"), list):  # format 3
        parts = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        cells = [cell for part in parts if isinstance(part, list) for cell in part]
    if not isinstance(cells, list):
        raise ValueError(say("the file is no notebook of format 3 or 4: it has no list of cells"))
    usable = []
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        source, metadata = cell.get("source", cell.get("input", "")), cell.get("metadata")
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if isinstance(source, str):
            metadata = metadata if isinstance(metadata, dict) else {}
            usable.append({"cell_type": cell.get("cell_type"), "source": source, "metadata": metadata, "raw": cell})
    return usable


def _from_folder(folder: Path) -> Iterator[_Found]:
    for parent, folders, names in os.walk(folder, followlinks=False):
        # Assigned in place: os.walk goes on with this list.
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        if Path(parent) != folder and not folders and not names:
            yield _Found(f"{Path(parent).relative_to(folder).as_posix()}/", b"", say("the folder is empty"), (0.0,))
        for name in sorted(names):
            path = Path(parent, name)
            inside = path.relative_to(folder).as_posix()
            kind = _kind(name)
            if not kind:
                if not name.startswith(".") and name.lower() not in _OF_SYSTEMS:
                    yield _Found(inside, b"", say(_NO_NOTEBOOK), (0.0,))
                continue
            state = path.lstat()  # not stat, which follows links: one could point at any file of the grader
            modified = (state.st_mtime,)
            if not stat.S_ISREG(state.st_mode):
                yield _Found(inside, b"", say("it is a link or no plain file, and was not opened"), modified)
            elif state.st_size > LARGEST_NOTEBOOK:
                sizes = {"size": state.st_size / 2**20, "most": LARGEST_NOTEBOOK / 2**20}
                yield _Found(inside, b"", say("it has {size:.0f} MB; {most:.0f} are the most", **sizes), modified)
            else:
                try:
                    content, problem = path.read_bytes(), ""
                except OSError as error:
                    content, problem = b"", say("it cannot be read ({error})", error=error.strerror)
                for found in _opened(inside, kind, content, problem, modified, 1):
                    yield replace(found, file=inside)


def _from_zip(opened: zipfile.ZipFile, within: str = "", depth: int = 1, outer: tuple = ()) -> Iterator[_Found]:
    # Sums and names come from the archive's own index, which may lie: _unzipped limits what is really read.
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    for entry in sorted(entries, key=lambda entry: entry.filename):
        # Some Windows programs write backslashes. Nothing is unpacked to disk, but a path that leads out is a sign of
        # tampering, and a person who unpacks the archive by hand should hear of it.
        parts = PurePosixPath(_readable(entry).replace("\\", "/")).parts
        aside = any(part.startswith((".", "__MACOSX")) for part in parts if part != "..")
        if aside or not parts:
            continue
        inside = "/".join([*([within] if within else []), *(part for part in parts if part not in ("/", ".."))])
        modified = (*outer, *entry.date_time)
        if not (kind := _kind(parts[-1])):
            if parts[-1].lower() not in _OF_SYSTEMS:
                yield _Found(inside, b"", say(_NO_NOTEBOOK), (0,))
        elif ".." in parts or parts[0] == "/" or re.match(r"^[A-Za-z]:", parts[0]):
            yield _Found(inside, b"", say("its path leads out of the archive, it was not opened"), modified)
        elif stat.S_ISLNK(entry.external_attr >> 16):  # the upper half holds the Unix mode
            yield _Found(inside, b"", say("it is a link and was not followed"), modified)
        elif entry.flag_bits & 1:  # bit 0: a password is needed
            yield _Found(inside, b"", say("it is encrypted"), modified)
        else:
            yield from _opened(inside, kind, *_unzipped(opened, entry), modified, depth + 1)


def _kind(name: str) -> str:
    """ "ipynb", "py" or "zip", "" for what is none of them and for hidden files."""
    suffix = name.lower().rpartition(".")[2]
    return suffix if suffix in ("ipynb", "py", "zip") and not name.startswith(".") else ""


def _opened(path: str, kind: str, content: bytes, problem: str, modified: tuple, depth: int) -> Iterator[_Found]:
    """What a file that was handed in holds: itself, or the notebooks of an archive in it."""
    if kind != "zip" or problem:
        yield _Found(path, content, problem, modified)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            if RECEIPT in opened.namelist():
                yield from _from_hand_in(opened, path, hashlib.sha256(content).hexdigest(), modified)
            elif depth > ZIPS_IN_ZIPS:
                yield _Found(path, b"", say("it is an archive within archives, and was not opened"), modified)
            else:
                yield from _from_zip(opened, path.removesuffix(".zip"), depth, modified)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        yield _Found(path, b"", say("it cannot be read as a zip ({error})", error=str(error)[:100]), modified)


def _from_hand_in(opened: zipfile.ZipFile, path: str, digest: str, modified: tuple) -> Iterator[_Found]:
    """The notebooks of a hand-in, compared with its receipt; one problem where it is damaged as a whole."""
    try:
        receipt = read_receipt(_unzipped(opened, opened.getinfo(RECEIPT), LARGEST_RECEIPT)[0])
    except ValueError as error:
        yield _Found(path, b"", str(error), modified, within=(path, digest))
        return
    entries = [entry for entry in opened.infolist() if entry.filename != RECEIPT and not entry.is_dir()][:100]
    contents, problems = {}, {}
    for entry in entries:
        contents[entry.filename], problems[entry.filename] = _unzipped(opened, entry)
    wrong = damage(receipt, contents) | {name: words for name, words in problems.items() if words}
    when = (moment(receipt.handed_in).timestamp(),)
    for name in dict.fromkeys([*(one.file for one in receipt.notebooks), *contents]):
        # The names are a stranger's: only their last part is used, and nothing is unpacked under them.
        inside = f"{path.removesuffix('.zip')}/{PurePosixPath(name.replace(chr(92), '/')).name or 'unnamed'}"
        yield _Found(inside, contents.get(name, b""), wrong.get(name, ""), when, receipt, (path, digest))


def _readable(entry: zipfile.ZipInfo) -> str:
    """An entry's name. Old programs write it in the system's own encoding and do not say so; zipfile then takes cp437."""
    if entry.flag_bits & 0x800:  # said to be UTF-8
        return entry.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return entry.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return entry.filename


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int = 0) -> tuple[bytes, str]:
    """The content and problem of an entry; reads one byte more than the limit at most, whatever size the archive claims."""
    most = most or LARGEST_NOTEBOOK
    too_large = say("it has more than {most:.0f} MB", most=most / 2**20)
    try:
        with archive.open(entry) as member:
            content = member.read(most + 1)
    except Exception as error:  # zipfile raises many kinds for damaged members
        return b"", say("it is damaged in the archive ({kind})", kind=type(error).__name__)
    return (b"", too_large) if len(content) > most else (content, "")


def read_submission(
    path: str, content: bytes, problem: str, receipt: Receipt | None = None, within: tuple[str, str] = ("", "")
) -> Submission:
    """A file that was handed in as a Submission; what is wrong with it becomes its problem.

    Args:
        path: its path among the others, which may name student and chapter.
        content: its bytes.
        problem: why it cannot be read, "" where it can.
        receipt: that of the hand-in file that it was in.
        within: the path and the sha256 of that file.
    """
    cells = []
    if not problem:
        try:
            cells = _script(content) if path.lower().endswith(".py") else read_notebook(content)
        except ValueError as error:
            problem = str(error)
    student, ident, chapter = identify(path, cells)
    if not chapter and not problem:
        problem = say("it has no answer cell of a chapter of this course, and no function with an answer's name")
    made = Submission(student, chapter, path, problem=problem, ident=ident, digest=hashlib.sha256(content).hexdigest())
    if receipt:
        name = tidy(receipt.student)
        # A platform knows who logged in; a receipt says what somebody typed.
        made = replace(made, student=student if ident else name, handed_in=receipt.handed_in)
        if ident and name != student:
            made = replace(made, notes=(say("its receipt says {name}", name=name),))
    made = replace(made, within=within)
    if problem:
        return made
    answers, below, own, notes = _answers(chapter, cells)
    return replace(made, answers=answers, below=below, own=own, notes=(*made.notes, *notes))


def _script(content: bytes) -> list[dict]:
    """A program as a notebook of a single cell."""
    try:
        source = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(say("the file is no text in UTF-8")) from None
    return [{"cell_type": "code", "source": source, "metadata": {}, "raw": {}}]


def _grade_id(cell: dict):
    metadata = cell["metadata"].get("nbgrader")
    return metadata.get("grade_id") if isinstance(metadata, dict) else None


def _chapter(path: str, cells: list[dict]) -> str:
    """The chapter to which most answers belong, whatever the file is called; else the one whose number its name holds.

    Answers are known by their cells' metadata, where no cell has any by their functions' names.
    """
    ids = [grade_id for cell in cells if isinstance(grade_id := _grade_id(cell), str)]
    if not any(grade_id in by_grade_id() for grade_id in ids):
        ids = [name for cell in cells if len(cell["source"]) <= LARGEST_ANSWER for name in sorted(defined(cell["source"]))]
    votes = Counter(by_grade_id()[grade_id] for grade_id in ids if grade_id in by_grade_id())
    if votes:
        return votes.most_common(1)[0][0]
    if path.lower().endswith(".zip"):
        return ""
    numbers = {chapter for chapter in by_grade_id().values() if re.search(rf"(^|[_\W]){chapter}_", PurePosixPath(path).name)}
    return numbers.pop() if len(numbers) == 1 else ""


def _answers(chapter: str, cells: list[dict]) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, ...]], list[str]]:
    """(answers, below, own, notes) of a notebook, as in `Submission`.

    A check in the notebook judges what ran above it, wherever it is written: the answer's cell, halves of it that a learner
    split, a copy, a cell of the learner's own. So the last definition above the check is what counts here too.
    """
    task, answers, below, own, notes = assignment(chapter), {}, {}, {}, []
    released = task.released
    kinds = {question.grade_id: question.cell_type for question in task.questions}
    marked = [grade_id if isinstance(grade_id := _grade_id(cell), str) else None for cell in cells]
    checks = {
        grade_id.removeprefix("check_"): i for i, grade_id in enumerate(marked) if grade_id and grade_id.startswith("check_")
    }
    usable, total = set(), 0
    for i, cell in enumerate(cells):
        size = len(cell["source"])
        if marked[i] in task.stubs and size > LARGEST_ANSWER:
            notes.append(say("the answer {name} has {size:,} characters and was left aside", name=marked[i], size=size))
        elif marked[i] in task.stubs:
            usable.add(i)
        elif cell["cell_type"] == "code" and size <= LARGEST_ANSWER and total + size <= MOST_OWN:
            total += size
            usable.add(i)
    mine = [
        i
        for i in sorted(usable)
        if cells[i]["cell_type"] == "code" and marked[i] is None and cells[i]["source"].strip() not in released
    ]
    names = {i: defined(cells[i]["source"]) for i in mine}
    for question in task.questions:
        name = question.grade_id
        cells_of = [i for i in sorted(usable) if marked[i] == name and cells[i]["cell_type"] == kinds[name]]
        changed = [i for i in cells_of if not task.is_blank(name, cells[i]["source"])]
        elsewhere = [i for i in mine if question.exercise is not None and name in names[i]]
        end = checks.get(name, len(cells))
        above = sorted(i for i in {*changed, *elsewhere} if i < end)
        later = sorted(i for i in {*changed, *elsewhere} if i >= end)
        if len(changed) > 1:
            notes.append(say("there are several answer cells {name}; the last definition above its check counts", name=name))
        if elsewhere and not changed:
            notes.append(say("{name} is answered in a cell of the learner's own", name=name))
        if above or later:
            answers[name] = _joined(cells, above or later)
            if above and later:
                below[name] = _joined(cells, above + later)
        elif cells_of:
            answers[name] = cells[cells_of[0]]["source"]
        taken = {*above, *later}
        own[name] = tuple(cells[i]["source"] for i in mine if i not in taken and i < end)
    missing = [grade_id for grade_id in task.stubs if grade_id not in answers]
    if missing:
        notes.append(say("answer cells are missing: {missing}", missing=", ".join(missing)))
    return answers, below, {name: sources for name, sources in own.items() if sources}, list(dict.fromkeys(notes))


def _joined(cells: list[dict], which: list[int]) -> str:
    return "\n\n".join(cells[i]["source"] for i in which) if len(which) > 1 else cells[which[0]]["source"]


def _student(path: str, chapter: str) -> tuple[str, str]:
    """The student's name and number: from the first folder, or from what the file's name adds to the chapter's."""
    parts = PurePosixPath(path).parts
    label = parts[0] if len(parts) > 1 else PurePosixPath(path).stem
    # Moodle's folders are told apart wherever they stand, such as in its zip that lies beside other files.
    for text, pattern in [(label, pattern) for pattern in _PLATFORM] + [(part, _PLATFORM[0]) for part in parts[1:]]:
        if match := pattern.match(text):
            return tidy(match["name"]), match["id"]
    if match := _HAND_IN.match(label):
        return tidy(match["name"]), ""
    if len(parts) == 1 and chapter:
        stem = PurePosixPath(assignment(chapter).notebook).stem
        label = label.replace(stem, "").strip(" _-.()") or label
    return tidy(label), ""


def tidy(name: str) -> str:
    """A name of at most 120 characters without those that could garble a page or table: control characters, text direction.

    Accents become one character with their letter: a Mac writes two, and the same student would stand there twice.
    """
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", "", name)
    return unicodedata.normalize("NFC", name).strip()[:120] or "unnamed"
