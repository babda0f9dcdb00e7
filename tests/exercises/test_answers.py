"""Answers as learners write them, right and wrong: each is judged as its line says, and most wrong ones get a name.

answers/ holds those of each chapter; FEWSHOT_LAB_ANSWERS may name a file of more.
"""

import collections
import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from answers import judge, prepare, read

from fewshot_lab.exercises import exercises

OWN = sorted(Path(__file__).with_name("answers").glob("*.jsonl"))
FILES = OWN + [Path(name) for name in [os.environ.get("FEWSHOT_LAB_ANSWERS")] if name]
# A file's answers are judged once, so all that is asked of them is asked by the same worker.
each_file = pytest.mark.parametrize(
    "file", [pytest.param(file, marks=pytest.mark.xdist_group(f"answers {file.stem}"), id=file.stem) for file in FILES]
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMED = 0.8  # the share of a chapter's wrong answers
# What a label of the file that FEWSHOT_LAB_ANSWERS names says and the check does not, with the reason. Labels of the course's
# own answers are mended instead.
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


@functools.cache
def judged(file: Path) -> dict:
    answers = [one for one in read(file) if one["exercise"] in exercises()]  # without exercises that were replaced
    # Autograd forbids a backward pass in a child of a process that has made one, as this worker may have in an earlier test.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=prepare) as fresh:
        return {one.key: one for one in fresh.map(judge, answers)}


@each_file
def test_every_answer_is_judged_as_its_line_says(file):
    assert [(key, one.status, one.text) for key, one in judged(file).items() if not one.agrees and key not in DISAGREE] == []
    if file not in OWN:
        assert [key for key in DISAGREE if judged(file)[key].agrees] == [], "no disagreement is left over"


def test_no_disagreement_excuses_one_of_the_courses_own_answers():
    own = {(answer["chapter"], answer["exercise"], answer["label"]) for file in OWN for answer in read(file)}
    assert own.isdisjoint(DISAGREE)


@each_file
def test_most_wrong_answers_of_every_chapter_have_a_name(file):
    named = collections.defaultdict(list)
    for key, one in judged(file).items():
        if not one.answer["right"] and key not in DISAGREE:
            named[one.answer["chapter"]].append(one.mistake is not None)
    shares = {chapter: sum(those) / len(those) for chapter, those in named.items()}
    assert {chapter: share for chapter, share in shares.items() if share < NAMED} == {}


@each_file
def test_a_check_ends_soon(file):
    slow = {key: one.seconds for key, one in judged(file).items() if one.seconds > (15 if "TimeoutError" in one.text else 5)}
    assert slow == {}


def test_every_exercise_has_right_and_wrong_answers():
    kinds = collections.defaultdict(set)
    for file in FILES:
        for answer in read(file):
            kinds[answer["exercise"]].add(answer["right"])
    assert {name for name in exercises() if kinds[name] != {True, False}} == set()
