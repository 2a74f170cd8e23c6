"""COSE_Sign1 (RFC 9052 §4.2) with Ed25519, in the one shape that the ledger uses.

``18([protected, {}, payload, signature])`` with ``protected = {1: -8, 4: public key}``: algorithm EdDSA and the key id.
The unprotected header is empty, so that nothing unsigned travels along. The shape leaves no freedom but the lengths, so
the parser compares and slices instead of decoding: every accepted message is deterministic CBOR by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tclearn.errors import Code, MessageError
from tclearn.identity.keys import PublicKey, Signer, verify
from tclearn.limits import TRANSACTION_BYTES_MAX

_PROTECTED_START: Final = bytes.fromhex("a2 01 27 04 58 20")  # {1: -8, 4: h'32 bytes'}
_PROTECTED_LENGTH: Final = len(_PROTECTED_START) + 32
_START: Final = bytes.fromhex("d2 84 58") + bytes([_PROTECTED_LENGTH]) + _PROTECTED_START
_SIGNATURE_START: Final = bytes.fromhex("58 40")


@dataclass(frozen=True, slots=True)
class Signed:
    """A COSE_Sign1 message taken apart; the signature is not checked yet.

    Attributes:
        signer: the key id of the protected header, the signer's public key.
        payload: the signed bytes.
        signature: 64 bytes.
    """

    signer: PublicKey
    payload: bytes
    signature: bytes

    def check(self, external_aad: bytes) -> None:
        """Check the signature; returns nothing.

        Raises:
            MessageError: the signature does not hold for this payload and context.
        """
        verify(self.signer, _to_be_signed(self.signer, external_aad, self.payload), self.signature)


def sign(signer: Signer, payload: bytes, external_aad: bytes) -> bytes:
    """Sign a payload; the result is a tagged COSE_Sign1 message.

    Args:
        signer: the private key.
        payload: what is said.
        external_aad: the context that the signature binds without carrying it.
    """
    signature = signer.sign(_to_be_signed(signer.public, external_aad, payload))
    return b"".join(
        [_START, signer.public, b"\xa0", _byte_string_head(len(payload)), payload, _SIGNATURE_START, signature]
    )


def open_signed(message: bytes, *, size_max: int = TRANSACTION_BYTES_MAX) -> Signed:
    """Take a COSE_Sign1 message apart.

    Raises:
        MessageError: larger than ``size_max`` bytes, or not of the shape described above.
    """
    if len(message) > size_max:
        raise MessageError(
            Code.TOO_LARGE,
            f"a signed message of {len(message)} bytes",
            expected=f"at most {size_max}",
            remedy="put large objects into the store and name them by digest",
        )
    at = len(_START) + 32
    if message[: len(_START)] != _START or message[at : at + 1] != b"\xa0" or len(message) < at + 67:
        raise _malformed()
    signature_at = len(message) - 64
    payload_at = at + 1
    framed = message[payload_at : signature_at - 2]
    if message[signature_at - 2 : signature_at] != _SIGNATURE_START:
        raise _malformed()
    payload = framed[_head_length(len(framed)) :]
    if _byte_string_head(len(payload)) + payload != framed:
        raise _malformed()
    return Signed(PublicKey(message[len(_START) : at]), payload, message[signature_at:])


def _head_length(framed: int) -> int:
    for head, payload_max in ((1, 23), (2, 0xFF), (3, 0xFFFF), (5, 0xFFFFFFFF)):
        if framed - head <= payload_max:
            return head
    raise _malformed()


def _byte_string_head(length: int) -> bytes:
    if length < 24:
        return bytes([0x40 | length])
    if length <= 0xFF:
        return bytes([0x58, length])
    if length <= 0xFFFF:
        return b"\x59" + length.to_bytes(2, "big")
    return b"\x5a" + length.to_bytes(4, "big")


def _to_be_signed(key: PublicKey, external_aad: bytes, payload: bytes) -> bytes:
    # Sig_structure of RFC 9052 §4.4: ["Signature1", protected, external_aad, payload]
    return b"".join(
        [
            b"\x84\x6aSignature1\x58",
            bytes([_PROTECTED_LENGTH]),
            _PROTECTED_START,
            key,
            _byte_string_head(len(external_aad)),
            external_aad,
            _byte_string_head(len(payload)),
            payload,
        ]
    )


def _malformed() -> MessageError:
    return MessageError(
        Code.ENCODING, "bytes that are not a COSE_Sign1 message of this ledger", expected="RFC 9052, EdDSA"
    )
