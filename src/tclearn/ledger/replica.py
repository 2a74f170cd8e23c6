"""The replica: the pure state machine that every engine and the verifier share.

It decides whether a transaction may be logged, runs the contract, and keeps the roots: for the same list of entries it
gives the same roots on every engine and under any batching. Formats: ``docs/formats/entry.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, NewType, Self

from tclearn.encoding import Digest, MemberId, Value, digest, encode, encode_normal, encode_plain
from tclearn.errors import Code, MessageError, TCLearnError, visible
from tclearn.identity import PublicKey, open_signed
from tclearn.ledger.contract import Context, Contract, Head, Outcome, Rejected, S, View, Writes
from tclearn.ledger.cosigning import Cosignature, Cosigning, verify_cosignature
from tclearn.ledger.history import History
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.state import State
from tclearn.ledger.transaction import Call, Entry, Transaction
from tclearn.limits import REASON_CHARACTERS_MAX, STATE_ROOT_EVERY_ENTRIES

REJECTED_CONTRACT: Final = 1
"""Outcome code: the call names another contract than this ledger's."""
REJECTED_ARGUMENTS: Final = 2
"""Outcome code: the contract could not read the arguments."""
CONTRACT_CODE_MIN: Final = 10
"""Contracts number their own rejections from here; lower codes are the ledger's."""

_RESERVED: Final = "ledger/"
_SEQUENCE: Final = "ledger/sequence/"

Checked = NewType("Checked", Transaction)
"""A transaction whose size, shape and signature have been checked for this coalition."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An entry and all that follows from it.

    Attributes:
        entry: the transaction at its place.
        leaf: the entry's Merkle leaf hash.
        outcome: accepted, or the rejection.
        writes: every change of the state, the sequence number included; values as decoding gives them.
        encoded: the same, each value as its encoding.
        results: head of the results chain after the entry.
        sender: whose transaction it is.
        cosignature: the cosignature it carries, checked.
    """

    entry: Entry
    leaf: Digest
    outcome: Outcome
    writes: Writes
    encoded: Mapping[str, bytes | None]
    results: Digest
    sender: MemberId
    cosignature: Cosignature | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What an engine has stored of one entry, to continue without a replay."""

    transaction_id: Digest
    leaf: Digest
    time_ms: int
    results: Digest
    outcome: Outcome


class Replica(Generic[S]):
    """State, log and results chain of one ledger, in memory.

    Appended entries are staged until ``commit``; ``rollback`` takes back what an engine could not make durable. Not
    thread-safe, except for ``check``.

    Args:
        contract: the rules.
        coalition: digest of the charter; every signature binds it.
    """

    def __init__(self, contract: Contract[S], coalition: Digest) -> None:
        self.contract = contract
        self.coalition = coalition
        _, values = self._normal(contract.genesis())
        self._state = State({key: value for key, value in values.items() if value is not None})
        self.genesis = digest("tclearn/genesis/1", coalition, contract.name, self._state.root())
        self._history = History(self.genesis)
        self._cosigning = contract if isinstance(contract, Cosigning) else None
        self._committed = 0

    @classmethod
    def restored(
        cls, contract: Contract[S], coalition: Digest, state: Mapping[str, Value], entries: Iterable[Restored]
    ) -> Self:
        """A replica as it was stored; the caller compares its head with the stored one."""
        replica = cls(contract, coalition)
        replica._state = State(state)
        for item in entries:
            replica._history.append(item.transaction_id, item.leaf, item.time_ms, item.results, item.outcome)
        replica._committed = len(replica)
        return replica

    def __len__(self) -> int:
        return len(self._history)

    @property
    def time_ms(self) -> int:
        """Ledger time of the last entry; 0 before the first."""
        return self._history.time_ms

    def state(self) -> View:
        """The present state; later entries do not change what is returned."""
        return self._state.snapshot()

    def head(self, size: int) -> Head:
        """The roots of the first ``size`` entries.

        Raises:
            StorageError: there are fewer entries.
        """
        return self._history.head(size)

    def log(self) -> MerkleLog:
        """The Merkle tree of the entries, for proofs; not to be changed."""
        return self._history.log

    def next_sequence(self, key: PublicKey) -> int:
        """The lowest sequence number that a key may use next."""
        last = self._state.live.get(_SEQUENCE + key.hex())
        return last + 1 if isinstance(last, int) else 0

    def outcome(self, transaction_id: Digest) -> Outcome | None:
        """What became of a transaction; ``None``: not logged."""
        index = self._history.index_of(transaction_id)
        return None if index is None else self._history.outcome(index)

    def cosigners(self) -> Collection[MemberId]:
        """The members whose cosignatures count now; empty when the contract knows none."""
        return () if self._cosigning is None else self._cosigning.cosigners(self._state.live)

    def check(self, raw: bytes) -> Checked:
        """The part of admission that needs no state, and most of its time; safe to run in several threads.

        Raises:
            MessageError: too large, malformed, or the signature does not hold.
        """
        return Checked(Transaction.parse_checked(raw, self.coalition))

    def screen(self, raw: bytes) -> None:
        """Refuse strangers before anything they say is decoded; returns nothing. For those who take in transactions.

        Raises:
            MessageError: malformed, or signed by a key that is nobody's now.
        """
        signer = open_signed(raw).signer
        if self.contract.member_of(self._state.live, signer) is None:
            raise MessageError(Code.UNKNOWN_SIGNER, f"the key {signer.hex()[:16]}… is no member's")

    def admit(self, raw: bytes, time_ms: int) -> Transaction:
        """Whether a transaction may be logged now; changes nothing.

        Raises:
            MessageError: ``TOO_LARGE``, ``ENCODING``, ``SIGNATURE``, ``UNKNOWN_SIGNER``, ``SEQUENCE``, ``EXPIRED``, or
                ``RECORD_HEAD`` when it cosigns a head that is not this ledger's.
        """
        transaction = self.check(raw)
        self._admissible(transaction, max(time_ms, self.time_ms))
        return transaction

    def append(self, raw: bytes, time_ms: int) -> Applied:
        """Check, log and execute a transaction; staged until ``commit``. An exception leaves the replica as it was.

        Args:
            raw: the COSE_Sign1 bytes.
            time_ms: the clock, milliseconds since 1970; ledger time does not run backwards with it.

        Raises:
            MessageError: not admissible, see ``admit``; nothing was logged.
        """
        return self.append_checked(self.check(raw), time_ms)

    def append_checked(self, transaction: Checked, time_ms: int) -> Applied:
        """``append`` for a transaction from ``check``."""
        time_ms = max(time_ms, self.time_ms)
        sender, cosignature = self._admissible(transaction, time_ms)
        index = len(self)
        outcome, asked = self._execute(transaction.call, Context(index, time_ms, sender))
        encoded, writes = self._normal(asked)
        sequence_key = _SEQUENCE + transaction.signer.hex()
        encoded[sequence_key], writes[sequence_key] = encode(transaction.sequence), transaction.sequence
        entry = Entry(index, time_ms, transaction.raw)
        leaf = leaf_hash(entry.encode())
        mark = self._state.mark()
        try:
            self._state.write(writes, encoded)
            results = self._chain(leaf, outcome, encoded)
            self._history.append(transaction.id, leaf, time_ms, results, outcome)
        except BaseException:
            self._state.undo(mark)
            self._history.truncate(index)
            raise
        return Applied(entry, leaf, outcome, writes, encoded, results, sender, cosignature)

    def commit(self) -> None:
        """Make all staged entries final."""
        self._state.keep()
        self._committed = len(self)

    def rollback(self) -> None:
        """Forget all staged entries."""
        self._state.undo(0)
        self._history.truncate(self._committed)

    def _admissible(self, transaction: Checked, time_ms: int) -> tuple[MemberId, Cosignature | None]:
        key = transaction.signer
        sender = self.contract.member_of(self._state.live, key)
        if sender is None:
            raise MessageError(
                Code.UNKNOWN_SIGNER, f"a transaction signed by key {key.hex()[:16]}…", expected="the key of a member"
            )
        lowest = self.next_sequence(key)
        if transaction.sequence < lowest:
            raise MessageError(
                Code.SEQUENCE,
                f"{sender} used sequence number {transaction.sequence} again or out of order",
                expected=f"at least {lowest}",
                remedy="ask the ledger for the next sequence number and sign again",
            )
        if time_ms > transaction.expires_ms:
            raise MessageError(
                Code.EXPIRED,
                f"a transaction of {sender} that expired {time_ms - transaction.expires_ms} ms ago",
                expected="an expiry after the ledger's time",
                remedy="compare this machine's clock with the ledger's and sign again",
            )
        return sender, self._cosignature(transaction, sender)

    def _cosignature(self, transaction: Checked, sender: MemberId) -> Cosignature | None:
        if self._cosigning is None or transaction.call.contract != self.contract.name:
            return None
        try:
            cosignature = self._cosigning.cosignature(transaction.call, sender)
        except MessageError:  # not readable: the contract will reject the call
            return None
        if cosignature is None:
            return None
        if cosignature.size > len(self) or cosignature.head != self.head(cosignature.size):
            raise MessageError(
                Code.RECORD_HEAD,
                f"{sender} cosigned a head of {cosignature.size} entries that is not this ledger's",
                expected="the roots of a prefix of this ledger",
                remedy="keep both heads: they prove that somebody has shown two histories",
            )
        verify_cosignature(transaction.signer, self.coalition, cosignature)
        return cosignature

    def _execute(self, call: Call, context: Context) -> tuple[Outcome, Writes]:
        if call.contract != self.contract.name:
            reason = f"this ledger runs {self.contract.name}, the call is for {call.contract}"
            return _rejection(context.index, REJECTED_CONTRACT, reason), {}
        try:
            writes = self.contract.apply(self._state.live, call, context)
        except Rejected as rejection:
            if rejection.code < CONTRACT_CODE_MIN:
                raise self._broken(f"rejected with code {rejection.code}, which is the ledger's own") from rejection
            return _rejection(context.index, rejection.code, rejection.reason), {}
        except MessageError as error:
            return _rejection(context.index, REJECTED_ARGUMENTS, error.what), {}
        return Outcome(context.index, 0, ""), writes

    def _normal(self, writes: Writes) -> tuple[dict[str, bytes | None], dict[str, Value | None]]:
        # Contracts meet their own values as decoding gives them (lists, sorted maps), as they would after a restart.
        encoded: dict[str, bytes | None] = {}
        values: dict[str, Value | None] = {}
        for key, value in writes.items():
            if key.startswith(_RESERVED):
                raise self._broken(f"wrote the key {key!r}, which is the ledger's own")
            try:
                encoded[key], values[key] = (None, None) if value is None else encode_normal(value)
            except MessageError as error:
                raise self._broken(f"wrote {error.what} to the key {key!r}") from error
        return encoded, values

    def _chain(self, leaf: Digest, outcome: Outcome, encoded: Mapping[str, bytes | None]) -> Digest:
        changes: list[Value] = []
        for key in sorted(encoded):
            data = encoded[key]
            changes += (key, 0 if data is None else data)  # an integer is no encoding: a deletion
        parts: list[Value] = ["tclearn/results/1", self._history.results, leaf, outcome.code, changes]
        if (outcome.index + 1) % STATE_ROOT_EVERY_ENTRIES == 0:
            parts.append(self._state.root())
        return Digest(hashlib.sha256(encode_plain(parts)).digest())

    def _broken(self, fault: str) -> TCLearnError:
        return TCLearnError(
            Code.UNEXPECTED, f"contract {self.contract.name} {fault}", remedy="report this as a fault of the contract"
        )


def _rejection(index: int, code: int, reason: str) -> Outcome:
    # The reason is for people and outside of every hash, but it is kept: it may quote a megabyte of arguments, and act
    # on a terminal.
    text = visible(reason[: REASON_CHARACTERS_MAX + 1])
    return Outcome(index, code, text if len(text) <= REASON_CHARACTERS_MAX else text[: REASON_CHARACTERS_MAX - 1] + "…")
