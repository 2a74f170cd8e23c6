"""A demonstration of DeepChain: who lies is named and pays, and encryption changes not a bit of the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.page.reading import read
from tests.page.test_report import figures
from tests.simulation.ledgers import entry_bytes

from tclearn.errors import AgentError, DataError, UnreachableError, UsageError
from tclearn.learning.datasets import load, partition
from tclearn.learning.networks import perceptron
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainers.sklearn import SklearnTrainer
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.ledger.verify import verify
from tclearn.paillier.keys import ToyKeyWarning
from tclearn.protocols import terms_of
from tclearn.protocols.deepchain.adversaries import Silent, WrongGradient
from tclearn.protocols.deepchain.agent.performer import work
from tclearn.protocols.deepchain.agent.quantising import quantise
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.reasons import Reason
from tclearn.protocols.deepchain.records import DISSOLVED
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.deepchain.attacks import KINDS, PARTY, Attack
from tclearn.simulation.deepchain.demo import DeepChainDemo, DeepChainResult
from tclearn.simulation.deepchain.key import SHARE, Dealt
from tclearn.simulation.deepchain.options import DeepChainOptions
from tclearn.simulation.deepchain.rows import rows
from tclearn.simulation.deepchain.setting import Setting
from tclearn.simulation.deepchain.simulation import Simulation, simulate
from tclearn.simulation.demo_result import EXPORT, MODEL, REPORT
from tclearn.simulation.keys import SeededKeys

pytestmark = pytest.mark.filterwarnings("ignore::tclearn.paillier.keys.ToyKeyWarning")
SMALL = DeepChainOptions(dataset="breast-cancer", members=4, blocks=2, key_bits=512)
TUMOURS = load("breast-cancer")
TINY: dict[str, Any] = {
    "parties": partition(TUMOURS, 4, seed=1),
    "workers": [f"w{number}" for number in range(4)],
    "model": perceptron,
    "arguments": {"features": 30, "hidden": 1},
    "global_test": TUMOURS.test,
    "seed": 1,
    "key_bits": 512,
}


class Stop(Exception):
    """Somebody has pulled the plug."""


def told(options: DeepChainOptions, directory: Path, *, resume: bool = False, stop_at: int = 0) -> DeepChainResult:
    """Run a demonstration, or go on with it; with ``stop_at`` only so many entries further."""
    made = DeepChainDemo.prepare(options, directory, resume=resume)
    entries = 0

    def entry(_: State) -> None:
        nonlocal entries
        entries += 1
        if entries == stop_at:
            raise Stop

    try:
        return made.run(lambda *_: None, entry)
    finally:
        made.close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DeepChainResult:
    return told(SMALL, tmp_path_factory.mktemp("deepchain") / "demo")


def fined(courses: tuple[Course, ...]) -> set[tuple[str, Reason]]:
    return {(fine.member, fine.reason) for course in courses for fine in course.fines}


def test_whoever_lies_is_named_and_pays_the_others(finished):
    result = finished.result
    assert fined(result.courses) == {("hospital-3", Reason.WRONG_GRADIENT), ("worker-2", Reason.WRONG_SUM)}
    assert "hospital-3" not in {party for course in result.courses for party in course.counted}
    for each in result.balances:
        assert (each.fined > 0) == (each.member in {"hospital-3", "worker-2"})
        assert each.member in {"hospital-3", "worker-2"} or each.end > each.start
    accounts = result.state.accounts
    assert accounts.fault() is None and sum(each.end for each in result.balances) + accounts.pot == accounts.minted


def test_the_model_is_that_of_averaging_in_the_clear(finished):
    kept = Parameters.from_bytes((finished.directory / MODEL).read_bytes(), layout=finished.result.terms.model.layout)
    assert kept.digest == finished.result.parameters.digest
    assert len(finished.result.performance) == 2
    assert abs(finished.result.performance[-1] - finished.unquantised) < 0.02
    assert finished.result.performance[-1] > 0.9


def test_a_model_that_is_not_that_of_averaging_is_an_error(tmp_path, monkeypatch):
    def another(*words):  # a step too many in one place
        steps = quantise(*words)
        steps[0] += 1
        return steps

    monkeypatch.setattr("tclearn.simulation.deepchain.averaging.quantise", another)
    with pytest.raises(AgentError, match="plain quantised averaging gives another"):
        told(replace(SMALL, blocks=1), tmp_path / "demo")


def test_the_record_is_verified_with_public_keys_alone(finished):
    with (finished.directory / EXPORT).open("rb") as stream:
        assert verify(stream, terms_of, finished.result.terms.digest).entries == finished.entries


def test_the_report_says_what_has_come_out(finished):
    page = read((finished.directory / REPORT).read_text(encoding="utf-8"))
    shown, header = figures(page), page.one("header")
    assert shown["accuracy on the test set"] == f"{finished.result.performance[-1]:.3f}"
    assert shown["averaged in the clear"] == f"{finished.unquantised:.3f}"
    assert (shown["iterations"], shown["bits"]) == ("2", "512")
    named = {fine.member for course in finished.result.courses for fine in course.fines}
    assert {line.one("b").text for line in header.one("ul", "named").all("li")} == named
    coins = {cells[0]: cells[4] for cells in page.one("table", "coins").rows()[:-1]}
    assert coins == {each.member: f"{each.end:,}" for each in finished.result.balances}
    record = header.facts()
    assert record["Ledger"] == f"{finished.entries} signed entries"
    assert record["Check it"].startswith("tclearn ledger verify coalition.tclearn --proofs objects")
    assert finished.as_json()["report"] == str(finished.directory / REPORT)


def test_only_their_owner_can_read_keys_and_shares(finished):
    secret = [finished.directory / "log.key", *finished.directory.glob(f"members/hospital-*/{SHARE}")]
    assert len(secret) == 5
    assert all(file.stat().st_mode & 0o077 == 0 for file in secret)
    assert not list(finished.directory.glob(f"members/worker-*/{SHARE}"))


def test_interrupted_again_and_again_it_writes_the_ledger_that_it_would_have_written(finished, tmp_path):
    directory = tmp_path / "demo"
    with pytest.raises(Stop):
        told(SMALL, directory, stop_at=9)
    for stop_at in (21, 1, 33):
        with pytest.raises(Stop):
            told(DeepChainOptions(), directory, resume=True, stop_at=stop_at)
    again = told(DeepChainOptions(), directory, resume=True)
    ends = [entry_bytes(result.result._log) for result in (finished, again)]
    assert ends[0] == ends[1], "under a toy key everything follows from the seed"
    assert (again.result.courses, again.result.performance) == (finished.result.courses, finished.result.performance)


def test_what_is_resumed_has_the_shares_that_were_dealt(finished, tmp_path):
    directory = tmp_path / "demo"
    with pytest.raises(Stop):
        told(SMALL, directory, stop_at=5)
    share, another = (directory / "members" / f"hospital-{number}" / SHARE for number in (2, 3))
    kept = another.read_bytes()
    another.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(AgentError, match=r"hospital-3.*is a share"):
        told(DeepChainOptions(), directory, resume=True)
    another.write_bytes(kept)
    share.unlink()
    with pytest.raises(UnreachableError, match=f"no file .*{SHARE}"):
        told(DeepChainOptions(), directory, resume=True)


def test_settings_of_another_protocol_are_not_resumed(finished, tmp_path):
    from tclearn.simulation.demo import Demo, DemoOptions

    settings = json.loads((finished.directory / "demo.json").read_text())
    (tmp_path / "demo.json").write_text(json.dumps(settings))
    with pytest.raises(AgentError, match="it is of the protocol deepchain"):
        Demo.prepare(DemoOptions(), tmp_path, resume=True)
    (tmp_path / "demo.json").write_text(json.dumps({**settings, "protocol": "tclearn"}))
    with pytest.raises(AgentError, match="it is of the protocol tclearn"):
        DeepChainDemo.prepare(SMALL, tmp_path, resume=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_attack_costs_somebody_a_deposit(kind, tmp_path):
    member = "hospital-1" if PARTY in KINDS[kind].roles else "worker-1"
    demo = DeepChainDemo.prepare(replace(SMALL, attacks=(Attack(kind, member),), blocks=3), tmp_path / "demo")

    def not_fined(_: State) -> bool:
        return not fined(demo.simulation.history.courses)

    demo.simulation.run(on_entry=not_fined)
    assert {name for name, _ in fined(demo.simulation.history.courses)} == {member}
    demo.close()


@pytest.mark.slow
@pytest.mark.parametrize("key_bits", [2048])
def test_seven_hospitals_and_four_workers_under_a_real_key(key_bits, tmp_path):
    result = told(DeepChainOptions(key_bits=key_bits), tmp_path / "demo")
    assert fined(result.result.courses) == {
        ("hospital-3", Reason.WRONG_GRADIENT),
        ("hospital-5", Reason.WITHHELD_SHARES),
        ("worker-2", Reason.WRONG_SUM),
    }
    assert result.result.terms.key.threshold == 4 and result.result.state.group.rounds == 6
    assert result.result.performance[-1] > 0.93
    assert abs(result.result.performance[-1] - result.unquantised) < 0.02
    assert result.result.state.accounts.fault() is None


@pytest.mark.slow
def test_a_run_under_a_real_key_goes_on_with_the_key_that_was_dealt(tmp_path):
    options = DeepChainOptions(dataset="breast-cancer", members=4, blocks=2)
    with pytest.raises(Stop):
        told(options, tmp_path / "demo", stop_at=40)
    charter = (tmp_path / "demo" / "charter.cbor").read_bytes()
    result = told(DeepChainOptions(), tmp_path / "demo", resume=True)
    assert result.result.terms.encode() == charter and result.result.state.group.rounds == 2


@pytest.mark.slow
def test_another_key_is_another_record_of_the_same_model(tmp_path):
    options = DeepChainOptions(dataset="breast-cancer", members=4, blocks=2, attacks=())
    first, second = (told(options, tmp_path / name).result for name in "ab")
    assert first.terms.digest != second.terms.digest
    assert first.parameters == second.parameters


def test_training_is_bound_to_the_members_and_the_model_and_not_to_the_key():
    setting = Setting(**TINY, trainer=TorchTrainer(), iterations=1)
    simulation = Simulation.prepare(setting)
    terms, site = simulation.terms, simulation.agents[0].site
    simulation.close()
    other_key = Dealt.new(512, setting.party_names, setting.threshold, seed=2).key
    rekeyed = replace(terms, key=replace(terms.key, key=other_key.encode()))
    remodelled = replace(terms, model=replace(terms.model, seed=2))
    others = tuple(replace(each, key=SeededKeys(2).member(each.id).key) for each in terms.members)
    seeds = [work(each, 1, site).seed for each in (terms, rekeyed, remodelled, replace(terms, members=others))]
    assert seeds[0] == seeds[1] and len({*seeds, work(terms, 2, site).seed}) == 4


def test_more_liars_than_the_agreement_is_made_for_are_said_to_end_it():
    lying = {f"member-{number}": WrongGradient for number in (1, 2)}
    result = simulate(**TINY, trainer=TorchTrainer(epochs=1), iterations=2, adversaries=lying)
    assert result.state.group.status == DISSOLVED and not result.performance
    assert result.ended_early.startswith("ended after 0 of 2 iterations: the group is dissolved")
    assert "failed" in str(result)


# --- from Python -----------------------------------------------------------------------------------------------------


def test_simulate_warns_of_toy_keys_and_tells_what_happened(tmp_path):
    seen: list[tuple[int, float | None]] = []
    with pytest.warns(ToyKeyWarning):
        result = simulate(
            **TINY,
            trainer=TorchTrainer(epochs=2),
            iterations=2,
            adversaries={"member-2": WrongGradient},
            on_course=lambda course, performance: seen.append((course.number, performance)),
        )
    assert seen == list(enumerate(result.performance, 1))
    assert set(result.model) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert result.export(tmp_path / "tumours.tclearn").verify().coalition == result.terms.digest
    shown = str(result).splitlines()
    assert shown[0].split() == ["iteration", "counted", "leader", "block", "global"]
    assert shown[1].split()[:2] == ["1", "3/4"] and "member-2: wrong gradient" in shown[2]


def test_other_frameworks_train_likewise():
    from sklearn.linear_model import LogisticRegression

    setting = {**TINY, "model": LogisticRegression, "arguments": {}}
    result = simulate(**setting, trainer=SklearnTrainer(2, epochs=3), iterations=1)
    assert result.terms.trainer == "sklearn" and result.performance[0] > 0.8


def test_a_directory_is_continued_with_the_same_arguments_only(tmp_path):
    arguments = {**TINY, "trainer": TorchTrainer(epochs=1), "directory": tmp_path / "run"}
    part = simulate(**arguments, iterations=1, on_entry=lambda state: state.iteration is None)
    assert not part.performance and part.ended_early.endswith("stopped")
    for change in ({"seed": 2}, {"adversaries": {"w1": lambda role: Silent(role, frozenset())}}, {"iterations": 3}):
        with pytest.raises(AgentError, match="holds a"):
            simulate(**{**arguments, "iterations": 1, **change})
    whole = simulate(**arguments, iterations=1)
    assert len(whole.performance) == 1
    assert simulate(**arguments, iterations=1).parameters == whole.parameters


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"workers": ["w0", "w1", "w2"]}, UsageError, "at least 4 of both"),
        ({"workers": ["w0", "w1", "w2", "member-1"]}, UsageError, "there twice"),
        ({"parties": [1, 2]}, UsageError, "not a mapping"),
        ({"key_bits": 1024}, UsageError, "3072 or 2048 or 512"),
        ({"clip": 0.0}, UsageError, "clip is 0.0"),
        ({"adversaries": {"nobody": WrongGradient}}, UsageError, "'nobody' is not a member"),
        ({"parties": dict.fromkeys("abcd", TUMOURS.test)}, DataError, "a and b have the same data"),
    ],
)
def test_what_makes_no_coalition_is_refused(change, error, said):
    with pytest.raises(error, match=said):
        simulate(**{**TINY, "trainer": TorchTrainer(), "iterations": 1, **change})


def test_changes_beyond_the_clip_are_cut_under_encryption_as_in_the_clear():
    simulation = Simulation.prepare(Setting(**TINY, trainer=TorchTrainer(epochs=5), iterations=1, clip=0.001))
    simulation.run()
    trained, start = simulation.result().parameters, simulation.agents[0].site.trainer.initial(1)
    clear = simulation.averaged()
    simulation.close()
    assert clear.quantised == trained

    def largest(parameters: Parameters) -> float:
        return max(float(np.abs(value - start[name]).max()) for name, value in parameters.items())

    assert largest(trained) <= 0.00101 < 0.01 < largest(clear.exact)


def test_an_iteration_that_is_under_way_is_shown_as_such():
    course = Course(1, (), (), ())
    assert rows(course, None, of=4)[1].strip() == "under way"
