"""Members with real keys, that come, go and rotate: agents on one ledger in memory, with models that take no time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tests.protocols.vaults import confidential
from tests.protocols.world import MINUTE, START, charter

from tclearn.agents import Agent, MemoryOutbox, Site
from tclearn.coalition.acceptance import ANCHORED
from tclearn.coalition.admission import admitted
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord, ModelTerms, ScheduleTerms, TensorRecord
from tclearn.encoding import MemberId, digest
from tclearn.errors import Code, StorageError
from tclearn.identity import Signer
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.verify import Terms, Verified, verify
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.duties import deadlines
from tclearn.protocols.tclearn.memo import Memo
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm.toys import GLOBAL_N, Looking, Toy
from tclearn.store import MemoryStore

NOW = datetime.fromtimestamp(START / 1000, UTC)
LOG = Signer(digest("log of a company"))
LOOKING = Looking()
_ENROLMENTS: dict[tuple[str, bytes], bytes] = {}


def keys_of(name: str, generation: int = 0) -> MemberKeys:
    """Keys that a member has made: number 0 at first, others when it has lost them."""
    return MemberKeys.from_entropy(hashlib.sha512(f"{name}/{generation}".encode()).digest())


def enrolment_of(name: str, keys: MemberKeys) -> bytes:
    """The file that it sends to the others: made once, for ECDSA signatures differ each time."""
    return _ENROLMENTS.setdefault((name, keys.signer.public), write_enrolment(MemberId(name), keys, NOW))


def record_of(enrolment: bytes) -> MemberRecord:
    return admitted(read_enrolment(enrolment, NOW))


def terms(names: list[str], **changes: object) -> ResolvedCharter:
    initial = Toy("").initial(0)
    layout = tuple(TensorRecord(each.name, each.dtype, each.shape) for each in initial.layout)
    members = tuple(record_of(enrolment_of(name, keys_of(name))) for name in sorted(names))
    base = charter(4)
    return replace(
        base,
        members=members,
        log_key=LOG.public,
        model=ModelTerms("tests:model", {}, 1, digest("source"), layout, initial.digest),
        task=replace(base.task, global_n=GLOBAL_N),
        schedule=replace(
            ScheduleTerms("lease", 30 * MINUTE, 30 * MINUTE, 30 * MINUTE, 1, 3, stop_blocks=1000),
            **changes,  # type: ignore[arg-type]
        ),
    )


@dataclass
class Company:
    """A coalition in memory.

    Attributes:
        names: who founds it.
        hidden: parts that each member hides at a time; with them the rule looks at hidden parts.
        stop: increments after which nobody trains any more.
        confidential: whether its charter is of level B.
    """

    names: list[str]
    hidden: int = 0
    turns: str = "lease"
    now: int = START
    stop: int = 1000
    confidential: bool = False

    def __post_init__(self) -> None:
        self.charter = terms(self.names, turns=self.turns, stop_blocks=self.stop)
        if self.confidential:
            self.charter = replace(self.charter, **confidential())  # type: ignore[arg-type]
        self.contract = TCLearn(self.charter, LOOKING if self.hidden else ANCHORED)
        self.ledger: MemoryLedger[State] = MemoryLedger(self.contract, self.charter.digest, clock=lambda: self.now)
        self.store = MemoryStore()
        self.keys = {name: keys_of(name) for name in self.names}
        self.agents: dict[str, Agent[State]] = {}
        self.generations = dict.fromkeys(self.names, 0)
        for name in self.names:
            self.start(name)

    @property
    def state(self) -> State:
        return self.ledger.state()

    @property
    def coalition(self):
        return self.charter.digest

    def start(self, name: str, outbox: MemoryOutbox | None = None, drafts: MemoryStore | None = None) -> None:
        """A member's agent, with what it has on its disk; without anything, it is rebuilt from its key alone."""
        keys = self.keys[name]
        site = Site(
            member=MemberId(name),
            coalition=self.charter.digest,
            signer=keys.signer,
            store=self.store,
            drafts=drafts or MemoryStore(),
            trainer=Toy(name, parts=self.hidden),
            outbox=outbox or MemoryOutbox(),
            clock_ms=lambda: self.now,
            secret=keys.derive("site"),
            earlier=keys.earlier,
        )
        self.agents[name] = Agent(Participant(replace(self.contract, _memo=Memo())), self.ledger, site)

    def restart(self, name: str) -> None:
        """Its process ends and starts again, with its disk and with the keys that it has now."""
        site = self.agents[name].site
        self.start(name, site.outbox, site.drafts)  # type: ignore[arg-type]

    def step(self, silent: tuple[str, ...] = ()) -> bool:
        """One duty of one member; whether there was any."""
        speaking = [name for name in sorted(self.agents) if name not in silent and self.is_in(name)]
        return any(self._spoke(self.agents[name]) for name in speaking)

    @staticmethod
    def _spoke(agent: Agent[State]) -> bool:
        try:
            return agent.step()
        except StorageError as error:
            assert error.code is Code.OBJECT_MISSING  # what it was about to release is lost with its disk
            return False

    def is_in(self, name: str) -> bool:
        return self.state.member_of(self.keys[name].signer.public) == name

    def until(self, increments: int, silent: tuple[str, ...] = ()) -> None:
        """Work until there are so many increments; deadlines pass when nobody has anything to say."""
        for _ in range(20_000):
            if self.state.increments >= increments:
                return
            if not self.step(silent):
                self.pass_time()
        raise AssertionError("it did not come to this")

    def pass_time(self) -> None:
        ahead = [each.due_ms for each in deadlines(self.state) if each.due_ms > self.now]
        self.now = min(ahead, default=self.now + MINUTE)

    def blocks(self, count: int = 1, silent: tuple[str, ...] = ()) -> None:
        self.until(self.state.increments + count, silent)

    def blocks_until(self, reached: Callable[[], bool], most: int = 120) -> None:
        """Block after block: who is drawn is chance, for certificates, and so the charter, differ in each run."""
        for _ in range(most):
            if reached():
                return
            self.blocks()
        raise AssertionError("it did not come to this")

    def sealed_by(self, name: str, start: int) -> list[int]:
        """The blocks from an index on that a member has sealed."""
        return [index for index in range(start, self.state.tip + 1) if self.state.block(index).general == name]

    def signer(self, name: str) -> Signer:
        return self.keys[name].signer

    def exported(self) -> bytes:
        stream = io.BytesIO()
        write_export(stream, self.charter.encode(), self.ledger, LOG)
        return stream.getvalue()

    def verified(self) -> Verified:
        """What somebody else finds who has nothing but the export and the charter's digest."""
        fresh = TCLearn(self.charter, self.contract.rule)
        return verify(io.BytesIO(self.exported()), lambda _: Terms(fresh, LOG.public), self.charter.digest)
