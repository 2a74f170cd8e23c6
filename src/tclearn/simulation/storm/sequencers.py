"""Those who order the ledger: an honest one that is down at times, and one that shows two histories."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tclearn.encoding import Digest, MemberId
from tclearn.errors import MessageError
from tclearn.identity import PublicKey, Signer
from tclearn.ledger import Contract, Transaction
from tclearn.ledger.checkpoint import sign
from tclearn.ledger.engines.follower import Page
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm.faults import unreachable

_PAGE_ENTRIES_MAX: Final = 64


@dataclass
class Sequencer:
    """Orders the ledger and hands it out.

    Attributes:
        ledger: the log.
        key: signs its heads.
        down: whether it answers nobody.
    """

    ledger: MemoryLedger[State]
    key: Signer
    down: bool = False
    states: list[State] = field(default_factory=list, repr=False)
    """The state after so many entries."""
    senders: list[tuple[PublicKey, int]] = field(default_factory=list, repr=False)
    """Key and sequence number of each entry."""
    _notes: dict[int, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.states.append(self.ledger.state())

    def submit(self, raw: bytes) -> None:
        """See ``Source.submit``."""
        if self.down:
            raise unreachable()
        transaction = Transaction.parse(raw)
        self.ledger.submit(transaction)
        if len(self.ledger) == len(self.states):
            self.states.append(self.ledger.state())
            self.senders.append((transaction.signer, transaction.sequence))

    def read(self, start: int) -> Page:
        """See ``Source.read``."""
        if self.down:
            raise unreachable()
        stop = min(len(self.ledger), start + _PAGE_ENTRIES_MAX)
        entries = [(item.entry.encode(), item.results) for item in self.ledger.entries(start, stop)]
        return Page(entries, self.note(max(stop, 0)))

    def note(self, size: int) -> bytes:
        """A signed checkpoint of the first ``size`` entries."""
        known = self._notes.get(size)
        if known is None:
            known = self._notes[size] = sign(self.key, self.ledger.coalition, self.ledger.head(size)).encode()
        return known


@dataclass
class Face:
    """What a member sees of a sequencer that has two histories."""

    sequencer: TwoFaced
    side: int
    member: MemberId

    def submit(self, raw: bytes) -> None:
        """See ``Source.submit``."""
        self.sequencer.take(self.side, self.member, raw)

    def read(self, start: int) -> Page:
        """See ``Source.read``."""
        return self.sequencer.side(self.side).read(start)


class TwoFaced:
    """Shows one history at first, and from ``parting`` entries on two; leaves out one member, and reorders.

    Args:
        contract: the rules.
        coalition: digest of the charter.
        key: signs heads, of either history.
        clock: the time that its ledgers know; off by ``skew_ms`` in the second.
        chance: what it leaves out and holds back.
        parting: number of entries after which the histories part.
        censored: a member whose transactions never enter the second history.
        skew_ms: how far the second history's clock is off.
    """

    def __init__(
        self,
        contract: Contract[State],
        coalition: Digest,
        key: Signer,
        clock: Callable[[], int],
        chance: random.Random,
        *,
        parting: int,
        censored: MemberId | None,
        skew_ms: int,
    ) -> None:
        self._chance = chance
        self._parting = parting
        self._censored = censored
        self._held: list[bytes] = []
        self._sides = [
            Sequencer(MemoryLedger(contract, coalition, clock=clock), key),
            Sequencer(MemoryLedger(contract, coalition, clock=lambda: clock() + self._skew(skew_ms)), key),
        ]

    def side(self, number: int) -> Sequencer:
        """One of the two histories."""
        return self._sides[number]

    @property
    def parted(self) -> bool:
        """Whether there are two histories by now."""
        return len(self._sides[0].ledger) >= self._parting

    def take(self, side: int, member: MemberId, raw: bytes) -> None:
        """What it does with a transaction that came in on one side."""
        if not self.parted:
            for each in self._sides:
                each.submit(raw)
            return
        if side == 1 and member == self._censored:
            return  # said to be taken, and dropped
        if self._chance.random() < 0.1:
            self._held.append(raw)
            return
        if self._chance.random() < 0.3:
            self._held.append(raw)
            self._chance.shuffle(self._held)
            for held in self._held:
                self._log(side, held)
            self._held.clear()
            return
        self._sides[side].submit(raw)
        if self._chance.random() < 0.3:
            self._log(1 - side, raw)

    def _log(self, side: int, raw: bytes) -> None:
        with suppress(MessageError):
            self._sides[side].submit(raw)

    def _skew(self, skew_ms: int) -> int:
        return skew_ms if self.parted else 0
