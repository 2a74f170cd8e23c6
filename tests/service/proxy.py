"""A way between a member and the service that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE = 1 << 14


class Proxy:
    """Forwards TCP connections to a port of this computer.

    Attributes:
        port: where it listens.
        passed: bytes that have gone from the service to the member.
        each_connection_bytes: after how many of them a connection is cut; ``None``: never.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.passed = 0
        self.connections = 0
        self.each_connection_bytes: int | None = None
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Nothing goes through any more."""
        with self._lock:
            self._is_cut = True
            for each in self._open:
                _end(each)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    _end(near)
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {near, far}
                self.connections += 1
            threading.Thread(target=self._forward, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(far, near, True), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, to_member: bool) -> None:
        left = self.each_connection_bytes
        with suppress(OSError):
            while data := source.recv(PIECE):
                if to_member:
                    self.passed += len(data)
                    if left is not None:
                        left -= len(data)
                        if left < 0:
                            break
                target.sendall(data)
        with self._lock:
            for each in (source, target):
                _end(each)
                self._open.discard(each)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    way = Proxy(target)
    try:
        yield way
    finally:
        way.close()
