"""The students' pages as one zip, and as those that Moodle and Canvas take back."""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from .grade import Graded
from .pages import file_name

ALL, MOODLE, CANVAS = "feedback.zip", "feedback_moodle.zip", "feedback_canvas.zip"
# Moodle, "Upload multiple feedback files in a zip": it takes the participant's number from the folder's second part
# (mod/assign/feedback/file/importziplib.php). Canvas, "Upload submissions": from the first two numbers in a file's name
# (Assignment#infer_comment_context_from_filename), of which the second must be a file that the student handed in.
_MOODLE = re.compile(r"^(?P<name>[^_]+)_(?P<id>\d+)_assignsubmission_file")
_CANVAS = re.compile(r"^[^_\W]+_(LATE_)?\d+_\d+_.+$")


def feedback_zips(graded: Sequence[Graded], pages: dict[str, str]) -> dict[str, bytes]:
    """{file name: zip}; those for a platform only where its folders or files were graded. pages: {student: page}."""
    moodle, canvas = {}, {}
    for one in graded:
        page = pages.get(one.student)
        parts = PurePosixPath(one.path).parts
        if page is None or not parts:
            continue
        if match := next(filter(None, map(_MOODLE.match, parts)), None):
            moodle[f"{match['name']}_{match['id']}_assignsubmission_file_/feedback.html"] = page
        elif _CANVAS.match(parts[0]):
            canvas[f"{parts[0]}.html"] = page
    everyone = {file_name(student): page for student, page in pages.items()}
    made = {ALL: everyone, MOODLE: moodle, CANVAS: canvas}
    return {name: _zipped(files.items()) for name, files in made.items() if files}


def _zipped(files: Iterable[tuple[str, str]]) -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in sorted(files):
                archive.writestr(name, text.encode("utf-8", "replace"))
        return buffer.getvalue()
