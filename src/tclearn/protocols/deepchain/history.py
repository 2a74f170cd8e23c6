"""What has happened, iteration by iteration: who was counted, who led, who lost which deposit for what, who was paid.

The state keeps what the rules need; what became of an iteration that is over follows from the states before and after
each of its entries. For what somebody was fined: ``reasons``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import Digest, MemberId
from tclearn.ledger import Call
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Replica
from tclearn.ledger.transaction import Transaction
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.reasons import Moment, Reason, Said, said_by
from tclearn.protocols.deepchain.records import Block, Group, Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.terms import DeepChainTerms


@dataclass(frozen=True, slots=True)
class Fine:
    """A deposit that was lost.

    Attributes:
        member: who lost it.
        deposit: which one, ``"gradients"``, ``"decryption"`` or ``"work"``.
        coins: how many.
        reason: for what.
    """

    member: MemberId
    deposit: str
    coins: int
    reason: Reason


@dataclass(frozen=True)
class Course:
    """The course of an iteration, as far as it has come.

    Attributes:
        number: its number, from 1.
        parties: who took part, with its deposits.
        workers: likewise.
        absent: parties and workers without a deposit.
        counted: whose gradients are in the sum; empty as long as that is open.
        blocks: made for it, empty and void ones among them; the last one has the sum if the iteration succeeded.
        fines: deposits lost in it, in order.
        ended: whether it is over.
        round: counts the iterations that succeeded, from 1; ``None``: it did not, or not yet.
        opened: digest of the opened sum, if it succeeded.
        divisor: by what that is divided; 0 if there is none.
        paid: rewards, by member.
        received: what members got of the fines of others.
    """

    number: int
    parties: tuple[MemberId, ...]
    workers: tuple[MemberId, ...]
    absent: tuple[MemberId, ...]
    counted: tuple[MemberId, ...] = ()
    blocks: tuple[Block, ...] = ()
    fines: tuple[Fine, ...] = ()
    ended: bool = False
    round: int | None = None
    opened: Digest | None = None
    divisor: int = 0
    paid: Mapping[str, int] = field(default_factory=dict)
    received: Mapping[str, int] = field(default_factory=dict)

    @property
    def leader(self) -> MemberId | None:
        """Who made the sum that was opened; ``None``: the iteration did not succeed, or not yet."""
        return self.blocks[-1].leader if self.round is not None else None

    @property
    def failed_leaders(self) -> tuple[MemberId, ...]:
        """Who was to lead, or has led, and was followed by another one."""
        return tuple(block.leader for block in self.blocks if block.leader is not None and block.root is None)


@dataclass(frozen=True, slots=True)
class Balance:
    """A member's coins over the whole history: start + paid + received - fined is what it has.

    Attributes:
        member: whose.
        start: at the founding.
        paid: rewards.
        received: of the fines of others.
        fined: deposits lost.
        end: what it has now, by the ledger's accounts.
    """

    member: MemberId
    start: int
    paid: int
    received: int
    fined: int
    end: int


@dataclass(frozen=True, slots=True)
class _Seen:
    # What an entry is compared with. All of it is immutable.
    group: Group
    accounts: Accounts
    iteration: Iteration | None

    @classmethod
    def of(cls, state: State) -> Self:
        return cls(state.group, state.accounts, state.iteration)


class History:
    """The courses of all iterations, told entry by entry.

    Args:
        state: before the first entry that is told.
    """

    def __init__(self, state: State) -> None:
        self._terms = state.terms
        self._seen = _Seen.of(state)
        self._courses: dict[int, Course] = {}

    @classmethod
    def replayed(cls, contract: DeepChain, coalition: Digest, entries: Iterable[Recorded]) -> Self:
        """The history of a ledger from its first entry.

        Args:
            contract: its rules.
            coalition: digest of the charter.
            entries: all of them, as an engine gives them out.

        Raises:
            MessageError: they are not entries of this coalition in their order.
        """
        *_, (history, _) = cls.steps(contract, coalition, entries)
        return history

    @classmethod
    def steps(cls, contract: DeepChain, coalition: Digest, entries: Iterable[Recorded]) -> Iterator[tuple[Self, State]]:
        """``replayed``, with the history and the state at the founding and after each entry; it is always one object.

        Raises:
            MessageError: see ``replayed``.
        """
        replica = Replica(contract, coalition)
        state = contract.view(replica.state())
        history = cls(state)
        yield history, state
        for recorded in entries:
            applied = replica.append(recorded.entry.transaction, recorded.entry.time_ms)
            replica.commit()
            state = contract.view(replica.state())
            history.tell(state, Transaction.parse(recorded.entry.transaction).call, applied.sender)
            yield history, state

    @property
    def courses(self) -> tuple[Course, ...]:
        """All iterations that were begun, in order."""
        return tuple(self._courses[number] for number in sorted(self._courses))

    @property
    def accounts(self) -> Accounts:
        """Who has how many coins after the last entry that was told; what is in the pot."""
        return self._seen.accounts

    @property
    def status(self) -> str:
        """Where the group stands then; one of the constants of ``records``."""
        return self._seen.group.status

    @property
    def balances(self) -> tuple[Balance, ...]:
        """Everybody's coins, in the order of the charter."""
        paid, received, fined = Counter[str](), Counter[str](), Counter[str]()
        for course in self._courses.values():
            paid.update(course.paid)
            received.update(course.received)
            for fine in course.fines:
                fined[fine.member] += fine.coins
        accounts = self._seen.accounts
        return tuple(
            Balance(
                member=member.id,
                start=self._terms.money.coins[member.id],
                paid=paid[member.id],
                received=received[member.id],
                fined=fined[member.id],
                end=accounts.holdings(member.id),
            )
            for member in self._terms.members
        )

    def tell(self, state: State, call: Call, sender: MemberId) -> None:
        """What an entry has changed; a refused one has changed nothing.

        Args:
            state: after the entry.
            call: what was said.
            sender: by whom.
        """
        before, after = self._seen, _Seen.of(state)
        if after == before:
            return
        self._seen = after
        if before.iteration is not None:
            self._go_on(before, before.iteration, state, said_by(call, sender))
        begun = after.iteration
        if begun is not None and begun.number not in self._courses:
            members = (*self._terms.parties, *(each for each in self._terms.workers if each not in self._terms.parties))
            absent = tuple(each for each in members if each not in {*begun.parties, *begun.workers})
            self._courses[begun.number] = Course(begun.number, begun.parties, begun.workers, absent)

    def _go_on(self, before: _Seen, iteration: Iteration, state: State, said: Said) -> None:
        after, now = self._seen, self._seen.iteration
        course = self._courses.get(iteration.number)
        if course is None:  # it began before the first entry that was told
            course = Course(iteration.number, iteration.parties, iteration.workers, ())
        same = now is not None and now.number == iteration.number
        counted = now.counted if now is not None and same else iteration.counted
        blocks = [state.block(number) for number in range(before.group.blocks, after.group.blocks)]
        result = state.result(after.group.rounds) if after.group.rounds > before.group.rounds else None
        fines = tuple(_fines(self._terms, before, after, Moment(self._terms, iteration, said)))
        paid = result.paid if result else {}
        course = replace(
            course,
            counted=counted,
            blocks=(*course.blocks, *blocks),
            fines=(*course.fines, *fines),
            received=_received(course.received, before.accounts, after.accounts, fines, paid),
            ended=not same,
        )
        if result is not None:
            course = replace(course, round=result.round, opened=result.opened, divisor=result.divisor, paid=result.paid)
        self._courses[iteration.number] = course


def _fines(terms: DeepChainTerms, before: _Seen, after: _Seen, moment: Moment) -> Iterator[Fine]:
    # What is locked does not tell: with the entry that ends the group all deposits go back at once.
    for member in (each.id for each in terms.members):
        known = before.group.joined.get(member)
        if known is None:
            continue
        for deposit, times in after.group.joined[member].lost.items():
            if times > known.lost.get(deposit, 0):
                coins = before.accounts.deposit(member, deposit)
                yield Fine(member, deposit, coins, moment.reason(deposit, member))


def _received(
    earlier: Mapping[str, int], before: Accounts, after: Accounts, fines: Iterable[Fine], paid: Mapping[str, int]
) -> dict[str, int]:
    received = Counter(earlier)
    for name in before.free:
        member = MemberId(name)
        received[name] += after.holdings(member) - before.holdings(member) - paid.get(name, 0)
    for fine in fines:
        received[fine.member] += fine.coins
    return {name: coins for name, coins in sorted(received.items()) if coins}
