"""Several processes, as `accelerate launch` and torchrun start them: rank, world size, and the messages between them.

Every process works on its share of each batch. The gradients are then averaged over all processes, so that each takes the same
step with the same weights. With one process every function here does nothing.

accelerate finds the device and the other processes. Its `prepare` is not used: it wraps the model in torch's
DistributedDataParallel, which averages gradients by itself, provided that each backward pass follows one call of the wrapper.
Losses of this course call the model many times in a step (attacks, TRADES) or go around it with weights of their
own (MAML). The wrapper also renames the weights, so that two processes would save other files than one. It is better at
large networks, since it sends gradients while others are still computed; with ours, one message at the end was as fast
(docs/several_machines.md).
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from .. import runtime
from ..errors import CourseError
from ..languages import say
from ..runtime import world_size

PRECISIONS = ("no", "bf16", "fp16")
PATIENCE = 15.0  # seconds
MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # where accelerate looks for a number of processes


def accelerator(precision: str = "no", device: str = "auto") -> Accelerator:
    """An Accelerator for this precision and device; with several processes it joins the others.

    Raises ValueError for an unknown precision, CourseError for "fp16" without a GPU.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; choose one of {', '.join(PRECISIONS)}.")
    setting = runtime.current()
    chosen = runtime.choose_device(setting.device if device == "auto" and setting.chapter else device)
    if precision == "fp16" and chosen == "cpu":
        raise CourseError(say("precision 'fp16' needs a GPU; choose 'bf16' or 'no' on the CPU."))
    # The library keeps one precision and one device per Python process and refuses a second; a notebook trains with several.
    # Among several processes the connection to the others is part of that state and must stay.
    AcceleratorState._reset_state(reset_partial_state=world_size() == 1)
    with _patience():
        return Accelerator(mixed_precision=precision, cpu=chosen == "cpu")


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """For the time in which processes find each other: says what it waits for, and hides MPI's variables from one alone."""
    if world_size() == 1:
        # A notebook inside a job of MPI has them, but nobody started others for its trainings.
        hidden = {name: os.environ.pop(name) for name in MPI if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(hidden)
        return
    words = say(
        "Waiting for the other processes, {count} in all (WORLD_SIZE). If you started only this one, interrupt it and unset "
        "WORLD_SIZE, RANK and MASTER_ADDR.",
        count=world_size(),
    )
    timer = threading.Timer(PATIENCE, print, [words], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def rank_and_world_size(device: str) -> tuple[int, int]:
    """This process's number, counted from 0, and how many there are."""
    if world_size() == 1:
        return 0, 1
    state = accelerator(device=device)
    return state.process_index, state.num_processes


def all_reduce_mean(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by its mean over all processes."""
    tensors = list(tensors)
    if world_size() == 1 or not tensors:
        return
    # One message for all: a message costs a round trip however short it is, and a network has many small tensors.
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view(tensor.shape))


def all_reduce_gradients(model: nn.Module) -> None:
    """Averages a model's gradients over all processes; call it between the backward pass and the optimizer's step.

    Buffers of floats, such as the running means of a batch norm, are averaged too.
    """
    if world_size() > 1:
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        # Each process has counted its own share in its buffers; without this the models would drift apart in evaluation mode.
        all_reduce_mean([*gradients, *(buffer for buffer in model.buffers() if buffer.is_floating_point())])


def broadcast_parameters(model: nn.Module) -> None:
    """Gives the model of every process the weights and buffers that it has in the first one."""
    if world_size() > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            first = tensor.detach().contiguous()  # channels_last weights are not, and would be sent in another order
            dist.broadcast(first, 0)
            tensor.data.copy_(first)


def all_gather(rows: Tensor) -> Tensor:
    """The rows (n, ...) of all processes, in the order of the processes: (world size * n, ...).

    Every process must give as many rows. Gradients flow back to the process that a row came from, as those of the sum of all
    processes' losses.
    """
    return _AllGather.apply(rows) if world_size() > 1 else rows


class _AllGather(torch.autograd.Function):
    """dist.all_gather has no gradient: the rows of the others would be constants, as if they were not being learned."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        # Each process's loss depends on all rows: sum what they say about them, then keep what concerns our own rows.
        whole = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole.chunk(dist.get_world_size())[dist.get_rank()]
