"""EXPERIMENTAL: opening by N-th roots. Own derivation from standard algebra; no cryptographer has reviewed it.

No protocol here uses it, and nobody should for data that matters. It is for measuring what the shorter powers save.

The parties compute N-th roots modulo N instead of powers modulo N², with shares of d = N⁻¹ modulo p′q′: Shoup's
threshold RSA ("Practical Threshold Signatures", EUROCRYPT 2000) with N as the public exponent, of the message
c² modulo N. With shares c^(2Δs_i) and Lagrange's coefficients λ_i, w = Π share_i^(2λ_i) = ±c^(4Δ²d) modulo N, so that
w^N = ±c^(4Δ²) · (1 + N)^(-4Δ²M) modulo N², from which everybody reads M, as r^N gives it in Paillier 1999. Whoever has
c, M and w checks this (``check_openings``): an opening is its own certificate, so that one party may open for all, and
shares need proofs only to find whose are false.

**The square is mandatory.** Of c² everything that shares tell follows from its root r², as in Shoup's proof. Of c it
does not: c may have order 2p′q′, where d is no inverse of N, and two parties' powers of it then give a square root of 1
that is neither 1 nor -1, and with it the factors of N. ``decryption_shares`` squares.

**What is dealt must be N⁻¹**, not (4Δ²N)⁻¹, which would save a factor in the formula: then shares give square roots of
r², of those, and so on, and whoever has chosen r as a square of its own compares them with what it knows and has the
factors. A test does both.

**What it shows that the classic way does not**: r² modulo N, r being the randomness of the *sum*. That this tells
nothing of single addends has an argument when exponents are as long as p′q′, and none when they are as short as ours.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from tclearn.encoding import Digest, decode, digest
from tclearn.errors import Code, MessageError, UsageError
from tclearn.limits import PAILLIER_KEY_BYTES_MAX, PAILLIER_SHARE_BYTES_MAX
from tclearn.paillier.arithmetic import (
    Entropy,
    Run,
    SignedResidues,
    big,
    from_bytes,
    hashed_residue,
    inverse,
    one_by_one,
    to_bytes,
)
from tclearn.paillier.decryption import centred, joined, logarithm
from tclearn.paillier.keys import PublicKey, SecretShare, check_polynomial, split
from tclearn.paillier.masks import CHALLENGE_BYTES
from tclearn.records import Record

_FORMAT: Final = "tclearn/paillier-experimental-root-key/1"
_SHARE_FORMAT: Final = "tclearn/paillier-experimental-root-share/1"
_CHUNK: Final = 16


class ExperimentalWarning(UserWarning):
    """What is done here has not been reviewed by a cryptographer."""


@dataclass(frozen=True, slots=True)
class _KeyRecord(Record):
    format: str
    key: Digest
    verification: bytes


@dataclass(frozen=True, slots=True)
class _ShareRecord(Record):
    format: str
    key: Digest
    party: int
    share: bytes


@dataclass(frozen=True)
class RootKey:
    """EXPERIMENTAL: what everybody knows of the shares that take roots, beside the key under which is encrypted.

    It goes wherever ``decryption_shares``, ``prove_shares``, ``verify_shares`` and ``ShareBatch`` want a key; what they
    call ciphertexts are then the ``reduced`` ones.

    Attributes:
        public: the key under which is encrypted.
        verification: v_i for each party 1, 2, …, modulo N.
    """

    public: PublicKey
    verification: tuple[int, ...] = field(repr=False)

    @classmethod
    def read(cls, data: bytes, public: PublicKey, *, allow_experimental: bool = False) -> RootKey:
        """Read a key that ``encode`` has written.

        Args:
            data: its bytes.
            public: the key that it belongs to.
            allow_experimental: you have read the top of this page; there is an ``ExperimentalWarning`` anyway.

        Raises:
            UsageError: it was not allowed.
            MessageError: not such a key, another's, or with elements that are none.
        """
        _check_allowed(allow_experimental)
        record = _KeyRecord.from_value(decode(data, size_max=PAILLIER_KEY_BYTES_MAX), "the experimental root key")
        if record.format != _FORMAT or record.key != public.digest:
            raise _refused(f"a key {record.format[:60]!r} beside {record.key.hex()[:16]}", _FORMAT)
        size = public.bits // 8
        if len(record.verification) != public.parties * size:
            raise _refused(f"{len(record.verification)} bytes of verification keys", f"{public.parties} of {size}")
        key = cls(public, tuple(from_bytes(record.verification, size)))
        for party, value in enumerate(key.verification, 1):
            if not key.group.holds(value):
                raise _refused(f"a verification key of party {party} that is no element", "a signed residue")
        return key

    def encode(self) -> bytes:
        """The key's bytes."""
        packed = to_bytes(self.verification, self.group.element_bytes)
        return _KeyRecord(_FORMAT, self.public.digest, packed).encode()

    @cached_property
    def group(self) -> SignedResidues:
        """Where shares are: modulo N."""
        return SignedResidues(self.public.modulus)

    @cached_property
    def digest(self) -> Digest:
        """Names the key; what is proved under it holds under no other."""
        return digest("tclearn/paillier/experimental-root/key/1", self.encode())

    @property
    def threshold(self) -> int:
        """So many parties open."""
        return self.public.threshold

    @property
    def parties(self) -> int:
        """How many hold shares."""
        return self.public.parties

    @property
    def delta(self) -> int:
        """Δ."""
        return self.public.delta

    @property
    def share_bits(self) -> int:
        """Bits of Δ times the largest share."""
        return self.public.bits + self.delta.bit_length()

    @cached_property
    def anchor(self) -> int:
        """A hashed square modulo N, the N-th root of v: that the shares find it shows that they find all roots."""
        root = hashed_residue(self.public.modulus, "tclearn/paillier/experimental-root/v/1")
        return self.group.multiply(root, root)

    @cached_property
    def verification_base(self) -> int:
        """v."""
        return self.group.power(self.anchor, self.public.modulus)

    def check_dealing(self) -> None:
        """Check that the shares lie on one polynomial and take N-th roots.

        Raises:
            MessageError: it is not so.
        """
        check_polynomial(self, self.group.power(self.anchor, self.delta))

    def reduced(self, ciphertexts: Sequence[int]) -> list[int]:
        """Ciphertexts modulo N, as shares are made of them."""
        return [self.group.element(each) for each in ciphertexts]


@dataclass(frozen=True, slots=True)
class RootDealing:
    """What the dealer gives out: the key to all, to each party its share; and keeps nothing of."""

    key: RootKey
    shares: tuple[SecretShare, ...]


def deal_roots(
    primes: Sequence[int], public: PublicKey, entropy: Entropy, *, allow_experimental: bool = False
) -> RootDealing:
    """EXPERIMENTAL: shares that take N-th roots, beside those of a key.

    Args:
        primes: those of the key, before they are forgotten.
        public: the key that was dealt.
        entropy: of the shares.
        allow_experimental: you have read the top of this page; there is an ``ExperimentalWarning`` anyway.

    Raises:
        UsageError: it was not allowed, or these are not the key's primes.
    """
    _check_allowed(allow_experimental)
    first, second = map(big, primes)
    if first * second != public.modulus or min(first, second) < 2:
        raise UsageError(Code.PAILLIER_KEY, "factors that are not the key's", expected="those that deal had")
    order = (first >> 1) * (second >> 1)
    values = split(inverse(public.modulus, order), order, public.parties, public.threshold, entropy)
    bare = RootKey(public, ())
    verification = tuple(bare.group.power(bare.verification_base, bare.delta * value) for value in values)
    key = RootKey(public, verification)
    return RootDealing(key, tuple(SecretShare(party, key.digest, value) for party, value in enumerate(values, 1)))


def write_share(key: RootKey, share: SecretShare) -> bytes:
    """A share's bytes: secret, to be sealed by whoever keeps them."""
    return _ShareRecord(_SHARE_FORMAT, share.key, share.party, to_bytes([share.value], key.public.bits // 8)).encode()


def read_share(data: bytes, key: RootKey) -> SecretShare:
    """Read a share that ``write_share`` has written, and check it against the key.

    Raises:
        MessageError: not a share, of another key, or not what the dealer said publicly.
    """
    record = _ShareRecord.from_value(decode(data, size_max=PAILLIER_SHARE_BYTES_MAX), "the experimental root share")
    if record.format != _SHARE_FORMAT or len(record.share) != key.public.bits // 8:
        raise _refused(f"a share {record.format[:60]!r} of {len(record.share)} bytes", _SHARE_FORMAT)
    share = SecretShare(record.party, record.key, big(int.from_bytes(record.share, "big")))
    share.check(key)
    return share


def combine_roots(key: RootKey, shares: Mapping[int, Sequence[int]], *, run: Run = one_by_one) -> list[int]:
    """Join shares to the roots w that open ciphertexts.

    Args:
        key: the shares' key.
        shares: of each party 1, 2, …, one for each ciphertext.
        run: cores.

    Raises:
        MessageError: too few parties, one that there is none of, or not as many shares of each.
    """
    return [key.group.element(each) for each in joined(key, shares, run=run)]


def open_with_roots(
    key: RootKey, ciphertexts: Sequence[int], roots: Sequence[int], *, run: Run = one_by_one
) -> list[int]:
    """Open ciphertexts of which the roots are known. Most of the time goes into w^N.

    Args:
        key: the shares' key.
        ciphertexts: as they are, modulo N².
        roots: what ``combine_roots`` gave for them.
        run: cores.

    Returns:
        The plaintexts, from -N/2 to N/2. A root that is none never gives a false one.

    Raises:
        MessageError: not as many roots, or one that is none: then some share is false, and its proof tells whose.
    """
    _check_counts(ciphertexts, roots)
    public, group, factor = key.public, key.public.group, 4 * key.delta**2
    scale = inverse(factor, public.modulus)
    chunks = [roots[at : at + _CHUNK] for at in range(0, len(roots), _CHUNK)]
    powers = (each for chunk in run(lambda chunk: group.powers(chunk, public.modulus), chunks) for each in chunk)
    opened = []
    for number, (ciphertext, power) in enumerate(zip(ciphertexts, powers, strict=True)):
        found = None
        if math.gcd(int(power), int(public.modulus)) == 1:
            found = logarithm(public, group.power(ciphertext, factor) * inverse(power, group.square) % group.square)
        if found is None:
            raise MessageError(
                Code.PROOF, f"shares that do not open ciphertext {number}", expected="shares whose proofs hold"
            )
        opened.append(centred(public, found * scale))
    return opened


def check_openings(key: RootKey, ciphertexts: Sequence[int], plaintexts: Sequence[int], roots: Sequence[int]) -> None:
    """Check what somebody has opened, for a fraction of what opening costs, and without any share.

    (1 + N)^(4Δ²M) · w^N = ±c^(4Δ²) for all at once, with hashed weights of 128 bits. In signed residues, of which none
    has a small order, this holds only when every M is what its ciphertext encrypts. Source: Bellare, Garay and Rabin,
    "Fast Batch Verification for Modular Exponentiation", EUROCRYPT 1998.

    Args:
        key: the shares' key.
        ciphertexts: as they are, modulo N².
        plaintexts: from -N/2 to N/2, as ``open_with_roots`` gives them.
        roots: the w that go with them.

    Raises:
        MessageError: it does not hold; not as many of each; or what are no ciphertexts, plaintexts or roots.
    """
    _check_counts(ciphertexts, roots)
    _check_counts(ciphertexts, plaintexts)
    public, group, factor = key.public, key.public.group, 4 * key.delta**2
    half = public.modulus >> 1
    if not all(map(group.holds, ciphertexts)) or not all(map(key.group.holds, roots)):
        raise MessageError(Code.PROOF, "an opening of what is no element", expected="signed residues")
    if not all(-half <= plaintext <= half for plaintext in plaintexts):
        raise MessageError(Code.PROOF, "an opening to what is no plaintext", expected="-N/2 to N/2")
    element, size = group.element_bytes, key.group.element_bytes
    seed = digest(
        "tclearn/paillier/experimental-root/opening/1",
        key.digest,
        to_bytes(ciphertexts, element),
        to_bytes([plaintext % public.modulus for plaintext in plaintexts], size),
        to_bytes(roots, size),
    )
    stream = hashlib.shake_256(seed).digest(CHALLENGE_BYTES * len(roots))
    weights = list(from_bytes(stream, CHALLENGE_BYTES))
    total = sum(weight * plaintext for weight, plaintext in zip(weights, plaintexts, strict=True))
    root = group.power(key.group.product(roots, weights), public.modulus)
    if group.multiply(group.generator_power(factor * total), root) != group.power(
        group.product(ciphertexts, weights), factor
    ):
        raise MessageError(
            Code.PROOF,
            "openings that do not hold",
            expected="what the ciphertexts encrypt",
            remedy="open them yourself; who said so lies",
        )


def _check_counts(ciphertexts: Sequence[int], others: Sequence[int]) -> None:
    if len(ciphertexts) != len(others):
        raise MessageError(
            Code.PROOF, f"{len(others)} openings of {len(ciphertexts)} ciphertexts", expected="one for each"
        )


def _check_allowed(allowed: bool) -> None:
    if not allowed:
        raise UsageError(
            Code.PAILLIER_KEY,
            "opening by roots, which is experimental",
            expected="allow_experimental=True from who has read what that means",
        )
    warnings.warn(
        "opening by roots is experimental: no cryptographer has reviewed it", ExperimentalWarning, stacklevel=3
    )


def _refused(what: str, expected: str) -> MessageError:
    return MessageError(Code.PAILLIER_KEY, what, expected=expected)
