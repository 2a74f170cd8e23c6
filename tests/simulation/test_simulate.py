"""``simulate`` with a model of two numbers: turns, sizes, stop conditions, what comes out, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.simulation.ledgers import block_hashes, entry_bytes, on_disk, recorded, said
from tests.simulation.toys import START, right, toy_parameters, toy_setting
from tests.simulation.tumours import coalition

from tclearn import simulate
from tclearn.coalition.draw import committee_size
from tclearn.coalition.quorum import quorum
from tclearn.errors import AgentError, CharterError, Code, StorageError, UsageError
from tclearn.learning.trainer import Contribution
from tclearn.limits import DATA_IDS_PER_TRANSACTION_MAX
from tclearn.protocols.tclearn.adversaries import Honest
from tclearn.simulation import Simulation


def ran(setting, **more):
    simulation = Simulation.prepare(setting)
    simulation.run(**more)
    return simulation


class Worse(Honest):
    """Offers a model that is no good, with parameters that were not offered before."""

    def train(self, start, work):
        contribution = self.trainer.train(start, work)
        return contribution and Contribution(toy_parameters(0, work.seed % 1_000_003), contribution.data_ids, 0)


# --- sizes and turns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4, 16, 17])
def test_coalitions_of_every_size(n):
    simulation = ran(toy_setting(n, blocks=n + 1))
    state = simulation.ledger.state()
    assert state.tip == n + 1
    for chained in list(state.blocks())[1:]:
        block = chained.block
        assert len(block.committee) == committee_size(n) == (n - 1 if n <= 16 else n // 2 + 1)
        assert block.contributor not in block.committee
        assert [vote.vote for vote in block.votes] == ["yes"] * len(block.committee)
        assert block.general in block.committee
        assert sum(member in chained.endorsements for member in block.committee) >= quorum(len(block.committee))
    assert [block.contributor for block in map(state.block, range(1, n + 1))] == list(state.members)
    assert all(each.outcome.code == 0 for each in recorded(simulation.ledger)), "nobody says what must be refused"


def test_members_propose_in_turn_and_the_model_grows_with_what_they_have():
    result = ran(toy_setting(3, records=6, blocks=6)).result()
    assert [(step.block, step.member) for step in result.steps] == [
        (number + 1, f"m{number % 3:02d}") for number in range(6)
    ]
    assert [round(100 * performance) for performance in result.performance] == [13, 16, 19, 22, 25, 28]
    assert result.model == right(result.parameters) == START + 18
    assert {block.block.index: block.block.contributions["m00"] for block in result.state.blocks()} == {
        0: 0,
        1: 3,
        2: 3,
        3: 3,
        4: 6,
        5: 6,
        6: 6,
    }


def test_in_free_turns_all_offer_at_once_and_every_validator_is_heard():
    simulation = ran(toy_setting(5, blocks=4, turns="free"))
    result = simulation.result()
    assert len(result.blocks) == 4
    assert any(step.status == "stale" for step in result.steps)
    for chained in list(result.state.blocks())[1:]:
        assert [vote.vote for vote in chained.block.votes] == ["yes"] * 4, "nobody is called missing who was there"
    times = [chained.block.time_ms for chained in result.state.blocks()][1:]
    assert times[-1] - times[0] < 3 * 60_000, "and no block waits for a verdict that nobody is asked for"


def test_rejected_candidates_show_what_every_validator_found():
    for turns in ("lease", "free"):
        result = ran(toy_setting(4, blocks=3, turns=turns, adversaries={"m00": Worse})).result()
        rejected = [step for step in result.steps if step.status == "rejected"]
        assert rejected and all(step.member == "m00" for step in rejected)
        assert [ballot.vote for ballot in rejected[0].ballots] == ["no"] * 3
        assert "anchored" in rejected[0].reason


def test_a_member_without_records_passes_its_turn_and_votes():
    setting = toy_setting(4, blocks=5)
    setting = replace(setting, members={**setting.members, "m01": ("m01", 0)})
    simulation = ran(setting)
    result = simulation.result()
    assert {step.member for step in result.blocks} == {"m00", "m02", "m03"}
    assert all("m01" in {ballot.member for ballot in step.ballots} for step in result.blocks)
    assert ("m01", "pass") in {
        (sender, call.method) for sender, call, _ in said(simulation.ledger, simulation.ledger.state())
    }


def test_the_run_ends_when_all_records_are_used():
    result = ran(toy_setting(3, records=2, blocks=50, contributions=2)).result()
    assert len(result.blocks) == 6
    assert result.state.turn.member is None


def test_more_records_than_one_transaction_can_name():
    simulation = ran(toy_setting(2, records=DATA_IDS_PER_TRANSACTION_MAX + 10_000, blocks=1))
    state = simulation.ledger.state()
    assert state.block(1).samples == DATA_IDS_PER_TRANSACTION_MAX + 10_000
    assert len(state.used_ids()) == DATA_IDS_PER_TRANSACTION_MAX + 10_000
    spoken = [call.method for sender, call, _ in said(simulation.ledger, state) if sender == "m00"]
    assert spoken[:3] == ["declare", "propose", "release"]


# --- what the charter says -------------------------------------------------------------------------------------------


def test_contributions_below_the_minimum_batch_are_not_offered():
    simulation = ran(toy_setting(4, records=6, blocks=4, contributions=2, minimum_batch=4))
    assert simulation.ledger.state().tip == 0
    assert {call.method for _, call, _ in said(simulation.ledger, simulation.ledger.state())} == {"pass"}
    assert ran(toy_setting(4, records=6, blocks=4, contributions=2, minimum_batch=3)).ledger.state().tip == 4


def test_many_small_contributions_become_fewer_of_the_minimum_batch():
    """112 records in ten contributions are 12 each, and the charter asks for 30 trained on."""
    result = coalition(blocks=8, contributions=10, minimum_batch=30, lambda_=0.5)
    samples = [chained.block.samples for chained in result.state.blocks() if chained.block.index]
    assert len(samples) == 8
    assert all(30 <= count < 60 for count in samples)


def test_training_ends_at_the_performance_asked_for():
    state = ran(toy_setting(4, blocks=None, performance=0.2)).ledger.state()
    assert [state.block(number).performance.candidate for number in (1, 2)] == [16, 22]
    assert state.tip == 2


def test_training_ends_at_the_time_asked_for():
    # Virtual time begins with 2026; an entry takes a second, a block of four members thirteen of them.
    state = ran(toy_setting(4, records=50, blocks=None, contributions=50, until="2026-01-01T00:01:00Z")).ledger.state()
    assert state.tip == 5
    assert state.candidates == 5


def test_the_paper_rule_measures_against_the_block_before():
    for rule, references in (("paper", [0, 1, 2]), ("anchored", [0, 1, 1])):

        class Second(Honest):
            """Offers a model a little worse than the present one, which λ tolerates."""

            def train(self, start, work):
                contribution = self.trainer.train(start, work)
                if right(start) != 26 or contribution is None:
                    return contribution
                return Contribution(toy_parameters(25, 7), contribution.data_ids, 0)

        result = ran(
            toy_setting(3, records=16, blocks=3, acceptance=rule, lambda_=0.9, adversaries={"m01": Second})
        ).result()
        assert [step.reference for step in result.blocks] == references


def test_only_votes_are_published_where_the_charter_says_so():
    result = ran(toy_setting(4, blocks=3, local_results="vote")).result()
    assert len(result.blocks) == 3
    for number in range(result.state.candidates):
        for verdict in result.state.candidate(number).reveals.values():
            assert verdict.vote == 1 and verdict.evidence is not None and verdict.evidence.on_local is None


# --- what comes out --------------------------------------------------------------------------------------------------


def test_the_record_verifies_and_names_the_head(tmp_path):
    simulation = ran(toy_setting())
    verified = simulation.result().export(tmp_path / "toys.tclearn").verify()
    assert verified.head == simulation.ledger.head(len(simulation.ledger))
    assert verified.coalition == simulation.charter.digest


def test_printed_it_is_a_table_of_the_steps():
    text = str(ran(toy_setting(4, blocks=2, contributions=2, adversaries={"m01": Worse})).result())
    lines = text.splitlines()
    assert lines[0] == "4 members · toys · rule anchored, λ 0.98"
    assert lines[2].split() == ["1", "m00", "3/3", "0.130"]
    assert lines[3].split()[:4] == ["–", "m01", "0/3", "0.000"]
    assert "rejected: 0.0000 < 0.98 × 0.1300 (anchored, block 1)" in lines[3]


def test_on_disk_it_is_the_same_coalition_and_the_record_can_be_written_afterwards(tmp_path):
    setting = toy_setting()
    memory = ran(setting)
    result = simulate(
        setting.charter,
        members=setting.members,
        global_test=setting.global_test,
        trainer=setting.trainer,
        seed=setting.seed,
        directory=tmp_path / "coalition",
    )
    assert on_disk(tmp_path / "coalition") == (entry_bytes(memory.ledger), block_hashes(memory.ledger.state()))
    assert result.export(tmp_path / "toys.tclearn").verify().head.size == len(memory.ledger)


def until(simulation, size):
    simulation.run(lambda state: len(simulation.ledger) < size)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    setting = toy_setting()
    whole = entry_bytes(ran(setting).ledger)
    for stop in (1, 7, 20, len(whole)):
        simulation = Simulation.prepare(setting, tmp_path)
        until(simulation, stop)
        assert entry_bytes(simulation.ledger) == whole[:stop]
        simulation.close()
    assert on_disk(tmp_path)[0] == whole


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"seed": 2}, {"blocks": 6}, {"lambda_": 0.97}, {"records": 7}, {"n": 5}, {"name": "other"}]
)
def test_a_directory_belongs_to_one_coalition(tmp_path, changes):
    Simulation.prepare(toy_setting(4), tmp_path).close()
    if "records" in changes:  # data are no part of the charter: each member keeps its own
        Simulation.prepare(toy_setting(4, **changes), tmp_path).close()
        return
    with pytest.raises(AgentError) as refused:
        Simulation.prepare(toy_setting(**{"n": 4, **changes}), tmp_path)
    assert refused.value.code == Code.RESUME


def test_one_process_at_a_time_runs_a_directory(tmp_path):
    simulation = Simulation.prepare(toy_setting(), tmp_path)
    with pytest.raises(StorageError) as refused:
        Simulation.prepare(toy_setting(), tmp_path)
    assert refused.value.code == Code.LEDGER_LOCKED
    simulation.close()
    Simulation.prepare(toy_setting(), tmp_path).close()


def test_a_member_whose_outbox_is_open_elsewhere_stops_the_run_and_releases_the_rest(tmp_path):
    Simulation.prepare(toy_setting(), tmp_path).close()
    from tclearn.agents.outbox import FileOutbox

    with FileOutbox(tmp_path / "members" / "m02" / "outbox.sqlite"):
        with pytest.raises(StorageError) as refused:
            Simulation.prepare(toy_setting(), tmp_path)
        assert refused.value.code == Code.OUTBOX_LOCKED
    Simulation.prepare(toy_setting(), tmp_path).close()


def test_what_is_given_for_nobody_is_refused():
    with pytest.raises(UsageError, match="m99"):
        replace(toy_setting(), adversaries={"m99": Honest})
    with pytest.raises(UsageError, match="m98"):
        replace(toy_setting(), local_tests={"m98": ([[1.0]], [1])})


@pytest.mark.parametrize("names", [["m00"], ["m00", "Üx"], ["m00", "m 1"]])
def test_a_coalition_needs_two_members_with_usable_names(names):
    setting = replace(toy_setting(), members={name: (name, 1) for name in names})
    with pytest.raises(CharterError):
        Simulation.prepare(setting)
