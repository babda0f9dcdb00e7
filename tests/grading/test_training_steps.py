"""Training steps: every right way to write one passes, every wrong one is refused, in the notebook and through the sandbox."""

import linecache
import textwrap

import pytest
import torch
import torch.nn.functional as F

import fewshot_lab as lab
from fewshot_lab.exercises import get_exercise
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.methods.generation import discriminator_loss, generator_loss
from fewshot_lab.methods.tagging import masked_loss

PARAMETERS = {
    "discriminator_step": "generator, discriminator, optimizer, real, labels, noise",
    "generator_step": "generator, discriminator, optimizer, labels, noise",
    "tagger_step": "tagger, optimizer, tokens, labels",
}
GIVEN = {"torch": torch, "F": F, "loss_d": discriminator_loss, "loss_g": generator_loss, "loss": masked_loss}
FAKE = "fake = generator(noise, F.one_hot(labels, generator.classes).float())\n"
CUT = FAKE.rstrip("\n") + ".detach()\n"
SCORED = CUT + "value = loss_d(discriminator(real, labels), discriminator(fake, labels))\n"
ANSWERED = FAKE + "value = loss_g(discriminator(fake, labels))\n"
TAGGED = "value = loss(tagger(tokens), labels)\n"
CLIP = "torch.nn.utils.clip_grad_norm_(tagger.parameters(), 1.0)\n"
BACK = "optimizer.zero_grad()\nvalue.backward()\n"
END = "optimizer.step()\nreturn value.item()"
TAKE = BACK + END

RIGHT = {
    "discriminator_step": {
        "cleared first": "optimizer.zero_grad()\n" + SCORED + "value.backward()\n" + END,
        "no_grad": "with torch.no_grad():\n    " + FAKE + SCORED.removeprefix(CUT) + TAKE,
        "one pass, written out": CUT + "scores = discriminator(torch.cat([real, fake]), torch.cat([labels, labels]))\n"
        "r, f = scores.chunk(2)\nvalue = -F.logsigmoid(r).mean() - F.logsigmoid(-f).mean()\n" + TAKE,
        "binary cross-entropy": CUT + "r, f = discriminator(real, labels), discriminator(fake, labels)\n"
        "b = F.binary_cross_entropy_with_logits\nvalue = b(r, torch.ones_like(r)) + b(f, torch.zeros_like(f))\n" + TAKE,
        "two times backward": "optimizer.zero_grad()\nr = F.softplus(-discriminator(real, labels)).mean()\nr.backward()\n"
        + CUT
        + "f = F.softplus(discriminator(fake, labels)).mean()\nf.backward()\noptimizer.step()\nreturn (r + f).item()",
        "inputs in place of detach": FAKE
        + SCORED.removeprefix(CUT)
        + "optimizer.zero_grad()\nvalue.backward(inputs=list(discriminator.parameters()))\n"
        + END,
        "kept zeros": SCORED + "optimizer.zero_grad(set_to_none=False)\nvalue.backward()\n" + END,
        "both cleared": SCORED + "generator.zero_grad()\ndiscriminator.zero_grad()\nvalue.backward()\n" + END,
        "a tensor": SCORED + BACK + "optimizer.step()\nreturn value.detach()",
        "eye": "fake = generator(noise, torch.eye(generator.classes)[labels]).detach()\n" + SCORED.removeprefix(CUT) + TAKE,
    },
    "generator_step": {
        "cleared first": "optimizer.zero_grad()\n" + ANSWERED + "value.backward()\n" + END,
        "written out": FAKE + "value = -torch.log(discriminator(fake, labels).sigmoid()).mean()\n" + TAKE,
        "binary cross-entropy": FAKE + "s = discriminator(fake, labels)\n"
        "value = F.binary_cross_entropy_with_logits(s, torch.ones_like(s))\n" + TAKE,
        "both cleared": ANSWERED + "generator.zero_grad()\ndiscriminator.zero_grad()\nvalue.backward()\n" + END,
        "the discriminator cleared at the end": ANSWERED
        + BACK
        + "optimizer.step()\ndiscriminator.zero_grad()\nreturn value.item()",
        "frozen for a while": "discriminator.requires_grad_(False)\n"
        + ANSWERED
        + BACK
        + "discriminator.requires_grad_(True)\n"
        + END,
        "its inputs": ANSWERED + "optimizer.zero_grad()\nvalue.backward(inputs=list(generator.parameters()))\n" + END,
        "by hand": ANSWERED + "weights = list(generator.parameters())\n"
        "for weight, g in zip(weights, torch.autograd.grad(value, weights)):\n    weight.grad = g\n" + END,
        "a tensor": ANSWERED + BACK + "optimizer.step()\nreturn value.detach()",
    },
    "tagger_step": {
        "cleared first": "optimizer.zero_grad()\n" + TAGGED + "value.backward()\n" + CLIP + END,
        "ignored by default": "value = F.cross_entropy(tagger(tokens).flatten(0, 1), labels.flatten())\n" + BACK + CLIP + END,
        "a module": "value = torch.nn.CrossEntropyLoss(ignore_index=-100)(tagger(tokens).transpose(1, 2), labels)\n"
        + BACK
        + CLIP
        + END,
        "written out": "kept = labels != -100\nvalue = -tagger(tokens).log_softmax(-1)[kept].gather(1, labels[kept][:, None])\n"
        "value = value.mean()\n" + BACK + CLIP + END,
        "clipped by hand": TAGGED + BACK + "weights = [w for w in tagger.parameters() if w.grad is not None]\n"
        "norm = sum((w.grad**2).sum() for w in weights).sqrt()\n"
        "if norm > 1:\n    for w in weights:\n        w.grad /= norm\n" + END,
        "weights of the optimizer": TAGGED
        + BACK
        + "torch.nn.utils.clip_grad_norm_([w for g in optimizer.param_groups for w in g['params']], 1.0)\n"
        + END,
        "padding cut off": "length = int((tokens != 0).sum(1).max())\n"
        "value = loss(tagger(tokens[:, :length]), labels[:, :length])\n" + BACK + CLIP + END,
        "training mode": "tagger.train()\n" + TAGGED + "tagger.zero_grad(set_to_none=False)\nvalue.backward()\n" + CLIP + END,
        "a tensor": TAGGED + BACK + CLIP + "optimizer.step()\nreturn value.detach()",
    },
}

# The name of the mistake that each shows, or of what is wrong; None where nothing better than "another step" is known.
WRONG = {
    "discriminator_step": {
        "not cut off": ("not_detached", FAKE + SCORED.removeprefix(CUT) + TAKE),
        "never cleared": ("never_cleared", SCORED + "value.backward()\n" + END),
        "cleared at the end": (
            "cleared_after",
            SCORED + "value.backward()\noptimizer.step()\noptimizer.zero_grad()\nreturn value.item()",
        ),
        "the generator cleared": ("never_cleared", SCORED + "generator.zero_grad()\nvalue.backward()\n" + END),
        "cleared too late": ("cleared_too_late", SCORED + "value.backward()\noptimizer.zero_grad()\n" + END),
        "no step": ("not_taken", SCORED + BACK + "return value.item()"),
        "no backward": ("not_propagated", SCORED + "optimizer.zero_grad()\n" + END),
        "two steps": ("another_step", SCORED + BACK + "optimizer.step()\n" + END),
        "sides exchanged": (
            "sides_swapped",
            CUT + "value = loss_d(discriminator(fake, labels), discriminator(real, labels))\n" + TAKE,
        ),
        "believes the fakes": (
            "another_step",
            CUT + "value = loss_g(discriminator(real, labels)) + loss_g(discriminator(fake, labels))\n" + TAKE,
        ),
        "summed and not cut off": (
            "not_detached",
            FAKE + "value = F.softplus(-discriminator(real, labels)).sum() + F.softplus(discriminator(fake, labels)).sum()\n"
            "optimizer.zero_grad()\nvalue.backward()\n" + END,
        ),
        "one mean": (
            "halved",
            CUT + "s = discriminator(torch.cat([real, fake]), labels.repeat(2))\n"
            "sign = torch.ones(len(s))\nsign[:len(real)] = -1\nvalue = F.softplus(sign * s).mean()\n" + TAKE,
        ),
        "noise of its own": ("other_noise", "noise = torch.randn_like(noise)\n" + SCORED + TAKE),
        "other classes": (
            "another_step",
            SCORED.replace("discriminator(fake, labels)", "discriminator(fake, labels * 0)") + TAKE,
        ),
        "evaluation mode": ("evaluation_mode", "generator.eval()\n" + SCORED + TAKE),
        "left in evaluation mode": ("settings_changed", SCORED + TAKE.replace("return", "generator.eval()\nreturn")),
        "with the graph": ("attached", SCORED + BACK + "optimizer.step()\nreturn value"),
        "nothing returned": ("nothing_returned", SCORED + BACK + "optimizer.step()"),
        "weights of the generator": (
            "both_moved",
            SCORED + BACK + "with torch.no_grad():\n    for w in generator.parameters():\n        w -= 0.01\n" + END,
        ),
        "the real images need gradients": ("input_changed", "real.requires_grad_()\n" + SCORED + TAKE),
        "pixels in place": ("input_changed", SCORED + BACK + "real.mul_(2)\n" + END),
    },
    "generator_step": {
        "cut off": ("detached", CUT + ANSWERED.removeprefix(FAKE) + TAKE),
        "never cleared": ("never_cleared", ANSWERED + "value.backward()\n" + END),
        "the discriminator cleared": ("never_cleared", ANSWERED + "discriminator.zero_grad()\nvalue.backward()\n" + END),
        "cleared too late": ("cleared_too_late", ANSWERED + "value.backward()\noptimizer.zero_grad()\n" + END),
        "no step": ("not_taken", ANSWERED + BACK + "return value.item()"),
        "helps the other": (
            "plays_for_the_discriminator",
            FAKE + "value = F.softplus(discriminator(fake, labels)).mean()\n" + TAKE,
        ),
        "saturating": ("saturating", FAKE + "value = torch.log(1 - discriminator(fake, labels).sigmoid()).mean()\n" + TAKE),
        "hinge": ("minus_mean_score", FAKE + "value = -discriminator(fake, labels).mean()\n" + TAKE),
        "summed": ("summed", FAKE + "value = F.softplus(-discriminator(fake, labels)).sum()\n" + TAKE),
        "noise of its own": ("other_noise", "noise = torch.randn(noise.shape)\n" + ANSWERED + TAKE),
        "frozen": ("discriminator_frozen", "discriminator.requires_grad_(False)\n" + ANSWERED + TAKE),
        "evaluation mode": ("evaluation_mode", "discriminator.eval()\n" + ANSWERED + TAKE),
        "both in evaluation mode": ("settings_changed", "generator.eval()\ndiscriminator.eval()\n" + ANSWERED + TAKE),
        "weights of the discriminator": (
            "both_moved",
            ANSWERED
            + BACK
            + "with torch.no_grad():\n    for w in discriminator.parameters():\n        w -= 0.1 * w.grad\n"
            + END,
        ),
        "with the graph": ("attached", ANSWERED + BACK + "optimizer.step()\nreturn value"),
        "a text": ("wrong_type", ANSWERED + BACK + "optimizer.step()\nreturn 'loss'"),
        "the loss afterwards": (
            "loss_after_the_step",
            ANSWERED + BACK + "optimizer.step()\n" + ANSWERED + "return value.item()",
        ),
    },
    "tagger_step": {
        "never cleared": ("never_cleared", TAGGED + "value.backward()\n" + CLIP + END),
        "cleared at the end": (
            "cleared_after",
            TAGGED + "value.backward()\n" + CLIP + "optimizer.step()\noptimizer.zero_grad()\nreturn value.item()",
        ),
        "cleared too late": ("cleared_too_late", TAGGED + "value.backward()\n" + CLIP + "optimizer.zero_grad()\n" + END),
        "no step": ("not_taken", TAGGED + BACK + CLIP + "return value.item()"),
        "not clipped": ("not_clipped", TAGGED + BACK + END),
        "clipped too early": ("not_clipped", TAGGED + "optimizer.zero_grad()\n" + CLIP + "value.backward()\n" + END),
        "clipped too late": ("clipped_too_late", TAGGED + BACK + "optimizer.step()\n" + CLIP + "return value.item()"),
        "clipped by value": ("clipped_by_value", TAGGED + BACK + CLIP.replace("norm", "value") + END),
        "one by one": (
            "clipped_one_by_one",
            TAGGED + BACK + "for w in tagger.parameters():\n    torch.nn.utils.clip_grad_norm_(w, 1.0)\n" + END,
        ),
        "norm 5": ("another_step", TAGGED + BACK + CLIP.replace("1.0", "5.0") + END),
        "always norm 1": (
            "always_norm_1",
            TAGGED + BACK + "weights = [w for w in tagger.parameters() if w.grad is not None]\n"
            "norm = sum((w.grad**2).sum() for w in weights).sqrt()\nfor w in weights:\n    w.grad /= norm\n" + END,
        ),
        "the loss clipped": ("unmoved", TAGGED + "optimizer.zero_grad()\nvalue.clamp(max=1.0).backward()\n" + END),
        "padding is O": (
            "padding_is_o",
            "value = F.cross_entropy(tagger(tokens).flatten(0, 1), labels.clamp(min=0).flatten())\n" + BACK + CLIP + END,
        ),
        "only padding ignored": (
            "another_step",
            "logits = tagger(tokens)\nreal = tokens != 0\n"
            "value = F.cross_entropy(logits[real], labels[real].clamp(min=0))\n" + BACK + CLIP + END,
        ),
        "all pieces divide": (
            "mean_over_all",
            "value = F.cross_entropy(tagger(tokens).flatten(0, 1), labels.flatten(), reduction='none').mean()\n"
            + BACK
            + CLIP
            + END,
        ),
        "labels in place": ("input_changed", TAGGED + BACK + CLIP + "labels[labels == -100] = 0\n" + END),
        "evaluation mode": ("evaluation_mode", "tagger.eval()\n" + TAGGED + BACK + CLIP + END),
        "thawed": ("settings_changed", TAGGED + BACK + CLIP + "tagger.requires_grad_(True)\n" + END),
        "with the graph": ("attached", TAGGED + BACK + CLIP + "optimizer.step()\nreturn value"),
        "nothing returned": ("nothing_returned", TAGGED + BACK + CLIP + "optimizer.step()"),
    },
}


def source(name: str, body: str) -> str:
    return f"def {name}({PARAMETERS[name]}):\n{textwrap.indent(body, '    ')}\n"


def written(name: str, body: str):
    """The answer as a function of a file of its own, with what the notebook's cells above give."""
    path, text, names = f"/answers/{name}.py", source(name, body), dict(GIVEN)
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    exec(compile(text, path, "exec"), names)
    return names[name]


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, ways in RIGHT.items() for way in ways])
def test_every_right_way_passes(name, way):
    feedback = lab.check(written(name, RIGHT[name][way]))
    assert feedback.status == "passed", feedback


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, ways in WRONG.items() for way in ways])
def test_every_wrong_way_is_refused_and_named(name, way):
    mistake, body = WRONG[name][way]
    feedback = lab.check(written(name, body))
    assert (feedback.status, feedback.mistake) == ("failed", mistake), feedback
    assert len(feedback.message) > 20


def test_a_check_leaves_torch_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for name in PARAMETERS:
        lab.check(written(name, next(iter(RIGHT[name].values()))))
    assert torch.equal(torch.rand(3), expected)


def test_an_error_is_explained_by_the_learners_own_line():
    feedback = lab.check(written("generator_step", "fake = generator(noise, labels)\n" + ANSWERED.removeprefix(FAKE) + TAKE))
    assert feedback.status == "failed" and "fake = generator(noise, labels)" in feedback.message


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["08", "10"])
def test_the_sandbox_judges_like_the_notebook(graded, chapter, pytestconfig):
    """All of a chapter's steps in one submission, one variant of each at a time; every third variant in a short run."""
    names = [name for name in PARAMETERS if get_exercise(name).chapter == chapter]
    variants = {
        name: [(None, body) for body in RIGHT[name].values()] + list(WRONG[name].values()) for name in names
    }  # None: no mistake
    assert set(names) <= set(assignment(chapter).solved)
    for row in range(0, max(map(len, variants.values())), 1 if pytestconfig.getoption("thorough") else 3):
        chosen = {name: several[row % len(several)] for name, several in variants.items()}
        result = graded(chapter, **{name: source(name, body) for name, (_, body) in chosen.items()})
        marks = {mark.grade_id: mark for mark in result.marks}
        for name, (mistake, body) in chosen.items():
            status = "failed" if mistake else "passed"
            assert (marks[name].status, marks[name].mistake) == (status, mistake), (body, marks[name])
