"""The record format: what is written is read back, old notebooks stay readable, and nothing in a notebook breaks the reader."""

import json
import math

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from fewshot_lab.course import chapters
from fewshot_lab.course.compare import compare
from fewshot_lab.course.display import checks_in_words
from fewshot_lab.course.page import page
from fewshot_lab.course.run import _to_repair
from fewshot_lab.errors import CourseError
from fewshot_lab.evidence import RULES, Check, CheckStatus, Entry, Ledger, Outcome, Part, Result, Verdict, record, recorded
from fewshot_lab.evidence.forest import forest, position, strip_of
from fewshot_lab.evidence.records import CHECK, RESULT, VERDICT
from fewshot_lab.evidence.runs import ChapterRun, Run, read_run
from fewshot_lab.training import Estimate

RATE = Result("rate", Estimate(20.0, 18.0, 22.0, 5, "labels per label", ">="), headline=True)
SPEED = Result("speed", Estimate(12.5, math.nan, math.nan, 1, "images/s"))
CERTAIN = Result("printed", Estimate(0.92, 0.91, 0.93, 9, kind="rounding range"))
VERDICTS = {"C1": Verdict("C1", Outcome.REFUTED, "no gain"), "own": Verdict("own", Outcome.SUPPORTED, "")}
CHECKS = [Check("accuracy", status, "words") for status in CheckStatus]


def cell(**outputs) -> dict:
    """A cell whose outputs each hold one record: {"result": content}."""
    mimes = {"result": RESULT, "verdict": VERDICT, "check": CHECK}
    return {"cell_type": "code", "outputs": [{"data": {mimes[kind]: content}} for kind, content in outputs.items()]}


@pytest.mark.parametrize(
    "one", [RATE, SPEED, CERTAIN, *VERDICTS.values(), *CHECKS, Check("a", CheckStatus.FAILED, "w", "halved")]
)
def test_a_record_comes_back_from_its_json_as_it_was(one):
    text = json.dumps(one.as_json(), allow_nan=False)
    assert type(one).from_json(json.loads(text)).as_json() == one.as_json()
    assert repr(type(one).from_json(json.loads(text))) == repr(one)  # NaN differs from itself, its text does not


def test_several_results_of_a_cell_and_single_ones_of_earlier_versions_are_read_and_the_last_of_a_name_counts():
    old = [cell(result={**RATE.as_json(), "mean": 1.0}), cell(result=RATE.as_json())]
    new = record(rate=RATE.estimate, speed=SPEED.estimate, headline="rate")._repr_mimebundle_()
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", new)])])
    for cells, names in ((old, ["rate"]), (nb.cells, ["rate", "speed"])):
        results = recorded(cells).results
        assert list(results) == names and results["rate"] == RATE


def test_the_last_status_of_an_exercise_counts():
    records = recorded([cell(check=check.as_json()) for check in CHECKS])
    assert records.check_counts() == {CheckStatus.PASSED: 0, CheckStatus.FAILED: 0, CheckStatus.NOT_ATTEMPTED: 1}


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["name", "claim", "ci95", "n", "mean"]), some),
    max_leaves=8,
)


@given(ODD, ODD, ODD)
def test_nothing_that_a_notebook_holds_breaks_the_reader(result, verdict, check):
    good = cell(result=SPEED.as_json())
    odd = [
        cell(result=result, verdict=verdict, check=check),
        {"outputs": result},
        {"outputs": [check, {"data": verdict}]},
        result,
    ]
    found = recorded([*odd, good])
    assert "speed" in found.results
    json.dumps([one.as_json() for one in found.results.values()], allow_nan=False)
    assert recorded(result).results.keys() <= {"speed"}


def test_what_is_no_number_is_null_and_an_unknown_word_is_no_record():
    odd = {"name": "odd", "mean": "nan", "ci95": [float("-inf"), 1.0], "n": None, "unit": 3, "bound": "="}
    records = recorded(
        [cell(result=odd, verdict={"claim": "C1", "verdict": "proved"}, check={"exercise": "a", "status": "won"})]
    )
    assert records.results["odd"].as_json() == {
        "name": "odd",
        "mean": None,
        "ci95": None,
        "n": 0,
        "unit": "",
        "headline": False,
    }
    assert not records.verdicts and not records.checks


def test_the_record_of_a_run_is_written_as_it_was_read():
    text = (ROOT / "docs" / "full_profile" / "results.json").read_text(encoding="utf-8")
    assert Run.from_json(json.loads(text)).as_text() == text


def test_a_run_without_a_record_or_with_a_damaged_one_is_an_error_that_names_the_file(tmp_path):
    for content in ("{", "[]", '{"chapters": 3}', '{"chapters": [{"title": "no id"}]}'):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(CourseError, match="results.json is not the record of a run .*Give the folder of a run"):
            read_run(tmp_path / "results.json")
    with pytest.raises(CourseError, match="No such file"):
        read_run(tmp_path / "nowhere" / "results.json")


def test_an_estimate_has_the_same_words_in_notebook_page_and_comparison(tmp_path):
    words = ">= 20.000 [from 18.000] labels per label, n = 5"
    run = Run(profile="quick", chapters=[ChapterRun("02", results={"rate": RATE}, verdicts=VERDICTS)])
    (tmp_path / "results.json").write_text(run.as_text())
    shown = record(rate=RATE.estimate)._repr_mimebundle_()["text/plain"], compare([tmp_path])
    assert all(words in text for text in shown) and words.replace(">", "&gt;") in page(run)
    assert Estimate(0.84, 0.82, 0.86, 9, "accuracy").short() == "0.840 [0.820, 0.860]"


def test_what_is_handed_out_broken_is_to_repair_and_has_not_failed():
    counts = {CheckStatus.PASSED: 1, CheckStatus.FAILED: 6, CheckStatus.NOT_ATTEMPTED: 3}
    run = ChapterRun("02", checks=counts, to_repair=5)
    assert checks_in_words(run) == "1 passed, 1 failed, 5 to repair, 3 to do"
    assert ChapterRun.from_json(run.as_json()) == run and checks_in_words(ChapterRun("02", checks=counts)).count("6 failed")
    assert "5 to repair" in page(Run(chapters=[run]))
    chapter = chapters.choose(["02"])[0]
    nb = chapters.read_notebook(chapter)
    checks = recorded(nb.cells).checks
    broken = _to_repair(chapter, nb, checks)
    assert broken == sum(check.status == CheckStatus.FAILED for check in checks.values()) > 0
    answer = next(cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "listing_loader")
    answer.source += "\n# changed"
    assert _to_repair(chapter, nb, checks) == broken - 1


def part(mean: float, low: float, high: float, relation: str = ">", **options) -> Part:
    return Part("gain", Estimate(mean, low, high, 5), relation, 0.0, 0.1, False, Outcome.SUPPORTED, name="gain", **options)


def test_a_forest_stands_right_of_its_band_where_a_part_is_supported():
    assert position(part(0.3, 0.2, 0.4), 0.2) == pytest.approx(2) and position(part(0, 0, 0, "<"), 0.2) == pytest.approx(-2)
    ratio = Part("rate", Estimate(2.0, 1.5, 3.0, 5), ">", 1.0, 2.0, True, Outcome.SUPPORTED)
    assert position(ratio, 2.0) == pytest.approx(1) and position(ratio, 0.5) == pytest.approx(-1)
    assert position(ratio, 0.0) == -math.inf


def test_a_forest_shows_both_verdicts_links_and_words_and_the_makers_only_where_they_differ():
    claim = RULES.claims["C2"]
    mine = Verdict("C2", Outcome.SUPPORTED, "", claim.sentence, (part(0.3, 0.2, 0.4),))
    theirs = Verdict("C2", Outcome.REFUTED, "", claim.sentence, (part(-0.3, -0.9, -0.2),))
    ledgers = [Ledger((Entry(claim, verdict),)) for verdict in (mine, theirs)]
    shown = forest(*ledgers, lambda entry: f"{entry.claim.chapter}.ipynb#cell")
    assert "✓ supported" in shown and "makers: refuted" in shown and "href='02.ipynb#cell'" in shown
    assert shown.count("<circle") == 2 and "gain, needed &gt; 0.1: +0.300 [0.200, 0.400], n = 5 (makers: -0.300" in shown
    alone = forest(ledgers[0], ledgers[0])
    assert alone.count("<circle") == 1 and "makers:" not in alone
    assert "<svg" not in forest(Ledger((Entry(claim),)))
    assert strip_of(Estimate(math.nan, math.nan, math.nan, 0), "<nothing>").count("&lt;nothing&gt;") == 2
