"""The house: rooms import one way, the top level is as promised, environments match, links resolve, importing is light."""

import ast
import contextlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import ROOT

PACKAGE = ROOT / "fewshot_lab"
OURS = {"fewshot_lab", "confine", "inspectors", "wire"}  # the last three stand alone beside the worker in the sandbox


def rooms() -> dict[str, set[str]]:
    """What each room may import beside itself, from the table in docs/contributing.md: {"files": {"errors"}, ...}."""
    page = (ROOT / "docs" / "contributing.md").read_text().split("## Rooms\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")]
    named = {re.match(r"`(\w+)(?:/|\.py)`", name).group(1): may for name, _, may in rows}
    return {name: set() if may == "nothing" else set(may.split(", ")) for name, may in named.items()}


MAY_IMPORT = rooms()


def imports_of(path: Path):
    """The rooms of the package that a module imports, at its top or inside functions."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            target = base + (node.module.split(".") if node.module else [])
            if target[:1] == ["fewshot_lab"]:
                yield from [target[1]] if len(target) > 1 else [name.name for name in node.names]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("fewshot_lab."))


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_go_down_the_table_only(room):
    files = sorted((PACKAGE / room).glob("*.py")) or [PACKAGE / f"{room}.py"]
    for path in files:
        wrong = {name for name in imports_of(path) if name in MAY_IMPORT} - MAY_IMPORT[room] - {room}
        assert not wrong, f"{path.name} imports {wrong}"


def test_every_room_is_in_the_table():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(MAY_IMPORT)


def tracked_files() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


def test_the_top_level_holds_what_was_promised_and_no_more():
    top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    promised = {"notebooks", "fewshot_lab", "tests", "environment.yml", "README.md", "binder", "pyproject.toml"}
    promised |= {"Makefile", "LICENSE", "CHANGELOG.md", "CITATION.cff", "docs", "bench"}
    assert {name for name in top if not name.startswith(".")} == promised


def requirements() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"python": project["requires-python"].removeprefix(">=")} | dict(
        line.split(">=") for line in project["dependencies"]
    )


def test_the_tested_versions_fit_the_bounds_and_name_every_requirement():
    lines = [line for line in (ROOT / ".constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []
    tested = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for line in (*project["dependencies"], *extras["cluster"], *extras["site"], *extras["test"]):
        requirement = Requirement(line)
        if requirement.name != project["name"]:
            assert tested[canonicalize_name(requirement.name)] in requirement.specifier, line


def test_setting_up_takes_the_tested_versions_unless_told_not_to():
    def says(*words: str) -> str:
        command = ["make", "-nB", "setup", f"PYTHON={sys.executable}", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "--constraint .constraints.txt" in says() and "--constraint" not in says("CONSTRAINTS=")


@pytest.mark.parametrize(
    ("file", "names"), [("environment.yml", {"torch": "pytorch"}), ("binder/environment.yml", {"torch": "pytorch-cpu"})]
)
def test_conda_environments_name_the_same_packages_and_bounds_as_pyproject(file, names):
    listed = yaml.safe_load((ROOT / file).read_text())["dependencies"]
    of_conda = [line for line in listed if isinstance(line, str) and line != "pip"]
    of_pip = [line for part in listed if isinstance(part, dict) for line in part["pip"] if not line.startswith("-")]
    conda = dict(re.split(">?=", line) for line in of_conda + of_pip)
    ours = {names.get(name, name): bound for name, bound in requirements().items()}
    python, least = (tuple(map(int, of.pop("python").split("."))) for of in (conda, ours))
    assert conda == ours and python >= least


def test_binder_finds_environment_python_and_scripts():
    """What repo2docker makes of the repository, rendered without Docker: Binder builds its image from this text."""
    from repo2docker.buildpacks import CondaBuildPack

    with contextlib.chdir(ROOT):
        pack = CondaBuildPack(base_image="buildpack-deps:jammy")
        pack.platform = "linux/amd64"
        assert pack.detect() and pack.binder_dir == "binder"
        rendered = pack.render({"NB_USER": "jovyan", "NB_UID": "1000"})
    least = tuple(map(int, requirements()["python"].split(".")))
    assert tuple(map(int, pack.python_version.split("."))) >= least  # it reads an exact version only, else takes its default
    for step in ("env update -p ${NB_PYTHON_PREFIX}", '--file "binder/environment.yml"', "RUN ./binder/postBuild"):
        assert step in rendered, step
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in rendered
    start = ["bash", ROOT / "binder" / "start", "printenv", "FEWSHOT_LAB_JOBS"]
    assert subprocess.run(start, capture_output=True, text=True, check=True).stdout == "1\n"


def test_every_library_that_the_package_imports_is_declared():
    distribution = {"sklearn": "scikit-learn", "PIL": "pillow", "fontTools": "matplotlib"}
    distribution |= dict.fromkeys(("IPython", "jupyter_core", "jupyter_client", "traitlets"), "ipykernel")
    distribution |= {"jupyter_server": "jupyterlab", "tornado": "jupyterlab"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = set(requirements()) | {line.split(">=")[0] for line in extras["cluster"]}
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "grading" / "nbgrader_config.py"}:  # which runs in nbgrader only
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else []
            for module in {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - OURS:
                assert distribution.get(module, module) in declared, f"{path.name} imports {module}"


def test_templates_styles_scripts_and_data_are_packed_with_the_modules():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for room, names in patterns.items() for n in names for path in (ROOT / room.replace(".", "/")).glob(n)}
    ours = {path for path in tracked_files() if PACKAGE in path.parents and path.suffix != ".py"}
    assert ours - packed == set() and any(path.suffix == ".j2" for path in ours)


def test_importing_is_light_and_downloads_nothing():
    heavy = ("torch", "transformers", "matplotlib", "jinja2", "urllib.request")
    code = f"import sys, fewshot_lab; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.strip() == "[]"


def test_an_unknown_name_of_the_package_says_what_there_is():
    import fewshot_lab

    with pytest.raises(AttributeError, match="check"):
        fewshot_lab.chek  # noqa: B018
    for name in fewshot_lab.__all__:
        assert getattr(fewshot_lab, name) is not None


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts and JupyterLab make them (both forms)."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), flags=re.M)
    plain = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return plain | {heading.replace(" ", "-") for heading in headings}


def texts():
    """Every page of the project as (file, text): Markdown files, and the text cells of the notebooks' sources."""
    for path in tracked_files():
        if path.suffix == ".md":
            yield path, path.read_text()
        elif path.parent == ROOT / "notebooks" / "source":
            cells = re.split(r"^# %% ?", path.read_text(), flags=re.M)
            text = "\n".join(cell for cell in cells if cell.startswith("[markdown]"))
            yield ROOT / "notebooks" / path.name, re.sub(r"^# ?", "", text, flags=re.M)


def test_all_links_and_anchors_resolve():
    broken = []
    for path, text in texts():
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"{]+)"', text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            if not there.exists() or anchor and there.suffix == ".md" and anchor not in anchors(there):
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken, broken


def test_no_page_or_module_speaks_of_the_machine_it_was_made_on():
    for path in tracked_files():
        if path.suffix in {".py", ".md", ".toml", ".yml", ".ipynb", ""}:
            text = path.read_text(errors="ignore")
            assert not any(f"{place}/" in text for place in (ROOT, Path.home())), path
            assert path.suffix != ".ipynb" or "/site-packages/" not in text, f"{path}: a library's warning with its path"


@pytest.mark.parametrize("task", ["check", "format --check"])
def test_the_code_is_clean_and_formatted(task):
    done = subprocess.run([sys.executable, "-m", "ruff", *task.split(), "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_shell_scripts_are_executable():
    for name in (".ci/run", "binder/postBuild", "binder/start"):
        assert os.access(ROOT / name, os.X_OK), name
