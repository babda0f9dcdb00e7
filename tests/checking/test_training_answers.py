"""Answers to exercises beside a training step: every right way to write them passes, and wrong ones get their name."""

import ast
import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fewshot_lab as lab
from fewshot_lab.exercises import exercises
from fewshot_lab.grading.assignment import assignment


def written(name: str, parameters: str, body: str):
    names = {"torch": torch, "F": F, "nn": nn, "np": np}
    exec(f"def {name}({parameters}):\n{textwrap.indent(body, '    ')}", names)
    return names[name]


def solution(name: str) -> str:
    """The body of the course's own solution."""
    cell = assignment(exercises()[name].chapter).solved[name]
    [function] = ast.parse(cell).body
    lines = cell.splitlines()[function.body[1].lineno - 1 :]  # after the docstring
    return textwrap.dedent("\n".join(line for line in lines if not line.strip().startswith("#")))


SPLIT = solution("validation_split")
RETURNED = "return torch.cat(train), torch.cat(validate)"
assert SPLIT.count(RETURNED) == 1, "what some answers below replace"


def split(body: str):
    return written("validation_split", "labels, per_class, generator", body)


RIGHT_SPLITS = {
    "one order of all rows, in lists": """
        left, train, validate = {}, [], []
        for row in torch.randperm(len(labels), generator=generator).tolist():
            label = int(labels[row])
            left[label] = left.get(label, 0) + 1
            (validate if left[label] <= per_class else train).append(row)
        return train, validate""",
    "a mask, rising rows": """
        mask = torch.zeros(len(labels), dtype=torch.bool)
        for label in range(int(labels.max()) + 1):
            rows = torch.where(labels == label)[0]
            mask[rows[torch.rand(len(rows), generator=generator).argsort()[:per_class]]] = True
        return torch.where(~mask)[0].int(), torch.where(mask)[0].int()""",
    "multinomial, NumPy arrays in a list": """
        validate = []
        for label in sorted(set(labels.tolist())):
            rows = (labels == label).nonzero().squeeze(1)
            validate += rows[torch.multinomial(torch.ones(len(rows)), per_class, generator=generator)].tolist()
        return [np.array([row for row in range(len(labels)) if row not in validate]), np.array(validate)]""",
    "tuples": SPLIT.replace(RETURNED, "return tuple(torch.cat(train).tolist()), tuple(torch.cat(validate).tolist())"),
}


@pytest.mark.parametrize("body", RIGHT_SPLITS.values(), ids=RIGHT_SPLITS)
def test_a_right_split_passes_however_it_is_written(body):
    feedback = lab.check(split(textwrap.dedent(body)))
    assert feedback.status == "passed", feedback


SHUFFLED = "rows = rows[torch.randperm(len(rows), generator=generator)]"
BOTH = RETURNED.removeprefix("return ")


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        (", generator=generator", "", "global_generator"),
        ("torch.randperm(len(rows), generator=generator)", "np.random.permutation(len(rows))", "generator_not_used"),
        (SHUFFLED, "pass", "not_random"),
        (SHUFFLED, "generator.manual_seed(0)\n    " + SHUFFLED, "not_random"),
        (SHUFFLED, "rows = rows.roll(int(torch.randint(len(rows), (1,), generator=generator)))", "few_choices"),
        (BOTH, "torch.cat(validate), torch.cat(train)", "order_swapped"),
        ("rows[per_class:]", "rows", "all_rows_train"),
        ("rows[per_class:]", "rows[per_class - 1:]", "rows_in_both"),
        ("rows[per_class:]", "rows[per_class + 1:]", "rows_left_out"),
        (":per_class]", ":per_class + 1]", "rows_in_both"),
        ("labels.unique()", "range(len(labels.unique()))", "classes_missed"),
        ("labels.unique()", "range(labels.max())", "classes_missed"),
        (
            "rows = (labels == label).nonzero()[:, 0]",
            "rows = torch.arange(int((labels == label).sum()))",
            "places_in_the_class",
        ),
        (BOTH, "labels[torch.cat(train)], labels[torch.cat(validate)]", "labels_returned"),
        (BOTH, "torch.cat(train).float(), torch.cat(validate).float()", "floats_returned"),
        (BOTH, "train, validate", "wrong_type"),
        (BOTH, "torch.cat(train) + 1, torch.cat(validate) + 1", "no_such_row"),
        ("train.append(rows[per_class:])", "train.append(rows[per_class:])\n    labels[rows] = label + 50", "input_changed"),
    ],
)
def test_a_wrong_split_is_refused_with_a_name(old, new, mistake):
    assert old in SPLIT
    feedback = lab.check(split(SPLIT.replace(old, new, 1)))
    assert feedback.status == "failed" and feedback.mistake == mistake, feedback


@pytest.mark.parametrize(
    ("mistake", "body"),
    [
        ("not_per_class", "count = per_class * len(labels.unique())"),
        ("per_class_of_all", "count = per_class"),
        ("another_count", "count = len(labels) // 2"),
    ],
)
def test_a_split_of_all_classes_together_is_refused(mistake, body):
    order = "\norder = torch.randperm(len(labels), generator=generator)\nreturn order[count:], order[:count]"
    feedback = lab.check(split(body + order))
    assert feedback.status == "failed" and feedback.mistake == mistake, feedback


@pytest.mark.parametrize(
    "body",
    [
        "near = F.cosine_similarity(before[:, None], names[None], dim=-1).argmax(1)\n"
        "return (near == F.cosine_similarity(after[:, None], names[None], dim=-1).argmax(1)).double().mean()",
        "before, after, names = (x.numpy() for x in (before, after, names))\n"
        "names = names / np.linalg.norm(names, axis=1, keepdims=True)\n"
        "return np.mean((before @ names.T).argmax(1) == (after @ names.T).argmax(1))",
        "before, after, names = (x / x.norm(dim=1, keepdim=True) for x in (before, after, names))\n"
        "return (torch.cdist(before, names).argmin(1) == torch.cdist(after, names).argmin(1)).float().mean().item()",
    ],
)
def test_a_right_share_of_kept_meanings_passes(body):
    feedback = lab.check(written("meaning_kept", "before, after, names", body))
    assert feedback.status == "passed", feedback
