"""A conditional variational autoencoder, the contrast to the GAN (Kingma & Welling 2014, ICLR; Sohn et al. 2015, NeurIPS).

An encoder q(z | x, y) = N(mu, sigma^2) and a decoder p(x | z, y) together minimise an upper bound of -log p(x | y):

    L = - E_q log p(x | z, y) + KL(q(z | x, y) || N(0, 1))

The decoder is the GAN's generator, and images are drawn from it in the same way (`generation.sample`).
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models import Encoder, Generator
from ..runtime import seed_everything
from ..training import train
from .generation import training_images


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)), summed over the noise's dimensions: (n, d), (n, d) to (n,), in nats (appendix B)."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def reconstruction(images: Tensor, decoded: Tensor, sigma: float) -> Tensor:
    """-log N(x; x', sigma^2) without its constant, summed over pixels: images and decoded (n, 1, H, W) to (n,), in nats.

    sigma is the pixel noise that the decoder may leave unexplained. A large one lets it ignore z and draw one blurred image per
    class (posterior collapse); a small one leaves noise vectors between the training images that decode to nothing.
    """
    return (images - decoded).square().sum(dim=(1, 2, 3)) / (2 * sigma**2)


def vae_loss(vae: nn.ModuleDict, images: Tensor, labels: Tensor, sigma: float) -> Tensor:
    """The mean over a batch of reconstruction plus divergence; a scalar, for `training.train`."""
    y = F.one_hot(labels, vae["decoder"].classes).to(images.dtype)
    mean, log_variance = vae["encoder"](images, y)
    noise = torch.randn(mean.shape).to(mean)  # drawn on the CPU, the same on every device
    # The reparametrisation (section 2.4): the noise depends on no weight, so the gradient passes to mean and variance.
    z = mean + (0.5 * log_variance).exp() * noise
    # Both terms are sums, over pixels and over dimensions: with means their balance would depend on the size of the image.
    return (reconstruction(images, vae["decoder"](z, y), sigma) + divergence(mean, log_variance)).mean()


RECIPE = {"learning_rate": 2e-3, "warmup": 0, "optimizer": torch.optim.AdamW}  # of the training, also of a flow's


def fit_vae(
    dataset: str,
    *,
    seed: int,
    shots: int | None = None,
    half: bool = True,
    steps: int = 1000,
    noise: int = 32,
    sigma: float = 0.2,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a VAE on the images that `generation.fit_gan` would learn from.

    Args:
        dataset: a name in data.TASKS.
        seed: of everything random.
        shots: labelled images per class; None: all of them.
        half: from the half of the training images that no evaluator sees; False: from all of them.
        steps: of the training.
        noise: dimensions of z.
        sigma: the pixel noise of `reconstruction`.
        device: where to train.

    Returns:
        generator (the decoder, in evaluation mode) and history.
    """
    x, y, classes = training_images(dataset, shots, seed, half)
    seed_everything(seed)
    options = {"size": x.shape[-1], "channels": x.shape[1], "noise": noise}
    vae = nn.ModuleDict({"encoder": Encoder(classes, **options), "decoder": Generator(classes, **options)})
    loss = functools.partial(vae_loss, sigma=sigma)
    history = train(vae, x, y, steps=steps, loss=loss, seed=seed, device=device, **RECIPE)
    return {"generator": vae["decoder"].eval(), "history": history}
