"""Attacks: the worst image in a small ball around a given one, by the gradient of the loss.

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

ImageLoss = Callable[[Tensor], Tensor]
Loop = Callable[..., Tensor]
NORMS = ("linf", "l2")
BATCH = 512
LOOK_EVERY = 5  # steps, after which the images that fooled the model are set aside


def input_gradient(loss: ImageLoss, images: Tensor) -> Tensor:
    """The gradient of loss(images) with respect to the images, of their shape; a model's weights gather none."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(loss(images), images)[0]


def fgsm(loss: ImageLoss, images: Tensor, epsilon: float) -> Tensor:
    """One step of size epsilon along the sign of the gradient, within 0..1 (Goodfellow et al. 2015, section 4)."""
    return (images + epsilon * input_gradient(loss, images).sign()).clamp(0, 1)


def project_linf(moved: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """The point nearest to `moved` that is within epsilon of the images in every pixel, and within 0..1."""
    return moved.clamp(images - epsilon, images + epsilon).clamp(0, 1)


def project_l2(moved: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """`moved`, each image pulled back on its line to the original until it is within the Euclidean distance epsilon, and 0..1.

    The second step brings no pixel farther from the original, so the result is in the ball as well.
    """
    delta = moved - images
    length = delta.flatten(1).norm(dim=1)  # (n,)
    factor = (epsilon / length.clamp_min(1e-12)).clamp(max=1)
    return (images + factor[:, None, None, None] * delta).clamp(0, 1)


def pgd(
    loss: ImageLoss, images: Tensor, start: Tensor, epsilon: float, step_size: float, steps: int, norm: str = "linf"
) -> Tensor:
    """Projected gradient descent: `steps` steps uphill from `start`, each followed by the projection onto the ball.

    The direction is the steepest one of length 1 in that norm: sign(g) in L-inf, g / ||g||_2 in L2 (Madry et al.
    2018, section 2.1).
    """
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    moved = start
    for _ in range(steps):
        gradient = input_gradient(loss, moved)
        if norm == "linf":  # the clamp is `project_linf`, with its bounds computed once
            moved = moved.add(gradient.sign_(), alpha=step_size).clamp_(low, high)
        else:
            moved = project_l2(moved + step_size * _unit(gradient), images, epsilon)
    return moved


def random_start(images: Tensor, epsilon: float, norm: str = "linf", generator: torch.Generator | None = None) -> Tensor:
    """A point drawn uniformly from the ball around each image, then brought into 0..1; the same on every device."""
    place = generator.device if generator else "cpu"
    if norm == "linf":
        delta = epsilon * (2 * torch.rand(images.shape, generator=generator, device=place) - 1)
    else:
        share = torch.rand(len(images), generator=generator, device=place) ** (1 / images.shape[1:].numel())  # of the radius
        delta = epsilon * share[:, None, None, None] * _unit(torch.randn(images.shape, generator=generator, device=place))
    return (images + delta.to(images)).clamp(0, 1)


def cross_entropy_of(model: nn.Module, labels: Tensor, sign: int = 1, kind: torch.dtype = torch.float32) -> ImageLoss:
    """sign times the cross-entropy of the model's reading of the images, as numbers of that kind, to the labels.

    The images' losses are added up, so that no gradient depends on how many images there are.
    """
    return lambda images: sign * F.cross_entropy(model(images.to(kind)).float(), labels, reduction="sum")


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
    """Images in the epsilon-ball around `images` that the model misreads, or, with `targets` (n,), reads as these classes.

    images: uint8 or float (n, C, H, W) on any device. step_size: by default 2.5 epsilon / steps (Madry et al. 2018). random:
    start anywhere in the ball, not at the image. restarts: how many starts are tried. An image that fools the model is left as
    it is: every LOOK_EVERY steps those are set aside. loop: `pgd` or your own. Returns a tensor like float images, on the
    model's device. The model is in evaluation mode while it runs. Raises ValueError for an unknown norm.
    """
    if norm not in NORMS:
        raise ValueError(f"There is no norm {norm!r}; choose one of {', '.join(NORMS)}.")
    place = next((parameter.device for parameter in model.parameters()), images.device)
    images = images.to(place)
    images = images.float() / 255 if images.dtype == torch.uint8 else images
    goal, sign = (labels.to(place), 1) if targets is None else (targets.to(place), -1)  # away from it, or towards it
    step_size = 2.5 * epsilon / max(1, steps) if step_size is None else step_size
    options = {} if norm == "linf" else {"norm": norm}
    found = images.clone()

    def unfooled(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return rows[(model(found[rows]).argmax(dim=1) == goal[rows]) == (targets is None)]

    with eval_without_weight_gradients(model):
        for _ in range(restarts):
            left = unfooled(torch.arange(len(images), device=place))
            wide = images.to(torch.promote_types(images.dtype, torch.float32))
            moved = random_start(wide[left], epsilon, norm, generator) if random else wide[left]
            for done in range(0, max(1, steps), LOOK_EVERY):
                if not len(left):
                    break
                loss = cross_entropy_of(model, goal[left], sign, images.dtype)
                count = min(LOOK_EVERY, steps - done)
                moved = loop(loss, wide[left], moved, epsilon, step_size, count, **options)
                found[left] = _rounded_inwards(moved, images[left])
                before, left = left, unfooled(left)
                moved = moved[torch.isin(before, left)]
    return found


def survives(model: nn.Module, images: Tensor, labels: Tensor, **options) -> Tensor:
    """Which images the model still reads rightly when `attack` with these options has done its worst: bool (n,), on the CPU.

    Their share is the robust accuracy. Images that are misread as they are do not survive.
    """
    right = []
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        right.append(is_correct(model, attack(model, x, y, **options), y))
    return torch.cat(right)


def is_correct(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Which images (float, where the model is) the model reads rightly: bool (n,), on the CPU."""
    with eval_without_weight_gradients(model), torch.no_grad():
        return model(images).argmax(dim=1).cpu() == labels.cpu()


def surviving_share(right: Tensor) -> float:
    """The share of images that survive every attack; right is bool (attacks, n): which images are read rightly under each.

    An attacker needs one attack that works, another one for every image if need be (Carlini et al. 2019, arXiv 1902.06705).
    """
    return right.all(dim=0).float().mean().item()


def warning_signs(one_step: Tensor, many_steps: Tensor, transfer: Tensor, unbounded: Tensor) -> tuple[float, float, float]:
    """Three signs of masked gradients, as differences of accuracies.

    Each argument is bool (n,): which images survive one step with the model's own gradient, many steps, the images found with
    another model, and many steps in a ball that holds every image. Returns the accuracy under many steps minus that under
    transfer (above 0: its own gradient is the worse guide), minus that under one step (not below 0: more steps do not help),
    and the accuracy that is left without a bound (above 0). Source: Athalye, Carlini & Wagner 2018 (ICML), section 3.1.
    """
    one, many, other, left = (right.float().mean().item() for right in (one_step, many_steps, transfer, unbounded))
    return many - other, many - one, left


@contextlib.contextmanager
def eval_without_weight_gradients(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode and its weights without gradients, as an attack needs it; afterwards all is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    model.eval()
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in weights:
            weight.requires_grad_()
        for module, training in modes:
            module.training = training


def _unit(vectors: Tensor) -> Tensor:
    """Each (C, H, W) at Euclidean length 1; zero stays zero."""
    return vectors / vectors.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]


def _rounded_inwards(moved: Tensor, images: Tensor) -> Tensor:
    """`moved` in the images' own type, where rounding brings no pixel farther from the image.

    bfloat16 rounds numbers near 1 by up to 1/512, a sixteenth of epsilon = 8/255.
    """
    if moved.dtype == images.dtype:
        return moved
    rounded, centre = moved.to(images.dtype), images.to(moved.dtype)
    farther = (rounded.to(moved.dtype) - centre).abs() > (moved - centre).abs()
    return torch.where(farther, torch.nextafter(rounded, images), rounded)
