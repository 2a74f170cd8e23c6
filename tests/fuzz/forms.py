"""Forms of inputs as trees, written well or with one thing wrong: CBOR, JSON and DER."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

_DEPTH_MAX: Final = 60
_CONSTRUCTED: Final = 0x20


class Map(list[list[Any]]):
    """Keys with their values, in the order written; a key may come twice."""


class Tag(list[Any]):
    """A CBOR tag's number and item."""


class Nested(list[Any]):
    """A byte string whose content is itself such an item."""


class Raw(bytes):
    """Bytes that are written as they are."""


class Element(list[Any]):
    """A constructed element of DER: the tag first, then the elements in it."""


class Leaf(list[Any]):
    """A primitive element of DER: tag and content."""


Slot = tuple[list[Any], int]
"""A place in a tree: what holds it, and where in there."""


def slots(tree: list[Any]) -> Iterator[Slot]:
    """All places in a tree, outer ones first; the tree is the one item of a list."""
    for at, item in enumerate(tree):
        yield tree, at
        if isinstance(item, list):
            yield from slots(item)


# --- CBOR ------------------------------------------------------------------------------------------------------------


def read_cbor(data: bytes) -> Any:
    """The item that bytes encode.

    Raises:
        ValueError: they are not one item of a form that is known here.
    """
    item, at = _read(data, 0, 0)
    if at != len(data):
        raise ValueError("bytes after the item")
    return item


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if at >= len(data) or depth > _DEPTH_MAX:
        raise ValueError("no item")
    start, major, argument = at, data[at] >> 5, data[at] & 31
    at += 1
    if argument > 27:
        raise ValueError("an indefinite length")
    if argument > 23:
        size = 1 << argument - 24
        argument, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major < 2:
        return (argument if major == 0 else -1 - argument), at
    if major < 4:
        content, at = data[at : at + argument], at + argument
        if at > len(data):
            raise ValueError("cut off")
        return (_nested(content, depth) if major == 2 else content.decode()), at
    if major == 7:
        return Raw(data[start:at]), at
    result: Any = Map() if major == 5 else Tag([argument]) if major == 6 else []
    for _ in range(1 if major == 6 else argument):
        item, at = _read(data, at, depth + 1)
        if major == 5:
            value, at = _read(data, at, depth + 1)
            item = [item, value]
        result.append(item)
    return result, at


def _nested(content: bytes, depth: int) -> Any:
    if len(content) < 8 or content[0] >> 5 not in (4, 5, 6):
        return content
    try:
        item, at = _read(content, 0, depth + 1)
    except ValueError:
        return content
    return Nested([item]) if at == len(content) else content


def write_cbor(item: Any, choose: random.Random | None = None, wrong: float = 0.0) -> bytes:
    """The encoding of an item, deterministic; with ``wrong`` a chance, at each item, of a form that is not allowed."""
    if choose is not None and choose.random() < wrong:
        return _write_wrong(item, choose)
    match item:
        case Raw():
            return bytes(item)
        case bool() | None:
            return {True: b"\xf5", False: b"\xf4", None: b"\xf6"}[item]
        case float():
            return b"\xfb\x3f\xf8" + bytes(6)
        case int():
            return head(0, item) if item >= 0 else head(1, -1 - item)
        case bytes():
            return head(2, len(item)) + item
        case str():
            text = item.encode("utf-8", "surrogatepass")
            return head(3, len(text)) + text
        case Map():
            pairs = sorted([write_cbor(each, choose, wrong) for each in pair] for pair in map(_pair, item))
            return head(5, len(pairs)) + b"".join(map(b"".join, pairs))
        case Tag():
            number = item[0] if item and type(item[0]) is int and item[0] >= 0 else 2
            return head(6, number) + b"".join(write_cbor(each, choose, wrong) for each in item[1:])
        case Nested():
            content = b"".join(write_cbor(each, choose, wrong) for each in item)
            return head(2, len(content)) + content
        case _:
            return head(4, len(item)) + b"".join(write_cbor(each, choose, wrong) for each in item)


def _pair(pair: Any) -> list[Any]:
    # A changed tree may hold anything in the place of a key with its value.
    return pair if type(pair) is list else [pair]


def head(major: int, argument: int, size: int | None = None) -> bytes:
    """A head, in its shortest form or with an argument of ``size`` bytes."""
    if size is None:
        if argument < 24:
            return bytes([major << 5 | argument])
        size = next((size for size in (1, 2, 4, 8) if argument < 1 << 8 * size), 8)
    first = {1: 24, 2: 25, 4: 26, 8: 27}[size]
    return bytes([major << 5 | first]) + (argument % (1 << 8 * size)).to_bytes(size, "big")


def _write_wrong(item: Any, choose: random.Random) -> bytes:
    right = write_cbor(item) or b"\0"
    major, low = right[0] >> 5, right[0] & 31
    start = 1 + (1 << low - 24 if 24 <= low < 28 else 0)
    argument = int.from_bytes(right[1:start], "big") if low > 23 else low
    body = right[start:]
    match choose.randrange(9):
        case 0:  # a longer head than needed
            return head(major, argument, choose.choice((1, 2, 4, 8))) + body
        case 1:  # a length that is not true
            return head(major, max(0, argument + choose.choice((-1, 1, 1 << 16, 1 << 32, (1 << 60) - argument)))) + body
        case 2:  # an indefinite length
            return bytes([major << 5 | 31]) + body + b"\xff"
        case 3:  # another type
            return bytes([choose.randrange(8) << 5 | low]) + right[1:]
        case 4:  # a tag around it
            return head(6, choose.choice((0, 1, 2, 3, 4, 5, 18, 24, 25, 28, 29, 30, 35, 258, 55799))) + right
        case 5:  # a value of another schema
            return choose.choice((b"\xf4", b"\xf5", b"\xf6", b"\xf7", b"\xf9\x00\x00", b"\xfb" + bytes(8), b"\xf8\x20"))
        case 6:  # a reserved head
            return bytes([major << 5 | choose.choice((28, 29, 30))]) + body
        case 7 if isinstance(item, Map) and len(item) > 1:  # keys out of order, or one twice
            pairs = [b"".join(map(write_cbor, _pair(pair))) for pair in item]
            choose.shuffle(pairs)
            pairs[0] = choose.choice(pairs)
            return head(5, len(pairs)) + b"".join(pairs)
        case _:
            return right[: choose.randrange(len(right))]


# --- JSON ------------------------------------------------------------------------------------------------------------


def read_json(text: str) -> Any:
    """The tree of a JSON text.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: Map([key, value] for key, value in pairs))


def write_json(item: Any) -> str:
    """A JSON text; bytes become text, and keys may come twice."""
    match item:
        case Raw():
            return item.decode("latin-1")
        case Map():
            return "{" + ",".join(":".join(map(write_json, _pair(pair))) for pair in item) + "}"
        case list():
            return "[" + ",".join(map(write_json, item)) + "]"
        case bytes():
            return json.dumps(item.decode("latin-1"))
        case int() if type(item) is int:
            return str(item) if item.bit_length() < 10_000 else "9" * 5000
        case _:
            return json.dumps(item, ensure_ascii=False)


# --- DER -------------------------------------------------------------------------------------------------------------


def read_der(data: bytes) -> list[Any]:
    """The elements of DER bytes; what is in octet and bit strings is looked into, too.

    Raises:
        ValueError: they are not DER of the simple forms that certificates have.
    """
    return list(_elements(data, 0))


def _elements(data: bytes, depth: int) -> Iterator[Any]:
    at = 0
    while at < len(data):
        if at + 2 > len(data) or data[at] & 31 == 31 or depth > _DEPTH_MAX:
            raise ValueError("not an element")
        tag, length, at = data[at], data[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        content, at = data[at : at + length], at + length
        if at > len(data):
            raise ValueError("cut off")
        if tag & _CONSTRUCTED:
            yield Element([tag, *_elements(content, depth + 1)])
        else:
            yield _primitive(tag, content, depth)


def _primitive(tag: int, content: bytes, depth: int) -> Any:
    if tag == 4 and content[:1] in (b"\x30", b"\x04", b"\x03"):
        try:
            return Element([tag, *_elements(content, depth + 1)])
        except ValueError:
            pass
    return Leaf([tag, content])


def write_der(item: Any, choose: random.Random | None = None, wrong: float = 0.0) -> bytes:
    """The bytes of elements; with ``wrong`` a chance, at each, of a length that is not true or not in shortest form."""
    if isinstance(item, (Raw, bytes)):
        return bytes(item)
    if not isinstance(item, list):
        return b""
    if not isinstance(item, (Element, Leaf)) or not item or type(item[0]) is not int:
        return b"".join(write_der(each, choose, wrong) for each in item)
    content = b"".join(write_der(each, choose, wrong) for each in item[1:])
    length = len(content)
    if choose is not None and choose.random() < wrong:
        length = choose.choice((0, length + 1, max(0, length - 1), 1 << 16, 1 << 31, 1 << 60))
        if choose.random() < 0.3:
            return bytes([item[0] & 0xFF, 0x84]) + (length & 0xFFFFFFFF).to_bytes(4, "big") + content
    return bytes([item[0] & 0xFF]) + _length(length) + content


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    size = (length.bit_length() + 7) // 8
    return bytes([0x80 | size]) + length.to_bytes(size, "big")
