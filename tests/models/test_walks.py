"""The contract follows the model: it accepts the same calls of the same members, and the same state comes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

import pytest
from tests.models import spin
from tests.protocols.world import World, ids, verdict

from tclearn.coalition.quorum import faulty_max, quorum
from tclearn.coalition.terms import ScheduleTerms
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context, Rejected
from tclearn.protocols.tclearn import calls, proposing, sealing, voting
from tclearn.protocols.tclearn.duties import deadlines
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.records import ACCEPTED, REVEALING, TESTING, Candidate, PendingIncrement
from tclearn.records import Record

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(spin.MISSING), reason=spin.WHY_NOT)]

MINUTE = 60_000
HEIGHTS = 3
WALKS = 12
LENGTH = 6000
"""Most walks end before, with a full chain."""
NOTHING, REVERT, NOBODY = 0, 3, 7
NONE, PHASES = 0, {TESTING: 1, REVEALING: 2, ACCEPTED: 3}
CALLS = {"Begin", "Propose", "Commit", "Reveal", "Timeout", "Seal", "Endorse", "Finalize", "Revert"}
PENDING, TURN = 2, 3
"""What a ``Timeout`` is about, besides the slots 0 and 1."""
YES, NO = verdict(60), verdict(10)
ABSENT = digest("absent")


@dataclass(frozen=True)
class Step:
    """A call, and the model's state after it. Sets of members are bits.

    Attributes:
        call: the call's name.
        member: who says it.
        about: the slot it is about, or what a ``Timeout`` is about.
        state: tip, pending, general, failed, sealed, endorsed.
        turn: whose turn it is.
        slots: of each slot, the phase, proposer, commits, yes, no.
        may: who may propose; for each slot, who may commit and reveal; who may seal, endorse, finalize.
        due: which deadlines run: of the slots, of the pending block, of the turn.
    """

    call: str
    member: int
    about: int
    state: list[int]
    turn: int
    slots: list[list[int]]
    may: list[int]
    due: list[int]


def steps_of(lines: Iterable[str]) -> Iterator[Step]:
    """What the model has said, six lines a step."""
    words = (line.split() for line in lines if line)
    said = list(takewhile(lambda each: each[0] in CALLS | {"state", "slot", "may", "due"}, words))  # until it is over
    for begin in range(0, len(said) - 5, 6):
        (call, *what), *rest = said[begin : begin + 6]
        member, about = map(int, what)
        (*state, turn), first, second, may, due = (list(map(int, numbers)) for _, *numbers in rest)
        yield Step(call, member, about, state, turn, [first, second], may, due)


class Follower:
    """A contract that is told what the model does."""

    def __init__(self, world: World, steps: list[Step]) -> None:
        self.world = world
        self.steps = steps
        self.at = 0
        self.slots: list[int | None] = [None, None]
        """Numbers of the candidates in the model's slots."""

    def follow(self) -> None:
        for at, step in enumerate(self.steps):
            self.at = at
            if step.call != "Begin":
                self.say(step)
            self.slots = [
                None if phase == NONE else number for number, (phase, *_) in zip(self.slots, step.slots, strict=True)
            ]
            self.draw(step.state[2])
            assert self.state() == step.state, (at, step)
            assert [self.slot(candidate) for candidate in self.candidates] == step.slots, (at, step)
            assert {candidate.number for candidate in self.world.state.open_candidates()} <= set(self.slots), (at, step)
            assert self.turn() in (None, step.turn), (at, step)
            assert self.may(step) == step.may, (at, step)
            assert self.due(step) == step.due, (at, step)

    # --- the model's steps, as calls ---------------------------------------------------------------------------------

    def say(self, step: Step) -> None:
        world, about = self.world, step.about
        member = world.members[step.member]
        if step.call == "Propose":
            self.slots[about] = world.offer(member).number
        elif step.call == "Timeout":
            self.timeout(member, about)
        elif step.call == "Revert":
            change = calls.Change("revert", world.state.tip + 1, target=0)
            world.say(world.members[0], calls.Request(change))
            for other in world.members[1 : quorum(world.n)]:
                world.say(other, calls.Approve(change_id(change)))
        else:
            world.now += world.charter.schedule.seal_ms if step.call == "Seal" else 0  # a deadline that nobody names
            call = self.call(step.call, member, self.candidates[about], said=self.said(step.member, about, self.at))
            assert call is not None
            world.say(member, call)

    def timeout(self, member: MemberId, about: int) -> None:
        world = self.world
        if about == TURN and world.state.turn.due_ms is None:  # the first turn: another one's word starts the clock
            world.say(world.members[-1], calls.Timeout(self.subjects()[TURN]))
        subject = self.subjects()[about]
        due_ms = next(deadline.due_ms for deadline in deadlines(world.state) if deadline.subject == subject)
        world.now = max(world.now, due_ms)
        world.say(member, calls.Timeout(subject))

    def call(self, name: str, member: MemberId, candidate: Candidate | None, *, said: Verdict = YES) -> Record | None:
        """A call of this name as a member would make it now; ``None``: there is nothing that it could be about."""
        world, state = self.world, self.world.state
        if name == "Propose":
            return calls.Propose(state.block(state.tip).hash, digest("new"), digest("file"), 1, 0, ids(1 << 40))
        if name == "Seal":
            return calls.Seal(state.tip + 1, world.link(member))
        if name == "Finalize":
            return calls.Finalize(state.tip + 1)
        if name == "Endorse":
            sealed = state.pending and state.pending.sealed
            return world.endorsement(member, sealed) if sealed else None
        if candidate is None:
            return None
        if name == "Commit":
            return world.commitment(member, candidate, said)
        return calls.Reveal(candidate.id, candidate.attempt, said, b"salt")

    def said(self, member: int, slot: int, at: int) -> Verdict:
        """A vote is committed to here, and drawn in the model when it is revealed: look ahead.

        One that ends the candidate is taken for a no: whichever it was, the same comes of it.
        """
        for step in self.steps[at:]:
            if (step.call, step.member, step.about) == ("Reveal", member, slot):
                return YES if step.slots[slot][3] >> member & 1 else NO
            if step.slots[slot][0] == NONE:
                break
        return YES

    def draw(self, general: int) -> None:
        """Make the general that the model has drawn the contract's."""
        pending = self.world.state.pending
        if pending is not None and general != NOBODY:
            before, left = pending.generals[: pending.misses], list(pending.generals[pending.misses :])
            left.remove(self.world.members[general])
            order = (*before, self.world.members[general], *left)
            self.world.view["pending"] = replace(pending, generals=order).to_value()

    # --- the contract's state, as the model has it -------------------------------------------------------------------

    @property
    def candidates(self) -> list[Candidate | None]:
        return [None if number is None else self.world.state.candidate(number) for number in self.slots]

    def bits(self, members: Iterable[str]) -> int:
        return sum(1 << self.world.members.index(MemberId(member)) for member in members)

    def state(self) -> list[int]:
        state = self.world.state
        pending = state.pending
        if pending is None:
            return [state.tip, NOTHING, NOBODY, 0, 0, 0]
        if isinstance(pending, PendingIncrement):
            assert pending.candidate in self.slots
            what = 1 + self.slots.index(pending.candidate)
        else:
            what = REVERT
        exhausted = pending.misses > faulty_max(self.world.n)
        general = NOBODY if exhausted else self.world.members.index(pending.general)
        failed, sealed = self.bits(pending.generals[: pending.misses]), pending.sealed
        return [state.tip, what, general, failed, int(bool(sealed)), self.bits(sealed.endorsements if sealed else ())]

    def slot(self, candidate: Candidate | None) -> list[int]:
        if candidate is None:
            return [NONE, 0, 0, 0, 0]
        yes = self.bits(member for member, said in candidate.reveals.items() if said == YES)
        no = self.bits(candidate.reveals) - yes
        proposer = self.world.members.index(candidate.proposer)
        return [PHASES[candidate.status], proposer, self.bits(candidate.commits), yes, no]

    def turn(self) -> int | None:
        turn = self.world.state.turn
        if self.world.charter.schedule.turns == "free" or self.world.state.tip == HEIGHTS:
            return None
        return NOBODY if turn.member is None else self.world.members.index(turn.member)

    # --- who may say what --------------------------------------------------------------------------------------------

    def may(self, step: Step) -> list[int]:
        full = None not in self.slots  # the model has no place for a third candidate
        propose = step.may[0] if full and self.world.state.pending is None else self.accepted("Propose")
        candidates = [
            self.accepted(name, candidate, slot)
            for slot, candidate in enumerate(self.candidates)
            for name in ("Commit", "Reveal")
        ]
        return [propose, *candidates, *map(self.accepted, ("Seal", "Endorse", "Finalize"))]

    def accepted(self, name: str, candidate: Candidate | None = None, slot: int = 0) -> int:
        """Of whom the contract would accept a call now, or a little later."""
        world, able = self.world, []
        later_ms = world.now + world.charter.schedule.seal_ms
        for number, member in enumerate(world.members):
            call = self.call(name, member, candidate, said=self.said(number, slot, self.at + 1))
            if call is not None:
                try:
                    world.contract.apply(world.view, calls.call(call), Context(world.index, later_ms, member))
                except Rejected:
                    continue
                able.append(member)
        return self.bits(able)

    def due(self, step: Step) -> list[int]:
        running = {deadline.subject for deadline in deadlines(self.world.state)}
        due = [int(subject in running) for subject in self.subjects()]
        # While a revert is pending, the model's turns stand still.
        return due if self.world.state.pending is None else [*due[:TURN], step.due[TURN]]

    def subjects(self) -> list[Digest]:
        """The names of what deadlines are about: the candidates, the pending block, the turn."""
        state = self.world.state
        pending, turn = state.pending, state.turn
        begun = turn.due_ms is not None or turn.number or state.candidates
        return [
            *(candidate.round if candidate else ABSENT for candidate in self.candidates),
            pending.step if pending else ABSENT,
            digest("tclearn/turn-due/1", turn.number) if begun else digest("tclearn/turn-start/1"),
        ]


def follow(n: int, turns: str) -> Counter[tuple[str, int]]:
    """How often there was what, on walks that the contract has followed."""
    settings = [f"N={n}", f"HEIGHTS={HEIGHTS}", "WALK", *(["LEASE"] if turns == "lease" else [])]
    terms = ScheduleTerms(turns, MINUTE, MINUTE, MINUTE, 1, 1, stop_blocks=HEIGHTS)
    seen: Counter[tuple[str, int]] = Counter()
    for seed in range(WALKS):
        steps = list(steps_of(spin.walk(spin.text_of("ledger.pml"), settings, seed=seed, steps=LENGTH)))
        Follower(World(n, {"schedule": terms}, quick=True), steps).follow()
        seen.update((step.call, step.about) for step in steps)
    return seen


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    """As in the model: a number of blocks, and none of tries."""
    monkeypatch.setattr(proposing, "complete", lambda state, _: state.tip >= HEIGHTS)
    monkeypatch.setattr(proposing, "CANDIDATES_PER_MEMBER_AND_HEIGHT_MAX", 1 << 20)


@pytest.mark.parametrize("turns", ["free", "lease"])
@pytest.mark.parametrize("n", [3, 4, 7])
def test_the_contract_follows_the_model(n, turns):
    seen = follow(n, turns)
    assert {call for call, _ in seen} == CALLS
    timeouts = {about for call, about in seen if call == "Timeout"}
    assert timeouts == ({0, PENDING, TURN} if turns == "lease" else {0, 1, PENDING})


@pytest.mark.parametrize(
    ("module", "rule", "other"),
    [
        (voting, "quorum", lambda entitled: quorum(entitled) - 1),
        (sealing, "quorum", lambda entitled: quorum(entitled) + 1),
        (sealing, "faulty_max", lambda members: faulty_max(members) + 1),
    ],
)
def test_a_contract_with_another_rule_does_not(module, rule, other, monkeypatch):
    monkeypatch.setattr(module, rule, other)
    with pytest.raises((AssertionError, Rejected)):
        follow(4, "free")
