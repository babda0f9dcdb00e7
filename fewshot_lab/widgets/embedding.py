"""Chapter 04's explorer: a map of embedded images before and after training; point at a letter to see its image."""

import html

import torch
import torch.nn.functional as F
from torch import Tensor

from ..figures import charts, svg
from ..figures.maps import colour, maps
from .explorer import Explorer, choice, slider

_HOVER = (
    "<style>.embedding-point image{display:none} "
    ".embedding-point:hover image,.embedding-point.chosen image{display:block}</style>"
)
NEIGHBOURS = 5


class EmbeddingExplorer(Explorer):
    """A 2-D map of images by their features (principal components), and the nearest neighbours of one of them.

    images: uint8 (N, C, H, W); labels (N,), class numbers; classes: their names; features: {name: (N, d)}, say before and
    after training. Points show their image under the mouse; the slider does the same for the keyboard.
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: tuple[str, ...], features: dict[str, Tensor]) -> None:
        self.images, self.labels, self.classes = images, labels.tolist(), classes
        self.places = {name: plane(z) for name, z in features.items()}
        self.nearest = {name: neighbours(z, NEIGHBOURS) for name, z in features.items()}
        self._addresses = [svg.data_uri(image) for image in images]
        names = list(features)
        super().__init__(
            features=choice("features", names, names[-1], help="Which encoder made the features"),
            shown=choice("class", ["all", *classes], help="Fade all other classes"),
            image=slider("image", 0, 0, len(images) - 1, 1, help="Choose an image and see its neighbours", whole=True),
        )

    def agreement(self, name: str) -> float:
        """The share of nearest neighbours (one for each image) that are of the image's own class."""
        labels = torch.tensor(self.labels)
        return (labels[self.nearest[name][:, 0]] == labels).float().mean().item()

    def page(self) -> str:
        name, row = self["features"], self["image"]
        places = self.places[name].tolist()
        order = [i for i in range(len(places)) if i != row] + [row]  # the chosen one is drawn last, on top
        letters = "".join(self._letter(i, *places[i]) for i in order)
        pictures = "".join(self._picture(i, *places[i]) for i in order)
        label = f"Map of {len(places)} images by the features “{name}”"
        drawn = (
            f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 100 100" width="420" height="420" '
            f'style="border:1px solid currentColor">{letters}{pictures}</svg>'
        )
        seen = {row: "chosen: "} | dict.fromkeys(self.nearest[name][row].tolist(), "")
        titles = {i: f"{before}{self._class(i)}" for i, before in seen.items()}
        panels = "".join(svg.panel(self.images[i], side=72, label=f"Image of {t}", title=t) for i, t in titles.items())
        said = f"{self.agreement(name):.0%} of the nearest neighbours are of the same class."
        beside = f"<p>The chosen image and its {NEIGHBOURS} nearest neighbours:</p>{panels}<p>{said}</p>"
        return (
            f'{_HOVER}<div style="display:flex;flex-wrap:wrap;gap:1em">{drawn}'
            f'<div style="max-width:16em">{beside}</div></div>'
        )

    def _class(self, row: int) -> str:
        return self.classes[self.labels[row]]

    def _letter(self, row: int, x: float, y: float) -> str:
        shade = colour(self.labels[row]).replace("#000000", "currentColor")  # legible in dark themes too
        faded = self["shown"] not in ("all", self._class(row))
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="3.6" text-anchor="middle" dominant-baseline="central" '
            f'opacity="{0.15 if faded else 1}" fill="{shade}">{html.escape(self._class(row)[:2])}</text>'
        )

    def _picture(self, row: int, x: float, y: float) -> str:
        """What catches the mouse at a point, and the image that it brings up; over all letters."""
        chosen = row == self["image"]
        ring = 'stroke="currentColor" stroke-width="0.6"' if chosen else ""
        return (
            f'<g class="embedding-point{" chosen" if chosen else ""}"><title>{html.escape(self._class(row))}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="transparent" {ring}/>'
            f'<image href="{self._addresses[row]}" x="{min(x + 3, 82):.1f}" y="{max(0.0, y - 20):.1f}" width="18" height="18" '
            'style="image-rendering:pixelated;pointer-events:none"/></g>'
        )

    def still(self) -> charts.Picture:
        shares = {name: self.agreement(name) for name in self.places}
        told = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
        return maps(
            {name: points * torch.tensor([1.0, -1.0]) for name, points in self.places.items()},
            self.labels,
            self.classes,
            title=f"Nearest neighbours of the same class: {told}",
            caption="A still of the explorer. Run the cell to point at a letter and see its image. Letters of one class lie "
            "together where the features ignore place, slant and typeface. Two components show only a part of them.",
            alt=f"Maps of {len(self.labels)} images by two principal components; nearest neighbours of the same class: {told}.",
        )


def plane(features: Tensor) -> Tensor:
    """The first two principal components of the directions of features (N, d), scaled to 4..96 with y down: (N, 2)."""
    from sklearn.decomposition import PCA

    places = torch.from_numpy(PCA(2, random_state=0).fit_transform(F.normalize(features.double(), dim=1).numpy()))
    low, high = places.min(0).values, places.max(0).values
    return 4 + 92 * (places - low) / (high - low).clamp_min(1e-9)


def neighbours(features: Tensor, count: int) -> Tensor:
    """The rows of the `count` most similar other images by cosine similarity: features (N, d) -> (N, count)."""
    z = F.normalize(features, dim=1)
    return (z @ z.T).fill_diagonal_(-2).topk(count, dim=1).indices
