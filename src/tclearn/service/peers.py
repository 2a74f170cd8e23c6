"""Who is at the other end of a connection, and how long it may keep the service waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from tclearn.encoding import MemberId
from tclearn.identity.tls import issued_by
from tclearn.limits import BODY_QUIET_SECONDS_MAX, HEAD_SECONDS_MAX, STALLED_SECONDS_MAX
from tclearn.service.turnstile import Newest

MEMBER: Final = "tclearn.member"
"""Key of the ASGI scope: the member at the other end."""


class Peers:
    """Names members by their certificates.

    Args:
        roots: root certificate of each member, as its enrolment has it.
    """

    def __init__(self, roots: Mapping[MemberId, x509.Certificate]) -> None:
        self._roots = dict(roots)

    def member(self, certificate: bytes | None) -> MemberId | None:
        """Whose certificate it is; ``None``: nobody's.

        OpenSSL has checked chain and dates before anything was read from the connection; which member's root it was is
        found by its signature, not by a name that anybody may write.
        """
        if certificate is None:
            return None
        try:
            shown = x509.load_der_x509_certificate(certificate)
        except ValueError:
            return None
        return next((member for member, root in self._roots.items() if issued_by(shown, root)), None)


class PeerProtocol(H11Protocol):
    """HTTP/1.1 over a connection of a member, which the application sees as ``scope["tclearn.member"]``.

    A head must come within ``HEAD_SECONDS_MAX``, the pieces of a body and the reading of an answer must not pause for
    longer than ``BODY_QUIET_SECONDS_MAX`` and ``STALLED_SECONDS_MAX``.

    Args:
        peers: names the member.
        connections: the newest of each member.
        arguments: as uvicorn gives them.
    """

    def __init__(self, peers: Peers, connections: Newest[PeerProtocol], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._peers = peers
        self._connections = connections
        self._member: MemberId | None = None
        self._asking: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its parent
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        shown = connection.getpeercert(binary_form=True) if connection is not None else None
        member = self._member = self._peers.member(shown)
        if member is None:
            transport.abort()
            return
        self._connections.add(member, self)
        application = self.app

        async def told(scope: dict[str, Any], receive: Any, send: Any) -> None:
            await application({**scope, MEMBER: member}, receive, send)

        self.app = told
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        if self._member is not None:
            self._connections.remove(self._member, self)
        for timer in (self._asking, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        super().data_received(data)
        if not self.transport.is_closing():
            self._await_request()

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``: the other end does not read what it has asked for."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS_MAX, self.transport.abort)

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def _await_request(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn says that there always is one
        answering = cycle is not None and not cycle.response_complete
        if self._asking is not None:
            if not answering:
                return  # still the same head: what has come of it buys no more time
            self._asking.cancel()
            self._asking = None
        if not answering:
            self._asking = self.loop.call_later(HEAD_SECONDS_MAX, self.transport.abort)
        elif cycle is not None and cycle.more_body:
            self._asking = self.loop.call_later(BODY_QUIET_SECONDS_MAX, self.transport.abort)
