"""What a grading leaves for people: feedback that gives no hidden answer away, pages without scripts, marks made by hand."""

import csv
import json
import re
from pathlib import Path

import nbformat
import pytest
import torch

from fewshot_lab.checking import examine
from fewshot_lab.errors import CourseError
from fewshot_lab.exercises import get_exercise
from fewshot_lab.grading import by_hand
from fewshot_lab.grading.alike import alike, fingerprints
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.grade import Graded, Mark
from fewshot_lab.grading.pages import feedback_page, file_name, summary_page
from fewshot_lab.grading.pile import Settings, grade_pile, graded_before
from fewshot_lab.grading.report import write_report
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
