"""Predictions: kept over runs and restarts, compared with what was measured, counted on the page; and what the makers got."""

import json

import pytest

import fewshot_lab as lab
from fewshot_lab import attempts
from fewshot_lab.course import foreseen, landing
from fewshot_lab.course.chapters import chapters, read_notebook
from fewshot_lab.course.progress import progress
from fewshot_lab.training.metrics import Estimate
from fewshot_lab.widgets import question

SHARES = ["about 10 %", "about 35 %", "about 65 %", "about 95 %"]


@pytest.fixture(autouse=True)
def new_kernel():
    question._asked.clear()


@pytest.fixture
def person(tmp_path, monkeypatch):
    """A person at the keyboard of chapter 00, with an empty home; what a front end would show is listed."""
    monkeypatch.delenv("FEWSHOT_LAB_PROGRESS")
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    monkeypatch.setattr(attempts, "run_by_a_person", lambda: True)
    lab.setup("00", device="cpu")
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    return shown


def asked(options=SHARES):
    return lab.predict("nearest", "Nearest neighbour, one label per class:", options)


def kept() -> attempts.Prediction:
    [one] = attempts.predictions()
    return one


def test_an_answer_is_still_chosen_when_the_cell_runs_again_and_after_a_restart(person, capsys):
    assert asked().answer.value is None
    asked().answer.value = "about 65 %"
    assert asked().answer.value == "about 65 %"
    question._asked.clear()  # a restart of the kernel
    lab.recall("nearest", "67%")
    assert capsys.readouterr().out.endswith("You predicted: about 65 %\nMeasured: 67%\nNear.\n")
    assert asked().answer.value == "about 65 %" and kept().near is True and kept().measured == "67%"
    assert asked(["other", "answers"]).answer.value is None


def test_after_the_result_the_first_answer_counts(person, capsys):
    asked().answer.value = "about 10 %"
    lab.recall("nearest", "67%")
    assert "Far: nearest is “about 65 %”." in capsys.readouterr().out and kept().near is False
    asked().answer.value = "about 65 %"
    lab.recall("nearest", "67%")
    assert "You predicted: about 10 %" in capsys.readouterr().out and kept().near is False
    attempts.note("accuracy", "passed")  # the parts of the file are kept beside each other
    attempts.forget(["accuracy"])
    assert kept().answer == "about 10 %"


def test_answers_in_words_are_judged_by_the_learner(person, capsys):
    asked(["the encoder", "the network"]).answer.value = "the network"
    lab.recall("nearest", "gain = 0.024 [-0.030, 0.077]")
    assert "Near" not in capsys.readouterr().out and kept().near is None
    [buttons] = [it for it in person if hasattr(it, "options")]
    buttons.value = "near"
    assert kept().near is True
    lab.recall("nearest", "gain = 0.030 [-0.020, 0.080]")
    assert kept().near is True and kept().measured.startswith("gain = 0.030")


def test_without_a_person_nothing_is_kept_and_the_lines_are_as_they_were(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    lab.recall("nearest", "67%")
    assert capsys.readouterr().out == "You made no prediction.\nMeasured: 67%\n"
    asked().answer.value = "about 65 %"
    asked()  # run again
    lab.recall("nearest", "67%")
    assert capsys.readouterr().out == "You predicted: about 65 %\nMeasured: 67%\nNear.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "measured", "nearest"),
    [
        (["5: nothing", "about 7", "about 15", "50 or more"], ">=48 labels", ["50 or more"]),
        (["5: nothing", "about 7", "about 15", "50 or more"], "6 labels", ["5: nothing", "about 7"]),
        (["at most 1", "2 to 5", "6 to 20", "more than 20"], "15.3 of 100", ["6 to 20"]),
        (["fewer than half", "half to 0.9", "0.9 to 0.98", "more than 0.98"], "0.998 of those", ["more than 0.98"]),
        (["less than one", "one or two", "about four", "eight or more"], "2.263 [1.115, 3.680] labels", ["one or two"]),
        (["about half", "hardly any"], "5%", []),
        (["about 5 %", "about 50 %"], "on digits 5%", []),
    ],
)
def test_the_nearest_of_numbers(options, measured, nearest):
    assert foreseen._nearest(tuple(options), measured) == nearest


@pytest.mark.parametrize(
    ("measured", "ends", "said"),
    [
        ("67%", (0.669, 0.637, 0.702), "67% (95 % interval 64% to 70%)"),
        ("at least 9 labels per class", (1.8, 1.42, 2.2), "at least 9 labels per class (95 % interval 7 to 11)"),
        ("3.1 of 100", (0.031, 0.02, 0.042), "3.1 of 100 (95 % interval 2.0 to 4.2)"),
        ("0.87", (0.871, 0.85, 0.892), "0.87 (95 % interval 0.85 to 0.89)"),
    ],
)
def test_the_interval_has_the_unit_and_the_digits_of_the_number(capsys, measured, ends, said):
    foreseen.recall("nothing asked", measured, Estimate(*ends, n=10))
    assert f"Measured: {said}\n" in capsys.readouterr().out


def test_the_page_counts_what_was_foreseen_and_lists_it(person):
    def page() -> str:
        return landing.landing(progress(), "/", str(chapters()[0].notebook.parents[1]))

    assert '<p id="foresaw"></p>' in page() and "Nothing yet" in landing._predictions()
    asked().answer.value = "about 65 %"
    assert '<p id="foresaw"></p>' in page() and "Nothing yet" in landing._predictions()  # the result would answer it
    lab.recall("nearest", "67% [60%, 74%]")
    assert "You foresaw 1 of the 1 results that you predicted." in page()
    listed = landing._predictions()
    assert "Nearest neighbour, one label per class:" in listed and "67% [60%, 74%]" in listed and ">near<" in listed


@pytest.mark.parametrize("damage", [{"00 nearest": {}}, {"00 other": None}, {"00 nearest": "near"}])
def test_a_damaged_prediction_is_moved_aside_with_its_file(person, capsys, damage):
    asked().answer.value = "about 65 %"
    stored = json.loads(attempts.file().read_text())
    first = stored["predictions"]["00 nearest"]
    stored["predictions"] = {name: first if it is None else it for name, it in damage.items()}
    attempts.file().write_text(json.dumps(stored))
    assert attempts.predictions() == [] and "progress.damaged-" in capsys.readouterr().err


def test_a_file_of_an_earlier_version_has_no_predictions(person):
    attempts.file().write_text('{"exercises": {}, "forgotten": {}}')
    assert attempts.predictions() == []


# What the makers got


def test_a_recall_holds_what_the_makers_measured_in_one_line_that_opens(person):
    lab.recall("nearest", "50%")
    [folded] = [it.data for it in person]
    assert folded.startswith("<details><summary>Show what the makers got</summary>") and "Measured: 67%" in folded


def test_the_makers_figures_and_verdicts_are_a_line_each():
    nb = read_notebook(chapters()[0])
    makers = lab.makers("00")
    figures = [o for cell in nb.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert repr(makers).count(": figure") == len(figures) - 1 and ": verdict" in repr(makers)  # an explorer's still is none
    shown = makers._repr_html_()
    assert shown.count("<details>") == len(makers.parts) and "data:image/png" in shown
    with pytest.raises(lab.CourseError, match="no chapter"):
        lab.makers("77")
