"""Chapter 04's explorer: a map of embedded images before and after training; point at a letter to see its image."""

import torch
import torch.nn.functional as F
from markupsafe import Markup, escape
from torch import Tensor

from ..figures import charts, svg
from ..figures.maps import colour, maps
from ..figures.style import BLACK
from ..html import side_by_side
from ..languages import later, say
from .explorer import Explorer, choice, slider

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
            shown=choice("class", [later("all"), *classes], help="Fade all other classes"),
            image=slider("image", 0, 0, len(images) - 1, 1, help="Choose an image and see its neighbours", whole=True),
        )

    def agreement(self, name: str) -> float:
        """The share of nearest neighbours (one for each image) that are of the image's own class."""
        labels = torch.tensor(self.labels)
        return (labels[self.nearest[name][:, 0]] == labels).float().mean().item()

    def page(self) -> Markup:
        name, row = self["features"], self["image"]
        places = self.places[name].tolist()
        order = [i for i in range(len(places)) if i != row] + [row]  # the chosen one is drawn last, on top
        letters = "".join(self._letter(i, *places[i]) for i in order)
        pictures = "".join(self._picture(i, *places[i]) for i in order)
        label = say("Map of {count} images by the features “{name}”", count=len(places), name=say(name))
        drawn = Markup('<svg class="map" role="img" aria-label="{}" viewBox="0 0 100 100" width="420" height="420">{}</svg>')
        titles = {row: say("chosen: {label}", label=self._class(row))}
        titles |= {i: self._class(i) for i in self.nearest[name][row].tolist()}
        panels = Markup("").join(
            svg.panel(self.images[i], side=72, label=say("Image of {label}", label=title), title=title)
            for i, title in titles.items()
        )
        agreement = say("{share:.0%} of the nearest neighbours are of the same class.", share=self.agreement(name))
        these = say("The chosen image and its {count} nearest neighbours:", count=NEIGHBOURS)
        beside = Markup("<div class='narrow'><p>{}</p>{}<p>{}</p></div>").format(these, panels, agreement)
        return side_by_side(drawn.format(label, Markup(letters + pictures)), beside)

    def _class(self, row: int) -> str:
        return self.classes[self.labels[row]]

    def _letter(self, row: int, x: float, y: float) -> str:
        shade = colour(self.labels[row]).replace(BLACK, "currentColor")  # legible in dark themes too
        faded = self["shown"] not in ("all", self._class(row))
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="3.6" text-anchor="middle" dominant-baseline="central" '
            f'opacity="{0.15 if faded else 1}" fill="{shade}">{escape(self._class(row)[:2])}</text>'
        )

    def _picture(self, row: int, x: float, y: float) -> str:
        """The area that reacts to the mouse at a point, and the image that it shows; drawn above all letters."""
        chosen = row == self["image"]
        ring = 'stroke="currentColor" stroke-width="0.6"' if chosen else ""
        return (
            f'<g class="embedding-point{" chosen" if chosen else ""}"><title>{escape(self._class(row))}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="transparent" {ring}/>'
            f'<image href="{self._addresses[row]}" x="{min(x + 3, 82):.1f}" y="{max(0.0, y - 20):.1f}" width="18" height="18" '
            "/></g>"
        )

    def still(self) -> charts.Picture:
        shares = {name: self.agreement(name) for name in self.places}
        listed = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
        return maps(
            {name: points * torch.tensor([1.0, -1.0]) for name, points in self.places.items()},
            self.labels,
            self.classes,
            title=f"Nearest neighbours of the same class: {listed}",
            caption=say(
                "A still of the explorer. Run the cell to point at a letter and see its image. Letters of one class lie "
                "together where the features ignore place, slant and typeface. The shares are measured in all dimensions, of "
                "which the map shows two components."
            ),
            alt=say(
                "Maps of {count} images by two principal components; nearest neighbours of the same class: {told}.",
                count=len(self.labels),
                told=listed,
            ),
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
