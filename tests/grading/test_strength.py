"""Check strength: machine-made wrong answers are refused, what passes is explained, typical mistakes get their names."""

import base64
import json
import zlib
from pathlib import Path

import pytest
from mutants import CHAPTERS, examined, explained, graded_questions, mutants

import fewshot_lab
from fewshot_lab.exercises import get_exercise
from fewshot_lab.grading import submissions
from fewshot_lab.grading.assignment import assignment

pytestmark = pytest.mark.slow
SEED = "mutants"
EVERY = 6  # a short run examines one in six of a question's mutants


@pytest.fixture
def thorough(pytestconfig):
    return pytestconfig.getoption("thorough")


def questions(chapter: str) -> list[str]:
    return [question for of, question in graded_questions() if of == chapter]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_mutant_that_passes_is_a_right_answer_and_explained(chapter, thorough):
    made = [mutant for question in questions(chapter) for mutant in mutants(chapter, question)]
    tried = made if thorough else made[::EVERY]
    passed = [mutant.key for mutant in tried if not examined(mutant, SEED).refused]
    assert [key for key in passed if key not in explained()] == []
    assert len(passed) <= 0.1 * len(tried) + 1, "many mutants are right answers: are the explanations true?"
    if thorough:
        known = {key for key in explained() if key[0] in questions(chapter)}
        assert known == set(passed), "an explanation is left over: its mutant is refused or no longer exists"


def test_at_least_95_of_100_mutants_are_refused_even_when_right_answers_count_as_missed():
    made = [mutant for of, question in graded_questions() for mutant in mutants(of, question)]
    assert len(made) > 2000
    assert sum(mutant.key in explained() for mutant in made) <= 0.05 * len(made)
    assert {key[0] for key in explained()} <= {question for _, question in graded_questions()}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_sandbox_says_the_same_of_mutants(graded, chapter, thorough):
    """One mutant of every question, a right answer where there is one; with --thorough also one from the middle."""
    made = {question: mutants(chapter, question) for question in questions(chapter)}
    right = {question: [mutant for mutant in several if mutant.key in explained()] for question, several in made.items()}
    rounds = [{q: (right[q] or made[q])[0] for q in made}, {q: made[q][len(made[q]) // 2] for q in made}]
    for chosen in rounds if thorough else rounds[:1]:
        result = graded(chapter, SEED, **{question: mutant.source for question, mutant in chosen.items()})
        for mark in [mark for mark in result.marks if mark.grade_id in chosen]:
            expected = not examined(chosen[mark.grade_id], SEED).refused
            assert (mark.status == "passed") == expected, (chosen[mark.grade_id], mark)


# Typical mistakes. Their functions use modules of the course that are not in the sandbox, so an answer carries their text.

CARRIED = """
import base64, importlib.abc, importlib.util, json, sys, zlib

class Carried(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    texts = json.loads(zlib.decompress(base64.b85decode("{texts}")))

    def find_spec(self, name, path=None, target=None):
        if name in self.texts:
            return importlib.util.spec_from_loader(name, self, origin=name, is_package=self.texts[name][1])

    def exec_module(self, module):
        module.__file__ = "/" + module.__name__.replace(".", "/") + ".py"
        exec(compile(self.texts[module.__name__][0], module.__name__, "exec"), module.__dict__)

if "carried" not in sys.modules:
    sys.meta_path.insert(0, Carried())
from {module} import {question} as _task
_{question} = {{mistake.name: mistake.function for mistake in _task.mistakes}}["{mistake}"]

def {question}(*arguments):
    return _{question}(*arguments)
"""
ROOMS = ("__init__.py", "cells.py", "errors.py", "files.py", "html.py", "runtime.py", "languages", "assets", "augment", "data")
ROOMS += ("exercises", "methods", "models", "training")


@pytest.fixture(scope="module")
def texts():
    """The modules that exercises use, as {carried.module: [text, whether it is a package]}, packed."""
    root, modules = Path(fewshot_lab.__file__).parent, {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")) or [root / room]:
            parts = path.relative_to(root).with_suffix("").parts
            package = parts[-1] == "__init__"
            modules[".".join(("carried", *parts[: len(parts) - package]))] = path.read_text(), package
    return base64.b85encode(zlib.compress(json.dumps(modules).encode())).decode()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_typical_mistake_is_named_through_the_sandbox(graded, texts, chapter, thorough, monkeypatch):
    """A submission holds one mistake of every question; a short run tries the first and the last of each."""
    monkeypatch.setattr(submissions, "LARGEST_ANSWER", 2**20)
    known = {question: [mistake.name for mistake in get_exercise(question).mistakes] for question in questions(chapter)}
    if not thorough:
        known = {question: names[:1] + names[1:][-1:] for question, names in known.items()}
    wrong = []
    for i in range(max(map(len, known.values()))):
        made = {question: names[i] for question, names in known.items() if i < len(names)}
        modules = {q: get_exercise(q).reference.__module__.replace("fewshot_lab", "carried") for q in made}
        answers = {q: CARRIED.format(texts=texts, module=modules[q], question=q, mistake=made[q]) for q in made}
        marks = {mark.grade_id: mark for mark in graded(chapter, **answers).marks}
        wrong += [(q, name, marks[q].message) for q, name in made.items() if marks[q].mistake != name or marks[q].score]
    assert wrong == []


@pytest.mark.parametrize("chapter", ["02", "10"])
def test_every_part_of_a_printed_listing_is_refused_with_a_name(graded, chapter):
    marks = graded(chapter, **assignment(chapter).stubs).marks
    parts = [mark for mark in marks if mark.grade_id.startswith("listing_")]
    assert len(parts) == 5 and all(mark.status == "failed" and mark.mistake for mark in parts), parts
