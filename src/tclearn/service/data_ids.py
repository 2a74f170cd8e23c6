"""``/v1/data-ids``: data IDs of level B, and the journal of who asked. Specification: ``docs/formats/service.md``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from tclearn.coalition.allowance import Decision
from tclearn.errors import Code, MessageError
from tclearn.limits import ID_JOURNAL_PAGE_ENTRIES_MAX, ID_REQUEST_BYTES_MAX
from tclearn.service.app import CBOR, COSE, Asking, AtDesk, Index, admitted, taking
from tclearn.service.id_desk import IdDesk
from tclearn.service.id_messages import IdPage
from tclearn.service.uploads import body_of
from tclearn.service.wire import encode_error


async def _id_desk(desk: AtDesk) -> IdDesk:
    if desk.ids is None:
        raise MessageError(
            Code.REFUSED,
            "this coalition's service computes no data IDs",
            expected="a coalition of level B; at level A every member has the key",
        )
    return desk.ids


AtIdDesk = Annotated[IdDesk, Depends(_id_desk)]
router = APIRouter(prefix="/v1/data-ids", dependencies=[Depends(admitted)])


@router.post("", response_class=Response, responses={200: {"content": {CBOR: {}}}}, openapi_extra=taking(COSE))
async def data_ids(desk: AtIdDesk, member: Asking, request: Request) -> Response:
    """Data IDs for the records of a signed request, from the member's allowance."""
    message = await body_of(request, ID_REQUEST_BYTES_MAX)
    async with desk.turn(member):
        decision, served = await run_in_threadpool(desk.answer, member, message)
    if served is None:
        return _later(decision)
    return Response(served.encode(), media_type=CBOR)


@router.get("/journal", response_class=Response, responses={200: {"content": {CBOR: {}}}})
def journal(desk: AtIdDesk, start: Index = 0) -> Response:
    """Entries of the journal from a number on: who asked, when, and for how many records."""
    page = IdPage(tuple(desk.journal.entries(start, ID_JOURNAL_PAGE_ENTRIES_MAX)))
    return Response(page.encode(), media_type=CBOR)


def _later(decision: Decision) -> JSONResponse:
    try:
        decision.check()
    except MessageError as error:
        said = {"error": encode_error(error)}
    else:
        raise TypeError("a request that was granted and not answered")
    if decision.available_ms is None:
        return JSONResponse(said, 429)
    wait_s = -(-(decision.available_ms - decision.entry.time_ms) // 1000)
    return JSONResponse(said, 429, headers={"retry-after": str(wait_s)})
