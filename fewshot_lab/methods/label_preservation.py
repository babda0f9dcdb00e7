"""Does a transformation keep the label? A trained classifier answers, class by class."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ..augment.geometry import d4_apply
from ..data import ImageTask
from ..training import outputs

Transformation = Callable[[Tensor], Tensor]

# Elements of D4, which move pixels without resampling: a changed answer is due to the transformation, not to blur.
TRANSFORMATIONS: dict[str, Transformation] = {
    "left-right flip": lambda images: d4_apply(images, (0, True)),
    "top-bottom flip": lambda images: d4_apply(images, (2, True)),
    "quarter turn": lambda images: d4_apply(images, (1, False)),
    "half turn": lambda images: d4_apply(images, (2, False)),
}


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
    share_kept: Callable[[Tensor, Tensor, int], Tensor],
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
