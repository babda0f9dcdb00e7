"""Small networks for small images: a plain convolutional net, a residual net, and two encoders, which give features."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class _FilteredImage(torch.autograd.Function):
    """F.conv2d whose gradient with respect to the image is a matrix product and a fold.

    A convolution is a matrix product with the image's patches, so its gradient is the transposed product, whose columns
    F.fold adds up where patches overlap. On a CPU the library's own way is several times slower for images of few channels.
    """

    @staticmethod
    def forward(ctx, image: Tensor, weight: Tensor, stride: tuple, padding: tuple) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(image, weight, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple:
        image, weight = ctx.saved_tensors
        image_gradient = weight_gradient = None
        # Under autocast the gradient may be bfloat16 where image and weight are float32: compute in its type, return in theirs.
        if ctx.needs_input_grad[0]:
            columns = weight.to(gradient.dtype).flatten(1).T @ gradient.flatten(2)  # (B, channels k k, patches)
            folded = F.fold(columns, image.shape[2:], weight.shape[2:], padding=ctx.padding, stride=ctx.stride)
            image_gradient = folded.to(image.dtype)
        if ctx.needs_input_grad[1]:
            image = image.to(gradient.dtype)
            weight_gradient = nn.grad.conv2d_weight(image, weight.shape, gradient, stride=ctx.stride, padding=ctx.padding)
            weight_gradient = weight_gradient.to(weight.dtype)
        return image_gradient, weight_gradient, None, None


class ImageConv2d(nn.Conv2d):
    """The first convolution of a network, whose gradient with respect to the image is fast on a CPU.

    Attacks compute this gradient at every step; ordinary training never does, and uses the library's convolution here too.
    """

    def forward(self, image: Tensor) -> Tensor:
        if image.requires_grad and image.device.type == "cpu":
            return _FilteredImage.apply(image, self.weight, self.stride, self.padding)
        return super().forward(image)


def conv_net(classes: int, *, size: int = 28, channels: int = 1, width: int = 16, depth: int = 3) -> nn.Sequential:
    """Three convolutions with batch norm, pooling and ReLU between them, then one linear layer.

    Takes float images (B, channels, size, size) in 0..1, returns logits (B, classes).

    Args:
        classes: how many.
        size: pixels a side.
        channels: of the images.
        width: channels after the first convolution; the later ones have two and four times as many.
        depth: convolutions, three or more; those behind the third are like it and without pooling.
    """

    def stage(before: int, after: int, *pool: nn.Module, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
        kind = ImageConv2d if before == channels else nn.Conv2d
        # No bias: the batch norm that follows would subtract it.
        convolution = kind(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
        # Pooling and ReLU give the same in either order, and after pooling there is a quarter to do.
        return [convolution, nn.BatchNorm2d(after), *pool, nn.ReLU()]

    # The first convolution halves larger images, which makes a training step on a CPU twice as fast at no visible loss.
    kernel, stride = (5, 2) if size > 16 else (3, 1)
    side = -(-size // stride) // 4
    network = nn.Sequential(
        *stage(channels, width, nn.MaxPool2d(2), kernel=kernel, stride=stride),
        *stage(width, 2 * width, nn.MaxPool2d(2)),
        *stage(2 * width, 4 * width),
        *(layer for _ in range(depth - 3) for layer in stage(4 * width, 4 * width)),
        nn.Flatten(),
        nn.Linear(4 * width * side**2, classes),
    )
    return network.to(memory_format=torch.channels_last)  # convolutions are faster in this layout


def conv_net_for(images: Tensor, classes: int, **options: int) -> nn.Sequential:
    """A `conv_net` of the size and the channels of these images (N, channels, size, size); options: its width and depth."""
    return conv_net(classes, size=images.shape[-1], channels=images.shape[1], **options)


class ResidualBlock(nn.Module):
    """x + F(x), F = convolution, batch norm, ReLU, convolution, batch norm (He et al. 2016, CVPR)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        # A 1 x 1 convolution fits the input to the new shape; where the shape stays, x itself is added.
        same_shape = before == after and stride == 1
        self.shortcut = nn.Identity() if same_shape else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.residual(x)).relu()


def residual_net(classes: int, *, channels: int = 3, width: int = 16) -> nn.Sequential:
    """A residual network of eight layers: float images (B, channels, H, W), from 16 x 16 up, to logits (B, classes)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        ResidualBlock(width, width, 1),
        ResidualBlock(width, 2 * width, 2),
        ResidualBlock(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, classes),
    )


def conv4(*, channels: int = 1, width: int = 64) -> nn.Sequential:
    """The encoder of the few-shot papers: four times convolution, batch norm, pooling, ReLU (Vinyals et al. 2016, NeurIPS).

    The papers pool last, which gives the same.

    Takes float images (B, channels, size, size) in 0..1, returns features (B, width * (size // 16)^2): (B, width) at 28 x 28.
    """
    layers: list[nn.Module] = []
    for before in (channels, width, width, width):
        layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.MaxPool2d(2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten()).to(memory_format=torch.channels_last)


class GlobalAveragePool(nn.Module):
    """The mean of every channel over the image: (B, C, H, W) -> (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def encoder_net(*, channels: int = 1, width: int = 16, features: int = 64) -> nn.Sequential:
    """Four convolutions like `conv4` at a fraction of its cost.

    Takes float images (B, channels, size, size) in 0..1 from 16 x 16 up, returns features (B, features).
    """

    def stage(before: int, after: int, *pool: nn.Module, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
        # Pooling before the batch norm leaves a quarter of the values to normalise.
        return [convolution, *pool, nn.BatchNorm2d(after), nn.ReLU()]

    network = nn.Sequential(
        *stage(channels, width, kernel=5, stride=2),  # halves the image at once
        *stage(width, 2 * width, nn.MaxPool2d(2)),
        *stage(2 * width, 4 * width, nn.MaxPool2d(2)),
        *stage(4 * width, features),
        GlobalAveragePool(),  # it hardly matters where in the image something is
    )
    return network.to(memory_format=torch.channels_last)
