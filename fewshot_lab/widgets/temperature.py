"""Chapter 06's explorer: a real teacher's answer to an image, softened by a temperature."""

import math

import torch

from ..data import ImageTask
from ..figures import Picture, new_figure, style, svg
from ..figures.style import drawable
from ..languages import later, say
from ..methods.distillation import TEMPERATURE, softened
from .explorer import EVERY, Explorer, choice, slider

STORED = 8  # images of each order that a page without a kernel keeps
_ORDERS = (later("surest first"), later("least sure first"), later("as they come"))

_NUMBERS = later(
    "Entropy {entropy:.2f} of at most {most:.2f} bits. All but the top class carry {wrong:.0%} of the weight in the "
    "loss; with a hard label they carry none. T² = {square:g}."
)


class TemperatureExplorer(Explorer):
    """A test image, the teacher's probabilities at a temperature, their entropy, and the weight of the lesser classes."""

    view = "temperature"
    recipe = "lab.methods.distillation.softened(teacher_logits, {temperature})"
    says = (
        later("hard label"),
        later("entropy in bits"),
        later("A test image of {label}"),
        later("its label: {label}"),
        later("The teacher's probabilities: hard label, T = 1 and T = {temperature:g}"),
        later("Entropy over the temperature"),
        _NUMBERS,
    )

    def __init__(self, task: ImageTask, teacher_logits: torch.Tensor, *, temperature: float = TEMPERATURE, **start) -> None:
        """teacher_logits: (n, classes) for the task's test images."""
        if teacher_logits.shape != (len(task.test_images), len(task.classes)):
            raise ValueError(
                f"The teacher's logits must be (test images, classes) = ({len(task.test_images)}, {len(task.classes)}), "
                f"not {tuple(teacher_logits.shape)}."
            )
        self.task, self.logits = task, teacher_logits
        self.least_sure = teacher_logits.softmax(dim=1).max(dim=1).values.argsort(stable=True)
        super().__init__(
            start,
            order=choice("order", _ORDERS, help="Which images come first"),
            image=slider("image", 0, 0, min(199, len(teacher_logits) - 1), 1, help="Which test image", whole=True),
            temperature=slider("temperature T", temperature, 0.5, 20.0, 0.5, help="1 leaves the answer as it is"),
        )

    def row(self) -> int:
        """The chosen image's row in the test set."""
        number = self["image"]
        return {_ORDERS[0]: int(self.least_sure[-1 - number]), _ORDERS[1]: int(self.least_sure[number])}.get(
            self["order"], number
        )

    def answer(self, temperature: float) -> torch.Tensor:
        """The teacher's probabilities (classes,) for the chosen image."""
        return softened(self.logits[self.row()][None], temperature)[0]

    def numbers(self) -> str:
        """Entropy and the weight of the other classes in words."""
        p = self.answer(self["temperature"])
        entropy = -(p * p.clamp_min(1e-12).log2()).sum().item()
        wrong = 1 - p[self.logits[self.row()].argmax()].item()
        return say(
            _NUMBERS,
            entropy=entropy,
            most=math.log2(len(p)),
            wrong=wrong,
            square=self["temperature"] ** 2,
        )

    def _entry(self) -> dict:
        row = self.row()
        label, logits = int(self.task.test_labels[row]), [round(z, 4) for z in self.logits[row].tolist()]
        return {"image": svg.data_uri(self.task.test_images[row]), "label": label, "logits": logits}

    def view_data(self) -> dict:
        key = f"{self['order']}|{self['image']}"
        if key in self.data.get("entries", {}):
            return self.data
        return {"classes": [say(name) for name in self.task.classes], "entries": {key: self._entry()}}

    @property
    def stored(self) -> dict[str, list]:
        return {"order": list(_ORDERS), "image": list(range(STORED)), "temperature": EVERY}

    def stored_data(self) -> dict:
        return {**self.data, "entries": self.each(self._entry, "order", "image")}

    def still(self) -> Picture:
        label = self.task.classes[self.task.test_labels[self.row()]]
        with style():
            figure, axes = new_figure(1, 3, size=(7.5, 3.0), width_ratios=(1, 1.5, 1.5))
            axes[0].imshow(drawable(self.task.test_images[self.row()]))
            axes[0].axis("off")
            axes[0].set_title(f"label {label}")
            for ax, temperature in zip(axes[1:], (1.0, self["temperature"]), strict=True):
                ax.barh(range(len(self.task.classes)), self.answer(temperature).tolist())
                ax.set_yticks(range(len(self.task.classes)), self.task.classes)
                ax.tick_params(axis="y", labelsize=7)
                ax.invert_yaxis()
                ax.set(title=f"T = {temperature:g}", xlabel=say("teacher's probability"), xlim=(0, 1))
        alt = say(
            "An image of {label} and the teacher's probabilities at T = 1 and {temperature:g}. {numbers}",
            label=label,
            temperature=self["temperature"],
            numbers=self.numbers(),
        )
        caption = say("A still of the explorer. {numbers} Run the cell to drag the sliders.", numbers=self.numbers())
        return Picture(figure, caption=caption, alt=alt)
