"""Hidden parts in whole coalitions: what they stop, what they take back, and keepers that lie, forget or die."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from tests.simulation.ledgers import entry_bytes, said
from tests.simulation.test_restarts import NEVER, Fate, Lives
from tests.simulation.toys import paired, right, toy_parameters, toy_setting

from tclearn import Charter, TorchTrainer, simulate
from tclearn.coalition.evidence import ClassCounts, Paired
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, DataError
from tclearn.learning.datasets import load, partition
from tclearn.learning.hidden import without
from tclearn.learning.networks import paper_cnn
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.ledger import Call, Ledger
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn import contract as contract_of
from tclearn.protocols.tclearn.adversaries import Honest, Memorised, Poisoned
from tclearn.protocols.tclearn.adversaries.words import Secretive, Swapper
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.simulate import Setting, Simulation

ANY_STEP = {"step_min": 0.0, "step_max": 1e9, "likeness_max": 1.1}
PART_N = 24


class Keeper(Honest):
    """A toy that brings parts. A model whose second number is negative is bad on hidden records, and only there."""

    parts = 3

    def measure(self, reference: Parameters, candidate: Parameters, used: Any) -> Any:
        return replace(self.trainer.measure(reference, candidate, used), classes=(ClassCounts(1, 0, 0),))

    def hidden_parts(self, earlier: Set[Digest]) -> Sequence[Records]:
        own = 1000 * int(self.trainer.member[1:])  # type: ignore[attr-defined]
        mine = np.arange(own, own + 2 * self.parts * PART_N)
        fresh = without(Records(mine[:, None], np.zeros(len(mine), np.int64)), earlier)
        if fresh is None:
            return []
        count = min(self.parts, len(fresh) // PART_N)
        return [fresh.take(range(place * PART_N, (place + 1) * PART_N)) for place in range(count)]

    def compare(self, reference: Parameters, candidate: Parameters, records: Records) -> Paired | None:
        assert len(records) == PART_N
        before, after = (2 if model["mark"][0] < 0 else 22 for model in (reference, candidate))
        return replace(paired(before, after), n=PART_N, scale=PART_N)


class Fading(Keeper):
    """From its second contribution on what it offers fades, and whatever is trained from that."""

    def train(self, start: Parameters, work: Any) -> Any:
        contribution = self.trainer.train(start, work)
        faded = start["mark"][0] < 0
        if contribution is None or not (faded or right(start) > 12):
            return contribution
        mark = -1 - work.seed % 1_000_003
        return replace(contribution, parameters=toy_parameters(right(start) - (not faded), mark))


class Following(Keeper):
    """Goes on from what it is given: from a faded model it does not get any further."""

    def train(self, start: Parameters, work: Any) -> Any:
        contribution = self.trainer.train(start, work)
        if contribution is None or start["mark"][0] >= 0:
            return contribution
        return replace(contribution, parameters=toy_parameters(right(start), -1 - work.seed % 1_000_003))


def keepers(n: int = 4, kind: Callable[[Any], Any] = Keeper, **changes: Any) -> Setting:
    names = [f"m{number:02d}" for number in range(n)]
    arguments = {**ANY_STEP, **changes.pop("arguments", {})}
    given: dict[str, Any] = {"adversaries": dict.fromkeys(names, kind), "acceptance_arguments": arguments, **changes}
    return toy_setting(n, acceptance="strict", **given)


def run(setting: Setting, roles: dict[str, Callable[[Any], Participant]] | None = None) -> Simulation:
    simulation = Simulation.prepare(setting)
    for agent in simulation.agents:
        if roles and agent.site.member in roles:
            agent.role = roles[agent.site.member](contract_of(simulation.charter))
    simulation.run()
    return simulation


def shown(state: State) -> list[tuple[str, int]]:
    hidden = (chained.block.hidden for chained in state.blocks())
    return [(each.part.keeper, each.part.number) for each in hidden if each and each.part]


# --- what they stop --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_who_learns_g_by_heart_passes_anchored_and_is_stopped_by_a_hidden_part(tmp_path):
    digits = load("digits")
    known, hidden = digits.test.take(range(120)), digits.test.take(range(120, 359))
    members: dict[str, Any] = dict(partition(digits, ["a", "b", "c", "d"], 1))
    members["d"] = Memorised(known, 10)(members["d"])
    found = {}
    for rule in ("anchored", "strict"):
        charter = Charter(
            name="digits",
            model=paper_cnn,
            arguments={"channels": 1, "side": 8, "filters": 32, "hidden": 128, "classes": 10},
            metric="accuracy",
            acceptance=rule,
            acceptance_arguments={"step_min": 0.01, "step_max": 50.0, "harm_level": 0.0} if rule == "strict" else {},
            blocks=4,
        )
        result = simulate(
            charter,
            members=members,
            global_test=known,
            hidden_test=hidden,
            hidden_parts=2,
            trainer=TorchTrainer(epochs=10, batch_size=16),
            seed=1,
            contributions=2,
            adversaries={"d": Poisoned},
        )
        found[rule] = [step for step in result.steps if step.member == "d"]
        result.export(tmp_path / rule).verify()
    (passed,) = found["anchored"]
    assert (passed.status, passed.performance) == ("accepted", 1.0)
    assert all(ballot.on_hidden is None for ballot in passed.ballots)
    stopped = found["strict"][0]
    assert stopped.status == "rejected"
    assert stopped.performance is not None and stopped.performance > 0.95
    assert stopped.reason.startswith("hidden: ")
    assert all(ballot.on_hidden is not None and ballot.on_hidden < 0.7 for ballot in stopped.ballots)


def test_parts_are_shown_and_a_new_batch_has_what_was_not_shown_yet():
    simulation = run(keepers(3, blocks=14, records=14, contributions=7))
    state = simulation.ledger.state()
    parts = shown(state)
    assert len(set(parts)) == len(parts)
    assert len(parts) > 3 * Keeper.parts, "more than the first batches hold"
    digests = [
        each.block.hidden.part.records for each in state.blocks() if each.block.hidden and each.block.hidden.part
    ]
    by_keeper = {(keeper, digest) for (keeper, _), digest in zip(parts, digests, strict=True)}
    assert len(by_keeper) == len(parts), "no record twice"
    assert all(code == 0 for _, _, code in said(simulation.ledger, state))


def test_who_has_no_hidden_records_is_asked_for_none():
    class Without(Honest):
        def measure(self, reference: Parameters, candidate: Parameters, used: Any) -> Any:
            return replace(self.trainer.measure(reference, candidate, used), classes=(ClassCounts(1, 0, 0),))

    state = run(keepers(kind=Without)).ledger.state()
    assert state.tip == 5
    assert all(chained.block.hidden is None for chained in state.blocks())


# --- what they take back ---------------------------------------------------------------------------------------------


def test_a_drift_that_only_hidden_parts_show_is_taken_back(tmp_path):
    setting = keepers(
        kind=Following, blocks=10, records=12, contributions=6, lambda_=0.5, arguments={"hidden_level": 0.0}
    )
    setting = replace(setting, adversaries={**setting.adversaries, "m02": Fading})
    simulation = run(setting)
    result = simulation.result()
    result.export(tmp_path / "drift.tclearn").verify()
    state = result.state
    reverts = [chained.block for chained in state.blocks() if chained.block.kind == "revert"]
    assert reverts
    back = reverts[0]
    assert back.contributor is None
    assert back.hidden is not None and back.hidden.drift is not None
    assert back.hidden.drift.lost == 20 * back.hidden.drift.n // PART_N
    assert back.reverts == state.block(back.index - 1).best
    assert state.block(back.index + 1).kind == "increment", "training goes on"
    words = [step.reason for step in result.steps if step.status == "reverted"]
    assert words[0].startswith(f"back to block {back.reverts}, undoing block")
    assert "on hidden parts" in words[0]


# --- keepers that lie or forget --------------------------------------------------------------------------------------


@pytest.mark.parametrize("liar", [Secretive, Swapper])
def test_a_keeper_that_does_not_show_what_it_hid_stops_nobody(liar):
    simulation = run(keepers(7, blocks=8, records=8, contributions=4), {"m03": liar})
    state = simulation.ledger.state()
    assert state.tip == 8
    hidden = [chained.block.hidden for chained in state.blocks() if chained.block.hidden]
    missing = Counter(member for each in hidden for member in each.missing)
    assert set(missing) <= {"m03"}
    assert any(each.part and each.part.keeper != "m03" for each in hidden)
    asked = [each for each in hidden if "m03" in each.missing or (each.part and each.part.keeper == "m03")]
    assert asked, "it was its turn at least once"
    assert all(each.performance is None for each in asked if each.part and each.part.keeper == "m03")


class Junk(Participant):
    """Shows the right part, with a file that holds something else."""

    def _show(self, duty: Any, ledger: Ledger[State], site: Any) -> Call | None:
        call = super()._show(duty, ledger, site)
        if call is None:
            return None
        return calls.call(replace(calls.Show.from_value(call.arguments), locator=site.store.put(b"no part at all")))


def test_a_file_that_holds_something_else_says_nothing():
    simulation = run(keepers(4, blocks=6, records=6, contributions=3), dict.fromkeys(("m01", "m02", "m03"), Junk))
    state = simulation.ledger.state()
    assert state.tip == 6
    hidden = [each.block.hidden for each in state.blocks() if each.block.hidden and each.block.hidden.part]
    measured = {each.part.keeper == "m00": each.performance for each in hidden if each.part}
    assert measured[False] is None
    assert measured[True] is not None


def test_a_keeper_that_has_lost_its_parts_is_passed_over():
    simulation = Simulation.prepare(keepers(7, blocks=4))
    lost = next(agent for agent in simulation.agents if agent.site.member == "m02")

    hidden: list[bool] = []

    def forget(state: State) -> bool:
        if state.kept(lost.site.member) is not None and not hidden:
            hidden.append(True)
            lost.site.drafts._objects.clear()  # type: ignore[attr-defined]
        return True

    simulation.run(forget)
    state = simulation.ledger.state()
    assert state.tip >= 3
    assert all(keeper != "m02" for keeper, _ in shown(state))


def test_dying_at_any_moment_shows_what_was_hidden():
    setting = keepers(3, blocks=1, records=1)
    whole = Lives(setting)
    assert not whole.live(NEVER)
    entries = entry_bytes(whole.ledger)
    moments = Counter[str]()
    for at in count():
        lives, fate = Lives(setting), Fate(at)
        if not lives.live(fate):
            break
        moments[fate.name] += 1
        assert not lives.live(NEVER)
        assert entry_bytes(lives.ledger) == entries, f"after dying at moment {at}, {fate.name}"
    methods = {call.method for _, call, _ in said(whole.ledger, whole.ledger.state())}
    assert {"hide", "show"} <= methods
    assert moments["before show is submitted"] and moments["before hide is kept"]


# --- members' data ---------------------------------------------------------------------------------------------------


def test_hidden_records_are_dealt_to_all_members_and_a_run_is_continued_with_the_same_number_of_parts(tmp_path):
    hidden = (np.zeros((10, 1), np.float32), np.arange(10))
    setting = replace(toy_setting(4), hidden_test=hidden, hidden_parts=2)
    dealt, other = setting._hidden(), replace(setting, seed=2)._hidden()
    assert sorted(map(len, dealt.values())) == [2, 2, 3, 3]
    assert sorted(int(target) for part in dealt.values() for target in part.targets) == list(range(10))
    assert other[MemberId("m00")].targets.tolist() != dealt[MemberId("m00")].targets.tolist()
    Simulation.prepare(setting, tmp_path / "run").close()
    Simulation.prepare(setting, tmp_path / "run").close()
    with pytest.raises(Exception, match="other adversaries, test sets or contributions") as error:
        Simulation.prepare(replace(setting, hidden_parts=3), tmp_path / "run")
    assert error.value.code == Code.RESUME  # type: ignore[attr-defined]


def test_a_hidden_set_of_another_form_than_g_names_its_member():
    digits = load("digits")
    charter = Charter(
        name="digits", model=paper_cnn, arguments={"side": 8}, metric="accuracy", acceptance="strict", blocks=1
    )
    with pytest.raises(DataError, match=r"a: the hidden test set has inputs of shape \(2,\)"):
        simulate(
            charter,
            members=partition(digits, ["a", "b"], 1),
            global_test=digits.test,
            hidden_test=(np.zeros((4, 2), np.float32), np.zeros(4, np.int64)),
            trainer=TorchTrainer(),
            seed=1,
        )
