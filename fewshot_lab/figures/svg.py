"""Small vector pictures for widgets: an image with crisp pixels, lines and text over it; made in well under a millisecond."""

import base64
import html
from io import BytesIO

import numpy as np
from torch import Tensor


def data_uri(image: Tensor) -> str:
    """An image (C, H, W) or (H, W), uint8 or float 0..1, as the address of a PNG that can stand in a page."""
    from PIL import Image

    pixels = image.detach().cpu()
    if pixels.is_floating_point():
        pixels = (pixels.clamp(0, 1) * 255).round().byte()
    array = np.ascontiguousarray(pixels.reshape(-1, *pixels.shape[-2:]).permute(1, 2, 0).squeeze(-1).numpy())
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def panel(image: Tensor, *, side: int, label: str, title: str, over: str = "") -> str:
    """An SVG of `side` screen pixels: the image with crisp pixels, `over` (SVG in coordinates 0..100) on top, title below."""
    text = 1300 / side  # 13 screen pixels
    height = 100 + 1.5 * text
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 100 {height:.1f}" width="{side}" '
        f'height="{side * height / 100:.0f}">'
        f'<image href="{data_uri(image)}" x="0" y="0" width="100" height="100" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated"/><svg width="100" height="100" style="overflow:hidden">{over}</svg>'
        f'<text x="50" y="{100 + 1.2 * text:.1f}" font-size="{text:.1f}" text-anchor="middle" fill="currentColor">'
        f"{html.escape(title)}</text></svg>"
    )


def lines(segments, colour: str = "#56B4E9", width: float = 0.5) -> str:
    """SVG lines; segments (n, 2, 2): begin and end of each, (x, y) in 0..100 with y down."""
    path = "".join(f"M{a[0]:.1f},{a[1]:.1f}L{b[0]:.1f},{b[1]:.1f}" for a, b in segments)
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width}" fill="none"/>'
