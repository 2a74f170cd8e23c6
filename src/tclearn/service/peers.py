"""Who is at the other end of a connection, and how long it may keep the service waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography import x509
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from tclearn.encoding import MemberId
from tclearn.identity.tls import issued_by
from tclearn.limits import BODY_QUIET_SECONDS_MAX, HEAD_SECONDS_MAX, PARTING_SECONDS_MAX, STALLED_SECONDS_MAX
from tclearn.service.framing import ENDING, Announced, last_answer
from tclearn.service.turnstile import Newest

MEMBER: Final = "tclearn.member"
"""Key of the ASGI scope: the member at the other end."""
FORMER: Final = "tclearn.former"
"""Key of the ASGI scope: who is at the other end, and was a member once, or had this key."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who somebody is.

    Attributes:
        member: its name.
        former: whether it is no member any more, or has other keys now.
        member_still: whether there is a member of this name.
    """

    member: MemberId
    former: bool = False
    member_still: bool = True


class Peers:
    """Names members by their certificates.

    Args:
        roots: root certificate of each member, as its enrolment has it.
        former: root certificates that are nobody's now, with the names of those whose they were.
    """

    def __init__(
        self,
        roots: Mapping[MemberId, x509.Certificate],
        former: Sequence[tuple[MemberId, x509.Certificate]] = (),
    ) -> None:
        self.roots = dict(roots)
        self._former = tuple(former)

    def standing(self, certificate: bytes | None) -> Standing | None:
        """Who shows a certificate; ``None``: nobody that is known.

        OpenSSL has checked chain and dates before anything was read from the connection; which member's root it was is
        found by its signature, not by a name that anybody may write.
        """
        if certificate is None:
            return None
        try:
            shown = x509.load_der_x509_certificate(certificate)
        except ValueError:
            return None
        for member, root in self.roots.items():
            if issued_by(shown, root):
                return Standing(member)
        for member, root in self._former:
            if issued_by(shown, root):
                return Standing(member, former=True, member_still=member in self.roots)
        return None


class Acquaintance(Protocol):
    """Who knows the members now; see ``tclearn.service.circle.Circle``."""

    connections: Newest[PeerProtocol]
    visits: Newest[PeerProtocol]

    @property
    def peers(self) -> Peers:
        """Names who is at the other end."""


class PeerProtocol(H11Protocol):
    """HTTP/1.1 over a connection of a member, which the application sees as ``scope["tclearn.member"]``.

    A head must come within ``HEAD_SECONDS_MAX``, the pieces of a body and the reading of an answer must not pause for
    longer than ``BODY_QUIET_SECONDS_MAX`` and ``STALLED_SECONDS_MAX``.

    Args:
        circle: names the member, and counts its connections.
        arguments: as uvicorn gives them.

    Attributes:
        shown: the other end's certificate, DER.
        standing: who it is.
    """

    def __init__(self, circle: Acquaintance, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._circle = circle
        self.conn = self._announced = Announced()
        self.shown: bytes | None = None
        self.standing: Standing | None = None
        self._parting = False
        self._asking: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its parent
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self.shown = connection.getpeercert(binary_form=True) if connection is not None else None
        standing = self.standing = self._circle.peers.standing(self.shown)
        if standing is None:
            transport.abort()
            return
        self._counted(standing).add(standing.member, self)
        application = self.app

        async def told(scope: dict[str, Any], receive: Any, send: Any) -> None:
            # Asked anew for each request: the members may have changed since the handshake.
            now = self._circle.peers.standing(self.shown)
            who = {} if now is None else {FORMER: now} if now.former else {MEMBER: now.member}

            answering = False

            async def sent(message: dict[str, Any]) -> None:
                nonlocal answering
                answering = True
                if self._parting and message["type"] == "http.response.start":
                    # Said, so that the other end does not ask again over what is about to be closed.
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
                await send(message)

            try:
                await application({**scope, **who}, receive, sent)
            except asyncio.CancelledError:  # the service ends, and has waited for this long enough
                if answering:
                    self.abort()  # the other end sees that something is missing
                    await self._lost.wait()
                else:
                    for message in last_answer(503, ENDING):
                        await send(message)

        self.app = told
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        if self.standing is not None:
            self._counted(self.standing).remove(self.standing.member, self)
        for timer in (self._asking, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self._announced.refused:
            return  # what still comes is not looked at
        super().data_received(data)
        if not self.transport.is_closing():
            self._await_request()

    def send_400_response(self, msg: str) -> None:
        """See ``H11Protocol``: answer what is not taken for a request."""
        if self._announced.refused:
            self.transport.write(self._announced.refusal())
            self.transport.close()
        else:
            super().send_400_response(msg)

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

    def part(self) -> None:
        """End the connection; what is being answered may come to its end, if it does so soon."""
        self._parting = True
        self.shutdown()
        self.loop.call_later(PARTING_SECONDS_MAX, self.transport.abort)

    def _counted(self, standing: Standing) -> Newest[PeerProtocol]:
        return self._circle.visits if standing.former else self._circle.connections

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
            self._asking = self.loop.call_later(BODY_QUIET_SECONDS_MAX, self._quiet)

    def _quiet(self) -> None:
        if self.flow.read_paused:  # it is our store that the body waits for
            self._asking = self.loop.call_later(BODY_QUIET_SECONDS_MAX, self._quiet)
        else:
            self.transport.abort()
