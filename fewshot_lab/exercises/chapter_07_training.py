"""Chapter 07: one step of adversarial training."""

import torch
import torch.nn.functional as F

from ..languages import say
from . import inspectors
from .declare import exercise
from .training_steps import judge_steps


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
    return _step(optimizer, F.cross_entropy(model(attacked), labels))


def _step(optimizer, loss, *, told=None, clear=True):
    """A step along this loss; returns its number, or that of `told`."""
    if clear:
        optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return (loss if told is None else told).item()


def _attacked_loss(model, images, labels, attack):
    return F.cross_entropy(model(attack(model, images, labels).detach()), labels)


@adversarial_step.mistake(
    "Your step learns from the images as they came. Attack them first, and learn from what the attack returns."
)
def clean_images(model, optimizer, images, labels, attack):
    attack(model, images, labels)
    return _step(optimizer, F.cross_entropy(model(images), labels))


@adversarial_step.mistake(
    "Gradients from before are added to those of this step, and so are those that the attack leaves in the weights. Clear them "
    "between the attack and backward()."
)
def gradients_not_cleared(model, optimizer, images, labels, attack):
    return _step(optimizer, _attacked_loss(model, images, labels, attack), clear=False)


@adversarial_step.mistake(
    "You clear the gradients before the attack, and the attack leaves new ones in the weights. Clear them after it."
)
def cleared_before_the_attack(model, optimizer, images, labels, attack):
    optimizer.zero_grad()
    return gradients_not_cleared(model, optimizer, images, labels, attack)


@adversarial_step.mistake(
    "The attacked images still hold the graph of the attack, so your step also follows how the weights change the attack. "
    "Hold the images still: .detach()."
)
def graph_of_the_attack(model, optimizer, images, labels, attack):
    return _step(optimizer, F.cross_entropy(model(attack(model, images, labels)), labels))


@adversarial_step.mistake(
    "The attack gets into your step in two ways: by the gradients that it leaves in the weights, and by the graph of the "
    "images that it returns. Clear the gradients after the attack, and detach its images."
)
def attack_in_the_step(model, optimizer, images, labels, attack):
    optimizer.zero_grad()
    return _step(optimizer, F.cross_entropy(model(attack(model, images, labels)), labels), clear=False)


@adversarial_step.mistake(
    "Nothing is kept out of your step: gradients from before, those of the attack, and the graph of its images. Clear the "
    "gradients after the attack, and detach its images."
)
def nothing_cleared(model, optimizer, images, labels, attack):
    return _step(optimizer, F.cross_entropy(model(attack(model, images, labels)), labels), clear=False)


@adversarial_step.mistake(
    "You average the losses of the clean and of the attacked images. Madry's training learns from the attacked ones alone."
)
def clean_images_beside(model, optimizer, images, labels, attack):
    attacked = _attacked_loss(model, images, labels, attack)
    return _step(optimizer, (attacked + F.cross_entropy(model(images), labels)) / 2)


@adversarial_step.mistake(
    "Your batch holds the clean images beside the attacked ones. Madry's training learns from the attacked ones alone."
)
def clean_images_in_the_batch(model, optimizer, images, labels, attack):
    both = torch.cat([images, attack(model, images, labels).detach()])
    return _step(optimizer, F.cross_entropy(model(both), labels.repeat(2)))


@adversarial_step.mistake("You add the losses of the clean and of the attacked images. Only the attacked ones count.")
def clean_loss_added(model, optimizer, images, labels, attack):
    attacked = _attacked_loss(model, images, labels, attack)
    return _step(optimizer, attacked + F.cross_entropy(model(images), labels))


@adversarial_step.mistake(
    "The answer to the clean images takes the labels' place. The attack leaves the labels as they are, so learn from these."
)
def own_answers_as_labels(model, optimizer, images, labels, attack):
    answers = model(images).argmax(dim=1)
    return _step(optimizer, F.cross_entropy(model(attack(model, images, labels).detach()), answers))


@adversarial_step.mistake(
    "The answer to the attacked images takes the labels' place, so the network learns what it believes already. Use the labels."
)
def answers_to_the_attacked_as_labels(model, optimizer, images, labels, attack):
    logits = model(attack(model, images, labels).detach())
    return _step(optimizer, F.cross_entropy(logits, logits.argmax(dim=1)))


@adversarial_step.mistake("Your network sees the perturbation alone. What attack returns are the attacked images already.")
def only_the_perturbation(model, optimizer, images, labels, attack):
    moved = attack(model, images, labels).detach() - images
    return _step(optimizer, F.cross_entropy(model(moved), labels))


@adversarial_step.mistake("You return the loss of the clean images. That of the attacked ones, which made the step, is wanted.")
def clean_loss_returned(model, optimizer, images, labels, attack):
    clean = F.cross_entropy(model(images), labels)
    return _step(optimizer, _attacked_loss(model, images, labels, attack), told=clean)


@adversarial_step.mistake("You return the loss after the step. The number of a step is the loss that it started from.")
def loss_after_the_step(model, optimizer, images, labels, attack):
    attacked = attack(model, images, labels).detach()
    _step(optimizer, F.cross_entropy(model(attacked), labels))
    return F.cross_entropy(model(attacked), labels).item()


@adversarial_step.mistake("Your loss is a sum over the images, so that the step grows with the batch. Take their mean.")
def summed(model, optimizer, images, labels, attack):
    return _step(optimizer, len(images) * _attacked_loss(model, images, labels, attack))


@adversarial_step.mistake("You take the softmax twice: cross_entropy does it itself. Give it the logits.")
def softmax_twice(model, optimizer, images, labels, attack):
    return _step(optimizer, F.cross_entropy(model(attack(model, images, labels).detach()).softmax(dim=1), labels))


@adversarial_step.mistake("Your step goes uphill: the attack makes the loss larger, the step must make it smaller.")
def uphill(model, optimizer, images, labels, attack):
    loss = _attacked_loss(model, images, labels, attack)
    return _step(optimizer, -loss, told=loss)


@adversarial_step.mistake(
    "Your steps are plain gradient descent: the optimizer's momentum is lost. Call the step() of the optimizer you are given."
)
def step_by_hand(model, optimizer, images, labels, attack):
    loss = _attacked_loss(model, images, labels, attack)
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad
    return loss.item()


@adversarial_step.mistake("You step on the clean images first, and then once more on the attacked ones. One call is one step.")
def clean_step_first(model, optimizer, images, labels, attack):
    _step(optimizer, F.cross_entropy(model(images), labels))
    return adversarial_step(model, optimizer, images, labels, attack)


@adversarial_step.mistake("You take two steps along the same gradient. One call is one step.")
def two_steps(model, optimizer, images, labels, attack):
    loss = adversarial_step(model, optimizer, images, labels, attack)
    optimizer.step()
    return loss


def _wrong_attack(world):
    if not all(world["attacked"]):
        return "never_attacked", say("Your function does not call attack(model, images, labels).")
    if not world["as_it_is"]:
        return "attacked_too_late", say(
            "The attack meets other weights than those from before the step: attack first, then step."
        )
    if not world["right_batch"]:
        return "another_batch_attacked", say(
            "The attack gets other images or labels than your function. Hand both on as they came."
        )
    return None


judge_steps(
    adversarial_step,
    inspectors.adversarial_steps,
    before=("The attack gets the model as it is, the images and their labels.", _wrong_attack),
    loss="It returns the mean cross-entropy of the attacked images, before the step.",
)
