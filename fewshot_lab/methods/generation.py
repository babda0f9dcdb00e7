"""A conditional GAN: a generator and a discriminator train each other (Goodfellow et al. 2014, NeurIPS; Mirza & Osindero 2014).

With x a real image and y its class, z noise, x' = G(z, y) and D(x, y) a score, high for what looks real:

    L_D = mean softplus(-D(x, y)) + mean softplus(D(x', y)) + gamma/2 mean |dD(x, y)/dx|^2
    L_G = mean softplus(-D(x', y))                                                          non-saturating

softplus(-s) = -log sigmoid(s), so both are cross-entropies. The last term of L_D, R1, punishes a discriminator that is steep at
the real images (Mescheder et al. 2018, ICML); docs/choices.md says what else was tried. The class enters D by a projection
(`projection_score`). Images are drawn from a running average of the generator's weights (Yazıcı et al. 2019, ICLR).
"""

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import data
from ..augment.ranges import as_floats, check_images
from ..errors import CourseError
from ..languages import say
from ..models import Discriminator, Generator
from ..runtime import seed_everything
from ..training import Batches, eval_mode, processes, progress_bar

LARGEST_SIDE = 16  # pixels: larger images are halved, so that small fully connected nets suffice
AVERAGE = 0.99  # the share of the old weights that a step keeps in the running average

Watch = Callable[["GanHistory", Generator], None]


@dataclass
class GanHistory:
    """Both losses of every step, and whether the training was stopped before its last step."""

    discriminator: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def steps(self) -> int:
        return len(self.generator)


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """The mean of -log sigmoid(s) over real scores (n,) plus the mean of -log(1 - sigmoid(s)) over fake ones (m,); a scalar."""
    return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()


def generator_loss(fake_scores: Tensor) -> Tensor:
    """The non-saturating loss: the mean of -log sigmoid(s) over the scores of generated images (n,); a scalar.

    Its gradient is largest where the discriminator is sure of the fake; that of log(1 - sigmoid(s)) vanishes there.
    """
    return F.softplus(-fake_scores).mean()


def hinge_losses() -> tuple[Callable, Callable]:
    """The other common pair: L_D = mean max(0, 1 - s) + mean max(0, 1 + s'), L_G = -mean s' (Lim & Ye 2017)."""
    return (lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda fake: -fake.mean())


# The games that chapter 08 compares, as options of `fit_gan`; which one the GANs play was chosen on validation images.
GAMES = {
    "R1": {"regularise": "r1"},
    "hinge, R1": {"losses": hinge_losses()},
    "spectral": {"regularise": "spectral"},
    "no regulariser": {"regularise": "none"},
}


def projection_score(features: Tensor, v: Tensor, V: Tensor, labels: Tensor) -> Tensor:
    """D(x, y) = v . phi(x) + V_y . phi(x): is it real at all, and is it real as a y?

    features phi(x): (n, d), v: (d,), V: one row per class (classes, d), labels y: class numbers (n,). Returns scores (n,).
    Source: Miyato & Koyama 2018 (ICLR), equation 3.
    """
    return features @ v + (features * V[labels]).sum(dim=1)


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """R1 without its factor: the mean of |dD/dx|^2 over real images (n, 1, H, W) that `scores` (n,) were computed from."""
    [gradient] = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def train_gan(
    G: Generator,
    D: Discriminator,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    batch_size: int = 64,
    rates: tuple[float, float] = (2e-3, 2e-3),
    gamma: float = 1.0,
    losses: tuple[Callable, Callable] = (discriminator_loss, generator_loss),
    seed: int = 0,
    device: str = "auto",
    watch: Watch | None = None,
    watch_every: int = 100,
    progress: bool = False,
) -> GanHistory:
    """Trains generator and discriminator in turn, both in place, and leaves in G the running average of its weights.

    The stop button (or Ctrl-C) ends the training early: the history says so. With several processes each plays with its share
    of every batch, noise included, and the first one watches.

    Args:
        G, D: the two networks.
        images: uint8, or float in 0..1, (N, 1, H, W).
        labels: class numbers (N,).
        steps: of each network.
        batch_size: real images a step, and as many generated ones.
        rates: learning rates of G and of D; from half of the steps on they fall linearly to 0.
        gamma: the weight of R1; 0 leaves it out.
        losses: L_D(real scores, fake scores) and L_G(fake scores).
        seed: of the batches and the noise; the networks come with their first weights.
        device: where to train.
        watch: called as watch(history, average) every `watch_every` steps and at the end.
        watch_every: steps.
        progress: show a bar.

    Raises:
        CourseError: a loss is not finite.
        ValueError: images outside 0..1, or fewer than two in a batch.
    """
    check_images(images)
    if (fewest := min(batch_size, len(images))) < 2:
        raise ValueError(f"A batch of {fewest} image(s) has no mean and variance for the batch norm: give 2 images or more.")
    accelerator = processes.accelerator(device=device)
    rank, world_size, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    batches = Batches(images, labels, batch_size, seed, device, rank, world_size)
    generator = torch.Generator().manual_seed(seed)
    for net in (G, D):
        processes.broadcast_parameters(net.to(device).train())
    # The game circles around its equilibrium rather than coming to rest there: G's last weights are a point on the circle,
    # their average is near its centre. So the average is watched and kept; the game goes on with the weights themselves.
    average = copy.deepcopy(G).requires_grad_(False)
    # Without momentum (beta_1 = 0): the other player's step has changed the loss since the last gradient.
    options = {"betas": (0.0, 0.99), "fused": device.type in ("cpu", "cuda")}
    weights_g, weights_d, averaged = (list(net.parameters()) for net in (G, D, average))
    adam = [torch.optim.Adam(w, lr=rate, **options) for w, rate in zip((weights_g, weights_d), rates, strict=True)]
    loss_d, loss_g = losses
    history, recent = GanHistory(), []

    def report(step: int) -> None:
        values = torch.tensor([[value.item() for value in pair] for pair in recent]).reshape(-1, 2).to(device)
        recent.clear()
        processes.all_reduce_mean([values])
        history.discriminator += values[:, 0].tolist()
        history.generator += values[:, 1].tolist()
        if not values.isfinite().all():
            raise CourseError(
                say(
                    "A loss is not finite after step {step} of {steps}. Try smaller learning rates, they are {rates}.",
                    step=step,
                    steps=steps,
                    rates=rates,
                )
            )
        average.load_state_dict(dict(G.named_buffers()), strict=False)  # the batch norms' statistics are averages already
        if watch is not None and rank == 0:
            watch(history, average)

    bar = progress_bar(steps, "GAN steps") if progress and rank == 0 else None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # nets this small run no faster on a second thread, they only wait for it
    try:
        for step in range(steps):
            for optimizer, rate in zip(adam, rates, strict=True):
                optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 - 2 * step / steps)
            x, y = batches.next()
            x = as_floats(x).requires_grad_(gamma > 0)  # R1 is a gradient with respect to the images
            # Every process draws the noise of the whole batch and keeps its rows, so that several play the game that one plays.
            z = torch.randn(batches.rows, G.noise, generator=generator)[rank::world_size].to(device)
            fake = G(z, F.one_hot(y, G.classes).to(x.dtype))

            # D first; to it the fake images are data, hence the detach. One pass for both kinds halves the calls.
            scores = D(torch.cat([x, fake.detach()]), y.repeat(2))
            real_scores, fake_scores = scores.chunk(2)
            value_d = loss_d(real_scores, fake_scores) * batches.weight
            penalty = gamma / 2 * gradient_penalty(real_scores, x) * batches.weight if gamma > 0 else 0.0
            adam[1].zero_grad()
            (value_d + penalty).backward(inputs=weights_d)
            processes.all_reduce_gradients(D)
            adam[1].step()

            # G then answers the discriminator that has just learned, with the same images: they are not made twice.
            value_g = loss_g(D(fake, y)) * batches.weight
            adam[0].zero_grad()
            value_g.backward(inputs=weights_g)  # the gradient passes through D but is not gathered in its weights
            processes.all_reduce_gradients(G)
            adam[0].step()

            torch._foreach_lerp_(averaged, [w.detach() for w in weights_g], 1 - AVERAGE)
            recent.append((value_d.detach(), value_g.detach()))  # fetched in `report`: .item() here would wait for the GPU
            if (step + 1) % watch_every == 0 or step + 1 == steps:
                report(step + 1)
            if bar is not None:
                bar.update()
    except KeyboardInterrupt:
        if world_size > 1:  # the others would wait for this process for ever
            raise
        history.stopped = True
        report(step)
    finally:
        torch.set_num_threads(threads)
        if bar is not None:
            bar.close()
    G.load_state_dict(average.state_dict())
    G.eval()
    return history


def fit_gan(
    dataset: str,
    *,
    seed: int,
    shots: int | None = None,
    half: bool = True,
    steps: int = 1000,
    noise: int = 32,
    regularise: str = "r1",
    gamma: float = 1.0,
    score: Callable = projection_score,
    device: str = "auto",
    **options,
) -> dict[str, object]:
    """Trains a conditional GAN on a data set.

    Args:
        dataset: a name in data.TASKS.
        seed: of everything random.
        shots: learn from this many labelled images per class, drawn with this seed; None: from all.
        half: from the half of the training images that no evaluator sees; False: from all of them.
        steps: of the training.
        noise: dimensions of z.
        regularise: what keeps D from getting too steep: "r1", "spectral" (normalisation) or "none".
        gamma: the weight of R1.
        score: D's output from its features; `projection_score` or a learner's.
        device: where to train.
        **options: of `train_gan`.

    Returns:
        generator, discriminator and history.
    """
    x, y, classes = training_images(dataset, shots, seed, half)
    shape = {"size": x.shape[-1], "channels": x.shape[1]}
    seed_everything(seed)
    G = Generator(classes, noise=noise, **shape)
    D = Discriminator(classes, score=score, spectral=regularise == "spectral", **shape)
    gamma = gamma if regularise == "r1" else 0.0
    history = train_gan(G, D, x, y, steps=steps, gamma=gamma, seed=seed, device=device, **options)
    return {"generator": G, "discriminator": D, "history": history}


@functools.cache
def small_task(dataset: str) -> data.ImageTask:
    """The data set's task, capped, with images halved until they have at most LARGEST_SIDE pixels a side."""
    return data.load(dataset).capped().with_images(_small)


@functools.cache
def halves(dataset: str) -> tuple[data.ImageTask, data.ImageTask]:
    """The evaluator's task and the generator's, which share no training picture, with images as small as in `small_task`."""
    evaluators, generators = data.load(dataset).halves()
    return evaluators.with_images(_small), generators.with_images(_small)


def training_images(dataset: str, shots: int | None, seed: int, half: bool = True) -> tuple[Tensor, Tensor, int]:
    """What a generator learns from: images uint8 (N, 1, H, W), labels (N,), and the number of classes (see `fit_gan`)."""
    task = halves(dataset)[1] if half else small_task(dataset)
    if shots is None:
        return task.train_images, task.train_labels, len(task.classes)
    return *task.draw(shots, seed), len(task.classes)


def _small(images: Tensor) -> Tensor:
    """uint8 images (N, 1, H, W), each 2 x 2 pixels averaged to one until there are at most LARGEST_SIDE a side."""
    while images.shape[-1] > LARGEST_SIDE:
        images = F.avg_pool2d(images.float(), 2).round().to(torch.uint8)
    return images


def sample(G: Generator, per_class: int, *, seed: int = 0, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """`per_class` images of every class, float (N, 1, H, W) in 0..1 on the CPU, and their labels (N,).

    The temperature multiplies the noise: nearer to 0 the images are more typical and less varied (Kingma & Dhariwal 2018,
    NeurIPS). Its relative, truncation, draws every value beyond a threshold again (Brock et al. 2019, ICLR).
    """
    y = torch.arange(G.classes).repeat_interleave(per_class)
    z = temperature * torch.randn(len(y), G.noise, generator=torch.Generator().manual_seed(seed))
    return decode(G, z, F.one_hot(y, G.classes).float()), y


@torch.no_grad()
def decode(G: Generator, z: Tensor, y: Tensor) -> Tensor:
    """G(z, y) in evaluation mode on the CPU; z (N, noise), y (N, classes), one-hot or mixed. G's mode is kept."""
    device = next(G.parameters()).device
    with eval_mode(G):
        return G(z.to(device), y.to(device)).cpu()


def between(z_a: Tensor, z_b: Tensor, t: Tensor) -> Tensor:
    """Noise on the way from z_a (noise,) to z_b at t (n,) in 0..1: (n, noise).

    cos(pi t / 2) z_a + sin(pi t / 2) z_b has the same distribution at every t. On the straight line the noise would be shorter
    in the middle than any that G was trained on (White 2016, arXiv 1609.04468).
    """
    angle = torch.pi / 2 * t[:, None]
    return angle.cos() * z_a + angle.sin() * z_b
