"""Chapter 10: one training step of the tagger, judged by what it does to the weights."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.tagging import IGNORED, masked_loss
from . import inspectors
from .declare import exercise
from .judged_steps import alike, declare_common_mistakes, named, observed, wrong_losses

LONGEST = 1.0  # the norm to which the gradients are clipped, all weights together


@exercise(
    "A training step of the tagger",
    idea="Every training step is the same: logits, loss, gradients, a change of the weights. Here the loss counts labelled "
    "pieces alone, and a gradient that is too long is shortened, so that one odd batch cannot throw the weights far away.",
    steps=(
        "Hand the pieces to the tagger; it gives each a row of logits, one per tag.",
        "Take the mean cross-entropy of the pieces whose label is not -100.",
        "Clear old gradients, then propagate the loss backwards.",
        "Clip the norm of all gradients taken together, while they are there and before they are used.",
        "Let the optimizer take one step, and return the number that the loss had.",
    ),
)
def tagger_step(tagger, optimizer, tokens, labels):
    return _take(optimizer, masked_loss(tagger(tokens), labels), tagger)


def _take(optimizer, loss, tagger):
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(tagger.parameters(), LONGEST)
    optimizer.step()
    return loss.item()


def _with(loss=masked_loss, take=_take):
    """The tagger's step with another loss or another second half."""

    def step(tagger, optimizer, tokens, labels):
        return take(optimizer, loss(tagger(tokens), labels), tagger)

    return step


class _ThatClips:
    """The optimizer with the clipping before its step."""

    def __init__(self, optimizer, tagger):
        self.optimizer, self.tagger, self.zero_grad = optimizer, tagger, optimizer.zero_grad

    def step(self):
        torch.nn.utils.clip_grad_norm_(self.tagger.parameters(), LONGEST)
        self.optimizer.step()


declare_common_mistakes(
    tagger_step, lambda half: _with(take=lambda optimizer, loss, tagger: half(_ThatClips(optimizer, tagger), loss))
)


def _clipped(clip):
    """The step that clips by another function, of the weights that learn."""

    def take(optimizer, loss, tagger):
        optimizer.zero_grad()
        loss.backward()
        clip([weight for weight in tagger.parameters() if weight.requires_grad])
        optimizer.step()
        return loss.item()

    return _with(take=take)


@tagger_step.mistake(
    "The gradients that the optimizer uses are not clipped. torch.nn.utils.clip_grad_norm_ shortens all of them together to "
    "norm 1, between backward() and step()."
)
def not_clipped(*arguments):
    return _clipped(lambda weights: None)(*arguments)


@tagger_step.mistake("You clip after the optimizer's step, when the gradients are used already. Clip before it.")
def clipped_too_late(tagger, *arguments):
    value = not_clipped(tagger, *arguments)
    torch.nn.utils.clip_grad_norm_(tagger.parameters(), LONGEST)
    return value


@tagger_step.mistake(
    "You clip each number of the gradient, which changes its direction. Shorten the whole gradient instead: clip_grad_norm_."
)
def clipped_by_value(*arguments):
    return _clipped(lambda weights: torch.nn.utils.clip_grad_value_(weights, LONGEST))(*arguments)


@tagger_step.mistake("You clip every weight tensor on its own. The norm is that of all gradients taken together.")
def clipped_one_by_one(*arguments):
    def clip(weights):
        for weight in weights:
            torch.nn.utils.clip_grad_norm_([weight], LONGEST)

    return _clipped(clip)(*arguments)


@tagger_step.mistake("You give every gradient the norm 1, short ones too. Clipping only shortens those that are longer.")
def always_norm_1(*arguments):
    def normalise(weights):
        length = torch.stack([weight.grad.norm() for weight in weights]).norm()
        for weight in weights:
            weight.grad /= length

    return _clipped(normalise)(*arguments)


@tagger_step.mistake("Pieces without a label are trained as tag 0 (O). Keep those whose label is not -100.")
def padding_is_o(*arguments):
    return _with(lambda logits, labels: F.cross_entropy(logits.flatten(0, 1), labels.clamp_min(0).flatten()))(*arguments)


@tagger_step.mistake("You divide by all pieces, ignored ones too: the more padding, the smaller the step.")
def mean_over_all(*arguments):
    return _with(
        lambda logits, labels: F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.numel()
    )(*arguments)


@tagger_step.mistake("You add up the pieces. Take their mean, so that the loss does not depend on the number of words.")
def summed(*arguments):
    return _with(lambda logits, labels: masked_loss(logits, labels) * (labels != IGNORED).sum())(*arguments)


@tagger_step.mistake("You take the mean of the sentences' means. Every labelled piece counts the same.")
def mean_over_sentences(*arguments):
    def loss(logits, labels):
        return torch.stack([masked_loss(a[None], b[None]) for a, b in zip(logits, labels, strict=True)]).mean()

    return _with(loss)(*arguments)


@tagger_step.mistake("You leave out label 0 too. O is a tag like the others; only -100 is ignored.")
def o_left_out(*arguments):
    return _with(lambda logits, labels: masked_loss(logits, labels.where(labels > 0, IGNORED)))(*arguments)


@tagger_step.mistake("You take the softmax twice: F.cross_entropy does it itself. Hand it the logits as they are.")
def softmax_twice(*arguments):
    return _with(lambda logits, labels: masked_loss(logits.softmax(dim=2), labels))(*arguments)


@tagger_step.mistake("You step uphill: the loss has the wrong sign, so it rises.")
def uphill(*arguments):
    return _with(lambda logits, labels: -masked_loss(logits, labels))(*arguments)


@tagger_step.mistake(
    "You put the tagger into evaluation mode: dropout and batch norm then do what they do when it tags, not when it learns."
)
def evaluation_mode(tagger, *arguments):
    tagger.eval()
    return tagger_step(tagger, *arguments)


@tagger_step.mistake("You return the loss after the step. Return that of the logits from which the gradient came.")
def loss_after_the_step(tagger, optimizer, tokens, labels):
    tagger_step(tagger, optimizer, tokens, labels)
    return masked_loss(tagger(tokens), labels).item()


def _right():
    return observed(inspectors.tagger_steps, tagger_step.reference)


def _named(*seen_and_problem):
    return named(tagger_step, inspectors.tagger_steps, *seen_and_problem)


@tagger_step.property("Batch, mode and what may learn stay as they were.", inspector=inspectors.tagger_steps)
def _rest_stays(seen, generator):
    if not all(one["data"] for one in seen):
        return "input_changed", say("Your function changes the tokens or the labels that it gets: work on copies.")
    if not all(one["settings"] for one in seen):
        words = say("After your function the tagger is in another mode, or a weight has another requires_grad: leave both.")
        return _named(seen, ("settings_changed", words))


@tagger_step.property(
    "The weights take one step down this batch's gradient, clipped to norm 1.", inspector=inspectors.tagger_steps
)
def _weights(seen, generator):
    for yours, expected in zip(seen, _right(), strict=True):
        if alike(yours["weights"], expected["weights"]):
            continue
        if alike(yours["weights"], [yours["before"]] * len(yours["weights"])):
            return _named(seen, ("unmoved", say("The tagger's weights do not move.")), ("weights", "reached", "left"))
        wrong = next(step for step, w in enumerate(yours["weights"]) if not alike(w, expected["weights"][step]))
        words = say(
            "The tagger's weights are not those of one step down the loss. The first wrong step is number {step} of 3; from "
            "the second on the weights hold gradients of other steps.",
            step=wrong + 1,
        )
        return _named(seen, ("another_step", words), ("weights",))


@tagger_step.property("It returns the loss.", inspector=inspectors.tagger_steps)
def _returns_the_loss(seen, generator):
    losses = [[one for game in taggers for one in game["losses"]] for taggers in (seen, _right())]
    if problem := wrong_losses(*losses):
        return _named(seen, problem, ("losses",))
