"""What engines give out of their log, one entry at a time, for export, audit and display."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tclearn.encoding import Digest
from tclearn.ledger.contract import Head, Outcome
from tclearn.ledger.transaction import Entry


@dataclass(frozen=True, slots=True)
class Recorded:
    """A logged entry with what became of it.

    Attributes:
        entry: the transaction at its place.
        outcome: accepted, or the rejection.
        results: head of the results chain after the entry.
    """

    entry: Entry
    outcome: Outcome
    results: Digest


class Log(Protocol):
    """A log that can be read from its first entry."""

    @property
    def coalition(self) -> Digest:
        """Whose log it is: the digest of the charter."""

    def __len__(self) -> int:
        """Number of entries."""

    def entries(self, start: int, stop: int) -> Iterator[Recorded]:
        """The entries from index ``start`` to before ``stop``."""

    def head(self, size: int) -> Head:
        """The roots of the first ``size`` entries."""
