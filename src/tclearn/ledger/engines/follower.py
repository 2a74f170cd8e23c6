"""A member's own copy of a ledger that somebody else orders: nothing is believed that was not checked here.

What a follower shows has passed the member's own replay and is covered by a checkpoint that the log's key signed. A
head that does not extend the one before, or that contradicts one which another member was shown, ends the following:
both signed heads are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError, UnreachableError, VerificationError
from tclearn.identity import PublicKey
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.contract import Contract, Head, S
from tclearn.ledger.engines.reading import Reading
from tclearn.ledger.evidence import contradiction_of_heads, of_heads
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.replica import Applied, Replica
from tclearn.ledger.transaction import Entry, Transaction

_HEARD_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of the log, as whoever orders it hands it out.

    Attributes:
        entries: encodings of consecutive entries, each with the head of the results chain after it.
        note: a checkpoint of the prefix that ends with the last of them, signed by the log's key.
    """

    entries: Sequence[tuple[bytes, Digest]]
    note: bytes


class Source(Protocol):
    """Whoever orders the log, as a member far away meets it."""

    def submit(self, raw: bytes) -> None:
        """Hand in a transaction.

        Raises:
            UnreachableError: no answer; it may have been logged or not.
            MessageError: it is not admissible and was not logged.
        """

    def read(self, start: int) -> Page:
        """The entries from index ``start`` on, perhaps not all at once.

        Raises:
            UnreachableError: no answer.
        """


class Kept(Protocol[S]):
    """What a member keeps of a log over restarts: all that it has verified, or at least how far it had come."""

    @property
    def replica(self) -> Replica[S] | None:
        """What was kept in an earlier run; ``None``: all is read anew."""

    @property
    def remembered(self) -> bytes | None:
        """The newest checkpoint kept in an earlier run; ``None``: none was.

        Nothing is said before the copy extends it: a log that is set back, or another in its place, gets no second word
        out of a member that was restarted.
        """

    def keep(self, batch: Sequence[Applied], head: Head, note: bytes) -> None:
        """Keep what has verified, durably, before anything is said that follows from it.

        Args:
            batch: entries, in order.
            head: the log's after the last of them.
            note: the checkpoint of that head, as the log has signed it.
        """


@dataclass(frozen=True, slots=True)
class Fork:
    """Two heads that the log's key signed and of which neither extends the other.

    Attributes:
        first: the smaller checkpoint, or one of two of the same size, as a signed note.
        second: the other.
        root: root of the second log's first entries, as many as ``first`` has; ``None`` where the sizes are equal.
        path: RFC 9162 consistency proof from ``root`` to the root of ``second``; ``None`` likewise.
    """

    first: bytes
    second: bytes
    root: Digest | None
    path: tuple[Digest, ...] | None

    def evidence(self, charter: bytes) -> bytes:
        """The fork as a file of evidence; format: ``docs/formats/evidence.md``.

        Args:
            charter: the charter's canonical bytes.
        """
        return of_heads(charter, self.first, self.second, prefix=self.root, path=self.path)


class Follower(Reading[S]):
    """A ledger as its own verified copy; see ``tclearn.ledger.Ledger``.

    Args:
        contract: the rules.
        coalition: digest of the charter.
        log_key: the key that signs heads, from the charter.
        source: whoever orders the log.
        clock: the member's own clock, milliseconds since 1970.
        on_fork: is given each fork that is found, to keep it durably.
        kept: what outlives a restart; ``None``: nothing does.
    """

    def __init__(
        self,
        contract: Contract[S],
        coalition: Digest,
        log_key: PublicKey,
        source: Source,
        clock: Callable[[], int],
        on_fork: Callable[[Fork], None] = lambda _: None,
        kept: Kept[S] | None = None,
    ) -> None:
        super().__init__((kept and kept.replica) or Replica(contract, coalition), clock)
        self._log_key = log_key
        self._source = source
        self._on_fork = on_fork
        self._kept = kept
        self._heard: dict[int, bytes] = {}
        self.note: bytes | None = None
        """The checkpoint that this copy ends with; ``None``: it is empty."""
        self.forks: list[Fork] = []
        """What proves that the log has shown two histories; once there is one, nothing more is taken from it."""
        self._remembered = 0
        remembered = kept.remembered if kept else None
        if remembered is not None:
            self._remembered = self._signed(remembered).head.size
            self.compare(remembered)
            if self._remembered == len(self):
                self.note = remembered

    def submit(self, transaction: Transaction) -> Digest:
        """Hand in a transaction; returns its id once it is in this copy.

        Raises:
            UnreachableError: it is not in the log yet, as far as can be seen from here.
            MessageError: it is not admissible and was not logged.
            VerificationError: what the log then showed does not verify.
        """
        self._usable()
        if len(self) < self._remembered:
            raise UnreachableError(
                Code.LEDGER_UNREACHABLE,
                f"the log shows {len(self)} entries, {self._remembered} were seen before",
                remedy="try again; if that goes on, whoever runs the ledger has lost or hides them",
            )
        self._source.submit(transaction.raw)
        transaction_id = transaction.id
        if self.outcome(transaction_id) is None:
            self.pull()
        if self.outcome(transaction_id) is None:
            raise UnreachableError(
                Code.LEDGER_UNREACHABLE,
                "a transaction was handed in and is not in the log yet",
                remedy="try again; if that goes on, ask who runs the ledger whether it leaves things out",
            )
        return transaction_id

    def pull(self) -> int:
        """Take what the log has added; returns the number of new entries.

        Raises:
            UnreachableError: no answer.
            MessageError: the answer is not signed by the log.
            VerificationError: what it sent does not verify; this copy stays as it was.
        """
        self._usable()
        page = self._source.read(len(self))
        note = self._signed(page.note)
        with self._lock:
            before = len(self._replica)
            fault = self._take(page, note)
        if fault is not None:
            self._investigate(note, page.note, fault)
        for size in sorted(size for size in self._heard if size <= len(self)):
            self.compare(self._heard.pop(size))
        return len(self) - before

    def compare(self, data: bytes) -> None:
        """Hold a checkpoint that another member was shown against this copy; a larger one waits until it is reached.

        Raises:
            MessageError: it is no checkpoint of this log, signed by its key: nothing follows from it.
            VerificationError: it contradicts this copy; the fork is kept.
        """
        note = self._signed(data)
        if note.head.size > len(self):
            self._heard[note.head.size] = data
            if len(self._heard) > _HEARD_MAX:
                del self._heard[max(self._heard)]
        elif self.head(note.head.size) != note.head:
            self._investigate(note, data, _unverified("a checkpoint is not of this log"))

    def convinced(self, fork: Fork) -> None:
        """Check a fork that another member has found, and stop following if it holds.

        Raises:
            MessageError: it proves nothing.
            VerificationError: it holds; it is kept here, too.
        """
        check_fork(fork, self.coalition, self._log_key)
        self._keep(fork)

    def _take(self, page: Page, note: Note) -> VerificationError | None:
        # All of the page, or nothing and what is wrong with it.
        size = note.head.size
        entries = page.entries if size > len(self._replica) else ()  # an old answer, late, has nothing new
        fault: VerificationError | None = None
        try:
            if size > len(self._replica) + len(entries) or (entries and size < len(self._replica) + len(entries)):
                raise _unverified(f"{len(entries)} entries came with a checkpoint of {size}")
            applied = [self._append(data, results) for data, results in entries]
            if self._replica.head(size) != note.head:
                raise _unverified(f"the checkpoint of {size} entries is not theirs")
            if applied and self._kept is not None:
                self._kept.keep(applied, note.head, page.note)
        except VerificationError as error:
            fault = error
        except BaseException:
            self._replica.rollback()
            raise
        if fault is not None or not entries:
            self._replica.rollback()
            if fault is None and size == len(self._replica):
                self.note = page.note  # a crash may have lost it
        else:
            self._replica.commit()
            self._published = None
            self.note = page.note
        return fault

    def _append(self, data: bytes, results: Digest) -> Applied:
        index = len(self._replica)
        try:
            entry = Entry.parse(data)
            if entry.index != index or entry.time_ms < self._replica.time_ms:
                raise _unverified(f"entry {index} is not in its place or time")
            applied = self._replica.append_checked(self._replica.check(entry.transaction), entry.time_ms)
        except MessageError as error:
            raise _unverified(f"entry {index}: {error.what}") from error
        if applied.results != results:
            raise _unverified(f"the results of entry {index} are not what the contract gives")
        return applied

    def _investigate(self, note: Note, data: bytes, fault: VerificationError) -> NoReturn:
        # Either the log has signed another history, or only what came with its checkpoint is wrong. Its words decide.
        mine, size = self.note, len(self)
        if mine is None:
            raise fault
        if note.head.size <= size:
            if self.head(note.head.size) != note.head:
                self._keep(_fork(data, note.head.size, mine, size, self._replica.log()))
            raise fault
        log = MerkleLog()
        while len(log) < note.head.size:
            taken = self._source.read(len(log)).entries[: note.head.size - len(log)]
            if not taken:
                raise fault
            for entry, _ in taken:
                log.append(leaf_hash(entry))
        if log.root(note.head.size) == note.head.root and log.root(size) != self.head(size).root:
            self._keep(_fork(mine, size, data, note.head.size, log))
        raise fault

    def _keep(self, fork: Fork) -> None:
        if fork not in self.forks:
            self._on_fork(fork)
            self.forks.append(fork)
        self._usable()

    def _usable(self) -> None:
        if self.forks:
            raise VerificationError(
                Code.RECORD_HEAD,
                "the log has signed two histories",
                remedy="both signed heads are kept as evidence; compare with the other members, and name another log",
            )

    def _signed(self, data: bytes) -> Note:
        return _signed(data, self.coalition, self._log_key)


def check_fork(fork: Fork, coalition: Digest, log_key: PublicKey) -> None:
    """Check that a fork proves what it says; returns nothing.

    Raises:
        MessageError: a note is not the log's, or the heads do not contradict each other.
    """
    first, second = (_signed(data, coalition, log_key).head for data in (fork.first, fork.second))
    try:
        contradiction_of_heads(first, second, fork.root, fork.path)
    except VerificationError as error:
        raise MessageError(Code.RECORD_HEAD, "a fork whose second head is not proven") from error


def _fork(first: bytes, size: int, second: bytes, second_size: int, log: MerkleLog) -> Fork:
    if size == second_size:
        return Fork(first, second, None, None)
    return Fork(first, second, log.root(size), tuple(log.consistency_proof(size, second_size)))


def _signed(data: bytes, coalition: Digest, log_key: PublicKey) -> Note:
    note = Note.parse(data)
    if note.coalition != coalition:
        raise MessageError(Code.WRONG_COALITION, "a checkpoint of another coalition")
    note.check(log_key)
    return note


def _unverified(what: str) -> VerificationError:
    return VerificationError(
        Code.RECORD_ENTRY,
        f"what the ledger sent does not verify: {what}",
        remedy="try again; if that goes on, tell who runs the ledger",
    )
