"""Chapter 01's explorer of D4: one emoji in all eight positions, and the names that other artists' pictures give them."""

import torch

from ..augment.geometry import D4, d4_apply
from ..data import emoji
from ..figures import charts, svg
from ..languages import later, say
from ..methods.symmetries import nearest_names, small_emoji
from .explorer import Explorer, choice, slider

STORED = 6  # emoji that a page without a kernel keeps


class SymmetryExplorer(Explorer):
    """An emoji under the eight elements of D4; under each the name of the most similar picture by another artist."""

    view = "symmetry"
    recipe = "lab.augment.geometry.d4_apply(images, (turns, flipped))"
    says = (
        later("turn by 90°"),
        later("flip"),
        later("begin again"),
        later("The element {element}, named {name}"),
        later("“{name}”, and the names that pictures by the other artists give to its eight positions."),
    )

    def __init__(self, name: str = "up right arrow", artist: str = "noto", **start) -> None:
        self.drawn = emoji.pictures()
        group = self.drawn.groups[self.drawn.names.index(name)]
        first = self._of_group(group).index(self.drawn.names.index(name))
        groups = sorted(set(self.drawn.groups))
        most = max(map(len, map(self._of_group, groups)))
        super().__init__(
            start,
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

    def _entry(self) -> dict:
        name, shown, found = self._chosen()
        return {"name": name, "names": found, "image": svg.data_uri(shown[0])}

    def view_data(self) -> dict:
        key = f"{self['group']}|{self['emoji']}|{self['artist']}"
        return self.data if key in self.data.get("entries", {}) else {"entries": {key: self._entry()}}

    @property
    def stored(self) -> dict[str, list]:
        first = self["emoji"] // STORED * STORED
        of_group = len(self._of_group(self["group"]))
        near = [number % of_group for number in range(first, first + STORED)]
        return {"group": [self["group"]], "emoji": sorted(set(near)), "artist": [self["artist"]]}

    def stored_data(self) -> dict:
        return {"entries": self.each(self._entry, "group", "emoji", "artist")}

    def still(self):
        name, pictures, found = self._chosen()
        return charts.images(
            pictures,
            [f"{_short(element)}\n{seen}" for element, seen in zip(D4, found, strict=True)],
            columns=4,
            title=say("“{name}” in the eight positions of D4", name=name),
            caption=say(
                "A still of the explorer. Under each element of D4: the name that the other artists' pictures give it."
            ),
            alt=say("The emoji {name} in eight positions, named {seen}.", name=name, seen=", ".join(found)),
        )


def _short(element: tuple[int, bool]) -> str:
    """An element as the chapter writes it: quarter turns, and whether it was flipped before."""
    turns, flipped = element
    return f"({turns}, {'flip' if flipped else '–'})"
