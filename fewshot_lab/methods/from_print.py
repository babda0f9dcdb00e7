"""From print to hand: encoders that learn from typefaces alone, and what they make of real handwriting.

Every step is one episode (Snell et al. 2017, NeurIPS) of characters of `data.strokes`, drawn anew by `augment.handwriting`. Each of
the changes can be left out, so that its share in the result can be measured.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment.geometry import rotation, warp
from ..augment.handwriting import HAND, SIZE, Hand, handwritten, move, turned_classes
from ..data import digits, glyphs, mnist, strokes
from ..data.episodes import Episodes, Pool, draw_episodes
from ..errors import CourseError
from ..models import encoder_net
from ..runtime import seed_everything, world_size
from ..training import outputs, train
from .few_shot import enlarged, scored
from .prototypes import episode_accuracies, episode_loss, prototype_rule

POINTS = 128  # of a skeleton are drawn: enough for lines without gaps at 28 pixels
TESTED = 200  # real drawings of each digit that are tested
QUERIES = 3  # of each class in an episode


def fit(
    *,
    steps: int,
    seed: int,
    skeletons: bool = True,
    bending: bool = True,
    pens: bool = True,
    turns: bool = True,
    hand: Hand = HAND,
    way: int = 60,
    width: int = 16,
    features: int = 64,
    learning_rate: float = 0.01,
    warmup: int = 10,
    device: str = "auto",
) -> dict:
    """Trains an encoder on made handwriting, one episode with one label and one query of each class a step.

    Args:
        steps: of the training.
        seed: of the episodes, the first weights and the drawings.
        skeletons: whether characters are thinned and drawn with a pen; else they stay as the typeface prints them.
        bending: whether sheet and strokes bend.
        pens: whether pens differ in width; else all have the mean width.
        turns: whether quarter turns make new classes.
        hand: how far drawings may differ.
        way: classes of an episode.
        width, features: of `encoder_net`.
        learning_rate: the largest one.
        warmup: steps until it is reached.
        device: where to train.

    Returns:
        weights (of the encoder, by name, on the CPU) and at_rest (whether the training came to rest).
    """
    known = strokes.load()
    points, pieces = (some[:, :: max(1, some.shape[1] // POINTS)] for some in known.padded())
    faces, count = _faces(known.labels)
    if not bending:
        hand = replace(hand, bend=0.0, wander=0.0)
    if not pens:
        hand = replace(hand, pen=(sum(hand.pen) / 2,) * 2)

    def drawings(rows: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = rows.flatten().cpu()  # the episode's classes
        places = (torch.rand(len(chosen), 2, generator=generator) * count[chosen, None]).long()
        some = faces[chosen].gather(1, places).flatten()  # two typefaces of each, or the same one twice
        quarter = torch.zeros(len(chosen), dtype=torch.long)
        if turns:
            quarter = torch.randint(4, (len(chosen),), generator=generator)
        quarter = quarter.repeat_interleave(2)
        if skeletons:
            turned, _ = turned_classes(points[some], quarter, quarter, 0)
            return handwritten(turned.to(rows.device), pieces[some].to(rows.device), hand, generator), labels
        return bent(known.pictures[some].to(rows.device), quarter, hand, generator), labels

    generator = torch.Generator().manual_seed(seed)
    # With several processes every one has an episode of its own in each step.
    rows = torch.stack([torch.randperm(len(known.characters), generator=generator)[:way] for _ in range(steps * world_size())])
    seed_everything(seed)
    encoder = encoder_net(width=width, features=features)
    history = train(
        encoder,
        rows,
        torch.arange(way).expand(len(rows), -1),
        steps=steps,
        batch_size=world_size(),
        learning_rate=learning_rate,
        warmup=warmup,
        augment=drawings,
        loss=episode_loss(prototype_rule, way, 1),
        seed=seed,
        device=device,
    )
    weights = {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}
    return {"weights": weights, "at_rest": history.at_rest}


def bent(images: Tensor, quarter: Tensor, hand: Hand, generator: torch.Generator) -> Tensor:
    """Printed pictures uint8 (B, 1, H, W) under quarter turns (B,), the field and the affine map of a hand, float in 0..1.

    An image is read at places that are moved like points; so what would enlarge a drawing shrinks it, and is drawn inverted.
    """
    batch, _, height, width = images.shape
    line_x, line_y = ((torch.arange(n, device=images.device) + 0.5) * 2 / n - 1 for n in (width, height))
    grid = torch.stack(torch.meshgrid(line_x, line_y, indexing="xy"), -1).view(1, -1, 2).expand(batch, -1, -1)
    grid, _ = turned_classes(grid, quarter, quarter.to(images.device), 0)
    whole = replace(hand, scale=(1 / hand.scale[1], 1 / hand.scale[0]))
    places = move(grid, torch.zeros(grid.shape[:2], dtype=torch.long, device=images.device), whole, generator)
    return F.grid_sample(images.float() / 255, places.view(batch, height, width, 2), align_corners=False)


def encoder_of(weights: Mapping[str, Tensor]) -> nn.Module:
    """The encoder with these weights, in evaluation mode; its size is read from them."""
    shapes = [value.shape for value in weights.values() if value.ndim == 4]
    encoder = encoder_net(width=shapes[0][0], features=shapes[-1][0])
    encoder.load_state_dict(dict(weights))
    return encoder.eval()


def embed(encoder: nn.Module, images: Tensor, *, views: int = 1, degrees: float = 8.0) -> Tensor:
    """Features (n, D) of images uint8 (n, 1, S, S), enlarged to 28 pixels where they are smaller.

    views: 1, or 3 for the mean of the features of the image as it is and turned by `degrees` either way.
    """
    images = enlarged(images) if images.shape[-1] != SIZE else images.float() / 255
    angles = [0.0] if views == 1 else [0.0, math.radians(degrees), -math.radians(degrees)]
    return torch.stack([outputs(encoder, warp(images, rotation(one)) if one else images) for one in angles]).mean(0)


def mnist_pool(seed: int = 0) -> Pool:
    """`TESTED` of MNIST's test digits of each class, the same for every network."""
    return _some(mnist.pool(), seed)


def digits_pool() -> Pool:
    """The test part of scikit-learn's handwritten digits, 8 x 8, enlarged to 28 x 28."""
    task = digits.task()
    images = (enlarged(task.test_images) * 255).round().to(torch.uint8)
    return Pool("digits", images, task.test_labels, task.classes, ("digits",) * len(task.classes))


def print_pool(seed: int = 0) -> Pool:
    """Letters of the typeface that no training saw (Computer Modern), printed, with the mild jitter of the glyphs."""
    known = glyphs.load()
    unseen = torch.tensor([name.startswith("cm") for name in glyphs.FACES])[known.faces]
    classes, labels = known.labels[unseen].unique(return_inverse=True)
    images = glyphs.jitter(known.images[unseen], "mild", torch.Generator().manual_seed(seed))
    enough = labels.bincount() >= 4
    kept = enough[labels]
    number = enough.cumsum(0) - 1
    names = tuple(known.characters[int(c)] for c, some in zip(classes, enough, strict=True) if some)
    return Pool("print", images[kept], number[labels[kept]], names, ("print",) * len(names))


def score(weights: Mapping[str, Tensor], pool: Pool, *, shots: int, seed: int, episodes: int, way: int = 5, **known) -> dict:
    """A row for `training.Arms`: the accuracy of an encoder's prototypes over episodes of a pool, class by class.

    Args:
        weights: of the encoder.
        pool: the images.
        shots: labelled images of each class.
        seed: of the episodes.
        episodes: how many.
        way: classes of an episode.
        **known: what else belongs into the row.
    """
    drawn = draw_episodes(pool, episodes, way=way, shots=shots, queries=QUERIES, seed=seed)
    accuracies = episode_accuracies(embed(encoder_of(weights), pool.images), drawn)
    return scored(accuracies, drawn.classes, len(pool.classes), seed=seed, shots=shots, **known)


def run_errors(weights: Mapping[str, Tensor], images: Tensor, runs: Episodes, *, views: int = 1) -> Tensor:
    """The share of misclassified drawings in each run of Omniglot's one-shot task, (runs,): see `omniglot.runs`."""
    return 1 - episode_accuracies(embed(encoder_of(weights), images, views=views), runs)


def _faces(labels: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of each class (classes, most), padded with 0, and how many there are (classes,)."""
    count = labels.bincount()
    order = labels.argsort(stable=True)
    rows = torch.zeros(len(count), int(count.max()), dtype=torch.long)
    rows[torch.arange(rows.shape[1]) < count[:, None]] = order
    return rows, count


def _some(pool: Pool, seed: int) -> Pool:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(pool.labels), generator=generator)
    kept = torch.cat([rows[pool.labels[rows] == label][:TESTED] for label in range(len(pool.classes))])
    if len(kept) < TESTED * len(pool.classes):
        raise CourseError(f"{pool.name} has too few drawings of a class.")
    return replace(pool, images=pool.images[kept], labels=pool.labels[kept])
