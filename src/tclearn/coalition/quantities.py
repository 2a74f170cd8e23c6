"""Every number of the charter: where it stands in the file, its unit, its bounds, its integer form."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from tclearn.coalition.evidence import MILLION
from tclearn.coalition.faults import Faults, shown
from tclearn.limits import ALLOWANCE_PER_DAY_MAX

Number = int | float | Decimal
"""How users write numbers; a float stands for the shortest decimal that reads back as itself."""

_MINUTE_MS: Final = 60_000
_EXPONENT_MAX: Final = 30
_TRILLION: Final = 10**12


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of the charter.

    Attributes:
        key: its table and key in the file.
        low: lowest value, in canonical units.
        high: highest value, in canonical units.
        scale: canonical units to one that users write: 1 for counts, 1,000,000 for decimals, 60,000 for minutes.
        of: what is counted, for messages.
    """

    key: str
    low: int
    high: int
    scale: int = 1
    of: str = ""

    @property
    def expected(self) -> str:
        """The bounds, as users write them."""
        kind = "a whole number" if self.scale == 1 else "a number"
        unit = f" of {self.of}" if self.of else ""
        return f"{kind}{unit} from {decimal_text(self.low, self.scale)} to {decimal_text(self.high, self.scale)}"

    def read(self, value: object, faults: Faults) -> int:
        """The canonical integer of what a user wrote; a mistake is noted and gives the lowest value."""
        exact = exact_number(value)
        if exact is None:
            quoted = isinstance(value, str) and exact_number(_unquoted(value)) is not None
            faults.add(
                f"{self.key} is {shown(value)}", self.expected, "leave out the quotation marks" if quoted else ""
            )
            return self.low
        units = exact * self.scale
        if units.denominator != 1:
            finest = "no decimals" if self.scale == 1 else _FINEST[self.scale]
            faults.add(f"{self.key} is {shown(value)}", self.expected, f"round it to {finest}")
            return self.low
        return self.check(units.numerator, faults, value)

    def check(self, units: int, faults: Faults, value: object = None) -> int:
        """Hold a canonical integer to the bounds."""
        if not self.low <= units <= self.high:
            text = shown(units) if abs(units) >> 64 else decimal_text(units, self.scale)
            faults.add(f"{self.key} is {text if value is None else shown(value)}", self.expected)
        return units


_FINEST: Final = {
    MILLION: "six decimals",
    _TRILLION: "twelve decimals",
    _MINUTE_MS: "whole milliseconds (0.001 minutes are 60)",
}

SEED: Final = Quantity("[model] seed", 0, (1 << 63) - 1)
LOCAL_TEST: Final = Quantity("[task] local_test", 0, MILLION * 9 // 10, MILLION)
LAMBDA: Final = Quantity("[acceptance] lambda", 0, MILLION, MILLION)
STOP_BLOCKS: Final = Quantity("[schedule] stop.blocks", 1, 1_000_000, of="blocks")
STOP_PERFORMANCE: Final = Quantity("[schedule] stop.performance", 1, MILLION, MILLION)
STOP_UNTIL: Final = Quantity("[schedule] stop.until", 1_577_836_800_000, 7_258_118_400_000)
VERDICT_MINUTES: Final = Quantity("[schedule] verdict_minutes", 60, 525_600 * _MINUTE_MS, _MINUTE_MS, "minutes")
TURN_MINUTES: Final = Quantity("[schedule] turn_minutes", 60, 525_600 * _MINUTE_MS, _MINUTE_MS, "minutes")
SEAL_MINUTES: Final = Quantity("[schedule] seal_minutes", 60, 525_600 * _MINUTE_MS, _MINUTE_MS, "minutes")
MINIMUM_BATCH: Final = Quantity("[schedule] minimum_batch", 1, 1 << 24, of="records")
ATTEMPTS: Final = Quantity("[schedule] attempts", 1, 100, of="committees")
LEARNING_RATE: Final = Quantity("[hyperparameters] learning_rate", 1, 1_000_000 * MILLION, MILLION)
RATE_FACTOR: Final = Quantity("[hyperparameters] learning_rate.factor", 1, MILLION - 1, MILLION)
RATE_PATIENCE: Final = Quantity("[hyperparameters] learning_rate.patience", 0, 1_000_000, of="blocks")
RATE_MINIMUM: Final = Quantity("[hyperparameters] learning_rate.minimum", 1, 1_000_000 * MILLION, MILLION)
NOISE: Final = Quantity("[privacy] noise", MILLION * 3 // 10, 1_000 * MILLION, MILLION)
CLIP: Final = Quantity("[privacy] clip", 1, 1_000_000 * MILLION, MILLION)
DELTA: Final = Quantity("[privacy] delta", 1, _TRILLION // 100, _TRILLION)
EPSILON_MAX: Final = Quantity("[privacy] epsilon_max", 1, 1_000_000 * MILLION, MILLION)
SHARE: Final = Quantity("[privacy] share", 1, MILLION, MILLION)
THRESHOLD: Final = Quantity("[privacy] threshold", 0, 1_000_000 * MILLION, MILLION)
EPSILON: Final = Quantity("[privacy] epsilon", 1, 1_000_000 * MILLION, MILLION)
READS: Final = Quantity("[vault] reads", 0, 1_000_000, of="readings")
READS_PER_SAMPLES: Final = Quantity("[vault] reads_per_1000_samples", 0, 1_000_000, of="readings")
IDS_PER_DAY: Final = Quantity("[data_ids] per_day", 1, ALLOWANCE_PER_DAY_MAX, of="records")
IDS_AT_ONCE: Final = Quantity("[data_ids] at_once", 1, ALLOWANCE_PER_DAY_MAX, of="records")


def free_quantity(key: str, *, scale: int = 1, low: int = 1) -> Quantity:
    """A number whose meaning only a trainer or a third party's rule knows."""
    return Quantity(key, low, (1 << 53) - 1, scale)


def exact_number(value: object) -> Fraction | None:
    """The exact value of what a user wrote as a number; ``None`` when it is not one, or absurdly large or fine."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return Fraction(value)
    written = Decimal(repr(float(value))) if isinstance(value, float) else value
    if not written.is_finite() or abs(written.adjusted()) > _EXPONENT_MAX or len(written.as_tuple().digits) > 60:
        return None
    return Fraction(written)


def decimal_text(units: int, scale: int) -> str:
    """A canonical integer as users write it."""
    value = Fraction(units, scale)
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.{12 if scale == _TRILLION else 6}f}".rstrip("0")


def _unquoted(text: str) -> Decimal | None:
    try:
        return Decimal(text[:64])
    except ArithmeticError:
        return None
