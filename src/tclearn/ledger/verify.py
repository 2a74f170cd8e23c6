"""Verification of an export: replay with public keys only; no ledger software of the other side, no network, no clock.

What it shows and what it cannot is in ``docs/formats/export.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Generic

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError, TCLearnError, VerificationError
from tclearn.identity import PublicKey
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.contract import Contract, Head, S, View
from tclearn.ledger.cosigning import Cosigned, CosignedHeads
from tclearn.ledger.export import ExportReader
from tclearn.ledger.replica import Checked, Replica
from tclearn.ledger.transaction import Entry

_CHUNK_ENTRIES: Final = 512
_CHUNK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Terms(Generic[S]):
    """What a charter fixes for its ledger.

    Attributes:
        contract: the rules; when it is also ``Cosigning``, cosigned heads are counted.
        log_key: the key that signs checkpoints.
        facts: what programs are told about the charter, whenever they are told about its ledger: names and values of
            its protocol.
        warnings: what people must be told then, a sentence each.
    """

    contract: Contract[S]
    log_key: PublicKey
    facts: Mapping[str, int | bool] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A record that verifies.

    Attributes:
        coalition: digest of the charter.
        head: the whole record, signed by the log's key.
        cosigned: the newest head that a quorum of members has cosigned; ``None`` while there is none.
        since: the remembered head that the record was shown to extend.
        state: the contract's state after the last entry.
        checkpoint: the record's signed checkpoint, to be kept and given as ``since`` another time.
        terms: what the charter fixes.
    """

    coalition: Digest
    head: Head
    cosigned: Cosigned | None
    since: Head | None
    state: View
    checkpoint: bytes
    terms: Terms[Any] = field(repr=False, compare=False)

    @property
    def entries(self) -> int:
        """Number of entries."""
        return self.head.size

    @property
    def tail(self) -> int:
        """Number of last entries that only the log's own signature covers."""
        return self.head.size - (self.cosigned.head.size if self.cosigned else 0)


@dataclass(frozen=True, slots=True)
class _Item:
    # An entry with the part of its verification that needs no state; the fault waits for its turn.
    results: Digest
    entry: Entry | None
    checked: Checked | None
    fault: TCLearnError | None


def verify(
    stream: BinaryIO,
    terms_of: Callable[[bytes], Terms[S]],
    charter_digest: Digest,
    *,
    since: Head | bytes | None = None,
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Verified:
    """Verify an export, or name its first bad entry.

    Args:
        stream: the export, from its first byte; read once, forward.
        terms_of: makes the contract and the log's key from the charter's bytes, after their digest was compared.
        charter_digest: SHA-256 of the charter, known to the caller from elsewhere.
        since: a head from an earlier verification, or such a checkpoint as a signed note: the record must extend it.
            Without it nobody can see that a record was cut back to an older state that was true once.
        threads: how many signatures are checked at a time.
        progress: is told the number of entries verified, now and then.

    Raises:
        VerificationError: whatever is wrong with the record; ``entry`` is the first bad entry where one can be named.
    """
    # 1. The format's name
    reader = ExportReader(stream)
    # 2. The charter is the one that the caller means; its digest is the coalition's id
    if hashlib.sha256(reader.charter).digest() != charter_digest:
        raise VerificationError(
            Code.RECORD_CHARTER,
            f"the record is of the charter {hashlib.sha256(reader.charter).hexdigest()}",
            expected=charter_digest.hex(),
            remedy="compare the charter's digest with the other members",
        )
    replica, terms = _replica(terms_of, reader.charter, charter_digest)
    # 3. Every entry
    heads = _entries(reader, replica, threads, progress)
    # 4. The checkpoint
    head = replica.head(len(replica))
    _checkpoint(reader.note, charter_digest, terms.log_key, head)
    # 5. A quorum of members has cosigned a head, once any of them has
    if heads.seen and heads.newest is None:
        raise VerificationError(
            Code.RECORD_QUORUM,
            f"{heads.seen} cosignatures, but no head with a quorum of the members",
            expected="more than two thirds of the members under one head",
            remedy="ask for a newer export",
        )
    # 6. The record extends the head that the caller remembers
    remembered = None if since is None else _extended(since, charter_digest, terms.log_key, replica)
    return Verified(charter_digest, head, heads.newest, remembered, replica.state(), reader.note, terms)


def _replica(terms_of: Callable[[bytes], Terms[S]], charter: bytes, coalition: Digest) -> tuple[Replica[S], Terms[S]]:
    try:
        terms = terms_of(charter)
        return Replica(terms.contract, coalition), terms
    except Exception as error:
        raise VerificationError(
            Code.RECORD_CHARTER,
            f"the record's charter cannot be used here: {_what(error)}",
            remedy=charter_remedy(error),
        ) from error


def charter_remedy(error: Exception) -> str:
    """What to do about a charter that cannot be used: install what it asks for, or find out who has changed it."""
    if isinstance(error, TCLearnError) and error.code in (Code.EXTENSION_UNKNOWN, Code.USAGE):
        return error.remedy or "install the protocol that the charter names, in its version"
    if isinstance(error, TCLearnError):
        return (
            "the charter is damaged or forged, or needs another version of TCLearn: compare its digest with the one "
            "that you know, and ask for another copy"
        )
    return "install the protocol that the charter names, in its version"


def _entries(
    reader: ExportReader, replica: Replica[S], threads: int, progress: Callable[[int], None] | None
) -> CosignedHeads:
    heads = CosignedHeads()
    for item in _checked(reader, replica, threads):
        index = len(replica)
        # 3a. It decodes, and its transaction is signed
        if item.fault is not None or item.entry is None or item.checked is None:
            raise _bad(index, item.fault) from item.fault
        # 3b. Its place follows the place before, its time is not before the time before
        if item.entry.index != index:
            raise _bad(index, f"it says that it is entry {item.entry.index}")
        if item.entry.time_ms < replica.time_ms:
            raise _bad(index, f"its time {item.entry.time_ms} is before the last entry's {replica.time_ms}")
        # 3c. It was admissible: signer, sequence, expiry, and a cosignature that it carries is of this log
        # 3d. The contract, replayed, gives the recorded results
        try:
            applied = replica.append_checked(item.checked, item.entry.time_ms)
            if applied.cosignature is not None:
                heads.add(applied.cosignature.head, applied.sender, replica.cosigners())
        except Exception as error:
            raise _bad(index, error) from error
        if applied.results != item.results:
            raise _bad(index, "the recorded results are not what the contract gives")
        replica.commit()
        if progress is not None and len(replica) % _CHUNK_ENTRIES == 0:
            progress(len(replica))
    return heads


def _checked(reader: ExportReader, replica: Replica[S], threads: int) -> Iterator[_Item]:
    def check(part: list[tuple[bytes, Digest]]) -> list[_Item]:
        return [_check(replica, data, results) for data, results in part]

    # libsodium runs outside of the interpreter's lock: several threads check signatures while this one waits, and
    # replay goes on when the chunk is checked.
    with ThreadPoolExecutor(threads) as pool:
        for chunk, end in _chunks(reader):
            each = -(-len(chunk) // threads) or 1
            for part in pool.map(check, [chunk[at : at + each] for at in range(0, len(chunk), each)]):
                yield from part
            if end is not None:
                raise end


def _chunks(reader: ExportReader) -> Iterator[tuple[list[tuple[bytes, Digest]], VerificationError | None]]:
    entries = reader.entries()
    more = True
    while more:
        chunk: list[tuple[bytes, Digest]] = []
        size = 0
        end: VerificationError | None = None
        try:
            while len(chunk) < _CHUNK_ENTRIES and size < _CHUNK_BYTES:
                item = next(entries, None)
                if item is None:
                    more = False
                    break
                chunk.append(item)
                size += len(item[0])
        except VerificationError as error:  # only after the entries before it: one of them may be bad, and is first
            end = error
        yield chunk, end


def _check(replica: Replica[S], data: bytes, results: Digest) -> _Item:
    try:
        entry = Entry.parse(data)
        return _Item(results, entry, replica.check(entry.transaction), None)
    except TCLearnError as fault:
        return _Item(results, None, None, fault)


def _checkpoint(data: bytes, coalition: Digest, log_key: PublicKey, head: Head) -> None:
    try:
        note = Note.parse(data)
        note.check(log_key)
    except MessageError as error:
        raise VerificationError(Code.RECORD_HEAD, f"the record's checkpoint: {error.what}") from error
    if len(note.lines) != 1:
        raise VerificationError(
            Code.RECORD_HEAD, f"the record's checkpoint has {len(note.lines)} signatures", expected="the log's alone"
        )
    if note.coalition != coalition or note.head != head:
        raise VerificationError(
            Code.RECORD_HEAD,
            f"the record's checkpoint is of {note.head.size} entries and other roots",
            expected=f"the roots of the {head.size} entries before it",
            remedy="entries were left out or replaced after they had been signed; keep the file as evidence",
        )


def _extended(since: Head | bytes, coalition: Digest, log_key: PublicKey, replica: Replica[S]) -> Head:
    try:
        if isinstance(since, bytes):
            note = Note.parse(since)
            note.check(log_key)
            if note.coalition != coalition:
                raise MessageError(Code.WRONG_COALITION, "a checkpoint of another coalition")
            since = note.head
    except MessageError as error:
        raise VerificationError(Code.RECORD_EXTENSION, f"the remembered checkpoint: {error.what}") from error
    if not 0 <= since.size <= len(replica) or replica.head(since.size) != since:
        raise VerificationError(
            Code.RECORD_EXTENSION,
            f"the record of {len(replica)} entries does not extend the remembered head of {since.size}",
            expected="a record that has the remembered entries, unchanged, as its first",
            remedy="if this export is older than the checkpoint, ask for a newer one; otherwise keep both: they prove "
            "that the log has shown two histories, or was cut back",
        )
    return since


def _bad(index: int, fault: Exception | str | None) -> VerificationError:
    return VerificationError(
        Code.RECORD_ENTRY,
        f"entry {index} does not verify: {fault if isinstance(fault, str) else _what(fault)}",
        entry=index,
        remedy="the entries before it verify; ask for another copy of the record, and who signed this one",
    )


def _what(error: Exception | None) -> str:
    return error.what if isinstance(error, TCLearnError) else f"{type(error).__name__}: {error}"
