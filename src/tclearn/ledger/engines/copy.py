"""A member's own copy of a log that somebody else orders, in a file of the embedded engine's form.

Whatever reads the ledger of a coalition's directory reads a member's copy, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Generic, Self

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.files import write_whole
from tclearn.ledger.contract import Contract, Head, S
from tclearn.ledger.engines.database import Database
from tclearn.ledger.engines.embedded import load
from tclearn.ledger.engines.sqlite_file import lock
from tclearn.ledger.replica import Applied, Replica
from tclearn.limits import EXPORT_NOTE_BYTES_MAX


class LedgerCopy(Generic[S]):
    """What a ``Follower`` has verified, kept; close it, or use it as a context manager.

    Args:
        path: of the ledger's file.
        note: of the file with the newest checkpoint, beside it.
        contract: the rules.
        coalition: digest of the charter.

    Raises:
        StorageError: the ledger is open for writing elsewhere, damaged, or another's.
    """

    def __init__(self, path: Path, note: Path, contract: Contract[S], coalition: Digest) -> None:
        with ExitStack() as files:
            files.enter_context(closing(lock(path)))
            self._database = files.enter_context(closing(Database(path, "rwc")))
            self._replica = load(path, self._database, contract, coalition)
            self._files = files.pop_all()
        self._path, self._note = path, note

    @property
    def replica(self) -> Replica[S]:
        """What the file holds."""
        return self._replica

    @property
    def remembered(self) -> bytes | None:
        """The newest checkpoint kept; ``None``: none was."""
        try:
            with self._note.open("rb") as file:
                return file.read(EXPORT_NOTE_BYTES_MAX)
        except FileNotFoundError:
            return None

    def keep(self, batch: Sequence[Applied], head: Head, note: bytes) -> None:
        """Keep verified entries and their checkpoint; durable when it returns.

        Raises:
            StorageError: the file cannot be written; nothing of them was kept.
        """
        try:
            self._database.append(batch, head)
        except sqlite3.Error as error:
            raise StorageError(
                Code.LEDGER_FILE,
                f"the ledger {self._path} could not be written: {error}",
                expected="a durable write",
                remedy="check free space and permissions; the agent goes on where it was",
            ) from error
        # After the entries: a checkpoint that were ahead of them would only be reached again.
        write_whole(self._note, note)

    def close(self) -> None:
        """Close the file and let others write to it."""
        self._files.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
