"""SimSiam: two views of an image must agree, without negatives (Chen & He 2021, CVPR, arXiv 2011.10566).

Each view's prediction p = h(z) is compared with the other view's output z, which gets no gradient (stop-gradient). Without
that, all images may be mapped to one point (collapse), and the loss has nothing against it.
"""

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..runtime import seed_everything
from ..training import History
from .contrastive import FEATURES, Views, _train, encoder, unlabelled, view
from .linear_probe import probe

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
OUTPUTS = 64  # of the head


def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    """D(p, z) = -p . z / (|p| |z|), the mean over the rows of p and z (B, d); -1 to 1 (equation 1)."""
    return -F.cosine_similarity(p, z, dim=1).mean()


def simsiam_loss(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    """D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2, a scalar in -1..1; all arguments are (B, d) (equation 4)."""
    return negative_cosine(p1, z2.detach()) / 2 + negative_cosine(p2, z1.detach()) / 2


def without_stop_gradient(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    """The same values, and the gradient goes through both sides: the arm that collapses (section 4.1)."""
    return negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2


def effective_dimension(features: Tensor) -> Tensor:
    """How many directions rows use: exp of the entropy of the eigenvalues of Z^T Z / n, Z the rows at length 1; 1 to d.

    The eigenvalues add up to 1. Rows that all point one way have one that is 1, so the dimension is 1; rows that point in d
    directions equally often have d of 1 / d. No mean is subtracted, or rows at one point would have no dimension at all.

    features: (n, d), no row zero. Returns a scalar. Source: Roy & Vetterli 2007 (EUSIPCO), of singular values there; of these
    eigenvalues Friedman & Dieng 2023 (TMLR).
    """
    z = F.normalize(features, dim=1)
    shares = torch.linalg.eigvalsh(z.T @ z / len(z)).clamp(min=0)  # (d,); rounding makes tiny negative ones
    return torch.special.entr(shares).sum().exp()  # entr(x) = -x log x, and 0 at 0


def simsiam(
    images: Tensor,
    views: Views,
    *,
    loss: Loss = simsiam_loss,
    width: int = 64,
    steps: int = 300,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    optimizer: str = "Muon",
    seed: int = 0,
    device: str = "auto",
    watch: Callable[[int, nn.Sequential], None] | None = None,
) -> tuple[nn.Sequential, History]:
    """Trains an encoder to predict one view's output from another's; returns it with head and predictor, and the history.

    The parts of what is returned are the encoder f, the projection head and the predictor h; the last two are thrown away.

    Args:
        images: uint8 (N, C, S, S).
        views: the policies that make a view, (name, strength) one after the other.
        loss: `simsiam_loss`, `without_stop_gradient`, or a learner's.
        width: of the predictor's middle layer; the paper's is a quarter of OUTPUTS.
        steps: of the training.
        batch_size: images a step, two views of each.
        learning_rate: the largest one.
        optimizer: a name in contrastive.OPTIMIZERS.
        seed: of everything random.
        device: where to train.
        watch: called as watch(step, model) before every step.
    """
    seed_everything(seed)
    f = encoder(images.shape[-1], channels=images.shape[1])
    # The paper's head ends in a batch norm, too. That alone keeps the outputs of a batch apart for a few hundred steps, so here
    # it would hide what the stop-gradient does; without any batch norm even the stopped loss collapses.
    head = nn.Sequential(nn.BatchNorm1d(FEATURES), nn.ReLU(), nn.Linear(FEATURES, OUTPUTS))
    first = nn.Linear(OUTPUTS, width, bias=False)  # none: the batch norm that follows would subtract it
    predictor = nn.Sequential(first, nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, OUTPUTS))
    step = 0

    def two_views(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.cat([view(x, views, generator), view(x, views, generator)]), y  # (2 B, C, S, S)

    def agree(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        nonlocal step
        if watch is not None:
            watch(step, model)
        step += 1
        f, head, predictor = model
        z = head(f(x))  # (2 B, OUTPUTS)
        return loss(*predictor(z).chunk(2), *z.chunk(2))

    model = nn.Sequential(f, head, predictor)
    how = {"learning_rate": learning_rate, "optimizer": optimizer, "seed": seed, "device": device}
    return model, _train(model, images, two_views, agree, steps=steps, batch_size=batch_size, **how)


def fit_simsiam(
    dataset: str,
    *,
    seed: int,
    views: Views,
    looks: Sequence[int],
    shots: int,
    dimension: Callable[[Tensor], Tensor] = effective_dimension,
    on_validation: bool = False,
    **settings,
) -> dict:
    """A SimSiam training, looked at on its way: the effective dimension of its outputs, and what its features are worth.

    Args:
        dataset: a name in data.TASKS.
        seed: of the training and of the first draw of the labels.
        views: the policies that make the two views, (name, strength) one after the other.
        looks: the numbers of steps after which it is looked at, each once and rising; the last one ends the training.
        shots: labels per class for the probes.
        dimension: `effective_dimension`, or a learner's.
        on_validation: test on the validation part, for choosing.
        settings: of `simsiam`, such as its loss.

    Returns:
        what `linear_probe.probe` returns of the encoder at the end; for every look dimensions (of the head's outputs
        for 500 unlabelled images), feature_dimensions (of the encoder's) and accuracies (of a probe, one draw of the labels);
        losses (one a step) and at_rest.
    """
    images = unlabelled(dataset)
    kept = []

    def keep(step: int, model: nn.Sequential) -> None:
        if step in looks:
            kept.append(copy.deepcopy(model[:2]).cpu())

    model, history = simsiam(images, views, steps=looks[-1], seed=seed, watch=keep, **settings)
    kept.append(model[:2].cpu())
    task = data.load(dataset)
    task = task.on_validation() if on_validation else task
    looked: dict[str, list[float]] = {"dimensions": [], "feature_dimensions": [], "accuracies": []}
    for f, head in kept:
        looked["accuracies"].append(probe(task, f, shots=shots, seed=seed, draws=1)["test_accuracy"])
        with torch.no_grad():  # batch norms in training mode, so that these are outputs as the loss sees them
            features = copy.deepcopy(f).train()(images[:500].float() / 255)
            looked["feature_dimensions"].append(float(dimension(features)))
            looked["dimensions"].append(float(dimension(copy.deepcopy(head).train()(features))))
    measured = probe(task, kept[-1][0], shots=shots, seed=seed)
    return measured | looked | {"losses": history.losses, "at_rest": history.at_rest}
