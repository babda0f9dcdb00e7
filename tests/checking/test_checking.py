"""Checks: the reference passes, every known mistake is refused and named, and every other trouble gets its own plain words."""

import json
import time

import numpy as np
import pytest
import torch

import fewshot_lab as lab
from fewshot_lab.checking import checks as checking
from fewshot_lab.exercises import exercises, get_exercise

ALL = exercises().values()
MISTAKES = [(e, m) for e in ALL for m in e.mistakes]


@pytest.fixture(scope="module", autouse=True)
def glyphs_rendered():
    """Else the first check of a few-shot method renders them, within the seconds that an answer has."""
    lab.data.load("glyphs")


def named(name, function):
    """The function under an exercise's name, as a learner would define it."""

    def renamed(*arguments):
        return function(*arguments)

    renamed.__name__ = name
    return renamed


@pytest.mark.parametrize("task", ALL, ids=lambda e: e.name)
def test_the_reference_passes_its_own_check(task):
    for _ in range(3):
        feedback = lab.check(named(task.name, task.reference))
        assert feedback.status == "passed", feedback


@pytest.mark.parametrize(("task", "mistake"), MISTAKES, ids=lambda value: value.name)
def test_a_known_mistake_is_refused_and_named(task, mistake):
    for _ in range(3):
        feedback = lab.check(named(task.name, mistake.function))
        assert feedback.status == "failed" and feedback.mistake == mistake.name, feedback
        assert feedback.message == mistake.hint


def test_every_chapter_has_its_exercises_with_at_least_three_ways_to_fail():
    by_chapter = {chapter: [e for e in ALL if e.chapter == chapter] for chapter in ("00", "01", "02")}
    assert len(by_chapter["01"]) >= 6 and len(by_chapter["02"]) >= 4
    assert all(len(e.mistakes) + len(e.properties) >= 2 for e in ALL)


# The scales differ as well, which shows when the crop no longer stops on a small picture.
PLANTED = {
    "crop_without_resize", "pretrained_is_deprecated", "model_not_moved", "one_process", "batch_not_moved",
    "training_mode", "gradients_recorded", "batches_weigh_the_same", "constant_rate",
}  # fmt: skip


def planted_listing() -> dict:
    """The functions of the printed listing as the learner's notebook of chapter 02 holds them."""
    from fewshot_lab.course.build import build
    from fewshot_lab.course.chapters import choose

    names: dict = {"torch": torch}
    for cell in build(*choose(["02"])).cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade_id", "").startswith("listing_"):
            exec(cell.source, names)
    return {name: names[name] for name in names if name.startswith("listing_")}


def test_every_defect_of_the_printed_listing_is_found():
    found = set()
    for name, function in planted_listing().items():
        assert lab.check(function).status == "failed", name
        generator = torch.Generator().manual_seed(0)
        properties = get_exercise(name).properties
        violations = [(prop.mistake, checking._violation(prop, function, generator)) for prop in properties]
        found |= {words[0] if isinstance(words, tuple) else mistake for mistake, words in violations if words}
    assert found >= PLANTED, PLANTED - found


@pytest.mark.parametrize(
    ("function", "status", "says"),
    [
        (lambda theta: (_ for _ in ()).throw(NotImplementedError()), "not attempted", "Write the body"),
        (lambda theta: None, "failed", "returns nothing"),
        (lambda theta: [[1.0, 0.0], [0.0, 1.0]], "failed", "returns a list; a torch tensor"),
        (lambda theta: np.eye(2), "failed", "NumPy array"),
        (lambda theta: torch.eye(3), "failed", r"The shape is (3, 3); (2, 2)"),
        (lambda theta: torch.full((2, 2), float("nan")), "failed", "NaN"),
        (lambda theta: theta / 0, "failed", "ZeroDivisionError"),
        (lambda theta: undefined_name, "failed", "check its spelling"),  # noqa: F821
        (lambda: None, "failed", "too many or too few arguments"),
        (lambda theta: torch.zeros(2, 2), "failed", "values differ"),
    ],
)
def test_every_kind_of_trouble_has_its_own_words(function, status, says):
    feedback = lab.check(named("rotation_matrix", function))
    assert feedback.status == status and says in feedback.message, feedback


def test_a_change_of_the_input_is_said():
    def compose(first, then):
        first += 1
        return get_exercise("compose").reference(first - 1, then)

    assert "changes its input" in lab.check(compose).message


def test_an_endless_loop_is_ended(monkeypatch):
    monkeypatch.setattr(checking, "SECONDS_A_CALL", 0.2)

    def rotation_matrix(theta):
        while True:
            pass

    assert "never ends" in lab.check(rotation_matrix).message


@pytest.mark.parametrize("taken, says", [(0.0, "never ends"), (0.25, "agree with the reference")])
def test_the_time_that_other_processes_take_does_not_count(monkeypatch, taken, says):
    monkeypatch.setattr(checking, "SECONDS_A_CALL", 0.2)
    began = time.monotonic()
    # As if others had the core for this long, from a moment before the first call ends.
    monkeypatch.setattr(checking, "_waited", lambda: taken if time.monotonic() - began > 0.1 else 0.0)

    def rotation_matrix(theta):
        if time.monotonic() - began < 0.3:
            time.sleep(0.3)
        return get_exercise("rotation_matrix").reference(theta)

    assert says in lab.check(rotation_matrix).message


def test_an_endless_loop_is_told_in_under_fifteen_seconds_of_computing():
    def accuracy(logits, labels):
        while True:
            pass

    began = time.thread_time()  # the limit gives back what other programs take of it
    feedback = lab.check(accuracy)
    assert feedback.mistake == "never_ends" and time.thread_time() - began < 15
    assert feedback.message.rstrip().endswith("?") and "??" not in feedback.message


def test_the_first_timeout_ends_a_check_by_properties_alone(monkeypatch):
    monkeypatch.setattr(checking, "SECONDS_A_CALL", 0.2)
    calls = []

    def draw_episode(labels, way, shots, queries, generator):
        calls.append(way)
        while True:
            pass

    feedback = lab.check(draw_episode)
    assert "never ends" in feedback.message and feedback.mistake == "never_ends"
    assert len(calls) == 1 and sum(line.startswith("✗") for line in feedback.details) == 1


def test_an_error_in_a_property_is_told_and_names_no_mistake():
    def listing_loader(dataset, training):
        raise ValueError("three words only")

    def frechet_distance(a, b):
        if len(a) < a.shape[1]:
            raise ValueError("three words only")
        return get_exercise("frechet_distance").reference(a, b)

    for function in (listing_loader, frechet_distance):
        feedback = lab.check(function)
        assert feedback.status == "failed" and "three words only" in feedback.message, feedback
        assert feedback.mistake is None


def test_the_smallest_failing_case_is_shown_and_printing_is_swallowed(capsys):
    def inverse_warp(image, matrix):
        print("noise")
        return torch.zeros_like(image)

    feedback = lab.check(inverse_warp)
    assert "[[1.0, 2.0, 3.0]" in str(feedback) and "expected" in str(feedback)
    assert "noise" not in capsys.readouterr().out


def test_what_a_learner_wrote_is_escaped_and_the_record_is_json():
    def rotation_matrix(theta):
        raise ValueError("<script>alert(1)</script>")

    bundle = lab.check(rotation_matrix)._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"] and "&lt;script&gt;" in bundle["text/html"]
    record = json.loads(json.dumps(bundle["application/vnd.fewshot-lab.check+json"], allow_nan=False))
    assert record["exercise"] == "rotation_matrix" and record["status"] == "failed"


def test_yours_is_used_when_it_passes_and_ours_otherwise(capsys):
    task = get_exercise("flip_matrix")
    mine = named("flip_matrix", task.reference)
    assert lab.yours_or_ours(mine) is mine
    assert lab.yours_or_ours(named("flip_matrix", lambda width: torch.eye(3))) is task.reference
    said = capsys.readouterr().out
    assert "Using your flip_matrix" in said and "does not pass its check yet" in said


def test_a_function_of_another_name_is_an_error_that_lists_the_names():
    with pytest.raises(lab.CourseError, match="rotation_matrix"):
        lab.check(lambda: None)
    with pytest.raises(TypeError, match="the function itself"):
        lab.check(3)
