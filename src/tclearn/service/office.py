"""What the service does, apart from HTTP: it orders the log, hands out pieces of it, and keeps the models."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError
from tclearn.identity import Signer
from tclearn.ledger import Transaction
from tclearn.ledger.checkpoint import origin, sign
from tclearn.ledger.contract import Outcome
from tclearn.ledger.cose_receipt import sign as sign_receipt
from tclearn.ledger.engines.follower import Page
from tclearn.limits import HIDDEN_PART_BYTES_MAX, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX
from tclearn.protocols.tclearn.agent import object_bytes_max
from tclearn.store.interface import Readable

_PAGE_ROOM = 1 << 16
_NOTES_KEPT = 64


@dataclass
class Office:
    """A coalition's ledger and store, and the key that signs the log's heads.

    Attributes:
        coalition: its files, open for writing.
        log_key: the key that the charter names.
        on_entry: called, from any thread, with the size of the log when it has grown.
    """

    coalition: CoalitionDirectory
    log_key: Signer = field(repr=False)
    on_entry: Callable[[int], None] = field(default=lambda _: None, repr=False)
    _notes: dict[int, bytes] = field(default_factory=dict, repr=False)
    _parts: dict[Digest, Digest] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def submit(self, raw: bytes, member: MemberId) -> tuple[Digest, Outcome]:
        """Log a transaction that a member hands in over its own connection.

        Returns:
            Its id, and what became of it.

        Raises:
            MessageError: it is not admissible, or somebody else's; nothing was logged.
            StorageError: the ledger cannot be written.
        """
        transaction = Transaction.parse(raw)
        ledger = self.coalition.ledger
        signer = self.coalition.state.member_of(transaction.signer)
        if signer != member:
            raise MessageError(
                Code.UNKNOWN_SIGNER,
                f"a transaction signed by {signer or 'nobody of this coalition'}, handed in by {member}",
                expected="each member hands in its own, over a connection with its own certificate",
            )
        before = len(ledger)
        logged = ledger.submit(transaction)
        outcome = ledger.outcome(logged)
        if outcome is None:
            raise TypeError("a transaction was logged and has no outcome")
        if len(ledger) > before:
            self.on_entry(len(ledger))
        return logged, outcome

    def page(self, start: int) -> Page:
        """Entries from an index on: as many as fit into one answer, with the checkpoint that they end with.

        Raises:
            MessageError: the log is shorter.
        """
        ledger = self.coalition.ledger
        if start > len(ledger):
            raise MessageError(
                Code.RECORD_EXTENSION,
                f"entries from {start} on, of a log with {len(ledger)}",
                remedy="if the log was longer once, it has been set back: keep your copy, and tell the other members",
            )
        entries: list[tuple[bytes, Digest]] = []
        room = PAGE_BYTES_MAX - _PAGE_ROOM
        for item in ledger.entries(start, min(len(ledger), start + PAGE_ENTRIES_MAX)):
            data = item.entry.encode()
            room -= len(data) + 64
            if room < 0:
                break
            entries.append((data, item.results))
        return Page(entries, self.note(start + len(entries)))

    def receipt(self, index: int, size: int) -> bytes:
        """The log's receipt that an entry is among the first ``size``.

        Raises:
            MessageError: the log is shorter, or the entry is not among those.
        """
        ledger = self.coalition.ledger
        if not index < size <= len(ledger):
            raise MessageError(
                Code.RECORD_EXTENSION, f"a receipt of entry {index} in {size} was asked for, the log has {len(ledger)}"
            )
        _, path = ledger.inclusion(index, size)
        log, root = origin(self.coalition.charter.digest), ledger.head(size).root
        return sign_receipt(self.log_key, log, root, size, index, path).encode()

    def room_for(self, member: MemberId, name: Digest) -> int:
        """How many bytes the object may have that a member hands over; 0: the coalition does not wait for it.

        It waits for the model of a candidate that the member has announced, and for the file of a hidden part that it
        is asked for. Which file that is the ledger does not say beforehand: the one that is named first.
        """
        candidates = self.coalition.state.open_candidates()
        if any(each.proposer == member and each.locator == name for each in candidates):
            return self.object_bytes_max
        asked = {each.asked.commitment: each.asked.keeper for each in candidates if each.asked is not None}
        with self._lock:
            self._parts = {part: file for part, file in self._parts.items() if part in asked}
            mine = [part for part, keeper in asked.items() if keeper == member]
            if any(self._parts.setdefault(part, name) == name for part in mine):
                return min(self.object_bytes_max, HIDDEN_PART_BYTES_MAX)
        return 0

    @property
    def object_bytes_max(self) -> int:
        """The largest object that is taken in: no model of this charter has a larger file, and no hidden part."""
        return object_bytes_max(self.coalition.contract)

    def put(self, name: Digest, stream: Readable) -> None:
        """Keep an object, while it comes.

        Args:
            name: what it must be.
            stream: its bytes, read to the end; what it raises comes through.

        Raises:
            MessageError: the bytes are not those that the name stands for; nothing is kept.
            StorageError: longer than an object may be, or the store failed.
        """
        try:
            self.coalition.store.put_stream(stream, size_max=self.object_bytes_max, name=name)
        except StorageError as error:
            if error.code is not Code.OBJECT_CORRUPT:
                raise
            raise MessageError(
                Code.PARAMETERS_DIGEST, "bytes that are not those of the name", expected="BLAKE3-256 as the name"
            ) from None

    def note(self, size: int) -> bytes:
        """The checkpoint of the first ``size`` entries, signed."""
        with self._lock:
            known = self._notes.get(size)
            if known is None:
                head = self.coalition.ledger.head(size)
                known = self._notes[size] = sign(self.log_key, self.coalition.charter.digest, head).encode()
                if len(self._notes) > _NOTES_KEPT:
                    del self._notes[next(iter(self._notes))]
        return known
