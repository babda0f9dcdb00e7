"""A GPU that is only pretended: its tensors lie on the CPU and say that they do not.

So a machine without one runs what is written for a GPU: `pretend("cuda")` or `pretend("mps")` makes torch believe in it.
Every operation is computed on the CPU, and what a real device refuses is refused: tensors of two devices in one operation, a
generator of another device, reading values without a copy to the CPU, and on mps float64. It says nothing about speed, memory,
rounding, autocast, or operations that a device lacks.
"""

import contextlib
import functools
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BETWEEN = {"copy_", "_to_copy", "set_"}  # operations that may have tensors of two devices
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}  # also by numbers that lie on the CPU
# These, and whatever is pointwise, also take a single number of the CPU.
TAKE_NUMBERS = {"where", "masked_fill", "masked_fill_", "fill", "fill_"}
WIDE = (torch.float64, torch.complex128)

_there: dict[int, StorageWeakRef] = {}  # the memory, by address, that counts as the device's
_room = 1000


def is_here(kind: str) -> bool:
    """Whether this machine really has such a device."""
    return {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}[kind]()


@contextlib.contextmanager
def pretend(kind: str = "cuda") -> Iterator[None]:
    """Meanwhile torch has one device of this kind, "cuda" or "mps"."""
    import torch._dynamo  # noqa: F401  its start would meet what is pretended

    torch.utils._device._device_constructors()  # remembers torch's own functions
    mode = Watch(torch.device(kind, 0))
    with contextlib.ExitStack() as stack:
        for owner, name, value in (*_tensors(mode), *(_cuda() if kind == "cuda" else _mps())):
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(mode)
        yield


class Watch(TorchDispatchMode):
    """Looks at every operation: where its inputs are, and so where its outputs are."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.backwards: set[int] = set()  # the numbers of the backward passes that met the device

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        name = function.name().removeprefix("aten::").split(".")[0]
        there = [is_there(tensor) for tensor in tensors]
        goal, backward = any(there), torch._C._current_graph_task_id()
        if goal and not all(there) and backward == -1:
            _refuse_mixture(function, name, args, tensors)
        if (asked := kwargs.get("device")) is not None:
            goal = self.is_meant(asked)
            kwargs["device"] = torch.device("cpu") if goal else asked
        elif name == "copy_":
            goal = there[0]
        if backward != -1:  # torch's own code, which makes new tensors where the others really are
            self.backwards |= {backward} if any(there) else set()
            goal = goal or backward in self.backwards
        if goal and (generator := kwargs.get("generator")) is not None and not self.is_meant(generator.device):
            found = generator.device.type
            raise RuntimeError(f"Expected a {self.device.type!r} device type for generator but found {found!r} ({name})")
        found = function(*args, **kwargs)
        if goal and name != "_local_scalar_dense":
            for value in tree_leaves(found):
                if isinstance(value, Tensor):
                    self.put_there(value)
        return found

    def is_meant(self, device) -> bool:
        return torch.device(device).type == self.device.type

    def put_there(self, tensor: Tensor) -> Tensor:
        if self.device.type == "mps" and tensor.dtype in WIDE:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
        _mark(tensor.untyped_storage())
        return tensor

    def moved(self, tensor: Tensor, goal: bool) -> Tensor:
        """A copy on the device, or on the CPU."""
        with torch.utils._python_dispatch._disable_current_modes():
            copy = tensor.clone()
        return self.put_there(copy) if goal else copy


class Moved(torch.autograd.Function):
    """`Watch.moved`; the gradient goes the other way."""

    @staticmethod
    def forward(ctx, tensor: Tensor, mode: Watch, goal: bool) -> Tensor:
        ctx.mode, ctx.goal = mode, goal
        return mode.moved(tensor, goal)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return ctx.mode.moved(gradient, not ctx.goal), None, None


def is_there(tensor: Tensor) -> bool:
    """Whether a tensor is on the pretended device; its views share its memory, and so are there too."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor.layout == torch.strided and tensor.untyped_storage()._cdata in _there


def _mark(storage: torch.UntypedStorage) -> None:
    """A weak reference keeps an address from being used again; those to memory that is gone are dropped now and then."""
    global _room
    if len(_there) >= _room:
        for address in [address for address, memory in _there.items() if memory.expired()]:
            del _there[address]
        _room = 1000 + 2 * len(_there)
    _there[storage._cdata] = StorageWeakRef(storage)


def _refuse_mixture(function, name: str, args: tuple, tensors: list[Tensor]) -> None:
    checked = tensors
    if name in INDEXING and is_there(args[0]):
        checked = [value for value in args[2:3] if isinstance(value, Tensor)]  # what is put in
    elif name == "native_batch_norm":  # vmap makes a weight and a bias of its own for it
        checked = [args[0], *args[3:5]]
    others = [tensor for tensor in checked if not is_there(tensor)]
    takes_numbers = torch.Tag.pointwise in function.tags or name in TAKE_NUMBERS | INDEXING
    if others and name not in BETWEEN and not (takes_numbers and all(tensor.dim() == 0 for tensor in others)):
        where = ", ".join(f"{tuple(tensor.shape)} on {tensor.device}" for tensor in tensors)
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices! ({name}: {where})")


def _tensors(mode: Watch) -> Iterator[tuple[object, str, object]]:
    """What tensors say and do about devices, as (class or module, name, value)."""
    real = {name: getattr(Tensor, name) for name in ("device", "to", "numpy", "__array__", "__dlpack__")}
    copied = torch.UntypedStorage.__deepcopy__

    def to(tensor, *args, **kwargs):
        names = ("device", "dtype", "non_blocking", "copy")
        if args and isinstance(args[0], Tensor):
            args = (args[0].device, args[0].dtype, *args[1:])
        elif args and isinstance(args[0], torch.dtype):
            names = names[1:]
        given = dict(zip(names, args, strict=False)) | kwargs
        asked = given.pop("device", None)
        asked = tensor.device if asked is None else torch.device(asked)
        if asked.type != "cpu" and not mode.is_meant(asked):
            given["device"] = asked
        goal = mode.is_meant(asked)
        tensor = real["to"](tensor, **{name: value for name, value in given.items() if value is not None})
        return tensor if goal == is_there(tensor) else Moved.apply(tensor, mode, goal)

    def read(name, tensor, *args, **kwargs):
        if is_there(tensor):
            raise TypeError(f"can't convert {mode.device} device type tensor to numpy. Use Tensor.cpu() first.")
        return real[name](tensor, *args, **kwargs)

    def made(make, data, *, dtype=None, device=None, **options):
        tensor = make(data, dtype=dtype, **options) if device is None else to(make(data, dtype=dtype), device)
        return tensor.requires_grad_() if options.get("requires_grad") else tensor

    def like(tensor, data, dtype=None, device=None):
        return torch.tensor(data, dtype=dtype or tensor.dtype, device=device or tensor.device)

    def copy_of(storage, memo):
        copy = copied(storage, memo)
        if storage._cdata in _there:
            _mark(copy)
        return copy

    yield Tensor, "device", property(lambda tensor: mode.device if is_there(tensor) else real["device"].__get__(tensor))
    for kind in ("cpu", "cuda", "mps"):
        yield Tensor, f"is_{kind}", property(lambda tensor, kind=kind: tensor.device.type == kind)
    yield Tensor, "to", to
    yield Tensor, "cpu", lambda tensor, **options: to(tensor, "cpu")
    yield Tensor, "cuda", lambda tensor, device=None, **options: to(tensor, "cuda")
    yield Tensor, "pin_memory", lambda tensor, device=None: tensor
    yield Tensor, "new_tensor", like
    for name in ("numpy", "__array__", "__dlpack__"):
        yield Tensor, name, lambda *args, name=name, **kwargs: read(name, *args, **kwargs)
    for name in ("tensor", "as_tensor"):
        yield torch, name, functools.partial(made, getattr(torch, name))
    yield torch.nn.functional, "one_hot", one_hot
    yield torch.UntypedStorage, "__deepcopy__", copy_of


def one_hot(classes: Tensor, num_classes: int = -1) -> Tensor:
    """torch's makes its zeros where the numbers really are."""
    width = int(classes.max()) + 1 if num_classes < 0 else num_classes
    return torch.zeros(*classes.shape, width, dtype=torch.long, device=classes.device).scatter_(-1, classes[..., None], 1)


def _cuda() -> Iterator[tuple[object, str, object]]:
    torch._C._ensureCUDADeviceGuardSet()  # one that does nothing where there is no GPU
    card = SimpleNamespace(name="a pretended GPU", total_memory=8 * 2**30, major=8, minor=0)
    answers = {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_properties": card,
        "get_device_name": card.name,
        "get_device_capability": (card.major, card.minor),
        "mem_get_info": (card.total_memory // 2, card.total_memory),
        "is_bf16_supported": True,
        "get_rng_state": torch.zeros(16, dtype=torch.uint8),
    }
    silent = ("set_device", "set_rng_state", "manual_seed", "manual_seed_all", "synchronize", "empty_cache", "_lazy_init")
    for name, answer in (answers | dict.fromkeys(silent)).items():
        yield torch.cuda, name, lambda *args, answer=answer, **kwargs: answer


def _mps() -> Iterator[tuple[object, str, object]]:
    for name in ("is_available", "is_built"):
        yield torch.backends.mps, name, lambda: True
    yield torch.mps, "manual_seed", lambda seed: None
