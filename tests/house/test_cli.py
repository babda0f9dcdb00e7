"""The command: what it accepts, what it says when it is used wrongly, and what it starts."""

import contextlib
import dataclasses
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fewshot_lab import __version__, assets, cli
from fewshot_lab.assets import Asset, store
from fewshot_lab.assets.manifest import File
from fewshot_lab.assets.sources import Folder
from fewshot_lab.course import build, doctor
from fewshot_lab.course import run as running


@pytest.fixture
def command(monkeypatch, capsys):
    """Calls `fewshot-lab` with these words; returns exit status, stdout and stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fewshot-lab", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of chapters 01, with a parameter SEED, and 02; no asset is installed."""
    source = tmp_path / "course" / "notebooks" / "source"
    source.mkdir(parents=True)
    (source / "01_one.py").write_text('# %% [markdown]\n# # 01 · One\n\n# %% tags=["parameters"]\nSEED = 0\n')
    (source / "02_two.py").write_text("# %% [markdown]\n# # 02 · Two\n")
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path / "course"))
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FEWSHOT_LAB_BUNDLE", raising=False)
    build.write_notebooks(execute=False)
    return tmp_path / "course"


@pytest.fixture
def offered(course, tmp_path, monkeypatch):
    """Three small assets in place of the real ones, for chapters 09, 01 and 02; the first has no source that works."""

    def small(name: str, chapter: str) -> Asset:
        folder, content = tmp_path / "source" / name, name.encode()
        if name != "far":
            folder.mkdir(parents=True)
            (folder / "data").write_bytes(content)
        files = {"data": File(hashlib.sha256(content).hexdigest(), len(content))}
        return Asset(name, "1", files, (Folder(folder, "the test's folder"),), "MIT", "nobody", (chapter,), "tests")

    offers = {name: small(name, chapter) for name, chapter in (("far", "09"), ("one", "01"), ("two", "02"))}
    monkeypatch.setattr(store, "ASSETS", offers)
    return offers


@pytest.mark.parametrize(
    "typer_says, said",
    [
        ("No such option: --prof (Possible options: --profile)", "There is no option --prof; did you mean --profile?"),
        ("No such option: --prof Did you mean --profile?", "There is no option --prof; did you mean --profile?"),
        ("No such option '--prof'. Did you mean '--profile'?", "There is no option --prof; did you mean --profile?"),
        ("No such option: --nope", "There is no option --nope."),
        ("No such command 'rum'.", "There is no command rum."),
        ("No such command 'rum'. Did you mean 'run'?", "There is no command rum; did you mean run?"),
        ("Missing option '--out'.", "--out has to be given."),
        ("Missing option '-n' / '--name'.", "-n / --name has to be given."),
        ("Missing parameter: FOLDER", "FOLDER has to be given."),
        ("Missing option '--kind'. Choose from:\n\ta,\n\tb", "--kind has to be given."),
        ("Invalid value for '--jobs': 'x' is not a valid integer.", "--jobs has an invalid value: x is not a valid integer."),
        ("Option '--out' requires an argument.", "--out needs a value."),
        ("Option '--resume' does not take a value.", "--resume takes no value."),
        ("Got unexpected extra argument (5)", "Unexpected: 5."),
        ("Got unexpected extra arguments (5 6)", "Unexpected: 5 6."),
        ("Something that no version has said yet.", "Something that no version has said yet."),
    ],
)
def test_what_typer_says_of_a_wrong_command_is_said_in_the_words_of_the_course(typer_says, said):
    assert cli._of_typer(typer_says) == said


def test_help_lists_the_commands_and_no_word_gives_the_help(command):
    for words in ([], ["--help"]):
        status, said, _ = command(*words)
        assert status == 0 and all(f" {name} " in said for name in ("run", "build", "lab", "doctor", "assets"))
    status, said, wrong = command("assets")
    assert status == 2 and "fetch" in said + wrong and "Error" not in wrong


def test_the_version_is_told(command):
    assert command("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "words, status, needed",
    [
        ("rum", 2, "There is no command rum"),
        ("run --prof full", 2, "There is no option --prof; did you mean --profile?"),
        ("run 01 --profile", 2, "--profile needs a value."),
        ("run 01 --fast", 2, "More: fewshot-lab run --help"),
        ("run 99", 1, "There is no chapter '99'"),
        ("run 01 -p SEED", 1, "-p needs a name and a value, such as -p SEED 1, but it is followed by SEED."),
        ("run 01 -p", 1, "followed by no further word"),
        ("run -p SEED --resume", 1, "followed by SEED --resume"),
        ("run -p -p SEED 1", 1, "followed by -p"),
        ("run -p =1", 1, "-p needs a name and a value"),
        ("run 01 -p SEDE 1 --device cpu", 1, "Chapter 01 has no parameter 'SEDE'. Its parameters are: SEED = 0."),
        ("run --resume", 1, "There is no run to go on with"),
        ("build --solved", 1, "need a folder of their own"),
        ("build 99", 1, "There is no chapter '99'"),
        ("assets fetch", 1, "--needed or --all"),
        ("assets fetch fashion --all", 1, "--needed or --all"),
        ("assets fetch fashoin", 1, "Did you mean 'fashion'"),
        ("assets verify fashoin", 1, "Did you mean 'fashion'"),
        ("assets use nowhere", 1, "nowhere is no bundle"),
        ("assets bundle", 2, "has to be given"),
    ],
)
def test_wrong_use_is_one_paragraph_on_stderr_and_a_status_that_is_not_zero(command, course, words, status, needed):
    got, said, wrong = command(*words.split())
    assert (got, said) == (status, "")
    assert needed in wrong and "Traceback" not in wrong and "\n\n" not in wrong.strip() and "╭" not in wrong
    assert not (course / "runs").exists()


@pytest.mark.parametrize(
    "words, pairs",
    [
        ("-p SEED 1 01", [("SEED", "1")]),
        ("01 -p SEED 1", [("SEED", "1")]),
        ("-p SEED=1 01", [("SEED", "1")]),
        ("-p SEED -1 -p RATE=0.5 01 -p NAME a=b", [("SEED", "-1"), ("RATE", "0.5"), ("NAME", "a=b")]),
    ],
)
def test_parameters_stand_as_two_words_or_one_before_and_after_chapters(command, monkeypatch, words, pairs):
    asked = []
    monkeypatch.setattr(running, "run", lambda *given: asked.append(given) or 0)
    assert command("run", *words.split(), "--profile", "full", "--out", "there")[0] == 0
    assert asked == [(["01"], pairs, "full", None, Path("there"), False, False)]


def test_the_status_of_a_run_is_that_of_the_command(command, monkeypatch):
    for status in (0, 1, 130):
        monkeypatch.setattr(running, "run", lambda *_, status=status: status)
        assert command("run")[0] == status


def test_build_check_tells_where_text_and_notebook_differ_and_writes_nothing(command, course):
    assert command("build", "--check")[:2] == (0, "The notebooks agree with their sources.\n")
    (course / "notebooks" / "source" / "02_two.py").write_text("# %% [markdown]\n# # 02 · Three\n")
    before = (course / "notebooks" / "02_two.ipynb").read_bytes()
    status, said, _ = command("build", "--check")
    assert status == 1 and "02_two.ipynb, cell 1" in said and "01_one" not in said
    assert (course / "notebooks" / "02_two.ipynb").read_bytes() == before
    assert command("build", "2", "--no-execute")[:2] == (0, f"{course / 'notebooks' / '02_two.ipynb'}\n")
    assert command("build", "--check")[0] == 0
    assert command("build", "--solved", "--out", str(course / "solved"))[0] == 0
    assert len(list((course / "solved").glob("*.ipynb"))) == 2


def test_needed_fetches_what_the_chapters_present_need_and_is_brief_when_all_is_here(command, offered):
    status, said, told = command("assets", "fetch", "--needed")
    assert status == 0 and [Path(line).parts[-2] for line in said.split()] == ["one", "two"]
    assert "Fetching one" in told and assets.installed("far") is None
    assert command("assets", "fetch", "--needed") == (0, "The data and models are here: one, two.\n", "")


def test_all_fetches_everything_that_it_can_and_names_what_it_cannot(command, offered):
    status, said, told = command("assets", "fetch", "--all")
    assert status == 1 and len(said.split()) == 2
    assert "'far' (tests) is not on this machine and could not be fetched" in told and "Traceback" not in told


def test_assets_are_listed_verified_bundled_and_used(command, offered, tmp_path, monkeypatch):
    assert command("assets", "list")[1].count("not fetched") == 3
    assert "No asset is here yet" in command("assets", "verify")[1]
    assert command("assets", "bundle", str(tmp_path / "stick"), "one", "two")[0] == 0
    assert command("assets", "verify")[:2] == (0, "All is well.\n")
    (assets.installed("one") / "data").write_bytes(b"eno")
    status, said, _ = command("assets", "verify")
    assert status == 1 and "Repair it with `fewshot-lab assets fetch one`" in said
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "other"))
    assert command("assets", "use", str(tmp_path / "stick"))[0] == 0
    assert assets.installed("one") and assets.installed("two")


def test_an_optional_asset_is_fetched_and_bundled_only_by_name(command, offered, tmp_path):
    offered["two"] = dataclasses.replace(offered["two"], chapters=())
    del offered["far"]
    assert "optional" in command("assets", "list")[1]
    assert command("assets", "fetch", "--needed")[0] == 0 and not assets.installed("two")
    assert command("assets", "bundle", str(tmp_path / "stick"))[0] == 0
    assert {path.name for path in (tmp_path / "stick").iterdir() if path.is_dir()} == {"one"}
    assert "No chapter needs it. To have it: fewshot-lab assets fetch two" in command("doctor")[1].replace("\n", " ")
    assert command("assets", "bundle", str(tmp_path / "stick"), "two")[0] == 0 and (tmp_path / "stick" / "two").exists()


def test_doctor_is_content_with_this_machine(command, course):
    status, said, _ = command("doctor")
    assert status == 0 and said.rstrip().endswith("Ready.")
    for topic in ("python", "torch", "cpu", "memory", "kernel", "widgets", "2 chapters", "fashion", "not fetched", "GB free"):
        assert topic in said


def test_doctor_says_what_to_do_about_what_is_broken(command, course, monkeypatch, tmp_path):
    (course / "notebooks" / "02_two.ipynb").unlink()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "file" / "cache"))
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: {"torch": "1.0", "joblib": None}.get(name, version(name)))
    status, said, _ = command("doctor")
    assert status == 1 and "4 thing(s) to repair" in said
    for text in (
        "1.0, needed is >=2.5",
        "pip install --upgrade 'joblib",
        "notebooks missing: 02",
        "part of that path is a file",
    ):
        assert text in said


def test_python_m_gives_the_command_and_an_error_without_a_traceback(course):
    done = subprocess.run([sys.executable, "-m", "fewshot_lab", "run", "99"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "There is no chapter '99'. The chapters are: 01_one, 02_two.\n"


@pytest.mark.skipif(os.name != "posix", reason="the process becomes the server")
def test_lab_started_by_a_hub_is_its_server_for_one_user(course, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_OWN", str(tmp_path / "ada"))
    begun = []

    def execv(program, words):
        begun.append(words)
        raise SystemExit

    monkeypatch.setattr(os, "execv", execv)
    for token in ("", "secret"):
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token) if token else monkeypatch.delenv(
            "JUPYTERHUB_API_TOKEN", raising=False
        )
        monkeypatch.setattr(sys, "argv", ["fewshot-lab", "lab", "--port=1"])
        with pytest.raises(SystemExit):
            cli.main()
    assert [words[2] for words in begun] == ["jupyterlab", "jupyterhub.singleuser"]
    assert all(f"--ServerApp.root_dir={tmp_path / 'ada'}" in words and words[-1] == "--port=1" for words in begun)
    assert (tmp_path / "ada" / "work" / "01_one.ipynb").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_lab_serves_the_course_and_stops_when_told_to(course, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["lab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root", "--IdentityProvider.token="]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    with open(tmp_path / "log", "w") as log:
        lab = subprocess.Popen([sys.executable, "-m", "fewshot_lab", *words], stdout=log, stderr=log, env=os.environ | own)
    try:
        answer, end = None, time.monotonic() + 30
        while answer is None and time.monotonic() < end:
            assert lab.poll() is None, (tmp_path / "log").read_text()
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents/notebooks", timeout=5).read().decode()
            time.sleep(0.1)
        assert answer and "01_one.ipynb" in answer, (tmp_path / "log").read_text()
        assert (course / "work" / "02_two.ipynb").exists()
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/lab", timeout=10)
        assert page.status == 200 and "JupyterLab" in page.read().decode()
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait(timeout=20)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "JupyterLab outlived the command"
