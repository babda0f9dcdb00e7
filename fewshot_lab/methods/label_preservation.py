"""Does a turn or a flip keep the label? Readers answer, trained with and without turns, and so do the pictures themselves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment.geometry import d4_apply, padding_for, random_affine, rotation, warp
from ..data import ImageTask, glyphs
from ..models import conv_net_for
from ..runtime import seed_everything
from ..training import Arms, outputs, train

Transformation = Callable[[Tensor], Tensor]
ShareKept = Callable[[Tensor, Tensor, int], Tensor]
Classes = Sequence[int | Sequence[int]]

# Elements of D4, which move pixels without resampling: a changed answer is due to the transformation, not to blur.
TRANSFORMATIONS: dict[str, Transformation] = {
    "left-right flip": lambda images: d4_apply(images, (0, True)),
    "top-bottom flip": lambda images: d4_apply(images, (2, True)),
    "quarter turn": lambda images: d4_apply(images, (1, False)),
    "half turn": lambda images: d4_apply(images, (2, False)),
}
# All seven that move anything: pictures are quick to ask. Two undo each other, the others undo themselves.
SYMMETRIES = TRANSFORMATIONS | {
    "diagonal flip": lambda images: d4_apply(images, (1, True)),
    "other diagonal": lambda images: d4_apply(images, (3, True)),
    "turn by 270°": lambda images: d4_apply(images, (3, False)),
}
UNDONE_BY = {name: name for name in SYMMETRIES} | {"quarter turn": "turn by 270°", "turn by 270°": "quarter turn"}
TURNS = (0, 15, 30, 45, 60, 90, 135, 180)  # degrees
MOST_TRAINING, MOST_TEST, MOST_PICTURES = 1500, 600, 1500  # images that readers learn from, are tested on; pictures compared


@dataclass(frozen=True)
class LabelPreservation:
    """The result of `measure_label_preservation`.

    before: class numbers of the test images (n,). By the name of the transformation: after, the class numbers (n,) afterwards;
    confidence, the classifier's in them (n,); kept, the share of each class that stays (classes,).
    """

    task: ImageTask
    transformations: dict[str, Transformation]
    before: Tensor
    after: dict[str, Tensor]
    confidence: dict[str, Tensor]
    kept: dict[str, Tensor]

    def classes_after(self, name: str, row: int) -> tuple[str, float]:
        """The class that test image `row` has after the transformation, and the classifier's confidence in it."""
        return self.task.classes[self.after[name][row]], self.confidence[name][row].item()


def measure_label_preservation(
    model: nn.Module,
    task: ImageTask,
    share_kept: ShareKept,
    *,
    transformations: dict[str, Transformation] | None = None,
    device: str = "auto",
) -> LabelPreservation:
    """Classifies the test images, capped, before and after each transformation.

    Args:
        model: the trained classifier.
        task: whose test images are used.
        share_kept: share_kept(before, after, classes) -> shares (classes,), the exercise of chapter 01.
        transformations: {name: images -> images}; None: TRANSFORMATIONS.
        device: where to compute.
    """
    transformations = transformations or TRANSFORMATIONS
    test = task.capped()
    before = outputs(model, test.test_images, device=device).argmax(1)
    # Only images that are classified correctly count: a label that was wrong before says nothing about the transformation.
    correct = before == test.test_labels
    after, confidence, kept = {}, {}, {}
    for name, transformation in transformations.items():
        # All images are transformed and shown; the selection above is for the shares alone.
        shares = outputs(model, transformation(test.test_images), device=device).softmax(1)
        confidence[name], after[name] = shares.max(1)
        kept[name] = share_kept(before[correct], after[name][correct], len(task.classes))
    return LabelPreservation(task, transformations, before, after, confidence, kept)


def turned(images: Tensor, degrees: float) -> Tensor:
    """The images, turned counter-clockwise around their centres and read bilinearly."""
    return warp(images, rotation(torch.deg2rad(torch.tensor(float(degrees)))), padding=padding_for(images))


def fit_reader(dataset: str, *, degrees: float, seed: int, steps: int, device: str = "auto") -> dict:
    """Trains a classifier on images that are turned anew at every step, and lets it classify turned test images.

    Args:
        dataset: a name in data.TASKS.
        degrees: the largest turn either way in training; 0 for none, 180 for every turn.
        seed: of everything random.
        steps: of the training.
        device: where to train and to test.

    Returns "model", "at_rest" and "answers": {turn in TURNS: class numbers (2n,)}, of the test images turned counter-clockwise,
    then clockwise.
    """
    task = data.load(dataset).capped(MOST_TEST)
    seed_everything(seed)
    model = conv_net_for(task.train_images, len(task.classes))
    rows = torch.randperm(len(task.train_labels), generator=torch.Generator().manual_seed(seed))[:MOST_TRAINING]

    def turn(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        matrices = random_affine(len(images), degrees=degrees, generator=generator)
        return warp(images, matrices, padding=padding_for(images)), labels

    history = train(
        model,
        task.train_images[rows],
        task.train_labels[rows],
        steps=steps,
        augment=turn if degrees else None,
        seed=seed,
        device=device,
    )
    answers = {}
    for angle in TURNS:
        both_ways = torch.cat([turned(task.test_images, angle), turned(task.test_images, -angle)])
        answers[angle] = outputs(model, both_ways, device=device).argmax(1)
    return {"model": model.cpu(), "answers": answers, "at_rest": history.at_rest}


def correct_by_turn(
    rows: dict[str, Sequence[dict]], task: ImageTask, share_kept: ShareKept, classes: Classes | None = None
) -> Arms:
    """The accuracy of readers over the turn, as arms whose intervals draw trainings and classes anew.

    Args:
        rows: {reader: rows of `fit_reader`}, all of one data set and with the same seeds.
        task: the data set, capped as for `fit_reader`.
        share_kept: the exercise of chapter 01, here with the labels themselves as the classes before: an image that is
            misclassified upright counts as wrong from the start, so that all readers are tested on the same images.
        classes: the numbers of the classes that count, those of one cluster in a bracket, as in [[0, 1], 2]; None for all.
    """
    labels = task.test_labels.repeat(2)
    counts = torch.bincount(labels, minlength=len(task.classes))
    clusters = _clusters(task, classes)
    sizes = _by_cluster(counts, clusters)
    by_turn: dict[str, list[dict]] = {reader: [] for reader in rows}
    for reader, of_reader in rows.items():
        for row in of_reader:
            for turn, answers in row["answers"].items():
                hits = _by_cluster(share_kept(labels, answers, len(task.classes)) * counts, clusters)
                found = {
                    "test_hits": hits.numpy(),
                    "test_sizes": sizes.numpy(),
                    "test_accuracy": (hits.sum() / sizes.sum()).item(),
                }
                by_turn[reader].append({"seed": row["seed"], "turn": turn, "at_rest": row["at_rest"], **found})
    return Arms(by_turn, axis="turn", clusters="classes", unit="accuracy")


def classify_or_decline(
    model: nn.Module, task: ImageTask, images: Tensor, *, accept: float = 0.95, device: str = "auto"
) -> tuple[Tensor, Tensor]:
    """The class numbers of images (N,), and whether the classifier stands by them (N,); it may answer "none of these".

    It declines when its largest probability is below a threshold, the one that accepts a share of `accept` of the task's
    validation images, capped (Chow 1970, IEEE Transactions on Information Theory; Hendrycks & Gimpel 2017, ICLR).
    """
    validation = outputs(model, task.validation_images, device=device).softmax(1).amax(1)
    confidence, answers = outputs(model, images, device=device).softmax(1).max(1)
    return answers, confidence >= validation.quantile(1 - accept)


def outcomes(
    rows: Sequence[dict],
    task: ImageTask,
    change: Transformation,
    classes: Classes | None = None,
    *,
    partners: Mapping[int, int] = MappingProxyType({}),
    reader: str = "reader",
    device: str = "auto",
) -> Arms:
    """What readers that may decline say of changed test images: one arm with these results, each also by class.

    "own", "partner", "another", "none": the shares of images that get their class, that of its partner, any other one, or are
    declined. "forced": the share that would get another class than their own if the reader had to answer. "spared": the share
    that would, but is declined.

    Args:
        rows: of `fit_reader`, all of one kind of reader.
        task: the data set, capped as for `fit_reader`.
        change: such as one of TRANSFORMATIONS.
        classes: the numbers of the classes that count, those of one cluster in a bracket, as in [[0, 1], 2]; None for all.
        partners: {class: the one that the change makes of it}, as from the function of this name.
        reader: the name of the arm.
        device: where to compute.
    """
    images, labels = change(task.test_images), task.test_labels
    clusters = _clusters(task, classes)
    sizes = _by_cluster(torch.bincount(labels, minlength=len(task.classes)), clusters)
    partner = torch.tensor([partners.get(label, -1) for label in range(len(task.classes))])[labels]
    found = []
    for row in rows:
        answers, stands = classify_or_decline(row["model"], task, images, device=device)
        wrong = answers != labels
        kinds = {"own": stands & ~wrong, "partner": stands & (answers == partner), "none": ~stands}
        kinds |= {"another": stands & wrong & (answers != partner), "forced": wrong, "spared": wrong & ~stands}
        found.append({"seed": row["seed"], "at_rest": row["at_rest"], "test_sizes": sizes.numpy()})
        for name, kind in kinds.items():
            hits = _by_cluster(torch.bincount(labels[kind], minlength=len(task.classes)), clusters)
            found[-1] |= {name: (hits.sum() / sizes.sum()).item(), f"{name}_by_picture": hits.numpy()}
    return Arms({reader: found}, result="own", clusters="classes")


def training_pictures(dataset: str) -> tuple[Tensor, Tensor]:
    """Pictures of a data set's training part, float in 0..1, and their labels; glyphs as they are before they are distorted."""
    task = glyphs.task(jitter_name="none", draws=1) if dataset == "glyphs" else data.load(dataset)
    return task.train_images[:MOST_PICTURES].float() / 255, task.train_labels[:MOST_PICTURES]


def nearest_classes(pictures: Tensor, labels: Tensor, change: Transformation, classes: int, *, accept: float = 0.9) -> Tensor:
    """Which class each class's pictures lie near once they are changed: shares (classes, classes + 1).

    A changed picture is counted for the class of the nearest of the *other* pictures, if it lies within that class's reach;
    else in the last column, for none. A class's reach is the distance within which a share of `accept` of its own pictures,
    unchanged, find another one of the class. So without a change the diagonal says what share is found to be of its class.

    Args:
        pictures: (N, 1, H, W), float.
        labels: (N,).
        change: such as one of SYMMETRIES.
        classes: how many there are.
        accept: a share.
    """
    unchanged = _distances(pictures, pictures).fill_diagonal_(torch.inf)
    same_class = labels[:, None] == labels
    to_own = unchanged.masked_fill(~same_class, torch.inf).amin(1)
    # "higher": of 12 pictures 11 pass and not 10.
    reach = torch.stack([to_own[labels == label].quantile(accept, interpolation="higher") for label in range(classes)])
    distance, nearest = _distances(change(pictures), pictures).fill_diagonal_(torch.inf).min(1)
    found = labels[nearest].masked_fill(distance > reach[labels[nearest]], classes)
    return torch.stack(
        [torch.bincount(found[labels == label], minlength=classes + 1) / (labels == label).sum() for label in range(classes)]
    )


def partners(shares: Tensor, back: Tensor | None = None) -> dict[int, int]:
    """{class: its partner, which a change makes of it}, of the shares of `nearest_classes`.

    Two classes are partners if at least half of the changed pictures of one lie near the other, and the change that undoes it
    leads back in the same way. One side alone is not enough: if a half turn makes a 6 of a 9, it makes a 9 of a 6.

    Args:
        shares: after the change.
        back: after the change that undoes it; None: it undoes itself, as flips and half turns do.
    """
    there, again = (_most(one) for one in (shares, shares if back is None else back))
    return {label: other for label, other in there.items() if again.get(other) == label}


def _most(shares: Tensor) -> dict[int, int]:
    """The other class near which at least half of a class's pictures lie, {class: other}, where there is one."""
    others = shares[:, :-1].clone().fill_diagonal_(0)
    return {label: int(row.argmax()) for label, row in enumerate(others) if row.max() >= 0.5}


def _clusters(task: ImageTask, classes: Classes | None) -> list[list[int]]:
    chosen = range(len(task.classes)) if classes is None else classes
    return [[some] if isinstance(some, int) else list(some) for some in chosen]


def _by_cluster(values: Tensor, clusters: Sequence[Sequence[int]]) -> Tensor:
    """Sums of one value per class."""
    return torch.stack([values[list(cluster)].sum() for cluster in clusters])


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances of pictures (N, 1, H, W) and (M, 1, H, W), the least over shifts by up to a pixel: (N, M)."""
    # A half turn of a picture whose sides are even moves its middle by a pixel.
    side = first.shape[-1]
    padded = F.pad(first, (1, 1, 1, 1))
    moved = (padded[..., row : row + side, column : column + side] for row in range(3) for column in range(3))
    return torch.stack([torch.cdist(images.flatten(1), second.flatten(1)) for images in moved]).amin(0)
