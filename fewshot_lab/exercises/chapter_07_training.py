"""Chapter 07: one step of adversarial training."""

import torch
import torch.nn.functional as F

from ..languages import say
from . import inspectors
from .declare import exercise
from .training_steps import (
    BOTH,
    SOFTMAX_TWICE,
    SUMMED,
    declare_common_mistakes,
    declare_mistakes,
    judge_steps,
    never_cleared,
    take,
)


@exercise(
    "One step of adversarial training",
    idea=(
        "First the inner maximum, then the outer minimum: the attack finds the images, and from then on they are data like any "
        "other. So what the attack computed on its way, gradients and graph, must not get into the step."
    ),
    steps=(
        "Let the attack change the whole batch, with the labels as they came and the model as it is now.",
        "Cut the attacked images off from the graph that led to them: Danskin's theorem holds them still.",
        "Clear the gradients only now, after the attack, since it may have left some in the weights.",
        "The loss is the mean cross-entropy of the attacked images with the true labels. Compute its gradients, then step.",
        "Return the loss as a number, without its graph.",
    ),
)
def adversarial_step(model, optimizer, images, labels, attack):
    attacked = attack(model, images, labels).detach()
    return take(optimizer, lambda: F.cross_entropy(model(attacked), labels))


def _step(loss=F.cross_entropy, half=take, *, cut=True, beside=None):
    """The step with another loss, `loss(logits, labels)`, or another second half; `cut=False`: with the attack's graph.

    `beside(loss of the attacked images, loss of the clean ones)` is followed where it is given.
    """

    def step(model, optimizer, images, labels, attack):
        x = attack(model, images, labels)
        x = x.detach() if cut else x
        if beside:
            return half(optimizer, lambda: beside(loss(model(x), labels), loss(model(images), labels)))
        return half(optimizer, lambda: loss(model(x), labels))

    return step


def _cleared_first(step):
    def cleared_first(model, optimizer, *others):
        optimizer.zero_grad()
        return step(model, optimizer, *others)

    return cleared_first


def _clean_images_in_the_batch(model, optimizer, images, labels, attack):
    both = torch.cat([images, attack(model, images, labels).detach()])
    return take(optimizer, lambda: F.cross_entropy(model(both), labels.repeat(2)))


def _own_answers(model, optimizer, images, labels, attack):
    answers, attacked = model(images).argmax(dim=1), attack(model, images, labels).detach()
    return take(optimizer, lambda: F.cross_entropy(model(attacked), answers))


def _only_the_perturbation(model, optimizer, images, labels, attack):
    moved = attack(model, images, labels).detach() - images
    return take(optimizer, lambda: F.cross_entropy(model(moved), labels))


def _clean_loss_returned(model, optimizer, images, labels, attack):
    clean = F.cross_entropy(model(images), labels).item()
    adversarial_step(model, optimizer, images, labels, attack)
    return clean


def _clean_step_first(model, optimizer, images, labels, attack):
    take(optimizer, lambda: F.cross_entropy(model(images), labels))
    return adversarial_step(model, optimizer, images, labels, attack)


declare_mistakes(
    adversarial_step,
    clean_images=(
        "Your step learns from the images as they came. Attack them first, and learn from what the attack returns.",
        _step(beside=lambda attacked, clean: clean),
    ),
)
declare_common_mistakes(adversarial_step, lambda half: _step(half=half))
declare_mistakes(
    adversarial_step,
    cleared_before_the_attack=(
        "You clear the gradients before the attack, and the attack leaves new ones in the weights. Clear them after it.",
        _cleared_first(_step(half=never_cleared)),
    ),
    graph_of_the_attack=(
        "The attacked images still hold the graph of the attack, so your step also follows how the weights change the attack. "
        "Hold the images still: .detach().",
        _step(cut=False),
    ),
    attack_in_the_step=(
        "The attack gets into your step in two ways: by the gradients that it leaves in the weights, and by the graph of the "
        "images that it returns. Clear the gradients after the attack, and detach its images.",
        _cleared_first(_step(half=never_cleared, cut=False)),
    ),
    nothing_cleared=(
        "Nothing is kept out of your step: gradients from before, those of the attack, and the graph of its images. Clear the "
        "gradients after the attack, and detach its images.",
        _step(half=never_cleared, cut=False),
    ),
    clean_images_beside=(
        "You average the losses of the clean and of the attacked images. Madry's training learns from the attacked ones alone.",
        _step(beside=lambda attacked, clean: (attacked + clean) / 2),
    ),
    clean_images_in_the_batch=(
        "Your batch holds the clean images beside the attacked ones. Madry's training learns from the attacked ones alone.",
        _clean_images_in_the_batch,
    ),
    clean_loss_added=(
        "You add the losses of the clean and of the attacked images. Only the attacked ones count.",
        _step(beside=lambda attacked, clean: attacked + clean),
    ),
    own_answers_as_labels=(
        "The answer to the clean images takes the labels' place. The attack leaves the labels as they are, so learn "
        "from these.",
        _own_answers,
    ),
    answers_to_the_attacked_as_labels=(
        "The answer to the attacked images takes the labels' place, so the network learns what it believes already. Use the "
        "labels.",
        _step(lambda logits, labels: F.cross_entropy(logits, logits.argmax(dim=1))),
    ),
    only_the_perturbation=(
        "Your network sees the perturbation alone. What attack returns are the attacked images already.",
        _only_the_perturbation,
    ),
    clean_loss_returned=(
        "You return the loss of the clean images. That of the attacked ones, which made the step, is wanted.",
        _clean_loss_returned,
    ),
    clean_step_first=(
        "You step on the clean images first, and then once more on the attacked ones. One call is one step.",
        _clean_step_first,
    ),
    summed=(SUMMED, _step(lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum"))),
    softmax_twice=(SOFTMAX_TWICE, _step(lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels))),
)


def _wrong_attack(world, right):
    if not all(world["attacked"]):
        return "never_attacked", say("Your function does not call attack(model, images, labels).")
    if not all(world["as_it_is"]):
        return "attacked_too_late", say(
            "The attack meets other weights than those from before the step: attack first, then step."
        )
    if not all(world["right_batch"]):
        return "another_batch_attacked", say(
            "The attack gets other images or labels than your function. Hand both on as they came."
        )
    return None


judge_steps(
    adversarial_step,
    inspectors.adversarial_steps,
    before=("The attack gets the model as it is, the images and their labels.", _wrong_attack, BOTH),
    loss="It returns the mean cross-entropy of the attacked images, before the step.",
)
