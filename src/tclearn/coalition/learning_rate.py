"""The learning rate as users write it: a number, or a start and the rule that it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from tclearn.coalition import quantities, words
from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.coalition.quantities import Number, Quantity
from tclearn.coalition.readers import number
from tclearn.errors import Code

_KEYS: Final = ("start", "rule", "factor", "patience", "minimum")
_RATE: Final = quantities.LEARNING_RATE
_START: Final = Quantity(f"{_RATE.key}.start", _RATE.low, _RATE.high, _RATE.scale)


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """A learning rate and the rule that it follows.

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


def read_learning_rate(value: object, faults: Faults) -> LearningRate:
    """The learning rate, whichever way it was written; mistakes are noted."""
    if isinstance(value, Mapping):
        value = _from_table(value, faults)
        if value is None:
            return LearningRate(start=0)
    if not isinstance(value, LearningRate):
        return LearningRate(start=number(_RATE)(value, faults))
    faults.choice(f"{_RATE.key}.rule", value.rule, words.RATE_RULES)
    value = replace(value, start=number(_START)(value.start, faults))
    if value.rule == "plateau":
        return _plateau(value, faults)
    return _constant(value, faults) if value.rule == "constant" else value


def _from_table(table: Mapping[Any, Any], faults: Faults) -> LearningRate | None:
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        what = f"{_RATE.key} has the unknown key {shown(unknown[0])}"
        faults.add(what, ", ".join(_KEYS), did_you_mean(unknown[0], _KEYS), Code.CHARTER_UNKNOWN_KEY)
        return None
    if "start" not in table:
        faults.add(f"{_RATE.key}.start is missing", "the rate at first", "write { start = 1.0, … }")
        return None
    return LearningRate(**table)


def _plateau(value: LearningRate, faults: Faults) -> LearningRate:
    factor = Decimal("0.5") if value.factor is None else number(quantities.RATE_FACTOR)(value.factor, faults)
    patience = 3 if value.patience is None else number(quantities.RATE_PATIENCE)(value.patience, faults)
    lowest = Decimal("0.000001")
    minimum = lowest if value.minimum is None else number(quantities.RATE_MINIMUM)(value.minimum, faults)
    if minimum > value.start:
        faults.add(f"{quantities.RATE_MINIMUM.key} is {shown(minimum)}", f"at most the start, {shown(value.start)}")
    return replace(value, factor=factor, patience=patience, minimum=minimum)


def _constant(value: LearningRate, faults: Faults) -> LearningRate:
    for name in ("factor", "patience", "minimum"):
        if getattr(value, name) is not None:
            faults.add(f"{_RATE.key}.{name} of a constant rate", 'rule = "plateau", or none of them')
    return value
