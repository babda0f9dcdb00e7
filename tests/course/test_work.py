"""A learner works on copies: what was written is never lost, a newer course brings its text and keeps the answers."""

import contextlib
import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from places import ROOT

from fewshot_lab import CourseError, cli
from fewshot_lab.course import build, landing, progress, run, work
from fewshot_lab.course.chapters import chapters
from fewshot_lab.evidence import course_records
from fewshot_lab.languages import speaking

HEAD = "# ---\n# jupyter:\n#   question: Is it so?\n# ---\n\n# %% [markdown]\n# # 0{n} · Number {n}\n#\n# {words}\n\n"
EXERCISE = '# %% exercise="{name}"\ndef {name}({taken}):\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n\n'
PLAN = '# %% [markdown] answer="plan" points=2\n# ### BEGIN SOLUTION\n# A plan.\n# ### END SOLUTION\n'


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two chapters, built: exercises a and b and a question in words, and exercise c."""
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path))
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    source = tmp_path / "notebooks" / "source"
    source.mkdir(parents=True)
    a, b, c = (EXERCISE.format(name=name, taken="x") for name in "abc")
    (source / "01_one.py").write_text(HEAD.format(n=1, words="Words.") + a + b + PLAN)
    (source / "02_two.py").write_text(HEAD.format(n=2, words="Words.") + c)
    build.write_notebooks(execute=False)
    return tmp_path


def answer(path, **answers: str) -> None:
    """Writes a learner's answers into a copy, by grade_id, and adds a cell."""
    nb = json.loads(path.read_text())
    for cell in nb["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = answers.get(name, cell["source"])
    nb["cells"].append({"cell_type": "markdown", "id": "own", "metadata": {}, "source": "A note of mine."})
    path.write_text(json.dumps(nb))


def sources(path) -> dict[str, str]:
    cells = json.loads(path.read_text())["cells"]
    return {cell["metadata"].get("nbgrader", {}).get("grade_id", cell["id"]): "".join(cell["source"]) for cell in cells}


def command(monkeypatch, capsys, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["fewshot-lab", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    return capsys.readouterr().out


def test_copies_are_made_once_and_what_a_learner_wrote_stays(course):
    one, two = work.make_copies()
    assert (one, two) == (course / "work" / "01_one.ipynb", course / "work" / "02_two.ipynb")
    answer(one, a="def a(x):\n    return 2")
    two.unlink()
    mine = one.read_bytes()
    build.write_notebooks(execute=False)
    assert work.make_copies() == [two] and one.read_bytes() == mine
    assert work.outdated() == [] and work.renew() == []
    assert [work.opened(chapter) for chapter in chapters()] == [one, two]


def test_where_many_read_one_course_copies_and_runs_lie_in_a_folder_of_ones_own(course, tmp_path, monkeypatch):
    shared = work.make_copies()
    monkeypatch.setenv("FEWSHOT_LAB_OWN", str(tmp_path / "ada"))
    one, two = work.make_copies()
    assert one == tmp_path / "ada" / "work" / "01_one.ipynb" and one not in shared
    assert [work.opened(chapter) for chapter in chapters()] == [one, two]
    answer(one, a="def a(x):\n    return 2")
    (course / "notebooks" / "source" / "01_one.py").write_text(
        HEAD.format(n=1, words="Better.") + EXERCISE.format(name="a", taken="x")
    )
    build.write_notebooks(execute=False)
    assert [chapter.id for chapter in work.outdated()] == ["01"]
    [(renewed, before, lost)] = work.renew()
    assert renewed == one and "return 2" in sources(one)["a"] and before.is_relative_to(tmp_path / "ada") and lost == []
    assert run._prepare(None, False).parent == tmp_path / "ada" / "runs"
    assert landing.link(one, "/", str(tmp_path / "ada")) == "/notebooks/work/01_one.ipynb"


def test_a_newer_course_brings_its_text_and_the_answers_stay(course, monkeypatch, capsys):
    one, two = work.make_copies()
    answer(one, a="def a(x):\n    return 2", plan="My plan.")
    before = one.read_bytes()
    a, b = EXERCISE.format(name="a", taken="x"), EXERCISE.format(name="b", taken="x, y")
    (course / "notebooks" / "source" / "01_one.py").write_text(HEAD.format(n=1, words="Better words.") + a + b + PLAN)
    build.write_notebooks(execute=False)
    assert [chapter.id for chapter in work.outdated()] == ["01"] and one.read_bytes() == before
    assert work.renew(["02"]) == []
    said = command(monkeypatch, capsys, "update", "01")
    texts = sources(one)
    assert texts["a"] == "def a(x):\n    return 2" and texts["plan"] == "My plan."
    assert texts["b"].startswith("def b(x, y):") and "own" not in texts  # an exercise not yet begun is the course's new one
    assert any("Better words." in text for text in texts.values())
    [kept] = course.glob("work/before/*/01_one.ipynb")
    assert kept.read_bytes() == before and str(kept) in said
    assert work.outdated() == [] and command(monkeypatch, capsys, "update") == "Your copies have the course's texts.\n"


def test_an_answer_whose_exercise_is_gone_is_named_and_kept_in_the_old_copy(course, monkeypatch, capsys):
    one, _ = work.make_copies()
    answer(one, a="def a(x):\n    return 2", b="def b(x):\n    return 3")
    source = course / "notebooks" / "source" / "01_one.py"
    source.write_text(HEAD.format(n=1, words="Words.") + EXERCISE.format(name="a", taken="x"))
    build.write_notebooks(execute=False)
    assert "no cell is there any more for your b." in command(monkeypatch, capsys, "update")
    [kept] = course.glob("work/before/*/01_one.ipynb")
    assert "return 3" in sources(kept)["b"]


def test_answers_written_into_the_notebooks_of_the_clone_move_into_the_copies(course):
    """Whoever answered before there were copies, and then takes the notebooks back to git's state, loses nothing."""
    answer(course / "notebooks" / "01_one.ipynb", a="def a(x):\n    return 2")
    one, _ = work.make_copies()
    assert sources(one)["a"] == "def a(x):\n    return 2"
    build.write_notebooks(execute=False)
    assert len(work.renew()) == 1
    assert sources(one)["a"] == "def a(x):\n    return 2" and "YOUR CODE HERE" in sources(one)["b"]


def test_git_pulls_a_newer_course_into_a_clone_full_of_answers(course, tmp_path_factory, monkeypatch):
    def git(folder, *words: str) -> str:
        named = ["-c", "user.name=maker", "-c", "user.email=maker@example.org"]
        return subprocess.run(["git", *named, *words], cwd=folder, capture_output=True, text=True, check=True).stdout

    shutil.copy(ROOT / ".gitignore", course)
    git(course, "init", "-q")
    git(course, "add", ".")
    git(course, "commit", "-qm", "a course")
    clone = tmp_path_factory.mktemp("learner") / "clone"
    git(course, "clone", "-q", ".", str(clone))
    (course / "notebooks" / "source" / "02_two.py").write_text(
        HEAD.format(n=2, words="Better.") + EXERCISE.format(name="c", taken="x")
    )
    build.write_notebooks(execute=False)
    git(course, "commit", "-qam", "a better course")
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(clone))
    _, two = work.make_copies()
    answer(two, c="def c(x):\n    return 2")
    assert git(clone, "status", "--porcelain") == ""
    git(clone, "pull", "-q")
    assert [chapter.id for chapter in work.outdated()] == ["02"] and len(work.renew()) == 1
    assert sources(two)["c"] == "def c(x):\n    return 2" and "Better." in two.read_text()
    assert git(clone, "status", "--porcelain") == ""


def test_the_page_opens_the_copies_and_says_when_the_course_is_newer(course):
    def page() -> str:
        note = landing._news_of_copies("/fewshot-lab")
        return landing.landing(progress.progress(), "/", str(course), note)

    assert 'href="/notebooks/work/01_one.ipynb"' in page() and "newer text" not in page()
    (course / "notebooks" / "source" / "02_two.py").write_text(HEAD.format(n=2, words="Better."))
    build.write_notebooks(execute=False)
    assert "The course has a newer text of: 02." in page()
    (course / "work" / "02_two.ipynb").write_text("{}")
    assert "is no notebook that can be read" in page() and 'href="/notebooks/work/01_one.ipynb"' in page()


def test_a_run_of_ones_own_executes_the_answers_and_goes_on_with_them(course):
    one, _ = work.make_copies()
    answer(one, a='def a(x):\n    return 2\n\nprint("mine")', b="pass", check_a="", check_b="")
    out = course / "out"
    for words, said in ((["01", "--mine"], "mine"), (["--resume"], "mine")):
        with contextlib.suppress(SystemExit):
            cli.app([*"run --device cpu --out".split(), str(out), *words])
        assert said in (out / "01_one.ipynb").read_text()
    assert json.loads((out / "results.json").read_text())["request"]["mine"] is True


def test_a_notebook_of_ones_own_in_work_is_left_alone(course):
    (course / "work").mkdir()
    own = course / "work" / "01_one.ipynb"
    own.write_bytes((course / "notebooks" / "01_one.ipynb").read_bytes())
    (course / "notebooks" / "source" / "01_one.py").write_text(HEAD.format(n=1, words="Better."))
    build.write_notebooks(execute=False)
    before = own.read_bytes()
    assert [path.name for path in work.make_copies()] == ["02_two.ipynb"]
    assert work.outdated() == [] and work.renew() == [] and own.read_bytes() == before


def test_a_course_that_cannot_be_written_opens_its_own_notebooks(course):
    (course / "work").write_text("a file where a folder is needed")
    with pytest.raises(CourseError, match="Cannot write"):
        work.make_copies()
    assert "Cannot write" in landing._news_of_copies("/fewshot-lab")
    assert 'href="/notebooks/notebooks/01_one.ipynb"' in landing.landing(progress.progress(), "/", str(course))


# What a copy holds


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.id)
def test_a_copy_of_a_chapter_answers_none_of_its_questions_at_a_glance(chapter):
    stored, copied = work._read(chapter.notebook), work._as_handed_to_a_learner(chapter)
    assert [cell["source"] for cell in copied["cells"]] == [cell["source"] for cell in stored["cells"]]
    nbformat.validate(nbformat.from_dict(copied))
    code = [cell for cell in copied["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] is None for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert all(output["output_type"] != "stream" or "Measured" not in "".join(output["text"]) for output in outputs)
    assert not any(mime.startswith("application/vnd.fewshot-lab") for output in outputs for mime in output.get("data", {}))
    asked = next(i for i, cell in enumerate(code) if "lab.predict(" in "".join(cell["source"]))
    for cell in code[asked:]:
        for output in cell["outputs"]:
            html = "".join(output["data"]["text/html" if "text/html" in output["data"] else "text/markdown"])
            source = "".join(cell["source"])
            assert html.startswith("<details><summary>Show ") or source.startswith(
                ("lab.predict(", "lab.source(", "lab.widgets.")
            )
            assert "data:image" not in html or html.startswith("<details>") or "Explorer(" in source
    makers = [o for cell in stored["cells"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert sum("<details>" in json.dumps(output) for output in outputs) >= len(makers) // 2 > 0
    [set_up] = [cell for cell in code if "lab.setup(" in "".join(cell["source"])]
    shown = json.dumps(set_up["outputs"])
    assert "All chapters" in shown and ("Next chapter: " in shown) == (chapter != chapters()[-1])


# Results of one's own


def test_a_copy_that_a_run_left_half_done_shows_no_result_and_a_whole_one_does(course, monkeypatch):
    monkeypatch.delenv("FEWSHOT_LAB_RUN", raising=False)
    source = course / "notebooks" / "source" / "01_one.py"
    parameters = '# %% tags=["parameters"]\nPROFILE = "quick"\n\n'
    source.write_text(HEAD.format(n=1, words="Words.") + parameters + '# %%\nprint("a verdict")\n\n# %%\nprint("more")\n')
    build.write_notebooks(execute=False)
    verdict = {"application/vnd.fewshot-lab.verdict+json": {"claim": "C2", "verdict": "refuted", "why": "made"}}
    stored = course / "notebooks" / "01_one.ipynb"
    write_run(stored, 3, verdict)
    one, _ = work.make_copies()
    verdict["application/vnd.fewshot-lab.verdict+json"]["verdict"] = "supported"

    def found(folder=one.parent) -> tuple[str, str]:
        [record] = [it for it in course_records(folder, chapter="") if it.chapter == "01"]
        return record.verdicts["C2"].verdict, record.source

    makers = ("refuted", "the stored notebooks, quick profile")
    assert found() == makers
    write_run(one, 2, verdict)  # saved while the last cell was waiting
    assert found() == makers
    far = course / "of ann" / "work"  # a course that many share lies elsewhere
    shutil.copytree(one.parent, far)
    assert found(far) == makers
    write_run(one, 3, verdict)
    assert found() == ("supported", "your notebook, quick profile")
    answer(one)  # a cell of one's own, which has not run
    assert found()[0] == "supported"
    text = one.read_text()
    one.write_text(text.replace('PROFILE = \\"quick\\"', 'PROFILE = \\"smoke\\"'))
    assert one.read_text() != text and found() == makers
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    write_run(one, 3, verdict, error)
    assert found() == makers


def write_run(path, cells: int, verdict: dict, *more: dict) -> None:
    """Writes into a notebook that its first code cells have run, the second with a verdict."""
    nb = json.loads(path.read_text())
    code = [cell for cell in nb["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        cell["execution_count"] = number if number <= cells else None
    code[1]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": verdict}, *more]
    path.write_text(json.dumps(nb))


# Editions


WORDS = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Words."\nmsgstr "几句话。"\n'


def test_a_copy_is_brought_into_another_language_with_its_answers(course, monkeypatch, capsys):
    monkeypatch.setenv("FEWSHOT_LAB_LANGUAGE", "en")
    monkeypatch.setattr("fewshot_lab.languages.texts._chosen", None)
    work.make_copies()
    copy = course / "work" / "01_one.ipynb"
    answer(copy, a="def a(x):\n    return 2", plan="My plan.")
    (course / "notebooks" / "source" / "zh").mkdir()
    (course / "notebooks" / "source" / "zh" / "01_one.po").write_text(WORDS, encoding="utf-8")
    written = build.write_notebooks(execute=False)
    assert [path.relative_to(course).as_posix() for path in written] == [
        "notebooks/01_one.ipynb",
        "notebooks/zh/01_one.ipynb",
        "notebooks/02_two.ipynb",
    ]
    assert work.outdated() == []  # a copy stays in the language that it was made in
    assert "01_one.ipynb" in command(monkeypatch, capsys, "update", "--language", "zh")
    there = sources(copy)
    assert "几句话。" in "".join(there.values()) and there["a"] == "def a(x):\n    return 2" and there["plan"] == "My plan."
    assert list((course / "work" / "before").rglob("01_one.ipynb"))
    assert json.loads(copy.read_text())["metadata"]["fewshot_lab"]["language"] == "zh"
    with speaking("en"):
        assert work.outdated() == []
