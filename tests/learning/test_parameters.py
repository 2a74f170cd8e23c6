"""Parameters: immutable, one digest whatever the format, checked against a layout."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tclearn.coalition.terms import TensorRecord
from tclearn.errors import Code, ParametersError
from tclearn.learning.canonical import DTYPES
from tclearn.learning.parameters import Parameters, along, digest_of_file

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")
arrays = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: hnp.arrays(DTYPES[name], hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
tensors = st.dictionaries(names, arrays, min_size=1, max_size=5)


def small() -> dict[str, Any]:
    return {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "0.bias": np.zeros(2, np.float32)}


@given(tensors)
def test_bytes_and_back(given: dict[str, Any]) -> None:
    parameters = Parameters(given)
    again = Parameters.from_bytes(parameters.to_bytes())
    assert again == parameters
    assert again.is_written_in(parameters.to_bytes())
    assert again.layout == parameters.layout
    assert again.to_bytes() == parameters.to_bytes()
    for name, tensor in given.items():
        assert again[name].tobytes() == tensor.tobytes()


@given(tensors, st.data())
def test_another_way_to_write_them_is_told(given: dict[str, Any], data: st.DataObject) -> None:
    parameters = Parameters(given)
    ours = parameters.to_bytes()
    size = int.from_bytes(ours[:8], "little")
    header = json.loads(ours[8 : 8 + size])
    names = data.draw(st.permutations(sorted(header)))
    shuffled = {
        name: dict(reversed(header[name].items())) if data.draw(st.booleans()) else header[name] for name in names
    }
    text = json.dumps(shuffled, ensure_ascii=data.draw(st.booleans()), separators=(",", ":")).encode()
    text += b" " * data.draw(st.integers(0, 16))
    theirs = len(text).to_bytes(8, "little") + text + ours[8 + size :]
    assert Parameters.from_bytes(theirs) == parameters
    assert parameters.is_written_in(theirs) == (theirs == ours)


@given(tensors)
def test_a_file_has_the_digest_of_what_is_in_it(given: dict[str, Any]) -> None:
    parameters = Parameters(given)
    data = parameters.to_bytes()
    assert digest_of_file(io.BytesIO(data), layout=parameters.layout) == parameters.digest
    other = (*parameters.layout[1:], TensorRecord("another", "F32", (3,)))
    said = []
    for read in (
        lambda: Parameters.from_bytes(data, layout=other),
        lambda: digest_of_file(io.BytesIO(data), layout=other),
    ):
        with pytest.raises(ParametersError) as refused:
            read()
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_file_of_many_pieces_in_another_order_has_its_digest() -> None:
    large = {"b": np.arange(700_000, dtype=np.float32), "a": np.arange(300_001) % 2 == 0, "c": np.arange(5)}
    shuffled = dict(sorted(large.items(), reverse=True))
    header, body = {}, b""
    for name, tensor in shuffled.items():
        data = tensor.tobytes()
        dtype = {"b": "F32", "a": "BOOL", "c": "I64"}[name]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file = struct.pack("<Q", len(text)) + text + body
    parameters = Parameters(large)
    assert Parameters.from_bytes(file) == parameters
    assert not parameters.is_written_in(file)
    assert digest_of_file(io.BytesIO(file), layout=parameters.layout) == parameters.digest


@given(tensors, st.randoms())
def test_order_does_not_matter(given: dict[str, Any], random: Any) -> None:
    shuffled = list(given.items())
    random.shuffle(shuffled)
    assert Parameters(dict(shuffled)).digest == Parameters(given).digest
    assert Parameters(dict(shuffled)).to_bytes() == Parameters(given).to_bytes()


def test_digest_is_what_is_written() -> None:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    bias = text(b"0.bias") + text(b"F32") + struct.pack("<3Q", 1, 2, 8) + bytes(8)
    weight = text(b"0.weight") + text(b"F32") + struct.pack("<4Q", 2, 2, 3, 24) + struct.pack("<6f", *range(6))
    expected = blake3(b"tclearn/parameters/1\x00" + struct.pack("<Q", 2) + bias + weight)
    assert Parameters(small()).digest == expected.digest()


@pytest.mark.parametrize(
    "other",
    [
        {"0.weight": np.arange(6, dtype=np.float32).reshape(3, 2)},
        {"0.weight": np.arange(6, dtype=np.float32).view(np.int32).reshape(2, 3)},
        {"0.weigh": np.arange(6, dtype=np.float32).reshape(2, 3)},
        {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3) + np.float32(1e-6)},
    ],
)
def test_digest_sees_shape_type_name_and_value(other: dict[str, Any]) -> None:
    assert Parameters({"0.bias": np.zeros(2, np.float32), **other}).digest != Parameters(small()).digest


def test_cannot_be_changed() -> None:
    source = small()
    parameters = Parameters(source)
    before = parameters.digest
    source["0.weight"][0, 0] = 5
    assert parameters["0.weight"][0, 0] == 0
    assert Parameters(dict(parameters)).digest == before
    with pytest.raises(ValueError, match="read-only"):
        parameters["0.weight"][0, 0] = 5


def test_reading_copies_nothing() -> None:
    data = Parameters(small()).to_bytes()
    parameters = Parameters.from_bytes(data)
    whole = np.frombuffer(data, np.uint8)
    assert all(np.shares_memory(tensor, whole) for tensor in parameters.values())
    assert Parameters(dict(parameters))["0.weight"] is parameters["0.weight"]


def test_a_view_of_something_writable_is_copied() -> None:
    base = np.zeros(4, np.float32)
    view = base[:2]
    view.flags.writeable = False
    parameters = Parameters({"a": view})
    base[0] = 9
    assert parameters["a"][0] == 0


def test_byte_order_and_memory_order_do_not_matter() -> None:
    weight = small()["0.weight"]
    turned = {"0.weight": np.asfortranarray(weight).astype(">f4"), "0.bias": np.zeros(4, np.float32)[::2]}
    assert Parameters(turned) == Parameters(small())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "0 tensors"),
        ({"a": np.zeros(2, np.complex64)}, "complex64"),
        ({"a": np.array(["x"])}, "U1"),
        ({"a": np.array([object()])}, "object"),
        ({"a": np.zeros(1, np.uint32)}, "uint32"),
        ({"__metadata__": np.zeros(1)}, "__metadata__"),
        ({"\ud800": np.zeros(1)}, "Unicode"),
    ],
)
def test_what_cannot_be_parameters(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ParametersError) as caught:
        Parameters(given)
    assert caught.value.code is Code.PARAMETERS_FORMAT
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"0.bias": None}, "without the tensor '0.bias'"),
        ({"2.bias": np.zeros(1)}, "the unknown tensor '2.bias'"),
        ({"0.bias": np.zeros(3, np.float32)}, "'0.bias' is F32 of shape (3,)"),
        ({"0.bias": np.zeros(2)}, "'0.bias' is F64 of shape (2,)"),
    ],
)
def test_layout_names_the_tensor(changes: dict[str, Any], says: str) -> None:
    layout = Parameters(small()).layout
    given = {name: tensor for name, tensor in {**small(), **changes}.items() if tensor is not None}
    with pytest.raises(ParametersError) as caught:
        Parameters.from_bytes(Parameters(given).to_bytes(), layout=layout)
    assert caught.value.code is Code.PARAMETERS_SHAPE
    assert says in str(caught.value)


def test_layout_holds() -> None:
    parameters = Parameters(small())
    assert parameters.layout == (TensorRecord("0.bias", "F32", (2,)), TensorRecord("0.weight", "F32", (2, 3)))
    parameters.check(tuple(reversed(parameters.layout)))
    assert Parameters.from_bytes(parameters.to_bytes(), layout=parameters.layout) == parameters


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_names_the_tensor_and_counts(value: float) -> None:
    tensors = small()
    Parameters(tensors).check_finite()
    assert Parameters(tensors).finite
    tensors["0.weight"][0, :2] = value
    with pytest.raises(ParametersError, match=r"2 of 6 values of the tensor '0\.weight'") as caught:
        Parameters(tensors).check_finite()
    assert caught.value.code is Code.PARAMETERS_NOT_FINITE
    assert not Parameters(tensors).finite


def test_along_the_increment() -> None:
    start = Parameters(
        {"w": np.array([1, 2], np.float32), "n": np.array(3), "s": np.array(0.0), "h": np.zeros(1, "f2")}
    )
    end = Parameters({"w": np.array([2, 0], np.float32), "n": np.array(7), "s": np.array(1.0), "h": np.ones(1, "f2")})
    half = along(start, end, 0.5)
    assert half["w"].tolist() == [1.5, 1.0]
    assert [float(half[name].sum()) for name in "nsh"] == [7, 0.5, 0.5]
    assert half.layout == start.layout
    assert along(start, end, 1) is end
    with pytest.raises(ParametersError):
        along(start, Parameters({"w": np.zeros(2, np.float32)}), 0.5)


def test_shows_itself_in_short() -> None:
    assert repr(Parameters(small())).startswith("Parameters(2 tensors, 8 numbers, blake3:")
    assert len({Parameters(small()), Parameters(small())}) == 1
