"""A demonstration of DeepChain: who lies is named and pays, and encryption changes not a bit of the model."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.page.reading import read
from tests.page.test_report import figures
from tests.simulation.ledgers import entry_bytes

from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, DataError, UnreachableError, UsageError
from tclearn.learning.datasets import load, partition
from tclearn.learning.networks import perceptron
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, Work
from tclearn.learning.trainers.sklearn import SklearnTrainer
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.ledger.verify import verify
from tclearn.paillier.keys import ToyKeyWarning
from tclearn.protocols import terms_of
from tclearn.protocols.deepchain.adversaries import Silent, WrongGradient
from tclearn.protocols.deepchain.agent import quantising
from tclearn.protocols.deepchain.agent.performer import work
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.reasons import Reason
from tclearn.protocols.deepchain.records import DISSOLVED, EMPTY, SUMS, VOID, Block
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.deepchain.attacks import KINDS, PARTY, Attack
from tclearn.simulation.deepchain.clipping import Clipped, ClippingWarning, Counting
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


def plant(patch: pytest.MonkeyPatch, name: str, planted: Any) -> None:
    """In all that members run, wherever it is imported to."""
    honest, package = getattr(quantising, name), quantising.__package__
    users = [m for n, m in sys.modules.items() if n.startswith(f"{package}.") and m is not quantising]
    users = [module for module in users if getattr(module, name, None) is honest]
    assert users
    for module in users:
        patch.setattr(module, name, planted)


def a_step_too_many(*words: Any) -> Any:
    steps = quantising.quantise(*words)
    steps[0] += 1
    return steps


def rounded_down(values: Any, clip: int, levels: int) -> Any:
    most = clip / quantising.CLIP_UNIT
    return np.floor(np.clip(values, -most, most) * levels / most).astype(np.int64)


def another_divisor(sums: Any, divisor: int, clip: int, levels: int) -> Any:
    return quantising.dequantise(sums, divisor + 1, clip, levels)


def the_other_way(start: Parameters, trained: Parameters) -> Any:
    return -quantising.gradient(start, trained)


def up_the_hill(start: Parameters, mean: Any) -> Parameters:
    return quantising.stepped(start, -mean)


def in_single_precision(start: Parameters, mean: Any) -> Parameters:
    single = quantising.stepped(Parameters({n: np.zeros_like(t) for n, t in start.items()}), mean)
    return Parameters({name: tensor + single[name] for name, tensor in start.items()})


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("quantise", a_step_too_many),
        ("quantise", rounded_down),
        ("dequantise", another_divisor),
        ("gradient", the_other_way),
        ("stepped", up_the_hill),
        ("stepped", in_single_precision),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_in_what_all_members_compute_ends_the_demonstration_and_leaves_no_model(
    name, planted, tmp_path, monkeypatch
):
    plant(monkeypatch, name, planted)
    with pytest.raises(AgentError, match="plain quantised averaging gives another"):
        told(replace(SMALL, blocks=1, attacks=()), tmp_path / "demo")
    assert not (tmp_path / "demo" / MODEL).exists() and not (tmp_path / "demo" / REPORT).exists()


def test_of_what_was_resumed_and_is_wrong_no_earlier_model_is_left(finished, tmp_path, monkeypatch):
    directory = Path(shutil.copytree(finished.directory, tmp_path / "demo"))
    plant(monkeypatch, "stepped", up_the_hill)
    with pytest.raises(AgentError, match="plain quantised averaging gives another"):
        told(DeepChainOptions(), directory, resume=True)
    assert not (directory / MODEL).exists() and not (directory / REPORT).exists()


def test_without_an_iteration_that_succeeded_nothing_is_said_to_be_equal(tmp_path):
    attacks = tuple(Attack("no-share", f"hospital-{number}") for number in (1, 2))
    result = told(replace(SMALL, attacks=attacks), tmp_path / "demo")
    assert result.result.state.group.rounds == 0 and result.unquantised is None
    written = result.as_json()
    assert (written["equal_to_plain_averaging"], written["unquantised"], written["final"]) == (None, None, None)
    assert "bit for bit" not in (result.directory / REPORT).read_text(encoding="utf-8")


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
    assert result.unquantised is not None and abs(result.result.performance[-1] - result.unquantised) < 0.02
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
    assert result.ended_early == (
        "ended after 0 successful iterations of 2 asked for (3 tried): the group is dissolved, "
        "because 3 iterations in a row failed"
    )
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
        ({"workers": ["w0"]}, UsageError, "4 parties and 1 worker "),
        ({"workers": ["w0", "w1", "w2", "member-1"]}, UsageError, "there twice"),
        ({"parties": [1, 2]}, UsageError, "not a mapping"),
        ({"key_bits": 1024}, UsageError, "512 or 2048 or 3072"),
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


def blocks(*kinds: str) -> tuple[Block, ...]:
    zeros = Digest(bytes(32))
    return tuple(
        Block(number, zeros, kind, 1, 0, 0, (), (), "" if kind == SUMS else "no quorum", MemberId("worker-1"))
        for number, kind in enumerate(kinds)
    )


@pytest.mark.parametrize(
    ("kinds", "ended", "said"),
    [
        ((SUMS,), True, ["block 0 of worker-1 has a sum, which was not opened", "failed"]),
        ((SUMS,), False, ["block 0 of worker-1 has a sum, which is not opened yet", "under way"]),
        ((EMPTY, EMPTY), True, [f"block {n} of worker-1 is empty: no quorum" for n in (0, 1)] + ["failed"]),
        ((SUMS, VOID), True, ["block 1 of worker-1 is void: no quorum", "failed"]),
    ],
)
def test_what_became_of_the_blocks_of_an_iteration_that_opened_nothing_is_said(kinds, ended, said):
    course = Course(1, (), (), (), blocks=blocks(*kinds), ended=ended)
    assert [line.strip() for line in rows(course, None, of=4)[1:]] == said


def test_a_clip_that_cuts_much_is_warned_of_and_one_that_does_not_is_not():
    arguments = {**TINY, "trainer": TorchTrainer(epochs=5), "iterations": 1}
    with pytest.warns(
        ClippingWarning, match=r"^[0-9.]+% of the values of all gradients were cut to ±0.001: "
    ) as caught:
        cut = simulate(**arguments, clip=0.001)
    (said,) = [str(each.message) for each in caught if each.category is ClippingWarning]
    assert said == cut.clipping and 0.1 < cut.clipped <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", ClippingWarning)
        whole = simulate(**arguments)
    assert (whole.clipped, whole.clipping) == (0, "")


def test_what_is_cut_is_counted_value_by_value():
    class Moved:
        def train(self, start: Parameters, _: object) -> Contribution:
            return Contribution(Parameters({"w": start["w"] + np.array([0.0, 0.5, 0.50001, -0.6])}), (), 0)

    clipped, start = Clipped(0.5), Parameters({"w": np.zeros(4)})
    for _ in range(2):
        Counting(Moved(), clipped).train(start, Work(1, {}, frozenset()))  # type: ignore[arg-type]
    assert (clipped.cut, clipped.of, clipped.share) == (4, 8, 0.5)
