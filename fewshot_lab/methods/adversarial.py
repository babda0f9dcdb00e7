"""Adversarial training: a network learns from adversarial examples of its own images (Madry et al. 2018, ICLR).

    min over theta   mean over (x, y)   max over ||delta|| <= epsilon   L(theta, x + delta, y)            (equation 2.1)

Three ways, each a loss for the one training loop: `adversarial_loss` (the inner maximum by PGD), `trades_training` (Zhang et
al. 2019, ICML: accuracy and robustness are separate terms, weighed by beta) and `free_training` (Shafahi et al. 2019, NeurIPS:
one backward pass gives both the weights' gradient and the next step of delta).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment
from ..augment.ranges import check_images
from ..data.images import MOST_IMAGES, ImageTask
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import (
    Augment,
    Estimate,
    Loss,
    accuracy,
    cross_entropy,
    crossed_interval,
    hits_by_picture,
    outputs,
    train,
)
from .attacks import ImageLoss, Loop, cross_entropy_of, eval_without_weight_gradients, pgd, project_linf, random_start, survives

Trades = Callable[[Tensor, Tensor, Tensor, float], Tensor]
METHODS = ("plain", "adversarial", "trades", "free")
MOST_ATTACKED = 128  # images that a trained network is attacked on


def adversarial_examples(
    model: nn.Module, images: Tensor, loss: ImageLoss, *, epsilon: float, steps: int, loop: Loop = pgd
) -> Tensor:
    """The inner maximum in L-inf, from a random start by steps of `step_size`; the model's modes are restored.

    Args:
        model: the network in training.
        images: float (n, C, H, W) in 0..1.
        loss: what to increase, images -> scalar.
        epsilon: the radius of the ball.
        steps: of the attack.
        loop: `pgd`, or a learner's.
    """
    check_images(images)  # a learner's loop may not look
    # In evaluation mode batch norm's running statistics come from the images that are trained on, not from every step of the
    # attack, and no image's gradient depends on the others of its batch.
    with eval_without_weight_gradients(model):
        return loop(loss, images, random_start(images, epsilon), epsilon, step_size(epsilon, steps), steps)


def step_size(epsilon: float, steps: int) -> float:
    """The length of a step of the attack in training: 2.5 epsilon / steps (Madry et al. 2018), a single one 1.25 epsilon.

    A single step of 2.5 epsilon would end in a corner of the ball wherever it starts; under steps that long networks forget
    their robustness within an epoch (catastrophic overfitting, Wong, Rice & Kolter 2020, ICLR, section 5.4).
    """
    return 2.5 * epsilon / max(2, steps)


def passes_of_a_step(method: str, inner_steps: int) -> int:
    """How many forward and backward passes one update of the weights takes; a forward pass alone is not counted.

    Raises ValueError for an unknown method.
    """
    # The attack of TRADES is followed by a pass of two kinds of images; "free" shares one pass between attack and weights.
    passes = {"plain": 1, "adversarial": inner_steps + 1, "trades": inner_steps + 2, "free": 1}
    if method not in passes:
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    return passes[method]


def adversarial_loss(*, epsilon: float, steps: int, loop: Loop = pgd) -> Loss:
    """A loss for `training.train`: the cross-entropy of adversarial examples from `steps` steps of PGD (Madry et al. 2018)."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        attacked = cross_entropy_of(model, labels)
        adversarial = adversarial_examples(model, images, attacked, epsilon=epsilon, steps=steps, loop=loop)
        return F.cross_entropy(model(adversarial), labels)

    return loss


def trades_loss(clean_logits: Tensor, worst_logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Cross-entropy of the clean images + beta KL(p_clean || p_worst), the mean over the images; a scalar.

    Source: Zhang et al. 2019, equation 5, with 1 / lambda = beta.

    Args:
        clean_logits: of the images as they are (n, classes).
        worst_logits: of their adversarial examples (n, classes).
        labels: (n,).
        beta: the price of changing one's answer under the attack.
    """
    log_p, log_q = clean_logits.log_softmax(dim=1), worst_logits.log_softmax(dim=1)
    return F.cross_entropy(clean_logits, labels) + beta * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def trades_training(*, epsilon: float, steps: int, beta: float, trades: Trades = trades_loss, loop: Loop = pgd) -> Loss:
    """A loss for `training.train`: TRADES, whose attack looks for the answers that differ most from those of the clean images.

    Args:
        epsilon: the radius of the ball.
        steps: of the attack.
        beta: the weight of robustness.
        trades: `trades_loss`, or a learner's.
        loop: `pgd`, or a learner's.
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with eval_without_weight_gradients(model), torch.no_grad():
            log_p = model(images).float().log_softmax(dim=1)

        # No label in it: the gradient of the divergence is 0 at the image itself, so a random start is not optional here.
        def divergence(moved: Tensor) -> Tensor:
            return F.kl_div(model(moved).float().log_softmax(dim=1), log_p, reduction="sum", log_target=True)

        adversarial = adversarial_examples(model, images, divergence, epsilon=epsilon, steps=steps, loop=loop)
        # One batch of both kinds: in two, batch norm would shift each by its own mean, and part of their difference would go.
        clean_logits, worst_logits = model(torch.cat([images, adversarial])).float().chunk(2)
        return trades(clean_logits, worst_logits, labels, beta)

    return loss


def free_training(*, epsilon: float, replays: int, augment: Augment | None = None) -> tuple[Augment, Loss]:
    """An `augment` and a loss for `training.train` that together are "free" adversarial training (algorithm 1).

    Every batch is replayed for `replays` steps. delta carries over from step to step and from batch to batch. The pair has a
    state: make a new one for every training.
    """
    batch, replays_left, delta = None, 0, None

    def replay(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal batch, replays_left
        if not replays_left:
            batch, replays_left = augment(images, labels, generator) if augment else (images, labels), replays
        replays_left -= 1
        return batch

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        nonlocal delta
        if delta is None or delta.shape != images.shape:
            delta = torch.zeros_like(check_images(images))
        moved = project_linf(images + delta, images, epsilon).requires_grad_()

        def step(gradient: Tensor) -> None:
            nonlocal delta
            delta = (delta + epsilon * gradient.sign()).clamp(-epsilon, epsilon)

        # The training makes a backward pass for the weights anyway; the hook takes the images' gradient out of it. That is what
        # makes the method free.
        moved.register_hook(step)
        return F.cross_entropy(model(moved), labels)

    return replay, loss


class Saturated(nn.Module):
    """A broken defence, made to be found out: the network's logits times `scale`.

    It classifies every image as before. But its softmax is 1 to the last bit, so the gradient of its loss is 0 and an attack
    that follows the gradient gets nowhere (masked gradients; after defensive distillation, Carlini & Wagner 2017, IEEE S&P).
    """

    def __init__(self, model: nn.Module, scale: float = 1000.0) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * self.model(images)


def fit_robust(
    dataset: str,
    *,
    shots: int | None = None,
    seed: int,
    method: str = "plain",
    epsilon: float = 0.1,
    inner_steps: int = 1,
    beta: float = 6.0,
    policy: str = "none",
    strength: float = 0.0,
    passes: int = 200,
    test_epsilon: float | None = 0.1,
    test_steps: int = 20,
    on: str = "test",
    loop: Loop = pgd,
    trades: Trades = trades_loss,
    device: str = "auto",
) -> dict:
    """Trains a small convolutional net by one of METHODS and attacks it.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class; None: all training images, of more than MOST_IMAGES so many, drawn by the seed.
        seed: equal seeds draw equal labels and first weights, so that methods can be compared in pairs.
        method: one of METHODS.
        epsilon: the radius of the attack in training.
        inner_steps: steps of that attack; for "free" the replays of a batch.
        beta: of TRADES.
        policy, strength: an augmentation before the attack.
        passes: forward and backward passes in all, over batches of 64: a method whose update takes more makes fewer updates.
        test_epsilon: the radius of the attack in the test; None: no such test.
        test_steps: steps of that attack, PGD from a random start in L-inf.
        on: "test", or "validation" to choose settings with.
        loop, trades: `pgd` and `trades_loss`, or a learner's.
        device: where to train.

    Returns:
        test_accuracy, test_hits, test_sizes; robust_accuracy (of MOST_ATTACKED test images under that attack),
        robust_accuracy_by_picture, robust_accuracy_sizes; at_rest (whether the training came to rest), steps (updates of the
        weights), seconds (of the training alone) and model.

    Raises:
        ValueError: an unknown method, another part than these two.
    """
    steps = max(1, passes // passes_of_a_step(method, inner_steps))
    task = _task(dataset, on)
    if shots is None:
        rows = torch.randperm(len(task.train_labels), generator=torch.Generator().manual_seed(seed))[:MOST_IMAGES]
        images, labels = task.train_images[rows], task.train_labels[rows]
    else:
        images, labels = task.draw(shots, seed)
    augment, loss = as_augment(policy, strength), cross_entropy
    if method == "adversarial":
        loss = adversarial_loss(epsilon=epsilon, steps=inner_steps, loop=loop)
    elif method == "trades":
        loss = trades_training(epsilon=epsilon, steps=inner_steps, beta=beta, trades=trades, loop=loop)
    elif method == "free":
        augment, loss = free_training(epsilon=epsilon, replays=inner_steps, augment=augment)
    # Seeded after the labels are drawn: all methods of a seed start from the same weights.
    seed_everything(seed)
    model = conv_net_for(images, len(task.classes))
    history = train(model, images, labels, steps=steps, loss=loss, augment=augment, seed=seed, device=device)
    answers = outputs(model, task.test_images)
    result = {"test_accuracy": accuracy(answers, task.test_labels)}
    result |= hits_by_picture(answers, task.test_labels, task.test_pictures)
    if test_epsilon is not None:
        result |= _robust_accuracy(model, dataset, on, seed=seed, epsilon=test_epsilon, steps=test_steps, loop=loop)
    return {**result, "at_rest": history.at_rest, "steps": steps, "seconds": history.seconds, "model": model}


def _robust_accuracy(model: nn.Module, dataset: str, on: str, *, seed: int, **attack) -> dict:
    # Many steps on few images: this test takes a pass an image and step, the plain accuracy a third of one.
    images, labels, pictures = images_to_attack(dataset, on=on)
    correct = survives(model, images, labels, generator=torch.Generator().manual_seed(seed), **attack)
    hits, sizes = _by_picture(correct, pictures)
    found = {"robust_accuracy": correct.float().mean().item()}
    return found | {"robust_accuracy_by_picture": hits.numpy(), "robust_accuracy_sizes": sizes.numpy()}


def share_over_networks(numbers: Sequence[Tensor], pictures: Tensor, rest: tuple[tuple[str, float], ...] = ()) -> Estimate:
    """The mean of what several networks did with the same images, with an interval over networks and pictures.

    Args:
        numbers: (n,) for each network, such as which images it classifies correctly, or the difference of two of those.
        pictures: (n,) which picture each image shows.
        rest: what the estimate says about the networks' trainings (`Arms.rest`).
    """
    hits, sizes = zip(*(_by_picture(each, pictures) for each in numbers), strict=True)
    drawn = f"{len(hits)} networks x {len(sizes[0])} pictures"
    return replace(crossed_interval(torch.stack(hits), sizes[0], "accuracy", drawn), rest=rest)


def _by_picture(numbers: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the images' numbers (n,) for each picture, and how many images show it."""
    _, which, sizes = pictures.unique(return_inverse=True, return_counts=True)
    return which.bincount(numbers.float()), sizes


def images_to_attack(dataset: str, most: int = MOST_ATTACKED, on: str = "test") -> tuple[Tensor, Tensor, Tensor]:
    """At most `most` images (uint8) of a part, drawn from all classes, the same at every call.

    They show as many different pictures as there are. Returns them with their labels and the number of the picture of each.
    """
    task = _task(dataset, on)
    order = torch.randperm(len(task.test_labels), generator=torch.Generator().manual_seed(0))
    _, which, sizes = task.test_pictures[order].unique(return_inverse=True, return_counts=True)
    # How many images of the same picture come before each: those with none go first, then those with one.
    before = torch.empty_like(order)
    before[which.argsort(stable=True)] = torch.cat([torch.arange(size) for size in sizes.tolist()])
    rows = order[before.argsort(stable=True)[:most]]
    return task.test_images[rows], task.test_labels[rows], task.test_pictures[rows]


def _task(dataset: str, on: str) -> ImageTask:
    if on not in ("test", "validation"):
        raise ValueError(f"A network is measured on the test or the validation part, not on {on!r}.")
    task = data.load(dataset).capped()
    return task.on_validation() if on == "validation" else task
