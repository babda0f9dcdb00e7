"""Reads what was handed in: notebooks in a folder, a folder for every student, or a learning platform's zip.

All of it is untrusted: names, paths, sizes and contents. What cannot be read becomes a Submission with a `problem`, never an
error, so that one bad file does not stop the grading of the others.
"""

import json
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ..errors import CourseError
from .assignment import assignment, by_grade_id

LARGEST_NOTEBOOK = 30 * 2**20  # bytes
LARGEST_ARCHIVE = 4 * 2**30  # bytes, unpacked
LARGEST_ANSWER = 100_000  # characters
_PLATFORM = (
    re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_file_?.*$"),  # Moodle's folders
    re.compile(r"^(?P<name>[^_\W]+)_(?:LATE_)?(?P<id>\d+)_\d+_.*$"),  # Canvas's files
)


@dataclass(frozen=True)
class Submission:
    """One student's notebook of one chapter. `problem`: why it cannot be graded ("" when it can).

    `answers`: {grade_id: source} of its answer cells. `ident`: the platform's number of the student, "" when it gave none.
    """

    student: str
    chapter: str
    path: str
    answers: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""
    ident: str = ""


def collect(place: Path) -> list[Submission]:
    """Every submission under a folder or in a zip, by chapter and student; of several by one student the last one counts.

    Where the platform numbers its students, those who share a name get the number behind it.
    Links, paths that lead out, and archives that unpack to more than 4 GiB are refused. Raises CourseError when `place` is not
    there, is not readable, or holds no notebook.
    """
    submissions: dict[tuple[str, str, str], Submission] = {}
    for path, content, problem in notebooks(place):
        submission = _submission(path, content, problem)
        key = (submission.chapter, submission.student, submission.ident)
        if earlier := submissions.get(key):
            notes = (*submission.notes, f"{earlier.path} was handed in too; this one counts")
            submission = replace(submission, notes=notes)
        submissions[key] = submission
    if not submissions:
        raise CourseError(f"There is no notebook (*.ipynb) in {place}.")
    namesakes = Counter(student for student, _ in {key[1:] for key in submissions})
    ordered = (submissions[key] for key in sorted(submissions))
    return [replace(one, student=f"{one.student} ({one.ident})") if namesakes[one.student] > 1 else one for one in ordered]


def notebooks(place: Path) -> Iterator[tuple[str, bytes, str]]:
    """The path, content and problem ("" for none) of every notebook under a folder or in a zip."""
    place = Path(place)
    if not place.exists():
        raise CourseError(f"There is nothing at {place}: name the folder or the zip with the submissions.")
    yield from _from_zip(place) if place.is_file() else _from_folder(place)


def identify(path: str, cells: list[dict]) -> tuple[str, str, str]:
    """The student, the platform's number for the student, and the chapter ("" when nothing says which one it is)."""
    ids = [grade_id for cell in cells if isinstance(grade_id := _grade_id(cell), str)]
    chapter = _chapter(path, ids)
    return *_student(path, chapter), chapter


def read_notebook(content: bytes) -> list[dict]:
    """The cells of a notebook as dictionaries with "cell_type", "source" and "metadata"; raises ValueError with the reason."""
    # Plain JSON: nbformat would refuse a whole notebook for a detail that the grader never reads.
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:  # RecursionError: lists nested thousands deep
        raise ValueError(f"the file is no JSON ({str(error)[:100]})") from error
    cells = tree.get("cells") if isinstance(tree, dict) else None
    if not isinstance(cells, list):
        raise ValueError("the file is no notebook of format 4: it has no list of cells")
    usable = []
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        source, metadata = cell.get("source", ""), cell.get("metadata")
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if isinstance(source, str):
            metadata = metadata if isinstance(metadata, dict) else {}
            usable.append({"cell_type": cell.get("cell_type"), "source": source, "metadata": metadata, "raw": cell})
    return usable


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes, str]]:
    for parent, folders, names in os.walk(folder, followlinks=False):
        # Assigned in place: os.walk goes on with this list, and a sorted one gives the same "last submission" everywhere.
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            path = Path(parent, name)
            inside = path.relative_to(folder).as_posix()
            if name.startswith(".") or not name.lower().endswith(".ipynb"):
                continue
            state = path.lstat()  # not stat, which follows links: one could point at any file of the grader
            if not stat.S_ISREG(state.st_mode):
                yield inside, b"", "it is a link or no plain file, and was not opened"
            elif state.st_size > LARGEST_NOTEBOOK:
                yield inside, b"", f"it has {state.st_size / 2**20:.0f} MB; {LARGEST_NOTEBOOK / 2**20:.0f} are the most"
            else:
                try:
                    yield inside, path.read_bytes(), ""
                except OSError as error:
                    yield inside, b"", f"it cannot be read ({error.strerror})"


def _from_zip(archive: Path) -> Iterator[tuple[str, bytes, str]]:
    try:
        with zipfile.ZipFile(archive) as opened:
            # Sums and names come from the archive's own index, which may lie: _unzipped limits what is really read.
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if (total := sum(entry.file_size for entry in entries)) > LARGEST_ARCHIVE:
                most = LARGEST_ARCHIVE / 2**30
                raise CourseError(f"{archive} would unpack to {total / 2**30:.0f} GiB; {most:.0f} are the most.")
            for entry in sorted(entries, key=lambda entry: entry.filename):
                # Some Windows programs write backslashes. Nothing is unpacked to disk, but a path that leads out is a sign of
                # tampering, and a person who unpacks the archive by hand should hear of it.
                parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
                aside = any(part.startswith((".", "__MACOSX")) for part in parts if part != "..")
                if aside or not entry.filename.lower().endswith(".ipynb"):
                    continue
                inside = "/".join(part for part in parts if part not in ("/", ".."))
                if ".." in parts or parts[0] == "/" or re.match(r"^[A-Za-z]:", parts[0]):
                    yield inside, b"", "its path leads out of the archive, it was not opened"
                elif stat.S_ISLNK(entry.external_attr >> 16):  # the upper half holds the Unix mode
                    yield inside, b"", "it is a link and was not followed"
                elif entry.flag_bits & 1:  # bit 0: a password is needed
                    yield inside, b"", "it is encrypted"
                else:
                    yield inside, *_unzipped(opened, entry)
    except (zipfile.BadZipFile, OSError) as error:
        raise CourseError(f"{archive} cannot be read as a zip ({error}).") from error


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[bytes, str]:
    """The content and problem of an entry; reads one byte more than the limit at most, whatever size the archive claims."""
    too_large = f"it has more than {LARGEST_NOTEBOOK / 2**20:.0f} MB"
    try:
        with archive.open(entry) as member:
            content = member.read(LARGEST_NOTEBOOK + 1)
    except Exception as error:  # zipfile raises many kinds for damaged members
        return b"", f"it is damaged in the archive ({type(error).__name__})"
    return (b"", too_large) if len(content) > LARGEST_NOTEBOOK else (content, "")


def _submission(path: str, content: bytes, problem: str) -> Submission:
    cells = []
    if not problem:
        try:
            cells = read_notebook(content)
        except ValueError as error:
            problem = str(error)
    student, ident, chapter = identify(path, cells)
    if not chapter and not problem:
        problem = "it has no answer cell of a chapter of this course (were the cells' metadata removed?)"
    if problem:
        return Submission(student, chapter, path, problem=problem, ident=ident)
    answers, notes = _answers(chapter, cells)
    return Submission(student, chapter, path, answers, tuple(notes), ident=ident)


def _grade_id(cell: dict):
    metadata = cell["metadata"].get("nbgrader")
    return metadata.get("grade_id") if isinstance(metadata, dict) else None


def _chapter(path: str, ids: list[str]) -> str:
    """The chapter to which most answer cells belong, whatever the file is called; else the one whose number its name holds."""
    votes = Counter(by_grade_id()[grade_id] for grade_id in ids if grade_id in by_grade_id())
    if votes:
        return votes.most_common(1)[0][0]
    numbers = {chapter for chapter in by_grade_id().values() if re.search(rf"(^|[_\W]){chapter}_", PurePosixPath(path).name)}
    return numbers.pop() if len(numbers) == 1 else ""


def _answers(chapter: str, cells: list[dict]) -> tuple[dict[str, str], list[str]]:
    """The answers by grade id, and notes about them; of several cells with one id the first that was changed counts."""
    task, answers, notes = assignment(chapter), {}, []
    kinds = {question.grade_id: question.cell_type for question in task.questions}
    for cell in cells:
        grade_id = _grade_id(cell)
        if not isinstance(grade_id, str) or grade_id not in task.stubs or cell["cell_type"] != kinds[grade_id]:
            continue
        source = cell["source"]
        if len(source) > LARGEST_ANSWER:
            notes.append(f"the answer {grade_id} has {len(source):,} characters and was left aside")
            continue
        # A learner who copies an answer cell copies its metadata: the untouched twin must not replace the answer.
        if grade_id in answers:
            notes.append(f"there are several answer cells {grade_id}; the first one that was changed counts")
            if answers[grade_id].strip() != task.stubs[grade_id].strip():
                continue
        answers[grade_id] = source
    missing = [grade_id for grade_id in task.stubs if grade_id not in answers]
    if missing:
        notes.append(f"answer cells are missing: {', '.join(missing)}")
    return answers, list(dict.fromkeys(notes))


def _student(path: str, chapter: str) -> tuple[str, str]:
    """The student's name and number: from the first folder, or from what the file's name adds to the chapter's."""
    parts = PurePosixPath(path).parts
    label = parts[0] if len(parts) > 1 else PurePosixPath(path).stem
    for pattern in _PLATFORM:
        if match := pattern.match(label):
            return tidy(match["name"]), match["id"]
    if len(parts) == 1 and chapter:
        stem = PurePosixPath(assignment(chapter).notebook).stem
        label = label.replace(stem, "").strip(" _-.()") or label
    return tidy(label), ""


def tidy(name: str) -> str:
    """A name of at most 120 characters without those that could garble a page or table: control characters, text direction."""
    return re.sub(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", "", name).strip()[:120] or "unnamed"
