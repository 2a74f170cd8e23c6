"""What must hold in and after a storm over real members, each check with its own arithmetic.

Who breaks a promise is found by its name: a check raises ``Broken`` that begins with the name of the promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tests.protocols.deepchain.storm_plan import CLIP, COINS, ITERATIONS, Toy
from tests.protocols.deepchain.weather import Node, Storm
from tests.protocols.deepchain.world import record

from tclearn.encoding import MemberId
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Transaction
from tclearn.protocols.deepchain.agent import CLIP_UNIT, Performer
from tclearn.protocols.deepchain.records import DECRYPTION, GRADIENTS, WORK, Block, Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.times import PHASES
from tclearn.simulation.storm import Broken

_LEVELS: Final = 32767
_WORDS: Final = ("contribute", "verify", "attach", "update", "check", "append", "take", "share", "report")
"""What each phase asks for."""


def check(storm: Storm) -> None:
    """Check all promises, after a storm.

    Raises:
        Broken: the first that is not kept.
    """
    for name, promise in PROMISES.items():
        for what in promise(storm):
            raise Broken(name, f"seed {storm.plan.seed}: {what}")


def coins_conserved(storm: Storm) -> Iterator[str]:
    """After every entry there are as many coins as were made; made are those of the founding, and rewards."""
    money, rounds = storm.contract.terms.money, 0
    made = sum(money.coins.values())
    for size, state in enumerate(storm.states):
        accounts, group = state.accounts, state.group
        most = money.party_reward + money.worker_reward
        if not made <= accounts.minted <= made + (most if group.rounds > rounds else 0):
            yield f"{accounts.minted - made} coins are made with entry {size - 1}"
        made, rounds = accounts.minted, group.rounds
        locked = sum(coins for deposits in accounts.locked.values() for coins in deposits.values())
        if sum(accounts.free.values()) + locked + accounts.pot != made:
            yield f"{sum(accounts.free.values()) + locked + accounts.pot} coins of {made} after entry {size - 1}"
        if min([accounts.pot, *accounts.free.values()]) < 0:
            yield f"less than no coins after entry {size - 1}"


def who_speaks_never_loses(storm: Storm) -> Iterator[str]:
    """An honest member whose words were ordered before their deadlines loses nothing, at any entry."""
    honest = {node.name for node in storm.honest}
    for size, sender, method, before, after in _steps(storm):
        iteration = before.iteration
        for member in honest if iteration is not None else ():
            # As counted by the rules: with the entry that ends the training all other deposits go back.
            lost = _lost(after, member) - _lost(before, member)
            if not lost or iteration is None:
                continue
            owed = [
                word
                for word in _owed(iteration, member)
                if not (member == sender and word == method)  # that very entry has it
            ]
            if not owed:
                yield f"{member} has said all in time and loses {sorted(lost)} with entry {size}, in {iteration.phase}"


def who_is_awake_never_loses(storm: Storm) -> Iterator[str]:
    """An honest member that no fault has touched has lost no deposit, and has not less than at the founding."""
    state = storm.states[-1]
    for node in storm.honest:
        joined = state.joined(node.name)
        if node.name in storm.plan.spared and (joined is None or joined.losses or _coins(state, node.name) < COINS):
            yield f"{node.name} was awake all the time and has lost {joined}"


def only_the_faulty_are_convicted(storm: Storm) -> Iterator[str]:
    """Whoever is shown to have handed in what is wrong is faulty; so is a leader whose sum is not taken."""
    faulty = {node.name for node in storm.nodes if node.kind}
    for size, state in enumerate(storm.states):
        iteration = state.iteration
        convicted = {*iteration.convicted, *iteration.unshared} if iteration else set()
        if convicted - faulty:
            yield f"{sorted(convicted - faulty)} is convicted with entry {size - 1}"
    for block in _blocks(storm.states[-1]):
        if block.reason in ("the sum is wrong", "workers rejected the sum") and block.leader not in faulty:
            yield f"the sum of {block.leader} in block {block.number}"
        if block.kind == "void":
            yield f"block {block.number} is void: {block.reason}"  # a quorum of the workers is wrong


def one_word_for_a_duty(storm: Storm) -> Iterator[str]:
    """An honest member says one thing for one duty; of a gradient and of shares one encryption leaves it."""
    for node in storm.honest:
        words: dict[object, object] = {}
        for transaction in node.said:
            call = transaction.call
            about = (
                call.method,
                *(str(call.arguments.get(name)) for name in ("iteration", "attempt", "block", "losses", "subject")),
            )
            if call.method in (*_WORDS, "stake") and words.setdefault(about, call) != call:
                yield f"{node.name} has said two things for {about}"


def liveness(storm: Storm) -> Iterator[str]:
    """Once everybody who is honest is awake, training ends, though the faulty stay."""
    group = storm.states[-1].group
    if not storm.complete or group.rounds != ITERATIONS:
        yield f"{group.status} after {group.rounds} of {ITERATIONS} rounds"


def agreement(storm: Storm) -> Iterator[str]:
    """Every honest member has the one ledger, and the same weights from it."""
    models = set()
    ledger = storm.sequencer.ledger
    for node in storm.honest:
        if node.follower is None or node.follower.head(len(node.follower)) != ledger.head(len(node.follower)):
            yield f"{node.name} has another ledger"
            return
        models.add(_model(storm, node).digest)
    if len(models) != 1:
        yield f"{len(models)} models"


def the_model_is_the_mean(storm: Storm) -> Iterator[str]:
    """The weights are, to the bit, what the quantised gradients of those counted give, without any cryptography."""
    terms, state = storm.contract.terms, storm.states[-1]
    now = Toy("").initial(terms.model.seed)
    for number in range(1, state.group.rounds + 1):
        result = state.result(number)
        counted = state.block(result.block).counted
        weights = {party: terms.key.weights[terms.parties.index(party)] for party in counted}
        changes = {party: _change(now, party) for party in counted}
        tensors = {}
        for name, tensor in now.items():
            total = sum(weights[party] * np.vectorize(_step)(changes[party][name]) for party in counted)
            mean = total.astype(np.float64) * (CLIP / CLIP_UNIT) / (_LEVELS * sum(weights.values()))
            tensors[name] = (tensor.astype(np.float64) - mean).astype(tensor.dtype)
        now = Parameters(tensors)
    if _model(storm, storm.honest[0]).digest != now.digest:
        yield "the weights are not those of plain averaging"


PROMISES: Mapping[str, Callable[[Storm], Iterator[str]]] = {
    "coins conserved": coins_conserved,
    "who speaks never loses": who_speaks_never_loses,
    "who is awake never loses": who_is_awake_never_loses,
    "only the faulty are convicted": only_the_faulty_are_convicted,
    "one word for a duty": one_word_for_a_duty,
    "liveness": liveness,
    "agreement": agreement,
    "the model is the mean": the_model_is_the_mean,
}


def _steps(storm: Storm) -> Iterator[tuple[int, MemberId | None, str, State, State]]:
    # Each entry: its index, who said what, and the states around it.
    keys = {record(node.name).key: node.name for node in storm.nodes}
    entries = storm.sequencer.ledger.entries(0, len(storm.sequencer.ledger))
    for size, recorded in enumerate(entries):
        transaction = Transaction.parse(recorded.entry.transaction)
        method = transaction.call.method if not recorded.outcome.code else ""
        yield size, keys.get(transaction.signer), method, storm.states[size], storm.states[size + 1]


def _owed(iteration: Iteration, member: MemberId) -> list[str]:
    # The words that a member was asked for so far in this iteration, and has not said.
    block = iteration.block
    asked: tuple[tuple[bool, bool], ...] = (
        (member in iteration.parties, member in iteration.gradients),
        (member in iteration.workers, member in iteration.doubts),
        (member in iteration.verified, member in iteration.attached),
        (member == iteration.leader, iteration.sum is not None),
        (member in iteration.voters, member in iteration.checks),
        (block is not None and member in block.committee, member in iteration.signed),
        (member in iteration.parties, member in iteration.takes),
        (member in iteration.openers, member in iteration.shares),
        (member in iteration.openers, member in iteration.reports),
    )
    so_far = PHASES.index(iteration.phase) + 1
    skipped = {"check"} if so_far > _WORDS.index("check") + 1 else set()  # a quorum ends it, and nobody pays for that
    skipped |= {"append"} if so_far > _WORDS.index("append") + 1 else set()
    return [
        word
        for word, (is_asked, has_said) in zip(_WORDS[:so_far], asked[:so_far], strict=True)
        if is_asked and not has_said and word not in skipped
    ]


def _lost(state: State, member: MemberId) -> Counter[str]:
    joined = state.joined(member)
    return Counter(joined.lost if joined else ())


def _coins(state: State, member: MemberId) -> int:
    accounts = state.accounts
    return accounts.free[member] + sum(accounts.locked[member].get(each, 0) for each in (GRADIENTS, DECRYPTION, WORK))


def _blocks(state: State) -> list[Block]:
    return [state.block(number) for number in range(state.group.blocks)]


def _model(storm: Storm, node: Node) -> Parameters:
    performer = Performer(storm.contract)
    return performer.model(node.follower.state(), node.site_with(storm.store, node.drafts))


def _change(start: Parameters, party: MemberId) -> dict[str, NDArray[np.float64]]:
    contribution = Toy(party).train(start, None)  # type: ignore[arg-type] # it does not look at it
    assert contribution is not None
    trained = contribution.parameters
    return {name: tensor.astype(np.float64) - trained[name].astype(np.float64) for name, tensor in start.items()}


def _step(value: float) -> int:
    # In steps by exact arithmetic, half to even.
    clip = Fraction(CLIP, CLIP_UNIT)
    return round(max(-clip, min(clip, Fraction(value))) * _LEVELS / clip)
