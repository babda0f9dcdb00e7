"""Which images to label: any, those on which a classifier is unsure, or the typical ones, on frozen features.

TypiClust (Hacohen et al. 2022, ICML, arXiv 2202.02794): with few labels, take one typical image of each cluster. Uncertainty by
the margin between the two most probable classes: Scheffer et al. 2001 (IDA).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import ImageTask
from .linear_probe import draw_seeds, fit_probabilities, hits_of, mean_hits

NEIGHBOURS = 20  # TypiClust's; in a small cluster half of its images


def typicality(features: Tensor, k: int) -> Tensor:
    """The inverse of each row's mean Euclidean distance to its k nearest other rows (equation 1).

    features: (n, d), no two rows alike; k: from 1 to n - 1. Returns (n,).
    """
    distances = torch.cdist(features, features).fill_diagonal_(torch.inf)  # no row is its own neighbour
    return 1 / distances.topk(k, dim=1, largest=False).values.mean(dim=1)


def random_rows(features: Tensor, labels: Tensor, count: int, seed: int) -> Tensor:
    """`count` row numbers at random; some classes may get none."""
    return torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))[:count]


def uncertain_rows(features: Tensor, labels: Tensor, count: int, seed: int) -> Tensor:
    """Half of the rows at random, then those with the smallest margin under a linear classifier that knows the first half.

    The margin is the difference of the two largest probabilities. Only the labels of the first half are looked at.
    """
    first = random_rows(features, labels, count // 2, seed)
    probabilities = _fit(features, labels, first)(features)[0]
    if probabilities.shape[1] == 1:  # one class so far: nothing is unsure
        return random_rows(features, labels, count, seed)
    largest = probabilities.topk(2, dim=1).values
    margin = (largest[:, 0] - largest[:, 1]).index_fill(0, first, torch.inf)
    return torch.cat([first, margin.argsort()[: count - len(first)]])


def typical_rows(features: Tensor, labels: Tensor, count: int, seed: int, typicality: Callable = typicality) -> Tensor:
    """The most typical row of each of `count` clusters (k-means on features of length 1); no label is looked at."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    z = F.normalize(features, dim=1)
    with threadpool_limits(1):
        clusters = torch.from_numpy(KMeans(count, n_init=1, random_state=seed).fit_predict(z.numpy()))
    chosen = []
    for cluster in range(count):
        rows = (clusters == cluster).nonzero().flatten()
        k = min(NEIGHBOURS, len(rows) // 2)
        chosen.append(rows[typicality(z[rows], k).argmax()] if k else rows[0])
    return torch.stack(chosen)


def label_and_probe(
    features: ImageTask, *, choose: Callable[..., Tensor], per_class: int, seed: int, draws: int = 3, **options
) -> dict:
    """A linear probe on the labels of the images that `choose` picks, a mean over several draws.

    Args:
        features: a task that holds features instead of images (`linear_probe.embedded`).
        choose: `random_rows`, `uncertain_rows` or `typical_rows`.
        per_class: how many labels there are for each class on average; which classes they are of is left to `choose`.
        seed: of the first draw.
        draws: how often to choose.
        options: of `choose`.

    Returns:
        test_accuracy, test_hits and test_sizes (the test images by picture), and classes, the share of the classes that have a
        label at all.
    """
    classes, hits, seen = len(features.classes), [], []
    for draw in draw_seeds(seed, draws):
        rows = choose(features.train_images, features.train_labels, per_class * classes, draw, **options)
        probabilities, present = _fit(features.train_images, features.train_labels, rows)(features.test_images)
        hits.append(hits_of(present[probabilities.argmax(1)], features))
        seen.append(len(present) / classes)
    return mean_hits(hits, features) | {"classes": sum(seen) / len(seen)}


def _fit(features: Tensor, labels: Tensor, rows: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """A linear probe on these rows: features -> probabilities (N, present) and the class numbers (present,) of the columns."""
    present, indices = labels[rows].unique(return_inverse=True)
    if len(present) == 1:
        return lambda z: (torch.ones(len(z), 1), present)
    probabilities = fit_probabilities(features[rows], indices, features)
    return lambda z: (probabilities(z), present)
