"""Images with their masks and boxes drawn over them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from torch import Tensor

from .style import COLOURS, SMALL, Picture, new_figure, style


def scenes(
    shown: dict[str, tuple[Tensor, Tensor, Tensor]], names: Sequence[str], *, title: str, caption: str, alt: str
) -> Picture:
    """Scenes side by side: {name: (image (1, H, W), mask (H, W), boxes (n, 4))}; thing n has a colour and its name on its box.

    A class of the mask that is no thing's number is drawn in red.
    """
    with style():
        figure, grid = new_figure(1, len(shown), size=(3.4 * len(shown), 2.3), squeeze=False)
        for axes, (name, (image, mask, boxes)) in zip(grid.flat, shown.items(), strict=True):
            axes.imshow(image[0].numpy(), vmin=0, vmax=1)
            over = np.zeros((*mask.shape, 4))
            for n in range(1, int(mask.max()) + 1):
                over[mask.numpy() == n] = to_rgba(_colour(n, len(names)), 0.75)
            axes.imshow(over)
            for n, (x0, y0, x1, y1) in enumerate(boxes.tolist(), 1):
                colour = _colour(n, len(names))
                axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.5))
                axes.text(x0, y0 - 1.5, names[n - 1], color=colour, fontsize=SMALL, fontweight="bold", va="bottom")
            axes.axis("off")
            axes.set_title(name, fontweight="normal", fontsize=10)
        figure.suptitle(title, x=0.01, ha="left")
        return Picture(figure, caption=caption, alt=alt)


def _colour(n: int, things: int) -> str:
    return COLOURS[1:6][(n - 1) % 5] if n <= things else "#FF0000"
