"""What tests read out of a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tclearn.directory import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.ledger import Call, Transaction
from tclearn.ledger.recorded import Log, Recorded
from tclearn.protocols.tclearn.state import State


def recorded(log: Log) -> list[Recorded]:
    return list(log.entries(0, len(log)))


def entry_bytes(log: Log) -> list[bytes]:
    return [each.entry.encode() for each in recorded(log)]


def block_hashes(state: State) -> list[str]:
    return [chained.block.hash.hex() for chained in state.blocks()]


def said(log: Log, state: State) -> Iterator[tuple[MemberId, Call, int]]:
    """Sender, call and outcome code of every entry."""
    names = {member.key: member.id for member in state.charter.members}
    for each in recorded(log):
        transaction = Transaction.parse_checked(each.entry.transaction, log.coalition)
        yield names[transaction.signer], transaction.call, each.outcome.code


def on_disk(directory: Path) -> tuple[list[bytes], list[str]]:
    """Entries and block hashes of a coalition's directory."""
    with CoalitionDirectory.open(directory) as home:
        return entry_bytes(home.ledger), block_hashes(home.state)
