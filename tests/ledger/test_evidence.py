"""Evidence: each kind is found and convicts, honest histories bring none, and nothing else passes for evidence."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.notes import FOREVER_MS, START_MS, Board, Clock, Notes, World, signer
from tests.ledger.test_verify import Items, filled

from tclearn.encoding import Digest, MemberId, encode
from tclearn.errors import Code, UsageError, VerificationError
from tclearn.identity import Signer
from tclearn.ledger import Call, Entry, Transaction
from tclearn.ledger.checkpoint import Note, sign
from tclearn.ledger.contract import Head
from tclearn.ledger.cosigning import cosign, cosigned_note
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.evidence import (
    FORMAT,
    Contradiction,
    Kind,
    Statement,
    charter_of,
    check_evidence,
    of_heads,
    of_transactions,
    write_evidence,
)
from tclearn.ledger.merkle import EMPTY_ROOT, MerkleLog, leaf_hash
from tclearn.ledger.searching import Findings, search
from tclearn.limits import EVIDENCE_BYTES_MAX

FORGER = signer("forger")


class Opinions(Notes):
    """Notes in which who has said ``yes …`` must not say ``no …`` to the same."""

    def topic(self, call: Call) -> str | None:
        text = str(call.arguments.get("text", ""))
        return text.partition(" ")[2] if text.startswith(("yes ", "no ")) else None

    def contradiction(self, first: Call, second: Call, member: MemberId) -> str | None:
        about = self.topic(first)
        texts = {str(call.arguments["text"]) for call in (first, second)}
        return f"yes and no to {about}" if texts == {f"yes {about}", f"no {about}"} else None


@pytest.fixture
def world() -> World:
    return opinions()


def opinions() -> World:
    world = World()
    world.contract = Opinions({member: key.public for member, key in world.signers.items()})
    return world


def check(data: bytes, world: World) -> Contradiction:
    return check_evidence(data, world.terms, world.coalition)


def refused(data: bytes, world: World) -> VerificationError:
    with pytest.raises(VerificationError) as refusal:
        check(data, world)
    return refusal.value


def find(world: World, *records: bytes, checkpoint: bytes | None = None) -> Findings:
    first, *others = map(io.BytesIO, records)
    second = others[0] if others else None
    return search(first, world.terms, world.coalition, second=second, checkpoint=checkpoint)


def convicted(world: World, findings: Findings) -> dict[tuple[str, str], Contradiction]:
    proven = [check(data, world) for data in findings.evidence]
    return {(each.kind, each.member or "log"): each for each in proven}


# Honest histories


def test_an_honest_record_brings_nothing(world: World) -> None:
    ledger = filled(world)
    whole = world.export(ledger)
    assert find(world, whole) == Findings((), (len(ledger),), None)
    shorter = MemoryLedger(world.contract, world.coalition, clock=Clock())
    sizes = [0, 1, 2, 3, 17, 31, len(ledger)]
    for size in sizes:
        part = Items.of(whole)
        del part.entries[size:]
        part.note = sign(world.log, world.coalition, ledger.head(size)).encode()
        for pair in ((whole, part.bytes()), (part.bytes(), whole)):
            found = find(world, *pair, checkpoint=None)
            assert (found.evidence, found.parted) == ((), None)
        assert find(world, whole, checkpoint=part.note).evidence == ()
    assert find(world, world.export(shorter), whole).evidence == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7), st.booleans()), max_size=15), st.integers(0, 20))
def test_no_honest_history_brings_evidence(steps: list[tuple[int, int, bool]], cut: int) -> None:
    world = opinions()
    ledger = world.memory(Clock(step_ms=3))
    for member, what, again in steps:
        if what < 2:
            said = world.call(member, "add", {"text": f"{'yes' if member % 2 else 'no'} {what}", "tags": []})
        elif what < 4:
            said = world.call(member, "drop", {"number": what})
        elif what < 6 and len(ledger):
            said = world.endorse(member, ledger.head(len(ledger) - len(ledger) % what))
        else:
            said = world.add(member, "yes 9" if again else f"{what}")
        ledger.submit(said)
        if again:
            ledger.submit(said)
    whole = world.export(ledger)
    size = min(cut, len(ledger))
    part = Items.of(whole)
    del part.entries[size:]
    part.note = sign(world.log, world.coalition, ledger.head(size)).encode()
    assert find(world, whole, part.bytes(), checkpoint=part.note).evidence == ()
    # what follows from any two things that were signed
    notes = [sign(world.log, world.coalition, ledger.head(each)).encode() for each in {0, size, len(ledger)}]
    raws = [item.entry.transaction for item in ledger.entries(0, len(ledger))][:4]
    for first in notes:
        for second in notes:
            refused(of_heads(world.charter, first, second), world)
    for one in raws:
        for other in raws:
            for kind in (Kind.TWO_TRANSACTIONS, Kind.TWO_WORDS):
                refused(of_transactions(kind, world.charter, one, other), world)


def test_the_same_call_signed_again_is_no_contradiction(world: World) -> None:
    first = world.call(0, "add", {"text": "yes 1", "tags": []})
    world.sequence[MemberId("m0")] -= 1
    again = world.call(0, "add", {"text": "yes 1", "tags": []}, expires_ms=FOREVER_MS + 1)
    assert first.raw != again.raw
    assert first.sequence == again.sequence
    for kind in (Kind.TWO_TRANSACTIONS, Kind.TWO_WORDS):
        assert refused(of_transactions(kind, world.charter, first.raw, again.raw), world).code is Code.EVIDENCE
    ledger = world.memory()
    for said in ("no 2", "yes 1", "yes 1", "no 2"):
        ledger.submit(world.call(0, "add", {"text": said, "tags": []}))
    assert find(world, world.export(ledger)).evidence == ()


def test_a_head_cosigned_twice_is_no_contradiction(world: World) -> None:
    ledger = filled(world, 10)
    head = ledger.head(7)
    for at_seconds in (1, 2):
        ledger.submit(world.endorse(2, head, at_seconds))
    assert find(world, world.export(ledger)).evidence == ()
    notes = [cosigned_by(world, 2, head, at) for at in (1, 2)]
    key = world.signers[world.members[2]].public
    made = write_evidence(Kind.TWO_COSIGNATURES, world.charter, *map(Statement, notes), key=key)
    assert "same head" in str(refused(made, world))


def cosigned_by(world: World, member: int, head: Head, at_seconds: int = 1) -> bytes:
    name = world.members[member]
    key = world.signers[name]
    made = cosign(key, world.coalition, head, at_seconds)
    return cosigned_note(Note(world.coalition, head, ()), name, key.public, made).encode()


# Histories that part


def parting(world: World, common: int, left: int, right: int) -> list[MemoryLedger[Board]]:
    """Two ledgers of one log; members 0 and 1 are shown the first of them, 2 and 3 the other."""
    ledgers = [world.memory(), world.memory()]
    for number in range(common):
        said = world.add(number % 4, f"{number}")
        for ledger in ledgers:
            ledger.submit(said)
    for side, more in ((0, left), (1, right)):
        for number in range(more):
            ledgers[side].submit(world.add(2 * side + number % 2, f"{side} {number}"))
    return ledgers


def lawless(world: World, *raws: bytes, key: Signer | None = None) -> bytes:
    """The record of a log that takes everything."""
    entries = [Entry(index, START_MS + index, raw).encode() for index, raw in enumerate(raws)]
    tree = MerkleLog()
    for entry in entries:
        tree.append(leaf_hash(entry))
    head = Head(len(entries), tree.root(len(entries)), Digest(bytes(32)), START_MS)
    note = sign(key or world.log, world.coalition, head).encode()
    return Items(world.charter, [(entry, bytes(32)) for entry in entries], note).bytes()


@pytest.mark.parametrize(
    ("common", "left", "right"), [(0, 1, 1), (0, 1, 5), (5, 1, 1), (5, 4, 4), (5, 9, 1), (6, 2, 30), (16, 16, 1)]
)
def test_a_log_that_shows_two_histories_is_convicted_and_its_members_are_not(
    world: World, common: int, left: int, right: int
) -> None:
    ledgers = parting(world, common, left, right)
    for side, ledger in enumerate(ledgers):
        for member in (0, 1):
            ledger.submit(world.endorse(2 * side + member, ledger.head(common + 1)))
    records = [world.export(ledger) for ledger in ledgers]
    for pair in (records, records[::-1]):
        found = find(world, *pair)
        assert found.parted == common
        proven = convicted(world, found)
        assert set(proven) == {("two-heads", "log"), ("two-entries", "log")} - (
            {("two-heads", "log")} if left != right else set()
        )
        entries = proven["two-entries", "log"]
        assert entries.key == world.log.public
        assert entries.index == common
        assert {entries.first.entry, entries.second.entry} == {
            next(iter(ledger.entries(common, common + 1))).entry.encode() for ledger in ledgers
        }
        heads = {entries.first.head, entries.second.head}
        assert heads == {ledger.head(len(ledger)) for ledger in ledgers}


def test_a_remembered_head_convicts_a_log_that_was_rewritten(world: World) -> None:
    ledgers = parting(world, 5, 4, 9)
    record = world.export(ledgers[1])
    for size in range(6, 10):
        remembered = sign(world.log, world.coalition, ledgers[0].head(size))
        cosigned_too = cosigned_note(
            remembered,
            MemberId("m0"),
            world.signers[MemberId("m0")].public,
            cosign(world.signers[MemberId("m0")], world.coalition, remembered.head, 1),
        )
        for checkpoint in (remembered, cosigned_too):
            (data,) = find(world, record, checkpoint=checkpoint.encode()).evidence
            proven = check(data, world)
            assert (proven.kind, proven.member, proven.index) == (Kind.TWO_HEADS, None, None)
            assert "does not begin with the same entries" in proven.what
    for size in range(6):
        remembered = sign(world.log, world.coalition, ledgers[0].head(size))
        assert find(world, record, checkpoint=remembered.encode()).evidence == ()
    of_the_same_size = sign(world.log, world.coalition, Head(14, EMPTY_ROOT, Digest(bytes(32)), START_MS))
    (data,) = find(world, record, checkpoint=of_the_same_size.encode()).evidence
    assert "two heads of 14 entries with different roots" in check(data, world).what


def test_checkpoints_that_cannot_be_compared_are_refused(world: World) -> None:
    ledger = filled(world, 10)
    record = world.export(ledger)
    head = ledger.head(5)
    for checkpoint in (
        sign(FORGER, world.coalition, head).encode(),
        sign(world.log, Digest(bytes(32)), head).encode(),
        sign(world.log, world.coalition, Head(999, head.root, head.results, head.time_ms)).encode(),
        b"",
    ):
        with pytest.raises(UsageError):
            find(world, record, checkpoint=checkpoint)


def test_records_that_show_nothing_about_the_log_are_refused_in_a_comparison(world: World) -> None:
    one, other = parting(world, 3, 2, 4)
    good, bad = world.export(one), Items.of(world.export(other))
    changed = Items.of(world.export(other))
    del changed.entries[-1]
    for record in (world.export(other, FORGER), changed.bytes(), Items(bad.charter, bad.entries, b"x").bytes()):
        for pair in ((good, record), (record, good)):
            with pytest.raises(VerificationError) as refusal:
                find(world, *pair)
            assert refusal.value.code is Code.RECORD_HEAD
    stranger = World(charter=b"another")
    with pytest.raises(VerificationError) as refusal:
        find(world, good, stranger.export(stranger.memory()))
    assert refusal.value.code is Code.RECORD_CHARTER
    with pytest.raises(VerificationError) as refusal:
        find(world, good[:-9])
    assert refusal.value.code is Code.RECORD_FORMAT


def test_other_results_for_the_same_entries_convict(world: World) -> None:
    ledger = filled(world, 8)
    head = ledger.head(5)
    other = Head(5, head.root, Digest(bytes(32)), head.time_ms)
    made = of_heads(world.charter, *(sign(world.log, world.coalition, each).encode() for each in (head, other)))
    assert "the same entries and different results or times" in check(made, world).what


# A member's cosignatures


def test_a_member_that_cosigned_two_histories_is_convicted(world: World) -> None:
    ledgers = parting(world, 5, 4, 9)
    for ledger in ledgers:
        for member in (1, 2):
            ledger.submit(world.endorse(member, ledger.head(len(ledger) - (member == 2))))
            ledger.submit(world.endorse(member, ledger.head(5)))
    proven = convicted(world, find(world, *map(world.export, ledgers)))
    accused = {("two-cosignatures", "m1"), ("two-cosignatures", "m2")}
    assert set(proven) == {("two-entries", "log"), *accused}
    for name in ("m1", "m2"):
        each = proven["two-cosignatures", name]
        assert (each.key, each.index) == (world.signers[MemberId(name)].public, 5)
        assert each.what.startswith("cosigned two histories")


def test_a_cosignature_of_another_history_in_ones_own_log_convicts(world: World) -> None:
    ledgers = parting(world, 5, 3, 3)
    ours = [item.entry.transaction for item in ledgers[0].entries(0, 8)]
    small, same = ledgers[1].head(7), ledgers[1].head(8)
    record = lawless(world, *ours)
    tree = [Head(size, _root(record, size), Digest(bytes(32)), START_MS) for size in range(9)]
    said = [world.endorse(1, tree[8]), world.endorse(1, small), world.endorse(2, tree[8]), world.endorse(2, same)]
    said += [world.endorse(3, tree[6]), world.endorse(3, tree[8]), world.endorse(0, small)]
    proven = convicted(world, find(world, lawless(world, *ours, *(each.raw for each in said))))
    assert set(proven) == {("two-cosignatures", "m1"), ("two-cosignatures", "m2")}
    assert "does not begin with the same entries" in proven["two-cosignatures", "m1"].what
    assert "two heads of 8 entries" in proven["two-cosignatures", "m2"].what


def _root(record: bytes, size: int) -> Digest:
    tree = MerkleLog()
    for entry, _ in Items.of(record).entries:
        tree.append(leaf_hash(entry))
    return tree.root(size)


# A member's transactions


def test_two_calls_under_one_number_convict(world: World) -> None:
    first = world.add(2, "here")
    world.sequence[MemberId("m2")] -= 1
    second = world.add(2, "there")
    for pair in ((first.raw, second.raw), (second.raw, first.raw)):
        proven = check(of_transactions(Kind.TWO_TRANSACTIONS, world.charter, *pair), world)
        assert (proven.member, proven.what) == ("m2", "signed two different calls under the sequence number 0")
        assert sorted(each.transaction.raw for each in (proven.first, proven.second) if each.transaction) == sorted(
            (first.raw, second.raw)
        )
    proven_in = convicted(world, find(world, lawless(world, first.raw, second.raw)))
    assert set(proven_in) == {("two-transactions", "m2")}
    across = convicted(world, find(world, lawless(world, first.raw), lawless(world, second.raw)))
    assert set(across) == {("two-heads", "log"), ("two-entries", "log"), ("two-transactions", "m2")}


def test_two_words_that_contradict_each_other_convict_also_when_they_were_refused(world: World) -> None:
    ledger = world.memory()
    for member, text in ((0, "yes 1"), (1, "no 1"), (0, "yes 2"), (1, ""), (3, "yes 1"), (0, "no 2")):
        ledger.submit(world.call(member, "add", {"text": text, "tags": []}))
    ledger.submit(world.call(3, "drop", {"text": "no 1", "number": 77}))  # refused: it cannot be read
    proven = convicted(world, find(world, world.export(ledger)))
    assert set(proven) == {("two-words", "m0"), ("two-words", "m3")}
    assert proven["two-words", "m0"].what == "said two things that contradict each other: yes and no to 2"
    halves = [lawless(world, *(i.entry.transaction for i in ledger.entries(*span))) for span in ((0, 4), (4, 7))]
    assert ("two-words", "m0") in convicted(world, find(world, *halves))


def test_words_of_another_contract_or_of_none_that_judges_say_nothing(world: World) -> None:
    said = [world.call(0, "add", {"text": f"{word} 1", "tags": []}) for word in ("yes", "no")]
    assert check(of_transactions(Kind.TWO_WORDS, world.charter, said[0].raw, said[1].raw), world).member == "m0"
    key = world.signers[MemberId("m0")]
    other = [
        Transaction.signed(
            key,
            world.coalition,
            Call("other/1", each.call.method, each.call.arguments),
            sequence=n,
            expires_ms=FOREVER_MS,
        )
        for n, each in enumerate(said)
    ]
    for pair in ((other[0], other[1]), (said[0], other[1])):
        made = of_transactions(Kind.TWO_WORDS, world.charter, pair[0].raw, pair[1].raw)
        assert "says nothing" in str(refused(made, world))
    assert find(world, lawless(world, *(each.raw for each in other))).evidence == ()
    plain = World()
    made = of_transactions(Kind.TWO_WORDS, plain.charter, said[0].raw, said[1].raw)
    assert "says nothing" in str(refused(made, plain))


def test_what_no_member_signed_convicts_nobody(world: World) -> None:
    stranger = World()
    stranger.signers = dict.fromkeys(stranger.members, FORGER)
    calls = [{"text": f"{word} 1", "tags": []} for word in ("yes", "no")]
    foreign = [stranger.call(0, "add", dict(call)) for call in calls]
    other = World(charter=b"another")
    elsewhere = [other.call(0, "add", dict(call)) for call in calls]
    ours = world.call(0, "add", dict(calls[0]))
    theirs = world.call(1, "add", dict(calls[1]))
    broken = ours.raw[:-1] + bytes([ours.raw[-1] ^ 1])
    for pair in (
        [each.raw for each in foreign],
        [each.raw for each in elsewhere],
        [ours.raw, theirs.raw],
        [broken, ours.raw],
        [b"", ours.raw],
    ):
        for kind in (Kind.TWO_WORDS, Kind.TWO_TRANSACTIONS):
            assert refused(of_transactions(kind, world.charter, *pair), world).code is Code.EVIDENCE
    record = lawless(world, broken, *(each.raw for each in (*foreign, *elsewhere)), ours.raw, b"no transaction")
    assert find(world, record).evidence == ()


def test_a_forged_word_does_not_hide_a_signed_one(world: World) -> None:
    yes, no = (world.call(0, "add", {"text": f"{word} 1", "tags": []}) for word in ("yes", "no"))
    broken = no.raw[:-1] + bytes([no.raw[-1] ^ 1])
    assert set(convicted(world, find(world, lawless(world, broken, yes.raw, no.raw)))) == {("two-words", "m0")}


# Files


@cache
def material() -> tuple[World, list[bytes]]:
    """Evidence of every kind and form."""
    world = opinions()
    ledgers = parting(world, 5, 4, 9)
    for ledger in ledgers:
        ledger.submit(world.endorse(1, ledger.head(len(ledger))))
    for text in ("yes 1", "no 1"):
        ledgers[1].submit(world.call(2, "add", {"text": text, "tags": []}))
    made = list(find(world, *map(world.export, ledgers)).evidence)
    remembered = sign(world.log, world.coalition, ledgers[0].head(9)).encode()
    made += find(world, world.export(ledgers[1]), checkpoint=remembered).evidence[:1]
    same = parting(world, 3, 2, 2)
    made += find(world, *map(world.export, same)).evidence
    first = world.add(3, "here")
    world.sequence[MemberId("m3")] -= 1
    made.append(of_transactions(Kind.TWO_TRANSACTIONS, world.charter, first.raw, world.add(3, "there").raw))
    heads = [Head(4, Digest(bytes([n]) * 32), Digest(bytes(32)), 1) for n in (1, 2)]
    notes = [Statement(cosigned_by(world, 0, head)) for head in heads]
    key = world.signers[MemberId("m0")].public
    made.append(write_evidence(Kind.TWO_COSIGNATURES, world.charter, *notes, key=key))
    return world, made


def test_every_kind_is_among_the_material_and_is_one_deterministic_value() -> None:
    world, made = material()
    assert {check(data, world).kind for data in made} == set(Kind)
    for data in made:
        file = cbor2.loads(data)
        assert cbor2.dumps(file, canonical=True) == data
        assert file["format"] == FORMAT
        assert charter_of(data) == world.charter
        assert refused(data, World(charter=b"another")).code is Code.RECORD_CHARTER


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


def exchanged(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file, other = cbor2.loads(data), cbor2.loads(chance.choice(others))
    name = chance.choice(["kind", "charter", "first", "second", "key", "index"])
    if name in other:
        file[name] = other[name]
    else:
        file.pop(name, None)
    return encode(file)


def swapped(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file = cbor2.loads(data)
    how = chance.randrange(3)
    if how == 0:
        file["first"], file["second"] = file["second"], file["first"]
    elif how == 1:
        file["first"] = file["second"]
    else:
        file["first"]["signed"], file["second"]["signed"] = file["second"]["signed"], file["first"]["signed"]
    return encode(file)


def changed_statement(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file = cbor2.loads(data)
    statement = file[chance.choice(["first", "second"])]
    name = chance.choice(["signed", "entry", "prefix", "path"])
    if name == "path":
        path = list(statement.get("path", []))
        how = chance.randrange(3)
        if how == 0 and path:
            del path[chance.randrange(len(path))]
        elif how == 1 and path:
            path[chance.randrange(len(path))] = chance.randbytes(32)
        else:
            path.insert(chance.randrange(len(path) + 1), chance.randbytes(32))
        statement["path"] = path
    elif name in statement and chance.random() < 0.8:
        statement[name] = flip(statement[name], chance)
    elif name in statement and name != "signed":
        del statement[name]
    else:
        statement[name] = chance.randbytes(32)
    return encode(file)


def moved(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file = cbor2.loads(data)
    file["index"] = max(0, file.get("index", 0) + chance.choice([-1, 1, 3]))
    return encode(file)


def cut_or_grown(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return chance.choice([data[:at], data + b"\0", data[:at] + data[at : at + 5] + data[at:]])


MUTATIONS: list[Callable[[bytes, list[bytes], random.Random], bytes]] = [
    lambda data, others, chance: flip(data, chance),
    exchanged,
    swapped,
    changed_statement,
    moved,
    cut_or_grown,
]


def test_of_a_thousand_changed_files_none_convicts_anybody() -> None:
    world, made = material()
    tried = 0
    for seed in range(1400):
        chance = random.Random(seed)
        data = chance.choice(made)
        changed = MUTATIONS[seed % len(MUTATIONS)](data, made, chance)
        if changed not in made:
            tried += 1
            refused(changed, world)
    assert tried >= 1000


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    assert refused(data, material()[0]).code is Code.RECORD_FORMAT


@pytest.mark.parametrize(
    "change",
    [
        {"format": "tclearn-evidence/2"},
        {"kind": "three-heads"},
        {"extra": 1},
        {"first": {}},
        {"first": {"signed": "text"}},
        {"index": -1},
    ],
    ids=range(6),
)
def test_other_files_are_no_evidence(change: dict[str, Any]) -> None:
    world, made = material()
    changed = encode({**cbor2.loads(made[0]), **change})
    assert refused(changed, world).code is Code.RECORD_FORMAT
    with pytest.raises(VerificationError):
        charter_of(changed)


def test_size_is_limited() -> None:
    world, made = material()
    file = cbor2.loads(made[0])
    assert "at most" not in str(refused(encode({**file, "charter": bytes(1 << 20)}), world))
    large = refused(encode({**file, "charter": bytes(EVIDENCE_BYTES_MAX)}), world)
    assert large.code is Code.RECORD_FORMAT
    assert str(EVIDENCE_BYTES_MAX) in str(large.__cause__)


def test_heads_that_extend_each_other_convict_nobody(world: World) -> None:
    ledger = filled(world, 20)
    tree = MerkleLog()
    for item in ledger.entries(0, len(ledger)):
        tree.append(leaf_hash(item.entry.encode()))
    notes = {size: sign(world.log, world.coalition, ledger.head(size)).encode() for size in (0, 3, 8, 20)}
    for small in (0, 3, 8):
        for large in (8, 20):
            if small < large:
                path = tuple(tree.consistency_proof(small, large))
                made = of_heads(world.charter, notes[small], notes[large], prefix=tree.root(small), path=path)
                assert "extends the smaller" in str(refused(made, world))
                wrong = of_heads(world.charter, notes[small], notes[large], prefix=Digest(bytes(32)), path=path)
                assert "Merkle proof" in str(refused(wrong, world))


def test_the_same_entry_under_two_heads_convicts_nobody(world: World) -> None:
    ledger = filled(world, 20)
    tree = MerkleLog()
    for item in ledger.entries(0, len(ledger)):
        tree.append(leaf_hash(item.entry.encode()))
    entries = [item.entry.encode() for item in ledger.entries(0, 20)]

    def under(size: int, index: int, entry: int) -> Statement:
        note = sign(world.log, world.coalition, ledger.head(size)).encode()
        return Statement(note, entries[entry], path=tuple(tree.inclusion_proof(index, size)))

    made = write_evidence(Kind.TWO_ENTRIES, world.charter, under(9, 4, 4), under(20, 4, 4), index=4)
    assert "the same under both" in str(refused(made, world))
    for second in (under(20, 5, 5), under(20, 4, 5)):
        made = write_evidence(Kind.TWO_ENTRIES, world.charter, under(9, 4, 4), second, index=4)
        assert "Merkle proof" in str(refused(made, world))


def test_a_note_with_more_signatures_than_one_convicts_nobody(world: World) -> None:
    heads = [Head(4, Digest(bytes([n]) * 32), Digest(bytes(32)), 1) for n in (1, 2)]
    name, key = MemberId("m0"), world.signers[MemberId("m0")]
    notes = []
    for head in heads:
        note = sign(world.log, world.coalition, head)
        notes.append(cosigned_note(note, name, key.public, cosign(key, world.coalition, head, 1)).encode())
    assert "2 signatures" in str(refused(of_heads(world.charter, *notes), world))
    made = write_evidence(Kind.TWO_COSIGNATURES, world.charter, *map(Statement, notes), key=key.public)
    assert "2 signatures" in str(refused(made, world))


def test_the_log_is_not_accused_in_a_members_place_nor_a_member_in_the_logs(world: World) -> None:
    heads = [Head(4, Digest(bytes([n]) * 32), Digest(bytes(32)), 1) for n in (1, 2)]
    by_log = [sign(world.log, world.coalition, head).encode() for head in heads]
    by_member = [cosigned_by(world, 0, head) for head in heads]
    key = world.signers[MemberId("m0")].public
    assert check(of_heads(world.charter, *by_log), world).member is None
    wrong = [
        of_heads(world.charter, *by_member),
        write_evidence(Kind.TWO_COSIGNATURES, world.charter, *map(Statement, by_log), key=world.log.public),
        write_evidence(Kind.TWO_COSIGNATURES, world.charter, *map(Statement, by_log), key=key),
        write_evidence(Kind.TWO_COSIGNATURES, world.charter, *map(Statement, by_member)),
        write_evidence(
            Kind.TWO_COSIGNATURES,
            world.charter,
            *map(Statement, by_member),
            key=world.signers[MemberId("m1")].public,
        ),
        write_evidence(Kind.TWO_HEADS, world.charter, *map(Statement, by_log), key=key),
        write_evidence(Kind.TWO_HEADS, world.charter, *map(Statement, by_log), index=0),
        write_evidence(Kind.TWO_ENTRIES, world.charter, *map(Statement, by_log)),
        of_heads(world.charter, by_log[0], by_member[1]),
        of_heads(world.charter, *(sign(FORGER, world.coalition, head).encode() for head in heads)),
        of_heads(world.charter, *(sign(world.log, Digest(bytes(32)), head).encode() for head in heads)),
    ]
    for made in wrong:
        assert refused(made, world).code is Code.EVIDENCE
