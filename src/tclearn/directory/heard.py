"""When each member was last heard of: the time of its newest word on the ledger."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.identity import PublicKey, open_signed

_CHUNK: Final = 256
_FAR: Final = 8_192


def last_heard(coalition: CoalitionDirectory, members: Collection[MemberId]) -> dict[MemberId, int | None]:
    """Ledger time, in milliseconds since 1970, of each member's newest entry, under the keys that members have now.

    Args:
        coalition: its files.
        members: who is asked about.

    Returns:
        ``None`` for a member that has said nothing among the last 8,192 entries: nobody waits for a longer search.
    """
    ledger, state = coalition.ledger, coalition.state
    found: dict[MemberId, int | None] = dict.fromkeys(members)
    missing, stop = set(members), len(ledger)
    first = max(0, stop - _FAR)
    while missing and stop > first:
        start = max(first, stop - _CHUNK)
        for item in reversed(list(ledger.entries(start, stop))):
            member = state.member_of(PublicKey(open_signed(item.entry.transaction).signer))
            if member in missing:
                missing.discard(member)
                found[member] = item.entry.time_ms
        stop = start
    return found
