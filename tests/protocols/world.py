"""A coalition reduced to its contract: calls go straight in, time is a number, models are digests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

from tclearn.coalition.acceptance import ANCHORED, PAPER, AcceptanceRule, Guard, Terms, Threshold
from tclearn.coalition.evidence import HIDDEN, Evidence, Paired
from tclearn.coalition.hidden import part_commitment
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.strict import STRICT
from tclearn.coalition.terms import (
    AcceptanceTerms,
    GovernanceTerms,
    LearningRateTerms,
    MemberRecord,
    ModelTerms,
    ScheduleTerms,
    TaskTerms,
    TensorRecord,
)
from tclearn.coalition.verdict import Verdict, commitment
from tclearn.encoding import Digest, MemberId, Value, digest, encode
from tclearn.identity import Signer
from tclearn.identity.seed_chain import links, tip
from tclearn.ledger import Context, Head, Rejected
from tclearn.ledger.cosigning import Cosignature, cosign
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.drawing import settled
from tclearn.protocols.tclearn.duties import deadlines
from tclearn.protocols.tclearn.hiding import parts_before
from tclearn.protocols.tclearn.records import Candidate, ChainedBlock
from tclearn.protocols.tclearn.refusals import Refusal
from tclearn.protocols.tclearn.sealing import to_endorse
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record

MINUTE = 60_000
START = 1_767_225_600_000
GLOBAL_N = 100


def names(n: int) -> list[MemberId]:
    return [MemberId(f"m{i:02d}") for i in range(n)]


def signer(member: str) -> Signer:
    return Signer(digest("test key", member))


def charter(n: int = 4, **changes: object) -> ResolvedCharter:
    members = tuple(MemberRecord(m, signer(m).public, tip(chain_secret(m)), "seed") for m in names(n))
    base = ResolvedCharter(
        format=1,
        name="test",
        protocol="tclearn",
        level="A",
        contracts=("tclearn/1",),
        members=members,
        log_key=signer("log").public,
        model=ModelTerms("tests:model", {}, 1, digest("source"), (TensorRecord("w", "F32", (1,)),), digest("M_0")),
        task=TaskTerms("accuracy", digest("G"), GLOBAL_N, 100_000),
        local_results="counts",
        acceptance=AcceptanceTerms("paper", 980_000, {}),
        schedule=ScheduleTerms("lease", 30 * MINUTE, 30 * MINUTE, 30 * MINUTE, 1, 3, stop_blocks=100),
        trainer="torch",
        step_search="none",
        hyperparameters={"epochs": 5, "learning_rate": 1_000_000},
        governance=GovernanceTerms(("epochs", "learning_rate"), ()),
        data_key=digest("data key"),
        learning_rate=LearningRateTerms("plateau", 500_000, 1, 1_000),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def chain_secret(member: str, epoch: int = 0) -> bytes:
    return signer(member).derive("seed chain" if epoch == 0 else f"seed chain {epoch}")


@cache
def all_links(member: str, epoch: int) -> tuple[Digest, ...]:
    return links(chain_secret(member, epoch))


def measured(right: int, before: int = 50, n: int = GLOBAL_N) -> Paired:
    return Paired(n, n, before, right, max(before - right, 0), max(right - before, 0))


def verdict(
    right: int,
    before: int = 50,
    local: Paired | None = None,
    on_hidden: Paired | None = None,
    drift: Paired | None = None,
) -> Verdict:
    return Verdict("tested", Evidence(measured(right, before), local, on_hidden=on_hidden, drift=drift))


@dataclass(frozen=True, slots=True)
class Looking(Threshold):
    """``anchored``, and it looks at hidden parts as ``strict`` does."""

    name: str = "looking"
    wants: frozenset[str] = frozenset({HIDDEN})

    def reference(self, previous: int, best: int) -> int:
        return best

    def drifted(self, total: Paired, terms: Terms) -> Guard:
        return STRICT.drifted(total, terms)


LOOKING = Looking()
PART_N = 40
"""Records of every hidden part."""


def part(member: str, number: int) -> tuple[Digest, bytes]:
    """Digest and salt of a member's hidden part."""
    return digest("hidden records", member, number), digest("hidden salt", member, number)


def ids(*numbers: int) -> bytes:
    return b"".join(sorted(digest("record", number)[:16] for number in numbers))


@dataclass
class World:
    """The state, the clock, and what a member would have to remember.

    Unless it is ``quick``, it encodes the whole state before and after every call.
    """

    n: int = 4
    changes: dict[str, object] = field(default_factory=dict)
    now: int = START
    quick: bool = False
    rule: AcceptanceRule | None = None

    def __post_init__(self) -> None:
        self.charter = charter(self.n, **self.changes)
        rules: dict[str, AcceptanceRule] = {"anchored": ANCHORED, "strict": STRICT}
        self.contract = TCLearn(self.charter, self.rule or rules.get(self.charter.acceptance.rule, PAPER))
        self.view: dict[str, Value] = {
            key: value for key, value in self.contract.genesis().items() if value is not None
        }
        self.index = 0
        self.records = 0
        self.log: list[tuple[MemberId, Record]] = []

    @property
    def state(self) -> State:
        return self.contract.view(dict(self.view))

    @property
    def members(self) -> tuple[MemberId, ...]:
        return self.state.members

    def say(self, member: str, arguments: Record) -> None:
        """Apply a call; a refusal is raised and changes nothing."""
        call = calls.call(arguments)
        before = b"" if self.quick else encode(self.view)
        try:
            writes = self.contract.apply(self.view, call, Context(self.index, self.now, MemberId(member)))
        except Rejected:
            assert self.quick or encode(self.view) == before, "a refused call changed the state"
            raise
        finally:
            self.index += 1
        for key, value in writes.items():
            if value is None:
                self.view.pop(key, None)
            else:
                self.view[key] = value
        if not self.quick:
            encode(self.view)  # whatever is in the state can be encoded

    def refused(self, member: str, arguments: Record) -> Refusal:
        """Apply a call that must be refused; returns why."""
        try:
            self.say(member, arguments)
        except Rejected as rejected:
            assert rejected.reason
            return Refusal(rejected.code)
        raise AssertionError(f"{type(arguments).__name__} was not refused")

    def duties(self, member: str) -> list[str]:
        return [duty.kind for duty in self.contract.duties(self.state, MemberId(member), self.now)]

    # --- the usual course, in one line each ------------------------------------------------------------------------

    def propose(self, member: str, *, records: bytes | None = None, parameters: Digest | None = None) -> Candidate:
        if records is None:
            records = ids(*range(self.records, self.records + 10))
            self.records += 10
        parameters = parameters or digest("model", self.index)
        newest = self.state.block(self.state.tip)
        number = self.state.candidates
        samples = len(records) // 16
        self.say(member, calls.Propose(newest.hash, parameters, digest("file", parameters), samples, 1, records))
        return self.state.candidate(number)

    def release(self, candidate: Candidate) -> Candidate:
        self.say(candidate.proposer, calls.Release(candidate.id))
        return self.state.candidate(candidate.number)

    def hide(self, member: str, count: int = 2) -> None:
        """Commit to so many parts."""
        self.say(member, self.hiding(member, count))

    def hiding(self, member: str, count: int = 2) -> calls.Hide:
        keeper = MemberId(member)
        first = parts_before(self.state, keeper)
        numbers = range(first, first + count)
        opened = [(number, *part(member, number)) for number in numbers]
        return calls.Hide(
            first, tuple(part_commitment(self.charter.digest, keeper, i, r, PART_N, s) for i, r, s in opened)
        )

    def show(self, candidate: Candidate, **changes: object) -> Candidate:
        """What the keeper that is asked shows."""
        assert candidate.asked is not None
        self.say(candidate.asked.keeper, replace(self.showing(candidate), **changes))  # type: ignore[arg-type]
        return self.state.candidate(candidate.number)

    def showing(self, candidate: Candidate) -> calls.Show:
        asked = candidate.asked
        assert asked is not None
        records, salt = part(asked.keeper, asked.number)
        return calls.Show(candidate.id, asked.first, asked.number, digest("part file"), records, PART_N, salt)

    def commit(self, member: str, candidate: Candidate, said: Verdict) -> None:
        self.say(member, self.commitment(member, candidate, said))

    def commitment(self, member: str, candidate: Candidate, said: Verdict) -> calls.Commit:
        promise = commitment(self.charter.digest, candidate.id, candidate.attempt, MemberId(member), said, b"salt")
        return calls.Commit(candidate.id, candidate.attempt, promise)

    def reveal(self, member: str, candidate: Candidate, said: Verdict) -> None:
        self.say(member, calls.Reveal(candidate.id, candidate.attempt, said, b"salt"))

    def offer(self, member: str) -> Candidate:
        return self.release(self.propose(member))

    def vote(self, candidate: Candidate, verdicts: dict[MemberId, Verdict] | Verdict) -> Candidate:
        """All of the committee commit, then reveal."""
        said = verdicts if isinstance(verdicts, dict) else dict.fromkeys(candidate.committee, verdicts)
        for member in candidate.committee:
            if member in said:
                self.commit(member, candidate, said[member])
        for member in candidate.committee:
            if member in said:
                self.reveal(member, candidate, said[member])
        return self.state.candidate(candidate.number)

    def seal(self) -> None:
        pending = self.state.pending
        assert pending is not None
        self.say(pending.general, calls.Seal(pending.height, self.link(pending.general)))

    def link(self, member: MemberId) -> Digest:
        """The next link of a member's seed chain; any, when there is none."""
        epoch, used = self.state.seed_chain(member).next_link(settled(self.state)) or (0, 0)
        return all_links(member, epoch)[used + 1]

    def endorse(self, member: str) -> None:
        chained = next(to_endorse(self.state))
        self.say(member, self.endorsement(member, chained))

    def endorsement(self, member: str, chained: ChainedBlock) -> calls.Endorse:
        return calls.Endorse(chained.block.hash, self.cosignature(member, (chained.entry or 0) + 1))

    def cosignature(self, member: str, size: int) -> Cosignature:
        head = Head(size, digest("root", size), digest("results", size), self.now)
        return cosign(signer(member), self.charter.digest, head, self.now // 1000)

    def chain(self) -> None:
        """Seal and endorse what is pending."""
        tip_before = self.state.tip
        self.seal()
        for member in self.state.members:
            if self.state.tip == tip_before:
                self.endorse(member)

    def block(self, member: str | None = None, right: int = 60, before: int = 50) -> None:
        """One whole accepted increment."""
        proposer = member or self.state.turn.member
        assert proposer is not None
        self.vote(self.offer(proposer), verdict(right, before))
        self.chain()

    def timeout(self, kind_of_due: int = 0) -> None:
        """Let the nearest deadline pass, and say so."""
        nearest = min(deadlines(self.state), key=lambda deadline: deadline.due_ms)
        self.now = max(self.now, nearest.due_ms)
        self.say(self.members[-1], calls.Timeout(nearest.subject))
