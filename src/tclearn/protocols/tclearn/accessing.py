"""Who may read which object of the vault, and the proof that it was asked for (Lugan et al. 2019, §III.B).

A reading is an entry of the ledger before it is a transfer: the vault hands out what a granted access names, to the
member that it names, as often as that member asks. For its work, training and testing, a member is granted what that
takes, once for good. Readings for its own use are bounded by the charter, and where it says so handed out only when a
quorum has cosigned a head with them in it: then not even whoever orders the ledger can make them unsaid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tclearn.coalition.words import ALL
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context
from tclearn.ledger.contract import allows
from tclearn.ledger.cosigning import quorum
from tclearn.protocols.tclearn.calls import TEST, TRAIN, USE, Access, Delivered, Witness
from tclearn.protocols.tclearn.objects import lacking, to_test, to_train
from tclearn.protocols.tclearn.proposing import check_propose, known
from tclearn.protocols.tclearn.records import ACCEPTED, OPEN, REVEALING, TESTING, AccessState
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.state import State
from tclearn.protocols.tclearn.voting import check_committing, decided_lately


def access(state: State, arguments: Access, context: Context) -> None:
    """A member is granted a reading."""
    check_access(state, arguments, context.sender, context.time_ms)
    granted = AccessState(
        number=state.accesses,
        member=context.sender,
        object=arguments.object,
        purpose=arguments.purpose,
        block=arguments.block,
        candidate=arguments.candidate,
        entry=context.index,
        time_ms=context.time_ms,
        delivered_ms=None,
        height=state.tip + 1,
    )
    state.add_access(granted)


def delivered(state: State, arguments: Delivered, context: Context) -> None:
    """A member confirms that it has what an access has granted to it."""
    confirmed = check_delivered(state, arguments.access, context.sender)
    state.put_delivered(replace(confirmed, delivered_ms=context.time_ms))


def witness(state: State, arguments: Witness, context: Context) -> None:
    """A member cosigns a head, so that readings before it can be handed out."""
    check_witness(state, context.sender)
    size, known = arguments.cosignature.size, state.cosigned(context.sender)
    waiting = [state.access(number).entry for number in state.unwitnessed()]
    if not any(known <= entry < size for entry in waiting):  # one that came meanwhile waits for the next head
        raise refuse(Refusal.WRONG_HEAD, f"a head of {size} entries, and entry {max(waiting)} waits")
    count_cosignature(state, context.sender, arguments.cosignature.size, context.time_ms)


def count_cosignature(state: State, member: MemberId, size: int, now_ms: int) -> None:
    """A member has cosigned a head of so many entries: the readings that a quorum knows of now are witnessed."""
    if state.charter.vault is None:
        return
    if size > state.cosigned(member):
        state.put_cosigned(member, size)
    count_witnesses(state, now_ms)


def count_witnesses(state: State, now_ms: int) -> None:
    """Readings that a quorum knows of now are witnessed: after a cosignature, and when the members have changed."""
    sizes = [state.cosigned(each) for each in state.members]
    for number in state.unwitnessed():
        waiting = state.access(number)
        if sum(size > waiting.entry for size in sizes) >= quorum(len(sizes)):
            state.put_witnessed(replace(waiting, witnessed_ms=now_ms))


def check_access(state: State, arguments: Access, member: MemberId, now_ms: int) -> None:
    """Whether a member is granted a reading.

    Raises:
        Rejected: it is not; as an entry of the log this is the journal of refusals.
    """
    candidate, block = arguments.candidate, arguments.block
    if arguments.purpose == TRAIN and candidate is None and block is None:
        check_propose(state, member, now_ms)
        newest = state.block(state.tip)
        if arguments.object not in (newest.locator, state.block(newest.best).locator):
            raise refuse(Refusal.BAD_ACCESS, "neither the newest model nor the best one")
    elif arguments.purpose == TEST and candidate is not None and block is None:
        _check_test(state, candidate, arguments.object, member, now_ms)
    elif arguments.purpose == USE and candidate is None and block is not None:
        _check_use(state, block, arguments.object, member)
    else:
        raise refuse(Refusal.BAD_ACCESS, 'a purpose is "train", "test" with a candidate, or "use" with a block')
    before = state.granted(member, arguments.object, arguments.purpose)
    if before is not None and (arguments.purpose != USE or before.height == state.tip + 1):
        raise refuse(Refusal.ALREADY_DONE, f"already granted: access {before.number}")
    if arguments.purpose == USE and state.readings_left(member) < 1:
        raise refuse(Refusal.NO_READINGS_LEFT, f"{member} has used up its readings; contributions bring more")


def check_delivered(state: State, number: int, member: MemberId) -> AccessState:
    """The access that a member may confirm.

    Raises:
        Rejected: it may not.
    """
    confirmed = check_handed_out(state, number, member)
    if confirmed.delivered_ms is not None:
        raise refuse(Refusal.ALREADY_DONE, f"access {number} is confirmed already")
    return confirmed


def check_handed_out(state: State, number: int, member: MemberId) -> AccessState:
    """The access that the vault hands out to a member now.

    Raises:
        Rejected: it does not: there is none, it is another's, or too few members know of it yet.
    """
    asked = state.access(number) if number < state.accesses else None
    if asked is None or asked.member != member or member not in state.members:
        raise refuse(Refusal.UNKNOWN_ACCESS, f"{member} has no access {number}")
    if not state.witnessed(asked):
        raise refuse(Refusal.TOO_EARLY, f"access {number} is not witnessed by a quorum yet")
    return asked


def may_come(state: State, access: AccessState) -> bool:
    """Whether a member is still asked to confirm a reading.

    What was announced and became no block may never have been in the store: then there is nothing to wait for. Who has
    it may confirm it all the same.
    """
    candidate = None if access.candidate is None else state.named(access.candidate)
    if candidate is None or candidate.status in OPEN or candidate.status == ACCEPTED:
        return True
    part = candidate.hidden.part if candidate.hidden else None
    return access.object not in (candidate.locator, part and part.locator)


def handed_out(state: State, member: MemberId, wanted: Digest) -> AccessState | None:
    """A reading by which the vault hands an object out to a member now; ``None``: there is none.

    Readings for its work come first; those for its own use may still wait for witnesses, each by itself.
    """
    work = state.granted(member, wanted, TEST)
    if work is not None:
        return work
    newest = state.granted(member, wanted, USE)
    if newest is None or state.witnessed(newest):
        return newest
    earlier = map(state.access, range(newest.number - 1, -1, -1))
    return next(
        (each for each in earlier if (each.member, each.object) == (member, wanted) and state.witnessed(each)), None
    )


def check_witness(state: State, member: MemberId) -> int:
    """Entry of the newest reading that waits for a cosignature of this member.

    Raises:
        Rejected: none does.
    """
    newest = max((state.access(number).entry for number in state.unwitnessed()), default=-1)
    if newest < state.cosigned(member):
        raise refuse(Refusal.NOTHING_TO_WITNESS, f"no reading waits for a cosignature of {member}")
    return newest


def needed(state: State, member: MemberId, now_ms: int) -> Iterator[tuple[Access, int | None]]:
    """What a member has to ask for before it can do what the state asks of it, each with its deadline."""
    if allows(check_propose, state, member, now_ms):
        for locator in lacking(state, member, to_train(state)):
            yield Access(locator, TRAIN), state.turn.due_ms
    for candidate in state.open_candidates():
        if allows(check_committing, candidate, member):
            for locator in lacking(state, member, to_test(state, candidate)):
                yield Access(locator, TEST, candidate.id), candidate.due_ms


def access_subject(state: State, arguments: Access, member: MemberId) -> Digest:
    """Names one duty to ask for access."""
    about = arguments.candidate if arguments.candidate is not None else state.chance(member)
    return digest("tclearn/access/1", arguments.object, arguments.purpose, about)


def delivered_subject(number: int) -> Digest:
    """Names one duty to confirm what was handed out."""
    return digest("tclearn/delivered/1", number)


def witness_subject(entry: int) -> Digest:
    """Names one duty to cosign, by the entry of the reading that waits for it."""
    return digest("tclearn/witness/1", entry)


def _check_test(state: State, name: Digest, wanted: Digest, member: MemberId, now_ms: int) -> None:
    candidate = known(state, name)
    if member not in candidate.committee:
        raise refuse(Refusal.NOT_DRAWN, f"{member} is not drawn to test this candidate")
    if candidate.status not in (TESTING, REVEALING) and candidate not in decided_lately(state, now_ms):
        raise refuse(Refusal.WRONG_PHASE, f"the candidate is {candidate.status}")
    if wanted not in to_test(state, candidate):
        raise refuse(Refusal.BAD_ACCESS, "testing this candidate does not take that object")


def _check_use(state: State, index: int, wanted: Digest, member: MemberId) -> None:
    terms, tip = state.charter.vault, state.tip
    if terms is None or index > tip or state.block(index).locator != wanted:
        raise refuse(Refusal.BAD_ACCESS, f"that object is not the model of block {index}")
    if terms.versions != ALL and member not in terms.readers_of_all and wanted != state.block(tip).locator:
        raise refuse(Refusal.NOT_ALLOWED, f"{member} may read the newest version only, it is not among readers_of_all")
