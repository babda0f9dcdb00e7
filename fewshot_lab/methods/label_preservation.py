"""Does a turn or a flip keep the label? Readers answer, trained with and without turns, and so do the pictures themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import data
from ..augment.geometry import d4_apply, random_affine, rotation, warp
from ..data import ImageTask, glyphs
from ..models import conv_net
from ..runtime import seed_everything
from ..training import Arms, outputs, train

Transformation = Callable[[Tensor], Tensor]
ShareKept = Callable[[Tensor, Tensor, int], Tensor]

# Elements of D4, which move pixels without resampling: a changed answer is due to the transformation, not to blur.
TRANSFORMATIONS: dict[str, Transformation] = {
    "left-right flip": lambda images: d4_apply(images, (0, True)),
    "top-bottom flip": lambda images: d4_apply(images, (2, True)),
    "quarter turn": lambda images: d4_apply(images, (1, False)),
    "half turn": lambda images: d4_apply(images, (2, False)),
}
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
    return warp(images, rotation(torch.deg2rad(torch.tensor(float(degrees)))))


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
    model = conv_net(len(task.classes), size=task.train_images.shape[-1])
    rows = torch.randperm(len(task.train_labels), generator=torch.Generator().manual_seed(seed))[:MOST_TRAINING]

    def turn(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return warp(images, random_affine(len(images), degrees=degrees, generator=generator)), labels

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
    rows: dict[str, Sequence[dict]], task: ImageTask, share_kept: ShareKept, classes: Sequence[int] | None = None
) -> Arms:
    """The accuracy of readers over the turn, as arms whose intervals draw trainings and classes anew.

    Args:
        rows: {reader: rows of `fit_reader`}, all of one data set and with the same seeds.
        task: the data set, capped as for `fit_reader`.
        share_kept: the exercise of chapter 01, here with the labels themselves as the classes before: an image that is
            misclassified upright counts as wrong from the start, so that all readers are tested on the same images.
        classes: the numbers of the classes that count; None for all.
    """
    labels = task.test_labels.repeat(2)
    every = _numbers(task, classes)
    sizes = torch.bincount(labels, minlength=len(task.classes))[every]
    by_turn: dict[str, list[dict]] = {reader: [] for reader in rows}
    for reader, of_reader in rows.items():
        for row in of_reader:
            for turn, answers in row["answers"].items():
                hits = share_kept(labels, answers, len(task.classes))[every] * sizes
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
    rows: Sequence[dict], task: ImageTask, change: Transformation, classes: Sequence[int] | None = None, *, device: str = "auto"
) -> Arms:
    """What readers that may decline say of changed test images: one arm, "reader", with these results, each also by class.

    "own", "another", "none": the shares of images that get their class, get another one, are declined. "forced": the share that
    would get another one if the reader had to answer. "spared": forced - another.

    Args:
        rows: of `fit_reader`, all of one kind of reader.
        task: the data set, capped as for `fit_reader`.
        change: such as one of TRANSFORMATIONS.
        classes: the numbers of the classes that count; None for all.
        device: where to compute.
    """
    every = _numbers(task, classes)
    images, labels = change(task.test_images), task.test_labels
    sizes = torch.bincount(labels, minlength=len(task.classes))[every]
    found = []
    for row in rows:
        answers, stands = classify_or_decline(row["model"], task, images, device=device)
        wrong = answers != labels
        kinds = {"own": stands & ~wrong, "another": stands & wrong, "none": ~stands, "forced": wrong, "spared": wrong & ~stands}
        found.append({"seed": row["seed"], "at_rest": row["at_rest"], "test_sizes": sizes.numpy()})
        for name, kind in kinds.items():
            hits = torch.bincount(labels[kind], minlength=len(task.classes))[every]
            found[-1] |= {name: (hits.sum() / sizes.sum()).item(), f"{name}_by_picture": hits.numpy()}
    return Arms({"reader": found}, result="own", clusters="classes")


def training_pictures(dataset: str) -> tuple[Tensor, Tensor]:
    """Pictures of a data set's training part, float in 0..1, and their labels; glyphs as they are before they are distorted."""
    task = glyphs.task(jitter_name="none", draws=1) if dataset == "glyphs" else data.load(dataset)
    return task.train_images[:MOST_PICTURES].float() / 255, task.train_labels[:MOST_PICTURES]


def nearest_classes(pictures: Tensor, labels: Tensor, change: Transformation, classes: int) -> Tensor:
    """Which class each class's pictures lie near once they are changed: shares (classes, classes + 1).

    A changed picture is counted for the class of the picture nearest to it, if it lies as near as half of the pictures lie to
    another one of their own class; else in the last column, for none. No classifier is asked.

    Args:
        pictures: (N, 1, H, W), float.
        labels: (N,).
        change: such as one of TRANSFORMATIONS.
        classes: how many there are.
    """
    same_class = labels[:, None] == labels
    same_class.fill_diagonal_(False)
    reach = _distances(pictures, pictures).masked_fill(~same_class, torch.inf).amin(1).quantile(0.5)
    distance, nearest = _distances(change(pictures), pictures).min(1)
    found = labels[nearest].masked_fill(distance > reach, classes)
    return torch.stack(
        [torch.bincount(found[labels == label], minlength=classes + 1) / (labels == label).sum() for label in range(classes)]
    )


def partners(shares: Tensor) -> dict[int, int]:
    """{class: the other class that at least half of its changed pictures lie near}, of the shares of `nearest_classes`."""
    others = shares[:, :-1].clone().fill_diagonal_(0)
    return {label: int(row.argmax()) for label, row in enumerate(others) if row.max() >= 0.5}


def _numbers(task: ImageTask, classes: Sequence[int] | None) -> Tensor:
    return torch.arange(len(task.classes)) if classes is None else torch.tensor(list(classes), dtype=torch.long)


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances of pictures (N, 1, H, W) and (M, 1, H, W), the least over shifts by up to a pixel: (N, M)."""
    # A half turn of a picture whose sides are even moves its middle by a pixel.
    side = first.shape[-1]
    padded = F.pad(first, (1, 1, 1, 1))
    moved = (padded[..., row : row + side, column : column + side] for row in range(3) for column in range(3))
    return torch.stack([torch.cdist(images.flatten(1), second.flatten(1)) for images in moved]).amin(0)
