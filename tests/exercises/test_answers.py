"""Answers that reviewers wrote, right and wrong: each is judged as they judged it. FEWSHOT_LAB_ANSWERS names their file."""

import collections
import os
from pathlib import Path

import pytest
from answers import judge, prepare, read

from fewshot_lab.exercises import exercises

FILE = os.environ.get("FEWSHOT_LAB_ANSWERS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILE, reason="FEWSHOT_LAB_ANSWERS names no file of answers"),
]
# What a label says and the check does not, with the reason.
DISAGREE = {
    ("00", "interval", "bayes_mvs"): "two values have an interval by Student's t; scipy's is infinite there",
    ("02", "listing_evaluate", "divide by len(loader.dataset) (breaks for lists)"): "another label calls this idiom right",
    ("03", "flip_rate", "tensors to binomtest (error)"): "scipy takes the tensors and the result is right",
    ("04", "nearest_labels", "labels int32 result"): "the cell holds four answers, of which the last never ends",
    (
        "10",
        "loss_of_labelled",
        "loop",
    ): "its 0 for a batch without a label has no gradient, for which another label calls one wrong",
}


@pytest.fixture(scope="module")
def judged():
    prepare()
    answers = [one for one in read(Path(FILE)) if one["exercise"] in exercises()]  # without exercises that were replaced
    return {one.key: one for one in map(judge, answers)}


@pytest.mark.timeout(900)
def test_every_answer_is_judged_as_reviewers_judged_it(judged):
    assert [(key, one.status, one.text) for key, one in judged.items() if not one.agrees and key not in DISAGREE] == []
    assert [key for key in DISAGREE if judged[key].agrees] == [], "no disagreement is left over"


@pytest.mark.timeout(900)
def test_most_wrong_answers_of_every_chapter_have_a_name(judged):
    named = collections.defaultdict(list)
    for key, one in judged.items():
        if not one.answer["right"] and key not in DISAGREE:
            named[one.answer["chapter"]].append(one.mistake is not None)
    assert {chapter: sum(those) / len(those) for chapter, those in named.items() if sum(those) < 0.8 * len(those)} == {}


@pytest.mark.timeout(900)
def test_a_check_ends_soon(judged):
    slow = {key: one.seconds for key, one in judged.items() if one.seconds > (15 if "TimeoutError" in one.text else 5)}
    assert slow == {}
