"""Storms over real members: what must hold does hold over 500 seeds, and each check sees the fault planted for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.paillier.material import dealing
from tests.protocols.deepchain import weather
from tests.protocols.deepchain.promises import PROMISES, check
from tests.protocols.deepchain.storm_plan import KINDS, Plan
from tests.protocols.deepchain.weather import Node, Storm

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import MemberId
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Call
from tclearn.protocols.deepchain import DeepChainTerms, settling
from tclearn.protocols.deepchain.agent import Performer
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.storm import Broken
from tclearn.simulation.storm.plan import Plan as Skies

SEEDS = 500
QUICK_SEEDS = 8
"""Those of every run; the others are slow."""
TOGETHER = 4


def blown(plan: Plan) -> Storm:
    storm = Storm(plan)
    storm.run()
    return storm


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=() if first < QUICK_SEEDS else pytest.mark.slow) for first in range(0, SEEDS, TOGETHER)],
)
def test_what_must_hold_holds_in_any_storm(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        check(blown(Plan.drawn(seed)))


def test_a_storm_repeats_bit_for_bit() -> None:
    said = []
    for seed in (3, 3, 4):
        storm = blown(Plan.drawn(seed))
        said.append(storm.sequencer.ledger.head(len(storm.sequencer.ledger)))
    assert said[0] == said[1] != said[2]


def test_storms_are_storms() -> None:
    plans = [Plan.drawn(seed) for seed in range(SEEDS)]
    assert {kind for plan in plans for _, kind in plan.liars} == set(KINDS)
    assert {(plan.parties, plan.both) for plan in plans} == {(n, both) for n in (4, 5) for both in (False, True)}
    seen: Counter[str] = Counter()
    for seed in range(3):
        storm = blown(replace(Plan.drawn(seed), sleep=300, cut=20, spared=frozenset()))
        state = storm.states[-1]
        entries = storm.sequencer.ledger.entries(0, len(storm.sequencer.ledger))
        seen["refused"] += sum(each.outcome.code != 0 for each in entries)
        seen["lost by the honest"] += sum(
            joined.losses for node in storm.honest if (joined := state.joined(node.name)) is not None
        )
        seen["failed iterations"] += state.group.iterations - state.group.rounds
        seen["errors that were met"] += sum(len(node.texts) for node in storm.nodes)
        seen["members cut off or asleep"] += sum(node.up_ms > 0 for node in storm.nodes)
    assert min(seen.values()) > 5, seen


def test_no_error_and_no_process_shows_a_secret() -> None:
    shown = []
    for seed in range(3):
        storm = blown(Plan.drawn(seed))
        for node in storm.nodes:
            shown += [*node.texts, repr(node.agent and node.agent.role), repr(node.site())]
    everything = "\n".join(shown)
    for parties, threshold in ((4, 2), (4, 3), (5, 2), (5, 3), (5, 4)):
        for share in dealing(parties, threshold).shares:
            for form in (str(int(share.value)), f"{int(share.value):x}"):
                assert form[:40] not in everything
    assert len(everything) > 1000


# --- each check has teeth: a fault is planted, and the check that is there for it sees it -----------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def pots_that_leak(patch: pytest.MonkeyPatch) -> None:
    """What nobody is owed of a fine is gone."""
    honest = Accounts.forfeited

    def forfeited(self: Accounts, member: MemberId, purpose: str, payments: Any) -> Accounts:
        return replace(honest(self, member, purpose, payments), pot=self.pot)

    patch.setattr(Accounts, "forfeited", forfeited)


def deaf_to_one_party(patch: pytest.MonkeyPatch) -> None:
    """A party that has said whether it has the sum counts as one that has not."""
    honest = Iteration.openers.fget  # type: ignore[attr-defined]
    patch.setattr(Iteration, "openers", property(lambda self: tuple(p for p in honest(self) if p != "p00")))


def takers_that_forget(patch: pytest.MonkeyPatch) -> None:
    """Parties fetch no sum as long as they have deposits to lose."""
    honest = Performer._take

    def take(self: Performer, state: Any, iteration: Iteration, site: Any, late: bool) -> Call | None:
        return honest(self, state, iteration, site, late) if iteration.number > 2 else None

    patch.setattr(Performer, "_take", take)


def judge_that_wrongs_one(patch: pytest.MonkeyPatch) -> None:
    """What the first party encrypts is always wrong."""
    honest = PaillierJudge.encryption

    def encryption(self: PaillierJudge, place: Place, ciphertexts: Any, proof: bytes) -> bool:
        return place.party != 1 and honest(self, place, ciphertexts, proof)

    patch.setattr(PaillierJudge, "encryption", encryption)


def forgotten_decisions(patch: pytest.MonkeyPatch) -> None:
    """The outbox does not survive a crash."""
    honest = Node._start

    def start(self: Node) -> None:
        self.outbox = type(self.outbox)()
        honest(self)

    patch.setattr(Node, "_start", start)
    patch.setattr(weather, "_DOWN_MS_MAX", 60_000)  # it starts again while it is still asked


def leaders_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Nobody says that a deadline has passed."""
    honest = Performer.perform

    def perform(self: Performer, duty: Any, ledger: Any, site: Any) -> Call | None:
        return None if duty.kind == "timeout" else honest(self, duty, ledger, site)

    patch.setattr(Performer, "perform", perform)


def programs_that_differ(patch: pytest.MonkeyPatch) -> None:
    """One member computes other weights from the same ledger."""
    honest = Performer.model

    def model(self: Performer, state: Any, site: Any) -> Parameters:
        made = honest(self, state, site)
        return Parameters({name: each + 1 for name, each in made.items()}) if site.member[1:] == "02" else made

    patch.setattr(Performer, "model", model)


def divisor_of_all(patch: pytest.MonkeyPatch) -> None:
    """A sum is divided by one weight too many."""
    honest = DeepChainTerms.divisor
    patch.setattr(DeepChainTerms, "divisor", lambda self, parties: honest(self, parties) + 1)


def last_entry_that_takes(patch: pytest.MonkeyPatch) -> None:
    """With the entry that ends the training, one that has reported loses its deposit."""
    honest = settling.settle_decryption

    def settle(state: State, iteration: Iteration, others: Any) -> None:
        last = state.group.rounds + 1 == state.terms.iterations
        honest(state, iteration, {*others, *map(MemberId, sorted(iteration.reports)[: int(last)])})

    patch.setattr(settling, "settle_decryption", settle)


CRASHES = Skies(0, 8, crash=80, lost=200, storm_ms=300 * 60_000)
PLANTED: tuple[tuple[str, Plant, dict[str, Any]], ...] = (
    ("coins conserved", pots_that_leak, {"sleep": 300}),
    ("who speaks never loses", deaf_to_one_party, {}),
    ("who speaks never loses", last_entry_that_takes, {"liars": ()}),
    ("who is awake never loses", takers_that_forget, {}),
    ("only the faulty are convicted", judge_that_wrongs_one, {}),
    ("one word for a duty", forgotten_decisions, {"skies": CRASHES, "spared": frozenset()}),
    ("liveness", leaders_for_ever, {"liars": (("p00", "silent"),)}),
    ("agreement", programs_that_differ, {}),
    ("the model is the mean", divisor_of_all, {}),
)


def test_every_check_has_a_planted_fault() -> None:
    assert {name for name, _, _ in PLANTED} == set(PROMISES)


@pytest.mark.parametrize(("name", "plant", "given"), PLANTED, ids=[plant.__name__ for _, plant, _ in PLANTED])
def test_a_planted_fault_is_found(
    name: str, plant: Plant, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    monkeypatch.setattr(weather, "_CALM_MS", 4 * 3_600_000)
    found: list[Broken] = []
    for seed in range(20):
        storm = blown(replace(Plan.drawn(seed), **given))
        for _ in PROMISES[name](storm):
            return
        try:
            check(storm)
        except Broken as error:
            found.append(error)
    pytest.fail(f"not found; instead {found[:3]}")
