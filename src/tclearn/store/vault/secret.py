"""Key material that does not show itself."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Bytes that no ``repr``, log or traceback shows, not even one that prints local variables.

    Args:
        value: the key material.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes; to be handed to a cipher on the same line, and never kept in a variable."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied and not serialised")
