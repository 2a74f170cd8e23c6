"""Receipts: one entry of a ledger in a file that anybody can check offline. Format: ``docs/formats/receipt.md``.

A receipt holds the charter, the entry, the log's COSE receipt of inclusion, and the checkpoint that the inclusion is
proven against, with the cosignatures of members. What it shows and what it cannot is in the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError, TCLearnError, UsageError, VerificationError
from tclearn.identity import PublicKey, Signer
from tclearn.ledger import cose_receipt
from tclearn.ledger.checkpoint import Note, origin
from tclearn.ledger.checkpoint import sign as sign_head
from tclearn.ledger.contract import Head, S
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.ledger.cosigning import Cosignature, Cosigning, cosigned_note, quorum, read_cosignature
from tclearn.ledger.founding import Founding, founding
from tclearn.ledger.merkle import MerkleLog, check_inclusion, leaf_hash
from tclearn.ledger.recorded import Log, Recorded
from tclearn.ledger.transaction import Entry, Transaction
from tclearn.ledger.verify import Terms
from tclearn.limits import RECEIPT_BYTES_MAX
from tclearn.records import Record

FORMAT: Final = "tclearn-receipt/1"

_Cosigned = dict[MemberId, tuple[PublicKey, Cosignature]]


@dataclass(frozen=True, slots=True)
class _File(Record):
    # As in docs/formats/receipt.md
    format: str
    charter: bytes
    entry: bytes
    receipt: bytes
    checkpoint: str
    cosigners: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Received:
    """What a receipt has proven.

    Attributes:
        coalition: digest of the charter.
        entry: the entry, at its place in the log.
        transaction: what the entry holds; its signature is checked.
        sender: whose key signed the transaction, by the charter; ``None``: a key that the charter does not name.
        head: what the log, and the cosigners, have signed; the entry is under it.
        cosigners: the members of the charter that cosigned the head, with the time by their own clocks in seconds since
            1970; sorted.
        members: how many members' cosignatures count, by the charter.
    """

    coalition: Digest
    entry: Entry
    transaction: Transaction
    sender: MemberId | None
    head: Head
    cosigners: tuple[tuple[MemberId, int], ...]
    members: int

    @property
    def needed(self) -> int:
        """How many cosignatures make a quorum of the charter's members."""
        return quorum(self.members)

    @property
    def by_quorum(self) -> bool:
        """Whether a quorum answers for the head; else only the log does."""
        return bool(self.members) and len(self.cosigners) >= self.needed


def write_receipt(log: Log, charter: bytes, terms_of: Callable[[bytes], Terms[S]], key: Signer, index: int) -> bytes:
    """A receipt for an entry.

    It is against the newest head that a quorum of the charter's members has cosigned; while none covers the entry,
    against the newest that any of them has; and else against the present head.

    Args:
        log: the ledger.
        charter: the charter's canonical bytes.
        terms_of: makes the contract from the charter's bytes.
        key: the log's own key.
        index: the entry's position.

    Raises:
        UsageError: there is no such entry.
        VerificationError: the charter is not the one of this ledger.
    """
    size = len(log)
    if not 0 <= index < size:
        raise UsageError(
            Code.USAGE,
            f"there is no entry {index}",
            expected=f"a number from 0 to {size - 1}" if size else "a ledger that is not empty",
            remedy="`tclearn ledger show` lists the entries",
        )
    founded = founding(charter, log.coalition, terms_of)
    tree = MerkleLog()
    entry = b""
    heads: dict[Head, _Cosigned] = {}
    for item in log.entries(0, size):
        data = item.entry.encode()
        tree.append(leaf_hash(data))
        if item.entry.index == index:
            entry = data
        elif item.entry.index > index:
            _count(item, founded, heads)
    covering = {head: by for head, by in heads.items() if index < head.size <= size and head == log.head(head.size)}
    head, cosigned = _chosen(covering, quorum(len(founded.cosigners()))) or (log.head(size), {})
    note = sign_head(key, log.coalition, head)
    for member in sorted(cosigned):
        note = cosigned_note(note, member, *cosigned[member])
    path = tuple(tree.inclusion_proof(index, head.size))
    receipt = cose_receipt.sign(key, origin(log.coalition), head.root, head.size, index, path)
    cosigners: dict[str, bytes] = {member: cosigner for member, (cosigner, _) in cosigned.items()}
    return _File(FORMAT, charter, entry, receipt.encode(), note.encode().decode(), cosigners).encode()


def check_receipt(data: bytes, terms_of: Callable[[bytes], Terms[S]], charter_digest: Digest) -> Received:
    """Check a receipt; steps numbered as in ``docs/formats/receipt.md``.

    Args:
        data: the file.
        terms_of: makes the contract and the log's key from the charter's bytes, after their digest was compared.
        charter_digest: SHA-256 of the charter, known to the caller from elsewhere.

    Raises:
        VerificationError: it does not prove what it says.
    """
    # 1. The form
    file = _read(data)
    # 2. The charter is the one that the caller means
    founded = founding(file.charter, charter_digest, terms_of)
    try:
        # 3. The entry, signed for this coalition
        entry = Entry.parse(file.entry)
        transaction = Transaction.parse_checked(entry.transaction, charter_digest)
        # 4. The checkpoint, signed by the log
        note = Note.parse(file.checkpoint.encode())
        if note.coalition != charter_digest:
            raise MessageError(Code.WRONG_COALITION, "a checkpoint of another coalition")
        note.check(founded.log_key)
        # 5. The entry is under it, and the log says so
        _check_inclusion(CoseReceipt.parse(file.receipt), entry, note.head, founded)
        # 6. The cosignatures are those of the members that are named
        cosigners = _check_cosigners(note, file.cosigners, founded)
    except (MessageError, VerificationError) as error:
        raise VerificationError(
            Code.RECEIPT,
            f"the receipt does not prove its entry: {error.what}",
            expected="an entry, a receipt and a checkpoint that belong together",
            remedy="ask for the receipt again, or for the whole record",
        ) from error
    return Received(
        charter_digest,
        entry,
        transaction,
        founded.member_of(transaction.signer),
        note.head,
        cosigners,
        len(founded.cosigners()),
    )


def charter_of(data: bytes) -> bytes:
    """The charter in a receipt, not checked.

    Raises:
        VerificationError: it is no receipt.
    """
    return _read(data).charter


def _count(item: Recorded, founded: Founding[S], heads: dict[Head, _Cosigned]) -> None:
    if not isinstance(founded.contract, Cosigning):
        return
    transaction = Transaction.parse(item.entry.transaction)
    member = founded.member_of(transaction.signer)
    if member is None or member not in founded.cosigners() or transaction.call.contract != founded.contract.name:
        return
    try:
        cosignature = founded.contract.cosignature(transaction.call, member)
    except MessageError:
        return
    if cosignature is not None:
        heads.setdefault(cosignature.head, {}).setdefault(member, (transaction.signer, cosignature))


def _chosen(heads: Mapping[Head, _Cosigned], needed: int) -> tuple[Head, _Cosigned] | None:
    enough = [head for head, cosigned in heads.items() if len(cosigned) >= needed]
    newest = max(enough or heads, key=lambda head: head.size, default=None)
    return None if newest is None else (newest, heads[newest])


def _read(data: bytes) -> _File:
    try:
        file = _File.from_value(decode(data, size_max=RECEIPT_BYTES_MAX), "receipt")
        if file.format != FORMAT:
            raise MessageError(Code.RECORD_FORMAT, "another version of the format")
    except TCLearnError as error:
        raise VerificationError(
            Code.RECORD_FORMAT,
            f"this is not a receipt: {error.what}",
            expected=f"a file in the format {FORMAT}",
            remedy="ask for one made by `tclearn ledger receipt`",
        ) from error
    return file


def _check_inclusion(receipt: CoseReceipt, entry: Entry, head: Head, founded: Founding[S]) -> None:
    if receipt.key != founded.log_key or receipt.log != origin(founded.coalition):
        raise _fault("it is signed by another log, or by another key than the charter's")
    if (receipt.index, receipt.size) != (entry.index, head.size):
        raise _fault(f"it is about leaf {receipt.index} of {receipt.size}, not entry {entry.index} of {head.size}")
    if entry.time_ms > head.time_ms:
        raise _fault(f"the entry's time {entry.time_ms} is after that of the checkpoint, {head.time_ms}")
    check_inclusion(leaf_hash(entry.encode()), receipt.index, receipt.size, receipt.path, head.root)
    receipt.check(head.root)


def _check_cosigners(note: Note, keys: Mapping[str, bytes], founded: Founding[S]) -> tuple[tuple[MemberId, int], ...]:
    entitled = founded.cosigners()
    names = sorted(keys)
    if len(note.lines) != 1 + len(names) or note.lines[0].name != origin(note.coalition):
        raise _fault(f"{len(names)} cosigners are named, and the checkpoint has {len(note.lines)} signatures")
    cosigners = []
    for name, line in zip(names, note.lines[1:], strict=True):
        key = PublicKey(keys[name])
        member = founded.member_of(key)
        if member is None or member != name or member not in entitled:
            raise _fault(f"the key of {name!r} is not that of a member of the charter")
        cosigners.append((member, read_cosignature(note, line, member, key).at_seconds))
    return tuple(cosigners)


def _fault(what: str) -> MessageError:
    return MessageError(Code.RECEIPT, what)
