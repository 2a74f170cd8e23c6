"""Receipts: what they prove, that nothing else passes for one, and that other people's software reads them."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys.curves import Ed25519
from pycose.keys.okp import OKPKey
from pycose.messages.sign1message import Sign1Message
from tests.ledger.notes import NAME, START_MS, Add, Endorse, World, signer
from tests.ledger.test_checkpoint import third_party
from tests.ledger.test_verify import cosigned, filled

from tclearn.encoding import Digest, MemberId, encode
from tclearn.errors import Code, UsageError, VerificationError
from tclearn.identity import Signer
from tclearn.ledger.checkpoint import origin
from tclearn.ledger.checkpoint import sign as sign_head
from tclearn.ledger.contract import Head
from tclearn.ledger.cose_receipt import PATH_MAX, CoseReceipt
from tclearn.ledger.cose_receipt import sign as sign_receipt
from tclearn.ledger.cosigning import cosign, cosigned_note
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.receipt import FORMAT, Received, charter_of, check_receipt, write_receipt
from tclearn.limits import RECEIPT_BYTES_MAX
from tclearn.records import Record

FORGER = signer("forger")


def receipt(world: World, ledger: Any, index: int, key: Signer | None = None) -> bytes:
    return write_receipt(ledger, world.charter, world.terms, key or world.log, index)


def check(data: bytes, world: World) -> Received:
    return check_receipt(data, world.terms, world.coalition)


def refused(data: bytes, world: World) -> VerificationError:
    with pytest.raises(VerificationError) as refusal:
        check(data, world)
    return refusal.value


def parts(data: bytes) -> dict[str, Any]:
    content: dict[str, Any] = cbor2.loads(data)
    return content


# What it proves


def test_every_entry_gets_a_receipt_that_says_who_said_what_where_and_under_which_head(world: World) -> None:
    ledger = filled(world, 20)
    names = {key.public: member for member, key in world.signers.items()}
    for recorded in ledger.entries(0, len(ledger)):
        received = check(receipt(world, ledger, recorded.entry.index), world)
        assert received.coalition == world.coalition
        assert received.entry == recorded.entry
        assert received.transaction.raw == recorded.entry.transaction
        assert received.head == ledger.head(received.head.size)
        assert received.head.size > recorded.entry.index
        assert received.sender == names.get(received.transaction.signer)


def test_it_is_against_the_newest_head_of_a_quorum(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "first"))
    assert check(receipt(world, ledger, 0), world).cosigners == ()
    assert not check(receipt(world, ledger, 0), world).by_quorum
    cosigned(world, ledger, members=2)
    alone = check(receipt(world, ledger, 0), world)
    assert ([member for member, _ in alone.cosigners], alone.needed, alone.by_quorum) == (["m0", "m1"], 3, False)
    assert alone.head == ledger.head(1)
    ledger.submit(world.add(0, "later"))
    cosigned(world, ledger, members=3)
    quorum_at = ledger.head(4)
    cosigned(world, ledger, members=2)
    received = check(receipt(world, ledger, 0), world)
    assert (received.head, received.by_quorum) == (quorum_at, True)
    assert received.cosigners == tuple((MemberId(f"m{n}"), START_MS // 1000) for n in range(3))
    # a newer head of some, where no quorum's covers the entry
    tail = check(receipt(world, ledger, 5), world)
    assert (len(tail.cosigners), tail.by_quorum, tail.head.size) == (2, False, 7)
    last = check(receipt(world, ledger, len(ledger) - 1), world)
    assert (last.cosigners, last.head) == ((), ledger.head(len(ledger)))


def test_a_cosigner_is_who_the_charter_names_and_keys_that_came_later_do_not_count(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "first"))
    new = signer("new")
    ledger.submit(world.call(0, "admit", {"member": "m9", "key": new.public}))
    at = ledger.head(2)
    for name in ("m0", "m1", "m2"):
        ledger.submit(world.endorse(world.members.index(MemberId(name)), at))
    assert check(receipt(world, ledger, 0), world).by_quorum, "a quorum of four, though there are five now"
    newer = ledger.head(len(ledger))
    world.signers[MemberId("m9")], world.sequence[MemberId("m9")] = new, -1
    world.members.append(MemberId("m9"))
    ledger.submit(world.endorse(4, newer))
    received = check(receipt(world, ledger, 0), world)
    assert [member for member, _ in received.cosigners] == ["m0", "m1", "m2"]
    said_by_new = check(receipt(world, ledger, len(ledger) - 1), world)
    assert said_by_new.sender is None, "a key that the charter does not name"
    assert said_by_new.transaction.signer == new.public


def test_entries_that_do_not_exist_get_none(world: World) -> None:
    ledger = world.memory()
    for index in (0, -1, 5):
        with pytest.raises(UsageError):
            receipt(world, ledger, index)
    ledger.submit(world.add(0, "a"))
    with pytest.raises(UsageError, match="no entry 1"):
        receipt(world, ledger, 1)
    with pytest.raises(VerificationError):
        write_receipt(ledger, b"another charter", world.terms, world.log, 0)


# What is refused


def test_another_coalition_log_or_key(world: World) -> None:
    ledger = filled(world, 10)
    data = receipt(world, ledger, 3)
    assert charter_of(data) == world.charter
    other = World(charter=b"another")
    assert refused(data, other).code is Code.RECORD_CHARTER
    assert refused(receipt(world, ledger, 3, FORGER), world).code is Code.RECEIPT
    # a charter of another coalition with the same keys, and with everything that this log has signed
    moved = encode({**parts(data), "charter": other.charter})
    assert refused(moved, other).code is Code.RECEIPT
    theirs = other.memory()
    theirs.submit(other.add(0, "a"))
    mixed = {**parts(data), "entry": parts(receipt(other, theirs, 0))["entry"]}
    assert refused(encode(mixed), world).code is Code.RECEIPT


def forged(world: World, ledger: MemoryLedger[Any], place: int, of: int, **changes: Any) -> bytes:
    """A receipt as a dishonest log would write it: the parts are signed, and do not belong together."""
    entries = [item.entry.encode() for item in ledger.entries(0, len(ledger))]
    tree = MerkleLog()
    for entry in entries:
        tree.append(leaf_hash(entry))
    head = changes.get("head", ledger.head(of))
    path = tuple(changes.get("path", tree.inclusion_proof(place, of)))
    claimed = changes.get("index", place), changes.get("size", of)
    cose = sign_receipt(
        changes.get("key", world.log),
        changes.get("log", origin(world.coalition)),
        changes.get("root", head.root),
        claimed[1],
        claimed[0],
        path,
    )
    note = sign_head(changes.get("note_key", world.log), world.coalition, head)
    file = {
        "format": FORMAT,
        "charter": world.charter,
        "entry": changes.get("entry", entries[place]),
        "receipt": cose.encode(),
        "checkpoint": note.encode().decode(),
        "cosigners": {},
    }
    return encode(file)


def test_what_the_log_itself_could_sign_wrongly_is_refused(world: World) -> None:
    ledger = world.memory()
    for number in range(6):
        ledger.submit(world.add(0, f"{number}"))
    ours = [item.entry for item in ledger.entries(0, 6)]
    assert check(forged(world, ledger, 2, 6), world).entry == ours[2]
    head = ledger.head(6)
    wrong: list[dict[str, Any]] = [
        {"index": 3},  # another place than the entry says
        {"size": 7},  # beyond the checkpoint
        {"size": 5},
        {"root": Digest(bytes(32))},  # the receipt and the checkpoint are of two trees
        {"path": ()},
        {"path": [Digest(bytes(32))] * PATH_MAX},
        {"entry": ours[3].encode()},  # in the tree, elsewhere
        {"entry": ours[2].encode() + b"\0"},
        {"key": FORGER},
        {"note_key": FORGER},
        {"log": origin(Digest(bytes(32)))},
        {"head": Head(6, head.root, head.results, ours[2].time_ms - 1)},  # the entry is younger than the head
        {"head": Head(7, head.root, head.results, head.time_ms)},
        {"head": Head(2, head.root, head.results, head.time_ms)},  # the entry is beyond the size
    ]
    for changes in wrong:
        assert refused(forged(world, ledger, 2, 6, **changes), world).code is Code.RECEIPT, changes
    # a path alone leaves more than one size open; the checkpoint does not
    cose = CoseReceipt.parse(parts(forged(world, ledger, 0, 3))["receipt"])
    assert rfc_9162_root(ours[0].encode(), 0, 4, list(cose.path)) == ledger.head(3).root
    assert refused(forged(world, ledger, 0, 3, size=4), world).code is Code.RECEIPT


def test_cosigners_are_exactly_those_that_are_named(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "a"))
    cosigned(world, ledger)
    data = receipt(world, ledger, 0)
    assert check(data, world).by_quorum
    file = parts(data)
    keys: dict[str, bytes] = file["cosigners"]
    lines = file["checkpoint"].splitlines(keepends=True)

    def with_(cosigners: dict[str, bytes], text: list[str]) -> bytes:
        return encode({**file, "cosigners": cosigners, "checkpoint": "".join(text)})

    # whoever passes it on may leave cosignatures out, and cannot add one
    fewer = check(with_({"m0": keys["m0"]}, lines[:8]), world)
    assert ([member for member, _ in fewer.cosigners], fewer.by_quorum) == (["m0"], False)
    note = sign_head(world.log, world.coalition, ledger.head(1))
    stranger = cosigned_note(note, MemberId("m3"), FORGER.public, cosign(FORGER, world.coalition, note.head, 1))
    wrong = [
        with_({}, lines),
        with_({"m0": keys["m0"]}, lines),
        with_(keys, lines[:-1]),
        with_(keys, [*lines[:7], *reversed(lines[7:])]),
        with_({**keys, "m9": FORGER.public}, lines),
        with_({**keys, "m3": FORGER.public}, lines),
        with_({**keys, "m3": b"short"}, lines),
        with_({**keys, "m1": keys["m0"]}, lines),
        with_({"m3": FORGER.public}, stranger.encode().decode().splitlines(keepends=True)),
        with_({"m4": keys["m3"]}, [*lines[:7], lines[10].replace("/m3 ", "/m4 ")]),
        with_(keys, [*lines[7:], *lines[:7]]),
    ]
    for changed in wrong:
        assert refused(changed, world).code is Code.RECEIPT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        encode({}),
        encode("tclearn-receipt/1"),
        encode({"format": FORMAT}),
        encode({"format": "tclearn-receipt/2", "charter": b"", "entry": b"", "receipt": b"", "checkpoint": ""}),
        bytes(RECEIPT_BYTES_MAX + 1),
    ],
    ids=range(7),
)
def test_other_files_are_no_receipts(world: World, data: bytes) -> None:
    assert refused(data, world).code is Code.RECORD_FORMAT
    with pytest.raises(VerificationError):
        charter_of(data)


def test_size_is_compared_before_anything_is_decoded(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "x" * 900_000))
    data = receipt(world, ledger, 0)
    assert check(data, world).entry.index == 0
    file = parts(data)
    large = encode({**file, "charter": bytes(RECEIPT_BYTES_MAX)})
    assert "at most" in str(refused(large, world)) or refused(large, world).code is Code.RECORD_FORMAT
    nested = encode({**file, "charter": world.charter, "receipt": bytes(1 << 20)})
    assert refused(nested, world).code is Code.RECEIPT


# A thousand changed ones


@cache
def material() -> tuple[World, list[bytes]]:
    world = World()
    ledger = filled(world, 24)
    return world, [receipt(world, ledger, index) for index in range(len(ledger))]


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


def flipped_part(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file = parts(data)
    name = chance.choice(["format", "charter", "entry", "receipt", "checkpoint"])
    if isinstance(file[name], bytes):
        file[name] = flip(file[name], chance)
    else:
        file[name] = flip(file[name].encode(), chance).decode("utf-8", "replace")
    return encode(file)


def exchanged_part(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file, other = parts(data), parts(chance.choice(others))
    name = chance.choice(["entry", "receipt", "checkpoint", "cosigners"])
    return encode({**file, name: other[name]})


def other_proof(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file = parts(data)
    cose = CoseReceipt.parse(file["receipt"])
    path = list(cose.path)
    how = chance.randrange(6)
    if how == 0:
        path.insert(chance.randrange(len(path) + 1), Digest(chance.randbytes(32)))
    elif how == 1 and path:
        del path[chance.randrange(len(path))]
    elif how == 2:
        chance.shuffle(path)
    elif how == 3 and path:
        path[chance.randrange(len(path))] = Digest(chance.randbytes(32))
    size = cose.size + (chance.choice([-1, 1, 8]) if how == 4 else 0)
    index = cose.index + (chance.choice([-1, 1, 2]) if how == 5 else 0)
    changed = CoseReceipt(cose.key, cose.log, max(0, size), max(0, index), tuple(path), cose.signature)
    return encode({**file, "receipt": changed.encode()})


def other_cosigners(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    file = parts(data)
    cosigners: dict[str, bytes] = dict(file["cosigners"])
    if cosigners and chance.random() < 0.5:
        del cosigners[chance.choice(sorted(cosigners))]
    else:
        cosigners[chance.choice(["m0", "m1", "m7"])] = chance.choice([FORGER.public, signer("m2").public])
    return encode({**file, "cosigners": cosigners})


def cut_or_grown(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return chance.choice([data[:at], data + data[:at] + b"\0", data[:at] + data[at : at + 9] + data[at:]])


MUTATIONS: list[Callable[[bytes, list[bytes], random.Random], bytes]] = [
    lambda data, others, chance: flip(data, chance),
    flipped_part,
    exchanged_part,
    other_proof,
    other_cosigners,
    cut_or_grown,
]


def test_of_a_thousand_changed_receipts_none_verifies() -> None:
    world, receipts = material()
    tried = 0
    for seed in range(1200):
        chance = random.Random(seed)
        data = chance.choice(receipts)
        changed = MUTATIONS[seed % len(MUTATIONS)](data, receipts, chance)
        if changed != data:
            tried += 1
            refused(changed, world)
    assert tried >= 1000


def test_no_bit_can_be_flipped() -> None:
    world = World(2)
    ledger = world.memory()
    ledger.submit(world.add(0, "a"))
    cosigned(world, ledger, members=2)
    data = receipt(world, ledger, 0)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        refused(bytes(changed), world)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    refused(data, material()[0])


naturals = st.integers(0, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32).map(Digest)


@given(naturals, naturals, st.lists(digests, max_size=PATH_MAX), digests, digests)
def test_a_cose_receipt_is_read_as_it_was_written(
    size: int, index: int, path: list[Digest], root: Digest, coalition: Digest
) -> None:
    made = sign_receipt(FORGER, origin(coalition), root, size, index, tuple(path))
    assert CoseReceipt.parse(made.encode()) == made
    made.check(root)
    assert cbor2.dumps(cbor2.loads(made.encode()), canonical=True) == made.encode()


# Other people's software


def rfc_9162_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to, as RFC 9162 §2.1.3.2 tells a client to compute it."""
    assert index < size
    fn, sn = index, size - 1
    r = hashlib.sha256(b"\x00" + leaf).digest()
    for p in path:
        assert sn > 0
        if fn % 2 == 1 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            if fn % 2 == 0:
                while True:
                    fn, sn = fn // 2, sn // 2
                    if fn % 2 == 1 or fn == 0:
                        break
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn // 2, sn // 2
    assert sn == 0
    return r


def by_pycose(cose: bytes, log_key: bytes, entry: bytes) -> tuple[dict[Any, Any], tuple[int, int], bytes]:
    """Verifies a COSE receipt of RFC 9942 with pycose; returns protected header, size and index, and the root."""
    assert cose[0] == 0xC0 | 18
    message: Any = Sign1Message.from_cose_obj(cbor2.loads(cose[1:]), True)
    assert message.phdr[Algorithm] is EdDSA
    assert message.phdr[KID] == log_key
    assert message.payload is None
    assert message.phdr[395] == 1
    assert list(message.uhdr) == [396] and list(message.uhdr[396]) == [-1]
    (proof,) = message.uhdr[396][-1]
    size, index, path = cbor2.loads(proof)
    root = rfc_9162_root(entry, index, size, path)
    message.key = OKPKey(crv=Ed25519, x=log_key)
    assert message.verify_signature(detached_payload=root)
    assert not message.verify_signature(detached_payload=hashlib.sha256(root).digest())
    return dict(message.phdr), (size, index), root


def test_pycose_and_a_client_written_from_the_rfcs_verify_every_receipt() -> None:
    world, receipts = material()
    for index, data in enumerate(receipts):
        file = parts(data)
        assert cbor2.dumps(file, canonical=True) == data
        protected, (size, place), root = by_pycose(file["receipt"], world.log.public, file["entry"])
        assert protected[15] == {1: f"tclearn/{hashlib.sha256(file['charter']).hexdigest()}"}
        assert place == index == cbor2.loads(file["entry"])["index"]
        note = file["checkpoint"].encode()
        text, _ = third_party(note, protected[15][1], 0x01, world.log.public)
        assert text.splitlines()[1:3] == [b"%d" % size, base64.b64encode(root)]
        for name, key in file["cosigners"].items():
            third_party(note, f"{protected[15][1]}/{name}", 0x04, key)


@given(st.integers(1, 70), st.data())
def test_paths_agree_with_the_rfc_at_every_size(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = MerkleLog()
    for number in range(size):
        tree.append(leaf_hash(b"%d" % number))
    path: list[bytes] = list(tree.inclusion_proof(index, size))
    assert rfc_9162_root(b"%d" % index, index, size, path) == tree.root(size)


def test_arguments_are_those_that_were_said(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "a"))
    call = check(receipt(world, ledger, 0), world).transaction.call
    assert (call.contract, call.method) == (NAME, "add")
    said: Record = Add.from_value(call.arguments)
    assert said == Add("a", ("a", "b"))
    assert not isinstance(said, Endorse)
