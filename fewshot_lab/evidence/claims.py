"""The claims that the course tests."""

from dataclasses import dataclass

from ..languages import later


@dataclass(frozen=True)
class Claim:
    """A claim in the course's words, and the numbers of the chapters that test it."""

    text: str
    chapters: tuple[str, ...]


CLAIMS = {
    "C1": Claim(later("Augmentation helps generalisation, but little on some data, and never replaces labels."), ("02", "03")),
    "C2": Claim(later("Augmentation has a price in time and compute."), ("02",)),
    "C3": Claim(later("Beyond some strength augmentation harms, and the harm is overfitting."), ("02",)),
    "C4": Claim(later("A handful of labels misses the distribution: results vary much between draws."), ("05",)),
    "C5": Claim(later("With few labels, larger models overfit more."), ("05",)),
    "C6": Claim(later("Augmentation and self-supervision together do better than either alone."), ("04",)),
    "C7": Claim(later("Distillation and adversarial training add to few-shot accuracy."), ("06", "07")),
    "C8": Claim(later("Generated instances supply the diversity that augmentation lacks."), ("08",)),
    "C9": Claim(later("A large pretrained teacher lifts a small student that has few labels."), ("06",)),
    "C10": Claim(later("Adversarial training makes a model both more robust and more accurate."), ("07",)),
    "C11": Claim(later("Prompts solve new tasks with little data, and searched triggers beat fixed templates."), ("09",)),
    "C12": Claim(later("The stages of the pipeline add up when applied in the stated order."), ("11",)),
    "C13": Claim(later("Augmentation with distillation brings a residual network to the quoted accuracy."), ("02", "06")),
    "C14": Claim(later("A fine-tuned BERT tags named entities at the quoted F1."), ("10",)),
}
