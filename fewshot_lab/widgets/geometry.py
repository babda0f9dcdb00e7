"""Chapter 01's explorer: drag angle, scale, shear and shift, and see grid, warped image and matrix live."""

import functools
import math

import torch
from markupsafe import Markup

from .. import data
from ..augment import geometry
from ..augment.geometry import apply_to_points, compose, invert, padding_for, warp
from ..figures import charts, svg
from ..html import side_by_side, table
from ..languages import later, say
from .explorer import Explorer, choice, slider


class GeometryExplorer(Explorer):
    """An image, a grid on it, and what an affine map does to both; the matrix in numbers."""

    def __init__(self, dataset: str = "glyphs", *, angle: float = 30, scale: float = 1.0, shear: float = 0.0) -> None:
        super().__init__(
            dataset=choice("data set", data.available(first=dataset), help="Where the image comes from"),
            image=slider("image", 3, 0, 199, 1, help="Which test image", whole=True),
            angle=slider("angle in °", angle, -180, 180, 5, help="Positive angles turn counter-clockwise"),
            scale=slider("scale", scale, 0.4, 2.0, 0.05, help="Above 1 enlarges"),
            shear=slider("shear", shear, -1.0, 1.0, 0.05, help="Pixels to the right per pixel upwards"),
            right=slider("shift right", 0, -0.5, 0.5, 0.05, help="As a share of the width"),
            flip=choice(
                "flip", [later("none"), later("left-right"), later("top-bottom")], help="Done first, before the other maps"
            ),
            mode=choice(
                "reading", [later("bilinear"), later("nearest"), later("bicubic")], help="How values between pixels are read"
            ),
        )

    def matrix(self) -> torch.Tensor:
        """The chosen map, (3, 3), in pixels from the centre with y up."""
        flip = {"left-right": geometry.flip_horizontal, "top-bottom": geometry.flip_vertical}.get(self["flip"])
        return compose(
            flip() if flip else torch.eye(3),
            geometry.scaling(self["scale"]),
            geometry.shearing(self["shear"]),
            geometry.rotation(math.radians(self["angle"])),
            geometry.translation(self["right"] * self._image().shape[-1], 0.0),
        )

    def _image(self) -> torch.Tensor:
        return shown_images(self["dataset"])[self["image"]]

    def _moved(self) -> torch.Tensor:
        image = self._image()
        return warp(image, self.matrix(), mode=self["mode"], padding=padding_for(image))

    def page(self) -> Markup:
        image, matrix = self._image(), self.matrix()
        grid = _grid_lines()
        size = image.shape[-1]
        there = apply_to_points(_for_unit(matrix, size), grid.reshape(-1, 2)).reshape(grid.shape)
        lines = [svg.lines(_screen(part)) for part in (grid, there)]
        before = svg.panel(image, side=210, label=say("The image with a grid"), title=say("input"), over=lines[0])
        after = svg.panel(self._moved(), side=210, label=say("The warped image and grid"), title=say("output"), over=lines[1])
        determinant = say("determinant {value:.2f}", value=torch.linalg.det(matrix[:2, :2]).item())
        numbers = _table(matrix, say("matrix: input point to output point"))
        numbers += _table(invert(matrix), say("inverse: where an output pixel is read"))
        return side_by_side(before, after, Markup("<div>{}<p>{}</p></div>").format(numbers, determinant))

    def still(self):
        return charts.images(
            torch.stack([self._image(), self._moved()]),
            ["input", "output"],
            columns=2,
            title=f"{self['angle']:g}°, scale {self['scale']:g}",
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


@functools.cache
def _grid_lines() -> torch.Tensor:
    """The lines of a grid over the square from -1 to 1: (lines, 2 ends, 2 coordinates)."""
    ticks = torch.linspace(-1, 1, 9)
    ends = torch.tensor([-1.0, 1.0])
    upright = torch.stack(torch.meshgrid(ticks, ends, indexing="ij"), dim=-1)
    return torch.cat([upright, upright.flip(-1)])


def _for_unit(matrix: torch.Tensor, size: int) -> torch.Tensor:
    """The map for coordinates in which the image reaches from -1 to 1 instead of over `size` pixels."""
    unit = matrix.clone()
    unit[:2, 2] *= 2 / size
    return unit


def _screen(segments: torch.Tensor) -> list:
    """From -1..1 with y up to 0..100 with y down."""
    return (segments * torch.tensor([50.0, -50.0]) + 50).tolist()


def _table(matrix: torch.Tensor, caption: str) -> Markup:
    rows = [[f"{round(value, 2) + 0.0:.2f}" for value in row] for row in matrix[:2].tolist()]  # + 0.0: no "-0.00"
    return table((), rows, caption=caption, numbers=range(3))
