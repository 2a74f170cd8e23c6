"""What parties send: batches of ciphertexts and of decryption shares, each with its proof.

Format: ``docs/formats/paillier.md``. A batch is read first, which says that it has a message's form, and verified
second, which says who is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tclearn.encoding import Digest, decode
from tclearn.errors import Code, MessageError
from tclearn.limits import PAILLIER_BATCH_BYTES_MAX
from tclearn.paillier.arithmetic import Run, big, from_bytes, one_by_one, to_bytes
from tclearn.paillier.keys import PublicKey, SharedKey
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_decryption import ShareProof, verify_shares
from tclearn.paillier.proof_decryption import response_bits as share_response_bits
from tclearn.paillier.proof_encryption import EncryptionProof, response_bits, verify_encryption
from tclearn.paillier.statements import Context, ProofError
from tclearn.records import Record

_ENCRYPTED: Final = "tclearn/paillier-batch/1"
_SHARES: Final = "tclearn/paillier-shares/1"


@dataclass(frozen=True, slots=True)
class EncryptedBatch(Record):
    """A batch of ciphertexts with its proof, numbers big-endian in a fixed size each.

    Attributes:
        format: the form's name.
        key: digest of the public key.
        context: whose batch it is.
        ciphertexts: 1 to ``PAILLIER_BATCH_MAX``.
        masks: of the proof.
        plaintexts: of its responses.
        exponents: of its responses.
    """

    format: str
    key: Digest
    context: Context
    ciphertexts: bytes = field(repr=False)
    masks: bytes = field(repr=False)
    plaintexts: bytes = field(repr=False)
    exponents: bytes = field(repr=False)

    @classmethod
    def of(
        cls, key: PublicKey, layout: Layout, context: Context, ciphertexts: Sequence[int], proof: EncryptionProof
    ) -> EncryptedBatch:
        """The message for a batch."""
        element, (plaintext, exponent) = key.group.element_bytes, _sizes(key, layout)
        return cls(
            _ENCRYPTED,
            key.digest,
            context,
            to_bytes(ciphertexts, element),
            to_bytes(proof.masks, element),
            to_bytes(proof.plaintexts, plaintext),
            to_bytes(proof.exponents, exponent),
        )

    @classmethod
    def read(cls, data: bytes) -> EncryptedBatch:
        """Read what somebody sent.

        Raises:
            MessageError: it has not the form of such a message. Whether it holds is for ``verify`` to say.
        """
        batch = cls.from_value(decode(data, size_max=PAILLIER_BATCH_BYTES_MAX), "the encrypted batch")
        _check_format(batch.format, _ENCRYPTED)
        return batch

    def verify(self, key: PublicKey, layout: Layout, context: Context) -> tuple[int, ...]:
        """Verify the batch.

        Args:
            key: the public key.
            layout: the coalition's.
            context: where the batch was expected; its party is to blame when it does not hold.

        Returns:
            Its ciphertexts.

        Raises:
            ProofError: it does not hold.
            MessageError: the layout is not for this key.
        """
        _check_place(self.key, self.context, key, context)
        element, (plaintext, exponent) = key.group.element_bytes, _sizes(key, layout)
        ciphertexts = _numbers(context, self.ciphertexts, element)
        proof = EncryptionProof(
            _numbers(context, self.masks, element),
            _numbers(context, self.plaintexts, plaintext),
            _numbers(context, self.exponents, exponent),
        )
        verify_encryption(key, layout, context, ciphertexts, proof)
        return ciphertexts


@dataclass(frozen=True, slots=True)
class ShareBatch(Record):
    """A batch of decryption shares with its proof, numbers big-endian in a fixed size each.

    Attributes:
        format: the form's name.
        key: digest of the public key.
        context: whose batch it is.
        shares: one for each ciphertext.
        challenge: of the proof.
        response: of the proof.
    """

    format: str
    key: Digest
    context: Context
    shares: bytes = field(repr=False)
    challenge: bytes = field(repr=False)
    response: bytes = field(repr=False)

    @classmethod
    def of(cls, key: SharedKey, context: Context, shares: Sequence[int], proof: ShareProof) -> ShareBatch:
        """The message for a batch."""
        response = to_bytes([proof.response], _size(share_response_bits(key)))
        packed = to_bytes(shares, key.group.element_bytes)
        return cls(_SHARES, key.digest, context, packed, proof.challenge, response)

    @classmethod
    def read(cls, data: bytes) -> ShareBatch:
        """Read what somebody sent.

        Raises:
            MessageError: it has not the form of such a message. Whether it holds is for ``verify`` to say.
        """
        batch = cls.from_value(decode(data, size_max=PAILLIER_BATCH_BYTES_MAX), "the batch of shares")
        _check_format(batch.format, _SHARES)
        return batch

    def verify(self, key: SharedKey, context: Context, ciphertexts: Sequence[int]) -> tuple[int, ...]:
        """Verify the batch.

        Args:
            key: the public key.
            context: where the batch was expected; its party is to blame when it does not hold.
            ciphertexts: what was to be opened.

        Returns:
            Its shares.

        Raises:
            ProofError: it does not hold.
            MessageError: ``ciphertexts`` are none.
        """
        _check_place(self.key, self.context, key, context)
        shares = _numbers(context, self.shares, key.group.element_bytes)
        if len(self.response) != _size(share_response_bits(key)):
            raise ProofError(context, f"has a response of {len(self.response)} bytes")
        proof = ShareProof(self.challenge, big(int.from_bytes(self.response, "big")))
        verify_shares(key, context, ciphertexts, shares, proof)
        return shares


def blame_encrypted(
    key: PublicKey, layout: Layout, batches: Sequence[tuple[Context, EncryptedBatch]], *, run: Run = one_by_one
) -> list[ProofError]:
    """Verify many parties' batches.

    Args:
        key: the public key.
        layout: the coalition's.
        batches: each with its expected place.
        run: cores.

    Returns:
        What does not hold, each naming its party and batch; nothing when all hold.

    Raises:
        MessageError: the layout is not for this key.
    """

    def fault(item: tuple[Context, EncryptedBatch]) -> ProofError | None:
        try:
            item[1].verify(key, layout, item[0])
        except ProofError as error:
            return error
        return None

    return [error for error in run(fault, batches) if error is not None]


def blame_shares(
    key: SharedKey, batches: Sequence[tuple[Context, Sequence[int], ShareBatch]], *, run: Run = one_by_one
) -> list[ProofError]:
    """Verify many parties' shares.

    Args:
        key: the public key.
        batches: each with its expected place and the ciphertexts that were to be opened.
        run: cores.

    Returns:
        What does not hold, each naming its party and batch; nothing when all hold.

    Raises:
        MessageError: what was to be opened are no ciphertexts.
    """

    def fault(item: tuple[Context, Sequence[int], ShareBatch]) -> ProofError | None:
        try:
            item[2].verify(key, item[0], item[1])
        except ProofError as error:
            return error
        return None

    return [error for error in run(fault, batches) if error is not None]


def _sizes(key: PublicKey, layout: Layout) -> tuple[int, int]:
    plaintext, exponent = response_bits(key, layout)
    return _size(plaintext), _size(exponent)


def _size(bits: int) -> int:
    return bits + 7 >> 3


def _numbers(context: Context, data: bytes, size: int) -> tuple[int, ...]:
    if len(data) % size:
        raise ProofError(context, f"has {len(data)} bytes of numbers", expected=f"{size} for each")
    return tuple(from_bytes(data, size))


def _check_format(found: str, expected: str) -> None:
    if found != expected:
        raise MessageError(Code.ENCODING, f"a message {found[:40]!r}", expected=expected)


def _check_place(digest: Digest, place: Context, key: SharedKey, context: Context) -> None:
    if digest != key.digest:
        raise ProofError(context, f"is under the key {digest.hex()[:16]}…", expected=f"{key.digest.hex()[:16]}…")
    if place != context:
        raise ProofError(context, "says that it is another's, or another batch", expected="its own place")
