"""Valid inputs, made with the program: two coalitions that say everything that can be said, and files of all kinds."""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from tests.coalition.charters import EVERY_KEY, TOML, resolved
from tests.fuzz.forms import Element, Leaf, read_der, write_cbor, write_der
from tests.identity.members import LEUVEN, NOW, keys
from tests.protocols.world import PART_N, START, World, chain_secret, ids, measured, signer, verdict

from tclearn.agents.outbox import FileOutbox
from tclearn.coalition.evidence import ClassCounts, Evidence, Paired, Step
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import decode, digest, encode
from tclearn.identity import Signer, open_signed, sign
from tclearn.identity.enrolment import write_enrolment
from tclearn.identity.pem import Block, read_pem, write_pem
from tclearn.identity.seed_chain import tip
from tclearn.learning.canonical import DTYPES
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Rejected, Transaction
from tclearn.ledger.cosigning import Cosignature, cosign
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.merkle import leaf_hash
from tclearn.ledger.replica import Replica, Restored
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.refusals import Refusal
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record

FAR_MS = START + (1 << 40)
SENDERS = ("m00", "m01", "m02", "m03", "log", "nobody")


@cache
def folder() -> Path:
    """A folder for files, in memory where the system has such, gone with the process."""
    place = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=place if place.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@dataclass
class Told(World):
    """A world whose calls are signed and logged."""

    ledger: MemoryLedger[State] = field(init=False)
    transactions: list[tuple[int, Transaction]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ledger = MemoryLedger(self.contract, self.charter.digest, clock=lambda: self.now)

    def say(self, member: str, arguments: Record) -> None:
        who = signer(member)
        transaction = Transaction.signed(
            who,
            self.charter.digest,
            calls.call(arguments),
            sequence=self.ledger.next_sequence(who.public),
            expires_ms=self.now + 3_600_000,
        )
        outcome = self.ledger.outcome(self.ledger.submit(transaction))
        assert outcome is not None
        self.transactions.append((self.now, transaction))
        self.index += 1
        self.now += 1000
        self.view = dict(self.ledger._replica.state())
        if outcome.code:
            raise Rejected(outcome.code, outcome.reason)

    def cosignature(self, member: str, size: int) -> Cosignature:
        return cosign(signer(member), self.charter.digest, self.ledger.head(size), self.now // 1000)

    def has_general(self) -> bool:
        """Whether the pending block still has a general; if not, it is finalized."""
        try:
            self.say("m00", calls.Finalize(self.state.tip + 1))
        except Rejected as rejected:
            return rejected.code == Refusal.GENERALS_LEFT
        return False

    def export(self) -> bytes:
        stream = io.BytesIO()
        write_export(stream, self.charter.encode(), self.ledger, signer("log"))
        return stream.getvalue()


@cache
def story() -> Told:
    """A coalition of four that has said everything: each method, each deadline, each end of a candidate."""
    told = Told(4)
    told.timeout()  # the first turn gets its deadline
    told.block()
    one = told.state.turn.member or ""
    newest = told.state.block(told.state.tip).hash
    blob = ids(*range(900, 906))
    told.say(one, calls.Declare(newest, blob[:48]))
    told.say(one, calls.Propose(newest, digest("model", "declared"), digest("file"), 6, 1, blob[48:]))
    voted = told.release(told.state.candidate(told.state.candidates - 1))
    said = {member: verdict(20, local=measured(3, 9, 10)) for member in voted.committee}
    told.vote(voted, said)
    assert told.state.candidate(voted.number).status == "rejected"
    told.say(told.state.turn.member or "", calls.Pass(newest, told.state.turn.number))
    change = calls.Change("hyperparameters", told.state.tip + 1, values={"epochs": 7, "learning_rate": 500_000})
    told.say("m00", calls.Request(change))
    for member in ("m01", "m02"):
        told.say(member, calls.Approve(digest("tclearn/change/1", change.to_value())))
    told.propose(told.state.turn.member or "")
    told.timeout()  # never released
    voted = told.vote(told.offer(told.state.turn.member or ""), verdict(70))
    while told.has_general():
        told.timeout()  # it does not seal
    candidate = told.offer(told.state.turn.member or "")
    silent, unavailable, *others = candidate.committee
    told.commit(unavailable, candidate, Verdict("unavailable"))
    for member in others:
        told.commit(member, candidate, verdict(66))
    told.timeout()  # one does not commit
    told.reveal(unavailable, candidate, Verdict("unavailable"))
    told.timeout()  # others do not reveal
    told.refused(silent, calls.Release(candidate.id))
    back = calls.Change("revert", told.state.tip + 1, target=0)
    told.say("m03", calls.Request(back))
    for member in ("m00", "m01"):
        told.say(member, calls.Approve(digest("tclearn/change/1", back.to_value())))
    told.chain()
    told.endorse(next(m for m in told.members if m not in told.state.chained(told.state.tip).endorsements))
    with suppress(Rejected):  # its seed chain is not used up
        told.say("m02", calls.Renew(tip(chain_secret("m02", 1))))
    told.block(right=80)
    return told


@cache
def free_story() -> Told:
    """Two members, free turns, only votes on L, measured by AUC."""
    base = World(2).charter
    schedule = replace(base.schedule, turns="free", stop_blocks=None, stop_performance_ppm=900_000)
    task = replace(base.task, metric="auc")
    told = Told(2, {"schedule": schedule, "task": task, "local_results": "vote", "learning_rate": None})
    for right in (600_000, 950_000):
        candidate = told.offer("m00" if right < 900_000 else "m01")
        paired = replace(measured(0, 0), scale=1_000_000, reference=500_000, candidate=right, lost=0, gained=0)
        told.vote(candidate, Verdict("tested", Evidence(paired), 1))
        told.chain()
    return told


@cache
def hidden_story() -> Told:
    """Three members with hidden parts: one is shown, one is not, and a model is taken back."""
    told = Told(3, {"acceptance": replace(World(3).charter.acceptance, rule="strict")})
    for member in told.members:
        told.hide(member, 3)

    def said(right: int, drift: Paired | None = None) -> Verdict:
        classes, on_hidden = (ClassCounts(10, 1, 2),), measured(30, 30, PART_N)
        evidence = Evidence(measured(right, 50), classes=classes, step=Step(), on_hidden=on_hidden, drift=drift)
        return Verdict("tested", evidence)

    for right in (60, 59):
        told.vote(told.show(told.offer(told.state.turn.member or "")), said(right))
        told.chain()
    candidate = told.offer(told.state.turn.member or "")
    told.timeout()  # the keeper does not show
    assert told.state.candidate(candidate.number).status == "testing"
    told.timeout()  # nobody tests
    told.vote(told.show(told.offer(told.state.turn.member or "")), said(10, measured(10, 30, PART_N)))
    told.chain()
    assert told.state.block(told.state.tip).reverts == 1
    return told


@dataclass(frozen=True)
class Moment:
    """A replica that has just logged so many entries, and what was said next."""

    told: Told
    replica: Replica[State]
    now_ms: int
    next: Transaction | None


@cache
def moments() -> tuple[Moment, ...]:
    """Every state that the stories go through; at most 256."""
    found = []
    for told in (story(), free_story(), hidden_story()):
        contract, coalition = told.contract, told.charter.digest
        replica = Replica(contract, coalition)
        entries: list[Restored] = []
        for now, transaction in (*told.transactions, (told.now, None)):
            found.append(
                Moment(told, Replica.restored(contract, coalition, replica.state(), entries), now, transaction)
            )
            if transaction is None:
                break
            applied = replica.append(transaction.raw, now)
            replica.commit()
            entries.append(
                Restored(transaction.id, leaf_hash(applied.entry.encode()), now, applied.results, applied.outcome)
            )
    assert len(found) <= 256
    return tuple(found)


@cache
def senders() -> tuple[Signer, ...]:
    return tuple(map(signer, SENDERS))


def sender_index(key: bytes) -> int:
    return next(at for at, each in enumerate(senders()) if each.public == key)


@cache
def said() -> tuple[tuple[int, int, Transaction], ...]:
    """Everything that was said: in which moment, by which of the senders."""
    return tuple(
        (at, sender_index(moment.next.signer), moment.next) for at, moment in enumerate(moments()) if moment.next
    )


# --- files -----------------------------------------------------------------------------------------------------------


@cache
def small_export() -> bytes:
    return free_story().export()


@cache
def ledger_file() -> bytes:
    """A ledger's file after the writer has closed it, with pages of 512 bytes so that it has many."""
    told = free_story()
    path = folder() / "sample.sqlite"
    times = iter([now for now, _ in told.transactions])
    with EmbeddedLedger(path, told.contract, told.charter.digest, clock=lambda: next(times)) as ledger:
        for _, transaction in told.transactions:
            ledger.submit(transaction)
        connection = ledger._database._connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return _with_small_pages(path)


@cache
def outbox_file() -> bytes:
    path = folder() / "sample-outbox.sqlite"
    with FileOutbox(path) as outbox:
        for _, _, transaction in said()[:40]:
            outbox.put(transaction.id, transaction.call)
    return _with_small_pages(path)


def _with_small_pages(path: Path) -> bytes:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("VACUUM")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path.read_bytes()


@cache
def models() -> tuple[bytes, ...]:
    one = {"w": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.array(1, np.float32)}
    every = {name: np.zeros((2, 3), dtype) for name, dtype in DTYPES.items()} | {"none": np.zeros((0, 4), np.float64)}
    return (
        Parameters(one).to_bytes(),
        Parameters(every).to_bytes(),
        safetensors.numpy.save(one, metadata={"format": "pt", "__metadata__": "x"}),
        safetensors.numpy.save({"bf": np.zeros(3, np.uint32), "é∑": np.zeros((1,) * 5, np.int8)}),
    )


@cache
def to_be_signed() -> tuple[bytes, bytes]:
    """Of the two certificates, the part that the root's key signs."""
    blocks = read_pem(write_enrolment(LEUVEN, keys(), NOW))
    root, key = (write_der(read_der(block.content)[0][1]) for block in blocks[:2])
    return root, key


def certified(tbs: bytes) -> bytes:
    """A certificate that the root's key has signed, whatever it says; the same bytes every time."""
    signature = keys().root.sign(tbs, ec.ECDSA(SHA256(), deterministic_signing=True))
    algorithm = Element([0x30, Leaf([6, bytes.fromhex("2a8648ce3d040302")])])
    return write_der(Element([0x30, tbs, algorithm, Leaf([3, b"\0" + signature])]))


@cache
def statement() -> bytes:
    """What the transaction key says of the root."""
    said = decode(open_signed(read_pem(write_enrolment(LEUVEN, keys(), NOW))[2].content).payload)
    assert isinstance(said, dict)
    return encode(said | {"certificate": hashlib.sha256(certified(to_be_signed()[0])).digest()})


@cache
def certificates() -> tuple[bytes, bytes]:
    root, key = map(certified, to_be_signed())
    return root, key


@cache
def enrolment() -> bytes:
    blocks = [Block("CERTIFICATE", each) for each in certificates()]
    return write_pem(*blocks, Block("TCLEARN ENROLMENT", sign(keys().signer, statement(), b"TCLearn/enrolment/v1")))


SITE = """# where the data are
data = "hospital.data:records"
global_test = "hospital.data:global_test"
local_test = "hospital.data:local_test"
device = "cpu"
threads = 2
"""


def charter_texts() -> list[bytes]:
    dated = TOML.replace("stop            = { blocks = 28 }", "stop.until = 2030-06-30T18:00:00+02:00")
    return [text.encode() for text in (TOML, EVERY_KEY, dated)]


@cache
def charters() -> tuple[ResolvedCharter, ...]:
    return (resolved(), resolved(TOML), story().charter, free_story().charter)


def cbor_array(*items: bytes) -> bytes:
    return write_cbor(list(items))
