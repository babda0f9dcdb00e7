"""How good and how varied generated images are: the evaluator's features, Fréchet distance, precision and recall, the alarm.

The features are those of the course's own evaluator, a small classifier that never saw the images the generator learned from
(the field's Inception network knows photographs, not characters). All functions take tensors on the CPU and compute distances
between rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..augment import as_augment
from ..data import ImageTask
from ..models import conv_net
from ..runtime import seed_everything
from ..training import accuracy, outputs, train

FEATURES = 32
ALARM = 0.5  # a class has collapsed when its images spread less than half as far as the real ones


def fit_evaluator(task: ImageTask, *, steps: int = 400, seed: int = 0, device: str = "auto") -> tuple[nn.Sequential, float]:
    """Trains the evaluator on the task's training images; returns it and its accuracy on the test images.

    Its first part, the backbone, gives the features, (B, 32); the whole gives logits.
    """
    seed_everything(seed)
    backbone = conv_net(FEATURES, size=task.train_images.shape[-1])
    evaluator = nn.Sequential(backbone, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    # Slightly augmented: it will be shown images that lie a little differently from all real ones.
    options = {"steps": steps, "learning_rate": 5e-3, "seed": seed, "device": device, "augment": as_augment("affine", 0.2)}
    train(evaluator, task.train_images, task.train_labels, **options)
    return evaluator, accuracy(outputs(evaluator, task.test_images), task.test_labels)


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


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """Precision: the share of generated features within the real manifold; recall: of real ones within the generated.

    real (n, d), generated (m, d). A manifold is the union of the balls around its points that reach to the k-th nearest
    other point. Source: Kynkäänniemi et al. 2019 (NeurIPS), equations 1 and 2.
    """

    def within(points: Tensor, centres: Tensor) -> float:
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values  # the nearest is the point itself
        return (torch.cdist(points, centres) <= radii).any(dim=1).double().mean().item()

    return within(generated, real), within(real, generated)


def spread(images: Tensor) -> Tensor:
    """The mean Euclidean distance between two different images (n, ...), n at least 2; a scalar."""
    return torch.pdist(images.flatten(1).double()).mean()


def collapse_alarm(generated: Tensor, labels: Tensor, real: Tensor, real_labels: Tensor) -> Tensor:
    """How far the generated images of each class spread, relative to the real ones of that class: (classes,).

    1 means as varied as real images, 0 all alike; below `ALARM` the class has collapsed.

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


def quality(
    evaluator: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    task: ImageTask,
    *,
    frechet: Callable = frechet_distance,
    within: Callable = precision_recall,
    alarm: Callable = collapse_alarm,
) -> dict[str, float]:
    """All figures of a set of images, measured against the task's test images.

    Args:
        evaluator: from `fit_evaluator`.
        images: (N, 1, H, W), uint8 or float in 0..1.
        labels: the classes that they should show (N,).
        task: its test images are the real ones.
        frechet, within, alarm: the functions of this module, or a learner's.

    Returns:
        intended (share classified as their class, mean of the classes), worst_class (the smallest share), frechet,
        precision, recall, spread (the mean of `collapse_alarm`).
    """
    images = images / 255 if images.dtype == torch.uint8 else images
    real, shares = task.test_images.float() / 255, recognised(evaluator, images, labels)
    a, b = features(evaluator, real), features(evaluator, images)
    precision, recall = within(a, b)
    return {
        "intended": shares.mean().item(),
        "worst_class": shares.min().item(),
        "frechet": frechet(a, b),
        "precision": precision,
        "recall": recall,
        "spread": alarm(images, labels, real, task.test_labels).mean().item(),
    }
