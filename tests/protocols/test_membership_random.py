"""Any sequence of admissions, expulsions, departures and rotations between increments: what must hold holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.protocols.company import Company, enrolment_of, keys_of, record_of
from tests.protocols.test_membership import admit, expel, rotate

from tclearn.coalition.draw import committee_size
from tclearn.coalition.quorum import quorum
from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import MemberId, digest
from tclearn.errors import AgentError
from tclearn.ledger.cosigning import quorum as head_quorum

FOUNDERS = ["leuven", "namur", "porto", "turin"]
OTHERS = ["arles", "basel", "cadiz"]
EVENTS = st.sampled_from(["admit", "replace", "expel", "leave", "rotate", "rebuild", "train", "half", "late"])
STEPS = st.lists(st.tuples(EVENTS, st.integers(0, 6)), min_size=4, max_size=14)


@dataclass
class Model:
    """Who should be a member, kept beside the ledger by what was decided and nothing else."""

    company: Company
    records: dict[str, MemberRecord] = field(default_factory=dict)
    seen: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        self.records = {name: record_of(enrolment_of(name, keys_of(name))) for name in FOUNDERS}
        self.sets = [self.digest]

    @property
    def digest(self) -> bytes:
        return digest("tclearn/members/1", *(self.records[name].to_value() for name in sorted(self.records)))

    def voters(self, but: str = "") -> list[str]:
        # Whoever is to be expelled has a vote, and does not use it.
        needed = quorum(len(self.records))
        return [name for name in sorted(self.records) if name != but][:needed]

    def do(self, event: str, number: int) -> None:
        names = sorted(self.records)
        self.counter += 1
        getattr(self, f"on_{event}")(names[number % len(names)], number)
        self.settle()

    def on_admit(self, _: str, number: int) -> None:
        fresh = [other for other in (*OTHERS, *FOUNDERS) if other not in self.records]
        if fresh:
            self._admitted(fresh[number % len(fresh)])

    def on_replace(self, name: str, _: int) -> None:
        if len(self.records) > 2:
            self._admitted(name)

    def on_expel(self, name: str, _: int) -> None:
        voters = self.voters(name)
        if len(self.records) > 2 and len(voters) >= quorum(len(self.records)):
            expel(self.company, name, voters)
            self._gone(name)

    def on_leave(self, name: str, _: int) -> None:
        if len(self.records) > 2:
            expel(self.company, name, [name])
            self._gone(name)

    def on_rotate(self, name: str, _: int) -> None:
        try:
            rotate(self.company, name, self.counter)
        except AgentError as refused:
            assert "once for each block" in str(refused)
        else:
            self.records[name] = record_of(enrolment_of(name, self.company.keys[name]))

    def on_rebuild(self, name: str, _: int) -> None:
        self.company.start(name)

    def on_train(self, _: str, number: int) -> None:
        self.company.blocks(1 + number % 2)

    def on_half(self, _: str, number: int) -> None:
        for _step in range(number):
            if not self.company.step():
                self.company.pass_time()

    def on_late(self, _: str, __: int) -> None:
        self.company.pass_time()

    def _admitted(self, name: str) -> None:
        generation = self.counter
        admit(self.company, name, self.voters(name), generation=generation)
        self.records[name] = record_of(enrolment_of(name, keys_of(name, generation)))

    def _gone(self, name: str) -> None:
        del self.records[name]
        del self.company.agents[name]

    def settle(self) -> None:
        """Let what is decided take effect, with old keys still speaking where they count; then compare."""
        company = self.company
        for _ in range(5_000):
            if not company.state.members_changing:
                break
            if not company.step():
                company.pass_time()
        state = company.state
        assert state.member_records == tuple(self.records[name] for name in sorted(self.records))
        self.sets.append(self.digest)
        assert state.turn.member is None or state.turn.member in state.members
        for name in company.agents:
            kinds = [duty.kind for duty in company.contract.duties(state, MemberId(name), company.now)]
            assert name in state.members or not kinds

    def check(self) -> None:
        company = self.company
        blocks = [chained.block for chained in company.state.blocks()]
        for before, block in pairwise(blocks):
            size = len(block.strengths)
            assert block.previous == before.hash
            assert block.members in self.sets
            assert set(block.strengths) <= set(block.contributions)
            assert {block.contributor, block.general} - {None} <= set(block.strengths)
            assert len(block.committee) == committee_size(size)
            assert set(block.committee) < set(block.strengths)
            assert sum(vote.vote == "yes" for vote in block.votes) >= quorum(len(block.committee))
            assert sum(block.contributions.values()) == sum(before.contributions.values()) + block.samples
        verified = company.verified()
        assert verified.entries == len(company.ledger)
        assert company.contract.view(verified.state).member_records == company.state.member_records
        if verified.cosigned is not None:
            assert len(verified.cosigned.members) >= head_quorum(2)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.sampled_from([0, 0, 2]), st.sampled_from(["lease", "free"]))
def test_whatever_happens_to_the_members_the_chain_stays_sound(
    steps: list[tuple[str, int]], hidden: int, turns: str
) -> None:
    model = Model(Company(list(FOUNDERS), hidden=hidden, turns=turns))
    model.company.blocks(1)
    for event, number in steps:
        model.do(event, number)
    model.company.blocks(3)
    model.settle()
    model.check()
