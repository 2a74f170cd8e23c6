"""``/v1/vault``: the vault hands out what the ledger has granted. Specification: ``docs/formats/service.md``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey
from tclearn.ledger.contract import Rejected
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.limits import DELIVERY_REQUEST_AGE_MS_MAX, DELIVERY_REQUEST_BYTES_MAX
from tclearn.protocols.tclearn.accessing import check_handed_out
from tclearn.service.app import COSE, OBJECT, Asking, AtDesk, Streamed, admitted, taking
from tclearn.service.challenges import Challenges
from tclearn.service.delivery import DeliveryRequest, check_receipt_of
from tclearn.service.uploads import body_of
from tclearn.store.vault import Vault


@dataclass(frozen=True)
class Delivery:
    """An object that is being handed out.

    Attributes:
        stream: its authentic bytes, those that the member has already left out.
        left: how many there are.
    """

    stream: BinaryIO
    left: int


@dataclass
class VaultDesk:
    """Hands out objects: each by an access that is in the durable log, to the member that it names.

    Attributes:
        coalition: its files, open for writing.
        vault: its store, open.
        clock: milliseconds since 1970.
        challenges: what requests must carry, so that none is answered twice.
    """

    coalition: CoalitionDirectory
    vault: Vault
    clock: Callable[[], int]
    challenges: Challenges = field(default_factory=Challenges, repr=False)

    def hand_out(self, member: MemberId, message: bytes) -> Delivery:
        """What a signed request asks for.

        Args:
            member: who sends it, by the certificate of its connection.
            message: a ``DeliveryRequest``, signed.

        Raises:
            MessageError: the request is not this member's, too old, sent before, or its receipt is not of this log; or
                the ledger grants the member no such thing.
            UsageError: the member has more bytes than the object.
            StorageError: the object is not here, or damaged.
        """
        signer, request = DeliveryRequest.open(message)
        state = self.coalition.state
        if state.member_of(signer) != member:
            raise MessageError(
                Code.UNKNOWN_SIGNER,
                f"a request for a delivery that {member} sends and has not signed",
                expected="each member asks for itself, over a connection with its own certificate",
            )
        if request.coalition != self.coalition.charter.digest:
            raise MessageError(Code.WRONG_COALITION, f"{member} asks for an object of another coalition")
        self._check_fresh(member, request)
        self._check_receipt(request)
        try:
            granted = check_handed_out(state, request.access, member)
        except Rejected as refusal:
            raise _not_granted(refusal.reason) from None
        if granted.entry != request.entry:
            raise _not_granted(f"entry {request.entry} is not the one of access {request.access}")
        size = self.vault.size(granted.object)
        return Delivery(self.vault.open(granted.object, request.start), size - request.start)

    def _check_fresh(self, member: MemberId, request: DeliveryRequest) -> None:
        now_ms, allowed_ms = self.clock(), DELIVERY_REQUEST_AGE_MS_MAX
        if abs(now_ms - request.time_ms) > allowed_ms:
            raise MessageError(
                Code.EXPIRED,
                f"a request for a delivery, made {(now_ms - request.time_ms) / 1000:.0f} s ago by the clock here",
                expected=f"at most {allowed_ms // 1000} s",
                remedy=f"ask again; if that goes on, compare the clocks of {member} and of the service",
            )
        self.challenges.take(member, request.challenge, request.nonce)

    def _check_receipt(self, request: DeliveryRequest) -> None:
        ledger, charter = self.coalition.ledger, self.coalition.charter
        receipt = CoseReceipt.parse(request.receipt)
        if not request.entry < receipt.size <= len(ledger):
            raise MessageError(
                Code.RECORD_HEAD,
                f"a receipt of entry {request.entry} in a log of {receipt.size}",
                expected=f"a prefix of this log of {len(ledger)} entries",
            )
        leaf, path = ledger.inclusion(request.entry, receipt.size)
        head = ledger.head(receipt.size)
        check_receipt_of(receipt, charter.digest, PublicKey(charter.log_key), head, request.entry, path)
        if leaf != request.leaf:
            raise MessageError(Code.RECORD_ENTRY, f"entry {request.entry} is another one", expected="that of this log")


def _not_granted(reason: str) -> MessageError:
    return MessageError(
        Code.REFUSED,
        f"the ledger grants no such reading: {reason}",
        expected="an access of this member on the ledger, witnessed where the charter wants it",
        remedy="ask for access first",
    )


async def _vault_desk(desk: AtDesk) -> VaultDesk:
    if desk.vault is None:
        raise MessageError(
            Code.REFUSED,
            "this coalition has no vault",
            expected="a coalition of level B; at level A models are at /v1/objects",
        )
    return desk.vault


AtVaultDesk = Annotated[VaultDesk, Depends(_vault_desk)]
router = APIRouter(prefix="/v1/vault", dependencies=[Depends(admitted)])


@router.get("/challenge", response_class=Response, responses={200: {"content": {OBJECT: {}}}})
def challenge(desk: AtVaultDesk) -> Response:
    """16 bytes that requests for deliveries carry in the next minutes."""
    return Response(desk.challenges.now(), media_type=OBJECT)


@router.post(
    "/deliveries",
    response_class=Response,
    responses={200: {"content": {OBJECT: {}}}},
    openapi_extra=taking(COSE),
)
async def deliveries(desk: AtVaultDesk, member: Asking, request: Request) -> StreamingResponse:
    """The object that a signed request's access has granted, from the byte on that the request names."""
    message = await body_of(request, DELIVERY_REQUEST_BYTES_MAX)
    delivery = await run_in_threadpool(desk.hand_out, member, message)
    return Streamed(delivery.stream, media_type=OBJECT, headers={"content-length": str(delivery.left)})
