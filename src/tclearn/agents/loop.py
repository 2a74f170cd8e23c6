"""A duty's life: read the state, decide, keep the decision, say it. Level-triggered: no events, nothing to miss."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from tclearn.agents.site import Site
from tclearn.encoding import digest
from tclearn.errors import DataError
from tclearn.ledger import Call, Contract, Duty, Ledger, Transaction
from tclearn.limits import TRANSACTION_LIFETIME_MS

S = TypeVar("S")

RETRY_AFTER_MS = 60_000
_FAR_MS = 1 << 42
_MARK_BITS = 32


class Role(Protocol[S]):
    """A protocol as an agent plays it: its contract, and how each of its duties is performed."""

    @property
    def contract(self) -> Contract[S]:
        """The rules."""

    def perform(self, duty: Duty, ledger: Ledger[S], site: Site) -> Call | None:
        """Decide what to say for a duty; ``None``: nothing for now, ask again."""


class Agent(Generic[S]):
    """Performs one member's duties.

    Args:
        role: the protocol.
        ledger: the member's view of the ledger.
        site: the member's means.
    """

    def __init__(self, role: Role[S], ledger: Ledger[S], site: Site) -> None:
        self.role = role
        self.ledger = ledger
        self.site = site
        self._not_before_ms: dict[bytes, int] = {}

    def step(self) -> bool:
        """Perform the most pressing duty that can be performed now.

        Returns:
            Whether something was submitted.

        Raises:
            TCLearnError: the member's data, store, outbox or ledger failed.
        """
        now_ms = self.ledger.time_ms()
        for duty in self.role.contract.duties(self.ledger.state(), self.site.member, now_ms):
            if self._not_before_ms.get(duty.id, 0) > now_ms:
                continue
            call = self.site.outbox.get(duty.id)
            if call is None:
                call = self._perform(duty)
                if call is None:
                    continue
                self.site.outbox.put(duty.id, call)
            self._submit(duty, call)
            return True
        return False

    def _perform(self, duty: Duty) -> Call | None:
        try:
            return self.role.perform(duty, self.ledger, self.site)
        except DataError as error:
            error.what = f"{self.site.member}: {error.what}"  # where many members run, whose data it is
            raise

    def due_ms(self) -> int | None:
        """The nearest deadline among this member's duties; ``None``: no deadline."""
        duties = self.role.contract.duties(self.ledger.state(), self.site.member, self.ledger.time_ms())
        return min((duty.due_ms for duty in duties if duty.due_ms is not None), default=None)

    def awaits(self) -> bool:
        """Whether time alone will bring this member another duty: somebody's deadline runs."""
        state, now_ms = self.ledger.state(), self.ledger.time_ms()
        now, later = (
            {duty.id for duty in self.role.contract.duties(state, self.site.member, time_ms)}
            for time_ms in (now_ms, now_ms + _FAR_MS)
        )
        return not later <= now

    def _submit(self, duty: Duty, call: Call) -> None:
        transaction = Transaction.signed(
            self.site.signer,
            self.site.coalition,
            call,
            sequence=sequence_number(self.ledger.next_sequence(self.site.signer.public), call),
            expires_ms=self.ledger.time_ms() + TRANSACTION_LIFETIME_MS,
        )
        outcome = self.ledger.outcome(self.ledger.submit(transaction))
        if outcome is not None and outcome.code:
            # The contract refused: the world has moved on, or this decision was wrong. Either the duty goes away, or
            # the same decision is said again later; it is never changed.
            self._not_before_ms[duty.id] = self.ledger.time_ms() + RETRY_AFTER_MS


def sequence_number(lowest: int, call: Call) -> int:
    """A number for a call that this agent has not used for another one, whatever was lost, crashed or forgotten.

    What is handed in may be lost, or seem to be, and something else may then be more pressing. Two calls under one
    number would be evidence against their signer (``docs/formats/evidence.md``), so a number ends with a mark of its
    call: two calls share one with a probability of 2⁻³².

    Args:
        lowest: the lowest number that the ledger takes now.
        call: what is to be said.
    """
    mark = int.from_bytes(digest("tclearn/sequence/1", call.to_value())[: _MARK_BITS // 8], "big")
    return (-(-lowest >> _MARK_BITS) << _MARK_BITS) + mark
