"""Chapter 04: one training step of SimCLR."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.contrastive import nt_xent
from . import inspectors
from .declare import exercise
from .training_steps import BOTH, SUMMED, declare_common_mistakes, declare_mistakes, judge_steps, take


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
    views = _views(augment, images)
    return take(optimizer, lambda: nt_xent(encoder(views), temperature))


def _views(augment, images):
    return torch.cat([augment(images), augment(images)])


def _step(views=_views, loss=nt_xent, half=take):
    """The step with other views, another loss, `loss(outputs, temperature)`, or another second half."""

    def step(encoder, optimizer, images, augment, temperature):
        batch = views(augment, images)
        return half(optimizer, lambda: loss(encoder(batch), temperature))

    return step


def _view_of_a_view(augment, images):
    first = augment(images)
    return torch.cat([first, augment(first)])


def _first_among_second(z, temperature):
    first, second = F.normalize(z, dim=1).chunk(2)
    return F.cross_entropy(first @ second.T / temperature, torch.arange(len(first)))


def _second_detached(z, temperature):
    first, second = z.chunk(2)
    return nt_xent(torch.cat([first, second.detach()]), temperature)


declare_mistakes(
    simclr_step,
    same_view_twice=(
        "Both views are the same picture, since augment is called once. Call it again for the second views.",
        _step(lambda augment, images: augment(images).repeat(2, 1, 1, 1)),
    ),
    image_as_a_view=(
        "One of your views is the image as it is. Both must be drawn: augment the images twice.",
        _step(lambda augment, images: torch.cat([images, augment(images)])),
    ),
    view_of_a_view=(
        "Your second view is made from the first one, and so changed twice. Augment the images both times.",
        _step(_view_of_a_view),
    ),
    views_side_by_side=(
        "The two views of an image stand side by side in your batch. NT-Xent expects all first views, then all second ones in "
        "the same order.",
        _step(lambda augment, images: torch.stack([augment(images), augment(images)], dim=1).flatten(0, 1)),
    ),
)
declare_common_mistakes(simclr_step, lambda half: _step(half=half))
declare_mistakes(
    simclr_step,
    second_views_detached=(
        "Only the first views teach here: no gradient comes through the second ones. In SimCLR both views are treated alike.",
        _step(loss=_second_detached),
    ),
    temperature_forgotten=(
        "The temperature is 1 in your loss, whatever is asked for. Hand the argument on.",
        _step(loss=lambda z, temperature: nt_xent(z, 1.0)),
    ),
    always_half=(
        "Your temperature is 0.5, whatever is asked for. Hand the argument on to the loss.",
        _step(loss=lambda z, temperature: nt_xent(z, 0.5)),
    ),
    temperature_inverted=(
        "You give the loss 1 over the temperature. It divides by the temperature itself: hand that on as it is.",
        _step(loss=lambda z, temperature: nt_xent(z, 1 / temperature)),
    ),
    first_among_second=(
        "Only the first views look for their partner, and only among the second ones. Take NT-Xent, in which all 2 B "
        "views ask.",
        _step(loss=_first_among_second),
    ),
    summed=(SUMMED, _step(loss=lambda z, temperature: len(z) * nt_xent(z, temperature))),
    mean_taken_twice=(
        "You divide the loss by the number of images. NT-Xent is a mean already, so the step becomes too small.",
        _step(loss=lambda z, temperature: nt_xent(z, temperature) / (len(z) // 2)),
    ),
)


def _two_calls(encoder, optimizer, images, augment, temperature):
    """Each half of the views on its own: batch norm then sees them apart. Published code does both."""
    views = augment(images), augment(images)
    return take(optimizer, lambda: nt_xent(torch.cat([*map(encoder, views)]), temperature))


def _wrong_views(world, right):
    if any(world["strangers"]):
        return "others_augmented", say(
            "You augment something that is none of the images. Hand the images to augment as they came."
        )
    counts = {count for drawn in world["drawn"] for count in drawn}
    if counts - {2}:
        words = say(
            "Each image is to be augmented twice in a step. Yours are augmented so many times: {counts}.", counts=sorted(counts)
        )
        return "number_of_views", words
    return None


judge_steps(
    simclr_step,
    inspectors.simclr_steps,
    before=("Every image is augmented twice, as it came.", _wrong_views, BOTH),
    loss="It returns the NT-Xent loss of the two views, before the step.",
    others=(_two_calls,),
)
