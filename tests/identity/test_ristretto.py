"""The group: the vectors of RFC 9496, and the laws of a group."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_core_ed25519_scalar_add

from tclearn.errors import Code, MessageError
from tclearn.identity.ristretto import (
    ORDER,
    combine,
    encode_element,
    from_uniform,
    multiply,
    multiply_base,
    read_element,
    read_scalar,
    reduce_scalar,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "ristretto_vectors.json").read_text())
MULTIPLES = VECTORS["multiples"]

SCALARS = st.integers(1, ORDER - 1)
UNIFORM = st.binary(max_size=9).map(lambda data: hashlib.sha512(data).digest())


def scalar(value: int) -> bytes:
    return (value % ORDER).to_bytes(32, "little")


def test_multiples_of_the_generator() -> None:
    generator = read_element(bytes.fromhex(MULTIPLES[1]))
    for number, expected in enumerate(MULTIPLES):
        assert multiply_base(scalar(number)).hex() == expected
        assert multiply(scalar(number), generator).hex() == expected
        if number:
            assert encode_element(read_element(bytes.fromhex(expected))).hex() == expected


@pytest.mark.parametrize("encoding", [*VECTORS["malformed"], MULTIPLES[0], "", MULTIPLES[1][:-2], MULTIPLES[1] + "00"])
def test_what_is_not_the_encoding_of_an_element_is_refused(encoding: str) -> None:
    with pytest.raises(MessageError) as caught:
        read_element(bytes.fromhex(encoding))
    assert caught.value.code is Code.OPRF


@pytest.mark.parametrize(("text", "expected"), VECTORS["mapped"].items())
def test_elements_of_hashes(text: str, expected: str) -> None:
    assert encode_element(from_uniform(hashlib.sha512(text.encode()).digest())).hex() == expected


@pytest.mark.parametrize("uniform", VECTORS["same"]["uniform"])
def test_elements_of_bytes_that_are_not_reduced(uniform: str) -> None:
    assert encode_element(from_uniform(bytes.fromhex(uniform))).hex() == VECTORS["same"]["element"]


@settings(max_examples=60)
@given(st.binary(min_size=64, max_size=64))
@example(bytes(64))
@example(b"\xff" * 64)
@example((b"\x01" + bytes(31)) * 2)
def test_every_hash_is_an_element(uniform: bytes) -> None:
    point = from_uniform(uniform)
    encoding = encode_element(point)
    if encoding == bytes(32):
        return
    assert crypto_core_ed25519_is_valid_point(point)  # libsodium: canonical, and of the subgroup of prime order
    assert encode_element(read_element(encoding)) == encoding
    assert read_element(encoding) == point


@settings(max_examples=60)
@given(SCALARS, SCALARS, UNIFORM)
@example(ORDER - 1, 1, bytes(range(64)))
@example(ORDER - 1, 2, bytes(range(64)))
def test_the_laws_of_the_group(first: int, second: int, uniform: bytes) -> None:
    point = from_uniform(uniform)
    once = multiply(scalar(first), point)
    total = multiply(scalar(first + second), point)
    assert encode_element(combine((scalar(first), scalar(second)), (point, point))) == total
    assert multiply(scalar(second), read_element(once)) == multiply(scalar(first * second), point)
    assert multiply(scalar(pow(first, -1, ORDER)), read_element(once)) == encode_element(point)
    assert multiply_base(scalar(first)) == multiply(scalar(first), read_element(bytes.fromhex(MULTIPLES[1])))
    assert crypto_core_ed25519_scalar_add(scalar(first), scalar(second)) == scalar(first + second)


def test_nothing_times_anything_is_the_identity() -> None:
    point = from_uniform(bytes(range(64)))
    nothing = combine((), ())
    assert multiply(scalar(0), point) == encode_element(nothing) == bytes(32)
    assert multiply(scalar(7), combine((scalar(1), scalar(-1)), (point, point))) == bytes(32)
    assert encode_element(combine((scalar(0), scalar(3)), (point, nothing))) == bytes(32)
    with pytest.raises(ValueError, match="zip"):
        combine((scalar(1),), ())
    with pytest.raises(ValueError, match="63 uniform bytes"):
        from_uniform(bytes(63))


def test_scalars_are_reduced() -> None:
    assert read_scalar(scalar(ORDER - 1)) == scalar(-1)
    assert reduce_scalar(ORDER.to_bytes(64, "little")) == bytes(32)
    for wrong in (ORDER.to_bytes(32, "little"), b"\xff" * 32, b"", bytes(31)):
        with pytest.raises(MessageError):
            read_scalar(wrong)
