"""Chapter 13's explorer: type any words, and see which pictures answer."""

from collections.abc import Callable, Mapping, Sequence

import torch
from markupsafe import Markup
from torch import Tensor

from ..figures import Picture, images, svg
from ..languages import later, say
from .explorer import Explorer, choice, line, slider

SUGGESTED = ("something to eat", "a sad animal", "music", "it is raining", "the number ten")
EMPTY = later("Type a word or two: the pictures that answer appear here.")


class WordExplorer(Explorer):
    """The pictures whose vectors are nearest to that of the words typed, each with its cosine and its name.

    Args:
        embed: from words to their unit vector (D,) in the common space; called once for each text.
        pictures: {maker: (uint8 images (n, 3, S, S), unit vectors (n, D))}.
        names: of the pictures, shown below them.
        suggested: words to choose from; the explorer begins with the first.
    """

    def __init__(
        self,
        embed: Callable[[str], Tensor],
        pictures: Mapping[str, tuple[Tensor, Tensor]],
        names: Sequence[str],
        suggested: Sequence[str] = SUGGESTED,
        **start,
    ) -> None:
        self.embed, self.pictures, self.names, self.vectors = embed, dict(pictures), names, {}
        self.suggested, makers = tuple(suggested), list(self.pictures)
        super().__init__(
            start,
            words=line(
                "words",
                suggested[0],
                help="Any words; press Enter to see which pictures answer",
                options=suggested,
                placeholder=later("type any words here"),
            ),
            maker=choice("drawn by", makers, makers[0], help="Whose drawings answer"),
            count=slider("pictures", 6, 1, 12, 1, help="How many pictures are shown", whole=True),
        )

    def nearest(self) -> tuple[list[int], list[float]]:
        """The rows of the pictures that are nearest to the words, and their cosines, the nearest first."""
        words = self["words"].strip()
        if words not in self.vectors:  # another artist or count does not read the words again
            self.vectors[words] = self.embed(words)
        cosines, rows = (self.pictures[self["maker"]][1] @ self.vectors[words]).topk(min(self["count"], len(self.names)))
        return rows.tolist(), cosines.tolist()

    def page(self) -> Markup:
        if not self["words"].strip():
            return Markup("<p>{}</p>").format(say(EMPTY))
        drawn = self.pictures[self["maker"]][0]
        panels = Markup("").join(
            svg.panel(
                drawn[row],
                side=104,
                label=say("Picture of {name}, cosine {cosine:.2f}", name=self.names[row], cosine=cosine),
                title=f"{cosine:.2f} {_short(self.names[row])}",
            )
            for row, cosine in zip(*self.nearest(), strict=True)
        )
        told = say("The number is the cosine with “{words}”. The names are shown to you; the ranking does not use them.",
                   words=self["words"].strip())  # fmt: skip
        return Markup("<div style='max-width:40em'>{}</div><p>{}</p>").format(panels, told)

    @property
    def stored(self) -> dict[str, list]:
        makers = list(self.pictures)[:2]  # the states of all makers would be too large for a page
        return {"words": list(self.suggested), "maker": makers}

    def still(self) -> Picture:
        rows, cosines = self.nearest() if self["words"].strip() else ([0], [0.0])
        return images(
            self.pictures[self["maker"]][0][torch.tensor(rows)],
            [f"{_short(self.names[row])} ({cosine:.2f})" for row, cosine in zip(rows, cosines, strict=True)],
            columns=6,
            title=say("“{words}”: the nearest pictures of {count}", words=self["words"].strip(), count=len(self.names)),
            caption=say(
                "A still of the explorer: pictures that training never saw, by an artist it never saw, with their cosines. "
                "Run the cell to type words of your own."
            ),
        )


def _short(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:14]}…"
