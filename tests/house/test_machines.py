"""Machines as people have them: other folders, other Pythons, full or missing shared memory, few characters, strict umasks."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from fewshot_lab import files, runtime
from fewshot_lab.attempts import _attempts
from fewshot_lab.course import build
from fewshot_lab.course.parameters import read
from fewshot_lab.errors import CourseError
from fewshot_lab.training import processes, sweep


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one chapter, which prints its parameters, its folder and its Python."""
    source = tmp_path / "course" / "notebooks" / "source"
    source.mkdir(parents=True)
    (source / "01_one.py").write_text(
        '# %% [markdown]\n# # 01 · One\n\n# %% tags=["parameters"]\nCORPUS = ""\nDATASET = "glyphs"\n\n# %%\n'
        "import os\nimport sys\nfrom pathlib import Path\n\nfrom fewshot_lab.files import home\n\n"
        'print("said", CORPUS, DATASET, Path(CORPUS).is_dir(), home(), sys.executable, sep="|")\n'
    )
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path / "course"))
    build.write_notebooks(execute=False)
    return tmp_path / "course"


def command(*words: str, cwd: Path = ROOT, before: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess:
    """What `fewshot-lab WORDS` gives, as bytes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run([*before, sys.executable, "-m", "fewshot_lab", *words], cwd=cwd, env=environment, capture_output=True)


def said(run: Path) -> list[str]:
    """What the chapter printed."""
    cells = json.loads((run / "01_one.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = [text for cell in cells for output in cell.get("outputs", []) for text in output.get("text", [])]
    return next(text.strip() for text in texts if text.startswith("said|")).split("|")[1:]


@pytest.mark.slow
def test_relative_paths_are_those_of_the_folder_where_the_command_was_typed(course, tmp_path):
    here = tmp_path / "here"
    (here / "my corpus").mkdir(parents=True)
    (here / "glyphs").mkdir()
    options = ("-p", "CORPUS", "my corpus", "-p", "DATASET", "glyphs", "--device", "cpu", "--out", "out")
    done = command("run", "01", *options, cwd=here, FEWSHOT_LAB_HOME="kept")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    corpus, dataset, there, home, _ = said(here / "out")
    assert (corpus, there, home) == (str(here / "my corpus"), "True", str(here / "kept"))
    assert dataset == "glyphs"  # the name of a data set, although a folder is called so
    assert not (course / "notebooks" / "kept").exists()
    (here / "out" / "01_one.ipynb").unlink()
    again = command("run", "--resume", "--out", str(here / "out"), cwd=tmp_path, FEWSHOT_LAB_HOME="kept")
    assert b"done before" in again.stdout, again.stdout.decode()  # from another folder it is the same run


def test_only_what_may_be_a_path_is_taken_for_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    read_as = {
        "corpus": tmp_path / "corpus",
        "./none": tmp_path / "none",
        "a.zip": tmp_path / "a.zip",
        "../x": tmp_path / "../x",
    }
    for text, path in read_as.items():
        assert read("CORPUS", text, "", "10") == str(path)
    assert read("CORPUS", "~/x", "", "10") == str(Path("~/x").expanduser())
    for text in ("daily", "wnut17", "", str(tmp_path)):
        assert read("CORPUS", text, "", "10") == text
    assert read("DATASET", "corpus", "digits", "02") == "corpus"


@pytest.mark.slow
def test_a_kernel_of_another_python_on_jupyters_path_is_not_taken(course, tmp_path):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["/elsewhere/python", "-f", "x"], "display_name": "x", "language": "python"})
    )
    done = command("run", "01", "--device", "cpu", "--out", str(tmp_path / "out"), JUPYTER_PATH=str(tmp_path / "jupyter"))
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert Path(said(tmp_path / "out")[4]).resolve() == Path(sys.executable).resolve()


NO_ROOM = 'mount -t tmpfs -o size=4k,nr_inodes=9 tmpfs /dev/shm && head -c 4096 /dev/zero > /dev/shm/full; exec "$@"'
READ_ONLY = 'mount -t tmpfs -o ro tmpfs /dev/shm && exec "$@"'
SWEEP = "from fewshot_lab import runtime, training; print([r['x'] for r in training.sweep(dict, [{'x': 1}, {'x': 2}], jobs=2)])"


def own_shared_memory(mount: str) -> tuple[str, ...]:
    """The beginning of a command that has a /dev/shm of its own."""
    before = ("unshare", "--mount", "sh", "-c", mount, "sh")
    if not shutil.which("unshare") or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    return before


@pytest.mark.slow
@pytest.mark.parametrize("mount", [NO_ROOM, READ_ONLY], ids=["full", "read-only"])
def test_full_or_read_only_shared_memory_makes_runs_slower_and_no_more(course, tmp_path, mount):
    before = own_shared_memory(mount)
    done = command("run", "01", "--out", str(tmp_path / "out"), before=before)
    assert done.returncode == 0 and said(tmp_path / "out"), done.stdout.decode() + done.stderr.decode()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*before, sys.executable, "-c", SWEEP], env=environment, capture_output=True, text=True)
    assert "[1, 2]" in done.stdout and "in /dev/shm): all runs one after the other" in done.stdout, done.stdout + done.stderr


def test_joblib_works_in_one_process_where_no_other_can_start(monkeypatch):
    import joblib

    monkeypatch.setattr(runtime, "can_start_workers", lambda: False)
    with runtime.workers(2):
        assert list(joblib.Parallel(return_as="generator_unordered")(joblib.delayed(abs)(i) for i in (-1, 2))) == [1, 2]


@pytest.mark.parametrize("size", ["", "1", "auto", "0", "-1", "2.5"])
def test_a_number_of_processes_that_is_none_is_named(monkeypatch, size):
    monkeypatch.setenv("WORLD_SIZE", size)
    if size in ("", "1"):
        assert runtime.world_size() == 1
        return
    with pytest.raises(CourseError, match="WORLD_SIZE is .*Unset it"):
        runtime.world_size()


@pytest.mark.parametrize("name", processes.MPI)
def test_a_notebook_inside_a_job_of_mpi_trains_alone(monkeypatch, name):
    monkeypatch.setenv(name, "4")
    for variable in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(variable, raising=False)
    assert processes.accelerator(device="cpu").num_processes == 1 and os.environ[name] == "4"


def test_who_waits_for_other_processes_says_so(monkeypatch, capfd):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(processes, "PATIENCE", 0.05)
    with processes._patience():
        processes.threading.Event().wait(0.5)
    assert "2 in all (WORLD_SIZE)" in capfd.readouterr().err
    monkeypatch.setattr(processes, "PATIENCE", 5.0)
    with processes._patience():
        pass
    assert "WORLD_SIZE" not in capfd.readouterr().err


ENCODINGS = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "gbk"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("variables", ENCODINGS, ids=str)
@pytest.mark.parametrize("words", [("glossary",), ("progress",), ("assets", "list")], ids=" ".join)
def test_no_command_fails_for_a_character_that_the_output_has_not(tmp_path, variables, words):
    done = command(*words, FEWSHOT_LAB_LANGUAGE="zh", FEWSHOT_LAB_HOME=str(tmp_path), **variables)
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    if "PYTHONIOENCODING" not in variables and words == ("glossary",):  # a file gets every character
        assert "数据增强" in done.stdout.decode("utf-8")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_file_is_readable_for_those_whom_the_umask_allows(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        files.write_atomically(tmp_path / "a" / "grades.csv", "x")
        files.write_atomically(tmp_path / "a" / "grades.csv", "y")
    finally:
        os.umask(before)
    [path] = (tmp_path / "a").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == "y"


def test_progress_that_another_version_noted_is_no_damage():
    attempt = {"last": "passed", "tried": "2026-01-01T00:00:00+00:00", "tries": 3, "passed": "2026-01-01T00:00:00+00:00"}
    [(name, known)] = _attempts({"accuracy": attempt | {"mood": "good"}}).items()
    assert (name, known.tries, known.last) == ("accuracy", 3, "passed")


def test_a_sweep_in_this_process_gives_what_workers_give(monkeypatch):
    monkeypatch.setattr(runtime, "can_start_workers", lambda: False)
    assert [row["x"] for row in sweep(dict, [{"x": 1}, {"x": 2}], jobs=2)] == [1, 2]
