"""FixMatch: what a network answers with confidence for a weakly changed image is the label of a strongly changed one.

Sohn et al. 2020 (NeurIPS), arXiv 2001.07685, algorithm 1. The threshold 0.95 and the weight 1 are the paper's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment.ranges import as_floats
from ..runtime import seed_everything
from ..training import Batches, History, accuracy, hits_by_picture, outputs, train
from ..training.processes import accelerator
from .contrastive import FEATURES, OPTIMIZERS, Views, encoder, view

Loss = Callable[[Tensor, Tensor, Tensor, Tensor, float, float], Tensor]


def confident_labels(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Pseudo-labels (m,) from logits (m, classes), and which pass: where the largest probability is at least the threshold."""
    confidence, pseudo_labels = logits.detach().softmax(dim=1).max(dim=1)
    return pseudo_labels, confidence >= threshold


def fixmatch_loss(
    logits: Tensor, labels: Tensor, weak_logits: Tensor, strong_logits: Tensor, threshold: float, weight: float
) -> Tensor:
    """FixMatch's loss (equations 3 and 4): l_s + lambda l_u.

    l_s is the mean cross-entropy of the labelled images. l_u is that of the strong views against the pseudo-labels of the weak
    ones, where these pass the threshold; its mean is over all unlabelled images, so what did not pass counts as 0. At the
    beginning, when little passes, l_u is small by itself: the weight needs no schedule.

    Args:
        logits: (n, classes) of the labelled images.
        labels: (n,) class numbers.
        weak_logits: (m, classes) of the weak views of the unlabelled images. No gradient goes through them.
        strong_logits: (m, classes) of the strong views of the same images.
        threshold: tau, 0..1.
        weight: lambda.

    Returns:
        a scalar.
    """
    pseudo_labels, passed = confident_labels(weak_logits, threshold)
    unlabelled = F.cross_entropy(strong_logits, pseudo_labels, reduction="none") * passed  # (m,)
    return F.cross_entropy(logits, labels) + weight * unlabelled.mean()


@dataclass
class Passed:
    """What a training took for labels: for each step the rows of the unlabelled images, their pseudo-labels, which passed."""

    steps: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def shares(self, labels: Tensor) -> tuple[list[float], list[float]]:
        """Two shares per step: pseudo-labels that passed, and labels (N,) that are met by a pseudo-label that passed."""
        passed = [passed.float().mean().item() for _, _, passed in self.steps]
        met = [(passed & (pseudo == labels[rows])).float().mean().item() for rows, pseudo, passed in self.steps]
        return passed, met


def fixmatch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    unlabelled: Tensor,
    *,
    views: Views,
    weak: Views,
    strong: Views,
    loss: Loss = fixmatch_loss,
    threshold: float = 0.95,
    weight: float = 1.0,
    steps: int = 300,
    batch: tuple[int, int] = (32, 48),
    learning_rate: float = 1e-2,
    optimizer: str = "Muon",
    seed: int = 0,
    device: str = "auto",
) -> tuple[History, Passed]:
    """Trains a classifier in place on a few labels and many images without; returns the history and what passed for a label.

    Args:
        model: images -> logits (B, classes).
        images, labels: uint8 (n, C, S, S), (n,).
        unlabelled: uint8 (N, C, S, S).
        views, weak, strong: the policies that change labelled images, and those that make weak and strong views of the others.
        loss: `fixmatch_loss`, or a learner's.
        threshold, weight: of the loss.
        steps: of the training.
        batch: labelled and unlabelled images a step; each unlabelled one goes through the network in two views.
        learning_rate: the largest one.
        optimizer: a name in contrastive.OPTIMIZERS.
        seed: of everything random but the first weights.
        device: where to train.
    """
    passed = Passed()
    process = accelerator(device=device)
    repeats = -(-batch[0] // len(images))  # each image equally often, changed anew
    copies = images.repeat(repeats, 1, 1, 1), labels.repeat(repeats)
    labelled = Batches(*copies, batch[0], seed + 2**31, process.device, process.process_index, process.num_processes)

    def three_views(x: Tensor, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        few, y = labelled.next()
        few = view(as_floats(few), views, generator)
        return torch.cat([few, view(x, weak, generator), view(x, strong, generator)]), (y, rows)

    def of_views(model: nn.Module, x: Tensor, answers: tuple[Tensor, Tensor]) -> Tensor:
        y, rows = answers
        # One call for all three, as the authors do: batch norm then sees the same mixture of images for each of them.
        logits, weak_logits, strong_logits = model(x).split([len(y), len(rows), len(rows)])
        passed.steps.append((rows, *confident_labels(weak_logits, threshold)))
        return loss(logits, y, weak_logits, strong_logits, threshold, weight)

    # The loop carries a label for each image; here that is its row, by which the pseudo-labels can be looked at afterwards.
    how = {"learning_rate": learning_rate, "optimizer": OPTIMIZERS[optimizer], "seed": seed, "device": device}
    rows = torch.arange(len(unlabelled))
    history = train(model, unlabelled, rows, steps=steps, batch_size=batch[1], augment=three_views, loss=of_views, **how)
    return history, Passed([tuple(part.cpu() for part in step) for step in passed.steps])


def fit(dataset: str, *, shots: int, seed: int, on_validation: bool = False, device: str = "auto", **settings) -> dict:
    """FixMatch with `shots` labels per class, as a row of an experiment: the pair of `linear_probe.fit_from`.

    Equal seeds have the same labels and the same first weights as there. The unlabelled images are all of the training part, as
    the data set has them: their labels choose none of them and are used only to tell which pseudo-labels were right.

    Args:
        dataset: a name in data.TASKS.
        shots: labels per class.
        seed: of everything random.
        on_validation: test on the validation part, for choosing.
        device: where to train.
        settings: of `fixmatch`.

    Returns:
        test_accuracy, test_hits and test_sizes (the test images by picture), at_rest (whether the training came to rest), and
        two lists with a number per step: passed (the share of pseudo-labels that passed) and right (those of them, as a share
        of all, that are the image's class).
    """
    task = data.load(dataset).capped()
    task = task.on_validation() if on_validation else task
    images, labels = task.draw(shots, seed)
    seed_everything(seed)
    f = encoder(images.shape[-1], channels=images.shape[1])
    model = nn.Sequential(f, nn.ReLU(), nn.Linear(FEATURES, len(task.classes)))
    history, passed = fixmatch(model, images, labels, task.train_images, seed=seed, device=device, **settings)
    answers = outputs(model, task.test_images)
    hits = hits_by_picture(answers, task.test_labels, task.test_pictures)
    shares = dict(zip(("passed", "right"), passed.shares(task.train_labels), strict=True))
    return {"test_accuracy": accuracy(answers, task.test_labels), **hits, "at_rest": history.at_rest, **shares}
