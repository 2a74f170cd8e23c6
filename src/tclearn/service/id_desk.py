"""Where the service computes data IDs for members, without seeing the records (level B)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Self

from tclearn.agents.clock import RealClock
from tclearn.coalition.allowance import Decision, blinded_digest
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.data_ids import open_id_journal, open_id_key
from tclearn.directory.id_journal import IdJournal
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, UnreachableError
from tclearn.identity import PublicKey
from tclearn.identity.oprf import OprfKey
from tclearn.identity.oprf_messages import IdAnswer, IdRequest
from tclearn.limits import ID_EVALUATIONS_AT_ONCE_MAX, ID_REQUEST_AGE_MS_MAX, ID_WAIT_SECONDS_MAX
from tclearn.service.id_messages import IdAsk, IdServed


@dataclass
class IdDesk:
    """Grants requests for data IDs, notes them, and then answers them: in this order.

    Attributes:
        coalition: the charter's digest.
        key: the supervisor's.
        journal: open for writing.
        member_of: whose transaction key it is now; ``None``: nobody's.
        clock: milliseconds since 1970.
    """

    coalition: Digest
    key: OprfKey
    journal: IdJournal
    member_of: Callable[[PublicKey], MemberId | None]
    clock: Callable[[], int]
    _asking: set[MemberId] = field(default_factory=set, repr=False)
    _evaluators: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(ID_EVALUATIONS_AT_ONCE_MAX), repr=False
    )

    @asynccontextmanager
    async def turn(self, member: MemberId) -> AsyncIterator[None]:
        """A member's only request; of all members' few are computed at once, so that other requests are answered.

        Waiting comes before anything is granted: who gives up meanwhile has lost nothing of its allowance.

        Raises:
            UnreachableError: the member has another request here, or too many wait.
        """
        if member in self._asking:
            raise UnreachableError(
                Code.BUSY,
                f"{member} asks for data IDs already",
                expected="one request at a time",
                remedy="wait for its answer",
            )
        self._asking.add(member)
        try:
            try:
                await asyncio.wait_for(self._evaluators.acquire(), ID_WAIT_SECONDS_MAX)
            except TimeoutError:
                raise UnreachableError(
                    Code.BUSY, "too many members ask for data IDs now", remedy="ask again in a moment"
                ) from None
            try:
                yield
            finally:
                self._evaluators.release()
        finally:
            self._asking.discard(member)

    def answer(self, member: MemberId, message: bytes) -> tuple[Decision, IdServed | None]:
        """Decide a request, make that durable, and compute the answer.

        What is granted stays granted, whatever happens then: a request whose elements turn out to be none has been
        paid for, and so has an answer that gets lost.

        Args:
            member: who sends it, by the certificate of its connection.
            message: an ``IdAsk``, signed.

        Returns:
            What was decided, and the answer where it was granted.

        Raises:
            MessageError: no such message, signed by somebody else, of another coalition, too old or sent before.
            StorageError: the journal cannot be written; nothing was granted.
        """
        signer, ask = IdAsk.open(message)
        self._check(member, signer, ask)
        request = IdRequest.read(ask.request)
        decision = self.journal.ask(member, blinded_digest(request.blinded), request.count, self.clock())
        if not decision.entry.granted:
            return decision, None
        evaluation = self.key.evaluate(request.batch)
        return decision, IdServed(decision.entry, IdAnswer.of(evaluation).encode())

    @classmethod
    @contextmanager
    def open(cls, coalition: CoalitionDirectory, passphrase: str | None) -> Iterator[Self | None]:
        """The desk of a coalition, until the end of the block; ``None`` at level A, where nobody asks.

        Args:
            coalition: its files, open for writing.
            passphrase: opens the supervisor's key.

        Raises:
            UsageError: the key is not here or damaged, or the passphrase does not open it.
            UnreachableError: the journal is not here.
            StorageError: the journal is damaged, or the key is not the charter's.
        """
        charter = coalition.charter
        if charter.data_ids is None:
            yield None
            return
        key = open_id_key(coalition.path, charter, passphrase)
        with open_id_journal(coalition.path, charter) as journal:

            def member_of(signer: PublicKey) -> MemberId | None:
                return coalition.state.member_of(signer)  # of the state as it is then

            yield cls(charter.digest, key, journal, member_of, RealClock())

    def _check(self, member: MemberId, signer: PublicKey, ask: IdAsk) -> None:
        if self.member_of(signer) != member:
            raise MessageError(
                Code.UNKNOWN_SIGNER,
                f"a request for data IDs that {member} sends and has not signed",
                expected="each member asks for itself, over a connection with its own certificate",
            )
        if ask.coalition != self.coalition:
            raise MessageError(Code.WRONG_COALITION, f"{member} asks for the data IDs of another coalition")
        late_ms = self.clock() - ask.time_ms
        if abs(late_ms) > ID_REQUEST_AGE_MS_MAX:
            raise MessageError(
                Code.EXPIRED,
                f"a request for data IDs that was made {late_ms / 1000:.0f} s ago by the clock here",
                expected=f"at most {ID_REQUEST_AGE_MS_MAX // 1000} s",
                remedy=f"compare the clocks of {member} and of the service",
            )
