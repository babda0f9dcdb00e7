"""The wire: what travels comes back equal, what is no message is told, and nothing is unpickled."""

import io
import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot_lab.grading.inside import wire

leaves = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=20))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(-(2**53), 2**53)), inner, max_size=4),
    ),
    max_leaves=12,
)


def travelled(value):
    stream = io.BytesIO(wire.pack(value))
    return wire.receive(stream)


@settings(max_examples=150)
@given(values)
def test_plain_values_come_back_equal_and_of_the_same_types(value):
    back = travelled(value)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("dtype", list(wire._DTYPES.values()), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (1, 0, 2)])
def test_tensors_come_back_bit_by_bit(dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    back = travelled([tensor, 1])[0]
    assert back.dtype == dtype and back.shape == tensor.shape and torch.equal(back, tensor)


def test_what_a_tensor_asks_for_travels_too():
    assert travelled(torch.ones(2, requires_grad=True)).requires_grad
    assert not travelled(torch.ones(2)).requires_grad
    assert travelled(torch.ones(3, 4).T).shape == (4, 3)
    assert travelled(torch.tensor([float("nan"), float("inf")])).isnan().tolist() == [True, False]


def test_arrays_numbers_of_numpy_generators_and_things_travel():
    assert np.array_equal(travelled(np.arange(6).reshape(2, 3)), np.arange(6).reshape(2, 3))
    assert travelled(np.float32(0.5)) == 0.5 and isinstance(travelled(np.float32(0.5)), np.float32)
    generator = torch.Generator().manual_seed(3)
    torch.rand(5, generator=generator)
    back = travelled(generator)
    assert torch.equal(torch.rand(4, generator=back), torch.rand(4, generator=generator))


class Subclass(float):
    pass


@pytest.mark.parametrize(
    "value", [object(), Subclass(1.0), lambda: 1, np.array(["a"]), torch.ones(2, dtype=torch.complex64), b"x"]
)
def test_other_values_do_not_travel(value):
    with pytest.raises(wire.WireError):
        wire.pack([value])


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_noise_is_no_message(noise):
    with pytest.raises((wire.WireError, EOFError)):
        wire.receive(io.BytesIO(noise[:3] + b"\x00" + noise))
        raise EOFError  # noise may be a tiny message; then there is nothing to refuse


@pytest.mark.parametrize(
    "tree",
    [
        {"t": "float32", "shape": [10**9], "at": 0, "bytes": 4},
        {"t": "float32", "shape": [-1], "at": 0, "bytes": 4},
        {"t": "float32", "shape": [1], "at": -4, "bytes": 4},
        {"t": "object", "shape": [1], "at": 0, "bytes": 4},
        {"thing": "os.system", "fields": {"d": []}},
        {"g": {"t": "uint8", "shape": [4], "at": 0, "bytes": 4}},
        {"x": 1},
        {},
        [1],
    ],
)
def test_false_trees_are_refused(tree):
    body = json.dumps(tree).encode()
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(struct.pack("!II", len(body), 4) + body + b"1234"))


def test_a_frame_that_announces_gigabytes_is_refused_before_it_is_read():
    with pytest.raises(wire.WireError, match="was announced"):
        wire.receive(io.BytesIO(struct.pack("!II", 2**31, 2**31)))
    with pytest.raises(wire.WireError, match="MiB"):
        wire.pack(torch.zeros(2**25))
    with pytest.raises(wire.WireError, match="nested"):
        nested = []
        for _ in range(50):
            nested = [nested]
        wire.pack(nested)


def test_one_megabyte_cannot_be_read_a_thousand_times():
    array = {"t": "uint8", "shape": [2**20], "at": 0, "bytes": 2**20}
    body = json.dumps({"l": [array] * 1000}).encode()
    with pytest.raises(wire.WireError, match="out of its place"):
        wire.receive(io.BytesIO(struct.pack("!II", len(body), 2**20) + body + bytes(2**20)))


@pytest.mark.parametrize(
    "keys", [range(30_000), [n * (2**61 - 1) for n in range(1, 5000)], [(2.0**60 * n, 1) for n in range(9)]]
)
def test_sets_whose_members_are_many_or_could_share_one_hash_are_refused(keys):
    members = [wire._encode(key, [], 0) for key in keys]
    for tree in ({"s": members}, {"d": [[member, None] for member in members]}):
        with pytest.raises(wire.WireError, match="most|too large"):
            wire.unpack(json.dumps(tree).encode(), b"")


def test_a_message_of_millions_of_values_is_refused():
    with pytest.raises(wire.WireError, match="too many"):
        wire.unpack(json.dumps({"l": [0] * (wire.MOST_VALUES + 1)}).encode(), b"")
