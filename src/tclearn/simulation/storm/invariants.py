"""What must hold after a storm, whatever has happened in it. Each check reads the record anew, with its own arithmetic.

Who breaks a promise is found by its name: a check raises ``Broken`` that begins with the name of the invariant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Final

from tclearn.coalition.block import Block
from tclearn.encoding import Digest, MemberId, Value
from tclearn.errors import StorageError, VerificationError
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Head, Transaction
from tclearn.ledger.cosigning import Cosignature
from tclearn.ledger.engines.follower import Follower
from tclearn.ledger.evidence import check_evidence
from tclearn.ledger.replica import Replica, Restored
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.records import EXPIRED, STALE, UNDECIDED
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm.sequencers import Sequencer
from tclearn.simulation.storm.storm import Storm
from tclearn.simulation.storm.toys import BAD, FADED, GLOBAL_N, GOOD

_LAMBDA: Final = Fraction(98, 100)
_PARAMETERS_BYTES_MAX: Final = 10_000


class Broken(AssertionError):
    """An invariant does not hold.

    Args:
        name: which.
        what: how.
    """

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


def check(storm: Storm) -> None:
    """Check everything that must hold after this storm; returns nothing.

    Raises:
        Broken: the first invariant that does not hold.
    """
    for name, invariant in (FORKED if storm.plan.forks else INVARIANTS).items():
        for what in invariant(storm):
            raise Broken(name, what)


def agreement(storm: Storm) -> Iterator[str]:
    """Every honest member's copy is a prefix of the one log, with the same results, and ends complete."""
    for node in storm.honest:
        follower = node.follower
        if follower is None:
            yield f"{node.name} never followed"
        elif follower.head(len(follower)) != storm.ledger.head(len(follower)):
            yield f"{node.name} has another head of {len(follower)} entries"
        for index, seen in node.seen.items():
            if index <= storm.ledger.state().tip and storm.ledger.state().block(index).hash != seen:
                yield f"{node.name} has seen another block {index}"


def no_fork(storm: Storm) -> Iterator[str]:
    """Of the heads that ⌊2N/3⌋ + 1 members have cosigned, each extends the smaller ones. What was signed counts."""
    heads: dict[Head, set[MemberId]] = {}
    for node in storm.nodes:
        for transaction in node.said:
            said = _cosigned(transaction)
            if said is not None:
                heads.setdefault(said.head, set()).add(node.name)
    enough = 2 * storm.plan.members // 3 + 1
    cosigned = sorted((head for head, members in heads.items() if len(members) >= enough), key=lambda head: head.size)
    if cosigned and not any(_extends(each, cosigned) for each in storm.sequencers):
        yield f"no history extends all of the heads of {[head.size for head in cosigned]} entries"


def nothing_lost(storm: Storm) -> Iterator[str]:
    """A block that an honest member has seen stays in the chain, and its weights can be had."""
    state = storm.ledger.state()
    for node in storm.honest:
        if max(node.seen, default=0) > state.tip:
            yield f"block {max(node.seen)}, which {node.name} has seen, is gone"
    for chained in state.blocks():
        locator = chained.block.locator
        if locator is not None:
            try:
                storm.store.get(locator, size_max=_PARAMETERS_BYTES_MAX)
            except StorageError:
                yield f"the weights of block {chained.block.index} are gone"


def quorum_of_the_drawn(storm: Storm) -> Iterator[str]:
    """Each accepted increment has ⌈2m/3⌉ verdicts of distinct drawn members that find it good, in signed entries."""
    state = storm.ledger.state()
    for number in range(state.candidates):
        candidate = state.candidate(number)
        if candidate.status != "accepted":
            continue
        found_good = set()
        for member, call in _accepted_calls(storm, "reveal"):
            said = calls.Reveal.from_value(call)
            evidence = said.verdict.evidence
            if (said.candidate, said.attempt) != (candidate.id, candidate.attempt) or evidence is None:
                continue
            on_g = evidence.on_global
            if Fraction(on_g.candidate, GLOBAL_N) >= _LAMBDA * Fraction(on_g.reference, GLOBAL_N):
                found_good.add(member)
        drawn = set(candidate.committee)
        least = storm.plan.members - 1 if storm.plan.members <= 16 else storm.plan.members // 2 + 1
        if len(drawn) < least or candidate.proposer in drawn:
            yield f"candidate {number} was tested by {len(drawn)} members, the proposer among them or too few"
        if 3 * len(found_good & drawn) < 2 * len(drawn):
            yield f"candidate {number} was accepted with {len(found_good & drawn)} of {len(drawn)}"
    for chained in state.blocks():
        if chained.block.kind == "increment" and _kind(storm, chained.block) == BAD:
            yield f"block {chained.block.index} is a bad model"


def honest_unblamed(storm: Storm) -> Iterator[str]:
    """The record holds nothing against an honest member: it says one thing for one duty, and never deviates on G."""
    state = storm.ledger.state()
    honest = {node.name for node in storm.honest}
    for chained in state.blocks():
        for vote in chained.block.votes:
            if vote.member in honest and vote.deviating:
                yield f"{vote.member} is said to deviate in block {chained.block.index}"
    for node in storm.honest:
        words: dict[object, object] = {}
        for transaction in node.said:
            about = _about(transaction)
            if about is not None and words.setdefault(about, transaction.call) != transaction.call:
                yield f"{node.name} has said two things for one duty: {about!r}"


def blameless_ends(storm: Storm) -> Iterator[str]:
    """A candidate that validators were drawn for and nobody decided costs its proposer nothing."""
    state = storm.ledger.state()
    everything = [state.candidate(number) for number in range(state.candidates)]
    for candidate in everything:
        undecided = candidate.status in (UNDECIDED, STALE) or (candidate.status == EXPIRED and candidate.committee)
        again = [other for other in everything[candidate.number + 1 :] if other.parameters == candidate.parameters]
        if undecided and not again and state.offered(candidate.parameters):
            yield f"candidate {candidate.number} of {candidate.proposer} is {candidate.status}, and counts against it"


def liveness(storm: Storm) -> Iterator[str]:
    """After the storm training ends, though the liars stay: generals are switched, turns pass, honest work counts."""
    state = storm.ledger.state()
    if state.increments < storm.plan.blocks:
        yield f"{state.increments} of {storm.plan.blocks} blocks after {storm.rounds} rounds"


def strengths_right(storm: Storm) -> Iterator[str]:
    """S_i = 1/N + D_i/D, with the D_i that the accepted proposals have registered, in every block."""
    state = storm.ledger.state()
    so_far = [dict.fromkeys((member.id for member in storm.charter.members), 0)]
    for chained in state.blocks():
        block = chained.block
        supplied = dict(so_far[-1 if block.reverts is None else block.reverts])
        if block.kind == "increment" and block.contributor is not None:
            supplied[block.contributor] += _records(storm, block.parameters)
        so_far[block.index :] = [supplied]
        total = sum(supplied.values())
        for member, own in supplied.items():
            exact = Fraction(1, len(supplied)) + (Fraction(own, total) if total else 0)
            if block.strengths[member] != int(exact * 1_000_000) or block.contributions[member] != own:
                yield f"the strength of {member} in block {block.index} is {block.strengths[member]}"


def parts_are_new(storm: Storm) -> Iterator[str]:
    """Each hidden part is shown once, for a candidate that was offered after the part was committed to."""
    hidden: dict[tuple[MemberId, int], int] = {}
    shown: set[tuple[MemberId, int]] = set()
    state = storm.ledger.state()
    for member, entry, said in _accepted(storm, "hide"):
        for number in range(len(calls.Hide.from_value(said).parts)):
            hidden[member, calls.Hide.from_value(said).first + number] = entry
    for member, entry, said in _accepted(storm, "show"):
        show = calls.Show.from_value(said)
        candidate = state.named(show.candidate)
        if (member, show.number) in shown:
            yield f"part {show.number} of {member} is shown again in entry {entry}"
        if candidate is None or hidden.get((member, show.number), entry) > candidate.entry:
            yield f"part {show.number} of {member} is younger than the candidate that it is shown for"
        shown.add((member, show.number))


def taken_back_for_cause(storm: Storm) -> Iterator[str]:
    """Nobody asks for a revert here: one comes to the best model, from one that is worse on hidden parts."""
    state = storm.ledger.state()
    for chained in state.blocks():
        target = chained.block.reverts
        if target is not None:
            undone = state.block(chained.block.index - 1)
            if target != undone.best:
                yield f"block {chained.block.index} goes back to block {target}, and the best is {undone.best}"
            if (_kind(storm, undone), _kind(storm, state.block(target))) != (FADED, GOOD):
                yield f"block {chained.block.index} goes back from a model that is as good"


def read_as_granted(storm: Storm) -> Iterator[str]:
    """What was handed out had been granted to that member, and for own use a quorum had cosigned a head with it."""
    accesses: dict[tuple[MemberId, Digest], list[tuple[int, str]]] = {}
    for member, entry, said in _accepted(storm, "access"):
        asked = calls.Access.from_value(said)
        accesses.setdefault((member, asked.object), []).append((entry, asked.purpose))
    heads: list[tuple[int, MemberId, int]] = []
    for method in ("endorse", "witness"):
        for member, entry, said in _accepted(storm, method):
            heads.append((entry, member, calls.METHODS[method].from_value(said).cosignature.size))  # type: ignore[attr-defined]
    enough = 2 * storm.plan.members // 3 + 1
    for handed in storm.handed:
        for entry, purpose in accesses.get((handed.member, handed.object), ()):
            knowing = {who for at, who, size in heads if at < handed.size and size > entry}
            if entry < handed.size and (purpose != calls.USE or len(knowing) >= enough):
                break
        else:
            yield f"{handed.member} was handed {handed.object.hex()[:16]} at {handed.size} entries, without an access"


def replay_is_snapshot_and_suffix(storm: Storm) -> Iterator[str]:
    """A replica that begins in the middle, from stored state, ends where one ends that has replayed everything."""
    each = storm.sequencers[0]
    record = list(each.ledger.entries(0, len(each.ledger)))
    middle = storm.weather.chance.randint(0, len(record))
    whole = Replica(storm.contract, storm.charter.digest)
    half: Replica[State] | None = None
    rows: list[Restored] = []
    for item in record:
        if item.entry.index == middle:
            half = Replica.restored(storm.contract, storm.charter.digest, dict(whole.state()), rows)
        checked = whole.check(item.entry.transaction)
        applied = whole.append_checked(checked, item.entry.time_ms)
        rows.append(Restored(checked.id, applied.leaf, item.entry.time_ms, applied.results, applied.outcome))
        if half is not None:
            half.append_checked(checked, item.entry.time_ms)
        if applied.results != item.results:
            yield f"the replay differs from the record at entry {item.entry.index}"
            return
    whole.commit()
    if half is not None and half.head(len(half)) != whole.head(len(whole)):
        yield f"from entry {middle} on a restored replica goes another way"


def idempotence(storm: Storm) -> Iterator[str]:
    """No transaction is logged twice, and none of another coalition."""
    seen = set()
    for item in storm.ledger.entries(0, len(storm.ledger)):
        if item.entry.transaction in seen:
            yield f"entry {item.entry.index} was logged before"
        seen.add(item.entry.transaction)


def witnesses_know(storm: Storm) -> Iterator[str]:
    """When honest members were shown two histories, each of them knows, and holds both signed heads."""
    copies = [node.follower for node in storm.honest if isinstance(node.follower, Follower)]
    apart = any(_contradict(one, other) for one, other in combinations(copies, 2))
    for node in storm.honest:
        for fork in node.forks:
            try:
                check_evidence(fork.evidence(storm.charter.encode()), terms_of, storm.charter.digest)
            except VerificationError as error:
                yield f"{node.name} holds a fork that proves nothing: {error.what}"
        if apart and node.follower is not None and not node.forks:
            yield f"{node.name} does not know that there are two histories"


INVARIANTS: Final[dict[str, Callable[[Storm], Iterator[str]]]] = {
    "agreement": agreement,
    "no fork": no_fork,
    "nothing lost": nothing_lost,
    "quorum of the drawn": quorum_of_the_drawn,
    "honest unblamed": honest_unblamed,
    "blameless ends": blameless_ends,
    "liveness": liveness,
    "strengths right": strengths_right,
    "parts are new": parts_are_new,
    "taken back for cause": taken_back_for_cause,
    "read as granted": read_as_granted,
    "replay is snapshot and suffix": replay_is_snapshot_and_suffix,
    "idempotence": idempotence,
}
"""What must hold when whoever orders the ledger is honest."""
FORKED: Final[dict[str, Callable[[Storm], Iterator[str]]]] = {"no fork": no_fork, "witnesses know": witnesses_know}
"""What must hold when it is not."""


def _cosigned(transaction: Transaction) -> Cosignature | None:
    call = transaction.call
    if call.method == "endorse":
        return calls.Endorse.from_value(call.arguments).cosignature
    return calls.Witness.from_value(call.arguments).cosignature if call.method == "witness" else None


def _extends(history: Sequencer, heads: Sequence[Head]) -> bool:
    size = len(history.ledger)
    return all(head.size <= size and history.ledger.head(head.size) == head for head in heads)


def _contradict(one: Follower[State], other: Follower[State]) -> bool:
    size = min(len(one), len(other))
    return one.head(size) != other.head(size)


def _accepted_calls(storm: Storm, method: str) -> Iterator[tuple[MemberId, Mapping[str, Value]]]:
    return ((member, arguments) for member, _, arguments in _accepted(storm, method))


def _accepted(storm: Storm, method: str) -> Iterator[tuple[MemberId, int, Mapping[str, Value]]]:
    names = {member.key: member.id for member in storm.charter.members}
    for item in storm.ledger.entries(0, len(storm.ledger)):
        if item.outcome.code == 0:
            transaction = Transaction.parse(item.entry.transaction)
            if transaction.call.method == method:
                yield names[transaction.signer], item.entry.index, transaction.call.arguments


def _kind(storm: Storm, block: Block) -> int:
    if block.locator is None:
        return GOOD  # M_0
    data = storm.store.get(block.locator, size_max=_PARAMETERS_BYTES_MAX)
    return int(Parameters.from_bytes(data, layout=storm.charter.model.layout)["w"][0])


def _records(storm: Storm, parameters: Digest) -> int:
    # As many as the proposal names: 16 bytes each.
    said = (calls.Propose.from_value(call) for _, call in _accepted_calls(storm, "propose"))
    return [len(each.data_ids) // 16 for each in said if each.parameters == parameters][-1]


def _about(transaction: Transaction) -> tuple[object, ...] | None:
    # What a member may say one thing about only.
    arguments = transaction.call.arguments
    match transaction.call.method:
        case "commit" | "reveal" as method:
            return method, arguments["candidate"], arguments["attempt"]
        case "seal":
            return "seal", arguments["height"]
        case "endorse":
            return "endorse", arguments["block"]
        case "witness":
            return "witness", calls.Witness.from_value(arguments).cosignature.size
        case "hide":
            return "hide", arguments["first"]
        case "show":
            return "show", arguments["candidate"]
        case _:
            return None
