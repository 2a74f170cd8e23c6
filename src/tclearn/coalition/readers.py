"""Readers of a charter's values: each takes what was written and gives it settled; mistakes are noted by key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from tclearn.coalition.faults import Faults, shown
from tclearn.coalition.quantities import Number, Quantity
from tclearn.coalition.words import OPTION_EXPECTED, OPTION_NAME
from tclearn.errors import Code

Reader = Callable[[Any, Faults], Any]

PPM: Final = "_ppm"
"""Ends the canonical names of decimals, so that users' own names must not end so."""


def number(quantity: Quantity) -> Reader:
    """Reads a count as an integer, anything else as the decimal that was written."""

    def read(value: Any, faults: Faults) -> Number:
        before = len(faults)
        units = quantity.read(value, faults)
        if quantity.scale == 1 or len(faults) > before:
            return units
        return Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)

    return read


def optional(read: Reader) -> Reader:
    """Lets ``None`` stand."""
    return lambda value, faults: None if value is None else read(value, faults)


def choice(key: str, known: tuple[str, ...], later: tuple[str, ...] = ()) -> Reader:
    """Reads one of a few words; those of ``later`` get a message of their own."""

    def read(value: Any, faults: Faults) -> Any:
        if isinstance(value, str) and value in later:
            faults.add(f"{key} {shown(value)} is not in this version", " or ".join(known))
        else:
            faults.choice(key, value, known)
        return value

    return read


def name(key: str, pattern: re.Pattern[str], expected: str) -> Reader:
    """Reads text of one shape."""

    def read(value: Any, faults: Faults) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            faults.add(f"{key} is {shown(value)}", expected)
        return value

    return read


def names(key: str, what: str, low: int, high: int) -> Reader:
    """Reads a list of different texts: none, or ``low`` to ``high``."""

    def read(value: Any, faults: Faults) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
            faults.add(f"{key} is {shown(value)}", f"a list of {what}", 'write ["one", "two"]')
            return ()
        if value and not low <= len(value) <= high:
            faults.add(f"{key} has {len(value)} entries", f"{low} to {high} {what}")
        elif len(set(value)) < len(value):
            twice = next(item for at, item in enumerate(value) if item in value[:at])
            faults.add(f"{key} has {shown(twice)} twice", f"{what}, each once")
        return tuple(value)

    return read


def options(table: str, read: Callable[[str, Any, Faults], Any]) -> Reader:
    """Reads a table whose keys only a trainer or a rule knows."""

    def reader(value: Any, faults: Faults) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            faults.add(f"{table} is {shown(value)}", "a table of numbers")
            return {}
        result = {}
        for key, item in value.items():
            if not isinstance(key, str) or not OPTION_NAME.fullmatch(key):
                faults.add(f"{table} has the key {shown(key)}", OPTION_EXPECTED, code=Code.CHARTER_UNKNOWN_KEY)
            elif key.endswith(PPM):
                remedy = f"write {key[: -len(PPM)]} = 0.5, a decimal"
                faults.add(f"{table} has the key {key}", "names that do not end in _ppm", remedy)
            else:
                result[key] = read(key, item, faults)
        return result

    return reader
