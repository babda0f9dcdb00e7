"""Piles: every student is graded once, whatever the others do; a killed run goes on; the tables are what a platform takes."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time

import nbformat
import pytest
from test_attacks import FOLDER as ATTACKS
from test_attacks import HARMS_ITSELF

from fewshot_lab import runtime
from fewshot_lab.course.chapters import chapters
from fewshot_lab.errors import CourseError
from fewshot_lab.grading import gradebook, pile
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.grade import Graded, Mark
from fewshot_lab.grading.release import release
from fewshot_lab.grading.submissions import collect

SOME_TROUBLE = (
    *("os_exit_in_the_answer", "thread_left_running", "fifty_megabytes_of_output"),
    *("kills_everyone", "script_in_an_error"),
)


@pytest.fixture
def handed_in(tmp_path, notebook, request):
    """Thirty submissions (500 with --thorough, every attack among them; or --submissions N): right, half right, blank, broken
    ones and attacks; with the scores that each may get.
    """
    count = request.config.getoption("--submissions") or (500 if request.config.getoption("--thorough") else 30)
    thorough = count >= 5 * len(list(ATTACKS.glob("*.txt")))
    solved, stubs, points, deserved = assignment("00").solved, assignment("00").stubs, assignment("00").points, {}
    trouble = sorted(ATTACKS.glob("*.txt")) if thorough else [ATTACKS / f"{name}.txt" for name in SOME_TROUBLE]
    for number in range(count):
        student, kind = f"student {number:03d}", number % 5
        answers = [solved, solved | {"interval": stubs["interval"]}, stubs, None, None][kind]
        deserved[student] = [{points}, {points - 1}, {0}, {0}, {points - 1}][kind]  # each question has one point
        if kind == 4:
            attack = trouble[number // 5 % len(trouble)]
            answers = solved | {"accuracy": attack.read_text()}
            deserved[student] = set(range(int(points))) if attack.stem in HARMS_ITSELF else {points - 1}
        folder = tmp_path / "in" / student
        folder.mkdir(parents=True)
        text = nbformat.writes(notebook("00", answers)) if answers else '{"cells": ['
        (folder / "00_start_here.ipynb").write_text(text)
    return tmp_path / "in", deserved


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_submission_that_kills_its_worker_twice_is_told_and_left(sandbox, notebook, tmp_path):
    """A thread kills, as the system does when memory is short, whichever process grades the answer that takes its time."""
    slow = "import time\ntime.sleep(1e-3)\ndef accuracy(logits, labels):\n    time.sleep(8)\n"
    for student in ("Ada", "Bob", "Cem"):
        folder = tmp_path / "in" / student
        folder.mkdir(parents=True)
        answers = assignment("00").solved | ({"accuracy": slow} if student == "Bob" else {})
        (folder / "00_start_here.ipynb").write_text(nbformat.writes(notebook("00", answers)))
    out, deaths, over = tmp_path / "out", [], threading.Event()
    [bob] = [pile._key(one) for one in collect(tmp_path / "in") if one.student == "Bob"]

    def kill():
        while not over.wait(0.2):
            with contextlib.suppress(OSError, ValueError):
                pid = int((out / pile.BEGUN / bob).read_text())
                if pid not in deaths and pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)
                    deaths.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        graded = {one.student: one for one in pile.grade_pile(tmp_path / "in", out, pile.Settings(jobs=2))}
    finally:
        over.set()
        killer.join()
    assert len(deaths) == 2
    assert (graded["Bob"].status, graded["Bob"].score) == ("stopped the grader", 0.0)
    assert [graded[name].score for name in ("Ada", "Cem")] == [assignment("00").points] * 2
    again = pile.grade_pile(tmp_path / "in", out, pile.Settings(jobs=2), resume=True)
    assert len(again) == 3 and len(deaths) == 2, "it is not met again"
    assert not (out / pile.BEGUN).exists()


def command(place, out, *more):
    return [sys.executable, "-m", "fewshot_lab", "grade", str(place), "--out", str(out), "--timeout", "20", *more]


def undeserved(out, deserved: dict[str, set[float]]) -> dict[str, float]:
    """The scores that are not among those that a student may get; each student must stand in the grades once."""
    rows = list(csv.DictReader((out / "grades.csv").open()))
    assert sorted(row["student"] for row in rows) == sorted(deserved)
    return {row["student"]: float(row["score"]) for row in rows if float(row["score"]) not in deserved[row["student"]]}


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_a_run_that_is_killed_twice_goes_on_and_grades_every_student_once(sandbox, handed_in, tmp_path):
    place, deserved = handed_in
    out, journal = tmp_path / "out", tmp_path / "out" / pile.JOURNAL
    for part, more in ((1, ()), (2, ("--resume",))):
        enough = part * len(deserved) // 3
        words = command(place, out, "--jobs", "2", *more)
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 300 + 5 * len(deserved)
        while (not journal.exists() or journal.read_text().count("\n") <= enough) and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert enough < journal.read_text().count("\n") <= len(deserved) + 1 and not (out / "grades.csv").exists()
        with journal.open("a") as file:
            file.write('{"student": "cut o')
    refused = subprocess.run(command(place, out), capture_output=True, text=True)
    assert refused.returncode == 1 and "--resume" in refused.stderr
    done = subprocess.run(command(place, out, "--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert undeserved(out, deserved) == {}
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(lines) == len(deserved) + 1 and {line["student"] for line in lines[1:]} == set(deserved)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_dask_cluster_of_two_workers_grades_the_same(sandbox, handed_in, tmp_path):
    from distributed import LocalCluster

    place, deserved = handed_in
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
        done = subprocess.run(
            command(place, tmp_path / "out", "--dask", cluster.scheduler_address), capture_output=True, text=True
        )
        with cluster.get_client() as client:
            graded_by = client.run(lambda: len(__import__("fewshot_lab.grading.pile", fromlist=["x"])._SANDBOXES))
    assert done.returncode == 0, done.stderr[-2000:]
    assert undeserved(tmp_path / "out", deserved) == {}
    assert list(graded_by.values()) == [1, 1], "each worker grades, in a sandbox of its own"


def test_a_cluster_that_does_not_answer_is_said(tmp_path, handed_in, monkeypatch):
    monkeypatch.setattr(runtime, "SCHEDULER_SECONDS", 0.5)
    with pytest.raises(CourseError, match="No Dask scheduler answers at tcp://127.0.0.1:1"):
        pile.grade_pile(handed_in[0], tmp_path / "out", pile.Settings(dask="tcp://127.0.0.1:1"))


def test_without_a_sandbox_grading_is_refused_unless_it_is_called_unsafe(handed_in, tmp_path, monkeypatch):
    monkeypatch.setattr(pile, "means", lambda: None)
    with pytest.raises(CourseError, match="no way to shut them in"):
        pile.grade_pile(handed_in[0], tmp_path / "out", pile.Settings())
    assert not (tmp_path / "out").exists()


def test_tables_hold_no_formula_and_one_row_for_every_student(tmp_path):
    marks = [Mark("accuracy", "Accuracy", 1.0, 1.0, "passed"), Mark("interval", "Interval", 0.5, 1.0, "failed", mistake="n")]
    graded = [
        Graded("=HYPERLINK(1)", "00", "a", "77", "graded", marks),
        Graded("=HYPERLINK(1)", "01", "b", "77", "graded", marks[:1]),
        Graded("zoë", "00", "c", "", "unreadable", []),
    ]
    for path in gradebook.write_tables(graded, tmp_path):
        for row in csv.reader(path.open()):
            assert not any(cell.startswith(("=", "+", "@")) for cell in row)
    assert (tmp_path / "grades.csv").read_text().splitlines()[:2] == [
        "student,chapter,score,max_score,status",
        "'=HYPERLINK(1),00,1.5,2,graded",
    ]
    assert (tmp_path / "moodle.csv").read_text().splitlines() == [
        "Identifier,Full name,Chapter 00,Chapter 01",
        "Participant 77,'=HYPERLINK(1),1.5,1",
        ",zoë,0,",
    ]
    assert (tmp_path / "canvas.csv").read_text().startswith("ID,Student,Chapter 00,Chapter 01\n77,")


def test_difficulty_and_discrimination_are_those_of_the_definition():
    def one(a, b):
        return Graded(
            "s", "00", "", "", "graded", [Mark("a", "A", a, 1, "passed"), Mark("b", "B", b, 1, "failed", mistake="m")]
        )

    first, second = gradebook.statistics([one(1, 1), one(1, 1), one(0, 0), one(1, 0)])
    assert (first["n"], first["difficulty"], first["mistakes"]) == (4, 0.75, [])
    assert second["difficulty"] == 0.5 and second["mistakes"] == [("m", 4)]
    assert first["discrimination"] == pytest.approx(0.5773502691896258)
    assert gradebook.statistics([one(1, 1), one(1, 0), one(1, 0)])[0]["discrimination"] is None


def test_a_release_holds_no_solution_no_output_of_an_answer_and_the_points_of_every_question(tmp_path):
    release([], tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())["chapters"]
    assert [row["id"] for row in manifest] == [chapter.id for chapter in chapters()]
    for row in manifest:
        task = assignment(row["id"])
        nb = nbformat.read(tmp_path / "release" / row["notebook"], as_version=4)
        cells = {cell.metadata.nbgrader.grade_id: cell for cell in nb.cells if "nbgrader" in cell.metadata}
        assert {q["grade_id"] for q in row["questions"]} == set(task.stubs)
        assert row["points"] == sum(q["points"] for q in row["questions"]) == task.points
        for grade_id, stub in task.stubs.items():
            assert cells[grade_id].source == stub != task.solved[grade_id] and not cells[grade_id].get("outputs")
        shown = json.dumps([cell.get("outputs") for cell in nb.cells])
        assert "Measured: " not in shown and "fewshot-lab.verdict" not in shown and "Show what the makers got" in shown
        solved = nbformat.read(tmp_path / "solved" / row["notebook"], as_version=4)
        assert "### BEGIN" not in "".join(cell.source for cell in solved.cells)


def test_a_seed_that_can_be_guessed_is_refused(handed_in, tmp_path):
    with pytest.raises(CourseError, match="can be guessed"):
        pile.grade_pile(handed_in[0], tmp_path / "out", pile.Settings(seed="week1"))


def test_the_journal_is_its_owners_alone(tmp_path):
    pile._Journal(tmp_path / "journal.jsonl", "", resume=False)
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_name_with_half_a_character_stands_in_every_table(tmp_path):
    graded = [Graded("M\udcfcller", "00", "a", "", "graded", [Mark("accuracy", "Accuracy", 1.0, 1.0, "passed")])]
    for path in gradebook.write_tables(graded, tmp_path):
        path.read_text(encoding="utf-8")
    assert "M?ller,00,1" in (tmp_path / "grades.csv").read_text()
