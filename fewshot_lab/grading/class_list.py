"""The class list, or a platform's table of grades: who is missing, and the same table back with the scores filled in."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..errors import CourseError
from ..languages import later, say
from .grade import Graded
from .gradebook import number
from .sheets import Sheet, read_sheet, with_columns, write_sheet

KEPT, FILLED = "class_list.csv", "class_list_with_scores.csv"
NOTHING = later("nothing was handed in")
_NUMBERS = ("id", "identifier", "student id", "user id", "participant", "学号")
_LOGINS = ("username", "login", "sis login id", "sis user id", "id number", "email address", "email")
_NAMES = ("student", "full name", "name", "姓名", "名字")
_FIRST, _LAST = ("first name", "given name", "名"), ("last name", "surname", "family name", "姓")


def missing_people(sheet: Sheet, graded: Sequence[Graded]) -> tuple[list[Graded], list[str]]:
    """Gradings of nothing for everyone on the list who handed nothing in, and remarks about those who are not on the list."""
    matched = _matched(sheet, graded)
    absent = [
        Graded(_label(sheet, row), "", "", _number(sheet, row), "nothing handed in", [], problem=say(NOTHING))
        for row, student in zip(sheet.rows, matched, strict=True)
        if student is None and _label(sheet, row)
    ]
    strangers = sorted({(one.student, one.ident) for one in graded if one.status != "nothing handed in"} - set(matched))
    return absent, [say("{student} is not on the class list", student=student) for student, _ in strangers]


def filled(sheet: Sheet, graded: Sequence[Graded]) -> Sheet:
    """The list with a column for each chapter that was graded; all other cells stay as they were."""
    scores: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for one in graded:
        if one.chapter:
            scores[one.student, one.ident][one.chapter] = number(one.score)
    chapters = sorted({one.chapter for one in graded if one.chapter})
    cells = [[scores.get(student, {}).get(chapter, "") for chapter in chapters] for student in _matched(sheet, graded)]
    return with_columns(sheet, [f"Chapter {chapter}" for chapter in chapters], cells)


def read_class_list(path: Path) -> Sheet:
    """The list; raises CourseError where no column names or numbers people."""
    sheet = read_sheet(path)
    if all(sheet.column(*names) is None for names in (_NAMES, _NUMBERS, _LOGINS, _LAST)):
        raise CourseError(
            say(
                "{path} needs a column that names people, such as student or ID; it has {sheet}.",
                path=path,
                sheet=", ".join(sheet.head),
            )
        )
    return sheet


def write_filled(sheet: Sheet, graded: Sequence[Graded], out: Path) -> str:
    """Writes the list with scores into the folder of the grades; returns how, in words."""
    how = write_sheet(filled(sheet, graded), Path(out) / FILLED)
    return say("{file} is written in {how}, as the list was where it can be", file=FILLED, how=how)


def _matched(sheet: Sheet, graded: Sequence[Graded]) -> list[tuple[str, str] | None]:
    """(student, ident) for every row, None where nobody fits: by the platform's number, or a name that one alone has."""
    people = {(one.student, one.ident) for one in graded if one.status != "nothing handed in"}
    by_number = {ident: (student, ident) for student, ident in people if ident}
    by_name = defaultdict(set)
    for student, ident in people:
        by_name[_plain(student)].add((student, ident))
        by_name[_plain(re.sub(r" \(\d+\)$", "", student))].add((student, ident))
    names = [_names(sheet, row) for row in sheet.rows]
    count = defaultdict(int)
    for theirs in names:
        for name in set(theirs):
            count[name] += 1
    found = []
    for row, theirs in zip(sheet.rows, names, strict=True):
        fitting = [by_name[name] for name in theirs if len(by_name.get(name, ())) == 1 and count[name] == 1]
        found.append(by_number.get(_number(sheet, row)) or next((next(iter(one)) for one in fitting), None))
    return found


def _number(sheet: Sheet, row: list[str]) -> str:
    column = sheet.column(*_NUMBERS)
    text = row[column].strip() if column is not None else ""
    return text.rpartition(" ")[2] if re.fullmatch(r"\D+ \d+", text) else text  # Moodle's "Participant 123"


def _names(sheet: Sheet, row: list[str]) -> list[str]:
    """What may name this row's student, plain: logins, the name, first and last name in both orders."""
    logins = [row[k] for k in (sheet.column(name) for name in _LOGINS) if k is not None]
    logins += [text.partition("@")[0] for text in logins if "@" in text]
    full = [row[k] for k in (sheet.column(name) for name in _NAMES) if k is not None]
    first, last = (sheet.column(*names) for names in (_FIRST, _LAST))
    if first is not None and last is not None:
        full += [f"{row[first]} {row[last]}", f"{row[last]} {row[first]}"]
    full += [" ".join(reversed(text.split(", ", 1))) for text in full if ", " in text]  # Canvas: "Lovelace, Ada"
    number_ = _number(sheet, row)
    return [plain for text in (*logins, *full, number_) if (plain := _plain(text))]


def _label(sheet: Sheet, row: list[str]) -> str:
    names = [row[k].strip() for k in (sheet.column(*_NAMES), sheet.column(*_FIRST), sheet.column(*_LAST)) if k is not None]
    login = sheet.column(*_LOGINS)
    whole = names[0] if sheet.column(*_NAMES) is not None and names[0] else " ".join(names).strip()
    return whole or (row[login].strip() if login is not None else "") or _number(sheet, row)


def _plain(name: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", name)).strip().casefold()
