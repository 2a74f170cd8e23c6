"""What follows from the journal of data IDs: each member's allowance, and whether the supervisor kept to the rules.

The supervisor has no other account of what it granted: when it starts it reads its journal into this, and a member that
fetches the journal does the same. An entry that does not follow from those before it is refused by both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tclearn.coalition.allowance import Allowance, Decision, IdEntry, Rate, decide
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError
from tclearn.limits import ANSWERED_IDS_KEPT_MS, REFUSED_IDS_NOTED_EVERY_MS


@dataclass(frozen=True, slots=True)
class _Account:
    allowance: Allowance
    refused_ms: int | None = None


class IdBook:
    """A journal's consequences.

    Args:
        rate: what each member may ask for; the charter says it.
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.last: IdEntry | None = None
        self._accounts: dict[MemberId, _Account] = {}
        self._answered: OrderedDict[Digest, int] = OrderedDict()  # when; oldest first

    def __len__(self) -> int:
        """How many entries it was given."""
        return 0 if self.last is None else self.last.number + 1

    def left(self, member: MemberId, time_ms: int) -> int:
        """Records for which a member may ask now."""
        return self._account(member, time_ms).allowance.left(self.rate, time_ms)

    def decide(self, member: MemberId, blinded: Digest, count: int, time_ms: int, unnoted: int = 0) -> Decision:
        """What becomes of a request; nothing changes before ``take``. Arguments as those of ``allowance.decide``.

        Blinded elements that were granted are refused for ``ANSWERED_IDS_KEPT_MS`` of the journal's time. A signed
        request is taken for minutes only; who signs the same elements again later pays again, for the same answer.

        The journal's time does not run backwards with a clock: a time that was made up for one member's sake, to let
        its allowance grow, stays for all.

        Raises:
            MessageError: a request with these blinded elements was granted before: somebody repeats it.
        """
        asked_ms = time_ms
        if self.last is not None:
            time_ms = max(time_ms, self.last.time_ms)
        granted_ms = self._answered.get(blinded)
        if granted_ms is not None and time_ms - granted_ms <= ANSWERED_IDS_KEPT_MS:
            raise MessageError(
                Code.REFUSED,
                f"{member} sends a request for data IDs that was answered before",
                expected="elements that are blinded anew for each request",
                remedy="make the request anew",
            )
        allowance = self._account(member, time_ms).allowance
        decision = decide(self.rate, allowance, self.last, member, blinded, count, time_ms, unnoted)
        return replace(decision, asked_ms=asked_ms)

    def has_entry(self, decision: Decision) -> bool:
        """Whether a decision is an entry of its own: every one that grants, and refusals that are not too many.

        A refused request costs nothing of an allowance that is used up already. Had each its entry, asking in vain
        would fill the supervisor's disk; so those that follow within ``REFUSED_IDS_NOTED_EVERY_MS`` are counted only.
        """
        refused_ms = self._account(decision.entry.member, decision.entry.time_ms).refused_ms
        if decision.entry.granted or refused_ms is None:
            return True
        return decision.entry.time_ms - refused_ms >= REFUSED_IDS_NOTED_EVERY_MS

    def take(self, entry: IdEntry) -> None:
        """Go on by one entry.

        Raises:
            MessageError: it does not follow from those before, or is not what the rules say of this request.
        """
        try:
            decision = self.decide(entry.member, entry.blinded, entry.count, entry.time_ms, entry.unnoted)
        except MessageError:
            raise _out_of_order(len(self), "its request was answered before") from None
        if entry.number != len(self) or entry.previous != decision.entry.previous:
            raise _out_of_order(len(self), "it does not follow the one before")
        if entry.count < 1 or entry != decision.entry or not self.has_entry(decision):
            raise _out_of_order(len(self), "the allowance of its member says something else")
        account = self._account(entry.member, entry.time_ms)
        refused_ms = account.refused_ms if entry.granted else entry.time_ms
        self._accounts[entry.member] = replace(account, allowance=decision.allowance, refused_ms=refused_ms)
        if entry.granted:
            self._forget_answered(entry.time_ms)
            self._answered[entry.blinded] = entry.time_ms
        self.last = entry

    def _forget_answered(self, time_ms: int) -> None:
        # What is left was granted in one such time, so the allowances bound it; also where the journal's time stands
        # still, for then they do not grow.
        while self._answered and time_ms - next(iter(self._answered.values())) > ANSWERED_IDS_KEPT_MS:
            self._answered.popitem(last=False)

    def _account(self, member: MemberId, time_ms: int) -> _Account:
        return self._accounts.get(member) or _Account(Allowance.full(self.rate, time_ms))


def check_journal(rate: Rate, entries: Iterable[IdEntry]) -> IdBook:
    """Check a journal from its first entry on.

    Raises:
        MessageError: an entry is missing, changed, out of place or against the rules; the message names the first.
    """
    book = IdBook(rate)
    for entry in entries:
        book.take(entry)
    return book


def _out_of_order(number: int, why: str) -> MessageError:
    return MessageError(
        Code.ALLOWANCE,
        f"entry {number} of the journal of data IDs: {why}",
        expected="each entry follows from those before it and from the charter",
    )
