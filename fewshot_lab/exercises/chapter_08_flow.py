"""Chapter 08: the straight path of flow matching and its velocity, a step of Euler's, guidance."""

import torch

from ..languages import say
from ..methods import flow_matching
from .declare import exercise


def _images(generator, count=3):
    return torch.randn(count, 1, 2, 2, generator=generator), torch.rand(count, 1, 2, 2, generator=generator)


def _random_pair(generator):
    return *_images(generator), 0.1 + 0.8 * torch.rand(3, generator=generator)


@exercise(
    "The path from noise to an image",
    cases=[
        (torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.5]]]]), torch.tensor([0.25])),
        (torch.tensor([2.0, -1.0]).reshape(2, 1, 1, 1), torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1), torch.tensor([0.0, 1.0])),
        (
            torch.tensor([[1.0, -1.0], [0.5, 2.0]]).reshape(2, 1, 1, 2),
            torch.tensor([[0.0, 1.0], [1.0, 0.2]]).reshape(2, 1, 1, 2),
            torch.tensor([0.9, 0.3]),
        ),
        (torch.zeros(2, 1, 1, 2), torch.ones(2, 1, 1, 2), torch.tensor([0.2, 0.6])),
    ],
    fresh=_random_pair,
    idea=(
        "Each image has noise of its own, and a straight line leads from the one to the other: at t = 0 only noise, at t = 1 "
        "only the image. What moves along a straight line at an even pace has the same velocity all the way."
    ),
    steps=(
        "Give each image its own time: (n,) must become (n, 1, 1, 1) before it is multiplied by (n, 1, H, W).",
        "Blend: the image has the weight t, the noise the rest, so that the two weights add up to 1.",
        "The velocity is the derivative of that blend with respect to t. Which of the three arguments is not in it any more?",
        "Return both, the blend first. Neither needs to be cut off at 0 and 1: noise lies outside.",
    ),
)
def flow_pair(noise, images, times):
    return flow_matching.flow_pair(noise, images, times)


def _blend(noise, images, times):
    return flow_pair(noise, images, times)[0]


def _shaped(times):
    return times.reshape(-1, 1, 1, 1)


@flow_pair.mistake("Your path runs from the image to the noise. At t = 0 there is noise, at t = 1 the image.")
def path_reversed(noise, images, times):
    return _blend(noise, images, 1 - times), images - noise


@flow_pair.mistake(
    "Path and velocity are both the wrong way round: yours lead from the image to the noise. At t = 0 there is noise, at t = 1 "
    "the image."
)
def both_reversed(noise, images, times):
    return flow_pair(images, noise, times)


@flow_pair.mistake("Your velocity leads back to the noise. Its target is where the path goes: the image minus the noise.")
def velocity_reversed(noise, images, times):
    return _blend(noise, images, times), noise - images


@flow_pair.mistake(
    "Your velocity is multiplied by the time: it is the way gone so far. The velocity of a straight line is the same at every "
    "time."
)
def velocity_times_t(noise, images, times):
    return _blend(noise, images, times), _shaped(times) * (images - noise)


@flow_pair.mistake(
    "Your velocity is the way that is left, (1 - t) times the right one. The velocity is the way per unit of time, the same at "
    "every time."
)
def way_that_is_left(noise, images, times):
    return _blend(noise, images, times), images - _blend(noise, images, times)


@flow_pair.mistake(
    "You return the image as the velocity. A network that learns the image itself is another method; here it learns in which "
    "direction the image lies: image minus noise."
)
def image_as_velocity(noise, images, times):
    return _blend(noise, images, times), images


@flow_pair.mistake(
    "You return the noise as the velocity, as diffusion models that predict the noise do. Here the target is image minus noise."
)
def noise_as_velocity(noise, images, times):
    return _blend(noise, images, times), noise


@flow_pair.mistake("The weights do not add up to 1: the noise stays whole. Multiply it by 1 - t.")
def noise_stays_whole(noise, images, times):
    return noise + _shaped(times) * images, images - noise


@flow_pair.mistake(
    "You weigh with roots, sqrt(1 - t) and sqrt(t), a path that diffusion models use. Here the path is straight: 1 - t and t."
)
def roots(noise, images, times):
    return (1 - _shaped(times)).sqrt() * noise + _shaped(times).sqrt() * images, images - noise


@flow_pair.mistake("All images get the same time, that of the first. Each has its own.")
def time_of_the_first(noise, images, times):
    return flow_pair(noise, images, times[:1].expand(len(times)))


@flow_pair.mistake(
    "Your times meet the columns of the images, not the images: (n,) is lined up with the last axis. Reshape them to "
    "(n, 1, 1, 1)."
)
def times_along_columns(noise, images, times):
    columns = times[torch.arange(images.shape[-1]) % len(times)]
    return (1 - columns) * noise + columns * images, images - noise


@flow_pair.mistake("You return the velocity first. The point on the path comes first, then its velocity.")
def exchanged(noise, images, times):
    return flow_pair(noise, images, times)[::-1]


@flow_pair.mistake("You cut the path off at 0 and 1. Noise lies outside, and so does the way from it: leave it as it is.")
def clamped(noise, images, times):
    return _blend(noise, images, times).clamp(0, 1), images - noise


@flow_pair.property("From any point of the path, the velocity leads to the image in the time that is left.")
def _leads_to_the_image(function, generator):
    noise, images = _images(generator)
    times = torch.rand(3, generator=generator)
    x, velocity = function(noise, images, times)
    if (x + (1 - _shaped(times)) * velocity - images).abs().max() > 1e-4:
        return say("A point of your path plus (1 - t) times its velocity is not the image.")


@flow_pair.property("It works for images of any size and number.")
def _any_shape(function, generator):
    for shape in ((1, 1, 3, 5), (4, 3, 2, 2)):
        noise, images = (torch.randn(shape, generator=generator) for _ in range(2))
        x, velocity = function(noise, images, torch.rand(shape[0], generator=generator))
        if x.shape != images.shape or velocity.shape != images.shape:
            return say("For images {shape} your path is {found}.", shape=shape, found=tuple(x.shape))


def _random_step(generator):
    x, velocity = _images(generator)
    return x, velocity, 0.1 + 0.4 * torch.rand(1, generator=generator).item(), 0.2


@exercise(
    "A step of Euler's",
    cases=[
        (torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, -2.0]]]]), 0.0, 0.5),
        (torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[2.0, 0.5]]]]), 0.25, 0.25),
        (torch.tensor([[[[0.5, -0.5]]]]), torch.tensor([[[[1.0, 4.0]]]]), 0.75, 0.5),
        (torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[1.0, 2.0]]]]), 1.0, 0.1),
    ],
    fresh=_random_step,
    idea=(
        "Within a short time the velocity hardly changes, so the way is velocity times time. The journey ends at t = 1: a last "
        "step that would go beyond it is shortened."
    ),
    steps=(
        "How long is this step? dt, or less where less than dt is left until 1.",
        "Move x by the velocity times that length, in the direction of the velocity.",
        "The new time is the old one plus the same length.",
        "Return both, in a new tensor: x itself stays as it is.",
    ),
)
def euler_step(x, velocity, t, dt):
    return flow_matching.euler_step(x, velocity, t, dt)


@euler_step.mistake(
    "Your last step goes beyond t = 1, past the image. Its length is dt or what is left, 1 - t, whichever is less."
)
def beyond_the_end(x, velocity, t, dt):
    return x + dt * velocity, t + dt


@euler_step.mistake(
    "Your time stops at 1, but x moves by a whole dt even where less is left. Shorten the step of both: min(dt, 1 - t)."
)
def only_the_time_stops(x, velocity, t, dt):
    return x + dt * velocity, min(t + dt, 1.0)


@euler_step.mistake("x is shortened at the end, the time is not: it goes beyond 1. Both move by min(dt, 1 - t).")
def only_x_stops(x, velocity, t, dt):
    return x + min(dt, 1 - t) * velocity, t + dt


@euler_step.mistake("You go against the velocity, back to the noise. Add it.")
def backwards(x, velocity, t, dt):
    h = min(dt, 1 - t)
    return x - h * velocity, t + h


@euler_step.mistake("You add the velocity without the length of the step. The way is velocity times time.")
def length_forgotten(x, velocity, t, dt):
    return x + velocity, t + min(dt, 1 - t)


@euler_step.mistake(
    "You multiply the velocity by the time t, which is 0 at the start. The way is velocity times the length dt."
)
def times_the_time(x, velocity, t, dt):
    return x + t * velocity, t + min(dt, 1 - t)


@euler_step.mistake(
    "You go all that is left, 1 - t, in one step. The velocity changes on the way: go dt only, and ask the network again."
)
def all_that_is_left(x, velocity, t, dt):
    return x + (1 - t) * velocity, t + min(dt, 1 - t)


@euler_step.mistake("The time does not move: the network would be asked about the same time for ever. Return t plus the step.")
def time_stands_still(x, velocity, t, dt):
    return x + min(dt, 1 - t) * velocity, t


@euler_step.mistake("You return the velocity times the step, without x. The step begins at x: add it.")
def only_the_way(x, velocity, t, dt):
    h = min(dt, 1 - t)
    return h * velocity, t + h


@euler_step.mistake(
    "You blend x and the velocity, (1 - dt) x + dt v, as if the velocity were the image. It is a direction: x + dt v."
)
def blended(x, velocity, t, dt):
    h = min(dt, 1 - t)
    return (1 - h) * x + h * velocity, t + h


@euler_step.mistake("You divide by the length of the step. The way is velocity times time.")
def divided(x, velocity, t, dt):
    return x + velocity / dt, t + min(dt, 1 - t)


@euler_step.mistake("You cut x off at 0 and 1. On the way it is partly noise, which lies outside: leave it as it is.")
def cut_off(x, velocity, t, dt):
    h = min(dt, 1 - t)
    return (x + h * velocity).clamp(0, 1), t + h


@euler_step.property("Steps of any length end at 1, where a constant velocity has gone its whole way.")
def _ends_at_one(function, generator):
    start, velocity = _images(generator)
    for dt, steps in ((0.3, 4), (0.25, 4), (1.0, 1)):
        x, t = start.clone(), 0.0
        for _ in range(steps):
            x, t = function(x, velocity, t, dt)
        if abs(float(t) - 1) > 1e-6 or (x - start - velocity).abs().max() > 1e-4:
            return say("After {steps} steps of {dt:g} your time is {t:.2f}, not 1, or x is elsewhere.", steps=steps, dt=dt, t=t)


def _random_velocities(generator):
    conditional, unconditional = (torch.randn(2, 1, 2, 2, generator=generator) for _ in range(2))
    return conditional, unconditional, 1.5 + 2 * torch.rand(1, generator=generator).item()


@exercise(
    "Guidance",
    cases=[
        (torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[0.5, 2.0]]]]), 2.0),
        (torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[[0.0, 3.0]]]]), 1.0),
        (torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[[0.25, 3.0]]]]), 0.0),
        (torch.tensor([[[[2.0, 0.0]]], [[[1.0, 1.0]]]]), torch.tensor([[[[1.0, 1.0]]], [[[0.0, 3.0]]]]), 3.5),
    ],
    fresh=_random_velocities,
    idea=(
        "What the class changes is the difference of the two velocities. Guidance starts at the one without a class and goes "
        "that difference `weight` times: 0 times is no class, once is the class, more exaggerates it."
    ),
    steps=(
        "Which difference leads from the velocity without a class to the one with it? It is shaped as they are.",
        "Multiply it by the weight.",
        "Add it to the velocity from which it starts, and check the two ends: weight 0 and weight 1.",
    ),
)
def guided_velocity(conditional, unconditional, weight):
    return flow_matching.guided_velocity(conditional, unconditional, weight)


@guided_velocity.mistake(
    "You start at the velocity with the class: your weight 0 is the class, as in the paper's formula, which counts from there. "
    "Here 0 is no class and 1 the class: start at the unconditional velocity."
)
def as_in_the_paper(conditional, unconditional, weight):
    return (1 + weight) * conditional - weight * unconditional


@guided_velocity.mistake(
    "The two velocities are exchanged: yours goes away from the class. The difference is conditional minus unconditional, and "
    "it is added to the unconditional one."
)
def exchanged_velocities(conditional, unconditional, weight):
    return guided_velocity(unconditional, conditional, weight)


@guided_velocity.mistake(
    "Your difference points away from the class. It leads from the unconditional velocity to the conditional one."
)
def away_from_the_class(conditional, unconditional, weight):
    return unconditional + weight * (unconditional - conditional)


@guided_velocity.mistake("That is the difference alone. Add it to the unconditional velocity, from which it starts.")
def only_the_difference(conditional, unconditional, weight):
    return weight * (conditional - unconditional)


@guided_velocity.mistake("The weight plays no part: that is the velocity of the class, which is right for the weight 1 only.")
def weight_ignored(conditional, unconditional, weight):
    return conditional.clone()


@guided_velocity.mistake(
    "You multiply the velocity of the class by the weight, which makes the steps longer. Only the difference to the velocity "
    "without a class is multiplied."
)
def class_alone(conditional, unconditional, weight):
    return weight * conditional


@guided_velocity.mistake(
    "You add the weighted velocity of the class to the other one, so that their lengths add up. It is their difference that is "
    "weighted."
)
def summed(conditional, unconditional, weight):
    return unconditional + weight * conditional


@guided_velocity.mistake(
    "You divide by 1 + weight, which makes a mean of the two. Guidance goes beyond the velocity of the class, it does not stay "
    "between the two."
)
def mean_of_both(conditional, unconditional, weight):
    return (unconditional + weight * conditional) / (1 + weight)


@guided_velocity.mistake("You cut the weight off at 1, so nothing is exaggerated. A weight above 1 is what guidance is for.")
def between_the_two(conditional, unconditional, weight):
    return guided_velocity(conditional, unconditional, min(weight, 1.0))


@guided_velocity.mistake(
    "You scale the result back to the length of the velocity of the class, as some image models do. Here it stays as it is."
)
def rescaled(conditional, unconditional, weight):
    guided = guided_velocity(conditional, unconditional, weight)
    return guided * conditional.norm() / guided.norm().clamp_min(1e-8)


@guided_velocity.property("Where the class changes nothing, no weight does.")
def _nothing_to_exaggerate(function, generator):
    same = torch.randn(2, 1, 2, 2, generator=generator)
    for weight in (0.0, 1.0, 3.0):
        if (function(same.clone(), same.clone(), weight) - same).abs().max() > 1e-4:
            return say("For two equal velocities and the weight {weight:g} yours is another one.", weight=weight)


@guided_velocity.property("Weight 0 is the velocity without a class, weight 1 that of the class.")
def _both_ends(function, generator):
    conditional, unconditional, _ = _random_velocities(generator)
    for weight, right in ((0.0, unconditional), (1.0, conditional)):
        if (function(conditional.clone(), unconditional.clone(), weight) - right).abs().max() > 1e-4:
            return say("At the weight {weight:g} your velocity is not the one that it should be.", weight=weight)
