"""Frozen dataclasses as closed CBOR maps: one definition gives the type, the encoding and the strict check of input.

A field's annotation is its schema: ``int`` (natural, below 2^63), ``str``, ``bytes``, ``Digest`` (32 bytes),
``MemberId``, ``Value``, another ``Record``, ``tuple[X, ...]``, ``dict[str, X]``, or ``X | None`` (absent from the map
when ``None``).
Unknown fields, missing fields and other types are refused by name.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Self, Union, get_args, get_origin, get_type_hints

from tclearn.encoding import Digest, MemberId, Value, encode
from tclearn.errors import Code, MessageError

_NATURAL_MAX: Final = (1 << 63) - 1
_MEMBER: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")

Place = str | tuple["Place", str | int]
"""Where a value stands: a name, or a place with a field, key or position in it. Put into words only for a refusal."""
_Reader = Callable[[Any, Place], Any]
_Writer = Callable[[Any], Value]


class Record:
    """Base of dataclasses that travel as CBOR maps (``@dataclass(frozen=True, slots=True)`` on each subclass)."""

    __slots__ = ()

    def to_value(self) -> dict[str, Value]:
        """The record as a map ready for ``encode``."""
        result: dict[str, Value] = {}
        for name, _, _, write in _fields(type(self)):  # type: ignore[arg-type] # mypy takes Record.__hash__ for the class's
            item = getattr(self, name)
            if item is not None:
                result[name] = write(item)
        return result

    def encode(self) -> bytes:
        """The deterministic encoding of the record."""
        return encode(self.to_value())

    @classmethod
    def from_value(cls, value: Value, what: Place = "") -> Self:
        """Read a record from a decoded map.

        Args:
            value: what ``decode`` gave.
            what: the record's place, for messages (``"propose"``, ``"entry 12"``).

        Raises:
            MessageError: a field is missing, unknown or of another type; the message names it.
        """
        place = what or cls.__name__
        if not isinstance(value, Mapping):
            raise _refused(place, value, "a map")
        arguments: dict[str, Any] = {}
        known = 0
        for name, required, read, _ in _fields(cls):  # type: ignore[arg-type] # as above
            if name in value:
                arguments[name] = read(value[name], (place, name))
                known += 1
            elif required:
                raise MessageError(Code.ENCODING, f"{_rendered(place)} lacks the field {name!r}")
            else:
                arguments[name] = None
        if known != len(value):
            unknown = sorted(set(value) - set(arguments))
            raise MessageError(Code.ENCODING, f"{_rendered(place)} has the unknown field {unknown[0][:40]!r}")
        return cls(**arguments)


@cache
def _fields(cls: type[Record]) -> tuple[tuple[str, bool, _Reader, _Writer], ...]:
    hints = get_type_hints(cls)
    result = []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint = hints[field.name]
        optional = get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)
        if optional:
            (hint,) = (option for option in get_args(hint) if option is not type(None))
        read, write = _codec(hint)
        result.append((field.name, not optional, read, write))
    return tuple(result)


def _codec(hint: Any) -> tuple[_Reader, _Writer]:
    if hint is int:
        return _read_natural, _same
    if hint is Digest:
        return _read_digest, _same
    if hint is MemberId:
        return _read_member, _same
    if hint is bytes:
        return _read_bytes, _same
    if hint is str:
        return _read_text, _same
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        read, write = _codec(arguments[0])
        return _read_array(read), lambda items: [write(item) for item in items]
    if origin is dict and arguments[0] is str:
        read, write = _codec(arguments[1])
        return _read_map(read), lambda items: {key: write(item) for key, item in items.items()}
    if origin in (Union, types.UnionType):  # Value itself: decoding has already held it to the closed schema
        return lambda value, _: value, _same
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_value, lambda record: record.to_value()
    raise TypeError(f"a record field cannot be {hint!r}")


def _same(value: Any) -> Value:
    result: Value = value
    return result


def _read_natural(value: Any, place: Place) -> int:
    if type(value) is not int or not 0 <= value <= _NATURAL_MAX:
        raise _refused(place, value, "an integer from 0 to 2^63 - 1")
    return value


def _read_bytes(value: Any, place: Place) -> bytes:
    if type(value) is not bytes:
        raise _refused(place, value, "bytes")
    return value


def _read_digest(value: Any, place: Place) -> Digest:
    if type(value) is not bytes or len(value) != 32:
        raise _refused(place, value, "a digest of 32 bytes")
    return Digest(value)


def _read_text(value: Any, place: Place) -> str:
    if type(value) is not str:
        raise _refused(place, value, "text")
    return value


def is_member_name(text: str) -> bool:
    """Whether a text can be a ``MemberId``."""
    return _MEMBER.fullmatch(text) is not None


def _read_member(value: Any, place: Place) -> MemberId:
    if type(value) is not str or not _MEMBER.fullmatch(value):
        raise _refused(place, value, "a member name of lower-case letters, digits, dots and hyphens")
    return MemberId(value)


def _read_array(read: _Reader) -> _Reader:
    def reader(value: Any, place: Place) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _refused(place, value, "an array")
        return tuple(read(item, (place, index)) for index, item in enumerate(value))

    return reader


def _read_map(read: _Reader) -> _Reader:
    def reader(value: Any, place: Place) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _refused(place, value, "a map")
        return {key: read(item, (place, key)) for key, item in value.items()}

    return reader


def _shown(name: str) -> str:
    # Names come from anybody: they are quoted where they are not plain words, and never in full length.
    return name if _MEMBER.fullmatch(name.replace("_", "-").lower()) else repr(name[:40])


def _rendered(place: Place) -> str:
    if isinstance(place, str):
        return place
    parent, step = place
    return f"{_rendered(parent)}[{step}]" if isinstance(step, int) else f"{_rendered(parent)}.{_shown(step)}"


def _refused(place: Place, value: object, expected: str) -> MessageError:
    size = f" of length {len(value)}" if isinstance(value, bytes | str | list | tuple) else ""
    return MessageError(Code.ENCODING, f"{_rendered(place)} is {type(value).__name__}{size}", expected=expected)
