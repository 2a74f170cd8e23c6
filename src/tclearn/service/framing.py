"""HTTP/1.1 in which every body says how long it is, and answers that end a connection."""

from __future__ import annotations

import json
from typing import Any, Final

import h11

from tclearn.errors import Code, TCLearnError, UnreachableError, UsageError
from tclearn.limits import REQUEST_HEAD_BYTES_MAX
from tclearn.service.turnstile import RETRY_AFTER_S
from tclearn.service.wire import encode_error

NO_LENGTH: Final = UsageError(
    Code.USAGE, "a request with Transfer-Encoding", expected="Content-Length, before the body, in every request"
)
ENDING: Final = UnreachableError(
    Code.LEDGER_UNREACHABLE, "the service is being ended", remedy="ask again when it runs again"
)


class Announced(h11.Connection):
    """The service's end of a connection, over which no body comes in chunks.

    To take a body in chunks apart costs the event loop as much for a chunk of one byte as for a large one, and a member
    could send nothing but such.

    Attributes:
        refused: whether a request was refused for it; the connection is of no use any more.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, REQUEST_HEAD_BYTES_MAX)
        self.refused = False

    def next_event(self) -> Any:
        """See ``h11.Connection.next_event``.

        Raises:
            h11.RemoteProtocolError: what has come is no HTTP, or the head of a request with ``Transfer-Encoding``.
        """
        event = super().next_event()
        if isinstance(event, h11.Request) and any(name == b"transfer-encoding" for name, _ in event.headers):
            self.refused = True
            raise h11.RemoteProtocolError("a body without a length", error_status_hint=411)
        return event

    def refusal(self) -> bytes:
        """The answer to the request that was refused."""
        start, body = last_answer(411, NO_LENGTH)
        response = h11.Response(status_code=start["status"], headers=start["headers"], reason=b"Length Required")
        return b"".join(self.send(event) or b"" for event in (response, h11.Data(body["body"]), h11.EndOfMessage()))


def last_answer(status: int, error: TCLearnError) -> tuple[dict[str, Any], dict[str, Any]]:
    """An error as the answer after which a connection is closed: the two messages of ASGI."""
    body = json.dumps({"error": encode_error(error)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if status in (429, 503):
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body, "more_body": False},
    )
