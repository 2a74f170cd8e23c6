"""Deterministic CBOR (RFC 8949 §4.2.1) in a closed schema, and domain-separated digests over it.

Values are natural and negative integers of 64 bits, byte strings, text, arrays and maps with text keys. No floats, no
booleans, no null, no tags: two encoders that agree on the value agree on the bytes, and a value that cannot be compared
exactly cannot enter the ledger. Decoding accepts exactly the bytes that encoding gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NewType, NoReturn

import cbor2

from tclearn.errors import Code, MessageError
from tclearn.limits import ENCODING_DEPTH_MAX, TRANSACTION_BYTES_MAX

Value = int | bytes | str | Sequence["Value"] | Mapping[str, "Value"]
Digest = NewType("Digest", bytes)
"""32 bytes."""
MemberId = NewType("MemberId", str)
"""A member's short name, unique in its coalition: ``[a-z0-9][a-z0-9.-]{0,62}``."""

_HEADS: Final = ((24, 1), (25, 2), (26, 4), (27, 8))
_TEXT: Final = frozenset({str})
_PLAIN: Final = frozenset({bytes, str})
_INT_MIN: Final = -(1 << 64)
_INT_MAX: Final = (1 << 64) - 1


def encode(value: Value) -> bytes:
    """Encode a value deterministically.

    Raises:
        MessageError: the value holds a float, a boolean, ``None``, a map key that is not text, an integer beyond 64
            bits, text that is not Unicode, or is nested deeper than ``ENCODING_DEPTH_MAX``.
    """
    return encode_normal(value)[0]


def encode_normal(value: Value) -> tuple[bytes, Value]:
    """The encoding, and the value as decoding gives it: lists for arrays, keys in the encoding's order.

    Raises:
        MessageError: as ``encode``.
    """
    try:
        normal = _normal(value, 0)
        return cbor2.dumps(normal), normal
    except UnicodeEncodeError as error:
        raise MessageError(Code.ENCODING, "text that is not Unicode", expected="no lone surrogates") from error


def encode_plain(value: Value) -> bytes:
    """``encode`` for a value that is in normal form by construction, as decoding gives it: it is not looked through."""
    return cbor2.dumps(value)


def decode(data: bytes, *, size_max: int = TRANSACTION_BYTES_MAX) -> Value:
    """Decode bytes that ``encode`` could have produced.

    Raises:
        MessageError: larger than ``size_max`` bytes, not CBOR, outside the closed schema, or not the deterministic
            encoding of what it decodes to.
    """
    if len(data) > size_max:
        raise MessageError(Code.TOO_LARGE, f"an encoded value of {len(data)} bytes", expected=f"at most {size_max}")
    try:
        value: Value = cbor2.loads(
            data,
            max_depth=ENCODING_DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
            tag_hook=_refuse_tag,
            semantic_decoders=_NO_TAGS,
        )
        same = cbor2.dumps(_normal(value, 0)) == data
    except MessageError:
        raise
    except Exception as error:  # cbor2 raises several kinds; each of them means: not one of ours
        raise MessageError(
            Code.ENCODING, "bytes that are not CBOR of the closed schema", expected="deterministic CBOR (RFC 8949)"
        ) from error
    if not same:
        raise MessageError(
            Code.ENCODING,
            "CBOR that is not in deterministic form",
            expected="RFC 8949 §4.2.1: sorted keys, short forms",
        )
    return value


def head(major: int, argument: int) -> bytes:
    """The head of a data item in its shortest form, for code that frames items itself. Source: RFC 8949 §3.

    Args:
        major: major type, 0 to 7.
        argument: value or length, below 2^64.

    Raises:
        MessageError: the argument does not fit.
    """
    if argument < 24:
        return bytes((major << 5 | argument,))
    for first, size in _HEADS:
        if argument < 1 << 8 * size:
            return bytes((major << 5 | first,)) + argument.to_bytes(size, "big")
    raise MessageError(Code.ENCODING, "an integer of more than 64 bits")


def read_head(data: bytes, at: int) -> tuple[int, int]:
    """The argument of the head at a position, and the position after it.

    Neither type, form nor end are checked: whoever uses it puts the item together again and compares.
    """
    argument = data[at] & 0x1F if at < len(data) else 0
    size = 1 << argument - 24 if 24 <= argument < 28 else 0
    return int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else argument, at + 1 + size


def digest(domain: str, *parts: Value) -> Digest:
    """SHA-256 over a domain name and values, unambiguous because the whole is one CBOR array."""
    return Digest(hashlib.sha256(encode([domain, *parts])).digest())


def _normal(value: object, depth: int) -> Value:
    if isinstance(value, (dict, list, tuple)):
        if value and depth == ENCODING_DEPTH_MAX:
            raise MessageError(Code.ENCODING, f"a value nested deeper than {ENCODING_DEPTH_MAX}")
        depth += 1
        if isinstance(value, dict):
            return {
                key: item if type(item := value[key]) in _PLAIN else _normal(item, depth) for key in _ordered(value)
            }
        return [item if type(item) in _PLAIN else _normal(item, depth) for item in value]
    kind = type(value)
    if isinstance(value, int) and kind is not bool:
        if not _INT_MIN <= value <= _INT_MAX:
            raise MessageError(Code.ENCODING, "an integer of more than 64 bits")
        return int(value)
    if kind in _PLAIN:
        return value  # type: ignore[return-value]
    raise MessageError(
        Code.ENCODING,
        f"a value of type {kind.__name__}",
        expected="integers, bytes, text, arrays and text-keyed maps only",
    )


def _ordered(keys: Mapping[Any, object]) -> list[str]:
    # RFC 8949 §4.2.1 orders keys by their encoded bytes. For text that is by length in UTF-8, then by code points.
    if not _TEXT.issuperset(map(type, keys)):
        wrong = next(type(key).__name__ for key in keys if type(key) is not str)
        raise MessageError(Code.ENCODING, f"a map key of type {wrong}", expected="text")
    ordered: list[str] = sorted(keys)
    ordered.sort(key=len if "".join(ordered).isascii() else _utf8_length)
    return ordered


def _utf8_length(text: str) -> int:
    return len(text.encode())


def _refuse_tag(*_: object) -> NoReturn:
    raise MessageError(Code.ENCODING, "a CBOR tag", expected="no tags")


# Tags with built-in decoders (bignums, dates, shared references, regular expressions …): all refused before they act.
_NO_TAGS: Final[dict[int, Callable[..., NoReturn]]] = dict.fromkeys(
    (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)
