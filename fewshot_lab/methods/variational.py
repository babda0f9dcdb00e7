"""A conditional variational autoencoder, the contrast to the GAN (Kingma & Welling 2014, ICLR; Sohn et al. 2015, NeurIPS).

An encoder q(z | x, y) = N(mu, sigma^2) and a decoder p(x | z, y) maximise together a lower bound of log p(x | y):

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
    """-log N(x; x', sigma^2) without its constant, summed over pixels: (n, 1, H, W), twice, to (n,), in nats.

    sigma is the pixel noise that the decoder may leave unexplained. A large one lets it forget z and draw one blurred image per
    class (posterior collapse); a small one leaves noise vectors between the training images that decode to nothing.
    """
    return (images - decoded).square().sum(dim=(1, 2, 3)) / (2 * sigma**2)


def vae_loss(vae: nn.ModuleDict, images: Tensor, labels: Tensor, sigma: float) -> Tensor:
    """The mean over a batch of reconstruction plus divergence; a scalar, for `training.train`."""
    y = F.one_hot(labels, vae["decoder"].classes).to(images.dtype)
    mean, log_variance = vae["encoder"](images, y)
    noise = torch.randn(mean.shape).to(mean)  # drawn on the CPU, the same on every device
    z = mean + (0.5 * log_variance).exp() * noise  # the reparametrisation (section 2.4)
    return (reconstruction(images, vae["decoder"](z, y), sigma) + divergence(mean, log_variance)).mean()


def fit_vae(
    dataset: str,
    *,
    seed: int,
    shots: int | None = None,
    steps: int = 1000,
    noise: int = 32,
    sigma: float = 0.2,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a VAE on the images that `generation.fit_gan` would learn from; returns generator (its decoder) and history."""
    x, y, classes = training_images(dataset, shots, seed)
    seed_everything(seed)
    options = {"size": x.shape[-1], "noise": noise}
    vae = nn.ModuleDict({"encoder": Encoder(classes, **options), "decoder": Generator(classes, **options)})
    history = train(
        vae, x, y, steps=steps, learning_rate=2e-3, loss=functools.partial(vae_loss, sigma=sigma), seed=seed, device=device
    )
    return {"generator": vae["decoder"].eval(), "history": history}
