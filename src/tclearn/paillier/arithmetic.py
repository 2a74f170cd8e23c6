"""Arithmetic modulo N² with GMP: the group in which all proofs are, products of powers, and powers of a fixed base.

This is the only file that knows gmpy2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar, cast

from tclearn.errors import Code, UsageError

try:
    import gmpy2
except ModuleNotFoundError as error:
    raise UsageError(
        Code.EXTENSION_UNKNOWN,
        "threshold encryption needs gmpy2, which is not installed",
        remedy="pip install 'tclearn[deepchain]'",
    ) from error

_T = TypeVar("_T")
_R = TypeVar("_R")

Entropy = Callable[[int], bytes]
"""Gives so many random bytes: the operating system's, but for test vectors."""


class Run(Protocol):
    """Applies a function to items, in any number of threads; results in the items' order."""

    def __call__(self, work: Callable[[_T], _R], items: Iterable[_T], /) -> Iterable[_R]:
        """As the built-in ``map``."""
        ...


def one_by_one(work: Callable[[_T], _R], items: Iterable[_T], /) -> Iterable[_R]:
    """The ``Run`` of one core."""
    return map(work, items)


@dataclass(frozen=True, slots=True)
class SignedResidues:
    """The units modulo N of Jacobi symbol 1, without their signs.

    When N is a product of safe primes (2p′ + 1)(2q′ + 1), the group is cyclic of order p′·q′. It has no small
    subgroups, so that a product with random weights of 128 bits proves every factor; and anybody can tell its elements
    (``holds``), as nobody without the factors can tell squares. Of x and -x the smaller one is the element, so that
    each has one name. Source: Hofheinz and Kiltz, "The Group of Signed Quadratic Residues and Applications", CRYPTO
    2009.

    Attributes:
        modulus: N.
        ring: what is computed modulo.
    """

    _degree: ClassVar[int] = 1

    modulus: int
    ring: int = field(init=False, repr=False, compare=False)
    half: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        modulus = big(self.modulus)
        ring = modulus**self._degree
        object.__setattr__(self, "modulus", modulus)
        object.__setattr__(self, "ring", ring)
        object.__setattr__(self, "half", ring >> 1)

    @property
    def element_bytes(self) -> int:
        """Bytes of an element in messages."""
        return self._degree * (self.modulus.bit_length() + 7 >> 3)

    def holds(self, value: int) -> bool:
        """Whether an integer is an element."""
        return 0 < value <= self.half and bool(gmpy2.jacobi(value, self.modulus) == 1)

    def element(self, value: int) -> int:
        """The element that a unit stands for: the smaller of x and -x. The symbol is not looked at."""
        value %= self.ring
        return value if value <= self.half else self.ring - value

    def multiply(self, first: int, second: int) -> int:
        """The product of two elements."""
        return self.element(first * second)

    def power(self, base: int, exponent: int) -> int:
        """An element to a power, which may be negative, with other threads going on."""
        with gmpy2.context(allow_release_gil=True):
            return self.element(gmpy2.powmod(base, exponent, self.ring))

    def powers(self, bases: Sequence[int], exponent: int) -> list[int]:
        """Elements to one power that is not negative, with other threads going on."""
        with gmpy2.context(allow_release_gil=True):
            return [self.element(each) for each in gmpy2.powmod_base_list([*bases], big(exponent), self.ring)]

    def product(self, bases: Sequence[int], exponents: Sequence[int]) -> int:
        """The product of each base to its exponent, none of them negative.

        Source: Pippenger, "On the evaluation of powers and related problems", 1976; the form with buckets.

        Raises:
            ValueError: not as many exponents as bases.
        """
        if len(bases) != len(exponents):
            raise ValueError(f"{len(exponents)} exponents for {len(bases)} bases")
        bits = max((exponent.bit_length() for exponent in exponents), default=0)
        width = min(range(1, 17), key=lambda each: -(-bits // each) * (len(bases) + (2 << each)))
        total = big(1)
        with gmpy2.context(allow_release_gil=True):
            for at in reversed(range(0, bits, width)):
                total = gmpy2.powmod(total, 1 << width, self.ring)
                total = total * self._digit(bases, exponents, at, width) % self.ring
        return self.element(total)

    def _digit(self, bases: Sequence[int], exponents: Sequence[int], at: int, width: int) -> int:
        # Each base goes into the bucket of its digit; bucket d counts d times, by sums of sums from the top.
        mask, ring = (1 << width) - 1, self.ring
        buckets: list[int | None] = [None] * (1 << width)
        for base, exponent in zip(bases, exponents, strict=True):
            if digit := exponent >> at & mask:
                held = buckets[digit]
                buckets[digit] = base if held is None else held * base % ring
        running = total = big(1)
        for held in reversed(buckets[1:]):
            if held is not None:
                running = running * held % ring
            total = total * running % ring
        return total


@dataclass(frozen=True, slots=True)
class Group(SignedResidues):
    """The same modulo N²: where ciphertexts are. When N is a product of safe primes, cyclic of order N·p′·q′."""

    _degree: ClassVar[int] = 2

    @property
    def square(self) -> int:
        """N²."""
        return self.ring

    def generator_power(self, exponent: int) -> int:
        """(1 + N) to a power: 1 + exponent·N."""
        return 1 + exponent % self.modulus * self.modulus


class FixedBase:
    """Powers of one element, fast: a table has what each digit of the exponent contributes.

    The digits of a secret exponent choose the places that are read, which who shares the processor's cache may see.

    Args:
        group: where.
        base: the element.
        bits: of the largest exponent.
        window: bits of a digit; the table has ``bits / window * 2^window`` elements.
    """

    __slots__ = ("_bits", "_group", "_table", "_window")

    def __init__(self, group: Group, base: int, bits: int, window: int) -> None:
        self._group, self._bits, self._window = group, bits, window
        self._table: list[list[int]] = []
        step, square = big(base), group.square
        for _ in range(0, bits, window):
            row = [big(1)]
            for _ in range((1 << window) - 1):
                row.append(row[-1] * step % square)
            self._table.append(row)
            step = row[-1] * step % square

    def power(self, exponent: int) -> int:
        """The base to an exponent of at most so many bits as the table is for.

        Raises:
            ValueError: a larger exponent, or a negative one.
        """
        if not 0 <= exponent < 1 << self._bits:
            raise ValueError(f"an exponent of {exponent.bit_length()} bits for a table of {self._bits}")
        total, square, window = big(1), self._group.square, self._window
        mask = (1 << window) - 1
        digits = int(exponent)
        with gmpy2.context(allow_release_gil=True):
            for row in self._table:
                if digit := digits & mask:
                    total = total * row[digit] % square
                digits >>= window
        return self._group.element(total)


def big(value: int) -> int:
    """The same integer as GMP keeps it; what is computed from it is GMP's, too."""
    return cast(int, gmpy2.mpz(value))


def inverse(value: int, modulus: int) -> int:
    """The inverse of a unit.

    Raises:
        ZeroDivisionError: it is none.
    """
    return cast(int, gmpy2.invert(value, modulus))


def is_prime(value: int) -> bool:
    """Whether a number is prime, as far as 40 rounds after Baillie–PSW tell."""
    return bool(gmpy2.is_prime(value, 40))


def passes_fermat(value: int) -> bool:
    """Whether 2^(n-1) = 1 modulo n; odd n that are not prime almost never pass."""
    return bool(gmpy2.powmod(2, value - 1, value) == 1)


def jacobi(value: int, modulus: int) -> int:
    """The Jacobi symbol: 1, -1, or 0 when the two have a common factor."""
    return int(gmpy2.jacobi(value, modulus))


def random_bits(entropy: Entropy, bits: int) -> int:
    """A uniform integer below 2^bits.

    Raises:
        ValueError: the entropy gave another number of bytes than it was asked for.
    """
    size = bits + 7 >> 3
    drawn = entropy(size)
    if len(drawn) != size:
        raise ValueError(f"entropy gave {len(drawn)} bytes, not {size}")
    return big(int.from_bytes(drawn, "big") >> 8 * size - bits)


def random_below(entropy: Entropy, bound: int) -> int:
    """A uniform integer from 0 to below a bound."""
    while (drawn := random_bits(entropy, bound.bit_length())) >= bound:
        pass
    return drawn


def hashed_residue(modulus: int, domain: str) -> int:
    """A number modulo N that nobody has chosen: SHAKE-256 of a domain and N, 128 bits longer than N and reduced."""
    size = modulus.bit_length() + 7 >> 3
    data = domain.encode() + b"\0" + int(modulus).to_bytes(size, "big")
    return big(int.from_bytes(hashlib.shake_256(data).digest(size + 16), "big")) % modulus


def to_bytes(numbers: Iterable[int], size: int) -> bytes:
    """Natural numbers one after the other, big-endian, each of so many bytes."""
    return b"".join([int(number).to_bytes(size, "big") for number in numbers])


def from_bytes(data: bytes, size: int) -> Iterator[int]:
    """The numbers in bytes whose length is a multiple of ``size``."""
    return (big(int.from_bytes(data[at : at + size], "big")) for at in range(0, len(data), size))
