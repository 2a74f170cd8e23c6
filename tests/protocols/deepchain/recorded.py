"""A coalition's record as others get it: an export and a folder of objects, or the coalition's whole directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tests.protocols.deepchain.training import Coalition
from tests.protocols.deepchain.world import signer

from tclearn.directory import CHARTER, LEDGER, LOG_KEY, OBJECTS
from tclearn.encoding import Digest, MemberId
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.transaction import Transaction
from tclearn.ledger.verify import Verified, verify
from tclearn.protocols import terms_of
from tclearn.protocols.deepchain import calls
from tclearn.store import FilesystemStore, MemoryStore


def exported(coalition: Coalition) -> BytesIO:
    stream = BytesIO()
    write_export(stream, coalition.terms.encode(), coalition.ledger, signer("log"))
    stream.seek(0)
    return stream


def verified(coalition: Coalition, record: BytesIO) -> Verified:
    found = verify(record, terms_of, coalition.terms.digest)
    record.seek(0)
    return found


def objects(coalition: Coalition) -> dict[Digest, bytes]:
    store = coalition.store
    assert isinstance(store, MemoryStore)
    return dict(store._objects)


def write_objects(coalition: Coalition, folder: Path) -> Path:
    store = FilesystemStore(folder)
    for data in objects(coalition).values():
        store.put(data)
    return folder


def object_file(folder: Path, name: Digest) -> Path:
    """Where an object of a store in a folder lies."""
    return folder / "objects" / name.hex()[:2] / name.hex()[2:]


def write_directory(coalition: Coalition, path: Path) -> Path:
    """As a coalition's process leaves it."""
    path.mkdir()
    (path / CHARTER).write_bytes(coalition.terms.encode())
    (path / LOG_KEY).write_text(signer("log").seed().hex() + "\n")
    now = [0]
    ledger = EmbeddedLedger(path / LEDGER, coalition.contract, coalition.terms.digest, clock=lambda: now[0])
    with ledger:
        for recorded in coalition.ledger.entries(0, len(coalition.ledger)):
            now[0] = recorded.entry.time_ms
            ledger.submit(Transaction.parse(recorded.entry.transaction))
        assert ledger.head(len(ledger)) == coalition.ledger.head(len(coalition.ledger))
    write_objects(coalition, path / OBJECTS)
    return path


@dataclass(frozen=True)
class Handed:
    """A file that the record names."""

    method: str
    member: MemberId
    locator: Digest


Named = calls.Contribute | calls.Update | calls.Share | calls.Report


def said(coalition: Coalition) -> Iterator[tuple[MemberId, Named]]:
    """What members said, and the contract took, that names a file."""
    kinds_of_call = (calls.Contribute, calls.Update, calls.Share, calls.Report)
    methods: dict[str, type[Named]] = {kind.__name__.lower(): kind for kind in kinds_of_call}
    keys = {member.key: member.id for member in coalition.terms.members}
    for each in coalition.ledger.entries(0, len(coalition.ledger)):
        transaction = Transaction.parse(each.entry.transaction)
        kind = methods.get(transaction.call.method)
        if kind is not None and not each.outcome.code:
            yield keys[transaction.signer], kind.from_value(transaction.call.arguments, transaction.call.method)


def handed(coalition: Coalition) -> list[Handed]:
    """Every file that a record of honest members names, as their calls say it."""
    found = {}
    for member, words in said(coalition):
        locator = words.opened if isinstance(words, calls.Report) else words.locator
        assert locator is not None
        found[locator] = Handed(type(words).__name__.lower(), member, locator)
    return list(found.values())
