"""Making inputs from inputs: by bytes, by the elements of a form, by length, nesting and type, and out of two."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.fuzz.forms import (
    Element,
    Leaf,
    Map,
    Nested,
    Raw,
    Tag,
    read_cbor,
    read_der,
    read_json,
    slots,
    write_cbor,
    write_der,
    write_json,
)
from tests.fuzz.harness import INPUT_BYTES_MAX, Mutator

NUMBERS: Final = (
    *(0, 1, 2, 3, 7, 15, 16, 23, 24, 31, 32, 33, 63, 64, 99, 100, 101, 127, 128, 255, 256, 999, 1000, 1001),
    *(65535, 65536, 999_999, 1_000_000, 1_000_001, (1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 << 31, 1 << 32),
    *((1 << 53) - 1, 1 << 53, 1 << 60, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 200),
    *(-1, -2, -24, -25, -(1 << 31), -(1 << 63), -(1 << 63) - 1, -(1 << 64), -(1 << 64) - 1),
)
TEXTS: Final = (
    *("", "a", "A", "0", "-", ".", "é", "∑", "\u202e", "\x00", "\x1b[2J", "\n", "\ud800", "\U0010ffff", "a\u0301"),
    *("a" * 62, "a" * 63, "a" * 64, "é" * 63, "..", "m00", "m01", "__metadata__", "None", "true", "nan", "inf"),
)
_RARELY: Final = 0.001


def by_bytes(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """Some bytes changed, put in, taken out, said twice, or exchanged with another input's."""
    if choose.random() < 0.01:
        return choose.randbytes(choose.choice((0, 1, 2, 8, 40, 200, 2000)))
    result = bytearray(data)
    for _ in range(choose.choice((1, 1, 1, 2, 3, 8))):
        at = choose.randrange(len(result) + 1)
        end = min(len(result), at + choose.choice((1, 1, 2, 4, 8, 32, 200)))
        match choose.randrange(10):
            case 0 | 1 if at < len(result):
                result[at] ^= 1 << choose.randrange(8)
            case 2 if at < len(result):
                result[at] = choose.choice((0, 1, 0x0A, 0x20, 0x7F, 0x80, 0xFF, choose.randrange(256)))
            case 3:
                result[at:at] = choose.randbytes(choose.choice((1, 2, 4, 8, 32)))
            case 4:
                del result[at:end]
            case 5:
                result[at:at] = result[at:end] * choose.choice((1, 1, 2, 50))
            case 6:
                size = choose.choice((1, 2, 4, 8))
                number = choose.choice(NUMBERS) & ((1 << 8 * size) - 1)
                result[at : at + size] = number.to_bytes(size, choose.choice(("little", "big")))
            case 7:
                del result[at:]
            case _:
                other = choose.choice(pool)
                begin = choose.randrange(len(other) + 1)
                result[at:end] = other[begin : begin + choose.choice((1, 4, 32, 200, len(other)))]
    if choose.random() < _RARELY and result:
        at = choose.randrange(len(result))
        piece = result[at : at + choose.choice((1, 2, 10, 100))]
        result[at:at] = piece * min(20_000, INPUT_BYTES_MAX // len(piece) // 2)
    return bytes(result)


# --- trees -----------------------------------------------------------------------------------------------------------

Tree = list[Any]
"""One item in a list, so that the item itself has a place."""


def change(choose: random.Random, tree: Tree, others: Sequence[Tree], fresh: Callable[[random.Random], Any]) -> None:
    """Change a tree in one place, or in some."""
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        places = list(slots(tree))
        holder, at = choose.choice(places)
        item = holder[at]
        match choose.randrange(10):
            case 0:
                holder[at] = fresh(choose)
            case 1 | 2 | 3:
                holder[at] = _nudged(choose, item, fresh)
            case 4 if len(holder) > 1:
                del holder[at]
            case 5:
                holder.insert(at, _another(choose, places) if choose.random() < 0.5 else _copied(item))
            case 6 if isinstance(item, list) and item:
                _restructure(choose, item, fresh)
            case 7:
                for _ in range(choose.choice((1, 1, 2, 15, 16, 17, 59))):
                    holder[at] = choose.choice(([holder[at]], Map([["a", holder[at]]])))
            case _:
                kin = [each for each in _all(choose.choice(others)) if type(each) is type(item)]
                holder[at] = _copied(choose.choice(kin) if kin else _another(choose, places))
    if choose.random() < _RARELY:
        holder, at = choose.choice(list(slots(tree)))
        size = choose.choice((300, 3000, 70_000))
        holder[at:at] = [holder[at]] * (size if not isinstance(holder[at], list) else size // 50)


def _all(tree: Tree) -> list[Any]:
    return [holder[at] for holder, at in slots(tree)]


def _another(choose: random.Random, places: Sequence[tuple[list[Any], int]]) -> Any:
    holder, at = choose.choice(places)
    return _copied(holder[at])


def _copied(item: Any) -> Any:
    if isinstance(item, list):
        return type(item)(map(_copied, item))
    return item


def _restructure(choose: random.Random, item: list[Any], fresh: Callable[[random.Random], Any]) -> None:
    match choose.randrange(4):
        case 0:
            choose.shuffle(item)
        case 1:
            item.append([fresh(choose), fresh(choose)] if isinstance(item, Map) else fresh(choose))
        case 2:
            item.append(_copied(choose.choice(item)))
        case _:
            del item[choose.randrange(len(item)) :]


def _nudged(choose: random.Random, item: Any, fresh: Callable[[random.Random], Any]) -> Any:
    match item:
        case bool():
            return not item
        case int():
            flipped = item ^ (1 << choose.randrange(64))
            return choose.choice((item + 1, item - 1, -item, flipped, choose.choice(NUMBERS)))
        case float():
            return choose.choice((-item, item * 2, 1e308 * 10, float("nan"), 0.5))
        case Raw():
            return fresh(choose)
        case bytes():
            if choose.random() < 0.3:
                return item[: choose.randrange(len(item) + 1)] + choose.randbytes(choose.choice((0, 1, 16)))
            return by_bytes(choose, item, [item])
        case str():
            if choose.random() < 0.5 or not item:
                return choose.choice(TEXTS)
            at = choose.randrange(len(item))
            return item[:at] + choose.choice((*TEXTS, "")) + item[at + choose.randrange(2) :]
        case Nested():
            return choose.choice((write_cbor(item)[:-1], item[0] if item else b""))
        case Map():
            pairs: list[Any] = list(item)  # of a changed tree: anything
            return choose.choice(([pair[-1] if isinstance(pair, list) and pair else pair for pair in pairs], Map()))
        case list():
            return choose.choice((Map([str(at), each] for at, each in enumerate(item)), [], item[:1]))
    return fresh(choose)


def fresh_cbor(choose: random.Random) -> Any:
    """An item that was not there before."""
    match choose.randrange(8):
        case 0 | 1:
            return choose.choice(NUMBERS)
        case 2:
            return choose.randbytes(choose.choice((0, 1, 15, 16, 31, 32, 33, 64, 65, 300)))
        case 3:
            return choose.choice(TEXTS)
        case 4:
            return choose.choice(([], Map(), [[]], Map([["", 0]])))
        case 5:
            return choose.choice((None, True, False, 1.5))
        case 6:
            return Tag([choose.choice((0, 1, 2, 3, 18, 24, 28, 29, 258, 55799)), choose.choice((0, b"", "", []))])
        case _:
            return Raw(choose.randbytes(choose.randrange(4)))


def cbor(*, prefix: int = 0, plain: float = 0.2) -> Mutator:
    """For inputs of one CBOR item, perhaps with others in its byte strings.

    Args:
        prefix: so many bytes before it choose something else; they mostly stay.
        plain: how often bytes are changed without a look at the form.
    """

    def mutate(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
        first, rest = data[:prefix], data[prefix:]
        if prefix and choose.random() < 0.1:
            first = by_bytes(choose, first, [each[:prefix] for each in pool])[:prefix].ljust(prefix, b"\0")
        if choose.random() < plain:
            return first + by_bytes(choose, rest, [each[prefix:] for each in pool])
        try:
            tree = [read_cbor(rest)]
            others = [[read_cbor(choose.choice(pool)[prefix:])]]
        except ValueError:
            return first + by_bytes(choose, rest, [each[prefix:] for each in pool])
        change(choose, tree, others, fresh_cbor)
        wrong = 0.02 if choose.random() < 0.2 else 0.0
        return first + b"".join(write_cbor(item, choose, wrong) for item in tree)

    return mutate


def fresh_json(choose: random.Random) -> Any:
    """A JSON value that was not there before."""
    others: tuple[Any, ...] = (None, True, 1.5, -0.0, float("nan"), float("inf"), [], Map(), [0], "F32")
    return choose.choice((choose.choice(NUMBERS), choose.choice(TEXTS), *others))


def tensors(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """For safetensors files: the header's JSON, its length, and the bytes behind it."""
    size = int.from_bytes(data[:8], "little")
    if choose.random() < 0.2 or size > len(data):
        return by_bytes(choose, data, pool)
    text, body = data[8 : 8 + size], data[8 + size :]
    try:
        other = choose.choice(pool)[8:].partition(b"}}")[0] + b"}}"
        tree, others = [read_json(text.decode())], [[read_json(other.decode())]]
    except (ValueError, RecursionError):
        return by_bytes(choose, data, pool)
    if choose.random() < 0.85:
        change(choose, tree, others, fresh_json)
        text = ",".join(map(write_json, tree)).encode("utf-8", "surrogatepass")
    else:
        body = by_bytes(choose, body, pool)
    if choose.random() < 0.1:
        text += b" " * choose.choice((1, 7, 8, 4096))
    length = len(text) if choose.random() < 0.9 else choose.choice(NUMBERS) & ((1 << 64) - 1)
    return length.to_bytes(8, "little") + text + body


# --- text ------------------------------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(
    r"""[+/A-Za-z0-9]{20,}={0,2}|\s+|[A-Za-z_][\w-]*|[0-9][0-9a-zA-Z.+:_-]*|"[^"\n]*"|.""", re.DOTALL
)
_DEEP: Final = (64, 300, 5000, 200_000)


def text(*words: str) -> Mutator:
    """For inputs of lines and words.

    Args:
        words: what may stand in the place of any word.
    """

    def mutate(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
        if choose.random() < 0.15:
            return by_bytes(choose, data, pool)
        lines = data.decode("utf-8", "replace").split("\n")
        for _ in range(choose.choice((1, 1, 2, 4))):
            at = choose.randrange(len(lines))
            match choose.randrange(7):
                case 0:
                    del lines[at]
                    lines = lines or [""]
                case 1:
                    lines.insert(at, choose.choice(lines))
                case 2:
                    other = choose.choice(lines)
                    lines[at], lines[lines.index(other)] = other, lines[at]
                case 3:
                    lines.insert(at, choose.choice(choose.choice(pool).decode("utf-8", "replace").split("\n")))
                case _:
                    lines[at] = _reworded(choose, lines[at], words)
        if choose.random() < _RARELY:
            line = choose.choice(lines) + "\n"
            lines.insert(choose.randrange(len(lines)), line * min(100_000, INPUT_BYTES_MAX // len(line) // 2))
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    return mutate


def _reworded(choose: random.Random, line: str, words: Sequence[str]) -> str:
    tokens = _TOKEN.findall(line) or [""]
    for _ in range(choose.choice((1, 1, 2))):
        at = choose.randrange(len(tokens))
        match choose.randrange(7):
            case 0:
                del tokens[at]
                tokens = tokens or [""]
            case 1:
                tokens.insert(at, choose.choice(tokens))
            case 2:
                tokens[at] = _nudged(choose, tokens[at], lambda _: "")
            case 3:
                tokens[at] = str(choose.choice(NUMBERS)) if choose.random() < 0.7 else choose.choice(TEXTS)
            case 4 if len(tokens[at]) >= 20:
                tokens[at] = _rebased(choose, tokens[at])
            case 5 if choose.random() < 0.05:
                word = choose.choice(words or TEXTS) or "["
                tokens[at] = word * min(choose.choice(_DEEP), INPUT_BYTES_MAX // len(word))
            case _:
                tokens[at] = choose.choice(words or TEXTS)
    return "".join(tokens)[:INPUT_BYTES_MAX]


def _rebased(choose: random.Random, token: str) -> str:
    try:
        inside = base64.b64decode(token, validate=True)
    except ValueError:
        return token[::-1]
    return base64.b64encode(by_bytes(choose, inside, [inside])).decode()


TOML_WORDS: Final = (
    *("=", ".", ",", "[", "]", "[[", "]]", "{", "}", "{ ", " }", "#", "'", '"', '"""', "'''", "\\", "\\u0000"),
    *("true", "false", "nan", "-nan", "inf", "+inf", "-inf", "0.1", "1e400", "-0.0", "1_000", "0x1F", "0o7", "1e-40"),
    *("1979-05-27T07:32:00Z", "1979-05-27", "07:32:00", "2027-06-30T18:00:00+02:00", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59.999999999-23:59", "2027-06-30", '"2027-06-30"', "10000-01-01", "1e", "0.980000000001"),
    *("1" * 4400, "[[1], [2]]", "{ a = 1 }", "{ a.b = 1 }", "a.b.c", '"a b".c', "[a.b]", "[[a.b]]", "[]", "{}", "0b1"),
    *('""', '"x"', '["a", "b"]', '"plateau"', '"constant"', '"free"', '"vote"', '"paper"', '"blake3:00"', '"a:b"'),
    *("start", "rule", "stop", "until", "[coalition]", "[model]", "[hyperparameters]", "[governance]", "learning_rate"),
    *("members", "a_ppm", "learning_rat", '"\\u202e"', '"\\u0000"', "'a'='b'", "a.a.", '"!".', "[[[[", "{a={a="),
    *("\\U00110000", "1" * 500 + "." + "1" * 500),
)


# --- DER and PEM -----------------------------------------------------------------------------------------------------


def _fresh_der(choose: random.Random) -> Any:
    contents = (
        b"",
        b"\0",
        b"\xff",
        b"\x7f",
        b"\x01" * 40,
        b"99991231235959Z",
        b"000101000000Z",
        b"\xd8\x00",
        b"leuven",
    )
    tags = (1, 2, 3, 4, 5, 6, 10, 12, 19, 22, 23, 24, 28, 30, 0x80, 0x82, 0x86, 0x30, 0x31, 0xA0, 0xA3)
    if choose.random() < 0.2:
        return Raw(choose.randbytes(choose.randrange(6)))
    return Leaf([choose.choice(tags), choose.choice(contents)])


def der(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """For inputs of DER elements."""
    if choose.random() < 0.2:
        return by_bytes(choose, data, pool)
    try:
        tree = read_der(data)
        others = [read_der(choose.choice(pool))]
    except ValueError:
        return by_bytes(choose, data, pool)
    if not tree:
        return by_bytes(choose, data, pool)
    for _ in range(choose.choice((1, 1, 2))):
        _change_der(choose, tree, others)
    return write_der(tree, choose, 0.01 if choose.random() < 0.2 else 0.0)


def _change_der(choose: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    places = [(holder, at) for holder, at in slots(tree) if isinstance(holder[at], (Element, Leaf))]
    if not places:
        return
    holder, at = choose.choice(places)
    item = holder[at]
    match choose.randrange(8):
        case 0:
            holder[at] = _fresh_der(choose)
        case 1:
            del holder[at]
        case 2:
            holder.insert(at, _copied(item))
        case 3:
            item[0] ^= choose.choice((1, 2, 4, 8, 16, 0x20, 0x80))
        case 4:
            for _ in range(choose.choice((1, 2, 40, 300))):
                holder[at] = Element([choose.choice((0x30, 0x31, 0xA0)), holder[at]])
        case 5:
            others_there = [each for each in _all(choose.choice(others)) if isinstance(each, (Element, Leaf))]
            holder[at] = _copied(choose.choice(others_there or [item]))
        case _:
            if isinstance(item, Leaf):
                item[1] = by_bytes(choose, item[1], [item[1]])
            else:
                body = item[1:]
                choose.shuffle(body)
                item[1:] = body


def array(*parts: Mutator) -> Mutator:
    """For inputs of one CBOR array of byte strings, each of a form of its own; the last form is that of all others."""

    def mutate(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
        try:
            items, other = _strings(data), _strings(choose.choice(pool))
        except ValueError:
            return by_bytes(choose, data, pool)
        if not items or not other or choose.random() < 0.1:
            return whole(choose, data, pool)
        at = choose.randrange(len(items))
        alike = [other[min(at, len(other) - 1)], items[at]]
        items[at] = parts[min(at, len(parts) - 1)](choose, items[at], alike)
        return write_cbor(items)

    whole = cbor()
    return mutate


def _strings(data: bytes) -> list[bytes]:
    found = read_cbor(data)
    items = [write_cbor(item[0]) if isinstance(item, Nested) else item for item in found]
    if not all(type(item) is bytes for item in items):
        raise ValueError("not byte strings")
    return items


def either(*mutators: Mutator) -> Mutator:
    """One of several at a time."""
    return lambda choose, data, pool: choose.choice(mutators)(choose, data, pool)


# --- pages -----------------------------------------------------------------------------------------------------------


def pages(choose: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """For files of pages, as SQLite has them: heads of pages, what points into them, whole pages, and the end."""
    size = int.from_bytes(data[16:18], "big") or 4096
    if size < 512 or len(data) < size:
        return by_bytes(choose, data, pool)
    result = bytearray(data)
    for _ in range(choose.choice((1, 1, 2, 5))):
        page = choose.randrange(max(1, len(result) // size)) * size
        start = page + (100 if page == 0 else 0)
        match choose.randrange(9):
            case 0:  # the file's head
                result[choose.randrange(100)] = choose.choice((0, 1, 2, 0xFF, choose.randrange(256)))
            case 1:  # the page's head: kind, free blocks, number of cells, where they begin
                result[start + choose.randrange(12)] = choose.randrange(256)
            case 2 | 3:  # where a cell is
                result[start + 8 + choose.randrange(40)] = choose.randrange(256)
            case 4:  # another page in its place
                other = choose.randrange(max(1, len(result) // size)) * size
                result[page : page + size] = result[other : other + size]
            case 5:
                result[page : page + size] = bytes(size)
            case 6:
                del result[choose.choice((page, page + size // 2)) :]
                result = result or bytearray(b"S")
            case _:  # what is stored
                at = min(len(result) - 1, page + choose.randrange(size))
                result[at] ^= 1 << choose.randrange(8)
        if len(result) < size:
            break
    return bytes(result)


def json_text(item: Any) -> bytes:
    """JSON as bytes, for samples."""
    return json.dumps(item).encode()
