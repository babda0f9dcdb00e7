"""Chapter 08's second explorer: the way from noise to an image, and what guidance does to it."""

from collections.abc import Sequence

import torch
from markupsafe import Markup
from torch import Tensor

from ..figures import Picture, new_figure, style, svg, tiled
from ..figures.style import ORANGE, drawable
from ..html import side_by_side
from ..languages import say
from ..methods.flow_matching import Flow, paths
from .explorer import Explorer, choice, slider

SIDE = 9  # guidances, from 0 to 4, and times, from 0 to 1, along the sides of the map
WEIGHTS = torch.linspace(0, 4, SIDE).tolist()
NOISES = 9  # of each class


class FlowExplorer(Explorer):
    """An image on its way from noise; the map of the way at every guidance; and the same class from other noise."""

    def __init__(self, flow: Flow, classes: Sequence[str], **start) -> None:
        """flow: a trained `Flow`; classes: the names of its classes. All paths are computed here: a drag only looks them up."""
        self.flow, self.classes = flow, list(classes)
        shown = torch.linspace(0, flow.steps, SIDE).round().long()
        # (classes, weights, times, noises, channels, H, W)
        drawn = [[paths(flow, k, NOISES, weight=w)[shown] for w in WEIGHTS] for k in range(len(self.classes))]
        self.paths = torch.stack([torch.stack(one) for one in drawn])
        super().__init__(
            start,
            label=choice("class", self.classes, help="The class that the flow is asked for"),
            time=slider("time", 1.0, 0.0, 1.0, 1 / (SIDE - 1), help="0: noise, 1: an image"),
            weight=slider("guidance", 1.0, 0.0, WEIGHTS[-1], WEIGHTS[1], help="0: no class, 1: the class, more: exaggerated"),
            seed=slider("noise", 0, 0, NOISES - 1, 1, help="Which noise the way begins at", whole=True),
        )

    def _position(self) -> tuple[int, int]:
        """The row (guidance) and the column (time) of the controls in the map."""
        return round(self["weight"] / WEIGHTS[1]), round(self["time"] * (SIDE - 1))

    def chosen(self) -> Tensor:
        """The image at the controls' position, (channels, H, W)."""
        return self.others()[self["seed"]]

    def others(self) -> Tensor:
        """The images from all noises at the controls' class, guidance and time, (noises, channels, H, W)."""
        row, column = self._position()
        return self.paths[self.classes.index(self["label"]), row, column]

    def map(self) -> Tensor:
        """The ways from the chosen noise as one image: time from left to right, guidance from top to bottom."""
        return tiled(self.paths[self.classes.index(self["label"]), :, :, self["seed"]].clamp(0, 1))

    def words(self) -> str:
        """The positions of the controls in words."""
        return say(
            "Class {label}, noise {seed}, time {time:.1f}, guidance {weight:g}.",
            label=say(self["label"]),
            seed=self["seed"],
            time=self["time"],
            weight=self["weight"],
        )

    def page(self) -> Markup:
        (row, column), side = self._position(), 100 / SIDE
        frame = Markup(
            "<rect x='{:.1f}' y='{:.1f}' width='{size:.1f}' height='{size:.1f}' fill='none' stroke='{}' stroke-width='1.2'/>"
        ).format(column * side, row * side, ORANGE, size=side)
        what = say("An image on its way. {words}", words=self.words())
        one = svg.panel(self.chosen(), side=140, label=what, title=say("at the frame"))
        what = say(
            "The way from one noise: time from left to right, guidance 0 to {most:g} from top to bottom", most=WEIGHTS[-1]
        )
        ways = svg.panel(self.map(), side=330, label=what, title=say("time →, guidance ↓"), over=frame)
        what = say("The same class, time and guidance from {n} noises", n=NOISES)
        others = tiled(self.others().clamp(0, 1).unflatten(0, (3, 3)))
        return side_by_side(one, ways, svg.panel(others, side=140, label=what, title=say("other noises"))) + Markup(
            "<p>{}</p>"
        ).format(self.words())

    def still(self) -> Picture:
        with style():
            figure, axes = new_figure(1, 2, size=(6.2, 3.8), width_ratios=(1, 2))
            ways = self.map()
            for ax, image in zip(axes, (self.chosen().clamp(0, 1), ways), strict=True):
                ax.imshow(drawable(image), vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            axes[0].set_title("one image", fontweight="normal")
            axes[1].set_title("and its ways, by guidance", fontweight="normal")
            ends = [ways.shape[-1] / SIDE / 2, ways.shape[-1] * (1 - 0.5 / SIDE)]  # the middles of the first and last image
            axes[1].set_xticks(ends, ["0", "1"])
            axes[1].set_yticks(ends, [f"{weight:g}" for weight in (WEIGHTS[0], WEIGHTS[-1])])
            axes[1].set(xlabel="time", ylabel="guidance")
        alt = say("An image and its {n} ways from one noise, at guidance 0 to {most:g}.", n=SIDE, most=WEIGHTS[-1])
        caption = say("A still of the explorer. {words} Run the cell to drag time and guidance.", words=self.words())
        return Picture(figure, caption=caption, alt=alt)
