"""The embedded engine's file: one SQLite database in WAL mode with ``synchronous=FULL``.

Log, state and head change in one database transaction: after a crash the file holds all of a batch or nothing of it.
Weaker settings lose entries that were acknowledged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tclearn.encoding import Digest, Value, decode, encode
from tclearn.errors import Code, StorageError
from tclearn.ledger.contract import Head, Outcome
from tclearn.ledger.engines.sqlite_file import Mode, connect, refusing
from tclearn.ledger.merkle import leaf_hash
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Applied, Restored
from tclearn.ledger.transaction import Entry, transaction_id

_APPLICATION: Final = 0x54434C52  # "TCLR"
_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE entries (
        position INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, bytes BLOB NOT NULL,
        code INTEGER NOT NULL, reason TEXT NOT NULL, results BLOB NOT NULL, leaf BLOB NOT NULL)""",
)
_PUT_ENTRY: Final = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_STATE: Final = "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_PUT_META: Final = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_GET_ENTRIES: Final = "SELECT * FROM entries WHERE position >= ? AND position < ? ORDER BY position"
_TABLES: Final = {"entries", "meta", "state"}
_CHUNK_ENTRIES: Final = 256
_CONTRACT_BYTES_MAX: Final = 200

_Row = tuple[int, int, bytes, int, str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a ledger file says that it is.

    Attributes:
        coalition: digest of the charter.
        contract: the contract's name.
        genesis: the results chain before the first entry; fixes the contract's first state.
    """

    coalition: bytes
    contract: str
    genesis: bytes


class Database:
    """An open ledger file. Not thread-safe: the engine has a lock.

    Args:
        path: of the file.
        mode: to read, to write, or to write and make the file if there is none.

    Raises:
        StorageError: it is not there, or not a ledger of this version.
    """

    def __init__(self, path: Path, mode: Mode) -> None:
        self._path = path
        with refusing(path):
            self._connection = connect(path, mode)
            try:
                form = self._form()
            except sqlite3.Error:
                self.close()
                raise
        self.is_new = form == (0, 0, set()) and mode == "rwc"
        """Nothing is in the file yet, or its creation was cut short: ``begin`` must follow."""
        if not self.is_new and form != (_APPLICATION, _VERSION, _TABLES):
            self.close()
            raise StorageError(
                Code.LEDGER_FILE,
                f"{path} is not a ledger of this version",
                expected="a file made by this program",
                remedy="name the right file; if its creation was cut short, create it again",
            )

    def begin(self, identity: Identity, state: Mapping[str, Value], head: Head) -> None:
        """Fill a new file, in one database transaction."""
        run = self._connection.execute
        with refusing(self._path):
            run("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                run(statement)
            meta = [
                ("coalition", identity.coalition),
                ("contract", identity.contract.encode()),
                ("genesis", identity.genesis),
            ]
            self._connection.executemany(_PUT_META, meta)
            self._write((), {key: encode(value) for key, value in state.items()}, head)
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_VERSION}")
            run("COMMIT")

    def identity(self) -> Identity:
        """What the file says that it is."""
        with refusing(self._path):
            meta = self._meta()
            coalition, contract, genesis = meta["coalition"], meta["contract"], meta["genesis"]
            if len(coalition) != 32 or len(genesis) != 32 or len(contract) > _CONTRACT_BYTES_MAX:
                raise ValueError("it does not say whose ledger it is")
            return Identity(coalition, contract.decode(), genesis)

    def load(self) -> tuple[dict[str, Value], list[Restored], bytes]:
        """State, entries and encoded head, all of one moment."""
        run = self._connection.execute
        with refusing(self._path):
            run("BEGIN")
            state = dict(_kept(row) for row in run("SELECT key, value FROM state"))
            entries = [
                _restored(index, row) for index, row in enumerate(run("SELECT * FROM entries ORDER BY position"))
            ]
            head = self._meta()["head"]
            run("COMMIT")
        return state, entries, head

    def append(self, batch: Sequence[Applied], head: Head) -> None:
        """Store a batch durably, or nothing of it.

        Raises:
            sqlite3.Error: the disk or the file refuses. Nothing has changed, as far as can be told: compare ``size``.
        """
        encoded: dict[str, bytes | None] = {}
        for applied in batch:
            encoded.update(applied.encoded)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._write(batch, encoded, head)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def size(self) -> int:
        """Number of entries in the file."""
        (size,) = self._connection.execute("SELECT ifnull(max(position) + 1, 0) FROM entries").fetchone()
        return int(size)

    def entries(self, start: int, stop: int) -> list[Recorded]:
        """Entries from index ``start`` on, before ``stop``; not all at once, but at least one if there is one."""
        with refusing(self._path):
            rows = self._connection.execute(_GET_ENTRIES, (start, min(stop, start + _CHUNK_ENTRIES)))
            return [_recorded(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _write(self, batch: Sequence[Applied], encoded: Mapping[str, bytes | None], head: Head) -> None:
        run = self._connection.executemany
        run(_PUT_ENTRY, map(_row, batch))
        if None in encoded.values():
            run("DELETE FROM state WHERE key = ?", [(key,) for key, value in encoded.items() if value is None])
        run(_PUT_STATE, [(key, value) for key, value in encoded.items() if value is not None])
        run(_PUT_META, [("head", encode_head(head))])

    def _form(self) -> tuple[int, int, set[str]]:
        run = self._connection.execute
        (application,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        return application, version, {name for (name,) in run("SELECT name FROM sqlite_master")}

    def _meta(self) -> dict[str, bytes]:
        meta = dict(self._connection.execute("SELECT name, value FROM meta"))
        if not all(type(value) is bytes for value in meta.values()):
            raise TypeError("a value of another type")
        return meta


def encode_head(head: Head) -> bytes:
    """A head as the file keeps it."""
    return encode([head.size, head.root, head.results, head.time_ms])


def _row(applied: Applied) -> _Row:
    entry, outcome = applied.entry, applied.outcome
    return (
        entry.index,
        entry.time_ms,
        entry.transaction,
        outcome.code,
        outcome.reason,
        applied.results,
        applied.leaf,
    )


def _kept(row: tuple[str, bytes]) -> tuple[str, Value]:
    key, value = row
    if type(key) is not str:
        raise TypeError("a key of the state of another type")
    return key, decode(value, size_max=len(value))


def _restored(index: int, row: _Row) -> Restored:
    position, time_ms, raw, code, reason, results, leaf = row
    if position != index or len(results) != 32 or leaf != leaf_hash(Entry(index, time_ms, raw).encode()):
        raise ValueError(f"entry {index} is missing or damaged")
    return Restored(transaction_id(raw), Digest(leaf), time_ms, Digest(results), Outcome(position, code, reason))


def _recorded(row: _Row) -> Recorded:
    position, time_ms, raw, code, reason, results, _ = row
    return Recorded(Entry(position, time_ms, raw), Outcome(position, code, reason), Digest(results))
