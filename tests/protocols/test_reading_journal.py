"""Who had which version: the journal against a model that knows nothing but the list of what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.world import World, verdict

from tclearn.coalition.charter_vault import data_key_digest
from tclearn.coalition.quorum import quorum
from tclearn.coalition.terms import DataIdTerms, VaultTerms
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, MemberId
from tclearn.errors import UsageError
from tclearn.identity.oprf_key import oprf_key
from tclearn.ledger import Rejected
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.accessing import needed
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.reading_journal import Holder, journal, statistics, who_had, why_public
from tclearn.protocols.tclearn.records import PendingRevert

DATA_IDS = DataIdTerms(oprf_key(bytes(32)).public, 100_000, 200_000)


def confidential(*, versions: str = "all", witnessed: int = 0, reads: int = 3, n: int = 4) -> World:
    terms = VaultTerms(versions, (), reads, 2, witnessed)
    changes = {"level": "B", "vault": terms, "data_ids": DATA_IDS, "data_key": data_key_digest(DATA_IDS.public_key)}
    return World(n, changes, quick=True)


@dataclass
class Told:
    """What has happened, as somebody would note who looks over everybody's shoulder.

    Attributes:
        models: of each block the object with its model; ``None`` for M_0.
        made: who offered an object when.
        granted: member, object, purpose and time of each reading.
        confirmed: by number of the reading, when.
    """

    models: list[Digest | None] = field(default_factory=lambda: [None])
    made: dict[Digest, tuple[MemberId, int]] = field(default_factory=dict)
    granted: list[tuple[MemberId, Digest, str, int]] = field(default_factory=list)
    confirmed: dict[int, int] = field(default_factory=dict)

    def holders(self, version: int, before_ms: int | None) -> list[Holder]:
        wanted = self.models[version]
        assert wanted is not None

        def counts(time_ms: int) -> bool:
            return before_ms is None or time_ms < before_ms

        maker, made_ms = self.made[wanted]
        found = []
        for member in {maker, *(who for who, *_ in self.granted)}:
            readings = [
                number
                for number, (who, what, _, time_ms) in enumerate(self.granted)
                if who == member and what == wanted and counts(time_ms)
            ]
            times = [self.granted[number][3] for number in readings]
            confirmed = [self.confirmed[each] for each in readings if each in self.confirmed]
            confirmed = [time_ms for time_ms in confirmed if counts(time_ms)]
            trained = member == maker and counts(made_ms)
            if not trained and not readings:
                continue
            how = "trained" if trained else "delivered" if confirmed else "granted"
            since = min([*times, *([made_ms] if trained else [])])
            found.append(Holder(member, how, since, min(confirmed, default=None), tuple(readings)))
        return sorted(found, key=lambda each: (each.since_ms, each.member))


@dataclass
class Story:
    """A coalition that does what a drawn list of numbers says; what the contract refuses has not happened."""

    world: World
    told: Told = field(default_factory=Told)

    def wait(self, draw: int) -> None:
        self.world.now += 1 + draw % 5000

    def increment(self, draw: int) -> None:
        state = self.world.state
        member = state.turn.member
        if state.pending is not None or state.open_candidates() or member is None:
            return
        self._ask_for_work(member)
        offered = self.world.propose(member)
        self.told.made[offered.locator] = (member, self.world.now)
        self.wait(draw)
        candidate = self.world.release(offered)
        for validator in candidate.committee:
            self._ask_for_work(validator)
        good = draw % 4 != 0
        self.world.vote(candidate, _verdict(good))
        if good:
            self.wait(draw)
            self.world.chain()
            self.told.models.append(offered.locator)

    def revert(self, draw: int) -> None:
        state = self.world.state
        if state.tip < 1 or state.pending is not None or state.open_candidates():
            return
        target = draw % state.tip
        change = calls.Change(calls.REVERT, state.tip + 1, target=target)
        members = state.members
        self.world.say(members[0], calls.Request(change))
        for member in members[1 : quorum(len(members))]:
            self.world.say(member, calls.Approve(change_id(change)))
        if isinstance(self.world.state.pending, PendingRevert):
            self.world.chain()
            self.told.models.append(self.told.models[target])

    def use(self, draw: int) -> None:
        state = self.world.state
        index = draw % (state.tip + 1)
        wanted = state.block(index).locator
        if wanted is not None:
            self._access(state.members[draw % len(state.members)], calls.Access(wanted, "use", None, index))

    def confirm(self, draw: int) -> None:
        if self.told.granted:
            number = draw % len(self.told.granted)
            self.world.say(self.told.granted[number][0], calls.Delivered(number))
            self.told.confirmed[number] = self.world.now

    def cosign(self, draw: int) -> None:
        state = self.world.state
        for member in state.members[: 1 + draw % len(state.members)]:
            size = max((state.access(number).entry for number in state.unwitnessed()), default=0) + 1
            self._tried(partial(self.world.say, member, calls.Witness(self.world.cosignature(member, size))))

    def _ask_for_work(self, member: MemberId) -> None:
        for access, _ in list(needed(self.world.state, member, self.world.now)):
            self._access(member, access)

    def _access(self, member: MemberId, arguments: calls.Access) -> None:
        if self._tried(lambda: self.world.say(member, arguments)):
            self.told.granted.append((member, arguments.object, arguments.purpose, self.world.now))

    def _tried(self, step: Callable[[], Any]) -> bool:
        try:
            step()
        except Rejected:
            return False
        return True

    def do(self, which: int, draw: int) -> None:
        steps = (self.wait, self.increment, self.increment, self.revert, self.use, self.use, self.confirm, self.cosign)
        self._tried(lambda: steps[which % len(steps)](draw))


def _verdict(good: bool) -> Verdict:
    return verdict(60 if good else 10)


STEPS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 1 << 16)), max_size=25)


@settings(deadline=None)
@given(steps=STEPS, witnessed=st.integers(0, 1), until=st.integers(0, 1 << 16))
def test_the_journal_is_what_has_happened(steps: list[tuple[int, int]], witnessed: int, until: int) -> None:
    story = Story(confidential(witnessed=witnessed))
    began = story.world.now
    for which, draw in steps:
        story.do(which, draw)
    state, told = story.world.state, story.told
    assert [state.block(index).locator for index in range(state.tip + 1)] == told.models

    readings = journal(state)
    assert [(each.member, each.object, each.purpose, each.time_ms) for each in readings] == told.granted
    assert {each.number: each.delivered_ms for each in readings if each.delivered_ms is not None} == told.confirmed
    for each in readings:
        assert each.versions == tuple(at for at, model in enumerate(told.models) if model == each.object)

    happened = [*(time_ms for _, time_ms in told.made.values()), *(each[3] for each in told.granted)]
    times = sorted({began, *happened, *told.confirmed.values()})
    for version, model in enumerate(told.models):
        if model is None:
            assert "M_0" in why_public(state, version)
            continue
        # At the very times at which something happened, and just beside them, nothing may be counted wrongly.
        for before_ms in (None, began, times[until % len(times)] + until % 3 - 1):
            assert who_had(state, version, before_ms) == told.holders(version, before_ms)

    for counted in statistics(state):
        own = [(purpose, number) for number, (who, _, purpose, _) in enumerate(told.granted) if who == counted.member]
        assert (counted.train, counted.test, counted.use) == tuple(
            sum(purpose == kind for purpose, _ in own) for kind in ("train", "test", "use")
        )
        assert counted.delivered == sum(number in told.confirmed for _, number in own)
        assert counted.unknown == len(own) - counted.delivered
        assert counted.left == 3 - counted.use  # contributions of ten records bring no further reading


def test_the_story_comes_to_all_kinds_of_holders() -> None:
    """The model above is of use only where there is something to tell apart."""
    story = Story(confidential())
    for which, draw in [(1, 1), (1, 1), (4, 1), (0, 9), (6, 0), (3, 1), (1, 1), (4, 3)]:
        story.do(which, draw)
    found = who_had(story.world.state, 1)
    assert {each.how for each in found} == {"trained", "delivered", "granted"}
    assert len(story.told.models) > 3


def test_a_reading_confirmed_after_the_time_is_unknown_then() -> None:
    story = Story(confidential())
    story.increment(1)
    reader = next(m for m in story.world.members if m != story.told.made[story.told.models[1]][0])  # type: ignore[index]
    number = story.world.state.accesses
    story.wait(10)
    story._access(reader, calls.Access(story.told.models[1], "use", None, 1))  # type: ignore[arg-type]
    asked = story.world.now
    story.wait(10)
    story.world.say(reader, calls.Delivered(number))
    confirmed = story.world.now

    def how(before_ms: int | None) -> str:
        tests_apart = [each for each in who_had(story.world.state, 1, before_ms) if each.member == reader]
        return tests_apart[0].how

    assert how(None) == "delivered"
    assert how(confirmed + 1) == "delivered"
    assert how(confirmed) == "granted"
    assert how(asked + 1) == "granted"


def test_what_is_public_has_no_holders() -> None:
    world = World(4)
    world.block()
    assert journal(world.state) == []
    assert "level A" in why_public(world.state, 1)
    for version in (0, 1):
        with pytest.raises(UsageError, match="public"):
            who_had(world.state, version)
    with pytest.raises(UsageError, match="no block 2"):
        who_had(world.state, 2)
    sealed = confidential()
    with pytest.raises(UsageError, match="M_0"):
        who_had(sealed.state, 0)
