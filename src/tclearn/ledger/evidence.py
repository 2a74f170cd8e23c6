"""Evidence: two things that one key has signed and that no honest one signs, in a file that anybody can check offline.

Format, and what follows from each kind: ``docs/formats/evidence.md``. How it is found: ``tclearn.ledger.searching``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError, TCLearnError, VerificationError
from tclearn.identity import PublicKey
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.contract import Head, S
from tclearn.ledger.cosigning import read_cosignature
from tclearn.ledger.founding import Founding, founding
from tclearn.ledger.merkle import check_consistency, check_inclusion, leaf_hash
from tclearn.ledger.transaction import Call, Transaction
from tclearn.ledger.verify import Terms
from tclearn.limits import EVIDENCE_BYTES_MAX
from tclearn.records import Record

FORMAT: Final = "tclearn-evidence/1"


class Kind(StrEnum):
    """What contradicts what."""

    TWO_HEADS = "two-heads"
    """The log signed two heads of which neither extends the other."""
    TWO_ENTRIES = "two-entries"
    """The log signed two heads with different entries at one place."""
    TWO_COSIGNATURES = "two-cosignatures"
    """A member cosigned two heads that contradict each other in one of these two ways."""
    TWO_TRANSACTIONS = "two-transactions"
    """A member signed two different calls under one sequence number."""
    TWO_WORDS = "two-words"
    """A member said two things that contradict each other under the protocol."""


@runtime_checkable
class Contradicting(Protocol):
    """What a contract offers when a member's words can contradict each other.

    Honest members never say such a pair, whatever crashes and however often they repeat themselves.
    """

    def topic(self, call: Call) -> str | None:
        """What a call is about, where another could contradict it: only calls of one topic do; ``None``: nothing."""

    def contradiction(self, first: Call, second: Call, member: MemberId) -> str | None:
        """In words, how two calls of one topic contradict each other, in either order; ``None``: they do not."""


@dataclass(frozen=True, slots=True)
class Statement(Record):
    """One of the two things signed, with what it takes to see the contradiction.

    Attributes:
        signed: a transaction, or a checkpoint with the accused key's signature alone.
        entry: the entry at the place in question.
        prefix: the root of this tree's first entries, as many as the other head has.
        path: inclusion proof of ``entry``, or consistency proof from ``prefix``, to the checkpoint's root.
    """

    signed: bytes
    entry: bytes | None = None
    prefix: Digest | None = None
    path: tuple[Digest, ...] | None = None


@dataclass(frozen=True, slots=True)
class _File(Record):
    # As in docs/formats/evidence.md
    format: str
    kind: str
    charter: bytes
    first: Statement
    second: Statement
    key: bytes | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One of the two things signed, taken apart.

    Attributes:
        head: the head signed or cosigned.
        entry: what is at the place in question under this head.
        transaction: the transaction signed.
    """

    head: Head | None = None
    entry: bytes | None = None
    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What evidence has proven.

    Attributes:
        kind: which contradiction.
        coalition: digest of the charter.
        key: the key that signed both.
        member: whose key it is by the charter; ``None``: the log's.
        what: the contradiction in words.
        index: the place at which two histories part, where it is known.
        first: one of the two.
        second: the other.
    """

    kind: Kind
    coalition: Digest
    key: PublicKey
    member: MemberId | None
    what: str
    index: int | None
    first: Said
    second: Said


def write_evidence(
    kind: Kind,
    charter: bytes,
    first: Statement,
    second: Statement,
    *,
    key: PublicKey | None = None,
    index: int | None = None,
) -> bytes:
    """A file of evidence; the order of the statements does not matter. Nothing is checked.

    Args:
        kind: which contradiction.
        charter: the charter's canonical bytes.
        first: one statement.
        second: the other.
        key: the member's key, for ``TWO_COSIGNATURES``.
        index: where two histories part, when the statements carry entries.
    """
    first, second = sorted((first, second), key=lambda statement: statement.signed)
    return _File(FORMAT, kind.value, charter, first, second, key, index).encode()


def of_heads(
    charter: bytes,
    first: bytes,
    second: bytes,
    *,
    prefix: Digest | None = None,
    path: tuple[Digest, ...] | None = None,
) -> bytes:
    """Evidence that the log signed two heads that contradict each other.

    Args:
        charter: the charter's canonical bytes.
        first: a signed checkpoint; the smaller one, where they differ in size.
        second: the other.
        prefix: root of the first entries under ``second``, as many as ``first`` has; only where the sizes differ.
        path: consistency proof from ``prefix`` to the root of ``second``.
    """
    return write_evidence(Kind.TWO_HEADS, charter, Statement(first), Statement(second, prefix=prefix, path=path))


def of_transactions(kind: Kind, charter: bytes, first: bytes, second: bytes) -> bytes:
    """Evidence of two signed transactions of a member: ``TWO_TRANSACTIONS`` or ``TWO_WORDS``."""
    return write_evidence(kind, charter, Statement(first), Statement(second))


def check_evidence(data: bytes, terms_of: Callable[[bytes], Terms[S]], charter_digest: Digest) -> Contradiction:
    """Check a file of evidence; steps numbered as in ``docs/formats/evidence.md``.

    Args:
        data: the file.
        terms_of: makes the contract and the log's key from the charter's bytes, after their digest was compared.
        charter_digest: SHA-256 of the charter, known to the caller from elsewhere.

    Raises:
        VerificationError: it proves nothing.
    """
    # 1. The form
    file = _read(data)
    # 2. The charter is the one that the caller means
    founded = founding(file.charter, charter_digest, terms_of)
    try:
        if file.first.signed >= file.second.signed:
            raise _fault("the two statements are the same, or not in order")
        if file.kind in (Kind.TWO_TRANSACTIONS, Kind.TWO_WORDS):
            return _transactions(file, founded)
        return _heads(file, founded)
    except (MessageError, VerificationError) as error:
        raise VerificationError(
            Code.EVIDENCE,
            f"the evidence proves nothing: {error.what}",
            expected="two things that one key signed and that contradict each other",
            remedy="nobody is convicted by this file",
        ) from error


def contradiction_of_heads(small: Head, large: Head, prefix: Digest | None, path: Sequence[Digest] | None) -> str:
    """In words, how two heads contradict each other: neither extends the other.

    Args:
        small: the smaller head, or one of two of the same size.
        large: the other.
        prefix: root of the first entries under ``large``, as many as ``small`` has; ``None`` where the sizes are equal.
        path: consistency proof from ``prefix`` to the root of ``large``; ``None`` likewise.

    Raises:
        MessageError: they do not, or it is not shown.
        VerificationError: ``path`` does not lead from ``prefix`` to the root of ``large``.
    """
    if small.size == large.size:
        if prefix is not None or path is not None:
            raise _fault("a statement has more than its kind needs")
        if small == large:
            raise _fault("both are the same head")
        other = "different roots" if small.root != large.root else "the same entries and different results or times"
        return f"two heads of {_entries(small.size)} with {other}"
    if prefix is None or path is None:
        raise _fault("the larger head comes without the root of its first entries")
    check_consistency(small.size, large.size, path, prefix, large.root)
    if prefix == small.root:
        raise _fault("the larger head extends the smaller one")
    return f"two histories: {_at_sizes([small, large])}, which does not begin with the same entries"


def charter_of(data: bytes) -> bytes:
    """The charter in a file of evidence, not checked.

    Raises:
        VerificationError: it is no evidence.
    """
    return _read(data).charter


def _read(data: bytes) -> _File:
    try:
        file = _File.from_value(decode(data, size_max=EVIDENCE_BYTES_MAX), "evidence")
        if file.format != FORMAT or file.kind not in list(Kind):
            raise MessageError(Code.RECORD_FORMAT, "another version of the format")
    except TCLearnError as error:
        raise VerificationError(
            Code.RECORD_FORMAT,
            f"this is not evidence: {error.what}",
            expected=f"a file in the format {FORMAT}",
            remedy="ask for one made by `tclearn ledger evidence`",
        ) from error
    return file


def _heads(file: _File, founded: Founding[S]) -> Contradiction:
    member = None
    key = founded.log_key
    if (file.kind == Kind.TWO_COSIGNATURES) != (file.key is not None):
        raise _fault("it names a key where it must not, or names none")
    if file.key is not None:
        key = PublicKey(file.key)
        member = founded.member_of(key)
        if member is None:
            raise _fault("the key is no member's by the charter")
    # 3. Two heads that the key signed
    heads = [_signed_head(statement.signed, founded, key, member) for statement in (file.first, file.second)]
    # 4. They contradict each other
    if file.index is not None and file.kind != Kind.TWO_HEADS:
        what = _different_entries(file, heads)
    elif file.index is None and file.kind != Kind.TWO_ENTRIES:
        what = _neither_extends(file, heads)
    else:
        raise _fault("a place in the log is named where it must not be, or none is")
    return Contradiction(
        Kind(file.kind),
        founded.coalition,
        key,
        member,
        f"{'signed' if member is None else 'cosigned'} {what}",
        file.index,
        *(Said(head, statement.entry) for head, statement in zip(heads, (file.first, file.second), strict=True)),
    )


def _signed_head(data: bytes, founded: Founding[S], key: PublicKey, member: MemberId | None) -> Head:
    note = Note.parse(data)
    if note.coalition != founded.coalition:
        raise _fault("a checkpoint of another coalition")
    if len(note.lines) != 1:
        raise _fault(f"a checkpoint with {len(note.lines)} signatures instead of one")
    if member is None:
        note.check(key)
    else:
        read_cosignature(note, note.lines[0], member, key)
    return note.head


def _different_entries(file: _File, heads: list[Head]) -> str:
    index = file.index or 0
    for statement, head in zip((file.first, file.second), heads, strict=True):
        if statement.entry is None or statement.path is None or statement.prefix is not None:
            raise _fault("a statement has not exactly an entry and its path")
        check_inclusion(leaf_hash(statement.entry), index, head.size, statement.path, head.root)
    if file.first.entry == file.second.entry:
        raise _fault("the entry is the same under both heads")
    return f"two histories: {_at_sizes(heads)}, with different entries at place {index}"


def _neither_extends(file: _File, heads: list[Head]) -> str:
    (small, plain), (large, proof) = sorted(
        zip(heads, (file.first, file.second), strict=True), key=lambda pair: pair[0].size
    )
    if any(extra is not None for extra in (plain.entry, plain.prefix, plain.path, proof.entry)):
        raise _fault("a statement has more than its kind needs")
    return contradiction_of_heads(small, large, proof.prefix, proof.path)


def _transactions(file: _File, founded: Founding[S]) -> Contradiction:
    statements = file.first, file.second
    if file.key is not None or file.index is not None or any(Statement(each.signed) != each for each in statements):
        raise _fault("it has more than its kind needs")
    # 3. Two transactions that one member signed
    first, second = (Transaction.parse_checked(each.signed, founded.coalition) for each in statements)
    if first.signer != second.signer:
        raise _fault("they are signed by two keys")
    member = founded.member_of(first.signer)
    if member is None:
        raise _fault("the key is no member's by the charter")
    # 5. They contradict each other
    if file.kind == Kind.TWO_TRANSACTIONS:
        if first.sequence != second.sequence or first.call == second.call:
            raise _fault("they have different numbers, or say the same")
        what = f"signed two different calls under the sequence number {first.sequence}"
    else:
        what = f"said two things that contradict each other: {_in_words(first, second, member, founded)}"
    said = Said(transaction=first), Said(transaction=second)
    return Contradiction(Kind(file.kind), founded.coalition, first.signer, member, what, None, *said)


def _in_words(first: Transaction, second: Transaction, member: MemberId, founded: Founding[S]) -> str:
    contract = founded.contract
    if {first.call.contract, second.call.contract} != {contract.name} or not isinstance(contract, Contradicting):
        raise _fault(f"{contract.name} says nothing about these calls")
    topic = contract.topic(first.call)
    same = topic is not None and topic == contract.topic(second.call)
    what = contract.contradiction(first.call, second.call, member) if same else None
    if what is None:
        raise _fault("an honest member may say both")
    return what


def _at_sizes(heads: list[Head]) -> str:
    return " and ".join(f"a head of {_entries(head.size)}" for head in heads)


def _entries(number: int) -> str:
    return f"{number} entr{'y' if number == 1 else 'ies'}"


def _fault(what: str) -> MessageError:
    return MessageError(Code.EVIDENCE, what)
