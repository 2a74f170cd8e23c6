"""Targets: files that prove one thing each: a receipt for an entry, evidence against a key."""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import islice
from typing import Any, Final

from tests.fuzz import samples
from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor
from tests.protocols.world import signer

from tclearn.encoding import Digest, Value, decode, encode
from tclearn.errors import VerificationError
from tclearn.identity import PublicKey, open_signed, sign
from tclearn.ledger import Head, cose_receipt
from tclearn.ledger.checkpoint import Note, origin
from tclearn.ledger.checkpoint import sign as sign_head
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.ledger.cosigning import cosign, cosigned_note
from tclearn.ledger.evidence import Kind, Statement, check_evidence, of_transactions, write_evidence
from tclearn.ledger.evidence import charter_of as charter_of_evidence
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.receipt import charter_of as charter_of_receipt
from tclearn.ledger.receipt import check_receipt, write_receipt
from tclearn.protocols import terms_of

_TRANSACTION: Final = b"TCLearn/tx/v1"
_KINDS: Final = tuple(Kind)

# --- receipts --------------------------------------------------------------------------------------------------------


@cache
def _receipts() -> list[bytes]:
    told = samples.free_story()
    written = (0, 4, len(told.ledger) - 1)
    return [write_receipt(told.ledger, told.charter.encode(), terms_of, signer("log"), index) for index in written]


def _receipt(data: bytes) -> object:
    told = samples.free_story()
    charter_of_receipt(data)
    received = check_receipt(data, terms_of, told.charter.digest)
    assert any(received.entry == item.entry for item in told.ledger.entries(0, len(told.ledger)))
    return received.by_quorum


def _cose(data: bytes) -> object:
    receipt = CoseReceipt.parse(data)
    assert receipt.encode() == data
    receipt.check(Digest(bytes(32)))
    return receipt.size


def _cose_samples() -> list[bytes]:
    told = samples.free_story()
    key, log = signer("log"), origin(told.charter.digest)
    paths = ((), (Digest(b"a" * 32),), (Digest(b"b" * 32),) * 30)
    return [cose_receipt.sign(key, log, Digest(bytes(32)), 1 << len(path), 0, path).encode() for path in paths]


def _given_out(data: bytes) -> object:
    """A receipt by a log that signs anything: ``[entry, size, root, results, time, leaf, path, name, cosigners]``."""
    match decode(data):
        case [
            bytes(entry),
            int(size),
            bytes(root),
            bytes(results),
            int(time_ms),
            int(leaf),
            list(path),
            str(name),
            *rest,
        ]:
            pass
        case _:
            return None
    whole = [root, results, *path]
    if not all(type(node) is bytes and len(node) == 32 for node in whole) or min(size, leaf, time_ms) < 0:
        return None
    told, key = samples.free_story(), signer("log")
    head = Head(size, Digest(root), Digest(results), time_ms)
    note = sign_head(key, told.charter.digest, head)
    cosigners: dict[str, Value] = {}
    for member in rest:
        if isinstance(member, str) and member.isascii():
            cosigned = cosign(signer(member), told.charter.digest, head, 1)
            note = cosigned_note(note, member, signer(member).public, cosigned)  # type: ignore[arg-type]
            cosigners[member] = signer(member).public
    nodes = tuple(Digest(node) for node in path if isinstance(node, bytes))
    receipt = cose_receipt.sign(key, name, Digest(root), size, leaf, nodes).encode()
    file: dict[str, Value] = {
        "format": "tclearn-receipt/1",
        "charter": told.charter.encode(),
        "entry": entry,
        "receipt": receipt,
        "checkpoint": note.encode().decode("utf-8", "replace"),
        "cosigners": cosigners,
    }
    return len(check_receipt(encode(file), terms_of, told.charter.digest).cosigners)


def _given_out_samples() -> list[bytes]:
    told, found = samples.free_story(), []
    items = list(told.ledger.entries(0, len(told.ledger)))
    log = MerkleLog()
    for item in items:
        log.append(leaf_hash(item.entry.encode()))
    for index, size in ((0, 1), (3, 9), (8, len(items))):
        head, path = told.ledger.head(size), log.inclusion_proof(index, size)
        said: list[Any] = [items[index].entry.encode(), size, head.root, head.results, head.time_ms, index, list(path)]
        found.append(encode([*said, origin(told.charter.digest), "m00", "m01"]))
    return found


# --- evidence --------------------------------------------------------------------------------------------------------


def _evidence(data: bytes) -> object:
    told = samples.free_story()
    assert hashlib.sha256(charter_of_evidence(data)).digest() is not None
    proven = check_evidence(data, terms_of, told.charter.digest)
    assert data in _evidence_samples() or proven.kind is Kind.TWO_HEADS
    return proven.kind


@cache
def _evidence_samples() -> list[bytes]:
    found = []
    for data in (*_words_samples(), *_heads_samples()):
        found += _files(data)
    return found


def _files(data: bytes) -> list[bytes]:
    parts: Any = decode(data)
    return [_words_file(parts) if len(parts) == 4 else _heads_file(parts)]


def _two_words(data: bytes) -> object:
    """Two payloads that a member signs, whatever they are: ``[kind, member, payload, payload]``."""
    match decode(data):
        case [int(_), int(_), bytes(_), bytes(_)] as parts:
            pass
        case _:
            return None
    told = samples.free_story()
    return check_evidence(_words_file(parts), terms_of, told.charter.digest).what[:60]


def _words_file(parts: Any) -> bytes:
    told = samples.free_story()
    kind, who, *payloads = parts
    key = samples.senders()[who % len(samples.senders())]
    first, second = (sign(key, bytes(payload), _TRANSACTION + told.charter.digest) for payload in payloads)
    return of_transactions(_KINDS[kind % len(_KINDS)], told.charter.encode(), first, second)


def _words_samples() -> list[bytes]:
    told = samples.free_story()
    said = [open_signed(transaction.raw).payload for _, transaction in told.transactions]
    found = []
    for kind in (Kind.TWO_TRANSACTIONS, Kind.TWO_WORDS):
        for payload in said:
            value: Any = decode(payload)
            for name, item in value["arguments"].items():
                if isinstance(item, int) and name not in ("attempt", "height"):
                    value["arguments"][name] = item + 1
                elif isinstance(item, bytes) and name not in ("candidate", "block", "parent"):
                    value["arguments"][name] = bytes(len(item))
            found += [encode([_KINDS.index(kind), who, payload, encode(value)]) for who in (0, 1)]
    return found


def _two_heads(data: bytes) -> object:
    """Two heads under one key that signs anything: ``[kind, member or none, index or none, statement, statement]``.

    A statement is ``[size, root, results, time, entry, prefix, path]``; empty bytes stand for what is absent.
    """
    match decode(data):
        case [int(_), int(_), int(_), list(first), list(second)] as parts:
            pass
        case _:
            return None
    for statement in (first, second):
        match statement:
            case [int(size), bytes(root), bytes(results), int(time_ms), bytes(_), bytes(prefix), list(path)]:
                hashes = [root, results, *path, *([prefix] if prefix else [])]
                if min(size, time_ms) < 0 or not all(type(node) is bytes and len(node) == 32 for node in hashes):
                    return None
            case _:
                return None
    told = samples.free_story()
    return check_evidence(_heads_file(parts), terms_of, told.charter.digest).what[:30]


def _heads_file(parts: Any) -> bytes:
    kind, who, index, *statements = parts
    told = samples.free_story()
    members = ["m00", "m01", "nobody"]
    member = members[who] if 0 <= who < len(members) else None
    written = []
    for size, root, results, time_ms, entry, prefix, path in statements:
        head = Head(size, Digest(root), Digest(results), time_ms)
        note = sign_head(signer("log"), told.charter.digest, head)
        if member is not None:
            signed = cosign(signer(member), told.charter.digest, head, 7)
            both = cosigned_note(note, member, signer(member).public, signed)
            note = Note(note.coalition, note.head, both.lines[1:])
        nodes = tuple(map(Digest, path)) if path or entry or prefix else None
        written.append(Statement(note.encode(), entry or None, Digest(prefix) if prefix else None, nodes))
    return write_evidence(
        _KINDS[kind % len(_KINDS)],
        told.charter.encode(),
        *written,
        key=None if member is None else PublicKey(signer(member).public),
        index=index if index >= 0 else None,
    )


@cache
def _heads_samples() -> list[bytes]:
    told = samples.free_story()
    entries = [item.entry.encode() for item in told.ledger.entries(0, len(told.ledger))]
    true, other = MerkleLog(), MerkleLog()
    for at, entry in enumerate(entries):
        true.append(leaf_hash(entry))
        other.append(leaf_hash(entries[0] if at == 5 else entry))
    nothing: list[Any] = [b"", b"", []]
    found: list[Any] = []
    for size, larger in ((8, 8), (7, 11)):
        for who, kind in ((-1, Kind.TWO_HEADS), (0, Kind.TWO_COSIGNATURES)):
            one = [size, true.root(size), bytes(32), 5, *nothing]
            proof = list(other.consistency_proof(size, larger))
            two = [larger, other.root(larger), bytes(32), 5, b"", other.root(size) if size < larger else b"", proof]
            found.append([_KINDS.index(kind), who, -1, one, two])
    for who, kind in ((-1, Kind.TWO_ENTRIES), (1, Kind.TWO_COSIGNATURES)):
        one = [9, true.root(9), bytes(32), 5, entries[5], b"", list(true.inclusion_proof(5, 9))]
        two = [12, other.root(12), bytes(32), 5, entries[0], b"", list(other.inclusion_proof(5, 12))]
        found.append([_KINDS.index(kind), who, 5, one, two])
    return [encode(parts) for parts in found]


TARGETS: Final = (
    Target("receipt", _receipts, _receipt, cbor(plain=0.1), 150, (VerificationError,)),
    Target("receipt-signed", _given_out_samples, _given_out, cbor(plain=0.05), 80),
    Target("cose-receipt", _cose_samples, _cose, cbor(plain=0.5), 500),
    Target("evidence", _evidence_samples, _evidence, cbor(plain=0.1), 150, (VerificationError,)),
    Target("evidence-words", lambda: list(islice(_words_samples(), 30)), _two_words, cbor(plain=0.05), 150),
    Target("evidence-heads", _heads_samples, _two_heads, cbor(plain=0.05), 150),
)
