"""What a teacher's answers say beside the class: the wrong classes' shares taken away, and its errors found again.

"Dark knowledge" is what the wrong classes' probabilities tell of likeness. Three controls leave the teacher's class and its
confidence as they are: hard pseudo-labels (`fit_student(answers="hard")`), wrong classes shuffled, wrong classes level.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ..augment.ranges import check_temperature
from ..training import Estimate, crossed_interval
from ..training.metrics import Rest


def shuffled_wrong_classes(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Logits (..., classes) with all entries but the largest permuted at random within each row.

    The answer and its confidence stay; which wrong classes are similar is lost (Furlanello et al. 2018, ICML: "permuted
    predictions").
    """
    ranks = logits.argsort(dim=-1, descending=True)  # (..., classes): column 0 is the largest
    chance = torch.rand(logits.shape, generator=generator)
    chance[..., 0] = -1.0  # the smallest of its row, so that sorting leaves the largest logit where it is
    return torch.empty_like(logits).scatter(-1, ranks, logits.gather(-1, ranks.gather(-1, chance.argsort(dim=-1))))


def uniform_wrong_classes(logits: Tensor, temperature: float) -> Tensor:
    """Logits (..., classes) whose probabilities at the temperature keep the largest and spread the rest evenly.

    That is label smoothing with the teacher's confidence in each image (Yuan et al. 2020, CVPR: "Revisiting knowledge
    distillation via label smoothing regularization").
    """
    check_temperature(temperature)
    p = (logits / temperature).softmax(dim=-1)
    largest, answer = p.max(dim=-1, keepdim=True)
    rest = (1 - largest) / (p.shape[-1] - 1)
    # The rest may be 0 in float32 where the teacher is certain, and log 0 would make the loss NaN.
    spread = rest.clamp_min(1e-12).log().expand_as(p).scatter(-1, answer, largest.log())
    return temperature * spread


def errors_by_picture(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, pictures: Tensor) -> dict[str, Tensor]:
    """What a student makes of the images that its teacher misclassifies, counted for each test picture.

    Args:
        student_logits, teacher_logits: (n, classes).
        labels: (n,).
        pictures: (n,) the number of the picture that each image shows.

    Returns:
        errors, the images that the teacher misclassifies; copied, those of them that the student takes for the same class;
        corrected, those that it classifies correctly: (pictures,) each. The rest it takes for a third class.
    """
    taken_for, answers = teacher_logits.argmax(dim=1), student_logits.argmax(dim=1)
    errors = taken_for != labels
    kinds = {"errors": errors, "copied": errors & (answers == taken_for), "corrected": errors & (answers == labels)}
    _, which = pictures.unique(return_inverse=True)
    return {name: which.bincount(kind.double()) for name, kind in kinds.items()}


def share_of_errors(parts: Tensor, errors: Tensor, *, less: Tensor | None = None, rest: Rest = ()) -> Estimate:
    """The share of the teachers' errors that are of a kind, with its 95 % interval over seeds and test pictures.

    The number of errors varies too, so the ratio is made linear first (Cochran 1977, Sampling Techniques). The interval of a
    share is cut at 0 and 1, that of a difference of two shares is not.

    Args:
        parts: (seeds, pictures) errors of that kind (`errors_by_picture`).
        errors: (seeds, pictures) errors of the teachers.
        less: those of another student, whose share is subtracted.
        rest: what the estimate says about trainings (`Arms.rest`).

    Raises ValueError where no teacher makes an error.
    """
    if not errors.any():
        raise ValueError("No teacher misclassifies an image, so there are no errors of which a share could be taken.")
    if less is not None:
        parts = parts - less
    share = (parts.sum() / errors.sum()).item()
    around = crossed_interval((parts - share * errors) / errors.mean(), torch.ones(errors.shape[1]), rest=rest)
    low, high = share + around.low, share + around.high
    values = tuple(share + value for value in around.values)
    moved = replace(around, mean=share, low=low, high=high, values=values, unit="share of errors")
    return moved.within(0.0, 1.0) if less is None else moved
