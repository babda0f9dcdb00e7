"""What a grading leaves for people: feedback that gives no hidden answer away, pages without scripts, marks made by hand."""

import base64
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import torch

from fewshot_lab.checking import examine
from fewshot_lab.errors import CourseError
from fewshot_lab.exercises import get_exercise
from fewshot_lab.grading import appeals, by_hand
from fewshot_lab.grading.alike import alike, fingerprints
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.grade import Graded, Mark
from fewshot_lab.grading.late import hours_late, keep_rules, late_rules
from fewshot_lab.grading.pages import feedback_page, file_name, marking_page, summary_page
from fewshot_lab.grading.pile import Settings, grade_pile, graded_before
from fewshot_lab.grading.report import trouble_in_words, write_report
from fewshot_lab.grading.reported import reported
from fewshot_lab.grading.submissions import collect

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_the_answer_of_a_hidden_case_is_not_told_and_that_of_a_public_one_is():
    task = get_exercise("accuracy")

    def by_heart(logits, labels):
        known = [case for case in task.cases if case[0].shape == logits.shape and torch.equal(case[0], logits)]
        return task.reference(*known[0]) if known else -1.0

    for hidden in (False, True):
        feedback = examine(task, by_heart, torch.Generator().manual_seed(3), 12, hidden)
        told = feedback.message + "".join(feedback.details)
        assert feedback.status == "failed" and "got:" in told and "logits:" in told
        assert ("expected:" in told) is not hidden and ("but not on others" in told) is hidden
    wrong = examine(task, lambda logits, labels: -1.0, torch.Generator().manual_seed(3), 12, hidden=True)
    assert "expected:" in "".join(wrong.details), "a public case that fails is shown whole"


def one(student="a", chapter="00", answer="", status="passed", output="", **more) -> Graded:
    mark = Mark("accuracy", "Accuracy", 1.0 if status == "passed" else 0.0, 1.0, status, **more)
    return Graded(student, chapter, "x.ipynb", "", "graded", [mark], answers={"accuracy": answer}, output=output)


def test_nothing_that_a_student_wrote_is_more_than_text_on_a_page():
    hostile = one(SCRIPT, answer=SCRIPT, status="failed", output=SCRIPT, message=SCRIPT, details=[SCRIPT, f"x\n{SCRIPT}"])
    hostile.notes.append(SCRIPT)
    broken = Graded("b", "", SCRIPT, "", "unreadable", [], problem=SCRIPT)
    for page in (feedback_page(SCRIPT, [hostile, broken]), summary_page([hostile, one("b\ud800"), broken], [], [SCRIPT])):
        assert "<script" not in page and "<img src=x" not in page and "default-src 'none'" in page
        assert not re.search(r"\son\w+=", re.sub(r"&lt;.*?&gt;", "", page))


@pytest.mark.parametrize(
    "name", ["../../etc/cron", "/abs", "..", "", "a/b", "con\\x", "x" * 300, "Zoë Çelik", SCRIPT, "b\ud800"]
)
def test_a_students_page_stays_in_its_folder_whatever_the_name_is(tmp_path, name):
    path = tmp_path / file_name(name)
    assert path.resolve().parent == tmp_path and len(path.name.encode()) < 255 and not path.name.startswith(".")
    assert file_name(name) != file_name(name + "_")


def test_near_identical_answers_are_grouped_and_common_ones_are_not():
    own = "def accuracy(logits, labels):\n    total = 0\n    for row, label in zip(logits.tolist(), labels.tolist()):\n"
    own += "        best = max(range(len(row)), key=lambda place: row[place])\n        total += int(best == label)\n"
    own += "    return total / len(labels)\n"
    renamed = own.replace("total", "hits").replace("best", "winner") + "    # my own work\n"
    usual = assignment("00").solved["accuracy"] + "\nvalues = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]\n"
    others = [one(f"s{n}", answer=usual) for n in range(15)]
    blank = [one(f"z{n}", answer=own, status="not attempted") for n in range(2)]
    [group] = alike([one("ann", answer=own), one("bob", answer=renamed), *others, *blank])
    assert group.students == ("ann", "bob") and group.alike > 0.9 and not group.identical and group.passed
    [copied] = alike([one("ann", answer=own), one("bob", answer=own)])
    assert copied.identical and copied.alike == 1
    assert alike([one("ann", answer=own)]) == [] and alike([one("ann"), one("bob")]) == []
    assert fingerprints("(((" * 40) == set(), "what is no program is taken by its words"
    assert len(fingerprints("def f(:\n 'never closed, in words that are compared")) == 5


@pytest.fixture
def marked_by_hand(sandbox, notebook, tmp_path):
    """A grading of chapter 02 with a written answer and a blank one, and its folder."""
    [question] = [q.grade_id for q in assignment("02").questions if q.exercise is None]
    for student, text in (("ann", "Small rotations, no flips."), ("bob", assignment("02").stubs[question])):
        folder = tmp_path / "in" / student
        folder.mkdir(parents=True)
        nbformat.write(notebook("02", {question: text}), folder / "02_when_augmentation_stops.ipynb")
    graded = grade_pile(tmp_path / "in", tmp_path / "out", Settings(jobs=1))
    write_report(graded, tmp_path / "out")
    return question, tmp_path / "out"


def fill(out: Path, change) -> None:
    rows = list(csv.DictReader((out / by_hand.SHEET).open()))
    change(rows)
    with (out / by_hand.SHEET).open("w", newline="") as file:
        writer = csv.DictWriter(file, by_hand.HEAD)
        writer.writeheader()
        writer.writerows(rows)


def total(out: Path, student: str) -> tuple[float, str]:
    [row] = [row for row in csv.DictReader((out / "grades.csv").open()) if row["student"] == student]
    return float(row["score"]), row["status"]


@pytest.mark.slow
def test_marks_made_by_hand_are_merged_taken_back_and_never_lost(marked_by_hand):
    question, out = marked_by_hand
    page = (out / "by_hand.html").read_text()
    assert "Small rotations, no flips." in page and "bob" not in page
    assert "What a good answer holds" in page, "the rubric stands beside the answers"
    assert total(out, "ann") == (0, "to mark by hand")

    def give(rows):
        assert [(row["student"], row["question"], row["max_score"]) for row in rows] == [("ann", question, "3")], (
            "an answer that was left blank needs no reader"
        )
        rows[0] |= {"score": "2,5", "comment": "Say how strong.", "chapter": "2"}
        rows.append({"student": "bob", "chapter": "02", "question": "mixup_batch", "score": "1", "comment": "Appeal granted."})

    fill(out, give)
    _, remarks = write_report(graded_before(out), out)
    assert remarks == [] and total(out, "ann") == (2.5, "graded") and total(out, "bob") == (1, "graded")
    assert "Say how strong." in (out / "feedback" / "ann.html").read_text()
    assert "Appeal granted." in (out / "feedback" / "bob.html").read_text()
    write_report(graded_before(out), out)
    assert total(out, "ann") == (2.5, "graded"), "writing the sheet again keeps what was filled in"

    fill(out, lambda rows: rows[0].update(score=""))
    write_report(graded_before(out), out)
    assert total(out, "ann") == (0, "to mark by hand"), "an empty score takes the mark back"

    fill(out, lambda rows: rows[0].update(score="4"))
    with pytest.raises(CourseError, match=r"line 2: the score is '4'; a number from 0 to 3"):
        write_report(graded_before(out), out)
    fill(out, lambda rows: rows[0].update(score="1", version="vold"))
    _, [remark] = write_report(graded_before(out), out)
    assert "has changed" in remark and total(out, "ann") == (0, "to mark by hand")


def test_a_mark_by_hand_can_wait_for_a_grading_that_is_not_there(tmp_path):
    with pytest.raises(CourseError, match="grade submissions first"):
        graded_before(tmp_path)
    (tmp_path / by_hand.SHEET).write_text("student;score\nann;1\n")
    with pytest.raises(CourseError, match="lacks the columns chapter, question, version"):
        by_hand.merged([], tmp_path)


def test_the_checks_in_a_notebooks_outputs_are_listed_as_reported_and_nothing_more(tmp_path, notebook):
    nb = notebook("00", {})
    said = {"exercise": "accuracy", "status": "passed", "mistake": None}
    lies = [said, {"exercise": ["x"], "status": 7}, "no record", {**said, "exercise": "=cmd()\x1b[2J"}]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell, record in zip(code, lies, strict=False):
        data = {"application/vnd.fewshot-lab.check+json": record, "text/plain": "x"}
        cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    tree = json.loads(nbformat.writes(nb))
    tree["cells"][-1]["outputs"] = "none"
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "00_start_here.ipynb").write_text(json.dumps(tree))
    (tmp_path / "broken.ipynb").write_text("{")
    rows = reported(tmp_path)
    assert ["ann", "00", "accuracy", "passed", "", "as reported by the learner"] in rows
    assert {row[2] for row in rows} == {"accuracy", "=cmd()[2J"} and all(row[0] == "ann" for row in rows)


def test_two_students_of_one_name_are_told_apart_by_their_numbers(tmp_path, notebook):
    content = nbformat.writes(notebook("00", {}))
    for number in ("11", "22"):
        folder = tmp_path / f"Kim Lee_{number}_assignsubmission_file_"
        folder.mkdir()
        (folder / "00_start_here.ipynb").write_text(content)
    assert [s.student for s in collect(tmp_path)] == ["Kim Lee (11)", "Kim Lee (22)"]


def by_words(student, text="Small **rotations**.\n\n- no flips", chapter="02", **more) -> Graded:
    """A grading of a written answer and of an exercise that passed."""
    marks = [Mark("augmentation_plan", "augmentation plan", 0, 3, "by hand"), Mark("mixup_batch", "Mixup", 1, 1, "passed")]
    return Graded(student, chapter, "x.ipynb", "", "graded", marks, answers={"augmentation_plan": text}, **more)


def tables(out: Path, name: str) -> list[dict]:
    return list(csv.DictReader((out / name).open(encoding="utf-8-sig")))


def test_the_marking_page_names_nobody_renders_markdown_and_runs_its_own_script_only():
    graded = [by_words("Ada Lovelace"), by_words("Mallory", f"{SCRIPT} [x](javascript:alert(1)) ![x](http://a.b/c.png)")]
    page = marking_page(graded)
    assert "Ada" not in page and "Mallory" not in page and "Answer 1 of 2" in page
    assert "<strong>rotations</strong>" in page and "<li>no flips</li>" in page
    assert "What a good answer holds" in page and "volunteer" in page, "rubric and question"
    assert page.count("<script") == 1 and "<img src=x" not in page and 'href="javascript' not in page
    [script] = re.findall(r"<script>(.*)</script>", page, re.DOTALL)
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{checksum}'" in page and "default-src 'none'" in page
    assert "Ada Lovelace" in marking_page(graded, names=True)


def test_marks_that_the_page_saved_are_taken_over_and_those_of_changed_answers_are_named(tmp_path):
    ada, bob = by_words("ada"), by_words("bob")
    write_report([ada, bob], tmp_path)
    rows = [(by_hand.answer_id(one, one.marks[0]), score) for one, score in ((ada, "2.5"), (bob, "1"))]
    assert rows[0][0] != rows[1][0], "the same words of two students are two answers"
    text = '"answer","score","comment"\r\n' + "".join(f'"{id}","{score}","first line\nsecond"\r\n' for id, score in rows)
    (tmp_path / "marks.csv").write_bytes(("\ufeff" + text + '"a0123","3",""\r\n').encode())
    [remark] = by_hand.take_marks(tmp_path / "marks.csv", [ada, bob], tmp_path)
    assert "a0123" in remark
    write_report([ada, bob], tmp_path)
    assert total(tmp_path, "ada") == (3.5, "graded") and total(tmp_path, "bob") == (2, "graded")
    assert "first line\nsecond" in (tmp_path / "feedback" / "ada.html").read_text()
    (tmp_path / "marks.csv").write_text("student,score\nada,3\n")
    with pytest.raises(CourseError, match="lacks the columns"):
        by_hand.take_marks(tmp_path / "marks.csv", [ada, bob], tmp_path)


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030", "utf-16", "utf-8-sig"])
def test_the_sheet_of_marks_may_come_back_as_a_spreadsheet_saves_it(tmp_path, encoding):
    name = "Zoë" if encoding == "cp1252" else "王小明"
    one_of_them = by_words(name)
    write_report([one_of_them], tmp_path)
    text = (tmp_path / by_hand.SHEET).read_text().replace(",3,,", ',3,2,"say\nhow much"').replace(",", ";")
    (tmp_path / by_hand.SHEET).write_bytes(text.encode(encoding))
    _, remarks = write_report([one_of_them], tmp_path)
    assert remarks == [] and total(tmp_path, name) == (3, "graded")
    assert (tmp_path / by_hand.SHEET).read_bytes()[:3] == b"\xef\xbb\xbf", "the spreadsheet reads it again as UTF-8"
    write_report([one_of_them], tmp_path)
    assert total(tmp_path, name) == (3, "graded")


def test_an_appeal_changes_one_mark_everywhere_and_its_journal_is_only_added_to(tmp_path):
    graded = [by_words("ada"), by_words("bob")]
    write_report(graded, tmp_path)
    change = appeals.appeal(graded, tmp_path, "bob", "mixup_batch", 0.5, "Copied.", "the dean")
    appeals.appeal(graded, tmp_path, "bob", "augmentation_plan", 2, "Read again.", "the dean")
    _, remarks = write_report(graded, tmp_path)
    assert remarks == [] and (change.old, change.new) == (1, 0.5) and total(tmp_path, "bob") == (2.5, "graded")
    assert "After an appeal 0.5 instead of 1: Copied." in (tmp_path / "feedback" / "bob.html").read_text()
    [first, _] = tables(tmp_path, appeals.TABLE)
    assert [first[key] for key in ("who", "student", "question", "old", "new", "why")] == [
        "the dean",
        "bob",
        "mixup_batch",
        "1",
        "0.5",
        "Copied.",
    ]
    assert "Changed marks" in (tmp_path / "summary.html").read_text()
    for student, question, mark, why, words in (
        ("zoe", "mixup_batch", 1, "x", "students are ada, bob"),
        ("bob", "mixup", 1, "x", "answered augmentation_plan, mixup_batch"),
        ("bob", "mixup_batch", 2, "x", "from 0 to 1"),
        ("bob", "mixup_batch", 1, " ", "needs a reason"),
    ):
        with pytest.raises(CourseError, match=words):
            appeals.appeal(graded, tmp_path, student, question, mark, why)
    changed = [graded[0], by_words("bob", "Other words.")]
    _, [remark] = write_report(changed, tmp_path)
    assert "the answer has changed" in remark and "augmentation_plan" in remark
    journal = tmp_path / appeals.JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    for forged in (lines[1:], [lines[0].replace("0.5", "1.0"), lines[1]], ["{}\n", *lines]):
        journal.write_text("".join(forged))
        with pytest.raises(CourseError, match="was changed, or one before it is gone"):
            write_report(graded, tmp_path)


def test_the_commands_take_marks_rules_and_appeals(tmp_path, command):
    ada = by_words("ada", handed_in="2026-12-02T12:00:00Z")
    lines = [json.dumps({"seed": "0123456789abcdef"}), json.dumps(ada.as_record())]
    (tmp_path / "journal.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "saved.csv").write_text(f"answer,score,comment\n{by_hand.answer_id(ada, ada.marks[0])},3,Good.\n")
    out = ["--out", str(tmp_path)]
    command(
        "grade", "--merge", "--marks", str(tmp_path / "saved.csv"), "--due", "2026-12-01T12:00+00:00", "--penalty", "25", *out
    )
    assert total(tmp_path, "ada") == (3, "graded")
    said = command("appeal", *out, "--student", "ada", "--question", "mixup_batch", "--mark", "0", "--why", "Copied.")
    assert "ada, 02 mixup_batch: 1 -> 0" in said and "In trouble: 0" in said
    assert total(tmp_path, "ada") == (2.25, "graded"), "the rules are kept"


def test_lateness_takes_off_what_the_rules_say(tmp_path):
    late = [by_words(name, handed_in=time) for name, time in (("ada", "2026-12-01T12:20:00Z"), ("bob", "2026-12-02T12:31:00Z"))]
    late += [by_words("eve", handed_in="2026-12-09T12:00:00Z"), by_words("zoe")]
    (tmp_path / "extensions.csv").write_bytes("student;due\neve;2026-12-09T13:00+00:00\n".encode("utf-16"))
    rules = late_rules(["2026-12-01T12:00+00:00"], 20, 30, 30, tmp_path / "extensions.csv")
    keep_rules(rules, tmp_path)
    write_report(late, tmp_path)
    assert [total(tmp_path, name)[0] for name in ("ada", "bob", "eve", "zoe")] == [1, 0.7, 1, 1], (
        "two days, 30 per cent at most"
    )
    assert [(row["student"], row["hours_late"], row["points_off"]) for row in tables(tmp_path, "late.csv")] == [
        ("bob", "24.0", "0.3"),
        ("zoe", "unknown", "0"),
    ]
    assert "24.0 hours late: 0.3 points less" in (tmp_path / "feedback" / "bob.html").read_text()
    assert hours_late("2026-12-01T12:00:00Z", "ada", "02", late_rules(["02=2026-11-30T12:00+00:00"])) == 24
    assert hours_late("2026-12-01T12:00:00Z", "ada", "03", late_rules(["02=2026-11-30T12:00+00:00"])) == 0
    assert hours_late("", "ada", "02", rules) == 0, "a time that nobody knows is not late"
    for text in ("tomorrow", "02=soon"):
        with pytest.raises(CourseError, match="is no time"):
            late_rules([text])


def test_the_summary_begins_with_who_is_in_trouble_and_why(tmp_path):
    broken = Graded("bob", "00", "x", "", "unreadable", [Mark("accuracy", "Accuracy", 0, 1, "missing")], problem="no JSON")
    (tmp_path / "class_list.csv").write_text("Student,ID\nann,0017\nbob,0018\nzoe,0019\n")
    graded = [one("ann"), broken, one("cy", status="failed", mistake="wrong_shape"), one("dee", status="not attempted")]
    _, remarks = write_report(graded, tmp_path)
    assert any("cy is not on the class list" in remark for remark in remarks)
    page = (tmp_path / "summary.html").read_text()
    assert page.index("In trouble: 4") < page.index("5 notebooks" if "5 notebooks" in page else "4 notebooks")
    lines = trouble_in_words(graded, tmp_path)
    assert lines[0] == "In trouble: 4" and [line.split(":")[0].strip() for line in lines[1:]] == ["bob", "cy", "dee", "zoe"]
    assert (
        "no JSON" in lines[1] and "0 of 1 points" in lines[2] and "nothing is answered" in lines[3] and "handed in" in lines[4]
    )
    assert "Students by questions" in page and "Mistakes over the weeks" in page and "00: 1 of 1" in page
    assert {row["student"] for row in tables(tmp_path, "grades.csv")} == {"ann", "bob", "cy", "dee", "zoe"}
    assert (tmp_path / "class_list_with_scores.csv").read_text(encoding="utf-8-sig").splitlines()[1] == "ann,0017,1"


def test_feedback_goes_back_in_one_zip_and_in_the_forms_of_the_platforms(tmp_path):
    graded = [
        Graded("Ada Lovelace", "00", "Ada Lovelace_12_assignsubmission_file_/a/00.ipynb", "12", "graded", []),
        Graded("Kim Lee (13)", "00", "week 1/Kim Lee_13_assignsubmission_file/00.ipynb", "13", "graded", []),
        Graded("turingalan", "00", "turingalan_LATE_4712_998878_00_start_here-2.ipynb", "4712", "graded", []),
        Graded("bob", "00", "bob/00.ipynb", "", "graded", []),
    ]
    write_report(graded, tmp_path)

    def names(zip_name: str) -> set[str]:
        with zipfile.ZipFile(tmp_path / zip_name) as archive:
            assert all(b"Feedback for" in archive.read(name) for name in archive.namelist())
            return set(archive.namelist())

    assert len(names("feedback.zip")) == 4 and "bob.html" in names("feedback.zip")
    assert names("feedback_moodle.zip") == {
        "Ada Lovelace_12_assignsubmission_file_/feedback.html",
        "Kim Lee_13_assignsubmission_file_/feedback.html",
    }
    assert names("feedback_canvas.zip") == {"turingalan_LATE_4712_998878_00_start_here-2.ipynb.html"}


@pytest.mark.slow
def test_grading_again_changes_only_what_changed_and_notes_it(sandbox, notebook, tmp_path, command):
    def save(student: str, **answers):
        path = tmp_path / "in" / student / "00_start_here.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook("00", answers)))

    solved = assignment("00").solved
    save("ann", **solved)
    save("bob")
    out = tmp_path / "out"
    grade_pile(tmp_path / "in", out, Settings(jobs=1))
    lines = (out / "journal.jsonl").read_text().count("\n")
    save("bob", accuracy=solved["accuracy"])
    words = ["regrade", str(tmp_path / "in"), "--out", str(out), "--jobs", "1"]
    said = command(*words, "--why", "Handed in again.", "--who", "me")
    assert "bob, 00 accuracy: 0 -> 1" in said and "Marks that changed: 1" in said
    [row] = tables(out, appeals.TABLE)
    assert (row["who"], row["kind"], row["student"], row["old"], row["new"]) == ("me", "regrade", "bob", "0", "1")
    assert (out / "journal.jsonl").read_text().count("\n") == lines + 1
    assert "Marks that changed: 0" in command(*words, "--student", "ann")
    assert (out / "journal.jsonl").read_text().count("\n") == lines + 2, "ann too, who changed nothing"


def test_a_damaged_or_foreign_line_of_the_journal_is_named_and_nothing_is_lost(tmp_path):
    journal = tmp_path / "journal.jsonl"
    good = json.dumps(one("ann").as_record())
    for line, words in (
        ("{cut", "line 3: it is no JSON"),
        ('{"student": "x", "later": 1}', "line 3: another version"),
        ("[]", "line 3: another version"),
        ("\udcff", "line 3: it is no JSON"),
    ):
        text = "\n".join(['{"seed": "0123456789abcdef"}', good, line, good, ""])
        journal.write_bytes(text.encode(errors="surrogateescape"))
        kept = journal.read_bytes()
        with pytest.raises(CourseError, match=words):
            graded_before(tmp_path)
        assert journal.read_bytes() == kept
    journal.write_text(f"{good}\n")
    with pytest.raises(CourseError, match="line 1: it should hold the seed"):
        graded_before(tmp_path)
    journal.write_text("\n".join(['{"seed": "0123456789abcdef"}', good, "{cut"]))
    assert [it.student for it in graded_before(tmp_path)] == ["ann"], "a run that was killed while it wrote"


def test_the_umask_is_respected(tmp_path):
    before = os.umask(0o027)
    try:
        write_report([one("ann")], tmp_path / "out")
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "grades.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_the_command_speaks_in_a_console_that_lacks_letters(tmp_path):
    graded = one("王小明 Łukasz")
    (tmp_path / "out").mkdir()
    lines = [json.dumps({"seed": "0123456789abcdef"}), json.dumps(graded.as_record())]
    (tmp_path / "out" / "journal.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "list.csv").write_text("Student\nŻaneta\n", encoding="utf-8")
    command = [sys.executable, "-m", "fewshot_lab", "grade", "--merge", "--out", str(tmp_path / "out")]
    command += ["--class-list", str(tmp_path / "list.csv")]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert b"In trouble: 1" in done.stdout and b"?aneta" in done.stdout
