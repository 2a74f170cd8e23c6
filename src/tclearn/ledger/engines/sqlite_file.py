"""SQLite files as ledgers need them: durable commits, one writer, coded errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from tclearn.errors import Code, MessageError, StorageError

Mode = Literal["ro", "rw", "rwc"]
_BUSY_SECONDS: Final = 5.0
_NO_FILE_BESIDE: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def connect(path: Path, mode: Mode) -> sqlite3.Connection:
    """Open a database: to read, to write, or to write and create.

    Raises:
        sqlite3.Error: it cannot be opened, or is no database.
    """
    connection = _open(path, f"mode={mode}")
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        if mode != "ro":
            connection.execute("PRAGMA journal_mode = WAL")
            # Every commit waits for the disk; on macOS, for the platter too.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA checkpoint_fullfsync = ON")
        else:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        connection.close()
        if mode == "ro" and error.sqlite_errorcode & 0xFF in _NO_FILE_BESIDE and _is_at_rest(path):
            # SQLite marks readers' places in a file beside the ledger. In a folder that is only for reading none can be
            # made, nor is it needed: the ledger is a copy that nobody writes to.
            return _open(path, "mode=ro&immutable=1")
        raise
    return connection


def _open(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = bytes.decode  # SQLite's own message about damaged text would quote it
    return connection


def _is_at_rest(path: Path) -> bool:
    # A copy whose writer has closed it: everything is in the one file.
    journal = path.with_name(path.name + "-wal")
    return path.is_file() and not (journal.exists() and journal.stat().st_size)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is a ``StorageError`` about this file."""
    try:
        yield
    except (sqlite3.Error, MessageError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise StorageError(
            Code.LEDGER_FILE,
            f"the ledger {path} cannot be used: {error}",
            expected="a readable file made by this program",
            remedy="check the path, permissions and free space; a damaged file is replaced by a copy or an export",
        ) from error


def lock(path: Path) -> sqlite3.Connection:
    """Lock a ledger for writing, until the returned connection is closed or the process ends, however it ends.

    The lock is SQLite's own, held on an empty database beside the ledger: it works wherever SQLite works, and leaves
    readers of the ledger alone.

    Raises:
        StorageError: ``LEDGER_LOCKED``, another process writes to this ledger; ``LEDGER_FILE``, no file can be made.
    """
    beside = path.with_name(path.name + "-lock")
    with refusing(beside):
        held = sqlite3.connect(beside, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            held.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            held.close()
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise StorageError(
                Code.LEDGER_LOCKED,
                f"the ledger {path} is open for writing elsewhere",
                expected="one writer at a time",
                remedy="end what has it open (`tclearn serve`, `agent`, `propose` or `demo`), or only read: "
                "`tclearn status`, `tclearn ledger show`",
            ) from error
    return held
