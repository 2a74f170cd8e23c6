"""The outbox: what a member has decided to say, durable before it is said.

A restart repeats a decision and never makes a second one: an agent that dies between committing to a verdict and
revealing it must reveal that very verdict, though a second measurement might differ in one image of a thousand.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Protocol, Self

from tclearn.encoding import Digest, decode
from tclearn.errors import AgentError, Code, MessageError, StorageError
from tclearn.ledger import Call

_SCHEMA = "CREATE TABLE IF NOT EXISTS decided (duty BLOB PRIMARY KEY, call BLOB NOT NULL) WITHOUT ROWID"


class Outbox(Protocol):
    """Decided calls by duty."""

    def get(self, duty: Digest) -> Call | None:
        """The call decided for a duty; ``None``: not decided yet."""

    def put(self, duty: Digest, call: Call) -> None:
        """Keep a decision; durable when it returns. Keeping the same again changes nothing.

        Raises:
            AgentError: another call was decided for this duty before.
        """


class MemoryOutbox:
    """An outbox that lasts as long as its process."""

    def __init__(self) -> None:
        self._calls: dict[Digest, Call] = {}

    def get(self, duty: Digest) -> Call | None:
        """See ``Outbox.get``."""
        return self._calls.get(duty)

    def put(self, duty: Digest, call: Call) -> None:
        """See ``Outbox.put``."""
        if self._calls.setdefault(duty, call) != call:
            raise _conflict(duty)


class FileOutbox:
    """An outbox in one SQLite file, locked by the process that has it open.

    Args:
        path: the file; made when it is not there.

    Raises:
        StorageError: another process has it open, or it is not an outbox.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._database = _opened(path)
        except sqlite3.OperationalError as error:
            raise StorageError(
                Code.OUTBOX_LOCKED,
                f"the outbox {path} cannot be opened: {error}",
                expected="one process per member",
                remedy="end the other process that runs this member, or check the folder's permissions",
            ) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite may quote damaged bytes that are no text
            raise StorageError(
                Code.STORE_FAILED, f"{path} is not an outbox: {error}", remedy="restore it from a copy"
            ) from error

    def get(self, duty: Digest) -> Call | None:
        """See ``Outbox.get``."""
        rows, _ = self._run("SELECT call FROM decided WHERE duty = ?", (duty,))
        if not rows:
            return None
        try:
            return Call.from_value(decode(rows[0][0]), "outbox")
        except (MessageError, TypeError) as error:  # TypeError: not even bytes
            raise StorageError(
                Code.STORE_FAILED,
                f"the outbox {self._path} is damaged: the decision for the duty {duty.hex()[:16]}… cannot be read",
                remedy="restore the file from a copy",
            ) from error

    def put(self, duty: Digest, call: Call) -> None:
        """See ``Outbox.put``."""
        _, added = self._run("INSERT OR IGNORE INTO decided VALUES (?, ?)", (duty, call.encode()))
        if not added and self.get(duty) != call:
            raise _conflict(duty)

    def _run(self, statement: str, values: tuple[bytes, ...]) -> tuple[list[tuple[bytes]], int]:
        # Rows, and how many were added. A damaged page may show only when its row is fetched.
        try:
            ran = self._database.execute(statement, values)
            return ran.fetchall(), ran.rowcount
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise StorageError(
                Code.STORE_FAILED,
                f"the outbox {self._path} failed: {error}",
                remedy="make room on the disk, or restore the file from a copy",
            ) from error

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)  # verdicts and their salts, before they are shown; SQLite's side files follow
    except OSError as error:
        raise sqlite3.OperationalError(error.strerror) from error
    database = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    database.text_factory = bytes  # a damaged row must not end in SQLite's own message, which quotes it
    try:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA fullfsync=ON")  # on macOS only this waits for the disk
        database.execute("BEGIN EXCLUSIVE")
        database.execute(_SCHEMA)
        database.execute("COMMIT")
    except BaseException:
        database.close()  # with its locks: whoever mends the cause can open it at once
        raise
    return database


def _conflict(duty: Digest) -> AgentError:
    return AgentError(
        Code.OUTBOX_CONFLICT,
        f"a second, different decision for the duty {duty.hex()[:16]}…",
        expected="one decision per duty",
        remedy="this is a defect of the agent; nothing was submitted",
    )
