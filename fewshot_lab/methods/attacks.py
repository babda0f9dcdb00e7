"""Attacks: the image in a small ball around a given one that the model classifies worst, found by the gradient of the loss.

With x the image, y its label, L the loss and ||.|| a norm, an attack looks for

    max L(x + delta, y)   over   ||delta|| <= epsilon,   0 <= x + delta <= 1

To first order L(x + delta) = L(x) + <g, delta> with g = grad_x L. By Hoelder's inequality <g, delta> <= ||g||_1 ||delta||_inf,
with equality at delta = epsilon sign(g): the fast gradient sign method (Goodfellow, Shlens & Szegedy 2015, ICLR). In L2 it
is epsilon g / ||g||_2. Projected gradient descent repeats small steps and goes back into the ball after each (Madry et al.
2018, ICLR).

Here a `loss` is a function of images alone that returns a scalar, such as `cross_entropy_of(model, labels)`. Images are float,
(n, C, H, W), in 0..1; epsilon is in the same unit.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment.ranges import as_floats, check_images
from ..training import eval_mode

ImageLoss = Callable[[Tensor], Tensor]
Loop = Callable[..., Tensor]
NORMS = ("linf", "l2")
BATCH = 512
CHECK_EVERY = 5  # steps between two questions which images still resist: each costs a forward pass of its own


def input_gradient(loss: ImageLoss, images: Tensor) -> Tensor:
    """The gradient of loss(images) with respect to the images, of their shape; no weight of the model collects one."""
    images = images.detach().requires_grad_()  # a new leaf: the caller's tensor and its graph are left alone
    with torch.enable_grad():
        return torch.autograd.grad(loss(images), images)[0]


def fgsm(loss: ImageLoss, images: Tensor, epsilon: float) -> Tensor:
    """One step of size epsilon along the sign of the gradient, within 0..1 (Goodfellow et al. 2015, section 4).

    Raises ValueError for images outside 0..1 and for a negative epsilon.
    """
    check_ball(images, epsilon)
    return (images + epsilon * input_gradient(loss, images).sign()).clamp(0, 1)


def project_linf(moved: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """The point nearest to `moved` that is within epsilon of the images in every pixel, and within 0..1."""
    return moved.clamp(images - epsilon, images + epsilon).clamp(0, 1)


def project_l2(moved: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """`moved`, each image pulled straight back towards the original to within the Euclidean distance epsilon, and into 0..1."""
    delta = moved - images
    length = delta.flatten(1).norm(dim=1)  # (n,)
    factor = (epsilon / length.clamp_min(1e-12)).clamp(max=1)
    # The clamp takes no pixel farther from the original, which is in 0..1 itself: the result stays in the ball.
    return (images + factor[:, None, None, None] * delta).clamp(0, 1)


def pgd(
    loss: ImageLoss, images: Tensor, start: Tensor, epsilon: float, step_size: float, steps: int, norm: str = "linf"
) -> Tensor:
    """Projected gradient descent: `steps` steps uphill from `start`, each followed by the projection onto the ball.

    The direction is the steepest one of length 1 in that norm: sign(g) in L-inf, g / ||g||_2 in L2 (Madry et al.
    2018, section 2.1).

    Args:
        loss: the function to increase, images -> scalar.
        images: the originals, the centres of the balls (n, C, H, W), float in 0..1.
        start: where to begin, in the balls, of the same shape.
        epsilon: the radius.
        step_size: the length of a step in the same norm.
        steps: how many.
        norm: "linf" or "l2".

    Raises ValueError for images outside 0..1, a negative epsilon and an unknown norm.
    """
    check_ball(images, epsilon, norm)
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    moved = start
    for _ in range(steps):
        gradient = input_gradient(loss, moved)
        # In place, since `gradient` and what `add` returns are our own: this runs in every step of an adversarial training.
        if norm == "linf":  # the clamp is `project_linf`, with its bounds computed once
            moved = moved.add(gradient.sign_(), alpha=step_size).clamp_(low, high)
        else:
            moved = project_l2(moved + step_size * _unit(gradient), images, epsilon)
    return moved


def random_start(images: Tensor, epsilon: float, norm: str = "linf", generator: torch.Generator | None = None) -> Tensor:
    """A point drawn uniformly from the ball around each image, then clamped to 0..1; the same on every device.

    PGD starts there, not at the image: at the image itself the gradient may be 0 or point the wrong way (masked gradients,
    Tramèr et al. 2018, ICLR), and further restarts must differ.
    """
    device = generator.device if generator else "cpu"
    if norm == "linf":
        delta = epsilon * (2 * torch.rand(images.shape, generator=generator, device=device) - 1)
    else:
        # A ball in d dimensions has the share r^d of its volume within the radius r, so u^(1/d) makes the draw uniform; a
        # uniform radius would crowd the centre. A normal vector at length 1 is uniform on the sphere.
        radius = torch.rand(len(images), generator=generator, device=device) ** (1 / images.shape[1:].numel())
        delta = epsilon * radius[:, None, None, None] * _unit(torch.randn(images.shape, generator=generator, device=device))
    return (images + delta.to(images)).clamp(0, 1)


def check_ball(images: Tensor, epsilon: float, norm: str = "linf") -> None:
    """Raises ValueError unless images are in 0..1, epsilon is a finite number from 0, and the norm is one of NORMS."""
    if norm not in NORMS:
        raise ValueError(f"There is no norm {norm!r}; choose one of {', '.join(NORMS)}.")
    if not 0 <= epsilon < float("inf"):
        raise ValueError(f"Epsilon is {epsilon}; the radius of a ball is a finite number from 0.")
    if images.dtype == torch.uint8:
        raise ValueError("These images are uint8 in 0..255; this function takes floats in 0..1: divide by 255 first.")
    check_images(images)


def class_numbers(labels: Tensor, images: Tensor, what: str = "labels") -> Tensor:
    """Labels as int64 beside the images; raises ValueError unless they are whole numbers from 0, one for each image."""
    if labels.is_floating_point() or labels.dtype == torch.bool or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{what} are class numbers ({len(images)},), one for each image; these are {labels.dtype} {tuple(labels.shape)}."
        )
    if len(labels) and int(labels.min()) < 0:
        raise ValueError(f"{what} hold {int(labels.min())}; class numbers begin at 0. Leave out images without a label.")
    return labels.long().to(images.device)


def check_known(labels: Tensor, logits: Tensor) -> None:
    """Raises ValueError for a class number that the logits (n, classes) have no column for: no image could ever have it."""
    if len(labels) and (largest := int(labels.max())) >= logits.shape[1]:
        raise ValueError(f"There is a class {largest}, but the model knows the {logits.shape[1]} classes from 0 on.")


def cross_entropy_of(model: nn.Module, labels: Tensor, sign: int = 1, dtype: torch.dtype = torch.float32) -> ImageLoss:
    """The loss images -> sign * cross-entropy of the model's logits and the labels (n,), summed over the images.

    The model gets the images as `dtype`. sign -1 turns the attack towards the labels.
    """
    # Summed, not averaged: then no image's gradient depends on how many others are attacked beside it.
    return lambda images: sign * F.cross_entropy(model(images.to(dtype)).float(), labels, reduction="sum")


def beside_model(model: nn.Module, images: Tensor) -> Tensor:
    """Images, uint8 or float in 0..1, as floats on the model's device; raises ValueError for others (see `check_images`)."""
    return as_floats(check_images(images).to(next((parameter.device for parameter in model.parameters()), images.device)))


def attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int = 20,
    step_size: float | None = None,
    norm: str = "linf",
    targets: Tensor | None = None,
    random: bool = True,
    restarts: int = 1,
    generator: torch.Generator | None = None,
    loop: Loop = pgd,
) -> Tensor:
    """Adversarial examples in the epsilon-ball around `images`: misclassified, or classified as `targets`.

    An image that already fools the model is left as it is. The model is in evaluation mode while the attack runs.

    Args:
        model: the network to fool.
        images: uint8, or float in 0..1, (n, C, H, W), on any device.
        labels: their classes (n,).
        epsilon: the radius of the ball, in the unit of float images.
        steps: of each restart.
        step_size: by default 2.5 epsilon / steps (Madry et al. 2018).
        norm: "linf" or "l2".
        targets: classes (n,) that the images shall be taken for; None: any but the label.
        random: start at a random point of the ball, not at the image.
        restarts: how many starts are tried, each for the images that still resist.
        generator: of the random starts.
        loop: `pgd`, or a learner's function with the same arguments.

    Returns:
        A float tensor of the images' shape, on the model's device.

    Raises:
        ValueError: an unknown norm, a negative epsilon or number of steps, images outside 0..1 (such as normalised ones),
            labels or targets that are no class numbers of the model, one for each image.
    """
    images = beside_model(model, images)
    check_ball(images[:0], epsilon, norm)
    if steps < 0 or restarts < 1:
        raise ValueError(f"An attack takes 0 steps or more and 1 start or more, not steps={steps} and restarts={restarts}.")
    device, goal, sign = images.device, class_numbers(labels, images), 1  # away from the label, or towards a target
    if targets is not None:
        goal, sign = class_numbers(targets, images, "targets"), -1
    step_size = 2.5 * epsilon / max(1, steps) if step_size is None else step_size
    options = {} if norm == "linf" else {"norm": norm}  # a learner's loop may know L-inf alone
    adversarial = images.clone()

    def resisting(rows: Tensor) -> Tensor:
        with torch.no_grad():
            logits = model(adversarial[rows])
        if len(rows) == len(images):  # at the first look: class numbers do not change
            check_known(goal, logits)
        return rows[(logits.argmax(dim=1) == goal[rows]) == (targets is None)]

    with eval_without_weight_gradients(model):
        for _ in range(restarts):
            rows = resisting(torch.arange(len(images), device=device))
            # Steps are made in float32 even for a bfloat16 model, which would round most of a small step away.
            wide = images.to(torch.promote_types(images.dtype, torch.float32))
            moved = random_start(wide[rows], epsilon, norm, generator) if random else wide[rows]
            for step in range(0, max(1, steps), CHECK_EVERY):
                if not len(rows):
                    break
                loss = cross_entropy_of(model, goal[rows], sign, images.dtype)
                moved = loop(loss, wide[rows], moved, epsilon, step_size, min(CHECK_EVERY, steps - step), **options)
                adversarial[rows] = _rounded_inwards(moved, images[rows])
                # Those that fool the model are done. Undefended networks fall in a few steps, so most of the work is saved.
                before, rows = rows, resisting(rows)
                moved = moved[torch.isin(before, rows)]
    return adversarial


def survives(model: nn.Module, images: Tensor, labels: Tensor, *, targets: Tensor | None = None, **options) -> Tensor:
    """Which images the model classifies correctly under `attack` with these options: bool (n,), on the CPU.

    Their share is the robust accuracy. Images that are misclassified without an attack do not survive. Raises ValueError as
    `attack` does.
    """
    check_images(images)  # as a whole: a part of normalised images may happen to lie in 0..1
    class_numbers(labels, images)
    if targets is not None:
        class_numbers(targets, images, "targets")
    correct = []
    for rows in torch.arange(len(images)).split(BATCH):
        aims = None if targets is None else targets[rows.to(targets.device)]
        x, y = images[rows.to(images.device)], labels[rows.to(labels.device)]
        correct.append(is_correct(model, attack(model, x, y, targets=aims, **options), y))
    return torch.cat(correct)


def is_correct(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Which images (float, on the model's device) the model classifies correctly: bool (n,), on the CPU."""
    with eval_without_weight_gradients(model), torch.no_grad():
        return model(images).argmax(dim=1).cpu() == labels.cpu()


def surviving_share(right: Tensor) -> float:
    """The share of images that survive every attack; right is bool (attacks, n): which are classified correctly under each.

    An attacker needs only one attack that works, and may choose it image by image (Carlini et al. 2019, arXiv 1902.06705).
    """
    return right.all(dim=0).float().mean().item()


def warning_signs(one_step: Tensor, many_steps: Tensor, transfer: Tensor, unbounded: Tensor) -> tuple[float, float, float]:
    """Three signs of masked gradients, as differences of accuracies (Athalye, Carlini & Wagner 2018, ICML, section 3.1).

    Args:
        one_step: which images survive one step along the model's own gradient, bool (n,).
        many_steps: which survive many such steps.
        transfer: which survive the adversarial examples of another model.
        unbounded: which survive many steps in a ball that holds every image.

    Returns:
        The accuracy under many steps minus that under transfer (a sign when above 0: the model's own gradient is the worse
        guide), minus that under one step (when not below 0: more steps do not help), and that without a bound (when above 0).
    """
    one, many, other, left = (right.float().mean().item() for right in (one_step, many_steps, transfer, unbounded))
    return many - other, many - one, left


@contextlib.contextmanager
def eval_without_weight_gradients(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode and its weights without gradients, as an attack needs it; restored afterwards.

    Only the images' gradient is wanted: a backward pass without the weights' is cheaper and leaves a training's untouched.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    with eval_mode(model):
        try:
            for weight in weights:
                weight.requires_grad_(False)
            yield
        finally:
            for weight in weights:
                weight.requires_grad_()


def _unit(vectors: Tensor) -> Tensor:
    """Each (C, H, W) at Euclidean length 1; zero stays zero."""
    return vectors / vectors.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]


def _rounded_inwards(moved: Tensor, images: Tensor) -> Tensor:
    """`moved` in the images' own dtype, rounded so that no pixel gets farther from the image."""
    if moved.dtype == images.dtype:
        return moved
    # bfloat16 rounds numbers near 1 by up to 1/512, a sixteenth of epsilon = 8/255: rounded outwards, the image would leave
    # the ball, and the robust accuracy would be that of a larger epsilon.
    rounded, centre = moved.to(images.dtype), images.to(moved.dtype)
    farther = (rounded.to(moved.dtype) - centre).abs() > (moved - centre).abs()
    return torch.where(farther, torch.nextafter(rounded, images), rounded)
