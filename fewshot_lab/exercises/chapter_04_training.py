"""Chapter 04: one training step of SimCLR."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.contrastive import nt_xent
from . import inspectors
from .declare import exercise
from .training_steps import judge_steps


@exercise(
    "One step of SimCLR",
    idea=(
        "A step looks at every image twice, in two random views, and asks the network to find the pairs. It differs from any "
        "other training step only in where the batch comes from and in its loss."
    ),
    steps=(
        "Call augment twice on the same images: two draws of the same kind, neither of which is the image itself.",
        "Join all first views and then all second views, (2 B, C, H, W), and give them to the encoder as one batch.",
        "The loss is NT-Xent of the outputs at the given temperature; your function from above takes them in this order.",
        "Clear the gradients of earlier steps, compute those of this loss, and only then let the optimizer step.",
        "Return the loss as a number, without its graph.",
    ),
)
def simclr_step(encoder, optimizer, images, augment, temperature):
    return _step(optimizer, _loss(encoder, images, augment, temperature))


def _loss(encoder, images, augment, temperature):
    return nt_xent(encoder(torch.cat([augment(images), augment(images)])), temperature)


def _step(optimizer, loss, *, told=None):
    """A step along this loss; returns its number, or that of `told`."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return (loss if told is None else told).item()


@simclr_step.mistake("Both views are the same picture, since augment is called once. Call it again for the second views.")
def same_view_twice(encoder, optimizer, images, augment, temperature):
    views = augment(images)
    return _step(optimizer, nt_xent(encoder(torch.cat([views, views])), temperature))


@simclr_step.mistake("One of your views is the image as it is. Both must be drawn: augment the images twice.")
def image_as_a_view(encoder, optimizer, images, augment, temperature):
    return _step(optimizer, nt_xent(encoder(torch.cat([images, augment(images)])), temperature))


@simclr_step.mistake("Your second view is made from the first one, and so changed twice. Augment the images both times.")
def view_of_a_view(encoder, optimizer, images, augment, temperature):
    first = augment(images)
    return _step(optimizer, nt_xent(encoder(torch.cat([first, augment(first)])), temperature))


@simclr_step.mistake(
    "The two views of an image stand side by side in your batch. NT-Xent expects all first views, then all second ones in the "
    "same order."
)
def views_side_by_side(encoder, optimizer, images, augment, temperature):
    views = torch.stack([augment(images), augment(images)], dim=1).flatten(0, 1)
    return _step(optimizer, nt_xent(encoder(views), temperature))


@simclr_step.mistake(
    "Gradients of earlier steps are added to those of this one. Clear them with optimizer.zero_grad() before backward()."
)
def gradients_not_cleared(encoder, optimizer, images, augment, temperature):
    loss = _loss(encoder, images, augment, temperature)
    loss.backward()
    optimizer.step()
    return loss.item()


@simclr_step.mistake(
    "Only the first views teach here: no gradient comes through the second ones. In SimCLR both views are treated alike."
)
def second_views_detached(encoder, optimizer, images, augment, temperature):
    first, second = encoder(torch.cat([augment(images), augment(images)])).chunk(2)
    return _step(optimizer, nt_xent(torch.cat([first, second.detach()]), temperature))


@simclr_step.mistake("The temperature is 1 in your loss, whatever is asked for. Hand the argument on.")
def temperature_forgotten(encoder, optimizer, images, augment, temperature):
    return simclr_step(encoder, optimizer, images, augment, 1.0)


@simclr_step.mistake("Your temperature is 0.5, whatever is asked for. Hand the argument on to the loss.")
def always_half(encoder, optimizer, images, augment, temperature):
    return simclr_step(encoder, optimizer, images, augment, 0.5)


@simclr_step.mistake("You give the loss 1 over the temperature. It divides by the temperature itself: hand that on as it is.")
def temperature_inverted(encoder, optimizer, images, augment, temperature):
    return simclr_step(encoder, optimizer, images, augment, 1 / temperature)


@simclr_step.mistake(
    "Only the first views look for their partner, and only among the second ones. Take NT-Xent, in which all 2 B views ask."
)
def first_among_second(encoder, optimizer, images, augment, temperature):
    first, second = encoder(torch.cat([augment(images), augment(images)])).chunk(2)
    s = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    return _step(optimizer, F.cross_entropy(s / temperature, torch.arange(len(images))))


@simclr_step.mistake("You return the loss after the step. The number of a step is the loss that it started from.")
def loss_after_the_step(encoder, optimizer, images, augment, temperature):
    views = torch.cat([augment(images), augment(images)])
    _step(optimizer, nt_xent(encoder(views), temperature))
    return nt_xent(encoder(views), temperature).item()


@simclr_step.mistake("Your loss is a sum over the views, so that the step grows with the batch. NT-Xent is their mean already.")
def summed(encoder, optimizer, images, augment, temperature):
    return _step(optimizer, 2 * len(images) * _loss(encoder, images, augment, temperature))


@simclr_step.mistake("You divide the loss by the number of images. NT-Xent is a mean already, so the step becomes too small.")
def mean_taken_twice(encoder, optimizer, images, augment, temperature):
    return _step(optimizer, _loss(encoder, images, augment, temperature) / len(images))


@simclr_step.mistake("Your step goes uphill: it makes the loss larger. The optimizer itself steps against the gradient.")
def uphill(encoder, optimizer, images, augment, temperature):
    loss = _loss(encoder, images, augment, temperature)
    return _step(optimizer, -loss, told=loss)


def _by_hand(optimizer, loss):
    """A step of plain gradient descent."""
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad
    return loss.item()


@simclr_step.mistake(
    "Your steps are plain gradient descent: the optimizer's momentum is lost. Call the step() of the optimizer you are given."
)
def step_by_hand(encoder, optimizer, images, augment, temperature):
    return _by_hand(optimizer, _loss(encoder, images, augment, temperature))


@simclr_step.mistake("You take two steps along the same gradient. One call is one step.")
def two_steps(encoder, optimizer, images, augment, temperature):
    loss = _step(optimizer, _loss(encoder, images, augment, temperature))
    optimizer.step()
    return loss


def _two_calls(encoder, optimizer, images, augment, temperature):
    """Each half of the views on its own: batch norm then sees them apart. Published code does both."""
    z = torch.cat([encoder(augment(images)), encoder(augment(images))])
    return _step(optimizer, nt_xent(z, temperature))


def _wrong_views(world):
    counts = {count for drawn in world["views"] for count in drawn}
    if world["strangers"]:
        return "others_augmented", say(
            "You augment something that is none of the images. Hand the images to augment as they came."
        )
    if counts - {2}:
        words = say(
            "Each image is to be augmented twice in a step. Yours are augmented so many times: {counts}.", counts=sorted(counts)
        )
        return "number_of_views", words
    return None


judge_steps(
    simclr_step,
    inspectors.simclr_steps,
    before=("Every image is augmented twice, as it came.", _wrong_views),
    loss="It returns the NT-Xent loss of the two views, before the step.",
    others=(_two_calls,),
)
