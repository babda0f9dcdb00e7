"""Several processes, as `accelerate launch` and torchrun start them: who is who, and what they tell one another.

Every process works on its share of each batch. The gradients are then averaged over all processes, so that each takes the same
step with the same weights. Everything here does nothing when there is one process.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from .. import runtime
from ..errors import CourseError
from ..runtime import world_size

PRECISIONS = ("no", "bf16", "fp16")


def accelerator(precision: str = "no", device: str = "auto") -> Accelerator:
    """An Accelerator for this precision and device: it knows this process's number and device, and joins the others.

    The library allows one kind per process, so its state is reset first. Raises ValueError for an unknown precision,
    CourseError for "fp16" without a GPU.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; choose one of {', '.join(PRECISIONS)}.")
    setting = runtime.current()
    chosen = runtime.choose_device(setting.device if device == "auto" and setting.chapter else device)
    if precision == "fp16" and chosen == "cpu":
        raise CourseError("precision 'fp16' needs a GPU; choose 'bf16' or 'no' on the CPU.")
    AcceleratorState._reset_state(reset_partial_state=world_size() == 1)
    return Accelerator(mixed_precision=precision, cpu=chosen == "cpu")


def rank_and_world_size(device: str) -> tuple[int, int]:
    """This process's number, from 0, and how many there are, once they have found one another."""
    if world_size() == 1:
        return 0, 1
    state = accelerator(device=device)
    return state.process_index, state.num_processes


def all_reduce_mean(tensors: Iterable[Tensor]) -> None:
    """Puts the mean over all processes in the place of each tensor; all of them travel in one message."""
    tensors = list(tensors)
    if world_size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view(tensor.shape))


def all_reduce_gradients(model: nn.Module) -> None:
    """Averages a model's gradients and what its layers count in a forward pass, such as the means of a batch norm.

    Call it between backward and the optimizer's step: after the step the model is the same in every process.
    """
    if world_size() > 1:
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        all_reduce_mean([*gradients, *(buffer for buffer in model.buffers() if buffer.is_floating_point())])


def broadcast_parameters(model: nn.Module) -> None:
    """Gives a model the weights and buffers that it has in the first process."""
    if world_size() > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            first = tensor.detach().contiguous()
            dist.broadcast(first, 0)
            tensor.data.copy_(first)


def all_gather(rows: Tensor) -> Tensor:
    """The rows (n, ...) of all processes, one process after the other: (processes * n, ...). Gradients flow back to each.

    Every process must give as many. With several processes the gradient is that of the sum of all processes' losses.
    """
    return _AllGather.apply(rows) if world_size() > 1 else rows


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        whole = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole.chunk(dist.get_world_size())[dist.get_rank()]
