"""The members as the service knows them, from entry to entry: who comes in, and who has to go.

A change of the members on the ledger is followed at once: the next handshake is judged by the new roots, and open
connections of whoever is no member any more end. Former members, and former keys, still get through the handshake, to
be told in words why they are turned away.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from cryptography import x509

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.enrolments import former_roots
from tclearn.encoding import MemberId
from tclearn.identity.tls import TlsIdentity
from tclearn.limits import CONNECTIONS_PER_MEMBER_MAX, SERVICE_CONNECTIONS_MAX
from tclearn.service.peers import PeerProtocol, Peers
from tclearn.service.tls import server_context
from tclearn.service.turnstile import Newest

_LOG: Final = logging.getLogger(__name__)


class Circle:
    """Who may connect.

    Args:
        coalition: its files, open for writing.
        roots: root certificate of each member now that can be let in.
        identity: the service's own.
        clock: the time, with its zone.
    """

    def __init__(
        self,
        coalition: CoalitionDirectory,
        roots: Mapping[MemberId, x509.Certificate],
        identity: TlsIdentity,
        clock: Callable[[], datetime],
    ) -> None:
        self._coalition = coalition
        self._identity = identity
        self._clock = clock
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        state = coalition.state
        self._records = state.member_records
        self.connections = Newest[PeerProtocol](_each(len(roots)), PeerProtocol.abort)
        self.visits = Newest[PeerProtocol](1, PeerProtocol.abort)
        """Connections of former members, one each."""
        self._know(roots, former_roots(coalition.path, state, clock()))

    @property
    def peers(self) -> Peers:
        """Names who is at the other end."""
        return self._peers

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        return self._context

    def serve(self) -> None:
        """From now on connections are those of the running event loop."""
        self._loop = asyncio.get_running_loop()

    def grown(self) -> None:
        """The log has grown; may be called from any thread, and does nothing while the members are the same.

        When it returns, nobody comes in any more who is no member.
        """
        with self._lock:
            state = self._coalition.state
            if state.member_records == self._records:
                return
            now = self._clock()
            known = self._coalition.known(now)
            for line in known.lines():
                _LOG.warning(line)
            self._know(known.roots, former_roots(self._coalition.path, state, now))
            self._records = state.member_records
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._part)

    def _know(
        self, roots: Mapping[MemberId, x509.Certificate], former: list[tuple[MemberId, x509.Certificate]]
    ) -> None:
        self._context = server_context(self._identity, [*roots.values(), *(root for _, root in former)])
        self._peers = Peers(roots, former)

    def _part(self) -> None:
        self.connections.most = _each(len(self._peers.roots))
        for connection in (*self.connections.all(), *self.visits.all()):
            if connection.standing != self._peers.standing(connection.shown):
                connection.part()


def _each(members: int) -> int:
    return max(1, min(CONNECTIONS_PER_MEMBER_MAX, SERVICE_CONNECTIONS_MAX // max(1, members)))
