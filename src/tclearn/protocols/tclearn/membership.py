"""Who comes, who goes, who takes other keys: what such a change must satisfy, and what it does to the state.

It is decided as other changes are (``governing``); leaving and rotating one's own keys need nobody else. It takes
effect at a moment when no candidate is open and no block is on its way, so that whoever was drawn, asked or counted for
one thing stays so until that is done. A key, a seed chain and a root certificate stand for one name for ever.
"""

from __future__ import annotations

from dataclasses import replace

from tclearn.coalition import words
from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import MemberId
from tclearn.errors import MessageError
from tclearn.identity import PublicKey, public_key
from tclearn.identity.enrolment import Stated, read_statement
from tclearn.limits import ENROLMENT_BYTES_MAX, MEMBERS_MAX, MEMBERS_MIN
from tclearn.protocols.tclearn.calls import ADMIT, EXPEL, ROTATE, Change
from tclearn.protocols.tclearn.drawing import settled
from tclearn.protocols.tclearn.proposing import next_turn
from tclearn.protocols.tclearn.records import APPROVED, ASKED, VOID, ChangeState, SeedChain
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.roll import credentials
from tclearn.protocols.tclearn.state import State


def check_members(state: State, change: Change) -> None:
    """Whether a change of the members can be made in this state.

    Raises:
        Rejected: it cannot; nor could it at any time, or not now.
    """
    if change.target is not None or change.values is not None:
        raise refuse(Refusal.BAD_CHANGE, "a change of the members names a member and nothing else")
    if change.kind == EXPEL:
        if change.expelled is None or change.member is not None or change.enrolment is not None:
            raise refuse(Refusal.BAD_CHANGE, "an expulsion names a member and nothing else")
        _check_expelled(state, change.expelled)
    elif change.member is None or change.enrolment is None or change.expelled is not None:
        raise refuse(Refusal.BAD_CHANGE, "an admission has a member's record and its enrolment, and nothing else")
    else:
        _check_enrolment(change.member, change.enrolment)
        _check_admitted(state, change.member)


def needs_approval(change: Change, asker: MemberId) -> bool:
    """Whether others have to approve a change: not where a member leaves, or takes other keys of its own making."""
    return change.kind != ROTATE and not (change.kind == EXPEL and change.expelled == asker)


def changed(change: Change) -> MemberId | None:
    """Whom a change of the members is about."""
    return change.expelled if change.member is None else change.member.id


def check_waiting(state: State, asked: ChangeState) -> None:
    """Whether a change that was decided can still be made: others may have come before it.

    What a member decides of itself counts only while it has the key that has said so: a stolen key, replaced by the
    others meanwhile, must not bring its thief in, nor take the member out.

    Raises:
        Rejected: it cannot.
    """
    if not needs_approval(asked.change, asked.asked_by):
        record = state.roll.named(asked.asked_by)
        if record is None or record.key != asked.key:
            raise refuse(Refusal.BAD_CHANGE, f"{asked.asked_by} has other keys now, or none")
    check_members(state, asked.change)


def check_steady(state: State, member: MemberId) -> None:
    """Whether no decided change waits that takes a member's keys away.

    Raises:
        Rejected: one does.
    """
    for asked in map(state.asked, state.changes()):
        if asked.status == APPROVED and asked.change.kind in (ADMIT, EXPEL) and changed(asked.change) == member:
            raise refuse(Refusal.MEMBERS_CHANGING, f"it is decided that {member} leaves, or has other keys")


def void_rotations(state: State, decided: Change) -> None:
    """It is decided that a member leaves or gets other keys: keys that it wants to take itself are not taken."""
    for name in state.changes():
        asked = state.asked(name)
        if asked.status == APPROVED and asked.change.kind == ROTATE and asked.asked_by == changed(decided):
            state.put_change(name, asked.ended(VOID))


def take_effect(state: State, change: Change, now_ms: int) -> None:
    """Make a change that ``check_waiting`` lets pass; nothing may be under way."""
    if change.kind == EXPEL and change.expelled is not None:
        _expel(state, change.expelled, now_ms)
    elif change.member is not None and change.enrolment is not None:
        chain = (_rotated if change.kind == ROTATE else _newcomer)(state, change.member)
        if change.kind == ADMIT:
            _forget_keys(state, change.member.id)
        state.put_members(state.roll.having(change.member))
        state.put_former(set(state.former) - {change.member.id})
        state.put_admitted(change.member, change.enrolment)
        state.put_seed_chain(change.member.id, chain)


def _check_expelled(state: State, member: MemberId) -> None:
    if member not in state.members:
        raise refuse(Refusal.BAD_CHANGE, f"{member} is not a member")
    if len(state.members) <= MEMBERS_MIN:
        raise refuse(Refusal.BAD_CHANGE, f"a coalition has at least {MEMBERS_MIN} members")


def _check_enrolment(record: MemberRecord, enrolment: bytes) -> None:
    # What every replica judges alike. That the certificates hold, the approving members' own software has looked at.
    try:
        stated = read_statement(enrolment, ENROLMENT_BYTES_MAX)
        public_key(record.key)
    except MessageError as error:
        raise refuse(Refusal.BAD_ENROLMENT, f"the enrolment: {error.what}") from error
    if record.origin not in words.ORIGINS:
        raise refuse(Refusal.BAD_ENROLMENT, f"keys of the origin {record.origin!r}")
    shown = record.certificate
    if shown is None or stated != Stated(record.id, PublicKey(record.key), record.seed_tip, shown):
        raise refuse(Refusal.BAD_ENROLMENT, f"the enrolment is of {stated.member}, or of other keys than the record")


def _check_admitted(state: State, record: MemberRecord) -> None:
    if state.roll.named(record.id) == record:
        raise refuse(Refusal.ALREADY_DONE, f"{record.id} is a member with these keys")
    if state.roll.named(record.id) is None and len(state.members) >= MEMBERS_MAX:
        raise refuse(Refusal.BAD_CHANGE, f"a coalition has at most {MEMBERS_MAX} members")
    for credential in credentials(record):
        holder = state.holder(credential)
        if holder is not None or credential == state.charter.log_key:
            raise refuse(
                Refusal.BAD_ENROLMENT,
                f"a key, seed chain or certificate that is or was that of {holder or 'the log'}: make new ones",
            )


def _expel(state: State, member: MemberId, now_ms: int) -> None:
    turn = state.turn
    state.put_members(state.roll.without(member))
    state.put_former({*state.former, member})
    state.forget_tries(member)
    state.put_seed_chain(member, None)
    _forget_keys(state, member)
    if turn.member == member:
        next_turn(state, member, 0, now_ms)


def _forget_keys(state: State, member: MemberId) -> None:
    # Whoever has other keys now, or none, did perhaps not say what the keys before have said last, and cannot open
    # what they have committed to.
    state.forget_declared(member)
    state.forget_cosigned(member)
    kept = state.kept(member)
    if kept is not None and kept.spent < len(kept.parts):
        state.put_kept(member, replace(kept, spent=len(kept.parts)))
    for name in state.changes():
        asked = state.asked(name)
        if asked.status == ASKED and member in asked.approvals:
            state.put_change(name, asked.without(member))


def _newcomer(state: State, record: MemberRecord) -> SeedChain:
    return SeedChain(0, record.seed_tip, 0, from_height=_first_height(state))


def _rotated(state: State, record: MemberRecord) -> SeedChain:
    # It goes on with the chain that it has until the new one may be used: else a coalition whose members all rotate
    # would have nobody left to draw with. Which link it may show next, and whether it has any, stays as it is: the seed
    # that the link meets is known, and by taking other keys nobody may choose between two links, or to be drawn or not.
    chain, newest = state.seed_chain(record.id), settled(state)
    link = chain.next_link(newest)
    if link is not None and link[0] != chain.epoch and chain.following is not None:
        chain = SeedChain(chain.epoch + 1, chain.following, 0)
    early = 2 if chain.fresh and newest + 1 < chain.from_height else 1
    return replace(chain, following=record.seed_tip, from_height=_first_height(state), early=early)


def _first_height(state: State) -> int:
    # Nothing is on its way, so no general has shown a link for the coming block: that block counts. Genesis is settled
    # from the beginning, when its seed is known to all; block 1 is not before f + 1 generals have shown a link.
    return max(2, state.tip + 1)
