"""Flow matching: one network learns the velocity that carries noise to images (Lipman et al. 2023, Liu et al. 2023, ICLR).

With x_0 noise, x_1 a real image of class y and a time t, uniform in 0..1, the path is a straight line of constant velocity:

    x_t = (1 - t) x_0 + t x_1        u = x_1 - x_0        L = mean |v(x_t, t, y) - u|^2

Many lines cross in a point x_t, and v learns their mean velocity there. To draw an image, start at noise and follow v from
t = 0 to t = 1 (Euler's steps). Guidance compares v with and without the class and goes further in the direction in which they
differ (`guided_velocity`). There is no second player: the loss is a regression's.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models import Velocity
from ..runtime import seed_everything
from ..training import eval_mode, train
from .generation import training_images
from .variational import RECIPE

DROPPED = 0.1  # the share of labels that a training hides, so that one network knows v with and without a class


def flow_pair(noise: Tensor, images: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """x_t = (1 - t) x_0 + t x_1 and its velocity x_1 - x_0: what the network sees, and what it should say.

    noise x_0 and images x_1: (n, ...), times t: (n,) in 0..1, one for each image. Returns two tensors, shaped as the images.
    Source: Liu et al. 2023 (ICLR), equation 1; Lipman et al. 2023 (ICLR), equations 20 to 23 with sigma_min = 0.
    """
    t = times.reshape(-1, *[1] * (images.dim() - 1))
    return (1 - t) * noise + t * images, images - noise


def euler_step(x: Tensor, velocity: Tensor, t: float, dt: float) -> tuple[Tensor, float]:
    """A step of length dt along the velocity, which is shaped as x, and the time at its end; the last step ends at 1."""
    h = min(dt, 1 - t)
    return x + h * velocity, t + h


def guided_velocity(conditional: Tensor, unconditional: Tensor, weight: float) -> Tensor:
    """v_u + w (v_c - v_u): 0 ignores the class, 1 is the velocity of the class, more exaggerates what is particular to it.

    Source: Ho & Salimans 2022 (arXiv 2207.12598), equation 6, whose w is this one minus 1.
    """
    return unconditional + weight * (conditional - unconditional)


class Flow(nn.Module):
    """x = G(z, y), as a GAN's generator: noise z (B, noise) and classes y (B, classes) to images in 0..1, along the velocity.

    Args:
        velocity: the network; it works with pixels in -1..1, so that noise and images have the same mean.
        weight: of the guidance.
        steps: of Euler's.
        step, guide: `euler_step` and `guided_velocity`, or a learner's.
    """

    def __init__(
        self,
        velocity: Velocity,
        *,
        weight: float = 1.0,
        steps: int = 20,
        step: Callable = euler_step,
        guide: Callable = guided_velocity,
    ) -> None:
        super().__init__()
        self.velocity, self.weight, self.steps, self.step, self.guide = velocity, weight, steps, step, guide
        self.classes, self.noise = velocity.classes, velocity.layers[-2].out_features

    def path(self, z: Tensor, y: Tensor, weight: float | None = None) -> Tensor:
        """The images on their way, not cut off at 0 and 1: (steps + 1, B, channels, size, size), noise first."""
        weight = self.weight if weight is None else weight
        x, t = z.unflatten(1, self.velocity.shape), 0.0
        path = [x]
        for _ in range(self.steps):
            times = torch.full((len(x),), t).to(x)
            # Both velocities in one pass: twice as many rows cost less than a second call.
            both = self.velocity(x.repeat(2, 1, 1, 1), times.repeat(2), torch.cat([y, torch.zeros_like(y)]))
            x, t = self.step(x, self.guide(*both.chunk(2), weight), t, 1 / self.steps)
            path.append(x)
        return (torch.stack(path) + 1) / 2

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.path(z, y)[-1].clamp(0, 1)


def flow_loss(
    velocity: nn.Module, images: Tensor, labels: Tensor, *, pair: Callable = flow_pair, dropped: float = DROPPED
) -> Tensor:
    """The mean over a batch of |v(x_t, t, y) - (x_1 - x_0)|^2, a mean over pixels too; a scalar, for `training.train`.

    Args:
        velocity: called as velocity(x_t, t, y).
        images: (n, channels, size, size) in 0..1.
        labels: class numbers (n,).
        pair: `flow_pair`, or a learner's.
        dropped: the share of labels that are hidden (Ho & Salimans 2022, algorithm 1).
    """
    x_1 = 2 * images - 1
    # Drawn on the CPU, the same on every device.
    x_0, t, kept = (drawn.to(x_1) for drawn in (torch.randn(x_1.shape), torch.rand(len(x_1)), torch.rand(len(x_1)) >= dropped))
    x_t, u = pair(x_0, x_1, t)
    return F.mse_loss(velocity(x_t, t, F.one_hot(labels, velocity.classes) * kept[:, None]), u)


def fit_flow(
    dataset: str,
    *,
    seed: int,
    shots: int | None = None,
    half: bool = True,
    steps: int = 1000,
    weight: float = 1.0,
    euler_steps: int = 20,
    dropped: float = DROPPED,
    pair: Callable = flow_pair,
    step: Callable = euler_step,
    guide: Callable = guided_velocity,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a conditional flow on the images that `generation.fit_gan` would learn from.

    Args:
        dataset: a name in data.TASKS.
        seed: of everything random.
        shots: labelled images per class; None: all of them.
        half: from the half of the training images that no evaluator sees; False: from all of them.
        steps: of the training.
        weight: of the guidance.
        euler_steps: from noise to an image.
        dropped: the share of labels that the training hides.
        pair, step, guide: the functions of this module, or a learner's.
        device: where to train.

    Returns:
        generator (a `Flow` in evaluation mode) and history.
    """
    x, y, classes = training_images(dataset, shots, seed, half)
    seed_everything(seed)
    net = Velocity(classes, size=x.shape[-1], channels=x.shape[1])
    loss = functools.partial(flow_loss, pair=pair, dropped=dropped)
    history = train(net, x, y, steps=steps, loss=loss, seed=seed, device=device, **RECIPE)
    flow = Flow(net, weight=weight, steps=euler_steps, step=step, guide=guide)
    return {"generator": flow.eval(), "history": history}


@torch.no_grad()
def paths(flow: Flow, label: int, count: int, *, weight: float, seed: int = 0) -> Tensor:
    """The paths of `count` images of a class: (steps + 1, count, channels, size, size) on the CPU, noise drawn by the seed."""
    z = torch.randn(count, flow.noise, generator=torch.Generator().manual_seed(seed))
    y = F.one_hot(torch.full((count,), label), flow.classes).float()
    device = next(flow.parameters()).device
    with eval_mode(flow):
        return flow.path(z.to(device), y.to(device), weight).cpu()
