"""The course is built, run and recorded as its sources say, whatever a cell, the disk or the person at the keyboard does."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest
from nbconvert import HTMLExporter
from rich.console import Console

from fewshot_lab.course import build, chapters, doctor, outputs, run
from fewshot_lab.course.compare import compare
from fewshot_lab.course.display import Display, print_summary
from fewshot_lab.course.kernels import execute
from fewshot_lab.course.page import page
from fewshot_lab.errors import CourseError
from fewshot_lab.evidence import RULES
from fewshot_lab.evidence.records import VERDICT
from fewshot_lab.evidence.runs import Run
from fewshot_lab.html import caption_markdown

CHAPTERS = chapters.chapters()
PARAMETERS = '# %% tags=["parameters"]\nPROFILE = "quick"\nDEVICE = "auto"\nSEED = 0\nRATE = 0.5\nSHOTS = [1, 5]\nFLIP = True'
SHOW = """# %%
from IPython.display import display


def show(kind, **content):
    display({f"application/vnd.fewshot-lab.{kind}+json": content, "text/plain": "shown"}, raw=True)
"""


def write_chapter(folder: Path, name: str, *cells: str) -> None:
    """Writes a source into a course and builds it, not executed."""
    path = folder / "notebooks" / "source" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"# %% [markdown]\n# # {name[:2]} · {name[3:].title()}"
    path.write_text("\n\n".join([title, *(cell if cell.startswith("# %%") else f"# %%\n{cell}" for cell in cells)]) + "\n")


def notebook_of(name: str):
    return nbformat.read(chapters.choose([name])[0].notebook, as_version=4)


def results(folder: Path) -> dict:
    """The record of a run, read as strict JSON."""
    return json.loads((folder / "results.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def statuses(folder: Path) -> dict:
    return {entry["id"]: entry["status"] for entry in results(folder)["chapters"]}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Makes a course in tmp_path of the given chapters, each a list of cells, and builds it."""
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path))
    for name in ("FEWSHOT_LAB_PROFILE", "FEWSHOT_LAB_DEVICE"):
        monkeypatch.delenv(name, raising=False)

    def make(**named: list[str]) -> Path:
        for name, cells in named.items():
            write_chapter(tmp_path, name.strip("_"), *cells)
        build.write_notebooks([name.strip("_") for name in named], execute=False)
        return tmp_path

    return make


# Building


EXERCISE = """# %% exercise="double"
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""
REPAIR = """# %% exercise="repair"
def half(x):
    ### BEGIN PLANTED
    # if x:
    #     return x * 2
    ### END PLANTED
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION"""
ANSWER = """# %% [markdown] answer="why" points=3
# Why?
#
# ### BEGIN SOLUTION
# Because.
# ### END SOLUTION"""


def test_the_learner_gets_stubs_and_planted_lines_and_the_solved_version_the_solutions(course):
    course(_01_a=[EXERCISE, REPAIR, ANSWER])
    chapter = chapters.choose()[0]
    learner = [cell.source for cell in build.build(chapter).cells[1:]]
    solved = [cell.source for cell in build.build(chapter, solved=True).cells[1:]]
    assert learner == [
        "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
        "lab.check(double)",
        "def half(x):\n    if x:\n        return x * 2",
        "lab.check(repair)",
        "Why?\n\nYOUR ANSWER HERE",
    ]
    assert solved[::2] == ["def double(x):\n    return 2 * x", "def half(x):\n    return x / 2", "Why?\n\nBecause."]


def test_the_head_of_a_cell_is_short_for_nbgraders_metadata_and_for_a_fold(course):
    course(_01_a=[EXERCISE.replace('"double"', '"double" points=2'), ANSWER, '# %% folded=true tags=["a"]\n1'])
    cells = build.build(chapters.choose()[0]).cells[1:]
    nbgrader = [dict(cell.metadata["nbgrader"]) for cell in cells[:3]]
    common = {"schema_version": 3, "task": False}
    assert nbgrader == [
        {"grade_id": "double", "solution": True, "grade": False, "locked": False} | common,
        {"grade_id": "check_double", "solution": False, "grade": True, "locked": True, "points": 2} | common,
        {"grade_id": "why", "solution": True, "grade": True, "locked": False, "points": 3} | common,
    ]
    assert cells[3].metadata == {"jupyter": {"source_hidden": True}, "tags": ["a", "hide-input"]}


def test_a_source_always_gives_the_same_valid_notebook(course):
    root = course(_01_a=[PARAMETERS, EXERCISE, ANSWER])
    first = (root / "notebooks" / "01_a.ipynb").read_bytes()
    build.write_notebooks(execute=False)
    assert (root / "notebooks" / "01_a.ipynb").read_bytes() == first
    nb = notebook_of("01")
    nbformat.validate(nb)
    assert nb.cells[1].metadata.tags == ["parameters"]
    assert nb.cells[2].metadata.nbgrader.grade_id == "double" and nb.cells[2].id == "02-double"


@pytest.mark.parametrize(
    "cells, said",
    [
        (["### BEGIN SOLUTION\n1\n### END SOLUTION"], "belongs into a cell that begins with # %% exercise"),
        ([EXERCISE.replace('"double"', '""')], "belongs into a cell that begins with # %% exercise"),
        ([EXERCISE.replace("    ### END SOLUTION", "")], "'### BEGIN SOLUTION' has no end"),
        ([EXERCISE.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION", "")], "no region"),
        ([EXERCISE.replace("    ### BEGIN SOLUTION\n", "")], "without its beginning"),
        ([EXERCISE.replace("BEGIN SOLUTION", "END SOLUTION", 1)], "without its beginning"),
        ([EXERCISE.replace("END SOLUTION", "END PLANTED")], "stands inside SOLUTION"),
        ([EXERCISE.replace("return 2", "### BEGIN SOLUTION\n    return 2")], "stands inside SOLUTION"),
        ([EXERCISE.replace("END SOLUTION", "END SOLUTIONS")], "'### END SOLUTIONS' is no mark"),
        ([EXERCISE.replace("### BEGIN", "## BEGIN")], "'## BEGIN SOLUTION' is no mark"),
        (["### BEGIN PLANTED\n# 1\n### END PLANTED"], "planted lines without a solution"),
        ([REPAIR.replace("# if x:", "if x:")], "'if x:' must be commented out"),
        ([EXERCISE, EXERCISE], "grade_id 'double' is that of cell 2"),
    ],
)
def test_a_wrong_mark_is_an_error_that_names_file_and_cell(course, cells, said):
    with pytest.raises(CourseError, match=rf"01_a\.py, cell {len(cells) + 1}: .*{said}"):
        course(_01_a=cells)


def test_differences_are_found_in_texts_tags_nbgrader_metadata_types_and_number_of_cells(course):
    root = course(_01_a=[PARAMETERS, EXERCISE, "1 + 1"])
    path, chapter = root / "notebooks" / "01_a.ipynb", chapters.choose()[0]
    assert build.differences(chapter) == []

    def after(change) -> str:
        nb = build.build(chapter)
        change(nb.cells)
        nbformat.write(nb, path)
        return "\n".join(build.differences(chapter))

    assert after(lambda cells: cells[4].update(source="2", outputs=[])) == "01_a.ipynb, cell 5 (1 + 1): text differ"
    assert "cell 2 (PROFILE" in after(lambda cells: cells[1].metadata.pop("tags")) and "tags differ" in after(
        lambda cells: cells[1].metadata.pop("tags")
    )
    assert "cell 3 (def double(x):): nbgrader differ" in after(lambda cells: cells[2].metadata.nbgrader.update(points=2))
    assert "cell 1 (# 01 · A): type differ" in after(lambda cells: cells[0].update(cell_type="raw"))
    assert "has 4 cells, its source gives 5" in after(lambda cells: cells.pop())
    path.write_text("{")
    assert "01_a.ipynb cannot be read" in build.differences(chapter)[0]
    path.unlink()
    assert "does not exist. Build it: fewshot-lab build 01" in build.differences(chapter)[0]


def test_building_executes_in_english_and_a_cell_that_fails_leaves_the_notebook_as_it_was(course, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_LANGUAGE", "zh")
    root = course(_01_a=["import os\nprint(*(os.environ[f'FEWSHOT_LAB_{name}'] for name in ('PROFILE', 'LANGUAGE')))"])
    build.write_notebooks()
    assert notebook_of("01").cells[1].outputs[0].text == "quick en\n"
    assert os.environ["FEWSHOT_LAB_LANGUAGE"] == "zh"
    before = (root / "notebooks" / "01_a.ipynb").read_bytes()
    write_chapter(root, "01_a", "raise ValueError('too bad')")
    with pytest.raises(CourseError, match=r"Chapter 01_a fails.*cell 2 \(In \[1\]\): ValueError: too bad"):
        build.write_notebooks()
    assert (root / "notebooks" / "01_a.ipynb").read_bytes() == before


# Running


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run of three chapters, with parameters: the first is well, the second fails, the third kills its kernel."""
    root = tmp_path_factory.mktemp("course")
    write_chapter(
        root,
        "01_well",
        PARAMETERS,
        SHOW,
        "import os\nprint(PROFILE, DEVICE, SEED, RATE, SHOTS, FLIP, *map(os.environ.get, "
        "('FEWSHOT_LAB_PROFILE', 'FEWSHOT_LAB_DEVICE')))",
        "show('result', name='a', mean=0.5, ci95=[0.4, 0.6], n=3, unit='accuracy', headline=True)\n"
        "show('result', name='b', mean=float('nan'), ci95=[float('-inf'), 1.0], n=1)\n"
        "show('check', exercise='x', status='failed'); show('check', exercise='y', status='not attempted')\n"
        "show('check', exercise='x', status='passed')",
        "import fewshot_lab as lab\nlab.record(ours=[0.1, 0.2, 0.3], unit='accuracy')",
        "lab.verdict('warm-up', more_labels=lab.mean_interval([0.1, 0.2, 0.3]))",
    )
    write_chapter(root, "02_wrong", PARAMETERS, "print('before')", "1 / 0", "print('never')")
    write_chapter(root, "03_dead", PARAMETERS, "import os\nos.kill(os.getpid(), 9)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_LAB_COURSE", str(root))
        build.write_notebooks(execute=False)
        stale = notebook_of("02")
        bundle = {"application/vnd.fewshot-lab.result+json": {"name": "stale", "mean": 1.0}}
        stale.cells[-1].outputs = [nbformat.v4.new_output("display_data", bundle)]
        nbformat.write(stale, root / "notebooks" / "02_wrong.ipynb")
        given = [("SEED", "7"), ("RATE", "1"), ("SHOTS", "[2]"), ("FLIP", "false")]
        status = run.run(parameters=given, profile="full", device="cpu")
    return status, root / "runs" / "latest"


def test_the_latest_run_holds_notebooks_pages_and_records(finished):
    status, latest = finished
    assert status == 1 and latest.is_symlink()
    names = {f"{name}{ending}" for name in ("01_well", "02_wrong", "03_dead") for ending in (".ipynb", ".html")}
    assert {path.name for path in latest.iterdir()} == names | {"results.json", "index.html"}
    record = results(latest)
    assert record.keys() >= {"profile", "device", "seconds", "started", "versions", "chapters"}
    assert (record["profile"], record["device"]) == ("full", "cpu") and record["machine"].startswith("cpu (")
    assert record["seconds"] == pytest.approx(sum(entry["seconds"] for entry in record["chapters"]))
    assert [(e["id"], e["title"], e["notebook"], e["status"]) for e in record["chapters"]] == [
        ("01", "Well", "01_well.ipynb", "ok"),
        ("02", "Wrong", "02_wrong.ipynb", "failed"),
        ("03", "Dead", "03_dead.ipynb", "failed"),
    ]
    shown = (latest / "index.html").read_text()
    assert "refresh" not in shown and all(f'href="{name}"' in shown for name in names)


def test_parameters_profile_and_device_reach_the_kernel_and_the_executed_notebook(finished):
    nb = nbformat.read(finished[1] / "01_well.ipynb", as_version=4)
    assert nb.cells[4].outputs[0].text == "full cpu 7 1.0 [2] False full cpu\n"
    assert nb.cells[2].metadata.tags == ["injected-parameters"]
    assert results(finished[1])["chapters"][0]["parameters"]["SEED"] == 7


def test_results_verdicts_and_the_last_status_of_each_check_are_recorded_with_null_for_what_is_not_finite(finished):
    entry = results(finished[1])["chapters"][0]
    assert entry["results"]["a"] == {"mean": 0.5, "ci95": [0.4, 0.6], "n": 3, "unit": "accuracy"}
    assert entry["results"]["b"] == {"mean": None, "ci95": None, "n": 1, "unit": ""}
    assert entry["results"]["ours"]["mean"] == pytest.approx(0.2) and entry["results"]["ours"]["n"] == 3
    assert entry["headline"] == ["a"]
    assert entry["checks"] == {"passed": 1, "failed": 0, "not_attempted": 1}
    assert (
        entry["verdicts"]["warm-up"]["verdict"] == "inconclusive"
        and "accuracy with 10 labels" in entry["verdicts"]["warm-up"]["why"]
    )


def test_a_cell_that_fails_is_recorded_with_its_place_and_no_output_from_before_counts(finished):
    entry = results(finished[1])["chapters"][1]
    assert entry["error"] == {"cell": "cell 5 (In [4])", "message": "ZeroDivisionError: division by zero"}
    nb = nbformat.read(finished[1] / entry["notebook"], as_version=4)
    assert nb.cells[3].outputs[0].text == "before\n" and nb.cells[4].outputs[0].ename == "ZeroDivisionError"
    assert entry["results"] == {} and nb.cells[5].outputs == []


def test_a_kernel_that_was_killed_is_reported_in_plain_words(finished):
    error = results(finished[1])["chapters"][2]["error"]
    assert error["cell"] == "cell 4" and "the kernel died; most often the memory is used up" in error["message"]


def test_a_kernel_ends_with_its_notebook_while_its_process_goes_on(tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os\nprint(os.getpid())")])
    assert execute(nb, tmp_path) is None
    with pytest.raises(ProcessLookupError):
        os.kill(int(nb.cells[0].outputs[0].text), 0)


def test_two_runs_give_the_same_figures_and_the_same_notebooks(course):
    root = course(_01_a=[PARAMETERS, SHOW, "show('result', name='a', mean=SEED, ci95=None, n=1)"])
    for name in "xy":
        assert run.run(device="cpu", out=root / name) == 0
    records = [results(root / name) for name in "xy"]
    for record in records:
        for part in (record, record["chapters"][0]):
            part.pop("seconds")
        record.pop("started")
    assert records[0] == records[1]
    assert (root / "x" / "01_a.ipynb").read_bytes() == (root / "y" / "01_a.ipynb").read_bytes()


@pytest.mark.slow
def test_only_failed_and_changed_chapters_are_run_again_on_resume(course, capsys, monkeypatch):
    failing = "import pathlib\nassert pathlib.Path('repaired').exists()"
    root = course(_01_a=[PARAMETERS], _02_b=[PARAMETERS, failing])
    assert run.run(device="cpu", parameters=[("SEED", "1")]) == 1

    def resumed(**given) -> tuple[int, str]:
        capsys.readouterr()
        status = run.run(resume=True, **given)
        return status, " ".join(line[:2] for line in capsys.readouterr().out.split("\n") if "done before" in line)

    (root / "notebooks" / "repaired").touch()
    assert resumed() == (0, "01")
    assert [entry["parameters"]["SEED"] for entry in results(root / "runs" / "latest")["chapters"]] == [1, 1]
    assert resumed() == (0, "01 02")
    write_chapter(root, "01_a", PARAMETERS, "print('changed')")
    build.write_notebooks(["01"], execute=False)
    assert resumed() == (0, "02")
    assert resumed(names=["02"], parameters=[("RATE", "0.1")]) == (0, "")
    latest = results(root / "runs" / "latest")
    assert latest["chapters"][1]["parameters"] | {"SEED": 1, "RATE": 0.1} == latest["chapters"][1]["parameters"]
    assert latest["request"]["chapters"] == ["01", "02"] and len(list((root / "runs").iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", Mock(side_effect=OSError("links are not allowed")))
        run._point_latest(root / "runs" / "latest", (root / "runs" / "latest").resolve())
    assert (root / "runs" / "latest").is_file() and resumed() == (0, "02")


WAITING = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)"


def start_run(root: Path, *arguments: str) -> subprocess.Popen:
    """Starts `fewshot-lab run` and waits until chapter 02, which waits for ever, is running."""
    command = [sys.executable, "-m", "fewshot_lab", "run", "--device", "cpu", *arguments]
    with_ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell starts with & has it switched off
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=with_ctrl_c)
    while not (root / "notebooks" / "pid").exists() or not (root / "notebooks" / "pid").read_text():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    return process


def is_gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process has ended, or does so within some seconds (a zombie has ended)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_an_interrupted_run_keeps_what_is_finished_ends_its_kernel_and_says_how_to_go_on(course, sent):
    root = course(_01_a=["1"], _02_b=[WAITING], _03_c=["3"])
    process = start_run(root)
    shown = (root / "runs" / "latest" / "index.html").read_text()
    assert statuses(root / "runs" / "latest") == {"01": "ok"} and "refresh" in shown and "waiting" in shown
    process.send_signal(sent)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "interrupted; go on with: fewshot-lab run --resume" in said and "Traceback" not in said
    assert statuses(root / "runs" / "latest") == {"01": "ok"}
    assert "refresh" not in (root / "runs" / "latest" / "index.html").read_text()
    assert is_gone(int((root / "notebooks" / "pid").read_text()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_after_a_runner_was_killed_resume_runs_the_unfinished_chapters_only(course, capsys):
    root = course(_01_a=["1"], _02_b=[WAITING], _03_c=["3"])
    process = start_run(root, "--out", str(root / "mine"))
    process.kill()
    process.communicate()
    assert statuses(root / "mine") == {"01": "ok"}
    write_chapter(root, "02_b", "print('quick now')")
    build.write_notebooks(["02"], execute=False)
    assert run.run(resume=True, out=root / "mine") == 0
    lines = capsys.readouterr().out.split("\n")[:3]
    assert [line.split(",")[0] for line in lines] == ["01 A: done before", "02 B: ok", "03 C: ok"]
    assert statuses(root / "mine") == {"01": "ok", "02": "ok", "03": "ok"}
    assert is_gone(int((root / "notebooks" / "pid").read_text())), "the kernel outlived its killed runner"


# Wrong input and bad places: one CourseError, before anything runs


@pytest.mark.parametrize(
    "given, said",
    [
        ({"names": ["77"]}, "no chapter '77'.*01_alpha, 02_alps"),
        ({"names": ["alpa"]}, "Did you mean 'alpha'"),
        ({"names": ["al"]}, "'al' fits several: 01_alpha, 02_alps"),
        ({"parameters": [("SED", "1")]}, r"Chapter 01 has no parameter 'SED'.*PROFILE = 'quick'.*SHOTS = \[1, 5\]"),
        ({"parameters": [("SEED", "1.5")]}, "SEED is '1.5', but chapter 01 needs a whole number; its default is 0"),
        ({"parameters": [("SEED", "True")]}, "needs a whole number"),
        ({"parameters": [("RATE", "much")]}, "needs a number"),
        ({"parameters": [("RATE", "1e999")]}, "needs a number"),
        ({"parameters": [("FLIP", "1")]}, "needs True or False"),
        ({"parameters": [("SHOTS", "1,5")]}, "needs a list"),
        ({"parameters": [("PROFILE", "slow")]}, "profile is 'slow'; choose one of quick, full"),
        ({"profile": "slow"}, "profile is 'slow'; choose one of quick, full"),
        ({"device": "abacus"}, "'abacus', but this machine offers .*cpu"),
        ({"resume": True}, "no run to go on with.*latest does not exist"),
        ({"resume": True, "out": "nowhere"}, "nowhere/results.json is not the record of a run"),
    ],
)
def test_wrong_input_is_answered_with_what_there_is_before_anything_runs(course, given, said):
    root = course(_01_alpha=[PARAMETERS], _02_alps=[PARAMETERS])
    with pytest.raises(CourseError, match=f"(?s){said}"):
        run.run(**{"device": "cpu", **given})
    assert not (root / "runs").exists()


def test_missing_and_damaged_notebooks_and_records_are_named_with_what_to_do(course):
    root = course(_01_a=[PARAMETERS])
    notebook = root / "notebooks" / "01_a.ipynb"
    for text, said in [
        (notebook.read_text().replace("SEED = 0", "SEED = ="), "line 3 of the parameters cell of 01_a.ipynb"),
        ("{}", "01_a.ipynb cannot be read"),
        ("no JSON", "01_a.ipynb cannot be read .*fewshot-lab build 01"),
    ]:
        notebook.write_text(text)
        with pytest.raises(CourseError, match=said):
            run.run(device="cpu")
    notebook.unlink()
    with pytest.raises(CourseError, match="01_a.ipynb does not exist. Build it: fewshot-lab build 01"):
        run.run(device="cpu")
    (root / "results.json").write_text("[]")
    with pytest.raises(CourseError, match="results.json is not the record of a run"):
        run.run(resume=True, out=root)


def test_a_course_that_is_not_there_is_an_error_that_names_where_was_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path))
    with pytest.raises(CourseError, match=f"FEWSHOT_LAB_COURSE is {tmp_path}"):
        chapters.course_root()
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(CourseError, match="No chapter in .*source"):
        chapters.chapters()


@pytest.mark.parametrize(
    "code, said", [(errno.EROFS, "read-only"), (errno.EACCES, "may not write"), (errno.ENOSPC, "disk is full")]
)
def test_a_place_that_cannot_be_written_is_named_before_anything_runs(course, monkeypatch, code, said):
    root = course(_01_a=["1"])
    monkeypatch.setattr(run, "execute_with_parameters", lambda *_: pytest.fail("a chapter was run"))
    (root / "file").write_text("")
    with pytest.raises(CourseError, match="a file of that name is in the way"):
        run.run(device="cpu", out=root / "file")
    with pytest.raises(CourseError, match="Cannot write /proc/run"):
        run.run(device="cpu", out=Path("/proc/run"))

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CourseError, match=f"Cannot write .*{said}"):
        run.run(device="cpu")


def test_a_disk_that_fills_up_in_mid_run_is_an_error_and_leaves_the_records_before_it_whole(course, monkeypatch):
    root = course(_01_a=["1"], _02_b=["2"])
    sync, written = os.fsync, []

    def fill_up(descriptor):
        written.append(descriptor)
        if len(written) > 7:  # results.json and index.html, then four files for chapter 01, then its notebook of 02
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(CourseError, match="02_b.html: the disk is full"):
        run.run(device="cpu", out=root / "mine")
    assert statuses(root / "mine") == {"01": "ok"}
    assert not list((root / "mine").glob(".*")), "parts of files are left"
    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(CourseError, match="holds a run already. Go on with it"):
        run.run(device="cpu", out=root / "mine")
    assert run.run(device="cpu", out=root / "mine", resume=True) == 0


# What is shown


ENTRY = {"id": "01", "title": "<b>Turn</b> [red]", "notebook": "01_a.ipynb", "html": "01_a.html", "status": "failed"}
ENTRY |= {"seconds": 3.14159, "checks": {"passed": 2, "failed": 0, "not_attempted": 1}, "headline": ["acc"]}
ENTRY |= {"results": {"acc": {"mean": 0.87123, "ci95": [0.85, 0.89], "n": 5, "unit": "<i>u</i>"}}}
ENTRY |= {"verdicts": {"C1": {"verdict": "supported", "why": "1 < 2 & more"}}}
ENTRY |= {"error": {"cell": "cell 3", "message": "Error: <script>alert(1)</script>\nsecond line"}}
RECORD = {"profile": "quick", "device": "cpu", "seconds": 3.1, "started": "now", "versions": {"a<b": "1"}, "chapters": [ENTRY]}


def test_the_page_escapes_all_text_and_reloads_itself_only_while_something_runs():
    run = Run.from_json(RECORD)
    shown = page(run)
    assert not any(tag in shown for tag in ("<b>", "<script", "<i>", "a<b")) and "refresh" not in shown
    assert (
        "0.871 [0.850, 0.890] &lt;i&gt;u&lt;/i&gt;, n = 5" in shown
        and "2 passed, 1 to do" in shown
        and "1 &lt; 2 &amp; more" in shown
    )
    assert 'http-equiv="refresh"' in page(run, [("02 Next", "running")])
    assert "refresh" not in page(run, [("02 Next", "waiting")])


def test_runs_are_compared_column_by_column(tmp_path):
    done = ENTRY | {
        "status": "ok",
        "verdicts": {"C1": {"verdict": "supported", "why": "a | b"}, "own": {"verdict": "refuted", "why": ""}},
    }
    other = RECORD | {"profile": "full", "machine": "cuda (a card)", "chapters": [done | {"id": "02", "results": {}}]}
    for name, record in (("quick", RECORD | {"chapters": [done]}), ("full", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(record))
    said = compare([tmp_path / "quick", tmp_path / "full"])
    assert "| quick profile, 1 chapters, started now | cpu | 0 |" in said and "| cuda (a card) |" in said
    assert "| 02 | – | **supported**: a \\| b |" in said and "| own | 01 | **refuted** | – |" in said
    assert said.index("| C1 |") < said.index("| own |") and "| acc | 01 | 0.871 [0.850, 0.890] <i>u</i>, n = 5 | – |" in said
    assert "| 02 <b>Turn</b> [red] | – | 3 |" in said
    assert "| claim | chapter | full profile |" in compare([tmp_path / "full"])
    assert "| result | chapter | full profile, full | full profile, full |" in compare([tmp_path / "full"] * 2)
    with pytest.raises(CourseError, match="nowhere/results.json is not the record of a run"):
        compare([tmp_path / "nowhere"])
    for content in ("nothing", '{"profile": "quick"}', "[]"):
        (tmp_path / "full" / "results.json").write_text(content)
        with pytest.raises(CourseError, match="full/results.json is not the record of a run"):
            compare([tmp_path / "full"])


def test_stored_notebooks_stand_beside_a_run_part_by_part(tmp_path):
    part = {"statement": "a - b", "relation": ">", "threshold": 0, "margin": 0.01, "outcome": "supported"}
    part |= {"estimate": {"mean": 0.1, "ci95": [0.05, 0.15], "n": 5, "rest": {"a": 1, "b": 0.8}, "over": "5 seeds"}}
    sentence = RULES.claims["warm-up"].sentence
    verdict = {"claim": "warm-up", "verdict": "supported", "why": "", "sentence": "More.", "parts": [part]}
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", {VERDICT: verdict})])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / CHAPTERS[0].notebook.name)
    (tmp_path / "full").mkdir()
    parts = [part, part | {"statement": "b - c", "outcome": "inconclusive"}]
    other = verdict | {"parts": parts, "verdict": "inconclusive", "sentence": sentence}
    record = RECORD | {"profile": "full", "chapters": [ENTRY | {"id": "00", "status": "ok", "verdicts": {"warm-up": other}}]}
    (tmp_path / "full" / "results.json").write_text(json.dumps(record))
    said = compare([tmp_path, tmp_path / "full"])
    assert "| quick profile, 1 chapters, as stored | – | – | – |" in said and "| chapter | seconds, full profile |" in said
    supported, undecided = (
        "**supported**; +0.100 [0.050, 0.150]; at rest: 90%; of an earlier wording",
        "**inconclusive: too few**; 1 of 2 parts; at rest: 90%",
    )
    assert f"| **warm-up** {sentence} | 00 | {supported} | {undecided} |" in said
    both = "+0.100 [0.050, 0.150], n = 5, supported; at rest: b (80%); 5 seeds"
    assert f"| **warm-up** a - b | 00 | > 0.01 | {both} | {both} |" in said
    assert "| **warm-up** b - c | 00 | > 0.01 | – | +0.100" in said
    assert "seconds" not in compare([tmp_path])


def test_live_parts_are_taken_out_and_pictures_stay():
    picture = {"image/png": "AAAA", outputs.WIDGET: {"model_id": "1"}}
    cell = nbformat.v4.new_code_cell(metadata={"execution": {"started": "now"}})
    cell.outputs = [
        nbformat.v4.new_output("display_data", picture, metadata={"image/png": {"alt": "A"}}),
        nbformat.v4.new_output("display_data", {outputs.WIDGET: {"model_id": "2"}}),
        nbformat.v4.new_output("execute_result", {"text/plain": "4"}),
        nbformat.v4.new_output("stream", text="said"),
    ]
    nb = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_markdown_cell("text")], metadata={"widgets": {"state": {}}})
    outputs.strip_live_parts(nb)
    assert nb.metadata == {} and nb.cells[0].metadata == {}
    kept = nb.cells[0].outputs
    assert [dict(output.get("data", {})) for output in kept] == [{"image/png": "AAAA"}, {"text/plain": "4"}, {}]
    assert kept[0].metadata == {"image/png": {"alt": "A"}}
    nbformat.validate(nb)


def test_a_picture_and_its_caption_become_one_figure_where_html_is_shown():
    cell = nbformat.v4.new_code_cell()
    for image in ("AAAA", "BBBB"):
        facts = {"image/png": {"width": 9, "alt": f"{image} <b>"}}
        cell.outputs.append(nbformat.v4.new_output("display_data", {"image/png": image, "text/plain": "x"}, metadata=facts))
        below = {"text/markdown": caption_markdown("Look * here", "x"), "text/plain": "Look * here"}
        cell.outputs.append(nbformat.v4.new_output("display_data", below))
    cell.outputs.append(nbformat.v4.new_output("stream", text="said"))
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("text"), cell])
    outputs.figures_as_html(nb)
    assert [output.output_type for output in cell.outputs] == ["display_data"] * 2 + ["stream"]
    for output, image in zip(cell.outputs, ("AAAA", "BBBB"), strict=False):
        html = output.data["text/html"]
        assert f'alt="{image} &lt;b&gt;" src="data:image/png;base64,{image}"' in html and "Look * here</figcaption>" in html
    nbformat.validate(nb)


def _pictures(chapter) -> list:
    """The outputs of a stored chapter that are pictures."""
    made = [output for cell in chapters.read_notebook(chapter).cells for output in cell.get("outputs", [])]
    assert not any("<img" in output.get("data", {}).get("text/html", "") for output in made)
    return [output for output in made if "image/png" in output.get("data", {})]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.id)
def test_every_picture_of_a_stored_chapter_is_an_image_with_alternative_text(chapter):
    assert _pictures(chapter)
    for output in _pictures(chapter):
        assert output.metadata["image/png"]["alt"] == output.data["text/plain"] != ""


def test_every_picture_outlives_a_converter_that_takes_html_away():
    page = HTMLExporter(sanitize_html=True).from_notebook_node(chapters.read_notebook(CHAPTERS[2]))[0]
    assert len(re.findall(r'<img[^>]* src="data:image/png;base64,', page)) == len(_pictures(CHAPTERS[2]))
    assert "&lt;img" not in page


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_live_table_and_the_summary_fit_the_terminal_and_show_markup_as_text(course, width):
    course(_01_a=["1"], _02_b=["2"])
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    display = Display(chapters.choose(), console)
    display.titles["01"] = "01 A [red]title that is much longer than the titles of chapters are"
    display.end("01", "failed", 12.3, "a remark that is longer than the terminal is wide " * 5)
    display.start("02")
    display.cell(3, 17)
    console.print(display._table())
    print_summary(Run.from_json(RECORD), console)
    lines = console.file.getvalue().split("\n")
    table = [line for line in lines if not line.startswith(("Chapter 01", "second"))]
    assert max(map(len, table)) <= width
    text = "\n".join(lines)
    assert all(part in text for part in ("01 A [red]title", "running", "cell 3/17", "second line"))


def test_doctor_reports_a_part_that_breaks_and_another_pythons_kernel(monkeypatch, tmp_path, capsys):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/elsewhere/python", "-m", "ipykernel"], "display_name": "x"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "_devices", lambda: (_ for _ in ()).throw(RuntimeError("driver too old")))
    assert doctor.print_report() == 1
    said = capsys.readouterr().out
    assert "would run notebooks in another Python, /elsewhere/python" in said and "driver too old" in said
    advised = re.search("export JUPYTER_PATH=(.*)", said)[1]
    assert "1 thing(s) to repair" in said
    monkeypatch.setenv("JUPYTER_PATH", advised)  # which really helps
    assert [finding.level for finding in doctor._kernel()] == ["ok"]


FREED = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
held = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
shell.run_cell("import fewshot_lab as lab; lab.setup('00')")
shell.run_cell("blocks = [bytearray(100_000) for _ in range(3_000)]")
full = held()
shell.run_cell("last = blocks[-1]; del blocks")  # what stays at the heap's end holds the rest back
print(f"freed {full - held():.0f} MB")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only the C library of Linux keeps freed memory")
def test_what_a_cell_freed_goes_back_to_the_system():
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True)
    assert int(re.search(r"freed (-?\d+) MB", done.stdout)[1]) > 250, done.stdout + done.stderr
