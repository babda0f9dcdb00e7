"""Choices: one rule, recorded; chapters read what was chosen, and no choice saw a verdict's seeds."""

import ast
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fewshot_lab import cli
from fewshot_lab.course import choosing
from fewshot_lab.errors import CourseError
from fewshot_lab.evidence import choices


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setattr(choices, "FOLDER", tmp_path)
    return tmp_path


def score(candidate, seed):
    return {"validation_accuracy": candidate["score"] + (seed - 501) * 0.001, "seconds": 2.0, "at_rest": candidate["rests"]}


def score_of_a_text(candidate, seed):
    sum(range(2_000_000))
    return {"validation_accuracy": 0.5}


def chosen_from(*scores, rests=True, name="strength", **options):
    candidates = [{"score": one, "rests": rests} for one in scores]
    told = {"chapter": "02", "what": "The strength", "data": "made-up data", "seeds": [500, 501, 502], "jobs": 1}
    return choices.choose(name, score, candidates, **told | options)


def test_the_first_candidate_stays_unless_another_is_better_by_more_than_the_margin():
    assert chosen_from(0.700, 0.709, 0.705).chosen["score"] == 0.700
    assert chosen_from(0.700, 0.711, 0.715).chosen["score"] == 0.711
    assert chosen_from(0.700, 0.709, margin=0.0).chosen["score"] == 0.709


def test_a_choice_tells_scores_rest_and_cost_and_chapters_read_what_was_chosen(record):
    choices.keep(chosen_from(0.5, 0.7, rests=False))
    choices.keep(chosen_from(0.6, name="another", chapter="01"))
    assert choices.chosen("strength") == {"score": 0.7, "rests": False}
    assert [choice.name for choice in choices.recorded_choices().values()] == ["another", "strength"]
    page = choices.as_markdown()
    assert "| **score 0.7, rests False** | 0.700 [0.698, 0.702] | 0% |" in page and "12 seconds" in page
    choices.keep(chosen_from(0.9))
    assert choices.chosen("strength")["score"] == 0.9 and len(list(record.iterdir())) == 2


def test_a_text_with_a_bar_or_a_new_line_stays_in_its_cell(record):
    told = {"chapter": "09", "what": "The template", "data": "made-up data", "seeds": [500, 501], "jobs": 1}
    choices.keep(choices.choose("template", score_of_a_text, ["Text: {}\nA | B:", "{}"], **told))
    page = choices.as_markdown()
    assert "The template: **Text: {}<br>A \\| B:**." in page
    assert "\n| **Text: {}<br>A \\| B:** | 0.500 [0.500, 0.500] | – |\n| {} | 0.500 [0.500, 0.500] | – |" in page


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_procedure_costs_is_measured_where_it_does_not_tell_it(jobs):
    told = {"chapter": "02", "what": "A text", "data": "made-up data", "seeds": range(500, 510), "jobs": jobs}
    assert choices.choose("text", score_of_a_text, ["a", "b"], **told).seconds > 0
    assert chosen_from(0.5, 0.7).seconds == 12.0
    with pytest.raises(CourseError, match=r"score\(candidate='a', seed=50\d\) failed"):
        choices.choose("text", score, ["a"], **told)


def test_an_unknown_name_and_a_damaged_file_are_refused_in_words(record):
    with pytest.raises(ValueError, match="no choices"):
        choices.chosen("strength")
    (record / "strength.json").write_text('{"name": "strength"}')
    with pytest.raises(CourseError, match="damaged"):
        choices.chosen("strength")
    with pytest.raises(ValueError, match="No setting is called nothing"):
        choosing.run(["nothing"])


def test_the_command_chooses_keeps_and_tells(record, monkeypatch):
    procedure = choosing.Procedure("strength", score, [{"score": 0.5, "rests": True}], {"data": "made-up data", "jobs": 1})
    monkeypatch.setattr(choosing, "procedures", lambda: {"strength": procedure})
    assert CliRunner().invoke(cli.app, ["choose", "strength"]).output.endswith("strength: {'score': 0.5, 'rests': True}\n")
    assert choices.chosen("strength")["score"] == 0.5


def test_every_recorded_choice_has_a_procedure_with_its_candidates_and_no_verdicts_seeds():
    procedures = choosing.procedures()
    for name, choice in choices.recorded_choices().items():
        procedure = procedures[name]
        if not callable(procedure.candidates):
            assert list(procedure.candidates) == [candidate.value for candidate in choice.candidates]
        assert choice.chapter == procedure.chapter and all(500 <= seed < 1000 for seed in choice.seeds)
        best = max(candidate.score for candidate in choice.candidates)
        first = next(one.value for one in choice.candidates if one.score >= best - choice.margin)
        assert choice.chosen == first, "the rule gives what was chosen"
    assert set(procedures) == set(choices.recorded_choices()), "run: fewshot-lab choose"


def test_the_page_links_what_was_chosen_for_all_trainings_which_saw_validation_images_and_no_seed_of_the_full_profile():
    page = choices.as_markdown()
    assert all(f"| [{name}.json](choices/{name}.json) | " in page for name in ("training", "rest", "explored"))
    assert "| Muon, 300 steps of 64: the recipe now |" in page and "none fixed before" in page
    explored = json.loads((choices.OF_TRAININGS / "explored.json").read_text())["rows"]
    assert all("validat" in row["on"] and max(row["seeds"]) < 1000 for row in explored)
    assert "Of the 186 rows of explored.json 127 are of seeds 0 to 3, which the quick profile has, too." in page


@pytest.mark.parametrize("page", sorted(Path(choosing.__file__).parent.glob("*.py")), ids=lambda page: page.stem)
def test_no_helper_of_a_chapters_choices_is_replaced_by_a_later_one_of_its_name(page):
    names = [line.name for line in ast.parse(page.read_text()).body if isinstance(line, ast.FunctionDef)]
    assert sorted(set(names)) == sorted(names)
