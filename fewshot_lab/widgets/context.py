"""Chapter 14's explorer: the regions that a transformer sees in a few labelled points, in one pass, beside
another classifier's."""

import math

import torch
from markupsafe import Markup
from torch import Tensor

from ..figures import Picture, new_figure, style, svg
from ..figures.style import BLUE, ORANGE, VERMILION
from ..html import side_by_side
from ..languages import later, say
from ..methods import made_up_tables, real_tables
from .explorer import Explorer, choice, slider

SIDE = 24  # points along a side of the map
MOST = 20  # points of a class
REACH = 2.5  # the map shows both columns from -REACH to REACH
COLOURS = (BLUE, ORANGE, VERMILION)
RIVALS = {
    later("nearest neighbours"): {"most": 5},
    later("logistic regression"): {"C": 1.0},
}


def _moons(labels: Tensor, noise: Tensor) -> Tensor:
    angle = math.pi * torch.linspace(0.05, 0.95, MOST).repeat(2)
    x, y = torch.cos(angle), torch.sin(angle)
    upper = torch.stack([x - 0.5, y - 0.25], dim=1)
    return 1.1 * torch.where(labels[:, None] == 0, upper, -upper) + 0.15 * noise


def _blobs(labels: Tensor, noise: Tensor) -> Tensor:
    angle = 2 * math.pi * labels / 3
    return torch.stack([torch.cos(angle), torch.sin(angle)], dim=1) + 0.5 * noise


def _crossed(labels: Tensor, noise: Tensor) -> Tensor:
    side = torch.tensor([1.0, -1.0]).repeat(len(labels) // 2)  # each class lies at two opposite corners
    return torch.stack([side, torch.where(labels == 0, side, -side)], dim=1) + 0.35 * noise


def _rings(labels: Tensor, noise: Tensor) -> Tensor:
    angle = 2 * math.pi * torch.linspace(0, 1, MOST + 1)[:-1].repeat(2)
    radius = torch.where(labels == 0, 0.4, 1.5)[:, None]
    return radius * torch.stack([torch.cos(angle), torch.sin(angle)], dim=1) + 0.15 * noise


TASKS = {
    later("two moons"): (_moons, 2),
    later("three clouds"): (_blobs, 3),
    later("opposite corners"): (_crossed, 2),
    later("two rings"): (_rings, 2),
}


class ContextExplorer(Explorer):
    """Labelled points of a task, a point to drag, and the regions that two classifiers see in them."""

    def __init__(self, weights: dict, **start) -> None:
        """weights: of a trained `TableTransformer`."""
        self.model = made_up_tables.transformer_of(weights)
        line = torch.linspace(-REACH, REACH, SIDE)
        self.map = torch.stack([line.repeat(SIDE), -line.repeat_interleave(SIDE)], dim=1)  # from the top left
        super().__init__(
            start,
            task=choice("task", list(TASKS), help="How the points were drawn"),
            shots=slider("points", 5, 1, MOST, 1, help="Labelled points of each class", whole=True),
            seed=slider("draw", 0, 0, 20, 1, help="Other points of the same task", whole=True),
            rival=choice("beside it", list(RIVALS), help="The classifier on the right"),
            x=slider("own point: x", 0.0, -2.4, 2.4, 0.1, help="Where the point with the ring lies"),
            y=slider("own point: y", -2.0, -2.4, 2.4, 0.1, help="Where the point with the ring lies"),
        )

    def points(self) -> tuple[Tensor, Tensor, int]:
        """The labelled points (n, 2), the own one last, their labels (n,) and the number of classes."""
        draw, classes = TASKS[self["task"]]
        generator = torch.Generator().manual_seed(self["seed"])
        labels = torch.arange(classes).repeat_interleave(MOST)
        points = draw(labels, torch.randn(len(labels), 2, generator=generator))
        order = torch.cat([k * MOST + torch.randperm(MOST, generator=generator)[: self["shots"]] for k in range(classes)])
        own = torch.tensor([[self["x"], self["y"]]])
        return torch.cat([points[order], own]), torch.cat([labels[order], torch.zeros(1, dtype=torch.long)]), classes

    def regions(self) -> dict[str, Tensor]:
        """The probabilities (SIDE * SIDE, classes) of every point of the map, by classifier."""
        points, labels, classes = self.points()
        rival = self["rival"]
        settings = dict(RIVALS[rival])
        if rival == "nearest neighbours":
            settings = {"neighbours": min(settings["most"], len(labels))}
        fitted = real_tables.classifier(rival, **settings).fit(points.numpy(), labels.numpy())
        theirs = torch.from_numpy(fitted.predict_proba(self.map.numpy())).float()
        ours = made_up_tables.predict(self.model, points, labels, self.map, classes=classes, members=4)
        return {later("transformer"): ours, rival: theirs}

    @staticmethod
    def _image(probabilities: Tensor) -> Tensor:
        """(3, SIDE, SIDE): the classes' colours, mixed by their probabilities, on white."""
        rgb = torch.tensor([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in COLOURS])
        mixed = probabilities @ rgb[: probabilities.shape[1]]
        return (0.35 + 0.65 * mixed).clamp(0, 1).T.unflatten(1, (SIDE, SIDE))

    def words(self) -> str:
        """What the controls say, in words."""
        return say(
            "Task {task}, {shots} points of each class, draw {seed}; the own point at ({x:.1f}, {y:.1f}).",
            task=say(self["task"]),
            shots=self["shots"],
            seed=self["seed"],
            x=self["x"],
            y=self["y"],
        )

    def page(self) -> Markup:
        points, labels, _ = self.points()
        places = 50 + 50 * points / REACH
        circles = Markup("").join(
            Markup("<circle cx='{:.1f}' cy='{:.1f}' r='{}' fill='{}' stroke='{}' stroke-width='0.8'/>").format(
                x, 100 - y, 2.6 if i == len(labels) - 1 else 1.7, COLOURS[k], "#000" if i == len(labels) - 1 else "#fff"
            )
            for i, ((x, y), k) in enumerate(zip(places.tolist(), labels.tolist(), strict=True))
        )
        panels = [
            svg.panel(
                self._image(probabilities),
                side=260,
                label=say("The regions of {name}. {words}", name=say(name), words=self.words()),
                title=say(name),
                over=circles,
            )
            for name, probabilities in self.regions().items()
        ]
        return side_by_side(*panels) + Markup("<p>{}</p>").format(self.words())

    @property
    def stored(self) -> dict[str, list]:
        return {"task": list(TASKS), "shots": [1, 5, 20]}

    def still(self) -> Picture:
        points, labels, _ = self.points()
        with style():
            regions = self.regions()
            figure, axes = new_figure(1, 2, size=(6.6, 3.4))
            for ax, (name, probabilities) in zip(axes, regions.items(), strict=True):
                image = self._image(probabilities).permute(1, 2, 0)
                ax.imshow(image, extent=(-REACH, REACH, -REACH, REACH))
                colours = [COLOURS[k] for k in labels.tolist()]
                edges = ["white"] * (len(labels) - 1) + ["black"]
                ax.scatter(*points.T, c=colours, edgecolors=edges, s=24)
                ax.set_title(name, fontweight="normal")
                ax.set(xlabel="first column", ylabel="second column")
                ax.grid(False)
        alt = say("The regions of {names} for the same labelled points.", names=", ".join(map(say, regions)))
        caption = say("A still of the explorer. {words} Run the cell to drag the point with the ring.", words=self.words())
        return Picture(figure, caption=caption, alt=alt)
