"""Targets: what members and the sequencer say, byte by byte, signed by strangers and signed by members."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any, Final

from tests.fuzz import samples
from tests.fuzz.forms import head as cbor_head
from tests.fuzz.harness import Target
from tests.fuzz.mutators import array, cbor, either, text
from tests.protocols.world import GLOBAL_N, PART_N, World, measured, signer, verdict

from tclearn.coalition.block import Block
from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.hidden import Hidden, Part
from tclearn.coalition.rate import RateState
from tclearn.coalition.resolved import ResolvedCharter
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
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, Value, decode, encode, encode_plain
from tclearn.errors import MessageError, TCLearnError, VerificationError
from tclearn.identity import PublicKey, open_signed, sign
from tclearn.ledger import Call, Context, Entry, Rejected, Transaction
from tclearn.ledger.checkpoint import Note, body
from tclearn.ledger.checkpoint import sign as sign_head
from tclearn.ledger.contract import Head
from tclearn.ledger.cosigning import Cosignature, verify_cosignature
from tclearn.ledger.export import FORMAT, ExportReader
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.verify import verify
from tclearn.limits import REASON_CHARACTERS_MAX
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.duties import deadlines
from tclearn.protocols.tclearn.governing import open_changes
from tclearn.protocols.tclearn.history import history
from tclearn.protocols.tclearn.records import (
    Candidate,
    ChainedBlock,
    ChangeState,
    Declared,
    Drift,
    Kept,
    Pending,
    SeedChain,
    Turn,
)
from tclearn.records import Record

_TRANSACTION: Final = b"TCLearn/tx/v1"
_FIRST: Final = cbor_head(3, len(FORMAT)) + FORMAT.encode()

# --- the encoding, and records over it -------------------------------------------------------------------------------


def _value(data: bytes) -> object:
    value = decode(data)
    assert encode(value) == data
    return type(value)


def _values() -> list[bytes]:
    return [open_signed(transaction.raw).payload for _, _, transaction in samples.said()] + _records()[:20]


RECORDS: Final[dict[str, type[Record]]] = {
    kind.__name__: kind
    for kind in (
        *calls.METHODS.values(),
        *(AcceptanceTerms, Block, Call, Candidate, ChainedBlock, ChangeState, calls.Change, Cosignature, Declared),
        *(Entry, Evidence, GovernanceTerms, LearningRateTerms, MemberRecord, ModelTerms, Paired, Pending, RateState),
        *(Drift, Hidden, Kept, Part, ResolvedCharter, ScheduleTerms, SeedChain, TaskTerms, TensorRecord, Turn, Verdict),
    )
}
_STATE: Final[dict[str, type[Record]]] = {
    "block": ChainedBlock,
    "candidate": Candidate,
    "chain": SeedChain,
    "kept": Kept,
    "drift": Drift,
    "change": ChangeState,
    "declared": Declared,
    "pending": Pending,
    "rate": RateState,
    "turn": Turn,
}


@cache
def _records() -> list[bytes]:
    found: dict[str, list[Value]] = {}
    for _, _, transaction in samples.said():
        found.setdefault(calls.METHODS[transaction.call.method].__name__, []).append(transaction.call.arguments)
    for moment in samples.moments():
        for key, value in moment.replica.state().items():
            kind = _STATE.get(key.partition("/")[0])
            if kind is not None and isinstance(value, dict):
                found.setdefault(kind.__name__, []).append(value)
    for charter in samples.charters():
        for record in (charter, charter.model, charter.task, charter.acceptance, charter.schedule, charter.governance):
            found.setdefault(type(record).__name__, []).append(record.to_value())
        found.setdefault("MemberRecord", []).append(charter.members[0].to_value())
    some = {kind: values[:: len(values) // 8 + 1] for kind, values in found.items()}
    return list({encode([kind, value]): None for kind, values in some.items() for value in values})


def _record(data: bytes) -> object:
    found = decode(data)
    if not isinstance(found, list) or len(found) != 2 or not isinstance(found[0], str):
        return None
    kind = RECORDS.get(found[0])
    if kind is None:
        return None
    record = kind.from_value(found[1], "there")
    assert encode(record.to_value()) == encode(found[1])
    if isinstance(record, Verdict):
        record.fault(metric="auc", global_n=GLOBAL_N, local_counts=True)
        record.fault(metric="accuracy", global_n=GLOBAL_N, local_counts=True, hidden_n=PART_N, drifting=True)
    return kind


# --- transactions and entries ----------------------------------------------------------------------------------------


def _transaction(data: bytes) -> object:
    transaction = Transaction.parse(data)
    signed = open_signed(data)
    assert transaction.raw == data
    assert decode(signed.payload) == {
        "contract": transaction.call.contract,
        "method": transaction.call.method,
        "arguments": transaction.call.arguments,
        "sequence": transaction.sequence,
        "expires_ms": transaction.expires_ms,
    }
    Transaction.parse_checked(data, samples.story().charter.digest)
    assert any(data == known.raw for _, _, known in samples.said()), "a signature that nobody made"
    return "signed"


def _entry(data: bytes) -> object:
    entry = Entry.parse(data)
    assert entry.encode() == data
    assert decode(data, size_max=len(data)) == entry.to_value()
    Transaction.parse(entry.transaction)
    return "entry"


@cache
def _entries() -> list[bytes]:
    told = samples.story()
    return [item.entry.encode() for item in told.ledger.entries(0, len(told.ledger))]


def _payload(data: bytes) -> object:
    """The payload of a transaction that a member has signed: which moment, which sender, and what it says."""
    moment, who, payload = data[:1], data[1:2], data[2:]
    here = samples.moments()[(moment or b"\0")[0] % len(samples.moments())]
    replica, senders = here.replica, samples.senders()
    raw = sign(senders[(who or b"\0")[0] % len(senders)], payload, _TRANSACTION + replica.coalition)
    size, before = len(replica), replica.head(len(replica))
    try:
        applied = replica.append(raw, here.now_ms)
        assert Entry.parse(applied.entry.encode()) == applied.entry
        _look(replica.contract.view(replica.state()), here.now_ms)
        reason = applied.outcome.reason
        assert len(reason) <= REASON_CHARACTERS_MAX and reason.isprintable(), reason
        if applied.outcome.code:
            assert set(applied.writes) == {f"ledger/sequence/{Transaction.parse(raw).signer.hex()}"}
        return applied.outcome.code
    finally:
        replica.rollback()
        assert len(replica) == size and replica.head(size) == before


def _payloads() -> list[bytes]:
    return [bytes([at, who]) + open_signed(raw.raw).payload for at, who, raw in samples.said()]


def _look(state: Any, now_ms: int) -> None:
    """Whatever the state has become, everything that is asked of it can be answered."""
    try:
        for member in state.members:
            samples.story().contract.duties(state, member, now_ms)
        list(deadlines(state)), history(state), open_changes(state)
    except TCLearnError as error:
        raise AssertionError("a state that cannot be read") from error


# --- calls: what a contract makes of arguments -----------------------------------------------------------------------


def _call(data: bytes) -> object:
    """A call in one of the moments: ``[moment, member, milliseconds later, method, arguments]``."""
    found = decode(data)
    match found:
        case [int(at), int(who), int(later), str(method), dict(arguments)] if 0 <= later < 1 << 62:
            here = samples.moments()[at % len(samples.moments())]
        case _:
            return None
    contract, view = here.told.contract, here.replica.state()
    members = contract.view(view).members
    sender = members[who % len(members)]
    said = Call(calls.CONTRACT, method, arguments)
    cosignature = contract.cosignature(said, sender)
    if cosignature is not None:
        with suppress(MessageError):
            verify_cosignature(PublicKey(samples.senders()[0].public), here.replica.coalition, cosignature)
    writes = contract.apply(view, said, Context(len(here.replica), here.now_ms + later, sender))
    after = {key: value for key, value in {**view, **writes}.items() if value is not None}
    encode(after)
    _look(contract.view(after), here.now_ms + later)
    return method


def _calls() -> list[bytes]:
    return [
        encode([at, who, 0, transaction.call.method, transaction.call.arguments])
        for at, who, transaction in samples.said()
    ]


# --- verdicts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Testing:
    # A coalition in which a candidate is being tested.
    world: World
    candidate: Candidate


@cache
def _testing() -> tuple[_Testing, ...]:
    found = []
    base = World(4).charter
    kinds = (("accuracy", "counts", "paper"), ("auc", "vote", "anchored"), ("dice", "counts", "paper"))
    for metric, local, rule in kinds:
        changes = {
            "task": replace(base.task, metric=metric),
            "local_results": local,
            "acceptance": replace(base.acceptance, rule=rule),
        }
        world = World(4, changes)
        found.append(_Testing(world, world.offer("m00")))
    return tuple(found)


def _verdict(data: bytes) -> object:
    """What validators say of a candidate: ``[which coalition, a verdict, another one]``; the third says the first's."""
    found = decode(data)
    match found:
        case [int(which), dict(one), dict(other)]:
            start = _testing()[which % len(_testing())]
        case _:
            return None
    said = [Verdict.from_value(value, "verdict") for value in (one, other, one)]
    assert [each.to_value() for each in said[:2]] == [one, other]
    world = replace(start.world)
    world.view = dict(start.world.view)
    ways = []
    for member, verdict_ in zip(start.candidate.committee, said, strict=True):
        world.commit(member, start.candidate, verdict_)
    for member, verdict_ in zip(start.candidate.committee, said, strict=True):
        try:
            world.reveal(member, start.candidate, verdict_)
        except Rejected as rejected:
            ways.append(rejected.code)
    _look(world.state, world.now)
    if world.state.pending is not None:
        world.now = world.state.pending.due_ms
        world.seal()
        for member in world.members[:3]:
            world.endorse(member)
        assert world.state.tip == 1
        _look(world.state, world.now)
    return (*ways, world.state.candidate(0).status)


def _verdicts() -> list[bytes]:
    auc = Paired(GLOBAL_N, 1_000_000, 500_000, 700_000, 0, 0)
    said = [
        verdict(60),
        verdict(20, local=measured(9, 3, 10)),
        Verdict("unavailable"),
        Verdict("tested", Evidence(auc), 1),
        Verdict("tested", Evidence(auc, replace(auc, n=7))),
    ]
    pairs = [*zip(said, said, strict=True), *pairwise(said)]
    return [encode([which, one.to_value(), two.to_value()]) for which in range(3) for one, two in pairs]


# --- checkpoints -----------------------------------------------------------------------------------------------------


def _note(data: bytes) -> object:
    note = Note.parse(data)
    assert note.encode() == data
    note.check(PublicKey(signer("log").public))
    return len(note.lines)


@cache
def _notes() -> list[bytes]:
    return [
        sign_head(signer("log"), told.charter.digest, told.ledger.head(size)).encode()
        for told in (samples.story(), samples.free_story())
        for size in (0, 1, len(told.ledger))
    ]


def _signed_note(data: bytes) -> object:
    """Any text over the signature of the log's key, as what somebody remembers of a record that verifies."""
    first, blank, _ = data.partition(b"\n\n")
    told = samples.free_story()
    said = first + b"\n" if blank else first
    empty = Head(0, Digest(bytes(32)), Digest(bytes(32)), 0)
    line = sign_head(signer("log"), told.charter.digest, empty).lines[0]
    signed = said + b"\n" + str(replace(line, signature=signer("log").sign(said))).encode()
    verified = verify(io.BytesIO(samples.small_export()), terms_of, told.charter.digest, since=signed, threads=1)
    assert verified.since is not None and body(told.charter.digest, verified.since) == said
    return verified.since.size


# --- exports ---------------------------------------------------------------------------------------------------------


def _export(data: bytes) -> object:
    told = samples.free_story()
    try:
        verify(io.BytesIO(data), terms_of, told.charter.digest, threads=1)
    except VerificationError:
        raise
    except TCLearnError as error:
        raise AssertionError("another kind of error than the verifier's") from error
    assert data == samples.small_export(), "a changed record verifies"
    return "verified"


def _operated(data: bytes) -> object:
    """A record whose operator signs whatever stands in it: ``[charter, entry, results, entry, results, …]``."""
    parts = decode(data, size_max=len(data))
    if not isinstance(parts, list) or not parts or not all(isinstance(part, bytes) for part in parts):
        return None
    charter, *rest = [bytes(part) for part in parts if isinstance(part, bytes)]
    coalition = Digest(hashlib.sha256(charter).digest())
    log, items, last = MerkleLog(), [_FIRST + encode_plain(charter)], Digest(bytes(32))
    time_ms = 0
    for entry, results in zip(rest[::2], rest[1::2], strict=False):
        last = Digest(results)
        log.append(leaf_hash(entry))
        items.append(b"\x82" + encode_plain(entry) + encode_plain(results))
        with suppress(MessageError):
            time_ms = Entry.parse(entry).time_ms
    note = sign_head(signer("log"), coalition, Head(len(log), log.root(len(log)), last, time_ms)).encode()
    items.append(encode_plain(note.decode()))
    stream = io.BytesIO(b"".join(items))
    try:
        return verify(stream, terms_of, coalition, threads=1).entries
    except VerificationError as error:
        return error.code, error.what.partition(":")[2][:30]


def _operated_samples() -> list[bytes]:
    found = []
    for told in (samples.free_story(), World(3)):
        parts = [told.charter.encode()]
        for item in told.ledger.entries(0, len(told.ledger)) if isinstance(told, samples.Told) else ():
            parts += item.entry.encode(), item.results
        found.append(samples.cbor_array(*parts))
    return found


def _framed(data: bytes) -> object:
    """Only the framing: every item is looked at, nothing is replayed."""
    reader = ExportReader(io.BytesIO(data))
    items = list(reader.entries())
    again = _FIRST + encode_plain(reader.charter)
    again += b"".join(b"\x82" + encode_plain(entry) + encode_plain(bytes(results)) for entry, results in items)
    assert again + cbor_head(3, len(reader.note)) + reader.note == data
    return len(items)


_NOTE_WORDS: Final = ("results", "time", "tclearn/", "\N{EM DASH}", " ", "\n", "+", "=", "A" * 43 + "=", "0", "-0")

TARGETS: Final = (
    Target("value", _values, _value, cbor(), 600),
    Target("record", _records, _record, cbor(plain=0.05), 1500),
    Target("transaction", lambda: [each.raw for _, _, each in samples.said()], _transaction, cbor(plain=0.4), 600),
    Target("entry", _entries, _entry, cbor(plain=0.4), 600),
    Target("payload", _payloads, _payload, cbor(prefix=2, plain=0.05), 800),
    Target("call", _calls, _call, cbor(plain=0.02), 1200, (TCLearnError, Rejected)),
    Target("verdict", _verdicts, _verdict, cbor(plain=0.02), 80, (TCLearnError, Rejected)),
    Target("note", _notes, _note, text(*_NOTE_WORDS), 600),
    Target("remembered-note", _notes, _signed_note, text(*_NOTE_WORDS), 40),
    Target("export", lambda: [samples.small_export()], _export, cbor(plain=1.0), 60),
    Target("export-framing", lambda: [samples.small_export(), samples.story().export()], _framed, cbor(plain=1.0), 300),
    Target("export-operated", _operated_samples, _operated, either(array(cbor()), array(cbor()), cbor()), 60),
)
