"""What every engine shows of its replica, from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, StorageError
from tclearn.identity import PublicKey
from tclearn.ledger.contract import Head, Outcome, S
from tclearn.ledger.replica import Replica


class Reading(Generic[S]):
    """The reading half of a ledger. Readers see only what is durable.

    Args:
        replica: with no staged entries; changed only under ``_lock``, and committed before the lock is released.
        clock: milliseconds since 1970.
    """

    def __init__(self, replica: Replica[S], clock: Callable[[], int]) -> None:
        self._replica = replica
        self._clock = clock
        self._lock = threading.Lock()
        self._published: S | None = None

    @property
    def coalition(self) -> Digest:
        """Whose ledger it is: the digest of the charter."""
        return self._replica.coalition

    def __len__(self) -> int:
        with self._lock:
            return len(self._replica)

    def state(self) -> S:
        """The present state, as a typed reading that later entries do not change."""
        published = self._published  # without the lock: readers need not wait for the disk
        if published is not None:
            return published
        with self._lock:
            if self._published is None:
                self._published = self._replica.contract.view(self._replica.state())
            return self._published

    def time_ms(self) -> int:
        """The clock, or the time of the last entry where the clock is behind it; milliseconds since 1970."""
        with self._lock:
            return max(self._clock(), self._replica.time_ms)

    def next_sequence(self, key: PublicKey) -> int:
        """The lowest sequence number that this key may use next."""
        with self._lock:
            return self._replica.next_sequence(key)

    def member_of(self, key: PublicKey) -> MemberId | None:
        """Whose transaction key this is now; ``None``: nobody's."""
        with self._lock:
            return self._replica.contract.member_of(self._replica.state(), key)

    def outcome(self, transaction_id: Digest) -> Outcome | None:
        """What became of a transaction; ``None``: not logged."""
        with self._lock:
            return self._replica.outcome(transaction_id)

    def inclusion(self, index: int, size: int) -> tuple[Digest, tuple[Digest, ...]]:
        """The leaf hash of an entry, and its path to the root of the first ``size`` entries (RFC 9162 §2.1.3).

        Raises:
            StorageError: the ledger has fewer entries, or the entry is not among those.
        """
        with self._lock:
            if not 0 <= index < size <= len(self._replica):
                raise StorageError(
                    Code.RECORD_HEAD,
                    f"the inclusion of entry {index} in {size} was asked for",
                    expected=f"an entry before those, of {len(self._replica)}",
                )
            log = self._replica.log()
            return log.leaf(index), tuple(log.inclusion_proof(index, size))

    def head(self, size: int) -> Head:
        """The roots of the first ``size`` entries.

        Raises:
            StorageError: the ledger has fewer entries.
        """
        with self._lock:
            return self._replica.head(size)
