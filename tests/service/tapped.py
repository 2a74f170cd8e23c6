"""The command line, noting each transaction when its handing in has been answered: ``python -m tests.service.tapped``.

A line ``ID INDEX`` for each goes to the end of the file that ``TCLEARN_TEST_ACKNOWLEDGED`` names; beside it, in a file
that ends in ``.deliveries``, a line ``ACCESS START BYTES BLAKE3 ENDED`` for each answer to a request of the vault, also
for one that broke off, and in one that ends in ``.objects`` the name of each object that was taken in.

``TCLEARN_TEST_SLOW_S`` makes each ``fsync`` take up to so much longer, so that more kills come in the middle of things.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from blake3 import blake3

from tclearn.cli import main
from tclearn.encoding import Digest
from tclearn.protocols.tclearn.records import AccessState
from tclearn.service import vault_store
from tclearn.service.remote import Connection, fetched
from tclearn.service.vault_store import VaultStore

send, delivery, fsync = Connection.send, VaultStore.delivery, os.fsync
asked: list[int] = []
"""Number of the access of the delivery that goes on; a store asks for one at a time."""


def noting(self: Connection, method: str, path: str, data: bytes, media: str) -> Any:
    answer = send(self, method, path, data, media)
    if method == "POST":
        os.write(NOTES, f"{answer['id']} {answer['index']}\n".encode())
    elif method == "PUT":
        os.write(OBJECTS, f"{path.rpartition('/')[2]}\n".encode())
    return answer


def delivering(self: VaultStore, access: AccessState, *, size_max: int) -> bytes:
    asked[:] = [access.number]
    return delivery(self, access, size_max=size_max)


def fetching(name: Digest, pieces: Callable[[int], Iterator[bytes]], size_max: int) -> bytes:
    def noted(start: int) -> Iterator[bytes]:
        data, ended = bytearray(), False
        try:
            for piece in pieces(start):
                data += piece
                yield piece
            ended = True
        finally:
            line = f"{asked[0]} {start} {len(data)} {blake3(data).hexdigest()} {int(ended)}\n"
            os.write(DELIVERIES, line.encode())

    return fetched(name, noted, size_max)


def slowly(descriptor: int) -> None:
    time.sleep(random.uniform(0, SLOW_S))
    fsync(descriptor)
    time.sleep(random.uniform(0, SLOW_S))


if __name__ == "__main__":
    notes, appending = os.environ["TCLEARN_TEST_ACKNOWLEDGED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT
    NOTES = os.open(notes, appending)
    OBJECTS = os.open(f"{notes}.objects", appending)
    DELIVERIES = os.open(f"{notes}.deliveries", appending)
    SLOW_S = float(os.environ.get("TCLEARN_TEST_SLOW_S", "0"))
    Connection.send = noting  # type: ignore[method-assign]
    VaultStore.delivery = delivering  # type: ignore[method-assign]
    vault_store.fetched = fetching  # type: ignore[attr-defined]
    if SLOW_S:
        os.fsync = slowly  # type: ignore[assignment]
    main()
