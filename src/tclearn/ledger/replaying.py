"""A record once more: the state that it had at an earlier size, and after each entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO

from tclearn.encoding import Digest
from tclearn.errors import Code, VerificationError
from tclearn.ledger.contract import Head, S
from tclearn.ledger.export import ExportReader
from tclearn.ledger.replica import Applied, Replica
from tclearn.ledger.transaction import Entry
from tclearn.ledger.verify import Terms


def state_at(stream: BinaryIO, terms_of: Callable[[bytes], Terms[S]], coalition: Digest, head: Head) -> S:
    """What the first entries of a record give. For a record that has been verified: ``tclearn.ledger.verify``.

    Args:
        stream: the export, from its first byte.
        terms_of: makes the contract from the charter's bytes.
        coalition: digest of the charter.
        head: of those entries; it says how many.

    Returns:
        The contract's reading of the state.

    Raises:
        VerificationError: these are not the entries of this head.
    """
    reader = ExportReader(stream)
    contract = terms_of(reader.charter).contract
    replica = Replica(contract, coalition)
    for _ in _appended(reader, replica, head):
        pass
    return contract.view(replica.state())


def replayed(
    stream: BinaryIO, terms_of: Callable[[bytes], Terms[S]], coalition: Digest, head: Head
) -> Iterator[tuple[Applied, S]]:
    """The first entries of a record, each with the contract's reading of the state after it.

    For a record that has been verified: ``tclearn.ledger.verify``. Arguments and errors are those of ``state_at``.
    """
    reader = ExportReader(stream)
    contract = terms_of(reader.charter).contract
    replica = Replica(contract, coalition)
    for applied in _appended(reader, replica, head):
        yield applied, contract.view(replica.state())


def _appended(reader: ExportReader, replica: Replica[S], head: Head) -> Iterator[Applied]:
    for data, _ in islice(reader.entries(), head.size):
        entry = Entry.parse(data)
        applied = replica.append_checked(replica.check(entry.transaction), entry.time_ms)
        replica.commit()
        yield applied
    if len(replica) != head.size or replica.head(head.size) != head:
        raise VerificationError(
            Code.RECORD_EXTENSION, f"the record does not begin with the {head.size} entries of this head"
        )
