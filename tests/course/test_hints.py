"""The ladder of help: what each rung shows, that a solution follows an honest try, what is counted, how a release limits it."""

import re

import nbformat
import pytest

import fewshot_lab as lab
from fewshot_lab import CourseError, attempts, runtime
from fewshot_lab.course import build, hints, progress
from fewshot_lab.course.chapters import choose
from fewshot_lab.exercises import exercises
from fewshot_lab.grading.release import release


@pytest.fixture(autouse=True)
def a_new_kernel(monkeypatch):
    monkeypatch.setattr(hints, "_given", {})
    monkeypatch.setattr(runtime, "_current", runtime.Setting())


@pytest.fixture
def person(tmp_path, monkeypatch):
    """A person at the keyboard, whose progress is noted in an empty home."""
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FEWSHOT_LAB_PROGRESS")
    monkeypatch.setattr(attempts, "run_by_a_person", lambda: True)


def written(name: str, tmp_path, body: str | None = None):
    """A learner's function from a file of its own: as it was handed out, or with another body."""
    [chapter] = choose([exercises()[name].chapter])
    handed_out = hints._cell(exercises()[name], solved=False)
    assert handed_out != hints._cell(exercises()[name], solved=True) and chapter
    text = handed_out if body is None else re.sub(r"# YOUR CODE HERE\n\s+raise NotImplementedError\(\)", body, handed_out)
    path = tmp_path / f"answer_{len(list(tmp_path.iterdir()))}.py"
    path.write_text(text, encoding="utf-8")
    names = {}
    exec(compile(text, path, "exec"), names)
    return names[name]


@pytest.mark.parametrize("task", exercises().values(), ids=exercises())
def test_every_exercise_has_an_idea_in_two_sentences_and_a_few_steps(task):
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z$])", task.idea)
    assert 1 <= len(sentences) <= 2 and len(task.idea) <= 320 and task.idea[-1] in ".?!"
    assert 2 <= len(task.steps) <= 5 and all(len(step) <= 200 and step[-1] in ".?!" for step in task.steps)
    assert len({task.idea, *task.steps}) == len(task.steps) + 1


def test_help_goes_one_step_further_at_each_call(tmp_path):
    task = exercises()["rotation_matrix"]
    blank, tried = written(task.name, tmp_path), written(task.name, tmp_path, "return theta")
    first, second = lab.hint(tried), lab.hint(tried)
    assert [text for _, text in first.parts] == [task.idea] and "Step by step" in first.then
    assert [text for _, text in second.parts] == [task.idea, task.steps]
    third = lab.hint(tried)
    assert "math.cos(theta)" in third.parts[2][1] and "SOLUTION" not in third.parts[2][1]
    assert lab.hint(tried) == third and lab.hint(tried, 1).parts == first.parts
    assert "lab.hint(rotation_matrix)" in str(first) and "1. " + task.steps[0] in str(second)
    with pytest.raises(CourseError, match="1 is the idea"):
        lab.hint(blank, 4)
    with pytest.raises(TypeError, match="the function itself"):
        lab.hint("rotation_matrix")


@pytest.mark.parametrize("name", ["rotation_matrix", "listing_loader"])
def test_a_solution_comes_after_an_honest_try(name, tmp_path):
    blank = written(name, tmp_path)
    refused = lab.hint(blank, 3)
    assert len(refused.parts) == 2 and "honest try" in refused.then
    assert len(lab.hint(blank).parts) == 2 or len(lab.hint(blank, 3).parts) == 2
    if name == "rotation_matrix":
        commented = written(name, tmp_path, "# I do not know\n    raise NotImplementedError()")
        assert len(lab.hint(commented, 3).parts) == 2
        assert len(lab.hint(written(name, tmp_path, "return theta"), 3).parts) == 3


def test_every_solution_that_is_shown_is_that_of_the_solved_notebook():
    for task in exercises().values():
        text = hints._cell(task, solved=True)
        assert f"def {task.name}(" in text and "NotImplementedError" not in text and "###" not in text


def test_what_is_shown_is_escaped():
    shown = hints.Hint(exercises()["rotation_matrix"], (("<b>", "a < b\nc"), ("steps", ("x < y",))), "<then>").as_html()
    assert "<b>" not in shown and "a &lt; b" in shown and "x &lt; y" in shown and "&lt;then&gt;" in shown


def test_help_is_counted_and_no_try(person, tmp_path, monkeypatch):
    tried = written("rotation_matrix", tmp_path, "return theta")
    lab.check(tried)
    lab.hint(tried)
    lab.hint(tried)
    attempt = attempts.noted()["rotation_matrix"]
    assert (attempt.hints, attempt.tries, attempt.last, attempt.passed) == (2, 1, "failed", None)
    monkeypatch.setattr(hints, "_given", {})  # another day, another kernel
    assert len(lab.hint(tried).parts) == 3 and attempts.noted()["rotation_matrix"].hints == 3
    of_chapter = next(one for one in progress.progress() if one.chapter.id == "01")
    assert of_chapter.helped == ("rotation_matrix",)


def test_a_failed_check_points_to_the_help_unless_it_is_off(tmp_path):
    tried = written("rotation_matrix", tmp_path, "return theta")
    assert any("lab.hint(rotation_matrix)" in line for line in lab.check(tried).details)
    runtime.current().hints = 0
    assert not any("lab.hint" in line for line in lab.check(tried).details)
    assert lab.hint(tried).parts == () and "turned its hints off" in lab.hint(tried, 3).then
    runtime.current().hints = 2
    assert len(lab.hint(tried, 3).parts) == 2 and "all the help" in lab.hint(tried, 3).then


def test_a_release_limits_the_help(tmp_path, capsys):
    release(["01"], tmp_path / "all")
    release(["01"], tmp_path / "some", hints=1)
    for folder in ("release", "nbgrader/source/01_rotations_and_flips"):
        sources = {}
        for kind in ("all", "some"):
            nb = nbformat.read(tmp_path / kind / folder / "01_rotations_and_flips.ipynb", as_version=4)
            [sources[kind]] = [cell.source for cell in nb.cells if "lab.setup(" in cell.source]
        assert "hints" not in sources["all"]
        assert sources["some"] == sources["all"].replace('setup("01", ', 'setup("01", hints=1, ')
    with pytest.raises(CourseError, match="--hints is 4"):
        release(["01"], tmp_path, hints=4)
    lab.setup("01", profile="quick", device="cpu", hints=1)
    assert runtime.current().hints == 1
    with pytest.raises(CourseError, match="hints is 7"):
        lab.setup("01", hints=7)
    assert build.differences(choose(["01"])[0]) == []
