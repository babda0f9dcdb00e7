"""Chapter 04's explorer: a map of embedded images before and after training; point at a letter to see its image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..figures import charts
from ..figures.maps import colour, maps
from ..figures.style import BLACK
from ..languages import later, say
from .explorer import EVERY, Explorer, choice, pictures, slider

NEIGHBOURS = 5


class EmbeddingExplorer(Explorer):
    """A 2-D map of images by their features (principal components), and the nearest neighbours of one of them.

    A click chooses a letter, the slider does the same for the keyboard; letters glide from one map to the other.
    images: uint8 (N, C, H, W); labels (N,), class numbers; classes: their names; features: {name: (N, d)}, say before and
    after training.
    """

    view = "embedding"
    says = (
        later("Image of {label}"),
        later("chosen: {label}"),
        later("The chosen image and its {count} nearest neighbours:"),
        later("Click a letter to choose its image."),
        later("Map of {count} images by the features “{name}”"),
        later("{share:.0%} of the nearest neighbours are of the same class."),
    )

    def __init__(self, images: Tensor, labels: Tensor, classes: tuple[str, ...], features: dict[str, Tensor], **start) -> None:
        self.images, self.labels, self.classes = images, labels.tolist(), classes
        self.places = {name: plane(z) for name, z in features.items()}
        self.nearest = {name: neighbours(z, NEIGHBOURS) for name, z in features.items()}
        names = list(features)
        super().__init__(
            start,
            features=choice("features", names, names[-1], help="Which encoder made the features"),
            shown=choice("class", [later("all"), *classes], help="Fade all other classes"),
            image=slider("image", 0, 0, len(images) - 1, 1, help="Choose an image and see its neighbours", whole=True),
        )

    def agreement(self, name: str) -> float:
        """The share of nearest neighbours (one for each image) that are of the image's own class."""
        labels = torch.tensor(self.labels)
        return (labels[self.nearest[name][:, 0]] == labels).float().mean().item()

    def view_data(self) -> dict:
        if self.data:
            return self.data
        return {
            "images": pictures(self.images),
            "labels": self.labels,
            "names": list(self.classes),
            "classes": [say(name) for name in self.classes],
            # Legible in dark themes too
            "colours": [colour(k).replace(BLACK, "currentColor") for k in range(len(self.classes))],
            "places": {name: [[round(x, 1), round(y, 1)] for x, y in points.tolist()] for name, points in self.places.items()},
            "nearest": {name: rows.tolist() for name, rows in self.nearest.items()},
            "agreement": {name: self.agreement(name) for name in self.places},
        }

    @property
    def stored(self) -> dict[str, list]:
        return dict.fromkeys(self.controls, EVERY)

    def still(self) -> charts.Picture:
        shares = {name: self.agreement(name) for name in self.places}
        listed = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
        return maps(
            {name: points * torch.tensor([1.0, -1.0]) for name, points in self.places.items()},
            self.labels,
            self.classes,
            title=say("Nearest neighbours of the same class: {listed}", listed=listed),
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
