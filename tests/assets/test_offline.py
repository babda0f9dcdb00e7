"""A classroom without a network: what `assets bundle --wheels` writes is enough, whole, and only what it says is used.

The tests that matter run in a network namespace of their own that has nothing but its loopback.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from places import ROOT

from fewshot_lab import assets, cli
from fewshot_lab.assets import AssetError, wheels

LOOPBACK = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
ALONE = ["unshare", "-rn", *LOOPBACK]
BACKEND = '''"""Builds the tests' tiny projects, so that nothing has to be fetched for it."""
import pathlib, tomllib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["name"]
    path = pathlib.Path(folder, f"{name}-1.0-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.pth", str(pathlib.Path.cwd()))
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path.name

build_editable = build_wheel
'''
PROJECT = """[project]
name = "tinycourse"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def tiny_wheel(folder: Path, name: str, needs: str = "", version: str = "1.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    told = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "ANSWER = 42\n" * 5000)
        wheel.writestr(f"{told}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        wheel.writestr(f"{told}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{told}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """The only place where pip finds anything: tinydep, and tinylib, which needs it."""
    folder = tmp_path / "index"
    tiny_wheel(folder, "tinydep")
    tiny_wheel(folder, "tinylib", "Requires-Dist: tinydep\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def alone(*command: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    """Runs a command in a network namespace that has only its loopback."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | variables
    words = [*ALONE, *map(str, command)]
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def network_cut():
    try:
        if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
            pytest.skip("this machine allows no network namespace (unshare -rn, ip link)")
    except FileNotFoundError:
        pytest.skip("this machine has no unshare")
    tried = alone(sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 2)")
    assert "unreachable" in tried.stderr, tried.stderr


def test_the_list_names_every_library_with_its_sha256_and_says_for_which_machine(index, tmp_path):
    listed = wheels.bundle_wheels(tmp_path / "stick", ["tinylib"], 0)
    assert listed.name == f"python{sys.version_info[0]}.{sys.version_info[1]}-{wheels.sysconfig.get_platform()}.txt"
    head, *lines = listed.read_text().splitlines()
    assert head.startswith("# Wheels for Python ")
    for line, name in zip(lines, ("tinydep", "tinylib"), strict=True):
        content = (tmp_path / "stick" / "wheels" / f"{name}-1.0-py3-none-any.whl").read_bytes()
        assert line == f"{name}==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}"


def test_tested_versions_are_taken_and_the_newest_where_one_of_them_cannot_be_had(index, tmp_path):
    tiny_wheel(index, "tinydep", version="2.0")
    pins = tmp_path / "pins.txt"
    for pinned, found in (("1.0", ["tinydep-1.0"]), ("0.9", ["tinydep-2.0"])):
        pins.write_text(f"tinydep=={pinned}\n")
        assert [f"{it.name}-{it.version}" for it in wheels._resolved(["tinydep", f"--constraint={pins}"])] == found


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(index, tmp_path, monkeypatch):
    fetched = []
    obtain = wheels._obtain
    monkeypatch.setattr(wheels, "_obtain", lambda library, *rest: (fetched.append(library.name), obtain(library, *rest)))
    for folder, expected in (("index", ["tinydep", "tinylib"]), ("", []), ("damaged", ["tinydep"]), ("lost", ["tinydep"])):
        fetched.clear()
        path = tmp_path / "stick" / "wheels" / "tinydep-1.0-py3-none-any.whl"
        if folder == "damaged":
            path.write_bytes(path.read_bytes()[:-1])
        if folder == "lost":
            path.unlink()
        wheels.bundle_wheels(tmp_path / "stick", ["tinylib"], 0)
        assert sorted(fetched) == expected


def test_a_library_that_comes_as_a_source_is_built_once_and_listed(index, tmp_path, monkeypatch):
    source = tmp_path / "tinysource-1.0"
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT.replace("tinycourse", "tinysource"))
    (source / "backend.py").write_text(BACKEND)
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tinysource\nVersion: 1.0\n")
    shutil.make_archive(index / "tinysource-1.0", "gztar", tmp_path, "tinysource-1.0")
    listed = wheels.bundle_wheels(tmp_path / "stick", ["tinysource"], 0)
    content = (tmp_path / "stick" / "wheels" / "tinysource-1.0-py3-none-any.whl").read_bytes()
    assert f"tinysource==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n" in listed.read_text()
    monkeypatch.setattr(wheels, "_obtain", None)
    wheels.bundle_wheels(tmp_path / "stick", ["tinysource"], 0)


def test_the_command_bundles_what_setup_installs_and_says_for_which_machine(tmp_path, monkeypatch, capsys):
    asked = {}
    listed = tmp_path / "wheels" / f"{wheels.this_machine()}.txt"
    monkeypatch.setattr(assets, "bundle", lambda folder, names: asked.update(names=names))
    monkeypatch.setattr(assets, "bundle_wheels", lambda folder, requirements: asked.update(wheels=requirements) or listed)
    monkeypatch.setattr(sys, "argv", ["fewshot-lab", "assets", "bundle", str(tmp_path), "--wheels"])
    with pytest.raises(SystemExit):
        cli.main()
    needed = {name for name, asset in assets.ASSETS.items() if asset.chapters}
    assert set(asked["names"]) == needed and asked["wheels"] == wheels.setup_requirements(ROOT)
    assert wheels.this_machine() in capsys.readouterr().out


def test_too_small_a_stick_is_said_before_anything_is_downloaded(index, tmp_path):
    with pytest.raises(AssetError, match="GB free.*larger stick"):
        wheels.bundle_wheels(tmp_path / "stick", ["tinylib"], 2**60)
    assert not list((tmp_path / "stick").rglob("*.whl"))


def test_a_library_that_the_index_lacks_is_named(index, tmp_path):
    with pytest.raises(AssetError, match="(?s)No matching distribution found for tinyghost.*again"):
        wheels.bundle_wheels(tmp_path / "stick", ["tinyghost"], 0)


def test_what_setup_installs_is_what_the_makefile_installs():
    makefile = (ROOT / "Makefile").read_text()
    course, *_ = wheels.setup_requirements(ROOT)
    assert f"--editable '.{course.removeprefix(str(ROOT))}'" in makefile
    asked = subprocess.run(["make", "-s", "-f", "-", "ask"], input=f"{makefile}\nask:\n\t@echo $(LIST)\n", cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout  # fmt: skip
    with_ours = subprocess.run(["make", "-s", "-f", "-", "ask", f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True,
                               input=f"{makefile}\nask:\n\t@echo $(LIST)\n", text=True, check=True).stdout  # fmt: skip
    assert asked.strip().endswith(".txt") and with_ours.strip() == f"/wheels/{wheels.this_machine()}.txt"


@pytest.mark.slow
def test_setup_takes_its_libraries_from_the_stick_alone_and_refuses_a_changed_one(index, tmp_path, network_cut):
    stick, clone = tmp_path / "a stick", tmp_path / "clone"
    wheels.bundle_wheels(stick, ["tinylib"], 0)
    clone.mkdir()
    shutil.copy(ROOT / "Makefile", clone)
    (clone / "pyproject.toml").write_text(PROJECT)
    (clone / "backend.py").write_text(BACKEND)
    setup = ["make", "setup", f"PYTHON={sys.executable}"]
    elsewhere = alone(*setup, "BUNDLE=nowhere", cwd=clone)
    assert elsewhere.returncode and "There is no nowhere/wheels/python" in elsewhere.stdout
    one = stick / "wheels" / "tinydep-1.0-py3-none-any.whl"
    whole = one.read_bytes()
    one.write_bytes(whole.replace(b"tinydep-1.0.dist-info/WHEEL", b"tinydep-1.0.dist-info/WHEEK"))
    changed = alone(*setup, f"BUNDLE={stick}", cwd=clone)
    assert changed.returncode and "THESE PACKAGES DO NOT MATCH THE HASHES" in changed.stderr
    one.write_bytes(whole)
    done = alone(*setup, f"BUNDLE={stick}", cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([clone / ".venv/bin/python", "-c", "import tinylib, tinydep, backend; print(tinylib.ANSWER)"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert said == "42\n"


@pytest.mark.slow
def test_with_the_network_cut_a_bundle_is_used_and_chapter_00_runs(tmp_path, network_cut):
    assets.bundle(tmp_path / "stick", ["efficientnet-lite0"])
    lab = [sys.executable, "-m", "fewshot_lab"]
    home = {"FEWSHOT_LAB_HOME": str(tmp_path / "home")}
    used = alone(*lab, "assets", "use", tmp_path / "stick", **home)
    assert used.returncode == 0, used.stderr
    fetched = alone(*lab, "assets", "fetch", "efficientnet-lite0", **home)
    assert str(tmp_path / "home") in fetched.stdout, fetched.stderr
    ran = alone(*lab, "run", "00", "--out", tmp_path / "run", **home)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "run" / "results.json").exists()


@pytest.mark.timeout(5400)
def test_a_fresh_clone_and_a_stick_are_enough_to_run_chapters(request, tmp_path, network_cut):
    if not request.config.getoption("--thorough"):
        pytest.skip("a whole environment from a stick of several GB takes minutes; --thorough makes it")
    stick = Path(os.environ.get("FEWSHOT_LAB_STICK", tmp_path / "stick"))  # a bundle that is there is gone on with
    assets.bundle(stick, [name for name, asset in assets.ASSETS.items() if not asset.optional])
    wheels.bundle_wheels(stick, wheels.setup_requirements(ROOT))
    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "clone"], check=True)
    words = ["make", "run", f"BUNDLE={stick}", "ARGS=00 01", f"PYTHON={sys.executable}"]
    ran = alone(*words, cwd=tmp_path / "clone", FEWSHOT_LAB_HOME=str(tmp_path / "home"), PYTHONPATH="")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert list((tmp_path / "clone" / "runs").glob("*/results.json"))
