"""Chapter 07: a gradient step, projections onto both balls, projected gradient descent, TRADES, survivors, warning signs."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.adversarial import trades_loss
from ..methods.attacks import fgsm, input_gradient, pgd, project_l2, project_linf, surviving_share, warning_signs
from .declare import Exercise, Mistake, Property
from .inspectors import Bent


def _no_sign(loss, images, epsilon):
    return (images + epsilon * input_gradient(loss, images)).clamp(0, 1)


def _unit_step(loss, images, epsilon):
    """A step along the gradient brought to length epsilon, image by image."""
    gradient = input_gradient(loss, images)
    return (images + epsilon * F.normalize(gradient.flatten(1), dim=1).view_as(images)).clamp(0, 1)


def _scaled(moved, images, epsilon, length, most=1.0):
    """`project_l2` with another length, or another largest factor."""
    delta = moved - images
    factor = (epsilon / length(delta).clamp_min(1e-12)).clamp(max=most)
    return (images + factor * delta).clamp(0, 1)


def _each(delta):
    return delta.flatten(1).norm(dim=1)[:, None, None, None]


def _loop(loss, images, start, epsilon, step_size, steps, *, sign=1, around="images", sum_gradients=False, project=None):
    """`pgd` with something done otherwise."""
    project = project or project_linf
    moved, gradient = start, 0
    for _ in range(steps):
        new = sign * input_gradient(loss, images if around == "gradient at images" else moved)
        gradient = gradient + new if sum_gradients else new
        moved = project(moved + step_size * gradient.sign(), moved if around == "moved" else images, epsilon)
    return moved


def _free(moved, images, epsilon):
    return moved


def _raw(loss, images, start, epsilon, step_size, steps):
    moved = start
    for _ in range(steps):
        moved = project_linf(moved + step_size * input_gradient(loss, moved), images, epsilon)
    return moved


def _kl(p, q):
    return (p.softmax(dim=1) * (p.log_softmax(dim=1) - q.log_softmax(dim=1))).sum(dim=1)


def _within(function, generator, length):
    images = torch.rand(3, 1, 2, 3, generator=generator)
    moved = images + torch.randn(images.shape, generator=generator)
    found = function(moved, images, 0.3)
    if found.min() < 0 or found.max() > 1:
        return say("Some pixels are outside of 0..1: no image looks like that. Clamp.")
    if (length(found - images) > 0.3 + 1e-4).any():
        return say("Some images are outside of the ball.")
    if not torch.allclose(function(images, images, 0.3), images):
        return say("An image that has not moved at all is moved by your projection.")


def _of_linf(delta):
    return delta.abs().flatten(1).amax(dim=1)[:, None, None, None]


def _random_images(generator):
    return torch.rand(2, 1, 2, 3, generator=generator)


def _random_step(generator):
    seed = int(torch.randint(1000, (1,), generator=generator))
    return Bent(seed), _random_images(generator), 0.1 + 0.2 * torch.rand(1, generator=generator).item()


def _random_moved(generator):
    images = _random_images(generator)
    moved = images + torch.tensor([0.05, 1.0])[:, None, None, None] * torch.randn(images.shape, generator=generator)
    return moved, images, 0.2 + 0.2 * torch.rand(1, generator=generator).item()


def _random_loop(generator):
    loss, images, epsilon = _random_step(generator)
    start = project_linf(images + epsilon * torch.randn(images.shape, generator=generator), images, epsilon)
    return loss, images, start, epsilon, epsilon / 3, 5


def _random_answers(generator):
    clean, worst = 2 * torch.randn(2, 3, 4, generator=generator)
    return clean, worst, torch.randint(4, (3,), generator=generator), 2 + 4 * torch.rand(1, generator=generator).item()


def _random_survivors(generator):
    return (torch.rand(3, 12, generator=generator) < 0.7,)


def _survivors(*rows):
    return tuple(torch.tensor([mark == "1" for mark in row]) for row in rows)


def _random_signs(generator):
    return tuple(torch.rand(12, generator=generator) < share for share in (0.3, 0.6, 0.8, 0.5))


LABELS = torch.tensor([0, 2])
IMAGE = torch.tensor([[[[0.5, 0.2], [0.0, 1.0]]]])
PAIR = torch.tensor([[[[0.5, 0.4]]], [[[0.9, 0.1]]]])

EXERCISES = [
    Exercise(
        "fgsm",
        "07",
        "The fast gradient sign method",
        fgsm,
        cases=((Bent(0), IMAGE, 0.1), (Bent(1), torch.linspace(0, 1, 12).reshape(2, 1, 2, 3), 0.25)),
        fresh=_random_step,
        mistakes=(
            Mistake(
                "downhill",
                lambda loss, images, epsilon: (images - epsilon * input_gradient(loss, images).sign()).clamp(0, 1),
                "You step downhill. Training makes the loss smaller; an attack makes it larger: plus the sign of the gradient.",
            ),
            Mistake(
                "gradient_without_sign",
                _no_sign,
                "You step along the gradient itself. In the L-inf ball every pixel may move by epsilon, whatever the "
                "size of its "
                "gradient: take its sign.",
            ),
            Mistake(
                "unit_gradient",
                _unit_step,
                "Your step has the Euclidean length epsilon. That is the best one in the L2 ball; in L-inf it is "
                "epsilon times the sign.",
            ),
            Mistake(
                "not_clamped",
                lambda loss, images, epsilon: images + epsilon * input_gradient(loss, images).sign(),
                "Some pixels leave 0..1. No image looks like that: clamp the result.",
            ),
            Mistake(
                "only_the_perturbation",
                lambda loss, images, epsilon: epsilon * input_gradient(loss, images).sign(),
                "You return the perturbation alone. Add it to the images.",
            ),
        ),
    ),
    Exercise(
        "project_linf",
        "07",
        "Projection onto the L-inf ball",
        project_linf,
        cases=((IMAGE + 0.3, IMAGE, 0.1), (PAIR.flip(0), PAIR, 0.2), (IMAGE - 0.05, IMAGE, 0.3)),
        fresh=_random_moved,
        mistakes=(
            Mistake(
                "wrong_centre",
                lambda moved, images, epsilon: project_linf(images, moved, epsilon),
                "You stay near the moved images and bring the originals there. The ball is around the original images.",
            ),
            Mistake(
                "ball_around_zero",
                lambda moved, images, epsilon: moved.clamp(-epsilon, epsilon).clamp(0, 1),
                "You clamp the image itself to -epsilon..epsilon. It is the difference to the original that must be "
                "that small.",
            ),
            Mistake(
                "not_clamped",
                lambda moved, images, epsilon: moved.clamp(images - epsilon, images + epsilon),
                "The result is in the ball, but some pixels are outside of 0..1. Clamp to the range of images as well.",
            ),
            Mistake(
                "range_only",
                lambda moved, images, epsilon: moved.clamp(0, 1),
                "You only clamp to 0..1. The distance to the original images is to be at most epsilon in every pixel.",
            ),
            Mistake(
                "only_the_perturbation",
                lambda moved, images, epsilon: project_linf(moved, images, epsilon) - images,
                "You return the perturbation. The projected image is wanted: add the original.",
            ),
            Mistake(
                "scaled",
                lambda moved, images, epsilon: _scaled(moved, images, epsilon, _of_linf),
                "You shrink all pixels until the farthest one fits. The nearest point of this ball keeps those that "
                "fit: clamp each.",
            ),
        ),
        properties=(Property("The result is in the ball and in 0..1.", lambda f, g: _within(f, g, _of_linf)),),
    ),
    Exercise(
        "project_l2",
        "07",
        "Projection onto the L2 ball",
        project_l2,
        cases=((PAIR + torch.tensor([0.3, 0.4]), PAIR, 0.25), (PAIR + torch.tensor([[[[0.03]]], [[[0.5]]]]), PAIR, 0.2)),
        fresh=_random_moved,
        mistakes=(
            Mistake(
                "inner_points_moved",
                lambda moved, images, epsilon: _scaled(moved, images, epsilon, _each, most=float("inf")),
                "You bring every image to the distance epsilon, those inside of the ball too. They may stay: the factor "
                "is at most 1.",
            ),
            Mistake(
                "one_norm_for_all",
                lambda moved, images, epsilon: _scaled(moved, images, epsilon, lambda d: d.norm()),
                "You measure one length for the whole batch, so what happens to an image depends on its neighbours. One "
                "length an image: "
                "flatten(1), then norm(dim=1).",
            ),
            Mistake(
                "norm_of_rows",
                lambda moved, images, epsilon: _scaled(moved, images, epsilon, lambda d: d.norm(dim=-1, keepdim=True)),
                "You measure the length of every row of pixels. The length of an image runs over all its pixels: "
                "flatten(1) first.",
            ),
            Mistake(
                "squared",
                lambda moved, images, epsilon: _scaled(moved, images, epsilon, lambda d: _each(d) ** 2),
                "You divide by the squared length. The root is missing.",
            ),
            Mistake(
                "not_clamped",
                lambda m, images, e: images + (e / _each(m - images).clamp_min(1e-12)).clamp(max=1) * (m - images),
                "The result is in the ball, but some pixels are outside of 0..1. Clamp to the range of images as well.",
            ),
            Mistake(
                "wrong_centre",
                lambda moved, images, epsilon: _scaled(images, moved, epsilon, _each),
                "Your ball is around the moved images. It is around the originals: the difference is moved - images.",
            ),
            Mistake(
                "clamped_to_linf",
                lambda moved, images, epsilon: project_linf(moved, images, epsilon),
                "You clamp each pixel, which is the L-inf ball, a cube. Its corners are farther away than epsilon: "
                "scale instead.",
            ),
        ),
        properties=(Property("The result is in the ball and in 0..1.", lambda f, g: _within(f, g, _each)),),
    ),
    Exercise(
        "pgd",
        "07",
        "Projected gradient descent",
        pgd,
        cases=(
            (Bent(0), IMAGE, IMAGE, 0.2, 0.15, 2),
            (Bent(2), PAIR, project_linf(PAIR + 0.1, PAIR, 0.1), 0.3, 0.12, 4),
            (Bent(3), IMAGE.flip(3), IMAGE.flip(3), 0.3, 0.08, 6),
        ),
        fresh=_random_loop,
        mistakes=(
            Mistake(
                "downhill",
                lambda *a: _loop(*a, sign=-1),
                "Your loop goes downhill, to an image that the model finds easier. Despite its name, this descent "
                "climbs: plus the sign.",
            ),
            Mistake(
                "start_ignored",
                lambda loss, images, start, *rest: pgd(loss, images, images, *rest),
                "You begin at the original images. Begin at `start`.",
            ),
            Mistake(
                "moving_centre",
                lambda *a: _loop(*a, around="moved"),
                "You project around the image of the step before, so that the ball moves along. Its centre is always "
                "the original.",
            ),
            Mistake(
                "ball_around_the_start",
                lambda loss, images, start, *rest: pgd(loss, start, start, *rest),
                "Your ball is around the start. Its centre is the original image.",
            ),
            Mistake(
                "gradient_at_the_original",
                lambda *a: _loop(*a, around="gradient at images"),
                "You take the gradient at the original image in every step. Take it where the image is now.",
            ),
            Mistake(
                "gradient_accumulates",
                lambda *a: _loop(*a, sum_gradients=True),
                "Your gradients add up from step to step: backward() adds to .grad. Use torch.autograd.grad, or a new "
                "leaf in each step.",
            ),
            Mistake(
                "gradient_without_sign",
                _raw,
                "You step along the gradient itself. The steepest step in the L-inf ball is its sign.",
            ),
            Mistake(
                "projected_at_the_end",
                lambda loss, images, start, epsilon, step_size, steps: project_linf(
                    _loop(loss, images, start, epsilon, step_size, steps, project=_free), images, epsilon
                ),
                "You project once, at the end. Then the gradients in between are those of images outside of the ball: "
                "project every step.",
            ),
            Mistake(
                "never_projected",
                lambda *a: _loop(*a, project=_free),
                "You never go back into the ball: project after each step.",
            ),
            Mistake(
                "one_step_too_few",
                lambda loss, images, start, epsilon, step_size, steps: pgd(loss, images, start, epsilon, step_size, steps - 1),
                "You make one step too few.",
            ),
            Mistake(
                "steps_of_epsilon",
                lambda loss, images, start, epsilon, step_size, steps: pgd(loss, images, start, epsilon, epsilon, steps),
                "Your steps are of size epsilon. They are to be of size step_size.",
            ),
        ),
    ),
    Exercise(
        "surviving_share",
        "07",
        "Robust accuracy under several attacks",
        surviving_share,
        cases=(
            (torch.tensor([[True, False, True, True]]),),
            (torch.tensor([[True, False, True, True], [True, True, False, True], [True, True, True, True]]),),
        ),
        fresh=_random_survivors,
        mistakes=(
            Mistake(
                "mean_of_attacks",
                lambda right: right.float().mean().item(),
                "You average over the attacks. The attacker tries them all and needs one that works: an image survives "
                "if it survives all.",
            ),
            Mistake(
                "best_single_attack",
                lambda right: right.float().mean(dim=1).min().item(),
                "You take the single best attack. The attacker may choose another one for every image: combine first, "
                "then take the share.",
            ),
            Mistake(
                "any_instead_of_all",
                lambda right: right.any(dim=0).float().mean().item(),
                "You count images that survive at least one attack. They must survive all: all(dim=0).",
            ),
            Mistake(
                "attack_success",
                lambda right: 1 - surviving_share(right),
                "That is the share of images that fall. Robust accuracy is the share that survives.",
            ),
            Mistake(
                "counted",
                lambda right: int(right.all(dim=0).sum()),
                "You count images. A share is wanted: divide by their number.",
            ),
        ),
    ),
    Exercise(
        "trades_loss",
        "07",
        "The TRADES loss",
        trades_loss,
        cases=(
            (torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 3.0),
            (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 2.0]]), LABELS, 6.0),
        ),
        fresh=_random_answers,
        mistakes=(
            Mistake(
                "swapped",
                lambda c, w, y, beta: F.cross_entropy(c, y) + beta * _kl(w, c).mean(),
                "Your divergence is KL(worst || clean). The clean answer is the one to keep to, so it weighs the logarithms: "
                "KL(p_clean || p_worst). F.kl_div takes the worst images' log-probabilities first.",
            ),
            Mistake(
                "mean_over_classes",
                lambda c, w, y, beta: F.cross_entropy(c, y) + beta * _kl(c, w).mean() / c.shape[1],
                "You average the divergence over the classes too (F.kl_div does with reduction='mean'). Sum over the "
                "classes, average "
                "over the images: reduction='batchmean'.",
            ),
            Mistake(
                "summed_over_images",
                lambda c, w, y, beta: F.cross_entropy(c, y) + beta * _kl(c, w).sum(),
                "You add up the divergences of the images. Take their mean, as the cross-entropy does.",
            ),
            Mistake(
                "no_beta",
                lambda c, w, y, beta: trades_loss(c, w, y, 1.0),
                "beta does nothing in your function. It weighs the divergence.",
            ),
            Mistake(
                "beta_on_the_wrong_part",
                lambda c, w, y, beta: beta * F.cross_entropy(c, y) + _kl(c, w).mean(),
                "Your beta weighs the cross-entropy. It belongs to the divergence: a larger beta asks for more robustness.",
            ),
            Mistake(
                "cross_entropy_of_the_worst",
                lambda c, w, y, beta: F.cross_entropy(w, y) + beta * _kl(c, w).mean(),
                "Your cross-entropy is that of the worst images, as in Madry's training. TRADES takes it on the clean ones.",
            ),
            Mistake(
                "softmax_twice",
                lambda c, w, y, beta: F.cross_entropy(c, y) + beta * _kl(c.softmax(dim=1), w.softmax(dim=1)).mean(),
                "You take the softmax of probabilities. Once is enough: start from the logits.",
            ),
        ),
    ),
    Exercise(
        "warning_signs",
        "07",
        "Three signs of masked gradients",
        warning_signs,
        cases=(
            _survivors("1100", "1000", "1110", "0000"),
            _survivors("1101", "1111", "1000", "1111"),
        ),
        fresh=_random_signs,
        mistakes=(
            Mistake(
                "all_turned",
                lambda one, many, transfer, unbounded: (
                    *(-gap for gap in warning_signs(one, many, transfer, unbounded)[:2]),
                    warning_signs(one, many, transfer, unbounded)[2],
                ),
                "Your differences have the other sign. Take the accuracy under many steps minus that under the other attack.",
            ),
            Mistake(
                "attack_success",
                lambda *rights: warning_signs(*(~right for right in rights)),
                "You compare the shares that fall. Compare those that survive.",
            ),
            Mistake(
                "one_step_against_transfer",
                lambda one, many, transfer, unbounded: (
                    warning_signs(one, one, transfer, unbounded)[:2] + warning_signs(one, many, transfer, unbounded)[2:]
                ),
                "You compare the one-step attack. The white box's best is the one with many steps.",
            ),
            Mistake(
                "first_two_changed_places",
                lambda *rights: tuple(warning_signs(*rights)[i] for i in (1, 0, 2)),
                "The first two numbers have changed places: the transferred attack comes first, then the single step.",
            ),
            Mistake(
                "counted",
                lambda *rights: tuple(len(rights[0]) * gap for gap in warning_signs(*rights)),
                "You compare numbers of images. Shares are wanted, so that test sets of any size can be compared.",
            ),
        ),
    ),
]
