"""Beginnings and ends: of iterations, of blocks that stay empty, of the group; and whose coins go where with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from tclearn.coalition.payoffs import payoffs
from tclearn.coalition.penalties import settled
from tclearn.coalition.quorum import quorum
from tclearn.coalition.sortition import leader
from tclearn.encoding import MemberId, digest
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.deepchain.records import (
    COMPLETE,
    DECRYPTION,
    DISSOLVED,
    EMPTY,
    FOUNDING,
    GRADIENTS,
    RUNNING,
    VOID,
    WAITING,
    WORK,
    Block,
    Iteration,
    Result,
)
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.times import COLLECTING, UPDATING

# --- the group -------------------------------------------------------------------------------------------------------


def begin_if_ready(state: State, now_ms: int) -> None:
    """The first iteration begins when all have joined; a later one that had to wait, when enough have deposits."""
    group = state.group
    if (group.status == FOUNDING and len(group.joined) == len(state.terms.members)) or (
        group.status == WAITING and _enough(state)
    ):
        begin(state, now_ms)


def end_waiting(state: State, now_ms: int) -> None:
    """Those who had to join or to stake had their time: it goes on with the others, or ends."""
    if _enough(state):
        begin(state, now_ms)
    else:
        _end(state, DISSOLVED)


def begin(state: State, now_ms: int) -> None:
    """The next iteration begins with everybody who has its deposits; without enough of them the group waits."""
    group = state.group
    if not _enough(state):
        state.put_iteration(None)
        state.put_group(replace(group, status=WAITING, since_ms=now_ms))
        return
    parties, workers = _present(state)
    number = group.iterations + 1
    state.put_group(replace(group, status=RUNNING, iterations=number))
    state.put_iteration(Iteration.begun(number, now_ms, COLLECTING, parties, workers))


def _present(state: State) -> tuple[tuple[MemberId, ...], tuple[MemberId, ...]]:
    locked, joined = state.accounts.locked, state.group.joined
    parties = (each for each in state.terms.parties if {GRADIENTS, DECRYPTION} <= set(locked[each]))
    workers = (each for each in state.terms.workers if WORK in locked[each])
    return tuple(each for each in parties if each in joined), tuple(each for each in workers if each in joined)


def _enough(state: State) -> bool:
    # Quorums are of all parties and of all workers, whoever is present: otherwise those who made the others lose their
    # deposits, or had them cut off, would decide alone.
    terms = state.terms
    parties, workers = _present(state)
    needed = max(terms.minimum, terms.key.threshold, quorum(len(terms.parties)))
    return len(parties) >= needed and len(workers) >= quorum(len(terms.workers))


def _end(state: State, status: str) -> None:
    accounts = state.accounts
    for member in state.terms.members:
        for purpose in (GRADIENTS, DECRYPTION, WORK):
            accounts = accounts.returned(member.id, purpose)
    state.put_accounts(accounts)
    state.put_iteration(None)
    state.put_group(replace(state.group, status=status))


# --- fines -----------------------------------------------------------------------------------------------------------


def fine_workers(state: State, iteration: Iteration, workers: Collection[MemberId]) -> Iteration:
    """Workers lose their deposits, to all others of the iteration who did their part so far; they are out of it."""
    workers = [worker for worker in iteration.voters if worker in workers]
    iteration = replace(iteration, out=(*iteration.out, *workers))
    everybody = {*iteration.parties, *iteration.workers}
    correct = everybody - {*workers, *iteration.fined, *_without_gradient(state, iteration)}
    return _fine(state, iteration, WORK, workers, correct, len(state.terms.members))


def fine_parties(
    state: State, iteration: Iteration, purpose: str, parties: Collection[MemberId], correct: Collection[MemberId]
) -> Iteration:
    """Parties lose a deposit to those who did their part in the same step."""
    return _fine(state, iteration, purpose, parties, correct, len(state.terms.parties))


def _fine(
    state: State,
    iteration: Iteration,
    purpose: str,
    deviating: Collection[MemberId],
    correct: Collection[MemberId],
    members: int,
) -> Iteration:
    before = state.accounts
    if not deviating:
        return iteration
    state.put_accounts(settled(before, purpose, deviating=deviating, correct=correct, members=members))
    state.count_losses(before)
    return replace(iteration, fined=tuple(sorted({*iteration.fined, *deviating})))


def _without_gradient(state: State, iteration: Iteration) -> set[MemberId]:
    # Parties that pay at T_t3 for what is certain before: no gradient, a wrong one, one that a quorum does not approve.
    doubts = Counter(party for doubted in iteration.doubts.values() for party in doubted)
    needed = quorum(len(state.terms.workers))
    refused = {party for party, count in doubts.items() if count >= needed}
    absent = set(iteration.parties) - set(iteration.gradients)
    return {*refused, *absent, *iteration.convicted}


# --- blocks that stay empty ------------------------------------------------------------------------------------------


def draw(state: State, iteration: Iteration, now_ms: int) -> None:
    """A leader is drawn for the present attempt; without anybody to draw, the iteration fails."""
    if not state.terms.times.allows_attempt(iteration.attempt):
        fail(state, now_ms)
        return
    able = [worker for worker in iteration.voters if state.links(worker).used < SEED_CHAIN_LENGTH]
    accounts = state.accounts
    seed = digest("tclearn/deepchain/draw/1", state.seed, iteration.number, iteration.attempt)
    if able and not any(accounts.validity[worker] for worker in able):
        accounts = accounts.renewed()
        state.put_accounts(accounts)
    drawn = leader(seed, {worker: accounts.validity[worker] for worker in able})
    if drawn is None:
        fail(state, now_ms)
        return
    state.put_iteration(replace(iteration, phase=UPDATING, leader=drawn, checks={}, sum=None, block=None, signed=()))


def leave_empty(state: State, iteration: Iteration, now_ms: int, reason: str) -> None:
    """The block of this attempt stays empty, and another leader is drawn."""
    _append_without_sums(state, iteration, EMPTY, reason, now_ms)
    if iteration.sum is None:  # the leader withheld its link, and with it had a say; not in what comes then
        state.put_seed(digest("tclearn/deepchain/seed/1", state.seed, "withheld"))
    draw(state, replace(iteration, attempt=iteration.attempt + 1), now_ms)


def void(state: State, iteration: Iteration, now_ms: int, reason: str) -> None:
    """The block of sums that is in the chain already is void, and the iteration has failed; fines are settled."""
    _append_without_sums(state, iteration, VOID, reason, now_ms)
    fail(state, now_ms)


def _append_without_sums(state: State, iteration: Iteration, kind: str, reason: str, now_ms: int) -> None:
    block = Block(
        number=state.group.blocks,
        previous=state.previous,
        kind=kind,
        iteration=iteration.number,
        attempt=iteration.attempt,
        time_ms=now_ms,
        counted=iteration.counted,
        committee=(),
        reason=reason,
        leader=iteration.leader,
    )
    state.append_block(block)


# --- ends of an iteration --------------------------------------------------------------------------------------------


def fail(state: State, now_ms: int) -> None:
    """The iteration has brought nothing. It is nobody's fault, beyond what is settled already; another one begins."""
    group = replace(state.group, voids=state.group.voids + 1)
    state.put_group(group)
    if group.voids >= state.terms.voids:
        _end(state, DISSOLVED)
    else:
        begin(state, now_ms)


def settle_gradients(state: State, iteration: Iteration, withheld: Collection[MemberId]) -> Iteration:
    """Algorithm 3 ends: who is counted, who gets whose deposit.

    A gradient on which the workers did not decide is not counted, and costs nothing.

    Args:
        state: the state.
        iteration: the iteration.
        withheld: parties that have not attached what was verified, though they were asked to.
    """
    counted = tuple(party for party in iteration.attached if party not in iteration.convicted)
    deviating = _without_gradient(state, iteration) | set(withheld)
    correct = set(iteration.parties) - deviating
    return fine_parties(state, replace(iteration, counted=counted), GRADIENTS, deviating, correct)


def settle_decryption(state: State, iteration: Iteration, others: Collection[MemberId]) -> None:
    """Algorithm 4 ends: who gets whose deposit.

    Args:
        state: the state.
        iteration: the iteration.
        others: who deviated, besides those without shares and with wrong ones.
    """
    openers = set(iteration.openers)  # the others have paid at T_t4
    deviating = openers - set(iteration.shares) | {*iteration.unshared, *others}
    fine_parties(state, iteration, DECRYPTION, deviating, openers - deviating)


def conclude(state: State, iteration: Iteration, now_ms: int) -> None:
    """All parties have said what the sum is, or T_t6 has passed: deposits are settled, rewards are paid."""
    needed = quorum(len(state.terms.parties))
    opened = [said.opened for said in iteration.reports.values() if said.opened is not None]
    agreed, count = Counter(opened).most_common(1)[0] if opened else (None, 0)
    agreed = agreed if count >= needed else None
    claims = Counter(party for said in iteration.reports.values() for party in said.missing)
    missing = {party for party, count in claims.items() if count >= needed}
    silent = set(iteration.openers) - set(iteration.reports)
    # Who could not open it says so, and is not to blame; who says it is something else is.
    wrong = {
        MemberId(party)
        for party, said in iteration.reports.items()
        if agreed is not None and said.opened not in (None, agreed)
    }
    settle_decryption(state, iteration, missing | silent | wrong)
    sound = set(iteration.shares) - set(iteration.unshared) - missing
    if agreed is None or len(sound) < state.terms.key.threshold:
        fail(state, now_ms)
        return
    paid = _reward(state, iteration, sound)
    group = state.group
    block = group.blocks - 1
    round_ = group.rounds + 1
    state.put_result(Result(round_, iteration.number, block, agreed, state.terms.divisor(iteration.counted), paid))
    state.put_group(replace(group, rounds=round_, voids=0))
    if round_ == state.terms.iterations:
        _end(state, COMPLETE)
    else:
        begin(state, now_ms)


def _reward(state: State, iteration: Iteration, sound: Collection[str]) -> dict[str, int]:
    # ω_P: 1 for a gradient that counts, 1 for shares. ω_W: 1 for a vote on the gradients that the outcome bears out, 1
    # for leading. Numbers of records would be the better measure of a gradient, if anybody could check them. Votes on
    # the sum do not count: a quorum ends them, and who is paid for being early does not look first.
    money = state.terms.money
    deviated = {*iteration.convicted, *iteration.unshared}
    of_parties = {
        party: (party in iteration.counted) + (party in sound) for party in iteration.parties if party not in deviated
    }
    counted = set(iteration.counted)
    of_workers = {
        worker: (worker in iteration.doubts and counted.isdisjoint(iteration.doubts[worker]))
        + (worker == iteration.leader)
        for worker in iteration.voters
    }
    paid: Counter[str] = Counter()
    for reward, contributions in ((money.party_reward, of_parties), (money.worker_reward, of_workers)):
        paid.update({str(member): coins for member, coins in payoffs(reward, contributions).items()})
    coins = {MemberId(member): paid[member] for member in sorted(paid)}
    state.put_accounts(state.accounts.rewarded(coins))
    return {str(member): amount for member, amount in coins.items()}
