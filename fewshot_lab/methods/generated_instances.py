"""Classifiers that learn from generated images: beside K real labels per class, or alone (classification accuracy score).

The generator of the honest protocol learns from the same K labels per class and nothing else (Antoniou et al. 2017, DAGAN, let
theirs see other classes). One that saw more has smuggled labels in; it shows at most how far instances could help.
"""

import torch
from torch import Tensor

from ..augment import as_augment, get_policy
from ..models import conv_net
from ..runtime import seed_everything
from ..training import accuracy, outputs, train
from .generation import fit_gan, sample, task_of
from .variational import fit_vae

FITS = {"gan": fit_gan, "vae": fit_vae}


def fit_pool(
    dataset: str, *, kind: str, shots: int | None, seed: int, per_class: int, steps: int, device: str = "auto", **options
) -> dict[str, Tensor]:
    """Trains a generator, "gan" or "vae", on `shots` labels per class (None: on its half) and draws from it.

    Returns pool, uint8 (classes, per_class, 1, H, W).
    """
    G = FITS[kind](dataset, shots=shots, seed=seed, steps=steps, device=device, **options)["generator"]
    return {"pool": pool_of(G, per_class, seed)}


def pool_of(G, per_class: int, seed: int) -> Tensor:
    """`per_class` images of each class from a generator as pixels, uint8 (classes, per_class, 1, H, W)."""
    images, _ = sample(G, per_class, seed=seed)
    return (images * 255).round().to(torch.uint8).unflatten(0, (G.classes, per_class))


def unpacked(pool: Tensor) -> tuple[Tensor, Tensor]:
    """A pool (classes, per_class, 1, H, W) as images (N, 1, H, W) and their labels (N,)."""
    return pool.flatten(0, 1), torch.arange(len(pool)).repeat_interleave(pool.shape[1])


def augmented(images: Tensor, *, seed: int, policy: str, strength: float) -> Tensor:
    """Images (N, 1, H, W), each changed once by a policy drawn from `seed`."""
    return get_policy(policy)(images, strength, torch.Generator().manual_seed(seed))


def augmented_pool(dataset: str, *, shots: int, seed: int, per_class: int, policy: str, strength: float) -> Tensor:
    """`per_class` augmented copies of the K real images of each class, by turns, uint8 (classes, per_class, 1, H, W)."""
    task = task_of(dataset)
    images = task.draw(shots, seed)[0].unflatten(0, (len(task.classes), shots))
    copies = images[:, torch.arange(per_class) % shots]
    changed = augmented(copies.flatten(0, 1), seed=seed, policy=policy, strength=strength)
    return changed.unflatten(0, copies.shape[:2])


def mixed_in(pool: Tensor, share: float):
    """An `augment` for `training.train` that puts a generated image of the same class in the place of a share of each batch.

    pool: uint8 (classes, per_class, 1, H, W). Images and labels, (n, 1, H, W) in 0..1 and (n,), keep their places.
    """

    def augment(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal pool
        pool = pool.to(images.device)
        which = torch.randint(pool.shape[1], (len(labels),), generator=generator).to(images.device)
        replaced = (torch.rand(len(labels), generator=generator) < share).to(images.device)
        generated = pool[labels, which].to(images.dtype) / 255
        return torch.where(replaced[:, None, None, None], generated, images), labels

    return augment


def fit_classifier(
    dataset: str,
    *,
    shots: int,
    seed: int,
    pool: Tensor | None = None,
    share: float = 0.5,
    policy: str = "none",
    strength: float = 0.0,
    steps: int = 150,
    device: str = "auto",
) -> dict[str, float]:
    """Trains a small convolutional net on `shots` real labels per class and tests it; everything random comes from `seed`.

    pool: generated images, which take a share of every batch; with share 1 no real image is seen, and the test accuracy is
    the classification accuracy score (Ravuri & Vinyals 2019, NeurIPS). policy, strength: the augmentation of all images,
    real and generated. Equal seeds draw nested labels and start from the same weights. Returns test_accuracy.
    """
    task = task_of(dataset)
    images, labels = task.draw(shots, seed)
    change = as_augment(policy, strength)
    mix = mixed_in(pool, share) if pool is not None else None

    def augment(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        for step in (mix, change):  # generated images are augmented too
            x, y = step(x, y, generator) if step else (x, y)
        return x, y

    seed_everything(seed)
    model = conv_net(len(task.classes), size=images.shape[-1])
    options = {"steps": steps, "batch_size": 32, "learning_rate": 5e-3, "augment": augment, "seed": seed, "device": device}
    train(model, images, labels, **options)
    return {"test_accuracy": accuracy(outputs(model, task.test_images), task.test_labels)}
