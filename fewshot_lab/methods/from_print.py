"""From print to hand: encoders that learn from typefaces alone, and what they make of real handwriting.

Every step is one episode (Snell et al. 2017, NeurIPS) of characters of `data.strokes`, drawn anew by `augment.handwriting`. Any
change can be left out, so that its share in the result can be measured.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment.geometry import rotation, warp
from ..augment.handwriting import HAND, SIZE, Hand, handwritten, move, turned_classes
from ..data import digits, glyphs, mnist, omniglot, strokes
from ..data.episodes import Episodes, Pool, draw_episodes
from ..models import encoder_net
from ..runtime import seed_everything, world_size
from ..training import outputs, train
from .few_shot import enlarged, scored
from .prototypes import episode_accuracies, episode_loss, prototype_rule

CHOSEN_ON = ("Early_Aramaic", "Latin")  # Omniglot's background alphabets on which hands were tried
POINTS = 128  # of a skeleton are drawn: enough for lines without gaps at 28 pixels
TESTED = 200  # real drawings of each digit that are tested
QUERIES = 3  # of each class in an episode


def fit(
    *,
    steps: int,
    seed: int,
    share: float = 0.75,
    bending: bool = True,
    pens: bool = True,
    turns: bool = False,
    hand: Hand = HAND,
    way: int = 60,
    width: int = 16,
    features: int = 64,
    learning_rate: float = 0.01,
    warmup: int = 10,
    views: int = 1,
    pools: Sequence[str] = ("MNIST", "digits", "unseen typeface"),
    device: str = "auto",
) -> dict:
    """Trains an encoder on made handwriting, one episode with one label and one query of each class a step.

    Args:
        steps: of the training.
        seed: of the episodes, the first weights and the drawings.
        share: of the characters that are thinned and drawn with a pen; the others stay as the typeface prints them.
        bending: whether sheet and strokes bend.
        pens: whether pens differ in width; else all have the mean width.
        turns: whether quarter turns make new classes.
        hand: how far drawings may differ.
        way: classes of an episode.
        width, features: of `encoder_net`.
        learning_rate: the largest one.
        warmup: steps until it is reached.
        views: over which `embed` takes the mean.
        pools: names in `POOLS`, whose features are returned.
        device: where to train.

    Returns:
        weights (of the encoder, by name, on the CPU), at_rest (whether the training came to rest) and features: of all pictures
        of each pool, by its name.
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
        written = torch.rand(len(some), generator=generator) < share
        drawn = torch.empty(len(some), 1, SIZE, SIZE, device=rows.device)
        if written.any():
            rows_of = some[written]
            turned, _ = turned_classes(points[rows_of], quarter[written], quarter[written], 0)
            drawn[written] = handwritten(turned.to(rows.device), pieces[rows_of].to(rows.device), hand, generator)
        if not written.all():
            drawn[~written] = bent(known.pictures[some[~written]].to(rows.device), quarter[~written], hand, generator)
        return drawn, labels

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
    features = {name: embed(encoder.eval(), POOLS[name]().images, views=views) for name in pools}
    return {"weights": weights, "at_rest": history.at_rest, "features": features}


def bent(images: Tensor, quarter: Tensor, hand: Hand, generator: torch.Generator) -> Tensor:
    """Printed pictures uint8 (B, 1, H, W) under quarter turns (B,), the field and the affine map of a hand, float in 0..1.

    An image is read at places that are moved like points; so what would enlarge a drawing shrinks it, and is drawn inverted.
    """
    batch, _, height, width = images.shape
    line_x, line_y = ((torch.arange(n, device=images.device) + 0.5) * 2 / n - 1 for n in (width, height))
    grid = torch.stack(torch.meshgrid(line_x, line_y, indexing="xy"), -1).view(1, -1, 2).expand(batch, -1, -1)
    quarter = quarter.to(images.device)
    grid, _ = turned_classes(grid, quarter, quarter, 0)
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


@functools.cache
def mnist_pool() -> Pool:
    """`TESTED` of MNIST's test digits of each class, the same for every network."""
    digits_of_mnist = mnist.pool()
    rows = torch.randperm(len(digits_of_mnist.labels), generator=torch.Generator().manual_seed(0))
    kept = torch.cat([rows[digits_of_mnist.labels[rows] == label][:TESTED] for label in range(10)])
    return replace(digits_of_mnist, images=digits_of_mnist.images[kept], labels=digits_of_mnist.labels[kept])


@functools.cache
def digits_pool() -> Pool:
    """The test part of scikit-learn's handwritten digits, 8 x 8, enlarged to 20 x 20 in the middle of 28, as MNIST's lie."""
    task = digits.task()
    large = F.interpolate(task.test_images.float(), (20, 20), mode="bilinear", align_corners=False)
    images = F.pad(large, (4, 4, 4, 4)).round().to(torch.uint8)
    return Pool("digits", images, task.test_labels, task.classes, ("digits",) * len(task.classes))


@functools.cache
def print_pool() -> Pool:
    """Letters of the typeface that no training saw (Computer Modern), printed, with the mild jitter of the glyphs."""
    known = glyphs.load()
    unseen = torch.tensor([name.startswith("cm") for name in glyphs.FACES])[known.faces]
    classes, labels = known.labels[unseen].unique(return_inverse=True)
    images = glyphs.jitter(known.images[unseen], "mild", torch.Generator().manual_seed(0))
    enough = labels.bincount() >= 4
    kept = enough[labels]
    number = enough.cumsum(0) - 1
    names = tuple(known.characters[int(c)] for c, some in zip(classes, enough, strict=True) if some)
    return Pool("print", images[kept], number[labels[kept]], names, ("print",) * len(names))


POOLS = {"MNIST": mnist_pool, "digits": digits_pool, "unseen typeface": print_pool}


def score(pool: Pool, features: Tensor, *, shots: int, seed: int, episodes: int, way: int = 5, **known) -> dict:
    """A row for `training.Arms`: the accuracy of prototypes over episodes of a pool, class by class.

    Args:
        pool: the images.
        features: of all of them (rows, D).
        shots: labelled images of each class.
        seed: of the episodes.
        episodes: how many.
        way: classes of an episode.
        **known: what else belongs into the row.
    """
    drawn = draw_episodes(pool, episodes, way=way, shots=shots, queries=QUERIES, seed=seed)
    accuracies = episode_accuracies(features, drawn)
    return scored(accuracies, drawn.classes, len(pool.classes), seed=seed, shots=shots, **known)


def held_out_alphabets(pool: Pool) -> Pool:
    """The alphabets of Omniglot that nothing was chosen on: all but `CHOSEN_ON`, and all if there are no others."""
    return omniglot.of_alphabets(pool, sorted(set(pool.groups) - set(CHOSEN_ON)) or sorted(set(pool.groups)))


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
