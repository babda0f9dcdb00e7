"""Classifiers that learn from made images, generated ones or augmented copies: beside K real labels per class, or alone.

The generator of the honest protocol learns from the same K labels per class and nothing else (Antoniou et al. 2017, DAGAN, let
theirs see other classes). One that saw more has smuggled labels in; it shows at most how far instances could help. The K labels
come from the half of the training images that no evaluator sees.

A generated set is one uint8 tensor (classes, per_class, 1, H, W): the first index is the class of the images.
"""

import time

import torch
from torch import Tensor

from ..augment import as_augment, get_policy
from ..models import Generator, conv_net_for
from ..runtime import seed_everything
from ..training import Augment, accuracy, hits_by_picture, outputs, train
from .flow_matching import Flow, fit_flow
from .generation import fit_gan, halves, sample, training_images
from .variational import fit_vae

FITS = {"gan": fit_gan, "vae": fit_vae, "flow": fit_flow}


def fit_generated_set(
    dataset: str, *, kind: str, shots: int | None, seed: int, per_class: int, steps: int, device: str = "auto", **options
) -> dict[str, object]:
    """Trains a generator and draws a set of images from it.

    Args:
        dataset: a name in data.TASKS.
        kind: "gan", "vae" or "flow".
        shots: the generator learns from this many labelled images per class; None: from all of its half.
        seed: of the labels, the training and the images drawn.
        per_class: images drawn of each class.
        steps: of the training.
        device: where the generator trains.
        **options: of `fit_gan`, `fit_vae` or `fit_flow`.

    Returns:
        generated (the set, uint8 (classes, per_class, 1, H, W)), generator (on the CPU) and seconds.
    """
    began = time.perf_counter()
    G = FITS[kind](dataset, shots=shots, seed=seed, steps=steps, device=device, **options)["generator"].cpu()
    return {"generated": generated_set(G, per_class, seed), "generator": G, "seconds": time.perf_counter() - began}


def generated_set(G: Generator | Flow, per_class: int, seed: int) -> Tensor:
    """`per_class` images of each class from a generator, as pixels: uint8 (classes, per_class, 1, H, W)."""
    images, _ = sample(G, per_class, seed=seed)
    return (images * 255).round().to(torch.uint8).unflatten(0, (G.classes, per_class))


def images_and_labels(generated: Tensor) -> tuple[Tensor, Tensor]:
    """A generated set (classes, per_class, 1, H, W) as images (N, 1, H, W) and their labels (N,)."""
    return generated.flatten(0, 1), torch.arange(len(generated)).repeat_interleave(generated.shape[1])


def augmented(images: Tensor, *, seed: int, policy: str, strength: float) -> Tensor:
    """Images (N, 1, H, W), each changed once by a policy that draws from `seed`."""
    return get_policy(policy)(images, strength, torch.Generator().manual_seed(seed))


def augmented_set(dataset: str, *, shots: int, seed: int, per_class: int, policy: str, strength: float) -> Tensor:
    """Augmented copies of the K real images of each class, in the form of a generated set: what a generator competes with.

    Args:
        dataset: a name in data.TASKS.
        shots: K; every real image gives per_class / K copies, the first ones one more when that leaves a rest.
        seed: of the labels drawn and of the policy's draws.
        per_class: copies of each class.
        policy, strength: the augmentation.

    Returns:
        uint8 (classes, per_class, 1, H, W).
    """
    images, _, classes = training_images(dataset, shots, seed)
    images = images.unflatten(0, (classes, shots))
    copies = images[:, torch.arange(per_class) % shots]  # in turn, so that every real image has its share
    return augmented(copies.flatten(0, 1), seed=seed, policy=policy, strength=strength).unflatten(0, copies.shape[:2])


def mixed_in(generated: Tensor, share: float) -> Augment:
    """An `augment` for `training.train` that replaces a share of each batch by generated images of the same classes.

    generated: uint8 (classes, per_class, 1, H, W). In the batch, images are (n, 1, H, W) in 0..1 and labels (n,); the labels
    stay as they are.
    """

    def augment(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal generated
        generated = generated.to(images.device)  # copied in the first step only
        # Drawn on the CPU, where the generator lives: equal seeds give equal batches on every device.
        which = torch.randint(generated.shape[1], (len(labels),), generator=generator).to(images.device)
        replaced = (torch.rand(len(labels), generator=generator) < share).to(images.device)
        substitutes = generated[labels, which].to(images.dtype) / 255
        return torch.where(replaced[:, None, None, None], substitutes, images), labels

    return augment


def fit_classifier(
    dataset: str,
    *,
    shots: int | None,
    seed: int,
    generated: Tensor | None = None,
    share: float = 0.5,
    policy: str = "none",
    strength: float = 0.0,
    steps: int = 150,
    device: str = "auto",
) -> dict[str, object]:
    """Trains a small convolutional net on `shots` real labels per class and tests it on real images.

    With share 1 no real image is seen, and the test accuracy is the classification accuracy score (Ravuri & Vinyals 2019,
    NeurIPS).

    Args:
        dataset: a name in data.TASKS.
        shots: real labelled images per class, the generator's; None: all of its half.
        seed: of everything random; equal seeds draw nested labels and start from the same weights.
        generated: a generated set that takes a share of every batch; None: real images alone.
        share: of each batch that is generated, 0..1.
        policy, strength: the augmentation of all images, real and generated.
        steps: of the training.
        device: where to train.

    Returns:
        validation_accuracy, test_accuracy with hits by picture, at_rest (whether the training came to rest) and seconds.
    """
    began = time.perf_counter()
    _, task = halves(dataset)
    images, labels, classes = training_images(dataset, shots, seed)
    change = as_augment(policy, strength)
    mix = mixed_in(generated, share) if generated is not None else None

    def augment(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        # Mixed in first, so that generated images are augmented as real ones are: the arms differ in the images alone.
        for step in (mix, change):
            x, y = step(x, y, generator) if step else (x, y)
        return x, y

    # Seeded after the labels are drawn: all arms of a seed start from the same weights.
    seed_everything(seed)
    model = conv_net_for(images, classes)
    history = train(model, images, labels, steps=steps, augment=augment, seed=seed, device=device)
    answers = outputs(model, task.test_images)
    return {
        "validation_accuracy": accuracy(outputs(model, task.validation_images), task.validation_labels),
        "test_accuracy": accuracy(answers, task.test_labels),
        **hits_by_picture(answers, task.test_labels, task.test_pictures),
        "at_rest": history.at_rest,
        "seconds": time.perf_counter() - began,
    }
