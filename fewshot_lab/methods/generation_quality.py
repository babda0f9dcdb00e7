"""How good and how varied generated images are: an evaluator's features, Fréchet distance, precision, recall, coverage, alarm.

The features are those of the course's own evaluator, a small classifier that never saw the images the generator learned from
(the field's Inception network knows photographs, not characters). All functions take tensors on the CPU and compute distances
between rows.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..augment import as_augment
from ..data import ImageTask
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import accuracy, hits_by_picture, outputs, train
from .generation import halves

FEATURES = 32


def fit_evaluator(dataset: str, *, seed: int, steps: int, strength: float, device: str = "auto") -> dict[str, object]:
    """Trains an evaluator on the half of the training images that no generator sees.

    Args:
        dataset: a name in data.TASKS.
        seed: of everything random.
        steps: of the training.
        strength: of the policy affine, which shows the evaluator that images may lie a little differently.
        device: where to train.

    Returns:
        evaluator (its first part, the backbone, gives the features (B, 32), the whole gives logits), validation_accuracy,
        test_accuracy with hits by picture, at_rest and seconds.
    """
    began = time.perf_counter()
    task, _ = halves(dataset)
    seed_everything(seed)
    backbone = conv_net_for(task.train_images, FEATURES)
    evaluator = nn.Sequential(backbone, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    options = {"steps": steps, "seed": seed, "device": device, "augment": as_augment("affine", strength)}
    history = train(evaluator, task.train_images, task.train_labels, **options)
    answers = outputs(evaluator, task.test_images)
    return {
        "evaluator": evaluator,
        "validation_accuracy": accuracy(outputs(evaluator, task.validation_images), task.validation_labels),
        "test_accuracy": accuracy(answers, task.test_labels),
        **hits_by_picture(answers, task.test_labels, task.test_pictures),
        "at_rest": history.at_rest,
        "seconds": time.perf_counter() - began,
    }


def features(evaluator: nn.Sequential, images: Tensor) -> Tensor:
    """The evaluator's features (N, 32) of images (N, 1, H, W)."""
    return outputs(evaluator[0], images)


def recognised(evaluator: nn.Sequential, images: Tensor, labels: Tensor) -> Tensor:
    """The share of each class's images (N, 1, H, W), labels (N,), that the evaluator classifies as that class: (classes,)."""
    correct = (outputs(evaluator, images).argmax(dim=1) == labels).double()
    return torch.stack([correct[labels == k].mean() for k in range(evaluator[-1].out_features)])


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """The Fréchet distance between Gaussians fitted to features a (n, d) and b (m, d), n and m at least 2.

    |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in float64, C the covariances with n - 1.
    Source: Heusel et al. 2017 (NeurIPS), equation 6; Dowson & Landau 1982.
    """
    a, b = a.double(), b.double()
    C_a, C_b = a.T.cov(), b.T.cov()
    # C_a C_b is not symmetric, so its root would need a general (complex) solver. But only the root's trace is needed, and
    # C_a^(1/2) C_b C_a^(1/2) is symmetric with the same eigenvalues: the trace is the sum of their roots.
    values, vectors = torch.linalg.eigh(C_a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T  # C_a^(1/2)
    trace_of_root = torch.linalg.eigvalsh(root @ C_b @ root).clamp_min(0).sqrt().sum()
    return ((a.mean(dim=0) - b.mean(dim=0)).square().sum() + C_a.trace() + C_b.trace() - 2 * trace_of_root).item()


def radii(features: Tensor, k: int) -> Tensor:
    """The distance of each row of features (n, d) to its k-th nearest other row: (n,)."""
    return torch.cdist(features, features).kthvalue(k + 1, dim=1).values  # the nearest row is the row itself


def in_manifold(points: Tensor, centres: Tensor, k: int = 3) -> Tensor:
    """Which points (n, d) lie within the manifold of centres (m, d): bool (n,).

    The manifold is the union of the balls around the centres that reach to the k-th nearest other centre.
    """
    return (torch.cdist(points, centres) <= radii(centres, k)).any(dim=1)


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """Precision: the share of generated features within the real manifold; recall: of real ones within the generated.

    real (n, d), generated (m, d). Source: Kynkäänniemi et al. 2019 (NeurIPS), equations 1 and 2.
    """
    sides = in_manifold(generated, real, k), in_manifold(real, generated, k)
    precision, recall = (inside.double().mean().item() for inside in sides)
    return precision, recall


def reached(real: Tensor, generated: Tensor, k: int = 5) -> Tensor:
    """Which real features (n, d) have a generated one (m, d) nearer than their k-th nearest real one: bool (n,).

    The share of them is the coverage (Naeem et al. 2020, ICML, equation 8). Recall lays its balls around the generated images,
    where one image far from all others has a huge one; coverage lays them around the real ones, so that such an image reaches
    nothing.
    """
    return (torch.cdist(real, generated) <= radii(real, k)[:, None]).any(dim=1)


def spread(images: Tensor) -> Tensor:
    """The mean Euclidean distance between two different images (n, ...), n at least 2; a scalar."""
    return torch.pdist(images.flatten(1).double()).mean()


def collapse_alarm(generated: Tensor, labels: Tensor, real: Tensor, real_labels: Tensor) -> Tensor:
    """How far the generated images of each class spread, relative to the real ones of that class: (classes,).

    1 means as varied as real images, 0 all alike.

    Args:
        generated: images (n, ...), at least two of every class in `real_labels`.
        labels: their classes (n,).
        real: images (m, ...), at least two of every class.
        real_labels: their classes (m,).
    """
    classes = range(int(real_labels.max()) + 1)
    return torch.stack([spread(generated[labels == k]) / spread(real[real_labels == k]) for k in classes])


def nearest(queries: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each query (n, ...) to its nearest image (m, ...) and that image's row: (n,), (n,)."""
    distances = torch.cdist(queries.flatten(1).double(), images.flatten(1).double())
    values, rows = distances.min(dim=1)
    return values, rows


def share_near(images: Tensor, originals: Tensor, held_out: Tensor) -> float:
    """The share of images that are nearer to an original than 95 % of held-out images are: 0.05 if they are as new as those.

    All are float (..., 1, H, W) in 0..1. `originals` are those that the generator learned from: the more of them there are, the
    nearer any new image is to one, so the held-out images are compared with the same ones.
    """
    near = nearest(held_out, originals)[0].quantile(0.05)
    return (nearest(images, originals)[0] <= near).double().mean().item()


def quality(
    evaluator: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    task: ImageTask,
    *,
    frechet: Callable = frechet_distance,
    within: Callable = precision_recall,
    alarm: Callable = collapse_alarm,
) -> dict[str, object]:
    """All figures of a set of images, measured against the task's test images; their spread against its training images.

    Args:
        evaluator: of `fit_evaluator`.
        images: (N, 1, H, W), uint8 or float in 0..1.
        labels: the classes that they should show (N,).
        task: the generator's; `task.on_validation()` measures against the validation images.
        frechet, within, alarm: the functions of this module, or a learner's.

    Returns:
        intended (share classified as their class, mean of the classes), worst_class (the smallest share), frechet, precision,
        recall, coverage, spread (the mean of `collapse_alarm`), spreads (all of it); and recall and coverage by picture.
    """
    images = images / 255 if images.dtype == torch.uint8 else images
    shares, spreads = recognised(evaluator, images, labels), alarm(images, labels, task.train_images / 255, task.train_labels)
    real, made = features(evaluator, task.test_images), features(evaluator, images)
    precision, recall = within(real, made)
    inside = {"recall": in_manifold(real, made), "coverage": reached(real, made)}
    # Real images of one picture are no independent ones, so the hits are counted picture by picture, for the intervals.
    _, which, sizes = task.test_pictures.unique(return_inverse=True, return_counts=True)
    counts = {f"{name}_by_picture": torch.bincount(which, weights=one.double()).numpy() for name, one in inside.items()}
    return {
        "intended": shares.mean().item(),
        "worst_class": shares.min().item(),
        "frechet": frechet(real, made),
        "precision": precision,
        "recall": recall,
        "coverage": inside["coverage"].double().mean().item(),
        "spread": spreads.mean().item(),
        "spreads": spreads,
        **counts,
        "test_sizes": sizes.numpy(),
    }
