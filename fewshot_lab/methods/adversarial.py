"""Adversarial training: a network learns from the worst images around its own (Madry et al. 2018, ICLR).

    min over theta   mean over (x, y)   max over ||delta|| <= epsilon   L(theta, x + delta, y)            (equation 2.1)

Three ways, each a loss for the one training loop: `adversarial_loss` (the inner maximum by PGD), `trades_training` (Zhang et
al. 2019, ICML: accuracy and robustness apart, weighed by beta) and `free_training` (Shafahi et al. 2019, NeurIPS: one backward
pass gives both the weights' gradient and the next step of delta). The inner attack runs in evaluation mode: then batch norm's
running statistics come from the images that are trained on, not from every step of the attack, and images do not mix.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import as_augment
from ..models import conv_net
from ..runtime import seed_everything
from ..training import accuracy, cross_entropy, outputs, train
from .attacks import ImageLoss, Loop, cross_entropy_of, eval_without_weight_gradients, pgd, project_linf, random_start, survives

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Trades = Callable[[Tensor, Tensor, Tensor, float], Tensor]
METHODS = ("plain", "adversarial", "trades", "free")
TESTED = 128  # test images that a trained network is attacked on


def adversarial_examples(
    model: nn.Module, images: Tensor, loss: ImageLoss, *, epsilon: float, steps: int, loop: Loop = pgd
) -> Tensor:
    """The inner maximum in L-inf from a random start, by steps of 2.5 epsilon / steps; the model is as it was afterwards."""
    with eval_without_weight_gradients(model):
        return loop(loss, images, random_start(images, epsilon), epsilon, 2.5 * epsilon / steps, steps)


def adversarial_loss(*, epsilon: float, steps: int, loop: Loop = pgd) -> Loss:
    """A loss for `training.train`: the cross-entropy of the worst images that `steps` steps of PGD find (Madry et al. 2018)."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        worst = adversarial_examples(model, images, cross_entropy_of(model, labels), epsilon=epsilon, steps=steps, loop=loop)
        return F.cross_entropy(model(worst), labels)

    return loss


def trades_loss(clean_logits: Tensor, worst_logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Cross-entropy of the clean images + beta KL(p_clean || p_worst), the mean over the images; a scalar.

    Source: Zhang et al. 2019, equation 5, with 1 / lambda = beta. Logits (n, classes), labels (n,).
    """
    log_p, log_q = clean_logits.log_softmax(dim=1), worst_logits.log_softmax(dim=1)
    return F.cross_entropy(clean_logits, labels) + beta * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def trades_training(*, epsilon: float, steps: int, beta: float, trades: Trades = trades_loss, loop: Loop = pgd) -> Loss:
    """A loss for `training.train`: TRADES. Its worst images are those whose answers differ most from the clean ones'.

    Clean and worst images go through the network as one batch, so that batch norm treats both alike.
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with eval_without_weight_gradients(model), torch.no_grad():
            log_p = model(images).float().log_softmax(dim=1)

        def divergence(moved: Tensor) -> Tensor:
            return F.kl_div(model(moved).float().log_softmax(dim=1), log_p, reduction="sum", log_target=True)

        worst = adversarial_examples(model, images, divergence, epsilon=epsilon, steps=steps, loop=loop)
        clean_logits, worst_logits = model(torch.cat([images, worst])).float().chunk(2)
        return trades(clean_logits, worst_logits, labels, beta)

    return loss


def free_training(*, epsilon: float, replays: int, augment: Augment | None = None) -> tuple[Augment, Loss]:
    """An `augment` and a loss for `training.train` that together are "free" adversarial training (algorithm 1).

    Every batch is kept for `replays` steps. delta goes on from step to step and from batch to batch: a hook on the perturbed
    images takes their gradient out of the backward pass that the training makes anyway. Use a new pair for every training.
    """
    kept, left, delta = None, 0, None

    def replay(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal kept, left
        if not left:
            kept, left = augment(images, labels, generator) if augment else (images, labels), replays
        left -= 1
        return kept

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        nonlocal delta
        if delta is None or delta.shape != images.shape:
            delta = torch.zeros_like(images)
        moved = project_linf(images + delta, images, epsilon).requires_grad_()

        def step(gradient: Tensor) -> None:
            nonlocal delta
            delta = (delta + epsilon * gradient.sign()).clamp(-epsilon, epsilon)

        moved.register_hook(step)
        return F.cross_entropy(model(moved), labels)

    return replay, loss


class Saturated(nn.Module):
    """A broken defence, planted: the network's logits times `scale`.

    It reads every image as before. But its softmax is 1 to the last bit, so the gradient of its loss is 0 and an attack that
    follows the gradient stays where it is (masked gradients; after defensive distillation, Carlini & Wagner 2017, IEEE S&P).
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
    """Trains a small convolutional net by one of METHODS on `shots` labels per class (None: on all) and attacks it.

    epsilon, inner_steps, beta: of the training. policy, strength: an augmentation before the attack. loop, trades: the course's
    functions or yours. Equal seeds draw equal labels and first weights, so that methods can be compared in pairs. Returns
    test_accuracy, robust_accuracy (on TESTED test images, under PGD-20 in L-inf with test_epsilon; without one, none), seconds
    (of the training alone) and model. Raises ValueError for an unknown method.
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
    seed_everything(seed)
    model = conv_net(len(task.classes), size=images.shape[-1])
    options = {"steps": steps, "batch_size": 32, "learning_rate": 5e-3, "augment": augment, "seed": seed, "device": device}
    history = train(model, images, labels, loss=loss, **options)
    found = {"test_accuracy": accuracy(outputs(model, task.test_images), task.test_labels)}
    if test_epsilon is not None:
        generator = torch.Generator().manual_seed(seed)
        right = survives(model, *tested(dataset), epsilon=test_epsilon, generator=generator, loop=loop)
        found["robust_accuracy"] = right.float().mean().item()
    return {**found, "seconds": history.seconds, "model": model}


def tested(dataset: str, most: int = TESTED) -> tuple[Tensor, Tensor]:
    """At most so many test images (uint8) and labels, the same at every call, drawn from all classes."""
    task = data.load(dataset)
    rows = torch.randperm(len(task.test_labels), generator=torch.Generator().manual_seed(0))[:most]
    return task.test_images[rows], task.test_labels[rows]
