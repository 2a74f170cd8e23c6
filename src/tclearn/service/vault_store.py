"""The vault as a member meets it: what the ledger grants is fetched by a signed request, and kept sealed at home."""

from __future__ import annotations

import secrets
from collections.abc import Callable

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
from tclearn.service.fetching import Begin, FetchingStore, Pause, slept
from tclearn.service.remote import Connection
from tclearn.store import Store

DELIVERIES = "/v1/vault/deliveries"
CHALLENGE = "/v1/vault/challenge"


class VaultStore(FetchingStore):
    """The coalition's store at level B, as ``tclearn.store.Store``.

    Args:
        connection: to the service.
        kept: the member's own vault.
        ledger: its copy of the log.
        member: who it is.
        signer: its transaction key.
        clock: milliseconds since 1970.
        pause: before a transfer that has broken off goes on.
    """

    def __init__(
        self,
        connection: Connection,
        kept: Store,
        ledger: Follower[State],
        member: MemberId,
        signer: Signer,
        clock: Callable[[], int],
        *,
        pause: Pause = slept,
    ) -> None:
        super().__init__(connection, kept, pause=pause)
        self.ledger = ledger
        self.member = member
        self.signer = signer
        self.clock = clock

    def has(self, name: Digest) -> bool:
        """No: what the vault has it does not say. Handing over again what it has changes nothing."""
        return False

    def begin(self, name: Digest) -> Begin:
        """By the newest access that the ledger has granted this member.

        Raises:
            StorageError: it grants this member no such reading yet.
            MessageError: the service refuses it, or its receipt is not of the history that this member follows.
            UnreachableError: there is no answer.
        """
        access = handed_out(self.ledger.state(), self.member, name)
        if access is None:
            raise StorageError(
                Code.VAULT,
                f"{self.member} has no access to the object {name.hex()[:16]}…",
                expected="an access on the ledger, witnessed where the charter wants it",
                remedy="ask for access first",
            )
        return self.delivery(access)

    def delivery(self, access: AccessState) -> Begin:
        """How what an access has granted is asked for, from the vault itself; errors as ``begin``."""
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

        return lambda start: self.connection.pieces(DELIVERIES, message(start), "application/cose")

    def _receipt(self, entry: int) -> bytes:
        state, size = self.ledger.state(), len(self.ledger)
        data = self.connection.get(f"/v1/ledger/receipts/{entry}?size={size}", size_max=RECEIPT_BYTES_MAX)
        _, path = self.ledger.inclusion(entry, size)
        log_key = PublicKey(state.charter.log_key)
        check_receipt_of(CoseReceipt.parse(data), self.ledger.coalition, log_key, self.ledger.head(size), entry, path)
        return data
