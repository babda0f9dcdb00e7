"""Tables as spreadsheets save them: read whole in any common encoding, given back with scores beside the right people."""

import pytest

from fewshot_lab import CourseError
from fewshot_lab.grading import class_list
from fewshot_lab.grading.grade import Graded, Mark
from fewshot_lab.grading.sheets import guessed, read_sheet, with_columns, write_sheet

EUROPE = [["ID", "Student", "Remark"], ["00042", "Zoë Müller", "comes\r\nlate"], ["7", "Ægir Šimić", 'says "no"; often']]
CHINA = [["学号", "姓名", "备注"], ["00042", "王小明", "第一行\n第二行"], ["7", "李镕", "=1"]]


def saved(path, rows, encoding, separator=","):
    text = "\r\n".join(separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows) + "\r\n"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("rows", "encoding", "read_as"),
    [
        (EUROPE, "cp1252", "cp1252"),
        (EUROPE, "utf-8", "utf-8"),
        (EUROPE, "utf-8-sig", "utf-8-sig"),
        (EUROPE, "utf-16", "utf-16"),
        (EUROPE, "utf-16-le", "utf-16-le"),
        (EUROPE, "utf-16-be", "utf-16-be"),
        (CHINA, "gbk", "gb18030"),
        (CHINA, "gb18030", "gb18030"),
        (CHINA, "utf-8", "utf-8"),
        (CHINA, "utf-16", "utf-16"),
    ],
)
def test_a_table_comes_back_whole(tmp_path, rows, encoding, read_as, separator):
    if encoding == "cp1252":
        rows = [[cell.replace("ć", "c") for cell in row] for row in rows]
    sheet = read_sheet(saved(tmp_path / "list.csv", rows, encoding, separator))
    assert (sheet.encoding, sheet.head, sheet.rows) == (read_as, rows[0], rows[1:])
    said = write_sheet(sheet, tmp_path / "back.csv")
    back = read_sheet(tmp_path / "back.csv")
    assert (back.head, back.rows, back.separator) == (rows[0], rows[1:], separator)
    assert guessed((tmp_path / "back.csv").read_bytes()) != "utf-8", "a spreadsheet would take it for its own encoding"
    assert said in ("cp1252", "GBK", "UTF-16", "UTF-8 with a byte order mark") and said == sheet.written_as


def test_a_name_that_an_encoding_lacks_makes_it_utf_8_and_that_is_said(tmp_path):
    sheet = read_sheet(saved(tmp_path / "list.csv", [["Student"], ["Zoë"]], "cp1252"))
    assert write_sheet(with_columns(sheet, ["Remark"], [["好"]]), tmp_path / "back.csv") == "UTF-8 with a byte order mark"
    assert read_sheet(tmp_path / "back.csv").rows == [["Zoë", "好"]]


@pytest.mark.parametrize(
    "names", [["Müller", "Zoë", "Łukasz"], ["naïve café"], ["Ñandú", "Çelik", "Ünlü"], ["Pénélope", "François", "Öğe"]]
)
def test_accents_are_not_taken_for_chinese(tmp_path, names):
    raw = "\n".join(names).encode("cp1252", "ignore")
    assert guessed(raw) == "cp1252"


def test_what_is_no_table_is_said(tmp_path):
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04...")
    (tmp_path / "empty.csv").write_text("\n")
    for name, words in (("book.csv", "save it as CSV"), ("empty.csv", "is empty"), ("absent.csv", "cannot be read")):
        with pytest.raises(CourseError, match=words):
            read_sheet(tmp_path / name)
    with pytest.raises(CourseError, match="names people"):
        class_list.read_class_list(saved(tmp_path / "list.csv", [["colour"], ["red"]], "utf-8"))


def one(student, ident="", score=1.0):
    return Graded(student, "00", "x", ident, "graded", [Mark("accuracy", "Accuracy", score, 1.0, "passed")])


PLATFORMS = {
    "Moodle's grading worksheet": (
        [["Identifier", "Full name", "Grade"], ["Participant 12", "Ada Lovelace", ""], ["Participant 13", "Alan Turing", ""]],
        [one("Ada Lovelace", "12")],
    ),
    "Moodle's grade export": (
        [["First name", "Last name", "ID number"], ["Ada", "Lovelace", "0012"], ["Alan", "Turing", "0013"]],
        [one("Ada Lovelace")],
    ),
    "Canvas' gradebook": (
        [["Student", "ID", "SIS Login ID"], ["Lovelace, Ada", "4711", "ada"], ["Turing, Alan", "4712", "alan"]],
        [one("lovelaceada", "4711")],
    ),
    "a hub's names": ([["username", "email"], ["ada", "a@b.org"], ["alan", "t@b.org"]], [one("ada")]),
    "Chinese": ([["学号", "姓名"], ["0012", "阿达"], ["0013", "图灵"]], [one("阿达")]),
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_scores_stand_beside_the_right_people_and_who_is_missing_is_known(tmp_path, name):
    rows, graded = PLATFORMS[name]
    sheet = class_list.read_class_list(saved(tmp_path / "list.csv", rows, "utf-8"))
    filled = class_list.filled(sheet, graded)
    assert filled.head == [*rows[0], "Chapter 00"]
    assert filled.rows == [[*rows[1], "1"], [*rows[2], ""]]
    absent, strangers = class_list.missing_people(sheet, [*graded, one("nobody")])
    assert (
        len(absent) == 1 and absent[0].problem == "nothing was handed in" and strangers == ["nobody is not on the class list"]
    )


def test_of_two_people_with_one_name_none_gets_the_others_score(tmp_path):
    rows = [["ID", "Student"], ["11", "Kim Lee"], ["22", "Kim Lee"], ["33", "Kim Lee"]]
    sheet = class_list.read_class_list(saved(tmp_path / "list.csv", rows, "utf-8"))
    filled = class_list.filled(sheet, [one("Kim Lee (11)", "11", 0.5), one("Kim Lee (22)", "22", 1.0)])
    assert [row[2] for row in filled.rows] == ["0.5", "1", ""]
