"""Chapter 06: the teacher of a mean teacher, the moving average of its student's weights."""

import torch

from ..languages import say
from ..methods import mean_teacher
from .declare import exercise


def _random_weights(generator):
    average, weights = torch.randn(2, 3, 4, generator=generator)
    return average, weights, 0.55 + 0.4 * torch.rand(1, generator=generator).item()


@exercise(
    "The moving average of the weights",
    cases=[
        (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.9),
        (torch.tensor([[2.0, -4.0], [0.5, 3.0]]), torch.tensor([[1.0, 2.0], [0.5, -1.0]]), 0.75),
        (torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 7.0]), 0.0),  # only the student
        (torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 7.0]), 1.0),  # only the average
    ],
    fresh=_random_weights,
    detached=True,
    idea=(
        "The teacher moves a small part of the way towards its student after every step. So it forgets old weights by and by, "
        "and what is noise from step to step cancels."
    ),
    steps=(
        "Two shares that add up to 1: decay for the average, 1 - decay for the student's weights.",
        "Make a new tensor. The student's own weights must stay: they are what the optimizer moves.",
        "Cut the result off from the graph. Otherwise it would hold those of all steps so far.",
    ),
)
def moving_average(average, weights, decay):
    return mean_teacher.moving_average(average, weights, decay)


@moving_average.mistake(
    "Your shares are exchanged. decay is what the average keeps of itself: near 1 it moves slowly, and follows the student by "
    "1 - decay."
)
def exchanged(average, weights, decay):
    return moving_average(average, weights, 1 - decay)


@moving_average.mistake("You add all of the student's weights. Their share is 1 - decay, so that both shares add up to 1.")
def student_whole(average, weights, decay):
    return decay * average + weights


@moving_average.mistake("You keep all of the average. Its share is decay, so that both shares add up to 1.")
def average_whole(average, weights, decay):
    return average + (1 - decay) * weights


@moving_average.mistake("You return the student's own weights. The average moves only a part of the way: 1 - decay.")
def copied(average, weights, decay):
    return weights.clone()


@moving_average.mistake("You take the plain mean of both. The shares are decay and 1 - decay.")
def plain_mean(average, weights, decay):
    return (average + weights) / 2


@moving_average.mistake(
    "You subtract the student's part. It is added: the average moves towards the student, not away from it."
)
def subtracted(average, weights, decay):
    return decay * average - (1 - decay) * weights


@moving_average.mistake("Both parts have the share decay. The student's is 1 - decay.")
def same_share(average, weights, decay):
    return decay * (average + weights)


@moving_average.mistake("Your average does not move. Add 1 - decay times the student's weights to its share.")
def unmoved(average, weights, decay):
    return average.clone()


@moving_average.mistake("That is only the way that the average moves, (1 - decay) (weights - average). Add it to the average.")
def only_the_way(average, weights, decay):
    return (1 - decay) * (weights - average)


@moving_average.property("An average that equals the student's weights stays where it is.")
def _rests_at_the_student(function, generator):
    weights = torch.randn(3, 4, generator=generator).double()
    if not torch.allclose(function(weights.clone(), weights, 0.9), weights, atol=1e-6):
        return say("Where average and student are equal already, yours moves.")


@moving_average.property("After many steps with an unmoving student the average has reached it.")
def _reaches_the_student(function, generator):
    average, weights = torch.randn(2, 5, generator=generator).double()
    for _ in range(60):
        average = function(average, weights, 0.7)
    if not torch.allclose(average, weights, atol=1e-4):
        return say("After 60 steps with the same student and a decay of 0.7 your average is still elsewhere.")


@moving_average.property("The average carries no gradient.", mistake="with_graph")
def _carries_no_gradient(function, generator):
    average, weights = torch.randn(2, 5, generator=generator)
    if function(average, weights.requires_grad_(), 0.9).requires_grad:
        return say(
            "Your average still hangs in the student's graph, which grows by every step: detach it, or use torch.no_grad."
        )
