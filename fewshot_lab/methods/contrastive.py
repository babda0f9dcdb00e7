"""Learning without labels: rotation prediction and SimCLR."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment import get_policy
from ..augment.geometry import d4_apply
from ..augment.ranges import check_images, check_temperature
from ..data import glyphs
from ..errors import CourseError
from ..languages import say
from ..models import conv_net
from ..runtime import seed_everything, world_size
from ..training import History, cross_entropy, train
from ..training.muon import Muon
from ..training.processes import all_gather

FEATURES = 128
OPTIMIZERS = {"Muon": Muon, "AdamW": torch.optim.AdamW}
Views = Sequence[tuple[str, float]]


def unlabelled(dataset: str) -> Tensor:
    """Images to learn from without labels, uint8 (N, 1, S, S): none is in a typeface that validates or tests.

    "glyphs": one jittered picture of every character of the training alphabets in every training typeface. Other
    data sets: their training images.
    """
    if dataset != "glyphs":
        return data.load(dataset).train_images
    letters = glyphs.load().split("train")
    training = torch.tensor([glyphs.FACES[face].startswith(glyphs.FAMILIES["train"]) for face in letters.faces])
    return glyphs.jitter(letters.images[training], "mild", torch.Generator().manual_seed(3))


def encoder(size: int, *, channels: int = 1) -> nn.Sequential:
    """f: images (B, channels, size, size) -> features (B, FEATURES); chapter 02's net without its classification layer."""
    return conv_net(FEATURES, size=size, channels=channels)


# Optimizers, rates and the temperature that are given here were chosen on validation data: docs/choices.md.

# --- Rotation prediction


def rotation_batch(images: Tensor) -> tuple[Tensor, Tensor]:
    """All images turned by 0, 90, 180 and 270 degrees counter-clockwise, and each copy's number of quarter turns, 0 to 3.

    images: (B, C, S, S). Returns (4 B, C, S, S), all copies of one turn together, and labels (4 B,). Source: Gidaris et al.
    2018 (ICLR), section 2.1.
    """
    copies = torch.cat([d4_apply(images, (turns, False)) for turns in range(4)])  # (4 B, C, S, S)
    return copies, torch.arange(4, device=images.device).repeat_interleave(len(images))


def rotation_prediction(
    images: Tensor,
    *,
    rotate: Callable[[Tensor], tuple[Tensor, Tensor]] = rotation_batch,
    steps: int = 300,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    optimizer: str = "Muon",
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> tuple[nn.Sequential, History]:
    """Trains an encoder to predict by how much an image was turned; returns it with its head, and the loss's history.

    The first part of what is returned is the encoder, the second the head. The loss is the cross-entropy over the four turns
    (Gidaris et al. 2018, ICLR, equation 3).

    Args:
        images: uint8 (N, C, S, S).
        rotate: `rotation_batch`, or a learner's.
        steps: of the training.
        batch_size: images a step, each shown in all four turns.
        learning_rate: the largest one.
        optimizer: a name in OPTIMIZERS.
        seed: of everything random.
        device: where to train.
        progress: show a bar.
    """
    seed_everything(seed)
    model = nn.Sequential(encoder(images.shape[-1], channels=images.shape[1]), nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, 4)))

    # The labels are made together with the images, so the task is an `augment` like any other.
    def augment(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        copies, turns = rotate(x)
        return copies, turns.to(x.device)

    how = {"learning_rate": learning_rate, "optimizer": optimizer, "seed": seed, "device": device, "progress": progress}
    return model, _train(model, images, augment, cross_entropy, steps=steps, batch_size=batch_size, **how)


# --- SimCLR


def view(images: Tensor, views: Views, generator: torch.Generator | None = None) -> Tensor:
    """One random view of each image: the policies in `views`, (name, strength), one after the other."""
    check_images(images)
    return _changed(images, views, generator)


def _changed(images: Tensor, views: Views, generator: torch.Generator | None) -> Tensor:
    for name, strength in views:
        images = get_policy(name).unchecked(images, strength, generator)
    return images


def positive_pairs(batch: int) -> Tensor:
    """The index of each row's other view in [first views, second views]: i + B for the first B rows, then i - B; (2 B,)."""
    return torch.arange(2 * batch).roll(batch)


def similarity_matrix(z: Tensor) -> Tensor:
    """Cosine similarities s_ij = z_i . z_j / (|z_i| |z_j|), and minus infinity on the diagonal: no row is its own pair.

    z: (n, d). Returns (n, n).
    """
    z = F.normalize(z, dim=1)
    s = z @ z.T  # (n, n)
    return s.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)


def nt_xent(z: Tensor, temperature: float) -> Tensor:
    """The normalised temperature-scaled cross-entropy: which of the other 2 B - 1 rows is my other view?

    l_i = -log( exp(s_ij / tau) / sum_{k != i} exp(s_ik / tau) ) with j the other view of i, averaged over i. z: (2 B, d), the
    first views, then the second ones. Returns a scalar; raises ValueError for a temperature that is not above 0. Source: Chen
    et al. 2020 (ICML), equation 1.
    """
    check_temperature(temperature)
    # A classification of 2 B rows into 2 B "classes". The diagonal is minus infinity, so its exp drops out of the sum (k != i).
    logits = similarity_matrix(z) / temperature  # (2 B, 2 B)
    return F.cross_entropy(logits, positive_pairs(len(z) // 2).to(z.device))


def simclr(
    images: Tensor,
    views: Views,
    *,
    loss: Callable[[Tensor, float], Tensor] = nt_xent,
    temperature: float = 0.5,
    steps: int = 300,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    optimizer: str = "Muon",
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> tuple[nn.Sequential, History]:
    """Trains an encoder to predict which two views come from one image; returns it with its head, and the loss's history.

    The first part of what is returned is the encoder f, the second the projection head g. The loss sees g(f(x)); the head is
    thrown away afterwards (Chen et al. 2020, ICML, section 2.1).

    Args:
        images: uint8 (N, C, S, S).
        views: the policies that make a view, (name, strength) one after the other.
        loss: `nt_xent`, or a learner's.
        temperature: tau of the loss.
        steps: of the training.
        batch_size: images a step, two views of each; the other images of the batch are the negatives.
        learning_rate: the largest one.
        optimizer: a name in OPTIMIZERS.
        seed: of everything random.
        device: where to train.
        progress: show a bar.

    Raises:
        CourseError: the batch cannot be divided equally among the processes.
    """
    if (batch := min(batch_size, len(images))) % world_size():
        raise CourseError(
            say(
                "{world_size} processes must have equal shares of SimCLR's batches, but a batch holds {batch} "
                "images: choose another batch_size.",
                world_size=world_size(),
                batch=batch,
            )
        )
    check_images(images)  # here, once, so that no step waits for it
    seed_everything(seed)
    model = _with_projection(images)

    def two_views(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.cat([_changed(x, views, generator), _changed(x, views, generator)]), y  # (2 B, C, S, S)

    def contrast(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        # With several processes every view is compared with those of all of them: the negatives are the whole batch's, as with
        # one. First and second views are gathered apart, since `positive_pairs` expects all first views first.
        z = torch.cat([all_gather(local) for local in model(x).chunk(2)])
        return loss(z, temperature)

    how = {"learning_rate": learning_rate, "optimizer": optimizer, "seed": seed, "device": device, "progress": progress}
    return model, _train(model, images, two_views, contrast, steps=steps, batch_size=batch_size, **how)


def _with_projection(images: Tensor) -> nn.Sequential:
    f = encoder(images.shape[-1], channels=images.shape[1])
    return nn.Sequential(f, nn.Sequential(nn.Linear(FEATURES, 128), nn.ReLU(), nn.Linear(128, 64)))


def _train(model, images, augment, loss, *, steps, optimizer, **how) -> History:
    # Labels are asked for by the loop, and there are none here: both tasks make their own.
    none = torch.zeros(len(images))
    how |= {"steps": steps, "warmup": steps // 10, "optimizer": OPTIMIZERS[optimizer], "augment": augment, "loss": loss}
    return train(model, images, none, **how)


# --- Several encoders


def pretrain(
    dataset: str, *, seed: int, method: Callable[..., tuple[nn.Sequential, History]] | None = None, **settings
) -> dict:
    """Trains one encoder on a data set's unlabelled images, as a row of an experiment over several encoders.

    Args:
        dataset: a name in data.TASKS.
        seed: of the first weights and the training. All methods start from the same weights.
        method: `simclr` or `rotation_prediction`; None: encoder and head stay untrained.
        settings: of the method.

    Returns:
        encoder and head (on the CPU; of an untrained one that of SimCLR) and, after a training, its losses (one a step) and
        at_rest (whether it came to rest).
    """
    images = unlabelled(dataset)
    if method is None:
        seed_everything(seed)
        f, head = _with_projection(images)
        return {"encoder": f, "head": head}
    (f, head), history = method(images, seed=seed, **settings)
    return {"encoder": f.cpu(), "head": head.cpu(), "losses": history.losses, "at_rest": history.at_rest}
