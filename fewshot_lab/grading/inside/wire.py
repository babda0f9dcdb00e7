"""The messages between grader and sandbox: values as plain bytes, never pickles, which run code when they are loaded.

A message is a frame: 4 bytes n, n bytes of JSON, then the raw bytes of its arrays. In the JSON a tensor is {"t": "float32",
"shape": [2, 3], "at": 0, ...}; lists, tuples, dictionaries, generators and the registered things have a tag of their own.
Both sides load this file, so it imports nothing of ours.
"""

import json
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch

LARGEST_FRAME = 64 * 2**20  # a hostile answer must not fill the grader's memory
DEEPEST = 20  # nor exhaust its stack
MOST_VALUES = 500_000  # nor hold it up: numbers, texts and containers in a message
MOST_KEYS = 20_000  # in one set or dictionary, where equal hashes would take the square of it
LARGEST_KEY = 2**53  # whole numbers whose hashes differ
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16)
} | {"int8": torch.int8, "uint8": torch.uint8, "bool": torch.bool}
_THINGS: dict[str, type] = {}


class WireError(Exception):
    """A value cannot be sent, or the bytes received are no message."""


def thing(cls: type) -> type:
    """Registers a dataclass whose instances may be sent, by its name and its fields."""
    _THINGS[cls.__name__] = cls
    return cls


def pack(value) -> bytes:
    """A value as one frame; raises WireError for a type that cannot be sent and for more than 64 MiB."""
    blobs: list[bytes] = []
    tree = json.dumps(_encode(value, blobs, 0)).encode()
    frame = b"".join([struct.pack("!II", len(tree), sum(map(len, blobs))), tree, *blobs])
    if len(frame) > LARGEST_FRAME:
        raise WireError(f"the value has {len(frame) / 2**20:.0f} MiB; {LARGEST_FRAME / 2**20:.0f} are the most")
    return frame


def unpack(tree: bytes, blobs: bytes):
    """The value in the two parts of a frame; raises WireError for anything that `pack` does not produce."""
    try:
        return _Decoder(memoryview(blobs)).decode(json.loads(tree), 0)
    except WireError:
        raise
    except Exception as error:  # any damage: a missing key, a wrong type, bytes that are no JSON
        raise WireError(f"no message ({type(error).__name__}: {error})") from error


def send(stream, value) -> None:
    """Writes one frame into a binary stream."""
    stream.write(pack(value))
    stream.flush()


def receive(stream):
    """Reads one frame; raises EOFError when the stream ends, WireError for a frame that is too large or no message."""
    # The sizes are checked before anything is read: the announcement alone could ask for 8 GiB.
    sizes = _exactly(stream, 8)
    tree, blobs = struct.unpack("!II", sizes)
    if tree + blobs > LARGEST_FRAME:
        raise WireError(f"a message of {(tree + blobs) / 2**20:.0f} MiB was announced")
    return unpack(_exactly(stream, tree), _exactly(stream, blobs))


def _exactly(stream, count: int) -> bytes:
    parts = []
    while count:
        part = stream.read(min(count, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _encode(value, blobs: list[bytes], depth: int):
    if depth > DEEPEST:
        raise WireError(f"the value is nested more than {DEEPEST} deep")
    kind = type(value)  # not isinstance: a subclass of int or str could bring methods of its own
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (Fraction, Decimal):  # a check in the notebook takes any number
        return float(value)
    if isinstance(value, torch.Tensor):
        return _array("t", value, blobs)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biuf":
            raise WireError(f"an array of type {value.dtype} does not travel")
        tag = "a" if isinstance(value, np.ndarray) else "n"
        return _array(tag, torch.from_numpy(np.array(value)), blobs)  # a copy: contiguous and writable
    if isinstance(value, torch.Generator):
        return {"g": _encode(value.get_state(), blobs, depth + 1)}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if kind in (list, tuple) or isinstance(value, tuple):
        return {"l" if kind is list else "u": [_encode(item, blobs, depth + 1) for item in value]}
    if isinstance(value, set | frozenset):
        return {"s": [_encode(item, blobs, depth + 1) for item in sorted(value, key=repr)]}
    if isinstance(value, dict):
        return {"d": [[_encode(k, blobs, depth + 1), _encode(v, blobs, depth + 1)] for k, v in value.items()]}
    if kind in _THINGS.values():
        return {"thing": kind.__name__, "fields": _encode(dict(vars(value)), blobs, depth + 1)}
    raise WireError(f"a {kind.__name__} does not travel")


def _array(tag: str, tensor: torch.Tensor, blobs: list[bytes]) -> dict:
    # The base class's methods: a subclass that an answer returns could override its own.
    plain = torch.Tensor.detach(tensor).cpu().contiguous().as_subclass(torch.Tensor)
    name = str(plain.dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise WireError(f"a tensor of type {name} does not travel")
    # NumPy has no bfloat16, so its bits travel as int16.
    data = (plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy().tobytes()
    entry = {tag: name, "shape": list(plain.shape), "at": sum(map(len, blobs)), "bytes": len(data)}
    if tensor.requires_grad:
        entry["grad"] = True
    blobs.append(data)
    return entry


class _Decoder:
    """Reads the values of one frame. Its arrays lie one behind the other, so that no byte is decoded twice."""

    def __init__(self, blobs: memoryview):
        self.blobs, self.read, self.values = blobs, 0, 0

    def decode(self, tree, depth: int):
        self.values += 1
        if depth > DEEPEST or self.values > MOST_VALUES:
            raise WireError("nested too deep, or too many values")
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                raise WireError("a list without its mark")
            return tree
        tag = next(iter(tree))
        content = tree[tag]
        match tag:
            case "t" | "a" | "n":
                return self.array(tag, tree)
            case "l":
                return [self.decode(item, depth + 1) for item in content]
            case "u":
                return tuple(self.decode(item, depth + 1) for item in content)
            case "s":
                return {_key(self.decode(item, depth + 1)) for item in _few(content)}
            case "d":
                return {_key(self.decode(k, depth + 1)): self.decode(v, depth + 1) for k, v in _few(content)}
            case "g":
                generator = torch.Generator()
                generator.set_state(self.decode(content, depth + 1))
                return generator
            case "device":
                return torch.device(content)
            case "thing":
                return _THINGS[content](**self.decode(tree["fields"], depth + 1))
        raise WireError(f"an unknown mark {tag!r}")

    def array(self, tag: str, tree: dict):
        # Every number here comes from the other side: all are checked against the bytes that are there before any is used.
        shape, start, size = tree["shape"], tree["at"], tree["bytes"]
        if (
            not all(type(n) is int and n >= 0 for n in [*shape, start, size])
            or start + size > len(self.blobs)
            or len(shape) > 16
        ):
            raise WireError("an array that is not there")
        if start != self.read:
            raise WireError("an array out of its place")
        self.read += size
        dtype = _DTYPES[tree[tag]]
        count = 1
        for n in shape:
            count *= n
        if count * dtype.itemsize != size:
            raise WireError("an array whose shape and size differ")
        stored = torch.int16 if dtype == torch.bfloat16 else dtype
        # bytearray makes a copy that may be written to; frombuffer refuses an empty one.
        content = bytearray(self.blobs[start : start + size])
        flat = torch.frombuffer(content, dtype=stored) if size else torch.empty(0, dtype=stored)
        tensor = (flat.view(torch.bfloat16) if dtype == torch.bfloat16 else flat).reshape(shape)
        if tag == "a":
            return tensor.numpy()
        if tag == "n":
            return tensor.numpy()[()]
        return tensor.requires_grad_() if tree.get("grad") and dtype.is_floating_point else tensor


def _few(items: list) -> list:
    if len(items) > MOST_KEYS:
        raise WireError(f"a set or dictionary of {len(items):,}; {MOST_KEYS:,} are the most")
    return items


def _key(value):
    """A value as a member of a set; refuses those of which many can be made with one hash."""
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, int) and abs(part) > LARGEST_KEY or isinstance(part, float) and abs(part) > LARGEST_KEY:
            raise WireError("a key that is too large")
    return value
