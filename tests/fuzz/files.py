"""Targets: files of a member's own, as a damaged disk or a careless hand leaves them."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.fuzz import samples
from tests.fuzz.harness import Target
from tests.fuzz.mutators import TOML_WORDS, cbor, pages, text
from tests.protocols.world import START, signer

from tclearn.agents.outbox import FileOutbox
from tclearn.directory.coalition import CHARTER, DATA_KEY, LEDGER, LOG_KEY, CoalitionDirectory
from tclearn.directory.site import SiteFile
from tclearn.encoding import Digest
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.export import write_export
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.governing import open_changes
from tclearn.protocols.tclearn.history import history
from tclearn.store.filesystem import FilesystemStore

# --- site.toml -------------------------------------------------------------------------------------------------------


def _site(data: bytes) -> object:
    path = samples.folder() / "site.toml"
    path.write_bytes(data)
    site = SiteFile.read(path)
    assert set(site.options()) <= {"device", "threads"}
    return tuple(type(getattr(site, name)) for name in ("data", "global_test", "local_test", "device", "threads"))


# --- the ledger's file -----------------------------------------------------------------------------------------------


@contextmanager
def _written(name: str, data: bytes) -> Iterator[Path]:
    path = samples.folder() / name
    for beside in samples.folder().glob(f"{name}*"):
        beside.unlink()
    path.write_bytes(data)
    yield path


def _ledger(data: bytes) -> object:
    with _written("ledger.sqlite", data) as path:
        return _opened(path)


def _opened(path: Path) -> object:
    told = samples.free_story()
    contract, coalition = told.contract, told.charter.digest
    with EmbeddedLedger(path, contract, coalition, clock=lambda: START, read_only=True) as ledger:
        state = ledger.state()
        view = ledger._replica.state()
        if len(view) == len(told.view) and all(view.get(key) == value for key, value in told.view.items()):
            # The file has no digest of its state: what can be decoded is believed, and may then be anything.
            for member in state.members:
                contract.duties(state, member, told.now)
            history(state)
            open_changes(state)
        stream = io.BytesIO()
        write_export(stream, told.charter.encode(), ledger, signer("log"))
        for item in ledger.entries(0, len(ledger)):
            ledger.outcome(Digest(item.results))
        same = stream.getvalue() == samples.small_export()
    if same:
        with EmbeddedLedger(path, contract, coalition, clock=lambda: START) as ledger:
            ledger.head(len(ledger))
    return same, len(ledger)


_PLACES: Final = (
    ("UPDATE state SET value = ? WHERE key = ?", "SELECT key FROM state ORDER BY key"),
    ("UPDATE meta SET value = ? WHERE name = ?", "SELECT name FROM meta ORDER BY name"),
    ("UPDATE entries SET bytes = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE entries SET results = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE entries SET leaf = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE entries SET time_ms = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE entries SET code = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE entries SET reason = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE entries SET position = ? WHERE position = ?", "SELECT position FROM entries"),
    ("UPDATE state SET key = ? WHERE key = ?", "SELECT key FROM state ORDER BY key"),
)
_KINDS: Final = ("BLOB", "TEXT", "INTEGER", "REAL")


def _rows(data: bytes) -> object:
    """One value of one row, of any type: ``place, row, kind`` in a byte each, and the value's bytes."""
    place, row, kind = [*data[:3], 0, 0, 0][:3]
    value = data[3:]
    update, select = _PLACES[place % len(_PLACES)]
    with _written("rows.sqlite", samples.ledger_file()) as path:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            keys = [key for (key,) in connection.execute(select)]
            cast = f"CAST(? AS {_KINDS[kind % len(_KINDS)]})"
            try:
                connection.execute(update.replace("?", cast, 1), (value, keys[row % len(keys)]))
            except (sqlite3.Error, OverflowError):  # a key that is there already, or no number of a key
                return None
        return _opened(path)


@cache
def _row_samples() -> list[bytes]:
    found = []
    with _written("rows.sqlite", samples.ledger_file()) as path, closing(sqlite3.connect(path)) as connection:
        for place, (update, select) in enumerate(_PLACES):
            column = update.split(" SET ")[1].split(" ")[0]
            table = update.split(" ")[1]
            for row, (key,) in list(enumerate(connection.execute(select).fetchall()))[:8]:
                where = update.partition("WHERE ")[2]
                (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}", (key,)).fetchone()
                content = value if isinstance(value, bytes) else str(value).encode()
                kind = 0 if isinstance(value, bytes) else 1 if isinstance(value, str) else 2
                found.append(bytes([place, row % 256, kind]) + content)
    return found


# --- the outbox ------------------------------------------------------------------------------------------------------


def _outbox(data: bytes) -> object:
    with _written("outbox.sqlite", data) as path, FileOutbox(path) as outbox:
        return _decided(outbox)


def _decided(outbox: FileOutbox) -> object:
    known = 0
    for _, _, transaction in samples.said()[:40]:
        call = outbox.get(transaction.id)
        known += call == transaction.call
        if call is not None and call.method == "reveal":
            calls.Reveal.from_value(call.arguments, "outbox")
    outbox.put(samples.said()[41][2].id, samples.said()[41][2].call)
    return known


@cache
def _open_outbox() -> tuple[FileOutbox, sqlite3.Connection]:
    path = samples.folder() / "open-outbox.sqlite"
    path.write_bytes(samples.outbox_file())
    outbox = FileOutbox(path)
    return outbox, outbox._database


def _outbox_row(data: bytes) -> object:
    """The row of a decision: the kind of the value in a byte, and its bytes."""
    outbox, connection = _open_outbox()
    duty = samples.said()[0][2].id
    cast = f"CAST(? AS {_KINDS[(data or b'0')[0] % len(_KINDS)]})"
    connection.execute(f"UPDATE decided SET call = {cast} WHERE duty = ?", (data[1:], duty))
    call = outbox.get(duty)
    assert call is not None and call.encode() == data[1:]
    kind = calls.METHODS.get(call.method)
    return None if kind is None else type(kind.from_value(call.arguments, "outbox"))


def _outbox_rows() -> list[bytes]:
    return [b"\0" + transaction.call.encode() for _, _, transaction in samples.said()]


# --- a coalition's directory, a store --------------------------------------------------------------------------------

_FILES: Final = (CHARTER, LOG_KEY, DATA_KEY, LEDGER)


@cache
def _home() -> Path:
    told = samples.free_story()
    home = samples.folder() / "home"
    kept = {"log_key": signer("log"), "data_key": bytes(32)}
    CoalitionDirectory.make(home, told.charter, clock=lambda: START, **kept).close()  # type: ignore[arg-type]
    (home / LEDGER).write_bytes(samples.ledger_file())
    return home


def _directory(data: bytes) -> object:
    """One file of a coalition's directory has this content: which file, in a byte, and the content."""
    home = _home()
    name = _FILES[(data or b"0")[0] % len(_FILES)]
    kept = (home / name).read_bytes()
    try:
        (home / name).write_bytes(data[1:])
        with CoalitionDirectory.open(home) as coalition:
            assert len(coalition.log_key().seed()) == len(coalition.data_key()) == 32
            return name, coalition.state.tip
    finally:
        for beside in home.glob(f"{LEDGER}-*"):
            beside.unlink()
        (home / name).write_bytes(kept)


def _directory_samples() -> list[bytes]:
    home = _home()
    return [bytes([at]) + (home / name).read_bytes() for at, name in enumerate(_FILES[:3])]


@cache
def _store() -> tuple[FilesystemStore, Digest, Path]:
    store = FilesystemStore(samples.folder() / "objects")
    name = store.put(samples.models()[0])
    (path,) = (path for path in (store.folder / "objects").glob("*/*") if path.is_file())
    return store, name, path


def _object(data: bytes) -> object:
    store, name, path = _store()
    path.write_bytes(data)
    assert store.get(name, size_max=1 << 16) == samples.models()[0]
    return "whole"


def _site_samples() -> list[bytes]:
    return [samples.SITE.encode(), b'global_test = "a.b:c.d"\n', b'data = """a:b"""\nthreads = 0x10\n']


def _any_row(choose: Any, data: bytes, pool: Any) -> bytes:
    changed: bytes = cbor(prefix=3)(choose, data, pool)
    return changed


TARGETS: Final = (
    Target("site", _site_samples, _site, text(*TOML_WORDS, "data", "threads", '"a:b"', "1"), 300),
    Target("ledger-pages", lambda: [samples.ledger_file()], _ledger, pages, 80),
    Target("ledger-rows", _row_samples, _rows, _any_row, 150),
    Target("outbox-pages", lambda: [samples.outbox_file()], _outbox, pages, 60),
    Target("outbox-row", _outbox_rows, _outbox_row, cbor(prefix=1), 400),
    Target("directory", _directory_samples, _directory, cbor(prefix=1, plain=0.5), 60),
    Target("object", lambda: list(samples.models()), _object, pages, 100),
)
