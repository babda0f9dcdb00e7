"""Geometry of images: matrices, warps by the inverse map, random affine maps for whole batches, and the exact group D4.

Coordinates: the origin is the centre of the image, x points right, y points up, one unit is one pixel. So a positive angle
turns counter-clockwise, as in a mathematics book, although image rows are counted downwards. Points are columns (x, y) or,
homogeneous, (x, y, 1); a matrix is 2x3 or 3x3 and `compose(first, then)` is the product `then @ first`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CACHE_VALUES = 1 << 18  # grid values worked on at a time on a CPU: a megabyte stays in its cache


def rotation(theta) -> Tensor:
    """R(theta): turns counter-clockwise by theta radians (a number or (B,) tensor); returns (3, 3) or (B, 3, 3)."""
    theta = _as_tensor(theta)
    cos, sin, zero = theta.cos(), theta.sin(), torch.zeros_like(theta)
    return _homogeneous(cos, -sin, zero, sin, cos, zero)


def scaling(factor_x, factor_y=None) -> Tensor:
    """Enlarges by factor_x along x and factor_y (None: the same) along y; numbers or (B,) tensors without zeros."""
    factor_x = _as_tensor(factor_x)
    factor_y = factor_x if factor_y is None else _as_tensor(factor_y)
    if not (factor_x.all() and factor_y.all()):
        raise ValueError("A scale of 0 flattens the image and cannot be undone; use factors other than 0.")
    zero = torch.zeros_like(factor_x)
    return _homogeneous(factor_x, zero, zero, zero, factor_y, zero)


def shearing(shear_x, shear_y=0.0) -> Tensor:
    """(x, y) -> (x + shear_x * y, y + shear_y * x); numbers or (B,) tensors."""
    shear_x, shear_y = torch.broadcast_tensors(_as_tensor(shear_x), _as_tensor(shear_y))
    zero, one = torch.zeros_like(shear_x), torch.ones_like(shear_x)
    return _homogeneous(one, shear_x, zero, shear_y, one, zero)


def translation(right, up) -> Tensor:
    """Moves by `right` pixels along x and `up` pixels along y; numbers or (B,) tensors."""
    right, up = torch.broadcast_tensors(_as_tensor(right), _as_tensor(up))
    zero, one = torch.zeros_like(right), torch.ones_like(right)
    return _homogeneous(one, zero, right, zero, one, up)


def flip_horizontal() -> Tensor:
    """Mirrors left and right: x -> -x, as a (3, 3) matrix of determinant -1."""
    return scaling(-1.0, 1.0)


def flip_vertical() -> Tensor:
    """Mirrors top and bottom: y -> -y, as a (3, 3) matrix of determinant -1."""
    return scaling(1.0, -1.0)


def square(matrix: Tensor) -> Tensor:
    """The homogeneous 3x3 form of a (..., 2, 3) or (..., 3, 3) matrix."""
    if matrix.shape[-2:] == (3, 3):
        return matrix
    if matrix.shape[-2:] != (2, 3):
        raise ValueError(f"An affine map is a 2x3 or 3x3 matrix; this one has shape {tuple(matrix.shape)}.")
    last = matrix.new_tensor([0.0, 0.0, 1.0]).expand(*matrix.shape[:-2], 1, 3)
    return torch.cat([matrix, last], dim=-2)


def compose(*matrices: Tensor) -> Tensor:
    """The one map that does all the given ones, the first given first: compose(A, B) = B @ A, of shape (..., 3, 3)."""
    result = square(matrices[0])
    for matrix in matrices[1:]:
        result = square(matrix).to(result.dtype) @ result
    return result


def invert(matrix: Tensor) -> Tensor:
    """The map that undoes a (..., 2, 3) or (..., 3, 3) affine map; raises ValueError when the map flattens the plane."""
    (a, b, right), (c, d, up) = (row.unbind(-1) for row in square(matrix)[..., :2, :].unbind(-2))
    determinant = a * d - b * c
    if not determinant.abs().gt(1e-12).all():
        raise ValueError("This map has determinant 0: it flattens the plane and has no inverse.")
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    return _homogeneous(a, b, -(a * right + b * up), c, d, -(c * right + d * up))


def apply_to_points(matrix: Tensor, points: Tensor) -> Tensor:
    """Maps points (..., n, 2), given as (x, y) in pixels from the centre, y up."""
    linear, shift = matrix[..., :2, :2], matrix[..., :2, 2]
    return points @ linear.transpose(-1, -2) + shift.unsqueeze(-2)


def warp(images: Tensor, matrix: Tensor, *, mode: str = "bilinear", padding: str = "zeros") -> Tensor:
    """Moves images by affine maps: the value at output pixel q is read at matrix^-1 q, between pixels by interpolation.

    images: (B, C, H, W) or (C, H, W), float (differentiable) or whole numbers (rounded back). matrix: (2, 3), (3, 3) or one per
    image, (B, 2, 3) or (B, 3, 3), in pixels from the centre with y up. mode: "bilinear", "nearest" or "bicubic";
    padding: what is read outside of the image: "zeros", "border" and "reflection" as in torch's grid_sample, or "background",
    the median colour of the image's own border. Runs on the images' device; raises ValueError for a map without inverse.
    """
    if images.ndim == 3:
        return warp(images[None], matrix, mode=mode, padding=padding)[0]
    if images.ndim != 4:
        raise ValueError(f"Images have the shape (B, C, H, W) or (C, H, W); these have {tuple(images.shape)}.")
    batch, _, height, width = images.shape
    if matrix.ndim == 3 and len(matrix) not in (1, batch):
        raise ValueError(f"There are {batch} images but {len(matrix)} matrices; give one matrix, or one per image.")
    if not images.is_floating_point():
        # Whole numbers of many digits, such as labels of pixels, need more than float32 has; Apple's GPUs have no float64.
        long = images.dtype in (torch.int32, torch.int64) and images.device.type != "mps"
        moved = warp(images.to(torch.float64 if long else torch.float32), matrix, mode=mode, padding=padding)
        bounds = torch.iinfo(torch.uint8 if images.dtype == torch.bool else images.dtype)
        return moved.round_().clamp_(bounds.min, bounds.max).to(images.dtype)
    if padding == "background":
        # Zeros are read outside: with the background taken off before and put back after, they are the background.
        edges = [images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]]  # each (B, C, W or H)
        background = torch.cat(edges, dim=-1).median(dim=-1).values[..., None, None]  # (B, C, 1, 1)
        return warp(images - background, matrix, mode=mode) + background
    back = invert(matrix.to(torch.promote_types(matrix.dtype, torch.float32))).to(images)  # (B or none, 3, 3)
    back = back.expand(batch, 3, 3)
    # Normalised coordinates run from -1 to 1 over the whole image, y down: n = (2 x / W, -2 y / H).
    x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2  # (W,)
    y = (height - 1) / 2 - torch.arange(height, device=images.device, dtype=images.dtype)  # (H,)
    rows = back[:, :2] * back.new_tensor([[2 / width], [-2 / height]])  # (B, 2, 3): rows give n_x and n_y
    along_x = rows[:, None, :, 0] * x[:, None]  # (B, W, 2)
    along_y = rows[:, None, :, 1] * y[:, None] + rows[:, None, :, 2]  # (B, H, 2)

    def sample(part: slice) -> Tensor:
        grid = along_y[part, :, None] + along_x[part, None, :]  # (b, H, W, 2)
        return F.grid_sample(images[part], grid, mode=mode, padding_mode=padding, align_corners=False)

    size = max(1, CACHE_VALUES // (2 * height * width)) if images.device.type == "cpu" else batch
    if size >= batch:
        return sample(slice(None))
    return torch.cat([sample(slice(start, start + size)) for start in range(0, batch, size)])


def padding_for(images: Tensor) -> str:
    """What `warp` should read outside of images (..., C, H, W): grey ones lie on black in this course, colour ones on any."""
    return "zeros" if images.shape[-3] == 1 else "background"


def random_affine(
    batch: int,
    *,
    degrees: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear: float = 0.0,
    shift: tuple[float, float] | float = 0.0,
    flip: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One random affine map per image, (batch, 3, 3), on the CPU: flip, then scale, shear, rotation, shift.

    degrees, shear: drawn uniformly from minus to plus that value; scale: log-uniform from its range, the same along both
    axes; shift: pixels along x and y (a number: both); flip: probability of a left-right flip.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator)

    theta = uniform(-1, 1) * math.radians(degrees)
    factor = uniform(math.log(scale[0]), math.log(scale[1])).exp()
    lean = uniform(-1, 1) * shear
    shift_x, shift_y = shift if isinstance(shift, tuple) else (shift, shift)
    right, up = uniform(-1, 1) * shift_x, uniform(-1, 1) * shift_y
    mirror = 1 - 2 * (torch.rand(batch, generator=generator) < flip).float()
    cos, sin = theta.cos() * factor, theta.sin() * factor
    # R(theta) @ shear @ scale @ flip, written out
    return _homogeneous(cos * mirror, cos * lean - sin, right, sin * mirror, sin * lean + cos, up)


# --- D4: the eight ways to lay a square on itself, without resampling. An element is (quarter_turns, flipped): flip left
# --- and right first when `flipped`, then turn counter-clockwise by quarter_turns * 90 degrees.

D4 = tuple((turns, flipped) for flipped in (False, True) for turns in range(4))


def d4_apply(images: Tensor, element: tuple[int, bool]) -> Tensor:
    """Lays images (..., H, W) on themselves by one element of D4; every pixel value is kept exactly."""
    turns, flipped = _d4_element(element)
    return torch.rot90(images.flip(-1) if flipped else images, turns, dims=(-2, -1))


def d4_compose(first: tuple[int, bool], then: tuple[int, bool]) -> tuple[int, bool]:
    """The element that does `first` and after it `then`: a flip turns the quarter turns before it around."""
    (turns_1, flipped_1), (turns_2, flipped_2) = _d4_element(first), _d4_element(then)
    return (turns_2 + (-turns_1 if flipped_2 else turns_1)) % 4, flipped_1 != flipped_2


def d4_invert(element: tuple[int, bool]) -> tuple[int, bool]:
    """The element that undoes the given one; every flipped element undoes itself."""
    turns, flipped = _d4_element(element)
    return (turns if flipped else -turns % 4), flipped


def d4_matrix(element: tuple[int, bool]) -> Tensor:
    """The element as a (3, 3) matrix of whole numbers."""
    turns, flipped = _d4_element(element)
    cos, sin = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[turns]
    mirror = -1.0 if flipped else 1.0
    return torch.tensor([[cos * mirror, -sin, 0.0], [sin * mirror, cos, 0.0], [0.0, 0.0, 1.0]])


def d4_each(images: Tensor, elements: Tensor) -> Tensor:
    """Applies to each square image of (B, C, S, S) its own element, given by its index in `D4`: elements is (B,), 0..7."""
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"D4 lays squares on themselves; these images are {images.shape[-2]} x {images.shape[-1]}.")
    result = torch.empty_like(images)
    for index, element in enumerate(D4):
        chosen = (elements == index).to(images.device)
        result[chosen] = d4_apply(images[chosen], element)
    return result


def _d4_element(element: tuple[int, bool]) -> tuple[int, bool]:
    turns, flipped = element
    return int(turns) % 4, bool(flipped)


def _as_tensor(value) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.get_default_dtype())


def _homogeneous(a, b, right, c, d, up) -> Tensor:
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    a, b, right, c, d, up = torch.broadcast_tensors(a, b, right, c, d, up)
    rows = torch.stack([a, b, right, c, d, up, zero.expand_as(a), zero.expand_as(a), one.expand_as(a)], dim=-1)
    return rows.unflatten(-1, (3, 3))
