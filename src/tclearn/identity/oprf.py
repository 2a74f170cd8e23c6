"""A verifiable oblivious pseudo-random function (RFC 9497), suite ristretto255-SHA512.

Who has the key learns nothing of an input, who has the input learns the function's value for it and nothing of the
key; and a proof shows that one key, whose public half is known to everybody, made the whole batch. Three steps:
``blind`` (member), ``OprfKey.evaluate`` (supervisor), ``finalize`` (member).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NewType, NoReturn, Self

from nacl.bindings import (
    crypto_core_ed25519_scalar_invert,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_sub,
)

from tclearn.errors import Code, MessageError
from tclearn.identity.ristretto import (
    ELEMENT_BYTES,
    SCALAR_BYTES,
    Point,
    combine,
    encode_element,
    from_uniform,
    multiply,
    multiply_base,
    read_element,
    read_scalar,
    reduce_scalar,
)
from tclearn.limits import OPRF_BATCH_MAX

OprfPublicKey = NewType("OprfPublicKey", bytes)
"""32 bytes: the element that the key's proofs are checked against."""
Entropy = Callable[[int], bytes]
"""Gives so many random bytes; the operating system's, but for test vectors."""

SEED_BYTES: Final = 32
PROOF_BYTES: Final = 2 * SCALAR_BYTES
OUTPUT_BYTES: Final = 64

_INPUT_BYTES_MAX: Final = (1 << 16) - 1
_GENERATOR: Final = multiply_base((1).to_bytes(SCALAR_BYTES, "little"))
_BLOCK_BYTES: Final = 128


class Mode(IntEnum):
    """With a proof or without; the two give different values for the same key. Source: RFC 9497, §3.1."""

    OPRF = 0
    VOPRF = 1

    @property
    def context(self) -> bytes:
        """What separates the hashes of one mode from those of another."""
        return b"OPRFV1-" + bytes([self]) + b"-ristretto255-SHA512"


@dataclass(frozen=True, slots=True)
class Blinded:
    """What may be sent: elements that show nothing of the inputs, in their order."""

    elements: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """What stays with the member until the answer has come."""

    inputs: tuple[bytes, ...] = field(repr=False)
    blinds: tuple[bytes, ...] = field(repr=False)
    blinded: Blinded = field(repr=False)
    mode: Mode


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer to a batch.

    Attributes:
        elements: one for each blinded element, in their order.
        proof: 64 bytes, challenge and response; empty in mode OPRF.
    """

    elements: tuple[bytes, ...]
    proof: bytes


def blind(inputs: Sequence[bytes], *, mode: Mode = Mode.VOPRF, entropy: Entropy = secrets.token_bytes) -> Pending:
    """Hide inputs. Source: RFC 9497, §3.3.1, Blind.

    Args:
        inputs: 1 to ``OPRF_BATCH_MAX``, each below 64 KiB.
        mode: with or without a proof.
        entropy: 64 bytes are drawn for each input.

    Raises:
        ValueError: no inputs, too many, or one too long.
    """
    if not 1 <= len(inputs) <= OPRF_BATCH_MAX or max(map(len, inputs)) > _INPUT_BYTES_MAX:
        raise ValueError(
            f"{len(inputs)} inputs to blind, not 1 to {OPRF_BATCH_MAX} of at most {_INPUT_BYTES_MAX} bytes"
        )
    blinds = tuple(_random_scalar(entropy) for _ in inputs)
    elements = tuple(multiply(scalar, _hash_to_group(each, mode)) for scalar, each in zip(blinds, inputs, strict=True))
    return Pending(tuple(inputs), blinds, Blinded(elements), mode)


def finalize(pending: Pending, evaluation: Evaluation, key: OprfPublicKey) -> list[bytes]:
    """The values of the function, 64 bytes for each input. Source: RFC 9497, §3.3.2, Finalize.

    Args:
        pending: what ``blind`` gave.
        evaluation: the answer.
        key: the public half of the key that must have made it; not looked at in mode OPRF.

    Raises:
        MessageError: the answer is malformed, not for this batch, or another key made it.
    """
    if len(evaluation.elements) != len(pending.inputs):
        raise _refused(
            f"an answer with {len(evaluation.elements)} elements to a request with {len(pending.inputs)}", "as many"
        )
    points = [read_element(each) for each in evaluation.elements]
    if pending.mode is Mode.VOPRF:
        _verify(key, pending.blinded, evaluation, points)
    outputs = []
    for each, scalar, point in zip(pending.inputs, pending.blinds, points, strict=True):
        element = multiply(crypto_core_ed25519_scalar_invert(scalar), point)
        outputs.append(hashlib.sha512(_framed(each, element) + b"Finalize").digest())
    return outputs


class OprfKey:
    """A private key of the function. Its ``repr`` shows the public half only.

    Args:
        seed: 32 bytes from the operating system.
        info: public bytes; other bytes, another key.
        mode: what the key is for.
    """

    __slots__ = ("_scalar", "mode", "public")

    def __init__(self, seed: bytes, info: bytes = b"", mode: Mode = Mode.VOPRF) -> None:
        self.mode = mode
        self._scalar = _derived(seed, info, mode)
        self.public = OprfPublicKey(multiply_base(self._scalar))

    @classmethod
    def generate(cls) -> Self:
        """A key that nobody can make again: to keep one, draw a seed and keep that."""
        return cls(secrets.token_bytes(SEED_BYTES))

    def evaluate(self, blinded: Blinded, *, entropy: Entropy = secrets.token_bytes) -> Evaluation:
        """Answer a batch. Source: RFC 9497, §3.3.2, BlindEvaluate.

        Args:
            blinded: 1 to ``OPRF_BATCH_MAX`` elements, as they came.
            entropy: 64 bytes are drawn for the proof. The same bytes for two batches would give the key away.

        Raises:
            MessageError: no elements, too many, or bytes that are none.
        """
        _check_size(blinded.elements)
        points = [read_element(each) for each in blinded.elements]
        elements = tuple(multiply(self._scalar, point) for point in points)
        proof = self._prove(blinded.elements, points, elements, entropy) if self.mode is Mode.VOPRF else b""
        return Evaluation(elements, proof)

    def value(self, data: bytes) -> bytes:
        """The function's value for an input in the clear. Source: RFC 9497, §3.3.1, Evaluate."""
        element = multiply(self._scalar, _hash_to_group(data, self.mode))
        return hashlib.sha512(_framed(data, element) + b"Finalize").digest()

    def _prove(
        self, sent: Sequence[bytes], points: Sequence[Point], elements: Sequence[bytes], entropy: Entropy
    ) -> bytes:
        # GenerateProof with ComputeCompositesFast, RFC 9497 §2.2.1: the key saves the second sum.
        m = combine(_weights(self.public, sent, elements), points)
        nonce = _random_scalar(entropy)
        challenge = _challenge(
            self.public, encode_element(m), multiply(self._scalar, m), multiply_base(nonce), multiply(nonce, m)
        )
        response = crypto_core_ed25519_scalar_sub(nonce, crypto_core_ed25519_scalar_mul(challenge, self._scalar))
        return challenge + response

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OprfKey is not copied or pickled")

    def __repr__(self) -> str:
        return f"OprfKey({self.public.hex()[:16]}…)"


def oprf_public_key(data: bytes) -> OprfPublicKey:
    """Check that bytes can be a public key.

    Raises:
        MessageError: they are not an element of the group.
    """
    read_element(data)
    return OprfPublicKey(data)


def _verify(key: OprfPublicKey, blinded: Blinded, evaluation: Evaluation, points: Sequence[Point]) -> None:
    # VerifyProof, RFC 9497 §2.2.2.
    if len(evaluation.proof) != PROOF_BYTES:
        raise _refused(f"a proof of {len(evaluation.proof)} bytes", f"{PROOF_BYTES}")
    challenge, response = (
        read_scalar(evaluation.proof[at : at + SCALAR_BYTES]) for at in range(0, PROOF_BYTES, SCALAR_BYTES)
    )
    weights = list(_weights(key, blinded.elements, evaluation.elements))
    m = combine(weights, [read_element(each) for each in blinded.elements])
    z = combine(weights, points)
    t2 = combine((response, challenge), (read_element(_GENERATOR), read_element(key)))
    t3 = combine((response, challenge), (m, z))
    expected = _challenge(key, *map(encode_element, (m, z, t2, t3)))
    if not hmac.compare_digest(expected, challenge):
        raise MessageError(
            Code.OPRF,
            "an answer that the supervisor's key did not make",
            expected=f"the key {key.hex()[:16]}…, the same for all members",
            remedy="do not use these data IDs; show the others what you received",
        )


def _weights(key: OprfPublicKey, sent: Sequence[bytes], elements: Sequence[bytes]) -> Iterator[bytes]:
    # The d_i of ComputeComposites: one proof for a batch is one about a sum that nobody can choose.
    context = Mode.VOPRF.context
    seed = hashlib.sha512(_framed(key, b"Seed-" + context)).digest()
    for number, (first, second) in enumerate(zip(sent, elements, strict=True)):
        yield _hash_to_scalar(_framed(seed) + number.to_bytes(2, "big") + _framed(first, second) + b"Composite")


def _challenge(key: OprfPublicKey, m: bytes, z: bytes, t2: bytes, t3: bytes) -> bytes:
    return _hash_to_scalar(_framed(key, m, z, t2, t3) + b"Challenge")


def _derived(seed: bytes, info: bytes, mode: Mode) -> bytes:
    # DeriveKeyPair, RFC 9497 §3.2.1.
    if len(seed) != SEED_BYTES:
        raise ValueError(f"{len(seed)} bytes of seed, not {SEED_BYTES}")
    for counter in range(256):
        wide = _expanded(seed + _framed(info) + bytes([counter]), b"DeriveKeyPair" + mode.context)
        scalar = reduce_scalar(wide)
        if any(scalar):
            return scalar
    raise ValueError("a seed that gives no key")


def _random_scalar(entropy: Entropy) -> bytes:
    while not any(scalar := reduce_scalar(entropy(2 * SCALAR_BYTES))):
        pass
    return scalar


def _hash_to_group(data: bytes, mode: Mode) -> Point:
    return from_uniform(_expanded(data, b"HashToGroup-" + mode.context))


def _hash_to_scalar(data: bytes) -> bytes:
    return reduce_scalar(_expanded(data, b"HashToScalar-" + Mode.VOPRF.context))


def _expanded(message: bytes, domain: bytes) -> bytes:
    # expand_message_xmd with SHA-512 to 64 bytes, one block. Source: RFC 9380, §5.3.1.
    tag = domain + bytes([len(domain)])
    first = hashlib.sha512(bytes(_BLOCK_BYTES) + message + (64).to_bytes(2, "big") + b"\x00" + tag).digest()
    return hashlib.sha512(first + b"\x01" + tag).digest()


def _framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _check_size(elements: Sequence[bytes]) -> None:
    if not 1 <= len(elements) <= OPRF_BATCH_MAX:
        raise _refused(f"a request with {len(elements)} elements", f"1 to {OPRF_BATCH_MAX}")
    for each in elements:
        if len(each) != ELEMENT_BYTES:
            raise _refused(f"an element of {len(each)} bytes", f"{ELEMENT_BYTES}")


def _refused(what: str, expected: str) -> MessageError:
    return MessageError(Code.OPRF, what, expected=expected)
