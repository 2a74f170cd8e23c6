"""Where connections come in: the handshake, before anything is known of who asks.

uvicorn would let any number of strangers wait in their handshakes for a minute, each with a file descriptor that the
ledger may need. Here few wait, briefly, and one too many ends the oldest.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from tclearn.limits import HANDSHAKE_SECONDS_MAX, HANDSHAKES_AT_ONCE_MAX


class Door:
    """Makes a protocol for each connection that comes in, and hands it on when the handshake is done.

    Args:
        context: gives the service's end of TLS, for each handshake anew: members come and go.
        inside: makes the protocol that then goes on.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext], inside: Callable[[], asyncio.Protocol]) -> None:
        self._context = context
        self._inside = inside
        self._waiting: dict[_Arrival, None] = {}

    def __call__(self) -> asyncio.Protocol:
        """A protocol for a connection before its handshake."""
        return _Arrival(self)

    def enter(self, arrival: _Arrival, transport: asyncio.Transport) -> None:
        """Begin a handshake."""
        self._waiting[arrival] = None
        if len(self._waiting) > HANDSHAKES_AT_ONCE_MAX:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.abort()
        arrival.task = asyncio.get_running_loop().create_task(self._handshake(arrival, transport))

    async def _handshake(self, arrival: _Arrival, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport, arrival, self._context(), server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX
            )
        except OSError:  # ssl.SSLError and TimeoutError are among them; the transport is closed
            return
        finally:
            self._waiting.pop(arrival, None)
        if secured is not None and not arrival.gone:
            protocol = self._inside()
            secured.set_protocol(protocol)
            protocol.connection_made(secured)
            if arrival.early:
                protocol.data_received(bytes(arrival.early))


class _Arrival(asyncio.Protocol):
    """Stands in until the handshake is done; the first request may come in the same packet as its end.

    Attributes:
        early: what has come of it.
        gone: the other end has gone away again.
        task: the handshake.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self.early = bytearray()
        self.gone = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a connection that is no stream")
        transport.pause_reading()  # what comes now is for the handshake
        # asyncio does so only for sockets whose protocol number is written down; without it answers wait for 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self._door.enter(self, transport)

    def data_received(self, data: bytes) -> None:
        self.early += data

    def eof_received(self) -> None:
        self.gone = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True

    def abort(self) -> None:
        if self.task is not None:
            self.task.cancel()
        if self._transport is not None:
            self._transport.abort()
