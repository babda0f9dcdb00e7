"""Tables that people bring along (class lists, grades, marks), as spreadsheets save them: read whole and given back whole.

Every cell stays text: the zeros at the head of a number, line breaks within a cell, and blanks around it.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import CourseError
from ..files import write_atomically
from ..languages import later, say

WORDS = {
    "utf-8-sig": later("UTF-8 with a byte order mark"),
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "gb18030": "GBK",
    "cp1252": "cp1252",
}


@dataclass(frozen=True)
class Sheet:
    """A table as it was read: its head, its rows of equal length, and how it was written."""

    head: list[str]
    rows: list[list[str]]
    encoding: str = "utf-8"
    separator: str = ","
    lines: tuple[int, ...] = ()  # the line of the file at which each row ends

    def column(self, *names: str) -> int | None:
        """The first column with one of these names, whatever their case; None where there is none."""
        heads = [head.strip().lower() for head in self.head]
        return next((heads.index(name.lower()) for name in names if name.lower() in heads), None)

    @property
    def written_as(self) -> str:
        """The encoding in which `write_sheet` writes it, in words."""
        return say(WORDS.get(_kept(self.encoding), self.encoding))


def read_sheet(path: Path, encoding: str | None = None) -> Sheet:
    """Reads a CSV or TSV file in UTF-8, UTF-16, GBK or cp1252, with or without a byte order mark, whatever separates its cells.

    Raises CourseError, with what to do, for a file that is no such table.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CourseError(
            say("{path} cannot be read ({strerror}). Name the table as a CSV file.", path=path, strerror=error.strerror)
        ) from error
    if raw[:4] == b"PK\x03\x04" or raw[:4] == b"\xd0\xcf\x11\xe0":
        raise CourseError(say("{path} is a spreadsheet's own file: save it as CSV, best in UTF-8, and name that.", path=path))
    encoding = encoding or guessed(raw)
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError) as error:
        raise CourseError(say("{path} is not in {encoding}: save it as CSV in UTF-8.", path=path, encoding=encoding)) from error
    first = text.partition("\n")[0]
    separator = max("\t;,", key=first.count) if any(mark in first for mark in "\t;,") else ","
    try:
        # newline="": a line break within a cell stays; splitlines would also cut at U+2028.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [(row, reader.line_num) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise CourseError(
            say("{path}, line {line_num}: {error}. Save it as CSV anew.", path=path, line_num=reader.line_num, error=error)
        ) from error
    if not rows:
        raise CourseError(say("{path} is empty.", path=path))
    width = max(len(row) for row, _ in rows)
    filled = [row + [""] * (width - len(row)) for row, _ in rows]
    return Sheet(filled[0], filled[1:], encoding, separator, tuple(line for _, line in rows[1:]))


def write_sheet(sheet: Sheet, path: Path) -> str:
    """Writes a table as it was read: the same separator, and the same encoding where every name fits, else UTF-8 with a byte
    order mark, which spreadsheets know. Returns the encoding in words."""
    text = io.StringIO()
    csv.writer(text, delimiter=sheet.separator, lineterminator="\r\n").writerows([sheet.head, *sheet.rows])
    encoding = _kept(sheet.encoding)
    try:
        raw = text.getvalue().encode(encoding)
    except UnicodeEncodeError:
        encoding = "utf-8-sig"
        raw = text.getvalue().encode(encoding, "replace")
    write_atomically(path, raw)
    return say(WORDS.get(encoding, encoding))


def with_columns(sheet: Sheet, names: Sequence[str], cells: Sequence[Sequence[str]]) -> Sheet:
    """The sheet with these columns filled, in place where it has them, else at its right; cells: for each row."""
    head, rows = list(sheet.head), [list(row) for row in sheet.rows]
    for k, name in enumerate(names):
        if name not in head:
            head.append(name)
            for row in rows:
                row.append("")
        for row, values in zip(rows, cells, strict=True):
            row[head.index(name)] = values[k]
    return replace(sheet, head=head, rows=rows)


def guessed(raw: bytes) -> str:
    """The encoding of a file's bytes: by its byte order mark, else UTF-8 where it is that, else UTF-16, GBK or cp1252."""
    if raw[:3] == b"\xef\xbb\xbf":
        return "utf-8-sig"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if raw[:2000].count(0) > len(raw[:2000]) // 4:
        return "utf-16-le" if raw[1:2000:2].count(0) > raw[:2000:2].count(0) else "utf-16-be"
    try:
        raw.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    return "gb18030" if _in_pairs(raw) > 0.5 else "cp1252" if not set(raw) & set(b"\x81\x8d\x8f\x90\x9d") else "latin-1"


def _in_pairs(raw: bytes) -> float:
    """The share of the bytes beyond ASCII that stand in pairs: those of a Chinese name do, an accent of cp1252 stands alone."""
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return 0.0
    if not any("\u4e00" <= letter <= "\u9fff" for letter in text):
        return 0.0
    high, pairs, i = 0, 0, 0
    while i < len(raw):
        if raw[i] < 0x80:
            i += 1
        elif i + 1 < len(raw) and raw[i + 1] >= 0x80:
            high, pairs, i = high + 2, pairs + 2, i + 2
        else:
            high, i = high + 1, i + 1
    return pairs / high if high else 0.0


def _kept(encoding: str) -> str:
    # Without a mark a spreadsheet would take UTF-8 for its system's own encoding; "utf-16-le" without one is read by nobody.
    return {"utf-8": "utf-8-sig", "utf-16-le": "utf-16", "utf-16-be": "utf-16", "latin-1": "utf-8-sig"}.get(encoding, encoding)
