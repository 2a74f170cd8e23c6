"""The embedded engine: one SQLite file, one writer, group commit.

It is tamper-evident, not Byzantine fault tolerant: whoever runs it is trusted for inclusion and time. It can stall, but
not fork what a quorum has cosigned without leaving two signed heads as evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.ledger.contract import Contract, S
from tclearn.ledger.engines.database import Database, Identity, encode_head
from tclearn.ledger.engines.group_commit import GroupCommit, Ticket
from tclearn.ledger.engines.reading import Reading
from tclearn.ledger.engines.sqlite_file import lock, refusing
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Checked, Replica
from tclearn.ledger.transaction import Transaction


class EmbeddedLedger(Reading[S]):
    """A ledger in a file; close it, or use it as a context manager.

    Submissions of several threads share one durable commit: whoever comes first writes for all that wait.

    Args:
        path: of the file; SQLite puts ``-wal`` and ``-shm`` beside it, this engine ``-lock``.
        contract: the rules.
        coalition: digest of the charter.
        clock: milliseconds since 1970.
        create: make the ledger if there is none, or if its creation was cut short.
        read_only: the ledger as it is now, for reading; works while another process writes.

    Raises:
        StorageError: ``LEDGER_LOCKED``, it is open for writing elsewhere; ``LEDGER_FILE``, it is not there, not a
            ledger, damaged, or of another coalition or contract.
    """

    def __init__(
        self,
        path: Path,
        contract: Contract[S],
        coalition: Digest,
        *,
        clock: Callable[[], int],
        create: bool = True,
        read_only: bool = False,
    ) -> None:
        with ExitStack() as files:
            if not read_only:
                files.enter_context(closing(lock(path)))
            database = files.enter_context(closing(Database(path, "ro" if read_only else "rwc" if create else "rw")))
            super().__init__(load(path, database, contract, coalition), clock)
            self._files = files.pop_all()
        self._path = path
        self._database = database
        self._queue = GroupCommit(self._commit)
        self._unusable = "was opened for reading" if read_only else ""

    def submit(self, transaction: Transaction) -> Digest:
        """Log a transaction; returns its id once it is durable, also when it was logged before.

        Raises:
            MessageError: it is not admissible and was not logged.
            StorageError: the file could not be written; it was not logged.
        """
        return self._queue.submit(lambda: self._checked(transaction.raw))  # in the submitter's own time

    def entries(self, start: int, stop: int) -> Iterator[Recorded]:
        """The entries from index ``start`` to before ``stop``; entries do not change while others are added."""
        while start < stop:
            with self._lock:
                some = self._database.entries(start, min(stop, len(self._replica)))
            if not some:
                return
            yield from some
            start += len(some)

    def close(self) -> None:
        """Close the file and let others write to it. Afterwards nothing can be submitted."""
        with self._lock:
            self._unusable = self._unusable or "is closed"
            self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, raw: bytes) -> Checked:
        self._replica.screen(raw)
        return self._replica.check(raw)

    def _commit(self, batch: list[Ticket]) -> None:
        try:
            with self._lock:
                self._write(batch)
        except sqlite3.Error as error:
            self._failed(batch, f"could not be written: {error}")
        except BaseException:
            self._failed(batch, "was interrupted while it was being written")
            raise

    def _write(self, batch: list[Ticket]) -> None:
        if self._unusable:
            return self._failed(batch, self._unusable)
        time_ms = self._clock()
        staged = []
        try:
            for ticket in batch:
                if self._replica.outcome(ticket.id) is None:
                    try:
                        staged.append(self._replica.append_checked(ticket.transaction, time_ms))
                    except Exception as error:  # noqa: BLE001 - it is raised again, in the thread of its submitter
                        ticket.error = error
            if staged:
                self._database.append(staged, self._replica.head(len(self._replica)))
        except BaseException:
            self._replica.rollback()
            self._reconcile()
            raise
        self._replica.commit()
        self._published = None
        return None

    def _reconcile(self) -> None:
        # A commit that failed may yet have reached the file; what is acknowledged next must not build on a guess.
        try:
            same = self._database.size() == len(self._replica)
        except sqlite3.Error:
            same = False
        if not same:
            self._unusable = "must be opened again: a failed write left it in doubt"

    def _failed(self, batch: list[Ticket], what: str) -> None:
        for ticket in batch:
            if ticket.error is None:
                ticket.error = StorageError(
                    Code.LEDGER_FILE,
                    f"the ledger {self._path} {what}",
                    expected="a durable write",
                    remedy="check free space and permissions, then submit the same transaction again",
                )


def load(path: Path, database: Database, contract: Contract[S], coalition: Digest) -> Replica[S]:
    """The replica that a ledger file holds; a new file is begun.

    Raises:
        StorageError: it is damaged, or of another coalition or contract.
    """
    replica = Replica(contract, coalition)
    identity = Identity(coalition, contract.name, replica.genesis)
    if database.is_new:
        database.begin(identity, replica.state(), replica.head(0))
        return replica
    _compare(path, database.identity(), identity)
    state, entries, head = database.load()
    with refusing(path):
        replica = Replica.restored(contract, coalition, state, entries)
    if encode_head(replica.head(len(replica))) != head:
        raise StorageError(
            Code.LEDGER_FILE,
            f"the ledger {path} is damaged: its entries do not give its head",
            expected="the file as it was last written",
            remedy="put a copy in its place, or start from an export",
        )
    return replica


def _compare(path: Path, found: Identity, wanted: Identity) -> None:
    for what, here, there in (
        ("coalition", found.coalition.hex(), wanted.coalition.hex()),
        ("contract", found.contract, wanted.contract),
        ("first state", found.genesis.hex(), wanted.genesis.hex()),
    ):
        if here != there:
            raise StorageError(
                Code.LEDGER_FILE,
                f"the ledger {path} has the {what} {here}",
                expected=there,
                remedy="name the ledger of this charter, or install the version of the protocol that made it",
            )
