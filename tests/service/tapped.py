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
from collections.abc import Iterator
from typing import Any

from blake3 import blake3

from tclearn.cli import main
from tclearn.protocols.tclearn.records import AccessState
from tclearn.service.fetching import Begin
from tclearn.service.remote import Connection
from tclearn.service.vault_store import VaultStore
from tclearn.store.interface import Readable

send, upload, delivery, fsync = Connection.send, Connection.upload, VaultStore.delivery, os.fsync


def noting(self: Connection, method: str, path: str, data: bytes, media: str) -> Any:
    answer = send(self, method, path, data, media)
    if method == "POST":
        os.write(NOTES, f"{answer['id']} {answer['index']}\n".encode())
    return answer


def sending(self: Connection, path: str, stream: Readable, size: int) -> None:
    upload(self, path, stream, size)
    os.write(OBJECTS, f"{path.rpartition('/')[2]}\n".encode())


def delivering(self: VaultStore, access: AccessState) -> Begin:
    begin = delivery(self, access)

    def noted(start: int) -> Iterator[bytes]:
        data, ended = bytearray(), False
        try:
            for piece in begin(start):
                data += piece
                yield piece
            ended = True
        finally:
            line = f"{access.number} {start} {len(data)} {blake3(data).hexdigest()} {int(ended)}\n"
            os.write(DELIVERIES, line.encode())

    return noted


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
    Connection.upload = sending  # type: ignore[method-assign]
    VaultStore.delivery = delivering  # type: ignore[method-assign]
    if SLOW_S:
        os.fsync = slowly  # type: ignore[assignment]
    main()
