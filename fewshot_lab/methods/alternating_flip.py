"""Alternating flip (Jordan 2024, arXiv 2404.00498, section 3.6): no image is shown the same way twice in a row.

A random flip tosses a coin for every image in every epoch, so that in half of the cases two epochs in a row show the same
version. Here a coin is tossed once, for the first epoch; from then on every epoch shows the other version.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import get_policy
from ..data import ImageTask
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import accuracy, hits_by_picture, outputs, train
from ..training.processes import rank_and_world_size

# alternate(images, indices, flipped_first, epoch) -> images
Alternate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
BATCH = 64


def alternating_flip(images: Tensor, indices: Tensor, flipped_first: Tensor, epoch: int | Tensor) -> Tensor:
    """A batch in which every image is mirrored in every second epoch.

    The paper hashes an image's index for the coin of the first epoch; here the coins are tossed before the training.

    Args:
        images: of the batch (n, C, H, W).
        indices: which images of the data set they are (n,).
        flipped_first: for every image of the data set, whether the first epoch mirrors it, bool (N,).
        epoch: counted from 0: one number, or one of each image (n,) where a batch holds the end of an epoch and the next one.

    Returns the images (n, C, H, W), some of them mirrored left to right.
    """
    odd = torch.as_tensor(epoch, device=images.device) % 2 == 1
    flipped = flipped_first[indices] ^ odd  # the first coin, turned over in every odd epoch
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)


class Flips:
    """The `augment` and `loss` of a training with flips, whose labels are pairs (class, index): (N, 2).

    Args:
        kind: "none", "random" or "alternating".
        count: images of the data set.
        seed: of the first epoch's coins.
        alternate: `alternating_flip`, or a learner's.
    """

    def __init__(self, kind: str, count: int, seed: int, alternate: Alternate = alternating_flip) -> None:
        if kind not in ("none", "random", "alternating"):
            raise ValueError(f"There is no flip {kind!r}; choose none, random or alternating.")
        self.kind, self.count, self.alternate, self.step = kind, count, alternate, 0
        self.flipped_first = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5

    def augment(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The batch under this kind of flip, (n, C, H, W), and its classes (n,)."""
        classes, indices = labels.unbind(1)
        if self.kind == "random":
            images = get_policy("flip")(images, 1.0, generator)
        if self.kind == "alternating":
            images = self.alternate(images, indices, self.flipped_first.to(images.device), self._epochs(images))
        self.step += 1
        return images, classes

    def _epochs(self, images: Tensor) -> Tensor:
        # A batch takes the next rows of one pass after another, so that it can hold the end of one and the start of the next.
        rank, world_size = rank_and_world_size(images.device.type)
        first = self.step * min(BATCH, self.count) + rank
        return (first + world_size * torch.arange(len(images), device=images.device)) // self.count


def fit_with_flips(
    dataset: str | ImageTask,
    *,
    shots: int,
    epochs: int,
    seed: int,
    kind: str,
    alternate: Alternate = alternating_flip,
    width: int = 16,
    device: str = "auto",
) -> dict:
    """Trains a small convolutional net for so many epochs with a kind of flip, and tests it.

    Args:
        dataset: a name in data.TASKS, or a task of one's own.
        shots: labels per class.
        epochs: passes over the labelled images.
        seed: of everything random. Equal seeds draw the same labels, first weights and order of the images for every kind.
        kind: "none", "random" or "alternating".
        alternate: `alternating_flip`, or a learner's.
        width: channels of the net's first layer.
        device: where to train and to test.

    Returns:
        train_accuracy, test_accuracy, test_hits and test_sizes, at_rest and steps.
    """
    task = data.as_task(dataset).capped()
    images, labels = task.draw(shots, seed)
    seed_everything(seed)
    model = conv_net_for(images, len(task.classes), width=width)
    flips = Flips(kind, len(images), seed, alternate)

    def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(net(x), y)

    steps = max(1, round(epochs * len(images) / min(BATCH, len(images))))
    numbered = torch.stack([labels, torch.arange(len(labels))], dim=1)
    settings = {"steps": steps, "batch_size": BATCH, "augment": flips.augment, "loss": loss, "seed": seed, "device": device}
    history = train(model, images, numbered, **settings)
    answers = outputs(model, task.test_images, device=device)
    return {
        "train_accuracy": accuracy(outputs(model, images, device=device), labels),
        "test_accuracy": accuracy(answers, task.test_labels),
        **hits_by_picture(answers, task.test_labels, task.test_pictures),
        "at_rest": history.at_rest,
        "steps": steps,
    }
