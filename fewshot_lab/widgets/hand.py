"""Chapter 12's explorer: a printed character, its skeleton, and what a hand with these settings draws; real drawings too."""

from dataclasses import replace

import torch
from markupsafe import Markup
from torch import Tensor

from ..augment.handwriting import HAND, Hand, draw, handwritten, turned_classes
from ..data.strokes import Strokes
from ..figures import Picture, charts, svg, tiled
from ..html import side_by_side
from ..languages import language, say
from .explorer import Explorer, choice, slider

LETTERS = "AgkQRΩЖ&"
MADE = 25  # drawings at once, five in a row
DETAIL = 112  # pixels a side of the large drawing


class HandExplorer(Explorer):
    """A character as print, as a skeleton and as drawings by a hand whose bending, pen and turns the controls set."""

    def __init__(self, strokes: Strokes, real: Tensor, hanzi: Strokes | None, *, bend: float = HAND.bend, **start) -> None:
        """strokes: of typefaces. real: drawings by people, uint8 (at least 25, 1, 28, 28). hanzi: Chinese ones or None."""
        self.real = real[:MADE]
        printed = {name: strokes for name in LETTERS if name in strokes.characters}
        written = {name: hanzi for name in hanzi.characters} if hanzi else {}
        # A reader of Chinese begins with the characters that she writes.
        self.strokes = written | printed if language() == "zh" else printed | written
        super().__init__(
            start,
            character=choice("character", list(self.strokes), help="Which character is drawn"),
            bend=slider("bend", bend, 0.0, 0.2, 0.01, help="How far the sheet bends, in half sheets"),
            wander=slider("wander", HAND.wander, 0.0, 0.2, 0.01, help="How far each stroke moves on its own"),
            affine=slider("affine", 1.0, 0.0, 2.0, 0.1, help="Turn, lean and size, times what the training has"),
            pen=slider("pen", 2.0, 0.8, 4.0, 0.1, help="The width of the pen in pixels"),
            turns=slider("turns", 0, 0, 3, 1, help="Quarter turns: each makes another class", whole=True),
            seed=slider("draw", 0, 0, 50, 1, help="Another number, another random draw", whole=True),
        )

    def _drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """The character's points (P, 2), the stroke of each (P,), and its picture (1, 28, 28)."""
        strokes = self.strokes[self["character"]]
        row = int((strokes.labels == strokes.characters.index(self["character"])).nonzero()[0])
        own = slice(*strokes.starts[row : row + 2].tolist())
        return strokes.points[own], strokes.pieces[own], strokes.pictures[row]

    def hand(self) -> Hand:
        """The hand that the controls describe."""
        much = self["affine"]
        low, high = HAND.scale
        return replace(
            HAND,
            bend=self["bend"],
            wander=self["wander"],
            degrees=HAND.degrees * much,
            shear=HAND.shear * much,
            scale=((low * high) ** 0.5 * (low / high) ** (much / 2), (low * high) ** 0.5 * (high / low) ** (much / 2)),
            aspect=HAND.aspect**much,
            shift=HAND.shift * much,
            pen=(self["pen"], self["pen"]),
        )

    def skeleton(self) -> Tensor:
        """The character's skeleton in its quarter turn, as points (1, P, 2)."""
        turns = torch.tensor([self["turns"]])
        return turned_classes(self._drawn()[0][None], turns, turns, 0)[0]

    def made(self) -> Tensor:
        """Drawings of the character, (25, 1, 28, 28) in 0..1."""
        generator = torch.Generator().manual_seed(self["seed"])
        pieces = self._drawn()[1][None]
        return handwritten(self.skeleton().expand(MADE, -1, -1), pieces.expand(MADE, -1), self.hand(), generator)

    def _thin(self) -> Tensor:
        return draw(self.skeleton(), torch.tensor([1.5]), DETAIL)[0]

    def page(self) -> Markup:
        printed = torch.rot90(self._drawn()[2], self["turns"], (-2, -1))
        name = self["character"]
        one = svg.panel(printed, side=120, label=say("{name} as print", name=name), title=say("print"))
        two = svg.panel(self._thin(), side=120, label=say("The skeleton of {name}", name=name), title=say("skeleton"))
        what = say("{n} drawings of {name} made of its skeleton", n=MADE, name=name)
        made = svg.panel(tiled(self.made().unflatten(0, (5, 5))), side=230, label=what, title=say("made"))
        what = say("{n} drawings by people", n=MADE)
        real = svg.panel(tiled(self.real.float().div(255).unflatten(0, (5, 5))), side=230, label=what, title=say("real"))
        return side_by_side(one, two, made, real)

    @property
    def stored(self) -> dict[str, list]:
        options = list(self.controls["character"].options)
        return {"character": [*options[:3], options[-1]], "bend": [0.0, 0.05, 0.1, 0.2]}

    def still(self) -> Picture:
        made, real = self.made()[:8], self.real[:8].float() / 255
        return charts.images(
            torch.cat([made, real]),
            [say("made")] * 8 + [say("real")] * 8,
            columns=8,
            title=say("Made from a skeleton, and drawn by people"),
            caption=say("A still of the explorer: above one character as eight hands might draw it, below eight real ones."),
            alt=say("Eight drawings made from one character's skeleton, and eight drawings by people."),
        )
