"""The journal of data IDs in a file: who asked the supervisor, when, and for how many records.

It is the only account of what was granted. An entry is on the disk before anything is answered, so no crash gives an
allowance back; and a journal that is gone or damaged is never begun again by itself: that would give it back to all.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Self

from tclearn.coalition.allowance import Decision, IdEntry, Rate
from tclearn.coalition.id_book import IdBook
from tclearn.directory.reading import check_file
from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError, StorageError
from tclearn.files import write_whole
from tclearn.ledger.engines.sqlite_file import connect

_MARK: Final = 0x74636C64
"""SQLite's ``application_id``: an empty file, which SQLite takes for a database, has none."""
_SCHEMA: Final = (
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    "CREATE TABLE unnoted (member TEXT PRIMARY KEY, requests INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {_MARK}",
)
_OWNER_ONLY: Final = 0o600


def make_id_journal(path: Path) -> None:
    """Make an empty journal where a coalition is founded; one that is there stays as it is.

    Raises:
        StorageError: it cannot be made.
    """
    if path.exists():
        return
    with _failing(path), tempfile.TemporaryDirectory(prefix="tclearn-ids-") as folder:
        empty = Path(folder) / path.name
        with closing(connect(empty, "rwc")) as database:
            database.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute("COMMIT")
        write_whole(path, empty.read_bytes(), mode=_OWNER_ONLY)  # whole, or not at all


class IdJournal:
    """A journal, open for writing by the one process that serves the coalition, or for reading by anybody.

    Args:
        path: what ``make_id_journal`` made.
        rate: what each member may ask for; the charter says it.
        read_only: no request will be decided.

    Raises:
        UnreachableError: it is not there.
        StorageError: it is damaged, or no such journal.
    """

    def __init__(self, path: Path, rate: Rate, *, read_only: bool = False) -> None:
        check_file(path, "restore it from a copy; a new one would give every member its allowance again")
        self._path = path
        self._rate = rate
        self._lock = threading.Lock()
        self._book: IdBook | None = None
        with _failing(path):
            self._database = connect(path, "ro" if read_only else "rw")
        try:
            with _failing(path):
                ((mark,),) = self._database.execute("PRAGMA application_id").fetchall()
                if mark != _MARK:
                    raise ValueError("it is no journal of data IDs")
                self._known()
        except BaseException:
            self._database.close()
            raise

    def __len__(self) -> int:
        """How many entries it has."""
        with self._lock, _failing(self._path):
            return len(self._known())

    def ask(self, member: MemberId, blinded: Digest, count: int, time_ms: int) -> Decision:
        """Grant or refuse a request. Whichever it is, it is on the disk when this returns.

        Args:
            member: who asks.
            blinded: ``allowance.blinded_digest`` of what is asked for.
            count: for how many records, at least 1.
            time_ms: now.

        Raises:
            MessageError: the same request was granted before.
            StorageError: the journal cannot be written; nothing was granted.
        """
        with self._lock, _failing(self._path):
            book = self._known()
            rows = self._database.execute("SELECT requests FROM unnoted WHERE member = ?", (member,)).fetchall()
            decision = book.decide(member, blinded, count, time_ms, rows[0][0] if rows else 0)
            noted = book.has_entry(decision)
            # What a commit that failed has left on the disk is known only by reading it again.
            self._book = None
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._write(decision.entry, noted=noted)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            if noted:
                book.take(decision.entry)
            self._book = book
            return decision

    def entries(self, start: int = 0, most: int | None = None) -> list[IdEntry]:
        """Entries from a number on.

        Args:
            start: the first one's number.
            most: so many at most; ``None``: all.

        Raises:
            StorageError: it cannot be read.
        """
        with self._lock, _failing(self._path):
            return list(self._read(start, -1 if most is None else most))

    def unnoted(self) -> dict[MemberId, int]:
        """Refused requests of each member that no entry tells of yet.

        Raises:
            StorageError: it cannot be read.
        """
        with self._lock, _failing(self._path):
            return {MemberId(name): each for name, each in self._database.execute("SELECT * FROM unnoted").fetchall()}

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _known(self) -> IdBook:
        if self._book is None:
            book = IdBook(self._rate)
            for entry in self._read(0, -1):
                book.take(entry)
            self._book = book
        return self._book

    def _read(self, start: int, most: int) -> Iterator[IdEntry]:
        rows = self._database.execute(
            "SELECT entry FROM entries WHERE number >= ? ORDER BY number LIMIT ?", (start, most)
        )
        for (data,) in rows:
            yield IdEntry.from_value(decode(data), "an entry of the journal of data IDs")

    def _write(self, entry: IdEntry, *, noted: bool) -> None:
        if noted:
            self._database.execute("INSERT INTO entries VALUES (?, ?)", (entry.number, entry.encode()))
            self._database.execute("DELETE FROM unnoted WHERE member = ?", (entry.member,))
        else:
            self._database.execute(
                "INSERT INTO unnoted VALUES (?, 1) ON CONFLICT (member) DO UPDATE SET requests = requests + 1",
                (entry.member,),
            )


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    try:
        yield
    except MessageError as error:
        if error.code is Code.REFUSED:  # of the request, not of what was read
            raise
        raise _damaged(path, error.what) from error
    except (OSError, sqlite3.Error, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> StorageError:
    return StorageError(
        Code.LEDGER_FILE,
        f"the journal of data IDs {path} cannot be used: {why}",
        expected="the file that this coalition's service has kept from the beginning",
        remedy="check permissions and free space, or restore it from a copy; a new one would give every member its "
        "allowance again",
    )
