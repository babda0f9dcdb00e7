"""Chapter 01's second explorer: which images change class under which transformation, as a trained classifier sees it."""

import torch
from markupsafe import Markup

from ..figures import charts, svg, texts
from ..html import side_by_side
from ..languages import later, say
from ..methods.label_preservation import LabelPreservation
from .explorer import Explorer, choice, slider

_NONE = later("The classifier gets no test image of this class right.")


class LabelExplorer(Explorer):
    """Images of one class before and after a transformation, with the classifier's class and confidence."""

    def __init__(self, measured: LabelPreservation, **start) -> None:
        self.measured = measured
        names, classes = list(measured.after), list(measured.task.classes)
        super().__init__(
            start,
            transformation=choice("change", names, names[-1], help="What is done to the images"),
            label=choice("class", classes, classes[1], help="Which class they show"),
            first=slider("from image", 0, 0, 20, 1, help="Leaf through the images of the class", whole=True),
        )

    def _chosen(self):
        """Up to five correctly classified test images of the class: rows into the test set."""
        label = self.measured.task.classes.index(self["label"])
        rows = ((self.measured.before == label) & (self.measured.task.test_labels == label)).nonzero().squeeze(1)
        return rows[min(self["first"], max(0, len(rows) - 5)) :][:5]

    def page(self) -> Markup:
        rows, name = self._chosen(), self["transformation"]
        if not len(rows):
            return Markup("<p>{}</p>").format(say(_NONE))
        images = self.measured.task.test_images[rows]
        moved = self.measured.transformations[name](images)
        panels = []
        for row, before, after in zip(rows.tolist(), images, moved, strict=True):
            seen, sure = self.measured.classes_after(name, row)
            words = say("The image, read as {label}", label=self["label"]), say("Changed, read as {label}", label=seen)
            left = svg.panel(before, side=90, label=words[0], title=self["label"])
            right = svg.panel(after, side=90, label=words[1], title=f"{seen} ({sure:.0%})")
            panels.append(Markup("<div>{}{}</div>").format(left, right))
        kept = self.measured.kept[name][self.measured.task.classes.index(self["label"])]
        values = {"share": kept, "label": self["label"], "name": say(name)}
        summary = say("{share:.0%} of the {label} stay {label} under “{name}”.", **values)
        return Markup("<p>{}</p>").format(summary) + side_by_side(*panels)

    @property
    def stored(self) -> dict[str, list]:
        return {"transformation": self.controls["transformation"].options[:7]}

    def still(self):
        rows, name = self._chosen(), self["transformation"]
        if not len(rows):
            return texts({self["label"]: _NONE}, title="No image to show", caption=say("A still of the explorer."))
        images = self.measured.task.test_images[rows]
        pictures = torch.cat([images, self.measured.transformations[name](images)])
        labels = [self["label"]] * len(rows) + [self.measured.classes_after(name, row)[0] for row in rows.tolist()]
        return charts.images(
            pictures,
            labels,
            columns=len(rows),
            title=say("Read before and after “{name}”", name=name),
            caption=say("A still of the explorer: above the images, below the changed ones, with the class that is seen."),
            alt=say(
                "Images of {label} and the same images after {name}; read as {seen}.",
                label=self["label"],
                name=say(name),
                seen=", ".join(labels[len(rows) :]),
            ),
        )
