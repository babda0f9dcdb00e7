"""Chapter 07: a gradient step, projections onto both balls, projected gradient descent."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import attacks
from ..methods.attacks import input_gradient
from .declare import exercise
from .inspectors import Bent

IMAGE = torch.tensor([[[[0.5, 0.2], [0.0, 1.0]]]])
PAIR = torch.tensor([[[[0.5, 0.4]]], [[[0.9, 0.1]]]])


def _random_images(generator):
    return torch.rand(2, 1, 2, 3, generator=generator)


def _random_step(generator):
    seed = int(torch.randint(1000, (1,), generator=generator))
    return Bent(seed), _random_images(generator), 0.1 + 0.2 * torch.rand(1, generator=generator).item()


@exercise(
    "The fast gradient sign method",
    cases=[(Bent(0), IMAGE, 0.1), (Bent(1), torch.linspace(0, 1, 12).reshape(2, 1, 2, 3), 0.25)],
    fresh=_random_step,
    detached=True,
)
def fgsm(loss, images, epsilon):
    return attacks.fgsm(loss, images, epsilon)


@fgsm.mistake("You step downhill. Training makes the loss smaller; an attack makes it larger: plus the sign of the gradient.")
def downhill(loss, images, epsilon):
    return (images - epsilon * input_gradient(loss, images).sign()).clamp(0, 1)


@fgsm.mistake(
    "You step along the gradient itself. In the L-inf ball every pixel may move by epsilon, whatever the size of its "
    "gradient: take its sign."
)
def gradient_without_sign(loss, images, epsilon):
    return (images + epsilon * input_gradient(loss, images)).clamp(0, 1)


@fgsm.mistake(
    "Your step has the Euclidean length epsilon. That is the best one in the L2 ball; in L-inf it is epsilon times the sign."
)
def unit_gradient(loss, images, epsilon):
    gradient = input_gradient(loss, images)
    return (images + epsilon * F.normalize(gradient.flatten(1), dim=1).view_as(images)).clamp(0, 1)


@fgsm.mistake("Some pixels leave 0..1. No image looks like that: clamp the result.")
def not_clamped(loss, images, epsilon):
    return images + epsilon * input_gradient(loss, images).sign()


@fgsm.mistake("You return the perturbation alone. Add it to the images.")
def only_the_perturbation(loss, images, epsilon):
    return epsilon * input_gradient(loss, images).sign()


def _random_moved(generator):
    images = _random_images(generator)
    moved = images + torch.tensor([0.05, 1.0])[:, None, None, None] * torch.randn(images.shape, generator=generator)
    return moved, images, 0.2 + 0.2 * torch.rand(1, generator=generator).item()


@exercise(
    "Projection onto the L-inf ball",
    cases=[(IMAGE + 0.3, IMAGE, 0.1), (PAIR.flip(0), PAIR, 0.2), (IMAGE - 0.05, IMAGE, 0.3)],
    fresh=_random_moved,
)
def project_linf(moved, images, epsilon):
    return attacks.project_linf(moved, images, epsilon)


@project_linf.mistake("You stay near the moved images and bring the originals there. The ball is around the original images.")
def wrong_centre(moved, images, epsilon):
    return project_linf(images, moved, epsilon)


@project_linf.mistake(
    "You clamp the image itself to -epsilon..epsilon. It is the difference to the original that must be that small."
)
def ball_around_zero(moved, images, epsilon):
    return moved.clamp(-epsilon, epsilon).clamp(0, 1)


@project_linf.mistake("The result is in the ball, but some pixels are outside 0..1. Clamp to the range of images as well.")
def not_clamped(moved, images, epsilon):
    return moved.clamp(images - epsilon, images + epsilon)


@project_linf.mistake("You only clamp to 0..1. The distance to the original images must be at most epsilon in every pixel.")
def range_only(moved, images, epsilon):
    return moved.clamp(0, 1)


@project_linf.mistake("You return the perturbation. The projected image is wanted: add the original.")
def only_the_perturbation(moved, images, epsilon):
    return project_linf(moved, images, epsilon) - images


def _scaled(moved, images, epsilon, norm, most=1.0):
    """`project_l2` with another norm, or another largest factor."""
    delta = moved - images
    factor = (epsilon / norm(delta).clamp_min(1e-12)).clamp(max=most)
    return (images + factor * delta).clamp(0, 1)


def _linf_norm(delta):
    """The L-inf norm of each image, (B, 1, 1, 1)."""
    return delta.abs().flatten(1).amax(dim=1)[:, None, None, None]


@project_linf.mistake(
    "You shrink all pixels until the farthest one fits. The nearest point of this ball keeps those that fit: clamp each."
)
def scaled(moved, images, epsilon):
    return _scaled(moved, images, epsilon, _linf_norm)


def _projects_into_the_ball(function, generator, norm):
    images = torch.rand(3, 1, 2, 3, generator=generator)
    moved = images + torch.randn(images.shape, generator=generator)
    projected = function(moved, images, 0.3)
    if projected.min() < 0 or projected.max() > 1:
        return say("Some pixels are outside 0..1: no image looks like that. Clamp.")
    if (norm(projected - images) > 0.3 + 1e-4).any():
        return say("Some images are outside the ball.")
    if not torch.allclose(function(images, images, 0.3), images.double()):
        return say("An image that has not moved at all is moved by your projection.")


@project_linf.property("The result is in the ball and in 0..1.")
def _projects_into_the_linf_ball(function, generator):
    return _projects_into_the_ball(function, generator, _linf_norm)


@exercise(
    "Projection onto the L2 ball",
    cases=[
        (PAIR + torch.tensor([0.3, 0.4]), PAIR, 0.25),
        (PAIR + torch.tensor([[[[0.03]]], [[[0.5]]]]), PAIR, 0.2),
        (torch.full((1, 2, 1, 1), 0.5) + torch.tensor([[[[0.3]], [[0.4]]]]), torch.full((1, 2, 1, 1), 0.5), 0.25),
    ],
    fresh=_random_moved,
)
def project_l2(moved, images, epsilon):
    return attacks.project_l2(moved, images, epsilon)


def _l2_norm(delta):
    """The L2 norm of each image, (B, 1, 1, 1)."""
    return delta.flatten(1).norm(dim=1)[:, None, None, None]


@project_l2.mistake(
    "You bring every image to the distance epsilon, even those inside the ball. They may stay: the factor is at most 1."
)
def inner_points_moved(moved, images, epsilon):
    return _scaled(moved, images, epsilon, _l2_norm, most=float("inf"))


@project_l2.mistake(
    "You measure one length for the whole batch, so what happens to an image depends on its neighbours. One length per "
    "image: flatten(1), then norm(dim=1)."
)
def one_norm_for_all(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: d.norm())


@project_l2.mistake(
    "You measure the length of every row of pixels. The length of an image runs over all its pixels: flatten(1) first."
)
def norm_of_rows(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: d.norm(dim=-1, keepdim=True))


@project_l2.mistake("You divide by the squared length. The root is missing.")
def squared(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: _l2_norm(d) ** 2)


@project_l2.mistake("The result is in the ball, but some pixels are outside 0..1. Clamp to the range of images as well.")
def not_clamped(moved, images, epsilon):
    delta = moved - images
    return images + (epsilon / _l2_norm(delta).clamp_min(1e-12)).clamp(max=1) * delta


@project_l2.mistake("Your ball is around the moved images. It is around the originals: the difference is moved - images.")
def wrong_centre(moved, images, epsilon):
    return _scaled(images, moved, epsilon, _l2_norm)


@project_l2.mistake(
    "You clamp each pixel, which is the L-inf ball, a cube. Its corners are farther away than epsilon: scale instead."
)
def clamped_to_linf(moved, images, epsilon):
    return project_linf(moved, images, epsilon)


@project_l2.property("The result is in the ball and in 0..1.")
def _projects_into_the_l2_ball(function, generator):
    return _projects_into_the_ball(function, generator, _l2_norm)


def _random_loop(generator):
    loss, images, epsilon = _random_step(generator)
    start = project_linf(images + epsilon * torch.randn(images.shape, generator=generator), images, epsilon)
    return loss, images, start, epsilon, epsilon / 3, 5


@exercise(
    "Projected gradient descent",
    cases=[
        (Bent(0), IMAGE, IMAGE, 0.2, 0.15, 2),
        (Bent(2), PAIR, project_linf(PAIR + 0.1, PAIR, 0.1), 0.3, 0.12, 4),
        (Bent(3), IMAGE.flip(3), IMAGE.flip(3), 0.3, 0.08, 6),
        (Bent(4), IMAGE, IMAGE, 0.3, 0.25, 3),  # the third step goes too far
    ],
    fresh=_random_loop,
    detached=True,
)
def pgd(loss, images, start, epsilon, step_size, steps):
    return attacks.pgd(loss, images, start, epsilon, step_size, steps)


def _loop(loss, images, start, epsilon, step_size, steps, *, sign=1, around="images", sum_gradients=False, project=None):
    """`pgd` with one step changed."""
    project = project or project_linf
    moved, gradient = start, 0
    for _ in range(steps):
        new = sign * input_gradient(loss, images if around == "gradient at images" else moved)
        gradient = gradient + new if sum_gradients else new
        moved = project(moved + step_size * gradient.sign(), moved if around == "moved" else images, epsilon)
    return moved


@pgd.mistake(
    "Your loop goes downhill, to an image that the model finds easier. Despite its name, this descent climbs: plus the sign."
)
def downhill(*arguments):
    return _loop(*arguments, sign=-1)


@pgd.mistake("You begin at the original images. Begin at `start`.")
def start_ignored(loss, images, start, *rest):
    return pgd(loss, images, images, *rest)


@pgd.mistake(
    "You project around the image of the step before, so that the ball moves along. Its centre is always the original."
)
def moving_centre(*arguments):
    return _loop(*arguments, around="moved")


@pgd.mistake("Your ball is around the start. Its centre is the original image.")
def ball_around_the_start(loss, images, start, *rest):
    return pgd(loss, start, start, *rest)


@pgd.mistake("You take the gradient at the original image in every step. Take it where the image is now.")
def gradient_at_the_original(*arguments):
    return _loop(*arguments, around="gradient at images")


@pgd.mistake(
    "Your gradients add up from step to step: backward() adds to .grad. Use torch.autograd.grad, or a new leaf in each step."
)
def gradient_accumulates(*arguments):
    return _loop(*arguments, sum_gradients=True)


@pgd.mistake("You step along the gradient itself. The steepest step in the L-inf ball is its sign.")
def gradient_without_sign(loss, images, start, epsilon, step_size, steps):
    moved = start
    for _ in range(steps):
        moved = project_linf(moved + step_size * input_gradient(loss, moved), images, epsilon)
    return moved


def _unprojected(moved, images, epsilon):
    return moved


@pgd.mistake(
    "You project once, at the end. Then the gradients in between are those of images outside the ball: project at every step."
)
def projected_at_the_end(loss, images, start, epsilon, step_size, steps):
    return project_linf(_loop(loss, images, start, epsilon, step_size, steps, project=_unprojected), images, epsilon)


@pgd.mistake("You never go back into the ball: project after each step.")
def never_projected(*arguments):
    return _loop(*arguments, project=_unprojected)


@pgd.mistake("You make one step too few.")
def one_step_too_few(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, step_size, steps - 1)


@pgd.mistake("Your steps have the size epsilon. They must have the size step_size.")
def steps_of_epsilon(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, epsilon, steps)
