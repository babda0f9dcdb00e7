"""Chapter 08: one step of each player of the game, judged by what it does to both networks."""

from collections.abc import Callable

import torch.nn.functional as F

from ..languages import say
from ..methods.generation import discriminator_loss, generator_loss
from . import inspectors
from .declare import Exercise, exercise
from .judged_steps import alike, declare_common_mistakes, named, observed, take, wrong_losses


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
    return take(optimizer, discriminator_loss(discriminator(real, labels), discriminator(fake, labels)))


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
    return take(optimizer, generator_loss(discriminator(_images(generator, labels, noise), labels)))


# Mistakes of the discriminator's step


def _turn(loss=discriminator_loss, take=take):
    """The discriminator's step with another loss or another second half."""

    def step(generator, discriminator, optimizer, real, labels, noise):
        fake = _images(generator, labels, noise).detach()
        return take(optimizer, loss(discriminator(real, labels), discriminator(fake, labels)))

    return step


@discriminator_step.mistake(
    "The gradient runs on into the generator: its images are not cut off. That takes time, and leaves gradients in the "
    "generator's weights that help the other player. To the discriminator images are data: .detach()."
)
def not_detached(generator, discriminator, optimizer, real, labels, noise):
    fake = _images(generator, labels, noise)
    return take(optimizer, discriminator_loss(discriminator(real, labels), discriminator(fake, labels)))


declare_common_mistakes(discriminator_step, lambda second_half: _turn(take=second_half))


@discriminator_step.mistake(
    "Your discriminator learns to believe generated images and to doubt real ones. Real scores come first in its loss."
)
def sides_swapped(*arguments):
    return _turn(lambda real, fake: discriminator_loss(fake, real))(*arguments)


@discriminator_step.mistake("You step uphill: the loss has the wrong sign, so it rises.")
def uphill(*arguments):
    return _turn(lambda real, fake: -discriminator_loss(real, fake))(*arguments)


@discriminator_step.mistake(
    "That is the generator's loss: your discriminator learns to take generated images for real. It wants low scores for them."
)
def loss_of_the_generator(*arguments):
    return _turn(lambda real, fake: generator_loss(fake))(*arguments)


@discriminator_step.mistake("The real images are missing. A discriminator that doubts every image would have no loss.")
def only_fake(*arguments):
    return _turn(lambda real, fake: F.softplus(fake).mean())(*arguments)


@discriminator_step.mistake("The generated images are missing. A discriminator that believes every image would have no loss.")
def only_real(*arguments):
    return _turn(lambda real, fake: F.softplus(-real).mean())(*arguments)


@discriminator_step.mistake(
    "That is half the loss: you take one mean over real and generated images, or divide by 2. It is the sum of two means."
)
def halved(*arguments):
    return _turn(lambda real, fake: discriminator_loss(real, fake) / 2)(*arguments)


@discriminator_step.mistake("You add up the images. Take the mean of each kind, or the step grows with the batch.")
def summed(*arguments):
    return _turn(lambda real, fake: len(real) * discriminator_loss(real, fake))(*arguments)


@discriminator_step.mistake("You take a sigmoid of the scores, and the loss has one inside. Give it the scores as they are.")
def sigmoid_twice(*arguments):
    return _turn(lambda real, fake: discriminator_loss(real.sigmoid(), fake.sigmoid()))(*arguments)


@discriminator_step.mistake(
    "You put the generator into evaluation mode. Its batch norms then use old averages, and other images come out than in its "
    "own step. Leave the modes alone."
)
def evaluation_mode(generator, *arguments):
    generator.eval()
    return discriminator_step(generator, *arguments)


@discriminator_step.mistake("You return the loss after the step. Return that of the scores from which the gradient came.")
def loss_after_the_step(generator, discriminator, optimizer, real, labels, noise):
    discriminator_step(generator, discriminator, optimizer, real, labels, noise)
    fake = _images(generator, labels, noise)
    return discriminator_loss(discriminator(real, labels), discriminator(fake, labels)).item()


# Mistakes of the generator's step


def _answer(loss=generator_loss, take=take):
    """The generator's step with another loss or another second half."""

    def step(generator, discriminator, optimizer, labels, noise):
        return take(optimizer, loss(discriminator(_images(generator, labels, noise), labels)))

    return step


@generator_step.mistake(
    "The images are cut off from the generator, by .detach() or torch.no_grad(), so no gradient reaches its weights and none "
    "moves. That cut belongs to the discriminator's step."
)
def detached(generator, discriminator, optimizer, labels, noise):
    return take(optimizer, generator_loss(discriminator(_images(generator, labels, noise).detach(), labels)))


declare_common_mistakes(generator_step, lambda second_half: _answer(take=second_half))


@generator_step.mistake(
    "That is the discriminator's side: your generator learns to be seen through. It wants high scores for its images."
)
def plays_for_the_discriminator(*arguments):
    return _answer(lambda fake: F.softplus(fake).mean())(*arguments)


@generator_step.mistake(
    "You minimise log(1 - sigmoid(s)), the saturating loss, whose gradient is nearly 0 where the discriminator is sure of the "
    "fake. Minimise -log sigmoid(s)."
)
def saturating(*arguments):
    return _answer(lambda fake: -F.softplus(fake).mean())(*arguments)


@generator_step.mistake("You step uphill: the loss has the wrong sign, so it rises.")
def uphill(*arguments):
    return _answer(lambda fake: -generator_loss(fake))(*arguments)


@generator_step.mistake("You add up the images. Take their mean, or the step grows with the batch.")
def summed(*arguments):
    return _answer(lambda fake: len(fake) * generator_loss(fake))(*arguments)


@generator_step.mistake("You take a sigmoid of the scores, and the loss has one inside. Give it the scores as they are.")
def sigmoid_twice(*arguments):
    return _answer(lambda fake: generator_loss(fake.sigmoid()))(*arguments)


@generator_step.mistake("That is minus the mean score, without the logarithm: -log sigmoid(s) is asked for.")
def minus_mean_score(*arguments):
    return _answer(lambda fake: -fake.mean())(*arguments)


@generator_step.mistake(
    "You put a network into evaluation mode. Dropout and batch norms then do something else than in the other player's step. "
    "Leave the modes alone."
)
def evaluation_mode(generator, discriminator, *arguments):
    discriminator.eval()
    return generator_step(generator, discriminator, *arguments)


@generator_step.mistake(
    "You freeze the discriminator's weights and leave them so: it never learns again. Its optimizer alone moves them, so there "
    "is no need to freeze them."
)
def discriminator_frozen(generator, discriminator, *arguments):
    discriminator.requires_grad_(False)
    return generator_step(generator, discriminator, *arguments)


@generator_step.mistake("You return the loss after the step. Return that of the scores from which the gradient came.")
def loss_after_the_step(generator, discriminator, optimizer, labels, noise):
    generator_step(generator, discriminator, optimizer, labels, noise)
    return generator_loss(discriminator(_images(generator, labels, noise), labels)).item()


# What both must do


def _declare_properties(task: Exercise, inspector: Callable, own: str, other: str) -> None:
    """Declares what must hold of a player's step: `own` and `other` are the networks' names."""

    def right():
        return observed(inspector, task.reference)

    @task.property("Batches, modes and what may learn stay as they were.", inspector=inspector)
    def _rest_stays(seen, generator):
        if not all(game["data"] for game in seen):
            return "input_changed", say("Your function changes the images, labels or noise that it gets: work on copies.")
        if not all(game["settings"] for game in seen):
            words = say("After your function a network is in another mode, or a weight has another requires_grad: leave both.")
            return named(task, inspector, seen, ("settings_changed", words))

    @task.property(f"The {other} stays as it is.", inspector=inspector)
    def _other_stays(seen, generator):
        for yours, expected in zip(seen, right(), strict=True):
            if not alike(yours[other], expected[other]):
                return "both_moved", say("The other player's weights move too. Each player moves in its own turn only.")
            if own == "discriminator" and any(yours["leaked"]):
                words = say("The gradients of the generator's weights change in the discriminator's step: cut its images off.")
                return named(task, inspector, seen, ("not_detached", words), ("leaked",))

    @task.property(f"The {own}'s weights take one step down this batch's gradient.", inspector=inspector)
    def _own_weights(seen, generator):
        for yours, expected in zip(seen, right(), strict=True):
            if alike(yours[own], expected[own]):
                continue
            if not yours["noise"]:
                return "other_noise", say(
                    "The generator got other noise than your function was given: hand it the noise as it is."
                )
            if alike(yours[own], [yours["before"]] * len(yours[own])):
                words = say("The weights of the network whose turn it is do not move.")
                return named(task, inspector, seen, ("unmoved", words), (own, "reached", "left"))
            wrong = next(step for step, w in enumerate(yours[own]) if not alike(w, expected[own][step]))
            words = say(
                "The weights of the network whose turn it is are not those of one step down its loss. The first wrong step is "
                "number {step} of 3; from the second on the weights hold gradients of other steps.",
                step=wrong + 1,
            )
            return named(task, inspector, seen, ("another_step", words), (own,))

    @task.property("It returns the loss.", inspector=inspector)
    def _returns_the_loss(seen, generator):
        losses = [[one for game in games for one in game["losses"]] for games in (seen, right())]
        if problem := wrong_losses(*losses):
            return named(task, inspector, seen, problem, ("losses",))


_declare_properties(discriminator_step, inspectors.discriminator_steps, "discriminator", "generator")
_declare_properties(generator_step, inspectors.generator_steps, "generator", "discriminator")
