"""COSE Receipts of inclusion (RFC 9942) with Ed25519, in the one shape that the ledger gives out.

``18([protected, {396: {-1: [proof]}}, null, signature])`` with ``protected = {1: -8, 4: log's key, 15: {1: log's name},
395: 1}`` and ``proof = [tree size, leaf index, [path]]``, each within a byte string. The payload, the root of the tree,
is detached: a verifier gets it from entry and path. As with transactions, the shape leaves so little freedom that the
parser slices and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from tclearn.encoding import Digest, head, read_head
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer, verify

NAME_LENGTH: Final = 72
"""Characters of a log's name, ``tclearn/`` and 64 hexadecimal digits."""
PATH_MAX: Final = 63
"""Steps from a leaf to the root of the largest tree."""

_BYTES: Final = 2
_PROTECTED_START: Final = bytes.fromhex("a4 01 27 04 58 20")  # {1: -8, 4: h'32 bytes',
_NAME_START: Final = bytes.fromhex("0f a1 01 78") + bytes([NAME_LENGTH])  # 15: {1: "72 characters"},
_PROTECTED_END: Final = bytes.fromhex("19 01 8b 01")  # 395: 1}
_PROTECTED_LENGTH: Final = len(_PROTECTED_START) + 32 + len(_NAME_START) + NAME_LENGTH + len(_PROTECTED_END)
_START: Final = bytes.fromhex("d2 84 58") + bytes([_PROTECTED_LENGTH]) + _PROTECTED_START
_PROOFS_START: Final = bytes.fromhex("a1 19 01 8c a1 20 81")  # {396: {-1: [
_PAYLOAD_AND_SIGNATURE_START: Final = bytes.fromhex("f6 58 40")
_HASH_START: Final = b"\x58\x20"
_HASH_LENGTH: Final = len(_HASH_START) + 32


@dataclass(frozen=True, slots=True)
class CoseReceipt:
    """A receipt of inclusion; its signature is not checked yet.

    Attributes:
        key: the log's key, the key id of the protected header.
        log: the log's name, the issuer in the protected header.
        size: number of leaves of the tree.
        index: the leaf's position.
        path: from the leaf to the root, RFC 9162 §2.1.3.1.
        signature: 64 bytes, over the root.
    """

    key: PublicKey
    log: str
    size: int
    index: int
    path: tuple[Digest, ...]
    signature: bytes

    def encode(self) -> bytes:
        """The tagged COSE_Sign1 message."""
        path = head(4, len(self.path)) + b"".join([_HASH_START + node for node in self.path])
        proof = b"\x83" + head(0, self.size) + head(0, self.index) + path
        return b"".join(
            [
                _START[:4],
                _protected(self.key, self.log),
                _PROOFS_START,
                head(_BYTES, len(proof)),
                proof,
                _PAYLOAD_AND_SIGNATURE_START,
                self.signature,
            ]
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a receipt apart.

        Raises:
            MessageError: not exactly what ``encode`` gives.
        """
        key_at = len(_START)
        name_at = key_at + 32 + len(_NAME_START)
        proof_at = name_at + NAME_LENGTH + len(_PROTECTED_END) + len(_PROOFS_START)
        _, at = read_head(data, proof_at)
        size, at = read_head(data, at + 1)
        index, at = read_head(data, at)
        length, at = read_head(data, at)
        ends = range(at + _HASH_LENGTH, at + (min(length, PATH_MAX) + 1) * _HASH_LENGTH, _HASH_LENGTH)
        receipt = cls(
            PublicKey(data[key_at : key_at + 32]),
            data[name_at : name_at + NAME_LENGTH].decode("ascii", "replace"),
            size,
            index,
            tuple(Digest(data[end - 32 : end]) for end in ends),
            data[-64:],
        )
        # What was read from the wrong place, or from a longer form, does not give these bytes again.
        if receipt.encode() != data:
            raise MessageError(
                Code.ENCODING, "bytes that are not a receipt of inclusion of this ledger", expected="RFC 9942, EdDSA"
            )
        return receipt

    def check(self, root: Digest) -> None:
        """Check that ``key`` has signed a root under this name; returns nothing.

        Raises:
            MessageError: the signature does not hold.
        """
        verify(self.key, _to_be_signed(self.key, self.log, root), self.signature)


def sign(key: Signer, log: str, root: Digest, size: int, index: int, path: tuple[Digest, ...]) -> CoseReceipt:
    """Sign the root of a tree for one of its leaves.

    Args:
        key: the log's key.
        log: the log's name.
        root: the tree hash.
        size: number of leaves.
        index: the leaf's position.
        path: from the leaf to the root.
    """
    return CoseReceipt(key.public, log, size, index, path, key.sign(_to_be_signed(key.public, log, root)))


def _protected(key: PublicKey, log: str) -> bytes:
    return b"".join([_PROTECTED_START, key, _NAME_START, log.encode(), _PROTECTED_END])


def _to_be_signed(key: PublicKey, log: str, root: Digest) -> bytes:
    # Sig_structure of RFC 9052 §4.4: ["Signature1", protected, h'' (no external data), payload]
    protected = _protected(key, log)
    return b"".join([b"\x84\x6aSignature1", head(_BYTES, len(protected)), protected, b"\x40", _HASH_START, root])
