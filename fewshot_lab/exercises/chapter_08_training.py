"""Chapter 08: one step of each player of the game, judged by what it does to both networks."""

import torch.nn.functional as F

from ..languages import later, say
from ..methods.generation import discriminator_loss, generator_loss
from . import inspectors
from .declare import exercise
from .training_steps import SUMMED, alike, declare_common_mistakes, declare_mistakes, judge_steps, take


def _images(generator, labels, noise):
    return generator(noise, F.one_hot(labels, generator.classes).float())


@exercise(
    "A step of the discriminator",
    idea="To the discriminator a generated image is data, as a real one is. So the graph is cut between the two players: the "
    "gradient ends at the images, and only the discriminator's weights move.",
    steps=(
        "Hand the noise and the classes, one-hot, to the generator, and cut its images off from it.",
        "Let the discriminator score the real images and the generated ones, both with the labels.",
        "Put the two kinds of scores into the discriminator's loss.",
        "Clear old gradients, propagate backwards, let the optimizer take one step.",
        "Return the number that the loss had before the step.",
    ),
)
def discriminator_step(generator, discriminator, optimizer, real, labels, noise):
    fake = _images(generator, labels, noise).detach()
    return take(optimizer, lambda: discriminator_loss(discriminator(real, labels), discriminator(fake, labels)))


@exercise(
    "A step of the generator",
    idea="The generator learns through the discriminator: the gradient goes from the scores back through it to the images, and "
    "from there into the generator's weights, which alone move.",
    steps=(
        "Hand the noise and the classes, one-hot, to the generator, and leave its images in the graph.",
        "Let the discriminator score them, with the labels, and put the scores into the generator's loss.",
        "Clear old gradients, propagate backwards, let the generator's optimizer take one step.",
        "Return the number that the loss had before this step.",
    ),
)
def generator_step(generator, discriminator, optimizer, labels, noise):
    return take(optimizer, lambda: generator_loss(discriminator(_images(generator, labels, noise), labels)))


SIGMOID_TWICE = later("You take a sigmoid of the scores, and the loss has one inside. Give it the scores as they are.")


# The discriminator


def _turn(loss=discriminator_loss, half=take, *, cut=True):
    """The discriminator's step with another loss or another second half; `cut=False`: with the generator's graph."""

    def step(generator, discriminator, optimizer, real, labels, noise):
        fake = _images(generator, labels, noise)
        fake = fake.detach() if cut else fake
        return half(optimizer, lambda: loss(discriminator(real, labels), discriminator(fake, labels)))

    return step


NOT_DETACHED = later(
    "The gradient runs on into the generator: its images are not cut off. That takes time, and leaves gradients in the "
    "generator's weights that help the other player. To the discriminator images are data: .detach()."
)
declare_mistakes(discriminator_step, not_detached=(NOT_DETACHED, _turn(cut=False)))
declare_common_mistakes(discriminator_step, lambda half: _turn(half=half))
declare_mistakes(
    discriminator_step,
    sides_swapped=(
        "Your discriminator learns to believe generated images and to doubt real ones. Real scores come first in its loss.",
        _turn(lambda real, fake: discriminator_loss(fake, real)),
    ),
    loss_of_the_generator=(
        "That is the generator's loss: your discriminator learns to take generated images for real. It wants low scores for "
        "them.",
        _turn(lambda real, fake: generator_loss(fake)),
    ),
    fake_scores_detached=(
        "You cut off the scores of the generated images, so the discriminator learns from the real ones alone. Cut off the "
        "images, before it scores them.",
        _turn(lambda real, fake: discriminator_loss(real, fake.detach())),
    ),
    only_fake=(
        "The real images are missing. A discriminator that doubts every image would have no loss.",
        _turn(lambda real, fake: F.softplus(fake).mean()),
    ),
    only_real=(
        "The generated images are missing. A discriminator that believes every image would have no loss.",
        _turn(lambda real, fake: F.softplus(-real).mean()),
    ),
    halved=(
        "That is half the loss: you take one mean over real and generated images, or divide by 2. It is the sum of two means.",
        _turn(lambda real, fake: discriminator_loss(real, fake) / 2),
    ),
    summed=(SUMMED, _turn(lambda real, fake: len(real) * discriminator_loss(real, fake))),
    sigmoid_twice=(SIGMOID_TWICE, _turn(lambda real, fake: discriminator_loss(real.sigmoid(), fake.sigmoid()))),
)


def _wrong_images(world, right):
    if any(world["leaked"]):
        return "not_detached", NOT_DETACHED
    return _other_noise(world, right)


def _other_noise(world, right):
    if not all(world["noise"]) and not alike(world["weights"], right["weights"]):
        return "other_noise", say("The generator got other noise than your function was given: hand it the noise as it is.")
    return None


judge_steps(
    discriminator_step,
    inspectors.discriminator_steps,
    before=("The generator gets the noise, and no gradient comes back to it.", _wrong_images, ("leaked",)),
    loss="It returns the loss.",
)


# The generator


def _answer(loss=generator_loss, half=take, *, cut=False):
    """The generator's step with another loss or another second half; `cut=True`: without the graph of its images."""

    def step(generator, discriminator, optimizer, labels, noise):
        def of_images():
            fake = _images(generator, labels, noise)
            return loss(discriminator(fake.detach() if cut else fake, labels))

        return half(optimizer, of_images)

    return step


def _discriminator_frozen(generator, discriminator, *arguments):
    discriminator.requires_grad_(False)
    return generator_step(generator, discriminator, *arguments)


declare_mistakes(
    generator_step,
    detached=(
        "The images are cut off from the generator, by .detach() or torch.no_grad(), so no gradient reaches its weights and "
        "none moves. That cut belongs to the discriminator's step.",
        _answer(cut=True),
    ),
)
declare_common_mistakes(generator_step, lambda half: _answer(half=half))
declare_mistakes(
    generator_step,
    plays_for_the_discriminator=(
        "That is the discriminator's side: your generator learns to be seen through. It wants high scores for its images.",
        _answer(lambda fake: F.softplus(fake).mean()),
    ),
    saturating=(
        "You minimise log(1 - sigmoid(s)), the saturating loss, whose gradient is nearly 0 where the discriminator is sure of "
        "the fake. Minimise -log sigmoid(s).",
        _answer(lambda fake: -F.softplus(fake).mean()),
    ),
    summed=(SUMMED, _answer(lambda fake: len(fake) * generator_loss(fake))),
    sigmoid_twice=(SIGMOID_TWICE, _answer(lambda fake: generator_loss(fake.sigmoid()))),
    minus_mean_score=(
        "That is minus the mean score, without the logarithm: -log sigmoid(s) is asked for.",
        _answer(lambda fake: -fake.mean()),
    ),
    discriminator_frozen=(
        "You freeze the discriminator's weights and leave them so: it never learns again. Its optimizer alone moves them, so "
        "there is no need to freeze them.",
        _discriminator_frozen,
    ),
)
judge_steps(
    generator_step,
    inspectors.generator_steps,
    before=("The generator gets the noise.", _other_noise, ()),
    loss="It returns the loss.",
)
