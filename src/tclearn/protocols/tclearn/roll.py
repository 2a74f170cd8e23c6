"""Who the members are at one point of the ledger: those of the charter until a change of them has taken effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import MemberId

MEMBERS: Final = "members"
"""Key of the state: the members' records. It is there from the first change on."""


@dataclass(frozen=True, slots=True)
class Roll:
    """The members.

    Attributes:
        records: what is known of each, by name.
        ids: their names, sorted.
        keys: whose transaction key it is.
    """

    records: tuple[MemberRecord, ...]
    ids: tuple[MemberId, ...]
    keys: Mapping[bytes, MemberId]

    @classmethod
    def of(cls, records: Iterable[MemberRecord]) -> Self:
        """A roll of these members, in any order."""
        ordered = tuple(sorted(records, key=lambda record: record.id))
        ids = tuple(record.id for record in ordered)
        return cls(ordered, ids, {record.key: record.id for record in ordered})

    def named(self, member: MemberId) -> MemberRecord | None:
        """The record of a member; ``None``: there is no such member."""
        return next((record for record in self.records if record.id == member), None)

    def without(self, member: MemberId) -> Roll:
        """The others."""
        return Roll.of(record for record in self.records if record.id != member)

    def having(self, record: MemberRecord) -> Roll:
        """With this member, in the place of one of the same name."""
        return Roll.of((*self.without(record.id).records, record))


def credentials(record: MemberRecord) -> tuple[bytes, ...]:
    """What stands for a member and nobody else, ever: its key, the tip of its seed chain, its root certificate."""
    return tuple(each for each in (record.key, record.seed_tip, record.certificate) if each is not None)
