"""The vault as a member meets it: what the ledger grants is fetched by a signed request, and kept sealed at home."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, StorageError
from tclearn.identity import PublicKey, Signer
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.ledger.engines.follower import Follower
from tclearn.limits import RECEIPT_BYTES_MAX
from tclearn.protocols.tclearn.accessing import handed_out
from tclearn.protocols.tclearn.records import AccessState
from tclearn.protocols.tclearn.state import State
from tclearn.service.delivery import NONCE_BYTES, DeliveryRequest, check_receipt_of
from tclearn.service.remote import Connection, fetched, hand_over
from tclearn.store import Store

DELIVERIES = "/v1/vault/deliveries"
CHALLENGE = "/v1/vault/challenge"


@dataclass
class VaultStore:
    """The coalition's store at level B, as ``tclearn.store.Store``.

    Attributes:
        connection: to the service.
        kept: the member's own vault.
        ledger: its copy of the log.
        member: who it is.
        signer: its transaction key.
        clock: milliseconds since 1970.
    """

    connection: Connection
    kept: Store
    ledger: Follower[State]
    member: MemberId
    signer: Signer
    clock: Callable[[], int]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def put(self, data: bytes) -> Digest:
        """See ``Store.put``: kept here, and handed over."""
        name = self.kept.put(data)
        hand_over(self.connection, name, data)
        return name

    def has(self, name: Digest) -> bool:
        """No: what the vault has it does not say. Handing over again what it has changes nothing."""
        return False

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """See ``Store.get``. What was handed out before is here; a damaged copy is asked for again.

        Raises:
            StorageError: the ledger grants this member no such reading yet.
            MessageError: the service refuses it, or its receipt is not of the history that this member follows.
            UnreachableError: there is no answer.
        """
        with self._lock:
            try:
                return self.kept.get(name, size_max=size_max)
            except StorageError as error:
                if error.code not in (Code.OBJECT_MISSING, Code.OBJECT_CORRUPT):
                    raise
            state = self.ledger.state()
            access = handed_out(state, self.member, name)
            if access is None:
                raise StorageError(
                    Code.VAULT,
                    f"{self.member} has no access to the object {name.hex()[:16]}…",
                    expected="an access on the ledger, witnessed where the charter wants it",
                    remedy="ask for access first",
                )
            data = self.delivery(access, size_max=size_max)
            self.kept.put(data)
            return data

    def open(self, name: Digest) -> BinaryIO:
        """See ``Store.open``."""
        return BytesIO(self.get(name, size_max=1 << 62))

    def delivery(self, access: AccessState, *, size_max: int) -> bytes:
        """What an access has granted, from the vault itself; errors as ``get``."""
        receipt = self._receipt(access.entry)

        def message(start: int) -> bytes:
            challenge = self.connection.get(CHALLENGE, size_max=NONCE_BYTES)
            leaf, _ = self.ledger.inclusion(access.entry, access.entry + 1)
            return DeliveryRequest(
                coalition=self.ledger.coalition,
                access=access.number,
                entry=access.entry,
                leaf=leaf,
                receipt=receipt,
                start=start,
                challenge=challenge,
                nonce=secrets.token_bytes(NONCE_BYTES),
                time_ms=self.clock(),
            ).signed(self.signer)

        def pieces(start: int) -> Iterator[bytes]:
            return self.connection.pieces(DELIVERIES, message(start), "application/cose")

        return fetched(access.object, pieces, size_max)

    def _receipt(self, entry: int) -> bytes:
        state, size = self.ledger.state(), len(self.ledger)
        data = self.connection.get(f"/v1/ledger/receipts/{entry}?size={size}", size_max=RECEIPT_BYTES_MAX)
        _, path = self.ledger.inclusion(entry, size)
        log_key = PublicKey(state.charter.log_key)
        check_receipt_of(CoseReceipt.parse(data), self.ledger.coalition, log_key, self.ledger.head(size), entry, path)
        return data
