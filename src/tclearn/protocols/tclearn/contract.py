"""The TCLearn contract: pure rules that every member's replica applies alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tclearn.coalition.acceptance import AcceptanceRule
from tclearn.coalition.block import GENESIS, Block, data_ids_root, strengths_ppm
from tclearn.coalition.rate import RateState
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import MessageError
from tclearn.identity import PublicKey
from tclearn.ledger import Call, Context, Duty, View, Writes
from tclearn.ledger.cosigning import Cosignature
from tclearn.protocols.tclearn import (
    accessing,
    calls,
    contradictions,
    duties,
    governing,
    hiding,
    proposing,
    sealing,
    voting,
)
from tclearn.protocols.tclearn.memo import Memo
from tclearn.protocols.tclearn.records import ChainedBlock, SeedChain, Turn
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.roll import MEMBERS
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record

_METHODS: Final[dict[type[Record], Callable[[State, Any, Context], None]]] = {
    calls.Propose: proposing.propose,
    calls.Declare: proposing.declare,
    calls.Release: proposing.release,
    calls.Pass: proposing.pass_turn,
    calls.Hide: hiding.hide,
    calls.Show: hiding.show,
    calls.Commit: voting.commit,
    calls.Reveal: voting.reveal,
    calls.Timeout: duties.timeout,
    calls.Seal: sealing.seal,
    calls.Endorse: sealing.endorse,
    calls.Finalize: sealing.finalize,
    calls.Renew: sealing.renew,
    calls.Request: governing.request,
    calls.Approve: governing.approve,
    calls.Rotate: governing.rotate,
    calls.Access: accessing.access,
    calls.Delivered: accessing.delivered,
    calls.Witness: accessing.witness,
}


@dataclass(frozen=True)
class TCLearn:
    """TCLearn (Lugan et al. 2019, §III.A); at level B readings of the models too (§III.B).

    Attributes:
        charter: the coalition's charter.
        rule: the acceptance rule that the charter names.
    """

    charter: ResolvedCharter
    rule: AcceptanceRule
    _memo: Memo = field(default_factory=Memo, repr=False, compare=False)

    @property
    def name(self) -> str:
        """See ``Contract.name``."""
        return calls.CONTRACT

    def member_of(self, state: View, key: PublicKey) -> MemberId | None:
        """See ``Contract.member_of``."""
        return self._memo.roll(state.get(MEMBERS), self.charter).keys.get(key)

    def view(self, state: View) -> State:
        """See ``Contract.view``."""
        return State(state, self.charter, self.rule, self._memo)

    def genesis(self) -> Writes:
        """See ``Contract.genesis``: block 0 with M_0, equal strengths, and a seed that no member alone could choose."""
        charter = self.charter
        state = State({"tip": 0, "candidates": 0, "open": [], "changes": []}, charter, self.rule, Memo())
        first = charter.members[0].id
        lease = charter.schedule.turns == "lease"
        # The first turn has no deadline yet: the coalition begins with its first entry, whenever that comes.
        state.put_turn(Turn(0, first if lease else None, None, 0))
        state.put_tries({})
        tips = [member.seed_tip for member in charter.members]
        state.put_seed(digest("tclearn/seed/1", charter.digest, tips))
        for member in charter.members:
            state.put_seed_chain(member.id, SeedChain(0, member.seed_tip, 0))
        state.put_hyperparameters(charter.hyperparameters)
        if charter.learning_rate is not None and charter.learning_rate.rule == "plateau":
            state.put_rate(RateState(charter.hyperparameters["learning_rate"]))
        state.put_block(ChainedBlock(self._genesis_block(state), None, {}), tip=True)
        return {"candidates": 0, "open": [], "changes": [], **state.writes}

    def apply(self, state: View, call: Call, context: Context) -> Writes:
        """See ``Contract.apply``."""
        kind = calls.METHODS.get(call.method)
        if kind is None or (kind in calls.OF_VAULT and self.charter.vault is None):
            raise refuse(Refusal.UNKNOWN_METHOD, f"no method {call.method!r}")
        arguments = kind.from_value(call.arguments, call.method)
        draft = State(state, self.charter, self.rule, self._memo)
        _METHODS[kind](draft, arguments, context)
        governing.settle(draft, context)
        return draft.writes

    def duties(self, state: State, member: MemberId, time_ms: int) -> Sequence[Duty]:
        """See ``Contract.duties``."""
        return duties.duties(state, member, time_ms)

    def cosignature(self, call: Call, sender: MemberId) -> Cosignature | None:
        """See ``Cosigning.cosignature``: endorsements carry them, and where there is a vault ``witness``."""
        try:
            if call.method == "endorse":
                return calls.Endorse.from_value(call.arguments, call.method).cosignature
            if call.method == "witness" and self.charter.vault is not None:
                return calls.Witness.from_value(call.arguments, call.method).cosignature
        except MessageError:
            return None  # the contract refuses it
        return None

    def cosigners(self, state: View) -> Collection[MemberId]:
        """See ``Cosigning.cosigners``: every member's cosignature counts."""
        return self._memo.roll(state.get(MEMBERS), self.charter).ids

    def topic(self, call: Call) -> str | None:
        """See ``Contradicting.topic``."""
        return contradictions.topic(call)

    def contradiction(self, first: Call, second: Call, member: MemberId) -> str | None:
        """See ``Contradicting.contradiction``."""
        return contradictions.contradiction(self.charter.digest, first, second, member)

    def _genesis_block(self, state: State) -> Block:
        nothing: dict[str, int] = dict.fromkeys(state.members, 0)
        return Block(
            index=0,
            time_ms=0,
            previous=Digest(bytes(32)),
            kind=GENESIS,
            parameters=self.charter.model.initial,
            contributor=None,
            locator=None,
            samples=0,
            set_aside=0,
            contributions=dict(nothing),
            strengths=strengths_ppm(nothing),
            data_ids=data_ids_root(b""),
            hyperparameters=dict(self.charter.hyperparameters),
            committee=(),
            votes=(),
            performance=None,
            best=0,
            reverts=None,
            general=None,
            members=sealing.members_digest(state),
            privacy=state.block_privacy(None),
        )
