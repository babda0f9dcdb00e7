"""Chapter 08's explorer: walks between two classes and between two noise vectors of a conditional generator."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from markupsafe import Markup
from torch import Tensor

from ..figures import Picture, new_figure, style, svg, tiled
from ..figures.style import ORANGE, drawable
from ..html import side_by_side
from ..languages import say
from ..methods.generation import between, decode
from .explorer import Explorer, choice, slider

STEPS = 7  # images along each walk


class LatentExplorer(Explorer):
    """One generated image, and around it the map of both walks: classes from left to right, noise from top to bottom."""

    def __init__(self, generator, classes: Sequence[str], **start) -> None:
        """generator: a `models.Generator`; classes: the names of its classes."""
        self.generator, self.classes = generator, list(classes)
        super().__init__(
            start,
            a=choice("class a", self.classes, help="The class at the left end of the walk"),
            b=choice("class b", self.classes, self.classes[len(self.classes) // 2], help="The class at the right end"),
            mixture=slider("class a to b", 0.0, 0.0, 1.0, 0.05, help="0: all class a, 1: all class b"),
            seed_a=slider("noise a", 0, 0, 99, 1, help="The seed of the noise at the top", whole=True),
            seed_b=slider("noise b", 1, 0, 99, 1, help="The seed of the noise at the bottom", whole=True),
            turn=slider("noise a to b", 0.0, 0.0, 1.0, 0.05, help="0: noise a, 1: noise b"),
            temperature=slider("temperature", 1.0, 0.0, 2.0, 0.1, help="Scales the noise: small is typical, large is varied"),
        )

    def images(self, mixtures: Tensor, turns: Tensor) -> Tensor:
        """The generated images (n, 1, H, W) at class mixtures (n,) and noise mixtures (n,), both in 0..1."""
        a, b = (F.one_hot(torch.tensor(self.classes.index(self[name])), len(self.classes)).float() for name in "ab")
        z_a, z_b = (
            torch.randn(self.generator.noise, generator=torch.Generator().manual_seed(self[name]))
            for name in ("seed_a", "seed_b")
        )
        y = (1 - mixtures[:, None]) * a + mixtures[:, None] * b
        return decode(self.generator, self["temperature"] * between(z_a, z_b, turns), y)

    def chosen(self) -> Tensor:
        """The image at the sliders' position, (1, H, W)."""
        return self.images(torch.tensor([self["mixture"]]), torch.tensor([self["turn"]]))[0]

    def walks(self) -> Tensor:
        """The map of both walks as one image."""
        t = torch.linspace(0, 1, STEPS)
        drawn = self.images(t.repeat(STEPS), t.repeat_interleave(STEPS))
        return tiled(drawn.unflatten(0, (STEPS, STEPS)))

    def words(self) -> str:
        """The positions of the sliders in words."""
        return say(
            "Class: {less:.0%} {a}, {more:.0%} {b}. Noise: {turn:.0%} of the way from {first} to {last}.",
            less=1 - self["mixture"],
            more=self["mixture"],
            turn=self["turn"],
            first=self["seed_a"],
            last=self["seed_b"],
            **self._ends(),
        )

    def _ends(self) -> dict[str, str]:
        return {"a": say(self["a"]), "b": say(self["b"])}

    def page(self) -> Markup:
        side = 100 / STEPS
        x, y = (self[name] * (100 - side) for name in ("mixture", "turn"))
        frame = Markup(
            "<rect x='{:.1f}' y='{:.1f}' width='{size:.1f}' height='{size:.1f}' fill='none' stroke='{}' stroke-width='1.2'/>"
        ).format(x, y, ORANGE, size=side)
        walks = svg.panel(
            self.walks(),
            side=300,
            label=say("Generated images: {a} at the left, {b} at the right, noise from top to bottom", **self._ends()),
            title=say("class {a} → {b}, noise top → bottom", **self._ends()),
            over=frame,
        )
        what = say("A generated image. {words}", words=self.words())
        one = svg.panel(self.chosen(), side=160, label=what, title=say("at the frame"))
        return side_by_side(one, walks) + Markup("<p>{}</p>").format(self.words())

    def still(self) -> Picture:
        with style():
            figure, axes = new_figure(1, 2, size=(6.2, 3.6), width_ratios=(1, 2))
            walks = self.walks()
            for ax, image in zip(axes, (self.chosen(), walks), strict=True):
                ax.imshow(drawable(image), vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            axes[0].set_title("one image", fontweight="normal")
            axes[1].set_title("and the walks around it", fontweight="normal")
            ends = [walks.shape[-1] / STEPS / 2, walks.shape[-1] * (1 - 0.5 / STEPS)]  # the middles of the first and last image
            axes[1].set_xticks(ends, [self["a"], self["b"]])
            axes[1].set_yticks(ends, [self["seed_a"], self["seed_b"]])
            axes[1].set(xlabel="class", ylabel="noise")
        alt = say(
            "A generated image, and {steps} by {steps} images {a} to {b}, two noise vectors.", steps=STEPS, **self._ends()
        )
        caption = say("A still of the explorer. {words} Run the cell to walk.", words=self.words())
        return Picture(figure, caption=caption, alt=alt)
