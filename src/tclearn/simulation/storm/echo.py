"""A follower that trusts: it shows another's verified copy up to the size that its own line has let through.

Most members of a storm follow the ledger so. Replaying it for each of them would take most of the time and show the
same again; in each storm some members replay everything themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tclearn.encoding import Digest
from tclearn.errors import Code, UnreachableError
from tclearn.identity import PublicKey
from tclearn.ledger import Head, Outcome, Transaction
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.engines.follower import Source
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm.sequencers import Sequencer


@dataclass
class Echo:
    """A ``Ledger`` like ``Follower``, over a line that fails.

    Attributes:
        origin: whose copy it shows.
        line: what has to let it through.
        clock: the member's clock, milliseconds since 1970.
    """

    origin: Sequencer
    line: Source
    clock: Callable[[], int]
    _size: int = 0
    _sequences: dict[PublicKey, int] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self._size

    def submit(self, transaction: Transaction) -> Digest:
        """See ``Follower.submit``."""
        self.line.submit(transaction.raw)
        if self.outcome(transaction.id) is None:
            self.pull()
        if self.outcome(transaction.id) is None:
            raise UnreachableError(Code.LEDGER_UNREACHABLE, "a transaction is not in the log yet")
        return transaction.id

    def pull(self) -> int:
        """See ``Follower.pull``."""
        before = self._size
        self._size = max(before, Note.parse(self.line.read(before).note).head.size)
        self._sequences.update(self.origin.senders[before : self._size])
        return self._size - before

    def state(self) -> State:
        """See ``Ledger.state``."""
        return self.origin.states[self._size]

    def time_ms(self) -> int:
        """See ``Ledger.time_ms``."""
        return max(self.clock(), self.head(self._size).time_ms)

    def next_sequence(self, key: PublicKey) -> int:
        """See ``Ledger.next_sequence``."""
        return self._sequences.get(key, -1) + 1

    def outcome(self, transaction_id: Digest) -> Outcome | None:
        """See ``Ledger.outcome``."""
        outcome = self.origin.ledger.outcome(transaction_id)
        return outcome if outcome is not None and outcome.index < self._size else None

    def head(self, size: int) -> Head:
        """See ``Ledger.head``."""
        return self.origin.ledger.head(size)
