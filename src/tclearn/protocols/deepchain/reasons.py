"""For what a member has lost a deposit. It is in no record: it follows from the state before an entry, and the entry.

Each reason is a rule of ``settling`` or ``flow``, asked again of those who have lost something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tclearn.coalition.quorum import quorum
from tclearn.encoding import MemberId
from tclearn.ledger import Call
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.records import DECRYPTION, GRADIENTS, WORK, Iteration, Reported
from tclearn.protocols.deepchain.terms import DeepChainTerms
from tclearn.protocols.deepchain.times import APPENDING, CHECKING, DOWNLOADING, RETURNING, UPDATING, UPLOADING
from tclearn.records import Record


class Reason(StrEnum):
    """What a member has lost a deposit for."""

    WRONG_GRADIENT = "wrong gradient"
    NO_GRADIENT = "no gradient"
    NOT_ATTACHED = "gradient not attached"
    REFUSED_GRADIENT = "gradient refused by the workers"
    NO_WORD = "no word on the sum"
    NO_SHARES = "no decryption shares"
    WRONG_SHARES = "wrong decryption shares"
    WITHHELD_SHARES = "decryption shares withheld"
    NO_REPORT = "no report of what was opened"
    WRONG_REPORT = "another sum reported than by the others"
    APPROVED_GRADIENT = "approved a wrong gradient"
    NO_VOTE = "no vote on the gradients"
    NO_SUM = "no sum as leader"
    WRONG_SUM = "wrong sum"
    APPROVED_SUM = "approved a wrong sum"
    NO_CHECK = "no vote on the sum"
    SUM_MISSING = "sum that the parties do not find"
    NOT_SIGNED = "block not signed"
    UNKNOWN = "for what, the ledger does not tell"


@dataclass(frozen=True, slots=True)
class Said:
    """An entry, which the state before it does not know; no record if no method has its name."""

    sender: MemberId
    record: Record | None

    def by(self, member: MemberId, kind: type[Record]) -> bool:
        """Whether a member has said such a thing with it."""
        return self.sender == member and isinstance(self.record, kind)


def said_by(call: Call, sender: MemberId) -> Said:
    """The entry of a call that was accepted."""
    kind = calls.METHODS.get(call.method)
    return Said(sender, None if kind is None else kind.from_value(call.arguments, call.method))


@dataclass(frozen=True, slots=True)
class Moment:
    """When somebody was fined.

    Attributes:
        terms: what the members have agreed on.
        iteration: before the entry that did it.
        said: the entry.
    """

    terms: DeepChainTerms
    iteration: Iteration
    said: Said

    def reason(self, deposit: str, member: MemberId) -> Reason:
        """Why the entry has cost a member a deposit; the first that applies, as the rules ask."""
        told = {GRADIENTS: self._gradient, DECRYPTION: self._decryption, WORK: self._work}[deposit](member)
        return next((reason for holds, reason in told if holds), Reason.UNKNOWN)

    def _gradient(self, member: MemberId) -> Iterator[tuple[bool, Reason]]:
        iteration, said = self.iteration, self.said
        accused = isinstance(said.record, calls.Accuse) and said.record.party == member
        if iteration.phase == APPENDING:
            yield member not in iteration.signed, Reason.NOT_SIGNED
            return
        yield accused or member in iteration.convicted, Reason.WRONG_GRADIENT
        yield not (member in iteration.gradients or said.by(member, calls.Contribute)), Reason.NO_GRADIENT
        attached = member in iteration.attached or said.by(member, calls.Attach)
        yield iteration.phase == UPLOADING and member in iteration.verified and not attached, Reason.NOT_ATTACHED
        doubting = sum(member in doubted for doubted in self._doubts().values())
        yield doubting >= quorum(len(self.terms.workers)), Reason.REFUSED_GRADIENT

    def _decryption(self, member: MemberId) -> Iterator[tuple[bool, Reason]]:
        iteration, said = self.iteration, self.said
        if iteration.phase == DOWNLOADING:
            yield not (member in iteration.takes or said.by(member, calls.Take)), Reason.NO_WORD
            return
        yield not (member in iteration.shares or said.by(member, calls.Share)), Reason.NO_SHARES
        challenged = isinstance(said.record, calls.Challenge) and said.record.party == member
        yield challenged or member in iteration.unshared, Reason.WRONG_SHARES
        if iteration.phase != RETURNING:
            return
        reports, needed = self._reports(), quorum(len(self.terms.parties))
        yield member not in reports, Reason.NO_REPORT
        missing = sum(member in report.missing for report in reports.values())
        yield missing >= needed, Reason.WITHHELD_SHARES
        yield member in reports and reports[member].opened is not None, Reason.WRONG_REPORT

    def _work(self, member: MemberId) -> Iterator[tuple[bool, Reason]]:
        iteration, said = self.iteration, self.said
        leads = member == iteration.leader
        if isinstance(said.record, calls.Dispute):
            yield leads, Reason.WRONG_SUM
            yield bool(iteration.checks.get(member)), Reason.APPROVED_SUM
        elif isinstance(said.record, calls.Accuse):
            doubted = iteration.doubts.get(member)
            yield doubted is not None and said.record.party not in doubted, Reason.APPROVED_GRADIENT
        elif iteration.phase == UPDATING:
            yield leads, Reason.NO_SUM
        elif iteration.phase == CHECKING:
            yield leads, Reason.WRONG_SUM
            yield not (member in iteration.checks or said.by(member, calls.Check)), Reason.NO_CHECK
        elif iteration.phase == APPENDING:
            yield member not in iteration.signed, Reason.NOT_SIGNED
        elif iteration.phase == DOWNLOADING:
            yield leads, Reason.SUM_MISSING
        else:
            yield said.by(member, calls.Verify), Reason.APPROVED_GRADIENT
            yield member not in iteration.doubts, Reason.NO_VOTE

    def _doubts(self) -> dict[str, tuple[MemberId, ...]]:
        doubts, record = dict(self.iteration.doubts), self.said.record
        if isinstance(record, calls.Verify):
            doubts[self.said.sender] = tuple(
                MemberId(party) for party in self.iteration.gradients if party not in record.approved
            )
        return doubts

    def _reports(self) -> dict[str, Reported]:
        reports, record = dict(self.iteration.reports), self.said.record
        if isinstance(record, calls.Report):
            reports[self.said.sender] = Reported(record.missing, record.opened)
        return reports
