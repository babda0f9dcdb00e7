"""Chapter 07: a gradient step, projections onto both balls, projected gradient descent."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import attacks
from ..methods.attacks import input_gradient
from .declare import exercise
from .inspectors import Bent

IMAGE = torch.tensor([[[[0.5, 0.2], [0.0, 1.0]]]])
CHANGE = torch.tensor([[[[0.3, 0.1], [0.2, -0.2]], [[0.0, 0.4], [-0.1, 0.1]]]])
START = torch.tensor([[[[0.4, 0.3], [0.2, 0.8]]]])  # at most 0.2 away
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
    idea=(
        "To first order a change adds its inner product with the gradient to the loss. In the L-inf ball every pixel has a "
        "budget of its own, so each moves by epsilon with the sign of its gradient, and the small gains add up."
    ),
    steps=(
        "Mark a copy of the images as requiring a gradient; the images that you were given stay as they are.",
        (
            "Compute the loss of this copy and its gradient with respect to it. torch.autograd.grad returns a tuple; its only "
            "entry has the shape of the images."
        ),
        (
            "Step uphill by epsilon times the sign of the gradient: an attack makes the loss larger, and the size of a pixel's "
            "gradient does not matter."
        ),
        (
            "Add the step to the original images: added to the marked copy, it carries the graph along, and no graph may stay. "
            "Then clamp to 0..1, so that the result is an image."
        ),
    ),
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


def _stepped(loss, images, epsilon):
    """`fgsm` before the clamp."""
    return images + epsilon * input_gradient(loss, images).sign()


@fgsm.mistake("Some pixels fall below 0 in your function. These images lie in 0..1, not in -1..1: clamp at 0 too.")
def below_0_allowed(loss, images, epsilon):
    return _stepped(loss, images, epsilon).clamp(-1, 1)


@fgsm.mistake("Some pixels rise above 1 in your function. These images lie in 0..1: clamp at 1 too.")
def above_1_allowed(loss, images, epsilon):
    return _stepped(loss, images, epsilon).clamp(min=0)


@fgsm.mistake("You divide epsilon by 255. It is given in the unit of the images, 0..1, already.")
def epsilon_in_255ths(loss, images, epsilon):
    return fgsm(loss, images, epsilon / 255)


@fgsm.mistake("A pixel without any gradient moves up in your function. Its sign is 0, and it stays: .sign() does so.")
def zero_counts_as_positive(loss, images, epsilon):
    gradient = input_gradient(loss, images)
    return (images + epsilon * torch.where(gradient >= 0, 1.0, -1.0)).clamp(0, 1)


@fgsm.mistake("A pixel without any gradient moves down in your function. Its sign is 0, and it stays: .sign() does so.")
def zero_counts_as_negative(loss, images, epsilon):
    gradient = input_gradient(loss, images)
    return (images + epsilon * torch.where(gradient > 0, 1.0, -1.0)).clamp(0, 1)


@fgsm.mistake("You add up the gradients of all images, so that all take the same step. Each image has its own gradient.")
def gradient_of_the_batch(loss, images, epsilon):
    return (images + epsilon * input_gradient(loss, images).sum(0, keepdim=True).sign()).clamp(0, 1)


@fgsm.mistake("You clamp the step and return it alone. Add it to the images, then clamp their sum.")
def clamped_perturbation(loss, images, epsilon):
    return (epsilon * input_gradient(loss, images).sign()).clamp(0, 1)


@fgsm.mistake("Your step has the size 1. Multiply the sign by epsilon.")
def epsilon_ignored(loss, images, epsilon):
    return fgsm(loss, images, 1.0)


@fgsm.mistake(
    "You divide the gradient by its largest value, so only one pixel of an image moves by epsilon. All may: take the sign."
)
def scaled_by_the_largest(loss, images, epsilon):
    gradient = input_gradient(loss, images)
    return (images + epsilon * gradient / _linf_norm(gradient)).clamp(0, 1)


def _random_moved(generator):
    images = _random_images(generator)
    moved = images + torch.tensor([0.05, 1.0])[:, None, None, None] * torch.randn(images.shape, generator=generator)
    return moved, images, 0.2 + 0.2 * torch.rand(1, generator=generator).item()


@exercise(
    "Projection onto the L-inf ball",
    cases=[(IMAGE + 0.3, IMAGE, 0.1), (PAIR.flip(0), PAIR, 0.2), (IMAGE - 0.05, IMAGE, 0.3)],
    fresh=_random_moved,
    idea=(
        "In the L-inf ball every pixel has an interval of its own around the original, so the nearest allowed image is found "
        "pixel by pixel. A pixel that went too far stops at the border, and one that is inside stays."
    ),
    steps=(
        (
            "A pixel may be at most epsilon away from its original in `images`, to either side. The ball is around the "
            "originals, not around `moved` or 0."
        ),
        (
            "Bound every pixel from below and from above by this interval; clamp also takes tensors as bounds. Do not scale: "
            "what is inside must not move."
        ),
        (
            "Clamp to 0..1 as well, so that the result is an image. Since the originals lie in 0..1, this leads no pixel out "
            "of the ball."
        ),
    ),
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


@project_linf.mistake("You return the difference, cut to -epsilon..epsilon. Add it to the original images, then clamp to 0..1.")
def clamped_difference(moved, images, epsilon):
    return (moved - images).clamp(-epsilon, epsilon)


@project_linf.mistake("Your ball has half the radius. Epsilon is the distance from the centre on either side.")
def half_the_radius(moved, images, epsilon):
    return project_linf(moved, images, epsilon / 2)


@project_linf.mistake("Your ball has twice the radius. Epsilon is the distance from the centre, to either side.")
def twice_the_radius(moved, images, epsilon):
    return project_linf(moved, images, 2 * epsilon)


@project_linf.mistake(
    "A pixel that went too far goes back to the original. The nearest point of the ball is its border: images ± epsilon."
)
def back_to_the_original(moved, images, epsilon):
    return torch.where((moved - images).abs() > epsilon, images, moved).clamp(0, 1)


@project_linf.mistake(
    "Your min and max have changed places, so that the result is always images - epsilon. Take the smaller of moved and the "
    "upper border, and the larger of that and the lower one."
)
def min_and_max_exchanged(moved, images, epsilon):
    return torch.min(torch.max(moved, images + epsilon), images - epsilon).clamp(0, 1)


@project_linf.mistake("You only bound the pixels from above. They may also be too dark: at least images - epsilon.")
def upper_border_only(moved, images, epsilon):
    return torch.min(moved, images + epsilon).clamp(0, 1)


@project_linf.mistake("You only bound the pixels from below. They may also be too bright: at most images + epsilon.")
def lower_border_only(moved, images, epsilon):
    return torch.max(moved, images - epsilon).clamp(0, 1)


@project_linf.mistake("You move every pixel by epsilon, even those that were nearer. What is inside the ball stays.")
def always_to_the_border(moved, images, epsilon):
    return (images + epsilon * (moved - images).sign()).clamp(0, 1)


@project_linf.mistake(
    "You take the difference away from the original, so every pixel goes the other way. Add moved - images, once it is cut."
)
def mirrored(moved, images, epsilon):
    return (images - (moved - images).clamp(-epsilon, epsilon)).clamp(0, 1)


@project_linf.mistake(
    "You scale by the Euclidean length, which is the L2 ball. In L-inf each pixel is bounded on its own: clamp."
)
def l2_ball(moved, images, epsilon):
    return _scaled(moved, images, epsilon, _l2_norm)


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
        (torch.full((1, 2, 2, 2), 0.5) + CHANGE, torch.full((1, 2, 2, 2), 0.5), 0.25),
    ],
    fresh=_random_moved,
    idea=(
        "In the L2 ball all pixels of an image share one budget, the length of its whole change. An image that is too far "
        "comes back on the straight line to its original until it is epsilon away; one that is inside stays."
    ),
    steps=(
        (
            "Take moved minus images and get its Euclidean length for each image, over all channels and pixels: flattened from "
            "dim 1 on, it is one number per image, (n,)."
        ),
        (
            "The change is multiplied by epsilon over its length, but by at most 1: without this bound, images inside the ball "
            "would be pushed out to its border."
        ),
        "An image that has not moved has the length 0. A tiny lower bound on the length keeps the quotient finite.",
        (
            "Bring the factors to (n, 1, 1, 1), so that each multiplies the change of its own image, and add the result to the "
            "originals."
        ),
        "Clamp to 0..1 at the end, not before the length is measured: that would bend the way back.",
    ),
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


@project_l2.mistake(
    "You measure the length of every channel. The length of an image runs over all its channels too: flatten(1) first."
)
def norm_of_channels(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: d.flatten(2).norm(dim=2)[:, :, None, None])


@project_l2.mistake(
    "You measure the length of each pixel over its channels. The length of an image runs over all its pixels: flatten(1)."
)
def norm_across_channels(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: d.norm(dim=1, keepdim=True))


@project_l2.mistake("You take the root of the mean square. The Euclidean length is the root of the sum.")
def root_mean_square(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: _l2_norm(d) / d[0].numel() ** 0.5)


@project_l2.mistake(
    "You measure the length by the sum of the absolute values. The Euclidean length is the root of the sum of squares."
)
def l1_norm(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: d.flatten(1).abs().sum(1)[:, None, None, None])


@project_l2.mistake("You measure the largest pixel of the difference. The Euclidean length is the root of the sum of squares.")
def largest_pixel(moved, images, epsilon):
    return _scaled(moved, images, epsilon, _linf_norm)


@project_l2.mistake(
    "You measure the length of the moved image. It is its distance from the original that counts: moved - images."
)
def length_of_the_image(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: _l2_norm(moved))


@project_l2.mistake("You shrink the moved image itself, towards black. Pull it towards its original: scale moved - images.")
def image_shrunk(moved, images, epsilon):
    return _scaled(moved, torch.zeros_like(images), epsilon, _l2_norm)


@project_l2.mistake(
    "You clamp to 0..1 before you measure, which bends the way back. Pull straight to the original first, clamp at the end."
)
def clamped_first(moved, images, epsilon):
    return _scaled(moved.clamp(0, 1), images, epsilon, _l2_norm)


@project_l2.mistake("You return the perturbation. The projected image is wanted: add the original.")
def only_the_perturbation(moved, images, epsilon):
    delta = moved - images
    return (epsilon / _l2_norm(delta).clamp_min(1e-12)).clamp(max=1) * delta


@project_l2.mistake("You only clamp to 0..1. Each image must also be at most epsilon away from its original.")
def range_only(moved, images, epsilon):
    return moved.clamp(0, 1)


@project_l2.mistake("An image outside the ball goes back to its original. Pull it to the border: epsilon away.")
def back_to_the_original(moved, images, epsilon):
    return torch.where(_l2_norm(moved - images) > epsilon, images, moved).clamp(0, 1)


@project_l2.mistake("Your factor is the wrong way up: length / epsilon. It must be epsilon / length, at most 1.")
def factor_inverted(moved, images, epsilon):
    delta = moved - images
    return (images + (_l2_norm(delta) / epsilon).clamp(max=1) * delta).clamp(0, 1)


@project_l2.mistake(
    "Your lengths have the shape (n,), which torch lays along the last axis, the columns. Give each image one: "
    "[:, None, None, None]."
)
def lengths_along_the_columns(moved, images, epsilon):
    return _scaled(moved, images, epsilon, lambda d: d.flatten(1).norm(dim=1))


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
        (Bent(8), IMAGE, START, 0.3, 0.25, 4),
        (Bent(33), IMAGE, START, 0.2, 0.25, 4),  # a single step leads out of the ball
    ],
    fresh=_random_loop,
    detached=True,
    idea=(
        "A loss is not linear, so many small steps find more than a large one. Each goes uphill by the sign of the gradient, "
        "and the projection brings the image back to the nearest one that is allowed."
    ),
    steps=(
        "Begin at `start` and make as many steps as `steps` says, each from where the last one led.",
        (
            "In each step take the gradient of the loss where the image is now, with a new marked copy. On one and the same "
            "leaf, backward() would add the gradients up."
        ),
        (
            "Move uphill by step_size times the sign of the gradient. step_size is how far one step goes, epsilon how large "
            "the ball is."
        ),
        (
            "Project after every step, not only at the end. The ball is always around `images`, not around `start` or the "
            "image of the step before."
        ),
        "Return the images after the last step, not their change. They must carry no graph, which would grow with every step.",
    ),
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


def _into_the_ball(moved, images, epsilon):
    return moved.clamp(images - epsilon, images + epsilon)


@pgd.mistake("You make one step too many.")
def one_step_too_many(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, step_size, steps + 1)


@pgd.mistake("You make only one step. Go on until all `steps` are made, and return after the loop.")
def only_one_step(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, step_size, 1)


@pgd.mistake("You take the gradient at the start in every step. Take it where the image is now.")
def gradient_at_the_start(loss, images, start, epsilon, step_size, steps):
    step = step_size * input_gradient(loss, start).sign()
    moved = start
    for _ in range(steps):
        moved = project_linf(moved + step, images, epsilon)
    return moved


@pgd.mistake("Every step of yours begins at the same image again. Go on from where the last step led.")
def every_step_from_start(loss, images, start, epsilon, step_size, steps):
    moved = start
    for _ in range(steps):
        moved = project_linf(start + step_size * input_gradient(loss, moved).sign(), images, epsilon)
    return moved


@pgd.mistake("You divide the step size by the number of steps. step_size is the size of a single step already.")
def step_size_divided(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, step_size / steps, steps)


@pgd.mistake(
    "Your steps have the size epsilon / steps. They must have the size step_size; the projection keeps them in the ball."
)
def epsilon_divided(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, epsilon / steps, steps)


@pgd.mistake("Your steps have the size 1. Multiply the sign by step_size.")
def step_size_ignored(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, epsilon, 1.0, steps)


@pgd.mistake("Your ball has the radius step_size. It is epsilon; step_size is how far a single step goes.")
def ball_of_step_size(loss, images, start, epsilon, step_size, steps):
    return pgd(loss, images, start, step_size, step_size, steps)


@pgd.mistake("You return the step with the largest loss. The result is where the last step leads.")
def best_of_all_steps(loss, images, start, epsilon, step_size, steps):
    made = [pgd(loss, images, start, epsilon, step_size, count) for count in range(steps + 1)]
    return max(made, key=lambda moved: loss(moved).item())


@pgd.mistake("You only clamp to 0..1. After each step go back into the ball, at most epsilon from the original images.")
def range_only(*arguments):
    return _loop(*arguments, project=lambda moved, images, epsilon: moved.clamp(0, 1))


@pgd.mistake("You go back into the ball, but not into 0..1. The projection does both, after each step.")
def range_forgotten(*arguments):
    return _loop(*arguments, project=_into_the_ball)


@pgd.mistake("Your step has the Euclidean length step_size, as for the L2 ball. In L-inf it is step_size times the sign.")
def unit_gradient(loss, images, start, epsilon, step_size, steps):
    moved = start
    for _ in range(steps):
        direction = F.normalize(input_gradient(loss, moved).flatten(1), dim=1).view_as(images)
        moved = project_linf(moved + step_size * direction, images, epsilon)
    return moved


@pgd.mistake("You project onto the L2 ball. This attack lives in the L-inf ball: each pixel may move by epsilon.")
def l2_ball(*arguments):
    return _loop(*arguments, project=attacks.project_l2)


@pgd.mistake("You return the perturbation. The attacked images are wanted: add the originals.")
def only_the_perturbation(loss, images, *rest):
    return pgd(loss, images, *rest) - images
