"""How many data IDs a member may ask the supervisor for, and the journal of who asked.

A member that could ask without end could try every record that it can think of. What it may ask fills up with time, to
a limit (a token bucket), counted in records. Levels are kept in record-milliseconds, so that a rate of records a day is
exact in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import Code, MessageError
from tclearn.limits import ALLOWANCE_PER_DAY_MAX
from tclearn.records import Record

DAY_MS: Final = 86_400_000

_REQUEST: Final = "tclearn/data-ids/request/1"
_JOURNAL: Final = "tclearn/data-ids/journal/1"


@dataclass(frozen=True, slots=True)
class Rate:
    """What each member may ask for.

    Attributes:
        per_day: records by which the allowance grows in a day, evenly.
        at_once: records at which it stops growing; a member begins with so many.

    Raises:
        ValueError: one of them is not from 1 to ``ALLOWANCE_PER_DAY_MAX``.
    """

    per_day: int
    at_once: int

    def __post_init__(self) -> None:
        if not 1 <= min(self.per_day, self.at_once) <= max(self.per_day, self.at_once) <= ALLOWANCE_PER_DAY_MAX:
            raise ValueError(f"{self.per_day} records a day, {self.at_once} at once, not 1 to {ALLOWANCE_PER_DAY_MAX}")


@dataclass(frozen=True, slots=True)
class Allowance(Record):
    """What one member may still ask for.

    Attributes:
        level: record-milliseconds: ``DAY_MS`` for each record.
        at_ms: when that was so.
    """

    level: int
    at_ms: int

    @classmethod
    def full(cls, rate: Rate, time_ms: int) -> Allowance:
        """What a member begins with."""
        return cls(rate.at_once * DAY_MS, time_ms)

    def left(self, rate: Rate, time_ms: int) -> int:
        """Records that may be asked for now."""
        return self._at(rate, time_ms).level // DAY_MS

    def available_ms(self, rate: Rate, count: int, time_ms: int) -> int | None:
        """When so many records may be asked for at once: now or later; ``None``: never, it is more than the limit."""
        if count > rate.at_once:
            return None
        now = self._at(rate, time_ms)
        return now.at_ms + -(-max(0, count * DAY_MS - now.level) // rate.per_day)

    def spent(self, count: int, rate: Rate, time_ms: int) -> Allowance | None:
        """What is left after so many records; ``None``: there are not so many."""
        now = self._at(rate, time_ms)
        level = now.level - count * DAY_MS
        return None if level < 0 else Allowance(level, now.at_ms)

    def _at(self, rate: Rate, time_ms: int) -> Allowance:
        # A clock that is set back gives nothing twice.
        passed = max(0, time_ms - self.at_ms)
        return Allowance(min(self.level + passed * rate.per_day, rate.at_once * DAY_MS), self.at_ms + passed)


@dataclass(frozen=True, slots=True)
class IdEntry(Record):
    """One request, in the supervisor's journal.

    Attributes:
        number: of the entry, from 0.
        previous: digest of the entry before; of the first one, 32 zero bytes.
        member: who asked.
        time_ms: when.
        count: for how many records.
        blinded: digest of the blinded elements, by which the member recognises its own request.
        granted: 1, or 0 for a request that was refused.
        left: records that the member may still ask for.
        unnoted: requests of this member that were refused since its entry before, and have no entry of their own.
    """

    number: int
    previous: Digest
    member: MemberId
    time_ms: int
    count: int
    blinded: Digest
    granted: int
    left: int
    unnoted: int

    @property
    def digest(self) -> Digest:
        """What the next entry names."""
        return digest(_JOURNAL, self.to_value())


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a request.

    Attributes:
        entry: for the journal, whichever it is; it is durable before anything is answered.
        allowance: the member's from now on.
        available_ms: when so many may be asked for, where it was refused; ``None``: never at once.
        asked_ms: when it was asked, by a clock that may be behind the journal's time; ``None``: at the entry's time.
    """

    entry: IdEntry
    allowance: Allowance
    available_ms: int | None
    asked_ms: int | None = None

    def check(self) -> None:
        """Whether the request is granted; returns nothing.

        Raises:
            MessageError: it is not.
        """
        if self.entry.granted:
            return
        asked_ms = self.entry.time_ms if self.asked_ms is None else self.asked_ms
        wait = (
            "ask for fewer at once"
            if self.available_ms is None
            else f"wait {_waiting(self.available_ms - asked_ms)}, or ask for fewer"
        )
        raise MessageError(
            Code.ALLOWANCE,
            f"{self.entry.member} asks for the data IDs of {self.entry.count} records",
            expected=f"at most {self.entry.left} now",
            remedy=wait,
        )


def blinded_digest(blinded: bytes) -> Digest:
    """What the journal keeps of a request: the digest of its blinded elements, as they were sent."""
    return digest(_REQUEST, blinded)


def decide(
    rate: Rate,
    allowance: Allowance,
    last: IdEntry | None,
    member: MemberId,
    blinded: Digest,
    count: int,
    time_ms: int,
    unnoted: int = 0,
) -> Decision:
    """Grant or refuse a request for data IDs.

    Args:
        rate: what each member may ask for.
        allowance: the member's.
        last: the journal's last entry; ``None``: there is none yet.
        member: who asks.
        blinded: what ``blinded_digest`` gives.
        count: how many records it is for, at least 1.
        time_ms: now.
        unnoted: the member's refused requests since its entry before that have none.
    """
    after = allowance.spent(count, rate, time_ms)
    kept = allowance if after is None else after
    entry = IdEntry(
        number=0 if last is None else last.number + 1,
        previous=Digest(bytes(32)) if last is None else last.digest,
        member=member,
        time_ms=time_ms,
        count=count,
        blinded=blinded,
        granted=0 if after is None else 1,
        left=kept.left(rate, time_ms),
        unnoted=unnoted,
    )
    return Decision(entry, kept, allowance.available_ms(rate, count, time_ms) if after is None else None)


def _waiting(time_ms: int) -> str:
    minutes = -(-time_ms // 60_000)
    return f"{minutes} min" if minutes < 120 else f"{-(-minutes // 60)} h"
