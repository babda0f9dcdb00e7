"""The price list and the literature's ledger: read from records, with holes where a chapter is missing, corrected together."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from places import ROOT

import fewshot_lab as lab
from fewshot_lab.evidence import RULES, ChapterRecord, Outcome, Result, Verdict, course_records, literature_parts, price_list
from fewshot_lab.evidence.course_records import exchange_rates
from fewshot_lab.evidence.ledger import adjusted_p
from fewshot_lab.evidence.prices import PAIRS, WORDS
from fewshot_lab.evidence.records import VERDICT
from fewshot_lab.training import Estimate, mean_interval

RATE = Estimate(1.2, 1.1, 1.3, 5, "labels per label", over="5 seeds")


def record_of(chapter, **results):
    return ChapterRecord(chapter, "", "here", {}, {name: Result(name, one) for name, one in results.items()})


@pytest.fixture(scope="module")
def stored():
    return course_records(ROOT / "notebooks", chapter="15")


def judged(records):
    def said(row):
        measured = {"flattery": mean_interval([0.04, 0.05, 0.03, 0.04])} if row == "L12" else {}
        return literature_parts(row, records, **measured)

    return {row: lab.verdict(paper.claim, **said(row)) for row, paper in RULES.literature.items()}


def test_every_number_of_the_list_is_a_stored_record(stored):
    prices = price_list(stored)
    known = {str(rate) for _, _, rate in exchange_rates(stored)}
    assert len(prices.prices) == len(known) > 20 and {str(price.rate) for price in prices.prices} == known
    assert not prices.missing


def test_every_exchange_rate_that_a_chapter_stored_has_its_words_and_no_words_are_left_over(stored):
    recorded = {(chapter, name) for chapter, name, _ in exchange_rates(stored)}
    assert recorded == WORDS.keys()
    results = {record.chapter: record.results for record in stored}
    assert all({using, without} <= results[chapter].keys() for chapter, _, using, without, _ in PAIRS)


def test_what_chapter_15_repeats_is_counted_once():
    records = [record_of("02", exchange_rate_right=RATE), record_of("15", l1_worth=RATE)]
    assert [name for _, name, _ in exchange_rates(records)] == ["exchange_rate_right"]


def test_a_course_with_one_chapter_has_a_list_that_names_the_others():
    prices = price_list([record_of("02", exchange_rate_right=RATE)])
    assert len(prices.prices) == 1 and "03" in prices.missing and "02" not in prices.missing
    assert "run what is missing" in str(prices) and "03" in prices._repr_html_()
    assert price_list([]).prices == () and str(price_list([]))


def test_a_method_whose_chapter_records_no_seconds_gets_those_of_the_chapter():
    record = replace(record_of("02", exchange_rate_right=RATE), seconds=93.4)
    assert "its chapter: 93 s" in price_list([record])._repr_html_()
    assert "2 s" in price_list([record], seconds={("02", "exchange_rate_right"): Estimate(2, 2, 2, 3, "s")})._repr_html_()


def test_rows_are_judged_by_the_recorded_numbers_and_one_without_says_why(stored):
    rows = judged(stored)
    [texts] = [record for record in stored if record.chapter == "03"]
    assert rows["L1"].parts[0].estimate == texts.results["exchange_rate_scratch_synonyms"].estimate
    assert rows["L9"].verdict == Outcome.NOT_TESTABLE and "all_runs.zip" in rows["L9"].why
    alone = judged([])
    assert alone["L1"].verdict == Outcome.NOT_TESTABLE and "chapter 03" in alone["L1"].why
    assert alone["L12"].verdict == Outcome.SUPPORTED


def test_the_record_that_decides_a_part_is_of_the_arms_that_the_rule_names(stored):
    for row, paper in RULES.literature.items():
        parts = literature_parts(row, stored) if paper.records else {"missing": ""}
        for part in RULES.claims[paper.claim].parts if "missing" not in parts else ():
            names = {re.sub(r", \w+ = [^,]+$", "", name) for name, _ in parts[part.name].rest}
            assert names <= set(part.arms), (row, part.name)


def test_both_ledgers_are_corrected_together(stored):
    rows = judged(stored)
    second = lab.literature_ledger(stored, rows)
    article = [row.verdict for row in lab.ledger(stored).rows if row.verdict]
    adjusted = adjusted_p([*article, *rows.values()])
    assert {row.paper.claim: row.holm for row in second.rows if row.entry.holds is not None}.items() <= adjusted.items()
    alone = adjusted_p(article)
    beside = {row.claim.id: row.holm for row in lab.ledger(stored, beside=rows.values()).rows if row.claim.id in alone}
    assert all(beside[claim] >= alone[claim] for claim in alone) and beside != alone


def test_the_ledger_records_its_verdicts_and_gives_every_number_a_name(stored):
    second = lab.literature_ledger(stored, judged(stored))
    bundle = second._repr_mimebundle_()
    assert [Verdict.from_json(one).claim for one in bundle[VERDICT]] == [paper.claim for paper in RULES.literature.values()]
    json.dumps(bundle[VERDICT])
    assert {"l1_worth", "l10_on_validation", "l12_flattery"} <= second.estimates().keys()
    assert lab.record(**second.estimates(), headline="l12_flattery")
    for paper in RULES.literature.values():
        assert paper.paper in str(second) and paper.where
    with pytest.raises(ValueError, match="L1, L10"):
        lab.literature_ledger(stored, {})


def test_a_folder_with_some_chapters_is_enough(tmp_path):
    shutil.copy(ROOT / "notebooks" / "13_names_as_labels.ipynb", tmp_path)
    records = course_records(tmp_path, chapter="15")
    prices, rows = price_list(records), judged(records)
    assert {price.chapter for price in prices.prices} == {"13"} and rows["L10"].parts and not rows["L2"].parts
    sheet = lab.figures.poster(prices, lab.literature_ledger(records, rows), title="A title.", caption="A caption.")
    assert "not testable here" in sheet.alt and sheet.png
