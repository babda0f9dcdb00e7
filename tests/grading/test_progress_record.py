"""A record of progress: exported, judged again in the sandbox, signed, printed; what is altered, foreign or wrong is found."""

import json
import shutil

import nbformat
import pytest

from fewshot_lab import CourseError, attempts, cli
from fewshot_lab.course.chapters import choose
from fewshot_lab.grading import certificate, progress_record, signing
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.pile import Settings
from fewshot_lab.grading.sandbox import means
from fewshot_lab.grading.verify import verify

WRONG = "def accuracy(logits, labels):\n    return 0.5"
[CHAPTER] = choose(["00"])


@pytest.fixture
def exported(tmp_path, monkeypatch, notebook):
    """exported(**answers): Ada passed chapter 00 and exports; her saved notebook holds these answers. (record, notebooks)."""
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FEWSHOT_LAB_OWN", str(tmp_path))
    monkeypatch.delenv("FEWSHOT_LAB_PROGRESS", raising=False)
    monkeypatch.setattr(attempts, "run_by_a_person", lambda: True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def export(passed=CHAPTER.exercises, **answers):
        (tmp_path / "work").mkdir()
        nb = notebook("00", assignment("00").solved | answers)
        nbformat.write(nb, tmp_path / "work" / CHAPTER.notebook.name)
        for name in passed:
            attempts.note(name, "passed")
        certificate.export_progress(tmp_path / "ada.json", ["00"], "Ada Lovelace")
        return tmp_path / "ada.json", tmp_path / "work"

    return export


def judged(path, place, by="", key=""):
    if place and means() is None:
        pytest.skip("this machine allows neither bubblewrap nor user namespaces")
    lines, well = verify(path, place, None, by, None, key, Settings(jobs=1))
    return "\n".join(lines), well


@pytest.mark.slow
def test_a_record_is_judged_again_signed_and_printed_with_the_name_of_who_vouched(exported, tmp_path):
    path, place = exported()
    assert "learner's own word" in judged(path, None)[0]
    said, well = judged(path, place, by="Grace Hopper")
    assert well and f"{len(CHAPTER.exercises)} of {len(CHAPTER.exercises)} passed checks are confirmed" in said
    signed = tmp_path / "ada.signed.json"
    assert "Signed by Grace Hopper" in judged(signed, None, key=signing.public_key())[0]
    with pytest.raises(CourseError, match="not signed with the key"):
        judged(signed, None, key="0" * 64)
    assert signing.key_file().stat().st_mode & 0o077 == 0
    certificate.print_certificate(tmp_path / "page.html", signed=signed)
    page = (tmp_path / "page.html").read_text()
    assert "Ada Lovelace" in page and "Verified by Grace Hopper" in page and "结业证书" in page and "A4 landscape" in page
    tree = json.loads(signed.read_text())
    tree["vouched"]["by"] = "Somebody Else"
    signed.write_text(json.dumps(tree))
    with pytest.raises(CourseError, match="signature is not of this record"):
        judged(signed, None)


@pytest.mark.slow
def test_an_answer_that_does_not_pass_is_found_and_nothing_is_signed(exported, tmp_path):
    path, place = exported(accuracy=WRONG)
    said, well = judged(path, place, by="Grace Hopper")
    assert not well and "00 accuracy: refuted. The answer does not pass" in said and "Nothing is signed" in said
    assert not (tmp_path / "ada.signed.json").exists()


@pytest.mark.slow
def test_a_record_is_compared_with_the_grades_of_a_class_and_nothing_runs_again(exported, tmp_path, command, monkeypatch):
    if means() is None:
        pytest.skip("this machine allows neither bubblewrap nor user namespaces")
    path, place = exported()
    for student in ("Ada Lovelace", "Grace"):
        shutil.copytree(place, tmp_path / "class" / student)
    command("grade", str(tmp_path / "class"), "--out", str(tmp_path / "grades"))
    monkeypatch.setattr("fewshot_lab.grading.verify.grade_pile", None)  # nothing may call it
    said = command("verify", str(path), "--grades", str(tmp_path / "grades"), "--sign", "Grace Hopper")
    assert f"{len(CHAPTER.exercises)} of {len(CHAPTER.exercises)} passed checks are confirmed" in said
    assert (tmp_path / "ada.signed.json").exists()
    shutil.rmtree(tmp_path / "grades")
    command("grade", str(tmp_path / "class" / "Grace"), "--out", str(tmp_path / "grades"))
    with pytest.raises(CourseError, match="holds no grading of Ada Lovelace"):
        verify(path, None, tmp_path / "grades", "", None, "", Settings(jobs=1))


def test_what_was_changed_is_foreign_or_newer_is_refused_with_what_to_do(exported, monkeypatch, capsys):
    path, _ = exported()
    tree = json.loads(path.read_text())
    tree["chapters"][0]["checks"][0]["tries"] += 1
    path.write_text(json.dumps(tree))
    with pytest.raises(CourseError, match="checksum differs. Ask the learner"):
        progress_record.read_record(path)
    monkeypatch.setattr("sys.argv", ["fewshot-lab", "verify", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1 and "checksum differs" in capsys.readouterr().err
    for content, words in (("[]", "no record of progress"), ("{", "no record of progress"), (tree | {"format": 9}, "git pull")):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(CourseError, match=words):
            progress_record.read_record(path)
    tree["chapters"][0]["checks"][0]["tries"] = "many"
    path.write_text(json.dumps(tree | {"checksum": progress_record.checksum(tree)}))
    with pytest.raises(CourseError, match="damaged"):
        progress_record.read_record(path)


def test_there_is_no_certificate_before_every_check_has_passed(exported, tmp_path):
    path, _ = exported(passed=CHAPTER.exercises[1:])
    with pytest.raises(CourseError, match=f"Missing:\n  00: {CHAPTER.exercises[0]}"):
        certificate.print_certificate(tmp_path / "page.html", ["00"], "Ada")
    assert not (tmp_path / "page.html").exists()
    attempts.note(CHAPTER.exercises[0], "passed")
    certificate.print_certificate(tmp_path / "page.html", ["00"], "Ada")
    assert "Not verified" in (tmp_path / "page.html").read_text()
    with pytest.raises(CourseError, match="Missing"):
        certificate.print_certificate(tmp_path / "whole.html", (), "Ada")  # the whole course
