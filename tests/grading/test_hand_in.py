"""Handing in and collecting: what a learner is told is what the grader finds; nothing is overwritten, damage is named."""

import csv
import hashlib
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import nbformat
import pytest
from places import ROOT

from fewshot_lab import CourseError
from fewshot_lab.grading import hand_in as handing
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.collecting import TABLE, collect_hand_ins
from fewshot_lab.grading.hand_in import hand_in, look_over, packed
from fewshot_lab.grading.late import late_rules
from fewshot_lab.grading.receipts import RECEIPT
from fewshot_lab.grading.submissions import collect

RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(1) == labels).float().mean().item()\n"


@pytest.fixture
def learner(tmp_path, monkeypatch, notebook):
    """A learner's course with chapters 00 and 01; save(chapter, **answers) saves a copy in work/."""
    root = tmp_path / "course"
    (root / "notebooks" / "source").mkdir(parents=True)
    for name in ("00_start_here", "01_rotations_and_flips"):
        shutil.copy(ROOT / "notebooks" / "source" / f"{name}.py", root / "notebooks" / "source")
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(root))
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    for name in ("FEWSHOT_LAB_HAND_IN", "FEWSHOT_LAB_NAME", "JUPYTERHUB_USER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def save(chapter: str, **answers: str) -> Path:
        path = root / "work" / assignment(chapter).notebook
        path.parent.mkdir(exist_ok=True)
        path.write_text(nbformat.writes(notebook(chapter, answers)))
        return path

    return save


def made(folder: Path, student: str, time: str, save, name: str = "", **answers) -> Path:
    """A hand-in of chapter 00 in a folder, as lab.hand_in packs it, with a time of its own."""
    save("00", **answers)
    content = packed(student, time, look_over())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{student}-00-{time.replace(':', '')}.zip")
    path.write_bytes(content)
    return path


def test_what_would_be_missing_is_what_the_grader_will_not_find(learner):
    with pytest.raises(CourseError, match="No answer is saved yet"):
        look_over()
    learner("00", accuracy=RIGHT)
    learner("01")
    [one] = look_over()
    assert (one.chapter, one.answered) == ("00", ("accuracy",))
    assert set(one.missing) == set(assignment("00").stubs) - {"accuracy"}
    said = str(hand_in(look=True))
    assert "1 of 3" in said and "Nothing is handed in yet" in said and all(name in said for name in one.missing)
    assert [it.chapter for it in look_over(["0", "1"])] == ["00", "01"], "those that are named, also without an answer"


def test_one_file_with_a_receipt_is_written_beside_the_notebooks_and_graded_as_it_is(learner, tmp_path):
    learner("00", **assignment("00").solved)
    done = hand_in(name="Ada Lovelace")
    assert done.path.parent.name == "handed_in" and done.path.name.startswith("Ada_Lovelace-00-20")
    assert done.sha256 == hashlib.sha256(done.path.read_bytes()).hexdigest() and done.sha256 in str(done)
    with zipfile.ZipFile(done.path) as archive:
        receipt = json.loads(archive.read(RECEIPT))
        [row] = receipt["notebooks"]
        assert hashlib.sha256(archive.read(row["file"])).hexdigest() == row["sha256"]
    assert (receipt["student"], row["chapter"], row["missing"]) == ("Ada Lovelace", "00", [])
    for place in (done.path, done.path.parent):
        [found] = collect(place)
        assert (found.student, found.chapter, found.problem) == ("Ada Lovelace", "00", "")
        assert found.answers == assignment("00").solved and found.handed_in == done.handed_in


def test_the_name_is_asked_for_once_and_kept(learner, monkeypatch):
    learner("00", accuracy=RIGHT)
    monkeypatch.setattr("builtins.input", lambda _: (_ for _ in ()).throw(EOFError))
    with pytest.raises(CourseError, match="Whose answers are these"):
        hand_in()
    monkeypatch.setattr("builtins.input", lambda _: "Zoë 阿达")
    assert hand_in().student == "Zoë 阿达"
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked again"))
    assert hand_in().student == "Zoë 阿达"
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    assert hand_in().student == "ada", "a hub knows who is logged in"


def test_the_class_folder_takes_it_and_no_earlier_hand_in_is_overwritten(learner, tmp_path, monkeypatch):
    learner("00", accuracy=RIGHT)
    box = tmp_path / "class"
    monkeypatch.setenv("FEWSHOT_LAB_HAND_IN", str(box))
    with pytest.raises(CourseError, match="is not there"):
        hand_in(name="ada")
    box.mkdir()
    box.chmod(0o3733)
    monkeypatch.setattr(handing, "now", lambda: "2026-11-27T03:19:25Z")
    paths = [hand_in(name="ada").path for _ in range(3)]
    assert [path.name for path in paths] == [f"ada-00-2026-11-27T031925Z{end}.zip" for end in ("", "-2", "-3")]
    assert sorted(box.iterdir()) == sorted(paths), "no half-written file is left"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in paths), "its group reads it, no other learner"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_letter_box_that_a_learner_cannot_read_takes_it(learner, tmp_path, monkeypatch):
    learner("00", accuracy=RIGHT)
    box = tmp_path / "class"
    box.mkdir()
    box.chmod(0o333)
    path = hand_in(name="ada", to=box).path
    box.chmod(0o755)
    assert path.exists()


def test_where_no_link_can_be_made_a_hand_in_is_still_whole_and_not_overwritten(learner, tmp_path, monkeypatch):
    learner("00", accuracy=RIGHT)

    def no_links(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(handing, "now", lambda: "2026-11-27T03:19:25Z")
    first, second = (hand_in(name="ada", to=tmp_path).path for _ in range(2))
    assert first != second and all(zipfile.is_zipfile(path) for path in (first, second))


def test_an_answer_on_the_screen_that_is_not_saved_is_named(learner, monkeypatch, tmp_path):
    from IPython.core.interactiveshell import InteractiveShell

    learner("00", accuracy=RIGHT)
    monkeypatch.setattr(InteractiveShell, "_instance", None)
    shell = InteractiveShell.instance()
    try:
        shell.run_cell(RIGHT)
        assert look_over()[0].warnings == ()
        shell.run_cell(RIGHT.replace("argmax", "argmin"))
        [words] = look_over()[0].warnings
        assert "accuracy on the screen is not the one in the saved notebook" in words
    finally:
        InteractiveShell.clear_instance()


def test_outputs_are_left_out_where_the_grader_would_refuse_the_file(learner, monkeypatch):
    path = learner("00", accuracy=RIGHT)
    nb = nbformat.read(path, as_version=4)
    code = next(cell for cell in nb.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", text="x" * 100_000)]
    nbformat.write(nb, path)
    monkeypatch.setattr(handing, "LARGEST_NOTEBOOK", 90_000)
    [one] = look_over()
    assert len(one.content) < 90_000 and "outputs were left out" in " ".join(one.warnings)
    assert one.answered == ("accuracy",)


def test_collect_takes_the_newest_complete_attempt_and_names_what_is_damaged_or_late(learner, tmp_path):
    solved, box = assignment("00").solved, tmp_path / "class"
    made(box, "ada", "2026-11-27T10:00:00Z", learner, **solved)
    newest = made(box, "ada", "2026-11-27T11:00:00Z", learner, **solved)
    made(box, "ada", "2026-11-27T12:00:00Z", learner, accuracy=RIGHT)
    late = made(box, "bob", "2026-11-28T01:30:00Z", learner, accuracy=RIGHT)
    cut = made(box, "eve", "2026-11-27T10:00:00Z", learner, **solved)
    cut.write_bytes(cut.read_bytes()[:-2000])
    altered = made(box, "mal", "2026-11-27T10:00:00Z", learner, accuracy=RIGHT)
    with zipfile.ZipFile(altered) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["00_start_here.ipynb"] = files["00_start_here.ipynb"].replace(b"argmax", b"argmin")
    with zipfile.ZipFile(altered, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    taken = collect_hand_ins([box], tmp_path / "pile", late_rules(["2026-11-28T00:00+00:00"]))
    assert sorted(path.name for path in taken.files) == [newest.name, late.name]
    assert (tmp_path / "pile" / newest.name).read_bytes() == newest.read_bytes()
    words = "\n".join(taken.trouble)
    assert "bob: chapter 00 is 1.5 hours late" in words and "eve" in words and "checksum differs" in words
    rows = list(csv.DictReader((tmp_path / "pile" / TABLE).open()))
    states = [(row["student"], row["state"].split(" (")[0]) for row in rows]
    assert sorted(states).count(("ada", "an older or a less complete attempt")) == 2 and ("ada", "counts") in states
    [row] = [row for row in rows if row["student"] == "bob"]
    assert row["sha256"] == hashlib.sha256(late.read_bytes()).hexdigest() and row["hours_late"] == "1.5"
    found = {one.student: one for one in collect(tmp_path / "pile")}
    assert set(found) == {"ada", "bob"} and found["ada"].answers == solved


def test_collecting_twice_keeps_what_was_collected(learner, tmp_path):
    made(tmp_path / "class", "ada", "2026-11-27T10:00:00Z", learner, name="a.zip", accuracy=RIGHT)
    made(tmp_path / "other", "bob", "2026-11-27T10:00:00Z", learner, name="a.zip", accuracy=RIGHT)
    collect_hand_ins([tmp_path / "class"], tmp_path / "pile")
    collect_hand_ins([tmp_path / "class", tmp_path / "other"], tmp_path / "pile")
    assert {one.student for one in collect(tmp_path / "pile")} == {"ada", "bob"}
    with pytest.raises(CourseError, match="made by lab.hand_in"):
        (tmp_path / "plain" / "ada").mkdir(parents=True)
        shutil.copy(learner("00", accuracy=RIGHT), tmp_path / "plain" / "ada")
        collect_hand_ins([tmp_path / "plain"], tmp_path / "pile")


def test_a_notebook_without_a_receipt_keeps_the_name_of_the_folder_that_it_was_put_into(learner, tmp_path):
    """As on a hub, where everybody has a folder of the class: some put a notebook there by hand."""
    box = tmp_path / "class"
    made(box / "ada", "ada", "2026-11-27T10:00:00Z", learner, accuracy=RIGHT)
    for name in ("bob", "王小明"):
        (box / name).mkdir()
        shutil.copy(learner("00", accuracy=RIGHT), box / name)
    taken = collect_hand_ins([box], tmp_path / "pile")
    assert sum("has no receipt" in words for words in taken.trouble) == 2
    collect_hand_ins([box], tmp_path / "pile")
    found = collect(tmp_path / "pile")
    assert sorted(one.student for one in found) == ["ada", "bob", "王小明"] and not any(one.problem for one in found)


def test_a_hand_in_in_a_platforms_zip_belongs_to_whom_the_platform_says(learner, tmp_path):
    path = made(tmp_path / "one", "somebody else", "2026-11-27T10:00:00Z", learner, accuracy=RIGHT)
    platform = tmp_path / "moodle.zip"
    with zipfile.ZipFile(platform, "w") as archive:
        archive.write(path, f"Ada Lovelace_12_assignsubmission_file_/{path.name}")
    [found] = collect(platform)
    assert (found.student, found.ident) == ("Ada Lovelace", "12") and "its receipt says somebody else" in found.notes
    collect_hand_ins([platform], tmp_path / "pile")
    [found] = collect(tmp_path / "pile")
    assert (found.student, found.ident, found.handed_in) == ("Ada Lovelace", "12", "2026-11-27T10:00:00Z")


RECEIPTS = {
    "empty": b"",
    "no format": b"{}",
    "a list": b"[1]",
    "a later format": b'{"format": 9}',
    "too deep": b"[" * 5000,
    "no name": b'{"format": 1, "student": 3}',
}


@pytest.mark.parametrize("receipt", RECEIPTS.values(), ids=RECEIPTS)
def test_a_receipt_that_cannot_be_read_is_told_and_stops_nobody(learner, tmp_path, receipt):
    made(tmp_path / "class", "ada", "2026-11-27T10:00:00Z", learner, accuracy=RIGHT)
    with zipfile.ZipFile(tmp_path / "class" / "eve-00-2026-11-27T100000Z.zip", "w") as archive:
        archive.writestr(RECEIPT, receipt)
    found = {one.student: one for one in collect(tmp_path / "class")}
    assert not found["ada"].problem and "receipt" in found["eve"].problem


def test_the_command_hands_in_and_collects(learner, tmp_path, command):
    learner("00", accuracy=RIGHT)
    (tmp_path / "class").mkdir()
    assert "Nothing is handed in yet" in command("hand-in", "--look")
    facts = json.loads(command("hand-in", "--name", "ada", "--to", str(tmp_path / "class"), "--json"))
    assert Path(facts["path"]).parent == tmp_path / "class" and facts["given"]
    said = command("collect", str(tmp_path / "class"), "--out", str(tmp_path / "pile"))
    assert "1 students, 1 files" in said
