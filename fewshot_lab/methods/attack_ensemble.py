"""An ensemble of attacks that need no step size: APGD with two losses, and Square, which needs no gradient.

A robust accuracy is a claim about the attack. PGD with one loss and one step size may fail for reasons of its own: the
gradient of the cross-entropy vanishes where the logits are large, and a step that is right at first is too long at the end.
Croce & Hein 2020 (ICML) attack in turn with APGD-CE, targeted APGD-DLR, FAB and Square (Andriushchenko et al. 2020, ECCV), each
for the images that have survived so far, and count an image as robust only if it survives all. This is that ensemble without
FAB, which looks for the smallest perturbation instead of the worst one in the ball.

Images are float, (n, C, H, W), in 0..1; epsilon is in the same unit; logits are (n, classes). The attacks work in L-inf.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attacks import beside_model, check_ball, check_known, class_numbers, eval_without_weight_gradients, random_start

LogitsLoss = Callable[..., Tensor]  # (logits, labels) or (logits, labels, targets) -> one loss per image
TINY = 1e-12  # of the denominators: they are 0 where the largest logits are equal
MOMENTUM = 0.75  # alpha of APGD
RISES = 0.75  # rho of APGD: with a smaller share of steps that raise the loss, the step size is halved
SQUARE = 0.8  # p of Square at first, the share of the pixels that its square covers
# Square halves p after these of 10,000 queries; with another number of queries, after the same shares of it.
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def dlr_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The difference of logits ratio, -(z_y - max_{i != y} z_i) / (z_pi1 - z_pi3), one value per image (n,).

    pi sorts an image's logits, the largest first. The loss is in -1..0 where the image is classified correctly and above 0
    where it is not. It is the same for logits that are shifted or scaled, so large logits cannot make its gradient vanish.
    Source: Croce & Hein 2020, equation 6. Raises ValueError for fewer than three classes.
    """
    _need_classes(logits, 3)
    largest = logits.topk(3, dim=1).values  # z_pi1, z_pi2, z_pi3
    return -margin(logits, labels) / (largest[:, 0] - largest[:, 2] + TINY)


def targeted_dlr_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """-(z_y - z_t) / (z_pi1 - (z_pi3 + z_pi4) / 2), (n,): above 0 where the target's logit is above the label's.

    Source: Croce & Hein 2020, equation 7. Raises ValueError for fewer than four classes.
    """
    _need_classes(logits, 4)
    largest = logits.topk(4, dim=1).values
    # Both z_pi3 and z_pi4, so that the loss is not constant where the label and the target are two of the three largest.
    scale = largest[:, 0] - (largest[:, 2] + largest[:, 3]) / 2 + TINY
    return -(_of_class(logits, labels) - _of_class(logits, targets)) / scale


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much the label's logit lies above the largest other one, (n,); below 0 where an image is misclassified."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return _of_class(logits, labels) - others.max(dim=1).values


def checkpoints(steps: int) -> list[int]:
    """After which steps APGD looks back: at 22 % of them, then after ever fewer (Croce & Hein 2020, section 3.1)."""
    # In whole hundredths: as floats, 0.22 + 0.19 is above 0.41, and the checkpoint of 100 steps would be the 42nd.
    found, share, gap = [], 0, 22
    while (share := share + gap) <= 100:
        found.append(-(-share * steps // 100))
        gap = max(gap - 3, 6)
    return found


def halves(rises: Tensor, steps: int, halved: Tensor, best: Tensor, best_before: Tensor) -> Tensor:
    """For which images APGD halves the step size at a checkpoint, bool (n,).

    Args:
        rises: how many steps since the checkpoint before raised the loss (n,).
        steps: how many there were.
        halved: whether the step size was halved at the checkpoint before (n,).
        best: the largest loss so far (n,).
        best_before: the largest loss at the checkpoint before (n,).

    Source: Croce & Hein 2020, section 3.1, conditions 1 and 2.
    """
    oscillates = rises < RISES * steps
    # An image whose step size has just been halved gets until the next checkpoint to profit from it.
    stuck = ~halved & (best <= best_before)
    return oscillates | stuck


def apgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: LogitsLoss,
    *,
    epsilon: float,
    steps: int,
    targets: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Auto-PGD: projected gradient ascent with momentum, whose step size is halved where it no longer helps.

        z = P(x_k + eta sign(grad L)),   x_k+1 = P(x_k + alpha (z - x_k) + (1 - alpha) (x_k - x_k-1))

    eta begins at 2 epsilon; an image whose eta is halved goes on from its best point. Source: Croce & Hein 2020, algorithm 1.

    Args:
        model: images to logits, in evaluation mode.
        images: the centres of the balls, float in 0..1 (n, C, H, W).
        labels: their classes (n,).
        loss: what to raise, (logits, labels) -> (n,), with `targets` (logits, labels, targets) -> (n,).
        epsilon: the radius.
        steps: how many.
        targets: classes (n,) for a targeted loss.
        generator: of the random start.

    Returns:
        Of each image the last point that is misclassified; where there is none, the one of the largest loss.
    """
    check_ball(images, epsilon)
    goals = (labels,) if targets is None else (labels, targets)
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    x = previous = random_start(images, epsilon, generator=generator)
    wrong, losses, gradient = _look(model, x, loss, goals)
    best, best_loss, best_gradient = x, losses, gradient
    found, fooled = x, wrong
    eta = torch.full_like(images[:, :1, :1, :1], 2 * epsilon)
    rises, halved, best_before = torch.zeros_like(losses), torch.ones_like(wrong), losses
    looked, look_at = 0, checkpoints(steps)
    for k in range(1, steps + 1):
        z = (x + eta * gradient.sign()).clamp(low, high)
        alpha = MOMENTUM if k > 1 else 1.0  # the first step has no step before it to go on from
        x, previous = (x + alpha * (z - x) + (1 - alpha) * (x - previous)).clamp(low, high), x
        last, (wrong, losses, gradient) = losses, _look(model, x, loss, goals)
        # The point of the largest loss need not be the misclassified one: cross-entropy is large at a narrow win over many too.
        found, fooled = _where(wrong, x, found), fooled | wrong
        better = losses > best_loss
        best, best_gradient = _where(better, x, best), _where(better, gradient, best_gradient)
        best_loss, rises = torch.where(better, losses, best_loss), rises + (losses > last)
        if k in look_at:
            halved = halves(rises, k - looked, halved, best_loss, best_before)
            eta = _where(halved, eta / 2, eta)
            x, gradient = _where(halved, best, x), _where(halved, best_gradient, gradient)
            losses = torch.where(halved, best_loss, losses)
            rises, best_before, looked = torch.zeros_like(rises), best_loss, k
    return _where(fooled, found, best)


def square(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    queries: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Square Attack: sets a random square of each image to the border of the ball, and keeps it if the margin shrinks.

    It sees logits alone, so a gradient that is masked cannot mislead it. It begins with vertical stripes, and the squares
    become smaller. Source: Andriushchenko et al. 2020, algorithms 1 and 2.

    Args:
        model: images to logits, in evaluation mode.
        images: the centres of the balls, float in 0..1 (n, C, H, W).
        labels: their classes (n,).
        epsilon: the radius.
        queries: how often the model is asked about each image.
        generator: of the stripes and squares.

    Returns:
        Of each image the point with the smallest margin.
    """
    check_ball(images, epsilon)
    n, channels, height, width = images.shape

    def draw(*shape: int) -> Tensor:
        device = generator.device if generator else "cpu"
        return torch.rand(shape, generator=generator, device=device).to(images.device)

    def signs(*shape: int) -> Tensor:
        return (draw(*shape) < 0.5).to(images) * 2 - 1

    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    with torch.no_grad():
        best = (images + epsilon * signs(n, channels, 1, width)).clamp(0, 1)
        smallest = margin(_wide(model(best)), labels)
        for query in range(1, queries):
            share = SQUARE / 2 ** sum(10_000 * query / queries > after for after in HALVED_AFTER)
            side = max(1, min(round((share * height * width) ** 0.5), height, width))
            top, left = ((draw(n) * (size - side + 1)).long()[:, None] for size in (height, width))
            inside = ((rows >= top) & (rows < top + side))[:, None, :, None]
            inside = inside & ((columns >= left) & (columns < left + side))[:, None, None, :]
            # One sign for each channel of the square: a network averages away what changes from pixel to pixel.
            x = torch.where(inside, (images + epsilon * signs(n, channels, 1, 1)).clamp(0, 1), best)
            reached = margin(_wide(model(x)), labels)
            better = reached < smallest
            best, smallest = _where(better, x, best), torch.where(better, reached, smallest)
    return best


def ensemble(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int = 100,
    targets: int = 9,
    queries: int = 5000,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Which images survive APGD-CE, then targeted APGD-DLR as well, then Square as well.

    Each attack sees only the images that have survived so far: the attacker needs one success per image (Croce & Hein 2020,
    section 5). The model is in evaluation mode while the attacks run.

    Args:
        model: the network to fool; four classes or more.
        images: uint8, or float in 0..1, (n, C, H, W), on any device.
        labels: their classes (n,).
        epsilon: the radius of the ball, in the unit of float images.
        steps: of APGD, for each target anew.
        targets: how many classes are aimed at, those of the largest logits beside the label.
        queries: of Square.
        generator: of all random draws.

    Returns:
        {attack: bool (n,), on the CPU}, in the attacks' order; the last holds what survives the ensemble.
    """
    x = beside_model(model, images)
    y = class_numbers(labels, x)
    common = {"epsilon": epsilon, "generator": generator}
    with eval_without_weight_gradients(model):
        with torch.no_grad():
            logits = model(x)
        check_known(y, logits)
        alive = logits.argmax(dim=1) == y
        rivals = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)[:, :-1]

        def survive(attack: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
            """Attacks the images that are left: attack(their rows, images, labels)."""
            if len(rows := alive.nonzero().flatten()):
                moved = attack(rows, x[rows], y[rows])
                with torch.no_grad():
                    alive[rows] = model(moved).argmax(dim=1) == y[rows]
            return alive.cpu().clone()

        survivors = {
            "APGD-CE": survive(lambda rows, x, y: apgd(model, x, y, cross_entropy, steps=steps, **common)),
            "targeted APGD-DLR": alive.cpu().clone(),
        }
        for rival in rivals.T[:targets]:

            def aim(rows: Tensor, x: Tensor, y: Tensor, rival: Tensor = rival) -> Tensor:
                return apgd(model, x, y, targeted_dlr_loss, targets=rival[rows], steps=steps, **common)

            survivors["targeted APGD-DLR"] = survive(aim)
        survivors["Square"] = survive(lambda rows, x, y: square(model, x, y, queries=queries, **common))
    return survivors


cross_entropy = partial(F.cross_entropy, reduction="none")  # the loss of APGD-CE: (logits, labels) -> (n,)


def _need_classes(logits: Tensor, fewest: int) -> None:
    if logits.shape[1] < fewest:
        raise ValueError(f"There are logits of {logits.shape[1]} classes; this loss needs at least {fewest}.")


def _of_class(logits: Tensor, classes: Tensor) -> Tensor:
    """The logit of one class of each image, (n,)."""
    return logits.gather(1, classes[:, None]).squeeze(1)


def _look(model: nn.Module, x: Tensor, loss: LogitsLoss, goals: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Which images are misclassified (n,), their losses (n,) and the gradient of these with respect to the images."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = _wide(model(x))
        losses = loss(logits, *goals)
        gradient = torch.autograd.grad(losses.sum(), x)[0]
    return logits.argmax(dim=1) != goals[0], losses.detach(), gradient


def _wide(logits: Tensor) -> Tensor:
    """Logits of a bfloat16 model as float32: their differences are small beside them."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` for the chosen images (n,), `no` for the others."""
    return torch.where(chosen[:, None, None, None], yes, no)
