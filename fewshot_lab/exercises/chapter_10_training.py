"""Chapter 10: one training step of the tagger, judged by what it does to the weights."""

import torch
import torch.nn.functional as F

from ..methods.tagging import IGNORED, masked_loss
from . import inspectors
from .declare import exercise
from .training_steps import SOFTMAX_TWICE, SUMMED, declare_common_mistakes, declare_mistakes, judge_steps, take

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
    return take(optimizer, lambda: masked_loss(tagger(tokens), labels), lambda: _clip(tagger.parameters()))


def _clip(weights):
    torch.nn.utils.clip_grad_norm_(weights, LONGEST)


def _with(loss=masked_loss, half=take, clip=_clip):
    """The tagger's step with another loss, another second half or another way to clip the weights that learn."""

    def step(tagger, optimizer, tokens, labels):
        weights = [weight for weight in tagger.parameters() if weight.requires_grad]
        return half(optimizer, lambda: loss(tagger(tokens), labels), lambda: clip(weights))

    return step


def _clipped_too_late(tagger, *arguments):
    value = _with(clip=lambda weights: None)(tagger, *arguments)
    _clip(tagger.parameters())
    return value


def _one_by_one(weights):
    for weight in weights:
        _clip([weight])


def _to_norm_1(weights):
    length = torch.stack([weight.grad.norm() for weight in weights]).norm()
    for weight in weights:
        weight.grad /= length


def _over_all(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.numel()


def _over_sentences(logits, labels):
    return torch.stack([masked_loss(a[None], b[None]) for a, b in zip(logits, labels, strict=True)]).mean()


declare_common_mistakes(tagger_step, lambda half: _with(half=half))
declare_mistakes(
    tagger_step,
    not_clipped=(
        "The gradients that the optimizer uses are not clipped. torch.nn.utils.clip_grad_norm_ shortens all of them together "
        "to norm 1, between backward() and step().",
        _with(clip=lambda weights: None),
    ),
    clipped_too_late=(
        "You clip after the optimizer's step, when the gradients are used already. Clip before it.",
        _clipped_too_late,
    ),
    clipped_by_value=(
        "You clip each number of the gradient, which changes its direction. Shorten the whole gradient instead: "
        "clip_grad_norm_.",
        _with(clip=lambda weights: torch.nn.utils.clip_grad_value_(weights, LONGEST)),
    ),
    clipped_one_by_one=(
        "You clip every weight tensor on its own. The norm is that of all gradients taken together.",
        _with(clip=_one_by_one),
    ),
    always_norm_1=(
        "You give every gradient the norm 1, short ones too. Clipping only shortens those that are longer.",
        _with(clip=_to_norm_1),
    ),
    padding_is_o=(
        "Pieces without a label are trained as tag 0 (O). Keep those whose label is not -100.",
        _with(lambda logits, labels: F.cross_entropy(logits.flatten(0, 1), labels.clamp_min(0).flatten())),
    ),
    mean_over_all=("You divide by all pieces, ignored ones too: the more padding, the smaller the step.", _with(_over_all)),
    summed=(SUMMED, _with(lambda logits, labels: masked_loss(logits, labels) * (labels != IGNORED).sum())),
    mean_over_sentences=(
        "You take the mean of the sentences' means. Every labelled piece counts the same.",
        _with(_over_sentences),
    ),
    o_left_out=(
        "You leave out label 0 too. O is a tag like the others; only -100 is ignored.",
        _with(lambda logits, labels: masked_loss(logits, labels.where(labels > 0, IGNORED))),
    ),
    softmax_twice=(SOFTMAX_TWICE, _with(lambda logits, labels: masked_loss(logits.softmax(dim=2), labels))),
)
judge_steps(
    tagger_step,
    inspectors.tagger_steps,
    step="The weights take one step down this batch's gradient, clipped to norm 1.",
    loss="It returns the loss.",
)
