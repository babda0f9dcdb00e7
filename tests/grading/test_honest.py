"""Honest submissions: right answers get their points whatever the hidden cases are, blank ones none, mistakes a name."""

import nbformat
import pytest

from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import chapters, choose
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.submissions import collect
from fewshot_lab.languages import speaking

pytestmark = pytest.mark.slow
CHAPTERS = [chapter.id for chapter in chapters()]


@pytest.fixture
def seeds(pytestconfig):
    """Always the same seeds: 20 with --thorough, otherwise the first 4 of them."""
    return [str(seed) for seed in range(1, 21 if pytestconfig.getoption("thorough") else 5)]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solved_version_gets_full_marks_with_every_seed(graded, chapter, seeds):
    for seed in seeds:
        result = graded(chapter, seed)
        waiting = [mark for mark in result.marks if mark.status == "by hand"]
        wrong = [mark for mark in result.marks if mark.status != "passed" and mark not in waiting]
        assert [(seed, mark.grade_id, mark.message) for mark in wrong] == []
        assert result.score + sum(mark.max_score for mark in waiting) == assignment(chapter).points


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_release_version_gets_none_with_any_seed(graded, chapter, seeds):
    for seed in seeds:
        result = graded(chapter, seed, **assignment(chapter).stubs)
        assert result.score == 0
        assert {mark.status for mark in result.marks} <= {"not attempted", "failed"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_chinese_edition_is_graded_as_the_english_one(sandbox, tmp_path, chapter):
    with speaking("zh"):
        handed_in = {"solved": build(choose([chapter])[0], solved=True), "blank": build(choose([chapter])[0])}
    for student, nb in handed_in.items():
        (tmp_path / student).mkdir()
        nbformat.write(nb, tmp_path / student / "answers.ipynb")
    results = {one.student: grading.grade(one, sandbox, "1", 60.0) for one in collect(tmp_path)}
    assert {mark.status for mark in results["solved"].marks} <= {"passed", "by hand"}
    # A listing that was left as it is counts as an answer.
    assert {mark.status for mark in results["blank"].marks} <= {"not attempted", "failed"} and results["blank"].score == 0
    assert not any(mark.status == "by hand" for mark in results["blank"].marks)


def test_a_mistake_is_named_with_the_hint_of_its_check(graded):
    wrong = "import math\nimport torch\ndef rotation_matrix(theta):\n    c, s = math.cos(theta), math.sin(theta)\n"
    result = graded("01", rotation_matrix=wrong + "    return torch.tensor([[c, s], [-s, c]])")
    mark = {mark.grade_id: mark for mark in result.marks}["rotation_matrix"]
    assert (mark.status, mark.score) == ("failed", 0) and mark.mistake and "Smallest failing case" in "".join(mark.details)


def test_an_answer_that_calls_a_wrong_helper_is_not_punished_for_it(graded):
    """nt_xent calls similarity_matrix by the name that the release gives it."""
    result = graded("04", similarity_matrix="def similarity_matrix(z):\n    return z @ z.T")
    status = {mark.grade_id: mark.status for mark in result.marks}
    assert status["similarity_matrix"] == "failed" and status["nt_xent"] == "passed"


def test_a_helper_has_its_name_where_the_other_one_of_its_line_is_not_called(graded):
    """One line of the release names two answers, loss_d and loss_g, and generator_step calls loss_g alone."""
    result = graded("08", generator_loss="def generator_loss(fake):\n    return fake.mean()")
    status = {mark.grade_id: mark.status for mark in result.marks}
    assert status["generator_loss"] == "failed" and status["generator_step"] == status["discriminator_step"] == "passed"


def test_a_generator_a_gradient_and_a_changed_input_are_seen_through_the_sandbox(graded):
    first_order = assignment("05").solved["inner_step"].replace("rate * gradient", "rate * gradient.detach()")
    marks = {mark.grade_id: mark for mark in graded("05", inner_step=first_order).marks}
    assert marks["inner_step"].mistake == "first_order"
    change = "def rotation_batch(images):\n    import torch\n    images.zero_()\n"
    change += "    return torch.cat([images] * 4), torch.arange(4).repeat_interleave(len(images))"
    result = {mark.grade_id: mark for mark in graded("04", rotation_batch=change).marks}["rotation_batch"]
    assert "changes its input" in result.message + "".join(result.details)
    moving = assignment("06").solved["replayed_copies"].replace("return ", "torch.rand(1)\n    return ")
    assert {mark.grade_id: mark.mistake for mark in graded("06", replayed_copies=moving).marks}["replayed_copies"] == (
        "global_generator"
    )


def test_a_training_step_and_a_split_are_judged_in_the_sandbox_by_what_they_do(graded):
    step, split = (assignment("02").solved[name] for name in ("training_step", "validation_split"))
    with_closure = """def training_step(model, optimizer, images, labels, augment):
        from torch.nn.functional import cross_entropy
        images = augment(images)
        def closure():
            model.zero_grad()
            loss = cross_entropy(model(images), labels)
            loss.backward()
            return loss
        return optimizer.step(closure).detach()"""
    lists = split.replace(
        "return torch.cat(train), torch.cat(validate)", "return [torch.cat(p).tolist() for p in (train, validate)]"
    )
    right = {mark.grade_id: mark for mark in graded("02", training_step=with_closure, validation_split=lists).marks}
    assert right["training_step"].status == right["validation_split"].status == "passed"
    adds = step.replace("optimizer.zero_grad()", "")
    draws = split.replace(", generator=generator", "")
    wrong = {mark.grade_id: mark.mistake for mark in graded("02", training_step=adds, validation_split=draws).marks}
    assert (wrong["training_step"], wrong["validation_split"]) == ("never_cleared", "global_generator")


@pytest.mark.parametrize(
    "text",
    [
        "from fewshot_lab.exercises.chapter_00 import accuracy",
        "import fewshot_lab as lab\ndef accuracy(logits, labels):\n    return lab.training.accuracy(logits, labels)",
        "import importlib\ndef accuracy(*a):\n    return importlib.import_module('fewshot_lab.training').accuracy(*a)",
    ],
)
def test_the_courses_own_implementation_is_seen_and_gets_no_marks(graded, text):
    mark = graded("00", accuracy=text).marks[0]
    assert (mark.status, mark.score) == ("own code", 0) and "fewshot_lab" in mark.message


def test_a_learners_own_calls_of_the_course_in_an_answer_cell_do_no_harm(graded):
    text = (
        assignment("00").solved["accuracy"]
        + "\nimport fewshot_lab as lab\nlab.check(accuracy)\nlab.figures.bars([1])\n%time 1\n"
    )
    result = graded("00", accuracy=text)
    assert result.score == result.max_score


def test_a_helper_that_ends_its_process_only_when_it_is_alone_costs_the_grader_nothing(graded):
    """nt_xent is stopped and so examined again beside its helpers alone, which is when this helper ends the process."""
    solved = assignment("04").solved
    alone = "if 'rotation_batch' not in globals():\n    import os\n    os._exit(0)\n" + solved["similarity_matrix"]
    marks = {
        mark.grade_id: mark
        for mark in graded(
            "04", similarity_matrix=alone, nt_xent="import os\ndef nt_xent(z, t):\n    similarities_of\n    os._exit(0)"
        ).marks
    }
    assert marks["nt_xent"].status == "stopped" and marks["similarity_matrix"].status == "passed"
