"""The contract keeps each member's privacy account: what counts, what is refused, what a block says."""

from __future__ import annotations

from dataclasses import replace

from tests.coalition.test_privacy import BY_EXAMPLE, DONE, SELECTIVE, SHARED
from tests.protocols.world import World, ids, verdict

from tclearn.coalition.accountant import epsilon_ppm
from tclearn.coalition.privacy import BlockPrivacy, PrivacyEvent, cost
from tclearn.encoding import digest
from tclearn.ledger import Rejected
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.records import Candidate

EVENT = replace(DONE, records=9, batch=2, steps=10)
"""Of the ten records of a contribution one is put aside."""


class Private(World):
    """A world whose members account for their privacy."""

    event: PrivacyEvent | None = EVENT

    def __init__(self, terms=BY_EXAMPLE, **changes):
        super().__init__(4, {"privacy": terms, **changes})

    def propose(self, member, *, records=None, parameters=None) -> Candidate:
        if records is None:
            records = ids(*range(self.records, self.records + 10))
            self.records += 10
        parameters = parameters or digest("model", self.index)
        newest, number = self.state.block(self.state.tip), self.state.candidates
        offered = calls.Propose(
            newest.hash, parameters, digest("file", parameters), len(records) // 16, 1, records, self.event
        )
        self.say(member, offered)
        return self.state.candidate(number)

    def shown(self, index) -> BlockPrivacy:
        """What a block says of privacy."""
        said = self.state.block(index).privacy
        assert said is not None
        return said

    def epsilon(self, member):
        return self.state.epsilon_ppm(member)


ALONE = epsilon_ppm(cost(BY_EXAMPLE, EVENT, ()), 10**7)


def test_a_block_says_what_was_done_and_what_everybody_has_spent():
    world = Private()
    assert world.shown(0).epsilons == dict.fromkeys(world.members, 0)
    world.block("m00")
    shown = world.shown(1)
    assert shown.event == EVENT
    assert shown.epsilons == {"m00": ALONE, "m01": 0, "m02": 0, "m03": 0}
    world.block("m01")
    assert world.shown(2).epsilons == {"m00": ALONE, "m01": ALONE, "m02": 0, "m03": 0}


def test_increments_of_one_member_compose():
    world = Private(replace(BY_EXAMPLE, epsilon_max_ppm=100_000_000))
    for _ in range(4):
        for member in world.members:
            world.block(member)
    four = epsilon_ppm(cost(BY_EXAMPLE, replace(EVENT, steps=40), ()), 10**7)
    assert ALONE < world.epsilon("m00") < 4 * ALONE
    assert abs(world.epsilon("m00") - four) <= 2


def test_an_increment_over_the_budget_is_refused_with_both_numbers():
    budget = ALONE + 1000
    world = Private(replace(BY_EXAMPLE, epsilon_max_ppm=budget))
    world.block("m00")
    for member in world.members[1:]:
        world.say(member, calls.Pass(world.state.block(1).hash, world.state.turn.number))
    refused = world.propose("m00")
    twice = epsilon_ppm(cost(BY_EXAMPLE, replace(EVENT, steps=20), ()), 10**7)
    assert refused.status == "refused"
    assert abs(refused.count - twice) <= 2
    assert f"{ALONE / 1e6:.3f}"[:-1] in refused.reason
    assert refused.reason.startswith("ε ") and "spent" in refused.reason and "the budget is" in refused.reason
    assert world.epsilon("m00") == ALONE  # nothing was released
    world.event = replace(EVENT, noise_ppm=100_000_000)
    assert world.propose("m00").status == "proposed"  # with more noise there is room


def test_what_is_short_of_the_charter_is_refused_and_costs_nothing():
    for event, said in (
        (None, "no privacy: the charter asks for the mechanism example"),
        (replace(EVENT, noise_ppm=1_000_000), "noise 1, the charter asks for 1.1 at least"),
        (replace(EVENT, records=10), "noise over 10 records, the contribution trains on 9"),
        (replace(SHARED, clip_ppm=500_000), "privacy of another kind"),
    ):
        world = Private()
        world.event = event
        candidate = world.propose("m00")
        assert (candidate.status, candidate.count) == ("refused", 0)
        assert said in candidate.reason
        assert world.epsilon("m00") == 0
        assert world.state.turn.member == "m01"


def test_an_account_that_the_charter_does_not_ask_for_is_refused():
    world = Private(None)
    assert "does not ask for" in world.propose("m00").reason
    world.event = None
    world.block("m01")
    assert world.state.block(1).privacy is None
    assert world.epsilon("m01") is None
    assert not any(key.startswith("privacy/") for key in world.view)


def test_rejected_expired_and_reverted_increments_stay_paid_for():
    world = Private(replace(BY_EXAMPLE, epsilon_max_ppm=100_000_000))
    rejected = world.vote(world.offer("m00"), verdict(10))
    assert rejected.status == "rejected"
    assert world.epsilon("m00") == ALONE
    world.propose("m01")
    world.timeout()  # never said to be released; but who can tell?
    assert world.state.candidate(1).status == "expired"
    assert world.epsilon("m01") == ALONE
    world.block("m02", right=60)
    world.block("m03", right=70)
    change = calls.Change("revert", world.state.tip + 1, target=0)
    world.say("m00", calls.Request(change))
    for member in ("m01", "m02"):
        world.say(member, calls.Approve(change_id(change)))
    world.chain()
    block = world.state.block(3)
    assert block.kind == "revert"
    assert world.shown(3).event is None
    assert world.shown(3).epsilons == dict.fromkeys(world.members, ALONE)


def test_selective_sharing_adds_up_per_parameter():
    world = Private(replace(SELECTIVE, epsilon_max_ppm=25_000))
    world.event = replace(SHARED, released=1)
    for member in world.members:  # the model has a single number
        world.block(member)
    world.block("m00")
    assert world.shown(5).epsilons == {"m00": 20_000, "m01": 10_000, "m02": 10_000, "m03": 10_000}
    for member in world.members[1:]:
        world.block(member)
    refused = world.propose("m00")
    assert (refused.status, refused.count) == ("refused", 30_000)
    assert refused.reason == "ε 0.02 spent, 0.03 with this increment, the budget is 0.025"


def test_an_absurd_account_is_refused_or_endless_but_never_an_accident():
    world = Private()
    for member, event in zip(
        world.members,
        (
            replace(EVENT, steps=(1 << 40)),
            replace(EVENT, noise_ppm=(1 << 63) - 1),
            replace(EVENT, batch=9),
            replace(EVENT, steps=(1 << 40) + 1),
        ),
        strict=True,
    ):
        world.event = event
        try:
            assert world.propose(member).status in ("refused", "proposed")
        except Rejected as rejected:
            assert rejected.reason
