"""Exercises on one training step: every right way to write it passes, every wrong one is refused, with its name."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fewshot_lab as lab
from fewshot_lab.checking import checks
from fewshot_lab.methods.contrastive import nt_xent

SIMCLR = """
def simclr_step(encoder, optimizer, images, augment, temperature):
    views = torch.cat([augment(images), augment(images)])
    loss = loss_of(encoder(views), temperature)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
"""
ADVERSARIAL = """
def adversarial_step(model, optimizer, images, labels, attack):
    x = attack(model, images, labels).detach()
    loss = F.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
"""
CLEAR, STEP, TOLD = "    optimizer.zero_grad()\n", "    optimizer.step()\n", "loss.item()"
VIEWS = "torch.cat([augment(images), augment(images)])"
ATTACK = "attack(model, images, labels)"
GIVEN = "for w, g in zip(held, torch.autograd.grad(loss, held)):\n        w.grad = g"
HELD = 'held = [w for group in optimizer.param_groups for w in group["params"]]\n    ' + GIVEN
CLOSURE = """
    def again():
        optimizer.zero_grad()
        loss = {loss}
        loss.backward()
        return loss
    loss = optimizer.step(again)
"""
OF_VIEWS, OF_ATTACKED = "loss_of(encoder(views), temperature)", "F.cross_entropy(model(x), labels)"
REST = f"{CLEAR}    loss.backward()\n{STEP}"


def judged(text, *edits):
    """The check of an answer after these edits, (old, new), each of which must change it."""
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    names = {"torch": torch, "nn": nn, "F": F, "loss_of": nt_xent}
    exec(text, names)
    return lab.check(names["simclr_step" if "simclr_step" in names else "adversarial_step"])


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        (SIMCLR, [(CLEAR, ""), ("    views", f"{CLEAR}    views")]),
        (SIMCLR, [("zero_grad()", "zero_grad(set_to_none=False)"), (TOLD, "loss.detach()")]),
        (SIMCLR, [(VIEWS, "augment(images.repeat(2, 1, 1, 1))"), ("optimizer.zero", "encoder.zero")]),
        (SIMCLR, [("encoder(views)", "torch.cat([encoder(half) for half in views.chunk(2)])"), (TOLD, "float(loss)")]),
        (SIMCLR, [(VIEWS, "torch.cat([augment(one[None]) for _ in range(2) for one in images])")]),
        (SIMCLR, [("loss.backward()", HELD), (CLEAR, "")]),
        (SIMCLR, [(f"    loss = {OF_VIEWS}\n{REST}", CLOSURE.format(loss=OF_VIEWS))]),
        (ADVERSARIAL, [(CLEAR, CLEAR.replace("optimizer", "model")), (TOLD, "loss.detach().numpy()")]),
        (ADVERSARIAL, [("F.cross_entropy(", "nn.CrossEntropyLoss()("), (".detach()", ".detach().clone()")]),
        (ADVERSARIAL, [("F.cross_entropy(model(x), labels)", "-model(x).log_softmax(1)[range(len(x)), labels].mean()")]),
        (ADVERSARIAL, [("    x", "    model.eval()\n    x"), ("    loss = F", "    model.train()\n    loss = F")]),
        (ADVERSARIAL, [(ATTACK, "attack(__import__('copy').deepcopy(model), images.clone(), labels)")]),
        (ADVERSARIAL, [("    loss = F", "    clean = model(images)\n    loss = F"), (".detach()", ".data")]),
        (ADVERSARIAL, [(f"    loss = {OF_ATTACKED}\n{REST}", CLOSURE.format(loss=OF_ATTACKED))]),
    ],
)
def test_every_right_way_to_write_a_step_passes(text, edits):
    feedback = judged(text, *edits)
    assert feedback.status == "passed", feedback


@pytest.mark.parametrize(
    ("text", "edits", "mistake"),
    [
        (SIMCLR, [(VIEWS, "torch.cat([images, images])")], "number_of_views"),
        (SIMCLR, [(VIEWS, "augment(images).repeat(2, 1, 1, 1)")], "same_view_twice"),
        (SIMCLR, [(VIEWS, "augment(images.repeat_interleave(2, dim=0))")], "views_side_by_side"),
        (SIMCLR, [(CLEAR, ""), (STEP, f"{STEP}{CLEAR}")], "gradients_not_cleared"),
        (SIMCLR, [(CLEAR, ""), (STEP, f"{CLEAR}{STEP}")], "no_step"),
        (SIMCLR, [(STEP, "")], "no_step"),
        (SIMCLR, [("encoder(views)", "encoder.eval()(views)"), (STEP, f"{STEP}    encoder.train()\n")], "evaluation_mode"),
        (SIMCLR, [(STEP, f"{STEP}    encoder.eval()\n")], "settings_changed"),
        (SIMCLR, [(TOLD, "loss")], "graph_kept"),
        (SIMCLR, [("    return loss.item()\n", "")], "nothing_returned"),
        (SIMCLR, [("    views", "    torch.manual_seed(0)\n    views")], "reseeded"),
        (SIMCLR, [("temperature)\n    opt", "0.5)\n    opt")], "always_half"),
        (SIMCLR, [("    views", "    optimizer = torch.optim.AdamW(encoder.parameters())\n    views")], "other_weights_moved"),
        (SIMCLR, [(STEP, f"    nn.utils.clip_grad_norm_(encoder.parameters(), 0.1)\n{STEP}")], None),
        (ADVERSARIAL, [(ATTACK, "images")], "clean_images"),
        (ADVERSARIAL, [(CLEAR, ""), ("    x", f"{CLEAR}    x"), (".detach()", "")], "attack_in_the_step"),
        (ADVERSARIAL, [(CLEAR, ""), ("    x", f"{CLEAR}    x")], "cleared_before_the_attack"),
        (ADVERSARIAL, [(".detach()", "")], "graph_of_the_attack"),
        (ADVERSARIAL, [(CLEAR, "")], "gradients_not_cleared"),
        (ADVERSARIAL, [("images, labels)", "images, model(images).argmax(1))")], "another_batch_attacked"),
        (ADVERSARIAL, [("    loss = F", "    images.copy_(x)\n    loss = F")], "input_changed"),
        (ADVERSARIAL, [("labels)\n    opt", 'labels, reduction="sum")\n    opt'), (TOLD, "loss.item() / len(x)")], "summed"),
        (ADVERSARIAL, [(STEP, f"{STEP}    optimizer.param_groups[0]['lr'] /= 2\n")], "settings_changed"),
    ],
)
def test_every_wrong_step_is_refused_with_its_name(text, edits, mistake):
    feedback = judged(text, *edits)
    assert feedback.status == "failed" and feedback.mistake == mistake, feedback


def test_a_step_that_never_ends_is_waited_for_once(monkeypatch):
    calls = []
    monkeypatch.setattr(checks, "SECONDS_A_CALL", 0.2)

    def simclr_step(encoder, optimizer, images, augment, temperature):
        calls.append(1)
        while True:
            pass

    feedback = lab.check(simclr_step)
    assert feedback.mistake == "never_ends" and "never ends" in feedback.message and len(calls) == 1
