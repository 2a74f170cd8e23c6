"""Group commit: threads that submit at the same time share one durable write, and one of them does it for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from tclearn.encoding import Digest
from tclearn.ledger.replica import Checked

_BATCH_MAX: Final = 256
_GATHER_MAX: Final = 16
"""So many need not wait for those who are still checking their signatures."""


class Ticket:
    """One submission on its way into the file.

    Args:
        transaction: what is submitted.

    Attributes:
        id: the transaction's.
        error: why it was not written; set by the writer.
    """

    __slots__ = ("_done", "_gate", "error", "id", "transaction")

    def __init__(self, transaction: Checked) -> None:
        self.transaction = transaction
        self.id: Digest = transaction.id
        self.error: Exception | None = None
        self._done = False
        # Each thread sleeps on a lock of its own: who wakes finds its submission done, or has been made the writer.
        self._gate = threading.Lock()
        self._gate.acquire()


class GroupCommit:
    """The queue before a file.

    Whoever writes next waits for those who are checking a transaction at that moment: one commit costs the disk as much
    for eight as for one.

    Args:
        write: makes a batch durable; sets the tickets' errors, and raises only what its own thread must see.
    """

    def __init__(self, write: Callable[[list[Ticket]], None]) -> None:
        self._write = write
        self._guard = threading.Lock()
        self._coming = 0
        self._waiting: list[Ticket] = []
        self._writer: Ticket | None = None

    def submit(self, check: Callable[[], Checked]) -> Digest:
        """Check a transaction, and return its id once it is written.

        Raises:
            Exception: what ``check`` raises, or the error of its ticket.
        """
        ticket = self._join(check)
        try:
            ticket._gate.acquire()
            if not ticket._done:
                self._lead()
        except BaseException:
            self._leave(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.id

    def _join(self, check: Callable[[], Checked]) -> Ticket:
        ticket = None
        with self._guard:
            self._coming += 1
        try:
            ticket = Ticket(check())
        finally:
            with self._guard:
                self._coming -= 1
                if ticket is not None:
                    self._waiting.append(ticket)
                self._appoint()
        return ticket

    def _lead(self) -> None:
        batch: list[Ticket] = []
        try:
            with self._guard:
                batch = self._waiting[:_BATCH_MAX]
                del self._waiting[:_BATCH_MAX]
            self._write(batch)
        finally:
            for ticket in batch:
                ticket._done = True
                ticket._gate.release()
            with self._guard:
                self._writer = None
                self._appoint()

    def _leave(self, ticket: Ticket) -> None:
        # Its thread was interrupted; nobody must wait for it.
        with self._guard:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if self._writer is ticket:
                self._writer = None
                self._appoint()

    def _appoint(self) -> None:
        # The last to come writes, if nobody does: its thread is awake already.
        if self._writer is None and self._waiting and (not self._coming or len(self._waiting) >= _GATHER_MAX):
            self._writer = self._waiting[:_BATCH_MAX][-1]
            self._writer._gate.release()
