"""Training steps: every right way to write one passes, every wrong one is refused, in the notebook and through the sandbox.

The ways and their names are in training_steps.txt.
"""

import ast
import linecache
import textwrap
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fewshot_lab as lab
from fewshot_lab.checking import checks
from fewshot_lab.exercises import exercises, get_exercise, inspectors
from fewshot_lab.methods.contrastive import nt_xent
from fewshot_lab.methods.generation import discriminator_loss, generator_loss
from fewshot_lab.methods.tagging import masked_loss

PARAMETERS = {
    "training_step": "model, optimizer, images, labels, augment",
    "simclr_step": "encoder, optimizer, images, augment, temperature",
    "adversarial_step": "model, optimizer, images, labels, attack",
    "discriminator_step": "generator, discriminator, optimizer, real, labels, noise",
    "generator_step": "generator, discriminator, optimizer, labels, noise",
    "tagger_step": "tagger, optimizer, tokens, labels",
}
GIVEN = {"torch": torch, "np": np, "nn": nn, "F": F}
GIVEN |= {"loss_of": nt_xent, "loss_d": discriminator_loss, "loss_g": generator_loss, "loss": masked_loss}
IMPORTS = "    import numpy as np\n    from torch import nn\n"  # what not every chapter's notebook imports
REST = "optimizer.zero_grad()\nloss.backward()\noptimizer.step()\nreturn loss.item()\n"


class Way(NamedTuple):
    """A step written in some way. said: "right", the name of its mistake, or "-" where it is refused and has no name."""

    name: str
    said: str
    label: str
    source: str


def read() -> list[Way]:
    ways = []
    for entry in Path(__file__).with_name("training_steps.txt").read_text(encoding="utf-8").split("\n== ")[1:]:
        head, _, body = entry.partition("\n")
        name, said = head.partition(":")[0].split()
        body = f"\n{body.strip()}\n".replace("\n...\n", f"\n{REST}")
        ways.append(Way(name, said, head, f"def {name}({PARAMETERS[name]}):\n{textwrap.indent(body.lstrip(), '    ')}"))
    return ways


WAYS = read()
BY_NAME = {name: list(ways) for name, ways in groupby(WAYS, lambda way: way.name)}


def judged(name: str, source: str):
    """The check of an answer in a file of its own, with what the notebook's cells above give."""
    path, names = f"/answers/{name}.py", dict(GIVEN)
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    exec(compile(source, path, "exec"), names)
    return lab.check(names[name])


@pytest.mark.parametrize("way", WAYS, ids=[f"{n} {way.label}" for n, way in enumerate(WAYS)])
def test_every_way_is_judged_and_named(way):
    feedback = judged(way.name, way.source)
    status, mistake = ("passed", None) if way.said == "right" else ("failed", None if way.said == "-" else way.said)
    assert (feedback.status, feedback.mistake) == (status, mistake), feedback
    assert status == "passed" or len(feedback.message) > 20


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_typical_mistake_gets_its_own_name_and_hint(name):
    for mistake in get_exercise(name).mistakes:

        def made(*arguments, mistake=mistake):
            return mistake.function(*arguments)

        made.__name__ = name
        feedback = lab.check(made)
        assert (feedback.mistake, feedback.message) == (mistake.name, mistake.hint)


def test_no_name_of_the_inspectors_is_given_twice():
    """Python keeps the last of two things with one name, and what uses the first one fails."""
    tree = ast.parse(Path(inspectors.__file__).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert sorted(names) == sorted(set(names))


def test_a_check_leaves_torch_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for name, ways in BY_NAME.items():
        judged(name, ways[0].source)
    assert torch.equal(torch.rand(3), expected)


def test_an_error_is_explained_by_the_learners_own_line():
    wrong = "def generator_step(generator, discriminator, optimizer, labels, noise):\n    fake = generator(noise, labels)\n"
    feedback = judged("generator_step", wrong)
    assert feedback.status == "failed" and "fake = generator(noise, labels)" in feedback.message


def test_a_step_that_never_ends_is_waited_for_once(monkeypatch):
    calls = []
    monkeypatch.setattr(checks, "SECONDS_A_CALL", 0.2)

    def simclr_step(encoder, optimizer, images, augment, temperature):
        calls.append(1)
        while True:
            pass

    feedback = lab.check(simclr_step)
    assert feedback.mistake == "never_ends" and "never ends" in feedback.message and len(calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("chapter", sorted({task.chapter for name, task in exercises().items() if name in PARAMETERS}))
def test_the_sandbox_judges_like_the_notebook(graded, chapter, pytestconfig):
    """All of a chapter's steps in one submission, one way of each at a time; some of the ways in a short run."""
    several = {name: ways for name, ways in BY_NAME.items() if get_exercise(name).chapter == chapter}
    for row in range(0, max(map(len, several.values())), 1 if pytestconfig.getoption("thorough") else 16):
        chosen = {name: ways[row % len(ways)] for name, ways in several.items()}
        answers = {name: way.source.replace("):\n", f"):\n{IMPORTS}", 1) for name, way in chosen.items()}
        marks = {mark.grade_id: mark for mark in graded(chapter, **answers).marks}
        for name, way in chosen.items():
            expected = ("passed", None) if way.said == "right" else ("failed", None if way.said == "-" else way.said)
            assert (marks[name].status, marks[name].mistake) == expected, (way, marks[name])
