"""The encoding has one form for each value and accepts no other, and nothing that comes in makes it fail otherwise."""

from __future__ import annotations

import enum
import hashlib
import struct
from collections import OrderedDict
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tclearn.encoding import Value, decode, digest, encode, encode_normal, head, read_head
from tclearn.errors import Code, MessageError
from tclearn.limits import ENCODING_DEPTH_MAX, TRANSACTION_BYTES_MAX

integers = st.integers(-(1 << 64), (1 << 64) - 1) | st.sampled_from(
    [sign * (1 << bits) + offset for bits in (0, 5, 8, 16, 32, 63) for offset in (-1, 0, 1) for sign in (1, -1)]
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    integers | st.binary() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30
)


def rfc8949(value: Any) -> bytes:
    """An encoder of its own, written after RFC 8949 §3 and §4.2.1, that shares nothing with the product."""

    def head(major: int, argument: int) -> bytes:
        if argument < 24:
            return bytes([major << 5 | argument])
        for code, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
            if argument < 1 << 8 * struct.calcsize(form):
                return bytes([major << 5 | code]) + struct.pack(form, argument)
        raise AssertionError(argument)

    match value:
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list() | tuple():
            return head(4, len(value)) + b"".join(map(rfc8949, value))
        case dict():
            pairs = sorted((rfc8949(key), rfc8949(item)) for key, item in value.items())
            return head(5, len(value)) + b"".join(key + item for key, item in pairs)
    raise AssertionError(type(value))


def decodes_to_itself_or_is_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except MessageError:
        return
    assert encode(value) == data == rfc8949(value)


@given(values)
def test_agrees_with_an_independent_encoder(value: Value) -> None:
    assert encode(value) == rfc8949(value)


@given(values)
def test_round_trip(value: Value) -> None:
    assert decode(encode(value)) == value


@given(values)
def test_the_normal_form_is_what_decoding_gives(value: Value) -> None:
    data, normal = encode_normal(value)
    assert data == encode(value)
    assert normal == decode(data)


def test_the_normal_form_has_lists_and_ordered_keys() -> None:
    _, normal = encode_normal({"b": (1, (2,)), "a": 0})
    assert repr(normal) == "{'a': 0, 'b': [1, [2]]}"


@pytest.mark.parametrize(
    ("value", "expected"),  # RFC 8949, appendix A: those of its examples that lie in the closed schema
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (100, "1864"),
        (1000, "1903e8"),
        (1000000, "1a000f4240"),
        (1000000000000, "1b000000e8d4a51000"),
        (18446744073709551615, "1bffffffffffffffff"),
        (-18446744073709551616, "3bffffffffffffffff"),
        (-1, "20"),
        (-1000, "3903e7"),
        (b"", "40"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("", "60"),
        ("IETF", "6449455446"),
        ("\u00fc", "62c3bc"),
        ("\u6c34", "63e6b0b4"),
        ("\U00010151", "64f0908591"),
        ([], "80"),
        ([1, [2, 3], [4, 5]], "8301820203820405"),
        (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
        ({}, "a0"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
        (["a", {"b": "c"}], "826161a161626163"),
    ],
)
def test_examples_of_the_rfc(value: Value, expected: str) -> None:
    assert encode(value).hex() == expected
    assert decode(bytes.fromhex(expected)) == value


def test_keys_are_ordered_by_their_encoded_bytes() -> None:
    # Shorter keys first, then bytewise; é is one character but two bytes.
    assert list(decode(encode({"aa": 0, "é": 0, "z": 0, "": 0, "b": 0}))) == ["", "b", "z", "aa", "é"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("1800", id="integer longer than needed"),
        pytest.param("190017", id="integer longer than needed, two bytes"),
        pytest.param("1b0000000000000001", id="integer longer than needed, eight bytes"),
        pytest.param("3800", id="negative integer longer than needed"),
        pytest.param("5801ff", id="length of bytes longer than needed"),
        pytest.param("780161", id="length of text longer than needed"),
        pytest.param("980100", id="length of an array longer than needed"),
        pytest.param("b801616100", id="length of a map longer than needed"),
        pytest.param("a2616200616100", id="keys out of order"),
        pytest.param("a262616100616200", id="longer key first"),
        pytest.param("a2616100616100", id="key twice"),
        pytest.param("9f00ff", id="indefinite array"),
        pytest.param("bf616100ff", id="indefinite map"),
        pytest.param("5f4100ff", id="indefinite bytes"),
        pytest.param("7f6161ff", id="indefinite text"),
        pytest.param("0000", id="something behind the value"),
        pytest.param("", id="nothing"),
        pytest.param("ff", id="break alone"),
        pytest.param("1c", id="reserved length"),
        pytest.param("61ff", id="text that is not UTF-8"),
        pytest.param("63eda080", id="text with a surrogate"),
        pytest.param("62c080", id="text in overlong UTF-8"),
        pytest.param("f4", id="false"),
        pytest.param("f5", id="true"),
        pytest.param("f6", id="null"),
        pytest.param("f7", id="undefined"),
        pytest.param("e0", id="simple value"),
        pytest.param("f818", id="simple value, two bytes"),
        pytest.param("f90000", id="half float"),
        pytest.param("fa3f800000", id="float"),
        pytest.param("fb3ff0000000000000", id="double"),
        pytest.param("f97e00", id="NaN"),
        pytest.param("c24101", id="bignum"),
        pytest.param("c249010000000000000000", id="bignum beyond 64 bits"),
        pytest.param("c074323031332d30332d32315432303a30343a30305a", id="date"),
        pytest.param("d81c80", id="shared value"),
        pytest.param("d81d00", id="reference to a shared value"),
        pytest.param("d9010080", id="string references"),
        pytest.param("d9010280", id="set"),
        pytest.param("d823612e", id="regular expression"),
        pytest.param("d9d9f700", id="self-described CBOR"),
        pytest.param("a10000", id="integer key"),
        pytest.param("a1416100", id="bytes key"),
        pytest.param("a1f600", id="null key"),
        pytest.param("a18000", id="array key"),
    ],
)
def test_any_other_form_is_refused(data: str) -> None:
    with pytest.raises(MessageError) as refusal:
        decode(bytes.fromhex(data))
    assert refusal.value.code is Code.ENCODING


@given(st.binary(max_size=200))
@example(b"\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00")  # a date of infinity
@example(b"\xd8\x1e\x82\x01\x00")  # a fraction with denominator 0
def test_arbitrary_bytes_decode_to_themselves_or_are_refused(data: bytes) -> None:
    decodes_to_itself_or_is_refused(data)


@given(values, st.data())
def test_damaged_encodings_decode_to_themselves_or_are_refused(value: Value, data: st.DataObject) -> None:
    damaged = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    decodes_to_itself_or_is_refused(bytes(damaged))


@given(st.integers(0, (1 << 64) - 1), st.sampled_from([0, 1, "2013-03-21T20:04:00Z", b"", [], [1, 0], {}, None, 1.5]))
@example(2, b"\x01")
@example(4, [-2, 27315])
@example(258, [1, 2])
def test_every_tag_is_refused(tag: int, content: object) -> None:
    with pytest.raises(MessageError):
        decode(cbor2.dumps(cbor2.CBORTag(tag, content)))


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        True,
        None,
        {1: 2},
        {b"a": 2},
        {None: 2},
        {1, 2},
        bytearray(b"a"),
        memoryview(b"a"),
        object(),
        Colour.RED,
        1 << 64,
        -(1 << 64) - 1,
        [[1.0]],
        {"a": {"b": False}},
        cbor2.CBORTag(1, 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_lies_outside_the_schema_cannot_be_encoded(value: Any) -> None:
    with pytest.raises(MessageError) as refusal:
        encode(value)
    assert refusal.value.code is Code.ENCODING


def test_text_that_utf8_cannot_express_is_refused() -> None:
    for value in ("\ud800", ["a\udfff"], {"\udc80": 1}):
        with pytest.raises(MessageError):
            encode(value)


def test_subclasses_encode_as_what_they_are() -> None:
    assert encode(Code.ENCODING) == encode(301)
    assert encode(OrderedDict(bb=1, a=(2,))) == encode({"a": [2], "bb": 1})
    assert type(encode_normal(Code.ENCODING)[1]) is int


@given(st.integers(0, 7), st.integers(0, (1 << 64) - 1), st.binary(max_size=3), st.binary(max_size=3))
@example(2, 23, b"", b"")
@example(2, 24, b"", b"")
@example(2, 255, b"", b"")
@example(2, 256, b"", b"")
@example(2, 65535, b"", b"")
@example(2, 65536, b"", b"")
@example(2, (1 << 32) - 1, b"", b"")
@example(2, 1 << 32, b"", b"")
def test_heads_are_the_shortest_and_read_back(major: int, argument: int, before: bytes, after: bytes) -> None:
    written = head(major, argument)
    natural = rfc8949(argument)  # the head of a natural number is the number itself
    assert written == bytes([natural[0] | major << 5]) + natural[1:]
    assert read_head(before + written + after, len(before)) == (argument, len(before) + len(written))


def test_a_head_holds_64_bits() -> None:
    with pytest.raises(MessageError):
        head(0, 1 << 64)


@given(st.binary(max_size=12), st.integers(0, 20))
def test_reading_a_head_never_fails_and_goes_on(data: bytes, at: int) -> None:
    argument, behind = read_head(data, at)
    assert 0 <= argument < 1 << 64
    assert behind > at


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["arrays", "maps"])
@pytest.mark.parametrize("innermost", [0, [], {}], ids=repr)
def test_encoding_and_decoding_agree_on_the_depth(wrap: Any, innermost: Any) -> None:
    value = innermost
    for _ in range(ENCODING_DEPTH_MAX):
        value = wrap(value)
    assert decode(encode(value)) == value
    with pytest.raises(MessageError):
        encode(wrap(value))
    with pytest.raises(MessageError):
        decode(rfc8949(wrap(value)))


def test_depth_cannot_exhaust_the_stack() -> None:
    with pytest.raises(MessageError):
        decode(b"\x81" * 1_000_000 + b"\x00")
    with pytest.raises(MessageError):
        decode(b"\xa1\x60" * 500_000)
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(MessageError):
        encode(cycle)


@pytest.mark.parametrize("major", ["5b", "7b", "9b", "bb"])
@pytest.mark.parametrize("length", [1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_length_that_lies_reserves_no_memory(major: str, length: int) -> None:
    with pytest.raises(MessageError):
        decode(bytes.fromhex(major) + length.to_bytes(8, "big"))


def test_the_same_value_in_two_places_is_written_twice() -> None:
    shared = [b"x"]
    assert decode(encode([shared, shared])) == [[b"x"], [b"x"]]


def test_size_limit() -> None:
    head = 5
    assert decode(encode(bytes(TRANSACTION_BYTES_MAX - head))) == bytes(TRANSACTION_BYTES_MAX - head)
    with pytest.raises(MessageError) as refusal:
        decode(encode(bytes(TRANSACTION_BYTES_MAX - head + 1)))
    assert refusal.value.code is Code.TOO_LARGE
    assert decode(b"\x42ab", size_max=3) == b"ab"
    with pytest.raises(MessageError):
        decode(b"\x42ab", size_max=2)


@given(values, values)
def test_digest_is_sha256_over_one_array(first: Value, second: Value) -> None:
    assert digest("domain", first, second) == hashlib.sha256(rfc8949(["domain", first, second])).digest()


def test_digest_tells_domains_and_parts_apart() -> None:
    digests = [
        digest("a"),
        digest("b"),
        digest("a", b""),
        digest("a", "", ""),
        digest("a", ""),
        digest("a", ["", ""]),
        digest("a", "bc", "d"),
        digest("a", "b", "cd"),
        digest("a", b"bc", "d"),
        digest("ab", "c", "d"),
        digest("a", 1),
        digest("a", "1"),
    ]
    assert len(set(digests)) == len(digests)
