"""The values of a charter, checked and brought into one form each: what ``0.98`` is in Python and in TOML is one number.

Every reader takes what was written and gives the settled value; a mistake is noted with its key in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from tclearn.coalition import quantities, words
from tclearn.coalition.arguments import argument_text, read_argument
from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.coalition.quantities import Number, Quantity, exact_number, free_quantity
from tclearn.errors import Code
from tclearn.limits import MEMBERS_MAX, MEMBERS_MIN

_Reader = Callable[[Any, Faults], Any]
_DATA_DIGEST: Final = re.compile(r"blake3:[0-9a-f]{64}")
_COUNTS: Final = ("epochs", "batch_size")
_USUAL: Final = (*_COUNTS, "learning_rate")
_RATE_KEYS: Final = ("start", "rule", "factor", "patience", "minimum")


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """A learning rate and the rule that it follows, as users write it.

    Attributes:
        start: the rate at first.
        rule: ``"constant"``, or ``"plateau"``: multiplied by ``factor`` after more than ``patience`` accepted blocks
            in a row without a new best.
        factor: 0 to 1; ``None`` with ``plateau``: 0.5.
        patience: blocks; ``None`` with ``plateau``: 3.
        minimum: the rate never falls below this; ``None`` with ``plateau``: 0.000001.
    """

    start: Number
    rule: str = "constant"
    factor: Number | None = None
    patience: int | None = None
    minimum: Number | None = None


def settled(fields: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """The settled values of a charter's fields; mistakes are noted.

    Args:
        fields: by name of the field; a missing one keeps its default. A field named ``stop`` stands for stop
            conditions that could not be read and were noted already.
        faults: collects the mistakes.
    """
    values = {name: READERS[name](value, faults) for name, value in fields.items() if name in READERS}
    if "stop" not in fields and all(fields.get(stop) is None for stop in ("blocks", "until", "performance")):
        faults.add(
            "[schedule] stop is missing",
            "blocks, until or performance",
            "write stop = { blocks = 28 } in charter.toml, or Charter(…, blocks=28)",
        )
    return values


def until_ms(value: str | date | datetime) -> int | None:
    """Milliseconds since 1970 of a stop date; ``None``: it is not one, or a time without its offset."""
    try:
        if isinstance(value, str):
            only_date = re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
            value = date.fromisoformat(value) if only_date else datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            value = datetime.combine(value, time(tzinfo=UTC)) + timedelta(days=1)
        if value.tzinfo is None:
            return None
        return int((value - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        return None


def rate_terms(value: object, faults: Faults) -> LearningRate | None:
    """The learning rate as a ``LearningRate``, whichever way it was written; ``None`` when it cannot be read."""
    key = quantities.LEARNING_RATE.key
    if isinstance(value, Mapping):
        for name in value:
            if name not in _RATE_KEYS:
                what = f"{key} has the unknown key {shown(name)}"
                faults.add(what, ", ".join(_RATE_KEYS), did_you_mean(name, _RATE_KEYS), Code.CHARTER_UNKNOWN_KEY)
                return None
        if "start" not in value:
            faults.add(f"{key}.start is missing", "the rate at first", "write { start = 1.0, rule = … }")
            return None
        value = LearningRate(**value)
    if not isinstance(value, LearningRate):
        return LearningRate(start=_number(quantities.LEARNING_RATE)(value, faults))
    faults.choice(f"{key}.rule", value.rule, words.RATE_RULES)
    limits = (quantities.RATE_FACTOR, quantities.RATE_PATIENCE, quantities.RATE_MINIMUM)
    given = (value.factor, value.patience, value.minimum)
    if value.rule != "plateau":
        for quantity, number in zip(limits, given, strict=True):
            if number is not None:
                faults.add(f"{quantity.key} is {shown(number)}, with a constant rate", 'rule = "plateau" beside it')
        return LearningRate(start=_number(quantities.LEARNING_RATE)(value.start, faults))
    start = Quantity(f"{key}.start", quantities.LEARNING_RATE.low, quantities.LEARNING_RATE.high, quantities.MILLION)
    defaults = (Decimal("0.5"), 3, Decimal("0.000001"))
    factor, patience, minimum = (
        default if number is None else _number(quantity)(number, faults)
        for quantity, number, default in zip(limits, given, defaults, strict=True)
    )
    first = _number(start)(value.start, faults)
    if first < minimum:
        faults.add(f"{quantities.RATE_MINIMUM.key} is {shown(minimum)}", f"at most the start, {shown(first)}")
    return LearningRate(start=first, rule=value.rule, factor=factor, patience=patience, minimum=minimum)


def _number(quantity: Quantity) -> _Reader:
    def read(value: Any, faults: Faults) -> Number:
        units = quantity.read(value, faults)
        if quantity.scale == 1:
            return units
        exact = exact_number(value)
        return Decimal(units) / quantity.scale if exact is None else _decimal(value)

    return read


def _decimal(value: Number) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _optional(read: _Reader) -> _Reader:
    return lambda value, faults: None if value is None else read(value, faults)


def _choice(key: str, known: tuple[str, ...], later: tuple[str, ...] = ()) -> _Reader:
    def read(value: Any, faults: Faults) -> Any:
        if isinstance(value, str) and value in later:
            faults.add(f"{key} {shown(value)} is not in this version", " or ".join(known))
        else:
            faults.choice(key, value, known)
        return value

    return read


def _text(key: str, pattern: re.Pattern[str], expected: str) -> _Reader:
    def read(value: Any, faults: Faults) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            faults.add(f"{key} is {shown(value)}", expected)
        return value

    return read


def _texts(key: str, what: str, count: tuple[int, int] = (0, 256)) -> _Reader:
    def read(value: Any, faults: Faults) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
            faults.add(f"{key} is {shown(value)}", f"a list of {what}")
            return ()
        if value and not count[0] <= len(value) <= count[1]:
            faults.add(f"{key} has {len(value)} entries", f"{count[0]} to {count[1]} {what}")
        twice = next((item for at, item in enumerate(value[:512]) if item in value[:at]), None)
        if twice is not None:
            faults.add(f"{key} has {shown(twice)} twice", f"{what}, each once")
        return tuple(value)

    return read


def _model(value: Any, faults: Faults) -> Any:
    if isinstance(value, str):
        if not words.is_factory(value) or "<" in value:
            remedy = "" if ":" in value else "put a colon between the module and the callable"
            faults.add(f"[model] factory is {shown(value)}", words.FACTORY_EXPECTED, remedy, Code.CHARTER_MODEL)
    elif not callable(value) or not hasattr(value, "__qualname__"):
        faults.add(
            f"[model] factory is of type {type(value).__name__}",
            f"a function or class, or {words.FACTORY_EXPECTED}",
            "write a function that makes the model; its arguments go into arguments",
            Code.CHARTER_MODEL,
        )
    return value


def _arguments(value: Any, faults: Faults) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if not isinstance(value, Mapping):
        faults.add(f"[model] arguments is {shown(value)}", "a table", "write arguments = { width = 16 }")
        return result
    for name, item in value.items():
        place = f"[model] arguments.{name}" if isinstance(name, str) else f"[model] arguments: {shown(name)}"
        if not isinstance(name, str) or not name.isidentifier():
            faults.add(place, "names of Python parameters")
            continue
        try:
            result[name] = read_argument(argument_text(item))
        except ValueError as error:
            faults.add(
                f"{place} {error}",
                "text, numbers, true or false, and lists and tables of such",
                "make such an object inside the factory",
            )
    return result


def _step_search(value: Any, faults: Faults) -> Any:
    if not isinstance(value, bool):
        faults.add(f"[schedule] step_search is {shown(value)}", "true or false")
    return value


def _until(value: Any, faults: Faults) -> Any:
    moment = until_ms(value) if isinstance(value, str | date) else None
    if moment is None or not quantities.STOP_UNTIL.low <= moment <= quantities.STOP_UNTIL.high:
        faults.add(
            f"[schedule] stop.until is {shown(value)}",
            "an ISO 8601 date from 2020 to 2199, or a date and time with its offset",
            "write 2027-06-30 (the end of that day, UTC) or 2027-06-30T18:00:00+02:00",
        )
    return value


def _free_numbers(table: str) -> Callable[[str, Any, Faults], Any]:
    def read(name: str, value: Any, faults: Faults) -> Any:
        decimal = isinstance(value, float | Decimal)
        scale = quantities.MILLION if decimal else 1
        quantity = free_quantity(f"{table}{name}", scale=scale, low=1 if name in _COUNTS else 0)
        if decimal and name in _COUNTS:
            quantity = free_quantity(f"{table}{name}")
        return _number(quantity)(value, faults)

    return read


def _options(table: str, read: Callable[[str, Any, Faults], Any]) -> _Reader:
    def reader(value: Any, faults: Faults) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            faults.add(f"{table.strip(' .')} is {shown(value)}", "a table of numbers")
            return {}
        result = {}
        for name, item in value.items():
            if not isinstance(name, str) or not words.OPTION_NAME.fullmatch(name) or name.endswith("_ppm"):
                remedy = "write it as a decimal, without _ppm" if str(name).endswith("_ppm") else ""
                faults.add(f"{table}{shown(name)}", words.OPTION_EXPECTED, remedy, Code.CHARTER_UNKNOWN_KEY)
            else:
                result[name] = read(name, item, faults)
        return result

    return reader


def _hyperparameter(name: str, value: Any, faults: Faults) -> Any:
    if name == "learning_rate":
        return rate_terms(value, faults)
    if name not in _USUAL and did_you_mean(name, _USUAL, cutoff=0.85):
        faults.add(
            f"[hyperparameters] has the unknown key {shown(name)}",
            f"{', '.join(_USUAL)}, or what the trainer knows",
            did_you_mean(name, _USUAL),
            Code.CHARTER_UNKNOWN_KEY,
        )
    return _free_numbers("[hyperparameters] ")(name, value, faults)
