"""``tclearn reproduce``: what it writes, that it repeats itself, that it goes on, and what it says when it cannot."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.reproduce import tiny

from tclearn.encoding import Digest
from tclearn.errors import AgentError, Code
from tclearn.ledger.verify import verify
from tclearn.protocols import terms_of
from tclearn.reproduce.experiments import EXPERIMENTS, Watcher, experiment, reproduce
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Options

ONE = Options(seeds=1)
KINDS = (tiny.FIG5, tiny.CHANGING)


class Impatient(Watcher):
    """Stops the run when so many records have been trained on."""

    def __init__(self, records: int) -> None:
        self.left = records

    def trained(self, records: int) -> None:
        self.left -= records
        if self.left <= 0:
            raise KeyboardInterrupt


def results(directory: Path) -> dict[str, Any]:
    """Without what differs from one time to the next."""
    held: dict[str, Any] = json.loads((directory / "results.json").read_text())
    for run in held["runs"]:
        del run["seconds"]
    return held


def records(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (directory / "records").iterdir()}


def same(one: Path, other: Path) -> bool:
    assert (one / "curve.csv").read_bytes() == (other / "curve.csv").read_bytes()
    return results(one) == results(other) and records(one) == records(other)


@pytest.fixture(scope="module")
def figure_5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished reproduction of the stand-in, not to be changed."""
    folder = tmp_path_factory.mktemp("figure5")
    with pytest.MonkeyPatch.context() as patch:
        tiny.write_mnist(folder / "data")
        patch.setenv("TCLEARN_DATA", str(folder / "data"))
        tiny.make_small(patch)
        reproduce(experiment(tiny.FIG5), ONE, folder / "out")
    return folder / "out"


# --- what it writes --------------------------------------------------------------------------------------------------


def test_figure_5_is_written_and_its_record_verifies(tclearn: Any, small: Path) -> None:
    said = tclearn("reproduce", tiny.FIG5, "--seeds", 1, "--seed", 4, code=0)
    assert "seed 4" in said.out and "7 of 7" in said.out and "drawn, no number in the text" in said.out
    directory = small / "reproduce" / tiny.FIG5
    assert {path.name for path in directory.iterdir()} == {
        "settings.json",
        "settings.json-lock",
        "results.json",
        "curve.csv",
        "figure.png",
        "records",
        "runs",
    }
    assert (directory / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    (run,) = results(directory)["runs"]
    blocks = [each for each in run["increments"] if each["block"]]
    assert len(blocks) == 7 and run["seed"] == 4
    assert results(directory)["settings"]["sizes"] == list(tiny.FIGURE.sizes)
    with (directory / "records" / "seed-4.tclearn").open("rb") as stream:
        verified = verify(stream, terms_of, Digest(bytes.fromhex(run["coalition"])))
    assert verified.entries == run["entries"]
    checked = tclearn("ledger", "verify", directory / "records" / "seed-4.tclearn", "--json").json
    assert checked["entries"] == run["entries"]


def test_the_curve_has_what_validators_reported_and_each_epoch(figure_5: Path) -> None:
    outcome = Outcome.from_json(json.loads((figure_5 / "results.json").read_text())["runs"][0])
    with (figure_5 / "curve.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["set"] for row in rows} == {"G", "training", *outcome.start} and len(outcome.start) == 8
    for number, each in enumerate(outcome.increments, 1):
        mine = [row for row in rows if row["increment"] == str(number)]
        assert len([row for row in mine if row["set"] == "training"]) == tiny.FIGURE.epochs == len(each.training)
        assert each.samples == tiny.FIGURE.sizes[number - 1] == each.trained
        assert set(each.reported) == {"G", *outcome.start} - {each.member}
        for name, reported in each.reported.items():
            assert each.measured[name].performance == pytest.approx(reported, abs=1e-12)
    assert outcome.final() > 0.5


@pytest.mark.slow
def test_settings_that_change_are_ledger_entries(small: Path) -> None:
    made = reproduce(experiment(tiny.CHANGING), ONE, small / "out")
    constant, changing = made.outcomes["constant-1"], made.outcomes["changing-1"]
    assert [approval.method for approval in changing.approvals] == ["request", *["approve"] * 4]
    assert {approval.after for approval in changing.approvals} == {tiny.SCENE.after}
    assert len({approval.member for approval in changing.approvals}) == 5
    assert [each.hyperparameters["epochs"] for each in changing.accepted[:3]] == [6, 6, 6]
    assert {each.hyperparameters["epochs"] for each in changing.accepted[3:]} == {3}
    assert all(len(each.training) == each.hyperparameters["epochs"] for each in changing.increments)
    rates = [each.hyperparameters["learning_rate"] for each in changing.accepted]
    assert rates == sorted(rates, reverse=True) and rates[-1] < rates[0]
    assert not constant.approvals and {each.hyperparameters["learning_rate"] for each in constant.accepted} == {10**6}


@pytest.mark.slow
def test_unequal_data_and_the_three_searches(small: Path) -> None:
    made = reproduce(experiment(tiny.UNBALANCED), ONE, small / "out")
    assert len(made.outcomes) == 4 == len(made.findings)
    assert all(0 < outcome.final("kept") <= 1 for outcome in made.outcomes.values())
    assert len({outcome.coalition for outcome in made.outcomes.values()}) == 3, "a charter for each search"


def test_figure_4_trains_as_much_in_one_place_as_apart(small: Path) -> None:
    made = reproduce(experiment(tiny.FIG4), ONE, small / "out")
    pooled, forward, turned = made.outcomes.values()
    assert not pooled.coalition and forward.coalition == turned.coalition
    trained = sum(each.trained for each in pooled.increments)
    assert trained == sum(each.trained for each in forward.accepted) == 40 - 14 - 3 * 2
    assert pooled.start == {"G": forward.start["G"]} | {
        name: pooled.start[name] for name in pooled.start if name != "G"
    }
    assert [each.trained for each in turned.accepted] == [each.trained for each in forward.accepted][::-1]
    assert pooled.increments[0].training[-1].loss < pooled.increments[0].training[0].loss
    assert not (small / "out" / "records" / "centralised-1.tclearn").exists()


def test_quick_says_so_and_expects_nothing(tclearn: Any, small: Path) -> None:
    said = tclearn("reproduce", tiny.FIG5, "--quick", "--out", "out")
    assert "1 epochs instead of 6" in said.out and "QUICK" in said.out and "seed 1" in said.out
    assert "quick: less than the whole experiment, so these are not its values" in said.out.splitlines()
    told = results(small / "out")
    assert told["settings"]["quick"] and all(finding["met"] is None for finding in told["findings"])


def test_what_is_missed_has_exit_code_1(tclearn: Any, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tclearn.reproduce import digits

    monkeypatch.setitem(digits.FIGURES, tiny.FIG5, digits.Figure(sizes=tiny.FIGURE.sizes, final=1.01, epochs=1))
    said = tclearn("reproduce", tiny.FIG5, "--seeds", 1, "--out", "out", code=1)
    assert "NO" in said.out and "did not come out" in said.out


def test_json_is_one_object(tclearn: Any, small: Path) -> None:
    told = tclearn("reproduce", tiny.FIG5, "--quick", "--out", "out", "--json").json
    assert told["experiment"] == tiny.FIG5 and told["directory"] == "out"
    assert (
        Outcome.from_json(told["runs"][0]).final() == told["runs"][0]["increments"][-1]["measured"]["G"]["performance"]
    )
    assert set(told["files"]) == {"results", "curve", "figure", "records"}


# --- it repeats itself, and goes on ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_digests(small: Path, name: str) -> None:
    for place in ("one", "other"):
        reproduce(experiment(name), ONE, small / place)
    assert same(small / "one", small / "other")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_stopped_again_and_again_it_ends_with_the_same_digests(small: Path, name: str) -> None:
    reproduce(experiment(name), ONE, small / "whole")
    stopped = 0
    for patience in (1, 200, 350, 700, 900):
        try:
            reproduce(experiment(name), ONE, small / "parts", Impatient(patience))
        except KeyboardInterrupt:
            stopped += 1
        else:
            break
    assert stopped >= 3 and not (small / "parts" / "results.json").exists()
    reproduce(experiment(name), ONE, small / "parts")
    assert same(small / "whole", small / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_killed_again_and_again_it_ends_with_the_same_digests(small: Path, name: str) -> None:
    began = time.monotonic()
    subprocess.run(killable(name, small / "whole"), check=True, env=environment(), timeout=300)
    whole_s = time.monotonic() - began
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}, {whole_s:.1f} s")  # shown when the test fails
    kills = 0
    for _ in range(8):
        with subprocess.Popen(killable(name, small / "killed"), env=environment()) as process:
            try:
                process.wait(chance.uniform(0.4, 1.0) * whole_s)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        if (small / "killed" / "results.json").exists():
            break
    else:
        subprocess.run(killable(name, small / "killed"), check=True, env=environment(), timeout=300)
    print(f"{kills} kills")
    assert same(small / "whole", small / "killed")


def killable(name: str, directory: Path) -> list[str]:
    return [sys.executable, "-m", "tests.reproduce.killable", name, str(directory)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


@pytest.mark.slow
def test_a_finished_seed_is_not_trained_again(small: Path) -> None:
    class Leaving(Watcher):
        def finished(self, number: int, outcome: Outcome) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(experiment(tiny.FIG5), Options(quick=True, seeds=2), small / "out", Leaving())
    first = small / "out" / "runs" / "seed-1.json"
    written = first.stat().st_mtime_ns
    made = reproduce(experiment(tiny.FIG5), Options(quick=True, seeds=2), small / "out")
    assert first.stat().st_mtime_ns == written
    assert [outcome.seed for outcome in made.outcomes.values()] == [1, 2]


@pytest.mark.slow
def test_an_interrupted_one_is_not_continued_as_something_else(tclearn: Any, small: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        reproduce(experiment(tiny.FIG5), Options(quick=True), small / "out", Impatient(1))
    with pytest.raises(AgentError) as caught:
        reproduce(experiment(tiny.FIG5), Options(quick=True, seed=2), small / "out")
    assert caught.value.code is Code.RESUME and "settings.json" in caught.value.expected
    reproduce(experiment(tiny.FIG5), Options(quick=True), small / "out")
    made = reproduce(experiment(tiny.FIG5), Options(quick=True, seed=2), small / "out")
    assert [path.name for path in (small / "out" / "runs").iterdir()] == ["seed-2.json"], "a finished one is replaced"
    assert made.outcomes["seed-2"].seed == 2


# --- when it cannot --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [each.name for each in EXPERIMENTS if "torch" in each.needs])
def test_without_the_data_nothing_is_written(
    tclearn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    said = tclearn("reproduce", name, code=4)
    assert "TCL-204" in said.err and str(tmp_path / "empty") in said.err and "put" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("module", ["matplotlib", "torch"])
def test_without_a_package_nothing_is_written(
    tclearn: Any, small: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    said = tclearn("reproduce", tiny.FIG5, code=4)
    assert "TCL-107" in said.err and "pip install" in said.err
    assert not (small / "reproduce").exists()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("tclearn-fig7",), "no experiment 'tclearn-fig7' · expected tclearn-fig4, tclearn-fig5"),
        ((tiny.FIG5, "--seeds", "0"), "--seeds is 0 · expected 1 to 100"),
        ((tiny.FIG5, "--seed", "-1"), "--seed is -1"),
        ((tiny.FIG5, "--run"), "--run with tclearn-fig5 · expected --run with tclearn-table1"),
        ((tiny.FIG5, "--out", "data"), "data holds something that is no reproduction"),
    ],
)
def test_wrong_options_are_explained(tclearn: Any, small: Path, words: tuple[str, ...], shown: str) -> None:
    assert shown in tclearn("reproduce", *words, code=2).err
    assert [path.name for path in small.iterdir()] == ["data"]


def test_more_records_than_there_are(tclearn: Any, small: Path) -> None:
    said = tclearn("reproduce", "tclearn-fig6", code=2)
    assert f"20400 records · expected one record at least in each and {len(tiny.mnist().train)} at most" in said.err
    assert not (small / "reproduce").exists()


def test_the_list_needs_no_framework() -> None:
    code = (
        "import sys; sys.argv[1:] = ['reproduce']\n"
        "from tclearn.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'matplotlib', 'sklearn'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert all(each.name in ran.stdout and each.shows in ran.stdout for each in EXPERIMENTS)
