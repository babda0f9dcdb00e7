"""What comes back from an answer is bounded before it reaches the grader, its texts and the answers of others."""

import resource
import time

import pytest
import torch

from fewshot_lab.exercises import exercises
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.assignment import assignment

pytestmark = pytest.mark.slow


def contents():
    """The values of everything in the exercises' modules that a law could hand to an answer."""
    import sys

    modules = {prop.fails.__module__ for task in exercises().values() for prop in task.properties}
    kinds = (torch.Tensor, list, dict, set)
    return {
        (module, name): repr(value)
        for module in sorted(modules)
        for name, value in vars(sys.modules[module]).items()
        if isinstance(value, kinds) and not name.startswith("__")
    }


SPOILS = {
    "draw_episode": ("05", "    labels[:] = -1\n"),
    "entity_spans": ("10", "    tags[:] = ['O'] * len(tags)\n"),
    "similarity_matrix": ("04", "    z.zero_()\n"),
}


def spoilt(name: str) -> str:
    """The solved answer, which first writes into its argument."""
    chapter, spoils = SPOILS[name]
    head, _, body = assignment(chapter).solved[name].partition(':\n    """')
    text = head + ":\n" + spoils + '    """' + body
    assert spoils in text
    return text


def grown() -> str:
    """A rotation matrix that is right where cases are compared, and of a size that a law multiplies to gigabytes after them."""
    cases = len(exercises()["rotation_matrix"].cases) + grading.FRESH_CASES
    text = "\n\ncalls = []\nright = rotation_matrix\ndef rotation_matrix(theta):\n    calls.append(theta)\n"
    text += f"    if len(calls) <= {cases}:\n        return right(theta)\n"
    text += "    return torch.ones((60000, 1) if len(calls) % 2 else (1, 60000))\n"
    return assignment("01").solved["rotation_matrix"] + text


EMOJI = "def demonstration_prompt(*a):\n    return '\\U0001f600' * 3_000_000\n"


def answers() -> dict[str, tuple[str, str, str]]:
    """The hostile results of this file: {in words: (chapter, question, source)}."""
    made = {
        f"Writes into the argument of `{name}`, which others get too.": (SPOILS[name][0], name, spoilt(name)) for name in SPOILS
    }
    made["Returns columns that a law multiplies to gigabytes."] = ("01", "rotation_matrix", grown())
    made["Returns megabytes of emoji."] = ("09", "demonstration_prompt", EMOJI)
    return made


@pytest.mark.parametrize("name", SPOILS)
def test_a_hostile_result_spoils_no_other(graded, name):
    before, chapter = contents(), SPOILS[name][0]
    graded(chapter, **{name: spoilt(name)})
    assert contents() == before
    whole = graded(chapter)
    assert [mark.grade_id for mark in whole.marks if mark.status not in ("passed", "by hand")] == []


def test_the_learners_own_check_is_not_spoilt_either():
    from fewshot_lab.checking import check

    before = contents()
    namespace = {"torch": torch}
    head, _, body = assignment("05").solved["draw_episode"].partition(':\n    """')
    exec(head + ':\n    labels[:] = -1\n    """' + body, namespace)
    assert check(namespace["draw_episode"]).status == "failed"
    assert contents() == before


def test_a_result_that_a_law_would_multiply_to_gigabytes_is_stopped(graded):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mark = {mark.grade_id: mark for mark in graded("01", rotation_matrix=grown()).marks}
    assert mark["rotation_matrix"].score == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2.5 * 2**20  # KiB
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY, "the limit is gone afterwards"


def test_the_graders_own_time_is_bounded():
    with pytest.raises(grading.Ended), grading._bounded(0.2, 2**30):
        started = time.process_time()
        while time.process_time() - started < 5:
            pass


def test_megabytes_of_text_do_not_reach_a_mark(graded):
    mark = {mark.grade_id: mark for mark in graded("09", demonstration_prompt=EMOJI).marks}["demonstration_prompt"]
    assert mark.score == 0 and len(mark.message) + sum(map(len, mark.details)) < 20_000
