"""A duty is there exactly when the call that does it would be accepted."""

from __future__ import annotations

import pytest
from tests.protocols.deepchain.crowd import Crowd
from tests.protocols.deepchain.world import World, chain_links, declaration, terms

from tclearn.encoding import MemberId, digest
from tclearn.ledger import Context, Rejected
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.records import Record

KINDS = {
    "declare", "join", "stake", "contribute", "verify", "attach", "update", "check", "append", "take", "share",
    "report", "timeout",
}  # fmt: skip
STEPS = 120


def conceivable(world: World, member: MemberId) -> dict[str, Record]:
    """For every duty that a member could have, a call that does it as it should be done."""
    state = world.state
    iteration, deadline, joined = state.iteration, running_deadline(state), state.joined(member)
    now, attempt = (iteration.number, iteration.attempt) if iteration else (0, 0)
    block = iteration.block.hash if iteration and iteration.block else digest("x")
    link = chain_links(member)[state.links(member).used + 1] if member in world.terms.workers else digest("x")
    root, file = digest("root"), digest("file")
    assets = state.assets_of(member) or [digest("none")]
    party = member in world.terms.parties
    return {
        "declare": declaration(world, member, data=f"{member} {state.assets}"),
        "join": calls.Join(world.terms.digest, assets[0] if party else None, root if party else None),
        "stake": calls.Stake(joined.losses if joined else 0),
        "contribute": calls.Contribute(now, root, file),
        "verify": calls.Verify(now, ()),
        "attach": calls.Attach(now),
        "update": calls.Update(now, attempt, root, file, link),
        "check": calls.Check(now, attempt, 1),
        "append": calls.Append(block, world.cosign(member)),
        "take": calls.Take(now, 1),
        "share": calls.Share(now, root, file),
        "report": calls.Report(now, ()),
        "timeout": calls.Timeout(deadline.subject if deadline else digest("x")),
    }


def accepted(world: World, member: MemberId, arguments: Record) -> bool:
    try:
        world.contract.apply(world.view, calls.call(arguments), Context(world.index, world.now, member))
    except Rejected:
        return False
    return True


@pytest.mark.parametrize("both", [False, True])
def test_a_duty_is_there_exactly_when_the_call_would_be_accepted(both):
    seen: set[str] = set()
    words = [0]
    for seed in range(6):
        world = World(terms(4, 4, both=both, coins=2500, voids=20))

        def compare(world: World = world) -> None:
            words[0] += 1
            for member in world.members if words[0] % 3 == 0 else ():
                asked = {duty.kind for duty in world.duties(member)}
                for kind, said in conceivable(world, member).items():
                    assert (kind in asked) == accepted(world, member, said), (words, member, kind)
                seen.update(asked)

        loyal = frozenset(world.members[seed % 4 : -1])  # from nearly everybody to half of them
        crowd = Crowd(world, seed, loyal, pace=(0, 0, 0, 500, 11_000), after=compare)
        for _ in range(STEPS):
            crowd.step()
    assert seen == KINDS, "the crowd gets everywhere, or nothing would be shown"
    assert words[0] > 200
