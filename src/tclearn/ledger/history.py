"""What a replica remembers of every entry: leaf, time, results head, outcome. About 400 bytes an entry."""

from __future__ import annotations

from array import array
from typing import Final

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.ledger.contract import Head, Outcome
from tclearn.ledger.merkle import MerkleLog

_LENGTH: Final = 32


class History:
    """Columns by entry index, all of the same length, that grow and shrink together.

    Args:
        genesis: head of the results chain before the first entry.
    """

    __slots__ = ("_codes", "_ids", "_index", "_log", "_reasons", "_results", "_times")

    def __init__(self, genesis: Digest) -> None:
        self._log = MerkleLog()
        self._times = array("Q")
        self._codes = array("Q")
        self._results = bytearray(genesis)  # one more than entries
        self._ids = bytearray()
        self._index: dict[Digest, int] = {}
        self._reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._times)

    @property
    def log(self) -> MerkleLog:
        """The leaves; not to be changed."""
        return self._log

    @property
    def time_ms(self) -> int:
        """Ledger time of the last entry; 0 before the first."""
        return self._times[-1] if self._times else 0

    @property
    def results(self) -> Digest:
        """The head of the results chain."""
        return Digest(bytes(self._results[-_LENGTH:]))

    def append(self, transaction_id: Digest, leaf: Digest, time_ms: int, results: Digest, outcome: Outcome) -> None:
        """Add an entry, whose index is ``len(self)``."""
        index = len(self)
        self._codes.append(outcome.code)
        self._times.append(time_ms)
        self._log.append(leaf)
        self._results += results
        self._ids += transaction_id
        self._index[transaction_id] = index
        if outcome.reason:
            self._reasons[index] = outcome.reason

    def truncate(self, size: int) -> None:
        """Forget the entries from index ``size`` on."""
        for index in range(size, len(self)):
            self._index.pop(Digest(bytes(self._ids[index * _LENGTH : (index + 1) * _LENGTH])), None)
            self._reasons.pop(index, None)
        self._log.truncate(size)
        del self._times[size:], self._codes[size:]
        del self._results[(size + 1) * _LENGTH :], self._ids[size * _LENGTH :]

    def index_of(self, transaction_id: Digest) -> int | None:
        """Where a transaction is logged; ``None``: nowhere."""
        return self._index.get(transaction_id)

    def outcome(self, index: int) -> Outcome:
        """What became of the transaction at an index below ``len(self)``."""
        return Outcome(index, self._codes[index], self._reasons.get(index, ""))

    def head(self, size: int) -> Head:
        """The roots of the first ``size`` entries.

        Raises:
            StorageError: there are fewer entries.
        """
        if not 0 <= size <= len(self):
            raise StorageError(
                Code.RECORD_HEAD, f"a head of {size} entries was asked for", expected=f"at most {len(self)}"
            )
        results = Digest(bytes(self._results[size * _LENGTH : (size + 1) * _LENGTH]))
        return Head(size, self._log.root(size), results, self._times[size - 1] if size else 0)
