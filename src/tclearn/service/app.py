"""The service over HTTP: ``/v1``, with OpenAPI at ``/v1/openapi.json``. Specification: ``docs/formats/service.md``."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, Code, MessageError, StorageError, TCLearnError, UnreachableError, UsageError
from tclearn.limits import TRANSACTION_BYTES_MAX
from tclearn.service.events import Announcer
from tclearn.service.id_desk import IdDesk
from tclearn.service.office import Office
from tclearn.service.peers import FORMER, MEMBER, Standing
from tclearn.service.refused import RefusedRequests
from tclearn.service.signed import SIGNED, TRANSACTIONS, was_signed
from tclearn.service.turnstile import RETRY_AFTER_S, Turnstile
from tclearn.service.uploads import Uploads, body_of
from tclearn.service.wire import encode_error, encode_page

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

    from tclearn.service.vault import VaultDesk

CBOR: Final = "application/cbor"
COSE: Final = "application/cose"
OBJECT: Final = "application/octet-stream"
DER: Final = "application/pkix-cert"
_NAME: Final = "^[0-9a-f]{64}$"
_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-")
_PIECE: Final = 1 << 20
# FastAPI measures each request, and sends it elsewhere where the environment says so: nothing of this leaves us.
_SILENT: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


_STATUS: Final = {
    Code.TOO_LARGE: 413,
    Code.OBJECT_MISSING: 404,
    Code.UNKNOWN_SIGNER: 403,
    Code.FORMER_MEMBER: 403,
    Code.REFUSED: 403,
    Code.SEQUENCE: 409,
    Code.RECORD_EXTENSION: 409,
    Code.STORE_FAILED: 503,
    Code.LEDGER_FILE: 503,
    Code.BUSY: 429,
}
_REFUSALS: Final = (400, 403, 404, 405, 409, 411, 413, 416, 422, 429, 500, 503)


def taking(media: str) -> dict[str, Any]:
    """OpenAPI of a request's body that is bytes of this type."""
    return {"requestBody": {"required": True, "content": {media: {"schema": {"type": "string", "format": "binary"}}}}}


class Logged(BaseModel):
    """What became of a transaction."""

    id: str
    index: int
    code: int
    reason: str


class Health(BaseModel):
    """That the service runs, and how far its log is."""

    status: str
    entries: int


class Said(BaseModel):
    """An error."""

    kind: str
    code: str
    what: str
    expected: str
    remedy: str


class Refusal(BaseModel):
    """Why a request was not done."""

    error: Said


@dataclass(frozen=True)
class Desk:
    """What the application works with.

    Attributes:
        office: does the work.
        turnstile: counts requests.
        announcer: tells when the log has grown.
        certificate: the service's root certificate, DER.
        ids: computes data IDs; ``None``: at level A.
        vault: hands out models; ``None``: at level A.
        refused: notes signed requests that are refused; ``None``: at level A.
        uploads: takes in objects.
    """

    office: Office
    turnstile: Turnstile
    announcer: Announcer
    certificate: bytes
    ids: IdDesk | None = None
    vault: VaultDesk | None = None
    refused: RefusedRequests | None = None
    uploads: Uploads = field(default_factory=Uploads, repr=False)


# Coroutines, though they wait for nothing: for each plain function FastAPI asks a thread.
async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _asking(request: Request) -> MemberId:
    member: MemberId | None = request.scope.get(MEMBER)
    former: Standing | None = request.scope.get(FORMER)
    if former is not None:
        raise _no_member(former)
    if member is None:
        raise MessageError(
            Code.UNKNOWN_SIGNER,
            "a certificate of nobody in this coalition",
            expected="a certificate under the root of a member",
        )
    return member


def _no_member(former: Standing) -> MessageError:
    if former.member_still:
        return MessageError(
            Code.FORMER_MEMBER,
            f"{former.member} has other keys now",
            expected=f"the keys that {former.member} has taken, or was admitted with",
            remedy="after `tclearn member rotate`: start again once it has ended; else name the new .key file; if you "
            "have made none, somebody else has: tell the others",
        )
    return MessageError(
        Code.FORMER_MEMBER,
        f"{former.member} is not a member any more",
        expected="a certificate under the root of a member",
        remedy="your copy of the ledger may show who has approved it; members can admit you again, with new keys",
    )


async def admitted(request: Request) -> None:
    """Count a request of a member; what every path depends on.

    Raises:
        MessageError: nobody's.
        UnreachableError: the member has asked too often.
    """
    (await _desk(request)).turnstile.admit(await _asking(request))


AtDesk = Annotated[Desk, Depends(_desk)]
Asking = Annotated[MemberId, Depends(_asking)]
Name = Annotated[str, Path(pattern=_NAME, description="BLAKE3-256 of the object, 64 hexadecimal digits")]
Index = Annotated[int, Query(ge=0, lt=1 << 62)]
Range = Annotated[str | None, Header(description="bytes=N- for what follows the first N bytes; others are ignored")]
router = APIRouter(prefix="/v1", dependencies=[Depends(admitted)])


@router.get("/health")
def health(desk: AtDesk) -> Health:
    """Whether the service runs."""
    return Health(status="ok", entries=len(desk.office.coalition.ledger))


@router.get("/charter", response_class=Response, responses={200: {"content": {CBOR: {}}}})
def charter(desk: AtDesk) -> Response:
    """The charter's canonical bytes."""
    return Response(desk.office.coalition.charter.encode(), media_type=CBOR)


@router.get("/certificate", response_class=Response, responses={200: {"content": {DER: {}}}})
def certificate(desk: AtDesk) -> Response:
    """The service's root certificate (DER), signed by the key that the charter names."""
    return Response(desk.certificate, media_type=DER)


@router.get("/data-key", response_class=Response, responses={200: {"content": {OBJECT: {}}}})
def data_key(desk: AtDesk) -> Response:
    """The key of the data IDs, 32 bytes: at level A every member has it, at other levels none."""
    if desk.office.coalition.charter.data_ids is not None:
        raise MessageError(
            Code.REFUSED,
            "the key of the data IDs, at a level where only the service has it",
            expected="requests for data IDs, POST /v1/data-ids",
        )
    return Response(desk.office.coalition.data_key(), media_type=OBJECT)


@router.get("/ledger/entries", response_class=Response, responses={200: {"content": {CBOR: {}}}})
def entries(desk: AtDesk, start: Index = 0) -> Response:
    """Entries from an index on, with a signed checkpoint."""
    return Response(encode_page(desk.office.page(start)), media_type=CBOR)


@router.get("/ledger/receipts/{index}", response_class=Response, responses={200: {"content": {COSE: {}}}})
def receipt(desk: AtDesk, index: Annotated[int, Path(ge=0, lt=1 << 62)], size: Index) -> Response:
    """The log's COSE receipt (RFC 9942) that an entry is among the first ``size``."""
    return Response(desk.office.receipt(index, size), media_type=COSE)


@router.post("/ledger/transactions", openapi_extra=taking(COSE))
async def transactions(desk: AtDesk, member: Asking, request: Request) -> Logged:
    """Hand in a signed transaction."""
    raw = await body_of(request, TRANSACTION_BYTES_MAX)
    logged, outcome = await run_in_threadpool(desk.office.submit, raw, member)
    return Logged(id=logged.hex(), index=outcome.index, code=outcome.code, reason=outcome.reason)


@router.get("/ledger/events", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def events(desk: AtDesk, member: Asking, size: Index = 0) -> StreamingResponse:
    """The size of the log, whenever it is larger than the one told before."""
    return StreamingResponse(desk.announcer.told(member, size), media_type="text/event-stream")


@router.put("/objects/{name}", status_code=204, response_class=Response, openapi_extra=taking(OBJECT))
async def put_object(desk: AtDesk, member: Asking, name: Name, request: Request) -> Response:
    """Keep the model of a candidate that the asking member has announced."""
    wanted = Digest(bytes.fromhex(name))
    size_max = await run_in_threadpool(desk.office.room_for, member, wanted)
    if not size_max:
        raise MessageError(
            Code.REFUSED,
            "an object that nobody waits for",
            expected="the model of a candidate that this member has announced",
            remedy="propose first; what is announced lapses at its deadline",
        )
    with desk.uploads.place(member):
        await desk.uploads.received(request, size_max, partial(desk.office.put, wanted))
    return Response(status_code=204)


@router.get(
    "/objects/{name}",
    response_class=Response,
    responses={200: {"content": {OBJECT: {}}}, 206: {"content": {OBJECT: {}}}},
)
def get_object(desk: AtDesk, name: Name, range: Range = None) -> Response:  # noqa: A002 - the header's name
    """A model, from a byte on where the request has ``Range: bytes=N-``."""
    if desk.vault is not None:
        raise MessageError(
            Code.REFUSED,
            "a model without an access to it, at a level where the ledger says who reads",
            expected="an access on the ledger, then POST /v1/vault/deliveries",
        )
    return _object(desk.office, Digest(bytes.fromhex(name)), _RANGE.fullmatch(range or ""))


def application(desk: Desk, *routers: APIRouter) -> FastAPI:
    """The ASGI application.

    Args:
        desk: what it works with.
        routers: further paths, besides those of this file.
    """
    app = FastAPI(
        title="TCLearn",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry=_SILENT,
        responses={status: {"model": Refusal} for status in _REFUSALS},
    )
    app.state.desk = desk
    for each in (router, *routers):
        app.include_router(each)
    app.add_exception_handler(TCLearnError, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _malformed)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _unknown)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


def _object(office: Office, name: Digest, asked: re.Match[str] | None) -> Response:
    stream = office.coalition.store.open(name)
    size = stream.seek(0, 2)
    start = int(asked[1]) if asked else 0
    if asked and start >= size:
        stream.close()
        beyond = UsageError(Code.USAGE, f"bytes from {start} on, of an object with {size}")
        return JSONResponse({"error": encode_error(beyond)}, 416, headers={"content-range": f"bytes */{size}"})
    stream.seek(start)
    headers = {"content-length": str(size - start), "accept-ranges": "bytes"}
    if asked:
        headers["content-range"] = f"bytes {start}-{size - 1}/{size}"
    return Streamed(stream, status_code=206 if asked else 200, media_type=OBJECT, headers=headers)


class Streamed(StreamingResponse):
    """What is left of a stream, which is closed whether the other end has taken all of it or not."""

    def __init__(self, stream: BinaryIO, **arguments: Any) -> None:
        super().__init__(iter(lambda: stream.read(_PIECE), b""), **arguments)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ``Response.__call__``."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.close()


async def _refused(request: Request, error: TCLearnError) -> JSONResponse:
    desk: Desk = request.app.state.desk
    if isinstance(error, MessageError) and request.url.path in SIGNED and desk.refused is not None:
        await _note(desk, desk.refused, request, error)
    status = _STATUS.get(error.code, 503 if isinstance(error, StorageError) else 400)
    again = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    if error.code is Code.FORMER_MEMBER:
        again["connection"] = "close"
    return JSONResponse({"error": encode_error(error)}, status, headers=again)


async def _note(desk: Desk, journal: RefusedRequests, request: Request, error: MessageError) -> None:
    path, former = request.url.path, request.scope.get(FORMER)
    # A member's command and its agent may take the same number; ``Office.submit`` has seen that both are its own. What
    # was logged before is answered as it was then, and what somebody else signed has another code.
    if error.code is Code.SEQUENCE and path == TRANSACTIONS:
        return
    member = request.scope.get(MEMBER) if former is None else former.member
    message: bytes | None = getattr(request.state, "body", None)
    if former is not None:  # it was refused before anything of it was read
        with suppress(MessageError, UnreachableError, ClientDisconnect):
            desk.turnstile.admit(former.member)
            message = await body_of(request, SIGNED[path])
    coalition = desk.office.coalition.charter.digest
    if member is not None and message is not None and await run_in_threadpool(was_signed, path, message, coalition):
        await run_in_threadpool(journal.note, member, path, error)


def _malformed(_: Request, error: RequestValidationError) -> JSONResponse:
    where = ", ".join(sorted({str(each["loc"][-1]) for each in error.errors()}))
    wrong = UsageError(Code.USAGE, f"a request with a wrong value for {where}", expected="what /v1/openapi.json says")
    return JSONResponse({"error": encode_error(wrong)}, 422)


def _unknown(_: Request, error: HTTPException) -> JSONResponse:
    wrong = UsageError(Code.USAGE, f"{error.detail}", expected="a path and method of /v1/openapi.json")
    return JSONResponse({"error": encode_error(wrong)}, error.status_code, headers=error.headers)


def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


def _failed(_: Request, __: Exception) -> JSONResponse:
    # Starlette raises it again for the service's own log.
    defect = AgentError(Code.UNEXPECTED, "the service has failed: a defect of ours", remedy="tell whoever runs it")
    return JSONResponse({"error": encode_error(defect)}, 500)
