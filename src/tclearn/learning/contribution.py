"""Which records make a member's next contribution, which of them are put aside, and what its L is by now.

Everything follows from the data IDs and from which of them the ledger has as used: a member that starts again, with
nothing but its data and the ledger, goes on with the same division. A contribution takes records by the order of
their IDs; a record is put aside iff the number in the last eight bytes of its ID falls in the lowest ``local_share`` of
their range. Other bytes decide the order, so each contribution puts aside its share; and these are the same for every
member that holds the record, so nobody trains on what another tests on.
Source: Lugan et al. 2019, §III.A ("a small percentage of the input signals is put aside locally").
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self

from tclearn.learning.trainer import DataId
from tclearn.limits import RECORDS_PER_CONTRIBUTION_MAX

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Portion:
    """The records of one contribution.

    Attributes:
        data_ids: of all of them, ascending.
        trained: positions in the data set of those to train on, by data ID.
        put_aside: positions of those that go into L, by data ID.
    """

    data_ids: tuple[DataId, ...]
    trained: tuple[int, ...]
    put_aside: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """What a member holds: its different records, by data ID.

    Attributes:
        entries: data ID, position of its first record, whether it is put aside; by data ID, all different.
        copies: records left out because another of this data set is the same.
        tested: records left out because they are in a test set.
    """

    entries: tuple[tuple[DataId, int, bool], ...]
    copies: int
    tested: int

    @classmethod
    def of(cls, ids: Sequence[DataId], local_share: int, test_ids: Container[DataId] = ()) -> Self:
        """Order the records of a data set.

        Args:
            ids: the data ID of each record, in the order of the data set.
            local_share: share that is put aside, millionths.
            test_ids: data IDs of G and of a local test set given as such; their records are never trained on.
        """
        first: dict[DataId, int] = {}
        for position, data_id in enumerate(ids):
            first.setdefault(data_id, position)
        entries = tuple(
            (data_id, first[data_id], is_put_aside(data_id, local_share))
            for data_id in sorted(first)
            if data_id not in test_ids
        )
        return cls(entries, len(ids) - len(first), len(first) - len(entries))

    def next_portion(self, used: Container[DataId], contributions: int, minimum: int = 1) -> Portion | None:
        """The next contribution.

        For k contributions over n different records it takes the next ⌈n/k⌉ that are not used, by data ID; more where
        these, or those that would remain, have fewer than the minimum to train on: no record stays behind that a
        contribution could have had.

        Args:
            used: data IDs that the ledger has as used, of this member and of others.
            contributions: k.
            minimum: how many records a contribution trains on at least, 1 or more.

        Returns:
            The contribution; ``None`` when fewer records than the minimum are left to train on.
        """
        fresh = [entry for entry in self.entries if entry[0] not in used]
        # How many there are to train on among the first one, the first two, and so on.
        trainable = list(accumulate(not aside for _, _, aside in fresh))
        if not trainable or trainable[-1] < minimum:
            return None
        size = max(-(-len(self.entries) // max(1, contributions)), bisect_left(trainable, minimum) + 1)
        size = min(size, len(fresh), RECORDS_PER_CONTRIBUTION_MAX)
        if len(fresh) <= RECORDS_PER_CONTRIBUTION_MAX and trainable[-1] - trainable[size - 1] < minimum:
            size = len(fresh)
        chosen = fresh[:size]
        trained = tuple(position for _, position, aside in chosen if not aside)
        if len(trained) < minimum:
            return None
        put_aside = tuple(position for _, position, aside in chosen if aside)
        return Portion(tuple(data_id for data_id, _, _ in chosen), trained, put_aside)

    def trainable(self, used: Container[DataId]) -> int:
        """How many records are left to train on."""
        return sum(not aside and data_id not in used for data_id, _, aside in self.entries)

    def local_test(self, used: Container[DataId]) -> tuple[int, ...]:
        """Positions of the records of L: put aside, and counted on the ledger."""
        return tuple(position for data_id, position, aside in self.entries if aside and data_id in used)

    def used(self, used: Container[DataId]) -> frozenset[DataId]:
        """Those of these records that the ledger has as used."""
        return frozenset(data_id for data_id, _, _ in self.entries if data_id in used)


def is_put_aside(data_id: DataId, local_share: int) -> bool:
    """Whether a record belongs to the share that is tested on and never trained on.

    Args:
        data_id: its data ID.
        local_share: millionths.
    """
    return int.from_bytes(data_id[-8:], "big") * MILLION < local_share << 64
