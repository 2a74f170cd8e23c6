"""What was read from the state before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from tclearn.encoding import Digest, Value
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
