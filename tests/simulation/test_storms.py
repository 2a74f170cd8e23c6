"""Storms: what must hold does hold over a thousand seeds, six hundred of them in every run.

Each check sees the fault that it is there for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tclearn.encoding import MemberId, Value
from tclearn.errors import MessageError
from tclearn.ledger import Call, Context, View, Writes
from tclearn.ledger.engines.follower import Follower
from tclearn.ledger.replica import Replica
from tclearn.ledger.transaction import Entry
from tclearn.protocols.tclearn import duties, reverting, sealing, voting
from tclearn.protocols.tclearn.adversaries.words import LIARS
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.records import Kept
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm import Broken, Plan, Storm, broken, check, node, shrunk, storm, vault, weather
from tclearn.simulation.storm.invariants import FORKED, INVARIANTS
from tclearn.simulation.storm.plan import FADER, POISONER
from tclearn.store import MemoryStore

SEEDS = 900
QUICK_SEEDS = 500
"""Those of every run; the others are slow."""
FORKED_SEEDS = 100
TOGETHER = 20


def blown(plan: Plan) -> Storm:
    result = weather(plan)
    result.run()
    return result


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=() if first < QUICK_SEEDS else pytest.mark.slow) for first in range(0, SEEDS, TOGETHER)],
)
def test_what_must_hold_holds_in_any_storm(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        check(blown(Plan.drawn(seed)))


@pytest.mark.parametrize("first", range(0, FORKED_SEEDS, 10))
def test_two_histories_never_both_get_a_quorum_and_all_honest_members_learn_of_them(first: int) -> None:
    for seed in range(first, first + 10):
        check(blown(Plan.drawn(seed, forks=True)))


def test_what_hidden_parts_find_worse_is_taken_back_in_any_storm() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(12):
        storm = blown(replace(Plan.drawn(seed), **FADING))  # type: ignore[arg-type] # fields of the plan by name
        check(storm)
        kinds.update(chained.block.kind for chained in storm.ledger.state().blocks())
    assert kinds["revert"] >= 6


@pytest.mark.slow
def test_what_is_read_in_a_storm_is_on_the_ledger_before() -> None:
    purposes: Counter[str] = Counter()
    for seed in range(8):
        storm = blown(replace(Plan.drawn(seed), level="B"))
        check(storm)
        state = storm.ledger.state()
        readings = [state.access(number) for number in range(state.accesses)]
        purposes.update(each.purpose for each in readings)
        purposes["witnessed"] += sum(each.witnessed_ms is not None for each in readings)
        purposes["handed"] += len(storm.handed)
    assert min(purposes[each] for each in ("train", "test", "use", "witnessed", "handed")) > 2, purposes


def test_two_histories_are_shown_and_both_heads_kept() -> None:
    kept = [len(node.forks) for seed in range(10) for node in blown(Plan.drawn(seed, forks=True)).honest]
    assert sum(map(bool, kept)) > len(kept) / 2


def test_a_storm_repeats_bit_for_bit() -> None:
    plan = Plan.drawn(16)
    assert plan == Plan.drawn(16)
    assert blown(plan).trace() == blown(plan).trace() != blown(replace(plan, seed=17)).trace()


def test_storms_are_storms() -> None:
    plans = [Plan.drawn(seed) for seed in range(1000)]
    assert {plan.members for plan in plans} == set(range(3, 17))
    assert {lie for plan in plans for _, lie in plan.liars} == {*LIARS, POISONER, FADER}
    stormy = (blown(Plan.drawn(seed)) for seed in range(4, 12))
    assert any(item.outcome.code for storm in stormy for item in storm.ledger.entries(0, 10_000))


# --- each check has teeth: a fault is planted, and the check that is there for it sees it -----------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def believes_what_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    """Members whose programs differ, and that do not compare their results with the log's."""

    def pull(self: Follower[State]) -> int:
        before = len(self._replica)
        with suppress(MessageError):
            for data, _ in self._source.read(before).entries:
                entry = Entry.parse(data)
                self._replica.append(entry.transaction, entry.time_ms)
        self._replica.commit()
        self._published = None
        return len(self._replica) - before

    honest = TCLearn.apply
    programs: dict[int, int] = {}

    def apply(self: TCLearn, state: View, call: Call, context: Context) -> Writes:
        return {**honest(self, state, call, context), "program": programs.setdefault(id(self._memo), len(programs))}

    patch.setattr(Follower, "pull", pull)
    patch.setattr(TCLearn, "apply", apply)


def more_liars_than_a_third(patch: pytest.MonkeyPatch) -> None:
    """Half of the members endorse on both sides."""

    def drawn(seed: int, *, forks: bool = False) -> Plan:
        return Plan(seed, 4, liars=((0, "shouter"), (1, "shouter")), forks=True, blocks=3, storm_ms=1)

    patch.setattr(Plan, "drawn", drawn)


def store_that_forgets(patch: pytest.MonkeyPatch) -> None:
    """The store keeps the newest object only."""
    honest = MemoryStore.put

    def put(self: MemoryStore, data: bytes) -> Any:
        self._objects.clear()
        return honest(self, data)

    patch.setattr(MemoryStore, "put", put)


def half_is_enough(patch: pytest.MonkeyPatch) -> None:
    """Half of the committee decides."""
    patch.setattr(voting, "quorum", lambda entitled: entitled // 2)


def forgotten_decisions(patch: pytest.MonkeyPatch) -> None:
    """The outbox does not survive a crash."""
    honest = node.Node._start

    def start(self: node.Node) -> None:
        self.outbox = type(self.outbox)()
        honest(self)

    patch.setattr(node.Node, "_start", start)


def blame(patch: pytest.MonkeyPatch) -> None:
    """A candidate that nobody decided counts against its proposer."""
    patch.setattr(State, "forgive", lambda self, candidate: None)


def general_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A general that does not seal is not switched."""
    honest = duties.deadlines

    def deadlines(state: State) -> Iterator[Any]:
        for deadline in honest(state):
            if state.pending is None or deadline.subject != state.pending.step:
                yield deadline

    patch.setattr(duties, "deadlines", deadlines)


def strengths_of_the_capped(patch: pytest.MonkeyPatch) -> None:
    """Blocks publish strengths without 1/N."""

    def wrong(contributions: Mapping[str, int], _: Collection[str]) -> dict[str, int]:
        total = sum(contributions.values()) or 1
        return {member: own * 1_000_000 // total for member, own in contributions.items()}

    patch.setattr(sealing, "strengths_ppm", wrong)


def memory_beside_the_state(patch: pytest.MonkeyPatch) -> None:
    """The contract remembers something that is not in its state."""
    honest = TCLearn.apply
    calls = {"made": 0}

    def apply(self: TCLearn, state: View, call: Call, context: Context) -> Writes:
        calls["made"] += 1
        writes: dict[str, Value | None] = dict(honest(self, state, call, context))
        return {**writes, "calls": calls["made"]}

    patch.setattr(TCLearn, "apply", apply)


def no_sequence_numbers(patch: pytest.MonkeyPatch) -> None:
    """The log takes a transaction as often as it comes."""
    patch.setattr(Replica, "next_sequence", lambda self, key: 0)
    patch.setattr(Replica, "outcome", lambda self, transaction_id: None)


def deaf_witnesses(patch: pytest.MonkeyPatch) -> None:
    """Members do not compare what they were shown."""
    patch.setattr(Follower, "compare", lambda self, data: None)
    patch.setattr(Follower, "convinced", lambda self, fork: None)


def parts_used_again(patch: pytest.MonkeyPatch) -> None:
    """A part that was asked for is not spent."""
    honest = State.put_kept

    def put_kept(self: State, member: MemberId, kept: Kept) -> None:
        honest(self, member, replace(kept, spent=0))

    patch.setattr(State, "put_kept", put_kept)


def back_to_the_beginning(patch: pytest.MonkeyPatch) -> None:
    """A model that is taken back gives way to M_0."""
    honest = reverting.lock_for_revert

    def lock(state: State, target: int, now_ms: int, **why: Any) -> None:
        honest(state, 0, now_ms, **why)

    patch.setattr(reverting, "lock_for_revert", lock)


def vault_that_asks_nobody(patch: pytest.MonkeyPatch) -> None:
    """The vault hands out whatever it is asked for."""
    patch.setattr(vault, "granted", lambda state, member, name: True)


FADING: Mapping[str, object] = {
    "members": 5,
    "blocks": 8,
    "turns": "lease",
    "hidden": 6,
    "liars": ((1, FADER),),
    "skews_ms": (),
}
"""A storm long enough, with a model that fades."""


PLANTED: dict[str, tuple[Plant, Mapping[str, object]]] = {
    "agreement": (believes_what_it_is_sent, {}),
    "no fork": (more_liars_than_a_third, {}),
    "nothing lost": (store_that_forgets, {"crash": 0, "blocks": 3, "lost": 0}),
    "quorum of the drawn": (half_is_enough, {}),
    "honest unblamed": (forgotten_decisions, {"crash": 10, "lost": 100, "storm_ms": 180 * 60_000}),
    "blameless ends": (blame, {"lost": 300}),
    "liveness": (general_for_ever, {"liars": ((0, "withholder"),), "members": 4}),
    "strengths right": (strengths_of_the_capped, {}),
    "parts are new": (parts_used_again, {"hidden": 2}),
    "taken back for cause": (back_to_the_beginning, FADING),
    "read as granted": (vault_that_asks_nobody, {"level": "B", "members": 4, "liars": ((0, "meddler"),)}),
    "replay is snapshot and suffix": (memory_beside_the_state, {}),
    "idempotence": (no_sequence_numbers, {"doubled": 200}),
    "witnesses know": (deaf_witnesses, {"forks": True}),
}


def test_every_check_has_a_planted_fault() -> None:
    assert set(PLANTED) == {*INVARIANTS, *FORKED}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, given = PLANTED[name]
    plant(monkeypatch)
    monkeypatch.setattr(storm, "CALM_MS", 12 * 3_600_000)
    found: list[Broken] = []
    for seed in range(60):
        error = broken(replace(Plan.drawn(seed), **given))  # type: ignore[arg-type] # fields of the plan by name
        if error is not None:
            found.append(error)
            if error.name == name:
                return
    pytest.fail(f"not found; instead {found[:3]}")


def test_a_failing_storm_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "strengths_ppm", lambda contributions, *_: dict.fromkeys(contributions, 1))
    small = shrunk(Plan.drawn(9), "strengths right")
    assert (small.members, small.blocks, small.liars, small.lost, small.crash) == (3, 1, (), 0, 0)
    error = broken(small)
    assert error is not None
    assert error.name == "strengths right"
