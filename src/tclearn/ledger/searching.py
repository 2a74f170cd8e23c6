"""Looking for evidence in what a member holds: a record, two records of one coalition, a record and a remembered head.

Records are read as they are, not replayed: a history that does not verify is what evidence is made of. Nothing is
returned that ``check_evidence`` does not take.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Generic

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError, UsageError, VerificationError
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.contract import Head, S
from tclearn.ledger.evidence import Kind, Statement, check_evidence, of_heads, of_transactions, write_evidence
from tclearn.ledger.export import ExportReader
from tclearn.ledger.founding import Founding, founding
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.spoken import Cosigner, Spoken
from tclearn.ledger.transaction import Entry
from tclearn.ledger.verify import Terms


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search has brought.

    Attributes:
        evidence: files of evidence, at most one for each key and kind; the log's first.
        sizes: number of entries of each record.
        parted: the first place at which two records differ; ``None``: one continues the other, or there is only one.
    """

    evidence: tuple[bytes, ...]
    sizes: tuple[int, ...]
    parted: int | None


def search(
    first: BinaryIO,
    terms_of: Callable[[bytes], Terms[S]],
    charter_digest: Digest,
    *,
    second: BinaryIO | None = None,
    checkpoint: bytes | None = None,
) -> Findings:
    """Look for contradictions in one export, between two, or between an export and a remembered checkpoint.

    Args:
        first: an export, seekable, from its first byte.
        terms_of: makes the contract and the log's key from the charter's bytes.
        charter_digest: SHA-256 of the charter.
        second: another export of the same coalition.
        checkpoint: a signed checkpoint, as an earlier verification gave it.

    Raises:
        VerificationError: a record is not an export of this coalition; or, where it is compared with something, its
            checkpoint is not of its entries, or not signed by the log.
        UsageError: the checkpoint is none of this log, or is of more entries than the record has.
    """
    one = _Copy.begin(first, terms_of, charter_digest)
    spoken = Spoken(one.founded)
    one.read(0, spoken, None)
    copies, parted, found = [one], None, list[bytes]()
    if second is not None:
        other = _Copy.begin(second, terms_of, charter_digest)
        other.read(1, spoken, one.tree)
        copies, parted = [one, other], _parted(one.tree, other.tree)
        found += _two_histories(one, other, parted)
    if checkpoint is not None:
        found += _remembered(one, checkpoint)
    for cosigner in spoken.in_order():
        found += _two_cosignatures(cosigner, copies, parted)
    for member in sorted(spoken.twice):
        places = spoken.twice[member]
        said = [Entry.parse(copies[number].entry(index)).transaction for number, index in places]
        found.append(of_transactions(Kind.TWO_TRANSACTIONS, one.charter, said[0], said[1]))
    for member in sorted(spoken.contradicting):
        found.append(of_transactions(Kind.TWO_WORDS, one.charter, *spoken.contradicting[member]))
    for data in found:
        check_evidence(data, terms_of, charter_digest)
    return Findings(tuple(found), tuple(len(copy.tree) for copy in copies), parted)


@dataclass
class _Copy(Generic[S]):
    # One export.
    stream: BinaryIO
    reader: ExportReader
    founded: Founding[S]
    tree: MerkleLog

    @classmethod
    def begin(cls, stream: BinaryIO, terms_of: Callable[[bytes], Terms[S]], charter_digest: Digest) -> _Copy[S]:
        reader = ExportReader(stream)
        return cls(stream, reader, founding(reader.charter, charter_digest, terms_of), MerkleLog())

    @property
    def charter(self) -> bytes:
        return self.reader.charter

    def read(self, number: int, spoken: Spoken[S], before: MerkleLog | None) -> None:
        for index, (data, _) in enumerate(self.reader.entries()):
            leaf = leaf_hash(data)
            self.tree.append(leaf)
            if before is None or index >= len(before) or before.leaf(index) != leaf:
                spoken.hear(data, (number, index))

    def entry(self, index: int) -> bytes:
        self.stream.seek(0)
        entries = ExportReader(self.stream).entries()
        return next(data for place, (data, _) in enumerate(entries) if place == index)

    def note(self) -> Note:
        # Only what the log has signed, and what these entries give, says anything about the log.
        note = _signed(self.reader.note, self.founded)
        if note.head.size != len(self.tree) or not _is_of(note.head, self.tree):
            raise _unusable("its checkpoint is not of its entries: somebody has changed it")
        return note

    def included(self, note: bytes, index: int, size: int) -> Statement:
        return Statement(note, self.entry(index), path=tuple(self.tree.inclusion_proof(index, size)))


def _parted(first: MerkleLog, second: MerkleLog) -> int | None:
    # Prefixes agree up to some size, and never after it.
    shorter = min(len(first), len(second))
    same = bisect_left(range(1, shorter + 1), 1, key=lambda size: int(first.root(size) != second.root(size)))
    return None if same == shorter else same


def _two_histories(one: _Copy[S], other: _Copy[S], parted: int | None) -> Iterator[bytes]:
    notes = one.note(), other.note()
    if notes[0].head.size == notes[1].head.size and notes[0].head != notes[1].head:
        yield of_heads(one.charter, notes[0].encode(), notes[1].encode())
    if parted is not None:
        statements = [
            copy.included(note.encode(), parted, note.head.size) for copy, note in zip((one, other), notes, strict=True)
        ]
        yield write_evidence(Kind.TWO_ENTRIES, one.charter, statements[0], statements[1], index=parted)


def _remembered(copy: _Copy[S], checkpoint: bytes) -> Iterator[bytes]:
    shown = copy.note()
    try:
        note = _signed(checkpoint, copy.founded)
    except VerificationError as error:
        raise UsageError(error.code, error.what, expected="a checkpoint that this log has signed") from error
    size = note.head.size
    if size > shown.head.size:
        raise UsageError(
            Code.RECORD_EXTENSION,
            f"the checkpoint is of {size} entries, the record has {shown.head.size}",
            expected="a record that should extend the checkpoint",
            remedy="ask for a longer record, or compare with the record that the checkpoint is from",
        )
    if size == shown.head.size:
        if note.head != shown.head:
            yield of_heads(copy.charter, note.encode(), shown.encode())
    elif not _is_of(note.head, copy.tree):
        path = tuple(copy.tree.consistency_proof(size, shown.head.size))
        yield of_heads(copy.charter, note.encode(), shown.encode(), prefix=copy.tree.root(size), path=path)


def _two_cosignatures(cosigner: Cosigner, copies: Sequence[_Copy[S]], parted: int | None) -> Iterator[bytes]:
    pair = _of_one_size(cosigner) or _of_two_histories(cosigner, copies, parted) or _of_two_sizes(cosigner, copies)
    if pair is not None:
        index = None if pair[0].entry is None else parted
        yield write_evidence(Kind.TWO_COSIGNATURES, copies[0].charter, *pair, key=cosigner.key, index=index)


def _of_one_size(cosigner: Cosigner) -> tuple[Statement, Statement] | None:
    sizes: dict[int, Head] = {}
    for head in cosigner.heads:
        other = sizes.setdefault(head.size, head)
        if other != head:
            return Statement(cosigner.note(other)), Statement(cosigner.note(head))
    return None


def _of_two_histories(
    cosigner: Cosigner, copies: Sequence[_Copy[S]], parted: int | None
) -> tuple[Statement, Statement] | None:
    if parted is None:
        return None
    tops = [_newest(cosigner.heads, copy.tree) for copy in copies]
    past = [head for head in tops if head is not None and head.size > parted]
    if len(past) < 2:
        return None
    first, second = (
        copy.included(cosigner.note(head), parted, head.size) for copy, head in zip(copies, past, strict=True)
    )
    return first, second


def _of_two_sizes(cosigner: Cosigner, copies: Sequence[_Copy[S]]) -> tuple[Statement, Statement] | None:
    for tree in (copy.tree for copy in copies):
        top = _newest(cosigner.heads, tree)
        for head in cosigner.heads:
            if top is not None and head.size < top.size and not _is_of(head, tree):
                path = tuple(tree.consistency_proof(head.size, top.size))
                proven = Statement(cosigner.note(top), prefix=tree.root(head.size), path=path)
                return Statement(cosigner.note(head)), proven
    return None


def _newest(heads: Iterable[Head], tree: MerkleLog) -> Head | None:
    return max((head for head in heads if _is_of(head, tree)), key=lambda head: head.size, default=None)


def _is_of(head: Head, tree: MerkleLog) -> bool:
    return head.size <= len(tree) and tree.root(head.size) == head.root


def _signed(data: bytes, founded: Founding[S]) -> Note:
    # A checkpoint of this log, with the log's own signature alone.
    try:
        note = Note.parse(data)
    except MessageError as error:
        raise _unusable(error.what) from error
    for line in note.lines if note.coalition == founded.coalition else ():
        alone = Note(note.coalition, note.head, (line,))
        with suppress(MessageError):
            alone.check(founded.log_key)
            return alone
    raise _unusable("its checkpoint is of another log, or not signed by this one")


def _unusable(what: str) -> VerificationError:
    return VerificationError(
        Code.RECORD_HEAD,
        f"nothing can be shown with this file: {what}",
        expected="the log's signature on the head of these entries",
        remedy="ask for it again",
    )
