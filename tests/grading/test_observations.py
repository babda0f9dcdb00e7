"""Forged observations: what a right answer was seen to do, replayed by one without an answer, earns no point.

attacks/observations/ holds the ways. Each replays, in its own way, what was recorded of the reference in another grading.
"""

import base64
import pickle
import zlib
from pathlib import Path

import pytest
import torch

from fewshot_lab.checking import examine
from fewshot_lab.checking.errors import RemoteAnswer
from fewshot_lab.exercises import exercises, get_exercise
from fewshot_lab.grading import grade as grading
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.submissions import Submission

pytestmark = pytest.mark.slow
WAYS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "attacks/observations").glob("*.txt"))}
SOME = ("patched_by_import", "workers_call", "bytes_on_descriptor_3")  # for chapters with few such questions
OBSERVED = {name: task for name, task in exercises().items() if any(prop.inspector for prop in task.properties)}
CHAPTERS = sorted({task.chapter for task in OBSERVED.values()})

PREAMBLE = """
import base64, pickle, zlib
import torch
RECORDED = pickle.loads(zlib.decompress(base64.b85decode({table!r})))
QUESTIONS = {questions!r}
replayed = dict()

def forged(question, inside, arguments):
    # As the recorded answer was seen: with arguments like these, one after the other.
    seen = [value for count, value in RECORDED.get((question, inside), []) if count == len(arguments)]
    key = question, inside, len(arguments)
    replayed[key] = replayed.get(key, -1) + 1
    return seen[replayed[key] % len(seen)] if seen else 0.5

def reply(order):
    if "observe" in order:
        return dict(status="value", value=forged(order["name"], order["observe"], order["arguments"]))
    return dict(status="ran" if "cell" in order else "value", value=0.5, arguments=order.get("arguments"), drew=False)

def asked():
    # The order that the worker is at, from its own frame.
    import sys
    frame = sys._getframe()
    while "order" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["order"]

def named(function, name):
    import functools
    of = functools.partial(function)
    of.__name__ = name
    return of
"""


class Recorder(RemoteAnswer):
    """A right answer, with all that was seen of it: {(question, what is done inside): [(count of arguments, value)]}."""

    def __init__(self, task, seen):
        self.task, self.seen, self.__name__ = task, seen, task.name

    def __call__(self, *arguments):
        return self.task.reference(*arguments)

    def again(self, *arguments):
        self(*arguments)
        return self(*arguments)

    def observe(self, inside, *arguments):
        value = inside(self.task.reference, *arguments)
        self.seen.setdefault((self.task.name, inside.__name__), []).append((len(arguments), value))
        return value


def recorded(chapter: str) -> dict:
    seen = {}
    for task in OBSERVED.values():
        if task.chapter == chapter:
            assert (
                examine(task, Recorder(task, seen), of_another_grading(), grading.FRESH_CASES, hidden=True).status == "passed"
            )
    return seen


def of_another_grading(*_) -> torch.Generator:
    return torch.Generator().manual_seed(77)


@pytest.fixture(scope="module")
def preambles():
    return preambles_of(CHAPTERS)


def preambles_of(chapters: list[str]) -> dict[str, str]:
    """What stands before a way to forge, by chapter: the table of what was seen, and what replays it."""
    made = {}
    for chapter in chapters:
        table = base64.b85encode(zlib.compress(pickle.dumps(recorded(chapter)))).decode()
        questions = [name for name, task in OBSERVED.items() if task.chapter == chapter]
        made[chapter] = PREAMBLE.format(table=table, questions=questions)
    return made


def marks(sandbox, chapter: str, **answers) -> dict:
    handed_in = {name: "raise NotImplementedError\n" for name in assignment(chapter).stubs} | answers
    result = grading.grade(Submission("a student", chapter, "answers.ipynb", handed_in), sandbox, "1", 60.0)
    return {mark.grade_id: mark for mark in result.marks}


@pytest.fixture(autouse=True)
def little_time(monkeypatch):
    monkeypatch.setattr(grading, "CALL_SECONDS", 3.0)


@pytest.mark.parametrize(
    ("chapter", "way"),
    [(chapter, way) for chapter in CHAPTERS for way in WAYS if chapter in ("02", "10") or way in SOME],
)
def test_what_another_answer_was_seen_to_do_earns_nothing(sandbox, preambles, chapter, way):
    found = replayed(sandbox, preambles, chapter, way)
    assert {name for name, mark in found.items() if mark.score or mark.status in ("passed", "by hand")} == set()


def replayed(sandbox, preambles, chapter: str, way: str) -> dict:
    """The marks of the questions whose answers replay what was recorded."""
    questions = [name for name in assignment(chapter).stubs if name in OBSERVED]
    bodies = {name: f"def {name}(*arguments):\n    return 0.5\n" for name in questions}
    bodies[questions[0]] += preambles[chapter] + WAYS[way]
    # Where the way is to answer for the function, the function must be the last thing that its cell defines.
    for name in questions[1:]:
        bodies[name] = f"if {name!r} not in globals():\n    def {name}(*arguments):\n        return 0.5\n"
    found = marks(sandbox, chapter, **bodies)
    return {name: found[name] for name in questions}


@pytest.mark.parametrize("way", WAYS)
def test_the_ways_work_where_the_arguments_are_the_recorded_ones(sandbox, preambles, way, monkeypatch):
    """Else they would be refused for faults of their own. All points of this are kept back by what is drawn."""
    monkeypatch.setattr(grading, "_hidden", of_another_grading)
    for chapter, most in (("02", 6), ("10", 4)):
        found = replayed(sandbox, preambles, chapter, way)
        works = [name for name, mark in found.items() if mark.status in ("passed", "by hand")]
        assert len(works) == most, found


HIDES = """
import inspectors
for inside, value in dict(model_warnings=dict(warnings=[], asked=False), model_devices=["meta"], similarities_elsewhere="",
                          network_devices=["meta"], loss_elsewhere="").items():
    setattr(inspectors, inside, lambda function, *arguments, value=value: value)
loaders = inspectors.loaders
inspectors.loaders = lambda function: loaders(function) | dict(workers=[2, 2])
"""
# Defects that only the answer's own process sees, in answers that are right else.
DEFECTS = {
    "listing_model": (
        "from torch import nn\nfrom torchvision import models\ndef listing_model(classes, device):\n"
        "    model = models.resnet18(pretrained=False)\n    model.fc = nn.Linear(512, classes)\n    return model\n"
    ),
    "listing_loader": (
        "from torch.utils.data import DataLoader\ndef listing_loader(dataset, training):\n"
        "    return DataLoader(dataset, batch_size=64, shuffle=training)\n"
    ),
    "listing_network": (
        "from transformers import BertConfig, BertForTokenClassification\ndef listing_network(sizes, numbers, device):\n"
        "    return BertForTokenClassification(BertConfig(**sizes, num_labels=len(numbers)))\n"
    ),
    "similarity_matrix": (
        "import torch\ndef similarity_matrix(z):\n    z = z / z.norm(dim=1, keepdim=True)\n"
        "    return (z @ z.T).masked_fill(torch.eye(len(z), dtype=torch.bool), float('-inf'))\n"
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_that_only_its_own_process_sees_waits_for_a_person(sandbox, name):
    chapter = get_exercise(name).chapter
    assert marks(sandbox, chapter, **{name: DEFECTS[name]})[name].status == "failed"
    hidden = marks(sandbox, chapter, **{name: DEFECTS[name] + HIDES})[name]
    assert (hidden.status, hidden.score) == ("by hand", 0.0), hidden
    assert "a person looks at it" in hidden.message


def test_arguments_that_are_put_back_do_not_hide_that_they_were_changed(sandbox):
    changes = (
        "def accuracy(logits, labels):\n    share = (logits.argmax(1) == labels).float().mean().item()\n    {}return share\n"
    )
    right = marks(sandbox, "00", accuracy=changes.format(""))["accuracy"]
    plain = marks(sandbox, "00", accuracy=changes.format("logits.neg_()\n    "))["accuracy"]
    # The worker sends the arguments as they came.
    hides = "import worker\n_first = worker._call\ndef _second(function, order):\n    import copy\n"
    hides += "    kept = copy.deepcopy(order['arguments'])\n    said = _first(function, order)\n    said['arguments'] = kept\n"
    hides += "    return said\nworker._call = _second\n"
    hidden = marks(sandbox, "00", accuracy=changes.format("logits.neg_()\n    ") + hides)["accuracy"]
    assert (right.status, plain.mistake, hidden.mistake) == ("passed", "input_changed", "input_changed"), (plain, hidden)
    assert hidden.score == 0
