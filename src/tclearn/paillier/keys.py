"""Threshold keys: a dealer splits the decryption exponent, and anyone checks from public values that it did so rightly.

Source: Fouque, Poupard and Stern, "Sharing Decryption in the Context of Voting or Lotteries", FC 2000; Damgård and
Jurik, "A Generalisation, a Simplification and Some Applications of Paillier's Probabilistic Public-Key System",
PKC 2001, with s = 1; both after Shoup, "Practical Threshold Signatures", EUROCRYPT 2000.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NoReturn, Protocol

from tclearn.encoding import Digest, decode, digest
from tclearn.errors import Code, MessageError, UsageError
from tclearn.limits import MEMBERS_MAX, PAILLIER_KEY_BYTES_MAX, PAILLIER_SHARE_BYTES_MAX
from tclearn.paillier.arithmetic import (
    Entropy,
    Group,
    SignedResidues,
    big,
    from_bytes,
    hashed_residue,
    inverse,
    is_prime,
    random_below,
    to_bytes,
)
from tclearn.paillier.primes import is_safe_prime, small_primes
from tclearn.records import Record

STANDARD_BITS: Final = 3072
FAST_BITS: Final = 2048
TOY_BITS: Final = 512
MODULUS_BITS: Final = {STANDARD_BITS: "standard", FAST_BITS: "fast", TOY_BITS: "toy"}
"""Bits of N. 3072 give 128 bits of security, 2048 give 112 (NIST SP 800-57, part 1); 512 give none."""

_FORMAT: Final = "tclearn/paillier-key/1"
_SHARE_FORMAT: Final = "tclearn/paillier-share/1"
_WEIGHT_BYTES: Final = 16
_SMALL: Final = math.prod(small_primes(1 << 10))


class ToyKeyWarning(UserWarning):
    """A key of 512 bits protects nothing: its factors are found within hours."""


@dataclass(frozen=True, slots=True)
class _KeyRecord(Record):
    format: str
    modulus: bytes
    threshold: int
    verification: bytes


@dataclass(frozen=True, slots=True)
class _ShareRecord(Record):
    format: str
    key: Digest
    party: int
    share: bytes


class SharedKey(Protocol):
    """What decryption shares are made and proved under: a ``PublicKey``, or the key of another way to open."""

    @property
    def group(self) -> SignedResidues:
        """Where shares are."""
        ...

    @property
    def digest(self) -> Digest:
        """Names the key, in every proof."""
        ...

    @property
    def threshold(self) -> int:
        """So many parties open."""
        ...

    @property
    def parties(self) -> int:
        """How many hold shares."""
        ...

    @property
    def delta(self) -> int:
        """Δ, the factorial of that."""
        ...

    @property
    def share_bits(self) -> int:
        """Bits of Δ times the largest share."""
        ...

    @property
    def verification_base(self) -> int:
        """v."""
        ...

    @property
    def verification(self) -> tuple[int, ...]:
        """v_i for each party 1, 2, …: v to Δ times its share."""
        ...


@dataclass(frozen=True)
class PublicKey:
    """What everybody knows of a key.

    Attributes:
        modulus: N, a product of two safe primes that nobody knows any more.
        threshold: so many parties open a ciphertext.
        verification: v_i for each party 1, 2, …: v to Δ times its share.
    """

    modulus: int
    threshold: int
    verification: tuple[int, ...] = field(repr=False)

    @classmethod
    def read(cls, data: bytes, *, allow_toy: bool = False, warn: bool = True) -> PublicKey:
        """Read a key that ``encode`` has written.

        Whether its shares fit together is for ``check_dealing`` to say.

        Args:
            data: its bytes.
            allow_toy: take a key of 512 bits, with a ``ToyKeyWarning``.
            warn: give that warning; not for who only replays what was done with the key.

        Raises:
            MessageError: not a key, of another size, with a small factor, or with elements that are none.
        """
        record = _KeyRecord.from_value(decode(data, size_max=PAILLIER_KEY_BYTES_MAX), "the key")
        bits = 8 * len(record.modulus)
        if record.format != _FORMAT or bits not in MODULUS_BITS or not record.modulus[0] & 0x80:
            raise _refused(f"a key {record.format[:40]!r} of {bits} bits", f"{_FORMAT} of {_sizes()} bits")
        _check_toy(bits, allow_toy, warn)
        modulus = big(int.from_bytes(record.modulus, "big"))
        if modulus % 12 != 1 or math.gcd(int(modulus), _SMALL) != 1 or is_prime(modulus):
            raise _refused("a modulus that is no product of two safe primes", "one of an honest dealer")
        size = 2 * len(record.modulus)
        parties, rest = divmod(len(record.verification), size)
        if rest or not 2 <= parties <= MEMBERS_MAX or not 2 <= record.threshold <= parties:
            raise _refused(
                f"a key with threshold {record.threshold} for {parties} parties",
                f"2 to {MEMBERS_MAX} parties, of whom 2 to all open",
            )
        key = cls(modulus, record.threshold, tuple(from_bytes(record.verification, size)))
        for party, value in enumerate(key.verification, 1):
            if not key.group.holds(value):
                raise _refused(f"a verification key of party {party} that is no element", "a signed residue")
        return key

    def encode(self) -> bytes:
        """The key's bytes."""
        return _KeyRecord(
            _FORMAT,
            to_bytes([self.modulus], self.bits // 8),
            self.threshold,
            to_bytes(self.verification, self.group.element_bytes),
        ).encode()

    @property
    def bits(self) -> int:
        """Bits of N."""
        return self.modulus.bit_length()

    @property
    def is_toy(self) -> bool:
        """Whether the key is for tests only."""
        return self.bits <= TOY_BITS

    @property
    def parties(self) -> int:
        """How many parties hold shares."""
        return len(self.verification)

    @property
    def exponent_bits(self) -> int:
        """Bits of the exponents that hide plaintexts. Source: Damgård, Jurik and Nielsen 2010."""
        return self.bits // 2

    @property
    def share_bits(self) -> int:
        """Bits of Δ times the largest share."""
        return 2 * self.bits + self.delta.bit_length()

    @cached_property
    def group(self) -> Group:
        """Where ciphertexts and shares are."""
        return Group(self.modulus)

    @cached_property
    def delta(self) -> int:
        """Δ, the factorial of the number of parties: what makes Lagrange's coefficients whole."""
        return math.factorial(self.parties)

    @cached_property
    def mask_base(self) -> int:
        """h_N = h^N modulo N², of which a secret power hides a plaintext; h is the square of a hashed number."""
        return self._hidden("tclearn/paillier/h/1")

    @cached_property
    def verification_base(self) -> int:
        """v: the plaintext 1 under a hashed randomness. That shares open it rightly shows that they open everything."""
        group = self.group
        return group.multiply(group.generator_power(1), self._hidden("tclearn/paillier/v/1"))

    @cached_property
    def digest(self) -> Digest:
        """Names the key: SHA-256 over all of it."""
        return digest("tclearn/paillier/key/1", self.encode())

    def check_dealing(self) -> None:
        """Check that the shares behind the verification keys lie on one polynomial and open what they should.

        With N a product of safe primes it follows that any ``threshold`` parties whose shares verify open every
        ciphertext to its plaintext. That N is one, and that the dealer has forgotten its factors, does not follow.

        Raises:
            MessageError: it is not so.
        """
        check_polynomial(self, self.group.generator_power(self.delta))  # v^d = 1 + N, as v has the plaintext 1

    def _hidden(self, domain: str) -> int:
        group, root = self.group, hashed_residue(self.modulus, domain)
        return group.power(root * root, self.modulus)


class SecretShare:
    """One party's share of the decryption exponent. Its ``repr`` shows party and key only.

    Args:
        party: 1, 2, …
        key: digest of the public key.
        value: the share.
    """

    __slots__ = ("key", "party", "value")

    def __init__(self, party: int, key: Digest, value: int) -> None:
        self.party, self.key, self.value = party, key, value

    @classmethod
    def read(cls, data: bytes, key: PublicKey) -> SecretShare:
        """Read a share that ``encode`` has written, and check it against the key.

        Raises:
            MessageError: not a share, of another key, or not what the dealer said publicly.
        """
        record = _ShareRecord.from_value(decode(data, size_max=PAILLIER_SHARE_BYTES_MAX), "the share")
        if record.format != _SHARE_FORMAT or len(record.share) != key.bits // 4:
            raise _refused(f"a share {record.format[:40]!r} of {len(record.share)} bytes", _SHARE_FORMAT)
        share = cls(record.party, record.key, big(int.from_bytes(record.share, "big")))
        share.check(key)
        return share

    def encode(self, key: PublicKey) -> bytes:
        """The share's bytes: secret, to be sealed by whoever keeps them."""
        return _ShareRecord(_SHARE_FORMAT, self.key, self.party, to_bytes([self.value], key.bits // 4)).encode()

    def check(self, key: SharedKey) -> None:
        """Check that the share is the one behind the key's verification key.

        Raises:
            MessageError: it is another key's, or not that one.
        """
        if self.key != key.digest or not 1 <= self.party <= key.parties:
            raise _refused(f"a share of party {self.party} of the key {self.key.hex()[:16]}", key.digest.hex()[:16])
        if key.group.power(key.verification_base, key.delta * self.value) != key.verification[self.party - 1]:
            raise _refused(f"a share that party {self.party}'s verification key does not belong to", "the dealt share")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretShare is not copied or pickled")

    def __repr__(self) -> str:
        return f"SecretShare(party={self.party}, key={self.key.hex()[:16]}…)"


@dataclass(frozen=True, slots=True)
class Dealing:
    """What the dealer gives out: the key to all, to each party its share; and keeps nothing of."""

    key: PublicKey
    shares: tuple[SecretShare, ...]


def deal(primes: Sequence[int], parties: int, threshold: int, entropy: Entropy, *, allow_toy: bool = False) -> Dealing:
    """Make a key and its shares.

    Args:
        primes: what ``safe_primes`` gave; to be forgotten. Python does not erase memory: deal in a process of its own.
        parties: 2 to ``MEMBERS_MAX``.
        threshold: so many open, 2 to all; one less learn nothing.
        entropy: of the shares.
        allow_toy: make a key of 512 bits, with a ``ToyKeyWarning``.

    Raises:
        UsageError: these are not two safe primes of a size that keys have, or the numbers of parties are out of range.
    """
    first, second = map(big, primes)
    modulus = first * second
    bits = modulus.bit_length()
    if bits not in MODULUS_BITS:
        raise UsageError(Code.PAILLIER_KEY, f"a key of {bits} bits", expected=f"{_sizes()} bits")
    _check_toy(bits, allow_toy)
    if first == second or first.bit_length() != second.bit_length() or not all(map(is_safe_prime, (first, second))):
        raise UsageError(Code.PAILLIER_KEY, "factors that are not two safe primes", expected="those of safe_primes")
    if not 2 <= parties <= MEMBERS_MAX or not 2 <= threshold <= parties:
        raise UsageError(
            Code.PAILLIER_KEY,
            f"threshold {threshold} for {parties} parties",
            expected=f"2 to {MEMBERS_MAX} parties, of whom 2 to all open",
        )
    order = (first >> 1) * (second >> 1)  # m = p′q′, of the squares modulo N
    secret = order * inverse(order, modulus)  # d: 0 modulo m, 1 modulo N
    values = split(secret, modulus * order, parties, threshold, entropy)
    base = PublicKey(modulus, threshold, ()).verification_base
    group, delta = Group(modulus), math.factorial(parties)
    key = PublicKey(modulus, threshold, tuple(group.power(base, delta * value) for value in values))
    return Dealing(key, tuple(SecretShare(party, key.digest, value) for party, value in enumerate(values, 1)))


def check_polynomial(key: SharedKey, secret: int) -> None:
    """Check that dealt shares lie on one polynomial, of degree threshold - 1, and the secret with them.

    Shares f(i) have Σ (-1)^(n-i) C(n, i) f(i) g(i) = 0 over i = 0 … n for every polynomial g of degree at most
    n - threshold, and only then; here in the exponent of v, and for one g with hashed coefficients. Source: the dual
    code, as in Cascudo and David, "SCRAPE", ACNS 2017.

    Args:
        key: has the verification keys, v^(Δ f(i)).
        secret: v^(Δ f(0)).

    Raises:
        MessageError: it is not so.
    """
    count = key.parties
    stream = hashlib.shake_256(b"tclearn/paillier/dealing/1\0" + key.digest)
    weights = list(from_bytes(stream.digest(_WEIGHT_BYTES * (count - key.threshold + 1)), _WEIGHT_BYTES))
    sides: tuple[tuple[list[int], list[int]], ...] = (([], []), ([], []))
    for place, base in enumerate((secret, *key.verification)):
        value = sum(weight * place**power for power, weight in enumerate(weights))
        bases, exponents = sides[(count - place) % 2]
        bases.append(base)
        exponents.append(math.comb(count, place) * value)
    if key.group.product(*sides[0]) != key.group.product(*sides[1]):
        raise _refused("verification keys that do not belong together", "the shares of one dealing")


def split(secret: int, order: int, parties: int, threshold: int, entropy: Entropy) -> list[int]:
    """Shares f(1), f(2), … of f(0) = secret, where f is of degree threshold - 1 and uniform otherwise.

    Source: Shamir, "How to Share a Secret", CACM 1979.

    Args:
        secret: what any ``threshold`` shares give.
        order: everything is modulo this; it has no factor up to the number of parties.
        parties: how many shares.
        threshold: at most as many.
        entropy: of the polynomial.
    """
    polynomial = [secret, *(random_below(entropy, order) for _ in range(threshold - 1))]
    return [_evaluated(polynomial, party, order) for party in range(1, parties + 1)]


def _evaluated(polynomial: Sequence[int], at: int, modulus: int) -> int:
    result = big(0)
    for coefficient in reversed(polynomial):
        result = (result * at + coefficient) % modulus
    return result


def _check_toy(bits: int, allow_toy: bool, warn: bool = True) -> None:
    if bits > TOY_BITS:
        return
    if not allow_toy:
        raise _refused(f"a toy key of {bits} bits", f"at least {FAST_BITS} bits; toy keys where they are asked for")
    if warn:
        warnings.warn(
            f"a toy key of {bits} bits: whoever wants to reads everything that is encrypted under it",
            ToyKeyWarning,
            stacklevel=3,
        )


def _sizes() -> str:
    return " or ".join(map(str, MODULUS_BITS))


def _refused(what: str, expected: str) -> MessageError:
    return MessageError(Code.PAILLIER_KEY, what, expected=expected)
