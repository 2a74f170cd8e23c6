"""Who has read which version when: queries of the state at level B (Lugan et al. 2019, §III.B).

They show what was granted and what members have confirmed. What whoever runs the vault does with its own keys is in no
ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tclearn.coalition.block import INCREMENT
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, UsageError
from tclearn.protocols.tclearn.calls import TEST, TRAIN, USE
from tclearn.protocols.tclearn.records import REFUSED, AccessState, Candidate
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record

TRAINED: Final = "trained"
"""It has made the model itself."""
DELIVERED: Final = "delivered"
"""It has confirmed that it has it."""
GRANTED: Final = "granted"
"""It was granted and never confirmed: it may have it or not."""
_CERTAINTY: Final = (TRAINED, DELIVERED, GRANTED)


@dataclass(frozen=True, slots=True)
class Reading(Record):
    """A granted reading.

    Attributes:
        number: counts all of them.
        member: who reads.
        object: name of the object in the store.
        purpose: ``"train"``, ``"test"`` or ``"use"``.
        entry: ledger index of the call that was granted.
        time_ms: when it was granted, by the log's clock.
        delivered_ms: when the member confirmed that it has it; absent: it may have it or not.
        witnessed_ms: when a quorum had cosigned a head with it, where the charter asks for that.
        versions: indexes of the blocks that have this object as their model; none for a candidate that became no
            block, and for a hidden part.
        candidate: number of the candidate that it was read for.
    """

    number: int
    member: MemberId
    object: Digest
    purpose: str
    entry: int
    time_ms: int
    delivered_ms: int | None
    witnessed_ms: int | None
    versions: tuple[int, ...]
    candidate: int | None

    @property
    def status(self) -> str:
        """``"delivered"``, or ``"granted"`` while the member has not confirmed it."""
        return GRANTED if self.delivered_ms is None else DELIVERED


@dataclass(frozen=True, slots=True)
class Holder:
    """A member that had a version, or may have had it.

    Attributes:
        member: who.
        how: ``"trained"``, ``"delivered"`` or ``"granted"``, the surest of what is known.
        since_ms: the first time at which the ledger shows that it had it or could ask the vault for it; who trained it
            had it by then.
        delivered_ms: the first time at which it has confirmed to have it.
        readings: numbers of the readings that show it, oldest first.
    """

    member: MemberId
    how: str
    since_ms: int
    delivered_ms: int | None
    readings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """A member's readings, counted.

    Attributes:
        member: whose.
        train: readings to train.
        test: readings to test.
        use: readings for its own use.
        delivered: how many of all these it has confirmed.
        left: readings for its own use that it may still ask for; ``None``: it is no member any more.
        last_ms: when the last of them was granted; ``None``: there is none.
    """

    member: MemberId
    train: int
    test: int
    use: int
    delivered: int
    left: int | None
    last_ms: int | None

    @property
    def unknown(self) -> int:
        """Readings that it has not confirmed."""
        return self.train + self.test + self.use - self.delivered


def journal(state: State) -> list[Reading]:
    """All readings that were granted, in the order of the ledger; none at level A."""
    versions = _versions(state)
    return [_reading(state, state.access(number), versions) for number in range(state.accesses)]


def why_public(state: State, version: int) -> str:
    """Why everybody may have a version, in words; empty: the journal says who had it.

    Raises:
        UsageError: there is no such block.
    """
    _check_version(state, version)
    if state.charter.vault is None:
        return f"at level {state.charter.level} the model is public to the members: nobody notes who reads it"
    if state.block(version).locator is None:
        return f"block {version} has the untrained model M_0, which everybody draws from the charter"
    return ""


def who_had(state: State, version: int, before_ms: int | None = None) -> list[Holder]:
    """The members that had the model of a block, or may have had it.

    Blocks that a revert has made share the model of their target: who had the one had the other.

    Args:
        state: of a coalition at level B.
        version: index of the block.
        before_ms: only what had happened before this time, by the log's clock; ``None``: until now. A reading granted
            before it and confirmed after it is unknown: the member may have fetched it before or after.

    Returns:
        A line a member, in the order in which they first had it.

    Raises:
        UsageError: there is no such block, or everybody may have it (``why_public``).
    """
    public = why_public(state, version)
    if public:
        raise UsageError(Code.USAGE, public, expected="a version that lies in the vault")
    return _Search(state).holders(version, before_ms)


def all_holders(state: State) -> dict[int, list[Holder]]:
    """``who_had`` for every version that lies in the vault, by index of its block; none at level A."""
    search = _Search(state)
    return {index: search.holders(index, None) for index in range(state.tip + 1) if not why_public(state, index)}


def statistics(state: State) -> list[Statistics]:
    """Every member's readings counted, by name; also those of members that have left."""
    read: dict[MemberId, list[AccessState]] = {member: [] for member in state.members}
    for access in (state.access(number) for number in range(state.accesses)):
        read.setdefault(access.member, []).append(access)
    return [_counted(state, member, accesses) for member, accesses in sorted(read.items())]


def _counted(state: State, member: MemberId, accesses: Iterable[AccessState]) -> Statistics:
    listed = list(accesses)
    train, test, use = (sum(each.purpose == purpose for each in listed) for purpose in (TRAIN, TEST, USE))
    return Statistics(
        member=member,
        train=train,
        test=test,
        use=use,
        delivered=sum(each.delivered_ms is not None for each in listed),
        left=state.readings_left(member) if member in state.members else None,
        last_ms=listed[-1].time_ms if listed else None,
    )


def _reading(state: State, access: AccessState, versions: Mapping[Digest, tuple[int, ...]]) -> Reading:
    candidate = None if access.candidate is None else state.named(access.candidate)
    return Reading(
        number=access.number,
        member=access.member,
        object=access.object,
        purpose=access.purpose,
        entry=access.entry,
        time_ms=access.time_ms,
        delivered_ms=access.delivered_ms,
        witnessed_ms=access.witnessed_ms,
        versions=versions.get(access.object, ()),
        candidate=None if candidate is None else candidate.number,
    )


class _Search:
    """The state, read once: blocks and readings by object, candidates by their parameters."""

    def __init__(self, state: State) -> None:
        self._blocks = [chained.block for chained in state.blocks()]
        self._readings: defaultdict[Digest, list[AccessState]] = defaultdict(list)
        for number in range(state.accesses):
            access = state.access(number)
            self._readings[access.object].append(access)
        self._offers: defaultdict[Digest, list[Candidate]] = defaultdict(list)
        for candidate in map(state.candidate, range(state.candidates)):
            if candidate.status != REFUSED:  # for cause: nobody was handed it, and a digest alone shows no model
                self._offers[candidate.parameters].append(candidate)

    def holders(self, version: int, before_ms: int | None) -> list[Holder]:
        """See ``who_had``."""
        wanted = self._blocks[version]
        # What was offered before in vain, by whomever and in whatever file, was the same model.
        offers = self._offers.get(wanted.parameters, [])
        made = [(each.proposer, each.proposed_ms) for each in offers]
        made += [
            (block.contributor, block.time_ms)
            for block in self._blocks
            if block.locator == wanted.locator and block.kind == INCREMENT and block.contributor is not None
        ]
        found: dict[MemberId, Holder] = {}
        for maker, time_ms in made:
            if time_ms is not None and _before(time_ms, before_ms):
                since_ms = min(time_ms, found[maker].since_ms) if maker in found else time_ms
                found[maker] = Holder(maker, TRAINED, since_ms, None, ())
        objects = {wanted.locator, *(each.locator for each in offers)}
        readings = (access for each in objects if each is not None for access in self._readings.get(each, ()))
        for access in sorted(readings, key=lambda access: access.number):
            if _before(access.time_ms, before_ms):
                found[access.member] = _with(found.get(access.member), access, before_ms)
        return sorted(found.values(), key=lambda holder: (holder.since_ms, holder.member))


def _with(known: Holder | None, access: AccessState, before_ms: int | None) -> Holder:
    confirmed = access.delivered_ms
    if confirmed is not None and not _before(confirmed, before_ms):
        confirmed = None
    how = GRANTED if confirmed is None else DELIVERED
    if known is None:
        return Holder(access.member, how, access.time_ms, confirmed, (access.number,))
    times = [each for each in (known.delivered_ms, confirmed) if each is not None]
    return Holder(
        member=known.member,
        how=min(known.how, how, key=_CERTAINTY.index),
        since_ms=min(known.since_ms, access.time_ms),
        delivered_ms=min(times, default=None),
        readings=(*known.readings, access.number),
    )


def _versions(state: State) -> Mapping[Digest, tuple[int, ...]]:
    found: defaultdict[Digest, tuple[int, ...]] = defaultdict(tuple)
    for chained in state.blocks():
        if chained.block.locator is not None:
            found[chained.block.locator] += (chained.block.index,)
    return found


def _before(time_ms: int, before_ms: int | None) -> bool:
    return before_ms is None or time_ms < before_ms


def _check_version(state: State, version: int) -> None:
    if not 0 <= version <= state.tip:
        raise UsageError(
            Code.USAGE,
            f"there is no block {version}",
            expected=f"0 to {state.tip}",
            remedy="`tclearn model list` shows them",
        )
