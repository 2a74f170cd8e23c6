"""``tclearn demo --protocol deepchain``, as a user types it, and what other commands make of its directory."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Run

DEEPCHAIN = ("demo", "--protocol", "deepchain")
SMALL = ("--dataset", "breast-cancer", "--members", 4, "--blocks", 2, "--key-bits", 512)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tclearn.simulation.deepchain.demo import DeepChainDemo
    from tclearn.simulation.deepchain.options import DeepChainOptions

    directory = tmp_path_factory.mktemp("deepchain") / "demo"
    with pytest.warns(UserWarning, match="toy key"):
        demo = DeepChainDemo.prepare(DeepChainOptions("breast-cancer", 4, None, 2, 1, 512), directory)
    demo.run(lambda *_: None)
    demo.close()
    return directory


@pytest.fixture
def deepchain(made: Path, tmp_path: Path) -> Path:
    """A finished demonstration that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "deepchain"))


def test_a_small_demo_tells_its_story_and_warns_of_its_key(tclearn: Run, tmp_path: Path):
    out = tmp_path / "demo"
    said = tclearn(*DEEPCHAIN, *SMALL, "--out", out)
    assert said.err.splitlines() == ["warning: a toy key of 512 bits: anybody can read every gradient"]
    lines = said.out.splitlines()
    assert lines[0].startswith("4 parties, 3 of them open · 4 workers · breast-cancer · key of 512 bits · seed 1")
    assert lines[1].split() == ["iteration", "counted", "leader", "block", "global"]
    assert "           hospital-3: wrong gradient, −300 coins" in lines
    assert any(line.strip().startswith("worker-2: wrong sum, −300 coins; worker-") for line in lines)
    assert "weights equal to plain quantised averaging: yes, bit for bit" in lines
    assert lines[-1].endswith(f"tclearn ledger verify {out}/coalition.tclearn --proofs {out}/objects")
    again = tclearn(*lines[-1].partition("check it:  tclearn ")[2].split())
    assert again.out.startswith("the record verifies: ")
    assert "convicted batch 0 of the gradient of hospital-3" in again.out


def test_json_is_one_object_with_everything(tclearn: Run, deepchain: Path):
    told = tclearn("demo", "--resume", "--json", "--out", deepchain).json
    assert (told["protocol"], told["status"], told["key_bits"], told["threshold"]) == ("deepchain", "complete", 512, 3)
    assert told["attacks"] == ["wrong-proof@hospital-3", "wrong-sum@worker-2"]
    fines = [(fine["member"], fine["reason"]) for each in told["iterations"] for fine in each["fines"]]
    assert sorted(fines) == [("hospital-3", "wrong gradient"), ("worker-2", "wrong sum")]
    assert told["equal_to_plain_averaging"] is True
    assert len(told["performance"]["global"]) == 2 and abs(told["final"] - told["unquantised"]) < 0.02
    assert sum(coins["now"] for coins in told["coins"].values()) + told["pot"] == told["minted"]
    assert told["minted"] - told["minted_for_rewards"] == sum(coins["start"] for coins in told["coins"].values())
    assert all(Path(told[name]).exists() for name in ("ledger", "objects", "export", "model"))
    assert told["seconds"] >= told["coalition_seconds"] > 0


def test_a_demo_in_which_no_iteration_succeeds_claims_nothing_about_its_model(tclearn: Run, tmp_path: Path):
    out = tmp_path / "demo"
    lying = ("--attack", "no-share@hospital-1", "--attack", "no-share@hospital-2")
    said = tclearn(*DEEPCHAIN, *SMALL, *lying, "--out", out, code=1).out
    shown = tclearn("status", "--dir", out).out
    assert "weights equal" not in said and "bit for bit" not in said and "without quantising" not in said
    for text in (said, shown):
        assert "has a sum, which was not opened" in text and "is sums" not in text


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--rule", "paper"], "--rule with --protocol deepchain, where it means nothing"),
        (["--lambda", "0.9"], "--lambda with --protocol deepchain"),
        (["--level", "A"], "--level with --protocol deepchain"),
        (["--network"], "--network with --protocol deepchain"),
        (["--members", 3], "--members is 3 · expected 4 to 50"),
        (["--members", 51], "--members is 51"),
        (["--blocks", 0], "--blocks is 0"),
        (["--seed", -5], "--seed is -5 · expected a whole number from 0 to 9223372036854775807"),
        (["--seed", 1 << 63], "--seed is 9223372036854775808"),
        (["--members", 50, "--attack", "no-share@hospital-1"], "no such member · expected hospital-01 to hospital-50"),
        (["--key-bits", 1024], "--key-bits is 1024 · expected 512 or 2048 or 3072"),
        (["--dataset", "mnist"], "no data set 'mnist' in the demo of deepchain · expected digits or breast-cancer"),
        (["--attack", "label-flip@hospital-1"], "KIND one of wrong-proof, "),
        (["--attack", "wrong-sum@hospital-1"], "hospital-1 is a party · expected worker-1 to worker-4"),
        (["--attack", "no-share@worker-1"], "worker-1 is a worker · expected hospital-1 to hospital-7"),
        (["--attack", "silent@hospital-9"], "no such member · expected hospital-1 to hospital-7 or worker-1 to"),
        (["--attack", "silent@worker-1", "--attack", "no-sum@worker-1"], "two attacks by one member"),
        (["--attack", "none", "--attack", "no-sum@worker-1"], "--attack none beside --attack no-sum@worker-1"),
        (["--resume"], "there is no demonstration in "),
    ],
)
def test_wrong_options_are_explained(tclearn: Run, tmp_path: Path, words: list[object], shown: str):
    code = 4 if words == ["--resume"] else 2
    said = tclearn(*DEEPCHAIN, "--out", tmp_path / "demo", *words, code=code)
    assert said.err.startswith("error[TCL-") and shown in said.err
    assert not (tmp_path / "demo").exists()


def test_options_of_the_other_protocol_are_refused(tclearn: Run, tmp_path: Path):
    said = tclearn("demo", "--key-bits", 2048, "--out", tmp_path / "demo", code=2)
    assert "--key-bits with --protocol tclearn, where it means nothing" in said.err
    said = tclearn("demo", "--protocol", "seccl", "--out", tmp_path / "demo", code=2)
    assert "--protocol is 'seccl' · expected tclearn or deepchain" in said.err


def test_what_is_resumed_says_itself_which_protocol_it_is(tclearn: Run, deepchain: Path, demo: Path):
    said = tclearn("demo", "--resume", "--protocol", "tclearn", "--out", deepchain, code=2)
    assert "the interrupted demonstration has --protocol deepchain, not --protocol tclearn" in said.err
    said = tclearn("demo", "--resume", "--protocol", "deepchain", "--out", demo, code=2)
    assert "the interrupted demonstration has --protocol tclearn, not --protocol deepchain" in said.err
    said = tclearn("demo", "--resume", "--key-bits", 3072, "--out", deepchain, code=2)
    assert "the interrupted demonstration has --key-bits 512, not --key-bits 3072" in said.err
    settings = json.loads((deepchain / "demo.json").read_text())
    (deepchain / "demo.json").write_text(json.dumps({**settings, "format": 2}))
    assert "demo.json is not usable: format 2" in tclearn("demo", "--resume", "--out", deepchain, code=1).err


def test_somebody_elses_directory_is_left_alone(tclearn: Run, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("do not lose")
    assert "not a demonstration" in tclearn(*DEEPCHAIN, "--out", tmp_path, code=2).err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_each_protocols_demo_replaces_the_others_and_nothing_else(tclearn: Run, deepchain: Path):
    (deepchain / "notes.txt").write_text("mine")
    words = ["--dataset", "breast-cancer", "--blocks", 1, "--attack", "none", "--members", 3]
    assert tclearn("demo", "--json", "--out", deepchain, *words).json["protocol"] == "tclearn"
    assert tclearn(*DEEPCHAIN, *SMALL, "--attack", "none", "--json", "--out", deepchain).json["protocol"] == "deepchain"
    assert (deepchain / "notes.txt").read_text() == "mine" and not (deepchain / "data.key").exists()


def test_status_shows_iterations_and_coins(tclearn: Run, deepchain: Path):
    lines = tclearn("status", "--dir", deepchain).out.splitlines()
    assert lines[0].startswith("demo-breast-cancer: 2 of 2 iterations done, 3 blocks, ")
    assert lines[1:3] == ["warning: a toy key of 512 bits: anybody can read every gradient", "training is complete"]
    assert "           hospital-3: wrong gradient, −300 coins" in lines
    assert any(line.split() == ["hospital-3", "1000", "0", "0", "−300", "700"] for line in lines)
    told = tclearn("status", "--json", "--dir", deepchain).json
    run = tclearn("demo", "--resume", "--json", "--out", deepchain).json
    for key in ("protocol", "status", "iterations", "coins", "minted", "pot", "entries", "coalition"):
        assert told[key] == run[key], key
    assert told["waiting"] == []


def test_status_of_an_interrupted_run_says_what_it_waits_for(tclearn: Run, tmp_path: Path):
    from tclearn.learning.datasets import load
    from tclearn.simulation.deepchain.demo import cast
    from tclearn.simulation.deepchain.options import DeepChainOptions
    from tclearn.simulation.deepchain.simulation import Simulation

    options = DeepChainOptions("breast-cancer", 4, (), 1, 1, 512)
    with pytest.warns(UserWarning, match="toy key"):
        simulation = Simulation.prepare(cast(options, load("breast-cancer")), tmp_path / "demo")
    simulation.run(on_entry=lambda state: state.iteration is None or len(state.iteration.gradients) < 2)
    simulation.close()
    told = tclearn("status", "--json", "--dir", tmp_path / "demo").json
    assert {(each["member"], each["for"]) for each in told["waiting"]} == {
        ("hospital-3", "contribute"),
        ("hospital-4", "contribute"),
    }
    out = tclearn("status", "--dir", tmp_path / "demo").out
    assert "waits for:" in out and "hand in its gradient" in out and "under way" in out


def test_an_interrupted_demo_says_how_it_goes_on_and_does(tclearn: Run, tmp_path: Path, monkeypatch):
    out, calls = tmp_path / "demo", iter(range(100))

    def pressed(state: object) -> str:
        if next(calls) == 30:
            raise KeyboardInterrupt
        return ""

    with monkeypatch.context() as patched:
        patched.setattr("tclearn.cli.demo_deepchain.doing", pressed)
        said = tclearn(*DEEPCHAIN, *SMALL, "--attack", "none", "--out", out, code=130)
    assert f"stopped · go on with: tclearn demo --resume --out {out}" in said.err
    told = tclearn("demo", "--resume", "--json", "--out", out).json
    assert (told["status"], told["attacks"], len(told["performance"]["global"])) == ("complete", [], 2)


@pytest.mark.parametrize("words", [["model", "list"], ["coalition", "show"], ["data", "check"]])
def test_commands_that_know_the_other_protocol_only_say_so(tclearn: Run, deepchain: Path, words: list[str]):
    said = tclearn(*words, "--dir", deepchain, code=2)
    assert "coalition of the protocol 'deepchain'" in said.err and "`tclearn status`" in said.err


@pytest.mark.slow
def test_the_whole_demonstration_under_a_real_key(tclearn: Run, tmp_path: Path):
    out = tmp_path / "demo"
    said = tclearn(*DEEPCHAIN, "--out", out)
    began, took, *after = said.err.splitlines()
    assert began == "dealing a threshold key of 2048 bits"
    assert re.fullmatch(r"iteration 1 took \d+ s; 5 more to succeed", took)
    assert after == ["verifying the record", "training again in the clear, to compare"]
    for line in (
        "hospital-3: wrong gradient, −300 coins",
        "hospital-5: decryption shares withheld, −300 coins",
        "worker-2: wrong sum, −300 coins",
        "weights equal to plain quantised averaging: yes, bit for bit",
    ):
        assert line in said.out
    verified = tclearn("ledger", "verify", out / "coalition.tclearn", "--proofs", out / "objects")
    assert "6 iterations of " in verified.out
