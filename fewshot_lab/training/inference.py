"""A trained network at work: its outputs for many images, in evaluation mode."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .. import runtime


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Sets a model to evaluation mode (no dropout, batch norms use their running statistics) for the lines under `with`.

    Afterwards every module is back in the mode that it had: `model.train()` would also wake those that were frozen on purpose.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, training in modes:
            module.training = training


def outputs(model: nn.Module, images: Tensor, batch_size: int | None = None, device: str | None = None) -> Tensor:
    """The model's outputs (N, ...) for images, on the CPU, computed in evaluation mode and without gradients.

    Args:
        model: every part of it is back in its former mode afterwards.
        images: (N, ...); uint8 is scaled to 0..1 batch by batch.
        batch_size: None is 64 on a CPU, whose cache then holds the features (twice as fast as 512), and 512 elsewhere.
        device: the model is moved there; None leaves it where it is.
    """
    images = torch.as_tensor(images)
    if device is not None:
        model.to(runtime.choose_device(device))
    here = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    batch_size = batch_size or (64 if here.type == "cpu" else 512)
    results = []
    with eval_mode(model), torch.inference_mode():
        for batch in images.split(batch_size):
            batch = batch.to(here, non_blocking=True)
            results.append(model(batch.float().div_(255) if batch.dtype == torch.uint8 else batch))
    return torch.cat(results).cpu()
