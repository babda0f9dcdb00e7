"""The pages tell the truth: every command in them is run or held against the real thing, timetables follow from the chapters.

That links and anchors resolve is asked in test_house.py.
"""

import functools
import math
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import typer
import yaml
from places import ROOT

from fewshot_lab import CourseError, __version__, cli
from fewshot_lab.course import tables
from fewshot_lab.course.chapters import chapters
from fewshot_lab.evidence import RULES
from fewshot_lab.evidence.full_profile import RECORD
from fewshot_lab.evidence.runs import read_run
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.sandbox import means

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
IN_CHINESE = [page for page in PAGES if page.suffixes == [".zh", ".md"]]
PAGES = [page for page in PAGES if page not in IN_CHINESE]
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Commands of the course that are only parsed here, since they take long or ask for a cluster; where each is run.
ONLY_PARSED = {
    "run": "tests/notebooks/test_notebooks.py",
    "compare": "tests/course/test_course.py",
    "site": "tests/course/test_site.py",
    "progress": "tests/course/test_progress.py",
    "update": "tests/course/test_work.py",
    "assets bundle": "tests/assets/test_offline.py",
    "assets use": "tests/assets/test_offline.py",
    "assets fetch": "tests/assets/test_assets.py",
    "assets verify": "tests/assets/test_assets.py",
    "build": "tests/course/test_course.py",
    "grade": "tests/grading/test_pile.py",
    "regrade": "tests/grading/test_appeals.py",
    "appeal": "tests/grading/test_appeals.py",
    "hand-in": "tests/grading/test_hand_in.py",
    "collect": "tests/grading/test_hand_in.py",
    "choose": "tests/evidence/test_choices.py",
    "try": "tests/own/test_own.py",
    "release": "tests/grading/test_submissions.py",
    "read-checks": "tests/grading/test_report.py",
    "verify": "tests/grading/test_progress_record.py",
    "lab": "tests/browser/test_browser.py",
}
RUN_HERE = ("doctor", "assets list", "glossary", "tables")
# Programs of others that are held against their --help, by the words that choose their part.
HELD_AGAINST_HELP = ("accelerate launch", "torchrun", "dask scheduler", "dask worker", "jupyterhub")
# Programs whose commands are read only, and why.
NOT_RUN = {
    "conda": "no index of conda packages can be counted on; test_house.py holds the environments' names and bounds",
    "uv": "an environment of its own with the oldest versions takes many minutes",
    "apt-get": "it changes the machine; the packages' names are held against the Makefile's",
    "git": "it changes the repository or writes to another",
    "sha256sum": "a program of the system",
    "sysctl": "a setting of the system",
    "stat": "a program of the system",
    "mkdir": "run with its block",
    "cp": "run with its block",
    "ls": "run with its block",
    "export": "sets a variable",
    "cd": "changes the folder",
    "groupadd": "it changes the machine's accounts",
    "useradd": "it changes the machine's accounts",
    "chown": "a program of the system; its result is held against the hub's settings in test_hub.py",
    "chmod": "a program of the system; its result is held against the hub's settings in test_hub.py",
    "source": "changes the shell that it is typed into",
}


def blocks(page: Path) -> list[list[str]]:
    """The page's blocks of shell commands, without comments, a command that goes over several lines as one."""
    found = re.findall(r"^```bash\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    joined = [re.sub(r"\\\n\s*", "", block).splitlines() for block in found]
    return [
        [re.sub(r"(^|\s+)#.*", "", line).strip() for line in block if re.sub(r"(^|\s)#.*", "", line).strip()]
        for block in joined
    ]


def inline(page: Path) -> list[str]:
    """What stands between backquotes, in tables and in texts, and begins with a program that the pages speak of."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    begins = re.compile(
        r"(\w+=\S+ )*(\.venv/bin/)?(fewshot-lab|make|python|pip|conda|dask|torchrun|accelerate|apt-get|git|uv) "
    )
    return [code for code in re.findall(r"`([^`\n]+)`", text) if begins.match(code) and "…" not in code]


def commands(page: Path) -> list[list[str]]:
    """All commands of a page as words, up to where their output goes."""
    lines = [line for block in blocks(page) for line in block] + inline(page)
    parts = [part for line in lines for part in re.sub(r"\$\([^)]*\)", "X", line).split("&&")]
    return [shlex.split(part.split(" > ")[0]) for part in parts]


def parse(words: list[str]) -> str:
    """Parses the words after `fewshot-lab` as the program does; returns the command's name. Wrong words raise."""
    command, context, name = typer.main.get_command(cli.app), None, []
    while hasattr(command, "resolve_command"):
        context = command.make_context(" ".join(name) or "fewshot-lab", list(words), parent=context)
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not rest:
            return ""
        part, command, words = command.resolve_command(context, rest)
        name.append(part)
    command.make_context(name[-1], list(words), parent=context)
    return " ".join(name)


def problem(words: list[str]) -> str | None:
    """What is wrong with a command, None when nothing is."""
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        variable = words.pop(0).split("=")[0]
        if variable.startswith("FEWSHOT_LAB") and variable not in code():
            return f"nothing reads {variable}"
    words = words[1:] if words[0] == "sudo" else words
    program, rest = words[0].rsplit("/", 1)[-1], words[1:]
    if program == "fewshot-lab":
        if "--help" in rest or "--version" in rest:
            return None
        name = parse(rest)
        return None if name in ONLY_PARSED or name in RUN_HERE else f"it is not said where `{name}` is run"
    if program == "make":
        return make_says(*rest)
    if program == "python":
        if rest[0] == "-m":
            return (
                None
                if rest[1] in ("pytest", "venv", "fewshot_lab", "fewshot_lab.data.round_trips")
                else f"python -m {rest[1]}?"
            )
        return None if (ROOT / rest[0]).exists() else f"there is no {rest[0]}"
    if program == "pip":
        extras = [extra for word in rest for names in re.findall(r"\[(.*?)\]", word) for extra in names.split(",")]
        unknown = set(extras) - set(PROJECT["project"]["optional-dependencies"])
        return f"no such extra: {unknown}" if unknown else None
    if program == "apt-get":
        known = re.search("^PROGRAMS := (.*)$", MAKEFILE, re.M).group(1).split() + ["python3-venv"]
        return None if set(rest) - {"install", "--yes"} <= set(known) else f"the Makefile does not know {rest}"
    for beginning in HELD_AGAINST_HELP:
        if [program, *rest][: len(beginning.split())] == beginning.split():
            missing = {word.split("=")[0] for word in rest if word.startswith("--")} - options(beginning)
            return f"{beginning} has no {missing}" if missing else None
    return None if program in NOT_RUN else f"nobody checks {program}: say how in tests/house/test_docs.py"


def workflow_commands() -> list[tuple[str, str]]:
    """Every `run` of the workflows as (file, command); a matrix's commands stand for `${{ matrix.command }}`."""
    found = []
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            given = [one.get("command", "") for one in job.get("strategy", {}).get("matrix", {}).get("include", [])]
            for command in (step["run"] for step in job["steps"] if "run" in step):
                found += [(path.name, line) for line in (given if "matrix.command" in command else command.splitlines())]
    return found


@functools.cache
def make_says(*words: str) -> str | None:
    """What `make` complains of when it is asked what it would do; None when it knows the targets."""
    command = ["make", "-n", f"PYTHON={sys.executable}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stderr if done.returncode else None


@functools.cache
def options(beginning: str) -> set[str]:
    """The options that a program's own --help names."""
    words = [Path(sys.executable).parent / beginning.split()[0], *beginning.split()[1:], "--help"]
    named = re.findall(r"--[\w-]+", subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return {*named, *(option.replace("_", "-") for option in named)}


@functools.cache
def code() -> str:
    """The package's modules and the Makefile, one after the other."""
    return MAKEFILE + "".join(path.read_text() for path in (ROOT / "fewshot_lab").rglob("*.py"))


SLOW = {name: pytest.mark.slow for name in ("several_machines", "hub")}  # ask launchers for their --help


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem, marks=SLOW.get(page.stem, ())) for page in PAGES])
def test_every_command_of_a_page_is_one_that_works(page):
    wrong = []
    for words in commands(page):
        try:
            said = problem(list(words))
        except Exception as error:
            said = getattr(error, "format_message", lambda error=error: str(error))()
        wrong += [f"{shlex.join(words)}: {said}"] if said else []
    assert not wrong, "\n".join(wrong)


def test_every_command_of_the_workflows_is_one_that_works():
    commands = workflow_commands()
    assert {name for name, _ in commands} == {"check.yml", "nightly.yml", "pages.yml"}
    wrong = [(name, line, said) for name, line in commands if (said := problem(shlex.split(line)))]
    assert not wrong, wrong


def test_the_workflows_check_every_python_of_the_course_and_test_the_oldest_and_the_newest_libraries():
    check = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text())
    pythons = check["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == PROJECT["project"]["requires-python"]
    assert [int(version.split(".")[1]) for version in pythons] == list(range(11, 11 + len(pythons)))
    nightly = {line for name, line in workflow_commands() if name == "nightly.yml"}
    assert {"make test PYTHON=python", "make test PYTHON=python CONSTRAINTS=", "make oldest PYTHON=python"} <= nightly


def test_the_issue_form_asks_for_the_doctor():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())
    asked = {part["id"]: part for part in form["body"]}
    assert "`fewshot-lab doctor`" in asked["doctor"]["attributes"]["description"]
    assert asked["doctor"]["validations"]["required"] and form["name"] and form["description"]


def test_the_exceptions_are_needed_and_their_tests_are_there():
    mentioned = [words for page in PAGES for words in commands(page)]
    for name, where in ONLY_PARSED.items():
        assert (ROOT / where).exists(), where
        assert any(words[:1] == ["fewshot-lab"] and " ".join(words[1:]).startswith(name) for words in mentioned), name


def test_the_commands_that_take_no_time_are_run(command):
    mentioned = {" ".join(words[1:]) for page in PAGES for words in commands(page) if words[0].endswith("fewshot-lab")}
    assert {"--help", "doctor", "assets list", "glossary"} <= mentioned
    assert command("glossary") == (ROOT / "docs" / "glossary.md").read_text()
    assert "assets" in command("--help")
    assert all(chapter in command("assets", "list") for chapter in ("minilm", "fashion"))
    assert re.search(rf"fewshot-lab +{re.escape(__version__)}|python +{sys.version_info[0]}\.", command("doctor"))


@pytest.mark.skipif(means() is None, reason="this machine allows neither bubblewrap nor user namespaces: no grading")
def test_from_release_to_marks_as_the_page_has_it(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(ROOT))
    [block] = [
        block
        for block in blocks(ROOT / "docs" / "instructors.md")
        if block[0].startswith("fewshot-lab release") and len(block) > 3
    ]
    for line in block:
        words = shlex.split(line)
        if words[0] == "fewshot-lab":
            command(*words[1:])
        else:
            subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    marks = (tmp_path / "grades" / "grades.csv").read_text().splitlines()
    points = sum(question.points for question in assignment("00").questions)
    assert len(marks) == 2 and "ada" in marks[1] and f"{points:g}" in re.split("[,;]", marks[1]), marks
    assert list((tmp_path / "grades" / "feedback").glob("*.html"))


def facts(chapter) -> tuple[int, int, int, float]:
    """A chapter's minutes, graded questions, those marked by hand among them, and points."""
    minutes = int(re.search(r"\*\*Time:\*\* (\d+) minutes", chapter.source.read_text()).group(1))
    asked = assignment(chapter.id).questions
    return minutes, len(asked), sum(not question.exercise for question in asked), sum(question.points for question in asked)


def test_the_timetables_add_up_and_hold_every_chapter_once():
    known = {chapter.id: facts(chapter) for chapter in chapters()}
    found = re.findall(r"^\| week .*?\n\n", (ROOT / "docs" / "instructors.md").read_text(), flags=re.M | re.S)
    assert [table.count("\n") - 3 for table in found] == [math.ceil(len(known) / 2), len(known)]
    for table in found:
        seen = []
        for row in table.splitlines()[2:-1]:
            _, named, time, questions, points, _ = (cell.strip() for cell in row.strip("|").split("|"))
            minutes, asked, by_hand, worth = (sum(part) for part in zip(*(known[id] for id in named.split()), strict=True))
            expected = (f"{minutes} min", f"{asked} ({by_hand} by hand)" if by_hand else f"{asked}", f"{worth:g}")
            assert (time, questions, points) == expected, row
            seen += named.split()
        assert seen == list(known)


def test_the_tables_of_the_pages_agree_with_the_chapters(command):
    assert command("tables") == "The tables agree with the chapters.\n", "bring them up to date: fewshot-lab tables --write"
    assert [name for name in tables._WRITERS if not any(f"<!-- /{name} -->" in page.read_text() for page in PAGES)] == []


def test_a_new_chapter_comes_into_every_table_and_what_a_person_wrote_stays(tmp_path, monkeypatch):
    number = len(chapters())
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    source = tmp_path / "notebooks" / "source"
    shutil.copytree(ROOT / "notebooks" / "source", source)
    for stored in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(stored, source.parent)
    head = "# ---\n# jupyter:\n#   question: Is it so?\n# ---\n\n# %% [markdown]\n"
    text = f"# # {number} · One more\n#\n# **Time:** 7 minutes.\n\n"
    exercise = '# %% exercise="f" points=3\ndef f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n'
    (source / f"{number}_more.py").write_text(head + text + exercise)
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path))
    notes = re.compile(r"\| ((?!chapter[ \d]+\|)[^|]+) \|$", re.MULTILINE)  # the last column, where a person worded it
    before = notes.findall((tmp_path / "docs" / "instructors.md").read_text())
    assert {path.name for path in tables.write()} == {"README.md", "instructors.md"}
    assert f"| [{number} One more](notebooks/{number}_more.ipynb) | Is it so? |\n" in (tmp_path / "README.md").read_text()
    after = (tmp_path / "docs" / "instructors.md").read_text()
    assert f"| {number + 1} | {number} | 7 min | 1 | 3 | chapter {number} |\n" in after
    assert [note for note in notes.findall(after) if "One more" not in note] == before
    (tmp_path / "README.md").write_text("<!-- weather -->\n<!-- /weather -->\n")
    with pytest.raises(CourseError, match="'weather'"):
        tables.outdated()


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["project"]["version"] == __version__ == citation["version"]
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_page_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text] == []


@pytest.mark.parametrize("page", IN_CHINESE, ids=lambda page: page.stem)
def test_a_chinese_page_has_the_structure_and_the_commands_of_its_english_one(page):
    name = page.name.replace(".zh", "")
    english = ROOT / name if name == "README.md" else ROOT / "docs" / name
    assert f"(docs/{page.name})" in english.read_text() or f"({page.name})" in english.read_text()
    here, there = (_structure(text.read_text()) for text in (page, english))
    for part in here:
        assert here[part] == there[part], part


def _structure(text: str) -> dict:
    blocks = re.findall(r"^```.*?^```", text, flags=re.M | re.S)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    code = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return {
        "code": [line for line in code if line],
        "in a sentence": Counter(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)),
        "headings": [line.split()[0] for line in prose.splitlines() if line.startswith("#")],
        "rows": [line.count("|") for line in prose.splitlines() if line.startswith("|")],
    }


def test_the_published_run_has_tested_every_claim_as_it_is_worded_now():
    tested = {(name, it.sentence) for chapter in read_run(RECORD).chapters for name, it in chapter.verdicts.items()}
    assert [claim.id for claim in RULES.claims.values() if (claim.id, claim.sentence) not in tested] == []
