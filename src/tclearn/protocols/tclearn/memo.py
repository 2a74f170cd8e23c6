"""What was read from the state before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import Digest, Value
from tclearn.protocols.tclearn.roll import MEMBERS, Roll
from tclearn.records import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class UsedIds:
    """The data IDs that count after a block.

    Attributes:
        block: its hash.
        ids: the IDs.
    """

    block: Digest
    ids: frozenset[bytes]


@dataclass(slots=True)
class Memo:
    """Remembers what was read from the state, so that nothing is read twice. It changes no answer.

    Attributes:
        used: the data IDs asked for last.
    """

    used: UsedIds | None = None
    _records: dict[str, tuple[Value, Record]] = field(default_factory=dict)
    _roll: tuple[Value | None, Roll] | None = None

    def roll(self, value: Value | None, charter: ResolvedCharter) -> Roll:
        """The members that a value of the state lists; those of the charter where there is none."""
        known = self._roll
        if known is None or known[0] is not value:
            listed = [MemberRecord.from_value(each, MEMBERS) for each in cast(Sequence[Value], value or ())]
            known = self._roll = value, Roll.of(listed if value is not None else charter.members)
        return known[1]

    def record(self, key: str, value: Value, kind: type[R]) -> R:
        """The record that a value is, read once for as long as the key holds this very value.

        Values are never changed in place, so the same object is the same record.
        """
        known = self._records.get(key)
        if known is None or known[0] is not value or not isinstance(known[1], kind):
            record = kind.from_value(value, key)
            self._records[key] = (value, record)
            return record
        return known[1]
