"""Answers to the exercises about training: every right way to write a step or a split passes, and wrong ones get their name."""

import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fewshot_lab as lab

STEP = """
optimizer.zero_grad()
loss = F.cross_entropy(model(augment(images)), labels)
loss.backward()
optimizer.step()
return loss.item()
"""
SPLIT = """
train, validate = [], []
for label in labels.unique():
    rows = (labels == label).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=generator)]
    validate.append(rows[:per_class])
    train.append(rows[per_class:])
return torch.cat(train), torch.cat(validate)
"""


def written(name: str, parameters: str, body: str):
    names = {"torch": torch, "F": F, "nn": nn, "np": np}
    exec(f"def {name}({parameters}):\n{textwrap.indent(body, '    ')}", names)
    return names[name]


def step(body: str):
    return written("training_step", "model, optimizer, images, labels, augment", body)


def split(body: str):
    return written("validation_split", "labels, per_class, generator", body)


RIGHT_STEPS = {
    "written out, weights cleared one by one, a tensor without graph": """
        for weight in model.parameters():
            weight.grad = None
        logits = model(augment(images.clone()))
        loss = -torch.log_softmax(logits, dim=1)[torch.arange(len(labels)), labels].mean()
        loss.backward()
        optimizer.step()
        return loss.detach()""",
    "cleared after the forward pass, to zero, in training mode once more": """
        model.train()
        loss = nn.CrossEntropyLoss(reduction="sum")(model(augment(images)), labels) / len(images)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        return np.float32(loss.item())""",
    "a closure": """
        images = augment(images)
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            return loss
        return optimizer.step(closure).item()""",
    "gradients from autograd, the batch in another order": """
        order = torch.randperm(len(labels))
        with torch.no_grad():
            images = augment(images)
        weights = list(model.parameters())
        loss = F.nll_loss(model(images[order]).log_softmax(1), labels[order])
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            weight.grad = gradient
        optimizer.step()
        optimizer.zero_grad()
        return loss.tolist()""",
}


@pytest.mark.parametrize("body", RIGHT_STEPS.values(), ids=RIGHT_STEPS)
def test_a_right_step_passes_however_it_is_written(body):
    feedback = lab.check(step(textwrap.dedent(body)))
    assert feedback.status == "passed", feedback


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("augment(images)", "images", "nothing_augmented"),
        ("optimizer.zero_grad()", "", "gradients_added"),
        ("optimizer.step()", "model.zero_grad()\noptimizer.step()", "no_gradients_at_the_step"),
        ("loss.backward()", "", "no_gradients_at_the_step"),
        ("loss.backward()\noptimizer.step()", "optimizer.step()\nloss.backward()", "step_missing"),
        ("optimizer.zero_grad()", "model.eval()\noptimizer.zero_grad()", "in_evaluation_mode"),
        ("loss.item()", "loss", "loss_with_graph"),
        ("return loss.item()", "loss.item()", "nothing_returned"),
        ("loss.item()", "str(loss.item())", "wrong_type"),
        ("loss.item()", "F.cross_entropy(model(images), labels).item()", "another_batch"),
        ("loss.item()", "round(loss.item(), 2)", "another_number"),
        ("optimizer.step()", "optimizer.step()\noptimizer.step()", "other_gradients"),
        ("labels)", "labels, label_smoothing=0.1)", "other_gradients"),
        (
            "optimizer.step()",
            "with torch.no_grad():\n    for weight in model.parameters():\n        weight -= 0.05 * weight.grad",
            "another_optimizer",
        ),
        ("optimizer.zero_grad()", "model.first.requires_grad_(False)\noptimizer.zero_grad()", "other_gradients"),
        (
            "optimizer.zero_grad()",
            "images += 1\nimages -= 1\nimages.requires_grad_()\noptimizer.zero_grad()",
            "arguments_changed",
        ),
        ("loss = ", "with torch.no_grad():\n    loss = ", "stops_with_error"),
    ],
)
def test_a_wrong_step_is_refused_with_a_name(old, new, mistake):
    assert old in STEP
    feedback = lab.check(step(STEP.replace(old, new, 1)))
    assert feedback.status == "failed" and feedback.mistake == mistake, feedback


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
    "tuples": SPLIT.replace("return torch.cat(train), torch.cat(validate)", "")
    + "return tuple(torch.cat(train).tolist()), tuple(torch.cat(validate).tolist())",
}


@pytest.mark.parametrize("body", RIGHT_SPLITS.values(), ids=RIGHT_SPLITS)
def test_a_right_split_passes_however_it_is_written(body):
    feedback = lab.check(split(textwrap.dedent(body)))
    assert feedback.status == "passed", feedback


SHUFFLED = "rows = rows[torch.randperm(len(rows), generator=generator)]"
BOTH = "torch.cat(train), torch.cat(validate)"


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
