"""The service as a running server: uvicorn over TLS 1.3, one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tclearn.agents.clock import RealClock
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.errors import Code, UnreachableError, UsageError
from tclearn.identity.tls import identity_of_service
from tclearn.limits import SERVICE_CONNECTIONS_MAX
from tclearn.service import data_ids, vault
from tclearn.service.app import Desk, application
from tclearn.service.circle import Circle
from tclearn.service.door import Door
from tclearn.service.events import Announcer
from tclearn.service.id_desk import IdDesk
from tclearn.service.office import Office
from tclearn.service.peers import PeerProtocol
from tclearn.service.refused import RefusedRequests
from tclearn.service.turnstile import Turnstile
from tclearn.service.uploads import Uploads
from tclearn.store.vault import Vault

_SHUTDOWN_S: Final = 5
_KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 256
_OTHER_FILES: Final = 512


def listen(host: str, port: int) -> socket.socket:
    """A socket on which the service will listen.

    Args:
        host: address or name of this machine.
        port: 0 takes any that is free.

    Raises:
        UnreachableError: it cannot be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UnreachableError(
            Code.PORT_TAKEN,
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            remedy="end what uses that port, or choose another one with --listen",
        ) from error


def server(
    coalition: CoalitionDirectory,
    roots: Mapping[MemberId, x509.Certificate],
    hosts: Sequence[str],
    now: datetime,
    *,
    ids: IdDesk | None = None,
    turnstile: Turnstile | None = None,
    ready: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """The service of a coalition; ``run(sockets=[…])`` serves until it is told to end.

    Args:
        coalition: its files, open for writing.
        roots: root certificate of each member that can be let in, at the start; later ones follow the ledger.
        hosts: names and addresses under which members reach it.
        now: the time, with its zone.
        ids: computes data IDs, open for as long as the service runs; ``None``: at level A, where nobody asks.
        turnstile: counts requests; ``None``: with the limits of ``tclearn.limits``.
        ready: called when it takes connections.

    Raises:
        UnreachableError: the log's key is not here.
        UsageError: the coalition's vault is locked.
    """
    _allow_files(SERVICE_CONNECTIONS_MAX + _OTHER_FILES)
    log_key = coalition.log_key()
    announcer = Announcer(len(coalition.ledger))
    identity = identity_of_service(log_key, hosts, now)
    circle = Circle(coalition, roots, identity, lambda: datetime.now(UTC))

    def grown(size: int) -> None:
        circle.grown()  # first: who is told of a change finds it done
        announcer.grown(size)

    office = Office(coalition, log_key, grown)
    root = identity.root.public_bytes(Encoding.DER)
    desk = Desk(office, turnstile or Turnstile(), announcer, root, ids, *_vault(coalition))
    config = uvicorn.Config(
        application(desk, data_ids.router, vault.router),
        http=partial(PeerProtocol, circle),  # type: ignore[arg-type] # it is called, no more
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    return _Server(config, announcer, ready, circle, desk.uploads)


def _vault(coalition: CoalitionDirectory) -> tuple[vault.VaultDesk, RefusedRequests] | tuple[None, None]:
    if coalition.charter.vault is None:
        return None, None
    if not isinstance(coalition.store, Vault):
        raise UsageError(
            Code.VAULT,
            f"the vault of {coalition.path} is locked",
            expected="a coalition's directory that was opened with its passphrase",
        )
    clock = RealClock()
    return vault.VaultDesk(coalition, coalition.store, clock), RefusedRequests(coalition.path, clock)


def _allow_files(wanted: int) -> None:
    # Connections must not take the file descriptors that the ledger and the store need.
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        announcer: Announcer,
        ready: Callable[[], None],
        circle: Circle,
        uploads: Uploads,
    ) -> None:
        super().__init__(config)
        self._uploads = uploads
        self._announcer = announcer
        self._ready = ready
        self._circle = circle

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # As uvicorn's, but through the door.
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self._circle.serve()

        def inside() -> asyncio.Protocol:
            make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
            return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop)

        door = Door(lambda: self._circle.context, inside)
        self.servers = [await loop.create_server(door, sock=each, backlog=_BACKLOG) for each in sockets or ()]
        self.started = True
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._announcer.end()
        await super().shutdown(sockets)
        tasks = list(self.server_state.tasks)
        if self.force_exit:  # uvicorn has not done it
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_SHUTDOWN_S)
        await self._uploads.ended()  # what they have begun to write is removed by then
