"""Chapter 01's explorer: drag angle, scale, shear and shift, or a corner, and see grid, warped image and matrix live."""

import functools
import math

import torch

from .. import data
from ..augment import geometry
from ..augment.geometry import compose, padding_for, warp
from ..figures import charts
from ..languages import later, say
from .explorer import EVERY, Explorer, choice, pictures, slider

STORED = 12  # images that a page without a kernel keeps


class GeometryExplorer(Explorer):
    """An image, a grid on it, and what an affine map does to both; the matrix in numbers. The page itself computes it."""

    view = "geometry"
    recipe = (
        "lab.augment.geometry.warp(image, compose(flip, scaling({scale}), shearing({shear}), "
        "rotation(math.radians({angle})), translation({right} * size, {up} * size)), mode={mode})"
    )
    says = (
        later("input"),
        later("output"),
        later("The image with a grid"),
        later("The warped image and grid"),
        later("matrix: input point to output point"),
        later("inverse: where an output pixel is read"),
        later("determinant {value:.2f}"),
        later("Drag a corner of the output to turn and scale it."),
    )

    def __init__(self, dataset: str = "glyphs", *, angle: float = 30, scale: float = 1.0, shear: float = 0.0, **start) -> None:
        super().__init__(
            start,
            dataset=choice("data set", data.available(first=dataset), help="Where the image comes from"),
            image=slider("image", 3, 0, 199, 1, help="Which test image", whole=True),
            angle=slider("angle in °", angle, -180, 180, 1, help="Positive angles turn counter-clockwise"),
            scale=slider("scale", scale, 0.4, 2.0, 0.05, help="Above 1 enlarges"),
            shear=slider("shear", shear, -1.0, 1.0, 0.05, help="Pixels to the right per pixel upwards"),
            right=slider("shift right", 0, -0.5, 0.5, 0.05, help="As a share of the width"),
            up=slider("shift up", 0, -0.5, 0.5, 0.05, help="As a share of the height"),
            flip=choice(
                "flip", [later("none"), later("left-right"), later("top-bottom")], help="Done first, before the other maps"
            ),
            mode=choice(
                "interpolation",
                [later("bilinear"), later("nearest"), later("bicubic")],
                help="How values between pixels are read",
            ),
        )

    def matrix(self) -> torch.Tensor:
        """The chosen map, (3, 3), in pixels from the centre with y up."""
        flip = {"left-right": geometry.flip_horizontal, "top-bottom": geometry.flip_vertical}.get(self["flip"])
        size = self._image().shape[-1]
        return compose(
            flip() if flip else torch.eye(3),
            geometry.scaling(self["scale"]),
            geometry.shearing(self["shear"]),
            geometry.rotation(math.radians(self["angle"])),
            geometry.translation(self["right"] * size, self["up"] * size),
        )

    def _image(self) -> torch.Tensor:
        return shown_images(self["dataset"])[self["image"]]

    def moved(self) -> torch.Tensor:
        """The image after the chosen map, uint8 (C, H, W): what the page computes too."""
        image = self._image()
        return warp(image, self.matrix(), mode=self["mode"], padding=padding_for(image))

    def view_data(self) -> dict:
        if self["dataset"] in self.data.get("packs", {}):
            return self.data
        return {"packs": {self["dataset"]: pictures(shown_images(self["dataset"]))}}

    @property
    def stored(self) -> dict[str, list]:
        every = ("angle", "scale", "shear", "right", "up", "flip", "mode")
        return {"dataset": [self["dataset"]], "image": list(range(STORED)), **dict.fromkeys(every, EVERY)}

    def stored_data(self) -> dict:
        shown = shown_images(self["dataset"])
        return {"packs": {self["dataset"]: pictures(shown[: max(STORED, self["image"] + 1)])}}

    def still(self):
        return charts.images(
            torch.stack([self._image(), self.moved()]),
            [say("input"), say("output")],
            columns=2,
            title=say("{angle:g}°, scale {scale:g}", angle=self["angle"], scale=self["scale"]),
            caption=say("A still of the explorer. Run the cell to drag the sliders."),
            alt=say(
                "An image and the same image turned by {angle:g} degrees and scaled by {scale:g}.",
                angle=self["angle"],
                scale=self["scale"],
            ),
        )


@functools.cache
def shown_images(dataset: str) -> torch.Tensor:
    """200 test images of a data set, mixed, uint8 (200, C, H, W)."""
    images = data.load(dataset).test_images
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:200]]
