"""Arguments of the model factory as canonical text.

The ledger's encoding has no floats, booleans or null, and a factory may want all of them. Each argument is therefore
kept as the one JSON text that stands for it: sorted keys, no spaces, ASCII, and the shortest decimal that reads back as
the same 64-bit float. Whoever reads the charter calls the factory with exactly the values that were written.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

ARGUMENT_CHARACTERS_MAX: Final = 65_536


def argument_text(value: object) -> str:
    """The canonical text of an argument.

    Args:
        value: text, a number, a boolean, ``None``, or lists and text-keyed maps of such. Tuples read back as lists,
            decimals as floats.

    Raises:
        ValueError: the value has no such text; the message says why.
    """
    try:
        text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if len(text) > ARGUMENT_CHARACTERS_MAX:
        raise ValueError(f"is longer than {ARGUMENT_CHARACTERS_MAX} characters")
    return text


def read_argument(text: str) -> Any:
    """The value that a canonical text stands for.

    Raises:
        ValueError: not the canonical text of any value.
    """
    if len(text) > ARGUMENT_CHARACTERS_MAX:
        raise ValueError(f"is longer than {ARGUMENT_CHARACTERS_MAX} characters")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if argument_text(value) != text:
        raise ValueError("is not in canonical form")
    return value


def _plain(value: object) -> object:
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        if not -(1 << 63) <= value < 1 << 63:  # type: ignore[operator]
            raise ValueError("is an integer of more than 64 bits")
        return value
    if kind is float or kind is Decimal:
        number = float(value)  # type: ignore[arg-type]
        if number - number != 0.0:
            raise ValueError("is not a finite number")
        return number
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if not all(type(key) is str for key in value):
            raise ValueError("has a key that is not text")
        return {key: _plain(item) for key, item in value.items()}
    raise ValueError(f"is of type {kind.__name__}")
