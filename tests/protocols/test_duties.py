"""A duty is there exactly when the call that does it would be accepted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.protocols.crowd import Crowd
from tests.protocols.world import LOOKING, World, chain_secret

from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.seed_chain import reveal as link
from tclearn.ledger import Context, Duty, Rejected
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.duties import deadlines, reveal_subject
from tclearn.protocols.tclearn.hiding import hide_subject, parts_before
from tclearn.protocols.tclearn.proposing import propose_subject
from tclearn.protocols.tclearn.records import SeedChain
from tclearn.protocols.tclearn.refusals import Refusal
from tclearn.protocols.tclearn.sealing import to_endorse
from tclearn.records import Record

KINDS = {"hide", "propose", "release", "show", "test", "reveal", "seal", "endorse", "finalize", "timeout", "renew"}
STEPS = 240


def conceivable(world: World, member: MemberId) -> Iterator[Duty]:
    """Every duty that a member could have in some state with these candidates, blocks and deadlines."""
    state = world.state
    subjects: dict[str, list[Digest]] = {
        "propose": [propose_subject(state, member)],
        "seal": [state.pending.step if state.pending else digest("nothing pending")],
        "finalize": [state.pending.step if state.pending else digest("nothing pending")],
        "endorse": [chained.block.hash for chained in to_endorse(state)],
        "timeout": [deadline.subject for deadline in deadlines(state)],
        "hide": [hide_subject(parts_before(state, member))],
        "renew": [digest("tclearn/renew/1", state.seed_chain(member).last)],
    }
    for candidate in map(state.candidate, range(max(0, state.candidates - 4 * world.n), state.candidates)):
        subjects.setdefault("release", []).append(candidate.round)
        subjects.setdefault("show", []).append(candidate.round)
        subjects.setdefault("test", []).append(candidate.round)
        subjects.setdefault("reveal", []).append(reveal_subject(candidate))
    for kind, named in subjects.items():
        for subject in named:
            yield Duty(kind, subject, member, None)


def done(crowd: Crowd, duty: Duty) -> Record | None:
    """The call that would do a duty as it should be done."""
    state = crowd.world.state
    if duty.kind == "propose":
        declared = state.declared(duty.member)
        fresh = b"\xff" * 16  # after all that may have been declared
        samples = 1 + (declared.count if declared else 0)
        return calls.Propose(state.block(state.tip).hash, digest("fresh"), digest("file"), samples, 0, fresh)
    return crowd.answer(duty, duty.member)


def accepted(world: World, member: MemberId, arguments: Record) -> bool:
    try:
        world.contract.apply(world.view, calls.call(arguments), Context(world.index, world.now, member))
    except Rejected as refused:
        # A member that has committed to nonsense is still asked to reveal: what it says is wrong, not that it speaks.
        return refused.code == Refusal.COMMITMENT_MISMATCH
    return True


def near_the_end(world: World) -> None:
    """Seed chains of some members are nearly used up."""
    left = SEED_CHAIN_LENGTH // 4
    for member, used in zip(world.members, (SEED_CHAIN_LENGTH - left - 1, SEED_CHAIN_LENGTH - 1), strict=False):
        shown = SeedChain(0, link(chain_secret(member), used), used)
        world.view[f"chain/{member}"] = shown.to_value()


@pytest.mark.parametrize("turns", ["lease", "free"])
def test_a_duty_is_there_exactly_when_the_call_would_be_accepted(turns):
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    for seed, n in enumerate((2, 4, 4, 7, 18)):
        schedule = replace(World(n).charter.schedule, turns=turns, attempts=2, stop_blocks=12)
        world = World(n, {"schedule": schedule}, quick=True, rule=LOOKING if seed % 2 else None)
        near_the_end(world)
        crowd = Crowd(world, seed)
        for step in range(STEPS):
            crowd.step(late=step % 60 > 40)
            if step % 5:
                continue
            for member in crowd.choose.sample(world.members, min(n, 3)):
                asked = [(duty.kind, duty.subject) for duty in world.contract.duties(world.state, member, world.now)]
                assert len(set(asked)) == len(asked)
                for duty in conceivable(world, member):
                    said = done(crowd, duty)
                    may = said is not None and accepted(world, member, said)
                    assert may == ((duty.kind, duty.subject) in asked), (seed, step, duty)
                    seen[may].add(duty.kind)
                assert set(asked) <= {(duty.kind, duty.subject) for duty in conceivable(world, member)}
    assert seen[True] == KINDS
    assert seen[False] == KINDS
