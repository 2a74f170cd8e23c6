"""What each iteration leaves to be audited: who handed in which file, and what the ledger made of it.

The state forgets an iteration when the next one begins. Its calls are in the record for ever.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tclearn.coalition.quorum import quorum
from tclearn.encoding import Digest, MemberId
from tclearn.ledger import Transaction
from tclearn.ledger.replica import Applied
from tclearn.protocols.deepchain.calls import (
    CONTRACT,
    METHODS,
    Accuse,
    Challenge,
    Check,
    Contribute,
    Dispute,
    Report,
    Share,
    Update,
    Verify,
)
from tclearn.protocols.deepchain.records import VOID, Block, Handed, Result
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.terms import DeepChainTerms
from tclearn.records import Record


@dataclass
class Summed:
    """A sum that a leader has handed in.

    Attributes:
        attempt: blocks of its iteration that had stayed empty.
        leader: who.
        handed: its root and its file.
        counted: whose gradients are in it.
        checks: 1 or 0 of each worker that voted on it, the leader's 1 among them.
        disputed: the entry that has shown it to be wrong.
    """

    attempt: int
    leader: MemberId
    handed: Handed
    counted: tuple[MemberId, ...]
    checks: dict[MemberId, int]
    disputed: int | None = None


@dataclass
class Dossier:
    """One iteration.

    Attributes:
        number: its number.
        terms: what the members have agreed on.
        gradients: handed in, by party.
        convicted: parties with a batch that was shown to be wrong, and the entry that has shown it.
        approved: of each worker that voted, the parties whose gradients it approves.
        sums: in their order; the last may be in the chain.
        shares: handed in, by party; of the last sum.
        unshared: parties with shares that were shown to be wrong, and the entry that has shown it.
        reports: digest of the opened sum, by party that reported one.
        claims: how many parties reported that a party's shares were not to be had.
        blocks: those that the iteration has appended.
        result: what came of it; ``None``: it failed, or is not over.
        unfounded: accusations that proved nothing.
    """

    number: int
    terms: DeepChainTerms
    gradients: dict[MemberId, Handed] = field(default_factory=dict)
    convicted: dict[MemberId, int] = field(default_factory=dict)
    approved: dict[MemberId, frozenset[MemberId]] = field(default_factory=dict)
    sums: list[Summed] = field(default_factory=list)
    shares: dict[MemberId, Handed] = field(default_factory=dict)
    unshared: dict[MemberId, int] = field(default_factory=dict)
    reports: dict[MemberId, Digest] = field(default_factory=dict)
    claims: Counter[MemberId] = field(default_factory=Counter)
    blocks: list[Block] = field(default_factory=list)
    result: Result | None = None
    unfounded: int = 0

    def approves(self, party: MemberId) -> bool:
        """Whether a quorum of the workers has approved a party's gradient."""
        return self._votes(party, True) >= quorum(len(self.terms.workers))

    def refuses(self, party: MemberId) -> bool:
        """Whether a quorum of the workers has not: that costs its party a deposit."""
        return self._votes(party, False) >= quorum(len(self.terms.workers))

    def accepts(self, total: Summed) -> bool:
        """Whether a quorum of the workers has found a sum right."""
        return sum(total.checks.values()) >= quorum(len(self.terms.workers))

    def rejects(self, total: Summed) -> bool:
        """Whether a quorum has found it wrong: that costs its leader a deposit."""
        return len(total.checks) - sum(total.checks.values()) >= quorum(len(self.terms.workers))

    def voided(self, total: Summed) -> bool:
        """Whether a sum was in the chain and was taken back."""
        return any(block.kind == VOID and block.attempt == total.attempt for block in self.blocks)

    def withheld(self, party: MemberId) -> bool:
        """Whether a quorum of the parties did not find a party's shares: that costs it a deposit."""
        return self.claims[party] >= quorum(len(self.terms.parties))

    def sound(self, party: MemberId) -> bool:
        """Whether the contract has relied on a party's shares."""
        return self.result is not None and party not in self.unshared and not self.withheld(party)

    def _votes(self, party: MemberId, approving: bool) -> int:
        return sum((party in approved) == approving for approved in self.approved.values())


class Dossiers:
    """All iterations of a record, entry by entry.

    Args:
        terms: what the members have agreed on.
    """

    def __init__(self, terms: DeepChainTerms) -> None:
        self._terms = terms
        self._dossiers: dict[int, Dossier] = {}
        self._unfounded: dict[str, int] = {}
        self._blocks = self._rounds = 0

    def note(self, applied: Applied, after: State) -> None:
        """Note an entry.

        Args:
            applied: the entry.
            after: the state with it.
        """
        call = Transaction.parse(applied.entry.transaction).call
        if applied.outcome.code or call.contract != CONTRACT:
            return
        self._heard(METHODS[call.method].from_value(call.arguments, call.method), applied, after)
        for number in range(self._blocks, after.group.blocks):
            block = after.block(number)
            self._of(block.iteration).blocks.append(block)
        for number in range(self._rounds + 1, after.group.rounds + 1):
            result = after.result(number)
            self._of(result.iteration).result = result
        self._blocks, self._rounds = after.group.blocks, after.group.rounds
        self._unfounded = dict(after.iteration.unfounded) if after.iteration else {}

    def all(self) -> list[Dossier]:
        """Every iteration in which something was handed in, in order."""
        return [self._dossiers[number] for number in sorted(self._dossiers)]

    def _of(self, number: int) -> Dossier:
        return self._dossiers.setdefault(number, Dossier(number, self._terms))

    def _heard(self, said: Record, applied: Applied, after: State) -> None:
        sender, entry = applied.sender, applied.entry.index
        match said:
            case Contribute():
                self._of(said.iteration).gradients[sender] = Handed(entry, said.root, said.locator)
            case Verify():
                self._of(said.iteration).approved[sender] = frozenset(said.approved)
            case Update():
                handed = Handed(entry, said.root, said.locator)
                counted = after.iteration.counted if after.iteration else ()
                self._of(said.iteration).sums.append(Summed(said.attempt, sender, handed, counted, {sender: 1}))
            case Check():
                self._of(said.iteration).sums[-1].checks[sender] = said.right
            case Share():
                self._of(said.iteration).shares[sender] = Handed(entry, said.root, said.locator)
            case Report():
                if said.opened is not None:
                    self._of(said.iteration).reports[sender] = said.opened
                self._of(said.iteration).claims.update(said.missing)
            case Accuse() | Dispute() | Challenge():
                self._accused(self._of(said.iteration), said, applied, after)

    def _accused(self, dossier: Dossier, said: Accuse | Dispute | Challenge, applied: Applied, after: State) -> None:
        # What proves nothing is counted against its sender; what proves something may have ended the iteration.
        now = after.iteration.unfounded if after.iteration and after.iteration.number == dossier.number else {}
        sender, entry = applied.sender, applied.entry.index
        if now.get(sender, 0) > self._unfounded.get(sender, 0):
            dossier.unfounded += 1
        elif isinstance(said, Accuse):
            dossier.convicted[said.party] = entry
        elif isinstance(said, Challenge):
            dossier.unshared[said.party] = entry
        else:
            dossier.sums[-1].disputed = entry
