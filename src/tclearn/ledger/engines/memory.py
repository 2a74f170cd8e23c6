"""The in-memory engine: for tests, simulation and demonstrations. Nothing outlives the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tclearn.encoding import Digest
from tclearn.ledger.contract import Contract, S
from tclearn.ledger.engines.reading import Reading
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Replica
from tclearn.ledger.transaction import Transaction


class MemoryLedger(Reading[S]):
    """A ledger in this process.

    Args:
        contract: the rules.
        coalition: digest of the charter.
        clock: milliseconds since 1970; the only time that the ledger knows.
    """

    def __init__(self, contract: Contract[S], coalition: Digest, *, clock: Callable[[], int]) -> None:
        super().__init__(Replica(contract, coalition), clock)
        self._entries: list[Recorded] = []

    def submit(self, transaction: Transaction) -> Digest:
        """Log a transaction; returns its id, also when it is logged already.

        Raises:
            MessageError: it is not admissible and was not logged.
        """
        self._replica.screen(transaction.raw)
        checked = self._replica.check(transaction.raw)
        transaction_id = checked.id
        with self._lock:
            if self._replica.outcome(transaction_id) is None:
                applied = self._replica.append_checked(checked, self._clock())
                self._replica.commit()
                self._entries.append(Recorded(applied.entry, applied.outcome, applied.results))
                self._published = None
        return transaction_id

    def entries(self, start: int, stop: int) -> Iterator[Recorded]:
        """The entries from index ``start`` to before ``stop``."""
        yield from self._entries[start:stop]
