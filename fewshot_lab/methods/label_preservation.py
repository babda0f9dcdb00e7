"""Does a transformation keep the label? Asked of a trained classifier, class by class."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ..augment.geometry import d4_apply
from ..data import ImageTask
from ..training import outputs

Transformation = Callable[[Tensor], Tensor]

TRANSFORMATIONS: dict[str, Transformation] = {
    "left-right flip": lambda images: d4_apply(images, (0, True)),
    "top-bottom flip": lambda images: d4_apply(images, (2, True)),
    "quarter turn": lambda images: d4_apply(images, (1, False)),
    "half turn": lambda images: d4_apply(images, (2, False)),
}


@dataclass(frozen=True)
class LabelPreservation:
    """What `measure_label_preservation` found: predictions before and after, and the share kept per class."""

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
    share_kept: Callable[[Tensor, Tensor, int], Tensor],
    *,
    transformations: dict[str, Transformation] | None = None,
    device: str = "auto",
) -> LabelPreservation:
    """Classifies the test images (at most 2,000) before and after each transformation.

    Only images that the classifier reads rightly count: what it cannot read tells nothing about the transformation.
    share_kept(before, after, classes) -> (classes,) shares, the exercise of chapter 01.
    """
    transformations = transformations or TRANSFORMATIONS
    images, labels = task.capped().test_images, task.capped().test_labels
    before = outputs(model, images, device=device).argmax(1)
    right = before == labels
    after, confidence, kept = {}, {}, {}
    for name, transformation in transformations.items():
        shares = outputs(model, transformation(images), device=device).softmax(1)
        confidence[name], after[name] = shares.max(1)
        kept[name] = share_kept(before[right], after[name][right], len(task.classes))
    return LabelPreservation(task, transformations, before, after, confidence, kept)
