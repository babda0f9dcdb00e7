"""Small vector pictures for widgets: an image with crisp pixels, lines and text over it; made in well under a millisecond."""

import base64
from io import BytesIO

import numpy as np
from markupsafe import Markup, escape
from torch import Tensor

from .style import SKY, drawable


def data_uri(image: Tensor) -> str:
    """An image (C, H, W) or (H, W), uint8 or float 0..1, as the address of a PNG that can stand in a page."""
    from PIL import Image

    pixels = image.detach().cpu()
    if pixels.is_floating_point():
        pixels = (pixels.clamp(0, 1) * 255).round().byte()
    array = np.ascontiguousarray(drawable(pixels.reshape(-1, *pixels.shape[-2:])))
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def from_data_uri(address: str, *, like: Tensor) -> Tensor:
    """The picture at such an address as uint8 of the shape of another, (C, H, W), scaled. Raises ValueError for none."""
    import torch
    from PIL import Image, UnidentifiedImageError

    channels, height, width = like.shape
    try:
        picture = Image.open(BytesIO(base64.b64decode(address.partition(",")[2])))
    except UnidentifiedImageError as error:
        raise ValueError(str(error)) from error
    array = np.array(picture.convert("L" if channels == 1 else "RGB").resize((width, height)))
    return torch.from_numpy(array).reshape(height, width, channels).permute(2, 0, 1).contiguous()


def panel(image: Tensor, *, side: int, label: str, title: str, over: str = "") -> Markup:
    """An SVG of `side` screen pixels: the image with crisp pixels, the title below it.

    over: SVG to draw on the image, as Markup, in coordinates 0..100.
    """
    text = 1300 / side  # 13 screen pixels
    height = 100 + 1.5 * text
    return Markup(  # an f-string, as an explorer makes many of these while a slider is dragged
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 100 {height:.1f}" width="{side}" '
        f'height="{side * height / 100:.0f}">'
        f'<image href="{data_uri(image)}" x="0" y="0" width="100" height="100" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated"/><svg width="100" height="100" style="overflow:hidden">{escape(over)}</svg>'
        f'<text x="50" y="{100 + 1.2 * text:.1f}" font-size="{text:.1f}" text-anchor="middle" fill="currentColor">'
        f"{escape(title)}</text></svg>"
    )


def lines(segments, colour: str = SKY, width: float = 0.5) -> Markup:
    """SVG lines; segments (n, 2, 2): begin and end of each, (x, y) in 0..100 with y down."""
    path = "".join(f"M{a[0]:.1f},{a[1]:.1f}L{b[0]:.1f},{b[1]:.1f}" for a, b in segments)
    return Markup(f'<path d="{path}" stroke="{colour}" stroke-width="{width}" fill="none"/>')
