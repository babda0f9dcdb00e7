"""What a teacher's answers say beside the class: the wrong classes' shares taken away, and its errors found again.

"Dark knowledge" is what the wrong classes' probabilities tell of likeness. Three controls leave the teacher's class and its
confidence as they are: hard pseudo-labels (`fit_student(answers="hard")`), wrong classes shuffled, wrong classes level.
"""

import torch
from torch import Tensor


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
    p = (logits / temperature).softmax(dim=-1)
    largest, answer = p.max(dim=-1, keepdim=True)
    rest = (1 - largest) / (p.shape[-1] - 1)
    # The rest may be 0 in float32 where the teacher is certain, and log 0 would make the loss NaN.
    spread = rest.clamp_min(1e-12).log().expand_as(p).scatter(-1, answer, largest.log())
    return temperature * spread


def copied_errors(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> float:
    """The share of the images that the teacher misclassifies on which the student makes the same error.

    Logits (n, classes), labels (n,). The rest of the teacher's errors the student classifies correctly or takes for a third
    class. NaN where the teacher makes no error.
    """
    taken_for, answers = teacher_logits.argmax(dim=1), student_logits.argmax(dim=1)
    errors = taken_for != labels
    return (answers[errors] == taken_for[errors]).double().mean().item()
