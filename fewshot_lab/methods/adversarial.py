"""Adversarial training: a network learns from adversarial examples of its own images (Madry et al. 2018, ICLR).

    min over theta   mean over (x, y)   max over ||delta|| <= epsilon   L(theta, x + delta, y)            (equation 2.1)

Three ways, each a loss for the one training loop: `adversarial_loss` (the inner maximum by PGD), `trades_training` (Zhang et
al. 2019, ICML: accuracy and robustness are separate terms, weighed by beta) and `free_training` (Shafahi et al. 2019, NeurIPS:
one backward pass gives both the weights' gradient and the next step of delta).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment
from ..models import conv_net
from ..runtime import seed_everything
from ..training import Augment, Loss, accuracy, cross_entropy, outputs, train
from .attacks import ImageLoss, Loop, cross_entropy_of, eval_without_weight_gradients, pgd, project_linf, random_start, survives

Trades = Callable[[Tensor, Tensor, Tensor, float], Tensor]
METHODS = ("plain", "adversarial", "trades", "free")
MOST_ATTACKED = 128  # test images that a trained network is attacked on


def adversarial_examples(
    model: nn.Module, images: Tensor, loss: ImageLoss, *, epsilon: float, steps: int, loop: Loop = pgd
) -> Tensor:
    """The inner maximum in L-inf, from a random start by steps of 2.5 epsilon / steps; the model's modes are restored.

    Args:
        model: the network in training.
        images: float (n, C, H, W) in 0..1.
        loss: what to increase, images -> scalar.
        epsilon: the radius of the ball.
        steps: of the attack.
        loop: `pgd`, or a learner's.
    """
    # In evaluation mode batch norm's running statistics come from the images that are trained on, not from every step of the
    # attack, and no image's gradient depends on the others of its batch.
    with eval_without_weight_gradients(model):
        return loop(loss, images, random_start(images, epsilon), epsilon, 2.5 * epsilon / steps, steps)


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
            delta = torch.zeros_like(images)
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
    inner_steps: int = 5,
    beta: float = 3.0,
    policy: str = "none",
    strength: float = 0.0,
    steps: int = 100,
    test_epsilon: float | None = 0.1,
    loop: Loop = pgd,
    trades: Trades = trades_loss,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a small convolutional net by one of METHODS and attacks it.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class; None: all training images.
        seed: equal seeds draw equal labels and first weights, so that methods can be compared in pairs.
        method: one of METHODS.
        epsilon: the radius of the attack in training.
        inner_steps: steps of that attack; for "free" the replays of a batch.
        beta: of TRADES.
        policy, strength: an augmentation before the attack.
        steps: of the training, with batches of 32.
        test_epsilon: the radius of the attack in the test; None: no such test.
        loop, trades: `pgd` and `trades_loss`, or a learner's.
        device: where to train.

    Returns:
        test_accuracy, robust_accuracy (of MOST_ATTACKED test images under PGD-20 in L-inf), at_rest (whether the training came
        to rest), seconds (of the training alone) and model.

    Raises:
        ValueError: an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    task = data.load(dataset).capped()
    images, labels = (task.train_images, task.train_labels) if shots is None else task.draw(shots, seed)
    augment, loss = as_augment(policy, strength), cross_entropy
    if method == "adversarial":
        loss = adversarial_loss(epsilon=epsilon, steps=inner_steps, loop=loop)
    elif method == "trades":
        loss = trades_training(epsilon=epsilon, steps=inner_steps, beta=beta, trades=trades, loop=loop)
    elif method == "free":
        augment, loss = free_training(epsilon=epsilon, replays=inner_steps, augment=augment)
    # Seeded after the labels are drawn: all methods of a seed start from the same weights.
    seed_everything(seed)
    model = conv_net(len(task.classes), size=images.shape[-1])
    options = {"steps": steps, "batch_size": 32, "learning_rate": 5e-3, "augment": augment, "seed": seed, "device": device}
    history = train(model, images, labels, loss=loss, **options)
    result = {"test_accuracy": accuracy(outputs(model, task.test_images), task.test_labels)}
    if test_epsilon is not None:
        # Many steps on few images: the test costs forty passes an image, the plain accuracy above one.
        generator = torch.Generator().manual_seed(seed)
        correct = survives(model, *images_to_attack(dataset), epsilon=test_epsilon, generator=generator, loop=loop)
        result["robust_accuracy"] = correct.float().mean().item()
    return {**result, "at_rest": history.at_rest, "seconds": history.seconds, "model": model}


def images_to_attack(dataset: str, most: int = MOST_ATTACKED) -> tuple[Tensor, Tensor]:
    """At most `most` test images (uint8) and their labels, drawn from all classes, the same at every call."""
    task = data.load(dataset)
    rows = torch.randperm(len(task.test_labels), generator=torch.Generator().manual_seed(0))[:most]
    return task.test_images[rows], task.test_labels[rows]
