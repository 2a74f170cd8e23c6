"""Model files from anybody: what is refused, in which words; and agreement with the library."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from tclearn.errors import Code, ParametersError
from tclearn.learning.tensorfile import check_bools, places_in, read_tensors, write_tensors
from tclearn.limits import PARAMETERS_HEADER_BYTES_MAX


def file(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


def refusal(data: bytes) -> ParametersError:
    with pytest.raises(ParametersError) as caught:
        read_tensors(data)
    with pytest.raises(ParametersError) as piecewise:
        read_piecewise(data)
    assert str(piecewise.value) == str(caught.value), "read piece by piece it is refused in the same words"
    return caught.value


def read_piecewise(data: bytes) -> dict[str, bytes]:
    found = {}
    for place in places_in(io.BytesIO(data)):
        found[place.name] = data[place.begin : place.end]
        if place.dtype.kind == "b":
            check_bools(place.name, found[place.name])
    return found


def saved_by_torch(*, zipped: bool) -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (saved_by_torch(zipped=True), "a zip archive, as torch.save makes, offered as a model"),
        (saved_by_torch(zipped=False), "a pickle, as torch.save and joblib make, offered as a model"),
        (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.", "a pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"\x93NUMPY\x01\x00" + bytes(100), "a NumPy array file"),
        (b"GGUF" + bytes(100), "a GGUF file"),
        (b"\x1f\x8b" + bytes(100), "a gzip file"),
        (b"", "0 bytes offered as a model"),
        (b"not a model at all", "18 bytes offered as a model"),
    ],
)
def test_other_files_are_called_by_their_name(data: bytes, says: str) -> None:
    error = refusal(data)
    assert error.code is Code.PARAMETERS_FORMAT
    assert says in str(error)
    assert "safetensors" in str(error)


@pytest.mark.parametrize("size", [0x0280, 0x0380, 0x0480])
def test_a_header_whose_length_looks_like_a_pickle(size: int) -> None:
    text = json.dumps({"a": entry()}).encode().ljust(size)
    data = file(text, bytes(8))
    assert data.startswith(b"\x80")
    assert read_tensors(data)["a"].shape == (2,)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (file({"a": entry()}, bytes(7)), "does not fill its place"),
        (file({"a": entry()}, bytes(9)), "1 bytes after the last tensor"),
        (file({"a": entry(shape=[3])}, bytes(8)), "does not fill its place"),
        (file({"a": entry(data_offsets=[8, 16])}, bytes(16)), "starts at 8"),
        (file({"a": entry(), "b": entry(data_offsets=[4, 12])}, bytes(12)), "starts at 4"),
        (file({"a": entry(dtype="BF16", data_offsets=[0, 4])}, bytes(4)), "element type BF16"),
        (file({"a": entry(dtype=["F32"])}, bytes(8)), "element type"),
        (file({"a": entry(shape=[-2])}, bytes(8)), "natural numbers"),
        (file({"a": entry(shape=[True, 2])}, bytes(8)), "natural numbers"),
        (file({"a": entry(shape=[2.0])}, bytes(8)), "natural numbers"),
        (file({"a": entry(shape=[1] * 33)}, bytes(8)), "another form"),
        (file({"a": entry(extra=1)}, bytes(8)), "not described"),
        (file({"a": 5}, bytes(8)), "not described"),
        (file({"a": entry(shape=[2**40, 2**40, 0])}, bytes(8)), "does not fill its place"),
        (file({"a": entry(dtype="BOOL", data_offsets=[0, 2])}, b"\x01\x02"), "neither 0 nor 1"),
        (file(b'{"a":1,"a":1}'), "a name occurs twice"),
        (file(b"{" + b"[" * 100_000), "broken header"),
        (file(b"{\xff}"), "broken header"),
        (file(b"{}  x"), "broken header"),
        (file(b"{" + b" " * PARAMETERS_HEADER_BYTES_MAX + b"}"), "a header of"),
    ],
)
def test_malformed_files(data: bytes, says: str) -> None:
    error = refusal(data)
    assert error.code is Code.PARAMETERS_FORMAT
    assert says in str(error)


def test_too_many_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tclearn.learning.tensorfile.PARAMETERS_TENSORS_MAX", 2)
    header = {str(index): entry(data_offsets=[8 * index, 8 * index + 8]) for index in range(3)}
    assert "3 tensors" in str(refusal(file(header, bytes(24))))


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tclearn.learning.tensorfile.PARAMETERS_BYTES_MAX", 20)
    assert refusal(bytes(21)).code is Code.TOO_LARGE


def test_metadata_and_misaligned_tensors_are_read() -> None:
    header = {"__metadata__": {"format": "pt"}, "a": entry(dtype="U8", data_offsets=[0, 2]), "b": entry()}
    header["b"]["data_offsets"] = [2, 10]
    data = file(header, b"\x01\x02" + struct.pack("<2f", 1, 2))
    tensors = read_tensors(data)
    assert tensors["a"].tolist() == [1, 2]
    assert tensors["b"].tolist() == [1.0, 2.0]


def test_the_library_reads_ours_and_we_read_the_library() -> None:
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(4), "m": np.array([True, False])}
    theirs = safetensors.numpy.load(write_tensors(tensors))
    ours = read_tensors(safetensors.numpy.save(tensors, {"format": "np"}))
    for name, tensor in tensors.items():
        assert np.array_equal(theirs[name], tensor)
        assert np.array_equal(ours[name], tensor)


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
@example(b"", 0, 0)
def test_no_bytes_do_anything_but_refuse(noise: bytes, position: int, value: int) -> None:
    good = bytearray(file({"a": entry(), "b": entry(dtype="I8", shape=[], data_offsets=[8, 9])}, bytes(9)))
    good[position % len(good)] = value
    for data in (noise, bytes(good)):
        try:
            ours = read_tensors(data)
        except ParametersError:
            with pytest.raises(ParametersError):
                read_piecewise(data)
            continue
        assert {name: tensor.tobytes() for name, tensor in ours.items()} == read_piecewise(data)
        theirs = safetensors.numpy.load(data)
        assert {name: tensor.tobytes() for name, tensor in ours.items()} == {
            name: tensor.tobytes() for name, tensor in theirs.items()
        }


def test_an_extent_hidden_behind_a_zero_is_refused() -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}).encode()
    with pytest.raises(ParametersError):
        read_tensors(len(header).to_bytes(8, "little") + header)
