"""Chapter 01's explorer of D4: one emoji in all eight positions, and the names that other artists' pictures give them."""

import torch
from markupsafe import Markup

from ..augment.geometry import D4, d4_apply
from ..data import emoji
from ..figures import charts, svg
from ..html import side_by_side
from ..languages import say
from ..methods.symmetries import nearest_names, small_emoji
from .explorer import Explorer, choice, slider


class SymmetryExplorer(Explorer):
    """An emoji under the eight elements of D4; under each the name of the most similar picture by another artist."""

    def __init__(self, name: str = "up right arrow", artist: str = "noto") -> None:
        self.drawn = emoji.pictures()
        group = self.drawn.groups[self.drawn.names.index(name)]
        first = self._of_group(group).index(self.drawn.names.index(name))
        groups = sorted(set(self.drawn.groups))
        most = max(map(len, map(self._of_group, groups)))
        super().__init__(
            group=choice("group", groups, group, help="What kind of emoji"),
            emoji=slider("emoji", first, 0, most - 1, 1, help="Leaf through the group", whole=True),
            artist=choice("artist", list(emoji.ARTISTS), artist, help="Who drew it"),
        )

    def _of_group(self, group: str) -> list[int]:
        return [number for number, its in enumerate(self.drawn.groups) if its == group]

    def _chosen(self) -> tuple[str, torch.Tensor, list[str]]:
        """The emoji's name, its pictures under the elements of D4, (8, 3, 96, 96), and the names that they are given."""
        of_group, artist = self._of_group(self["group"]), emoji.ARTISTS.index(self["artist"])
        number = of_group[self["emoji"] % len(of_group)]
        shown, small = (
            torch.stack([d4_apply(images[number, artist], element) for element in D4])
            for images in (self.drawn.images, small_emoji())
        )
        found = nearest_names(small, small_emoji(), artist).tolist()
        return self.drawn.names[number], shown, [self.drawn.names[one] for one in found]

    def page(self) -> Markup:
        name, pictures, found = self._chosen()
        panels = [
            svg.panel(picture, side=120, label=say("The element {element}, named {name}", element=_short(element), name=seen),
                      title=_short(element)) + Markup("<div>{}</div>").format(seen)
            for element, picture, seen in zip(D4, pictures, found, strict=True)
        ]  # fmt: skip
        words = say("“{name}”, and the names that pictures by the other artists give to its eight positions.", name=name)
        return Markup("<p>{}</p>").format(words) + side_by_side(*(Markup("<div>{}</div>").format(one) for one in panels))

    def still(self):
        name, pictures, found = self._chosen()
        return charts.images(
            pictures,
            [f"{_short(element)}\n{seen}" for element, seen in zip(D4, found, strict=True)],
            columns=4,
            title=f"“{name}” in the eight positions of D4",
            caption=say(
                "A still of the explorer. Under each element of D4: the name that the other artists' pictures give it."
            ),
            alt=say("The emoji {name} in eight positions, named {seen}.", name=name, seen=", ".join(found)),
        )


def _short(element: tuple[int, bool]) -> str:
    """An element as the chapter writes it: quarter turns, and whether it was flipped before."""
    turns, flipped = element
    return f"({turns}, {'flip' if flipped else '–'})"
