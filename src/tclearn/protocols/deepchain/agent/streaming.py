"""CBOR from a stream, a string at a time: no more is asked for, or kept, than whoever reads has allowed."""

from __future__ import annotations

from typing import BinaryIO, Final, NoReturn

from tclearn.encoding import head
from tclearn.errors import Code, MessageError

_BYTES: Final = 2
_ARRAY: Final = 4
_LONG: Final = 24
_LONGEST: Final = 27


class Items:
    """Items of deterministic CBOR, one after the other; see ``tclearn.encoding`` for the form.

    Args:
        stream: at the first of them.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def literal(self, expected: bytes) -> None:
        """Read what stands in every such file.

        Raises:
            MessageError: something else is there.
        """
        if self._take(len(expected)) != expected:
            _refuse()

    def array(self) -> int:
        """The head of an array: how many items follow.

        Raises:
            MessageError: something else is there.
        """
        return self._head(_ARRAY)

    def string(self, size_max: int) -> bytes:
        """A byte string.

        Raises:
            MessageError: ``TOO_LARGE``, longer than ``size_max``, and not read; or something else is there.
        """
        size = self._head(_BYTES)
        if size > size_max:
            raise MessageError(Code.TOO_LARGE, f"a string of {size} bytes", expected=f"at most {size_max} here")
        return self._take(size)

    def end(self) -> None:
        """Read nothing more.

        Raises:
            MessageError: something is there.
        """
        if self._stream.read(1):
            _refuse()

    def _head(self, major: int) -> int:
        first = self._take(1)
        argument = first[0] & 0x1F
        rest = self._take(1 << argument - _LONG) if _LONG <= argument <= _LONGEST else b""
        number = int.from_bytes(rest, "big") if rest else argument
        if head(major, number) != first + rest:  # of another type, or not in its shortest form
            _refuse()
        return number

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                _refuse()
            data += more
        return data


def _refuse() -> NoReturn:
    raise MessageError(Code.ENCODING, "bytes that are no such file", expected="deterministic CBOR of its fields")
