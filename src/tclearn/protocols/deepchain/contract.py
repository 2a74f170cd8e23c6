"""The DeepChain contract: pure rules that every member's replica applies alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import MemberId, digest
from tclearn.errors import MessageError
from tclearn.identity import PublicKey
from tclearn.ledger import Call, Context, Duty, View, Writes
from tclearn.ledger.cosigning import Cosignature
from tclearn.protocols.deepchain import accusing, calls, duties, founding, processing, trading
from tclearn.protocols.deepchain.judging import Judge
from tclearn.protocols.deepchain.records import FOUNDING, Group, Links
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.state import Memo, State
from tclearn.protocols.deepchain.terms import DeepChainTerms
from tclearn.records import Record

_METHODS: Final[dict[type[Record], Callable[[State, Any, Context], None]]] = {
    calls.Declare: founding.declare,
    calls.Join: founding.join,
    calls.Stake: founding.stake,
    calls.Contribute: trading.contribute,
    calls.Verify: trading.verify,
    calls.Attach: trading.attach,
    calls.Take: trading.take,
    calls.Share: trading.share,
    calls.Report: trading.report,
    calls.Update: processing.update,
    calls.Check: processing.check,
    calls.Append: processing.append,
    calls.Accuse: accusing.accuse,
    calls.Dispute: accusing.dispute,
    calls.Challenge: accusing.challenge,
    calls.Timeout: duties.timeout,
}


@dataclass(frozen=True)
class DeepChain:
    """DeepChain (Weng et al., §4): gradients under a threshold key, deposits, workers, and blocks of sums.

    Attributes:
        terms: what the members have agreed on.
        judge: decides what a proof shows; part of the rules, and so of the contract's version.
    """

    terms: DeepChainTerms
    judge: Judge
    _memo: Memo = field(default_factory=Memo, repr=False, compare=False)

    @property
    def name(self) -> str:
        """See ``Contract.name``."""
        return calls.CONTRACT

    @cached_property
    def _keys(self) -> dict[bytes, MemberId]:
        return {member.key: member.id for member in self.terms.members}

    def member_of(self, state: View, key: PublicKey) -> MemberId | None:
        """See ``Contract.member_of``."""
        return self._keys.get(key)

    def view(self, state: View) -> State:
        """See ``Contract.view``."""
        return State(state, self.terms, self.judge, self._memo)

    def genesis(self) -> Writes:
        """See ``Contract.genesis``: coins are given out, and a seed is made that no member alone could choose."""
        terms = self.terms
        state = State({"assets": 0}, terms, self.judge, Memo())
        state.put_group(Group(FOUNDING, {}, 0, 0, 0, 0, 0))
        state.put_accounts(Accounts.founded({member.id: terms.money.coins[member.id] for member in terms.members}))
        state.put_seed(digest("tclearn/deepchain/seed/1", terms.digest, [member.seed_tip for member in terms.members]))
        for member in terms.members:
            if member.id in terms.workers:
                state.put_links(member.id, Links(member.seed_tip, 0))
        return {"assets": 0, **state.writes}

    def apply(self, state: View, call: Call, context: Context) -> Writes:
        """See ``Contract.apply``."""
        kind = calls.METHODS.get(call.method)
        if kind is None:
            raise refuse(Refusal.UNKNOWN_METHOD, f"no method {call.method!r}")
        arguments = kind.from_value(call.arguments, call.method)
        draft = State(state, self.terms, self.judge, self._memo)
        _METHODS[kind](draft, arguments, context)
        return draft.writes

    def duties(self, state: State, member: MemberId, time_ms: int) -> Sequence[Duty]:
        """See ``Contract.duties``."""
        return duties.duties(state, member, time_ms)

    def cosignature(self, call: Call, sender: MemberId) -> Cosignature | None:
        """See ``Cosigning.cosignature``: signatures of blocks carry them."""
        if call.method != "append":
            return None
        try:
            return calls.Append.from_value(call.arguments, call.method).cosignature
        except MessageError:
            return None

    def cosigners(self, state: View) -> Collection[MemberId]:
        """See ``Cosigning.cosigners``: every member's cosignature counts."""
        return self._keys.values()
