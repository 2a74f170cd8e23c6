"""What a member sends to be handed an object of the vault (level B). Format: ``docs/formats/service.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from tclearn.encoding import Digest, decode
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer
from tclearn.identity.cose import open_signed, sign
from tclearn.ledger.checkpoint import origin
from tclearn.ledger.contract import Head
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.limits import DELIVERY_REQUEST_BYTES_MAX
from tclearn.records import Record

NONCE_BYTES: Final = 16
DELIVERY_CONTEXT: Final = b"tclearn/vault/delivery/1"
"""What a request's signature binds without carrying it."""


@dataclass(frozen=True, slots=True)
class DeliveryRequest(Record):
    """Asks for what an access on the ledger has granted.

    Attributes:
        coalition: the charter's digest.
        access: number of the access.
        entry: index of the entry that granted it.
        leaf: leaf hash of that entry.
        receipt: the log's COSE receipt of its inclusion, under a head that the member has checked.
        start: how many bytes the member has already.
        challenge: 16 bytes that the service has made for requests of these minutes.
        nonce: 16 random bytes, fresh for each request.
        time_ms: when it is made, milliseconds since 1970.
    """

    coalition: Digest
    access: int
    entry: int
    leaf: Digest
    receipt: bytes
    start: int
    challenge: bytes
    nonce: bytes
    time_ms: int

    def signed(self, signer: Signer) -> bytes:
        """The request as a COSE_Sign1 message."""
        return sign(signer, self.encode(), DELIVERY_CONTEXT)

    @classmethod
    def open(cls, message: bytes) -> tuple[PublicKey, Self]:
        """Read what somebody sent; returns who has signed it, too.

        Raises:
            MessageError: not such a message, too large, or its signature does not hold.
        """
        signed = open_signed(message, size_max=DELIVERY_REQUEST_BYTES_MAX)
        signed.check(DELIVERY_CONTEXT)
        payload = decode(signed.payload, size_max=DELIVERY_REQUEST_BYTES_MAX)
        request = cls.from_value(payload, "the request for a delivery")
        for name, value in (("nonce", request.nonce), ("challenge", request.challenge)):
            if len(value) != NONCE_BYTES:
                raise MessageError(Code.ENCODING, f"a {name} of {len(value)} bytes", expected=f"{NONCE_BYTES}")
        return signed.signer, request


def check_receipt_of(
    receipt: CoseReceipt, coalition: Digest, log_key: PublicKey, head: Head, index: int, path: tuple[Digest, ...]
) -> None:
    """Check that a receipt is the log's, for an entry, under a head of one's own ledger; returns nothing.

    Args:
        receipt: as it came.
        coalition: the charter's digest.
        log_key: the key that the charter names.
        head: of one's own ledger, of as many entries as the receipt says.
        index: the entry's position.
        path: from the entry to the root of that head, in one's own ledger.

    Raises:
        MessageError: it is not.
    """
    if receipt.key != log_key or receipt.log != origin(coalition):
        raise MessageError(Code.UNKNOWN_SIGNER, "a receipt of another log", expected="one by the key of this log")
    receipt.check(head.root)
    if (receipt.size, receipt.index, receipt.path) != (head.size, index, path):
        raise MessageError(
            Code.RECORD_HEAD,
            f"a receipt that does not show entry {index} in this log",
            expected=f"its inclusion among the first {head.size} entries",
            remedy="if it goes on, somebody has been shown another history: keep both heads",
        )
