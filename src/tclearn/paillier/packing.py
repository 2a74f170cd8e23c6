"""Packing: many small integers in one plaintext, so that adding plaintexts adds each of them, and nothing overflows.

A value is a number of steps from -levels to levels. Shifted to be natural it takes ``value_bits`` bits of a slot of
``slot_bits``; the bits above are head-room, for so much weight as all parties together have. A ``Layout`` that would
not have enough cannot be made, so that overflow is refused before anything is encrypted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from tclearn.errors import Code, MessageError
from tclearn.limits import MEMBERS_MAX
from tclearn.paillier.keys import MODULUS_BITS
from tclearn.records import Record

RESERVED_BITS: Final = 220
"""Of a plaintext's bits so many at the top carry no slots: the room that the range proof needs to exclude that a sum
goes round modulo N. See ``proof_encryption``."""

SLOT_BITS: Final = 24
VALUE_BITS: Final = 16
_SLOT_BITS: Final = (8, 16, 24, 32, 40, 48, 56, 64)
_VALUE_BITS_MAX: Final = 32
_VALUES_MAX: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Layout(Record):
    """How one coalition packs values.

    Attributes:
        modulus_bits: bits of the key's N.
        weights: a positive whole weight for each party 1, 2, …
        slot_bits: bits of a slot, a multiple of 8 up to 64.
        value_bits: bits of a party's shifted value, 2 to 32.

    Raises:
        MessageError: out of these ranges, or the sum of all weights times the largest value does not fit a slot.
    """

    modulus_bits: int
    weights: tuple[int, ...]
    slot_bits: int = SLOT_BITS
    value_bits: int = VALUE_BITS

    def __post_init__(self) -> None:
        if self.modulus_bits not in MODULUS_BITS:
            raise _refused(f"plaintexts for a key of {self.modulus_bits} bits", "a size that keys have")
        if self.slot_bits not in _SLOT_BITS or not 2 <= self.value_bits <= min(self.slot_bits, _VALUE_BITS_MAX):
            raise _refused(
                f"values of {self.value_bits} bits in slots of {self.slot_bits}",
                f"2 to {_VALUE_BITS_MAX} bits in whole bytes up to 8",
            )
        if not 2 <= len(self.weights) <= MEMBERS_MAX or min(self.weights) < 1:
            raise _refused(f"{len(self.weights)} weights", f"a positive one for each of 2 to {MEMBERS_MAX} parties")
        if sum(self.weights) > self.weight_max:
            raise _refused(
                f"weights that sum to {sum(self.weights)}",
                f"at most {self.weight_max}, or values of {self.value_bits} bits overflow slots of {self.slot_bits}",
            )

    @property
    def weight_max(self) -> int:
        """The largest sum of weights for which slots do not overflow."""
        return ((1 << self.slot_bits) - 1) // ((1 << self.value_bits) - 1)

    @property
    def slots(self) -> int:
        """Values in a plaintext: 76 at 2048 bits, 118 at 3072, in slots of 24 bits."""
        return (self.modulus_bits - RESERVED_BITS) // self.slot_bits

    @property
    def plaintext_bits(self) -> int:
        """A party's plaintexts are below two to this."""
        return self.slot_bits * (self.slots - 1) + self.value_bits

    @property
    def levels(self) -> int:
        """A value is from -levels to levels; both have the same distance to 0, and 0 is one of the values."""
        return (1 << self.value_bits - 1) - 1

    def quantise(self, values: Sequence[int], clip: int) -> list[int]:
        """Whole numbers in steps of ``clip / levels``, the nearest, even ones where two are; beyond ±clip clipped.

        Args:
            values: in any fine unit, such as 2^-40 of a gradient's: floats are the caller's business.
            clip: in the same unit, positive.

        Returns:
            From -levels to levels, one for each.
        """
        if clip < 1:
            raise _refused("a clip that is not positive", "the largest value that counts")
        return [_nearest(max(-clip, min(clip, value)) * self.levels, clip) for value in values]

    def dequantise(self, steps: Sequence[int], clip: int) -> list[int]:
        """Steps, or sums of them, in the unit of ``clip``, the nearest whole numbers."""
        return [_nearest(each * clip, self.levels) for each in steps]

    def pack(self, steps: Sequence[int]) -> list[int]:
        """Plaintexts with ``slots`` values each, the first in the lowest bits; the last one is filled up with zeros.

        Args:
            steps: from -levels to levels.

        Raises:
            MessageError: one is out of that range.
        """
        levels, size, width = self.levels, self.slot_bits // 8, self.slots
        if steps and not -levels <= min(steps) <= max(steps) <= levels:
            raise _refused("a value beyond the range", f"{-levels} to {levels}; quantise clips")
        result = []
        for at in range(0, len(steps), width):
            row = [*steps[at : at + width]]
            row += [0] * (width - len(row))
            slots = b"".join([(each + levels).to_bytes(size, "little") for each in row])
            result.append(int.from_bytes(slots, "little"))
        return result

    def count(self, values: int) -> int:
        """Plaintexts that so many values take."""
        return -(-values // self.slots)

    def unpack(
        self, plaintexts: Sequence[int], count: int, present: Collection[int], *, strict: bool = True
    ) -> list[int]:
        """The exact weighted sums of the parties' steps.

        Args:
            plaintexts: the opened sums, with their signs.
            count: how many values were packed.
            present: the parties, 1, 2, …, whose ciphertexts are in the sums.
            strict: refuse sums that no values in range give. Otherwise they are taken modulo two to the slots' bits:
                then a liar has added any values of ``slot_bits`` bits, and shifted its neighbours by its carry.

        Raises:
            MessageError: another number of plaintexts, a party that there is none of, or, if strict, a sum that shows
                that somebody has encrypted a value out of range.
        """
        known = range(1, len(self.weights) + 1)
        if not present or len(set(present)) != len(present) or not all(party in known for party in present):
            raise _refused(f"a sum of {len(present)} parties", f"different ones, of {len(self.weights)}")
        if len(plaintexts) != self.count(count) or not 0 <= count <= _VALUES_MAX:
            raise _refused(f"{len(plaintexts)} plaintexts for {count} values", f"{self.slots} values in each")
        weight = sum(self.weights[party - 1] for party in present)
        size, bits = self.slot_bits // 8, self.slots * self.slot_bits
        offset, most = weight * self.levels, weight * ((1 << self.value_bits) - 2)
        sums: list[int] = []
        for number, plaintext in enumerate(plaintexts):
            data = (int(plaintext) & (1 << bits) - 1).to_bytes(bits // 8, "little")
            row = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
            if strict and (plaintext >> bits or max(row) > most):
                raise MessageError(
                    Code.HEAD_ROOM,
                    f"the opened sum {number} is beyond what values in range give",
                    expected=f"at most {most} in each slot",
                    remedy="a party has encrypted a value out of range; the sum does not tell which",
                )
            sums += [each - offset for each in row]
        return sums[:count]


def _nearest(numerator: int, denominator: int) -> int:
    # The nearest whole number; of two equally near the even one.
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient & 1))


def _refused(what: str, expected: str) -> MessageError:
    return MessageError(Code.HEAD_ROOM, what, expected=expected)
